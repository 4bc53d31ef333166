/**
 * A znode that stays while this is open and its process lives, and is deleted by the servers some time after that (Curator's
 * `PersistentTtlNode`): for what has to outlast a session that is lost for a while, which an ephemeral znode doesn't.
 *
 * `<path>` has a time to live, and so has its child `touch`, to which this writes again and again; so watchers of `<path>` hear nothing of
 * it. When nobody writes any more, the child goes, then the znode, each when its time is over. The servers must know such znodes
 * (`extendedTypesEnabled`).
 *
 * What must always hold: the znode has a time to live from the beginning, and gets its child at once, so that nothing stays behind if the
 * process ends between the two (CURATOR-545, 1258).
 */
import {
  ClientClosedError,
  CreateMode,
  type CuratorFramework,
  isRetryable,
  joinPath,
  NoNodeError,
} from 'zookeeper-client-ts';
import { PersistentNode, type PersistentNodeEvents, type PersistentNodeOptions } from './persistent-node.ts';
import type { RecipeState } from './recipe-state.ts';
import { WakeUp } from './wake-up.ts';

/** How to keep it. */
export interface PersistentTtlNodeOptions<T = Uint8Array>
  extends Pick<PersistentNodeOptions<T>, 'data' | 'serializer' | 'parents'> {
  /** Time to live, ms, from when it was last written to. The servers look every minute, unless they are told otherwise. */
  readonly ttlMs: number;
  /** How often it is written to in that time. 2 by default. */
  readonly touchFactor?: number | undefined;
  /** The name of the child. `touch` by default, as in Curator. */
  readonly childNodeName?: string | undefined;
}

/**
 * ```ts
 * await using node = new PersistentTtlNode(client, '/jobs/j1', { ttlMs: 60_000, data: 'mine', serializer: string }).start();
 * await node.waitForInitialCreate();
 * ```
 */
export class PersistentTtlNode<T = Uint8Array> implements AsyncDisposable {
  readonly path: string;
  readonly #client: CuratorFramework;
  readonly #node: PersistentNode<T>;
  readonly #ttlMs: number;
  readonly #intervalMs: number;
  readonly #childPath: string;
  readonly #wakeUp: WakeUp;
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(client: CuratorFramework, path: string, options: PersistentTtlNodeOptions<T>) {
    const { ttlMs, touchFactor = 2, childNodeName = 'touch', ...nodeOptions } = options;
    this.path = path;
    this.#client = client;
    this.#ttlMs = ttlMs;
    this.#intervalMs = ttlMs / touchFactor;
    this.#childPath = joinPath(path, childNodeName);
    this.#wakeUp = new WakeUp(client.clock);
    const mode = CreateMode.PERSISTENT_WITH_TTL;
    this.#node = new PersistentNode(client, path, { ...nodeOptions, mode, ttlMs, keepOnClose: true });
    this.#node.on('nodeCreated', this.#wakeUp.call);
  }

  get state(): RecipeState {
    return this.#node.state;
  }

  /** As {@link PersistentNode.getData}. */
  getData(): T | undefined {
    return this.#node.getData();
  }

  /** As {@link PersistentNode.on}; also what the servers refuse to do to the child is an `error`. */
  on<Name extends keyof PersistentNodeEvents>(
    name: Name,
    listener: (...args: PersistentNodeEvents[Name]) => void,
  ): () => void {
    return this.#node.on(name, listener);
  }

  /** As {@link PersistentNode.start}. */
  start(): this {
    this.#node.start();
    this.#running = this.#run();
    return this;
  }

  /** As {@link PersistentNode.waitForInitialCreate}. */
  async waitForInitialCreate(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    await this.#node.waitForInitialCreate(options);
  }

  /** As {@link PersistentNode.setData}. */
  setData(value: T, options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#node.setData(value, options);
  }

  /** Writes no more. The znode stays until its time is over. May be called again. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    this.#wakeUp.call();
    await this.#node.close();
    await this.#running;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const unsubscribe = this.#client.on('lifecycle', this.#wakeUp.call);
    while (!this.#closing.signal.aborted && this.#client.lifecycle !== 'STOPPED') {
      this.#wakeUp.clear();
      if (this.#node.actualPath !== undefined) await this.#touch();
      await this.#wakeUp.sleep({ timeoutMs: this.#intervalMs });
    }
    unsubscribe();
  }

  async #touch(): Promise<void> {
    const { signal } = this.#closing;
    try {
      try {
        await this.#client.setData(this.#childPath, undefined, { signal });
      } catch (error) {
        if (!(error instanceof NoNodeError)) throw error;
        const create = this.#client.create().withMode(CreateMode.PERSISTENT_WITH_TTL).withTtl(this.#ttlMs);
        await create.orSetData().withSignal(signal).forPath(this.#childPath);
      }
    } catch (error) {
      const isOver = signal.aborted || error instanceof ClientClosedError;
      // The znode itself is gone: it is being made again. Without a connection the next time will do.
      if (isOver || error instanceof NoNodeError || isRetryable(error)) return;
      this.#node.report(error);
    }
  }
}
