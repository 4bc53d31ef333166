import { JuteWriter, type Zxid } from 'zookeeper-protocol-ts';
import { assert, assertNever } from '../invariant.ts';
import type { Clock, Disk, DiskFile, Done, Millis } from '../ports.ts';
import { SyncedMark } from './synced-mark.ts';
import { LOG_HEADER_BYTES, logName, paddedSize, writeLogEntry, writeLogHeader } from './txn-log-format.ts';

/** Apache ZooKeeper's `preAllocSize`: a log file grows by so many bytes of zeros at a time. */
export const PREALLOCATE_BYTES_DEFAULT = 64 * 1024 * 1024;

export interface TxnLogOptions {
  readonly disk: Disk;
  /** The last zxid of the history that is already on disk: the first append must be above it. */
  readonly lastZxid: Zxid;
  /** A file grows by so many bytes of zeros at a time, so that a sync seldom has to change its size. 0 turns it off. */
  readonly preallocateBytes?: number;
  /** A file larger than this is the last one of its kind: the next append starts another. Default: no limit. */
  readonly fileBytesMax?: number | undefined;
  /** `forceSync`: false leaves it to the system when it writes, and calls "synced" what a power loss may take. Default: true. */
  readonly forceSync?: boolean;
  readonly clock: Pick<Clock, 'now'>;
  /** A sync that took longer is told of. Default: none is. */
  readonly syncWarningMs?: Millis;
  readonly onSlowSync?: (ms: Millis, fileBytes: number) => void;
  /** Told how long each sync took. */
  readonly onSyncTime?: (ms: Millis) => void;
  /** All transactions up to this one are durable. Rises with every call. Never called from inside a call to the log. */
  readonly onSynced: (zxid: Zxid) => void;
  /**
   * The disk failed. Called once, possibly from inside `flush`; from then on the log accepts nothing and reports nothing:
   * after a failed sync nobody knows what is on the disk, so the server must stop.
   */
  readonly onFailure: (error: Error) => void;
}

/** How often the mark of what is durable is brought up to date while batches are written. */
const MARK_EVERY_MS: Millis = 100;

/** Entries that go to the disk in one write and one sync. */
interface Batch {
  readonly bytes: Uint8Array;
  readonly lastZxid: Zxid;
  /** The first zxid of the file that it starts; undefined if it goes on in the present one. */
  readonly startsFile: Zxid | undefined;
}

/**
 * - `idle`: nothing in flight.
 * - `writing`: one batch is between its write and the end of its sync.
 * - `failed`: the disk refused something. Final.
 * - `closed`: final.
 */
type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'writing'; readonly batch: Batch }
  | { readonly kind: 'failed'; readonly error: Error }
  | { readonly kind: 'closed' };

/**
 * The transaction log: appends records in zxid order and tells how far they are durable. What is appended while a batch is
 * being synced goes into the next one, which starts when the one before is done: group commit without a timer.
 *
 * What must always hold: zxids rise (LOG-1); only what a sync has covered that started after the write was done is reported
 * as synced, in order, and with the name of its file durable too (LOG-3); one operation on the log's file is in flight at a
 * time (LOG-4). A file that was there before is never appended to: the first append after a start or a roll begins a new one.
 *
 * Memory: the bytes appended and not yet synced. Whoever appends bounds them by looking at {@link TxnLog.queuedBytes}.
 * From the original's `FileTxnLog` and `SyncRequestProcessor`.
 */
export class TxnLog {
  readonly #disk: Disk;
  readonly #preallocateBytes: number;
  readonly #fileBytesMax: number;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #syncWarningMs: Millis;
  readonly #onSlowSync: (ms: Millis, fileBytes: number) => void;
  readonly #onSyncTime: (ms: Millis) => void;
  readonly #onSynced: (zxid: Zxid) => void;
  readonly #onFailure: (error: Error) => void;

  #state: State = { kind: 'idle' };
  /** Says on the disk how far it is durable; undefined if nobody knows, without syncs. */
  readonly #mark: SyncedMark | undefined;
  #markedAt: Millis = Number.NEGATIVE_INFINITY;
  /** The open file; undefined before the first batch. Between batches all of it is synced. */
  #file: DiskFile | undefined;
  /** Where the next write goes. */
  #position = 0;
  /** The size of the file with its padding. */
  #fileBytes = 0;

  /** Entries appended since the last batch was cut off. */
  readonly #writer = new JuteWriter(64 * 1024);
  /** The file that the entries in `#writer` start. */
  #startsFile: Zxid | undefined;
  /** The next append starts a file. */
  #rolled = true;
  /** Batches that a roll has cut off, oldest first, not yet in flight. */
  readonly #sealed: Batch[] = [];
  #sealedBytes = 0;
  /** Set by `close`: called when everything is on the disk. */
  #closing: Done[] | undefined;

  #lastAppended: Zxid;
  #lastSynced: Zxid;

  constructor(options: TxnLogOptions) {
    this.#disk = options.disk;
    this.#preallocateBytes = options.preallocateBytes ?? PREALLOCATE_BYTES_DEFAULT;
    this.#fileBytesMax = options.fileBytesMax ?? Number.POSITIVE_INFINITY;
    this.#clock = options.clock;
    this.#syncWarningMs = options.syncWarningMs ?? Number.POSITIVE_INFINITY;
    this.#onSlowSync = options.onSlowSync ?? (() => undefined);
    this.#onSyncTime = options.onSyncTime ?? (() => undefined);
    const forceSync = options.forceSync ?? true;
    this.#mark = forceSync ? new SyncedMark(options.disk, (error) => this.#fail(error)) : undefined;
    this.#onSynced = options.onSynced;
    this.#onFailure = options.onFailure;
    this.#lastAppended = options.lastZxid;
    this.#lastSynced = options.lastZxid;
  }

  get lastAppended(): Zxid {
    return this.#lastAppended;
  }

  /** Everything up to here survives a power loss. */
  get lastSynced(): Zxid {
    return this.#lastSynced;
  }

  /** Bytes appended that are not durable yet. */
  get queuedBytes(): number {
    const inFlight = this.#state.kind === 'writing' ? this.#state.batch.bytes.length : 0;
    return inFlight + this.#sealedBytes + this.#writer.length;
  }

  /**
   * Collects a record for the next {@link flush}. The record is copied.
   * @param record TxnHeader, body and maybe a digest, with this zxid
   */
  append(zxid: Zxid, record: Uint8Array): void {
    if (this.#state.kind === 'failed') return;
    assert(this.#state.kind !== 'closed' && this.#closing === undefined, 'LOG-1: nothing is appended to a closed log');
    assert(zxid > this.#lastAppended, 'LOG-1: appended zxids rise');
    if (this.#rolled) {
      this.#rolled = false;
      this.#startsFile = zxid;
      writeLogHeader(this.#writer);
    }
    writeLogEntry(this.#writer, record);
    this.#lastAppended = zxid;
  }

  /** Starts writing what was appended. While a batch is in flight it waits for that one, and then starts by itself. */
  flush(): void {
    if (this.#state.kind === 'idle') this.#writeNext();
  }

  /** The next append starts a new file. */
  roll(): void {
    this.#seal();
    this.#rolled = true;
  }

  /**
   * Writes and syncs what was appended, then closes the file, padding and all, as the original leaves it. May be called
   * twice. `done` is called at once when there is nothing to wait for.
   */
  close(done: Done): void {
    const state = this.#state;
    switch (state.kind) {
      case 'failed':
        return done(state.error);
      case 'closed':
        return done(null);
      case 'idle':
      case 'writing':
        this.#closing ??= [];
        this.#closing.push(done);
        this.flush();
        return this.#closeIfIdle();
      default:
        return assertNever(state);
    }
  }

  /** Cuts off what was appended so far: it goes into one file. */
  #seal(): void {
    if (this.#writer.length === 0) return;
    const batch = { bytes: this.#writer.take(), lastZxid: this.#lastAppended, startsFile: this.#startsFile };
    this.#startsFile = undefined;
    this.#sealed.push(batch);
    this.#sealedBytes += batch.bytes.length;
  }

  #writeNext(): void {
    assert(this.#state.kind === 'idle', 'LOG-4: one batch is in flight');
    if (this.#sealed.length === 0) this.#seal();
    const batch = this.#sealed.shift();
    if (batch === undefined) return;
    this.#sealedBytes -= batch.bytes.length;
    this.#state = { kind: 'writing', batch };
    if (batch.startsFile === undefined) return this.#preallocate(batch);
    this.#startFile(batch, batch.startsFile);
  }

  /** The name and the mark are durable before there is a record in the file. */
  #startFile(batch: Batch, firstZxid: Zxid): void {
    const name = logName(firstZxid);
    this.#file?.close();
    this.#file = undefined;
    try {
      this.#file = this.#disk.open(name);
    } catch (error) {
      return this.#fail(error instanceof Error ? error : new Error(`${name} can't be opened`, { cause: error }));
    }
    this.#position = 0;
    // As in a new file of the original, which pads behind the header: 16 bytes and one allocation.
    this.#fileBytes = LOG_HEADER_BYTES;
    // Nothing in a file of this name can be part of the history, which ends before its first zxid.
    if (this.#file.size > 0)
      return this.#file.truncate(
        0,
        this.#then(() => this.#markFile(batch, firstZxid)),
      );
    this.#markFile(batch, firstZxid);
  }

  #markFile(batch: Batch, firstZxid: Zxid): void {
    if (this.#mark === undefined) return this.#preallocate(batch);
    const named = this.#then(() => this.#preallocate(batch));
    this.#mark.begin(
      firstZxid,
      this.#lastSynced,
      this.#then(() => this.#disk.syncDirectory(named)),
    );
  }

  #preallocate(batch: Batch): void {
    const start = Math.max(this.#position, LOG_HEADER_BYTES);
    const end = this.#position + batch.bytes.length;
    let size = paddedSize(start, this.#fileBytes, this.#preallocateBytes);
    // The original looks at the position before each transaction; one batch may need several allocations.
    if (end > size) size = paddedSize(end, size, this.#preallocateBytes);
    if (size === this.#fileBytes) return this.#write(batch);
    this.#open().truncate(
      size,
      this.#then(() => {
        this.#fileBytes = size;
        this.#write(batch);
      }),
    );
  }

  #write(batch: Batch): void {
    this.#advanceMark();
    this.#open().write(
      this.#position,
      batch.bytes,
      this.#then(() => {
        this.#position += batch.bytes.length;
        this.#fileBytes = Math.max(this.#fileBytes, this.#position);
        this.#sync(batch);
      }),
    );
  }

  /** Along with a batch, now and then: the system takes seconds to write it, unless a sync of the same disk does. */
  #advanceMark(): void {
    if (this.#mark === undefined) return;
    const now = this.#clock.now();
    if (now < this.#markedAt + MARK_EVERY_MS) return;
    this.#markedAt = now;
    this.#mark.advance(this.#lastSynced);
  }

  /** Starts the sync only now that the write is done: a sync promises nothing about a write that is still under way. */
  #sync(batch: Batch): void {
    if (this.#mark === undefined) return this.#complete(batch);
    const start = this.#clock.now();
    this.#open().sync(
      this.#then(() => {
        const ms = this.#clock.now() - start;
        this.#onSyncTime(ms);
        if (ms > this.#syncWarningMs) this.#onSlowSync(ms, this.#fileBytes);
        this.#complete(batch);
      }),
    );
  }

  #complete(batch: Batch): void {
    assert(batch.lastZxid > this.#lastSynced, 'LOG-3: synced zxids rise');
    assert(batch.lastZxid <= this.#lastAppended, 'LOG-3: synced beyond what was appended');
    this.#lastSynced = batch.lastZxid;
    this.#state = { kind: 'idle' };
    if (this.#position > this.#fileBytesMax && this.#sealed.length === 0) this.roll();
    this.#onSynced(batch.lastZxid);
    this.flush();
    this.#closeIfIdle();
  }

  #closeIfIdle(): void {
    const waiting = this.#closing;
    if (waiting === undefined || this.#state.kind !== 'idle') return;
    this.#file?.close();
    this.#state = { kind: 'closed' };
    const finish: Done = (error) => {
      for (const done of waiting) done(error);
    };
    if (this.#mark === undefined) finish(null);
    else this.#mark.end(this.#lastSynced, finish);
  }

  /** Goes on with the next step of the batch, or fails for good. */
  #then(next: () => void): Done {
    return (error) => {
      // The mark failed meanwhile.
      if (this.#state.kind === 'failed') return;
      assert(this.#state.kind === 'writing', 'LOG-4: a completion without a batch in flight');
      return error === null ? next() : this.#fail(error);
    };
  }

  #fail(error: Error): void {
    if (this.#state.kind === 'failed' || this.#state.kind === 'closed') return;
    this.#state = { kind: 'failed', error };
    this.#file?.close();
    this.#mark?.close();
    this.#onFailure(error);
    for (const done of this.#closing ?? []) done(error);
  }

  #open(): DiskFile {
    assert(this.#file !== undefined, 'LOG-4: a batch is written to an open file');
    return this.#file;
  }
}
