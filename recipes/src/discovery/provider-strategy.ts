/** Which of the instances that may be used to use next (Curator's `ProviderStrategy`). A strategy belongs to one provider. */
import { registrationKeyOf, type ServiceInstance } from './service-instance.ts';

export interface ProviderStrategy<T = unknown> {
  /**
   * One of the instances; undefined only if there are none.
   * @param instances in a steady order
   * @param random 0 ≤ x < 1
   */
  getInstance(instances: readonly ServiceInstance<T>[], random: () => number): ServiceInstance<T> | undefined;
}

/** One after the other. */
export class RoundRobinStrategy<T = unknown> implements ProviderStrategy<T> {
  /** Never negative: it starts over long before it could be (Curator's counter can't be used once it has overflowed). */
  #turn = 0;

  getInstance(instances: readonly ServiceInstance<T>[]): ServiceInstance<T> | undefined {
    const instance = instances[this.#turn % instances.length];
    this.#turn = (this.#turn + 1) % Number.MAX_SAFE_INTEGER;
    return instance;
  }
}

/** Any, each with the same odds. */
export class RandomStrategy<T = unknown> implements ProviderStrategy<T> {
  getInstance(instances: readonly ServiceInstance<T>[], random: () => number): ServiceInstance<T> | undefined {
    return instances[Math.floor(random() * instances.length)];
  }
}

/** The same, as long as it may be used; then the one that another strategy says. */
export class StickyStrategy<T = unknown> implements ProviderStrategy<T> {
  readonly #strategy: ProviderStrategy<T>;
  #key: string | undefined;
  #instanceNumber = 0;

  constructor(strategy: ProviderStrategy<T>) {
    this.#strategy = strategy;
  }

  /** How often another instance was chosen: whoever keeps something that belongs to the instance sees by it that it is out of date. */
  get instanceNumber(): number {
    return this.#instanceNumber;
  }

  getInstance(instances: readonly ServiceInstance<T>[], random: () => number): ServiceInstance<T> | undefined {
    const present = instances.find((instance) => registrationKeyOf(instance) === this.#key);
    if (present !== undefined) return present;
    const chosen = this.#strategy.getInstance(instances, random);
    this.#key = chosen && registrationKeyOf(chosen);
    if (chosen !== undefined) this.#instanceNumber++;
    return chosen;
  }
}
