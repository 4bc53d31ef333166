/**
 * A subscription to what happens to a znode, its children or its tree (Curator's `PersistentWatcher`, and what its caches
 * do with it). It reads, then watches, then reads again whatever an event
 * names, as long as it is not closed.
 *
 * What must always hold:
 * - The watch is in place before the read that relies on it. On servers without persistent watches (ZooKeeper 3.5) each
 *   read leaves a one-shot one.
 * - Servers restore persistent watches after an outage, and say nothing of what was missed: so everything is read again
 *   after each outage, and in each new session, where the watch is set anew.
 * - Nothing ends a subscription but its closing, and failures that waiting doesn't cure: the client is closed, reading
 *   is not permitted.
 * - Closing removes the watches here and on the server, unless others need them. Calls that may leave one are not given
 *   up before, so that none stays behind.
 *
 * Lessons of the original: CURATOR-729 (no loop after close), 1259 (namespaces), 1292 (listeners leave with their
 * owner), 296 (tell when it is synced again).
 */
import { EventType } from 'zookeeper-protocol-ts';
import { NoWatcherError, ThrottledOpError, UnimplementedError } from '../errors.ts';
import type { FrameworkConnection } from '../framework-connection.ts';
import type { Namespace } from '../operations/namespace.ts';
import { isRetryable } from '../retry.ts';
import type { SchemaSet } from '../schema/schema-set.ts';
import type { Timer } from '../session/transport.ts';
import type { ZooKeeper } from '../zookeeper.ts';
import type { WatchedEvent, Watcher } from './watch-registry.ts';
import type { WatchView } from './watch-view.ts';
import type { WatchedPath } from './znode-view.ts';

/** What streams of one client, or of one view of it, stand on. */
export interface WatchScope {
  readonly connection: FrameworkConnection;
  readonly namespace: Namespace;
  /** What must not be watched, if anything. */
  readonly schemaSet: SchemaSet | undefined;
  /** Whether the servers know persistent watches (ZooKeeper 3.6). Believed until one answers that it doesn't. */
  readonly persistentWatches: { refused: boolean };
}

/** @throws InvalidArgumentError, SchemaViolationError */
export function toWatchedPath({ namespace, schemaSet }: WatchScope, path: string): WatchedPath {
  const server = namespace.toServer(path);
  schemaSet?.checkWatch(path, true);
  return { server, user: path };
}

/** Whoever a subscription works for. Neither is called once it is closed. */
export interface WatchObserver {
  /** There may be something to {@link WatchSubscription.take}. */
  onNews(): void;
  /** It is over. Called once. */
  onFailure(error: unknown): void;
}

/** Pause after a failure that is no matter of the connection, ms. */
const PAUSE_MS = 100;

export class WatchSubscription<Change> {
  readonly #scope: WatchScope;
  readonly #view: WatchView<Change>;
  readonly #observer: WatchObserver;
  readonly #closing = new AbortController();
  readonly #ended: Promise<void>;
  /** The session in which the watch is set. */
  #watchedIn: ZooKeeper | undefined;
  /** The watch that is set there is a persistent one. */
  #isPersistent = false;
  /** Events may have been missed since the last read. */
  #contactLost = false;
  /** Something has happened since it was last looked for. */
  #hasNews = false;
  #wake: () => void = () => undefined;

  /** Calls nothing back before it has returned. */
  constructor(scope: WatchScope, view: WatchView<Change>, observer: WatchObserver) {
    this.#scope = scope;
    this.#view = view;
    this.#observer = observer;
    this.#ended = this.#run();
  }

  /** The next change, if there is one: between what was taken last and what is known now. */
  take(): Change | undefined {
    return this.#isClosed ? undefined : this.#view.take();
  }

  /** Resolves when the watches are gone. Never rejects. May be called again. */
  close(): Promise<void> {
    this.#closing.abort();
    this.#wake();
    return this.#ended;
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  async #run(): Promise<void> {
    const { connection } = this.#scope;
    const subscriptions = [
      connection.on('state', () => this.#onState()),
      connection.on('lifecycle', () => this.#onNews()),
    ];
    try {
      await this.#follow();
    } catch (error) {
      if (!this.#isClosed) {
        this.#closing.abort();
        this.#observer.onFailure(error);
      }
    } finally {
      for (const unsubscribe of subscriptions) unsubscribe();
      await this.#removeWatches();
    }
  }

  async #follow(): Promise<void> {
    const { connection } = this.#scope;
    // So that nothing is called back before the constructor has returned.
    await Promise.resolve();
    while (!this.#isClosed) {
      connection.assertStarted();
      try {
        await connection.awaitConnection({ signal: this.#closing.signal });
        await this.#watch(connection.zookeeper);
      } catch (error) {
        if (!isPassing(error)) throw error;
        this.#contactLost = true;
        await this.#untilNews(PAUSE_MS);
      }
    }
  }

  /** Sets the watch, unless it is set; reads what is stale; waits for more. Returns when something has changed. */
  async #watch(zk: ZooKeeper): Promise<void> {
    this.#hasNews = false;
    const isOtherSession = this.#watchedIn !== zk;
    if (this.#contactLost || isOtherSession) this.#view.onContactLost();
    this.#contactLost = false;
    if (isOtherSession) await this.#setWatch(zk);
    if (this.#isClosed) return;
    if (this.#view.isStale) {
      await this.#view.read({ zk, watcher: this.#isPersistent ? undefined : this.#onEvent });
      if (!this.#isClosed) this.#observer.onNews();
    } else {
      await this.#untilNews();
    }
  }

  async #setWatch(zk: ZooKeeper): Promise<void> {
    const { persistentWatches } = this.#scope;
    const { path, recursive } = this.#view;
    this.#isPersistent = false;
    if (!persistentWatches.refused) {
      try {
        await zk.addWatch(path, this.#onEvent, { recursive });
        this.#isPersistent = true;
      } catch (error) {
        // Such a server also ends the connection: that comes as an outage like any other.
        if (!(error instanceof UnimplementedError)) throw error;
        persistentWatches.refused = true;
      }
    }
    this.#watchedIn = zk;
  }

  /** Watches that the connection or the session has taken with it are gone already. */
  async #removeWatches(): Promise<void> {
    const zk = this.#watchedIn;
    if (zk === undefined) return;
    const paths = this.#isPersistent ? [this.#view.path] : [...this.#view.oneShotPaths()];
    await Promise.all(paths.map((path) => this.#removeWatch(zk, path)));
  }

  async #removeWatch(zk: ZooKeeper, path: string): Promise<void> {
    try {
      await zk.removeWatches(path, { watcher: this.#onEvent });
    } catch (error) {
      const isGone = error instanceof NoWatcherError || zk.state === 'CLOSED' || zk.state === 'AUTH_FAILED';
      if (!isGone && !isRetryable(error)) this.#scope.connection.reportError(error);
    }
  }

  readonly #onEvent: Watcher = (event: WatchedEvent): void => {
    // Of the connection, its states tell.
    if (event.type === EventType.None || this.#isClosed) return;
    // Somebody has removed all watches of the path.
    if (removedTypes.has(event.type)) this.#watchedIn = undefined;
    else this.#view.onEvent(event);
    this.#onNews();
  };

  /** Whichever it is, there was no contact before or there is none now. */
  #onState(): void {
    this.#contactLost = true;
    this.#onNews();
  }

  #onNews(): void {
    this.#hasNews = true;
    this.#wake();
  }

  /**
   * Resolves when something has happened since this round began, or the subscription is closed, or the time is over.
   */
  #untilNews(timeoutMs?: number): Promise<void> {
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      this.#wake = () => {
        timer?.cancel();
        this.#wake = () => undefined;
        resolve();
      };
      if (this.#isClosed || (this.#hasNews && timeoutMs === undefined)) this.#wake();
      else if (timeoutMs !== undefined) timer = this.#scope.connection.clock.after(timeoutMs, () => this.#wake());
    });
  }
}

const removedTypes: ReadonlySet<EventType> = new Set([
  EventType.DataWatchRemoved,
  EventType.ChildWatchRemoved,
  EventType.PersistentWatchRemoved,
]);

/** Whether waiting may cure it. */
const isPassing = (error: unknown): boolean => isRetryable(error) || error instanceof ThrottledOpError;
