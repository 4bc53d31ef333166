import {
  JuteReader,
  JuteWriter,
  OpCode,
  type SessionId,
  type Txn,
  toHex,
  toXid,
  txn as txnCodec,
  type Zxid,
} from 'zookeeper-protocol-ts';
import type { ServerMetrics } from './admin/metrics.ts';
import type { Answers } from './answers.ts';
import type { ClientSessions } from './client-sessions.ts';
import type { ServerConfig } from './config.ts';
import type { ClientConnection } from './connection/client-connection.ts';
import type { ConnectionMemory } from './connection/connection-memory.ts';
import type { Connections } from './connection/connections.ts';
import type { Database } from './database.ts';
import { Fifo } from './fifo.ts';
import { assert } from './invariant.ts';
import type { Clock, Millis, RunLog } from './ports.ts';
import type { QuorumPeer } from './quorum-peer.ts';
import { OutstandingChanges } from './request/outstanding-changes.ts';
import { prepare } from './request/prepare.ts';
import { type ClientRequest, isFromClient, type Request } from './request/request.ts';
import { RequestThrottle } from './request/request-throttle.ts';
import { SessionRequests } from './request/session-requests.ts';
import type { TxnLog } from './storage/txn-log.ts';
import type { Upkeep } from './upkeep.ts';
import type { WatchNotifier } from './watch-notifier.ts';
import type { Output } from './zab/contract.ts';
import type { Proposal } from './zab/proposal.ts';

export interface PipelineOptions {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly runLog: RunLog;
  readonly metrics: ServerMetrics;
  readonly database: Database;
  readonly peer: QuorumPeer;
  readonly log: TxnLog;
  readonly sessions: ClientSessions;
  readonly connections: Connections;
  readonly connectionMemory: ConnectionMemory;
  readonly answers: Answers;
  readonly watchNotifier: WatchNotifier;
  readonly upkeep: Upkeep;
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
  readonly #runLog: RunLog;
  readonly #metrics: ServerMetrics;
  readonly #database: Database;
  readonly #peer: QuorumPeer;
  readonly #log: TxnLog;
  readonly #sessions: ClientSessions;
  readonly #connections: Connections;
  readonly #connectionMemory: ConnectionMemory;
  readonly #answers: Answers;
  readonly #watchNotifier: WatchNotifier;
  readonly #upkeep: Upkeep;
  readonly #throttle: RequestThrottle;
  readonly #changes: OutstandingChanges;
  readonly #requests = new SessionRequests<Request<ClientConnection>>();
  readonly #txnWriter = new JuteWriter(TXN_CHUNK_BYTES);

  /** What arrived since the last turn, and what the throttle keeps back. */
  #inbox: Request<ClientConnection>[] = [];
  /** Requests that are answered with THROTTLEDOP when their turn comes. */
  readonly #late = new Set<ClientRequest<ClientConnection>>();
  /** Connections of which a request was dropped: none behind it may be executed. Empty while nothing is kept back. */
  readonly #dropped = new Set<ClientConnection>();
  /** What was proposed and is not delivered yet, oldest first: the transactions behind the proposals' bytes. */
  readonly #proposed = new Fifo<{ readonly txn: Txn; readonly request: Request<ClientConnection> }>();
  readonly #syncs = new Map<number, ClientRequest<ClientConnection>>();
  #nextSync = 0;
  #stopped = false;

  constructor(options: PipelineOptions) {
    this.#config = options.config;
    this.#clock = options.clock;
    this.#runLog = options.runLog;
    this.#metrics = options.metrics;
    this.#database = options.database;
    this.#peer = options.peer;
    this.#log = options.log;
    this.#sessions = options.sessions;
    this.#connections = options.connections;
    this.#connectionMemory = options.connectionMemory;
    this.#answers = options.answers;
    this.#watchNotifier = options.watchNotifier;
    this.#upkeep = options.upkeep;
    this.#throttle = new RequestThrottle(options.config);
    this.#changes = new OutstandingChanges(options.database.tree);
  }

  /** Requests that wait for their outcome, or behind one that does. */
  get outstanding(): number {
    return this.#requests.outstanding;
  }

  /** By requests in process, as in the original (`globalOutstandingLimit`), and by bytes that wait for the disk. */
  get isOverloaded(): boolean {
    const { globalOutstandingLimit, logQueuedBytesMax } = this.#config;
    if (this.#inbox.length + this.#requests.outstanding > globalOutstandingLimit) return true;
    return this.#log.queuedBytes > logQueuedBytesMax;
  }

  /** Whether something waits for a turn. */
  get hasInbox(): boolean {
    return this.#inbox.length > 0;
  }

  /** A request has arrived: it is taken in the next turn. */
  add(request: Request<ClientConnection>): void {
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
      taken++;
      if (!this.#dropIfStale(request, now)) this.#admit(request, now);
    }
    if (taken < inbox.length) {
      this.#metrics.counters.request_throttle_wait_count++;
      this.#inbox = [...inbox.slice(taken), ...this.#inbox];
    } else this.#dropped.clear();
  }

  /** The log is durable up to here. */
  onSynced(zxid: Zxid): void {
    this.#perform(this.#peer.step({ kind: 'synced', zxid }));
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
  #dropIfStale(request: Request<ClientConnection>, now: Millis): boolean {
    const { origin } = request;
    if (origin === undefined) return false;
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
  #admit(request: Request<ClientConnection>, now: Millis): void {
    const { sessionId, type } = request;
    if (!isFromClient(request)) {
      this.#propose(request);
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
    if (isWrite) this.#propose(request);
    else if (type === OpCode.sync) this.#sync(request);
    else if (mayRun) this.#execute(request);
  }

  #propose(request: Request<ClientConnection>): void {
    if (this.#stopped) return;
    const zxid = this.#peer.nextZxid;
    const { quotas } = this.#database;
    const { isOpen } = this.#sessions;
    const body = prepare(request, { zxid, changes: this.#changes, quotas, rules: this.#config, isOpen });
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
    this.#perform(this.#peer.step({ kind: 'propose', proposal: { zxid, bytes: this.#txnWriter.take() } }));
  }

  #sync(request: ClientRequest<ClientConnection>): void {
    if (this.#stopped) return;
    const id = this.#nextSync++;
    this.#syncs.set(id, request);
    this.#perform(this.#peer.step({ kind: 'sync', id }));
  }

  // --- what agreement asks for --------------------------------------------------------------------------------------

  #perform(outputs: readonly Output[]): void {
    for (const output of outputs) {
      if (this.#stopped) return;
      switch (output.kind) {
        case 'append':
          this.#append(output.proposal);
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

  #append({ zxid, bytes }: Proposal): void {
    this.#log.append(zxid, bytes);
    this.#upkeep.onAppended(bytes.length);
  }

  #deliver(proposal: Proposal): void {
    const proposed = this.#proposed.shift();
    assert(proposed?.txn.header.zxid === proposal.zxid, 'ZAB-2: deliveries are in the order of the proposals');
    const { txn, request } = proposed;
    const applied = this.#database.apply(txn);
    this.#changes.applied(proposal.zxid);
    // Events leave before any answer that could show the change.
    for (const change of applied.changes) this.#watchNotifier.tell(change);
    if (request.type === OpCode.closeSession) {
      this.#closeSession(request);
    } else if (isFromClient(request)) {
      this.#answers.answerWrite(request, applied);
      this.#complete(request);
    } else if (request.type === OpCode.createSession) {
      this.#sessions.onCreated(request, txn);
    }
  }

  #closeSession(request: Request<ClientConnection>): void {
    const connection = this.#sessions.onClosed(request.sessionId);
    if (isFromClient(request)) {
      this.#answers.answerClose(request);
      this.#complete(request);
    }
    connection?.close(`session ${toHex(request.sessionId)} is closed`);
  }

  #completeSync(id: number): void {
    const request = this.#syncs.get(id);
    assert(request !== undefined, 'REQ-2: a sync is completed once');
    this.#syncs.delete(id);
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

const nothingToWrite = (): void => undefined;
