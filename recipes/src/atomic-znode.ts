/**
 * A value in one znode that many change at once without losing a change (Curator's `DistributedAtomicValue`, with its `TrialResult`s and
 * `PromotedToLock`): read it, compute, write it if nobody else has meanwhile; if somebody has, again. What the atomic values and
 * numbers have in common.
 *
 * What must always hold:
 * - A change that is told as succeeded was applied exactly once; one that is told as not succeeded was not applied. If that can't be
 *   known, the call rejects (`ConnectionLossError`), and then it was applied once at most: `conditional-write.ts`.
 * - The changes of one object take turns, so that they don't get in each other's way. Others' do.
 */
import {
  BadVersionError,
  type CuratorFramework,
  ExponentialBackoffRetry,
  NoNodeError,
  onAbort,
  RetryNTimes,
  type RetryPolicy,
} from 'zookeeper-client-ts';
import { AcquireTimeoutError } from './acquire-timeout.ts';
import { assertConditional, writeIfUnchanged } from './conditional-write.ts';
import { InterProcessMutex } from './mutex.ts';
import type { Ownership } from './ownership.ts';
import { deserialize, type Serializer } from './serializer.ts';
import { WakeUp } from './wake-up.ts';

/** What to do when too many others write: try under a lock. It keeps out those alone who take the same lock. */
export interface PromotedToLock {
  /** Of an `InterProcessMutex`; not that of the value. */
  readonly path: string;
  /** How long to wait for the lock. Without it, as long as it takes. */
  readonly timeoutMs?: number | undefined;
  /** How often to try while holding it. Once by default. */
  readonly retry?: RetryPolicy | undefined;
}

export interface AtomicOptions {
  /**
   * How often to try when others were quicker. By default 20 times, with pauses that grow to 100 ms. The client's policy for lost
   * connections is another one.
   */
  readonly retry?: RetryPolicy | undefined;
  /** What to do after that. By default nothing: the result says that it has not succeeded. */
  readonly promotedToLock?: PromotedToLock | undefined;
}

/** What a change has cost. */
export interface AtomicStats {
  readonly optimisticTries: number;
  readonly optimisticTimeMs: number;
  readonly promotedLockTries: number;
  readonly promotedTimeMs: number;
}

/** What became of a change. Look at `succeeded` before anything else. */
export type AtomicResult<T> =
  | { readonly succeeded: true; readonly preValue: T; readonly postValue: T; readonly stats: AtomicStats }
  /** It was not applied. `preValue` is what was found last. */
  | { readonly succeeded: false; readonly preValue: T; readonly postValue: undefined; readonly stats: AtomicStats };

export interface AtomicCallOptions {
  /** Aborting rejects with its reason. A change that was sent may be applied. */
  readonly signal?: AbortSignal | undefined;
}

interface AtomicParts<T, Missing> {
  readonly serializer: Serializer<T>;
  /** What is told when there is no znode. */
  readonly missing: Missing;
  readonly options: AtomicOptions;
}

/** The new value for what was found; undefined to leave it. */
type Change<T, Missing> = (found: T | Missing, isThere: boolean) => { readonly value: T } | undefined;

type Trial<T, Missing> =
  | { readonly kind: 'written'; readonly found: T | Missing; readonly written: T }
  /** There was nothing to write. */
  | { readonly kind: 'left'; readonly found: T | Missing }
  /** Somebody else was quicker. */
  | { readonly kind: 'overtaken'; readonly found: T | Missing };

/** @typeParam Missing what a znode that isn't there is told as */
export class AtomicZnode<T, Missing> {
  readonly path: string;
  readonly #client: CuratorFramework;
  readonly #parts: AtomicParts<T, Missing>;
  /** Settled, and never rejected, when the turn of whoever came last is over. */
  #lastTurn: Promise<void> = Promise.resolve();

  constructor(client: CuratorFramework, path: string, parts: AtomicParts<T, Missing>) {
    this.#client = client;
    this.path = path;
    this.#parts = parts;
  }

  /** The present value, as both `preValue` and `postValue`. It always succeeds, or rejects. */
  async get({ signal }: AtomicCallOptions = {}): Promise<AtomicResult<T | Missing> & { readonly succeeded: true }> {
    const { value } = await this.#read(signal);
    return { succeeded: true, preValue: value, postValue: value, stats: noStats() };
  }

  /** Writes the value, whatever there was, and makes the znode if there is none. */
  async forceSet(value: T, { signal }: AtomicCallOptions = {}): Promise<void> {
    await this.#inTurn(signal, async () => {
      let kind: Trial<T, Missing>['kind'];
      // Each time that it doesn't work, somebody else's write did.
      do ({ kind } = await this.#tryOnce(() => ({ value }), { signal, isForced: true }));
      while (kind !== 'written');
    });
  }

  /**
   * Writes `value` if the present value is `expected`. Values are equal if the serializer makes the same bytes of them. Never succeeds
   * where there is no znode: {@link initialize} makes it.
   */
  compareAndSet(expected: T, value: T, options: AtomicCallOptions = {}): Promise<AtomicResult<T | Missing>> {
    const { serializer } = this.#parts;
    const wanted = Buffer.from(serializer.serialize(expected));
    return this.change((found, isThere) => {
      // What is there is a T.
      const isExpected = isThere && wanted.equals(serializer.serialize(found as T));
      return isExpected ? { value } : undefined;
    }, options);
  }

  /** Writes the value over what is read just before, and so tells what it has replaced. Makes the znode if there is none. */
  trySet(value: T, options: AtomicCallOptions = {}): Promise<AtomicResult<T | Missing>> {
    return this.change(() => ({ value }), options);
  }

  /** Makes the znode. False if there is one. */
  async initialize(value: T, options: AtomicCallOptions = {}): Promise<boolean> {
    const { succeeded } = await this.change((_found, isThere) => (isThere ? undefined : { value }), options);
    return succeeded;
  }

  /** For the numbers: computes the new value from the present one, and writes it unless somebody else was quicker, again and again. */
  protected change(change: Change<T, Missing>, { signal }: AtomicCallOptions = {}): Promise<AtomicResult<T | Missing>> {
    return this.#inTurn(signal, async () => {
      const { options } = this.#parts;
      const { retry = DEFAULT_RETRY, promotedToLock } = options;
      const stats = noStats();
      const optimistic = await this.#tryUnder(retry, { change, signal });
      stats.optimisticTries = optimistic.tries;
      stats.optimisticTimeMs = optimistic.timeMs;
      if (optimistic.trial.kind !== 'overtaken' || promotedToLock === undefined)
        return toResult(optimistic.trial, stats);
      const startedAt = this.#client.clock.now();
      const promoted = await this.#tryLocked(promotedToLock, { change, signal });
      stats.promotedLockTries = promoted?.tries ?? 0;
      stats.promotedTimeMs = this.#client.clock.now() - startedAt;
      return toResult(promoted?.trial ?? optimistic.trial, stats);
    });
  }

  /** Undefined if the lock could not be had in time. */
  async #tryLocked({ path, timeoutMs, retry = new RetryNTimes(0, 0) }: PromotedToLock, wish: Wish<T, Missing>) {
    const mutex = new InterProcessMutex(this.#client, path);
    let held: Ownership;
    try {
      held = await mutex.acquire({ timeoutMs, signal: wish.signal });
    } catch (error) {
      if (error instanceof AcquireTimeoutError) return undefined;
      throw error;
    }
    try {
      // Should it be lost meanwhile: it keeps others from trying, and it is the version that keeps the value.
      return await this.#tryUnder(retry, wish);
    } finally {
      await held.release().catch((error: unknown) => this.#client.reportError(error));
    }
  }

  async #tryUnder(retry: RetryPolicy, { change, signal }: Wish<T, Missing>) {
    const { clock, random } = this.#client;
    const startedAt = clock.now();
    for (let tries = 1; ; tries++) {
      const trial = await this.#tryOnce(change, { signal });
      const elapsedMs = clock.now() - startedAt;
      if (trial.kind !== 'overtaken') return { trial, tries, timeMs: elapsedMs };
      const error = new BadVersionError(`somebody else has written: ${this.path}`, { path: this.path });
      const delayMs = retry.nextDelayMs({ retryCount: tries - 1, elapsedMs, error, random });
      if (delayMs === undefined) return { trial, tries, timeMs: elapsedMs };
      await this.#pause(delayMs, signal);
    }
  }

  async #tryOnce(
    change: Change<T, Missing>,
    { signal, isForced = false }: AtomicCallOptions & { readonly isForced?: boolean },
  ): Promise<Trial<T, Missing>> {
    const { value: found, version } = await this.#read(signal, { isForced });
    const changed = change(found, version !== undefined);
    if (changed === undefined) return { kind: 'left', found };
    if (!isForced) assertConditional(this.path, version);
    const data = this.#parts.serializer.serialize(changed.value);
    return (await writeIfUnchanged(this.#client, this.path, { data, version, signal }))
      ? { kind: 'written', found, written: changed.value }
      : { kind: 'overtaken', found };
  }

  /** @param isForced what is there doesn't matter, and may be damaged */
  async #read(
    signal: AbortSignal | undefined,
    { isForced = false } = {},
  ): Promise<{ readonly value: T | Missing; readonly version: number | undefined }> {
    const { serializer, missing } = this.#parts;
    try {
      const { data, stat } = await this.#client.getData(this.path, { signal });
      const value = isForced ? missing : deserialize(serializer, this.path, data);
      return { value, version: stat.version };
    } catch (error) {
      if (error instanceof NoNodeError) return { value: missing, version: undefined };
      throw error;
    }
  }

  async #inTurn<Result>(signal: AbortSignal | undefined, work: () => Promise<Result>): Promise<Result> {
    signal?.throwIfAborted();
    const turn = this.#lastTurn.then(() => {
      signal?.throwIfAborted();
      return work();
    });
    this.#lastTurn = turn.then(
      () => undefined,
      () => undefined,
    );
    if (signal === undefined) return turn;
    return new Promise<Result>((resolve, reject) => {
      const stop = onAbort(signal, () => reject(signal.reason));
      turn.finally(stop).then(resolve, reject);
    });
  }

  async #pause(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const wakeUp = new WakeUp(this.#client.clock);
    const stop = signal && onAbort(signal, wakeUp.call);
    await wakeUp.sleep({ timeoutMs });
    stop?.();
    signal?.throwIfAborted();
  }
}

interface Wish<T, Missing> extends AtomicCallOptions {
  readonly change: Change<T, Missing>;
}

const DEFAULT_RETRY = new ExponentialBackoffRetry(5, 20, 100);

const noStats = () => ({ optimisticTries: 0, optimisticTimeMs: 0, promotedLockTries: 0, promotedTimeMs: 0 });

const toResult = <T, Missing>(trial: Trial<T, Missing>, stats: AtomicStats): AtomicResult<T | Missing> =>
  trial.kind === 'written'
    ? { succeeded: true, preValue: trial.found, postValue: trial.written, stats }
    : { succeeded: false, preValue: trial.found, postValue: undefined, stats };
