/** exists: whether there is a znode (Curator's `ExistsBuilder`, `checkExists()`). */
import type { Stat } from 'zookeeper-protocol-ts';
import type { Watcher } from '../watch/watch-registry.ts';
import type { OperationScope } from './operation-scope.ts';
import { type ReadOptions, toCallOptions } from './read-options.ts';

/** Its `Stat`, or undefined if there is no such znode. A watcher is set in both cases. */
export async function existsZnode(
  scope: OperationScope,
  path: string,
  options: ReadOptions,
): Promise<Stat | undefined> {
  const target = scope.namespace.toServer(path);
  const call = toCallOptions(scope, options);
  return scope.retry((zk) => zk.exists(target, call), options.signal);
}

/** Fluent form of {@link ReadOptions} for exists; `forPath` does it. */
export class ExistsBuilder {
  readonly #scope: OperationScope;
  #options: ReadOptions = {};

  constructor(scope: OperationScope) {
    this.#scope = scope;
  }

  usingWatcher(watcher: Watcher): this {
    return this.#with({ watcher });
  }

  withSignal(signal: AbortSignal): this {
    return this.#with({ signal });
  }

  /** Resolves to the znode's `Stat`, or to undefined if there is none. */
  forPath(path: string): Promise<Stat | undefined> {
    return existsZnode(this.#scope, path, this.#options);
  }

  #with(options: ReadOptions): this {
    this.#options = { ...this.#options, ...options };
    return this;
  }
}
