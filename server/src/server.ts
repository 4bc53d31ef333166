import { type ConnectRequest, type SessionId, toHex, toServerId, type Zxid } from 'zookeeper-protocol-ts';
import { answerFourLetterWord, type FourLetterWord } from './admin/four-letter-words.ts';
import { ServerMetrics } from './admin/metrics.ts';
import { ServerStatistics } from './admin/server-statistics.ts';
import type { ServerView } from './admin/server-view.ts';
import { Answers } from './answers.ts';
import { ClientSessions } from './client-sessions.ts';
import type { ServerConfig } from './config.ts';
import { ClientConnection, type ConnectionOwner } from './connection/client-connection.ts';
import { ConnectionMemory } from './connection/connection-memory.ts';
import { Connections } from './connection/connections.ts';
import { Refusals } from './connection/refusals.ts';
import { Database } from './database.ts';
import { Ensemble } from './ensemble.ts';
import { assert } from './invariant.ts';
import { Pipeline } from './pipeline.ts';
import type {
  Address,
  Clock,
  Closeable,
  Disk,
  Hash,
  Machine,
  Millis,
  Network,
  Random,
  RunLog,
  Stream,
} from './ports.ts';
import { QuorumPeer } from './quorum-peer.ts';
import type { Ask, ClientRequest } from './request/request.ts';
import { type OpeningOptions, openStorage } from './storage/opening.ts';
import type { Gzip } from './storage/snapshot-format.ts';
import type { Snapshots } from './storage/snapshots.ts';
import { TxnLog } from './storage/txn-log.ts';
import { Upkeep } from './upkeep.ts';
import { WatchTable } from './watch/watch-table.ts';
import { WatchNotifier } from './watch-notifier.ts';

export interface ServerOptions {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly network: Network;
  /** The folder of the transaction log, `version-2` below `dataLogDir`. */
  readonly logDisk: Disk;
  /** The folder of the snapshots, `version-2` below `dataDir`. Default: that of the log. */
  readonly snapshotDisk?: Disk;
  /** For snapshots that are compressed. Without it they can't be read, nor written. */
  readonly gzip?: Gzip;
  readonly random: Random;
  readonly hash: Hash;
  readonly runLog: RunLog;
  /** What an administrator is told about the machine. Default: nothing. */
  readonly machine?: Machine;
  /** The server can't go on, and has stopped serving: its log can't be written, or an invariant is broken. Called once. */
  readonly onFailure: (error: Error) => void;
}

type Status =
  | { readonly kind: 'new' }
  | { readonly kind: 'recovering' }
  | {
      readonly kind: 'serving';
      readonly peer: QuorumPeer;
      readonly log: TxnLog;
      readonly snapshots: Snapshots;
      readonly listener: Closeable;
      readonly sessions: ClientSessions;
      readonly pipeline: Pipeline;
      readonly upkeep: Upkeep;
    }
  | { readonly kind: 'stopped' };

/** Called once: with the address that the server listens on, or with why it can't start. */
type Started = (outcome: { readonly address: Address } | { readonly error: Error }) => void;

/**
 * A server: its life from recovery to the end, its connections, and its turns. It takes everything that arrived, one turn at a
 * time, through the pipeline (`pipeline.ts`), and ends the turn with one write to the log and one to each connection.
 *
 * What must hold: nothing is answered before recovery is durable; a server that has failed does and says nothing more.
 */
export class Server implements ConnectionOwner {
  readonly #options: ServerOptions;
  readonly #config: ServerConfig;
  readonly #clock: Clock;
  readonly #runLog: RunLog;

  /** Empty until it is recovered. */
  #database = new Database();
  readonly #watches: WatchTable<ClientConnection>;
  readonly #connections: Connections;
  readonly connectionMemory: ConnectionMemory;
  readonly #refusals: Refusals;
  readonly statistics = new ServerStatistics();
  readonly metrics = new ServerMetrics();
  readonly #startedAt: Millis;
  /** Where it listens. */
  #clientPort = 0;

  #status: Status = { kind: 'new' };
  /** Connections with something to flush at the end of the turn. */
  readonly #written = new Set<ClientConnection>();
  #turnAsked = false;
  /** When the alarm is set to ring; the clock is asked again only for an earlier one. */
  #alarmAt: Millis = Number.POSITIVE_INFINITY;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#clock = options.clock;
    this.#runLog = options.runLog;
    this.#startedAt = this.#clock.now();
    this.#watches = new WatchTable(this.#config);
    this.#connections = new Connections(this.#config);
    this.connectionMemory = new ConnectionMemory(this.#config);
    this.#refusals = new Refusals(this.#runLog);
  }

  /** All that an administrator may see of it, as it is now. */
  view(): ServerView {
    const status = this.#status;
    const serving = status.kind === 'serving' ? status : undefined;
    const watches = this.#watches;
    return {
      config: this.#config,
      machine: this.#options.machine ?? UNKNOWN_MACHINE,
      mode: serving?.peer.role,
      clientPort: this.#clientPort,
      now: this.#clock.now(),
      wallTime: this.#clock.wallTime(),
      startedAt: this.#startedAt,
      database: this.#database,
      statistics: this.statistics,
      metrics: this.metrics,
      outstanding: serving?.pipeline.outstanding ?? 0,
      connections: this.#connections,
      sessionless: this.#connections.sessionless,
      connectionDropChance: serving?.sessions.dropChance ?? 0,
      sessionDeadlines: serving?.sessions.deadlines() ?? [],
      watches: {
        total: watches.counts.watches,
        *byPath() {
          for (const [path, watchers] of watches.byPath()) yield [path, watchers.map(({ sessionId }) => sessionId)];
        },
        *bySession() {
          for (const [{ sessionId }, paths] of watches.byWatcher()) yield [sessionId, paths];
        },
      },
      lastSnapshot: serving?.upkeep.lastSnapshot,
    };
  }

  /** The replicated state, to look at. */
  get database(): Database {
    return this.#database;
  }

  // --- from the start to the end ------------------------------------------------------------------------------------

  /** Recovers from snapshot and log, then listens. */
  start(started: Started): void {
    assert(this.#status.kind === 'new', 'SERVER-1: a server is started once');
    this.#status = { kind: 'recovering' };
    const start = this.#clock.now();
    openStorage(this.#openingOptions(), (outcome) => {
      if (this.#status.kind !== 'recovering') return;
      if ('error' in outcome) {
        this.#status = { kind: 'stopped' };
        started(outcome);
        return;
      }
      const { database, snapshots, recovered } = outcome;
      const tookMs = this.#clock.now() - start;
      this.metrics.summaries.dbinittime.record(tookMs);
      this.metrics.summaries.startup_txns_loaded.record(recovered.transactions);
      this.#database = database;
      const upkeep = this.#serve(snapshots, started);
      // An empty folder has got its first snapshot, and nothing else was to be done.
      if (recovered.snapshot === undefined && recovered.transactions === 0) upkeep.onSnapshotTaken(tookMs);
      // What was replayed need not be replayed again.
      if (recovered.transactions > 0) upkeep.takeSnapshot();
    });
  }

  #openingOptions(): OpeningOptions {
    const { logDisk, snapshotDisk = logDisk, gzip, runLog } = this.#options;
    const config = this.#config;
    return {
      logDisk,
      snapshotDisk,
      gzip,
      runLog,
      compression: config.snapshotCompression,
      checkDigest: config.digestEnabled,
      trustEmpty: config.trustEmptySnapshot,
      withDigest: config.digestEnabled,
      withLastZxid: config.serializeLastZxid,
      retained: config.snapshotRetainCount,
    };
  }

  #serve(snapshots: Snapshots, started: Started): Upkeep {
    const { logDisk, random, hash } = this.#options;
    const [config, clock, runLog, metrics] = [this.#config, this.#clock, this.#runLog, this.metrics];
    const [database, connections, watches, statistics] = [
      this.#database,
      this.#connections,
      this.#watches,
      this.statistics,
    ];
    const { lastZxid } = database;
    const self = toServerId(config.serverId);
    const peer = new QuorumPeer({ self, ensemble: new Ensemble([self]), lastZxid });
    const log = new TxnLog({
      disk: logDisk,
      lastZxid,
      preallocateBytes: config.preallocateBytes,
      fileBytesMax: config.logFileBytesMax,
      forceSync: config.forceSync,
      clock,
      syncWarningMs: config.syncWarningMs,
      onSyncTime: (ms) => metrics.summaries.fsynctime.record(ms),
      onSlowSync: (ms, fileBytes) => this.#onSlowSync(ms, fileBytes),
      onSynced: (zxid) => this.#guard(() => this.#onSynced(zxid)),
      onFailure: (error) => this.#fail(error),
    });
    const ask: Ask = (type, sessionId, writeBody) => {
      pipeline.ask(type, sessionId, writeBody);
      this.#askForTurn();
    };
    const { superDigest } = config;
    const answers = new Answers({ clock, runLog, hash, superDigest, statistics, metrics, database, watches });
    const sessions = new ClientSessions({
      ...{ config, clock, random, runLog, metrics, database, connections, answers, ask },
      refusals: this.#refusals,
    });
    const upkeep = new Upkeep({ config, clock, random, metrics, database, log, snapshots, ask });
    const watchNotifier = new WatchNotifier(watches, metrics);
    const pipeline = new Pipeline({
      ...{ config, clock, runLog, metrics, database, peer, log, sessions, answers, watchNotifier, upkeep },
      connections,
      connectionMemory: this.connectionMemory,
    });
    const listener = this.#listen(started);
    this.#status = { kind: 'serving', peer, log, snapshots, listener, sessions, pipeline, upkeep };
    return upkeep;
  }

  #listen(started: Started): Closeable {
    return this.#options.network.listen(
      { host: this.#config.clientPortAddress, port: this.#config.clientPort },
      {
        onListening: (address) => {
          this.#clientPort = address.port;
          const last = toHex(this.#database.lastZxid);
          this.#runLog.info(`serving on ${address.host}:${address.port}, last zxid ${last}`);
          this.#setAlarm();
          started({ address });
        },
        onFailure: (error) => {
          this.#status = { kind: 'stopped' };
          started({ error });
        },
        onStream: (stream) => this.#onStream(stream),
      },
    );
  }

  /** Stops: nothing more is accepted, what was proposed is made durable, connections are ended. */
  close(closed: (error: Error | null) => void): void {
    const status = this.#status;
    this.#status = { kind: 'stopped' };
    if (status.kind !== 'serving') {
      closed(null);
      return;
    }
    status.pipeline.stop();
    status.listener.close();
    this.#connections.close('the server stops');
    this.#clock.setAlarm(Number.POSITIVE_INFINITY, () => undefined);
    status.log.close((error) => status.snapshots.close(() => closed(error)));
  }

  /** A broken invariant stops the server: worse to answer wrongly than not at all. */
  #guard(run: () => void): void {
    if (this.#status.kind !== 'serving') return;
    try {
      run();
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #fail(error: Error): void {
    const status = this.#status;
    if (status.kind === 'stopped') return;
    this.#status = { kind: 'stopped' };
    this.metrics.counters.unrecoverable_error_count++;
    this.#runLog.error(`this server stops: ${error.message}`);
    if (status.kind === 'serving') {
      status.pipeline.stop();
      status.listener.close();
      status.snapshots.close(() => undefined);
    }
    this.#connections.close('the server has failed');
    this.#options.onFailure(error);
  }

  // --- what arrives -------------------------------------------------------------------------------------------------

  #onStream(stream: Stream): ClientConnection | undefined {
    if (this.#status.kind !== 'serving') return undefined;
    const now = this.#clock.now();
    const tooMany = this.#connections.tooMany(stream.remote.host);
    if (tooMany !== undefined) {
      this.#refusals.refused(tooMany.limit, tooMany.reason, now);
      this.metrics.counters.connection_rejected++;
      return undefined;
    }
    const connection = new ClientConnection(this, stream, this.#config);
    this.#connections.add(connection, now);
    this.#setAlarm();
    return connection;
  }

  now(): Millis {
    return this.#clock.now();
  }

  wallTime(): Millis {
    return this.#clock.wallTime();
  }

  onConnectRequest(connection: ClientConnection, request: ConnectRequest): void {
    this.#countReceived(connection);
    if (this.#status.kind === 'serving') this.#status.sessions.onConnectRequest(connection, request);
  }

  onRequest(request: ClientRequest<ClientConnection>): void {
    this.#countReceived(request.origin);
    if (this.#status.kind !== 'serving') return;
    this.#status.pipeline.add(request);
    this.#askForTurn();
  }

  onResumed(requests: readonly ClientRequest<ClientConnection>[]): void {
    if (this.#status.kind !== 'serving') return;
    for (const request of requests) this.#status.pipeline.add(request);
    this.#askForTurn();
  }

  get isOverloaded(): boolean {
    return this.#status.kind === 'serving' && this.#status.pipeline.isOverloaded;
  }

  onFourLetterWord(connection: ClientConnection, word: FourLetterWord): void {
    this.#countReceived(connection);
    const text = answerFourLetterWord(word, this.view());
    connection.answer(text);
    if (text !== '') this.statistics.packetsSent++;
  }

  #countReceived(connection: ClientConnection): void {
    this.statistics.packetsReceived++;
    connection.statistics.packetsReceived++;
  }

  onWritten(connection: ClientConnection): void {
    this.statistics.packetsSent++;
    connection.statistics.packetsSent++;
    this.#written.add(connection);
    this.#askForTurn();
  }

  onClosed(connection: ClientConnection, sessionId: SessionId, reason: string): void {
    this.#runLog.info(`connection of ${connection.remote} ended: ${reason}`);
    this.#connections.remove(connection, sessionId);
    this.#written.delete(connection);
    this.#watches.removeWatcher(connection);
  }

  // --- turns --------------------------------------------------------------------------------------------------------

  #askForTurn(): void {
    if (this.#turnAsked) return;
    this.#turnAsked = true;
    this.#clock.soon(() => this.#guard(() => this.#turn()));
  }

  #turn(): void {
    this.#turnAsked = false;
    if (this.#status.kind !== 'serving') return;
    const { pipeline, log } = this.#status;
    pipeline.turn();
    log.flush();
    this.#flush();
    this.#setAlarm();
  }

  #onSynced(zxid: Zxid): void {
    if (this.#status.kind !== 'serving') return;
    const { pipeline } = this.#status;
    pipeline.onSynced(zxid);
    this.#flush();
    // What the throttle kept back may have its turn now.
    if (pipeline.hasInbox) this.#askForTurn();
  }

  #onSlowSync(ms: Millis, fileBytes: number): void {
    this.statistics.slowSyncs++;
    this.#runLog.warn(
      `the log took ${Math.round(ms)} ms to sync, which slows down everything; it has ${fileBytes} bytes now`,
    );
  }

  #flush(): void {
    // A connection that is written to during its own flush comes again, behind the others.
    for (const connection of this.#written) {
      this.#written.delete(connection);
      connection.flush();
    }
    while (this.connectionMemory.isOutboundOver) this.#connections.cutOffSlowest();
  }

  #setAlarm(): void {
    if (this.#status.kind !== 'serving') return;
    const { sessions, upkeep } = this.#status;
    const at = Math.min(sessions.nextDeadline(), upkeep.nextDeadline());
    if (at >= this.#alarmAt) return;
    this.#alarmAt = at;
    this.#clock.setAlarm(at, () => this.#guard(() => this.#wake()));
  }

  #wake(): void {
    if (this.#status.kind !== 'serving') return;
    const { sessions, upkeep } = this.#status;
    const now = this.#clock.now();
    this.#alarmAt = Number.POSITIVE_INFINITY;
    sessions.wake(now);
    upkeep.wake(now);
    this.#setAlarm();
  }

  /**
   * Ends a session as if its client had been silent for its whole timeout.
   * @returns false if there is no such session, or its end is under way
   */
  expireSession(sessionId: SessionId): boolean {
    return this.#status.kind === 'serving' && this.#status.sessions.expire(sessionId);
  }
}

/** For a server whose machine nobody asks about. */
const UNKNOWN_MACHINE: Machine = {
  environment: () => [],
  openFiles: () => ({ now: -1, max: -1 }),
  usage: () => ({ residentBytes: 0, cpuSeconds: 0, startedAtSeconds: 0 }),
  folderBytes: () => 0,
  formatTime: (wallTime) => String(wallTime),
};
