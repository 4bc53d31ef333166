/**
 * CuratorFramework: the client to work with (Curator's class of the same name). It survives what a single session doesn't:
 * lost connections, expired sessions, servers that come and go. It retries, tells its connection state, and can put all its
 * paths below a namespace.
 *
 * Each operation comes in two styles with the same code behind them: without arguments it opens a builder, whose `forPath`
 * does the work; with a path it does the work.
 *
 * What fails, fails with a `ZooKeeperError`: refused by the server (`NoNodeError`, …), outcome unknown after all retries
 * (`ConnectionLossError`: names each host and why it could not be reached), or session over (`SessionExpiredError`).
 */
import debug from 'debug';
import { Observable } from 'rxjs';
import type { SessionId, Stat } from 'zookeeper-protocol-ts';
import { type ConnectionState, type ConnectionStateErrorPolicy, isErrorState } from './connection-state.ts';
import { InvalidArgumentError } from './errors.ts';
import {
  type Attempt,
  FrameworkConnection,
  type FrameworkEvents,
  IllegalStateError,
  type Lifecycle,
} from './framework-connection.ts';
import { CreateBuilder, type CreateOptions, createZnode } from './operations/create.ts';
import { createPath } from './operations/create-path.ts';
import { DeleteBuilder, type DeleteOptions, deleteZnode } from './operations/delete.ts';
import { ExistsBuilder, existsZnode } from './operations/exists.ts';
import { getZnodeChildren, type ZnodeChildren } from './operations/get-children.ts';
import { getZnodeData, type ZnodeData } from './operations/get-data.ts';
import { Namespace } from './operations/namespace.ts';
import type { OperationScope } from './operations/operation-scope.ts';
import { ReadBuilder } from './operations/read-builder.ts';
import type { ReadOptions } from './operations/read-options.ts';
import { SetDataBuilder, type SetDataOptions, setZnodeData } from './operations/set-data.ts';
import { ExponentialBackoffRetry, isRefused, type RetryPolicy } from './retry.ts';
import { parseConnectString } from './session/connect-string.ts';
import { systemPorts } from './session/tcp-transport.ts';
import type { Clock, Ports } from './session/transport.ts';
import type { ZooKeeper } from './zookeeper.ts';

const log = debug('zookeeper:framework');

/** What a client is made of, beside the connect string. */
export interface FrameworkOptions {
  /** Asked for; the server may grant another. 60 000 by default. */
  readonly sessionTimeoutMs?: number | undefined;
  /** How long an attempt waits for a connection. 15 000 by default. */
  readonly connectionTimeoutMs?: number | undefined;
  /** For `connect`, `new ExponentialBackoffRetry(1000, 3)` by default. */
  readonly retry?: RetryPolicy | undefined;
  /** Put in front of all paths; made by the client when it is first needed. `billing`, or `apps/billing`. */
  readonly namespace?: string | undefined;
  /** What create and setData write when they are given no data. Empty by default (in Curator: the host's address). */
  readonly defaultData?: Uint8Array | string | undefined;
  /** When recipes give up what they hold. `standard` by default. */
  readonly connectionStateErrorPolicy?: ConnectionStateErrorPolicy | undefined;
  /** Clock, network and randomness; the machine's own by default. */
  readonly ports?: Ports | undefined;
}

/** How {@link connect} connects. */
export interface ConnectOptions extends FrameworkOptions {
  /** Aborting gives up; the client is then closed. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes a client, starts it and waits until it is connected, at most its connection timeout.
 *
 * @throws ConnectionLossError naming each host and why it could not be reached; InvalidConnectStringError
 */
export async function connect(connectString: string, options: ConnectOptions = {}): Promise<CuratorFramework> {
  const { signal, retry = new ExponentialBackoffRetry(1000, 3) } = options;
  signal?.throwIfAborted();
  const client = openFramework(connectString, { ...options, retry }).start();
  try {
    await client.blockUntilConnected({ signal, timeoutMs: client.connectionTimeoutMs });
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
}

function openFramework(connectString: string, options: FrameworkOptions): CuratorFramework {
  parseConnectString(connectString);
  const { sessionTimeoutMs = 60_000, connectionTimeoutMs = 15_000, retry, ports = systemPorts() } = options;
  if (retry === undefined) throw new InvalidArgumentError('retryPolicy', 'it is required');
  if (!(sessionTimeoutMs > 0)) throw new InvalidArgumentError('sessionTimeoutMs', 'it must be more than 0');
  if (!(connectionTimeoutMs > 0)) throw new InvalidArgumentError('connectionTimeoutMs', 'it must be more than 0');
  if (sessionTimeoutMs < connectionTimeoutMs) {
    log('session timeout %d ms is shorter than connection timeout %d ms', sessionTimeoutMs, connectionTimeoutMs);
  }
  const { namespace = '', defaultData = new Uint8Array(0), connectionStateErrorPolicy = 'standard' } = options;
  return new CuratorFramework({
    connection: new FrameworkConnection({
      connectString,
      sessionTimeoutMs,
      connectionTimeoutMs,
      retryPolicy: retry,
      ports,
    }),
    namespace: new Namespace(namespace),
    defaultData: Buffer.from(defaultData),
    errorPolicy: connectionStateErrorPolicy,
    shared: { containers: { refused: false }, namespacesMade: new Set() },
    isView: false,
  });
}

/** Makes a {@link CuratorFramework}. Connect string and retry policy are required. */
export class CuratorFrameworkBuilder {
  #connectString = '';
  #options: FrameworkOptions = {};

  /** `host:port,host:port/chroot` */
  connectString(connectString: string): this {
    this.#connectString = connectString;
    return this;
  }

  sessionTimeoutMs(sessionTimeoutMs: number): this {
    return this.#with({ sessionTimeoutMs });
  }

  connectionTimeoutMs(connectionTimeoutMs: number): this {
    return this.#with({ connectionTimeoutMs });
  }

  retryPolicy(retry: RetryPolicy): this {
    return this.#with({ retry });
  }

  namespace(namespace: string): this {
    return this.#with({ namespace });
  }

  defaultData(defaultData: Uint8Array | string): this {
    return this.#with({ defaultData });
  }

  connectionStateErrorPolicy(connectionStateErrorPolicy: ConnectionStateErrorPolicy): this {
    return this.#with({ connectionStateErrorPolicy });
  }

  ports(ports: Ports): this {
    return this.#with({ ports });
  }

  /** @throws InvalidConnectStringError; InvalidArgumentError naming what is missing or makes no sense */
  build(): CuratorFramework {
    return openFramework(this.#connectString, this.#options);
  }

  #with(options: FrameworkOptions): this {
    this.#options = { ...this.#options, ...options };
    return this;
  }
}

/** What a client and its views are made of. */
interface FrameworkParts {
  readonly connection: FrameworkConnection;
  readonly namespace: Namespace;
  readonly defaultData: Uint8Array;
  readonly errorPolicy: ConnectionStateErrorPolicy;
  readonly shared: {
    readonly containers: { refused: boolean };
    /** Roots of namespaces whose znodes are known to have been made. */
    readonly namespacesMade: Set<string>;
  };
  /** It neither starts nor closes the connection. */
  readonly isView: boolean;
}

export class CuratorFramework implements AsyncDisposable {
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly connectionTimeoutMs: number;
  /** What create and setData write when they are given no data. */
  readonly defaultData: Uint8Array;
  /**
   * The connection states: the present one first, if there is any, then each as it comes. Completes on close. Each
   * subscription stands alone.
   */
  readonly state$: Observable<ConnectionState>;
  readonly #parts: FrameworkParts;
  readonly #connection: FrameworkConnection;
  readonly #scope: OperationScope;

  static builder(): CuratorFrameworkBuilder {
    return new CuratorFrameworkBuilder();
  }

  /** For {@link CuratorFramework.builder} and {@link connect}. */
  constructor(parts: FrameworkParts) {
    const { connection } = parts;
    this.#parts = parts;
    this.#connection = connection;
    this.clock = connection.clock;
    this.random = connection.random;
    this.connectionTimeoutMs = connection.connectionTimeoutMs;
    this.defaultData = parts.defaultData;
    this.state$ = statesOf(connection);
    this.#scope = {
      namespace: parts.namespace,
      defaultData: parts.defaultData,
      random: connection.random,
      containers: parts.shared.containers,
      retry: (attempt, signal) => connection.retry((zk) => this.#inNamespace(zk, attempt, signal), { signal }),
      guarantee: (attempt) => connection.guarantee(attempt),
    };
  }

  // Lifecycle.

  get lifecycle(): Lifecycle {
    return this.#connection.lifecycle;
  }

  /**
   * Starts connecting and returns at once.
   * @throws IllegalStateError when it was started before; ClientClosedError after `close`
   */
  start(): this {
    this.#assertNotView();
    this.#connection.start();
    return this;
  }

  /**
   * Closes the session, and the ephemeral znodes with it. Calls that wait end with `ClientClosedError`, and so does every call
   * from now on; what went on in the background is dropped. May be called twice.
   */
  async close(): Promise<void> {
    this.#assertNotView();
    await this.#connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // Connection.

  /** Undefined until something has happened. Changes at once; listeners are told in order. */
  get state(): ConnectionState | undefined {
    return this.#connection.state;
  }

  get connected(): boolean {
    return this.#connection.connected;
  }

  /** The present session; another one after the session was lost. Knows nothing of namespaces and retries. */
  get zookeeper(): ZooKeeper {
    return this.#connection.zookeeper;
  }

  /** 0 without a session. */
  get sessionId(): SessionId {
    return this.#connection.sessionId;
  }

  /** On `clock`: until then the server can't have ended the present session. −Infinity without a session. */
  get leaseEnd(): number {
    return this.#connection.leaseEnd;
  }

  /**
   * Calls `listener` at each event from now on, and returns what stops that. `state`: see {@link ConnectionState}; `error`:
   * failures that no caller hears of; `lifecycle`: started, stopped.
   */
  on<Name extends keyof FrameworkEvents>(event: Name, listener: (...args: FrameworkEvents[Name]) => void): () => void {
    return this.#connection.on(event, listener);
  }

  /**
   * Resolves when there is a connection. Without `timeoutMs` it waits until there is, the signal fires, or the client is
   * closed.
   * @throws ConnectionLossError after `timeoutMs`, naming each host and why it could not be reached
   */
  async blockUntilConnected({
    timeoutMs,
    signal,
  }: {
    timeoutMs?: number | undefined;
    signal?: AbortSignal | undefined;
  } = {}): Promise<void> {
    this.#connection.assertStarted();
    if (!(await this.#connection.awaitConnection({ timeoutMs, signal }))) {
      throw this.#connection.connectionLoss(timeoutMs ?? 0);
    }
  }

  /** For recipes: tells the listeners of `error` what no caller hears of; without any it goes to `DEBUG=zookeeper:framework`. */
  reportError(error: unknown): void {
    this.#connection.reportError(error);
  }

  /** Whether recipes should give up what they hold. */
  isErrorState(state: ConnectionState): boolean {
    return isErrorState(this.#parts.errorPolicy, state);
  }

  /**
   * The retry loop that all operations run in, for a piece of work of the caller's. `attempt` gets the present session, bare:
   * paths are not put into the namespace. Rejects with the last error. When an operation inside has given up its own
   * retries, this loop doesn't add to them.
   */
  retry<T>(attempt: Attempt<T>, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<T> {
    return this.#connection.retry(attempt, { signal });
  }

  // Operations.

  /** Makes a znode; resolves to its path, as the server completed it. */
  create(): CreateBuilder;
  create(path: string, options?: CreateOptions): Promise<string>;
  create(path?: string, options: CreateOptions = {}): CreateBuilder | Promise<string> {
    if (path !== undefined) return createZnode(this.#scope, path, options).then((created) => created.path);
    this.#connection.assertStarted();
    return new CreateBuilder(this.#scope, (created) => created.path);
  }

  /** Deletes a znode. */
  delete(): DeleteBuilder;
  delete(path: string, options?: DeleteOptions): Promise<void>;
  delete(path?: string, options: DeleteOptions = {}): DeleteBuilder | Promise<void> {
    if (path !== undefined) return deleteZnode(this.#scope, path, options);
    this.#connection.assertStarted();
    return new DeleteBuilder(this.#scope);
  }

  /** A znode's `Stat`, or undefined if there is no such znode. */
  checkExists(): ExistsBuilder;
  checkExists(path: string, options?: ReadOptions): Promise<Stat | undefined>;
  checkExists(path?: string, options: ReadOptions = {}): ExistsBuilder | Promise<Stat | undefined> {
    if (path !== undefined) return existsZnode(this.#scope, path, options);
    this.#connection.assertStarted();
    return new ExistsBuilder(this.#scope);
  }

  /** A znode's data. */
  getData(): ReadBuilder<ZnodeData, Buffer>;
  getData(path: string, options?: ReadOptions): Promise<ZnodeData>;
  getData(path?: string, options: ReadOptions = {}): ReadBuilder<ZnodeData, Buffer> | Promise<ZnodeData> {
    if (path !== undefined) return getZnodeData(this.#scope, path, options);
    this.#connection.assertStarted();
    return new ReadBuilder(this.#scope, getZnodeData, (read) => read.data);
  }

  /** Replaces a znode's data; resolves to its new `Stat`. */
  setData(): SetDataBuilder;
  setData(path: string, data?: Uint8Array | string, options?: SetDataOptions): Promise<Stat>;
  setData(
    path?: string,
    data: Uint8Array | string = this.defaultData,
    options: SetDataOptions = {},
  ): SetDataBuilder | Promise<Stat> {
    if (path !== undefined) return setZnodeData(this.#scope, path, data, options);
    this.#connection.assertStarted();
    return new SetDataBuilder(this.#scope);
  }

  /** The names of a znode's children. */
  getChildren(): ReadBuilder<ZnodeChildren, string[]>;
  getChildren(path: string, options?: ReadOptions): Promise<string[]>;
  getChildren(path?: string, options: ReadOptions = {}): ReadBuilder<ZnodeChildren, string[]> | Promise<string[]> {
    if (path !== undefined) return getZnodeChildren(this.#scope, path, options).then((read) => read.children);
    this.#connection.assertStarted();
    return new ReadBuilder(this.#scope, getZnodeChildren, (read) => read.children);
  }

  /** Lets the server catch up with the leader: what was written before, by anyone, is seen by the reads that follow. */
  async sync(path: string, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    const target = this.#scope.namespace.toServer(path);
    await this.#scope.retry((zk) => zk.sync(target, { signal }), signal);
  }

  // Namespaces.

  /**
   * A view of this client below another namespace, instead of the present one; null for the whole tree. It shares session,
   * states and lifecycle, and can't be started or closed itself.
   */
  usingNamespace(namespace: string | null): CuratorFramework {
    return new CuratorFramework({ ...this.#parts, namespace: new Namespace(namespace), isView: true });
  }

  /** Runs an attempt after the namespace's own znode was made. That it can't be made is no reason not to try (as Curator). */
  async #inNamespace<T>(
    zk: ZooKeeper,
    attempt: (zk: ZooKeeper) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const { namespacesMade, containers } = this.#parts.shared;
    const { root } = this.#scope.namespace;
    if (root === '' || namespacesMade.has(root)) return attempt(zk);
    try {
      await createPath(zk, root, { containers, signal });
      namespacesMade.add(root);
    } catch (error) {
      if (!isRefused(error)) throw error;
      this.#connection.reportError(error);
    }
    return attempt(zk);
  }

  #assertNotView(): void {
    if (this.#parts.isView) throw new IllegalStateError('a view of a client is started and closed with the client');
  }
}

function statesOf(connection: FrameworkConnection): Observable<ConnectionState> {
  return new Observable((subscriber) => {
    // What listeners were told last, not the state, which may be ahead of them: so none is missed, and none told twice.
    if (connection.lifecycle === 'STOPPED') return subscriber.complete();
    if (connection.lastDelivered !== undefined) subscriber.next(connection.lastDelivered);
    const unsubscribes = [
      connection.on('state', (state) => subscriber.next(state)),
      connection.on('lifecycle', (lifecycle) => {
        if (lifecycle === 'STOPPED') subscriber.complete();
      }),
    ];
    return () => {
      for (const unsubscribe of unsubscribes) unsubscribe();
    };
  });
}
