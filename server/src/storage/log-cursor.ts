import { counterOf, epochOf, toHex, type Zxid } from 'zookeeper-protocol-ts';
import type { Disk } from '../ports.ts';
import { logsFrom, logsInOrder } from './log-replay.ts';
import { StorageError } from './storage-error.ts';
import { LOG_HEADER_BYTES, zxidOfLogName } from './txn-log-format.ts';
import { FileWindow, findAt, type TxnLogEntry } from './txn-log-reader.ts';

export interface LogCursorOptions {
  readonly disk: Disk;
  /** From here on the logs were replayed, or written, by this server: they are its history, also where an epoch begins. */
  readonly provenFrom: Zxid;
}

/** Where the next transaction is looked for. */
interface Place {
  readonly file: string;
  readonly offset: number;
  /** The one before it. */
  readonly zxid: Zxid;
}

/**
 * A place in the log of a server that serves: from there on the log is read while it is being written, rolled and purged
 * (`ZKDatabase.getProposalsFromTxnLog`). Nothing is open between two reads.
 *
 * What must hold: what is read follows, without a gap, what the cursor stands behind (ZOOKEEPER-2418). Before the snapshot that the
 * server recovered from, that an epoch begins says nothing: a server of 3.8 that was sent a snapshot leaves its old logs, with what was
 * never agreed on at their end, in front of the new ones. Within an epoch a zxid is one transaction, and a later one vouches for it.
 */
export class LogCursor {
  readonly #disk: Disk;
  readonly #provenFrom: Zxid;
  #place: Place | undefined;

  constructor({ disk, provenFrom }: LogCursorOptions) {
    this.#disk = disk;
    this.#provenFrom = provenFrom;
  }

  /** The transaction that it stands behind; undefined before it was moved. */
  get zxid(): Zxid | undefined {
    return this.#place?.zxid;
  }

  /** The same place again. */
  copy(): LogCursor {
    const copy = new LogCursor({ disk: this.#disk, provenFrom: this.#provenFrom });
    copy.#place = this.#place;
    return copy;
  }

  /**
   * Moves behind the last transaction that is not behind `zxid`. Yields the bytes of each that it passes: whoever runs it gives others
   * their turn in between.
   * @returns whether the log goes back so far; otherwise it stands at the log's beginning, as if behind `zxid`
   * @throws when the disk can't be read
   */
  *moveTo(zxid: Zxid): Generator<number, boolean> {
    const [file] = logsFrom(logsInOrder(this.#disk.list()), zxid);
    this.#place = file === undefined ? undefined : { file, offset: LOG_HEADER_BYTES, zxid };
    if (file === undefined || firstOf(file) > zxid) return false;
    let isReached = false;
    for (const { entry, endOffset } of this.#entriesOf(file, LOG_HEADER_BYTES)) {
      if (entry.zxid > zxid) break;
      this.#place = { file, offset: endOffset, zxid: entry.zxid };
      isReached = true;
      yield endOffset - entry.offset;
    }
    return isReached;
  }

  /**
   * What follows, up to and with `upTo`, which must be durable. After each, the cursor stands behind it.
   * @throws StorageError LOG_GAP for what is not there, or what the disk says when it can't be read
   */
  *read(upTo: Zxid): Generator<TxnLogEntry, void> {
    if (this.#place === undefined) throw this.#gap('there is no log', this.#disk.name);
    let place = this.#place;
    while (place.zxid < upTo) {
      const { file } = place;
      for (const { entry, endOffset } of this.#entriesOf(file, place.offset)) {
        // A server of 3.8 logs some twice (ZOOKEEPER-4685).
        if (entry.zxid <= place.zxid) continue;
        if (entry.zxid > upTo || !this.#follows(place.zxid, entry.zxid)) {
          throw this.#gap(`zxid ${toHex(entry.zxid)} is the next one`, file, place.zxid);
        }
        place = { file, offset: endOffset, zxid: entry.zxid };
        this.#place = place;
        yield entry;
        if (place.zxid === upTo) return;
      }
      const next = logsInOrder(this.#disk.list()).find((name) => firstOf(name) > firstOf(file));
      if (next === undefined) throw this.#gap('the log ends', file, place.zxid);
      place = { file: next, offset: LOG_HEADER_BYTES, zxid: place.zxid };
    }
  }

  /** Ends where there is none any more, whatever stands there. */
  *#entriesOf(
    name: string,
    offset: number,
  ): Generator<{ readonly entry: TxnLogEntry; readonly endOffset: number }, void> {
    // Opening a file that was removed would make another one.
    if (!this.#disk.list().includes(name)) return;
    const file = this.#disk.open(name);
    try {
      const window = new FileWindow(file);
      for (let found = findAt(window, offset); found.kind === 'entry'; found = findAt(window, found.endOffset)) {
        yield found;
      }
    } finally {
      file.close();
    }
  }

  #follows(last: Zxid, next: Zxid): boolean {
    if (next === last + 1n) return true;
    return last >= this.#provenFrom && epochOf(next) !== epochOf(last) && counterOf(next) === 1;
  }

  #gap(what: string, file: string, zxid?: Zxid): StorageError {
    return new StorageError('LOG_GAP', what, zxid === undefined ? { file } : { file, zxid });
  }
}

const firstOf = (log: string): Zxid => zxidOfLogName(log) as Zxid; // only names of logs come here
