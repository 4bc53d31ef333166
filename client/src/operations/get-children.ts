/** getChildren: the names of a znode's children (Curator's `GetChildrenBuilder`). */
import type { Stat } from 'zookeeper-protocol-ts';
import type { OperationScope } from './operation-scope.ts';
import { type ReadOptions, toCallOptions } from './read-options.ts';

/** A znode's children and its own `Stat`, of the same moment. */
export interface ZnodeChildren {
  /** Names, not paths, in no order. */
  readonly children: string[];
  readonly stat: Stat;
}

/** Rejects with `NoNodeError`, and sets no watch, if there is no such znode. */
export async function getZnodeChildren(
  scope: OperationScope,
  path: string,
  options: ReadOptions,
): Promise<ZnodeChildren> {
  const target = scope.namespace.toServer(path);
  const call = toCallOptions(scope, options);
  return scope.retry((zk) => zk.getChildren(target, call), options.signal);
}
