/**
 * Several locks as one (Curator's `InterProcessMultiLock`): all are held, or none.
 *
 * What must always hold:
 * - They are acquired in the given order. Two multi locks that share locks must name them in the same order, or they may wait for
 *   each other for ever: use a time limit where that isn't certain.
 * - One deadline for all together, and the first failure is the end: what was granted until then is released, the last one
 *   first. (Curator gives the whole time to each, and after an exception goes on acquiring the rest.)
 */
import { type CuratorFramework, InvalidArgumentError } from 'zookeeper-client-ts';
import { type AcquireOptions, withinTime } from './acquire-timeout.ts';
import { HeldTogether, releaseAll } from './held-together.ts';
import { grantedInTime, type Held, type InterProcessLock, runAndRelease } from './lock.ts';
import { InterProcessMutex } from './mutex.ts';

/**
 * ```ts
 * const both = new InterProcessMultiLock(client, ['/locks/from', '/locks/to']);
 * await using held = await both.acquire({ timeoutMs: 5_000 });
 * ```
 */
export class InterProcessMultiLock implements InterProcessLock<HeldTogether> {
  /** Of all locks, for errors. */
  readonly path: string;
  readonly #client: CuratorFramework;
  readonly #locks: readonly InterProcessLock[];

  /**
   * @param locks a path stands for an `InterProcessMutex` there
   * @throws InvalidArgumentError if there are none
   */
  constructor(client: CuratorFramework, locks: readonly (string | InterProcessLock)[]) {
    if (locks.length === 0) throw new InvalidArgumentError('locks', 'there must be at least one');
    this.#client = client;
    this.#locks = locks.map((lock) => (typeof lock === 'string' ? new InterProcessMutex(client, lock) : lock));
    this.path = this.#locks.map(({ path }) => path).join(', ');
  }

  /** Waits until all are granted. Rejects as the lock does that was not. */
  async acquire(options: AcquireOptions = {}): Promise<HeldTogether> {
    const { signal, timeoutMs } = options;
    if (timeoutMs === 0) return grantedInTime(await this.tryAcquire(options), this.path);
    return withinTime({ clock: this.#client.clock, path: this.path, signal, timeoutMs }, async (signal) =>
      grantedInTime(await this.#acquireAll((lock) => lock.acquire({ signal })), this.path),
    );
  }

  /** Undefined, and nothing is held, if one of them would have to be waited for. */
  tryAcquire({ signal }: Pick<AcquireOptions, 'signal'> = {}): Promise<HeldTogether | undefined> {
    return this.#acquireAll((lock) => lock.tryAcquire({ signal }));
  }

  /** Acquires all, runs `work`, and releases; settles as `work` does. */
  async using<T>(work: (held: HeldTogether) => T | Promise<T>, options: AcquireOptions = {}): Promise<T> {
    const held = await this.acquire(options);
    return runAndRelease(held, { work: () => work(held), report: this.#report });
  }

  async #acquireAll(acquire: (lock: InterProcessLock) => Promise<Held | undefined>): Promise<HeldTogether | undefined> {
    const granted: Held[] = [];
    const giveBack = () => releaseAll(granted).catch(this.#report);
    try {
      for (const lock of this.#locks) {
        const held = await acquire(lock);
        if (held === undefined) {
          await giveBack();
          return undefined;
        }
        granted.push(held);
      }
    } catch (error) {
      await giveBack();
      throw error;
    }
    return new HeldTogether(this.path, granted);
  }

  readonly #report = (error: unknown): void => this.#client.reportError(error);
}
