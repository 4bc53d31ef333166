import {
  type Acl,
  type JuteWriter,
  parentOf,
  READ_ACL,
  type SessionId,
  STAT_BYTES,
  type Stat,
  toSessionId,
  toZxid,
  ZERO_ZXID,
  type Zxid,
} from 'zookeeper-protocol-ts';
import { assert, InvariantError } from '../invariant.ts';
import { AclTable } from './acl-table.ts';
import { CONTAINER_OWNER, isEphemeralOwner, NO_OWNER, ownerSeenByClients, ttlOf } from './owner.ts';
import { PathIndex } from './path-index.ts';
import { TreeDigest } from './tree-digest.ts';
import { TreeImage } from './tree-image.ts';
import { ROOT, StatField, type Znode, ZnodeColumns } from './znode.ts';
import { type Contents, type NewZnode, NO_STAT, type RestoredZnode } from './znode-contents.ts';

/**
 * The tree of znodes (the original's `DataTree`): what it holds, and how a transaction changes it. It checks neither
 * permissions nor versions; that was done before the transaction was proposed.
 *
 * Changes are idempotent, because a snapshot is written while the tree changes and the log behind it is replayed from its
 * start: creating what exists and deleting what is missing only touch the parent, and nothing of a parent ever goes back
 * (storage rules "Recovery").
 *
 * What must hold: every znode but the root is in its parent's list of children, once (TREE-1); a session's ephemerals are
 * exactly the znodes that it owns (TREE-2); containers and TTL znodes are the znodes with such an owner (TREE-5); an ACL's
 * users are the znodes that have it (TREE-6). {@link assertConsistent} checks all four.
 */
export class DataTree {
  readonly #slots = new PathIndex();
  /** The parent that was looked up last, while it is there: znodes are often created, and restored, next to one another. */
  #lastParent: { readonly path: string; readonly node: Znode } | undefined;
  readonly #columns = new ZnodeColumns();
  readonly #acls: AclTable;
  readonly #digest = new TreeDigest(this.#columns);
  /** The images that are being taken, to be told before a znode changes. */
  readonly #images = new Set<TreeImage>();
  readonly #ephemerals = new Map<SessionId, Set<string>>();
  readonly #containers = new Set<Znode>();
  readonly #ttlZnodes = new Set<Znode>();
  #ephemeralCount = 0;
  #approximateBytes = 0;

  /**
   * A fresh tree: the root and the reserved znodes below /zookeeper.
   * @param restoredAcls the ACL table of a snapshot: then the tree has the root only, and waits for {@link restore} and
   *   {@link finishRestore}
   */
  constructor(restoredAcls?: Iterable<readonly [id: number, acl: readonly Acl[]]>) {
    this.#acls = new AclTable(restoredAcls);
    this.#add('/', { data: NO_BYTES, aclId: this.#acls.acquire(null), stat: NO_STAT });
    if (restoredAcls === undefined) this.#addReserved();
  }

  /** The znodes, as `srvr` and `zk_znode_count` count them: the original has the root under two names. */
  get nodeCount(): number {
    return this.#slots.size + 1;
  }

  /** Znodes that belong to a session. */
  get ephemeralCount(): number {
    return this.#ephemeralCount;
  }

  /** Bytes of all data, and UTF-16 units of all paths: `zk_approximate_data_size`. */
  get approximateDataSize(): number {
    return this.#approximateBytes;
  }

  /** The digest of the tree as it is now, unsigned 64 bits, see {@link TreeDigest}. */
  get digest(): bigint {
    return this.#digest.sum;
  }

  find(path: string): Znode | undefined {
    return this.#slots.get(path);
  }

  pathOf(node: Znode): string {
    return this.#columns.pathOf(node);
  }

  /** A view of the tree's own bytes: not to be changed, and good until this znode is set or deleted. */
  data(node: Znode): Uint8Array | null {
    return this.#columns.dataOf(node);
  }

  /** Shared by all znodes with the same ACL. */
  aclOf(node: Znode): readonly Acl[] {
    return this.#acls.get(this.#columns.aclIdOf(node));
  }

  /** The ACL of its parent; the root's is its own. */
  parentAclOf(node: Znode): readonly Acl[] {
    return this.aclOf(this.#columns.parentOf(node));
  }

  /** Names, not paths, in no particular order. */
  children(node: Znode): string[] {
    const names: string[] = [];
    const nameStart = node === ROOT ? 1 : this.pathOf(node).length + 1;
    for (let child = this.#columns.firstChildOf(node); child !== ROOT; child = this.#columns.nextSiblingOf(child)) {
      names.push(this.pathOf(child).slice(nameStart));
    }
    return names;
  }

  numChildren(node: Znode): number {
    return this.#columns.int(node, StatField.numChildren);
  }

  version(node: Znode): number {
    return this.#columns.int(node, StatField.version);
  }

  /** The stored one, which counts creates of children only: the number of the next sequential child. */
  cversion(node: Znode): number {
    return this.#columns.int(node, StatField.cversion);
  }

  aversion(node: Znode): number {
    return this.#columns.int(node, StatField.aversion);
  }

  czxid(node: Znode): Zxid {
    return toZxid(this.#columns.long(node, StatField.czxid));
  }

  mzxid(node: Znode): Zxid {
    return toZxid(this.#columns.long(node, StatField.mzxid));
  }

  pzxid(node: Znode): Zxid {
    return toZxid(this.#columns.long(node, StatField.pzxid));
  }

  /** When its data was last changed: the leader's wall clock, ms since 1970. */
  mtime(node: Znode): number {
    return this.#columns.time(node, StatField.mtime);
  }

  /** Bytes of its data. */
  dataLength(node: Znode): number {
    return this.#columns.int(node, StatField.dataLength);
  }

  /** The raw field, see `owner.ts`. */
  owner(node: Znode): bigint {
    return this.#columns.long(node, StatField.owner);
  }

  /** As clients see it. */
  stat(node: Znode): Stat {
    const columns = this.#columns;
    return {
      czxid: this.czxid(node),
      mzxid: this.mzxid(node),
      ctime: columns.time(node, StatField.ctime),
      mtime: columns.time(node, StatField.mtime),
      version: this.version(node),
      cversion: this.#cversionSeenByClients(node),
      aversion: this.aversion(node),
      ephemeralOwner: ownerSeenByClients(this.owner(node)),
      dataLength: columns.int(node, StatField.dataLength),
      numChildren: this.numChildren(node),
      pzxid: this.pzxid(node),
    };
  }

  /** The 68 bytes of {@link stat}, without making one: a copy of the slot but for two fields. */
  writeStat(node: Znode, writer: JuteWriter): void {
    this.#columns.writeStatInts(node, writer, StatField.czxid, StatField.cversion);
    writer.writeInt(this.#cversionSeenByClients(node));
    writer.writeInt(this.aversion(node));
    const owner = this.owner(node);
    writer.writeLong(owner === NO_OWNER ? owner : ownerSeenByClients(owner));
    this.#columns.writeStatInts(node, writer, StatField.dataLength, STAT_BYTES);
  }

  /**
   * Creates a znode; its data is copied. If it exists already, only its ACL becomes the given one, as a replay needs it. The
   * parent's cversion and pzxid are raised in both cases.
   * @returns undefined if it exists already, or if its parent doesn't exist
   */
  create({ path, data, acl, owner, parentCversion, zxid, time }: NewZnode): Znode | undefined {
    const parent = this.#findParent(path);
    if (parent === undefined) return undefined;
    this.#raiseCversion(parent, parentCversion);
    this.#raisePzxid(parent, zxid);
    const existing = this.#slots.get(path);
    if (existing !== undefined) {
      this.#beforeChange(existing);
      this.#replaceAcl(existing, acl);
      return undefined;
    }
    const stat = { ...NO_STAT, czxid: zxid, mzxid: zxid, pzxid: zxid, ctime: time, mtime: time, owner };
    const node = this.#add(path, { data, aclId: this.#acls.acquire(acl), stat });
    this.#columns.link(node, parent);
    return node;
  }

  /**
   * Deletes a znode and raises its parent's pzxid, which it does for a missing znode too. Children there can be only when a
   * replay deletes a former life of the znode; they go along, and the log behind, or the rest of the same multi, has their creation.
   * @returns false if it doesn't exist
   */
  delete(path: string, zxid: Zxid): boolean {
    const node = this.#slots.get(path);
    assert(node !== ROOT, 'TREE-1: the root is deleted');
    const parent = node === undefined ? this.#slots.get(parentOf(path)) : this.#columns.parentOf(node);
    if (parent !== undefined) this.#raisePzxid(parent, zxid);
    if (node === undefined) return false;
    this.#removeSubtree(node, zxid);
    return true;
  }

  /**
   * Replaces the data, which is copied.
   * @param version the version afterwards
   */
  setData(node: Znode, data: Uint8Array | null, version: number, zxid: Zxid, time: number): void {
    this.#beforeChange(node);
    const columns = this.#columns;
    this.#approximateBytes -= columns.int(node, StatField.dataLength);
    columns.setData(node, data);
    this.#approximateBytes += columns.int(node, StatField.dataLength);
    columns.setInt(node, StatField.version, version);
    columns.setLong(node, StatField.mzxid, zxid);
    columns.setTime(node, StatField.mtime, time);
  }

  /** Replaces the data, which is copied, and nothing else: the usage of a quota, which no transaction counts. */
  overwriteData(node: Znode, data: Uint8Array): void {
    this.#beforeChange(node);
    this.#approximateBytes += data.length - this.#columns.int(node, StatField.dataLength);
    this.#columns.setData(node, data);
  }

  /** @param version the aversion afterwards */
  setAcl(node: Znode, acl: readonly Acl[] | null, version: number): void {
    this.#beforeChange(node);
    this.#replaceAcl(node, acl);
    this.#columns.setInt(node, StatField.aversion, version);
  }

  /** Paths of the znodes that a session owns, oldest first. */
  ephemeralsOf(session: SessionId): readonly string[] {
    const paths = this.#ephemerals.get(session);
    return paths === undefined ? [] : [...paths];
  }

  sessionsWithEphemerals(): IterableIterator<SessionId> {
    return this.#ephemerals.keys();
  }

  containers(): IterableIterator<Znode> {
    return this.#containers.values();
  }

  ttlZnodes(): IterableIterator<Znode> {
    return this.#ttlZnodes.values();
  }

  /** How many znodes are below a path; 0 for a missing one. Takes as long as it has descendants. */
  allChildrenNumber(path: string): number {
    if (path === '/') return this.#slots.size - 1;
    const top = this.#slots.get(path);
    if (top === undefined) return 0;
    let count = 0;
    for (let node = this.#nextInSubtree(top, top); node !== top; node = this.#nextInSubtree(node, top)) count++;
    return count;
  }

  /** Znodes at and below a path, and the bytes of their data; nothing of a missing one. Takes as long as there are. */
  usageOf(path: string): { readonly count: number; readonly bytes: number } {
    const top = this.#slots.get(path);
    if (top === undefined) return { count: 0, bytes: 0 };
    let count = 0;
    let bytes = 0;
    let node = top;
    do {
      count++;
      bytes += this.#columns.int(node, StatField.dataLength);
      node = this.#nextInSubtree(node, top);
    } while (node !== top);
    return { count, bytes };
  }

  // Snapshots.

  /** All znodes, parents before their children. The tree must stay as it is until the end. */
  *znodes(): Generator<Znode> {
    let node = ROOT;
    do {
      yield node;
      node = this.#nextInSubtree(node, ROOT);
    } while (node !== ROOT);
  }

  /** Begins the image of a snapshot: all znodes as they are now. {@link endImage} must end it. */
  startImage(): TreeImage {
    const image = new TreeImage(this.#columns);
    this.#images.add(image);
    return image;
  }

  /** The image needs no more znodes, or is given up. */
  endImage(image: TreeImage): void {
    this.#images.delete(image);
  }

  /** The ACL table: id and list. A znode with {@link aclId} -1 has the open ACL, which is not in it. */
  acls(): Iterable<readonly [id: number, acl: readonly Acl[]]> {
    return this.#acls;
  }

  aclId(node: Znode): number {
    return this.#columns.aclIdOf(node);
  }

  /**
   * Puts a znode of a snapshot in its place, instead of what was there. The root is `/`, whatever the file calls it.
   * @returns false if its parent didn't come before: then the snapshot is broken
   */
  restore({ path, ...znode }: RestoredZnode): boolean {
    const contents = { ...znode, aclId: this.#acls.acquireRestored(znode.aclId) };
    if (path === '/') {
      this.#refill(ROOT, path, contents);
      return true;
    }
    const parent = path.startsWith('/') ? this.#findParent(path) : undefined;
    if (parent === undefined) return false;
    const node = this.#columns.allocate(path);
    // That it is there already is so rare that a look-up for each of a million znodes would cost more.
    if (this.#slots.set(path, node)) {
      this.#fillNew(node, path, contents);
      this.#columns.link(node, parent);
      return true;
    }
    this.#columns.release(node);
    const existing = this.#childOf(parent, path);
    this.#slots.set(path, existing);
    this.#refill(existing, path, contents);
    return true;
  }

  /** Ends a restore: drops ACLs that nothing uses, and adds reserved znodes that an old snapshot doesn't have. */
  finishRestore(): void {
    this.#acls.purgeUnused();
    this.#addReserved();
  }

  /**
   * Checks the four invariants of the class comment. For tests, the simulator and samples: it walks the whole tree.
   * @throws InvariantError
   */
  assertConsistent(): void {
    const owned = new Map<bigint, number>();
    const users = new Map<number, number>();
    let linked = 1;
    let approximateBytes = 0;
    for (const [path, node] of this.#slots.entries()) {
      assert(this.pathOf(node) === path, 'TREE-1: a path leads to the slot of another', { path });
      let children = 0;
      for (let child = this.#columns.firstChildOf(node); child !== ROOT; child = this.#columns.nextSiblingOf(child)) {
        const childPath = this.pathOf(child);
        assert(this.#slots.get(childPath) === child, 'TREE-1: a child that no path leads to', { childPath });
        assert(parentOf(childPath) === path, 'TREE-1: a child of another', { childPath, path });
        children++;
      }
      assert(children === this.numChildren(node), 'TREE-1: numChildren is wrong', { path, children });
      linked += children;
      const owner = this.owner(node);
      if (isEphemeralOwner(owner)) {
        owned.set(owner, (owned.get(owner) ?? 0) + 1);
        const inIndex = this.#ephemerals.get(toSessionId(owner))?.has(path) === true;
        assert(inIndex, 'TREE-2: an ephemeral that its session lacks', { path });
      }
      assert(this.#containers.has(node) === (owner === CONTAINER_OWNER), 'TREE-5: containers', { path });
      assert(this.#ttlZnodes.has(node) === (ttlOf(owner) !== undefined), 'TREE-5: TTL znodes', { path });
      const dataLength = this.#columns.int(node, StatField.dataLength);
      assert(dataLength === (this.data(node)?.length ?? 0), 'a stat has the length of other data', { path });
      approximateBytes += path.length + dataLength;
      users.set(this.aclId(node), (users.get(this.aclId(node)) ?? 0) + 1);
    }
    assert(linked === this.#slots.size, 'TREE-1: a znode that is nobody’s child');
    assert(approximateBytes === this.#approximateBytes, 'approximateDataSize is wrong');
    assert(owned.size === this.#ephemerals.size, 'TREE-2: a session with ephemerals that no znode names');
    for (const [session, paths] of this.#ephemerals) {
      assert(owned.get(session) === paths.size, 'TREE-2: a session has more ephemerals than znodes', { session });
    }
    for (const [id] of this.#acls) {
      assert(this.#acls.usersOf(id) === (users.get(id) ?? 0), 'TREE-6: users of an ACL', { id });
    }
  }

  #findParent(path: string): Znode | undefined {
    const last = this.#lastParent;
    if (last !== undefined && path.lastIndexOf('/') === last.path.length && path.startsWith(last.path))
      return last.node;
    const parent = parentOf(path);
    const node = this.#slots.get(parent);
    if (node !== undefined) this.#lastParent = { path: parent, node };
    return node;
  }

  #cversionSeenByClients(node: Znode): number {
    // Creates and deletes: every create counted, minus those that are still there, twice over.
    return (2 * this.cversion(node) - this.numChildren(node)) | 0;
  }

  /** TREE-3. The counter wraps, so "larger" means ahead by less than half of its range. */
  #raiseCversion(node: Znode, cversion: number): void {
    const current = this.cversion(node);
    const raised = cversion === INCREMENT ? (current + 1) | 0 : cversion;
    if (((raised - current) | 0) <= 0) return;
    this.#beforeChange(node);
    this.#columns.setInt(node, StatField.cversion, raised);
  }

  #raisePzxid(node: Znode, zxid: Zxid): void {
    if (zxid <= this.#columns.long(node, StatField.pzxid)) return;
    this.#beforeChange(node);
    this.#columns.setLong(node, StatField.pzxid, zxid);
  }

  /** To be called before anything changes that the digest or an image has of a znode. */
  #beforeChange(node: Znode): void {
    if (this.#images.size > 0) for (const image of this.#images) image.beforeChange(node);
    this.#digest.changed(node);
  }

  #replaceAcl(node: Znode, acl: readonly Acl[] | null): void {
    const former = this.#columns.aclIdOf(node);
    // In this order, so that an ACL of this znode alone keeps its number when it is set again.
    this.#columns.setAclId(node, this.#acls.acquire(acl));
    this.#acls.release(former);
  }

  /** Shows the members of the ensemble in `/zookeeper/config`. No transaction, and not part of the digest: each server does it. */
  setConfig(text: Uint8Array, time: number): void {
    const node = this.#slots.get('/zookeeper/config');
    assert(node !== undefined, 'TREE-1: a reserved znode is missing');
    this.setData(node, text, -1, ZERO_ZXID, time);
  }

  #addReserved(): void {
    for (const path of ['/zookeeper', '/zookeeper/quota', '/zookeeper/config']) {
      if (this.#slots.get(path) !== undefined) continue;
      const parent = this.#slots.get(parentOf(path));
      assert(parent !== undefined, 'TREE-1: a reserved znode has no parent', { path });
      const isConfig = path === '/zookeeper/config';
      const aclId = this.#acls.acquire(isConfig ? READ_ACL : null);
      // The original sets this ACL with the version "any", and stores that.
      const stat = isConfig ? { ...NO_STAT, aversion: -1 } : NO_STAT;
      this.#columns.link(this.#add(path, { data: NO_BYTES, aclId, stat }), parent);
    }
  }

  /** A new znode that is nobody's child yet. */
  #add(path: string, contents: Contents): Znode {
    const node = this.#columns.allocate(path);
    this.#slots.set(path, node);
    this.#fillNew(node, path, contents);
    return node;
  }

  #fillNew(node: Znode, path: string, contents: Contents): void {
    this.#approximateBytes += path.length;
    this.#fill(node, path, contents);
  }

  #refill(node: Znode, path: string, contents: Contents): void {
    this.#forgetContents(node);
    this.#fill(node, path, contents);
  }

  /** The child of that path, by looking through all. */
  #childOf(parent: Znode, path: string): Znode {
    for (let child = this.#columns.firstChildOf(parent); child !== ROOT; child = this.#columns.nextSiblingOf(child)) {
      if (this.pathOf(child) === path) return child;
    }
    throw new InvariantError(`TREE-1: ${path} is not among its parent's children`);
  }

  #fill(node: Znode, path: string, { data, aclId, stat }: Contents): void {
    const columns = this.#columns;
    this.#digest.changed(node);
    columns.setAclId(node, aclId);
    columns.setLong(node, StatField.czxid, stat.czxid);
    columns.setLong(node, StatField.mzxid, stat.mzxid);
    columns.setTime(node, StatField.ctime, stat.ctime);
    columns.setTime(node, StatField.mtime, stat.mtime);
    columns.setInt(node, StatField.version, stat.version);
    columns.setInt(node, StatField.cversion, stat.cversion);
    columns.setInt(node, StatField.aversion, stat.aversion);
    columns.setLong(node, StatField.owner, stat.owner);
    columns.setLong(node, StatField.pzxid, stat.pzxid);
    columns.setData(node, data);
    this.#approximateBytes += columns.int(node, StatField.dataLength);
    if (stat.owner !== NO_OWNER) this.#rememberOwner(node, path, stat.owner);
  }

  #rememberOwner(node: Znode, path: string, owner: bigint): void {
    if (owner === CONTAINER_OWNER) this.#containers.add(node);
    else if (ttlOf(owner) !== undefined) this.#ttlZnodes.add(node);
    else if (isEphemeralOwner(owner)) {
      const session = toSessionId(owner);
      const paths = this.#ephemerals.get(session);
      if (paths === undefined) this.#ephemerals.set(session, new Set([path]));
      else paths.add(path);
      this.#ephemeralCount++;
    }
  }

  /** Undoes all of `#fill` that stands outside of the columns. */
  #forgetContents(node: Znode): void {
    this.#approximateBytes -= this.#columns.int(node, StatField.dataLength);
    this.#acls.release(this.#columns.aclIdOf(node));
    const owner = this.owner(node);
    if (owner === NO_OWNER) return;
    this.#containers.delete(node);
    this.#ttlZnodes.delete(node);
    if (!isEphemeralOwner(owner)) return;
    const session = toSessionId(owner);
    const paths = this.#ephemerals.get(session);
    assert(paths?.delete(this.pathOf(node)) === true, 'TREE-2: an ephemeral that its session lacks');
    if (paths.size === 0) this.#ephemerals.delete(session);
    this.#ephemeralCount--;
  }

  /** Deepest first, and without recursion: a path may have as many components as a request has bytes. */
  #removeSubtree(top: Znode, zxid: Zxid): void {
    let node = top;
    for (;;) {
      const child = this.#columns.firstChildOf(node);
      if (child !== ROOT) {
        assert(this.czxid(child) >= zxid, 'TREE-1: a znode with children of its own life is deleted');
        node = child;
        continue;
      }
      const parent = this.#columns.parentOf(node);
      this.#remove(node);
      if (node === top) return;
      node = parent;
    }
  }

  #remove(node: Znode): void {
    const path = this.pathOf(node);
    if (this.#images.size > 0) for (const image of this.#images) image.beforeChange(node);
    this.#digest.removed(node);
    this.#forgetContents(node);
    this.#approximateBytes -= path.length;
    this.#slots.delete(path);
    if (this.#lastParent?.node === node) this.#lastParent = undefined;
    this.#columns.unlink(node);
    this.#columns.release(node);
  }

  /** The znode behind `node` in a walk through the subtree of `top`, parents first; `top` at the end. */
  #nextInSubtree(node: Znode, top: Znode): Znode {
    const child = this.#columns.firstChildOf(node);
    if (child !== ROOT) return child;
    let last = node;
    while (last !== top) {
      const sibling = this.#columns.nextSiblingOf(last);
      if (sibling !== ROOT) return sibling;
      last = this.#columns.parentOf(last);
    }
    return top;
  }
}

/** In a txn of an old log: one more than the parent has. */
const INCREMENT = -1;

/** One for all znodes without bytes. */
const NO_BYTES = new Uint8Array(0);
