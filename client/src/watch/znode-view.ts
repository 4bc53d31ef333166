/**
 * One aspect of one znode: its data, its existence, or the list of its children, whether the znode is there or not.
 *
 * What must always hold: the old of a change is the new of the one before. A change without `gap` shows all that
 * happened since: the stats prove it, or the znode came or went, a persistent watch was in place all the time, and it
 * has brought exactly one event.
 */
import { EventType, type Stat } from 'zookeeper-protocol-ts';
import type { WatchedEvent } from './watch-registry.ts';
import { type ReadPass, readUnlessMissing, type WatchView } from './watch-view.ts';
import {
  type ChildrenChange,
  type ExistenceChange,
  isNextData,
  isOtherData,
  toZnodeChange,
  Znode,
  type ZnodeChange,
} from './znode-change.ts';

/** A path as the server and as the user knows it. */
export interface WatchedPath {
  readonly server: string;
  readonly user: string;
}

interface Step<Value> {
  readonly path: string;
  readonly old: Value | undefined;
  readonly now: Value | undefined;
  readonly isFirst: boolean;
  readonly gap: boolean;
}

/** What of a znode is watched. */
interface Aspect<Value, Change> {
  /** What changes it. */
  readonly events: readonly EventType[];
  read(pass: ReadPass, path: WatchedPath): Promise<Value | undefined>;
  differs(old: Value, now: Value): boolean;
  /** Whether the two show all that happened between them. */
  follows(old: Value, now: Value): boolean;
  toChange(step: Step<Value>): Change;
}

export class ZnodeView<Value, Change> implements WatchView<Change> {
  readonly path: string;
  readonly recursive = false;
  readonly #watched: WatchedPath;
  readonly #aspect: Aspect<Value, Change>;
  #isStale = true;
  /** Since the last read. */
  #events = 0;
  #contactLost = false;
  /** The last read has left a one-shot watch. */
  #isOneShot = false;
  /** As it was told last; undefined until something was. */
  #told: { readonly value: Value | undefined } | undefined;
  /** As it was read last. */
  #latest: { readonly value: Value | undefined } | undefined;
  /** Of what was read since `#told`: the events, and whether there can have been changes without one. */
  #eventsRead = 0;
  #isContinuous = true;

  constructor(path: WatchedPath, aspect: Aspect<Value, Change>) {
    this.path = path.server;
    this.#watched = path;
    this.#aspect = aspect;
  }

  get isStale(): boolean {
    return this.#isStale;
  }

  onEvent({ type, path }: WatchedEvent): void {
    if (path !== this.path) return;
    const isChange = this.#aspect.events.includes(type);
    if (isChange) this.#events++;
    // A one-shot watch is used up by every event, also by one of no interest.
    if (isChange || this.#isOneShot) this.#isStale = true;
  }

  onContactLost(): void {
    this.#contactLost = true;
    this.#isStale = true;
  }

  async read(pass: ReadPass): Promise<void> {
    this.#isStale = false;
    this.#isOneShot = pass.watcher !== undefined;
    const value = await this.#aspect.read(pass, this.#watched);
    this.#latest = { value };
    this.#eventsRead += this.#events;
    this.#isContinuous = this.#isContinuous && !this.#contactLost && !this.#isOneShot;
    this.#events = 0;
    this.#contactLost = false;
  }

  take(): Change | undefined {
    if (this.#latest === undefined) return undefined;
    const isFirst = this.#told === undefined;
    const old = this.#told?.value;
    const now = this.#latest.value;
    const step = { path: this.#watched.user, old, now, isFirst, gap: !isFirst && !this.#isProven(old, now) };
    const changed = isFirst || this.#mayDiffer(old, now);
    // What is the same was not told, so that the old of the next change is what was.
    if (changed) this.#told = this.#latest;
    this.#latest = undefined;
    this.#eventsRead = 0;
    this.#isContinuous = true;
    return changed ? this.#aspect.toChange(step) : undefined;
  }

  oneShotPaths(): Iterable<string> {
    return [this.path];
  }

  #mayDiffer(old: Value | undefined, now: Value | undefined): boolean {
    if (old !== undefined && now !== undefined) return this.#aspect.differs(old, now);
    // Missing both times: it may have come and gone.
    return old !== now || this.#eventsRead > 0 || !this.#isContinuous;
  }

  #isProven(old: Value | undefined, now: Value | undefined): boolean {
    if (old !== undefined && now !== undefined) return this.#aspect.follows(old, now);
    return old !== now && this.#isContinuous && this.#eventsRead === 1;
  }
}

const { NodeCreated, NodeDeleted, NodeDataChanged, NodeChildrenChanged } = EventType;

/** The znode with its data. */
export const dataAspect: Aspect<Znode, ZnodeChange> = {
  events: [NodeCreated, NodeDeleted, NodeDataChanged],
  async read(pass, { server, user }) {
    const read = (options: Parameters<typeof pass.zk.getData>[1]) => pass.zk.getData(server, options);
    const found = await readUnlessMissing(pass, server, { read, awaitsCreation: true });
    return found && new Znode(user, found);
  },
  differs: (old, now) => isOtherData(old.stat, now.stat),
  follows: (old, now) => isNextData(old.stat, now.stat),
  toChange: toZnodeChange,
};

/** Whether there is one. */
export const existenceAspect: Aspect<Stat, ExistenceChange> = {
  events: [NodeCreated, NodeDeleted],
  read: ({ zk, watcher }, { server }) => zk.exists(server, { watcher }),
  differs: (old, now) => old.czxid !== now.czxid,
  follows: () => false,
  toChange: ({ path, old, now, gap }) => ({ path, exists: now !== undefined, stat: now, oldStat: old, gap }),
};

interface Children {
  /** Sorted. */
  readonly names: readonly string[];
  readonly stat: Stat;
}

/** The names of its children. */
export const childrenAspect: Aspect<Children, ChildrenChange> = {
  events: [NodeCreated, NodeDeleted, NodeChildrenChanged],
  async read(pass, { server }) {
    const read = (options: Parameters<typeof pass.zk.getChildren>[1]) => pass.zk.getChildren(server, options);
    const found = await readUnlessMissing(pass, server, { read, awaitsCreation: true });
    return found && { names: found.children.sort(), stat: found.stat };
  },
  differs: ({ stat: old }, { stat: now }) =>
    old.czxid !== now.czxid || old.pzxid !== now.pzxid || old.cversion !== now.cversion,
  // A znode's cversion counts each child that comes or goes, and wraps.
  follows(old, now) {
    const { added, removed } = compare(old, now);
    const changes = (now.stat.cversion - old.stat.cversion) | 0;
    return old.stat.czxid === now.stat.czxid && changes === added.length + removed.length;
  },
  toChange: ({ path, old, now, gap }) => ({
    path,
    children: now?.names ?? [],
    oldChildren: old?.names ?? [],
    ...compare(old, now),
    stat: now?.stat,
    oldStat: old?.stat,
    gap,
  }),
};

function compare(old: Children | undefined, now: Children | undefined): { added: string[]; removed: string[] } {
  // The children of another incarnation are other znodes, whatever their names.
  const isSame = old !== undefined && now !== undefined && old.stat.czxid === now.stat.czxid;
  const oldNames = new Set(old?.names);
  const newNames = new Set(now?.names);
  return {
    added: [...newNames].filter((name) => !isSame || !oldNames.has(name)),
    removed: [...oldNames].filter((name) => !isSame || !newNames.has(name)),
  };
}
