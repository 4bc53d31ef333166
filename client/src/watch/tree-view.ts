/**
 * A znode and what is wanted of all below it, kept as it is read. A recursive persistent watch tells which paths to read
 * again; where there is none, each znode carries its own one-shot watches. The whole tree is read in the beginning, and
 * again whenever events may have been missed (Curator's `CuratorCache` and `TreeCache`).
 *
 * What must always hold:
 * - A znode is known only while its parent is. Parents are read before their children, and told before them; of what is
 *   deleted, children are told first.
 * - What waits to be told is at most one change for each path that was told, or is known: changes of one path melt into
 *   one, and a znode that came and went leaves only the mark of a gap.
 * - What may not be read doesn't hold up the rest (as in Curator's caches): it is reported once, and is no part of the tree
 *   until it can be read. Only of the root that is the end.
 * - After an outage everything that was known is compared with what is there (a znode by its czxid and mzxid, not by
 *   its version, which starts over).
 */
import { EventType, parentOf, type Stat } from 'zookeeper-protocol-ts';
import { NoAuthError, NoNodeError } from '../errors.ts';
import type { WatchedEvent } from './watch-registry.ts';
import type { WatchScope } from './watch-stream.ts';
import { type ReadPass, readUnlessMissing, type WatchView } from './watch-view.ts';
import { isNextData, isOtherData, type TreeChange, toZnodeChange, Znode } from './znode-change.ts';
import type { WatchedPath } from './znode-view.ts';

/** How many reads are under way at a time. */
const READS_MAX = 64;
/**
 * When events name more paths than that before they are read, the whole tree is read: what waits must not grow with the
 * speed of others.
 */
const NAMED_PATHS_MAX = 10_000;

/** Which part of a tree is wanted (Curator's `TreeCacheSelector`). The answers for a path must always be the same. */
export interface TreeSelector {
  /** Whether the children of that znode may belong to it; if not, they are not even listed. */
  traverseChildren(path: string): boolean;
  /** Whether that child belongs to it; if not, it is never read, and nothing below it is. */
  acceptChild(path: string): boolean;
}

/** What of a tree is kept. */
export interface TreeViewOptions {
  readonly selector?: TreeSelector | undefined;
  readonly keepData?: boolean | undefined;
}

const WHOLE_TREE: TreeSelector = { traverseChildren: () => true, acceptChild: () => true };

const NO_DATA = Buffer.alloc(0);

interface KnownZnode {
  znode: Znode;
  readonly children: Set<string>;
}

/** What reading a path has come to. */
type FoundZnode =
  | { readonly kind: 'missing' }
  | { readonly kind: 'refused'; readonly error: NoAuthError }
  | {
      readonly kind: 'there';
      readonly data: Buffer;
      readonly stat: Stat;
      /** Their names, sorted, where they were asked for. */
      readonly children: readonly string[] | undefined;
    };

/** What is to be read again of a path. */
interface StalePath {
  /** That were not read yet. */
  events: number;
  /** Everything below it as well, since events may have been missed. */
  rescan: boolean;
}

/** How a path came to its present state. */
interface Cause {
  /** That led to it. */
  events: number;
  /** Whether each change had its event. */
  isContinuous: boolean;
}

/** What a path's next change starts from, and how it came to what it is since. */
interface PendingChange extends Cause {
  readonly old: Znode | undefined;
}

export class TreeView implements WatchView<TreeChange> {
  readonly path: string;
  readonly recursive = true;
  readonly #scope: WatchScope;
  readonly #selector: TreeSelector;
  readonly #keepsData: boolean;
  /** By the server's path. */
  readonly #known = new Map<string, KnownZnode>();
  /** Children that may not be read, by their parents, which are known. */
  readonly #unreadable = new Map<string, Set<string>>();
  /** In the order in which they are to be read: a parent stands before its children. */
  readonly #stale = new Map<string, StalePath>();
  /** In the order in which they are to be told. */
  readonly #pending = new Map<string, PendingChange>();
  /** Of znodes that were there when they were read last, and of the root. */
  readonly #oneShotPaths = new Set<string>();
  /** How many of `#stale` only events have named. */
  #named = 0;
  /** Everything has been read since contact was lost last. */
  #isSynced = false;
  /** To be told when all changes have been. */
  #isSyncedDue = false;
  #wasToldSynced = false;

  constructor(
    scope: WatchScope,
    { server }: WatchedPath,
    { selector = WHOLE_TREE, keepData = true }: TreeViewOptions = {},
  ) {
    this.path = server;
    this.#scope = scope;
    this.#selector = selector;
    this.#keepsData = keepData;
    this.#stale.set(server, { events: 0, rescan: true });
  }

  get isStale(): boolean {
    return this.#stale.size > 0;
  }

  onEvent({ type, path }: WatchedEvent): void {
    if (!this.#isWanted(path)) return;
    switch (type) {
      case EventType.NodeCreated:
      case EventType.NodeDeleted:
      case EventType.NodeDataChanged:
        return this.#markStale(path, { events: 1, rescan: false });
      case EventType.NodeChildrenChanged:
        // Of a one-shot watch, in whose place every read lists the children.
        return this.#markStale(path, { events: 0, rescan: false });
      default:
        return;
    }
  }

  onContactLost(): void {
    this.#isSynced = false;
    this.#stale.clear();
    this.#named = 0;
    this.#markStale(this.path, { events: 0, rescan: true });
  }

  async read(pass: ReadPass): Promise<void> {
    const reads: Promise<void>[] = [];
    for (const [path, stale] of this.#stale) {
      this.#stale.delete(path);
      if (!stale.rescan) this.#named--;
      if (reads.push(this.#readPath(pass, path, stale)) === READS_MAX) break;
    }
    // Of all of them: one that goes on by itself might leave a watch behind that nobody removes.
    const outcomes = await Promise.allSettled(reads);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    if (this.#stale.size > 0 || this.#isSynced) return;
    this.#isSynced = true;
    this.#isSyncedDue = true;
  }

  take(): TreeChange | undefined {
    for (const [path, { old, events, isContinuous }] of this.#pending) {
      this.#pending.delete(path);
      const known = this.#known.get(path);
      const now = known?.znode;
      // From here on the data are for whoever takes the change to keep.
      if (known !== undefined && !this.#keepsData) known.znode = withoutData(known.znode);
      if (now === old || (now !== undefined && old !== undefined && !isOtherData(old.stat, now.stat))) continue;
      const isProven =
        now !== undefined && old !== undefined ? isNextData(old.stat, now.stat) : isContinuous && events === 1;
      const isFirst = old === undefined && !this.#wasToldSynced;
      return toZnodeChange({ path: this.#toUser(path), old, now, isFirst, gap: !isFirst && !isProven });
    }
    return this.#takeSynced();
  }

  oneShotPaths(): Iterable<string> {
    return this.#oneShotPaths;
  }

  #takeSynced(): TreeChange | undefined {
    if (!this.#isSyncedDue) return undefined;
    const gap = this.#wasToldSynced;
    this.#isSyncedDue = false;
    this.#wasToldSynced = true;
    return { kind: 'synced', path: this.#toUser(this.path), gap };
  }

  #toUser(path: string): string {
    return this.#scope.namespace.toUser(path);
  }

  /** Whether it is selected, and all between the root and it. */
  #isWanted(path: string): boolean {
    if (this.#selector === WHOLE_TREE) return true;
    for (let at = path; at.length > this.path.length; at = parentOf(at)) {
      if (!this.#selector.acceptChild(this.#toUser(at)) || !this.#isTraversed(parentOf(at))) return false;
    }
    return true;
  }

  #isTraversed(path: string): boolean {
    return this.#selector.traverseChildren(this.#toUser(path));
  }

  #markStale(path: string, { events, rescan }: StalePath): void {
    const stale = this.#stale.get(path);
    if (stale !== undefined) {
      if (rescan && !stale.rescan) this.#named--;
      stale.events += events;
      stale.rescan ||= rescan;
    } else if (rescan) {
      this.#stale.set(path, { events, rescan });
    } else if (this.#named < NAMED_PATHS_MAX) {
      this.#named++;
      this.#stale.set(path, { events, rescan });
    } else {
      this.onContactLost();
    }
  }

  async #readPath(pass: ReadPass, path: string, stale: StalePath): Promise<void> {
    // What is below one that could not be read no event has brought in: it has to be listed.
    const rescan = stale.rescan || this.#isUnreadable(path);
    const isContinuous = !rescan && pass.watcher === undefined;
    if (pass.watcher !== undefined) this.#oneShotPaths.add(path);
    const found = await this.#readZnode(pass, path, { lists: !isContinuous && this.#isTraversed(path) });
    // What arrived during the reads has gone into their answers.
    const meanwhile = this.#stale.get(path);
    const cause = { events: stale.events + (meanwhile?.events ?? 0), isContinuous };
    if (meanwhile !== undefined) meanwhile.events = 0;
    if (found.kind === 'missing') return this.#onMissing(path, cause);
    // Its parent's own read will find it, if it is still there.
    if (path !== this.path && !this.#known.has(parentOf(path))) return;
    if (found.kind === 'refused') return this.#onRefused(path, found.error);
    this.#onFound(path, new Znode(this.#toUser(path), found), cause);
    if (found.children !== undefined) this.#onChildren(path, { names: found.children, rescan });
  }

  /** @throws NoAuthError if it is the root that may not be read */
  async #readZnode(pass: ReadPass, path: string, { lists }: { lists: boolean }): Promise<FoundZnode> {
    const read = (options: Parameters<typeof pass.zk.getData>[1]) => pass.zk.getData(path, options);
    const isRoot = path === this.path;
    try {
      // Only the root is waited for: the others are found by their parents.
      const found = await readUnlessMissing(pass, path, { read, awaitsCreation: isRoot });
      if (found === undefined) return { kind: 'missing' };
      const { children } = lists ? await pass.zk.getChildren(path, { watcher: pass.watcher }) : { children: undefined };
      return { kind: 'there', ...found, children: children?.sort() };
    } catch (error) {
      // Gone between the two reads.
      if (error instanceof NoNodeError) return { kind: 'missing' };
      if (error instanceof NoAuthError && !isRoot) return { kind: 'refused', error };
      throw error;
    }
  }

  #onFound(path: string, znode: Znode, cause: Cause): void {
    this.#forgetRefusal(path);
    const known = this.#known.get(path);
    // The same: what was told stays, so that it is the old of the next change.
    if (known !== undefined && !isOtherData(known.znode.stat, znode.stat)) return;
    this.#expectChange(path, known?.znode, cause);
    this.#known.set(path, { znode, children: known?.children ?? new Set() });
    if (path !== this.path) this.#known.get(parentOf(path))?.children.add(path);
  }

  #onChildren(path: string, { names, rescan }: { names: readonly string[]; rescan: boolean }): void {
    const known = this.#known.get(path)?.children ?? new Set<string>();
    const paths = names.map((name) => (path === '/' ? `/${name}` : `${path}/${name}`));
    const listed = new Set(paths.filter((child) => this.#selector.acceptChild(this.#toUser(child))));
    for (const child of known) if (!listed.has(child)) this.#onMissing(child, { events: 0, isContinuous: false });
    for (const child of this.#unreadable.get(path) ?? []) if (!listed.has(child)) this.#forgetRefusal(child);
    for (const child of listed) {
      if (rescan || !known.has(child)) this.#markStale(child, { events: 0, rescan: true });
    }
  }

  /** Its ACL forbids it, since now or always: of a change of the ACL no event tells. */
  #onRefused(path: string, error: NoAuthError): void {
    const wasUnreadable = this.#isUnreadable(path);
    this.#leave(path, { events: 0, isContinuous: false });
    const siblings = this.#unreadable.get(parentOf(path)) ?? new Set<string>();
    this.#unreadable.set(parentOf(path), siblings.add(path));
    if (!wasUnreadable) this.#scope.connection.reportError(error);
  }

  #isUnreadable(path: string): boolean {
    return this.#unreadable.get(parentOf(path))?.has(path) ?? false;
  }

  #forgetRefusal(path: string): void {
    const siblings = this.#unreadable.get(parentOf(path));
    siblings?.delete(path);
    if (siblings?.size === 0) this.#unreadable.delete(parentOf(path));
  }

  #onMissing(path: string, cause: Cause): void {
    // Watches were used up when it went; the root waits for its return.
    for (const gone of this.#below(path)) if (gone !== this.path) this.#oneShotPaths.delete(gone);
    this.#leave(path, cause);
  }

  /** It, and all that is known below it. */
  *#below(path: string): Generator<string, undefined> {
    yield path;
    for (const child of this.#known.get(path)?.children ?? []) yield* this.#below(child);
  }

  /** It and all below it is no part of the tree any more. */
  #leave(path: string, cause: Cause): void {
    this.#forgetRefusal(path);
    this.#unreadable.delete(path);
    const known = this.#known.get(path);
    if (known === undefined) {
      // It came and went: there is no znode whose change could say so.
      if (cause.events > 0) this.#onUnseen();
      return;
    }
    for (const child of [...known.children]) this.#leave(child, { events: 0, isContinuous: false });
    this.#known.delete(path);
    if (path !== this.path) this.#known.get(parentOf(path))?.children.delete(path);
    this.#expectChange(path, known.znode, cause);
    const pending = this.#pending.get(path);
    if (pending === undefined) return;
    // Behind its children. One that was never told has nothing to be told of any more.
    this.#pending.delete(path);
    if (pending.old !== undefined) this.#pending.set(path, pending);
    else this.#onUnseen();
  }

  /** A `synced` with a gap says so; while the tree is being read, one will come anyway. */
  #onUnseen(): void {
    if (this.#isSynced) this.#isSyncedDue = true;
  }

  #expectChange(path: string, old: Znode | undefined, cause: Cause): void {
    const pending = this.#pending.get(path);
    if (pending === undefined) {
      this.#pending.set(path, { old, ...cause });
    } else {
      pending.events += cause.events;
      pending.isContinuous &&= cause.isContinuous;
    }
  }
}

const withoutData = (znode: Znode): Znode =>
  znode.data.length === 0 ? znode : new Znode(znode.path, { data: NO_DATA, stat: znode.stat });
