import { JuteWriter, toHex, type Zxid } from 'zookeeper-protocol-ts';
import type { ServerMetrics } from './admin/metrics.ts';
import type { ServerConfig } from './config.ts';
import { SNAPSHOT_SIGNATURE } from './connection/snapshot-stream.ts';
import { Database } from './database.ts';
import { assert } from './invariant.ts';
import type { Clock, Disk, Done, Millis, RunLog } from './ports.ts';
import { type Folders, notReached, ReceivedSnapshot, truncateHistory } from './storage/history-change.ts';
import { type Opened, type OpeningOptions, openStorage } from './storage/opening.ts';
import type { Recovered } from './storage/recovery.ts';
import { snapshotContents } from './storage/snapshot-contents.ts';
import type { Gzip } from './storage/snapshot-format.ts';
import type { Snapshots } from './storage/snapshots.ts';
import { TxnLog } from './storage/txn-log.ts';
import { RECENT_MAX } from './zab/history.ts';

export interface StoredHistoryOptions {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly runLog: RunLog;
  readonly metrics: ServerMetrics;
  readonly logDisk: Disk;
  /** May be the same as `logDisk`. */
  readonly snapshotDisk: Disk;
  readonly gzip: Gzip | undefined;
  /** The log is durable up to here. */
  readonly onSynced: (zxid: Zxid) => void;
  readonly onSlowSync: (ms: Millis, fileBytes: number) => void;
  /** The disk refused something, or holds what can't be: the server stops. */
  readonly onFailure: (error: Error) => void;
}

/** What is open: another one after the history was cut or replaced. */
interface Open {
  readonly database: Database;
  readonly snapshots: Snapshots;
  readonly log: TxnLog;
}

/**
 * The history of a server on its disks, and in memory what came of it: recovered at the start, and again when a leader has it cut
 * or replaced. In between nothing may be appended or delivered, and agreement asks for nothing.
 */
export class StoredHistory {
  readonly #options: StoredHistoryOptions;
  readonly #folders: Folders;
  /** Undefined before it is recovered, and while it is being changed. */
  #open: Open | undefined;
  /** Of the latest recovery. */
  #database = new Database();

  constructor(options: StoredHistoryOptions) {
    this.#options = options;
    this.#folders = options;
  }

  /** The replicated state. Empty until it is recovered. */
  get database(): Database {
    return this.#database;
  }

  /** False before it is recovered, and while it is being cut or replaced. */
  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  get snapshots(): Snapshots {
    return this.#opened().snapshots;
  }

  get log(): TxnLog {
    return this.#opened().log;
  }

  /** @param opened called once: with what was found, or with why the files can't be used */
  open(opened: (outcome: Recovered | { readonly error: Error }) => void): void {
    openStorage(this.#openingOptions(), (outcome) => {
      if ('error' in outcome) return opened(outcome);
      this.#begin(outcome);
      opened(outcome.recovered);
    });
  }

  /** The database as it is now, in the form in which a learner takes it. */
  slices(): Generator<Uint8Array, void, void> {
    const contents = snapshotContents(this.#database, SLICE_BYTES);
    return withSignature(contents);
  }

  /** Drops what is behind `after`. `done` when that is durable, and recovered. */
  truncate(after: Zxid, done: () => void): void {
    this.#options.runLog.warn(`the history is cut behind zxid ${toHex(after)}: the leader does not have what follows`);
    this.#change((changed) => truncateHistory(this.#folders, after, changed), after, done);
  }

  /** Begins to take in a snapshot from the leader; undefined if the disk refuses. */
  receive(zxid: Zxid): ReceivedSnapshot | undefined {
    const { runLog } = this.#options;
    runLog.info(`the leader sends a snapshot at zxid ${toHex(zxid)}`);
    try {
      return new ReceivedSnapshot(this.#folders, zxid);
    } catch (error) {
      runLog.error(`it can't be taken in: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  }

  /** Makes it the history. `done` when that is durable, and recovered. */
  install(snapshot: ReceivedSnapshot, zxid: Zxid, done: () => void): void {
    this.#change((changed) => snapshot.install(changed), zxid, done);
  }

  /** Makes what was appended durable, and gives up the snapshot that is being written. */
  close(closed: Done): void {
    const open = this.#open;
    if (open === undefined) return closed(null);
    open.log.close((error) => open.snapshots.close(() => closed(error)));
  }

  /** The server has failed: nothing more is made durable. */
  abandon(): void {
    this.#open?.snapshots.close(() => undefined);
  }

  /** Closes the files, has them changed, and recovers from them: the history must end at `zxid` then. */
  #change(change: (changed: Done) => void, zxid: Zxid, done: () => void): void {
    const { onFailure, logDisk } = this.#options;
    const { log, snapshots } = this.#opened();
    this.#open = undefined;
    const reopened = (outcome: Opened | { readonly error: Error }): void => {
      if ('error' in outcome) return onFailure(outcome.error);
      const { lastZxid } = outcome.database;
      if (lastZxid !== zxid) return onFailure(notReached(logDisk.name, zxid, lastZxid));
      this.#begin(outcome);
      done();
    };
    const changed: Done = (error) =>
      error === null ? openStorage(this.#openingOptions(), reopened) : onFailure(error);
    log.close((error) => {
      // Then it has told by itself.
      if (error === null) snapshots.close(() => change(changed));
    });
  }

  #begin({ database, snapshots }: Opened): void {
    this.#database = database;
    this.#open = { database, snapshots, log: this.#newLog(database.lastZxid) };
  }

  #opened(): Open {
    assert(this.#open !== undefined, 'LOG-5: a history is not used while it is being changed');
    return this.#open;
  }

  #openingOptions(): OpeningOptions {
    const { config, logDisk, snapshotDisk, gzip, runLog } = this.#options;
    return {
      ...{ logDisk, snapshotDisk, gzip, runLog },
      compression: config.snapshotCompression,
      checkDigest: config.digestEnabled,
      trustEmpty: config.trustEmptySnapshot,
      recentMax: config.ensemble === undefined ? 0 : RECENT_MAX,
      withDigest: config.digestEnabled,
      withLastZxid: config.serializeLastZxid,
      retained: config.snapshotRetainCount,
    };
  }

  #newLog(lastZxid: Zxid): TxnLog {
    const { config, clock, metrics, logDisk, onSynced, onSlowSync, onFailure } = this.#options;
    return new TxnLog({
      disk: logDisk,
      lastZxid,
      preallocateBytes: config.preallocateBytes,
      fileBytesMax: config.logFileBytesMax,
      forceSync: config.forceSync,
      clock,
      syncWarningMs: config.syncWarningMs,
      onSyncTime: (ms) => metrics.summaries.fsynctime.record(ms),
      ...{ onSlowSync, onSynced, onFailure },
    });
  }
}

function* withSignature(contents: Generator<Uint8Array, void, void>): Generator<Uint8Array, void, void> {
  try {
    yield* contents;
  } finally {
    contents.return();
  }
  const writer = new JuteWriter(64);
  writer.writeString(SNAPSHOT_SIGNATURE);
  yield writer.take();
}

/** A snapshot is sent in pieces of this size. */
const SLICE_BYTES = 128 * 1024;
