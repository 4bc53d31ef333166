/** getData: a znode's data (Curator's `GetDataBuilder`). */
import { type Stat, WatcherType } from 'zookeeper-protocol-ts';
import type { Watcher } from '../watch/watch-registry.ts';
import { fromStored } from './compression.ts';
import type { OperationScope } from './operation-scope.ts';
import { type ReadOptions, readZnode } from './read-options.ts';

/** A znode's data and `Stat`, of the same moment. */
export interface ZnodeData {
  /** Empty where the znode has none. */
  readonly data: Buffer;
  readonly stat: Stat;
}

/** How to read a znode's data. */
export interface GetDataOptions extends ReadOptions {
  /**
   * Decompress it; what was not compressed is a `DataInconsistencyError`. False by default, unless compression is enabled for the
   * whole client. The `Stat` is that of the compressed data.
   */
  readonly decompressed?: boolean | undefined;
}

/** Rejects with `NoNodeError`, and sets no watch, if there is no such znode. */
export async function getZnodeData(scope: OperationScope, path: string, options: GetDataOptions): Promise<ZnodeData> {
  const { decompressed = scope.compression.isDefault } = options;
  const target = { path: scope.namespace.toServer(path), type: WatcherType.Data };
  const read = await readZnode(scope, target, options, (zk, call) => zk.getData(target.path, call));
  return decompressed ? { data: await fromStored(scope, path, read.data), stat: read.stat } : read;
}

/** Fluent form of {@link GetDataOptions}; `forPath` does it. */
export class GetDataBuilder<Result = Buffer> {
  readonly #scope: OperationScope;
  readonly #toResult: (read: ZnodeData) => Result;
  #options: GetDataOptions;

  constructor(scope: OperationScope, toResult: (read: ZnodeData) => Result, options: GetDataOptions = {}) {
    this.#scope = scope;
    this.#toResult = toResult;
    this.#options = options;
  }

  decompressed(): this {
    return this.#with({ decompressed: true });
  }

  undecompressed(): this {
    return this.#with({ decompressed: false });
  }

  watched(): this {
    return this.#with({ watched: true });
  }

  usingWatcher(watcher: Watcher): this {
    return this.#with({ watcher });
  }

  withSignal(signal: AbortSignal): this {
    return this.#with({ signal });
  }

  /** `forPath` then resolves to the znode's `Stat` as well. */
  storingStat(): GetDataBuilder<ZnodeData> {
    return new GetDataBuilder(this.#scope, (read) => read, this.#options);
  }

  async forPath(path: string): Promise<Result> {
    return this.#toResult(await getZnodeData(this.#scope, path, this.#options));
  }

  #with(options: GetDataOptions): this {
    this.#options = { ...this.#options, ...options };
    return this;
  }
}
