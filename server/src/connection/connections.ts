import type { SessionId } from 'zookeeper-protocol-ts';
import { assert } from '../invariant.ts';
import type { Millis } from '../ports.ts';
import type { ClientConnection } from './client-connection.ts';
import { Strangers } from './strangers.ts';

export interface ConnectionLimits {
  /** From one address; 0 for any number. */
  readonly maxClientCnxns: number;
  /** In all; 0 for any number. */
  readonly maxCnxns: number;
  /** How long a connection may stay without a session. */
  readonly sessionlessTimeoutMs: Millis;
}

/** Which limit stands in the way of another connection. */
export interface TooMany {
  readonly limit: 'maxClientCnxns' | 'maxCnxns';
  readonly reason: string;
}

/**
 * The open connections of the client port: how many there may be, which session each serves, and until when those without one
 * have to have one. A session has one connection at the most.
 */
export class Connections implements Iterable<ClientConnection> {
  readonly #limits: ConnectionLimits;
  readonly #open = new Set<ClientConnection>();
  readonly #countFrom = new Map<string, number>();
  readonly #bySession = new Map<SessionId, ClientConnection>();
  /** Those without a session. */
  readonly #sessionless: Strangers<ClientConnection>;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
    this.#sessionless = new Strangers(limits.sessionlessTimeoutMs);
  }

  get size(): number {
    return this.#open.size;
  }

  /** Those without a session, oldest first, and until when they have to have one. */
  get sessionless(): ReadonlyMap<ClientConnection, Millis> {
    return this.#sessionless.until;
  }

  [Symbol.iterator](): Iterator<ClientConnection> {
    return this.#open.values();
  }

  /** Why there can't be another one from this address now, if so. */
  tooMany(from: string): TooMany | undefined {
    const { maxClientCnxns, maxCnxns } = this.#limits;
    if (maxClientCnxns > 0 && (this.#countFrom.get(from) ?? 0) >= maxClientCnxns) {
      const reason = `too many connections from ${from}: ${maxClientCnxns} are allowed (maxClientCnxns)`;
      return { limit: 'maxClientCnxns', reason };
    }
    if (maxCnxns > 0 && this.#open.size >= maxCnxns) {
      const reason = `too many connections, one from ${from} is refused: ${maxCnxns} are allowed (maxCnxns)`;
      return { limit: 'maxCnxns', reason };
    }
    return undefined;
  }

  add(connection: ClientConnection, now: Millis): void {
    const from = connection.remoteHost;
    this.#countFrom.set(from, (this.#countFrom.get(from) ?? 0) + 1);
    this.#open.add(connection);
    this.#sessionless.add(connection, now);
  }

  /** @param sessionId the session that it served, or 0 */
  remove(connection: ClientConnection, sessionId: SessionId): void {
    this.#open.delete(connection);
    this.#sessionless.delete(connection);
    const from = connection.remoteHost;
    const count = (this.#countFrom.get(from) ?? 1) - 1;
    if (count === 0) this.#countFrom.delete(from);
    else this.#countFrom.set(from, count);
    if (this.#bySession.get(sessionId) === connection) this.#bySession.delete(sessionId);
  }

  /** The session is being made or was found: the connection need not ask for one any more. */
  hasAsked(connection: ClientConnection): void {
    this.#sessionless.delete(connection);
  }

  /** From now on it is the one that serves the session. */
  serve(sessionId: SessionId, connection: ClientConnection): void {
    this.#bySession.set(sessionId, connection);
  }

  of(sessionId: SessionId): ClientConnection | undefined {
    return this.#bySession.get(sessionId);
  }

  /** When the first connection without a session has to have one; Infinity if all have. */
  nextDeadline(): Millis {
    return this.#sessionless.nextDeadline();
  }

  /** Takes out those that have no session although their time is up: they are to be closed. */
  takeOverdue(now: Millis): ClientConnection[] {
    return this.#sessionless.takeOverdue(now);
  }

  /** Ends all. */
  close(reason: string): void {
    for (const connection of [...this.#open]) connection.close(reason);
  }

  /** Ends the one with the most bytes that its client doesn't read. */
  cutOffSlowest(): void {
    let slowest: ClientConnection | undefined;
    for (const connection of this.#open) {
      if (connection.queuedBytes > (slowest?.queuedBytes ?? 0)) slowest = connection;
    }
    assert(slowest !== undefined, 'MEM-1: bytes are queued for a connection');
    const reason = `it does not read: ${slowest.queuedBytes} bytes wait for it, and too many for all connections together`;
    slowest.cutOff(reason);
  }
}
