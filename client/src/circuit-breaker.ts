/**
 * Spares listeners the ups and downs of a bad network (Curator's `CircuitBreakingConnectionStateListener`): after a state without a
 * connection, the good news that follows is told only when it has lasted to the end of a pause.
 *
 * What must always hold: bad news is never held back. Somebody may have taken a lock while the good news was; so SUSPENDED and LOST
 * are told again if there was a connection in between, heard of or not. (Curator's tells the first LOST, and no more.) There is one
 * breaker for all listeners of a client (CURATOR-533).
 */
import { type ConnectionState, isConnectedState } from './connection-state.ts';
import { ConnectionLossError } from './errors.ts';
import type { RetryPolicy } from './retry.ts';
import type { Clock, Timer } from './session/transport.ts';

export interface CircuitBreakerOptions {
  /** How long the pauses are, and how many: after the last one everything is told again. */
  readonly policy: RetryPolicy;
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  /** Tells the listeners. */
  readonly deliver: (state: ConnectionState) => void;
}

/** While news is held back. */
interface Open {
  readonly since: number;
  pauses: number;
  timer: Timer;
  /** Good news, the latest, that nobody has heard of. */
  held: ConnectionState | undefined;
}

export class CircuitBreaker {
  readonly #options: CircuitBreakerOptions;
  #open: Open | undefined;
  #told: ConnectionState | undefined;

  constructor(options: CircuitBreakerOptions) {
    this.#options = options;
  }

  /** The client's state has changed. */
  step(state: ConnectionState): void {
    const open = this.#open;
    if (open !== undefined && isConnectedState(state)) {
      open.held = state;
      return;
    }
    const wasConnected = open?.held !== undefined;
    if (open !== undefined) open.held = undefined;
    else if (!isConnectedState(state)) this.#pause({ since: this.#options.clock.now(), pauses: 0 });
    if (open === undefined || wasConnected || state !== this.#told) this.#tell(state);
  }

  /** No timer is left behind. */
  close(): void {
    this.#open?.timer.cancel();
    this.#open = undefined;
  }

  /** Begins the next pause, if the policy grants one; otherwise nothing is held back any more. */
  #pause({ since, pauses }: { readonly since: number; readonly pauses: number }): void {
    const { policy, clock, random } = this.#options;
    const error = new ConnectionLossError('the connection is lost');
    const delayMs = policy.nextDelayMs({ retryCount: pauses, elapsedMs: clock.now() - since, error, random });
    this.#open =
      delayMs === undefined
        ? undefined
        : { since, pauses: pauses + 1, timer: clock.after(delayMs, () => this.#onPauseOver()), held: undefined };
  }

  #onPauseOver(): void {
    const open = this.#open;
    if (open === undefined) return;
    if (open.held === undefined) return this.#pause(open);
    this.#open = undefined;
    this.#tell(open.held);
  }

  #tell(state: ConnectionState): void {
    this.#told = state;
    this.#options.deliver(state);
  }
}
