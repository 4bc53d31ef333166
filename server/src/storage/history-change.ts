import { JuteWriter, toHex, toZxid, ZERO_ZXID, type Zxid } from 'zookeeper-protocol-ts';
import type { Disk, DiskFile, Done } from '../ports.ts';
import { ADLER32_EMPTY, adler32 } from './adler32.ts';
import { logsFrom, logsInOrder } from './log-replay.ts';
import {
  isUnfinishedSnapshotName,
  SECTION_END,
  SNAPSHOT_DBID,
  SNAPSHOT_MAGIC,
  SNAPSHOT_VERSION,
  snapshotName,
  snapshotsIn,
  unfinishedSnapshotName,
} from './snapshot-format.ts';
import { inOrder, onFile, type Step } from './steps.ts';
import { StorageError } from './storage-error.ts';
import { SYNCED_MARK_NAME } from './synced-mark.ts';
import { logName } from './txn-log-format.ts';
import { readTxnLog } from './txn-log-reader.ts';

/**
 * How a learner's files become its leader's: cut behind a transaction, or replaced by a snapshot (`FileTxnLog.truncate`, and the
 * SNAP branch of `Learner.syncWithLeader`). Nobody may write to the log meanwhile, and afterwards the folder is recovered anew.
 *
 * What must hold: whatever a crash leaves is a history that this server had before, or the new one (ZOOKEEPER-2832); snapshots
 * that have what was dropped go with it.
 */
export interface Folders {
  readonly logDisk: Disk;
  /** May be the same as `logDisk`. */
  readonly snapshotDisk: Disk;
}

/**
 * Whether the files have the history up to `zxid`, so that it can be cut there. Before a snapshot that came from a leader there is
 * nothing, or what a crash has left of the history before it: cut there, something else would be left.
 * @throws StorageError when the log that should have the transaction can't be read
 */
export function goesBackTo({ logDisk, snapshotDisk }: Folders, zxid: Zxid): boolean {
  const snapshots = snapshotsIn(snapshotDisk.list());
  if (snapshots.some((snapshot) => snapshot.zxid === zxid)) return true;
  const logs = logsInOrder(logDisk.list());
  const [first] = logs;
  const isFromTheBeginning = first === logName(FIRST_ZXID);
  if (zxid === ZERO_ZXID) return isFromTheBeginning;
  if (!isFromTheBeginning && !snapshots.some((snapshot) => snapshot.zxid < zxid)) return false;
  const [log] = logsFrom(logs, zxid);
  return log !== undefined && hasTransaction(logDisk, log, zxid);
}

function hasTransaction(disk: Disk, log: string, wanted: Zxid): boolean {
  const file = disk.open(log);
  try {
    for (const { zxid } of readTxnLog(file, log)) if (zxid === wanted) return true;
    return false;
  } finally {
    file.close();
  }
}

/** Drops all transactions behind `after`, to which the files {@link goesBackTo go back}. @param done called when that is durable */
export function truncateHistory({ logDisk, snapshotDisk }: Folders, after: Zxid, done: Done): void {
  const logs = logsInOrder(logDisk.list());
  const [first, ...later] = logsFrom(logs, after);
  const snapshots = snapshotsIn(snapshotDisk.list()).filter(({ zxid }) => zxid > after);
  const steps: Step[] = [
    ...forgetMark(logDisk),
    ...snapshots.map(
      ({ name }): Step =>
        (next) =>
          snapshotDisk.remove(name, next),
    ),
    (next) => snapshotDisk.syncDirectory(next),
    ...removeFromTheEnd(logDisk, later),
  ];
  if (first !== undefined) steps.push((next) => cutLog(logDisk, first, after, next));
  steps.push((next) => logDisk.syncDirectory(next));
  inOrder(steps, done);
}

/** One durably before the other: whatever a crash leaves of them follows what stands before them. */
const removeFromTheEnd = (disk: Disk, logs: readonly string[]): Step[] =>
  logs.toReversed().flatMap((name): Step[] => [(next) => disk.remove(name, next), (next) => disk.syncDirectory(next)]);

const FIRST_ZXID = toZxid(1n);

function cutLog(disk: Disk, name: string, after: Zxid, done: Done): void {
  let end: number;
  try {
    end = endOf(disk, name, after);
  } catch (error) {
    return done(error instanceof Error ? error : new Error(String(error)));
  }
  const step: Step =
    end === 0
      ? (next) => disk.remove(name, next)
      : onFile(disk, name, (file, next) =>
          inOrder([(then) => file.truncate(end, then), (then) => file.sync(then)], next),
        );
  step(done);
}

/** Where the transactions up to `after` end in a log; 0 if it has none. */
function endOf(disk: Disk, name: string, after: Zxid): number {
  const file = disk.open(name);
  try {
    let kept = false;
    for (const { zxid, offset } of readTxnLog(file, name)) {
      if (zxid > after) return kept ? offset : 0;
      kept = true;
    }
    return kept ? file.size : 0;
  } finally {
    file.close();
  }
}

/** How far a history that is given up was durable says nothing any more. */
const forgetMark = (disk: Disk): Step[] =>
  disk.list().includes(SYNCED_MARK_NAME)
    ? [(next) => disk.remove(SYNCED_MARK_NAME, next), (next) => disk.syncDirectory(next)]
    : [];

/** A snapshot that comes from the leader, on its way into the folder. */
export class ReceivedSnapshot {
  readonly #folders: Folders;
  readonly #zxid: Zxid;
  readonly #file: DiskFile;
  readonly #onWritten: () => void;
  #checksum = ADLER32_EMPTY;
  #position = 0;
  /** Arrived and not on its way to the file yet. */
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #isWriting = false;
  #failure: Error | undefined;
  /** Set when all has arrived. */
  #done: Done | undefined;

  /**
   * @param onWritten {@link queuedBytes} has become less
   * @throws when the file can't be opened
   */
  constructor(folders: Folders, zxid: Zxid, onWritten: () => void = () => undefined) {
    this.#folders = folders;
    this.#onWritten = onWritten;
    this.#zxid = zxid;
    this.#file = folders.snapshotDisk.open(unfinishedSnapshotName(zxid));
    const writer = new JuteWriter(64);
    writer.writeInt(SNAPSHOT_MAGIC);
    writer.writeInt(SNAPSHOT_VERSION);
    writer.writeLong(SNAPSHOT_DBID);
    // In front of all that arrives while the file is being emptied.
    this.#queue.push(writer.take());
    this.#isWriting = true;
    this.#file.truncate(0, (error) => {
      this.#isWriting = false;
      if (error !== null) this.#failure = error;
      this.#writeNext();
    });
  }

  /** Bytes that have arrived and wait for the file. Whoever writes bounds them by looking here. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** The next part of its contents. */
  write(bytes: Uint8Array): void {
    // Of the stream's own memory, which may be a chunk shared by others.
    this.#queue.push(Buffer.from(bytes));
    this.#queuedBytes += bytes.length;
    this.#writeNext();
  }

  /**
   * All has arrived: makes it the folder's history.
   * @param done called when it is, durably, and nothing of the former one is left
   */
  install(done: Done): void {
    this.#done = done;
    this.#writeNext();
  }

  /** It will not arrive whole. */
  abandon(): void {
    this.#failure ??= new Error(`snapshot ${toHex(this.#zxid)} did not arrive whole`);
    if (!this.#isWriting) this.#finish();
  }

  #writeNext(): void {
    if (this.#isWriting) return;
    if (this.#failure !== undefined) return this.#finish();
    const next = this.#queue.length > 1 ? Buffer.concat(this.#queue) : this.#queue[0];
    this.#queue = [];
    this.#queuedBytes = 0;
    if (next === undefined) {
      if (this.#done !== undefined) this.#seal(this.#done);
      return;
    }
    this.#checksum = adler32(next, this.#checksum);
    this.#writeBytes(next, () => this.#writeNext());
  }

  #writeBytes(bytes: Uint8Array, then: () => void): void {
    this.#isWriting = true;
    this.#file.write(this.#position, bytes, (error) => {
      this.#isWriting = false;
      this.#position += bytes.length;
      if (error !== null) this.#failure = error;
      if (this.#failure === undefined) then();
      else this.#finish();
      this.#onWritten();
    });
  }

  #finish(): void {
    this.#file.close();
    const done = this.#done;
    this.#done = undefined;
    done?.(this.#failure ?? null);
  }

  #seal(done: Done): void {
    const writer = new JuteWriter(64);
    writer.writeLongFromNumber(this.#checksum);
    writer.writeString(SECTION_END);
    this.#writeBytes(writer.take(), () => {
      this.#done = undefined;
      try {
        this.#publish(done);
      } catch (error) {
        // The folder can't be read: nothing of it has been changed.
        done(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  /** From the rename on the folder has the leader's history; what is left of the old one must not be taken for its end. */
  #publish(done: Done): void {
    const { logDisk, snapshotDisk } = this.#folders;
    const name = snapshotName(this.#zxid);
    const names = snapshotDisk.list();
    const former = snapshotsIn(names).filter((snapshot) => snapshot.name !== name);
    const unfinished = names.filter(
      (other) => isUnfinishedSnapshotName(other) && other !== unfinishedSnapshotName(this.#zxid),
    );
    inOrder(
      [
        (next) => this.#file.sync(next),
        ...forgetMark(logDisk),
        (next) => {
          this.#file.close();
          snapshotDisk.rename(unfinishedSnapshotName(this.#zxid), name, next);
        },
        (next) => snapshotDisk.syncDirectory(next),
        ...removeFromTheEnd(logDisk, logsInOrder(logDisk.list())),
        ...[...former.map((snapshot) => snapshot.name), ...unfinished].map(
          (other): Step =>
            (next) =>
              snapshotDisk.remove(other, next),
        ),
        (next) => snapshotDisk.syncDirectory(next),
      ],
      done,
    );
  }
}

export const notReached = (folder: string, after: Zxid, last: Zxid): StorageError =>
  new StorageError(
    'LOG_GAP',
    `the leader has the history up to zxid ${toHex(after)}, and here it ends at ${toHex(last)}`,
    {
      file: folder,
      zxid: last,
    },
  );
