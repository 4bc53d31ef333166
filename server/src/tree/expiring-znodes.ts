import type { DataTree } from './data-tree.ts';
import { ttlOf } from './owner.ts';
import type { Znode } from './znode.ts';

/**
 * Containers and TTL znodes that the server should delete (the original's `ContainerManager`). Only the leader looks, now and
 * then, and proposes a deleteContainer for each; that is refused when a child appeared meanwhile, so nothing here needs to be
 * exact.
 */

/** When a container or a TTL znode is due, and how many are named at once. */
export interface DueForRemovalOptions {
  /** Wall clock, ms since 1970, as in the znodes' mtime. */
  readonly now: number;
  /** At the most so many paths; the others are found the next time. Default 10 000. */
  readonly max?: number;
  /** A container that never had a child is due so long after its last change; 0 for never. Default 300 000 ms. */
  readonly neverUsedMsMax?: number;
}

/**
 * Paths of the znodes that are due: containers whose last child has gone, or that had none for a long time, and TTL znodes
 * without children that were not changed for their time to live. Parents are due only once their children are gone.
 */
export function dueForRemoval(
  tree: DataTree,
  { now, max = PATHS_MAX, neverUsedMsMax = NEVER_USED_MS_MAX }: DueForRemovalOptions,
): string[] {
  const isUnusedFor = (node: Znode, ms: number) => now - tree.mtime(node) >= ms;
  const paths: string[] = [];
  for (const node of tree.containers()) {
    if (paths.length >= max) return paths;
    if (tree.numChildren(node) > 0) continue;
    // The stored cversion counts the children that it ever had. It wraps, and is then negative.
    const wasUsed = tree.cversion(node) !== 0;
    if (wasUsed || (neverUsedMsMax > 0 && isUnusedFor(node, neverUsedMsMax))) paths.push(tree.pathOf(node));
  }
  for (const node of tree.ttlZnodes()) {
    if (paths.length >= max) return paths;
    if (tree.numChildren(node) > 0) continue;
    const ttlMs = ttlOf(tree.owner(node));
    // Past the time to live, not at it, as in the original.
    if (ttlMs !== undefined && isUnusedFor(node, ttlMs + 1)) paths.push(tree.pathOf(node));
  }
  return paths;
}

const PATHS_MAX = 10_000;
const NEVER_USED_MS_MAX = 300_000;
