/** Watches that stay, and taking watches away (Curator's `WatchesBuilder`, `AddWatchBuilder`, `RemoveWatchesBuilder`). */
import { AddWatchMode, type WatcherType } from 'zookeeper-protocol-ts';
import { InvalidArgumentError, NoWatcherError } from '../errors.ts';
import type { Watcher } from '../watch/watch-registry.ts';
import { checkWatcher } from '../zookeeper-arguments.ts';
import type { OperationScope } from './operation-scope.ts';
import { toServerWatcher } from './read-options.ts';

/** How to leave a watch that is not used up. */
export interface AddWatchOptions {
  /** Also on all below the path: then changes of children are told by their own events. */
  readonly recursive?: boolean | undefined;
  /** Aborting rejects with the signal's reason. The watch may have been set. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Leaves a persistent watch (ZooKeeper 3.6). It outlives connections, but not the session: on LOST it is gone, and it does not tell what
 * changed during an outage. The znode need not exist.
 */
export async function addWatch(
  scope: OperationScope,
  path: string,
  watcher: Watcher,
  { recursive = false, signal }: AddWatchOptions,
): Promise<void> {
  const target = scope.namespace.toServer(path);
  checkWatcher(watcher, { isRequired: true });
  scope.schemaSet?.checkWatch(path, true);
  // Not noted for removal: who leaves a watch that stays takes it away by name, as in Curator.
  const onServer = toServerWatcher(scope, watcher);
  await scope.retry((zk) => zk.addWatch(target, onServer, { recursive, signal }), signal);
}

/** Which watches of a path to take away. */
export interface RemoveWatchesOptions {
  /** The one to take away; all of the path without it. */
  readonly watcher?: Watcher | undefined;
  /** `WatcherType.Any` by default. */
  readonly type?: WatcherType | undefined;
  /** Say nothing to the server. */
  readonly local?: boolean | undefined;
  /** That there is no such watch counts as success. */
  readonly quietly?: boolean | undefined;
  /** Aborting rejects with the signal's reason. The watchers are called no more all the same. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Takes watches away, at once and for good, whether or not there is a connection: without one the server has none of this client's
 * watches, and the next connection starts with those that are left.
 * @throws NoWatcherError unless `quietly` is set
 */
export async function removeWatches(
  scope: OperationScope,
  path: string,
  { watcher, type, local, quietly = false, signal }: RemoveWatchesOptions,
): Promise<void> {
  const target = scope.namespace.toServer(path);
  checkWatcher(watcher);
  const onServer = watcher && toServerWatcher(scope, watcher);
  try {
    await scope.zookeeper.removeWatches(target, { watcher: onServer, type, local, signal });
  } catch (error) {
    if (!(quietly && error instanceof NoWatcherError)) throw error;
  }
}

/** `client.watches()`: `add()` or `remove(watcher)` or `removeAll()`. */
export class WatchesBuilder {
  readonly #scope: OperationScope;

  constructor(scope: OperationScope) {
    this.#scope = scope;
  }

  add(): AddWatchBuilder {
    return new AddWatchBuilder(this.#scope);
  }

  remove(watcher: Watcher): RemoveWatchesBuilder {
    return new RemoveWatchesBuilder(this.#scope, watcher);
  }

  removeAll(): RemoveWatchesBuilder {
    return new RemoveWatchesBuilder(this.#scope, undefined);
  }
}

/** Fluent form of {@link AddWatchOptions}. Recursive unless told otherwise, as in Curator. */
export class AddWatchBuilder {
  readonly #scope: OperationScope;
  #watcher: Watcher | undefined;
  #options: AddWatchOptions = { recursive: true };

  constructor(scope: OperationScope) {
    this.#scope = scope;
  }

  withMode(mode: AddWatchMode | keyof typeof AddWatchMode): this {
    const value = typeof mode === 'string' ? AddWatchMode[mode] : mode;
    if (value !== AddWatchMode.PERSISTENT && value !== AddWatchMode.PERSISTENT_RECURSIVE) {
      throw new InvalidArgumentError('mode', `${String(mode)} is not an AddWatchMode`);
    }
    this.#options = { ...this.#options, recursive: value === AddWatchMode.PERSISTENT_RECURSIVE };
    return this;
  }

  /** Without it, the client's `watched` event tells. */
  usingWatcher(watcher: Watcher): this {
    this.#watcher = watcher;
    return this;
  }

  withSignal(signal: AbortSignal): this {
    this.#options = { ...this.#options, signal };
    return this;
  }

  forPath(path: string): Promise<void> {
    return addWatch(this.#scope, path, this.#watcher ?? this.#scope.defaultWatcher, this.#options);
  }
}

/** Fluent form of {@link RemoveWatchesOptions}; `forPath` does it. */
export class RemoveWatchesBuilder {
  readonly #scope: OperationScope;
  #options: RemoveWatchesOptions;

  constructor(scope: OperationScope, watcher: Watcher | undefined) {
    this.#scope = scope;
    this.#options = { watcher };
  }

  ofType(type: WatcherType): this {
    return this.#with({ type });
  }

  locally(): this {
    return this.#with({ local: true });
  }

  quietly(): this {
    return this.#with({ quietly: true });
  }

  withSignal(signal: AbortSignal): this {
    return this.#with({ signal });
  }

  forPath(path: string): Promise<void> {
    return removeWatches(this.#scope, path, this.#options);
  }

  #with(options: RemoveWatchesOptions): this {
    this.#options = { ...this.#options, ...options };
    return this;
  }
}
