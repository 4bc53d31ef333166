/**
 * What the atomic numbers have in common (Curator's `DistributedAtomicNumber`). Where there is no znode, or one without data, the number
 * is 0; a sum that doesn't fit is refused (Curator's wraps around).
 */
import type { CuratorFramework } from 'zookeeper-client-ts';
import { type AtomicCallOptions, type AtomicOptions, type AtomicResult, AtomicZnode } from './atomic-znode.ts';
import type { Serializer } from './serializer.ts';

/** How to compute with numbers of one kind. */
export interface Arithmetic<T> {
  readonly serializer: Serializer<T>;
  readonly zero: T;
  readonly one: T;
  readonly add: (a: T, b: T) => T;
  readonly negate: (a: T) => T;
}

/** Each change resolves to an {@link AtomicResult}: look at `succeeded`. */
export class DistributedAtomicNumber<T extends number | bigint> extends AtomicZnode<T, T> {
  readonly #arithmetic: Arithmetic<T>;

  constructor(client: CuratorFramework, path: string, arithmetic: Arithmetic<T>, options: AtomicOptions) {
    super(client, path, { serializer: arithmetic.serializer, missing: arithmetic.zero, options });
    this.#arithmetic = arithmetic;
  }

  increment(options: AtomicCallOptions = {}): Promise<AtomicResult<T>> {
    return this.add(this.#arithmetic.one, options);
  }

  decrement(options: AtomicCallOptions = {}): Promise<AtomicResult<T>> {
    return this.subtract(this.#arithmetic.one, options);
  }

  /** @throws InvalidArgumentError if the sum doesn't fit: nothing was written */
  add(delta: T, options: AtomicCallOptions = {}): Promise<AtomicResult<T>> {
    return this.change((found) => ({ value: this.#arithmetic.add(found, delta) }), options);
  }

  /** @throws InvalidArgumentError if the difference doesn't fit: nothing was written */
  subtract(delta: T, options: AtomicCallOptions = {}): Promise<AtomicResult<T>> {
    const { add, negate } = this.#arithmetic;
    return this.change((found) => ({ value: add(found, negate(delta)) }), options);
  }
}
