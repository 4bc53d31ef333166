import {
  type Codec,
  type ConnectRequest,
  ErrorCode,
  EventType,
  JuteReader,
  JuteWriter,
  MarshallingError,
  NO_SESSION,
  OpCode,
  opCodeName,
  operations,
  Permission,
  type SessionId,
  type Txn,
  toHex,
  toServerId,
  toXid,
  toZxid,
  txn as txnCodec,
  ZERO_ZXID,
  type Zxid,
} from 'zookeeper-protocol-ts';
import { answerFourLetterWord, type FourLetterWord } from './admin/four-letter-words.ts';
import { ServerMetrics, type Summary } from './admin/metrics.ts';
import { ServerStatistics } from './admin/server-statistics.ts';
import type { ServerView } from './admin/server-view.ts';
import type { ServerConfig } from './config.ts';
import { ClientConnection, type ConnectionOwner } from './connection/client-connection.ts';
import { ConnectionMemory } from './connection/connection-memory.ts';
import { Connections } from './connection/connections.ts';
import { Refusals } from './connection/refusals.ts';
import { type Applied, type Change, Database } from './database.ts';
import { Ensemble } from './ensemble.ts';
import { Fifo } from './fifo.ts';
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
import { QuorumPeer } from './quorum-peer.ts';
import { authenticate } from './request/authenticate.ts';
import { OutstandingChanges } from './request/outstanding-changes.ts';
import { prepare } from './request/prepare.ts';
import { read } from './request/read.ts';
import { writeReplyBody } from './request/reply.ts';
import type { ClientRequest, Request } from './request/request.ts';
import { SessionRequests } from './request/session-requests.ts';
import { setWatches } from './request/set-watches.ts';
import { firstSessionId, isPasswordOf, nextSessionId, passwordOf } from './session/session-id.ts';
import { SessionTracker } from './session/session-tracker.ts';
import { type OpeningOptions, openStorage } from './storage/opening.ts';
import type { Gzip } from './storage/snapshot-format.ts';
import { SnapshotSchedule } from './storage/snapshot-schedule.ts';
import type { Snapshots } from './storage/snapshots.ts';
import { TxnLog } from './storage/txn-log.ts';
import { dueForRemoval } from './tree/expiring-znodes.ts';
import { isAllowed } from './tree/permissions.ts';
import { WatchTable } from './watch/watch-table.ts';
import type { Output } from './zab/contract.ts';
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
    }
  | { readonly kind: 'stopped' };

type Serving = Extract<Status, { readonly kind: 'serving' }>;

/** Called once: with the address that the server listens on, or with why it can't start. */
type Started = (outcome: { readonly address: Address } | { readonly error: Error }) => void;

/**
 * A server: takes everything that arrived, one turn at a time, lets agreement order it, applies what was agreed on, and
 * answers, with one write to the log and one to each connection. It decides nothing that the parts it joins decide: what a
 * write becomes (`request/prepare.ts`), what is agreed on (`quorum-peer.ts`), what it changes (`database.ts`).
 *
 * The way of a write: connection → session-requests → prepare → propose → log append and group commit → deliver → reply.
 */
export class Server implements ConnectionOwner {
  readonly #options: ServerOptions;
  readonly #config: ServerConfig;
  readonly #clock: Clock;
  readonly #runLog: RunLog;

  /** Empty until it is recovered. */
  #database = new Database();
  #changes = new OutstandingChanges(this.#database.tree);
  readonly #watches = new WatchTable<ClientConnection>();
  readonly #requests = new SessionRequests<Request<ClientConnection>>();
  readonly #sessions: SessionTracker;
  readonly #txnWriter = new JuteWriter(TXN_CHUNK_BYTES);

  #status: Status = { kind: 'new' };
  #nextSessionId: SessionId = NO_SESSION;

  /** What arrived since the last turn, and what may not be served yet. */
  #inbox: Request<ClientConnection>[] = [];
  /** Connections with something to flush at the end of the turn. */
  readonly #written = new Set<ClientConnection>();
  /** Requests that are answered with THROTTLEDOP when their turn comes. */
  readonly #late = new Set<ClientRequest<ClientConnection>>();
  #turnAsked = false;
  /** When the alarm is set to ring; the clock is asked again only for an earlier one. */
  #alarmAt: Millis = Number.POSITIVE_INFINITY;

  /** What was proposed and is not delivered yet, oldest first: the transactions behind the proposals' bytes. */
  readonly #proposed = new Fifo<{ readonly txn: Txn; readonly request: Request<ClientConnection> }>();
  readonly #syncs = new Map<number, ClientRequest<ClientConnection>>();
  #nextSync = 0;

  readonly #connections: Connections;
  /** Connections whose session is being created. */
  readonly #joining = new Map<SessionId, ClientConnection>();
  readonly connectionMemory: ConnectionMemory;
  readonly #refusals: Refusals;

  readonly statistics = new ServerStatistics();
  readonly metrics = new ServerMetrics();
  readonly #startedAt: Millis;
  /** Where it listens. */
  #clientPort = 0;
  /** When the last snapshot since the start was finished, on the wall clock. */
  #snapshotTakenAt: Millis | undefined;
  #nextContainerCheck: Millis;
  /** When old snapshots and logs are removed next. */
  #nextPurge: Millis;
  readonly #snapshotSchedule: SnapshotSchedule;
  /** The change whose watches are being told. */
  #firing: Change | undefined;
  /** Watchers that were told of it, of the znode and of its parent's children. 0 between changes. */
  #told = 0;
  #toldOfChildren = 0;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#clock = options.clock;
    this.#runLog = options.runLog;
    const now = this.#clock.now();
    this.#startedAt = now;
    this.#sessions = new SessionTracker({ tickMs: this.#config.tickTimeMs, now });
    this.#nextContainerCheck = now + this.#config.containerCheckIntervalMs;
    const { snapCount, snapshotLogBytes, purgeIntervalMs } = this.#config;
    this.#nextPurge = purgeIntervalMs === 0 ? Number.POSITIVE_INFINITY : now;
    this.#snapshotSchedule = new SnapshotSchedule({
      transactions: snapCount,
      bytes: snapshotLogBytes,
      random: options.random,
    });
    this.#connections = new Connections(this.#config);
    this.connectionMemory = new ConnectionMemory(this.#config);
    this.#refusals = new Refusals(this.#runLog);
  }

  /** All that an administrator may see of it, as it is now. */
  view(): ServerView {
    const watches = this.#watches;
    return {
      config: this.#config,
      machine: this.#options.machine ?? UNKNOWN_MACHINE,
      mode: this.#status.kind === 'serving' ? this.#status.peer.role : undefined,
      clientPort: this.#clientPort,
      now: this.#clock.now(),
      wallTime: this.#clock.wallTime(),
      startedAt: this.#startedAt,
      database: this.#database,
      statistics: this.statistics,
      metrics: this.metrics,
      outstanding: this.#requests.outstanding,
      connections: this.#connections,
      sessionless: this.#connections.sessionless,
      sessionDeadlines: this.#sessions.deadlines(),
      watches: {
        total: watches.counts.watches,
        *byPath() {
          for (const [path, watchers] of watches.byPath()) yield [path, watchers.map(({ sessionId }) => sessionId)];
        },
        *bySession() {
          for (const [{ sessionId }, paths] of watches.byWatcher()) yield [sessionId, paths];
        },
      },
      lastSnapshot: this.#lastSnapshot(),
    };
  }

  #lastSnapshot(): ServerView['lastSnapshot'] {
    const zxid = this.#status.kind === 'serving' ? this.#status.snapshots.newest : undefined;
    if (zxid === undefined) return undefined;
    const takenAt = this.#snapshotTakenAt;
    return { zxid, takenAtSeconds: takenAt === undefined ? -1 : Math.floor(takenAt / 1000) };
  }

  /** The replicated state, to look at. */
  get database(): Database {
    return this.#database;
  }

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
      this.#changes = new OutstandingChanges(database.tree);
      // An empty folder has got its first snapshot, and nothing else was to be done.
      if (recovered.snapshot === undefined && recovered.transactions === 0) this.#tookSnapshot(tookMs);
      this.#serve(snapshots, started);
      // What was replayed need not be replayed again.
      if (recovered.transactions > 0) this.#takeSnapshot(snapshots);
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
      compress: config.snapshotCompression === 'gz',
      checkDigest: config.digestEnabled,
      trustEmpty: config.trustEmptySnapshot,
      withDigest: config.digestEnabled,
      withLastZxid: config.serializeLastZxid,
      retained: config.snapshotRetainCount,
    };
  }

  #serve(snapshots: Snapshots, started: Started): void {
    const { logDisk, network } = this.#options;
    const lastZxid = this.#database.lastZxid;
    const self = toServerId(this.#config.serverId);
    const peer = new QuorumPeer({ self, ensemble: new Ensemble([self]), lastZxid });
    const log = new TxnLog({
      disk: logDisk,
      lastZxid,
      preallocateBytes: this.#config.preallocateBytes,
      fileBytesMax: this.#config.logFileBytesMax,
      forceSync: this.#config.forceSync,
      clock: this.#clock,
      syncWarningMs: this.#config.syncWarningMs,
      onSyncTime: (ms) => this.metrics.summaries.fsynctime.record(ms),
      onSlowSync: (ms, fileBytes) => this.#onSlowSync(ms, fileBytes),
      onSynced: (zxid) => this.#guard(() => this.#onSynced(zxid)),
      onFailure: (error) => this.#fail(error),
    });
    const now = this.#clock.now();
    // As after a change of leaders: everyone has the whole timeout to come back.
    for (const [sessionId, timeoutMs] of this.#database.sessions) this.#sessions.add(sessionId, timeoutMs, now);
    this.#nextSessionId = firstSessionId(self, this.#clock.wallTime());
    const listener = network.listen(
      { host: this.#config.clientPortAddress, port: this.#config.clientPort },
      {
        onListening: (address) => {
          this.#clientPort = address.port;
          this.#runLog.info(`serving on ${address.host}:${address.port}, last zxid ${toHex(lastZxid)}`);
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
    this.#status = { kind: 'serving', peer, log, snapshots, listener };
  }

  /** Stops: nothing more is accepted, what was proposed is made durable, connections are ended. */
  close(closed: (error: Error | null) => void): void {
    const status = this.#status;
    this.#status = { kind: 'stopped' };
    if (status.kind !== 'serving') {
      closed(null);
      return;
    }
    status.listener.close();
    this.#connections.close('the server stops');
    this.#clock.setAlarm(Number.POSITIVE_INFINITY, () => undefined);
    status.log.close((error) => status.snapshots.close(() => closed(error)));
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
    this.metrics.counters.connection_request_count++;
    const { lastZxid } = this.#database;
    if (request.lastZxidSeen > lastZxid) {
      connection.close(`it has seen zxid ${toHex(request.lastZxidSeen)}, and this server is at ${toHex(lastZxid)}`);
      return;
    }
    const { minSessionTimeoutMs, maxSessionTimeoutMs } = this.#config;
    const timeoutMs = Math.min(Math.max(request.timeoutMs, minSessionTimeoutMs), maxSessionTimeoutMs);
    if (request.sessionId === NO_SESSION) this.#createSession(connection, timeoutMs);
    else this.#reattach(connection, request, timeoutMs);
  }

  onRequest(request: ClientRequest<ClientConnection>): void {
    this.#countReceived(request.origin);
    this.#inbox.push(request);
    this.#askForTurn();
  }

  onResumed(requests: readonly ClientRequest<ClientConnection>[]): void {
    for (const request of requests) this.#inbox.push(request);
    this.#askForTurn();
  }

  /** By requests in process, as in the original (`globalOutstandingLimit`), and by bytes that wait for the disk. */
  get isOverloaded(): boolean {
    const { globalOutstandingLimit, logQueuedBytesMax } = this.#config;
    if (this.#inbox.length + this.#requests.outstanding > globalOutstandingLimit) return true;
    return this.#status.kind === 'serving' && this.#status.log.queuedBytes > logQueuedBytesMax;
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

  #askForTurn(): void {
    if (this.#turnAsked) return;
    this.#turnAsked = true;
    this.#clock.soon(() => this.#guard(() => this.#turn()));
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
      status.listener.close();
      status.snapshots.close(() => undefined);
    }
    this.#connections.close('the server has failed');
    this.#options.onFailure(error);
  }

  // --- a turn -------------------------------------------------------------------------------------------------------

  #turn(): void {
    this.#turnAsked = false;
    const inbox = this.#inbox;
    this.#inbox = [];
    let taken = 0;
    for (const request of inbox) {
      if (this.#isThrottling()) break;
      taken++;
      if (this.#isStale(request)) this.metrics.counters.stale_requests_dropped++;
      else this.#admit(request);
    }
    if (taken < inbox.length) {
      this.metrics.counters.request_throttle_wait_count++;
      this.#inbox = [...inbox.slice(taken), ...this.#inbox];
    }
    if (this.#status.kind === 'serving') this.#status.log.flush();
    this.#flush();
    this.#setAlarm();
  }

  #onSynced(zxid: Zxid): void {
    if (this.#status.kind !== 'serving') return;
    this.#perform(this.#status.peer.step({ kind: 'synced', zxid }));
    this.#flush();
    // What the throttle kept back may have its turn now.
    if (this.#inbox.length > 0) this.#askForTurn();
  }

  #flush(): void {
    // A connection that is written to during its own flush comes again, behind the others.
    for (const connection of this.#written) {
      this.#written.delete(connection);
      connection.flush();
    }
    while (this.connectionMemory.isOutboundOver) this.#connections.cutOffSlowest();
  }

  #perform(outputs: readonly Output[]): void {
    for (const output of outputs) {
      if (this.#status.kind !== 'serving') return;
      switch (output.kind) {
        case 'append':
          this.#append(output.proposal, this.#status);
          break;
        case 'deliver':
          this.#deliver(output.proposal);
          break;
        case 'syncCompleted':
          this.#completeSync(output.id);
          break;
      }
    }
  }

  #append({ zxid, bytes }: Proposal, { log, snapshots }: Serving): void {
    log.append(zxid, bytes);
    if (!this.#snapshotSchedule.isDueAfter(bytes.length)) return;
    log.roll();
    this.#takeSnapshot(snapshots);
  }

  #takeSnapshot(snapshots: Snapshots): void {
    const start = this.#clock.now();
    snapshots.take(this.#database, (error) => {
      if (error === null) this.#tookSnapshot(this.#clock.now() - start);
    });
  }

  #tookSnapshot(ms: Millis): void {
    this.metrics.summaries.snapshottime.record(ms);
    this.#snapshotTakenAt = this.#clock.wallTime();
  }

  #onSlowSync(ms: Millis, fileBytes: number): void {
    this.statistics.slowSyncs++;
    this.#runLog.warn(
      `the log took ${Math.round(ms)} ms to sync, which slows down everything; it has ${fileBytes} bytes now`,
    );
  }

  /** As many requests are in process as may be (`request_throttle_max_requests`). Those that are never wait for one that isn't. */
  #isThrottling(): boolean {
    const { requestThrottleMaxRequests } = this.#config;
    return requestThrottleMaxRequests > 0 && this.#requests.outstanding >= requestThrottleMaxRequests;
  }

  /** Its connection has gone while it waited in front of the pipeline. The end of a session is never too late. */
  #isStale({ origin, type }: Request<ClientConnection>): boolean {
    const { requestThrottleMaxRequests, requestThrottleDropStale } = this.#config;
    if (requestThrottleMaxRequests === 0 || !requestThrottleDropStale) return false;
    return origin?.isClosed === true && type !== OpCode.closeSession;
  }

  /** Too old to be worth executing: answered in its session's order all the same. */
  #isTooLate({ type, arrivedAt }: ClientRequest<ClientConnection>): boolean {
    const { throttledOpWaitMs } = this.#config;
    if (throttledOpWaitMs === 0 || type === OpCode.ping || type === OpCode.closeSession) return false;
    return this.#clock.now() - arrivedAt > throttledOpWaitMs;
  }

  /** Takes a request in its session's order. */
  #admit(request: Request<ClientConnection>): void {
    const { sessionId, type } = request;
    if (!isFromClient(request)) {
      this.#propose(request);
      return;
    }
    // Credentials don't wait for the writes in front of them, and count from here on.
    if (type === OpCode.auth) return this.#authenticate(request);
    if (type === OpCode.sasl) return this.#answerSasl(request);
    if (request.origin.defer(request)) return;
    if (!this.#sessions.touch(sessionId, request.arrivedAt) && !this.#sessions.has(sessionId)) {
      request.origin.close(`its session ${toHex(sessionId)} is over`);
      return;
    }
    if (this.#isTooLate(request)) {
      this.#late.add(request);
      this.metrics.counters.throttled_ops++;
      if (this.#requests.accept(sessionId, request, false)) this.#execute(request);
      return;
    }
    // Behind the session's own end everything is refused, in its order, as a write is.
    const isWrite = WRITES.has(type) || (this.#sessions.isClosing(sessionId) && type !== OpCode.ping);
    const mayRun = this.#requests.accept(sessionId, request, isWrite || type === OpCode.sync);
    if (isWrite) this.#propose(request);
    else if (type === OpCode.sync) this.#sync(request);
    else if (mayRun) this.#execute(request);
  }

  #propose(request: Request<ClientConnection>): void {
    if (this.#status.kind !== 'serving') return;
    const { peer } = this.#status;
    const zxid = peer.nextZxid;
    const { quotas } = this.#database;
    const body = prepare(request, { zxid, changes: this.#changes, quotas, rules: this.#config, isOpen: this.#isOpen });
    for (const line of quotas.takeWarnings()) this.#runLog.warn(line);
    if (request.type === OpCode.closeSession) this.#sessions.setClosing(request.sessionId);
    const txn: Txn = {
      header: {
        sessionId: request.sessionId,
        cxid: request.xid,
        zxid,
        time: this.#clock.wallTime(),
        type: body.type,
      },
      body,
      digest: undefined,
    };
    txnCodec.write(this.#txnWriter, txn);
    this.#proposed.push({ txn, request });
    this.#perform(peer.step({ kind: 'propose', proposal: { zxid, bytes: this.#txnWriter.take() } }));
  }

  readonly #isOpen = (sessionId: SessionId): boolean =>
    this.#sessions.has(sessionId) && !this.#sessions.isClosing(sessionId);

  #sync(request: ClientRequest<ClientConnection>): void {
    if (this.#status.kind !== 'serving') return;
    const id = this.#nextSync++;
    this.#syncs.set(id, request);
    this.#perform(this.#status.peer.step({ kind: 'sync', id }));
  }

  #completeSync(id: number): void {
    const request = this.#syncs.get(id);
    assert(request !== undefined, 'REQ-2: a sync is completed once');
    this.#syncs.delete(id);
    this.#answer(request, (writer) => {
      operations.sync.response.write(writer, operations.sync.request.read(request.body));
    });
    this.#complete(request);
  }

  /** Executes what needs no agreement: reads, and what concerns only the connection. */
  #execute(request: ClientRequest<ClientConnection>): void {
    const { origin: connection, type, xid } = request;
    const isLate = this.#late.size > 0 && this.#late.delete(request);
    if (connection.cutOffIfOverrun()) return;
    if (isLate) {
      connection.startReply(xid, ZERO_ZXID);
      connection.endReply(ErrorCode.THROTTLED_OP);
      return;
    }
    switch (type) {
      case OpCode.ping:
        return this.#answer(request);
      case OpCode.setWatches:
      case OpCode.setWatches2:
        return this.#setWatches(request);
    }
    if (!READS.has(type)) return this.#refuse(request);
    const writer = connection.startReply(xid, this.#database.lastZxid);
    connection.endReply(read(request, this.#database.tree, this.#watches, writer));
    this.#recordAnswer(request, connection, this.metrics.summaries.readlatency);
  }

  /** No client may ask for it: the protocol's own answer, and the end of the connection. */
  #refuse({ origin: connection, xid, type }: ClientRequest<ClientConnection>): void {
    connection.startReply(xid, UNIMPLEMENTED_ZXID);
    connection.endReply(ErrorCode.UNIMPLEMENTED);
    connection.close(`it asked for ${opCodeName(type)}, which is no operation of the protocol`);
  }

  #setWatches(request: ClientRequest<ClientConnection>): void {
    const operation = request.type === OpCode.setWatches ? operations.setWatches : operations.setWatches2;
    this.#answer(request, () => {
      const wanted = operation.request.read(request.body);
      setWatches(wanted, this.#database.tree, this.#watches, request.origin, (watcher, type, path) =>
        watcher.notify(type, path),
      );
    });
  }

  /** Who proves nothing, or sends what can't be read, has the connection ended. */
  #authenticate({ origin: connection, xid, body }: ClientRequest<ClientConnection>): void {
    if (connection.isClosed) return;
    const packet = readOrUndefined(operations.auth.request, body);
    if (packet === undefined) return connection.close('unreadable credentials');
    const { scheme } = packet;
    const { hash } = this.#options;
    const { superDigest } = this.#config;
    const sha1 = (bytes: Uint8Array) => hash.sha1(bytes);
    const proved = authenticate(packet, { address: connection.remoteHost, superDigest, sha1 });
    const succeeded = proved !== undefined && connection.addIdentities(proved);
    connection.startReply(xid, ZERO_ZXID);
    connection.endReply(succeeded ? ErrorCode.OK : ErrorCode.AUTH_FAILED);
    if (succeeded) {
      const session = toHex(connection.sessionId);
      this.#runLog.info(`session ${session}: authentication by ${scheme} succeeded for ${connection.remote}`);
    } else connection.close(`authentication by ${scheme} failed`);
  }

  /** There is no SASL: like a server without a JAAS section, it answers that all is well and proves nothing. */
  #answerSasl({ origin: connection, xid, body }: ClientRequest<ClientConnection>): void {
    if (connection.isClosed) return;
    if (readOrUndefined(operations.sasl.request, body) === undefined) {
      connection.close('an unreadable SASL token');
      return;
    }
    operations.sasl.response.write(connection.startReply(xid, ZERO_ZXID), { token: null });
    connection.endReply(ErrorCode.OK);
  }

  // --- what was agreed on -------------------------------------------------------------------------------------------

  #deliver(proposal: Proposal): void {
    const proposed = this.#proposed.shift();
    assert(proposed?.txn.header.zxid === proposal.zxid, 'ZAB-2: deliveries are in the order of the proposals');
    const { txn, request } = proposed;
    const applied = this.#database.apply(txn);
    this.#changes.applied(proposal.zxid);
    // Events leave before any answer that could show the change.
    for (const change of applied.changes) {
      this.#firing = change;
      this.#watches.trigger(change, this.#tellWatcher);
      if (this.#told + this.#toldOfChildren > 0) this.#recordTold(change.type);
    }
    if (request.type === OpCode.closeSession) {
      this.#sessionClosed(request);
    } else if (isFromClient(request)) {
      this.#answerWrite(request, applied);
      this.#complete(request);
    } else if (request.type === OpCode.createSession) {
      this.#sessionCreated(request, txn);
    }
  }

  /** Tells one watcher, if it may read the znode that the event is about (CVE-2024-23944). */
  readonly #tellWatcher = (watcher: ClientConnection, type: EventType, path: string): void => {
    if (type === EventType.NodeChildrenChanged) this.#toldOfChildren++;
    else this.#told++;
    const change = this.#firing;
    const acl =
      type === EventType.NodeChildrenChanged && change && 'parentAcl' in change ? change.parentAcl : change?.acl;
    if (acl !== undefined && isAllowed(acl, Permission.READ, watcher)) watcher.notify(type, path);
  };

  /** Counts the watchers of one change. */
  #recordTold(type: Change['type']): void {
    const { summaries } = this.metrics;
    if (this.#toldOfChildren > 0) summaries.node_children_watch_count.record(this.#toldOfChildren);
    if (this.#told > 0) {
      if (type === EventType.NodeCreated) summaries.node_created_watch_count.record(this.#told);
      else if (type === EventType.NodeDeleted) summaries.node_deleted_watch_count.record(this.#told);
      else summaries.node_changed_watch_count.record(this.#told);
    }
    this.#told = 0;
    this.#toldOfChildren = 0;
  }

  #answerWrite(request: ClientRequest<ClientConnection>, applied: Applied): void {
    const { origin: connection, xid, type } = request;
    if (connection.isClosed) return;
    const writer = connection.startReply(xid, this.#database.lastZxid);
    if (applied.error === ErrorCode.OK) writeReplyBody(type, applied, this.#database, writer);
    connection.endReply(applied.error);
    this.#recordAnswer(request, connection, this.metrics.summaries.updatelatency);
  }

  /** Answers what concerns only the connection; a malformed body is answered with the protocol's code for it. */
  #answer(request: ClientRequest<ClientConnection>, act?: (writer: JuteWriter) => void): void {
    const { origin: connection, xid } = request;
    if (connection.isClosed) return;
    // A ping, of which there are many, has no body.
    const body = act && new JuteWriter();
    let error: ErrorCode = ErrorCode.OK;
    try {
      // First the act, for what it tells the connection comes before the reply.
      if (body !== undefined) act?.(body);
    } catch (failure) {
      if (!(failure instanceof MarshallingError)) throw failure;
      error = ErrorCode.MARSHALLING_ERROR;
    }
    const reply = connection.startReply(xid, this.#database.lastZxid);
    if (body !== undefined) reply.writeRaw(body.take());
    connection.endReply(error);
    this.#recordAnswer(request, connection, this.metrics.summaries.readlatency);
  }

  /** Counts an answer, for `srvr`, `cons` and the metrics. @param byKind of reads or of writes */
  #recordAnswer(
    { type, xid, arrivedAt }: Request<ClientConnection>,
    { statistics }: ClientConnection,
    byKind: Summary,
  ): void {
    const now = this.#clock.now();
    this.statistics.latency.record(now - arrivedAt);
    byKind.record(now - arrivedAt);
    statistics.recordAnswer(type, xid, this.#database.lastZxid, arrivedAt, now);
  }

  /** A request that others of its session may have waited for has been answered. */
  #complete(request: ClientRequest<ClientConnection>): void {
    for (const ready of this.#requests.complete(request.sessionId, request)) {
      if (isFromClient(ready)) this.#execute(ready);
    }
  }

  // --- sessions -----------------------------------------------------------------------------------------------------

  #createSession(connection: ClientConnection, timeoutMs: number): void {
    const sessionId = this.#nextSessionId;
    this.#nextSessionId = nextSessionId(sessionId);
    this.#sessions.add(sessionId, timeoutMs, this.#clock.now());
    this.#connections.hasAsked(connection);
    this.#joining.set(sessionId, connection);
    this.#ask(OpCode.createSession, sessionId, (writer) => writer.writeInt(timeoutMs));
  }

  #sessionCreated(request: Request<ClientConnection>, { header, body }: Txn): void {
    const { sessionId } = request;
    assert(body.type === OpCode.createSession, 'SES-1: a session is created by its own transaction');
    const connection = this.#joining.get(sessionId);
    this.#joining.delete(sessionId);
    if (connection === undefined || connection.isClosed) return;
    this.#join(connection, sessionId, body.timeoutMs);
    this.#recordAnswer(request, connection, this.metrics.summaries.updatelatency);
    this.#runLog.info(
      `session ${toHex(sessionId)} established for ${connection.remote}, timeout ${body.timeoutMs} ms, zxid ${toHex(header.zxid)}`,
    );
  }

  #reattach(connection: ClientConnection, { sessionId, password }: ConnectRequest, timeoutMs: number): void {
    this.metrics.counters.connection_revalidate_count++;
    if (!this.#isOpen(sessionId) || !isPasswordOf(sessionId, password)) {
      this.#runLog.info(`${connection.remote} asked for session ${toHex(sessionId)}, which it can't have`);
      connection.refuse();
      return;
    }
    this.#connections.of(sessionId)?.close(`session ${toHex(sessionId)} has moved to another connection`);
    this.#sessions.add(sessionId, timeoutMs, this.#clock.now());
    this.#connections.hasAsked(connection);
    this.#join(connection, sessionId, timeoutMs);
    this.#runLog.info(`session ${toHex(sessionId)} continued for ${connection.remote}, timeout ${timeoutMs} ms`);
  }

  #join(connection: ClientConnection, sessionId: SessionId, timeoutMs: number): void {
    this.#connections.serve(sessionId, connection);
    connection.establish({ sessionId, timeoutMs, password: passwordOf(sessionId) });
  }

  #sessionClosed(request: Request<ClientConnection>): void {
    const { sessionId } = request;
    this.#sessions.remove(sessionId);
    const connection = this.#connections.of(sessionId);
    if (isFromClient(request)) {
      this.#answer(request);
      this.#complete(request);
    }
    connection?.close(`session ${toHex(sessionId)} is closed`);
  }

  /** Something that the server asks of itself. */
  #ask(type: OpCode, sessionId: SessionId, writeBody: (writer: JuteWriter) => void = nothingToWrite): void {
    const writer = new JuteWriter(64);
    writeBody(writer);
    const body = new JuteReader(writer.take());
    this.#inbox.push({ origin: undefined, sessionId, xid: toXid(0), type, body, arrivedAt: this.#clock.now() });
    this.#askForTurn();
  }

  // --- time ---------------------------------------------------------------------------------------------------------

  #setAlarm(): void {
    if (this.#status.kind !== 'serving') return;
    const at = this.#nextDeadline();
    if (at >= this.#alarmAt) return;
    this.#alarmAt = at;
    this.#clock.setAlarm(at, () => this.#guard(() => this.#wake()));
  }

  #nextDeadline(): Millis {
    const sessions = Math.min(this.#sessions.nextDeadline(), this.#connections.nextDeadline());
    return Math.min(sessions, this.#nextContainerCheck, this.#nextPurge);
  }

  #wake(): void {
    const now = this.#clock.now();
    this.#alarmAt = Number.POSITIVE_INFINITY;
    this.#expireSessions(now);
    this.#endSessionlessConnections(now);
    if (now >= this.#nextContainerCheck) this.#removeContainers(now);
    if (now >= this.#nextPurge && this.#status.kind === 'serving') {
      this.#nextPurge = now + this.#config.purgeIntervalMs;
      this.#status.snapshots.purge();
    }
    this.#setAlarm();
  }

  /**
   * Ends a session as if its client had been silent for its whole timeout.
   * @returns false if there is no such session, or its end is under way
   */
  expireSession(sessionId: SessionId): boolean {
    if (this.#status.kind !== 'serving' || !this.#isOpen(sessionId)) return false;
    this.#runLog.info(`session ${toHex(sessionId)} expires, because that was asked for`);
    this.#sessions.setClosing(sessionId);
    this.#ask(OpCode.closeSession, sessionId);
    return true;
  }

  #expireSessions(now: Millis): void {
    for (const sessionId of this.#sessions.expired(now)) {
      this.#runLog.info(`session ${toHex(sessionId)} expires`);
      this.metrics.counters.stale_sessions_expired++;
      this.#ask(OpCode.closeSession, sessionId);
    }
  }

  #endSessionlessConnections(now: Millis): void {
    for (const connection of this.#connections.overdue(now)) {
      this.metrics.counters.sessionless_connections_expired++;
      connection.close(`no session within ${this.#config.sessionlessTimeoutMs} ms`);
    }
  }

  #removeContainers(now: Millis): void {
    const { containerCheckIntervalMs, containersPerMinuteMax, containerNeverUsedMsMax } = this.#config;
    this.#nextContainerCheck = now + containerCheckIntervalMs;
    const due = dueForRemoval(this.#database.tree, {
      now: this.#clock.wallTime(),
      max: Math.ceil((containersPerMinuteMax * containerCheckIntervalMs) / 60_000),
      neverUsedMsMax: containerNeverUsedMsMax,
    });
    for (const path of due) {
      this.#ask(OpCode.deleteContainer, NO_SESSION, (writer) => writer.writeString(path));
    }
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

/** Transactions are encoded into pieces of memory of this size. */
const TXN_CHUNK_BYTES = 64 * 1024;

const WRITES: ReadonlySet<number> = new Set([
  OpCode.create,
  OpCode.create2,
  OpCode.createContainer,
  OpCode.createTTL,
  OpCode.delete,
  OpCode.setData,
  OpCode.setACL,
  OpCode.check,
  OpCode.multi,
  OpCode.reconfig,
  OpCode.closeSession,
]);

/** What `request/read.ts` answers. */
const READS: ReadonlySet<number> = new Set([
  OpCode.exists,
  OpCode.getData,
  OpCode.getChildren,
  OpCode.getChildren2,
  OpCode.getACL,
  OpCode.multiRead,
  OpCode.getEphemerals,
  OpCode.getAllChildrenNumber,
  OpCode.whoAmI,
  OpCode.addWatch,
  OpCode.checkWatches,
  OpCode.removeWatches,
]);

/** What the original answers with to an operation that it doesn't know. */
const UNIMPLEMENTED_ZXID = toZxid(-1n);

const isFromClient = (request: Request<ClientConnection>): request is ClientRequest<ClientConnection> =>
  request.origin !== undefined;

/** A request, or undefined if it is malformed. */
function readOrUndefined<T>(codec: Codec<T>, body: JuteReader): T | undefined {
  try {
    return codec.read(body);
  } catch (error) {
    if (error instanceof MarshallingError) return undefined;
    throw error;
  }
}

const nothingToWrite = (): void => undefined;
