import { JuteReader, JuteWriter, OpCode, type SessionId, toHex, toXid } from 'zookeeper-protocol-ts';
import type { ServerMetrics } from './admin/metrics.ts';
import type { Answers } from './answers.ts';
import type { ClientSessions } from './client-sessions.ts';
import type { ServerConfig } from './config.ts';
import type { ClientConnection } from './connection/client-connection.ts';
import type { ConnectionMemory } from './connection/connection-memory.ts';
import type { Connections } from './connection/connections.ts';
import type { Database } from './database.ts';
import { ForwardedOrigin } from './forwarded-origin.ts';
import type { Clock, Millis } from './ports.ts';
import type { ClientRequest, Request } from './request/request.ts';
import { RequestThrottle } from './request/request-throttle.ts';
import { SessionRequests } from './request/session-requests.ts';
import type { WatchNotifier } from './watch-notifier.ts';
import type { Writes } from './writes.ts';
import type { Proposal } from './zab/proposal.ts';

export interface PipelineOptions {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly metrics: ServerMetrics;
  readonly database: Database;
  readonly writes: PipelineWrites;
  /** A sync of another server's client is completed. */
  readonly tellSynced: (client: ForwardedOrigin) => void;
  /** Of the log: what is not durable yet. */
  readonly queuedBytes: () => number;
  /** What was proposed so far leaves for the disk and the other servers. */
  readonly flushProposals: () => void;
  readonly sessions: ClientSessions;
  readonly connections: Connections;
  readonly connectionMemory: ConnectionMemory;
  readonly answers: Answers;
  readonly watchNotifier: WatchNotifier;
}

/**
 * The way of a request through the server: arrival → its session's line → a write: prepare → propose → log → deliver → answer;
 * a read: answer. One pipeline for clients and for what the server asks of itself. It decides nothing that the parts it joins
 * decide: what a write becomes (`request/prepare.ts`), what is agreed on (`quorum-peer.ts`), what it changes (`database.ts`),
 * what is answered (`answers.ts`).
 */
export class Pipeline {
  readonly #config: ServerConfig;
  readonly #clock: Clock;
  readonly #metrics: ServerMetrics;
  readonly #database: Database;
  readonly #writes: PipelineWrites;
  readonly #tellSynced: (client: ForwardedOrigin) => void;
  readonly #queuedBytes: () => number;
  readonly #flushProposals: () => void;
  readonly #sessions: ClientSessions;
  readonly #connections: Connections;
  readonly #connectionMemory: ConnectionMemory;
  readonly #answers: Answers;
  readonly #watchNotifier: WatchNotifier;
  readonly #throttle: RequestThrottle;
  readonly #requests = new SessionRequests<PipelineRequest>();

  /** What arrived since the last turn, and what the throttle keeps back. */
  #inbox: PipelineRequest[] = [];
  /** Requests that are answered with THROTTLEDOP when their turn comes. */
  readonly #late = new Set<ClientRequest<ClientConnection>>();
  /** Connections of which a request was dropped: none behind it may be executed. Empty while nothing is kept back. */
  readonly #dropped = new Set<ClientConnection>();
  #stopped = false;

  constructor(options: PipelineOptions) {
    this.#config = options.config;
    this.#clock = options.clock;
    this.#metrics = options.metrics;
    this.#database = options.database;
    this.#writes = options.writes;
    this.#tellSynced = options.tellSynced;
    this.#queuedBytes = options.queuedBytes;
    this.#flushProposals = options.flushProposals;
    this.#sessions = options.sessions;
    this.#connections = options.connections;
    this.#connectionMemory = options.connectionMemory;
    this.#answers = options.answers;
    this.#watchNotifier = options.watchNotifier;
    this.#throttle = new RequestThrottle(options.config);
  }

  /** Requests that wait for their outcome, or behind one that does. */
  get outstanding(): number {
    return this.#requests.outstanding;
  }

  /** By requests in process, as in the original (`globalOutstandingLimit`), and by bytes that wait for the disk. */
  get isOverloaded(): boolean {
    const { globalOutstandingLimit, logQueuedBytesMax } = this.#config;
    if (this.#inbox.length + this.#requests.outstanding > globalOutstandingLimit) return true;
    return this.#queuedBytes() > logQueuedBytesMax;
  }

  /** Whether a turn would take something; what the throttle keeps back is taken when something else is done. */
  get wantsTurn(): boolean {
    return this.#inbox.length > 0 && !this.#throttle.isFull(this.#requests.outstanding);
  }

  /** A request has arrived: it is taken in the next turn. */
  add(request: PipelineRequest): void {
    this.#inbox.push(request);
  }

  /** Something that the server asks of itself. */
  ask(type: OpCode, sessionId: SessionId, writeBody: (writer: JuteWriter) => void = nothingToWrite): void {
    const writer = new JuteWriter(64);
    writeBody(writer);
    const body = new JuteReader(writer.take());
    this.add({ origin: undefined, sessionId, xid: toXid(0), type, body, arrivedAt: this.#clock.now() });
  }

  /** Takes all that has arrived, as far as the throttle lets it. */
  turn(): void {
    const inbox = this.#inbox;
    this.#inbox = [];
    const now = this.#clock.now();
    let taken = 0;
    for (const request of inbox) {
      if (this.#throttle.isFull(this.#requests.outstanding)) break;
      // The disk is at work on the first half while the second is prepared; else the two take turns.
      if (taken === inbox.length >> 1 && taken >= HALF_MIN) this.#flushProposals();
      taken++;
      if (!this.#dropIfStale(request, now)) this.#admit(request, now);
    }
    if (taken < inbox.length) {
      this.#metrics.counters.request_throttle_wait_count++;
      this.#inbox = [...inbox.slice(taken), ...this.#inbox];
    } else this.#dropped.clear();
  }

  /** The server stops: nothing more is done, also of what is being done. */
  stop(): void {
    this.#stopped = true;
  }

  // --- before agreement ---------------------------------------------------------------------------------------------

  /**
   * Who is to be answered has gone, or has waited too long, while the request stood in front of the pipeline. Then nothing
   * behind it may be executed either: the connection ends.
   */
  #dropIfStale(request: PipelineRequest, now: Millis): boolean {
    if (!isFromClient(request)) return false;
    const { origin } = request;
    if (this.#dropped.size > 0 && this.#dropped.has(origin)) return true;
    if (!this.#throttle.isStale(request, now)) return false;
    if (!this.#throttle.dropsStale) {
      this.#metrics.counters.stale_requests++;
      return false;
    }
    this.#metrics.counters.stale_requests_dropped++;
    this.#dropped.add(origin);
    origin.close('a request of it waited for too long (request_throttle_drop_stale)');
    return true;
  }

  /** Takes a request in its session's order. */
  #admit(request: PipelineRequest, now: Millis): void {
    const { sessionId, type } = request;
    if (!isFromClient(request)) {
      if (type === OpCode.sync) this.#sync(request);
      else this.#submit(request);
      return;
    }
    // Credentials don't wait for the writes in front of them, and count from here on.
    if (type === OpCode.auth) return this.#answers.authenticate(request);
    if (type === OpCode.sasl) return this.#answers.answerSasl(request);
    if (request.origin.defer(request)) return;
    if (!this.#sessions.touch(sessionId, request.arrivedAt)) {
      request.origin.close(`its session ${toHex(sessionId)} is over`);
      return;
    }
    if (this.#throttle.isTooLate(request, now)) {
      this.#late.add(request);
      this.#metrics.counters.throttled_ops++;
      if (this.#requests.accept(sessionId, request, false)) this.#execute(request);
      return;
    }
    // Behind the session's own end everything is refused, in its order, as a write is.
    const isWrite = WRITES.has(type) || (this.#sessions.isClosing(sessionId) && type !== OpCode.ping);
    const mayRun = this.#requests.accept(sessionId, request, isWrite || type === OpCode.sync);
    if (isWrite) this.#submit(request);
    else if (type === OpCode.sync) this.#sync(request);
    else if (mayRun) this.#execute(request);
  }

  #submit(request: PipelineRequest): void {
    if (!this.#stopped) this.#writes.submit(request);
  }

  #sync(request: PipelineRequest): void {
    if (!this.#stopped) this.#writes.sync(request);
  }

  // --- what was agreed on -------------------------------------------------------------------------------------------

  /** A proposal was agreed on. */
  deliver(proposal: Proposal): void {
    const { txn, request } = this.#writes.onDeliver(proposal);
    const applied = this.#database.apply(txn);
    this.#writes.onApplied(proposal);
    // Events leave before any answer that could show the change.
    for (const change of applied.changes) this.#watchNotifier.tell(change);
    const { type } = txn.header;
    if (type === OpCode.closeSession) {
      this.#closeSession(txn.header.sessionId, request);
    } else if (request !== undefined && isFromClient(request)) {
      this.#answers.answerWrite(request, applied);
      this.#complete(request);
    }
    if (type === OpCode.createSession) this.#sessions.onCreated(txn, request);
  }

  #closeSession(sessionId: SessionId, request: PipelineRequest | undefined): void {
    const connection = this.#sessions.onClosed(sessionId);
    if (request !== undefined && isFromClient(request)) {
      this.#answers.answerClose(request);
      this.#complete(request);
    }
    connection?.close(`session ${toHex(sessionId)} is closed`);
  }

  /** All that was agreed on before the sync was asked for has arrived. */
  completeSync(request: PipelineRequest): void {
    if (request.origin instanceof ForwardedOrigin) this.#tellSynced(request.origin);
    if (!isFromClient(request)) return;
    this.#answers.answerSync(request);
    this.#complete(request);
  }

  /** A request that others of its session may have waited for has been answered. */
  #complete(request: ClientRequest<ClientConnection>): void {
    for (const ready of this.#requests.complete(request.sessionId, request)) {
      if (isFromClient(ready)) this.#execute(ready);
    }
  }

  #execute(request: ClientRequest<ClientConnection>): void {
    // Not only at the end of the turn: many may ask for large answers in one.
    while (this.#connectionMemory.isOutboundOver) this.#connections.cutOffSlowest();
    if (this.#late.size > 0 && this.#late.delete(request)) this.#answers.refuseLate(request);
    else this.#answers.execute(request);
  }
}

/** Of a client of this server, of another server's, or the server's own. */
export type PipelineRequest = Request<ClientConnection | ForwardedOrigin>;
export type PipelineWrites = Writes<PipelineRequest>;

/** So many requests make half of a turn that is worth a sync of its own. */
const HALF_MIN = 16;

const isFromClient = (request: PipelineRequest): request is ClientRequest<ClientConnection> =>
  request.origin !== undefined && !(request.origin instanceof ForwardedOrigin);

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

const nothingToWrite = (): void => undefined;
