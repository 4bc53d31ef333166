import {
  AddWatchMode,
  type ConnectRequest,
  ErrorCode,
  EventType,
  isOpCode,
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
  type Zxid,
} from 'zookeeper-protocol-ts';
import { answerFourLetterWord } from './admin/four-letter-words.ts';
import { LatencyStatistics } from './admin/latency.ts';
import type { ServerConfig } from './config.ts';
import { ClientConnection, type ConnectionOwner } from './connection/client-connection.ts';
import { type Applied, type Change, Database } from './database.ts';
import { Ensemble } from './ensemble.ts';
import { assert } from './invariant.ts';
import type { Address, Clock, Closeable, Disk, Millis, Network, Random, RunLog, Stream } from './ports.ts';
import { QuorumPeer } from './quorum-peer.ts';
import { OutstandingChanges } from './request/outstanding-changes.ts';
import { prepare } from './request/prepare.ts';
import { read } from './request/read.ts';
import { writeReplyBody } from './request/reply.ts';
import type { ClientRequest, Request } from './request/request.ts';
import { SessionRequests } from './request/session-requests.ts';
import { setWatches } from './request/set-watches.ts';
import { firstSessionId, isPasswordOf, nextSessionId, passwordOf } from './session/session-id.ts';
import { SessionTracker } from './session/session-tracker.ts';
import { type Recovered, recover } from './storage/recovery.ts';
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
  readonly random: Random;
  readonly runLog: RunLog;
  /** The server can't go on, and has stopped serving: its log can't be written, or an invariant is broken. Called once. */
  readonly onFailure: (error: Error) => void;
}

type Status =
  | { readonly kind: 'new' }
  | { readonly kind: 'recovering' }
  | { readonly kind: 'serving'; readonly peer: QuorumPeer; readonly log: TxnLog; readonly listener: Closeable }
  | { readonly kind: 'stopped' };

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

  readonly #database = new Database();
  readonly #changes = new OutstandingChanges(this.#database.tree);
  readonly #watches = new WatchTable<ClientConnection>();
  readonly #requests = new SessionRequests<Request<ClientConnection>>();
  readonly #sessions: SessionTracker;
  readonly #txnWriter = new JuteWriter(TXN_CHUNK_BYTES);

  #status: Status = { kind: 'new' };
  #nextSessionId: SessionId = NO_SESSION;

  /** What arrived since the last turn. */
  #inbox: Request<ClientConnection>[] = [];
  /** Connections with something to flush at the end of the turn. */
  readonly #written = new Set<ClientConnection>();
  #turnAsked = false;
  /** When the alarm is set to ring; the clock is asked again only for an earlier one. */
  #alarmAt: Millis = Number.POSITIVE_INFINITY;

  /** What was proposed and is not delivered yet, oldest first: the transactions behind the proposals' bytes. */
  readonly #proposed: { readonly txn: Txn; readonly request: Request<ClientConnection> }[] = [];
  readonly #syncs = new Map<number, ClientRequest<ClientConnection>>();
  #nextSync = 0;

  readonly #connections = new Set<ClientConnection>();
  /** Those without a session, oldest first, and until when they have to have one. */
  readonly #sessionless = new Map<ClientConnection, Millis>();
  readonly #connectionOf = new Map<SessionId, ClientConnection>();
  /** Connections whose session is being created. */
  readonly #joining = new Map<SessionId, ClientConnection>();
  readonly #connectionsFrom = new Map<string, number>();

  readonly #latency = new LatencyStatistics();
  #received = 0;
  #sent = 0;
  #nextContainerCheck: Millis;
  /** The change whose watches are being told. */
  #firing: Change | undefined;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#clock = options.clock;
    this.#runLog = options.runLog;
    const now = this.#clock.now();
    this.#sessions = new SessionTracker({ tickMs: this.#config.tickTimeMs, now });
    this.#nextContainerCheck = now + this.#config.containerCheckIntervalMs;
  }

  /** The replicated state, to look at. */
  get database(): Database {
    return this.#database;
  }

  /**
   * Recovers from the log, then listens.
   * @param started called once, with the address that it listens on, or why it can't start
   */
  start(started: (outcome: { readonly address: Address } | { readonly error: Error }) => void): void {
    assert(this.#status.kind === 'new', 'SERVER-1: a server is started once');
    this.#status = { kind: 'recovering' };
    recover(this.#options.logDisk, this.#database, (outcome) => {
      if (this.#status.kind !== 'recovering') return;
      if ('error' in outcome) {
        this.#status = { kind: 'stopped' };
        started(outcome);
        return;
      }
      this.#tellRecovery(outcome.recovered);
      this.#serve(started);
    });
  }

  #tellRecovery({ transactions, files, tornTails, emptyFiles, lastZxid }: Recovered): void {
    for (const { file, offset, problem } of tornTails) {
      this.#runLog.warn(`${file} ends in the remains of an unfinished write: cut at byte ${offset} (${problem})`);
    }
    for (const file of emptyFiles) this.#runLog.warn(`${file} holds no transaction: removed`);
    if (files.length === 0) return;
    this.#runLog.info(
      `recovered ${transactions} transactions from ${files.length} logs, up to zxid ${toHex(lastZxid)}`,
    );
  }

  #serve(started: (outcome: { readonly address: Address } | { readonly error: Error }) => void): void {
    const { logDisk, network } = this.#options;
    const lastZxid = this.#database.lastZxid;
    const self = toServerId(this.#config.serverId);
    const peer = new QuorumPeer({ self, ensemble: new Ensemble([self]), lastZxid });
    const log = new TxnLog({
      disk: logDisk,
      lastZxid,
      preallocateBytes: this.#config.preallocateBytes,
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
    this.#status = { kind: 'serving', peer, log, listener };
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
    for (const connection of [...this.#connections]) connection.close('the server stops');
    this.#clock.setAlarm(Number.POSITIVE_INFINITY, () => undefined);
    status.log.close(closed);
  }

  // --- what arrives -------------------------------------------------------------------------------------------------

  #onStream(stream: Stream): ClientConnection | undefined {
    if (this.#status.kind !== 'serving') return undefined;
    const from = stream.remote.host;
    const count = (this.#connectionsFrom.get(from) ?? 0) + 1;
    const { maxClientCnxns } = this.#config;
    if (maxClientCnxns > 0 && count > maxClientCnxns) {
      this.#runLog.warn(`too many connections from ${from}: ${maxClientCnxns} are allowed (maxClientCnxns)`);
      return undefined;
    }
    this.#connectionsFrom.set(from, count);
    const connection = new ClientConnection(this, stream, { frameBytesMax: this.#config.frameBytesMax });
    this.#connections.add(connection);
    this.#sessionless.set(connection, this.#clock.now() + this.#config.sessionlessTimeoutMs);
    this.#setAlarm();
    return connection;
  }

  now(): Millis {
    return this.#clock.now();
  }

  onConnectRequest(connection: ClientConnection, request: ConnectRequest): void {
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
    this.#received++;
    this.#inbox.push(request);
    this.#askForTurn();
  }

  onFourLetterWord(connection: ClientConnection, word: string): void {
    this.#received++;
    this.#sent++;
    connection.answer(
      answerFourLetterWord(word, this.#config.fourLetterWords, {
        latency: this.#latency.summary(),
        received: this.#received,
        sent: this.#sent,
        connections: this.#connections.size,
        outstanding: this.#requests.outstanding,
        lastZxid: this.#database.lastZxid,
        mode: this.#status.kind === 'serving' ? this.#status.peer.role : 'standalone',
        nodeCount: this.#database.tree.nodeCount,
      }),
    );
  }

  onWritten(connection: ClientConnection): void {
    this.#sent++;
    this.#written.add(connection);
    this.#askForTurn();
  }

  onClosed(connection: ClientConnection, sessionId: SessionId, reason: string): void {
    this.#runLog.info(`connection of ${connection.remote} ended: ${reason}`);
    this.#connections.delete(connection);
    this.#sessionless.delete(connection);
    this.#written.delete(connection);
    this.#watches.removeWatcher(connection);
    const from = connection.remoteHost;
    const count = (this.#connectionsFrom.get(from) ?? 1) - 1;
    if (count === 0) this.#connectionsFrom.delete(from);
    else this.#connectionsFrom.set(from, count);
    if (this.#connectionOf.get(sessionId) === connection) this.#connectionOf.delete(sessionId);
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
    this.#runLog.error(`this server stops: ${error.message}`);
    if (status.kind === 'serving') status.listener.close();
    for (const connection of [...this.#connections]) connection.close('the server has failed');
    this.#options.onFailure(error);
  }

  // --- a turn -------------------------------------------------------------------------------------------------------

  #turn(): void {
    this.#turnAsked = false;
    const inbox = this.#inbox;
    this.#inbox = [];
    for (const request of inbox) this.#admit(request);
    if (this.#status.kind === 'serving') this.#status.log.flush();
    this.#flush();
    this.#setAlarm();
  }

  #onSynced(zxid: Zxid): void {
    if (this.#status.kind !== 'serving') return;
    this.#perform(this.#status.peer.step({ kind: 'synced', zxid }));
    this.#flush();
  }

  #flush(): void {
    for (const connection of this.#written) connection.flush();
    this.#written.clear();
  }

  #perform(outputs: readonly Output[]): void {
    for (const output of outputs) {
      if (this.#status.kind !== 'serving') return;
      switch (output.kind) {
        case 'append':
          this.#status.log.append(output.proposal.zxid, output.proposal.bytes);
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

  /** Takes a request in its session's order. */
  #admit(request: Request<ClientConnection>): void {
    const { sessionId, type } = request;
    if (!isFromClient(request)) {
      this.#propose(request);
      return;
    }
    if (!this.#sessions.touch(sessionId, request.arrivedAt) && !this.#sessions.has(sessionId)) {
      request.origin.close(`its session ${toHex(sessionId)} is over`);
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
    const body = prepare(request, { zxid, changes: this.#changes, isOpen: this.#isOpen });
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
    if (connection.isClosed) return;
    switch (type) {
      case OpCode.ping:
        return this.#answer(request);
      case OpCode.setWatches:
      case OpCode.setWatches2:
        return this.#setWatches(request);
      case OpCode.addWatch:
        return this.#addWatch(request);
    }
    if (!READS.has(type)) return this.#refuse(request);
    const writer = connection.startReply(xid, this.#database.lastZxid);
    connection.endReply(read(request, this.#database.tree, this.#watches, writer));
    this.#latency.record(this.#clock.now() - request.arrivedAt);
  }

  /** What isn't there yet gets the protocol's own answer; what no client may ask ends the connection, too. */
  #refuse({ origin: connection, xid, type }: ClientRequest<ClientConnection>): void {
    connection.startReply(xid, UNIMPLEMENTED_ZXID);
    connection.endReply(ErrorCode.UNIMPLEMENTED);
    const known = isOpCode(type) && !INTERNAL.has(type);
    this.#runLog.warn(`${connection.remote} asked for ${opCodeName(type)}, which this server doesn't implement`);
    if (!known) connection.close(`unknown operation ${type}`);
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

  #addWatch(request: ClientRequest<ClientConnection>): void {
    this.#answer(request, (writer) => {
      const { path, mode } = operations.addWatch.request.read(request.body);
      if (mode !== AddWatchMode.PERSISTENT && mode !== AddWatchMode.PERSISTENT_RECURSIVE) {
        throw new MarshallingError(`${mode} is not a mode of addWatch`);
      }
      this.#watches.addPersistent(path, mode, request.origin);
      operations.addWatch.response.write(writer, { err: ErrorCode.OK });
    });
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
    }
    switch (request.type) {
      case OpCode.createSession:
        return this.#sessionCreated(request, txn);
      case OpCode.closeSession:
        return this.#sessionClosed(request);
    }
    if (!isFromClient(request)) return;
    this.#answerWrite(request, applied);
    this.#complete(request);
  }

  /** Tells one watcher, if it may read the znode that the event is about (CVE-2024-23944). */
  readonly #tellWatcher = (watcher: ClientConnection, type: EventType, path: string): void => {
    const change = this.#firing;
    const acl =
      type === EventType.NodeChildrenChanged && change && 'parentAcl' in change ? change.parentAcl : change?.acl;
    if (acl !== undefined && isAllowed(acl, Permission.READ, watcher.identities)) watcher.notify(type, path);
  };

  #answerWrite(request: ClientRequest<ClientConnection>, applied: Applied): void {
    const { origin: connection, xid, type } = request;
    if (connection.isClosed) return;
    const writer = connection.startReply(xid, this.#database.lastZxid);
    if (applied.error === ErrorCode.OK) writeReplyBody(type, applied, this.#database, writer);
    connection.endReply(applied.error);
    this.#latency.record(this.#clock.now() - request.arrivedAt);
  }

  /** Answers what concerns only the connection; a malformed body is answered with the protocol's code for it. */
  #answer(request: ClientRequest<ClientConnection>, act: (writer: JuteWriter) => void = nothingToWrite): void {
    const { origin: connection, xid } = request;
    if (connection.isClosed) return;
    const body = new JuteWriter();
    let error: ErrorCode = ErrorCode.OK;
    try {
      // First the act, for what it tells the connection comes before the reply.
      act(body);
    } catch (failure) {
      if (!(failure instanceof MarshallingError)) throw failure;
      error = ErrorCode.MARSHALLING_ERROR;
    }
    connection.startReply(xid, this.#database.lastZxid).writeRaw(body.take());
    connection.endReply(error);
    this.#latency.record(this.#clock.now() - request.arrivedAt);
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
    this.#sessionless.delete(connection);
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
    this.#runLog.info(
      `session ${toHex(sessionId)} established for ${connection.remote}, timeout ${body.timeoutMs} ms, zxid ${toHex(header.zxid)}`,
    );
  }

  #reattach(connection: ClientConnection, { sessionId, password }: ConnectRequest, timeoutMs: number): void {
    if (!this.#isOpen(sessionId) || !isPasswordOf(sessionId, password)) {
      this.#runLog.info(`${connection.remote} asked for session ${toHex(sessionId)}, which it can't have`);
      connection.refuse();
      return;
    }
    this.#connectionOf.get(sessionId)?.close(`session ${toHex(sessionId)} has moved to another connection`);
    this.#sessions.add(sessionId, timeoutMs, this.#clock.now());
    this.#sessionless.delete(connection);
    this.#join(connection, sessionId, timeoutMs);
    this.#runLog.info(`session ${toHex(sessionId)} continued for ${connection.remote}, timeout ${timeoutMs} ms`);
  }

  #join(connection: ClientConnection, sessionId: SessionId, timeoutMs: number): void {
    this.#connectionOf.set(sessionId, connection);
    connection.establish({ sessionId, timeoutMs, password: passwordOf(sessionId) });
  }

  #sessionClosed(request: Request<ClientConnection>): void {
    const { sessionId } = request;
    this.#sessions.remove(sessionId);
    const connection = this.#connectionOf.get(sessionId);
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
    const at = Math.min(this.#sessions.nextDeadline(), this.#nextContainerCheck);
    for (const deadline of this.#sessionless.values()) return Math.min(at, deadline);
    return at;
  }

  #wake(): void {
    const now = this.#clock.now();
    this.#alarmAt = Number.POSITIVE_INFINITY;
    this.#expireSessions(now);
    this.#endSessionlessConnections(now);
    if (now >= this.#nextContainerCheck) this.#removeContainers(now);
    this.#setAlarm();
  }

  #expireSessions(now: Millis): void {
    for (const sessionId of this.#sessions.expired(now)) {
      this.#runLog.info(`session ${toHex(sessionId)} expires`);
      this.#ask(OpCode.closeSession, sessionId);
    }
  }

  #endSessionlessConnections(now: Millis): void {
    for (const [connection, deadline] of this.#sessionless) {
      if (deadline > now) return;
      connection.close(`no session within ${this.#config.sessionlessTimeoutMs} ms`);
    }
  }

  #removeContainers(now: Millis): void {
    this.#nextContainerCheck = now + this.#config.containerCheckIntervalMs;
    for (const path of dueForRemoval(this.#database.tree, { now: this.#clock.wallTime(), neverUsedMsMax: 0 })) {
      this.#ask(OpCode.deleteContainer, NO_SESSION, (writer) => writer.writeString(path));
    }
  }
}

/** Transactions are encoded into pieces of memory of this size. */
const TXN_CHUNK_BYTES = 64 * 1024;

const WRITES: ReadonlySet<number> = new Set([
  OpCode.create,
  OpCode.create2,
  OpCode.createContainer,
  OpCode.delete,
  OpCode.setData,
  OpCode.closeSession,
]);

const READS: ReadonlySet<number> = new Set([OpCode.exists, OpCode.getData, OpCode.getChildren, OpCode.getChildren2]);

/** Operation codes that only a server uses. */
const INTERNAL: ReadonlySet<number> = new Set([
  OpCode.notification,
  OpCode.error,
  OpCode.createSession,
  OpCode.deleteContainer,
]);

/** What the original answers with to an operation that it doesn't know. */
const UNIMPLEMENTED_ZXID = toZxid(-1n);

const isFromClient = (request: Request<ClientConnection>): request is ClientRequest<ClientConnection> =>
  request.origin !== undefined;

const nothingToWrite = (): void => undefined;
