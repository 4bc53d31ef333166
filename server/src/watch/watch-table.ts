import { AddWatchMode, EventType, parentOf, WatcherType } from 'zookeeper-protocol-ts';
import { assert } from '../invariant.ts';

/**
 * Who watches what on this server (the original's `WatchManager`, of which it has one for data and one for children; here
 * they are bits of one table). Watches are soft state: they live as long as the connection, and clients set them again when
 * they come back (programmer's guide, "Watches").
 *
 * - A data watch and a child watch are one-shot: firing removes them.
 * - A persistent watch is both at once and stays.
 * - A persistent recursive watch gets the data events of its path and of all below it, and no child events.
 *
 * A watcher is told of an event once, however many of its watches the event meets.
 *
 * What watches take in memory is bounded, of one watcher and of all: whoever brings the excess is to be sent away, with all its
 * watches ({@link takeExcessive}). The original has no bound.
 *
 * What must hold: `#watchersAt` and `#pathsOf` are the same relation from both ends (WCH-2).
 *
 * @typeParam W the watcher, a connection; compared by identity
 */
export class WatchTable<W> {
  readonly #limits: WatchLimits;
  /** Path → watchers there, and the bits of their watches. */
  readonly #watchersAt = new Map<string, Map<W, number>>();
  readonly #pathsOf = new Map<W, WatchedPaths>();
  #watches = 0;
  /** What all watches take, see {@link WatchLimits}. */
  #bytes = 0;
  #excessive: W | undefined;
  /** Persistent recursive watches: while there are none, an event needs no walk up its path. */
  #recursive = 0;

  constructor(limits: WatchLimits = UNLIMITED) {
    this.#limits = limits;
  }

  /** What all watches take, in bytes as {@link WatchLimits} counts them. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Who brought the last watch, if that was more than it may have, or more than all together; told once. */
  takeExcessive(): W | undefined {
    const excessive = this.#excessive;
    this.#excessive = undefined;
    return excessive;
  }

  /** Paths with a watch; watches, each kind on each path counted once for a watcher; watchers with a watch. */
  get counts(): { readonly paths: number; readonly watches: number; readonly watchers: number } {
    return { paths: this.#watchersAt.size, watches: this.#watches, watchers: this.#pathsOf.size };
  }

  /** Of getData and exists. The path need not exist. */
  addData(path: string, watcher: W): void {
    this.#add(path, watcher, Bit.data);
  }

  /** Of getChildren. */
  addChild(path: string, watcher: W): void {
    this.#add(path, watcher, Bit.child);
  }

  /** Of addWatch. The path need not exist. */
  addPersistent(path: string, mode: AddWatchMode, watcher: W): void {
    this.#add(path, watcher, mode === AddWatchMode.PERSISTENT ? Bit.persistent : Bit.recursive);
  }

  /**
   * Tells the watchers of a change: first those of the znode's data, then those of its children, then, for a create or a
   * delete, those of its parent's children; each in the order in which they came. One-shot watches that are met are removed.
   * @param deliver may be called for a watcher that must not see the znode: permissions are the caller's business. It must
   *   not change this table
   */
  trigger({ type, path }: WatchedChange, deliver: (watcher: W, type: EventType, path: string) => void): void {
    if (this.#watches === 0) return;
    const here = this.#watchersAt.get(path);
    const mayMeetTwice = this.#recursive > 0 || (type === EventType.NodeDeleted && here !== undefined);
    const told = mayMeetTwice ? new Set<W>() : undefined;
    if (here !== undefined) this.#fire(path, here, { type, of: DATA_EVENT, told }, deliver);
    if (told !== undefined && this.#recursive > 0) this.#fireAbove(path, type, told, deliver);
    if (type === EventType.NodeDataChanged) return;
    // A deleted znode's children can't be watched any more: who waits for them is told of the delete, unless it was already.
    if (type === EventType.NodeDeleted && here !== undefined) {
      this.#fire(path, here, { type, of: Bit.child, told }, deliver);
    }
    if (path === '/') return;
    const parent = parentOf(path);
    const above = this.#watchersAt.get(parent);
    const childEvent = { type: EventType.NodeChildrenChanged, of: CHILD_EVENT, told: undefined };
    if (above !== undefined) this.#fire(parent, above, childEvent, deliver);
  }

  /** The connection is closed: none of its watches is left. */
  removeWatcher(watcher: W): void {
    const watched = this.#pathsOf.get(watcher);
    if (watched === undefined) return;
    for (const path of watched.paths) {
      const watchers = this.#watchersAt.get(path);
      const bits = watchers?.get(watcher);
      assert(watchers !== undefined && bits !== undefined, 'WCH-2: a watcher has a path that lacks it', { path });
      this.#uncount(bits);
      watchers.delete(watcher);
      if (watchers.size === 0) this.#watchersAt.delete(path);
    }
    this.#bytes -= watched.bytes;
    this.#pathsOf.delete(watcher);
  }

  /** @returns whether there was such a watch */
  remove(path: string, kind: WatcherType, watcher: W): boolean {
    const watchers = this.#watchersAt.get(path);
    const bits = watchers?.get(watcher) ?? 0;
    const removed = bits & bitsOf(kind);
    if (watchers === undefined || removed === 0) return false;
    this.#reduce(path, watchers, watcher, bits, removed);
    return true;
  }

  has(path: string, kind: WatcherType, watcher: W): boolean {
    return ((this.#watchersAt.get(path)?.get(watcher) ?? 0) & bitsOf(kind)) !== 0;
  }

  /** Who watches the data at a path, for the `wchp` command: as in the original, it leaves out watches of children. */
  *byPath(): IterableIterator<readonly [path: string, watchers: readonly W[]]> {
    for (const [path, watchers] of this.#watchersAt) {
      const ofData = [...watchers].filter(([, bits]) => bits & DATA_EVENT).map(([watcher]) => watcher);
      if (ofData.length > 0) yield [path, ofData];
    }
  }

  /** The same by watcher, for the `wchc` command. */
  *byWatcher(): IterableIterator<readonly [watcher: W, paths: readonly string[]]> {
    for (const [watcher, { paths }] of this.#pathsOf) {
      const ofData = [...paths].filter((path) => (this.#watchersAt.get(path)?.get(watcher) ?? 0) & DATA_EVENT);
      if (ofData.length > 0) yield [watcher, ofData];
    }
  }

  /**
   * Checks WCH-2 and the counts. For tests, the simulator and samples: it walks the whole table.
   * @throws InvariantError
   */
  assertConsistent(): void {
    let pairs = 0;
    let watches = 0;
    let recursive = 0;
    for (const [path, watchers] of this.#watchersAt) {
      assert(watchers.size > 0, 'WCH-2: a path without watchers is kept', { path });
      for (const [watcher, bits] of watchers) {
        assert(bits !== 0, 'WCH-2: a watcher without watches is kept', { path });
        assert(this.#pathsOf.get(watcher)?.paths.has(path) === true, 'WCH-2: a watcher lacks a path that has it', {
          path,
        });
        pairs++;
        watches += count(bits);
        if (bits & Bit.recursive) recursive++;
      }
    }
    let bytes = 0;
    for (const watched of this.#pathsOf.values()) {
      assert(watched.paths.size > 0, 'WCH-2: a watcher without paths is kept');
      pairs -= watched.paths.size;
      const counted = [...watched.paths].reduce((sum, path) => sum + bytesOf(path), 0);
      assert(counted === watched.bytes, 'WCH-3: the bytes of a watcher are wrong');
      bytes += counted;
    }
    assert(pairs === 0, 'WCH-2: a watcher has a path that lacks it');
    assert(bytes === this.#bytes, 'WCH-3: the bytes of all watches are wrong');
    assert(watches === this.#watches && recursive === this.#recursive, 'WCH-2: the counts are wrong');
  }

  #add(path: string, watcher: W, bit: number): void {
    let watchers = this.#watchersAt.get(path);
    if (watchers === undefined) {
      watchers = new Map();
      this.#watchersAt.set(path, watchers);
    }
    const bits = watchers.get(watcher) ?? 0;
    if (bits & bit) return;
    watchers.set(watcher, bits | bit);
    this.#watches++;
    if (bit === Bit.recursive) this.#recursive++;
    if (bits === 0) this.#addPath(path, watcher);
  }

  #addPath(path: string, watcher: W): void {
    let watched = this.#pathsOf.get(watcher);
    if (watched === undefined) {
      watched = { paths: new Set(), bytes: 0 };
      this.#pathsOf.set(watcher, watched);
    }
    const bytes = bytesOf(path);
    watched.paths.add(path);
    watched.bytes += bytes;
    this.#bytes += bytes;
    const { watchBytesMax, connectionWatchBytesMax } = this.#limits;
    if (watched.bytes > connectionWatchBytesMax || this.#bytes > watchBytesMax) this.#excessive = watcher;
  }

  /** Tells the watchers at a path that have one of the bits, and removes those of the bits that are one-shot. */
  #fire(
    path: string,
    watchers: Map<W, number>,
    { type, of, told }: { type: EventType; of: number; told: Set<W> | undefined },
    deliver: (watcher: W, type: EventType, path: string) => void,
  ): void {
    for (const [watcher, bits] of watchers) {
      const met = bits & of;
      if (met === 0) continue;
      if (met & ONE_SHOT) this.#reduce(path, watchers, watcher, bits, met & ONE_SHOT);
      if (told?.has(watcher)) continue;
      told?.add(watcher);
      deliver(watcher, type, path);
    }
  }

  /** Tells those who watch an ancestor with all that is below it. */
  #fireAbove(
    path: string,
    type: EventType,
    told: Set<W>,
    deliver: (watcher: W, type: EventType, path: string) => void,
  ): void {
    for (let at = path; at !== '/'; ) {
      at = parentOf(at);
      for (const [watcher, bits] of this.#watchersAt.get(at) ?? []) {
        if ((bits & Bit.recursive) === 0 || told.has(watcher)) continue;
        told.add(watcher);
        deliver(watcher, type, path);
      }
    }
  }

  #reduce(path: string, watchers: Map<W, number>, watcher: W, bits: number, removed: number): void {
    this.#uncount(removed);
    if (bits !== removed) {
      watchers.set(watcher, bits & ~removed);
      return;
    }
    watchers.delete(watcher);
    if (watchers.size === 0) this.#watchersAt.delete(path);
    const watched = this.#pathsOf.get(watcher);
    assert(watched?.paths.delete(path) === true, 'WCH-2: a watcher lacks a path that has it', { path });
    const bytes = bytesOf(path);
    watched.bytes -= bytes;
    this.#bytes -= bytes;
    if (watched.paths.size === 0) this.#pathsOf.delete(watcher);
  }

  #uncount(bits: number): void {
    this.#watches -= count(bits);
    if (bits & Bit.recursive) this.#recursive--;
  }
}

/**
 * What watches may take in memory, in bytes: of each path that a watcher watches, its length and {@link WATCHED_PATH_BYTES}. The
 * names are those of `ServerConfig`.
 */
export interface WatchLimits {
  readonly watchBytesMax: number;
  readonly connectionWatchBytesMax: number;
}

/** Of one watcher. */
interface WatchedPaths {
  readonly paths: Set<string>;
  /** All paths as {@link WatchLimits} counts them. */
  bytes: number;
}

/** What one watcher at one path takes beside the path itself, measured: the entries of both ends of the relation. */
export const WATCHED_PATH_BYTES = 300;

const bytesOf = (path: string): number => path.length + WATCHED_PATH_BYTES;

const UNLIMITED: WatchLimits = {
  watchBytesMax: Number.POSITIVE_INFINITY,
  connectionWatchBytesMax: Number.POSITIVE_INFINITY,
};

/** What happened to a znode. */
export interface WatchedChange {
  readonly type: typeof EventType.NodeCreated | typeof EventType.NodeDeleted | typeof EventType.NodeDataChanged;
  readonly path: string;
}

const Bit = { data: 1, child: 2, persistent: 4, recursive: 8 } as const;

/** The watches that an event of a znode itself meets, and those that one of its children meets. */
const DATA_EVENT = Bit.data | Bit.persistent | Bit.recursive;
const CHILD_EVENT = Bit.child | Bit.persistent;
const ONE_SHOT = Bit.data | Bit.child;

function bitsOf(kind: WatcherType): number {
  switch (kind) {
    case WatcherType.Children:
      return Bit.child;
    case WatcherType.Data:
      return Bit.data;
    case WatcherType.Persistent:
      return Bit.persistent;
    case WatcherType.PersistentRecursive:
      return Bit.recursive;
    case WatcherType.Any:
      return DATA_EVENT | CHILD_EVENT;
  }
}

const count = (bits: number): number => (bits & 1) + ((bits >> 1) & 1) + ((bits >> 2) & 1) + ((bits >> 3) & 1);
