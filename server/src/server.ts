import {
  type ConnectRequest,
  JuteReader,
  type SessionId,
  toHex,
  toServerId,
  txn as txnCodec,
  type Zxid,
} from 'zookeeper-protocol-ts';
import { answerFourLetterWord, type FourLetterWord } from './admin/four-letter-words.ts';
import { ServerMetrics } from './admin/metrics.ts';
import { ServerStatistics } from './admin/server-statistics.ts';
import type { ServerView } from './admin/server-view.ts';
import { Agreement, type AgreementUser } from './agreement.ts';
import type { ServerConfig } from './config.ts';
import { ClientConnection, type ConnectionOwner } from './connection/client-connection.ts';
import { ConnectionMemory } from './connection/connection-memory.ts';
import { Connections } from './connection/connections.ts';
import { Refusals } from './connection/refusals.ts';
import type { Database } from './database.ts';
import { Ensemble } from './ensemble.ts';
import { assert } from './invariant.ts';
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
import { QuorumPeer, type Role } from './quorum-peer.ts';
import type { ClientRequest } from './request/request.ts';
import { Serving } from './serving.ts';
import { epochsOf, readEpochs, type SavedEpochs } from './storage/epoch-files.ts';
import type { Gzip } from './storage/snapshot-format.ts';
import { StoredHistory } from './stored-history.ts';
import { WatchTable } from './watch/watch-table.ts';
import type { LinkId } from './zab/contract.ts';
import type { ForwardedRequest, TouchedSession } from './zab/messages.ts';
import type { Proposal } from './zab/proposal.ts';

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
  /** For tests: an epoch ends with the transaction of this number. Default: 2^32 - 2. */
  readonly counterMax?: number;
  /** What an administrator is told about the machine. Default: nothing. */
  readonly machine?: Machine;
  /** The server can't go on, and has stopped serving: its log can't be written, or an invariant is broken. Called once. */
  readonly onFailure: (error: Error) => void;
}

type Status =
  | { readonly kind: 'new' }
  | { readonly kind: 'recovering' }
  | {
      readonly kind: 'running';
      readonly agreement: Agreement;
      readonly listener: Closeable;
      /** Undefined while there is no leader. */
      serving: Serving | undefined;
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
export class Server implements ConnectionOwner, AgreementUser {
  readonly #options: ServerOptions;
  readonly #config: ServerConfig;
  readonly #clock: Clock;
  readonly #runLog: RunLog;

  readonly #history: StoredHistory;
  readonly #watches: WatchTable<ClientConnection>;
  readonly #connections: Connections;
  readonly connectionMemory: ConnectionMemory;
  readonly #refusals: Refusals;
  readonly statistics = new ServerStatistics();
  readonly metrics = new ServerMetrics();
  readonly #startedAt: Millis;
  #servesSince: Millis = 0;
  /** Where it listens. */
  #clientPort = 0;

  #status: Status = { kind: 'new' };
  /** How long the first snapshot of an empty folder took, until somebody is told. */
  #firstSnapshotMs: Millis | undefined;
  /** Transactions that recovery has replayed, until there is a snapshot of them. */
  #replayed = 0;
  /** Connections with something to flush at the end of the turn. */
  readonly #written = new Set<ClientConnection>();
  #turnAsked = false;
  /** A turn is under way: what it makes is sent at its end. */
  #isWorking = false;
  /** When the alarm is set to ring; the clock is asked again only for an earlier one. */
  #alarmAt: Millis = Number.POSITIVE_INFINITY;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#clock = options.clock;
    this.#runLog = options.runLog;
    this.#startedAt = this.#clock.now();
    this.#history = this.#newHistory();
    this.#watches = new WatchTable(this.#config);
    this.#connections = new Connections(this.#config);
    this.connectionMemory = new ConnectionMemory(this.#config);
    this.#refusals = new Refusals(this.#runLog);
  }

  /** All that an administrator may see of it, as it is now. */
  view(): ServerView {
    const serving = this.#serving;
    const watches = this.#watches;
    return {
      config: this.#config,
      machine: this.#options.machine ?? UNKNOWN_MACHINE,
      mode: serving?.role,
      ensemble: this.#status.kind === 'running' ? this.#status.agreement.view() : undefined,
      clientPort: this.#clientPort,
      now: this.#clock.now(),
      wallTime: this.#clock.wallTime(),
      startedAt: this.#startedAt,
      servesSince: this.#servesSince,
      database: this.#history.database,
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

  get #serving(): Serving | undefined {
    return this.#status.kind === 'running' ? this.#status.serving : undefined;
  }

  /** The replicated state, to look at. */
  get database(): Database {
    return this.#history.database;
  }

  // --- from the start to the end ------------------------------------------------------------------------------------

  /** Recovers from snapshot and log, then listens. */
  start(started: Started): void {
    assert(this.#status.kind === 'new', 'SERVER-1: a server is started once');
    this.#status = { kind: 'recovering' };
    const start = this.#clock.now();
    this.#history.open((outcome) => {
      if (this.#status.kind !== 'recovering') return;
      if ('error' in outcome) {
        this.#status = { kind: 'stopped' };
        started(outcome);
        return;
      }
      const tookMs = this.#clock.now() - start;
      this.metrics.summaries.dbinittime.record(tookMs);
      this.metrics.summaries.startup_txns_loaded.record(outcome.transactions);
      // An empty folder has got its first snapshot, and nothing else was to be done.
      if (outcome.snapshot === undefined && outcome.transactions === 0) this.#firstSnapshotMs = tookMs;
      this.#replayed = outcome.transactions;
      this.#run(outcome.recent, started);
    });
  }

  #run(recent: readonly Proposal[], started: Started): void {
    const { logDisk, snapshotDisk = logDisk, network } = this.#options;
    const { serverId, ensemble: members, tickTimeMs, initLimit, syncLimit, frameBytesMax } = this.#config;
    const self = toServerId(serverId);
    const ensemble = members ?? Ensemble.of(self);
    const { lastZxid } = this.#history.database;
    let epochs: SavedEpochs;
    try {
      epochs = ensemble.isAlone ? epochsOf(lastZxid) : readEpochs(snapshotDisk, lastZxid);
    } catch (error) {
      return this.#failToStart(error instanceof Error ? error : new Error(String(error)), started);
    }
    const timing = { tickTimeMs, initLimit, syncLimit };
    const peer = new QuorumPeer({
      ...{ self, ensemble, lastZxid, recent, epochs, timing },
      commitLogCount: this.#config.commitLogCount,
      counterMax: this.#options.counterMax,
    });
    const agreement = new Agreement({
      ...{ self, ensemble, peer, timing, network, frameBytesMax },
      history: this.#history,
      disk: snapshotDisk,
      runLog: this.#runLog,
      now: () => this.#clock.now(),
      user: this,
    });
    let address: Address | undefined;
    let isWithPeers = ensemble.isAlone;
    const onBound = (): void => {
      if (isWithPeers && address !== undefined) started({ address });
    };
    const onListening = (bound: Address): void => {
      address = bound;
      onBound();
    };
    const listener = this.#listen(onListening, started);
    this.#status = { kind: 'running', agreement, listener, serving: undefined };
    agreement.start((error) => {
      if (error !== null) return this.#failToStart(error, started);
      isWithPeers = true;
      onBound();
    });
    this.#setAlarm();
  }

  #failToStart(error: Error, started: Started): void {
    const status = this.#status;
    // Several ports may be refused: the first one says why.
    if (status.kind === 'stopped') return;
    this.#status = { kind: 'stopped' };
    if (status.kind === 'running') {
      status.serving?.pipeline.stop();
      status.listener.close();
      status.agreement.stop('the server does not start');
      this.#history.abandon();
    }
    this.#clock.setAlarm(Number.POSITIVE_INFINITY, () => undefined);
    started({ error });
  }

  #newHistory(): StoredHistory {
    const { logDisk, snapshotDisk = logDisk, gzip } = this.#options;
    return new StoredHistory({
      ...{ logDisk, snapshotDisk, gzip, config: this.#config, clock: this.#clock, runLog: this.#runLog },
      metrics: this.metrics,
      onSynced: (zxid) => this.#guard(() => this.#onSynced(zxid)),
      onSlowSync: (ms, fileBytes) => this.#onSlowSync(ms, fileBytes),
      onFailure: (error) => this.onFailure(error),
    });
  }

  // --- what agreement asks for --------------------------------------------------------------------------------------

  onRoleChanged(role: Role | undefined, reason: string): void {
    if (this.#status.kind !== 'running') return;
    const { agreement, serving } = this.#status;
    if (role === undefined) {
      serving?.pipeline.stop();
      this.#status.serving = undefined;
      this.#runLog.warn(`this server has no leader: ${reason}`);
      this.#connections.close('the server has no leader');
      return;
    }
    const { hash, random } = this.#options;
    const { database, snapshots } = this.#history;
    const { ensemble } = this.#config;
    if (ensemble !== undefined) database.tree.setConfig(Buffer.from(ensemble.text), this.#clock.wallTime());
    const next = new Serving({
      ...{ role, hash, random, database, snapshots, agreement },
      config: this.#config,
      clock: this.#clock,
      runLog: this.#runLog,
      metrics: this.metrics,
      statistics: this.statistics,
      connections: this.#connections,
      connectionMemory: this.connectionMemory,
      refusals: this.#refusals,
      watches: this.#watches,
      askForTurn: () => this.askForTurn(),
    });
    this.#status.serving = next;
    this.#servesSince = this.#clock.now();
    this.statistics.proposalSizes.reset();
    const { upkeep } = next;
    if (role !== 'standalone') this.#runLog.info(`this server is ${role}: ${reason}`);
    if (this.#firstSnapshotMs !== undefined) upkeep.onSnapshotTaken(this.#firstSnapshotMs);
    this.#firstSnapshotMs = undefined;
    // What was replayed need not be replayed again. Not before: what is not agreed on is no part of a snapshot.
    if (this.#replayed > 0) upkeep.takeSnapshot();
    this.#replayed = 0;
    this.#setAlarm();
  }

  onDeliver(proposal: Proposal): void {
    const serving = this.#serving;
    if (serving !== undefined) return serving.pipeline.deliver(proposal);
    // Nobody is served, and nobody is to be told.
    this.#history.database.apply(txnCodec.read(new JuteReader(proposal.bytes)));
  }

  onAppended({ bytes: { length } }: Proposal): void {
    const serving = this.#serving;
    if (serving?.role === 'leader') this.statistics.proposalSizes.record(length);
    serving?.upkeep.onAppended(length);
  }

  onSyncCompleted(id: number): void {
    this.#serving?.onSyncCompleted(id);
  }

  onAsked(link: LinkId, request: ForwardedRequest): void {
    this.#serving?.onAsked(link, request, { now: this.#clock.now(), skipAcl: this.#config.skipAcl });
    this.askForTurn();
  }

  onTouched(sessions: readonly TouchedSession[]): void {
    this.#serving?.onTouched(sessions, this.#clock.now());
  }

  isSessionValid(link: LinkId, sessionId: SessionId): boolean {
    return this.#serving?.isSessionValid(link, sessionId, this.#clock.now()) ?? false;
  }

  onRevalidated(sessionId: SessionId, isValid: boolean): void {
    this.#serving?.sessions.onRevalidated(sessionId, isValid);
  }

  takeTouched(): TouchedSession[] {
    return this.#serving?.takeTouched() ?? [];
  }

  #listen(listening: (address: Address) => void, started: Started): Closeable {
    return this.#options.network.listen(
      { host: this.#config.clientPortAddress, port: this.#config.clientPort },
      {
        onListening: (address) => {
          this.#clientPort = address.port;
          const last = toHex(this.#history.database.lastZxid);
          this.#runLog.info(`serving on ${address.host}:${address.port}, last zxid ${last}`);
          this.#setAlarm();
          listening(address);
        },
        onFailure: (error) => this.#failToStart(error, started),
        onStream: (stream) => this.#onStream(stream),
      },
    );
  }

  /** Stops: nothing more is accepted, what was proposed is made durable, connections are ended. */
  close(closed: (error: Error | null) => void): void {
    const status = this.#status;
    this.#status = { kind: 'stopped' };
    if (status.kind !== 'running') {
      closed(null);
      return;
    }
    status.serving?.pipeline.stop();
    status.listener.close();
    status.agreement.stop('the server stops');
    this.#connections.close('the server stops');
    this.#clock.setAlarm(Number.POSITIVE_INFINITY, () => undefined);
    this.#history.close(closed);
  }

  /** A broken invariant stops the server: worse to answer wrongly than not at all. */
  #guard(run: () => void): void {
    if (this.#status.kind !== 'running') return;
    try {
      run();
    } catch (error) {
      this.onFailure(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** The server can't go on. */
  onFailure(error: Error): void {
    const status = this.#status;
    if (status.kind === 'stopped') return;
    this.#status = { kind: 'stopped' };
    this.metrics.counters.unrecoverable_error_count++;
    this.#runLog.error(`this server stops: ${error.message}`);
    if (status.kind === 'running') {
      status.serving?.pipeline.stop();
      status.listener.close();
      status.agreement.stop('the server has failed');
      this.#history.abandon();
    }
    this.#connections.close('the server has failed');
    this.#options.onFailure(error);
  }

  // --- what arrives -------------------------------------------------------------------------------------------------

  #onStream(stream: Stream): ClientConnection | undefined {
    if (this.#status.kind !== 'running') return undefined;
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
    const serving = this.#serving;
    if (serving === undefined) connection.close('this server has no leader');
    else serving.sessions.onConnectRequest(connection, request);
  }

  onRequest(request: ClientRequest<ClientConnection>): void {
    this.#countReceived(request.origin);
    this.#serving?.pipeline.add(request);
    this.askForTurn();
  }

  onResumed(requests: readonly ClientRequest<ClientConnection>[]): void {
    for (const request of requests) this.#serving?.pipeline.add(request);
    this.askForTurn();
  }

  get isOverloaded(): boolean {
    return this.#serving?.pipeline.isOverloaded ?? false;
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
    this.askForTurn();
  }

  onClosed(connection: ClientConnection, sessionId: SessionId, reason: string): void {
    this.#runLog.info(`connection of ${connection.remote} ended: ${reason}`);
    this.#connections.remove(connection, sessionId);
    this.#written.delete(connection);
    this.#watches.removeWatcher(connection);
  }

  // --- turns --------------------------------------------------------------------------------------------------------

  askForTurn(): void {
    if (this.#turnAsked || this.#isWorking) return;
    this.#turnAsked = true;
    this.#clock.soon(() => this.#guard(() => this.#turn()));
  }

  #turn(): void {
    this.#turnAsked = false;
    this.#work(() => this.#serving?.pipeline.turn());
  }

  #onSynced(zxid: Zxid): void {
    this.#work((agreement) => agreement.step({ kind: 'synced', zxid }));
  }

  /** Does what is to be done now, and sends what that has made; what comes of the sending is for the next turn. */
  #work(run: (agreement: Agreement) => void): void {
    if (this.#status.kind !== 'running') return;
    const { agreement } = this.#status;
    this.#isWorking = true;
    try {
      run(agreement);
      agreement.flush();
      this.#flush();
    } finally {
      this.#isWorking = false;
    }
    this.#setAlarm();
    if (this.#serving?.pipeline.wantsTurn || agreement.hasUnsent) this.askForTurn();
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
    if (this.#status.kind !== 'running') return;
    const { agreement, serving } = this.#status;
    const ofServing = serving && Math.min(serving.sessions.nextDeadline(), serving.upkeep.nextDeadline());
    const at = Math.min(agreement.nextDeadline(), ofServing ?? this.#connections.nextDeadline());
    if (at >= this.#alarmAt) return;
    this.#alarmAt = at;
    this.#clock.setAlarm(at, () => this.#guard(() => this.#wake()));
  }

  #wake(): void {
    if (this.#status.kind !== 'running') return;
    const { agreement } = this.#status;
    const now = this.#clock.now();
    const lateMs = now - this.#alarmAt;
    this.#alarmAt = Number.POSITIVE_INFINITY;
    agreement.wake(now);
    // Its role may have ended by that: then it is not the one who lets sessions expire.
    this.#serving?.sessions.wake(now, lateMs);
    this.#serving?.upkeep.wake(now);
    this.askForTurn();
    this.#setAlarm();
  }

  /**
   * Ends a session as if its client had been silent for its whole timeout.
   * @returns false if there is no such session, or its end is under way
   */
  expireSession(sessionId: SessionId): boolean {
    return this.#serving?.sessions.expire(sessionId) ?? false;
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
