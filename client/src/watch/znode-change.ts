/**
 * What watch streams tell: each change with the old and the new, and whether something may have happened between the
 * two that the stream doesn't show. The old of each change is the new of the one before it, of the same path.
 */
import type { Stat } from 'zookeeper-protocol-ts';

/** A znode as it was when it was read. */
export class Znode {
  /** As the user names it: below the namespace. */
  readonly path: string;
  /** Empty if the znode has no data. */
  readonly data: Buffer;
  readonly stat: Stat;

  constructor(path: string, { data, stat }: { readonly data: Buffer; readonly stat: Stat }) {
    this.path = path;
    this.data = data;
    this.stat = stat;
  }

  /** The data as UTF-8. */
  text(): string {
    return this.data.toString();
  }

  /** The data as JSON. @throws SyntaxError */
  json(): unknown {
    return JSON.parse(this.text());
  }
}

interface Told {
  readonly path: string;
  /**
   * False is a promise: nothing happened between the old and the new but what this change tells. True where the stats
   * show that there was more, and where it can't be excluded: after an outage, or with a server that has no persistent
   * watches.
   */
  readonly gap: boolean;
}

/**
 * A change of one znode:
 * - `current`: the first of a stream, or of a path in the first round of a tree: what there is now;
 * - `created`, `changed` (its data was written), `deleted`;
 * - `recreated`: it was deleted and created again, and the time between was not seen: another znode at the same path;
 * - `missed`: there was no znode, and there is none; it may have come and gone.
 */
export type ZnodeChange =
  | (Told & { readonly kind: 'current'; readonly node: Znode | undefined; readonly oldNode: undefined })
  | (Told & { readonly kind: 'created'; readonly node: Znode; readonly oldNode: undefined })
  | (Told & { readonly kind: 'changed' | 'recreated'; readonly node: Znode; readonly oldNode: Znode })
  | (Told & { readonly kind: 'deleted'; readonly node: undefined; readonly oldNode: Znode })
  | (Told & { readonly kind: 'missed'; readonly node: undefined; readonly oldNode: undefined });

/**
 * The tree has been read as a whole, and what was found has been told: for the first time, or again after an outage.
 * `path` is that of the root. With `gap`, znodes below it may have come and gone unseen since the last `synced`, and
 * their changes carry no mark of it.
 */
export type TreeSynced = Told & { readonly kind: 'synced' };

/** A change of one znode in a tree, parents before their children when they come, and behind them when they go. */
export type TreeChange = ZnodeChange | TreeSynced;

/**
 * Whether there is a znode, when that changed. A znode that was deleted and created again is told once, with both
 * stats.
 */
export interface ExistenceChange extends Told {
  readonly exists: boolean;
  readonly stat: Stat | undefined;
  readonly oldStat: Stat | undefined;
}

/** The children of a znode, when the list changed. All names are sorted. */
export interface ChildrenChange extends Told {
  /** Empty also if there is no such znode. */
  readonly children: readonly string[];
  readonly oldChildren: readonly string[];
  /** All of them in the first change, and when the znode itself is another one. */
  readonly added: readonly string[];
  /**
   * Empty like `added`, with `gap`, when a child was deleted and created again under its name, or came and went.
   */
  readonly removed: readonly string[];
  /** Of the znode whose children they are. */
  readonly stat: Stat | undefined;
  readonly oldStat: Stat | undefined;
}

/** The change of one path from one state to another. */
export function toZnodeChange(step: {
  readonly path: string;
  readonly old: Znode | undefined;
  readonly now: Znode | undefined;
  readonly isFirst: boolean;
  readonly gap: boolean;
}): ZnodeChange {
  const { path, old, now, isFirst, gap } = step;
  if (isFirst) return { kind: 'current', path, node: now, oldNode: undefined, gap };
  if (old === undefined) {
    return now === undefined
      ? { kind: 'missed', path, node: now, oldNode: old, gap }
      : { kind: 'created', path, node: now, oldNode: old, gap };
  }
  if (now === undefined) return { kind: 'deleted', path, node: now, oldNode: old, gap };
  const kind = now.stat.czxid === old.stat.czxid ? 'changed' : 'recreated';
  return { kind, path, node: now, oldNode: old, gap };
}

/** Whether the data was written, or the znode is another one. */
export const isOtherData = (old: Stat, now: Stat): boolean => old.czxid !== now.czxid || old.mzxid !== now.mzxid;

/** Whether the one is the other after exactly one write. Versions wrap. */
export const isNextData = (old: Stat, now: Stat): boolean =>
  old.czxid === now.czxid && ((old.version + 1) | 0) === now.version;
