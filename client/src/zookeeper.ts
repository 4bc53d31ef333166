/**
 * `ZooKeeper`: one session with an ensemble, and every operation of the protocol as a promise (ZooKeeper's class of the same name). It
 * reconnects for as long as the session lives, and no longer: once the session has expired, so has the object. What
 * survives expiry, retries and knows recipes is `CuratorFramework`.
 *
 * - A call made while there is no connection waits for the next attempt to connect, and fails with it ({@link ConnectionLossError}).
 * - Answers and events reach the user in the order in which the server sent them: a watch's event before any answer that shows the change.
 * - Every promise settles exactly once, at the latest when the session is closed, abandoned or expired.
 */
import debug from 'debug';
import {
  type Acl,
  AddWatchMode,
  ErrorCode,
  EventType,
  KeeperState,
  keeperStateName,
  NO_SESSION,
  OpCode,
  operations,
  PASSWORD_BYTES,
  type SessionId,
  type Stat,
  toHex,
  type WatcherEvent,
  type Zxid,
} from 'zookeeper-protocol-ts';
import { errorFromCode, InvalidArgumentError } from './errors.ts';
import { callListener, EventSource } from './event-source.ts';
import { Chroot } from './session/chroot.ts';
import { parseConnectString } from './session/connect-string.ts';
import { Deliveries } from './session/deliveries.ts';
import { Session, type SessionState } from './session/session.ts';
import { systemPorts } from './session/tcp-transport.ts';
import type { Clock, Ports } from './session/transport.ts';
import { type WatchedEvent, type Watcher, type WatchKind, WatchRegistry } from './watch/watch-registry.ts';
import {
  type CreateOptions,
  checkAcl,
  checkMs,
  checkPath,
  checkVersion,
  toBytes,
  toWireCreate,
} from './zookeeper-arguments.ts';
import { Call, type CallOptions, type CallPlan } from './zookeeper-call.ts';
import { type MultiOperation, type MultiResult, toMultiResults, toWireOperation } from './zookeeper-multi.ts';

const report = debug('zookeeper:session');

export interface ZooKeeperOptions {
  /** `host[:port],host[:port],…[/chroot]`. The chroot is not created. */
  readonly connectString: string;
  /** What to ask for, ms; 30 000 by default. The server grants something between its own limits. */
  readonly sessionTimeoutMs?: number | undefined;
  /** A session to go on with: another client's `sessionId` and `sessionPassword`. */
  readonly session?: { readonly id: SessionId; readonly password: Uint8Array } | undefined;
  /** The largest request sent and the largest answer accepted, bytes: the servers' `jute.maxbuffer`, 0xfffff by default. */
  readonly frameBytesMax?: number | undefined;
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

export class ZooKeeper implements AsyncDisposable {
  readonly connectString: string;
  readonly clock: Clock;
  readonly #session: Session;
  readonly #chroot: Chroot;
  readonly #watches = new WatchRegistry();
  readonly #deliveries: Deliveries;
  readonly #events = new EventSource<{ session: [state: KeeperState] }>();
  #closed: Promise<void> | undefined;

  /**
   * Starts connecting, as in Java. Nothing is called back before it has returned.
   * @throws InvalidConnectStringError, InvalidArgumentError
   */
  constructor({ connectString, sessionTimeoutMs = 30_000, session, frameBytesMax, ports }: ZooKeeperOptions) {
    const { hosts, chroot } = parseConnectString(connectString);
    const { clock, transport, random } = ports ?? systemPorts();
    this.connectString = connectString;
    this.clock = clock;
    this.#chroot = new Chroot(chroot);
    this.#deliveries = new Deliveries(clock);
    this.#session = new Session({
      hosts,
      timeoutMs: checkMs(sessionTimeoutMs, 'sessionTimeoutMs'),
      session: session && checkSession(session),
      frameBytesMax: frameBytesMax === undefined ? undefined : checkFrameBytesMax(frameBytesMax),
      ports: { clock, transport, random },
      handler: {
        onState: (state) => this.#onState(state),
        onEvent: (event) => this.#onEvent(event),
        watchesToRestore: (relativeZxid) => this.#watches.toRequests(relativeZxid),
      },
    });
  }

  // The session.

  get state(): SessionState {
    return this.#session.state;
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
    });
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
    return this.#call<{ path: string; watch: boolean }, { stat: Stat }, Stat | undefined>({
      operation: operations.exists,
      request: { path: serverPath, watch: watcher !== undefined },
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
    const serverPath = this.#toServer(path);
    const { watcher } = options;
    return this.#call({
      operation: operations.getData,
      request: { path: serverPath, watch: watcher !== undefined },
      path,
      options,
      onOk: ({ data, stat }) => {
        this.#watch('data', serverPath, watcher);
        // A copy: the bytes received are part of a larger chunk, which should not live as long as they do.
        return { data: data === null ? Buffer.alloc(0) : Buffer.from(data), stat };
      },
    });
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
    return this.#call({
      operation: operations.getChildren2,
      request: { path: serverPath, watch: watcher !== undefined },
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
    const request = multi.map((operation, index) => toWireOperation(operation, index, this.#chroot));
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
    const mode = recursive ? AddWatchMode.PERSISTENT_RECURSIVE : AddWatchMode.PERSISTENT;
    return this.#call({
      operation: operations.addWatch,
      request: { path: serverPath, mode },
      path,
      options,
      onOk: () => this.#watch(recursive ? 'persistentRecursive' : 'persistent', serverPath, watcher),
    });
  }

  // Inside.

  #call<Request, Response, Result>(plan: CallPlan<Request, Response, Result>): Promise<Result> {
    const { signal, timeoutMs } = plan.options;
    if (timeoutMs !== undefined) checkMs(timeoutMs, 'timeoutMs');
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const context = { clock: this.clock, deliveries: this.#deliveries };
      this.#session.submit(new Call(plan, context, { resolve, reject }));
    });
  }

  #toServer(path: string): string {
    return this.#chroot.toServer(checkPath(path));
  }

  #watch(kind: WatchKind, serverPath: string, watcher: Watcher | undefined): void {
    if (watcher !== undefined) this.#watches.add(kind, serverPath, watcher);
  }

  #onState(state: KeeperState): void {
    report('%s: session %s: %s', this.connectString, toHex(this.sessionId), keeperStateName(state));
    const watchers = this.#watches.all();
    if (this.state === 'CLOSED' || this.state === 'AUTH_FAILED') this.#watches.clear();
    this.#deliveries.add('event', () => {
      this.#events.emit('session', state);
      tell(watchers, { type: EventType.None, state, path: '' });
    });
  }

  /** An event of a type that this version doesn't know finds no watch. */
  #onEvent(event: WatcherEvent): void {
    const type = event.type as EventType;
    const watchers = this.#watches.take(type, event.path);
    if (watchers.length === 0) return;
    const watched = { type, state: KeeperState.SyncConnected, path: this.#chroot.toClient(event.path) };
    this.#deliveries.add('event', () => tell(watchers, watched));
  }
}

function tell(watchers: readonly Watcher[], event: WatchedEvent): void {
  for (const watcher of watchers) callListener(watcher, event);
}

function checkSession({ id, password }: { id: SessionId; password: Uint8Array }): { id: SessionId; password: Buffer } {
  if (typeof id !== 'bigint' || id === NO_SESSION) throw new InvalidArgumentError('session.id', 'not a session id');
  if (password.length !== PASSWORD_BYTES) {
    throw new InvalidArgumentError(
      'session.password',
      `${password.length} bytes where a password has ${PASSWORD_BYTES}`,
    );
  }
  return { id, password: Buffer.from(password) };
}

function checkFrameBytesMax(bytes: number): number {
  if (Number.isInteger(bytes) && bytes >= 1024 && bytes <= 0x7fff_ffff) return bytes;
  throw new InvalidArgumentError('frameBytesMax', `${String(bytes)} is not a whole number of bytes from 1024 on`);
}
