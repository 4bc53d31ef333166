import type { Zxid } from 'zookeeper-protocol-ts';
import type { Database } from '../database.ts';
import type { Disk, Done, RunLog } from '../ports.ts';
import { obsoleteFiles, removeObsolete } from './retention.ts';
import type { SnapshotCompressor } from './snapshot-format.ts';
import { SnapshotWriter } from './snapshot-writer.ts';

export interface SnapshotsOptions {
  readonly logDisk: Disk;
  /** May be the same as `logDisk`. */
  readonly snapshotDisk: Disk;
  readonly compressor: SnapshotCompressor;
  readonly withDigest: boolean;
  readonly withLastZxid: boolean;
  /** How many a purge keeps. */
  readonly retained: number;
  /** Who reads the logs needs them from here on; undefined: nobody. Default: nobody ever does. */
  readonly neededFrom?: () => Zxid | undefined;
  /** The one that the server recovered from; undefined if there was none. */
  readonly recoveredFrom: Zxid | undefined;
  readonly runLog: RunLog;
}

/**
 * The snapshots of a server: writes them, one at a time, and purges old ones. One that can't be written is an entry in the run
 * log and nothing more: the log has everything, and the next one may succeed (ZOOKEEPER-3082).
 */
export class Snapshots {
  readonly #options: SnapshotsOptions;
  #writing: SnapshotWriter | undefined;
  #purging = false;
  #closing: (() => void)[] = [];
  /** The newest one that is known to be good. */
  #good: Zxid | undefined;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
    this.#good = options.recoveredFrom;
  }

  /** The newest one that is known to be whole and durable; undefined if there is none. */
  get newest(): Zxid | undefined {
    return this.#good;
  }

  get isWriting(): boolean {
    return this.#writing !== undefined;
  }

  /**
   * Begins a snapshot of the database as it is now, unless one is being written.
   * @param done called once it counts, or can't be had; never if none was begun
   */
  take(database: Database, done: Done = () => undefined): void {
    if (this.isWriting) return;
    const { snapshotDisk: disk, runLog, compressor, withDigest, withLastZxid } = this.#options;
    const writer = new SnapshotWriter({ disk, database, compressor, withDigest, withLastZxid });
    this.#writing = writer;
    writer.write((error) => {
      this.#writing = undefined;
      if (error === null) {
        this.#good = writer.zxid;
        runLog.info(`${writer.name} written: ${writer.bytes} bytes`);
      } else if (this.#closing.length === 0) {
        runLog.warn(`${writer.name} could not be written: ${error.message}`);
      }
      done(error);
      this.#closeIfIdle();
    });
  }

  /** Removes the snapshots beyond those that are kept, and the logs that only they need, unless it is being done. */
  purge(): void {
    let good = this.#good;
    if (this.#purging || good === undefined) return;
    const { logDisk, snapshotDisk, retained, neededFrom, runLog } = this.#options;
    const needed = neededFrom?.();
    if (needed !== undefined && needed < good) good = needed;
    const options = { logDisk, snapshotDisk, snapshots: retained, good };
    const failed = (error: Error): void => runLog.warn(`old snapshots and logs could not be removed: ${error.message}`);
    let obsolete: ReturnType<typeof obsoleteFiles>;
    try {
      obsolete = obsoleteFiles(options);
    } catch (error) {
      return failed(error instanceof Error ? error : new Error(String(error)));
    }
    const { snapshots, logs } = obsolete;
    if (snapshots.length + logs.length === 0) return;
    this.#purging = true;
    removeObsolete(options, obsolete, (error) => {
      this.#purging = false;
      if (error === null) runLog.info(`purged ${snapshots.length} snapshots and ${logs.length} logs`);
      else failed(error);
      this.#closeIfIdle();
    });
  }

  /** Gives up what is being written, and calls `closed` when nothing is under way any more: at once if nothing is. */
  close(closed: () => void): void {
    this.#closing.push(closed);
    this.#writing?.abandon();
    this.#closeIfIdle();
  }

  #closeIfIdle(): void {
    if (this.isWriting || this.#purging) return;
    for (const closed of this.#closing.splice(0)) closed();
  }
}
