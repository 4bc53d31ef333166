import type { Acl, SessionId, Zxid } from 'zookeeper-protocol-ts';
import type { DataTree } from '../tree/data-tree.ts';
import { isEphemeralOwner } from '../tree/owner.ts';

/** A znode as it will be once everything proposed so far has been applied: what a new request is checked against. */
export interface ZnodeOutlook {
  readonly path: string;
  readonly exists: boolean;
  readonly version: number;
  /** As stored: creations of children. */
  readonly cversion: number;
  readonly aversion: number;
  readonly numChildren: number;
  /** As stored: a session, or the mark of a container or a time to live. */
  readonly owner: bigint;
  readonly acl: readonly Acl[];
}

/**
 * The tree as it will be: the changes of proposals that are not applied yet, layered over the tree (the original's
 * `outstandingChanges`).
 */
export class OutstandingChanges {
  readonly #tree: DataTree;
  /** The latest outlook of every path that a proposal under way touches. */
  readonly #latest = new Map<string, ZnodeOutlook>();
  /** The same in the order of the proposals, to be dropped when they have been applied. */
  readonly #queue: { readonly zxid: Zxid; readonly outlook: ZnodeOutlook }[] = [];

  constructor(tree: DataTree) {
    this.#tree = tree;
  }

  /** How the znode will be, or undefined if there will be none. */
  get(path: string): ZnodeOutlook | undefined {
    const outlook = this.#latest.get(path);
    if (outlook !== undefined) return outlook.exists ? outlook : undefined;
    const node = this.#tree.find(path);
    if (node === undefined) return undefined;
    return {
      path,
      exists: true,
      version: this.#tree.version(node),
      cversion: this.#tree.cversion(node),
      aversion: this.#tree.aversion(node),
      numChildren: this.#tree.numChildren(node),
      owner: this.#tree.owner(node),
      acl: this.#tree.aclOf(node),
    };
  }

  put(zxid: Zxid, outlook: ZnodeOutlook): void {
    this.#latest.set(outlook.path, outlook);
    this.#queue.push({ zxid, outlook });
  }

  /** The ephemerals that a session will own, in the order of their creation. */
  ephemeralsOf(session: SessionId): string[] {
    const paths = new Set(this.#tree.ephemeralsOf(session));
    for (const { outlook } of this.#queue) {
      if (outlook.exists && outlook.owner === session) paths.add(outlook.path);
      else if (!outlook.exists) paths.delete(outlook.path);
    }
    return [...paths];
  }

  /** Marks a place to return to if what follows turns out to be refused. */
  mark(): number {
    return this.#queue.length;
  }

  /** Takes back everything put since `mark`. */
  rollBack(mark: number): void {
    const dropped = this.#queue.splice(mark);
    for (const { outlook } of dropped) this.#latest.delete(outlook.path);
    // What earlier proposals will make of the same paths counts again.
    for (const { outlook } of this.#queue) this.#latest.set(outlook.path, outlook);
  }

  /** Everything up to `zxid` is in the tree now. */
  applied(zxid: Zxid): void {
    let count = 0;
    for (const change of this.#queue) {
      if (change.zxid > zxid) break;
      count++;
      if (this.#latest.get(change.outlook.path) === change.outlook) this.#latest.delete(change.outlook.path);
    }
    if (count > 0) this.#queue.splice(0, count);
  }
}

/** The outlook of a new znode. */
export const created = (path: string, owner: bigint, acl: readonly Acl[]): ZnodeOutlook => ({
  path,
  exists: true,
  version: 0,
  cversion: 0,
  aversion: 0,
  numChildren: 0,
  owner,
  acl,
});

/** Whether an outlook is that of an ephemeral, which can't have children. */
export const isEphemeralOutlook = (outlook: ZnodeOutlook): boolean => isEphemeralOwner(outlook.owner);
