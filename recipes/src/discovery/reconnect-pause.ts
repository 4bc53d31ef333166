/**
 * How long to wait, after the connection has come back, before looking whether what was registered is still there. A connection that
 * comes and goes must not make every client ask again each time (CURATOR-320).
 *
 * What must always hold: after an outage or two there is no wait; only one outage soon after the other makes it grow, at random, so
 * that many clients don't come at once.
 */
import type { Clock } from 'zookeeper-client-ts';

/** A connection that has lasted this long starts the count anew, ms. */
const STEADY_MS = 60_000;
/** So many reconnects in quick succession cost nothing. */
const FREE = 2;
const FIRST_PAUSE_MS = 1_000;
const PAUSE_MS_MAX = 30_000;

export class ReconnectPause {
  readonly #clock: Clock;
  readonly #random: () => number;
  #latest = Number.NEGATIVE_INFINITY;
  /** Reconnects since the connection was last steady. */
  #count = 0;

  constructor({ clock, random }: { readonly clock: Clock; readonly random: () => number }) {
    this.#clock = clock;
    this.#random = random;
  }

  /** To be asked at each reconnect, at once; ms. */
  next(): number {
    const now = this.#clock.now();
    this.#count = now - this.#latest < STEADY_MS ? this.#count + 1 : 1;
    this.#latest = now;
    if (this.#count <= FREE) return 0;
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (this.#count - FREE - 1), PAUSE_MS_MAX);
    return pauseMs * (0.5 + this.#random() / 2);
  }
}
