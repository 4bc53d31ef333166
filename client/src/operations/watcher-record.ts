/**
 * The one-shot watches that a view of a client has left and that have not fired (Curator's `WatcherRemovalManager`), so that
 * whoever made the view can take them away when it is done: a watch that nobody waits for costs the server memory until it
 * fires, which may be never.
 */
import { EventType, KeeperState, WatcherType } from 'zookeeper-protocol-ts';
import type { WatchedEvent, Watcher } from '../watch/watch-registry.ts';

/** One watch: who waits for what, where. The path is the server's, the watcher what the session was given. */
export interface LeftWatch {
  readonly path: string;
  readonly type: typeof WatcherType.Data | typeof WatcherType.Children;
  readonly watcher: Watcher;
}

export class WatcherRecord {
  /** Watcher → what it waits for. No longer than what the view watches. */
  readonly #left = new Map<Watcher, LeftWatch[]>();
  readonly #recorded = new WeakMap<Watcher, Watcher>();

  /** A watcher that takes note of what it hears; the same one each time, so that two watches of one function stay one. */
  toRecorded(watcher: Watcher): Watcher {
    const known = this.#recorded.get(watcher);
    if (known !== undefined) return known;
    const recorded: Watcher = (event) => {
      this.#forget(recorded, event);
      watcher(event);
    };
    this.#recorded.set(watcher, recorded);
    return recorded;
  }

  /** To be called when the server has the watch, before its event can come. */
  add(watch: LeftWatch): void {
    const left = this.#left.get(watch.watcher) ?? [];
    if (left.some(({ path, type }) => path === watch.path && type === watch.type)) return;
    this.#left.set(watch.watcher, [...left, watch]);
  }

  /** All of them, and forgets them. */
  take(): LeftWatch[] {
    const left = [...this.#left.values()].flat();
    this.#left.clear();
    return left;
  }

  #forget(watcher: Watcher, event: WatchedEvent): void {
    const left = (this.#left.get(watcher) ?? []).filter((watch) => !isUsedUp(watch, event));
    if (left.length === 0) this.#left.delete(watcher);
    else this.#left.set(watcher, left);
  }
}

/** Whether the event was the last that the watch hears. */
function isUsedUp({ path, type }: LeftWatch, event: WatchedEvent): boolean {
  switch (event.type) {
    case EventType.None:
      // The session is over, and its watches with it.
      return (
        event.state === KeeperState.Expired ||
        event.state === KeeperState.Closed ||
        event.state === KeeperState.AuthFailed
      );
    case EventType.NodeDeleted:
      return path === event.path;
    case EventType.NodeChildrenChanged:
    case EventType.ChildWatchRemoved:
      return path === event.path && type === WatcherType.Children;
    default:
      return path === event.path && type === WatcherType.Data;
  }
}
