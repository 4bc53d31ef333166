import { JuteWriter, toZxid, ZERO_ZXID, type Zxid } from 'zookeeper-protocol-ts';
import { assert } from '../invariant.ts';
import type { Disk, DiskFile, Done } from '../ports.ts';
import { adler32 } from './adler32.ts';

/**
 * How far the log is known to be durable: a small file beside the logs, which the original neither has nor looks at.
 *
 *     file = slot slot        512 bytes each, written in turn, so that one is whole whatever a crash does to the other
 *     slot = "ZKSY", version int 1, log long, synced long, checksum long        Adler-32 of what stands before it
 *
 * `log` is the first zxid of the log file being written, `synced` the last transaction that was durable when the mark was made.
 * The slot that says more is the one that counts.
 *
 * What it is for: a power loss may leave any pages of the last write on the disk, so that a good record stands behind a torn
 * one. Behind `synced`, in that log file, this is the end of the log. Before it, and in any other file, it is damage.
 *
 * What must hold: it never says more than what is durable. The mark is durable before the first record of its log file is
 * written; from then on it goes along with the batches, without a sync of its own, so after a power loss it may say less.
 */
export interface Synced {
  /** The first zxid of the log file. */
  readonly log: Zxid;
  readonly zxid: Zxid;
}

export const SYNCED_MARK_NAME = 'txnlog-synced';

/** "ZKSY" */
const MAGIC = 0x5a4b5359;
const VERSION = 1;
const SLOT_BYTES = 512;
const MARK_BYTES = 32;
const CHECKED_BYTES = 24;

/** What the mark of a folder says; undefined if there is none, or none that can be read. */
export function readSyncedMark(disk: Disk): Synced | undefined {
  if (!disk.list().includes(SYNCED_MARK_NAME)) return undefined;
  const file = disk.open(SYNCED_MARK_NAME);
  try {
    const [first, second] = [readSlot(file, 0), readSlot(file, 1)];
    if (first === undefined || second === undefined) return first ?? second;
    const secondSaysMore = second.log > first.log || (second.log === first.log && second.zxid > first.zxid);
    return secondSaysMore ? second : first;
  } finally {
    file.close();
  }
}

function readSlot(file: DiskFile, slot: number): Synced | undefined {
  const bytes = file.readAt(slot * SLOT_BYTES, MARK_BYTES);
  if (bytes.length < MARK_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getInt32(0) !== MAGIC || view.getInt32(4) !== VERSION) return undefined;
  if (view.getBigInt64(CHECKED_BYTES) !== BigInt(adler32(bytes.subarray(0, CHECKED_BYTES)))) return undefined;
  return { log: toZxid(view.getBigInt64(8)), zxid: toZxid(view.getBigInt64(16)) };
}

/** Writes the mark, one write at a time. */
export class SyncedMark {
  readonly #disk: Disk;
  readonly #onFailure: (error: Error) => void;
  readonly #writer = new JuteWriter();
  #file: DiskFile | undefined;
  #log: Zxid = ZERO_ZXID;
  /** The slot that is written next. */
  #slot = 0;
  #writing = false;
  /** Waits for the write in flight. */
  #next: (() => void) | undefined;

  /** @param onFailure a write of {@link SyncedMark.advance} failed */
  constructor(disk: Disk, onFailure: (error: Error) => void) {
    this.#disk = disk;
    this.#onFailure = onFailure;
  }

  /**
   * A log file begins. `done` when the mark is durable, its name excepted: the caller syncs the folder.
   * @param synced what is durable now, before the file's first record
   */
  begin(log: Zxid, synced: Zxid, done: Done): void {
    this.#log = log;
    this.#durably(synced, done);
  }

  /** So much is durable. Written when the disk gets to it; left out while another one is being written. */
  advance(synced: Zxid): void {
    if (this.#writing || this.#file === undefined) return;
    this.#write(synced, (error) => {
      if (error !== null) this.#onFailure(error);
    });
  }

  /** The log is complete: `done` when the mark says so durably. */
  end(synced: Zxid, done: Done): void {
    if (this.#file === undefined) return done(null);
    this.#durably(synced, (error) => {
      this.close();
      done(error);
    });
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #durably(synced: Zxid, done: Done): void {
    const write = (): void => {
      this.#write(synced, (error) => {
        if (error !== null || this.#file === undefined) return done(error);
        this.#file.sync(done);
      });
    };
    if (!this.#writing) return write();
    assert(this.#next === undefined, 'LOG-4: two wait for the mark');
    this.#next = write;
  }

  #write(synced: Zxid, done: Done): void {
    try {
      this.#file ??= this.#disk.open(SYNCED_MARK_NAME);
    } catch (cause) {
      return done(cause instanceof Error ? cause : new Error(`${SYNCED_MARK_NAME} can't be opened`, { cause }));
    }
    this.#writer.writeInt(MAGIC);
    this.#writer.writeInt(VERSION);
    this.#writer.writeLong(this.#log);
    this.#writer.writeLong(synced);
    const marked = this.#writer.take();
    this.#writer.writeRaw(marked);
    this.#writer.writeLongFromNumber(adler32(marked));
    this.#writing = true;
    const offset = this.#slot * SLOT_BYTES;
    this.#slot = 1 - this.#slot;
    this.#file.write(offset, this.#writer.take(), (error) => {
      this.#writing = false;
      const next = this.#next;
      this.#next = undefined;
      done(error);
      // After a failure nobody waits any more: the log has failed.
      if (error === null) next?.();
    });
  }
}
