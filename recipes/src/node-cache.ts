/**
 * One znode, kept here as it is on the servers, or known to be missing (Curator's `NodeCache`): the {@link CuratorCache} of a single
 * node, whose events are one. It makes no parents: a watch needs none.
 */
import { type CuratorFramework, EventSource } from 'zookeeper-client-ts';
import { type ChildData, CuratorCache, type CuratorCacheOptions } from './curator-cache.ts';
import { type ErrorEvents, tellError } from './error-events.ts';
import type { RecipeState } from './recipe-state.ts';

/** As those of {@link CuratorCacheOptions}. */
export type NodeCacheOptions<T = Uint8Array> = Pick<CuratorCacheOptions<T>, 'serializer' | 'compressedData'>;

/** Event name → the arguments of its listeners. */
export interface NodeCacheEvents<T> extends ErrorEvents {
  readonly nodeChanged: readonly [node: ChildData<T> | undefined];
}

/**
 * ```ts
 * await using config = await new NodeCache(client, '/config', { serializer: json<Config>() }).start();
 * config.on('nodeChanged', (node) => apply(node?.value));
 * ```
 */
export class NodeCache<T = Uint8Array> implements AsyncDisposable {
  readonly path: string;
  readonly #cache: CuratorCache<T>;
  readonly #events = new EventSource<NodeCacheEvents<T>>();

  constructor(client: CuratorFramework, path: string, options: NodeCacheOptions<T> = {}) {
    this.path = path;
    this.#cache = new CuratorCache(client, path, { ...options, singleNode: true });
    const tell = (_oldNode: unknown, node: ChildData<T> | undefined) => this.#events.emit('nodeChanged', node);
    this.#cache.on('created', tell);
    this.#cache.on('changed', tell);
    this.#cache.on('deleted', tell);
    this.#cache.on('error', (error) => tellError(this.#events, client, error));
  }

  get state(): RecipeState {
    return this.#cache.state;
  }

  /** The znode; undefined if there is none, and before the cache has started. */
  getCurrentData(): ChildData<T> | undefined {
    return this.#cache.get(this.path);
  }

  /**
   * `nodeChanged`: the znode was created, written or deleted, then undefined; one that was deleted and created again is told as both.
   * `error`: as of `CuratorCache.on`. Returns what removes the listener.
   */
  on<Name extends keyof NodeCacheEvents<T>>(
    name: Name,
    listener: (...args: NodeCacheEvents<T>[Name]) => void,
  ): () => void {
    return this.#events.on(name, listener);
  }

  /** Resolves to the cache when the znode has been read, or found to be missing; rejects as `CuratorCache.start`. */
  start(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<this> {
    const started = this.#cache.start(options).then(() => this);
    started.catch(() => undefined);
    return started;
  }

  /** As `CuratorCache.close`. */
  close(): Promise<void> {
    return this.#cache.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
