/**
 * A znode and what is below it, as deep as is wanted (Curator's `TreeCache`): a {@link CuratorCache} with a depth and a selector, under
 * the names of its events.
 */
import { type CuratorFramework, EventSource, nameOf, type TreeSelector } from 'zookeeper-client-ts';
import { type ChildData, CuratorCache, type CuratorCacheOptions } from './curator-cache.ts';
import { type ErrorEvents, tellError } from './error-events.ts';
import type { RecipeState } from './recipe-state.ts';

/** Which part of the tree is wanted. */
export type TreeCacheSelector = TreeSelector;

/** How to cache a tree. */
export interface TreeCacheOptions<T = Uint8Array>
  extends Pick<CuratorCacheOptions<T>, 'serializer' | 'compressedData' | 'cacheData'> {
  /** How many levels below the path belong to it: with 0 the znode at the path alone. No limit by default. */
  readonly maxDepth?: number | undefined;
  /** By default everything belongs to it. */
  readonly selector?: TreeCacheSelector | undefined;
}

/** Event name → the arguments of its listeners. */
export interface TreeCacheEvents<T> extends ErrorEvents {
  readonly nodeAdded: readonly [node: ChildData<T>];
  readonly nodeUpdated: readonly [node: ChildData<T>, oldNode: ChildData<T>];
  readonly nodeRemoved: readonly [oldNode: ChildData<T>];
  readonly initialized: readonly [];
}

/**
 * ```ts
 * await using tree = await new TreeCache(client, '/apps', { maxDepth: 2 }).start();
 * for (const [name, node] of tree.getCurrentChildren('/apps') ?? []) show(name, node.data);
 * ```
 */
export class TreeCache<T = Uint8Array> implements AsyncDisposable, Iterable<ChildData<T>> {
  readonly path: string;
  readonly #cache: CuratorCache<T>;
  readonly #events = new EventSource<TreeCacheEvents<T>>();

  constructor(client: CuratorFramework, path: string, options: TreeCacheOptions<T> = {}) {
    const { maxDepth = Number.POSITIVE_INFINITY, selector, ...cacheOptions } = options;
    const root = depthOf(path);
    const wanted: TreeSelector = {
      traverseChildren: (each) => depthOf(each) - root < maxDepth && (selector?.traverseChildren(each) ?? true),
      acceptChild: (each) => selector?.acceptChild(each) ?? true,
    };
    this.path = path;
    this.#cache = new CuratorCache(client, path, { ...cacheOptions, selector: wanted, singleNode: maxDepth === 0 });
    this.#cache.on('created', (_oldNode, node) => this.#events.emit('nodeAdded', node));
    this.#cache.on('changed', (oldNode, node) => this.#events.emit('nodeUpdated', node, oldNode));
    this.#cache.on('deleted', (oldNode) => this.#events.emit('nodeRemoved', oldNode));
    this.#cache.on('synced', () => this.#events.emit('initialized'));
    this.#cache.on('error', (error) => tellError(this.#events, client, error));
  }

  get state(): RecipeState {
    return this.#cache.state;
  }

  get size(): number {
    return this.#cache.size;
  }

  /** The znode of that path, if there is one. */
  getCurrentData(path: string): ChildData<T> | undefined {
    return this.#cache.get(path);
  }

  /** The children of a znode by their names, sorted; undefined if there is no such znode. */
  getCurrentChildren(path: string): ReadonlyMap<string, ChildData<T>> | undefined {
    if (this.#cache.get(path) === undefined) return undefined;
    const children = [...this.#cache.childrenOf(path)].map((node) => [nameOf(node.path), node] as const);
    return new Map(children.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** All znodes, each before those below it. */
  [Symbol.iterator](): Generator<ChildData<T>, undefined> {
    return this.#cache[Symbol.iterator]();
  }

  /**
   * - `nodeAdded`, `nodeUpdated`, `nodeRemoved`: parents are added before their children, and removed after them.
   * - `initialized`: the tree is known as it is now: in the beginning, and again after each outage.
   * - `error`: as of `CuratorCache.on`.
   *
   * Returns what removes the listener.
   */
  on<Name extends keyof TreeCacheEvents<T>>(
    name: Name,
    listener: (...args: TreeCacheEvents<T>[Name]) => void,
  ): () => void {
    return this.#events.on(name, listener);
  }

  /** Resolves to the cache when the tree has been read, also if there is no such path; rejects as `CuratorCache.start`. */
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

const depthOf = (path: string): number => (path === '/' ? 0 : path.split('/').length - 1);
