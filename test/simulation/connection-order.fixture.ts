/**
 * R-CONN, as a client tells it: every connection state follows from the one before it, and another session never comes without LOST
 * (CURATOR-367).
 */
import type { ConnectionState, CuratorFramework } from 'zookeeper-client-ts';
import type { SessionId } from 'zookeeper-protocol-ts';

/** The states that may follow each; undefined before the first. */
const FOLLOWING: ReadonlyMap<ConnectionState | undefined, readonly ConnectionState[]> = new Map<
  ConnectionState | undefined,
  readonly ConnectionState[]
>([
  [undefined, ['CONNECTED', 'SUSPENDED']],
  ['CONNECTED', ['SUSPENDED', 'LOST']],
  ['SUSPENDED', ['CONNECTED', 'RECONNECTED', 'LOST']],
  ['RECONNECTED', ['SUSPENDED', 'LOST']],
  ['LOST', ['CONNECTED', 'RECONNECTED']],
]);

/** Watches the states of a client from its start on. */
export class ConnectionOrder {
  readonly #client: CuratorFramework;
  readonly #onViolation: (what: string) => void;
  #connectedSession: SessionId | undefined;
  #lostSince = false;

  constructor(client: CuratorFramework, onViolation: (what: string) => void) {
    this.#client = client;
    this.#onViolation = onViolation;
    client.on('state', (state, previous) => this.#onState(state, previous));
  }

  #onState(state: ConnectionState, previous: ConnectionState | undefined): void {
    if (!FOLLOWING.get(previous)?.includes(state)) this.#onViolation(`${state} after ${previous}`);
    if (state === 'LOST') this.#lostSince = true;
    if (state !== 'CONNECTED' && state !== 'RECONNECTED') return;
    const before = this.#connectedSession;
    this.#connectedSession = this.#client.sessionId;
    if (before !== undefined && before !== this.#client.sessionId && !this.#lostSince) {
      this.#onViolation('another session without LOST');
    }
    if (before === this.#client.sessionId && this.#lostSince) this.#onViolation('the same session after LOST');
    this.#lostSince = false;
  }
}
