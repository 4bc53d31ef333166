/**
 * `ZooKeeper`: one session with an ensemble, and every operation of the protocol as a promise (ZooKeeper's class of the same name). It
 * reconnects for as long as the session lives, and no longer: once the session has expired, so has the object. What
 * survives expiry, retries and knows recipes is `CuratorFramework`.
 *
 * - A call made while there is no connection waits for the next attempt to connect, and fails with it ({@link ConnectionLossError}).
 * - Answers and events reach the user in the order in which the server sent them: a watch's event before any answer that shows the change.
 * - Every promise settles exactly once, at the latest when the session is closed, abandoned or expired.
 */
import {
  type Acl,
  type ClientInfo,
  ErrorCode,
  EventType,
  KeeperState,
  keeperStateName,
  OpCode,
  opCodeName,
  operations,
  type SessionId,
  type Stat,
  type WatcherEvent,
  WatcherType,
  type Zxid,
} from 'zookeeper-protocol-ts';
import { rejectAtCallSite } from './call-site.ts';
import { isTracingRequests, publishSession, traceRequest } from './diagnostics.ts';
import { ConnectionLossError, errorFromCode, InvalidArgumentError, NoWatcherError } from './errors.ts';
import { callListener, EventSource } from './event-source.ts';
import { checkLogger, debugLogger, describeError, type Logger } from './logger.ts';
import { Chroot } from './session/chroot.ts';
import { hostName, parseConnectString } from './session/connect-string.ts';
import { Deliveries } from './session/deliveries.ts';
import type { RequestTrace } from './session/request-trace.ts';
import { Session, type SessionState } from './session/session.ts';
import { logSessionState } from './session/session-log.ts';
import { systemPorts } from './session/tcp-transport.ts';
import type { Clock, Ports } from './session/transport.ts';
import { type WatchedEvent, type Watcher, type WatchKind, WatchRegistry } from './watch/watch-registry.ts';
import {
  type CreateOptions,
  checkAcl,
  checkBoolean,
  checkFrameBytesMax,
  checkMs,
  checkPath,
  checkSession,
  checkSignal,
  checkVersion,
  checkWatcher,
  checkWatcherType,
  type ReconfigOptions,
  toBytes,
  toServerList,
  toWireCreate,
} from './zookeeper-arguments.ts';
import { Call, type CallOptions, type CallPlan } from './zookeeper-call.ts';
import {
  type MultiOperation,
  type MultiReadOperation,
  type MultiReadResult,
  type MultiResult,
  toMultiReadResults,
  toMultiResults,
  toWireOperation,
  toWireRead,
} from './zookeeper-multi.ts';

export interface ZooKeeperOptions {
  /** `host[:port],host[:port],…[/chroot]`. The chroot is not created. */
  readonly connectString: string;
  /** What to ask for, ms; 30 000 by default. The server grants something between its own limits. */
  readonly sessionTimeoutMs?: number | undefined;
  /** A session to go on with: another client's `sessionId` and `sessionPassword`. */
  readonly session?: { readonly id: SessionId; readonly password: Uint8Array } | undefined;
  /** The largest request sent and the largest answer accepted, bytes: the servers' `jute.maxbuffer`, 0xfffff by default. */
  readonly frameBytesMax?: number | undefined;
  /**
   * Connect to a server that has lost its quorum where there is no better one: its reads may be stale, its writes are refused with
   * `NotReadOnlyError`. The client goes on looking for a server with a quorum, and moves to it. False by default.
   */
  readonly canBeReadOnly?: boolean | undefined;
  /**
   * Takes the log lines: `console`, a pino logger. One line for each connection and session that begins or ends; each failed attempt at
   * the level `debug`. `DEBUG=zookeeper:session` and `zookeeper:listener` by default.
   */
  readonly logger?: Logger | undefined;
  /** The machine: TCP and the system's clock by default. */
  readonly ports?: Ports | undefined;
}

/** Leaves a one-shot watch: see {@link Watcher}. */
export interface WatchOptions extends CallOptions {
  readonly watcher?: Watcher | undefined;
}

/** Demands a version: the call is refused with `BadVersionError` if the znode has another. Any version without it. */
export interface VersionOptions extends CallOptions {
  readonly version?: number | undefined;
}

/** Which watches of a path are removed. */
export interface RemoveWatchesOptions extends CallOptions {
  /** The one to remove; all of the path without it. */
  readonly watcher?: Watcher | undefined;
  /** `WatcherType.Any` by default. `Data` is what getData and exists leave, `Children` what getChildren leaves. */
  readonly type?: WatcherType | undefined;
  /** Say nothing to the server: it keeps the watch, and its events go nowhere. */
  readonly local?: boolean | undefined;
}

/** Where the configuration of an ensemble is stored: in no chroot. */
export const CONFIG_PATH = '/zookeeper/config';

export class ZooKeeper implements AsyncDisposable {
  readonly clock: Clock;
  readonly #session: Session;
  readonly #chroot: Chroot;
  readonly #watches = new WatchRegistry();
  readonly #deliveries: Deliveries;
  readonly #events: EventSource<{ session: [state: KeeperState] }>;
  readonly #logger: Logger;
  readonly #listenerLogger: Logger | undefined;
  #connectString: string;
  #closed: Promise<void> | undefined;
  /** By the server's path: calls under way that will leave a watch there. The server may have it before this side knows. */
  readonly #watching = new Map<string, number>();

  /**
   * Starts connecting, as in Java. Nothing is called back before it has returned.
   * @throws InvalidConnectStringError, InvalidArgumentError
   */
  constructor(options: ZooKeeperOptions) {
    const { connectString, sessionTimeoutMs = 30_000, session, frameBytesMax, canBeReadOnly, ports, logger } = options;
    const { hosts, chroot } = parseConnectString(connectString);
    checkBoolean(canBeReadOnly, 'canBeReadOnly');
    const { clock, transport, random } = ports ?? systemPorts();
    this.#connectString = connectString;
    this.clock = clock;
    this.#listenerLogger = logger && checkLogger(logger);
    this.#logger = logger ?? debugLogger('zookeeper:session');
    this.#events = new EventSource(logger);
    this.#chroot = new Chroot(chroot);
    this.#deliveries = new Deliveries(clock);
    this.#session = new Session({
      hosts,
      timeoutMs: checkMs(sessionTimeoutMs, 'sessionTimeoutMs'),
      session: session && checkSession(session),
      frameBytesMax: frameBytesMax === undefined ? undefined : checkFrameBytesMax(frameBytesMax),
      canBeReadOnly,
      ports: { clock, transport, random },
      handler: {
        onState: (state) => this.#onState(state),
        onConnectionFailure: (address, error) => this.#logger.debug(`${hostName(address)}: ${describeError(error)}`),
        onEvent: (event) => this.#onEvent(event),
        watchesToRestore: (relativeZxid) => this.#watches.toRequests(relativeZxid),
      },
    });
  }

  // The session.

  /** The servers, and the chroot: as given at first, or to {@link updateServerList} since. */
  get connectString(): string {
    return this.#connectString;
  }

  get state(): SessionState {
    return this.#session.state;
  }

  /** The `host:port` that it is connected to; undefined without a connection. */
  get server(): string | undefined {
    return this.#session.server;
  }

  /** 0 until a server has made the session. */
  get sessionId(): SessionId {
    return this.#session.id;
  }

  /** With the id, whoever has it can go on with the session. */
  get sessionPassword(): Uint8Array {
    return this.#session.password;
  }

  /** The negotiated session timeout, ms; the requested one until a server has answered. */
  get sessionTimeoutMs(): number {
    return this.#session.timeoutMs;
  }

  /** The highest zxid in an answer: what the user may have seen of the znodes is no newer. */
  get lastZxid(): Zxid {
    return this.#session.lastZxid;
  }

  /**
   * On the clock's scale: until then the server cannot have expired this session. It is the time when the latest request
   * that was answered had been sent, plus the negotiated timeout; pings and the connect request count. -Infinity before the
   * first connection, and once the session is over.
   *
   * Ask it at the moment when it matters: no timer tells a process in time that it has been frozen. Two allowances are the
   * caller's: for clocks of different speed, and for what an ensemble's leader has not heard yet from the server that
   * answered (half a tick at the most, and only if that server dies just then; a write is proof for the leader itself).
   */
  get leaseEnd(): number {
    return this.#session.leaseEnd;
  }

  /** `host:port` → why it could not be reached, or why its connection was lost, since the last connection was made. */
  get connectFailures(): ReadonlyMap<string, Error> {
    return this.#session.failures;
  }

  /**
   * Calls `listener` with every change of the connection or the session: `SyncConnected`, `Disconnected` (once an outage, and
   * when the first attempt fails), and one of `Expired`, `Closed`, `AuthFailed` as the last. Returns what removes it.
   */
  on(event: 'session', listener: (state: KeeperState) => void): () => void {
    return this.#events.on(event, listener);
  }

  /**
   * Other servers from now on, without a new session. The clients of an ensemble spread evenly over its new servers: each one decides
   * at random whether to stay where it is. One that moves loses its connection: what is under way fails with `ConnectionLossError`.
   * @throws InvalidConnectStringError; InvalidArgumentError if the chroot is another one
   */
  updateServerList(connectString: string): void {
    const { hosts, chroot } = parseConnectString(connectString);
    if (chroot !== parseConnectString(this.#connectString).chroot) {
      throw new InvalidArgumentError('connectString', `a session can't change its chroot: ${connectString}`);
    }
    this.#connectString = connectString;
    this.#session.updateHosts(hosts);
  }

  /**
   * Adds an identity to this connection and all later ones (`digest`, `'user:password'`). Resolves when a server has accepted it. One
   * that is refused ends the session: {@link AuthFailedError}.
   */
  async addAuth(scheme: string, auth: Uint8Array | string): Promise<void> {
    if (typeof scheme !== 'string' || scheme === '') throw new InvalidArgumentError('scheme', 'must be a name');
    const bytes = toBytes(auth, 'auth');
    await new Promise<void>((resolve, reject) => {
      this.#session.addCredential({
        scheme,
        auth: bytes,
        onAccepted: () => this.#deliveries.add('answer', resolve),
        onFailure: (error) => this.#deliveries.add('answer', () => reject(error)),
      });
    }).catch(rejectAtCallSite);
  }

  /**
   * Ends the session: its ephemerals are deleted and its watches dropped. Calls made before are answered first. Resolves when
   * the server has confirmed it, at the latest after the session timeout; without a connection at once, or when the attempt under
   * way is over, and the server expires the session by itself. Never rejects. May be called again.
   */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#session.close(() => this.#deliveries.add('answer', resolve));
    });
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Drops the connection without closing the session: for the user it has expired, now; the server finds out when the session times
   * out, and keeps its ephemerals until then. Pending calls fail with {@link SessionExpiredError}; what they asked for may still happen.
   */
  abandon(): void {
    this.#session.abandon();
  }

  // Operations.

  /**
   * Creates a znode. A sequential one gets its number from the server: the path returned has it.
   *
   * After an unknown outcome, a repeated create finds the znode if the first one was applied (`NodeExistsError`), or makes a second one
   * if it is sequential.
   */
  async create(path: string, options: CallOptions & CreateOptions = {}): Promise<{ path: string; stat: Stat }> {
    const create = toWireCreate(path, options, this.#chroot);
    const onOk = (created: { path: string; stat: Stat }) => ({
      path: this.#chroot.toClient(created.path),
      stat: created.stat,
    });
    if (create.type === OpCode.createTTL) {
      return this.#call({ operation: operations.createTTL, request: create.request, path, options, onOk });
    }
    const operation = create.type === OpCode.createContainer ? operations.createContainer : operations.create2;
    return this.#call({ operation, request: create.request, path, options, onOk });
  }

  /** Deletes a znode without children. */
  async delete(path: string, options: VersionOptions = {}): Promise<void> {
    const request = { path: this.#toServer(path), version: checkVersion(options.version) };
    return this.#call({ operation: operations.delete, request, path, options, onOk: () => undefined });
  }

  /** The znode's stat, or undefined if there is no such znode. The watch is left in both cases. */
  async exists(path: string, options: WatchOptions = {}): Promise<Stat | undefined> {
    const serverPath = this.#toServer(path);
    const { watcher } = options;
    return this.#callWatching<{ path: string; watch: boolean }, { stat: Stat }, Stat | undefined>({
      operation: operations.exists,
      request: { path: serverPath, watch: this.#mustAskFor('data', serverPath, watcher) },
      path,
      options,
      onOk: ({ stat }) => {
        this.#watch('data', serverPath, watcher);
        return stat;
      },
      onRefused: (code) => {
        if (code !== ErrorCode.NO_NODE) throw errorFromCode(code, path);
        this.#watch('exist', serverPath, watcher);
        return undefined;
      },
    });
  }

  /** The znode's data, empty if it has none. If the call fails, no watch is left. */
  async getData(path: string, options: WatchOptions = {}): Promise<{ data: Buffer; stat: Stat }> {
    return this.#readData(this.#toServer(path), path, options);
  }

  /** Replaces the znode's data. Bytes are not copied: they must not be changed before the call has settled. */
  async setData(path: string, data: Uint8Array | string, options: VersionOptions = {}): Promise<Stat> {
    const request = {
      path: this.#toServer(path),
      data: toBytes(data),
      version: checkVersion(options.version),
    };
    return this.#call({ operation: operations.setData, request, path, options, onOk: ({ stat }) => stat });
  }

  /** The names of the znode's children, in no particular order. If the call fails, no watch is left. */
  async getChildren(path: string, options: WatchOptions = {}): Promise<{ children: string[]; stat: Stat }> {
    const serverPath = this.#toServer(path);
    const { watcher } = options;
    return this.#callWatching({
      operation: operations.getChildren2,
      request: { path: serverPath, watch: this.#mustAskFor('child', serverPath, watcher) },
      path,
      options,
      onOk: ({ children, stat }) => {
        this.#watch('child', serverPath, watcher);
        return { children: [...children], stat };
      },
    });
  }

  /** The znode's ACL. */
  async getACL(path: string, options: CallOptions = {}): Promise<{ acl: readonly Acl[]; stat: Stat }> {
    const request = { path: this.#toServer(path) };
    const onOk = ({ acl, stat }: { acl: readonly Acl[] | null; stat: Stat }) => ({ acl: acl ?? [], stat });
    return this.#call({ operation: operations.getACL, request, path, options, onOk });
  }

  /** Replaces the znode's ACL. The version is that of the ACL (`stat.aversion`). */
  async setACL(path: string, acl: readonly Acl[], options: VersionOptions = {}): Promise<Stat> {
    const request = { path: this.#toServer(path), acl: checkAcl(acl), version: checkVersion(options.version) };
    return this.#call({ operation: operations.setACL, request, path, options, onOk: ({ stat }) => stat });
  }

  /** Resolves when the server has caught up with the leader: a read behind it sees what was committed before it. */
  async sync(path: string, options: CallOptions = {}): Promise<void> {
    const request = { path: this.#toServer(path) };
    return this.#call({ operation: operations.sync, request, path, options, onOk: () => undefined });
  }

  /** Applies all of the operations as one transaction, or none: then it rejects with the error of the one that failed. */
  async multi(multi: readonly MultiOperation[], options: CallOptions = {}): Promise<MultiResult[]> {
    if (!Array.isArray(multi)) throw new InvalidArgumentError('operations', 'not a list of operations');
    const request = multi.map((operation: MultiOperation, index) => toWireOperation(operation, index, this.#chroot));
    const onOk = (results: Parameters<typeof toMultiResults>[1]) => toMultiResults(multi, results, this.#chroot);
    return this.#call({ operation: operations.multi, request, path: undefined, options, onOk });
  }

  /**
   * Leaves a watch that is not used up (ZooKeeper 3.6): on the znode and the list of its children, or with `recursive` on
   * it and all below it, where changes of children are told by their own events. The znode need not exist.
   */
  async addWatch(path: string, watcher: Watcher, options: CallOptions & { recursive?: boolean } = {}): Promise<void> {
    const serverPath = this.#toServer(path);
    const { recursive = false } = options;
    checkBoolean(recursive, 'recursive');
    checkWatcher(watcher, { isRequired: true });
    const kind = recursive ? 'persistentRecursive' : 'persistent';
    const mode = this.#watches.modeFor(serverPath, recursive);
    const endAsking = this.#watches.beginAsking(kind, serverPath);
    try {
      await this.#callWatching({
        operation: operations.addWatch,
        request: { path: serverPath, mode },
        path,
        options: { ...options, watcher },
        onOk: () => {
          this.#watches.noteMode(serverPath, mode);
          this.#watch(kind, serverPath, watcher);
        },
      });
    } finally {
      endAsking();
    }
  }

  /**
   * Takes watches away. From this call on the watchers hear of no more changes, whatever the server does; each is told so by an event
   * (`DataWatchRemoved`, `ChildWatchRemoved`, `PersistentWatchRemoved`), as in Java. Resolves when the server has forgotten a watch that
   * nobody needs any more, or has lost it with its connection. A watch that a call under way is about to leave is not touched.
   * @throws NoWatcherError if there is none of that kind
   */
  async removeWatches(path: string, options: RemoveWatchesOptions = {}): Promise<void> {
    const { watcher, type = WatcherType.Any, local = false } = options;
    checkWatcherType(type);
    checkBoolean(local, 'local');
    const serverPath = this.#toServer(path);
    const { removed, unneeded } = this.#watches.remove(serverPath, type, watcher);
    if (removed.length === 0) throw new NoWatcherError(`no such watch: ${path}`, { path });
    const { state } = this;
    const isConnected = state === 'CONNECTED' || state === 'CONNECTED_READ_ONLY';
    for (const { type, watchers } of removed) {
      const told = { type, state: isConnected ? KeeperState.SyncConnected : KeeperState.Disconnected, path };
      this.#deliveries.add('event', () => this.#tell(watchers, told));
    }
    // Without a connection there is nothing to say: the next one starts with the watches that are left.
    if (local || !isConnected || unneeded === undefined || this.#watching.has(serverPath)) return;
    await this.#forgetOnServer(path, unneeded, options);
  }

  /** All that is asked for at once, of one moment. A read that fails doesn't fail the others. ZooKeeper 3.6. */
  async multiRead(reads: readonly MultiReadOperation[], options: CallOptions = {}): Promise<MultiReadResult[]> {
    if (!Array.isArray(reads)) throw new InvalidArgumentError('operations', 'not a list of reads');
    const request = reads.map((read: MultiReadOperation, index) => toWireRead(read, index, this.#chroot));
    const onOk = (results: Parameters<typeof toMultiReadResults>[1]) => toMultiReadResults(reads, results);
    return this.#call({ operation: operations.multiRead, request, path: undefined, options, onOk });
  }

  /** The ephemeral znodes of this session whose paths begin with `prefix`; all of them without it. ZooKeeper 3.6. */
  async getEphemerals(prefix = '/', options: CallOptions = {}): Promise<string[]> {
    return this.#call({
      operation: operations.getEphemerals,
      request: { prefixPath: this.#toServer(prefix) },
      path: prefix,
      options,
      // The server compares bytes: `/app` is the beginning of `/application` too.
      onOk: ({ ephemerals }) =>
        ephemerals.filter((path) => this.#chroot.contains(path)).map((path) => this.#chroot.toClient(path)),
    });
  }

  /** How many znodes there are below a path, at any depth. ZooKeeper 3.6. */
  async getAllChildrenNumber(path: string, options: CallOptions = {}): Promise<number> {
    const request = { path: this.#toServer(path) };
    const operation = operations.getAllChildrenNumber;
    return this.#call({ operation, request, path, options, onOk: ({ totalNumber }) => totalNumber });
  }

  /** Who this connection is for the server: its identities, of a digest only the user's name. ZooKeeper 3.7. */
  async whoAmI(options: CallOptions = {}): Promise<readonly ClientInfo[]> {
    const operation = operations.whoAmI;
    const onOk = ({ clientInfo }: { clientInfo: readonly ClientInfo[] }) => clientInfo;
    return this.#call({ operation, request: undefined, path: undefined, options, onOk });
  }

  /** The configuration of the ensemble: the data of `/zookeeper/config`, which lies in no chroot. */
  async getConfig(options: WatchOptions = {}): Promise<{ data: Buffer; stat: Stat }> {
    return this.#readData(CONFIG_PATH, CONFIG_PATH, options);
  }

  /**
   * Changes the members of the ensemble; resolves to the new configuration. The servers must allow it, and the client needs the rights on
   * `/zookeeper/config`. After an unknown outcome, look at the configuration.
   */
  async reconfig(options: CallOptions & ReconfigOptions): Promise<{ data: Buffer; stat: Stat }> {
    const { joining, leaving, newMembers, fromConfig = -1n } = options;
    if (newMembers !== undefined && (joining ?? leaving) !== undefined) {
      throw new InvalidArgumentError('newMembers', 'with all the members there is no joining or leaving');
    }
    if (typeof fromConfig !== 'bigint') throw new InvalidArgumentError('fromConfig', 'a version is a bigint');
    const request = {
      joiningServers: toServerList(joining, 'joining'),
      leavingServers: toServerList(leaving, 'leaving'),
      newMembers: toServerList(newMembers, 'newMembers'),
      configId: fromConfig,
    };
    const onOk = ({ data, stat }: { data: Buffer | null; stat: Stat }) => ({ data: Buffer.from(data ?? []), stat });
    return this.#call({ operation: operations.reconfig, request, path: CONFIG_PATH, options, onOk });
  }

  // Inside.

  #mustAskFor(kind: 'data' | 'child', serverPath: string, watcher: Watcher | undefined): boolean {
    return watcher !== undefined && !this.#watches.covers(kind, serverPath);
  }

  /** The data of `serverPath`, which the user calls `path`. */
  #readData(serverPath: string, path: string, options: WatchOptions): Promise<{ data: Buffer; stat: Stat }> {
    const { watcher } = options;
    return this.#callWatching({
      operation: operations.getData,
      request: { path: serverPath, watch: this.#mustAskFor('data', serverPath, watcher) },
      path,
      options,
      onOk: ({ data, stat }) => {
        this.#watch('data', serverPath, watcher);
        // A copy: the bytes received are part of a larger chunk, which should not live as long as they do.
        return { data: data === null ? Buffer.alloc(0) : Buffer.from(data), stat };
      },
    });
  }

  #call<Request, Response, Result>(plan: CallPlan<Request, Response, Result>): Promise<Result> {
    const { signal, timeoutMs } = plan.options;
    if (timeoutMs !== undefined) checkMs(timeoutMs, 'timeoutMs');
    if (signal !== undefined) checkSignal(signal)?.throwIfAborted();
    if (!isTracingRequests()) return this.#submit(plan);
    const operation = opCodeName(plan.operation.opCode);
    return traceRequest({ operation, path: plan.path, clock: this.clock }, (trace) => this.#submit(plan, trace));
  }

  #submit<Request, Response, Result>(plan: CallPlan<Request, Response, Result>, trace?: RequestTrace): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      const context = { clock: this.clock, deliveries: this.#deliveries, trace };
      this.#session.submit(new Call(plan, context, { resolve, reject }));
    }).catch(rejectAtCallSite);
  }

  /** The same for a call that leaves a watch at the path of its request. */
  #callWatching<Request extends { readonly path: string }, Response, Result>(
    plan: CallPlan<Request, Response, Result> & { readonly options: WatchOptions },
  ): Promise<Result> {
    if (plan.options.watcher === undefined) return this.#call(plan);
    checkWatcher(plan.options.watcher);
    const { path } = plan.request;
    this.#watching.set(path, (this.#watching.get(path) ?? 0) + 1);
    return this.#call(plan).finally(() => {
      const left = (this.#watching.get(path) ?? 0) - 1;
      if (left > 0) this.#watching.set(path, left);
      else this.#watching.delete(path);
    });
  }

  async #forgetOnServer(path: string, type: WatcherType, options: CallOptions): Promise<void> {
    try {
      const request = { path: this.#toServer(path), type };
      await this.#call({ operation: operations.removeWatches, request, path, options, onOk: () => undefined });
    } catch (error) {
      // It has none: it was used up, and the event came too late; or the connection is gone, and the watch with it.
      if (!(error instanceof NoWatcherError || error instanceof ConnectionLossError)) throw error;
    }
  }

  #toServer(path: string): string {
    return this.#chroot.toServer(checkPath(path));
  }

  #watch(kind: WatchKind, serverPath: string, watcher: Watcher | undefined): void {
    if (watcher !== undefined) this.#watches.add(kind, serverPath, watcher);
  }

  #onState(state: KeeperState): void {
    logSessionState(this.#logger, state, this);
    const { sessionId, server, connectString } = this;
    publishSession(() => ({ state: keeperStateName(state), sessionId, server, connectString }));
    const watchers = this.#watches.all();
    if (this.state === 'CLOSED' || this.state === 'AUTH_FAILED') this.#watches.clear();
    this.#deliveries.add('event', () => {
      this.#events.emit('session', state);
      this.#tell(watchers, { type: EventType.None, state, path: '' });
    });
  }

  /** An event of a type that this version doesn't know finds no watch. */
  #onEvent(event: WatcherEvent): void {
    const type = event.type as EventType;
    this.#tellWatchers(type, event.path);
    const parent = this.#watches.unspokenChildrenChange(type, event.path);
    if (parent !== undefined) this.#tellWatchers(EventType.NodeChildrenChanged, parent);
  }

  #tellWatchers(type: EventType, serverPath: string): void {
    const watchers = this.#watches.take(type, serverPath);
    if (watchers.length === 0) return;
    const watched = { type, state: KeeperState.SyncConnected, path: this.#chroot.toClient(serverPath) };
    this.#deliveries.add('event', () => this.#tell(watchers, watched));
  }

  #tell(watchers: readonly Watcher[], event: WatchedEvent): void {
    for (const watcher of watchers) callListener(this.#listenerLogger, watcher, event);
  }
}
