/**
 * For the unit tests of recipes: znodes in memory, clients that share them, and a clock that the test moves. Only what
 * recipes use of `CuratorFramework`. Outages, expiry and late answers come when the test says so.
 */
import {
  BadVersionError,
  type Clock,
  type ConnectionState,
  CreateMode,
  type CuratorFramework,
  EventSource,
  EventType,
  isEphemeral,
  isSequential,
  joinPath,
  KeeperState,
  type MultiResult,
  NO_SESSION,
  NodeExistsError,
  NoNodeError,
  nameOf,
  parentOf,
  type SessionId,
  sequenceSuffix,
  type Timer,
  type TransactionOp,
  toSessionId,
  toZxid,
  type WatchedEvent,
  type Watcher,
  type Zxid,
} from 'zookeeper-client-ts';

export const SESSION_TIMEOUT_MS = 10_000;

/** Calls `run` that many microtasks later. */
export async function afterMicrotasks(count: number, run: () => void): Promise<void> {
  for (let done = 0; done < count; done++) await undefined;
  run();
}

/** Lets everything run that needs no time to pass. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export class VirtualClock implements Clock {
  #now = 1_000;
  readonly #alarms = new Set<{ readonly at: number; readonly run: () => void }>();

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): Timer {
    const alarm = { at: this.#now + ms, run };
    this.#alarms.add(alarm);
    return { cancel: () => void this.#alarms.delete(alarm) };
  }

  soon(run: () => void): void {
    queueMicrotask(run);
  }

  /** Alarms that have not been cancelled and have not rung. */
  get alarms(): number {
    return this.#alarms.size;
  }

  /** Time passes while nothing of this process runs. */
  freeze(ms: number): void {
    this.#now += ms;
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#alarms].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#alarms.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
      await settle();
    }
    this.#now = Math.max(this.#now, end);
  }
}

interface FakeStat {
  readonly czxid: Zxid;
  readonly version: number;
  readonly ephemeralOwner: SessionId;
}

interface FakeZnode {
  readonly data: Buffer;
  readonly stat: FakeStat;
}

interface Watch {
  readonly path: string;
  readonly watcher: Watcher;
  readonly sessionId: SessionId;
}

/** What the servers know. */
export class FakeServers {
  readonly clock = new VirtualClock();
  readonly znodes = new Map<string, FakeZnode>();
  /** Set by getData, and not used up. */
  watches: Watch[] = [];
  /** Set by getChildren, and not used up. */
  childWatches: Watch[] = [];
  #lastZxid = 0n;
  #lastSession = 0n;
  #nextSequence = 0;

  newClient(): FakeClient {
    return new FakeClient(this);
  }

  newSession(): SessionId {
    this.#lastSession++;
    return toSessionId(this.#lastSession);
  }

  childrenOf(path: string): string[] {
    return [...this.znodes.keys()].filter((child) => parentOf(child) === path).map(nameOf);
  }

  read(path: string): FakeZnode {
    const znode = this.znodes.get(path);
    if (znode === undefined) throw new NoNodeError(`no such znode: ${path}`, { path });
    return znode;
  }

  createSequential(path: string, data: string, ephemeralOwner: SessionId): { path: string; stat: FakeStat } {
    return this.create(`${path}${sequenceSuffix(this.#nextSequence++)}`, data, ephemeralOwner);
  }

  /** Parents are there by themselves. */
  create(path: string, data: string, ephemeralOwner: SessionId = NO_SESSION): { path: string; stat: FakeStat } {
    if (this.znodes.has(path)) throw new NodeExistsError(`there is one: ${path}`, { path });
    this.#lastZxid++;
    const stat = { czxid: toZxid(this.#lastZxid), version: 0, ephemeralOwner };
    this.znodes.set(path, { data: Buffer.from(data), stat });
    this.#triggerChildren(path);
    return { path, stat };
  }

  delete(path: string): void {
    this.read(path);
    this.znodes.delete(path);
    this.#trigger(path, EventType.NodeDeleted);
    this.#triggerChildren(path);
  }

  setData(path: string, data: string): FakeStat {
    const { stat } = this.read(path);
    const written = { data: Buffer.from(data), stat: { ...stat, version: stat.version + 1 } };
    this.znodes.set(path, written);
    this.#trigger(path, EventType.NodeDataChanged);
    return written.stat;
  }

  /** Ends a session, as the servers do when they have not heard of it for its timeout. */
  expire(sessionId: SessionId): void {
    this.forgetWatches(sessionId);
    for (const [path, { stat }] of [...this.znodes]) if (stat.ephemeralOwner === sessionId) this.delete(path);
  }

  forgetWatches(sessionId: SessionId): void {
    this.watches = this.watches.filter((watch) => watch.sessionId !== sessionId);
    this.childWatches = this.childWatches.filter((watch) => watch.sessionId !== sessionId);
  }

  #triggerChildren(path: string): void {
    const parent = parentOf(path);
    const triggered = this.childWatches.filter((watch) => watch.path === parent);
    this.childWatches = this.childWatches.filter((watch) => watch.path !== parent);
    const event = { type: EventType.NodeChildrenChanged, path: parent, state: KeeperState.SyncConnected };
    for (const { watcher } of triggered) watcher(event);
  }

  #trigger(path: string, type: EventType): void {
    const triggered = this.watches.filter((watch) => watch.path === path);
    this.watches = this.watches.filter((watch) => watch.path !== path);
    const event: WatchedEvent = { type, path, state: KeeperState.SyncConnected };
    for (const { watcher } of triggered) watcher(event);
  }
}

interface FakeClientEvents extends Record<string, readonly unknown[]> {
  state: readonly [state: ConnectionState];
  lifecycle: readonly [lifecycle: 'STARTED' | 'STOPPED'];
  error: readonly [error: unknown];
}

/** One client, one session at a time. Requests wait while there is no connection, as under a patient retry policy. */
export class FakeClient {
  readonly clock: VirtualClock;
  /** Another one each time, and the same ones in each run. */
  readonly random = (): number => {
    this.#drawn = (this.#drawn * 16807) % 0x7fff_ffff;
    return this.#drawn / 0x7fff_ffff;
  };
  #drawn = 7;
  lifecycle: 'LATENT' | 'STARTED' | 'STOPPED' = 'LATENT';
  state: ConnectionState | undefined;
  sessionId: SessionId = toSessionId(0n);
  leaseEnd = Number.NEGATIVE_INFINITY;
  errorPolicy: 'standard' | 'session' = 'standard';
  /** Called before an operation is executed. May throw: then it isn't. */
  onRequest: (operation: string, path: string) => void = () => undefined;
  /** Called when an operation has been executed, before its answer is given. May throw, or keep the answer back. */
  onAnswer: (operation: string, path: string) => void | Promise<void> = () => undefined;
  /** Operations executed, as `operation path`. */
  requests: string[] = [];
  /** The mode of each create, by the path that was asked for. */
  readonly modes = new Map<string, CreateMode>();
  readonly #servers: FakeServers;
  readonly #events = new EventSource<FakeClientEvents>();

  constructor(servers: FakeServers) {
    this.#servers = servers;
    this.clock = servers.clock;
  }

  /** What recipes take. */
  get framework(): CuratorFramework {
    // Recipes use no other member of it than those which this class has.
    return this as unknown as CuratorFramework;
  }

  get connected(): boolean {
    const isDown = this.state === undefined || this.state === 'SUSPENDED' || this.state === 'LOST';
    return this.lifecycle === 'STARTED' && !isDown;
  }

  isErrorState(state: ConnectionState): boolean {
    return state === 'LOST' || (state === 'SUSPENDED' && this.errorPolicy === 'standard');
  }

  on<Name extends keyof FakeClientEvents>(name: Name, listener: (...args: FakeClientEvents[Name]) => void): () => void {
    return this.#events.on(name, listener);
  }

  reportError(error: unknown): void {
    this.#events.emit('error', error);
  }

  // What the test makes happen.

  start(): this {
    this.lifecycle = 'STARTED';
    this.#events.emit('lifecycle', 'STARTED');
    this.sessionId = this.#servers.newSession();
    this.renewLease();
    this.enter('CONNECTED');
    return this;
  }

  /** The server has answered something that was sent just now. */
  renewLease(): void {
    this.leaseEnd = this.clock.now() + SESSION_TIMEOUT_MS;
  }

  enter(state: ConnectionState): void {
    this.state = state;
    this.#events.emit('state', state);
  }

  reconnect(): void {
    this.renewLease();
    this.enter('RECONNECTED');
  }

  /** The session is over on this side; the servers may still have it. A new one begins. */
  lose(): void {
    // The client has dropped that connection, and hears of its watches no more.
    this.#servers.forgetWatches(this.sessionId);
    this.sessionId = toSessionId(0n);
    this.leaseEnd = Number.NEGATIVE_INFINITY;
    this.enter('LOST');
    this.sessionId = this.#servers.newSession();
    this.reconnect();
  }

  close(): void {
    this.lifecycle = 'STOPPED';
    this.#servers.expire(this.sessionId);
    this.#events.emit('lifecycle', 'STOPPED');
  }

  // What recipes call.

  create(): FakeCreateBuilder {
    return new FakeCreateBuilder((path, data = 'default', { mode, isProtected }) => {
      const prefix = isProtected ? '_c_00000000-0000-4000-8000-000000000000-' : '';
      const name = joinPath(parentOf(path), `${prefix}${nameOf(path)}`);
      this.modes.set(path, mode);
      return this.#execute('create', path, () => {
        const owner = isEphemeral(mode) ? this.sessionId : NO_SESSION;
        return isSequential(mode)
          ? this.#servers.createSequential(name, toText(data), owner)
          : this.#servers.create(name, toText(data), owner);
      });
    });
  }

  setData(path: string, data: string | Uint8Array = 'default'): Promise<FakeStat> {
    return this.#execute('setData', path, () => this.#servers.setData(path, toText(data)));
  }

  checkExists(path: string): Promise<FakeStat | undefined> {
    return this.#execute('exists', path, () => this.#servers.znodes.get(path)?.stat);
  }

  /** As with `guaranteed`: it is done in the end, also when the caller has stopped waiting. */
  delete(
    path: string,
    { quietly, signal, version = -1 }: { quietly?: boolean; signal?: AbortSignal; version?: number } = {},
  ): Promise<void> {
    const deleted = this.#execute('delete', path, () => {
      const stat = this.#servers.znodes.get(path)?.stat;
      if (stat !== undefined && version !== -1 && version !== stat.version) {
        throw new BadVersionError(`not version ${version}: ${path}`, { path });
      }
      if (!quietly || this.#servers.znodes.has(path)) this.#servers.delete(path);
    });
    const aborted = new Promise<void>((_resolve, reject) => {
      if (signal?.aborted) reject(signal.reason);
      signal?.addEventListener('abort', () => reject(signal.reason));
    });
    return Promise.race([deleted, aborted]);
  }

  readonly op: Pick<CuratorFramework['op'], 'check' | 'setData' | 'create'> = {
    check: (path) => ({ kind: 'check', path }),
    create: (path, options) => ({ ...options, kind: 'create', path }),
    setData: (path, data) => ({ kind: 'setData', path, data }),
  };

  /** Checks and setData without versions, and creates of ephemerals. */
  transaction(ops: readonly TransactionOp[]): Promise<MultiResult[]> {
    return this.#execute('transaction', ops.map(({ path }) => path).join(' '), () => {
      const codes = ops.map(({ kind, path }) =>
        kind === 'create' || this.#servers.znodes.has(path) ? 'OK' : 'NO_NODE',
      );
      const failed = ops[codes.indexOf('NO_NODE')];
      if (failed !== undefined) {
        throw new NoNodeError(`no such znode: ${failed.path}`, { path: failed.path, operationCodes: codes });
      }
      for (const op of ops) {
        if (op.kind === 'setData') this.#servers.setData(op.path, String(op.data));
        if (op.kind === 'create') this.#servers.create(op.path, String(op.data ?? 'default'), this.sessionId);
      }
      return ops.map(() => ({ kind: 'check' as const }));
    });
  }

  getChildren(path: string, { watcher }: { watcher?: Watcher | undefined } = {}): Promise<string[]> {
    return this.#execute('getChildren', path, () => {
      if (watcher !== undefined) this.#servers.childWatches.push({ path, watcher, sessionId: this.sessionId });
      return this.#servers.childrenOf(path);
    });
  }

  getData(path: string, { watcher }: { watcher?: Watcher } = {}): Promise<FakeZnode> {
    return this.#execute('getData', path, () => {
      const znode = this.#servers.read(path);
      if (watcher !== undefined) this.#servers.watches.push({ path, watcher, sessionId: this.sessionId });
      return znode;
    });
  }

  async #execute<T>(operation: string, path: string, run: () => T): Promise<T> {
    while (!this.connected) {
      await new Promise<void>((resolve) => {
        const stop = this.on('state', () => {
          stop();
          resolve();
        });
      });
    }
    this.requests.push(`${operation} ${path}`);
    this.onRequest(operation, path);
    const result = run();
    await this.onAnswer(operation, path);
    return result;
  }
}

interface FakeCreate {
  mode: CreateMode;
  isProtected: boolean;
}

const toText = (data: string | Uint8Array): string => (typeof data === 'string' ? data : Buffer.from(data).toString());

type RunCreate = (
  path: string,
  data: string | Uint8Array | undefined,
  create: FakeCreate,
) => Promise<{ path: string; stat: FakeStat }>;

/** EPHEMERAL_SEQUENTIAL, unless it is told otherwise. The other modifiers are taken as given. */
class FakeCreateBuilder {
  readonly #create: FakeCreate = { mode: CreateMode.EPHEMERAL_SEQUENTIAL, isProtected: false };
  readonly #run: RunCreate;

  constructor(run: RunCreate) {
    this.#run = run;
  }

  forPath(path: string, data?: string | Uint8Array): Promise<{ path: string; stat: FakeStat }> {
    return this.#run(path, data, this.#create);
  }

  withMode(mode: CreateMode): this {
    this.#create.mode = mode;
    return this;
  }

  withProtection(): this {
    this.#create.isProtected = true;
    return this;
  }

  readonly creatingParentContainersIfNeeded = (): this => this;
  readonly withSignal = (): this => this;
  readonly withTtl = (): this => this;
  readonly orSetData = (): this => this;
  readonly storingStat = (): this => this;
}
