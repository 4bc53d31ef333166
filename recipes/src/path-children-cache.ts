/**
 * The children of a znode with their data, kept here as they are on the servers (Curator's `PathChildrenCache`): a {@link CuratorCache}
 * of what is directly below its path, seen without the path's own znode.
 *
 * What must always hold: `initialized` comes when every child that there was has been told, or is gone; one that vanishes meanwhile
 * doesn't hold it up (CURATOR-476).
 */
import { type CuratorFramework, EventSource } from 'zookeeper-client-ts';
import { type ChildData, CuratorCache, type CuratorCacheOptions } from './curator-cache.ts';
import { type ErrorEvents, tellError } from './error-events.ts';
import type { RecipeState } from './recipe-state.ts';

/** As those of {@link CuratorCacheOptions}. */
export type PathChildrenCacheOptions<T = Uint8Array> = Pick<
  CuratorCacheOptions<T>,
  'serializer' | 'compressedData' | 'cacheData'
>;

/** Event name → the arguments of its listeners. */
export interface PathChildrenCacheEvents<T> extends ErrorEvents {
  readonly childAdded: readonly [node: ChildData<T>];
  readonly childUpdated: readonly [node: ChildData<T>, oldNode: ChildData<T>];
  readonly childRemoved: readonly [oldNode: ChildData<T>];
  readonly initialized: readonly [children: readonly ChildData<T>[]];
}

/**
 * ```ts
 * await using workers = await new PathChildrenCache(client, '/workers', { serializer: string }).start();
 * workers.on('childRemoved', (worker) => reassign(worker.value));
 * for (const worker of workers.getCurrentData()) assign(worker.value);
 * ```
 */
export class PathChildrenCache<T = Uint8Array> implements AsyncDisposable {
  readonly path: string;
  readonly #cache: CuratorCache<T>;
  readonly #events = new EventSource<PathChildrenCacheEvents<T>>();

  constructor(client: CuratorFramework, path: string, options: PathChildrenCacheOptions<T> = {}) {
    this.path = path;
    const selector = { traverseChildren: (each: string) => each === path, acceptChild: () => true };
    this.#cache = new CuratorCache(client, path, { ...options, selector });
    this.#cache.on('created', (_oldNode, node) => {
      if (node.path !== path) this.#events.emit('childAdded', node);
    });
    this.#cache.on('changed', (oldNode, node) => {
      if (node.path !== path) this.#events.emit('childUpdated', node, oldNode);
    });
    this.#cache.on('deleted', (oldNode) => {
      if (oldNode.path !== path) this.#events.emit('childRemoved', oldNode);
    });
    this.#cache.on('synced', () => this.#events.emit('initialized', this.getCurrentData()));
    this.#cache.on('error', (error) => tellError(this.#events, client, error));
  }

  get state(): RecipeState {
    return this.#cache.state;
  }

  /** The children, sorted by their paths; or the one of that path, if there is one. */
  getCurrentData(): ChildData<T>[];
  getCurrentData(path: string): ChildData<T> | undefined;
  getCurrentData(path?: string): ChildData<T>[] | ChildData<T> | undefined {
    if (path !== undefined) return path === this.path ? undefined : this.#cache.get(path);
    return [...this.#cache.childrenOf(this.path)].sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /**
   * - `childAdded`, `childUpdated`, `childRemoved`: one that was deleted and created again is removed, then added.
   * - `initialized`: the children are known as they are now: in the beginning, and again after each outage.
   * - `error`: as of `CuratorCache.on`.
   *
   * Returns what removes the listener. Whoever subscribes before `start` is told of what there is in the beginning (Curator's
   * `POST_INITIALIZED_EVENT`), whoever does so when it has resolved, of what is new since (`BUILD_INITIAL_CACHE`).
   */
  on<Name extends keyof PathChildrenCacheEvents<T>>(
    name: Name,
    listener: (...args: PathChildrenCacheEvents<T>[Name]) => void,
  ): () => void {
    return this.#events.on(name, listener);
  }

  /** Resolves to the cache when the children have been read, also if there is no such path; rejects as `CuratorCache.start`. */
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
