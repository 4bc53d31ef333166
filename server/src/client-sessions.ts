import {
  type ConnectRequest,
  NO_SESSION,
  OpCode,
  type SessionId,
  type Txn,
  toHex,
  toServerId,
} from 'zookeeper-protocol-ts';
import type { ServerMetrics } from './admin/metrics.ts';
import type { Answers } from './answers.ts';
import type { ServerConfig } from './config.ts';
import type { ClientConnection } from './connection/client-connection.ts';
import type { Connections } from './connection/connections.ts';
import type { Refusals } from './connection/refusals.ts';
import type { Database } from './database.ts';
import type { ForwardedOrigin } from './forwarded-origin.ts';
import { assert } from './invariant.ts';
import type { Clock, Millis, Random, RunLog } from './ports.ts';
import type { Ask, Request } from './request/request.ts';
import { ConnectionThrottle } from './session/connection-throttle.ts';
import type { SessionClock } from './session/session-clock.ts';
import { firstSessionId, isPasswordOf, nextSessionId, passwordOf } from './session/session-id.ts';
import type { LinkId } from './zab/contract.ts';

export interface ClientSessionsOptions {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly runLog: RunLog;
  readonly metrics: ServerMetrics;
  readonly database: Database;
  readonly connections: Connections;
  readonly refusals: Refusals;
  readonly answers: Answers;
  readonly ask: Ask;
  readonly clockOfSessions: SessionClock;
  /** Asks the leader whether there is such a session; undefined for who knows it: the leader, or a server alone. */
  readonly revalidate?: ((sessionId: SessionId, timeoutMs: Millis) => void) | undefined;
}

/** A server that clients are on: this one, or one that follows it, by its stream. */
export type Home = 'here' | LinkId;

/**
 * The sessions of clients, from the connect request to the end: who gets one, on which connection, and when it is over (the
 * original's `ZooKeeperServer.processConnectRequest`, `finishSessionInit` and `closeSession`). That a session begins and ends
 * is agreed on like a write; when it has been silent for too long, only the tracker knows.
 */
export class ClientSessions {
  readonly #options: ClientSessionsOptions;
  readonly #clock: Clock;
  readonly #runLog: RunLog;
  readonly #connections: Connections;
  readonly #tracker: SessionClock;
  readonly #throttle: ConnectionThrottle;
  /** Connections whose session is being created. */
  readonly #joining = new Map<SessionId, ClientConnection>();
  /** Connections that want a session back of which the leader must say whether it is there. */
  readonly #revalidating = new Map<SessionId, { readonly connection: ClientConnection; readonly timeoutMs: Millis }>();
  /** On which server each session's client was seen last, as far as a leader knows. */
  readonly #homes = new Map<SessionId, Home>();
  #nextSessionId: SessionId;

  constructor(options: ClientSessionsOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#runLog = options.runLog;
    this.#connections = options.connections;
    const { config, clock, random } = options;
    const now = clock.now();
    this.#tracker = options.clockOfSessions;
    this.#throttle = new ConnectionThrottle(config.connectionThrottle, { now, random: () => random.next() });
    this.#nextSessionId = firstSessionId(toServerId(config.serverId), clock.wallTime());
  }

  /** The chance at which the connection throttle refuses: `connection_drop_probability`. */
  get dropChance(): number {
    return this.#throttle.dropChance;
  }

  /** A request of the session arrived: it has its whole timeout again, unless it is closing. @returns whether it is there */
  touch(sessionId: SessionId, arrivedAt: Millis): boolean {
    return this.#tracker.touch(sessionId, arrivedAt) || this.#tracker.has(sessionId);
  }

  isClosing(sessionId: SessionId): boolean {
    return this.#tracker.isClosing(sessionId);
  }

  /** Its end is under way: from now on it can't be touched. */
  setClosing(sessionId: SessionId): void {
    this.#tracker.setClosing(sessionId);
  }

  /** Whether it may still write: known, and not about to be closed. */
  readonly isOpen = (sessionId: SessionId): boolean =>
    this.#tracker.has(sessionId) && !this.#tracker.isClosing(sessionId);

  /** The session's client is on this server now: what it asked for on others counts no more. */
  setHome(sessionId: SessionId, home: Home): void {
    this.#homes.set(sessionId, home);
  }

  /** Whether the session's client has gone to another server than the one that asks. */
  hasMoved(sessionId: SessionId, home: Home): boolean {
    const known = this.#homes.get(sessionId);
    // After a change of leaders the first one who asks has it.
    if (known === undefined) this.#homes.set(sessionId, home);
    return known !== undefined && known !== home;
  }

  /** By deadline, earliest first. */
  deadlines(): [deadline: Millis, sessions: SessionId[]][] {
    return this.#tracker.deadlines();
  }

  onConnectRequest(connection: ClientConnection, request: ConnectRequest): void {
    const { config, metrics, database, refusals } = this.#options;
    const now = this.#clock.now();
    const isNew = request.sessionId === NO_SESSION;
    const limit = this.#limitInTheWay(isNew, now);
    if (limit !== undefined) {
      metrics.counters.connection_rejected++;
      refusals.refused(limit, `too many sessions are asked for, ${connection.remote} is refused (${limit})`, now);
      connection.close(`too many sessions are asked for (${limit})`);
      return;
    }
    metrics.summaries.connection_token_deficit.record(this.#throttle.deficit);
    metrics.counters.connection_request_count++;
    const { lastZxid } = database;
    if (request.lastZxidSeen > lastZxid) {
      connection.close(`it has seen zxid ${toHex(request.lastZxidSeen)}, and this server is at ${toHex(lastZxid)}`);
      return;
    }
    const { minSessionTimeoutMs, maxSessionTimeoutMs } = config;
    const timeoutMs = Math.min(Math.max(request.timeoutMs, minSessionTimeoutMs), maxSessionTimeoutMs);
    if (isNew) this.#create(connection, timeoutMs);
    else this.#reattach(connection, request, timeoutMs);
  }

  /** A session has been agreed on. @param request what asked for it here; undefined if it was asked for elsewhere */
  onCreated({ header, body }: Txn, request: Request<ClientConnection | ForwardedOrigin> | undefined): void {
    const { sessionId } = header;
    assert(body.type === OpCode.createSession, 'SES-1: a session is created by its own transaction');
    if (!this.#tracker.has(sessionId)) this.#tracker.add(sessionId, body.timeoutMs, this.#clock.now());
    const connection = this.#joining.get(sessionId);
    this.#joining.delete(sessionId);
    if (connection === undefined || connection.isClosed) return;
    this.#join(connection, sessionId, body.timeoutMs);
    const { answers, metrics } = this.#options;
    if (request !== undefined) answers.record(request, connection, metrics.summaries.updatelatency);
    this.#runLog.info(
      `session ${toHex(sessionId)} established for ${connection.remote}, timeout ${body.timeoutMs} ms, zxid ${toHex(header.zxid)}`,
    );
  }

  /** The end of a session has been agreed on. @returns the connection that served it, which has nothing left to serve */
  onClosed(sessionId: SessionId): ClientConnection | undefined {
    this.#tracker.remove(sessionId);
    this.#homes.delete(sessionId);
    return this.#connections.of(sessionId);
  }

  /**
   * Ends a session as if its client had been silent for its whole timeout.
   * @returns false if there is no such session, or its end is under way
   */
  expire(sessionId: SessionId): boolean {
    if (!this.isOpen(sessionId)) return false;
    this.#runLog.info(`session ${toHex(sessionId)} expires, because that was asked for`);
    this.#tracker.setClosing(sessionId);
    this.#options.ask(OpCode.closeSession, sessionId);
    return true;
  }

  /** When {@link wake} should be called next. */
  nextDeadline(): Millis {
    return Math.min(this.#tracker.nextDeadline(), this.#connections.nextDeadline());
  }

  /**
   * Ends what is over: sessions that were silent, and connections that have not got one.
   * @param lateMs so much later than was asked for, because the process was held up. Default: 0
   */
  wake(now: Millis, lateMs: Millis = 0): void {
    const { config, metrics, ask } = this.#options;
    this.#tracker.onHeldUp(lateMs);
    for (const sessionId of this.#tracker.expired(now)) {
      this.#runLog.info(`session ${toHex(sessionId)} expires`);
      metrics.counters.stale_sessions_expired++;
      ask(OpCode.closeSession, sessionId);
    }
    for (const connection of this.#connections.takeOverdue(now)) {
      metrics.counters.sessionless_connections_expired++;
      connection.close(`no session within ${config.sessionlessTimeoutMs} ms`);
    }
  }

  /** Which limit keeps a client from a session, or from its own, if one does. */
  #limitInTheWay(isNew: boolean, now: Millis): 'connection_throttle_tokens' | 'sessionsMax' | undefined {
    if (isNew && this.#tracker.size >= this.#options.config.sessionsMax) return 'sessionsMax';
    return this.#throttle.take(isNew ? 'created' : 'renewed', now) ? undefined : 'connection_throttle_tokens';
  }

  #create(connection: ClientConnection, timeoutMs: number): void {
    const sessionId = this.#nextSessionId;
    this.#nextSessionId = nextSessionId(sessionId);
    this.#tracker.add(sessionId, timeoutMs, this.#clock.now());
    this.#connections.hasAsked(connection);
    this.#joining.set(sessionId, connection);
    this.#options.ask(OpCode.createSession, sessionId, (writer) => writer.writeInt(timeoutMs));
  }

  #reattach(connection: ClientConnection, { sessionId, password }: ConnectRequest, timeoutMs: number): void {
    const { metrics, revalidate } = this.#options;
    metrics.counters.connection_revalidate_count++;
    this.#connections.hasAsked(connection);
    if (!isPasswordOf(sessionId, password)) return this.#refuse(connection, sessionId);
    if (revalidate === undefined) return this.#continue(connection, sessionId, timeoutMs, this.isOpen(sessionId));
    this.#revalidating.get(sessionId)?.connection.close('another connection has asked for its session');
    this.#revalidating.set(sessionId, { connection, timeoutMs });
    revalidate(sessionId, timeoutMs);
  }

  /** The leader has answered whether there is such a session. */
  onRevalidated(sessionId: SessionId, isValid: boolean): void {
    const asked = this.#revalidating.get(sessionId);
    if (asked === undefined) return;
    this.#revalidating.delete(sessionId);
    if (!asked.connection.isClosed) this.#continue(asked.connection, sessionId, asked.timeoutMs, isValid);
  }

  #continue(connection: ClientConnection, sessionId: SessionId, timeoutMs: Millis, isValid: boolean): void {
    if (!isValid) return this.#refuse(connection, sessionId);
    this.#connections.of(sessionId)?.close(`session ${toHex(sessionId)} has moved to another connection`);
    this.#tracker.add(sessionId, timeoutMs, this.#clock.now());
    this.#join(connection, sessionId, timeoutMs);
    this.#runLog.info(`session ${toHex(sessionId)} continued for ${connection.remote}, timeout ${timeoutMs} ms`);
  }

  #refuse(connection: ClientConnection, sessionId: SessionId): void {
    this.#runLog.info(`${connection.remote} asked for session ${toHex(sessionId)}, which it can't have`);
    connection.refuse();
  }

  #join(connection: ClientConnection, sessionId: SessionId, timeoutMs: number): void {
    this.#connections.serve(sessionId, connection);
    this.setHome(sessionId, 'here');
    connection.establish({ sessionId, timeoutMs, password: passwordOf(sessionId) });
  }
}
