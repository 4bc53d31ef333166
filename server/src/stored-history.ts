import { toHex, ZERO_ZXID, type Zxid } from 'zookeeper-protocol-ts';
import type { ServerMetrics } from './admin/metrics.ts';
import type { ServerConfig } from './config.ts';
import { Database } from './database.ts';
import { HistoryFeed } from './history-feed.ts';
import { assert } from './invariant.ts';
import type { Clock, Disk, Done, Millis, RunLog } from './ports.ts';
import { type Folders, goesBackTo, notReached, ReceivedSnapshot, truncateHistory } from './storage/history-change.ts';
import { LogCursor } from './storage/log-cursor.ts';
import { type Opened, type OpeningOptions, openStorage } from './storage/opening.ts';
import type { Recovered } from './storage/recovery.ts';
import { type Gzip, snapshotsIn } from './storage/snapshot-format.ts';
import type { Snapshots } from './storage/snapshots.ts';
import { TxnLog } from './storage/txn-log.ts';

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
  /** Where recovery began to replay the logs. */
  readonly replayedFrom: Zxid;
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
  /** Of the learners that are behind, or were. */
  readonly #feeds = new Set<HistoryFeed>();

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

  /** Whether more should wait for the disk before it comes: the history is being changed, or the log is behind. */
  get isBusy(): boolean {
    return this.#open === undefined || this.#open.log.queuedBytes > this.#options.config.logQueuedBytesMax;
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

  /** What one learner will be sent. To be closed when the learner is gone. */
  feed(): HistoryFeed {
    const { logDisk: disk, clock, runLog } = this.#options;
    const feed = new HistoryFeed({
      database: this.#database,
      cursor: new LogCursor({ disk, provenFrom: this.#opened().replayedFrom }),
      logBytesMax: () => this.#logBytesMax(),
      ...{ clock, runLog },
      onClosed: () => this.#feeds.delete(feed),
    });
    this.#feeds.add(feed);
    return feed;
  }

  /** The original's rule: a part of what a snapshot takes on the disk; as much as there is with 0, or without a snapshot. */
  #logBytesMax(): number | undefined {
    const { config, snapshotDisk } = this.#options;
    const { snapshotSizeFactor: factor } = config;
    if (factor < 0) return undefined;
    const [newest] = snapshotsIn(snapshotDisk.list());
    if (factor === 0 || newest === undefined) return LOG_BYTES_MAX;
    const file = snapshotDisk.open(newest.name);
    const bytesMax = Math.floor(file.size * factor);
    file.close();
    return Math.min(bytesMax, LOG_BYTES_MAX);
  }

  /** The logs that learners are being sent may not be purged. */
  #neededFrom(): Zxid | undefined {
    let needed: Zxid | undefined;
    for (const { neededFrom } of this.#feeds) {
      if (neededFrom !== undefined && (needed === undefined || neededFrom < needed)) needed = neededFrom;
    }
    return needed;
  }

  /** Whether the files go back so far that it can be cut there. */
  goesBackTo(zxid: Zxid): boolean {
    return goesBackTo(this.#folders, zxid);
  }

  /** Drops what is behind `after`, to which it goes back. `done` when that is durable, and recovered. */
  truncate(after: Zxid, done: () => void): void {
    this.#options.runLog.warn(`the history is cut behind zxid ${toHex(after)}: the leader does not have what follows`);
    this.#change((changed) => truncateHistory(this.#folders, after, changed), after, done);
  }

  /**
   * Begins to take in a snapshot from the leader; undefined if the disk refuses.
   * @param onWritten less of it waits for the disk
   */
  receive(zxid: Zxid, onWritten: () => void): ReceivedSnapshot | undefined {
    const { runLog } = this.#options;
    runLog.info(`the leader sends a snapshot at zxid ${toHex(zxid)}`);
    try {
      return new ReceivedSnapshot(this.#folders, zxid, onWritten);
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
    const begin = (): void => {
      try {
        change(changed);
      } catch (error) {
        // The folder can't be read.
        onFailure(error instanceof Error ? error : new Error(String(error)));
      }
    };
    log.close((error) => (error === null ? snapshots.close(begin) : onFailure(error)));
  }

  #begin({ database, snapshots, recovered }: Opened): void {
    this.#database = database;
    const replayedFrom = recovered.snapshot?.zxid ?? ZERO_ZXID;
    this.#open = { database, snapshots, log: this.#newLog(database.lastZxid), replayedFrom };
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
      recentMax: config.ensemble === undefined ? 0 : config.commitLogCount,
      withDigest: config.digestEnabled,
      withLastZxid: config.serializeLastZxid,
      retained: config.snapshotRetainCount,
      neededFrom: () => this.#neededFrom(),
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

/** So many bytes of log at the most are sent in place of a snapshot: a learner has them in memory until it serves. Ours. */
const LOG_BYTES_MAX = 256 * 1024 * 1024;
