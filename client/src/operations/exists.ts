/** exists: whether there is a znode (Curator's `ExistsBuilder`, `checkExists()`). */
import { type Acl, parentOf, type Stat, WatcherType } from 'zookeeper-protocol-ts';
import { checkAcl } from '../zookeeper-arguments.ts';
import { aclFor } from './acl-provider.ts';
import { createPath } from './create-path.ts';
import type { OperationScope } from './operation-scope.ts';
import { ReadBuilder } from './read-builder.ts';
import { isWatching, type ReadOptions, readZnode } from './read-options.ts';

/** How to look for a znode. */
export interface ExistsOptions extends ReadOptions {
  /** Make the parents that are missing first, as persistent znodes: for a watch that waits for the znode itself. */
  readonly parents?: boolean | undefined;
  /** As `parents`, but as containers. */
  readonly containers?: boolean | undefined;
  /** Of the parents that are made; by default what the client's ACL provider says. */
  readonly acl?: readonly Acl[] | undefined;
}

/** Its `Stat`, or undefined if there is no such znode. A watcher is set in both cases. */
export async function existsZnode(
  scope: OperationScope,
  path: string,
  options: ExistsOptions,
): Promise<Stat | undefined> {
  const target = { path: scope.namespace.toServer(path), type: WatcherType.Data };
  scope.schemaSet?.checkWatch(path, isWatching(options));
  const { parents = false, containers = false, acl, signal } = options;
  if (acl !== undefined) checkAcl(acl);
  return readZnode(scope, target, options, async (zk, call) => {
    if (parents || containers) {
      await createPath(zk, parentOf(target.path), {
        containers: containers ? scope.containers : undefined,
        aclOf: (ancestor) => acl ?? aclFor(scope.aclProvider, ancestor),
        signal,
      });
    }
    return zk.exists(target.path, call);
  });
}

/** Fluent form of {@link ExistsOptions}; `forPath` does it. */
export class ExistsBuilder extends ReadBuilder<ExistsOptions> {
  constructor(scope: OperationScope) {
    super(scope, {});
  }

  creatingParentsIfNeeded(): this {
    return this.with({ parents: true });
  }

  creatingParentContainersIfNeeded(): this {
    return this.with({ containers: true });
  }

  /** Of the parents that are made. */
  withACL(acl: readonly Acl[]): this {
    return this.with({ acl });
  }

  /** Resolves to the znode's `Stat`, or to undefined if there is none. */
  forPath(path: string): Promise<Stat | undefined> {
    return existsZnode(this.scope, path, this.options);
  }
}
