/** What exists, getData and getChildren have in common: they can leave a watch behind. */
import type { WatcherType } from 'zookeeper-protocol-ts';
import type { Watcher } from '../watch/watch-registry.ts';
import type { ZooKeeper } from '../zookeeper.ts';
import { checkWatcher } from '../zookeeper-arguments.ts';
import type { OperationScope } from './operation-scope.ts';

/** How to read a znode. */
export interface ReadOptions {
  /**
   * Told once of the next change, and of what happens to the connection (type `None`) until then. The same function given
   * twice for one path and kind of read is called once per event. exists sets the watch also when there is no such znode;
   * getData and getChildren set none when they fail.
   */
  readonly watcher?: Watcher | undefined;
  /** Without a watcher: the client's `watched` event tells of the next change. */
  readonly watched?: boolean | undefined;
  /** Aborting rejects with the signal's reason. The watch may have been set. */
  readonly signal?: AbortSignal | undefined;
}

/** Whether the read leaves a watch. */
export const isWatching = ({ watcher, watched = false }: ReadOptions): boolean => watched || watcher !== undefined;

/** The watcher as the session takes it: events are translated back into the namespace, and noted where that is wanted. */
export function toServerWatcher(scope: OperationScope, watcher: Watcher): Watcher {
  const inNamespace = scope.namespace.toServerWatcher(watcher);
  return scope.watcherRecord?.toRecorded(inNamespace) ?? inNamespace;
}

/**
 * A read in the retry loop, with its watch if it leaves one.
 * @param path the server's
 */
export async function readZnode<T>(
  scope: OperationScope,
  { path, type }: { path: string; type: typeof WatcherType.Data | typeof WatcherType.Children },
  { watcher, watched = false, signal }: ReadOptions,
  read: (zk: ZooKeeper, call: { watcher: Watcher | undefined; signal: AbortSignal | undefined }) => Promise<T>,
): Promise<T> {
  checkWatcher(watcher);
  const given = watcher ?? (watched ? scope.defaultWatcher : undefined);
  if (given === undefined) return scope.retry((zk) => read(zk, { watcher: undefined, signal }), signal);
  const onServer = toServerWatcher(scope, given);
  const result = await scope.retry((zk) => read(zk, { watcher: onServer, signal }), signal);
  scope.watcherRecord?.add({ path, type, watcher: onServer });
  return result;
}
