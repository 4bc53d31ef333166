import { type Acl, type SessionId, ZERO_ZXID, type Zxid } from 'zookeeper-protocol-ts';
import { Fifo } from '../fifo.ts';
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
  /** Bytes of its data. */
  readonly dataLength: number;
}

/** What a proposal will make of a znode. */
interface ProposedOutlook {
  readonly zxid: Zxid;
  readonly outlook: ZnodeOutlook;
}

/**
 * The tree as it will be: the changes of proposals that are not applied yet, layered over the tree (the original's
 * `outstandingChanges`).
 *
 * Outlooks that have come true are not deleted one by one: from time to time a new map is begun with those that have not. A map
 * that grows and shrinks with every batch leaves a trail of old tables, which the collector takes to be long-lived, and with
 * them everything that stands in them: half a kilobyte for each create, until the next full collection.
 */
export class OutstandingChanges {
  readonly #tree: DataTree;
  /** The latest outlook of every path that a proposal under way touches, and of some that are applied. */
  #latest = new Map<string, ProposedOutlook>();
  /** Those under way in the order of the proposals. */
  readonly #queue = new Fifo<ProposedOutlook>();
  /** Everything up to here is in the tree. */
  #applied: Zxid = ZERO_ZXID;

  constructor(tree: DataTree) {
    this.#tree = tree;
  }

  /** How the znode will be, or undefined if there will be none. */
  get(path: string): ZnodeOutlook | undefined {
    const latest = this.#latest.get(path);
    if (latest !== undefined && latest.zxid > this.#applied) return latest.outlook.exists ? latest.outlook : undefined;
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
      dataLength: this.#tree.dataLength(node),
    };
  }

  put(zxid: Zxid, outlook: ZnodeOutlook): void {
    const proposed = { zxid, outlook };
    this.#latest.set(outlook.path, proposed);
    this.#queue.push(proposed);
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
    // Most that is refused has put nothing yet.
    if (this.#queue.length === mark) return;
    const dropped = this.#queue.cut(mark);
    for (const { outlook } of dropped) this.#latest.delete(outlook.path);
    // What earlier proposals will make of the same paths counts again.
    this.#addToLatest(this.#queue);
  }

  /** Everything up to `zxid` is in the tree now. */
  applied(zxid: Zxid): void {
    this.#applied = zxid;
    for (let first = this.#queue.peek(); first !== undefined && first.zxid <= zxid; first = this.#queue.peek()) {
      this.#queue.shift();
    }
    if (this.#latest.size <= 2 * this.#queue.length + APPLIED_KEPT_MAX) return;
    this.#latest = new Map();
    this.#addToLatest(this.#queue);
  }

  #addToLatest(inOrder: Iterable<ProposedOutlook>): void {
    for (const proposed of inOrder) this.#latest.set(proposed.outlook.path, proposed);
  }
}

/** So many outlooks that are applied may stay beside those under way, and as many as there are of those. */
const APPLIED_KEPT_MAX = 1024;

/** The outlook of a new znode. */
export const created = (
  path: string,
  { owner, acl, dataLength }: Pick<ZnodeOutlook, 'owner' | 'acl' | 'dataLength'>,
): ZnodeOutlook => ({
  path,
  exists: true,
  version: 0,
  cversion: 0,
  aversion: 0,
  numChildren: 0,
  owner,
  acl,
  dataLength,
});

/** Whether an outlook is that of an ephemeral, which can't have children. */
export const isEphemeralOutlook = (outlook: ZnodeOutlook): boolean => isEphemeralOwner(outlook.owner);

/** What a change leaves as it was is left out. */
export type OutlookChange = Partial<Omit<ZnodeOutlook, 'path' | 'owner'>>;

/**
 * The outlook of a znode that is changed. Every outlook is made with the same fields in the same order, here as above: writes
 * go through several of them, and objects of one shape are made and read fastest.
 */
export const changed = (outlook: ZnodeOutlook, change: OutlookChange): ZnodeOutlook => ({
  path: outlook.path,
  exists: change.exists ?? outlook.exists,
  version: change.version ?? outlook.version,
  cversion: change.cversion ?? outlook.cversion,
  aversion: change.aversion ?? outlook.aversion,
  numChildren: change.numChildren ?? outlook.numChildren,
  owner: outlook.owner,
  acl: change.acl ?? outlook.acl,
  dataLength: change.dataLength ?? outlook.dataLength,
});
