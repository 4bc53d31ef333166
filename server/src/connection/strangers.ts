import type { Millis } from '../ports.ts';

/**
 * Who has connected and has not said yet who they are, or of which session, in the order of their coming. A port scanner, or a machine
 * that vanished right behind its connection, is not waited for for ever (the original's `nio.sessionlessCnxnTimeout` for clients,
 * `setSoTimeout` on both ports for servers).
 */
export class Strangers<T> {
  readonly #silenceMsMax: Millis;
  /** Until when each is waited for: all as long, so the first is the next. */
  readonly #until = new Map<T, Millis>();

  constructor(silenceMsMax: Millis) {
    this.#silenceMsMax = silenceMsMax;
  }

  add(stranger: T, now: Millis): void {
    this.#until.set(stranger, now + this.#silenceMsMax);
  }

  /** It has said who it is, or has gone. */
  delete(stranger: T): void {
    this.#until.delete(stranger);
  }

  get until(): ReadonlyMap<T, Millis> {
    return this.#until;
  }

  /** Infinity if there is nobody to wait for. */
  nextDeadline(): Millis {
    for (const until of this.#until.values()) return until;
    return Number.POSITIVE_INFINITY;
  }

  /** Takes out those who were silent for too long. */
  takeOverdue(now: Millis): T[] {
    const overdue: T[] = [];
    for (const [stranger, until] of this.#until) {
      if (now < until) break;
      this.#until.delete(stranger);
      overdue.push(stranger);
    }
    return overdue;
  }
}
