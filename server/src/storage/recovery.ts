import { type Txn, toHex, ZERO_ZXID, type Zxid } from 'zookeeper-protocol-ts';
import { Database } from '../database.ts';
import type { Disk, Done } from '../ports.ts';
import { logsInOrder, type Replay, type Replayed, type ReplayStart, repairLogs, replayLogs } from './log-replay.ts';
import { type Gzip, isUnfinishedSnapshotName, type SnapshotName, snapshotsIn } from './snapshot-format.ts';
import { readSnapshot, type SnapshotDigest } from './snapshot-reader.ts';
import { inOrder, onFile, type Step } from './steps.ts';
import { StorageError } from './storage-error.ts';

export interface RecoveryOptions {
  readonly logDisk: Disk;
  /** May be the same as `logDisk`. */
  readonly snapshotDisk: Disk;
  readonly gzip?: Gzip | undefined;
  /** Compare the tree with the digest of the snapshot (`digest.enabled`). */
  readonly checkDigest: boolean;
  /** So many of the last transactions are handed out as they stand in the log, for servers that lack them. Default: none. */
  readonly recentMax?: number;
  /** Without a snapshot, believe that the logs are the whole history (`snapshot.trust.empty`). */
  readonly trustEmpty: boolean;
}

export interface Recovered extends Replayed {
  /** The snapshot that the history starts with; undefined if there is none. */
  readonly snapshot: SnapshotName | undefined;
  /** The last transactions, oldest first, without a gap up to the end. */
  readonly recent: readonly RecentEntry[];
  /** Newer ones that can't be used, newest first. */
  readonly unusableSnapshots: readonly UnusableSnapshot[];
  /** Removed: the process that wrote them didn't get to their end. */
  readonly unfinishedSnapshots: readonly string[];
}

export interface UnusableSnapshot {
  readonly file: string;
  readonly problem: string;
}

/** A whole history, replayed and durable; or why the server can't start from these files, with nothing on the disk changed. */
export type RecoveryOutcome =
  | { readonly recovered: Recovered; readonly database: Database }
  | { readonly error: Error };

/** Older ones are not looked at, as in the original. */
const CANDIDATES_MAX = 100;

/**
 * Rebuilds the database, within the call: the newest snapshot that can be used, and the logs from there on (the original's
 * `FileTxnSnapLog.restore`). Then it repairs the folders. Nothing may be appended, and nothing that was read may be shown to
 * anyone, before `done`.
 *
 * A snapshot can be used if all its checksums are right; if the logs go on from its zxid without a gap; and if they reach the
 * zxid of its digest, for until then it may hold parts of transactions, and the tree then has that digest (SNAP-2). Otherwise
 * the next older one is taken. When there are snapshots and none of them can be used, the server doesn't start: taking that
 * for an empty folder is how data are lost (ZOOKEEPER-2325). Except that logs from transaction 1 on need no snapshot.
 *
 * @param done called once; within the call if the files are refused, and later otherwise
 */
export function recover(options: RecoveryOptions, done: (outcome: RecoveryOutcome) => void): void {
  let restored: { recovered: Recovered; database: Database };
  try {
    restored = restore(options);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return done({ error });
  }
  repair(options, restored.recovered, (error) => done(error === null ? restored : { error }));
}

function restore(options: RecoveryOptions): { recovered: Recovered; database: Database } {
  refuseMixedFolders(options);
  const { logDisk, snapshotDisk, trustEmpty } = options;
  const names = snapshotDisk.list();
  const candidates = snapshotsIn(names).slice(0, CANDIDATES_MAX);
  const unfinishedSnapshots = names.filter(isUnfinishedSnapshotName);
  const unusableSnapshots: UnusableSnapshot[] = [];
  let problem: StorageError | undefined;
  for (const snapshot of candidates) {
    const attempt = restoreFrom(snapshot, options);
    if (!(attempt instanceof StorageError)) {
      const { replayed, database, recent } = attempt;
      return { recovered: { ...replayed, recent, snapshot, unusableSnapshots, unfinishedSnapshots }, database };
    }
    problem ??= attempt;
    unusableSnapshots.push({ file: snapshot.name, problem: attempt.message });
  }
  const start: ReplayStart = candidates.length === 0 && trustEmpty ? { kind: 'trust' } : { kind: 'beginning' };
  const database = new Database();
  const recent = new RecentEntries(options);
  const apply = (txn: Txn, bytes: Uint8Array): void => {
    database.apply(txn);
    recent.push(txn.header.zxid, bytes);
  };
  const replayed = withoutSnapshot(logDisk, start, { apply }, problem);
  if (problem !== undefined && replayed.transactions === 0) throw problem;
  return {
    recovered: { ...replayed, recent: recent.entries, snapshot: undefined, unusableSnapshots, unfinishedSnapshots },
    database,
  };
}

/** The problem of the snapshots says more than that one is missing. */
function withoutSnapshot(
  disk: Disk,
  start: ReplayStart,
  database: Replay,
  problem: StorageError | undefined,
): Replayed {
  try {
    return replayLogs(disk, start, database);
  } catch (error) {
    throw error instanceof StorageError && error.code === 'SNAPSHOT_NEEDED' ? (problem ?? error) : error;
  }
}

/** Why the snapshot can't be used, or what came of it. */
function restoreFrom(
  candidate: SnapshotName,
  options: RecoveryOptions,
): { replayed: Replayed; database: Database; recent: readonly RecentEntry[] } | StorageError {
  const { logDisk, snapshotDisk, gzip, checkDigest } = options;
  const recent = new RecentEntries(options);
  try {
    const file = snapshotDisk.open(candidate.name);
    const { tree, sessions, zxid, digest } = closing(file, () => readSnapshot(file, candidate, gzip));
    const expected = checkDigest ? digest : undefined;
    // Nothing is half applied before the first transaction.
    const digestsCountFrom = checkDigest && zxid === ZERO_ZXID ? zxid : expected?.zxid;
    const database = new Database({ tree, sessions, lastZxid: zxid, digestsCountFrom });
    const check = (): void => {
      if (expected?.zxid === database.lastZxid) requireDigest(database, expected, candidate.name);
    };
    check();
    const replayed = replayLogs(
      logDisk,
      { kind: 'snapshot', zxid },
      {
        apply: (txn, bytes) => {
          database.apply(txn);
          recent.push(txn.header.zxid, bytes);
          check();
        },
      },
    );
    if (digest !== undefined && digest.zxid > replayed.lastZxid)
      throw halfReplayed(candidate, digest, replayed.lastZxid);
    return { replayed, database, recent: recent.entries };
  } catch (error) {
    // What is wrong with the logs an older snapshot doesn't mend.
    if (error instanceof StorageError && /^(SNAPSHOT_|DIGEST_)/.test(error.code)) return error;
    throw error;
  }
}

/** A transaction as it stands in the log. */
export interface RecentEntry {
  readonly zxid: Zxid;
  readonly bytes: Uint8Array;
}

/** The last transactions of a replay. */
class RecentEntries {
  readonly #max: number;
  #entries: RecentEntry[] = [];

  constructor({ recentMax = 0 }: RecoveryOptions) {
    this.#max = recentMax;
  }

  push(zxid: Zxid, bytes: Uint8Array): void {
    if (this.#max === 0) return;
    this.#entries.push({ zxid, bytes: Buffer.from(bytes) });
    if (this.#entries.length >= this.#max * 2) this.#entries = this.#entries.slice(-this.#max);
  }

  get entries(): readonly RecentEntry[] {
    return this.#max === 0 ? [] : this.#entries.slice(-this.#max);
  }
}

function requireDigest({ tree }: Database, { zxid, digest }: SnapshotDigest, file: string): void {
  if (tree.digest === digest) return;
  const what = `the tree at zxid ${toHex(zxid)} has the digest ${toHex(tree.digest)}, and should have ${toHex(digest)}`;
  throw new StorageError('DIGEST_MISMATCH', `${what} (digest.enabled=false takes it as it is)`, { file });
}

const halfReplayed = ({ name }: SnapshotName, digest: SnapshotDigest, last: Zxid): StorageError =>
  new StorageError(
    'SNAPSHOT_UNREADABLE',
    `it may hold parts of transactions up to zxid ${toHex(digest.zxid)}, and the logs end at ${toHex(last)}`,
    { file: name },
  );

function refuseMixedFolders({ logDisk, snapshotDisk }: RecoveryOptions): void {
  if (logDisk === snapshotDisk) return;
  const [log] = logsInOrder(snapshotDisk.list());
  const [snapshot] = snapshotsIn(logDisk.list());
  const wrong = (file: string, what: string): StorageError => new StorageError('FOLDERS_MIXED', what, { file });
  if (log !== undefined) throw wrong(`${snapshotDisk.name}/${log}`, 'a log in the folder of the snapshots (dataDir)');
  if (snapshot !== undefined)
    throw wrong(`${logDisk.name}/${snapshot.name}`, 'a snapshot in the folder of the logs (dataLogDir)');
}

function repair({ logDisk, snapshotDisk }: RecoveryOptions, recovered: Recovered, done: Done): void {
  const steps: Step[] = recovered.unfinishedSnapshots.map((name) => (next) => snapshotDisk.remove(name, next));
  const { snapshot } = recovered;
  // The original renames without syncing: what the logs are cut down to later must not vanish.
  if (snapshot !== undefined) steps.push(onFile(snapshotDisk, snapshot.name, (file, next) => file.sync(next)));
  if (steps.length > 0) steps.push((next) => snapshotDisk.syncDirectory(next));
  inOrder([...steps, (next) => repairLogs(logDisk, recovered, next)], done);
}

function closing<T>(file: { close(): void }, run: () => T): T {
  try {
    return run();
  } finally {
    file.close();
  }
}
