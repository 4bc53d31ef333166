/** getChildren: the names of a znode's children (Curator's `GetChildrenBuilder`). */
import { type Stat, WatcherType } from 'zookeeper-protocol-ts';
import type { OperationScope } from './operation-scope.ts';
import { ReadBuilder } from './read-builder.ts';
import { isWatching, type ReadOptions, readZnode } from './read-options.ts';

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
  const target = { path: scope.namespace.toServer(path), type: WatcherType.Children };
  scope.schemaSet?.checkWatch(path, isWatching(options));
  return readZnode(scope, target, options, (zk, call) => zk.getChildren(target.path, call));
}

/** Fluent form of {@link ReadOptions} for getChildren; `forPath` does it. */
export class GetChildrenBuilder<Result = string[]> extends ReadBuilder<ReadOptions> {
  readonly #toResult: (read: ZnodeChildren) => Result;

  constructor(scope: OperationScope, toResult: (read: ZnodeChildren) => Result, options: ReadOptions = {}) {
    super(scope, options);
    this.#toResult = toResult;
  }

  /** `forPath` then resolves to the znode's own `Stat` as well. */
  storingStat(): GetChildrenBuilder<ZnodeChildren> {
    return new GetChildrenBuilder(this.scope, (read) => read, this.options);
  }

  async forPath(path: string): Promise<Result> {
    return this.#toResult(await getZnodeChildren(this.scope, path, this.options));
  }
}
