/** What exists, getData and getChildren have in common: they can leave a watch behind. */
import type { Watcher } from '../watch/watch-registry.ts';
import type { OperationScope } from './operation-scope.ts';

/** How to read a znode. */
export interface ReadOptions {
  /**
   * Told once of the next change, and of what happens to the connection (type `None`) until then. The same function given
   * twice for one path and kind of read is called once per event. exists sets the watch also when there is no such znode;
   * getData and getChildren set none when they fail.
   */
  readonly watcher?: Watcher | undefined;
  /** Aborting rejects with the signal's reason. The watch may have been set. */
  readonly signal?: AbortSignal | undefined;
}

/** The options as the session takes them: events for the watcher are translated back into the namespace. */
export const toCallOptions = (scope: OperationScope, { watcher, signal }: ReadOptions): ReadOptions => ({
  signal,
  watcher: watcher && scope.namespace.toServerWatcher(watcher),
});
