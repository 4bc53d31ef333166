/**
 * A znode and all below it, kept here as it is on the servers (Curator's `CuratorCache`). What is there and what changes comes from
 * the client's tree stream, which re-reads after outages and also knows servers without persistent watches (Curator's
 * `CuratorCacheBridge`); the cache applies it to what it has, step by step, and tells each step.
 *
 * What must always hold:
 * - Applied in their order, the events turn the cache as it was into the cache as it is. Each is told when the cache shows it, and none
 *   is impossible: a znode is created below one that is there, and deleted when nothing is left below it.
 * - Znodes are compared by czxid and mzxid. One that was deleted and created again is deleted, then created, with all that was
 *   below it: its version, which starts over, would hide that.
 * - `synced` comes when everything has been read: in the beginning, and again after every outage (CURATOR-296).
 * - Data that can't be read is an `error` event and ends nothing; empty data not even that (CURATOR-574, 609). After `close()` no
 *   event comes, and no watch is left (CURATOR-332, 491).
 */
import {
  ClientClosedError,
  type CuratorFramework,
  EventSource,
  parentOf,
  type Stat,
  type TreeChange,
  type TreeSelector,
  type Znode,
} from 'zookeeper-client-ts';
import { type ErrorEvents, tellError } from './error-events.ts';
import { type RecipeState, RecipeStateError } from './recipe-state.ts';
import { bytes, deserialize, type Serializer } from './serializer.ts';
import { WakeUp } from './wake-up.ts';

/** A znode as a cache has it (Curator's class of that name). Never changed: the next state is another object. */
export interface ChildData<T = Uint8Array> {
  readonly path: string;
  readonly stat: Stat;
  /** Decompressed, if it is compressed and can be. Empty if the znode has none, or the cache doesn't keep data. */
  readonly data: Buffer;
  /** What the serializer makes of the data; undefined where it can't, and where the cache doesn't keep data. */
  readonly value: T | undefined;
}

/** How to cache. */
export interface CuratorCacheOptions<T = Uint8Array> {
  /** What the data say. By default they are bytes. */
  readonly serializer?: Serializer<T> | undefined;
  /** The znode alone, without those below it. False by default. */
  readonly singleNode?: boolean | undefined;
  /** The data are compressed. By default as it is for the whole client. */
  readonly compressedData?: boolean | undefined;
  /**
   * Whether the cache keeps data and values. True by default; otherwise it has only paths and stats, the new of an event has data, and
   * the old of an event has none.
   */
  readonly cacheData?: boolean | undefined;
  /** What was cached can still be read when the cache is closed. False by default. */
  readonly keepOnClose?: boolean | undefined;
  /** Which znodes below the path belong to it: what is left out is neither read nor told, and nothing below it is. All by default. */
  readonly selector?: TreeSelector | undefined;
}

/** Event name → the arguments of its listeners. */
export interface CuratorCacheEvents<T> extends ErrorEvents {
  readonly created: readonly [oldNode: undefined, node: ChildData<T>];
  readonly changed: readonly [oldNode: ChildData<T>, node: ChildData<T>];
  readonly deleted: readonly [oldNode: ChildData<T>, node: undefined];
  readonly synced: readonly [];
}

interface CachedZnode<T> {
  node: ChildData<T>;
  /** Paths. */
  readonly children: Set<string>;
}

/** Between two streams, when the servers refuse what the cache needs, ms. */
const REFUSED_PAUSE_MS = 5_000;

const NO_DATA = Buffer.alloc(0);

/**
 * ```ts
 * await using cache = await new CuratorCache(client, '/services', { serializer: json<Service>() }).start();
 * cache.on('created', (_oldNode, node) => connectTo(node.value));
 * for (const node of cache) connectTo(node.value);
 * ```
 */
export class CuratorCache<T = Uint8Array> implements AsyncDisposable, Iterable<ChildData<T>> {
  readonly path: string;
  readonly #client: CuratorFramework;
  readonly #serializer: Serializer<T>;
  readonly #options: CuratorCacheOptions<T>;
  readonly #events = new EventSource<CuratorCacheEvents<T>>();
  /** By path. Of each but the root the parent is there. */
  readonly #znodes = new Map<string, CachedZnode<T>>();
  /** Told before their parents were told to be others than those that are known. Empty whenever it is synced. */
  readonly #orphans = new Map<string, ChildData<T>>();
  readonly #wakeUp: WakeUp;
  #state: RecipeState = 'LATENT';
  /** Those who wait for the first `synced`. */
  #starting: { readonly resolve: () => void; readonly reject: (reason: unknown) => void } | undefined;
  #stream: AsyncIterator<TreeChange> | undefined;
  #running: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(client: CuratorFramework, path: string, options: CuratorCacheOptions<T> = {}) {
    this.#client = client;
    this.path = path;
    this.#options = options;
    // Without a serializer T is what it is by default.
    this.#serializer = options.serializer ?? (bytes as Serializer<unknown> as Serializer<T>);
    this.#wakeUp = new WakeUp(client.clock);
  }

  get state(): RecipeState {
    return this.#state;
  }

  /** How many znodes there are, the one at `path` included. */
  get size(): number {
    return this.#znodes.size;
  }

  /** The znode of that path, if there is one. */
  get(path: string): ChildData<T> | undefined {
    return this.#znodes.get(path)?.node;
  }

  /** The children of a znode, in no certain order; none if there is no such znode. */
  *childrenOf(path: string): Generator<ChildData<T>, undefined> {
    for (const child of this.#znodes.get(path)?.children ?? []) {
      const node = this.get(child);
      if (node !== undefined) yield node;
    }
  }

  /** All znodes, each before those below it. */
  [Symbol.iterator](): Generator<ChildData<T>, undefined> {
    return this.#from(this.path);
  }

  /**
   * - `created`, `changed` (its data was written), `deleted`: each with the old and the new. Whoever subscribes before `start` is told of
   *   what there is in the beginning as `created`; whoever does so when `start` has resolved is told of what is new since.
   * - `synced`: the cache shows the tree as it was when it was last read as a whole: in the beginning, and after an outage. Also told when a
   *   znode has come and gone unseen.
   * - `error`: what a znode's data say can't be made out, which is a `DeserializationError` or a `DataInconsistencyError` with its path; or
   *   the servers refuse what the cache needs: it then tries again every 5 seconds. (That a znode below the path may not be read is an
   *   `error` event of the client: it is left out.)
   *
   * Returns what removes the listener.
   */
  on<Name extends keyof CuratorCacheEvents<T>>(
    name: Name,
    listener: (...args: CuratorCacheEvents<T>[Name]) => void,
  ): () => void {
    return this.#events.on(name, listener);
  }

  /**
   * Begins to read, as soon as the client is started and connected. Resolves to the cache when it is synced, also if there is no such
   * znode. Rejects, and closes the cache, with what the servers refuse (`NoAuthError`), with `signal.reason`, and when the client is
   * closed; with {@link RecipeStateError} when it was started or closed before, or is closed meanwhile. Whoever doesn't wait for it hears of a
   * refusal as an `error` event.
   */
  start({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<this> {
    const synced = this.#start(signal);
    synced.catch(() => undefined);
    return synced;
  }

  /** Ends it, and takes the watches away. Resolves when they are gone; without a connection at once. May be called again. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #start(signal: AbortSignal | undefined): Promise<this> {
    if (this.#state !== 'LATENT') throw new RecipeStateError(`the cache of ${this.path} can't be started again`);
    this.#state = 'STARTED';
    const onAbort = () => this.#end(signal?.reason);
    try {
      signal?.throwIfAborted();
      signal?.addEventListener('abort', onAbort);
      await new Promise<void>((resolve, reject) => {
        this.#starting = { resolve, reject };
        this.#running = this.#run();
      });
      return this;
    } catch (error) {
      await this.close();
      throw error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async #close(): Promise<void> {
    this.#end(new RecipeStateError(`the cache of ${this.path} is closed`));
    await this.#running;
  }

  #end(reason: unknown): void {
    if (this.#isClosed) return;
    this.#state = 'CLOSED';
    if (!this.#options.keepOnClose) this.#znodes.clear();
    this.#starting?.reject(reason);
    this.#wakeUp.call();
    this.#endStream();
  }

  get #isClosed(): boolean {
    return this.#state === 'CLOSED';
  }

  // Following the tree.

  async #run(): Promise<void> {
    const unsubscribes = [this.#client.on('lifecycle', this.#wakeUp.call), this.#client.on('state', this.#onState)];
    while (!this.#isClosed) {
      this.#wakeUp.clear();
      try {
        if (this.#client.lifecycle === 'LATENT') await this.#wakeUp.sleep();
        else await this.#follow();
      } catch (error) {
        await this.#onFailure(error);
      }
    }
    for (const unsubscribe of unsubscribes) unsubscribe();
  }

  /** Nothing ends a stream but its closing, and what waiting alone doesn't cure. */
  async #onFailure(error: unknown): Promise<void> {
    if (error instanceof ClientClosedError || this.#isClosed) return this.#end(error);
    this.#report(error);
    // Once it has shown the tree, the cache belongs to its user, who closes it.
    if (this.#starting !== undefined) this.#end(error);
    else await this.#wakeUp.sleep({ timeoutMs: REFUSED_PAUSE_MS });
  }

  /** Applies what one stream tells, until that ends. */
  async #follow(): Promise<void> {
    const { singleNode = false, selector } = this.#options;
    // What it keeps, it keeps itself.
    const options = { recursive: !singleNode, selector, keepData: false };
    const stream = this.#client.watch(this.path, options)[Symbol.asyncIterator]();
    this.#stream = stream;
    // What an earlier stream has left here: it is there again in the first round of this one, or it is gone.
    const left = new Set(this.#znodes.keys());
    this.#orphans.clear();
    try {
      for (;;) {
        const { done = false, value: change } = await stream.next();
        if (done || this.#isClosed) return;
        if (change.kind !== 'synced') {
          left.delete(change.path);
          await this.#apply(change.path, change.node);
        }
        if (change.kind === 'synced' || (change.kind === 'current' && singleNode)) {
          for (const path of left) this.#remove(path);
          left.clear();
          this.#onSynced();
        }
      }
    } finally {
      // Resolves when its watches are gone.
      await stream.return?.();
    }
  }

  /** A stream of a tree tells when it has read everything again; that of a single znode only in its beginning, so another one begins. */
  readonly #onState = (): void => {
    const { singleNode = false } = this.#options;
    if (singleNode && this.#client.connected && this.#starting === undefined) this.#endStream();
  };

  #endStream(): void {
    // Never rejects, and `#follow` waits for it.
    void this.#stream?.return?.();
  }

  #onSynced(): void {
    if (this.#isClosed) return;
    this.#starting?.resolve();
    this.#starting = undefined;
    this.#events.emit('synced');
  }

  // The znodes.

  async #apply(path: string, znode: Znode | undefined): Promise<void> {
    if (znode === undefined) return this.#remove(path);
    const known = this.get(path)?.stat;
    if (known?.czxid === znode.stat.czxid && known.mzxid === znode.stat.mzxid) return;
    const node = await this.#toChildData(znode);
    this.#put(node);
  }

  async #toChildData({ path, stat, data: stored }: Znode): Promise<ChildData<T>> {
    let data = stored;
    try {
      data = await this.#client.decompress(path, stored, { decompressed: this.#options.compressedData });
      return { path, stat, data, value: deserialize(this.#serializer, path, data) };
    } catch (error) {
      if (data.length > 0) this.#report(error);
      return { path, stat, data, value: undefined };
    }
  }

  #put(node: ChildData<T>): void {
    if (this.#isClosed) return;
    const known = this.#znodes.get(node.path);
    if (known === undefined) {
      this.#add(node);
    } else if (known.node.stat.czxid === node.stat.czxid) {
      const old = known.node;
      known.node = this.#toKept(node);
      this.#events.emit('changed', old, node);
    } else {
      this.#replace(node);
    }
  }

  #add(node: ChildData<T>): void {
    const { path } = node;
    if (path !== this.path) {
      const parent = this.#znodes.get(parentOf(path));
      if (parent === undefined) return void this.#orphans.set(path, node);
      parent.children.add(path);
    }
    this.#znodes.set(path, { node: this.#toKept(node), children: new Set() });
    this.#events.emit('created', undefined, node);
    if (this.#orphans.size === 0) return;
    for (const orphan of [...this.#orphans.values()]) {
      if (parentOf(orphan.path) === path && this.#orphans.delete(orphan.path)) this.#put(orphan);
    }
  }

  /**
   * It was deleted and created again. Of those below, the stream may have told some as they are now, and may tell the others only
   * after this one.
   */
  #replace(node: ChildData<T>): void {
    const [, ...below] = [...this.#from(node.path)];
    this.#remove(node.path);
    this.#put(node);
    for (const each of below) if (each.stat.czxid > node.stat.czxid) this.#put(each);
  }

  #remove(path: string): void {
    this.#orphans.delete(path);
    const known = this.#znodes.get(path);
    if (known === undefined) return;
    for (const child of [...known.children]) this.#remove(child);
    if (this.#isClosed) return;
    this.#znodes.delete(path);
    if (path !== this.path) this.#znodes.get(parentOf(path))?.children.delete(path);
    this.#events.emit('deleted', known.node, undefined);
  }

  /** A znode and all below it, as far as there are any. */
  *#from(path: string): Generator<ChildData<T>, undefined> {
    const known = this.#znodes.get(path);
    if (known === undefined) return;
    yield known.node;
    for (const child of known.children) yield* this.#from(child);
  }

  #toKept(node: ChildData<T>): ChildData<T> {
    const { cacheData = true } = this.#options;
    return cacheData ? node : { ...node, data: NO_DATA, value: undefined };
  }

  readonly #report = (error: unknown): void => {
    if (!this.#isClosed) tellError(this.#events, this.#client, error);
  };
}
