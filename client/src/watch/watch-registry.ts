/**
 * Who watches what, in one session (ZooKeeper's `ZKWatchManager`). Paths are the server's, with the chroot.
 *
 * One-shot watches (`data`, `exist`, `child`) go when an event takes them; persistent ones stay. The same function on the same path
 * is one watch, and one event calls a function once, however many watches it matches. Watches survive the connection, not the session:
 * after a reconnect they are handed to the server with the last zxid that the client has seen, and the server sends what was missed.
 */
import { EventType, type KeeperState, parentOf, type SetWatches2Request, type Zxid } from 'zookeeper-protocol-ts';

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

type Watches = Map<string, Set<Watcher>>;

export class WatchRegistry {
  readonly #watches: Readonly<Record<WatchKind, Watches>> = {
    data: new Map(),
    exist: new Map(),
    child: new Map(),
    persistent: new Map(),
    persistentRecursive: new Map(),
  };

  /** To be called when the answer arrives that says that the server has the watch, not before. */
  add(kind: WatchKind, path: string, watcher: Watcher): void {
    const watches = this.#watches[kind];
    const watchers = watches.get(path);
    if (watchers === undefined) watches.set(path, new Set([watcher]));
    else watchers.add(watcher);
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

  /** Every watcher once, for an event of the connection or the session. None is used up. */
  all(): Watcher[] {
    const all = new Set<Watcher>();
    for (const watches of Object.values(this.#watches)) for (const watchers of watches.values()) addAll(watchers, all);
    return [...all];
  }

  /** The session is over, and its watches with it. */
  clear(): void {
    for (const watches of Object.values(this.#watches)) watches.clear();
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
