/** getData: a znode's data (Curator's `GetDataBuilder`). */
import { type Stat, WatcherType } from 'zookeeper-protocol-ts';
import { fromStored } from './compression.ts';
import type { OperationScope } from './operation-scope.ts';
import { ReadBuilder } from './read-builder.ts';
import { isWatching, type ReadOptions, readZnode } from './read-options.ts';

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
  scope.schemaSet?.checkWatch(path, isWatching(options));
  const read = await readZnode(scope, target, options, (zk, call) => zk.getData(target.path, call));
  return decompressed ? { data: await fromStored(scope, path, read.data), stat: read.stat } : read;
}

/** Fluent form of {@link GetDataOptions}; `forPath` does it. */
export class GetDataBuilder<Result = Buffer> extends ReadBuilder<GetDataOptions> {
  readonly #toResult: (read: ZnodeData) => Result;

  constructor(scope: OperationScope, toResult: (read: ZnodeData) => Result, options: GetDataOptions = {}) {
    super(scope, options);
    this.#toResult = toResult;
  }

  decompressed(): this {
    return this.with({ decompressed: true });
  }

  undecompressed(): this {
    return this.with({ decompressed: false });
  }

  /** `forPath` then resolves to the znode's `Stat` as well. */
  storingStat(): GetDataBuilder<ZnodeData> {
    return new GetDataBuilder(this.scope, (read) => read, this.options);
  }

  async forPath(path: string): Promise<Result> {
    return this.#toResult(await getZnodeData(this.scope, path, this.options));
  }
}
