import { NO_SESSION, OpCode } from 'zookeeper-protocol-ts';
import type { ServerMetrics } from './admin/metrics.ts';
import type { ServerView } from './admin/server-view.ts';
import type { ServerConfig } from './config.ts';
import type { Database } from './database.ts';
import type { Clock, Millis, Random } from './ports.ts';
import type { Ask } from './request/request.ts';
import { SnapshotSchedule } from './storage/snapshot-schedule.ts';
import type { Snapshots } from './storage/snapshots.ts';
import { dueForRemoval } from './tree/expiring-znodes.ts';

export interface UpkeepOptions {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: ServerMetrics;
  readonly database: Database;
  readonly rollLog: () => void;
  readonly snapshots: Snapshots;
  /** Undefined for a learner: what is to be deleted the leader sees to. */
  readonly ask: Ask | undefined;
}

/**
 * What a server does of itself, now and then: it takes snapshots when the log has become long, removes old ones with their
 * logs, and has containers and TTL znodes deleted whose time has come (the original's part of `SyncRequestProcessor`, its
 * `DatadirCleanupManager` and `ContainerManager`).
 */
export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #schedule: SnapshotSchedule;
  /** When the last snapshot since the start was finished, on the wall clock. */
  #snapshotTakenAt: Millis | undefined;
  #nextContainerCheck: Millis;
  /** When old snapshots and logs are removed next; Infinity: never. */
  #nextPurge: Millis;

  constructor(options: UpkeepOptions) {
    this.#options = options;
    const { snapCount, snapshotLogBytes, purgeIntervalMs, containerCheckIntervalMs } = options.config;
    this.#schedule = new SnapshotSchedule({
      transactions: snapCount,
      bytes: snapshotLogBytes,
      random: options.random,
    });
    const now = options.clock.now();
    this.#nextContainerCheck = now + containerCheckIntervalMs;
    this.#nextPurge = purgeIntervalMs === 0 ? Number.POSITIVE_INFINITY : now;
  }

  /** The newest snapshot that is whole; its time is -1 if it was there at the start. */
  get lastSnapshot(): ServerView['lastSnapshot'] {
    const zxid = this.#options.snapshots.newest;
    if (zxid === undefined) return undefined;
    const takenAt = this.#snapshotTakenAt;
    return { zxid, takenAtSeconds: takenAt === undefined ? -1 : Math.floor(takenAt / 1000) };
  }

  /** A transaction of so many bytes is in the log. */
  onAppended(bytes: number): void {
    if (!this.#schedule.isDueAfter(bytes)) return;
    this.#options.rollLog();
    this.takeSnapshot();
  }

  takeSnapshot(): void {
    const { clock, database, snapshots } = this.#options;
    const start = clock.now();
    snapshots.take(database, (error) => {
      if (error === null) this.onSnapshotTaken(clock.now() - start);
    });
  }

  /** A snapshot is whole. @param ms how long it took */
  onSnapshotTaken(ms: Millis): void {
    this.#options.metrics.summaries.snapshottime.record(ms);
    this.#snapshotTakenAt = this.#options.clock.wallTime();
  }

  /** When {@link wake} should be called next. */
  nextDeadline(): Millis {
    return Math.min(this.#nextContainerCheck, this.#nextPurge);
  }

  /** Does what is due. */
  wake(now: Millis): void {
    if (now >= this.#nextContainerCheck) this.#removeContainers(now);
    if (now < this.#nextPurge) return;
    this.#nextPurge = now + this.#options.config.purgeIntervalMs;
    this.#options.snapshots.purge();
  }

  #removeContainers(now: Millis): void {
    const { config, clock, database, ask } = this.#options;
    const { containerCheckIntervalMs, containersPerMinuteMax, containerNeverUsedMsMax } = config;
    this.#nextContainerCheck = now + containerCheckIntervalMs;
    if (ask === undefined) return;
    const due = dueForRemoval(database.tree, {
      now: clock.wallTime(),
      max: Math.ceil((containersPerMinuteMax * containerCheckIntervalMs) / 60_000),
      neverUsedMsMax: containerNeverUsedMsMax,
    });
    for (const path of due) ask(OpCode.deleteContainer, NO_SESSION, (writer) => writer.writeString(path));
  }
}
