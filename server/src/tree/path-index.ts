import type { Znode } from './znode.ts';

/**
 * Path → znode: a map in shards. A map that holds a million paths has to move all of them when it grows, which takes a quarter
 * of a second; one shard moves its own, in about a millisecond. Nor is 2^24 the limit, as it is for one map.
 *
 * The shard depends on the length and the end of a path, where siblings differ. Paths that all end alike stand in few shards:
 * as good as one map, and right all the same.
 */
export class PathIndex {
  readonly #shards: readonly Map<string, Znode>[] = Array.from({ length: SHARDS }, () => new Map<string, Znode>());
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(path: string): Znode | undefined {
    return this.#shardOf(path).get(path);
  }

  /** From now on the path leads to this znode. @returns whether it led nowhere before */
  set(path: string, node: Znode): boolean {
    const shard = this.#shardOf(path);
    const before = shard.size;
    shard.set(path, node);
    const added = shard.size - before;
    this.#size += added;
    return added === 1;
  }

  delete(path: string): void {
    if (this.#shardOf(path).delete(path)) this.#size--;
  }

  /** In no particular order. */
  *entries(): Generator<[path: string, node: Znode]> {
    for (const shard of this.#shards) yield* shard;
  }

  #shardOf(path: string): Map<string, Znode> {
    let hash = path.length;
    for (let i = Math.max(0, path.length - HASHED_UNITS); i < path.length; i++) {
      hash = (Math.imul(hash, 31) + path.charCodeAt(i)) | 0;
    }
    // There is one for each number up to the mask.
    return this.#shards[(hash ^ (hash >>> 15)) & (SHARDS - 1)] as Map<string, Znode>;
  }
}

/** A power of two. */
const SHARDS = 64;

/** So many UTF-16 units at the end of a path: a sequence number has ten. */
const HASHED_UNITS = 8;
