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
import { type Acl, joinPath, OPEN_ACL, type SessionId, type Stat } from 'zookeeper-protocol-ts';
import { type ConnectionState, isErrorState } from './connection-state.ts';
import { ClientClosedError, NoWatcherError, SessionExpiredError } from './errors.ts';
import { checkWait } from './framework-arguments.ts';
import {
  type Attempt,
  type FrameworkConnection,
  type FrameworkEvents,
  IllegalStateError,
  type Lifecycle,
} from './framework-connection.ts';
import {
  type ConnectOptions,
  CuratorFrameworkBuilder,
  type Ensemble,
  type FrameworkOptions,
} from './framework-options.ts';
import { type FrameworkParts, makeParts } from './framework-parts.ts';
import { aclFor } from './operations/acl-provider.ts';
import { fromStored } from './operations/compression.ts';
import {
  GetConfigBuilder,
  getEnsembleConfig,
  ReconfigBuilder,
  type ReconfigOptions,
  reconfigEnsemble,
} from './operations/config.ts';
import { CreateBuilder, type CreatedZnode, type CreateOptions, createZnode } from './operations/create.ts';
import { createPath } from './operations/create-path.ts';
import { DeleteBuilder, type DeleteOptions, deleteZnode } from './operations/delete.ts';
import { ExistsBuilder, type ExistsOptions, existsZnode } from './operations/exists.ts';
import { GetAclBuilder, type GetAclOptions, getZnodeAcl, type ZnodeAcl } from './operations/get-acl.ts';
import { GetChildrenBuilder, getZnodeChildren, type ZnodeChildren } from './operations/get-children.ts';
import { GetDataBuilder, type GetDataOptions, getZnodeData, type ZnodeData } from './operations/get-data.ts';
import { Namespace } from './operations/namespace.ts';
import type { OperationScope } from './operations/operation-scope.ts';
import type { ReadOptions } from './operations/read-options.ts';
import { SetAclBuilder, type SetAclOptions, setZnodeAcl } from './operations/set-acl.ts';
import { SetDataBuilder, type SetDataOptions, setZnodeData } from './operations/set-data.ts';
import { runTransaction, TransactionBuilder, type TransactionOp, transactionOp } from './operations/transaction.ts';
import { WatcherRecord } from './operations/watcher-record.ts';
import {
  type AddWatchOptions,
  addWatch,
  type RemoveWatchesOptions,
  removeWatches,
  WatchesBuilder,
} from './operations/watches.ts';
import { ExponentialBackoffRetry, isRefused } from './retry.ts';
import type { Clock } from './session/transport.ts';
import { type BoundSession, type SessionScope, type WithSessionOptions, withSession } from './session-scope.ts';
import { type WatchStreamOptions, watchChanges } from './watch/change-stream.ts';
import type { Watcher } from './watch/watch-registry.ts';
import type { WatchScope } from './watch/watch-stream.ts';
import type { TreeChange, ZnodeChange } from './watch/znode-change.ts';
import type { ZooKeeper } from './zookeeper.ts';
import { checkSignal } from './zookeeper-arguments.ts';
import type { MultiResult } from './zookeeper-multi.ts';

/**
 * Makes a client, starts it and waits until it is connected, at most its connection timeout.
 *
 * @throws ConnectionLossError naming each host and why it could not be reached; InvalidConnectStringError
 */
export async function connect(connectString: string, options: ConnectOptions = {}): Promise<CuratorFramework> {
  const { signal, retry = new ExponentialBackoffRetry(1000, 3) } = options;
  checkSignal(signal)?.throwIfAborted();
  const client = openFramework(connectString, { ...options, retry }).start();
  try {
    await client.blockUntilConnected({ signal, timeoutMs: client.connectionTimeoutMs });
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
}

const openFramework = (ensemble: Ensemble, options: FrameworkOptions): CuratorFramework =>
  new CuratorFramework(makeParts(ensemble, options));

/** The form of a result: with the `Stat`, or without. */
interface StoringStat {
  readonly storingStat?: boolean | undefined;
}

export class CuratorFramework implements AsyncDisposable {
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly connectionTimeoutMs: number;
  /** What create and setData write when they are given no data. */
  readonly defaultData: Uint8Array;
  /** Makes the operations of a {@link transaction}. */
  readonly op = transactionOp;
  readonly #parts: FrameworkParts;
  readonly #connection: FrameworkConnection;
  readonly #scope: OperationScope;

  static builder(): CuratorFrameworkBuilder<CuratorFramework> {
    return new CuratorFrameworkBuilder(openFramework);
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
    this.#scope = {
      namespace: parts.namespace,
      defaultData: parts.defaultData,
      aclProvider: parts.aclProvider,
      compression: parts.compression,
      schemaSet: parts.schemaSet,
      random: connection.random,
      containers: parts.shared.containers,
      defaultWatcher: connection.defaultWatcher,
      watcherRecord: parts.watcherRecord,
      get zookeeper() {
        return connection.zookeeper;
      },
      retry: (attempt, signal) => this.retry((zk) => this.#inNamespace(zk, attempt, signal), { signal }),
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
    checkWait({ timeoutMs, signal });
    this.#connection.assertStarted();
    if (!(await this.#connection.awaitConnection({ timeoutMs, signal }))) {
      throw this.#connection.connectionLoss(timeoutMs ?? 0);
    }
  }

  /** For recipes: tells the listeners of `error` what no caller hears of; without any it is logged. */
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
    const { session } = this.#parts;
    if (session !== undefined) return session.retry(this.#connection, attempt, signal);
    return this.#connection.retry(attempt, { signal });
  }

  /**
   * Runs a piece of work that makes sense only within one session, because it rests on ephemerals, watches or locks made on its way: as
   * soon as the session is over, every operation of the scope's client rejects with `SessionFailedError`, and the work is begun again
   * in the next session, or with `mode: 'FAIL'` given up.
   */
  withSession<T>(
    work: (scope: SessionScope<CuratorFramework>) => Promise<T>,
    options: WithSessionOptions = {},
  ): Promise<T> {
    const toClient = (session: BoundSession) => new CuratorFramework({ ...this.#parts, session, isView: true });
    return withSession(this.#connection, toClient, work, options);
  }

  // Operations.

  /**
   * Makes a znode; resolves to its path, as the server completed it, or with `storingStat` to the path and the `Stat`.
   */
  create(): CreateBuilder;
  create(path: string, options: CreateOptions & { readonly storingStat: true }): Promise<CreatedZnode>;
  create(path: string, options?: CreateOptions & { readonly storingStat?: false | undefined }): Promise<string>;
  create(path?: string, options: CreateOptions & StoringStat = {}): CreateBuilder | Promise<string | CreatedZnode> {
    if (path !== undefined) {
      return createZnode(this.#scope, path, options).then((created) => (options.storingStat ? created : created.path));
    }
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
  checkExists(path: string, options?: ExistsOptions): Promise<Stat | undefined>;
  checkExists(path?: string, options: ExistsOptions = {}): ExistsBuilder | Promise<Stat | undefined> {
    if (path !== undefined) return existsZnode(this.#scope, path, options);
    this.#connection.assertStarted();
    return new ExistsBuilder(this.#scope);
  }

  /** A znode's data. */
  getData(): GetDataBuilder;
  getData(path: string, options?: GetDataOptions): Promise<ZnodeData>;
  getData(path?: string, options: GetDataOptions = {}): GetDataBuilder | Promise<ZnodeData> {
    if (path !== undefined) return getZnodeData(this.#scope, path, options);
    this.#connection.assertStarted();
    return new GetDataBuilder(this.#scope, (read) => read.data);
  }

  /** Replaces a znode's data; resolves to its new `Stat`. Without data, the client's default data is written. */
  setData(): SetDataBuilder;
  setData(path: string, data?: Uint8Array | string, options?: SetDataOptions): Promise<Stat>;
  setData(path?: string, data?: Uint8Array | string, options: SetDataOptions = {}): SetDataBuilder | Promise<Stat> {
    if (path !== undefined) return setZnodeData(this.#scope, path, data, options);
    this.#connection.assertStarted();
    return new SetDataBuilder(this.#scope);
  }

  /** The names of a znode's children, or with `storingStat` those and its own `Stat`. */
  getChildren(): GetChildrenBuilder;
  getChildren(path: string, options: ReadOptions & { readonly storingStat: true }): Promise<ZnodeChildren>;
  getChildren(path: string, options?: ReadOptions & { readonly storingStat?: false | undefined }): Promise<string[]>;
  getChildren(
    path?: string,
    options: ReadOptions & StoringStat = {},
  ): GetChildrenBuilder | Promise<string[] | ZnodeChildren> {
    if (path !== undefined) {
      return getZnodeChildren(this.#scope, path, options).then((read) => (options.storingStat ? read : read.children));
    }
    this.#connection.assertStarted();
    return new GetChildrenBuilder(this.#scope, (read) => read.children);
  }

  /** A znode's ACL. */
  getACL(): GetAclBuilder;
  getACL(path: string, options?: GetAclOptions): Promise<ZnodeAcl>;
  getACL(path?: string, options: GetAclOptions = {}): GetAclBuilder | Promise<ZnodeAcl> {
    if (path !== undefined) return getZnodeAcl(this.#scope, path, options);
    this.#connection.assertStarted();
    return new GetAclBuilder(this.#scope, (read) => read.acl);
  }

  /** Replaces a znode's ACL; resolves to its new `Stat`. */
  setACL(): SetAclBuilder;
  setACL(path: string, acl: readonly Acl[], options?: SetAclOptions): Promise<Stat>;
  setACL(path?: string, acl: readonly Acl[] = OPEN_ACL, options: SetAclOptions = {}): SetAclBuilder | Promise<Stat> {
    if (path !== undefined) return setZnodeAcl(this.#scope, path, acl, options);
    this.#connection.assertStarted();
    return new SetAclBuilder(this.#scope);
  }

  /**
   * Applies all operations, made by {@link op}, or none. Resolves to the result of each, in their order; rejects with the error of
   * the one that failed, whose `operationCodes` tell what the server said of each.
   */
  transaction(): TransactionBuilder;
  transaction(
    ops: readonly TransactionOp[],
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<MultiResult[]>;
  transaction(
    ops?: readonly TransactionOp[],
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): TransactionBuilder | Promise<MultiResult[]> {
    if (ops !== undefined) return runTransaction(this.#scope, ops, options);
    this.#connection.assertStarted();
    return new TransactionBuilder(this.#scope);
  }

  /** Lets the server catch up with the leader: what was written before, by anyone, is seen by the reads that follow. */
  async sync(path: string, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    const target = this.#scope.namespace.toServer(path);
    await this.#scope.retry((zk) => zk.sync(target, { signal }), signal);
  }

  /** Makes the path and all that is missing above it, as containers. */
  async createContainers(path: string, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    await existsZnode(this.#scope, joinPath(path, 'x'), { containers: true, signal });
  }

  // Watches that stay.

  /** `watches().add()`, `watches().remove(watcher)`, `watches().removeAll()`. */
  watches(): WatchesBuilder {
    this.#connection.assertStarted();
    return new WatchesBuilder(this.#scope);
  }

  /** Leaves a watch that is not used up, until the session ends or {@link removeWatches}. */
  addWatch(path: string, watcher: Watcher, options: AddWatchOptions = {}): Promise<void> {
    return addWatch(this.#scope, path, watcher, options);
  }

  /**
   * Takes watches of a path away: one, or all of them.
   * @throws NoWatcherError if there is none, unless `quietly` is set
   */
  removeWatches(path: string, options: RemoveWatchesOptions = {}): Promise<void> {
    return removeWatches(this.#scope, path, options);
  }

  // The ensemble.

  /** The ensemble's configuration. No namespace applies. */
  getConfig(): GetConfigBuilder;
  getConfig(options: ReadOptions): Promise<ZnodeData>;
  getConfig(options?: ReadOptions): GetConfigBuilder | Promise<ZnodeData> {
    if (options !== undefined) return getEnsembleConfig(this.#scope, options);
    this.#connection.assertStarted();
    return new GetConfigBuilder(this.#scope, (read) => read.data);
  }

  /** Changes the members of the ensemble; resolves to the new configuration. */
  reconfig(): ReconfigBuilder;
  reconfig(options: ReconfigOptions): Promise<ZnodeData>;
  reconfig(options?: ReconfigOptions): ReconfigBuilder | Promise<ZnodeData> {
    if (options !== undefined) return reconfigEnsemble(this.#scope, options);
    this.#connection.assertStarted();
    return new ReconfigBuilder(this.#scope, (read) => read.data);
  }

  // Watch streams.

  /**
   * What happens to a znode, or with `recursive` to it and all below it: what there is now, then every change with the old and the
   * new, over lost connections and sessions. Whoever is slow gets fewer changes, the latest state among them. Each loop has its own
   * watch, which goes with it. A loop ends with the signal's reason, with `ClientClosedError`, or with `NoAuthError` if the znode itself
   * may not be read; below it such znodes are left out, each with one `error` event.
   * @throws InvalidArgumentError if it is no path, SchemaViolationError if it must not be watched
   */
  watch(path: string, options?: WatchStreamOptions & { readonly recursive?: false }): AsyncIterable<ZnodeChange>;
  watch(path: string, options: WatchStreamOptions): AsyncIterable<TreeChange>;
  watch(path: string, options: WatchStreamOptions = {}): AsyncIterable<TreeChange> {
    return watchChanges(this.watchScope, path, options);
  }

  /**
   * For recipes: data as a watch stream tells it, which is as it is stored, made into what {@link getData} returns with that option.
   * @throws DataInconsistencyError if it was not compressed, or is damaged
   */
  async decompress(
    path: string,
    stored: Buffer,
    { decompressed = this.#scope.compression.isDefault }: Pick<GetDataOptions, 'decompressed'> = {},
  ): Promise<Buffer> {
    return decompressed ? fromStored(this.#scope, path, stored) : stored;
  }

  /** What watch streams stand on; for `zookeeper-client-ts/rx`. */
  get watchScope(): WatchScope {
    const { namespace, schemaSet, shared } = this.#parts;
    return { connection: this.#connection, namespace, schemaSet, persistentWatches: shared.persistentWatches };
  }

  // Views.

  /**
   * A view of this client below another namespace, instead of the present one; null for the whole tree. It shares session,
   * states and lifecycle, and can't be started or closed itself.
   */
  usingNamespace(namespace: string | null): CuratorFramework {
    return new CuratorFramework({ ...this.#parts, namespace: new Namespace(namespace), isView: true });
  }

  /**
   * A view of this client that takes note of the one-shot watches left through it, and through views made from it, and can take them
   * away: {@link WatcherRemoveCuratorFramework.removeWatchers}.
   */
  newWatcherRemoveCuratorFramework(): WatcherRemoveCuratorFramework {
    return new WatcherRemoveCuratorFramework(this.#parts);
  }

  /** Runs an attempt after the namespace's own znode was made. Every call comes by here: what is made costs it no promise. */
  #inNamespace<T>(zk: ZooKeeper, attempt: (zk: ZooKeeper) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const { root } = this.#scope.namespace;
    if (root === '' || this.#parts.shared.namespacesMade.has(root)) return attempt(zk);
    return this.#makeNamespace(zk, signal).then(() => attempt(zk));
  }

  /** That it can't be made is no reason not to try what is to be done in it (as Curator). */
  async #makeNamespace(zk: ZooKeeper, signal: AbortSignal | undefined): Promise<void> {
    const { namespacesMade, containers } = this.#parts.shared;
    const { root } = this.#scope.namespace;
    try {
      const aclOf = (path: string) => aclFor(this.#parts.aclProvider, path);
      await createPath(zk, root, { containers, aclOf, signal });
      namespacesMade.add(root);
    } catch (error) {
      if (!isRefused(error)) throw error;
      this.#connection.reportError(error);
    }
  }

  #assertNotView(): void {
    if (this.#parts.isView) throw new IllegalStateError('a view of a client is started and closed with the client');
  }
}

/** See {@link CuratorFramework.newWatcherRemoveCuratorFramework}. Persistent watches are not noted: remove them by name. */
export class WatcherRemoveCuratorFramework extends CuratorFramework {
  readonly #connection: FrameworkConnection;
  readonly #record: WatcherRecord;

  /** For {@link CuratorFramework.newWatcherRemoveCuratorFramework}. */
  constructor(parts: FrameworkParts) {
    const watcherRecord = new WatcherRecord();
    super({ ...parts, watcherRecord, isView: true });
    this.#connection = parts.connection;
    this.#record = watcherRecord;
  }

  /**
   * Takes away all watches that were left and have not fired: from now on their watchers hear no more. Resolves when the server knows
   * it, or has none of this client's watches any more. Failures are `error` events. The view can go on to be used.
   */
  async removeWatchers(): Promise<void> {
    const left = this.#record.take();
    if (this.#connection.lifecycle !== 'STARTED') return;
    const { zookeeper } = this.#connection;
    const removals = left.map(({ path, type, watcher }) => zookeeper.removeWatches(path, { watcher, type }));
    for (const removal of await Promise.allSettled(removals)) {
      if (removal.status === 'rejected' && !isGone(removal.reason)) this.#connection.reportError(removal.reason);
    }
  }
}

/** The watch has been used up meanwhile, or has ended with its session. */
const isGone = (error: unknown): boolean =>
  error instanceof NoWatcherError || error instanceof SessionExpiredError || error instanceof ClientClosedError;
