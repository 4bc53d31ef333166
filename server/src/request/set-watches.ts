import { AddWatchMode, EventType, type SetWatches2Request, type SetWatchesRequest } from 'zookeeper-protocol-ts';
import type { DataTree } from '../tree/data-tree.ts';
import type { WatchTable } from '../watch/watch-table.ts';

/**
 * Takes over the watches of a client that has reconnected: what changed since the last zxid that it saw is told now, the rest
 * is watched again (the original's `DataTree.setWatches`). Persistent watches are not caught up.
 */
export function setWatches<W>(
  { relativeZxid, dataWatches, existWatches, childWatches, ...persistent }: SetWatchesRequest | SetWatches2Request,
  tree: DataTree,
  watches: WatchTable<W>,
  watcher: W,
  notify: (watcher: W, type: EventType, path: string) => void,
): void {
  for (const path of dataWatches) {
    const node = tree.find(path);
    if (node === undefined) notify(watcher, EventType.NodeDeleted, path);
    else if (tree.mzxid(node) > relativeZxid) notify(watcher, EventType.NodeDataChanged, path);
    else watches.addData(path, watcher);
  }
  for (const path of existWatches) {
    if (tree.find(path) !== undefined) notify(watcher, EventType.NodeCreated, path);
    else watches.addData(path, watcher);
  }
  for (const path of childWatches) {
    const node = tree.find(path);
    if (node === undefined) notify(watcher, EventType.NodeDeleted, path);
    else if (tree.pzxid(node) > relativeZxid) notify(watcher, EventType.NodeChildrenChanged, path);
    else watches.addChild(path, watcher);
  }
  if (!('persistentWatches' in persistent)) return;
  for (const path of persistent.persistentWatches) watches.addPersistent(path, AddWatchMode.PERSISTENT, watcher);
  for (const path of persistent.persistentRecursiveWatches) {
    watches.addPersistent(path, AddWatchMode.PERSISTENT_RECURSIVE, watcher);
  }
}
