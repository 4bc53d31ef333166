/**
 * How a recipe waits for whatever may change its situation: several things wake it, and it looks for itself what has changed.
 *
 * What must always hold: a wake-up between the last look and the sleep is not lost (CURATOR-527), so who waits registers for
 * it, clears, looks, and then sleeps, in this order.
 */
import type { Clock } from 'zookeeper-client-ts';

/** Something to sleep on. A call that comes before the sleep, but after the last `clear`, is not lost. */
export class WakeUp {
  readonly #clock: Clock;
  #isDue = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  clear(): void {
    this.#isDue = false;
  }

  readonly call = (): void => {
    this.#isDue = true;
    this.#wake?.();
  };

  /** Sleeps until called, or for `timeoutMs`. One sleeper at a time. */
  sleep({ timeoutMs }: { readonly timeoutMs?: number } = {}): Promise<void> {
    if (this.#isDue) return Promise.resolve();
    return new Promise((resolve) => {
      const alarm = timeoutMs === undefined ? undefined : this.#clock.after(timeoutMs, this.call);
      this.#wake = () => {
        alarm?.cancel();
        this.#wake = undefined;
        resolve();
      };
    });
  }
}
