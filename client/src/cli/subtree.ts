/**
 * A znode and all below it, read without a snapshot: what is created or deleted meanwhile may be seen or not (the original's
 * `ZKUtil.visitSubTreeDFS`, `listSubTreeBFS`). Many reads are under way at once, where the original waits for each.
 */
import { joinPath } from 'zookeeper-protocol-ts';
import { NoNodeError } from '../errors.ts';
import type { Watcher } from '../watch/watch-registry.ts';
import type { ZooKeeper } from '../zookeeper.ts';

/** How many reads are under way at once. */
const IN_FLIGHT_MAX = 100;

/** By path, the names of the children, sorted. The root is the first; a znode comes behind its parent. */
export type Subtree = ReadonlyMap<string, readonly string[]>;

/**
 * Level by level. A znode that goes away meanwhile is as one without children.
 * @throws NoNodeError if there is no znode at the root
 */
export async function readSubtree(zookeeper: ZooKeeper, root: string, watcher?: Watcher): Promise<Subtree> {
  const subtree = new Map<string, readonly string[]>();
  let level = [root];
  while (level.length > 0) {
    const next: string[] = [];
    for (let at = 0; at < level.length; at += IN_FLIGHT_MAX) {
      const paths = level.slice(at, at + IN_FLIGHT_MAX);
      const lists = await Promise.all(paths.map((path) => childrenOf(zookeeper, path, { root, watcher })));
      for (const [index, path] of paths.entries()) {
        const children = lists[index] ?? [];
        subtree.set(path, children);
        for (const name of children) next.push(joinPath(path, name));
      }
    }
    level = next;
  }
  return subtree;
}

async function childrenOf(
  zookeeper: ZooKeeper,
  path: string,
  { root, watcher }: { root: string; watcher: Watcher | undefined },
): Promise<string[]> {
  try {
    const { children } = await zookeeper.getChildren(path, { watcher });
    return children.sort();
  } catch (error) {
    if (error instanceof NoNodeError && path !== root) return [];
    throw error;
  }
}

/** The paths in the order in which `ls -R` lists them: all children of a znode, then what is below each of them. */
export function listingOrder(subtree: Subtree): string[] {
  const [root] = subtree.keys();
  if (root === undefined) return [];
  const paths = [root];
  const open = [root];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const children = (subtree.get(path) ?? []).map((name) => joinPath(path ?? '', name));
    for (const child of children) paths.push(child);
    for (const child of children.reverse()) open.push(child);
  }
  return paths;
}
