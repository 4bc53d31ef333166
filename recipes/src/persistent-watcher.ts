/**
 * A watch that stays over lost connections and sessions (Curator's `PersistentWatcher`): the bare events, for those who read for
 * themselves. Who wants to know what changed takes `client.watch`, or a cache.
 *
 * What must always hold:
 * - The server says nothing of what happened while there was no connection. So there is a `reset` whenever the watch has been set, the first
 *   time and after every outage: from then on events come, and what was before has to be read.
 * - No event comes after `close()`; no listener and no watch is left (CURATOR-729, 1292). Paths are the client's (CURATOR-1259).
 */
import {
  ClientClosedError,
  type CuratorFramework,
  EventSource,
  EventType,
  isRetryable,
  UnimplementedError,
  type WatchedEvent,
} from 'zookeeper-client-ts';
import { doneUnlessOffline } from './closing.ts';
import { type ErrorEvents, tellError } from './error-events.ts';
import { type RecipeState, RecipeStateError } from './recipe-state.ts';
import { WakeUp } from './wake-up.ts';

/** How to watch. */
export interface PersistentWatcherOptions {
  /**
   * The znode and all below it: created, deleted and written. By default the znode alone, and then also its list of children
   * (`NodeChildrenChanged`).
   */
  readonly recursive?: boolean | undefined;
}

/** Event name → the arguments of its listeners. */
export interface PersistentWatcherEvents extends ErrorEvents {
  readonly event: readonly [event: WatchedEvent];
  readonly reset: readonly [];
}

/** How long to wait before the next attempt when it has failed, ms. */
const PAUSE_MS = 1_000;

/** Those that tell of znodes: of the connection, the client tells; the others say that watches were removed. */
const changeTypes: ReadonlySet<EventType> = new Set([
  EventType.NodeCreated,
  EventType.NodeDeleted,
  EventType.NodeDataChanged,
  EventType.NodeChildrenChanged,
]);

/**
 * ```ts
 * await using watcher = new PersistentWatcher(client, '/apps', { recursive: true });
 * watcher.on('reset', () => readEverything());
 * watcher.on('event', ({ type, path }) => readAgain(path));
 * watcher.start();
 * ```
 */
export class PersistentWatcher implements AsyncDisposable {
  readonly path: string;
  readonly recursive: boolean;
  readonly #client: CuratorFramework;
  readonly #events = new EventSource<PersistentWatcherEvents>();
  readonly #wakeUp: WakeUp;
  #state: RecipeState = 'LATENT';
  /** Set, with no outage since. */
  #isSet = false;
  #running: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(client: CuratorFramework, path: string, { recursive = false }: PersistentWatcherOptions = {}) {
    this.#client = client;
    this.path = path;
    this.recursive = recursive;
    this.#wakeUp = new WakeUp(client.clock);
  }

  get state(): RecipeState {
    return this.#state;
  }

  /**
   * `event`: of the znode, or with `recursive` of one below it. `reset`: the watch is set; what happened before may not have been told.
   * `error`: the servers refuse it, and it is tried again when the connection has changed; servers that don't know such watches (before
   * ZooKeeper 3.6) end this. Returns what removes the listener.
   */
  on<Name extends keyof PersistentWatcherEvents>(
    name: Name,
    listener: (...args: PersistentWatcherEvents[Name]) => void,
  ): () => void {
    return this.#events.on(name, listener);
  }

  /**
   * Begins. Returns at once; if the client is not started or not connected, the watch is set when it is.
   * @throws RecipeStateError if it was started or closed before
   */
  start(): this {
    if (this.#state !== 'LATENT') throw new RecipeStateError(`the watcher of ${this.path} can't be started again`);
    this.#state = 'STARTED';
    this.#running = this.#run();
    return this;
  }

  /** Ends it, and takes the watch away. Resolves when that is done; without a connection at once. May be called again. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#state = 'CLOSED';
    this.#wakeUp.call();
    await doneUnlessOffline(this.#client, this.#running);
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const unsubscribes = [this.#client.on('state', this.#onState), this.#client.on('lifecycle', this.#wakeUp.call)];
    try {
      while (this.#state === 'STARTED') {
        this.#wakeUp.clear();
        if (this.#client.lifecycle === 'STOPPED') this.#state = 'CLOSED';
        else if (this.#client.connected && !this.#isSet) await this.#set();
        else await this.#wakeUp.sleep();
      }
      await this.#remove();
    } catch (error) {
      this.#state = 'CLOSED';
      // With the client, the watch has gone.
      if (!(error instanceof ClientClosedError)) tellError(this.#events, this.#client, error);
    } finally {
      for (const unsubscribe of unsubscribes) unsubscribe();
    }
  }

  async #set(): Promise<void> {
    // Before the request: an outage from here on means that it has to be done again.
    this.#isSet = true;
    try {
      // Not given up on close: it might leave a watch.
      await this.#client.addWatch(this.path, this.#onEvent, { recursive: this.recursive });
      if (this.#isSet) this.#emit('reset');
    } catch (error) {
      this.#isSet = false;
      // A server that doesn't know it ends the connection as well, and would do so every time.
      if (error instanceof ClientClosedError || error instanceof UnimplementedError) throw error;
      if (isRetryable(error)) return this.#wakeUp.sleep({ timeoutMs: PAUSE_MS });
      tellError(this.#events, this.#client, error);
      await this.#wakeUp.sleep();
    }
  }

  async #remove(): Promise<void> {
    if (this.#client.lifecycle !== 'STARTED') return;
    await this.#client.removeWatches(this.path, { watcher: this.#onEvent, quietly: true });
  }

  readonly #onState = (): void => {
    this.#isSet = false;
    this.#wakeUp.call();
  };

  readonly #onEvent = (event: WatchedEvent): void => {
    if (changeTypes.has(event.type)) return this.#emit('event', event);
    if (event.type === EventType.None) return;
    // Somebody has removed all watches of the path.
    this.#isSet = false;
    this.#wakeUp.call();
  };

  #emit<Name extends keyof PersistentWatcherEvents>(name: Name, ...args: PersistentWatcherEvents[Name]): void {
    if (this.#state === 'STARTED') this.#events.emit(name, ...args);
  }
}
