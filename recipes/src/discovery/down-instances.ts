/**
 * Instances that are left alone for a while, because their callers have met errors (Curator's `DownInstanceManager` and
 * `DownInstancePolicy`).
 *
 * What must always hold: an instance comes back by itself, when its time has passed since its first error; one that has registered anew is
 * another one.
 */
import { type Clock, InvalidArgumentError } from 'zookeeper-client-ts';
import { registrationKeyOf, type ServiceInstance } from './service-instance.ts';

/** When an instance is down. */
export interface DownInstancePolicy {
  /** For how long, from its first error, ms. 30 000 by default. */
  readonly timeoutMs?: number | undefined;
  /** From how many errors on in that time. 2 by default. */
  readonly errorThreshold?: number | undefined;
}

export class DownInstances {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #errorThreshold: number;
  /** By the instance's registration. */
  readonly #errors = new Map<string, { readonly firstAt: number; count: number }>();

  /** @throws InvalidArgumentError for a time below 0, or a threshold below 1 */
  constructor(clock: Clock, { timeoutMs = 30_000, errorThreshold = 2 }: DownInstancePolicy = {}) {
    if (!(timeoutMs >= 0)) throw new InvalidArgumentError('timeoutMs', `must be at least 0, not ${timeoutMs}`);
    if (!(errorThreshold >= 1)) {
      throw new InvalidArgumentError('errorThreshold', `must be at least 1, not ${errorThreshold}`);
    }
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#errorThreshold = errorThreshold;
  }

  noteError(instance: ServiceInstance): void {
    this.#purge();
    const key = registrationKeyOf(instance);
    const errors = this.#errors.get(key) ?? { firstAt: this.#clock.now(), count: 0 };
    errors.count++;
    this.#errors.set(key, errors);
  }

  isDown(instance: ServiceInstance): boolean {
    this.#purge();
    return (this.#errors.get(registrationKeyOf(instance))?.count ?? 0) >= this.#errorThreshold;
  }

  #purge(): void {
    const now = this.#clock.now();
    for (const [key, { firstAt }] of this.#errors) if (now - firstAt >= this.#timeoutMs) this.#errors.delete(key);
  }
}
