/** getData: a znode's data (Curator's `GetDataBuilder`). */
import type { Stat } from 'zookeeper-protocol-ts';
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
