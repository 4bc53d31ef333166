/**
 * A znode and all below it, kept as it is read. A recursive persistent watch tells which paths to read again; where
 * there is none, each znode carries its own one-shot watches. The whole tree is read in the beginning, and again
 * whenever events may have been missed (Curator's `CuratorCache` and `TreeCache`).
 *
 * What must always hold:
 * - A znode is known only while its parent is. Parents are read before their children, and told before them; of what is
 *   deleted, children are told first.
 * - What waits to be told is at most one change for each path that was told, or is known: changes of one path melt into
 *   one, and a znode that came and went leaves only the mark of a gap.
 * - After an outage everything that was known is compared with what is there (a znode by its czxid and mzxid, not by
 *   its version, which starts over).
 */
import { EventType, parentOf } from 'zookeeper-protocol-ts';
import { NoNodeError } from '../errors.ts';
import type { WatchedEvent } from './watch-registry.ts';
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

interface KnownZnode {
  readonly znode: Znode;
  readonly children: Set<string>;
}

/** What is to be read again of a path. */
interface StalePath {
  /** That were not read yet. */
  events: number;
  /** Everything below it as well, since events may have been missed. */
  rescan: boolean;
}

/** What a path's next change starts from. */
interface PendingChange {
  readonly old: Znode | undefined;
  /** That led to the present state. */
  events: number;
  /** Whether each change since `old` had its event. */
  isContinuous: boolean;
}

export class TreeView implements WatchView<TreeChange> {
  readonly path: string;
  readonly recursive = true;
  readonly #toUser: (path: string) => string;
  /** By the server's path. */
  readonly #known = new Map<string, KnownZnode>();
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

  constructor({ server }: WatchedPath, toUser: (path: string) => string) {
    this.path = server;
    this.#toUser = toUser;
    this.#stale.set(server, { events: 0, rescan: true });
  }

  get isStale(): boolean {
    return this.#stale.size > 0;
  }

  onEvent({ type, path }: WatchedEvent): void {
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
      const now = this.#known.get(path)?.znode;
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

  async #readPath(pass: ReadPass, path: string, { events, rescan }: StalePath): Promise<void> {
    const isRoot = path === this.path;
    const isDeep = rescan || pass.watcher !== undefined;
    if (pass.watcher !== undefined) this.#oneShotPaths.add(path);
    const read = (options: Parameters<typeof pass.zk.getData>[1]) => pass.zk.getData(path, options);
    // Only the root is waited for: the others are found by their parents.
    const found = await readUnlessMissing(pass, path, { read, awaitsCreation: isRoot });
    const children = found === undefined || !isDeep ? undefined : await this.#readChildren(pass, path);
    // What arrived during the reads has gone into their answers.
    const meanwhile = this.#stale.get(path);
    const allEvents = events + (meanwhile?.events ?? 0);
    if (meanwhile !== undefined) meanwhile.events = 0;
    const cause = { events: allEvents, isContinuous: !isDeep };
    // Gone between the two reads, or gone before.
    if (found === undefined || (isDeep && children === undefined)) return this.#onMissing(path, cause);
    // Its parent's own read will find it, if it is still there.
    if (!isRoot && !this.#known.has(parentOf(path))) return;
    this.#onFound(path, new Znode(this.#toUser(path), found), cause);
    if (children !== undefined) this.#onChildren(path, { names: children, rescan });
  }

  async #readChildren({ zk, watcher }: ReadPass, path: string): Promise<string[] | undefined> {
    try {
      return (await zk.getChildren(path, { watcher })).children.sort();
    } catch (error) {
      if (error instanceof NoNodeError) return undefined;
      throw error;
    }
  }

  #onFound(path: string, znode: Znode, cause: Pick<PendingChange, 'events' | 'isContinuous'>): void {
    const known = this.#known.get(path);
    // The same: what was told stays, so that it is the old of the next change.
    if (known !== undefined && !isOtherData(known.znode.stat, znode.stat)) return;
    this.#expectChange(path, known?.znode, cause);
    this.#known.set(path, { znode, children: known?.children ?? new Set() });
    if (path !== this.path) this.#known.get(parentOf(path))?.children.add(path);
  }

  #onChildren(path: string, { names, rescan }: { names: readonly string[]; rescan: boolean }): void {
    const known = this.#known.get(path)?.children ?? new Set<string>();
    const listed = new Set(names.map((name) => (path === '/' ? `/${name}` : `${path}/${name}`)));
    for (const child of known) if (!listed.has(child)) this.#onMissing(child, { events: 0, isContinuous: false });
    for (const child of listed) {
      if (rescan || !known.has(child)) this.#markStale(child, { events: 0, rescan: true });
    }
  }

  #onMissing(path: string, cause: Pick<PendingChange, 'events' | 'isContinuous'>): void {
    // Its watches were used up when it went; the root waits for its return.
    if (path !== this.path) this.#oneShotPaths.delete(path);
    const known = this.#known.get(path);
    if (known === undefined) {
      // It came and went: there is no znode whose change could say so.
      if (cause.events > 0) this.#onUnseen();
      return;
    }
    for (const child of [...known.children]) this.#onMissing(child, { events: 0, isContinuous: false });
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

  #expectChange(path: string, old: Znode | undefined, cause: Pick<PendingChange, 'events' | 'isContinuous'>): void {
    const pending = this.#pending.get(path);
    if (pending === undefined) {
      this.#pending.set(path, { old, ...cause });
    } else {
      pending.events += cause.events;
      pending.isContinuous &&= cause.isContinuous;
    }
  }
}
