/**
 * A number that all share, such as the limit of a semaphore (Curator's `SharedCount`, and kazoo's `Counter` with `support_curator`: 4 bytes,
 * the highest first). To count with, take a `DistributedAtomicInteger`: this one is for being set.
 */
import { type CuratorFramework, EventSource } from 'zookeeper-client-ts';
import { int32 } from './big-endian.ts';
import { type ErrorEvents, tellError } from './error-events.ts';
import type { RecipeState } from './recipe-state.ts';
import type { SharedCountReader } from './semaphore.ts';
import { SharedValue, type SharedValueCallOptions, type VersionedValue } from './shared-value.ts';

/** Event name → the arguments of its listeners. */
export interface SharedCountEvents extends ErrorEvents {
  readonly change: readonly [count: number];
}

/**
 * ```ts
 * await using limit = await new SharedCount(client, '/limits/workers', 10).start();
 * const workers = new InterProcessSemaphoreV2(client, '/workers', limit);
 * await limit.setCount(20);
 * ```
 */
export class SharedCount implements AsyncDisposable, SharedCountReader {
  readonly #value: SharedValue<number>;
  readonly #events = new EventSource<SharedCountEvents>();

  /** @param seed what is written if there is no znode yet: a whole number of 32 bits */
  constructor(client: CuratorFramework, path: string, seed: number) {
    this.#value = new SharedValue(client, path, seed, { serializer: int32 });
    this.#value.on('change', ({ value }) => this.#events.emit('change', value));
    this.#value.on('error', (error) => tellError(this.#events, client, error));
  }

  get path(): string {
    return this.#value.path;
  }

  get state(): RecipeState {
    return this.#value.state;
  }

  /** As {@link SharedValue.getValue}. */
  getCount(): number {
    return this.#value.getValue();
  }

  /** As {@link SharedValue.getVersionedValue}. */
  getVersionedValue(): VersionedValue<number> {
    return this.#value.getVersionedValue();
  }

  /** As {@link SharedValue.on}. */
  on<Name extends keyof SharedCountEvents>(
    name: Name,
    listener: (...args: SharedCountEvents[Name]) => void,
  ): () => void {
    return this.#events.on(name, listener);
  }

  /** As {@link SharedValue.start}. */
  start(options: SharedValueCallOptions = {}): Promise<this> {
    const started = this.#value.start(options).then(() => this);
    started.catch(() => undefined);
    return started;
  }

  /** As {@link SharedValue.setValue}. @throws InvalidArgumentError if it has more than 32 bits */
  setCount(count: number, options: SharedValueCallOptions = {}): Promise<void> {
    return this.#value.setValue(count, options);
  }

  /** As {@link SharedValue.trySetValue}. @throws InvalidArgumentError if it has more than 32 bits */
  trySetCount(previous: VersionedValue<number>, count: number, options: SharedValueCallOptions = {}): Promise<boolean> {
    return this.#value.trySetValue(previous, count, options);
  }

  /** As {@link SharedValue.close}. */
  close(): Promise<void> {
    return this.#value.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
