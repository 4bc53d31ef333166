import { counterOf, epochOf, JuteReader, type Txn, toHex, txn, ZERO_ZXID, type Zxid } from 'zookeeper-protocol-ts';
import type { Disk, DiskFile, Done } from '../ports.ts';
import { StorageError } from './storage-error.ts';
import { zxidOfLogName } from './txn-log-format.ts';
import { readTxnLog, type TxnLogEntry } from './txn-log-reader.ts';

/** What recovery replays into. */
export interface Replay {
  /** Applies the next transaction. Its buffers are views of a chunk of the file: what is kept must be copied. */
  apply(txn: Txn): void;
}

/** Remains of a write that a crash cut short, cut off by recovery: nothing that was ever acknowledged. */
export interface TornTail {
  readonly file: string;
  /** The size of the file from now on. */
  readonly offset: number;
  readonly problem: string;
}

export interface Recovered {
  /** The last transaction of the history; 0 if there is none. */
  readonly lastZxid: Zxid;
  /** How many were replayed. */
  readonly transactions: number;
  /** The logs that they were read from, in order. */
  readonly files: readonly string[];
  readonly tornTails: readonly TornTail[];
  /** Logs without a single transaction, as a crash right after a roll leaves them: removed. */
  readonly emptyFiles: readonly string[];
}

/** A whole history, replayed and durable; or why the server can't start from these files, with nothing on the disk changed. */
export type RecoveryOutcome = { readonly recovered: Recovered } | { readonly error: Error };

/**
 * Rebuilds the database from the logs of a folder, in zxid order, within the call. Then it repairs the folder: torn ends are
 * cut off, empty logs removed, and what was read is made durable, because after a crash of the process alone it may only be in
 * the operating system's memory. Nothing may be appended, and nothing that was read may be shown to anyone, before `done`.
 *
 * What must hold of the history: zxids rise, without gaps within an epoch, and an epoch starts at counter 1 (LOG-2). Where it
 * doesn't, the outcome is a StorageError: serving a part of the history would be serving guesses.
 *
 * @param done called once; within the call if the files are refused, and later otherwise
 */
export function recover(disk: Disk, database: Replay, done: (outcome: RecoveryOutcome) => void): void {
  let recovered: Recovered;
  try {
    recovered = replayLogs(disk, database);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return done({ error });
  }
  repair(disk, recovered, (error) => done(error === null ? { recovered } : { error }));
}

function replayLogs(disk: Disk, database: Replay): Recovered {
  const names = disk.list();
  refuseSnapshots(names);

  const history = new History(database, { mayStartAnywhere: names.includes(FRESH_SNAPSHOT) });
  const files: string[] = [];
  const tornTails: TornTail[] = [];
  const emptyFiles: string[] = [];
  for (const name of logsInOrder(names)) {
    const before = history.transactions;
    const tornTail = replayFile(disk, name, history);
    if (history.transactions === before) {
      emptyFiles.push(name);
    } else {
      files.push(name);
      if (tornTail !== undefined) tornTails.push(tornTail);
    }
  }
  return { lastZxid: history.last, transactions: history.transactions, files, tornTails, emptyFiles };
}

/** A fresh server of the original writes it before its first transaction: an empty tree, with which every server starts. */
const FRESH_SNAPSHOT = 'snapshot.0';

/** `snapshot.<zxid>`, maybe compressed. */
const SNAPSHOT_NAME = /^snapshot\.[0-9a-f]{1,16}(\.gz|\.snappy)?$/;

function refuseSnapshots(names: readonly string[]): void {
  const snapshot = names.find((name) => SNAPSHOT_NAME.test(name) && name !== FRESH_SNAPSHOT);
  if (snapshot === undefined) return;
  throw new StorageError('SNAPSHOT_NEEDED', 'this version reads transaction logs only, not snapshots', {
    file: snapshot,
  });
}

function logsInOrder(names: readonly string[]): string[] {
  const logs: { name: string; zxid: Zxid }[] = [];
  for (const name of names) {
    const zxid = zxidOfLogName(name);
    if (zxid !== undefined) logs.push({ name, zxid });
  }
  return logs.sort((a, b) => (a.zxid < b.zxid ? -1 : 1)).map((log) => log.name);
}

function replayFile(disk: Disk, name: string, history: History): TornTail | undefined {
  const file = disk.open(name);
  try {
    const entries = readTxnLog(file, name);
    for (;;) {
      const next = entries.next();
      if (next.done !== true) history.replay(next.value, name);
      else return next.value.kind === 'torn' ? { file: name, ...next.value } : undefined;
    }
  } finally {
    file.close();
  }
}

/** The transactions replayed so far, and the rules for the next one. */
class History {
  /** 0 before the first. */
  last: Zxid = ZERO_ZXID;
  transactions = 0;
  readonly #database: Replay;
  readonly #mayStartAnywhere: boolean;
  /** The file that the last transaction came from. */
  #file: string | undefined;

  constructor(database: Replay, { mayStartAnywhere }: { mayStartAnywhere: boolean }) {
    this.#database = database;
    this.#mayStartAnywhere = mayStartAnywhere;
  }

  replay(entry: TxnLogEntry, file: string): void {
    const place = { file, offset: entry.offset, zxid: this.last };
    if (file !== this.#file && entry.zxid !== zxidOfLogName(file)) {
      throw new StorageError(
        'LOG_GAP',
        `the log starts with zxid ${toHex(entry.zxid)}, not with that of its name`,
        place,
      );
    }
    if (this.transactions > 0) this.#requireSuccessor(entry.zxid, place);
    else this.#requireStart(entry.zxid, file);
    this.#database.apply(decode(entry, place));
    this.last = entry.zxid;
    this.transactions++;
    this.#file = file;
  }

  #requireStart(zxid: Zxid, file: string): void {
    if (zxid === 1n || this.#mayStartAnywhere) return;
    const what = `the logs start at zxid ${toHex(zxid)}, so a snapshot must come before: this version can't read snapshots`;
    throw new StorageError('SNAPSHOT_NEEDED', what, { file });
  }

  #requireSuccessor(zxid: Zxid, place: { file: string; offset: number; zxid: Zxid }): void {
    const next = zxid === this.last + 1n;
    const newEpoch = zxid > this.last && epochOf(zxid) !== epochOf(this.last) && counterOf(zxid) === 1;
    if (next || newEpoch) return;
    const what = zxid > this.last ? 'transactions are missing' : 'transactions are in the wrong order';
    throw new StorageError('LOG_GAP', `${what}: zxid ${toHex(zxid)} comes after ${toHex(this.last)}`, place);
  }
}

function decode(entry: TxnLogEntry, place: { file: string; offset: number; zxid: Zxid }): Txn {
  try {
    return txn.read(new JuteReader(entry.bytes));
  } catch (cause) {
    const what = `transaction ${toHex(entry.zxid)} can't be decoded, although its checksum is right`;
    throw new StorageError('LOG_UNREADABLE', what, { ...place, cause });
  }
}

type Step = (next: Done) => void;

/** Cuts, removes and syncs, one step after the other. The first one is never done within the call, so `done` isn't either. */
function repair(disk: Disk, { files, tornTails, emptyFiles }: Recovered, done: Done): void {
  const steps: Step[] = [(next) => disk.syncDirectory(next)];
  for (const { file, offset } of tornTails)
    steps.push(onFile(disk, file, (opened, next) => opened.truncate(offset, next)));
  // Files before the last one were synced before the next one was begun.
  const changed = new Set([...tornTails.map((tail) => tail.file), ...files.slice(-1)]);
  for (const file of changed) steps.push(onFile(disk, file, (opened, next) => opened.sync(next)));
  for (const file of emptyFiles) steps.push((next) => disk.remove(file, next));
  if (emptyFiles.length > 0) steps.push((next) => disk.syncDirectory(next));

  const run = (at: number): void => {
    const step = steps[at];
    if (step === undefined) return done(null);
    step((error) => (error === null ? run(at + 1) : done(error)));
  };
  run(0);
}

/** The step that opens a file, works on it and closes it. */
function onFile(disk: Disk, name: string, work: (file: DiskFile, next: Done) => void): Step {
  return (next) => {
    let file: DiskFile;
    try {
      file = disk.open(name);
    } catch (error) {
      return next(error instanceof Error ? error : new Error(`${name} can't be opened`, { cause: error }));
    }
    work(file, (error) => {
      file.close();
      next(error);
    });
  };
}
