/**
 * Gives an instance of one service to each call that needs one (Curator's `ServiceProvider`): a strategy chooses among the instances of a
 * {@link ServiceCache} that are enabled, not down, and wanted by all filters. Made once for a service and kept: it holds a watch.
 */
import type { CuratorFramework } from 'zookeeper-client-ts';
import type { RecipeState } from '../recipe-state.ts';
import { type DownInstancePolicy, DownInstances } from './down-instances.ts';
import { type ProviderStrategy, RoundRobinStrategy } from './provider-strategy.ts';
import type { ServiceCache } from './service-cache.ts';
import type { ServiceInstance } from './service-instance.ts';

/** Which instance to give. */
export interface ServiceProviderOptions<T = unknown> {
  /** One after the other by default. */
  readonly strategy?: ProviderStrategy<T> | undefined;
  /** An instance is given only if all of them say true. */
  readonly filters?: readonly ((instance: ServiceInstance<T>) => boolean)[] | undefined;
  /** What {@link ServiceProvider.noteError} leads to. */
  readonly downInstancePolicy?: DownInstancePolicy | undefined;
}

/**
 * ```ts
 * await using billing = await discovery.serviceProvider('billing').start();
 * const instance = billing.getInstance();
 * ```
 */
export class ServiceProvider<T = unknown> implements AsyncDisposable {
  readonly #cache: ServiceCache<T>;
  readonly #random: () => number;
  readonly #strategy: ProviderStrategy<T>;
  readonly #filters: readonly ((instance: ServiceInstance<T>) => boolean)[];
  readonly #downInstances: DownInstances;

  /** See `ServiceDiscovery.serviceProvider`. @throws InvalidArgumentError for a policy that makes no sense */
  constructor(client: CuratorFramework, cache: ServiceCache<T>, options: ServiceProviderOptions<T> = {}) {
    const { strategy = new RoundRobinStrategy(), filters = [], downInstancePolicy } = options;
    this.#cache = cache;
    this.#random = client.random;
    this.#strategy = strategy;
    this.#filters = filters;
    this.#downInstances = new DownInstances(client.clock, downInstancePolicy);
  }

  get state(): RecipeState {
    return this.#cache.state;
  }

  /** All that may be given at present. What a filter throws reaches the caller. */
  getAllInstances(): readonly ServiceInstance<T>[] {
    const mayBeGiven = (instance: ServiceInstance<T>) =>
      instance.enabled && !this.#downInstances.isDown(instance) && this.#filters.every((filter) => filter(instance));
    return this.#cache.getInstances().filter(mayBeGiven);
  }

  /** The one to use for the next call; undefined if there is none. Don't keep it: ask again. */
  getInstance(): ServiceInstance<T> | undefined {
    const instances = this.getAllInstances();
    return instances.length === 0 ? undefined : this.#strategy.getInstance(instances, this.#random);
  }

  /** A call to that instance has failed. After some of them it isn't given for a while: see {@link DownInstancePolicy}. */
  noteError(instance: ServiceInstance<T>): void {
    this.#downInstances.noteError(instance);
  }

  /** As {@link ServiceCache.on}. Returns what removes the listener. */
  on(name: 'error', listener: (error: unknown) => void): () => void {
    return this.#cache.on(name, listener);
  }

  /** Resolves to the provider when the instances are known; rejects as {@link ServiceCache.start}. */
  start(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<this> {
    const started = this.#cache.start(options).then(() => this);
    started.catch(() => undefined);
    return started;
  }

  /** As {@link ServiceCache.close}. */
  close(): Promise<void> {
    return this.#cache.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
