/**
 * The session machine: one session with an ensemble, over one connection after the other (ZooKeeper's `ClientCnxn`). Callbacks
 * only: no promise, no clock or socket but the ports.
 *
 * What must always hold:
 * - Every request is answered exactly once: by `onReply`, or by `onFailure`.
 * - Answers come in the order of the requests. One that doesn't is the end of the connection, never of another request.
 * - While connected, the server cannot have expired the session: whatever puts that in doubt ends the connection. Deadlines are
 *   compared with the clock when something arrives as well as when a timer fires, so a process that was frozen notices first.
 * - The handler and the requests are called back in the middle of things: they take note, and call nothing of the user's.
 *
 * A request that is made while there is no connection waits for the attempt that is under way, or for the next one. If that
 * fails it fails with CONNECTION_LOSS, like those in flight when a connection breaks: as in ZooKeeper's Java client.
 */
import {
  connectResponse,
  ErrorCode,
  errorCodeName,
  FRAME_BYTES_MAX_DEFAULT,
  FrameReader,
  type JuteReader,
  KeeperState,
  NO_SESSION,
  OpCode,
  PASSWORD_BYTES,
  replyHeader,
  type SessionId,
  SpecialXid,
  watcherEvent,
  ZERO_ZXID,
  type Zxid,
} from 'zookeeper-protocol-ts';
import { ConnectionLossError, FrameTooLargeError, MarshallingFailedError, type ZooKeeperError } from '../errors.ts';
import { hostName } from './connect-string.ts';
import { HostList } from './host-list.ts';
import { toCloseRequest, toRestoringRequests } from './own-requests.ts';
import { ReadWriteProbe } from './read-write-probe.ts';
import { RequestWriter } from './request-writer.ts';
import type { SessionHandler, SessionOptions } from './session-options.ts';
import { CLOSED_BY_SERVER, type Connected, type Link, type Phase } from './session-phase.ts';
import {
  type Credential,
  describe,
  END_STATE,
  type EndReason,
  endError,
  type SessionRequest,
} from './session-request.ts';
import { pauseBeforeMs, pingAfterMs, readTimeoutMs } from './session-timing.ts';
import type { HostAddress, Ports, Timer } from './transport.ts';

/**
 * What the session is doing. `NOT_CONNECTED`: it waits before the next attempt. `CLOSED`: closed, expired or abandoned. The last
 * two are final.
 */
export type SessionState =
  | 'NOT_CONNECTED'
  | 'CONNECTING'
  | 'CONNECTED'
  | 'CONNECTED_READ_ONLY'
  | 'AUTH_FAILED'
  | 'CLOSED';

/** Requests of one tick leave in one write, unless they come to more than this. */
const WRITE_BYTES_MAX = 1 << 20;

export class Session {
  readonly #hosts: HostList;
  readonly #ports: Ports;
  readonly #handler: SessionHandler;
  readonly #frameBytesMax: number;
  readonly #canBeReadOnly: boolean;
  readonly #writer: RequestWriter;

  #phase: Phase;
  #sessionId: SessionId;
  #password: Uint8Array;
  /**
   * Whether the ensemble knows the session. One that a read-only server has made is known there alone: it is not shown to others,
   * and the first server with a quorum makes a real one in its place.
   */
  #isEnsembleSession: boolean;
  /** What was asked for, until a server has answered; then what it granted. */
  #timeoutMs: number;
  readonly #requestedTimeoutMs: number;
  #lastZxid: Zxid = ZERO_ZXID;
  /** When the latest request that was answered had been sent. */
  #lastContact = Number.NEGATIVE_INFINITY;

  /** Requests not sent yet. As long as what the callers wait for; emptied by every attempt that fails. */
  #queue: SessionRequest[] = [];
  #flushAsked = false;
  readonly #credentials: Credential[] = [];

  /** Present while connected to a read-only server. */
  #probe: ReadWriteProbe | undefined;
  #hasReachedServer = false;
  readonly #failures = new Map<string, Error>();
  #toldState: KeeperState | undefined;
  #timer: Timer | undefined;
  /** Set by `close`: nothing new is accepted, and no new connection is tried. */
  #closing: { readonly until: number; readonly onClosed: () => void } | undefined;

  /** Starts connecting. Nothing is called back before it has returned. */
  constructor(options: SessionOptions) {
    this.#ports = options.ports;
    this.#handler = options.handler;
    this.#hosts = new HostList(options.hosts, options.ports.random);
    this.#timeoutMs = options.timeoutMs;
    this.#requestedTimeoutMs = options.timeoutMs;
    this.#sessionId = options.session?.id ?? NO_SESSION;
    this.#isEnsembleSession = options.session !== undefined;
    this.#password = options.session?.password ?? Buffer.alloc(PASSWORD_BYTES);
    this.#frameBytesMax = options.frameBytesMax ?? FRAME_BYTES_MAX_DEFAULT;
    this.#writer = new RequestWriter(this.#frameBytesMax);
    this.#canBeReadOnly = options.canBeReadOnly ?? false;
    this.#phase = this.#connect(this.#nextHost().address);
    this.#arm();
  }

  get state(): SessionState {
    const phase = this.#phase;
    if (phase.kind === 'waiting') return 'NOT_CONNECTED';
    if (phase.kind === 'connected') return phase.readOnly ? 'CONNECTED_READ_ONLY' : 'CONNECTED';
    if (phase.kind === 'over') return phase.reason === 'authFailed' ? 'AUTH_FAILED' : 'CLOSED';
    return 'CONNECTING';
  }

  /** 0 until a server has made the session. */
  get id(): SessionId {
    return this.#sessionId;
  }

  get password(): Uint8Array {
    return this.#password;
  }

  /** The negotiated session timeout, ms; the requested one until a server has answered. */
  get timeoutMs(): number {
    return this.#timeoutMs;
  }

  /** The `host:port` that the session is connected to. */
  get server(): string | undefined {
    return this.#phase.kind === 'connected' ? hostName(this.#phase.link.address) : undefined;
  }

  /** The highest zxid in an answer. */
  get lastZxid(): Zxid {
    return this.#lastZxid;
  }

  /** See `ZooKeeper.leaseEnd`. */
  get leaseEnd(): number {
    return this.#phase.kind === 'over' ? Number.NEGATIVE_INFINITY : this.#lastContact + this.#timeoutMs;
  }

  /** `host:port` → why it could not be reached or was lost, since the last connection was made. */
  get failures(): ReadonlyMap<string, Error> {
    return this.#failures;
  }

  /** Sends it with all others of this tick, or when there is a connection. */
  submit(request: SessionRequest): void {
    const refusal = this.#refusal(request);
    if (refusal !== undefined) return request.onFailure(refusal);
    this.#queue.push(request);
    this.#askFlush();
  }

  /** Adds an identity to this connection and to all later ones. One that is refused is the end of the session. */
  addCredential(credential: Credential): void {
    const refusal = this.#refusal({ opCode: OpCode.auth, path: undefined });
    if (refusal !== undefined) return credential.onFailure(refusal);
    this.#credentials.push(credential);
    if (this.#phase.kind !== 'connected') return;
    this.#writeCredential(this.#phase, credential);
    this.#send(this.#phase);
  }

  /**
   * Ends the session on the server, behind all requests made so far, and calls back when it is over: after the session timeout at
   * the latest. Without a connection, only an attempt under way is awaited.
   */
  close(onClosed: () => void): void {
    if (this.#phase.kind === 'over') return onClosed();
    this.#closing = { until: this.#ports.clock.now() + this.#timeoutMs, onClosed };
    // Nothing to end on a server, or nobody to tell: the server will expire it.
    if (this.#phase.kind === 'waiting' || this.#sessionId === NO_SESSION) return this.#end('closed');
    this.#queue.push(toCloseRequest(() => this.#end('closed')));
    this.#askFlush();
    this.#arm();
  }

  /** Ends it here and now, without a word to the server: as if it had expired. */
  abandon(): void {
    if (this.#phase.kind !== 'over') this.#end('expired');
  }

  /**
   * Other servers from now on. A connection that is in the way of an even spread of the clients is given up, and the next server tried
   * at once: see {@link HostList}. Java pauses up to a second here as after a server's death; but the odds have spread the clients already.
   */
  updateHosts(hosts: readonly HostAddress[]): void {
    const phase = this.#phase;
    if (phase.kind === 'over') return;
    const current = phase.kind === 'waiting' ? phase.address : phase.link.address;
    if (!this.#hosts.update(hosts, current) || this.#closing !== undefined) return;
    const { address } = this.#hosts.next();
    if (phase.kind === 'waiting') {
      this.#phase = { kind: 'waiting', address, until: this.#ports.clock.now() };
      this.#arm();
    } else {
      this.#drop(phase.link, new Error('the list of servers has changed'), address);
    }
  }

  // Connecting.

  #connect(address: HostAddress): Phase {
    const connection = this.#ports.transport.connect(address, {
      onOpen: () => this.#onOpen(link),
      onBytes: (bytes) => this.#onBytes(link, bytes),
      onClose: (error) => this.#onClose(link, error),
    });
    // Assigned before the first callback: a port never calls back before it has returned.
    const link: Link = { address, connection, frames: new FrameReader({ frameBytesMax: this.#frameBytesMax }) };
    return { kind: 'opening', link, until: this.#ports.clock.now() + this.#connectTimeoutMs() };
  }

  #onOpen(link: Link): void {
    if (!this.#isCurrent(link)) return;
    this.#hasReachedServer = true;
    this.#writer.writeConnect({
      protocolVersion: 0,
      lastZxidSeen: this.#lastZxid,
      timeoutMs: this.#requestedTimeoutMs,
      sessionId: this.#isEnsembleSession ? this.#sessionId : NO_SESSION,
      password: this.#isEnsembleSession ? this.#password : Buffer.alloc(PASSWORD_BYTES),
      readOnly: this.#canBeReadOnly,
    });
    const now = this.#ports.clock.now();
    link.connection.write(this.#writer.take());
    this.#phase = { kind: 'handshake', link, sentAt: now, until: now + this.#connectTimeoutMs() };
    this.#arm();
  }

  #onClose(link: Link, error: Error | undefined): void {
    if (!this.#isCurrent(link)) return;
    this.#drop(link, error ?? new Error(CLOSED_BY_SERVER[this.#phase.kind] ?? 'closed by the server'));
  }

  #onBytes(link: Link, bytes: Uint8Array): void {
    if (!this.#isCurrent(link) || this.#dropIfOverdue(this.#ports.clock.now())) return;
    if (this.#phase.kind === 'connected') this.#phase.lastHeard = this.#ports.clock.now();
    link.frames.push(bytes);
    try {
      // A frame may end the connection.
      while (this.#isCurrent(link)) {
        const frame = this.#nextFrame(link);
        if (frame === undefined) return;
        this.#onFrame(link, frame);
      }
    } catch (error) {
      // Bytes that make no sense: nothing behind them can be trusted.
      this.#drop(link, toError(error));
    }
  }

  #onFrame(link: Link, frame: JuteReader): void {
    const phase = this.#phase;
    if (phase.kind === 'handshake') this.#onConnectResponse(link, phase.sentAt, frame);
    else if (phase.kind === 'connected') this.#onReply(phase, frame);
  }

  #onConnectResponse(link: Link, sentAt: number, frame: JuteReader): void {
    const response = connectResponse.read(frame);
    if (response.timeoutMs <= 0 || response.sessionId === NO_SESSION) return this.#end('expired');
    if (this.#isEnsembleSession && response.sessionId !== this.#sessionId) {
      throw new Error('the server answered for another session');
    }
    const now = this.#ports.clock.now();
    if (now >= sentAt + response.timeoutMs) {
      throw new Error(`the server answered after ${now - sentAt} ms, when the session may be over again`);
    }
    const readOnly = response.readOnly ?? false;
    this.#sessionId = response.sessionId;
    this.#password = Buffer.from(response.password);
    this.#timeoutMs = response.timeoutMs;
    this.#isEnsembleSession ||= !readOnly;
    this.#hosts.onConnected(link.address);
    this.#failures.clear();
    const connected: Connected = {
      kind: 'connected',
      link,
      readOnly,
      lastHeard: now,
      lastSent: now,
      inFlight: [],
      pings: [],
      credentials: [],
    };
    this.#phase = connected;
    this.#touched(connected, sentAt);
    if (readOnly) this.#probe = this.#startProbe();
    for (const credential of this.#credentials) this.#writeCredential(connected, credential);
    if (this.#closing === undefined)
      this.#queue.unshift(...toRestoringRequests(this.#handler.watchesToRestore(this.#lastZxid)));
    this.#flush();
    this.#arm();
    this.#tell(readOnly ? KeeperState.ConnectedReadOnly : KeeperState.SyncConnected);
  }

  // Receiving.

  #nextFrame(link: Link): JuteReader | undefined {
    const length = link.frames.peekInt(0);
    if (length !== undefined && length > this.#frameBytesMax) this.#onOversizedReply(link, length);
    return link.frames.nextReader();
  }

  /** Tells the request that the reply is for, as far as that can be known. The connection can't be used any further. */
  #onOversizedReply(link: Link, length: number): void {
    if (this.#phase.kind !== 'connected') return;
    const next = this.#phase.inFlight[0];
    const xid = link.frames.peekInt(4);
    if (next === undefined || (xid !== undefined && xid !== next.xid)) return;
    this.#phase.inFlight.shift();
    next.request.onFailure(
      new FrameTooLargeError(
        `the reply to ${describe(next.request)} has ${length} bytes; frameBytesMax is ${this.#frameBytesMax}`,
        { path: next.request.path },
      ),
    );
  }

  #onReply(phase: Connected, reader: JuteReader): void {
    const responseBytes = reader.remaining;
    const { xid, zxid, err } = replyHeader.read(reader);
    switch (xid) {
      case SpecialXid.notification:
        return this.#handler.onEvent(watcherEvent.read(reader));
      case SpecialXid.ping:
        return this.#touched(phase, phase.pings.shift());
      case SpecialXid.auth:
        return this.#onAuthReply(phase, err);
    }
    const next = phase.inFlight[0];
    if (next === undefined || next.xid !== xid) {
      throw new Error(`the server answered xid ${xid} where ${next === undefined ? 'none' : next.xid} was due`);
    }
    phase.inFlight.shift();
    if (zxid > this.#lastZxid) this.#lastZxid = zxid;
    // These two say that the session, or this connection's hold of it, is no more.
    if (err !== ErrorCode.SESSION_EXPIRED && err !== ErrorCode.SESSION_MOVED) this.#touched(phase, next.sentAt);
    if (next.request.trace !== undefined) {
      const errorCode = errorCodeName(err) ?? String(err);
      Object.assign(next.request.trace, { zxid, responseBytes, errorCode });
    }
    if (!next.request.settled) this.#answer(next.request, err, reader);
  }

  #answer(request: SessionRequest, err: number, body: JuteReader): void {
    try {
      request.onReply(err, body);
    } catch (error) {
      request.onFailure(
        new MarshallingFailedError(`the reply to ${describe(request)} can't be read`, {
          path: request.path,
          cause: error,
        }),
      );
      throw error;
    }
  }

  #onAuthReply(phase: Connected, err: number): void {
    const credential = phase.credentials.shift();
    if (err !== ErrorCode.OK) return this.#end('authFailed');
    credential?.onAccepted();
  }

  /**
   * The server has answered what was sent then, so it heard of the session then or later. Of a session of the ensemble a read-only
   * server can't tell: it may have ended behind its back.
   */
  #touched({ readOnly }: Connected, sentAt: number | undefined): void {
    if (readOnly && this.#isEnsembleSession) return;
    if (sentAt !== undefined && sentAt > this.#lastContact) this.#lastContact = sentAt;
  }

  // Sending.

  #askFlush(): void {
    if (this.#flushAsked || this.#phase.kind !== 'connected') return;
    this.#flushAsked = true;
    this.#ports.clock.soon(() => {
      this.#flushAsked = false;
      this.#flush();
    });
  }

  /** Sends all that waits. */
  #flush(): void {
    const phase = this.#phase;
    if (phase.kind !== 'connected') return;
    const sentAt = this.#ports.clock.now();
    const queue = this.#queue;
    this.#queue = [];
    for (const request of queue) {
      if (!request.settled) this.#writeRequest(phase, request, sentAt);
      if (this.#writer.length >= WRITE_BYTES_MAX) this.#send(phase);
    }
    this.#send(phase);
  }

  #writeRequest(phase: Connected, request: SessionRequest, sentAt: number): void {
    const xid = this.#writer.writeRequest(request);
    if (typeof xid !== 'number') return request.onFailure(xid);
    phase.inFlight.push({ xid, request, sentAt });
    if (request.trace !== undefined) {
      Object.assign(request.trace, { server: this.server, sessionId: this.#sessionId, xid });
    }
  }

  #writeCredential(phase: Connected, credential: Credential): void {
    this.#writer.writeCredential(credential);
    phase.credentials.push(credential);
  }

  #ping(phase: Connected): void {
    this.#writer.writePing();
    phase.pings.push(this.#ports.clock.now());
    this.#send(phase);
  }

  #send(phase: Connected): void {
    if (this.#writer.length === 0) return;
    phase.lastSent = this.#ports.clock.now();
    phase.link.connection.write(this.#writer.take());
  }

  // Time.

  /** For opening a connection, and again for the server's first answer. */
  #connectTimeoutMs(): number {
    return Math.floor(this.#timeoutMs / this.#hosts.length);
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#phase.kind === 'over') return;
    const delayMs = Math.max(0, this.#nextDeadline(this.#phase) - this.#ports.clock.now());
    this.#timer = this.#ports.clock.after(delayMs, () => this.#onTimer());
  }

  /** Later ones are not armed anew when bytes come and go: the timer finds nothing due, and is set again. */
  #nextDeadline(phase: Exclude<Phase, { kind: 'over' }>): number {
    const until =
      phase.kind === 'connected'
        ? Math.min(
            phase.lastSent + pingAfterMs(this.#timeoutMs),
            phase.lastHeard + readTimeoutMs(this.#timeoutMs),
            this.#dropAt(phase),
          )
        : phase.until;
    return Math.min(until, this.#closing?.until ?? Number.POSITIVE_INFINITY);
  }

  /** When the connection is of no use any more. Reads of a read-only server are, whatever has become of the session. */
  #dropAt({ readOnly }: Connected): number {
    return readOnly ? Number.POSITIVE_INFINITY : this.leaseEnd;
  }

  #onTimer(): void {
    const now = this.#ports.clock.now();
    const phase = this.#phase;
    if (this.#closing !== undefined && now >= this.#closing.until) return this.#end('closed');
    if (phase.kind === 'waiting' && now >= phase.until) {
      this.#phase = this.#connect(phase.address);
    } else if (phase.kind === 'connected') {
      if (this.#dropIfOverdue(now)) return;
      if (now >= this.#dropAt(phase))
        return this.#drop(phase.link, new Error('the server may have expired the session'));
      if (now >= phase.lastSent + pingAfterMs(this.#timeoutMs)) this.#ping(phase);
    } else if (this.#dropIfOverdue(now)) {
      return;
    }
    this.#arm();
  }

  /** Ends a connection that was silent for too long, whether a timer or late bytes bring it to light. */
  #dropIfOverdue(now: number): boolean {
    const phase = this.#phase;
    switch (phase.kind) {
      case 'opening':
      case 'handshake':
        if (now < phase.until) return false;
        this.#drop(phase.link, new Error(`no ${phase.kind === 'opening' ? 'connection' : 'answer'} in time`));
        return true;
      case 'connected':
        if (now < phase.lastHeard + readTimeoutMs(this.#timeoutMs)) return false;
        this.#drop(phase.link, new Error(`nothing heard from the server for ${now - phase.lastHeard} ms`));
        return true;
      default:
        return false;
    }
  }

  // Ending.

  /**
   * The connection, or the attempt, is over; the session is not.
   * @param to the host to try next and at once, where that is known: nothing has failed
   */
  #drop(link: Link, error: Error, to?: HostAddress): void {
    if (!this.#isCurrent(link)) return;
    link.connection.close();
    this.#stopProbe();
    this.#failures.set(hostName(link.address), error);
    this.#handler.onConnectionFailure(link.address, error);
    const unanswered = this.#takeUnanswered();
    const { address, delayMs } = to === undefined ? this.#nextHost() : { address: to, delayMs: 0 };
    this.#phase = { kind: 'waiting', address, until: this.#ports.clock.now() + delayMs };
    const failures = new Map(this.#failures);
    for (const request of unanswered) {
      const { path } = request;
      request.onFailure(
        new ConnectionLossError(`connection lost: ${describe(request)}`, { path, cause: error, failures }),
      );
    }
    this.#tell(KeeperState.Disconnected);
    if (this.#closing !== undefined) this.#end('closed');
    else this.#arm();
  }

  #end(reason: EndReason): void {
    const phase = this.#phase;
    const unanswered = this.#takeUnanswered();
    this.#phase = { kind: 'over', reason };
    this.#timer?.cancel();
    this.#stopProbe();
    if (phase.kind !== 'waiting' && phase.kind !== 'over') phase.link.connection.close();
    for (const request of unanswered) request.onFailure(endError(reason, request));
    for (const credential of this.#credentials) {
      credential.onFailure(endError(reason, { opCode: OpCode.auth, path: undefined }));
    }
    this.#tell(END_STATE[reason]);
    this.#closing?.onClosed();
  }

  /** All requests without an answer, in the order in which they were made. */
  #takeUnanswered(): SessionRequest[] {
    const inFlight = this.#phase.kind === 'connected' ? this.#phase.inFlight.map(({ request }) => request) : [];
    const unanswered = [...inFlight, ...this.#queue].filter((request) => !request.settled);
    this.#queue = [];
    return unanswered;
  }

  /** Why nothing can be asked for any more, if so. */
  #refusal(request: Pick<SessionRequest, 'opCode' | 'path'>): ZooKeeperError | undefined {
    if (this.#phase.kind === 'over') return endError(this.#phase.reason, request);
    return this.#closing === undefined ? undefined : endError('closed', request);
  }

  #tell(state: KeeperState): void {
    if (state === this.#toldState) return;
    this.#toldState = state;
    this.#handler.onState(state);
  }

  #isCurrent(link: Link): boolean {
    return this.#phase.kind !== 'waiting' && this.#phase.kind !== 'over' && this.#phase.link === link;
  }

  #nextHost(): { readonly address: HostAddress; readonly delayMs: number } {
    const { address, isRound } = this.#hosts.next();
    const hasReachedServer = this.#hasReachedServer;
    return { address, delayMs: pauseBeforeMs({ hasReachedServer, isRound, random: this.#ports.random }) };
  }

  // A server with a quorum, while connected to one without.

  #startProbe(): ReadWriteProbe {
    return new ReadWriteProbe(this.#ports, {
      nextHost: () => this.#hosts.next().address,
      onFound: (address) => {
        if (this.#phase.kind !== 'connected') return;
        this.#drop(this.#phase.link, new Error(`${hostName(address)} has a quorum`), address);
      },
    });
  }

  #stopProbe(): void {
    this.#probe?.stop();
    this.#probe = undefined;
  }
}

const toError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));
