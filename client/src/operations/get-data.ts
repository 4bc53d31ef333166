/** getData: a znode's data (Curator's `GetDataBuilder`). */
import type { Stat } from 'zookeeper-protocol-ts';
import type { Watcher } from '../watch/watch-registry.ts';
import type { OperationScope } from './operation-scope.ts';
import { type ReadOptions, toCallOptions } from './read-options.ts';

/** A znode's data and `Stat`, of the same moment. */
export interface ZnodeData {
  /** Empty where the znode has none. */
  readonly data: Buffer;
  readonly stat: Stat;
}

/** Rejects with `NoNodeError`, and sets no watch, if there is no such znode. */
export async function getZnodeData(scope: OperationScope, path: string, options: ReadOptions): Promise<ZnodeData> {
  const target = scope.namespace.toServer(path);
  const call = toCallOptions(scope, options);
  return scope.retry((zk) => zk.getData(target, call), options.signal);
}

/** Fluent form of {@link ReadOptions} for getData; `forPath` does it. */
export class GetDataBuilder<Result = Buffer> {
  readonly #scope: OperationScope;
  readonly #toResult: (read: ZnodeData) => Result;
  #options: ReadOptions;

  constructor(scope: OperationScope, toResult: (read: ZnodeData) => Result, options: ReadOptions = {}) {
    this.#scope = scope;
    this.#toResult = toResult;
    this.#options = options;
  }

  usingWatcher(watcher: Watcher): this {
    return this.#with({ watcher });
  }

  withSignal(signal: AbortSignal): this {
    return this.#with({ signal });
  }

  /** `forPath` then resolves to the data and the znode's `Stat`. */
  storingStat(): GetDataBuilder<ZnodeData> {
    return new GetDataBuilder(this.#scope, (read) => read, this.#options);
  }

  async forPath(path: string): Promise<Result> {
    return this.#toResult(await getZnodeData(this.#scope, path, this.#options));
  }

  #with(options: ReadOptions): this {
    this.#options = { ...this.#options, ...options };
    return this;
  }
}
