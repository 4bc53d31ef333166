/**
 * What a client knows of its connection, in five words (Curator's `ConnectionState` and `ConnectionStateManager`): a state
 * chart without clock or socket. It is told what happened and answers with the states to deliver, in order.
 *
 * What must always hold:
 * - A session that is not the one before is announced by LOST, then RECONNECTED, whatever happened in between
 *   (CURATOR-367): whoever keeps ephemeral znodes or watches may rely on having seen LOST.
 * - No state is delivered twice in a row.
 * - The first connection to the whole ensemble is CONNECTED, once in the life of a client; every later one is RECONNECTED.
 */
import { NO_SESSION, type SessionId } from 'zookeeper-protocol-ts';

/**
 * - `CONNECTED`: the first connection of this client. Delivered once. Start working.
 * - `SUSPENDED`: the connection is gone, the session may live on. Stop doing what only an owner may do: another may become
 *   the owner as soon as the session ends, which this client can't see from here. Ephemeral znodes and watches may still
 *   be there. It may come before any CONNECTED, when no server could be reached.
 * - `RECONNECTED`: the connection is back. Without a LOST before it, the session is the same, with all its ephemeral znodes
 *   and watches; carry on. After LOST it is a new session: make the ephemeral znodes and set the watches again.
 * - `LOST`: the session is over, or the server may have ended it: ephemeral znodes, locks, leaderships and watches are gone.
 *   The client is already trying to open a new session; RECONNECTED follows when it has one.
 * - `READ_ONLY`: connected to a server without a quorum. Reads may be stale, writes are refused.
 */
export type ConnectionState = 'CONNECTED' | 'SUSPENDED' | 'RECONNECTED' | 'LOST' | 'READ_ONLY';

/** In CONNECTED, RECONNECTED and READ_ONLY requests reach a server. */
export const isConnectedState = (state: ConnectionState | undefined): boolean =>
  state === 'CONNECTED' || state === 'RECONNECTED' || state === 'READ_ONLY';

/**
 * When recipes give up what they hold. `standard`: on SUSPENDED and on LOST. `session`: on LOST alone, so that short
 * outages are ridden out; safe here, since LOST comes no later than the server can end the session.
 */
export type ConnectionStateErrorPolicy = 'standard' | 'session';

/** LOST is an error under every policy. */
export const isErrorState = (policy: ConnectionStateErrorPolicy, state: ConnectionState): boolean =>
  state === 'LOST' || (state === 'SUSPENDED' && policy === 'standard');

/** What can happen to a connection. */
export type ConnectionStateInput =
  /** A server has accepted the session. A read-only server's session is its own, and not compared. */
  | { readonly kind: 'connected'; readonly sessionId: SessionId; readonly readOnly: boolean }
  | { readonly kind: 'disconnected' }
  /** The session is over: a server has said so, or it was ended from this side. */
  | { readonly kind: 'expired' }
  /** The servers have refused the client's credentials: the session is over, and there will be no other soon. */
  | { readonly kind: 'authFailed' }
  /** No server has confirmed the session for its whole timeout: it may be over. */
  | { readonly kind: 'leaseEnded' };

export class ConnectionStateChart {
  #state: ConnectionState | undefined;
  /** The session of the last connection that was not read-only. */
  #sessionId: SessionId = NO_SESSION;
  #connectedBefore = false;

  /** Undefined until something has happened. */
  get state(): ConnectionState | undefined {
    return this.#state;
  }

  /** Takes one step; the states entered, in order: none, one, or LOST and what follows it. */
  step(input: ConnectionStateInput): ConnectionState[] {
    switch (input.kind) {
      case 'connected':
        return input.readOnly ? this.#enter('READ_ONLY') : this.#onConnected(input.sessionId);
      case 'disconnected':
        return this.#state === 'LOST' ? [] : this.#enter('SUSPENDED');
      case 'expired':
      case 'authFailed':
      case 'leaseEnded':
        return this.#enter('LOST');
    }
  }

  #onConnected(sessionId: SessionId): ConnectionState[] {
    const isNewSession = this.#sessionId !== NO_SESSION && this.#sessionId !== sessionId;
    this.#sessionId = sessionId;
    const states = isNewSession ? this.#enter('LOST') : [];
    if (this.#connectedBefore) {
      // A second word of the same connection is no news.
      return this.#state === 'CONNECTED' ? states : [...states, ...this.#enter('RECONNECTED')];
    }
    this.#connectedBefore = true;
    return [...states, ...this.#enter('CONNECTED')];
  }

  #enter(state: ConnectionState): ConnectionState[] {
    if (this.#state === state) return [];
    this.#state = state;
    return [state];
  }
}
