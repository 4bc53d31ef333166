/**
 * One registered instance, and the znode that announces it. It is told what is wanted, and sees to it, one request after the other.
 *
 *     <path for the instances of the service>/<id>           what the serializer makes of the instance
 *     <path for the instances of the service>/<id><number>   for DYNAMIC_SEQUENTIAL
 *
 * What must always hold:
 * - One thing at a time: what is wanted is looked up before each step, so an instance that was unregistered is not made again by a
 *   reconnect, and an earlier create can't come behind the delete (CURATOR-164).
 * - It is looked for on every CONNECTED and RECONNECTED (CURATOR-175), and written only if it isn't there as it should be: one that
 *   belongs to another session, or outlives sessions and shouldn't, is deleted and made again.
 * - Deleting goes on until it is done, over outages. If it is refused, it can be asked for again (CURATOR-617).
 * - A request of an earlier session may come late, after what was done since, as long as the servers keep that session. So in sessions
 *   behind the first the znode is watched, and what such a request has changed is changed back.
 * - The number of a sequential znode is settled by the first create, and comes back with every later one. A lost answer leaves no
 *   second znode.
 */
import {
  BadVersionError,
  ClientClosedError,
  type ConnectionState,
  CreateMode,
  type CuratorFramework,
  EventType,
  isEphemeral,
  isRetryable,
  isSequential,
  joinPath,
  NO_SESSION,
  NodeExistsError,
  NoNodeError,
  nameOf,
  onAbort,
  parentOf,
  type SessionId,
  type Stat,
  type WatchedEvent,
  type Zxid,
} from 'zookeeper-client-ts';
import { doneUnlessOffline } from '../closing.ts';
import { RecipeStateError } from '../recipe-state.ts';
import { SentData } from '../sent-data.ts';
import { deserialize, type Serializer } from '../serializer.ts';
import { WakeUp } from '../wake-up.ts';
import { ReconnectPause } from './reconnect-pause.ts';
import type { ServiceInstance, ServiceType } from './service-instance.ts';

/** What a registration is made of. */
export interface RegistrationOptions<T> {
  readonly client: CuratorFramework;
  /** Without the number. */
  readonly path: string;
  readonly serializer: Serializer<ServiceInstance<T>>;
  /** What others write to the znode becomes what is wanted. */
  readonly isWatched: boolean;
  /** Told what nobody waits for. */
  readonly onError: (error: unknown) => void;
  /** The znode was deleted, or left, as was wanted. */
  readonly onEnd: () => void;
}

/** What there is to be in the end. */
type Wanted<T> =
  | { readonly kind: 'registered'; readonly instance: ServiceInstance<T>; readonly data: Uint8Array }
  | { readonly kind: 'unregistered' }
  /** Whatever is there stays there. */
  | { readonly kind: 'left' };

type Registered<T> = Extract<Wanted<T>, { kind: 'registered' }>;

interface Waiter {
  readonly kind: Wanted<unknown>['kind'];
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** How long to wait before the next attempt when nothing is certain to wake us. */
const PAUSE_MS = 1_000;

export class Registration<T> {
  readonly path: string;
  readonly #client: CuratorFramework;
  readonly #options: RegistrationOptions<T>;
  readonly #wakeUp: WakeUp;
  readonly #pause: ReconnectPause;
  readonly #waiters = new Set<Waiter>();
  #wanted: Wanted<T> = { kind: 'left' };
  #mode: CreateMode = CreateMode.EPHEMERAL;
  /** As it was last seen, with its number. */
  #znode: { readonly path: string; readonly czxid: Zxid } | undefined;
  /** What was last written to it. */
  #written: Uint8Array | undefined;
  /** The session of the first request. */
  #firstSession: SessionId | undefined;
  readonly #sent = new SentData();
  #hasDeleted = false;
  /** Nobody has looked since the connection has come, or since an attempt failed. */
  #isDue = true;
  /** On the client's clock: when to look. */
  #dueAt = Number.NEGATIVE_INFINITY;
  /** The session that has our watch; undefined when that was used up. */
  #watchedIn: SessionId | undefined;
  /** Sessions in which a create was sent, as long as one of their znodes may be there. */
  readonly #sessions = new Set<SessionId>();
  #isRunning = false;

  constructor(options: RegistrationOptions<T>) {
    this.path = options.path;
    this.#client = options.client;
    this.#options = options;
    this.#wakeUp = new WakeUp(options.client.clock);
    this.#pause = new ReconnectPause(options.client);
  }

  /** What is announced, or will be; undefined when it is no longer to be. */
  get instance(): ServiceInstance<T> | undefined {
    return this.#wanted.kind === 'registered' ? this.#wanted.instance : undefined;
  }

  /**
   * Announces it, or something else of it. Resolves when that is stored, or what was announced later; without a connection that takes until
   * there is one. Rejects with what the servers refuse, which is tried again when the connection comes anew, with `signal.reason`, and when
   * it is unregistered, or the client closed, meanwhile.
   * @throws what the serializer throws
   */
  announce(instance: ServiceInstance<T>, signal?: AbortSignal): Promise<void> {
    const wanted = this.#toRegistered(instance);
    const announced = this.#wait('registered', signal);
    this.#want(wanted);
    return announced;
  }

  /** The same when nobody waits for it: `onError` is told what the servers refuse. @throws what the serializer throws */
  begin(instance: ServiceInstance<T>): void {
    this.#want(this.#toRegistered(instance));
  }

  /** Takes it away. Resolves when it is gone; without a connection at once, and it is done later. Rejects with what the servers refuse. */
  async remove(): Promise<void> {
    let refusal: { readonly error: unknown } | undefined;
    const removed = this.#wait('unregistered').catch((error: unknown) => {
      refusal = { error };
    });
    this.#want({ kind: 'unregistered' });
    await doneUnlessOffline(this.#client, removed);
    if (refusal !== undefined) throw refusal.error;
  }

  /** Does no more for it. Resolves when what is under way has ended; without a connection at once. */
  async leave(): Promise<void> {
    const left = this.#wait('left');
    this.#want({ kind: 'left' });
    await doneUnlessOffline(this.#client, left);
  }

  #toRegistered(instance: ServiceInstance<T>): Registered<T> {
    return { kind: 'registered', instance, data: this.#options.serializer.serialize(instance) };
  }

  /** Whoever waits for it must do so already: it may be settled at once. */
  #want(wanted: Wanted<T>): void {
    this.#wanted = wanted;
    if (wanted.kind === 'registered') this.#mode = modeOf(wanted.instance.serviceType);
    else this.#settle('registered', new RecipeStateError(`${this.path} was unregistered`, { path: this.path }));
    this.#wakeUp.call();
    if (!this.#isRunning) void this.#run();
  }

  #wait(kind: Waiter['kind'], signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settleBy =
        <Args extends unknown[]>(settle: (...args: Args) => void) =>
        (...args: Args): void => {
          this.#waiters.delete(waiter);
          stop?.();
          settle(...args);
        };
      const waiter: Waiter = { kind, resolve: settleBy(() => resolve()), reject: settleBy(reject) };
      this.#waiters.add(waiter);
      const stop = signal && onAbort(signal, () => waiter.reject(signal.reason));
    });
  }

  /** Settles those who wait for something of that kind, or all: with the error, if there is one. */
  #settle(kind: Waiter['kind'] | undefined, error?: unknown): void {
    for (const waiter of [...this.#waiters]) {
      if (kind !== undefined && waiter.kind !== kind) continue;
      if (error === undefined) waiter.resolve();
      else waiter.reject(error);
    }
  }

  // One story: make it, watch it, write what it lacks, sleep until something has changed.

  /** Never rejects. */
  async #run(): Promise<void> {
    this.#isRunning = true;
    const unsubscribes = [this.#client.on('state', this.#onState), this.#client.on('lifecycle', this.#wakeUp.call)];
    for (;;) {
      this.#wakeUp.clear();
      const { lifecycle, connected, state } = this.#client;
      // The client has closed its session, and the ephemeral znodes with it.
      if (lifecycle === 'STOPPED') break;
      if (this.#wanted.kind === 'left' || (this.#wanted.kind === 'unregistered' && this.#sessions.size === 0)) break;
      if (!connected || state === 'READ_ONLY') await this.#wakeUp.sleep();
      // Nobody waits for what was refused: it has been told.
      else if ((await this.#attempt()) === 'refused' && this.instance === undefined && this.#waiters.size === 0) break;
    }
    for (const unsubscribe of unsubscribes) unsubscribe();
    this.#isRunning = false;
    this.#onEnd();
  }

  #onEnd(): void {
    this.#settle('registered', new ClientClosedError(`the client was closed: ${this.path}`, { path: this.path }));
    this.#settle(undefined);
    if (this.#wanted.kind === 'left' || this.#sessions.size === 0) this.#options.onEnd();
  }

  readonly #onState = (state: ConnectionState): void => {
    if (state === 'CONNECTED' || state === 'RECONNECTED') {
      this.#isDue = true;
      this.#dueAt = this.#client.clock.now() + this.#pause.next();
    }
    this.#wakeUp.call();
  };

  async #attempt(): Promise<'done' | 'refused'> {
    const { kind } = this.#wanted;
    try {
      await (this.#wanted.kind === 'registered' ? this.#keep(this.#wanted) : this.#remove());
      return 'done';
    } catch (error) {
      this.#isDue = true;
      if (isRetryable(error)) {
        await this.#wakeUp.sleep({ timeoutMs: PAUSE_MS });
        return 'done';
      }
      // By now the client is closed, or something else is wanted.
      if (error instanceof ClientClosedError || this.#wanted.kind !== kind) return 'done';
      if (this.#waiters.size === 0) this.#options.onError(error);
      this.#settle(kind, error);
      if (kind === 'registered') await this.#wakeUp.sleep();
      return 'refused';
    }
  }

  /** The next of what there is to do. */
  async #keep(wanted: Registered<T>): Promise<void> {
    const restMs = this.#dueAt - this.#client.clock.now();
    if (!this.#isDue && this.#written === wanted.data) {
      const isWatched = this.#options.isWatched || this.#firstSession !== this.#client.sessionId;
      if (isWatched && this.#watchedIn !== this.#client.sessionId) return this.#watch(wanted);
      // Also those who wanted it away before somebody wanted it again.
      this.#settle(undefined);
      await this.#wakeUp.sleep();
    } else if (restMs > 0 && this.#waiters.size === 0) {
      // Only a reconnect has asked for it, and not what somebody waits for.
      await this.#wakeUp.sleep({ timeoutMs: restMs });
    } else {
      await this.#register(wanted);
    }
  }

  async #register({ data }: Registered<T>): Promise<void> {
    this.#isDue = false;
    this.#firstSession ??= this.#client.sessionId;
    this.#sent.add(data);
    try {
      const path = this.#znode?.path ?? (isSequential(this.#mode) ? undefined : this.path);
      const stat = path === undefined ? undefined : await this.#client.checkExists(path);
      if (path === undefined || stat === undefined) {
        await this.#make(data);
      } else if (this.#isAsWanted(stat)) {
        this.#sessions.add(stat.ephemeralOwner);
        // Another one than the one that our data was written to.
        if (stat.czxid !== this.#znode?.czxid) this.#written = undefined;
        this.#znode = { path, czxid: stat.czxid };
        if (this.#written !== data) await this.#write(path, data);
      } else {
        await this.#delete(path, stat);
        await this.#make(data);
      }
      this.#written = data;
    } catch (error) {
      // Somebody else was quicker between our look and our request: look again.
      if (!(error instanceof NodeExistsError || error instanceof BadVersionError)) throw error;
      this.#isDue = true;
    }
  }

  async #write(path: string, data: Uint8Array): Promise<void> {
    try {
      await this.#client.setData(path, data);
    } catch (error) {
      if (!(error instanceof NoNodeError)) throw error;
      await this.#make(data);
    }
  }

  async #delete(path: string, { version }: Stat): Promise<void> {
    this.#hasDeleted = true;
    await this.#client.delete(path, { version, quietly: true });
  }

  /** It belongs to this session, or to none if it is to outlive sessions. */
  #isAsWanted({ ephemeralOwner }: Stat): boolean {
    return ephemeralOwner === (isEphemeral(this.#mode) ? this.#client.sessionId : NO_SESSION);
  }

  async #make(data: Uint8Array): Promise<void> {
    const isNumbered = isSequential(this.#mode);
    const mode = isNumbered && this.#znode !== undefined ? CreateMode.EPHEMERAL : this.#mode;
    this.#sessions.add(isEphemeral(mode) ? this.#client.sessionId : NO_SESSION);
    const create = this.#client.create().withMode(mode).creatingParentContainersIfNeeded().storingStat();
    const { path, stat } = await create.forPath(this.#znode?.path ?? this.path, data);
    this.#znode = { path, czxid: stat.czxid };
    // What was left of earlier sessions has made room for it, or goes with them.
    this.#sessions.clear();
    this.#sessions.add(stat.ephemeralOwner);
    this.#watchedIn = undefined;
    if (!isNumbered) return;
    for (const twin of await this.#numbered()) if (twin !== path) await this.#client.delete(twin, { quietly: true });
  }

  /** Paths of our sequential znodes; more than one if an answer was lost. */
  async #numbered(): Promise<string[]> {
    const folder = parentOf(this.path);
    const paths: string[] = [];
    for (const name of await this.#childrenOf(folder)) {
      const number = name.startsWith(nameOf(this.path)) ? name.slice(nameOf(this.path).length) : '';
      if (!/^(\d{10}|-\d{9,10})$/.test(number)) continue;
      const stat = await this.#client.checkExists(joinPath(folder, name));
      if (stat !== undefined && this.#sessions.has(stat.ephemeralOwner)) paths.push(joinPath(folder, name));
    }
    return paths;
  }

  async #childrenOf(path: string): Promise<string[]> {
    try {
      return await this.#client.getChildren(path);
    } catch (error) {
      if (error instanceof NoNodeError) return [];
      throw error;
    }
  }

  /** Deletes what was made here, or taken over; nothing that others have put in its place. */
  async #remove(): Promise<void> {
    const { path = this.path } = this.#znode ?? {};
    const paths = isSequential(this.#mode) ? await this.#numbered() : [path];
    try {
      for (const each of paths) {
        const stat = await this.#client.checkExists(each);
        const isOurs = stat !== undefined && this.#sessions.has(stat.ephemeralOwner);
        if (isOurs) await this.#delete(each, stat);
      }
    } catch (error) {
      // Somebody has written to it meanwhile.
      if (error instanceof BadVersionError) return;
      throw error;
    }
    this.#sessions.clear();
    this.#znode = undefined;
    this.#written = undefined;
  }

  // What others write, and what comes late.

  async #watch(wanted: Registered<T>): Promise<void> {
    const { path = this.path } = this.#znode ?? {};
    // Before the request, so that an event that overtakes our waking up is not forgotten.
    this.#watchedIn = this.#client.sessionId;
    try {
      const { data } = await this.#client.getData(path, { watcher: this.#onEvent });
      if (this.#wanted !== wanted || data.equals(wanted.data)) return;
      if (this.#sent.has(data)) this.#registerAgain();
      else if (this.#options.isWatched && data.length > 0) this.#adopt(path, data);
    } catch (error) {
      if (!(error instanceof NoNodeError)) {
        this.#watchedIn = undefined;
        throw error;
      }
      if (this.#hasDeleted) return this.#registerAgain();
      // Whoever else deletes it wants it to be away: it is made again when the connection is.
      if (!this.#options.isWatched) return;
      this.#options.onError(new NoNodeError(`somebody has deleted the instance ${path}`, { path, cause: error }));
    }
  }

  #registerAgain(): void {
    this.#written = undefined;
    this.#isDue = true;
  }

  #adopt(path: string, data: Uint8Array): void {
    try {
      const instance = deserialize(this.#options.serializer, path, data);
      // As it was written, with whatever this version doesn't know.
      this.#wanted = { kind: 'registered', instance, data };
      this.#written = data;
    } catch (error) {
      this.#options.onError(error);
    }
  }

  readonly #onEvent = (event: WatchedEvent): void => {
    // Connection events don't use up the watch.
    if (event.type === EventType.None) return;
    this.#watchedIn = undefined;
    this.#wakeUp.call();
  };
}

function modeOf(serviceType: ServiceType): CreateMode {
  switch (serviceType) {
    case 'DYNAMIC':
      return CreateMode.EPHEMERAL;
    case 'DYNAMIC_SEQUENTIAL':
      return CreateMode.EPHEMERAL_SEQUENTIAL;
    case 'STATIC':
    case 'PERMANENT':
      return CreateMode.PERSISTENT;
  }
}
