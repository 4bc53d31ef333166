import {
  counterOf,
  epochOf,
  JuteReader,
  OpCode,
  type Txn,
  type TxnBody,
  toHex,
  txn,
  ZERO_ZXID,
  type Zxid,
} from 'zookeeper-protocol-ts';
import { InvariantError } from '../invariant.ts';
import type { Disk, DiskFile, Done } from '../ports.ts';
import { adler32 } from './adler32.ts';
import { inOrder, onFile, type Step } from './steps.ts';
import { StorageError } from './storage-error.ts';
import { readSyncedMark, SYNCED_MARK_NAME, type Synced } from './synced-mark.ts';
import { zxidOfLogName } from './txn-log-format.ts';
import { readTxnLog, type TxnLogEnd, type TxnLogEntry } from './txn-log-reader.ts';

/** What the logs are replayed into. */
export interface Replay {
  /** Applies the next transaction. It and its bytes are views of a chunk of the file: what is kept must be copied. */
  apply(txn: Txn, bytes: Uint8Array): void;
}

/** What comes before the first transaction that is replayed. */
export type ReplayStart =
  /** A snapshot of that zxid. */
  | { readonly kind: 'snapshot'; readonly zxid: Zxid }
  /** Nothing: the logs must have the history from its beginning. */
  | { readonly kind: 'beginning' }
  /** Nothing, and the logs are trusted to begin where they do (`snapshot.trust.empty`). */
  | { readonly kind: 'trust' };

/** Remains of a write that a crash cut short: nothing that was ever acknowledged. */
export interface TornTail {
  readonly file: string;
  /** The size that the file should have. */
  readonly offset: number;
  readonly problem: string;
}

/** A part of a log of which nobody knows whether it is on the disk, though it can be read. */
export interface UnprovenTail {
  readonly file: string;
  /** Bytes from here on, up to the end of the last transaction. */
  readonly from: number;
  readonly to: number;
}

export interface Replayed {
  /** The last transaction of the history, in the logs or before them; 0 if there is none. */
  readonly lastZxid: Zxid;
  /** How many were replayed. */
  readonly transactions: number;
  /** The logs that were read and hold transactions, in order. */
  readonly files: readonly string[];
  readonly tornTails: readonly TornTail[];
  /** Logs without a single transaction, as a crash right after a roll leaves them. */
  readonly emptyFiles: readonly string[];
  /** Of the last log that holds transactions. */
  readonly unprovenTail: UnprovenTail | undefined;
}

/**
 * Replays the logs of a folder in zxid order, from behind a snapshot on. Changes nothing on the disk, see {@link repairLogs}.
 *
 * What must hold of the history: zxids rise, without gaps within an epoch, and an epoch starts at counter 1 (LOG-2); it reaches
 * as far as the folder's mark says that it was durable. What stands in the logs up to the snapshot's zxid doesn't matter, and nor
 * does a transaction that the same log has already: a follower of 3.8 logs what it is sent of a new epoch each time it has to begin
 * anew (ZOOKEEPER-4685).
 *
 * @throws StorageError where it doesn't hold: serving a part of the history would be serving guesses
 */
export function replayLogs(disk: Disk, start: ReplayStart, database: Replay): Replayed {
  const names = logsInOrder(disk.list());
  const mark = readSyncedMark(disk);
  const history = new History(start, database);
  const files: string[] = [];
  const tornTails: TornTail[] = [];
  const emptyFiles: string[] = [];
  let unprovenTail: UnprovenTail | undefined;
  for (const name of start.kind === 'snapshot' ? logsFrom(names, start.zxid) : names) {
    const before = history.entries;
    const { end, proven } = replayFile(disk, name, mark, history);
    if (history.entries === before) {
      emptyFiles.push(name);
    } else {
      files.push(name);
      if (end.kind === 'torn') tornTails.push({ file: name, offset: end.offset, problem: end.problem });
      unprovenTail = { file: name, from: proven, to: end.offset };
    }
  }
  if (mark !== undefined && history.last < mark.zxid) throw lost(mark, history.last, disk.name);
  return { lastZxid: history.last, transactions: history.transactions, files, tornTails, emptyFiles, unprovenTail };
}

/** The logs among some files, oldest first. */
export function logsInOrder(names: readonly string[]): string[] {
  const logs: { name: string; zxid: Zxid }[] = [];
  for (const name of names) {
    const zxid = zxidOfLogName(name);
    if (zxid !== undefined) logs.push({ name, zxid });
  }
  return logs.sort((a, b) => (a.zxid < b.zxid ? -1 : 1)).map((log) => log.name);
}

/** Of logs in order, those that may have a transaction behind `zxid`: the last one that starts at it or before, and all later. */
export function logsFrom(logs: readonly string[], zxid: Zxid): string[] {
  const first = logs.findLastIndex((name) => (zxidOfLogName(name) ?? ZERO_ZXID) <= zxid);
  return logs.slice(Math.max(first, 0));
}

/**
 * Repairs what a replay found: torn ends are cut off, empty logs removed, and what was read is made durable, because after a
 * crash of the process alone it may only be in the operating system's memory. There a sync alone is not enough: after one that
 * has failed the system takes what it has for written, and the next one says that all is well. So the end is written again.
 * Nothing may be appended, and nothing that was read may be shown to anyone, before `done`, which is never called within the call.
 */
export function repairLogs(disk: Disk, { files, tornTails, emptyFiles, unprovenTail }: Replayed, done: Done): void {
  const steps: Step[] = [(next) => disk.syncDirectory(next)];
  for (const { file, offset } of tornTails)
    steps.push(onFile(disk, file, (opened, next) => opened.truncate(offset, next)));
  // Files before the last one were synced before the next one was begun.
  const changed = new Set([...tornTails.map((tail) => tail.file), ...files.slice(-1)]);
  if (unprovenTail !== undefined)
    steps.push(onFile(disk, unprovenTail.file, (opened, next) => writeAgain(opened, unprovenTail, next)));
  for (const file of changed) steps.push(onFile(disk, file, (opened, next) => opened.sync(next)));
  for (const file of emptyFiles) steps.push((next) => disk.remove(file, next));
  if (emptyFiles.length > 0) steps.push((next) => disk.syncDirectory(next));
  inOrder(steps, done);
}

/** Puts the bytes where they are already. */
function writeAgain(file: DiskFile, { from, to }: UnprovenTail, done: Done): void {
  const go = (at: number): void => {
    if (at >= to) return done(null);
    let bytes: Uint8Array;
    try {
      bytes = file.readAt(at, Math.min(to - at, REWRITE_BYTES));
    } catch (error) {
      return done(error instanceof Error ? error : new Error(String(error)));
    }
    file.write(at, bytes, (error) => (error === null ? go(at + bytes.length) : done(error)));
  };
  go(from);
}

/** At a time. */
const REWRITE_BYTES = 1024 * 1024;

/** @returns how its entries ended, and where those end that the mark says are durable */
function replayFile(
  disk: Disk,
  name: string,
  mark: Synced | undefined,
  history: History,
): { readonly end: TxnLogEnd; readonly proven: number } {
  const file = disk.open(name);
  try {
    const synced = mark?.log === zxidOfLogName(name) ? mark?.zxid : undefined;
    const entries = readTxnLog(file, name, { synced });
    const earlier = new EarlierEntries(file, name);
    let isProven = false;
    let unprovenFrom: number | undefined;
    for (;;) {
      const next = entries.next();
      if (next.done === true) return { end: next.value, proven: unprovenFrom ?? (isProven ? next.value.offset : 0) };
      const { zxid, offset } = next.value;
      if (synced !== undefined && zxid <= synced) isProven = true;
      // Without a first transaction that is, the header may not be either.
      else unprovenFrom ??= isProven ? offset : 0;
      history.replay(next.value, name, earlier);
    }
  } finally {
    file.close();
  }
}

/** What a log holds before a place in it. Read only when that is asked for, which is seldom. */
class EarlierEntries {
  readonly #entries: Iterator<TxnLogEntry>;
  /** By zxid, the checksum of the transaction. */
  readonly #checksums = new Map<Zxid, number>();
  /** The first one that is not among them yet. */
  #next: TxnLogEntry | undefined;

  constructor(file: DiskFile, name: string) {
    this.#entries = readTxnLog(file, name);
  }

  /** Whether this transaction stands in the log before, the same to the byte. */
  has({ zxid, bytes, offset }: TxnLogEntry): boolean {
    this.#next ??= this.#read();
    for (; this.#next !== undefined && this.#next.offset < offset; this.#next = this.#read()) {
      this.#checksums.set(this.#next.zxid, adler32(this.#next.bytes));
    }
    return this.#checksums.get(zxid) === adler32(bytes);
  }

  #read(): TxnLogEntry | undefined {
    const next = this.#entries.next();
    return next.done === true ? undefined : next.value;
  }
}

const lost = (mark: Synced, last: Zxid, folder: string): StorageError =>
  new StorageError(
    'LOG_DAMAGED',
    `the logs end at zxid ${toHex(last)}, but transactions up to ${toHex(mark.zxid)} were durable: a log is cut, or missing ` +
      `(without the file ${SYNCED_MARK_NAME} nobody would know)`,
    { file: folder, zxid: last },
  );

/** The transactions replayed so far, and the rules for the next one. */
class History {
  /** 0 before the first. */
  last: Zxid;
  transactions = 0;
  /** Replayed, and passed over because the snapshot has them. */
  entries = 0;
  readonly #start: ReplayStart;
  readonly #database: Replay;
  /** The file that the last transaction came from. */
  #file: string | undefined;

  constructor(start: ReplayStart, database: Replay) {
    this.#start = start;
    this.#database = database;
    this.last = start.kind === 'snapshot' ? start.zxid : ZERO_ZXID;
  }

  /** @param earlier what stands in the same file before */
  replay(entry: TxnLogEntry, file: string, earlier: EarlierEntries): void {
    const place = { file, offset: entry.offset, zxid: this.last };
    if (file !== this.#file && entry.zxid !== zxidOfLogName(file)) {
      throw new StorageError(
        'LOG_GAP',
        `the log starts with zxid ${toHex(entry.zxid)}, not with that of its name`,
        place,
      );
    }
    this.#file = file;
    this.entries++;
    if (this.#start.kind === 'snapshot' && entry.zxid <= this.#start.zxid) return;
    if (this.transactions > 0 && entry.zxid <= this.last && earlier.has(entry)) return;
    if (this.transactions > 0) this.#requireSuccessor(entry.zxid, place);
    else this.#requireStart(entry.zxid, file);
    this.#apply(decode(entry, place), entry.bytes, place);
    this.last = entry.zxid;
    this.transactions++;
  }

  /** A transaction that nobody would have proposed is damage in the file, and no broken invariant of this program. */
  #apply(decoded: Txn, bytes: Uint8Array, place: Place): void {
    const problem = nonsenseIn(decoded.body);
    if (problem !== undefined) throw senseless(decoded, problem, place);
    try {
      this.#database.apply(decoded, bytes);
    } catch (cause) {
      if (!(cause instanceof InvariantError)) throw cause;
      throw senseless(decoded, cause.message, { ...place, cause });
    }
  }

  #requireStart(zxid: Zxid, file: string): void {
    if (this.#start.kind === 'trust' || this.#follows(zxid)) return;
    const missing =
      this.#start.kind === 'snapshot'
        ? `the newest snapshot that can be used is of zxid ${toHex(this.last)}: transactions are missing between them`
        : 'there is no snapshot that comes before them';
    throw new StorageError('SNAPSHOT_NEEDED', `the logs start at zxid ${toHex(zxid)}, and ${missing}`, { file });
  }

  #requireSuccessor(zxid: Zxid, place: Place): void {
    if (this.#follows(zxid)) return;
    const what = zxid > this.last ? 'transactions are missing' : 'transactions are in the wrong order';
    throw new StorageError('LOG_GAP', `${what}: zxid ${toHex(zxid)} comes after ${toHex(this.last)}`, place);
  }

  #follows(zxid: Zxid): boolean {
    if (zxid === this.last + 1n) return true;
    // Without a snapshot, only the transaction 1 is certain to be the first: an epoch may have had one before.
    const known = this.#start.kind === 'snapshot' || this.transactions > 0;
    return known && zxid > this.last && epochOf(zxid) !== epochOf(this.last) && counterOf(zxid) === 1;
  }
}

/** Where a transaction stands; the zxid is that of the one before it. */
interface Place {
  readonly file: string;
  readonly offset: number;
  readonly zxid: Zxid;
}

function decode(entry: TxnLogEntry, place: Place): Txn {
  try {
    return txn.read(new JuteReader(entry.bytes));
  } catch (cause) {
    const what = `transaction ${toHex(entry.zxid)} can't be decoded, although its checksum is right`;
    throw new StorageError('LOG_UNREADABLE', what, { ...place, cause });
  }
}

/** What would spoil the tree, if there is such a thing: every other senseless change finds no znode to change. */
function nonsenseIn(body: TxnBody): string | undefined {
  switch (body.type) {
    case OpCode.create:
    case OpCode.create2:
    case OpCode.createContainer:
    case OpCode.createTTL:
      return body.path.startsWith('/') && !body.path.endsWith('/')
        ? undefined
        : `it creates ${JSON.stringify(body.path)}`;
    case OpCode.delete:
    case OpCode.deleteContainer:
      return body.path === '/' ? 'it deletes the root' : undefined;
    case OpCode.closeSession:
      return body.paths?.includes('/') === true ? 'it deletes the root' : undefined;
    case OpCode.multi:
      for (const part of body.txns) {
        const problem = nonsenseIn(part);
        if (problem !== undefined) return problem;
      }
      return undefined;
    default:
      return undefined;
  }
}

const senseless = ({ header }: Txn, problem: string, place: Place & { readonly cause?: unknown }): StorageError => {
  const what = `transaction ${toHex(header.zxid)} makes no sense, although its checksum is right: ${problem}`;
  return new StorageError('LOG_UNREADABLE', what, place);
};
