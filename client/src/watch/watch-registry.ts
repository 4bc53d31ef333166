/**
 * Who watches what, in one session (ZooKeeper's `ZKWatchManager`). Paths are the server's, with the chroot.
 *
 * One-shot watches (`data`, `exist`, `child`) go when an event takes them; persistent ones stay. The same function on the same path
 * is one watch, and one event calls a function once, however many watches it matches. Watches survive the connection, not the session:
 * after a reconnect they are handed to the server with the last zxid that the client has seen, and the server sends what was missed.
 *
 * Servers up to 3.8 keep one mode for each connection and path, the one that was asked for last. So that no watch weakens another,
 * nothing weaker is asked for where something stronger is in place: see `covers` and `modeFor`.
 */
import {
  AddWatchMode,
  EventType,
  type KeeperState,
  parentOf,
  type SetWatches2Request,
  WatcherType,
  type Zxid,
} from 'zookeeper-protocol-ts';

/** What a watcher is told. */
export interface WatchedEvent {
  /** `None` for a change of the connection or the session. */
  readonly type: EventType;
  /** The state of the connection, when the event came. */
  readonly state: KeeperState;
  /** The znode; empty for type `None`. */
  readonly path: string;
}

/**
 * Called once for the event that it waits for (ZooKeeper's `Watcher`), and before that for every change of the connection or
 * the session: type `None`, which doesn't consume the watch. So look at `type` first.
 */
export type Watcher = (event: WatchedEvent) => void;

/**
 * `data`: getData, and exists on a znode that exists. `exist`: exists on one that doesn't. `child`: getChildren. `persistent`
 * and `persistentRecursive`: addWatch.
 */
export type WatchKind = 'data' | 'exist' | 'child' | 'persistent' | 'persistentRecursive';

/** What one setWatches request may take, as in the Java client: the server's limit of a frame is far above it. */
export const SET_WATCHES_BYTES_MAX = 128 * 1024;

type PersistentKind = 'persistent' | 'persistentRecursive';

type Watches = Map<string, Set<Watcher>>;

/** What became of a removal. */
export interface RemovedWatches {
  /** By the event that tells them. Empty if nothing matched. */
  readonly removed: readonly { readonly type: EventType; readonly watchers: readonly Watcher[] }[];
  readonly unneeded: WatcherType | undefined;
}

const KINDS_OF_TYPE: Readonly<Record<WatcherType, readonly WatchKind[]>> = {
  [WatcherType.Children]: ['child'],
  [WatcherType.Data]: ['data', 'exist'],
  [WatcherType.Any]: ['data', 'exist', 'child', 'persistent', 'persistentRecursive'],
  [WatcherType.Persistent]: ['persistent'],
  [WatcherType.PersistentRecursive]: ['persistentRecursive'],
};

const REMOVED_EVENTS: Readonly<Record<WatchKind, EventType>> = {
  data: EventType.DataWatchRemoved,
  exist: EventType.DataWatchRemoved,
  child: EventType.ChildWatchRemoved,
  persistent: EventType.PersistentWatchRemoved,
  persistentRecursive: EventType.PersistentWatchRemoved,
};

export class WatchRegistry {
  readonly #watches: Readonly<Record<WatchKind, Watches>> = {
    data: new Map(),
    exist: new Map(),
    child: new Map(),
    persistent: new Map(),
    persistentRecursive: new Map(),
  };

  /** Persistent watches that the server is being asked for: it may have them before this side knows. */
  readonly #asked: Readonly<Record<PersistentKind, Map<string, number>>> = {
    persistent: new Map(),
    persistentRecursive: new Map(),
  };

  /**
   * Where the server's watch has been made a recursive one, which it stays for as long as there is any persistent watch at the path.
   * (After a reconnect it may be less: then the server tells by itself what it is here made to stand for.)
   */
  readonly #madeRecursive = new Set<string>();

  /** To be called when the answer arrives that says that the server has the watch, not before. */
  add(kind: WatchKind, path: string, watcher: Watcher): void {
    const watches = this.#watches[kind];
    const watchers = watches.get(path);
    if (watchers === undefined) watches.set(path, new Set([watcher]));
    else watchers.add(watcher);
  }

  /** To be called when a persistent watch is asked for. Returns what is to be called when that is over, whatever came of it. */
  beginAsking(kind: PersistentKind, path: string): () => void {
    const asked = this.#asked[kind];
    asked.set(path, (asked.get(path) ?? 0) + 1);
    return () => {
      const left = (asked.get(path) ?? 0) - 1;
      if (left > 0) asked.set(path, left);
      else asked.delete(path);
    };
  }

  /** To be called when the server has answered a request in that mode. */
  noteMode(path: string, mode: AddWatchMode): void {
    if (mode === AddWatchMode.PERSISTENT_RECURSIVE) this.#madeRecursive.add(path);
  }

  /** Whether a persistent watch at the path brings what a one-shot watch waits for, so that the server need not be asked for that. */
  covers(kind: 'data' | 'child', path: string): boolean {
    return this.#hasOrAsks('persistent', path) || (kind === 'data' && this.#hasOrAsks('persistentRecursive', path));
  }

  /** What to ask the server for, so that a recursive watch at the path stays one. */
  modeFor(path: string, recursive: boolean): AddWatchMode {
    const isRecursive = recursive || this.#hasOrAsks('persistentRecursive', path);
    return isRecursive ? AddWatchMode.PERSISTENT_RECURSIVE : AddWatchMode.PERSISTENT;
  }

  #hasOrAsks(kind: PersistentKind, path: string): boolean {
    return this.#watches[kind].has(path) || this.#asked[kind].has(path);
  }

  /**
   * The path whose list of children an event changes, where a recursive watch may keep the server from saying so. A server that
   * keeps several modes says it as well; a persistent watcher is then told twice.
   */
  unspokenChildrenChange(type: EventType, path: string): string | undefined {
    if ((type !== EventType.NodeCreated && type !== EventType.NodeDeleted) || path === '/') return undefined;
    const parent = parentOf(path);
    return this.#madeRecursive.has(parent) ? parent : undefined;
  }

  /** Whom an event on a znode concerns, each once. One-shot watches that it matches are used up. */
  take(type: EventType, path: string): Watcher[] {
    const { data, exist, child, persistent, persistentRecursive } = this.#watches;
    const taken = new Set<Watcher>();
    switch (type) {
      case EventType.NodeCreated:
      case EventType.NodeDataChanged:
        takeFrom(data, path, taken);
        takeFrom(exist, path, taken);
        break;
      case EventType.NodeDeleted:
        takeFrom(data, path, taken);
        // The server knows no difference between the two: an exist watch may have seen the znode come and go.
        takeFrom(exist, path, taken);
        takeFrom(child, path, taken);
        break;
      case EventType.NodeChildrenChanged:
        takeFrom(child, path, taken);
        break;
      default:
        return [];
    }
    addAll(persistent.get(path), taken);
    // A recursive watch learns of children from their own events.
    if (type !== EventType.NodeChildrenChanged) {
      for (const at of pathAndAncestors(path)) addAll(persistentRecursive.get(at), taken);
    }
    return [...taken];
  }

  /**
   * Takes out the watches of a path that match, whether or not the server still has them; without a watcher, everybody's. What it
   * returns is whom to tell, and what the server may forget about this path: undefined where it needs all that it has.
   */
  remove(path: string, type: WatcherType, watcher?: Watcher): RemovedWatches {
    const removed: RemovedWatches['removed'][number][] = [];
    for (const kind of KINDS_OF_TYPE[type]) {
      const watchers = this.#watches[kind].get(path);
      if (watchers === undefined) continue;
      const leaving = watcher === undefined ? [...watchers] : [watcher].filter((each) => watchers.has(each));
      for (const each of leaving) watchers.delete(each);
      if (watchers.size === 0) this.#watches[kind].delete(path);
      if (leaving.length > 0) removed.push({ type: REMOVED_EVENTS[kind], watchers: leaving });
    }
    return { removed, unneeded: this.#unneeded(path) };
  }

  /** The server keeps one table for data and one for children; persistent watches are in both. */
  #unneeded(path: string): RemovedWatches['unneeded'] {
    const isWatched = (...kinds: WatchKind[]) => kinds.some((kind) => this.#watches[kind].has(path));
    if (isWatched('persistent', 'persistentRecursive')) return undefined;
    this.#madeRecursive.delete(path);
    const needsData = isWatched('data', 'exist');
    const needsChildren = isWatched('child');
    if (needsData && needsChildren) return undefined;
    if (needsData) return WatcherType.Children;
    return needsChildren ? WatcherType.Data : WatcherType.Any;
  }

  /** Every watcher once, for an event of the connection or the session. None is used up. */
  all(): Watcher[] {
    const all = new Set<Watcher>();
    for (const watches of Object.values(this.#watches)) for (const watchers of watches.values()) addAll(watchers, all);
    return [...all];
  }

  /** The session is over, and its watches with it. */
  clear(): void {
    for (const watches of Object.values(this.#watches)) watches.clear();
    this.#madeRecursive.clear();
  }

  /**
   * All watches as the requests that restore them on another connection, each below {@link SET_WATCHES_BYTES_MAX} unless a single
   * path is longer. Empty if nothing is watched.
   */
  toRequests(relativeZxid: Zxid): SetWatches2Request[] {
    const requests: SetWatches2Request[] = [];
    let batch = emptyBatch();
    let bytes = 0;
    for (const kind of Object.keys(this.#watches) as WatchKind[]) {
      for (const path of this.#watches[kind].keys()) {
        const pathBytes = 4 + Buffer.byteLength(path);
        if (bytes > 0 && bytes + pathBytes >= BATCH_PATHS_BYTES_MAX) {
          requests.push(toRequest(batch, relativeZxid));
          batch = emptyBatch();
          bytes = 0;
        }
        batch[kind].push(path);
        bytes += pathBytes;
      }
    }
    if (bytes > 0) requests.push(toRequest(batch, relativeZxid));
    return requests;
  }
}

/** The paths' share of a request: the rest is the header (8), the zxid (8) and five counts. */
const BATCH_PATHS_BYTES_MAX = SET_WATCHES_BYTES_MAX - 8 - 8 - 5 * 4;

type Batch = Record<WatchKind, string[]>;

const emptyBatch = (): Batch => ({ data: [], exist: [], child: [], persistent: [], persistentRecursive: [] });

const toRequest = (batch: Batch, relativeZxid: Zxid): SetWatches2Request => ({
  relativeZxid,
  dataWatches: batch.data,
  existWatches: batch.exist,
  childWatches: batch.child,
  persistentWatches: batch.persistent,
  persistentRecursiveWatches: batch.persistentRecursive,
});

function takeFrom(watches: Watches, path: string, into: Set<Watcher>): void {
  addAll(watches.get(path), into);
  watches.delete(path);
}

function addAll(watchers: ReadonlySet<Watcher> | undefined, into: Set<Watcher>): void {
  if (watchers !== undefined) for (const watcher of watchers) into.add(watcher);
}

function* pathAndAncestors(path: string): Generator<string> {
  yield path;
  for (let at = path; at !== '/'; ) {
    at = parentOf(at);
    yield at;
  }
}
