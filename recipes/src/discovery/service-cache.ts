/**
 * The instances of one service, kept here as they are on the servers (Curator's `ServiceCache`): a {@link PathChildrenCache} seen without
 * what can't be read.
 *
 * What must always hold: `cacheChanged` comes only when the cache was started completely (CURATOR-452); data that are empty, or no
 * instance, are left out and end nothing (CURATOR-574).
 */
import { type CuratorFramework, EventSource } from 'zookeeper-client-ts';
import { type ErrorEvents, tellError } from '../error-events.ts';
import { PathChildrenCache } from '../path-children-cache.ts';
import type { RecipeState } from '../recipe-state.ts';
import type { Serializer } from '../serializer.ts';
import type { ServiceInstance } from './service-instance.ts';

/** Event name → the arguments of its listeners. */
export interface ServiceCacheEvents<T> extends ErrorEvents {
  readonly cacheChanged: readonly [instances: readonly ServiceInstance<T>[]];
}

/** What a cache is made of: see `ServiceDiscovery.serviceCache`. */
export interface ServiceCacheParts<T> {
  readonly client: CuratorFramework;
  /** Of the znode above the instances. */
  readonly path: string;
  readonly serializer: Serializer<ServiceInstance<T>>;
  readonly onClose: () => void;
}

/**
 * ```ts
 * await using cache = await discovery.serviceCache('billing').start();
 * cache.on('cacheChanged', (instances) => balance(instances));
 * balance(cache.getInstances());
 * ```
 */
export class ServiceCache<T = unknown> implements AsyncDisposable {
  readonly path: string;
  readonly #cache: PathChildrenCache<ServiceInstance<T>>;
  readonly #events = new EventSource<ServiceCacheEvents<T>>();
  readonly #onClose: () => void;
  #isStarted = false;

  constructor({ client, path, serializer, onClose }: ServiceCacheParts<T>) {
    this.path = path;
    this.#onClose = onClose;
    this.#cache = new PathChildrenCache(client, path, { serializer });
    const tell = () => {
      if (this.#isStarted) this.#events.emit('cacheChanged', this.getInstances());
    };
    for (const event of ['childAdded', 'childUpdated', 'childRemoved'] as const) this.#cache.on(event, tell);
    this.#cache.on('error', (error) => tellError(this.#events, client, error));
  }

  get state(): RecipeState {
    return this.#cache.state;
  }

  /** As they are known here, sorted by the names of their znodes; also those that are not enabled. */
  getInstances(): readonly ServiceInstance<T>[] {
    return this.#cache.getCurrentData().flatMap(({ value }) => value ?? []);
  }

  /**
   * `cacheChanged`: an instance came, went, or says something else, since `start` has resolved. `error`: as of `CuratorCache.on`.
   * Returns what removes the listener.
   */
  on<Name extends keyof ServiceCacheEvents<T>>(
    name: Name,
    listener: (...args: ServiceCacheEvents<T>[Name]) => void,
  ): () => void {
    return this.#events.on(name, listener);
  }

  /** Resolves to the cache when the instances have been read, also if there are none; rejects as `CuratorCache.start`. */
  start(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<this> {
    const started = this.#cache.start(options).then(() => {
      this.#isStarted = true;
      return this;
    });
    started.catch(() => undefined);
    return started;
  }

  /** As `CuratorCache.close`. */
  close(): Promise<void> {
    this.#onClose();
    return this.#cache.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
