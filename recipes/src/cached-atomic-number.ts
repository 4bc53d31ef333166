/**
 * Numbers that are each given out once, at the price of gaps (Curator's `CachedAtomicLong` and `CachedAtomicInteger`): a block of them is
 * taken from an atomic number at a time, and handed out from memory.
 *
 * What must always hold: no number is handed out twice, here or elsewhere. If it is unknown whether a block was taken, it is not used:
 * then, and when the process ends, what is left of a block is a gap.
 */
import { InvalidArgumentError } from 'zookeeper-client-ts';
import type { DistributedAtomicInteger } from './atomic-integer.ts';
import type { DistributedAtomicLong } from './atomic-long.ts';
import type { Arithmetic, DistributedAtomicNumber } from './atomic-number.ts';
import type { AtomicResult } from './atomic-znode.ts';

class CachedAtomicNumber<T extends number | bigint> {
  readonly #number: DistributedAtomicNumber<T>;
  readonly #blockSize: number;
  readonly #arithmetic: Pick<Arithmetic<T>, 'one' | 'add'> & { readonly from: (count: number) => T };
  /** The block in hand, `left` numbers from `next` on. */
  #next: T | undefined;
  #left = 0;
  /** Present while a block is being taken. */
  #taking: Promise<AtomicResult<T>> | undefined;

  protected constructor(
    number: DistributedAtomicNumber<T>,
    blockSize: number,
    arithmetic: Pick<Arithmetic<T>, 'one' | 'add'> & { readonly from: (count: number) => T },
  ) {
    if (!(Number.isSafeInteger(blockSize) && blockSize > 0)) {
      throw new InvalidArgumentError('blockSize', `must be a whole number from 1 on, not ${blockSize}`);
    }
    this.#number = number;
    this.#blockSize = blockSize;
    this.#arithmetic = arithmetic;
  }

  /**
   * The next number is `preValue`, and is nobody else's; `postValue` is the one after it. Not succeeded if others were quicker each time
   * that a block was to be taken.
   * @throws ConnectionLossError if it is unknown whether a block was taken. The next call takes another one.
   */
  async next(): Promise<AtomicResult<T>> {
    const { one, add } = this.#arithmetic;
    for (;;) {
      if (this.#next !== undefined && this.#left > 0) {
        const preValue = this.#next;
        const postValue = add(preValue, one);
        this.#next = postValue;
        this.#left--;
        return { succeeded: true, preValue, postValue, stats: fromMemory };
      }
      this.#taking ??= this.#take();
      const taken = await this.#taking;
      if (!taken.succeeded) return taken;
    }
  }

  async #take(): Promise<AtomicResult<T>> {
    try {
      const taken = await this.#number.add(this.#arithmetic.from(this.#blockSize));
      if (taken.succeeded) {
        this.#next = taken.preValue;
        this.#left = this.#blockSize;
      }
      return taken;
    } finally {
      this.#taking = undefined;
    }
  }
}

const fromMemory = { optimisticTries: 0, optimisticTimeMs: 0, promotedLockTries: 0, promotedTimeMs: 0 };

/**
 * ```ts
 * const ids = new CachedAtomicLong(new DistributedAtomicLong(client, '/ids'), 1_000);
 * const result = await ids.next();
 * if (result.succeeded) row.id = result.preValue;
 * ```
 */
export class CachedAtomicLong extends CachedAtomicNumber<bigint> {
  /** @param blockSize how many numbers to take at a time */
  constructor(number: DistributedAtomicLong, blockSize: number) {
    super(number, blockSize, { one: 1n, add: (a, b) => a + b, from: BigInt });
  }
}

/** As {@link CachedAtomicLong}. */
export class CachedAtomicInteger extends CachedAtomicNumber<number> {
  /** @param blockSize how many numbers to take at a time */
  constructor(number: DistributedAtomicInteger, blockSize: number) {
    super(number, blockSize, { one: 1, add: (a, b) => a + b, from: Number });
  }
}
