/** delete: removes a znode (Curator's `DeleteBuilder`). */
import { joinPath } from 'zookeeper-protocol-ts';
import { NoNodeError, NotEmptyError } from '../errors.ts';
import { isRefused } from '../retry.ts';
import type { ZooKeeper } from '../zookeeper.ts';
import { checkVersion } from '../zookeeper-arguments.ts';
import type { OperationScope } from './operation-scope.ts';

/** How to delete a znode. */
export interface DeleteOptions {
  /** The version that its data must have; −1, the default, for any. */
  readonly version?: number | undefined;
  /** Delete what is below it first. */
  readonly children?: boolean | undefined;
  /** That there is no such znode counts as success. */
  readonly quietly?: boolean | undefined;
  /**
   * When the call fails without an answer, or is aborted, go on in the background until the znode is gone, the server refuses
   * (then there is an `error` event) or the client is closed. The call itself still rejects. Give a version where the path may
   * be used again: without one, what is deleted later may be somebody else's new znode.
   */
  readonly guaranteed?: boolean | undefined;
  /** Aborting rejects with the signal's reason. A request already sent is not undone. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Deletes a znode. After a lost answer the retry may find it gone and reject with `NoNodeError`, unless `quietly` is set.
 */
export async function deleteZnode(scope: OperationScope, path: string, options: DeleteOptions): Promise<void> {
  const target = scope.namespace.toServer(path);
  checkVersion(options.version);
  scope.schemaSet?.checkDelete(path);
  try {
    await scope.retry((zk) => deleteOnce(zk, target, options, options.signal), options.signal);
  } catch (error) {
    if (options.quietly && error instanceof NoNodeError) return;
    if (options.guaranteed && !isRefused(error)) scope.guarantee((zk) => deleteLater(zk, target, options));
    throw error;
  }
}

async function deleteOnce(
  zk: ZooKeeper,
  path: string,
  { version = -1, children = false }: DeleteOptions,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await zk.delete(path, { signal, version });
  } catch (error) {
    if (!(children && error instanceof NotEmptyError)) throw error;
    await deleteTree(zk, path, version, signal);
  }
}

/** The same delete without its caller: the version still holds, and a znode that is gone is what was wanted. */
async function deleteLater(zk: ZooKeeper, path: string, options: DeleteOptions): Promise<void> {
  try {
    await deleteOnce(zk, path, options, undefined);
  } catch (error) {
    if (!(error instanceof NoNodeError)) throw error;
  }
}

/** Deletes what is below a znode, then the znode; again while others keep adding children. Whatever is gone already is fine. */
async function deleteTree(
  zk: ZooKeeper,
  path: string,
  version: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (;;) {
    try {
      const { children } = await zk.getChildren(path, { signal });
      for (const child of children) await deleteTree(zk, joinPath(path, child), -1, signal);
      await zk.delete(path, { signal, version });
      return;
    } catch (error) {
      if (error instanceof NoNodeError) return;
      if (!(error instanceof NotEmptyError)) throw error;
    }
  }
}

/** Fluent form of {@link DeleteOptions}; `forPath` does it. */
export class DeleteBuilder {
  readonly #scope: OperationScope;
  #options: DeleteOptions = {};

  constructor(scope: OperationScope) {
    this.#scope = scope;
  }

  guaranteed(): this {
    return this.#with({ guaranteed: true });
  }

  quietly(): this {
    return this.#with({ quietly: true });
  }

  /** Another word for {@link quietly}, as in Curator. */
  idempotent(): this {
    return this.quietly();
  }

  deletingChildrenIfNeeded(): this {
    return this.#with({ children: true });
  }

  withVersion(version: number): this {
    return this.#with({ version });
  }

  withSignal(signal: AbortSignal): this {
    return this.#with({ signal });
  }

  forPath(path: string): Promise<void> {
    return deleteZnode(this.#scope, path, this.#options);
  }

  #with(options: DeleteOptions): this {
    this.#options = { ...this.#options, ...options };
    return this;
  }
}
