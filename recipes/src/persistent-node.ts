/**
 * A znode that stays for as long as this is open: it is made again when somebody deletes it, and when its session is lost and it was an
 * ephemeral one (Curator's `PersistentNode` and `PersistentEphemeralNode`).
 *
 * What must always hold:
 * - Its path is settled by the first create: number and protection come back with every later one (CURATOR-190).
 * - Where it exists already it is taken over: our data is written to it, and it is watched like one that was made here. It may be the
 *   remains of a session before, which go when that expires, and take our data with them (CURATOR-154, 241).
 * - The data that was set last is what is written, as soon as it can be, also by the create; and again if a write before it, of an earlier
 *   session, comes late.
 * - What the server refuses is not tried again until the connection has changed, or there is other data (CURATOR-364, 228).
 * - Closing deletes what was made or taken over, and nothing that others have put in its place; a create that was under way is waited for
 *   first (CURATOR-506). An ephemeral of a session that isn't ours is left to that.
 */
import {
  BadVersionError,
  ClientClosedError,
  CreateMode,
  type CreateModeName,
  type CuratorFramework,
  EventSource,
  EventType,
  InvalidArgumentError,
  isEphemeral,
  isRetryable,
  isSequential,
  NodeExistsError,
  NoNodeError,
  type SessionId,
  type Stat,
  type WatchedEvent,
  type Zxid,
} from 'zookeeper-client-ts';
import { doneUnlessOffline } from './closing.ts';
import { type ErrorEvents, tellError } from './error-events.ts';
import { type RecipeState, RecipeStateError } from './recipe-state.ts';
import { SentData } from './sent-data.ts';
import { bytes, type Serializer } from './serializer.ts';
import { WakeUp } from './wake-up.ts';

/** How to keep a znode. */
export interface PersistentNodeOptions<T = Uint8Array> {
  /** EPHEMERAL by default. */
  readonly mode?: CreateMode | CreateModeName | undefined;
  /** What is in it; the client's default data if left out. */
  readonly data?: T | undefined;
  /** How data are written. By default they are bytes. */
  readonly serializer?: Serializer<T> | undefined;
  /** Put `_c_<uuid>-` in front of its name, so that a lost answer can't leave another one behind. False by default. */
  readonly protect?: boolean | undefined;
  /** For the modes with a time to live, ms. */
  readonly ttlMs?: number | undefined;
  /** Make missing parents, as containers. True by default. */
  readonly parents?: boolean | undefined;
  /** Leave the znode there when this is closed. False by default. */
  readonly keepOnClose?: boolean | undefined;
}

/** Event name → the arguments of its listeners. */
export interface PersistentNodeEvents extends ErrorEvents {
  readonly nodeCreated: readonly [path: string];
}

interface Waiter {
  readonly revision: number;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** How long to wait before the next attempt when nothing is certain to wake us. */
const PAUSE_MS = 1_000;

/**
 * ```ts
 * await using node = new PersistentNode(client, '/workers/w1', { data: 'host:1', serializer: string }).start();
 * await node.waitForInitialCreate({ signal });
 * await node.setData('host:2');
 * ```
 */
export class PersistentNode<T = Uint8Array> implements AsyncDisposable {
  /** As it was given; {@link actualPath} has the number and the protection. */
  readonly path: string;
  readonly #client: CuratorFramework;
  readonly #mode: CreateMode;
  readonly #serializer: Serializer<T>;
  readonly #options: PersistentNodeOptions<T>;
  readonly #events = new EventSource<PersistentNodeEvents>();
  readonly #wakeUp: WakeUp;
  /** Ends attempts to write: whoever comes after us at this path has its own data. */
  readonly #closing = new AbortController();
  readonly #waiters = new Set<Waiter>();
  #state: RecipeState = 'LATENT';
  /** What is to be in the znode: the value, its bytes, and how often it was set. */
  #wanted: { readonly value: T | undefined; readonly data: Uint8Array | undefined; readonly revision: number };
  #actualPath: string | undefined;
  /** The znode, as far as is known, and the session in which it was made or taken over. */
  #znode: { readonly czxid: Zxid | undefined; readonly sessionId: SessionId } | undefined;
  /** Which of what was wanted was written to that znode. */
  #written: number | undefined;
  /** The session that has our watch on it; undefined when that was used up. */
  #watchedIn: SessionId | undefined;
  /** Sessions in which a create was sent, as long as one of their znodes may be there. */
  readonly #sessions = new Set<SessionId>();
  /** It was made or taken over, and nobody was told. */
  #isNews = false;
  readonly #sent = new SentData();
  /** The latest of what was wanted that has ever been stored. */
  #stored = -1;
  #running: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  /** @throws InvalidArgumentError for a mode that is none; what the serializer throws */
  constructor(client: CuratorFramework, path: string, options: PersistentNodeOptions<T> = {}) {
    this.#client = client;
    this.path = path;
    this.#options = options;
    this.#mode = toMode(options.mode);
    // Without a serializer T is what it is by default.
    this.#serializer = options.serializer ?? (bytes as Serializer<unknown> as Serializer<T>);
    this.#wanted = { value: options.data, data: this.#toBytes(options.data), revision: 0 };
    this.#wakeUp = new WakeUp(client.clock);
  }

  get state(): RecipeState {
    return this.#state;
  }

  /** Where it is, with number and protection; undefined before it was made for the first time. */
  get actualPath(): string | undefined {
    return this.#actualPath;
  }

  /** What was set last, whether or not it could be written yet. */
  getData(): T | undefined {
    return this.#wanted.value;
  }

  /**
   * `nodeCreated`: it is there, made or taken over, and will be made again: after `start`, and each time that it had gone. `error`: the
   * servers refuse what has to be done (no permission; with `parents` false, no parent). Returns what removes the listener.
   */
  on<Name extends keyof PersistentNodeEvents>(
    name: Name,
    listener: (...args: PersistentNodeEvents[Name]) => void,
  ): () => void {
    return this.#events.on(name, listener);
  }

  /**
   * Begins. Returns at once; if the client is not started or not connected, the znode is made when it is.
   * @throws RecipeStateError if it was started or closed before
   */
  start(): this {
    if (this.#state !== 'LATENT') throw new RecipeStateError(`the node at ${this.path} can't be started again`);
    this.#state = 'STARTED';
    this.#running = this.#run();
    return this;
  }

  /**
   * Resolves to the actual path when it was made, or taken over, for the first time. Rejects with `signal.reason`, with what the servers
   * refuse, and when this, or the client, is closed. May be called before `start`.
   */
  async waitForInitialCreate({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<string> {
    await this.#untilStored(0, signal);
    return this.#actualPath ?? this.path;
  }

  /**
   * Puts something else into the znode. Resolves when that, or what was set later, is stored; without a connection that takes until there
   * is one again. Rejects as {@link waitForInitialCreate}; aborting doesn't take it back. Nobody has to wait for it: refusals are `error`
   * events as well.
   * @throws RecipeStateError if it is not started or closed; what the serializer throws
   */
  setData(value: T, { signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    if (this.#state !== 'STARTED') throw new RecipeStateError(`the node at ${this.path} is ${this.#state}`);
    const revision = this.#wanted.revision + 1;
    this.#wanted = { value, data: this.#toBytes(value), revision };
    this.#wakeUp.call();
    const stored = this.#untilStored(revision, signal);
    stored.catch(() => undefined);
    return stored;
  }

  /** For recipes made of it: tells its listeners of `error`. */
  report(error: unknown): void {
    tellError(this.#events, this.#client, error);
  }

  /** Ends it and deletes the znode. Resolves when that is done; without a connection at once, and it is done later. May be called again. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #toBytes(value: T | undefined): Uint8Array | undefined {
    return value === undefined ? undefined : this.#serializer.serialize(value);
  }

  #untilStored(revision: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#stored >= revision) return resolve();
      if (this.#state === 'CLOSED') throw new RecipeStateError(`the node at ${this.path} is closed`);
      const onAbort = () => waiter.reject(signal?.reason);
      const settleBy =
        <Args extends unknown[]>(settle: (...args: Args) => void) =>
        (...args: Args): void => {
          this.#waiters.delete(waiter);
          signal?.removeEventListener('abort', onAbort);
          settle(...args);
        };
      const waiter: Waiter = { revision, resolve: settleBy(() => resolve()), reject: settleBy(reject) };
      this.#waiters.add(waiter);
      signal?.addEventListener('abort', onAbort);
    });
  }

  #rejectWaiters(reason: unknown): void {
    for (const waiter of [...this.#waiters]) waiter.reject(reason);
  }

  #end(reason: unknown): void {
    this.#state = 'CLOSED';
    this.#rejectWaiters(reason);
    this.#closing.abort(reason);
    this.#wakeUp.call();
  }

  async #close(): Promise<void> {
    this.#end(new RecipeStateError(`the node at ${this.path} is closed`));
    await doneUnlessOffline(this.#client, this.#running);
  }

  // One story: make it, watch it, write what it lacks, sleep until something has changed.

  /** Never rejects. */
  async #run(): Promise<void> {
    const unsubscribes = [this.#client.on('state', this.#wakeUp.call), this.#client.on('lifecycle', this.#wakeUp.call)];
    try {
      await this.#whileOnline(() => this.#state !== 'STARTED' || this.#keep());
      if (this.#options.keepOnClose !== true) await this.#whileOnline(() => this.#remove());
    } catch (error) {
      // Closed with its client, whose session takes the ephemerals with it; nothing else ends the story.
      this.#end(error);
    } finally {
      for (const unsubscribe of unsubscribes) unsubscribe();
    }
  }

  /** One step after the other, until one says that it was the last. Before the first connection, and while there is none, it waits. */
  async #whileOnline(step: () => boolean | Promise<boolean>): Promise<void> {
    for (;;) {
      this.#wakeUp.clear();
      const { lifecycle, connected, state } = this.#client;
      if (lifecycle === 'STOPPED') throw new ClientClosedError('the client was closed', { path: this.path });
      // Nothing was made, so there is nothing to be removed.
      if (this.#state === 'CLOSED' && this.#sessions.size === 0) return;
      if (!connected || state === 'READ_ONLY') await this.#wakeUp.sleep();
      else if (await this.#attempt(step)) return;
    }
  }

  async #attempt(step: () => boolean | Promise<boolean>): Promise<boolean> {
    try {
      return await step();
    } catch (error) {
      if (error instanceof ClientClosedError) throw error;
      const { signal } = this.#closing;
      if (signal.aborted && error === signal.reason) return false;
      if (isRetryable(error)) {
        await this.#wakeUp.sleep({ timeoutMs: PAUSE_MS });
      } else {
        this.#rejectWaiters(error);
        this.report(error);
        // Once closed nobody would wake it.
        if (this.#state === 'CLOSED') return true;
        await this.#wakeUp.sleep();
      }
      return false;
    }
  }

  /** The next of what there is to do. Never the last. */
  async #keep(): Promise<false> {
    if (!this.#isThere()) await this.#make();
    else if (this.#watchedIn !== this.#client.sessionId) await this.#watch();
    else if (this.#written !== this.#wanted.revision) await this.#write();
    else await this.#rest();
    return false;
  }

  /** An ephemeral that was made or taken over in another session is one that goes, or has gone. */
  #isThere(): boolean {
    return this.#znode !== undefined && (!isEphemeral(this.#mode) || this.#znode.sessionId === this.#client.sessionId);
  }

  async #make(): Promise<void> {
    const { protect = false, parents = true, ttlMs } = this.#options;
    const { data, revision } = this.#wanted;
    const { sessionId } = this.#client;
    const isFirst = this.#actualPath === undefined;
    const create = this.#client.create().withMode(isFirst ? this.#mode : withoutNumber(this.#mode));
    if (parents) create.creatingParentContainersIfNeeded();
    if (protect && isFirst) create.withProtection();
    if (ttlMs !== undefined) create.withTtl(ttlMs);
    this.#sessions.add(sessionId);
    if (data !== undefined) this.#sent.add(data);
    this.#znode = undefined;
    try {
      const { path, stat } = await create.storingStat().forPath(this.#actualPath ?? this.path, data);
      this.#actualPath = path;
      this.#znode = { czxid: stat.czxid, sessionId: isEphemeral(this.#mode) ? stat.ephemeralOwner : sessionId };
      // What was left of earlier sessions has made room for it.
      this.#sessions.clear();
      this.#sessions.add(this.#znode.sessionId);
      this.#written = revision;
    } catch (error) {
      if (!(error instanceof NodeExistsError)) throw error;
      this.#actualPath ??= this.path;
      this.#znode = { czxid: undefined, sessionId };
    }
    this.#watchedIn = undefined;
    this.#isNews = true;
  }

  /** By getData, which leaves no watch on a znode that is gone. */
  async #watch(): Promise<void> {
    const { sessionId } = this.#client;
    // Before the request, so that an event that overtakes our waking up is not forgotten.
    this.#watchedIn = sessionId;
    try {
      const path = this.#actualPath ?? this.path;
      const { data, stat } = await this.#client.getData(path, { watcher: this.#onEvent });
      // The watch fired before we got to see the answer, which is thereby out of date.
      if (this.#watchedIn === undefined || this.#znode === undefined) return;
      const { data: wanted } = this.#wanted;
      const isLate = wanted !== undefined && !data.equals(wanted) && this.#sent.has(data);
      // Another one than the one that our data was written to, or what was written to it before came after it.
      if (stat.czxid !== this.#znode.czxid || isLate) this.#written = undefined;
      this.#znode = { ...this.#znode, czxid: stat.czxid };
    } catch (error) {
      this.#watchedIn = undefined;
      if (!(error instanceof NoNodeError)) throw error;
      this.#znode = undefined;
    }
  }

  readonly #onEvent = (event: WatchedEvent): void => {
    // Connection events don't use up the watch. Whatever has happened, the next read shows it.
    if (event.type === EventType.None) return;
    this.#watchedIn = undefined;
    this.#wakeUp.call();
  };

  async #write(): Promise<void> {
    const { data, revision } = this.#wanted;
    if (data !== undefined) this.#sent.add(data);
    try {
      await this.#client.setData(this.#actualPath ?? this.path, data, { signal: this.#closing.signal });
      this.#written = revision;
    } catch (error) {
      if (!(error instanceof NoNodeError)) throw error;
      this.#znode = undefined;
    }
  }

  async #rest(): Promise<void> {
    this.#stored = this.#wanted.revision;
    for (const waiter of [...this.#waiters]) if (waiter.revision <= this.#stored) waiter.resolve();
    if (this.#isNews) {
      this.#isNews = false;
      this.#events.emit('nodeCreated', this.#actualPath ?? this.path);
    }
    await this.#wakeUp.sleep();
  }

  /** True when it is gone, or was never ours. */
  async #remove(): Promise<boolean> {
    const isNamed = !isSequential(this.#mode) && this.#options.protect !== true;
    const path = this.#actualPath ?? (isNamed ? this.path : undefined);
    // Without the name: what a create may have left behind goes with its session, or is protected, and the client looks for it.
    if (path === undefined) return true;
    const stat = await this.#client.checkExists(path);
    if (stat === undefined || !this.#isOurs(stat)) return true;
    try {
      await this.#client.delete(path, { version: stat.version, quietly: true });
      return true;
    } catch (error) {
      // Somebody has written to it meanwhile, or put another in its place.
      if (error instanceof BadVersionError) return false;
      throw error;
    }
  }

  #isOurs({ czxid, ephemeralOwner }: Stat): boolean {
    return isEphemeral(this.#mode) ? this.#sessions.has(ephemeralOwner) : czxid === this.#znode?.czxid;
  }
}

function toMode(mode: CreateMode | CreateModeName = CreateMode.EPHEMERAL): CreateMode {
  if (typeof mode === 'number') return mode;
  if (Object.hasOwn(CreateMode, mode)) return CreateMode[mode];
  throw new InvalidArgumentError('mode', `${String(mode)} is not a CreateMode`);
}

/** The number is in the path already. */
function withoutNumber(mode: CreateMode): CreateMode {
  switch (mode) {
    case CreateMode.EPHEMERAL_SEQUENTIAL:
      return CreateMode.EPHEMERAL;
    case CreateMode.PERSISTENT_SEQUENTIAL:
      return CreateMode.PERSISTENT;
    case CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL:
      return CreateMode.PERSISTENT_WITH_TTL;
    default:
      return mode;
  }
}
