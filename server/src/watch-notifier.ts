import { EventType, Permission } from 'zookeeper-protocol-ts';
import type { ServerMetrics } from './admin/metrics.ts';
import type { ClientConnection } from './connection/client-connection.ts';
import type { Change } from './database.ts';
import { isAllowed } from './tree/permissions.ts';
import type { WatchTable } from './watch/watch-table.ts';

/**
 * Tells watchers of what changed, and counts them. A watcher that may not read the znode is told nothing, but its one-shot
 * watch is gone (CVE-2024-23944).
 */
export class WatchNotifier {
  readonly #watches: WatchTable<ClientConnection>;
  readonly #metrics: ServerMetrics;
  /** The change whose watches are being told. */
  #change: Change | undefined;
  /** Watchers that were told of it, of the znode and of its parent's children. 0 between changes. */
  #told = 0;
  #toldOfChildren = 0;

  constructor(watches: WatchTable<ClientConnection>, metrics: ServerMetrics) {
    this.#watches = watches;
    this.#metrics = metrics;
  }

  tell(change: Change): void {
    this.#change = change;
    this.#watches.trigger(change, this.#tellWatcher);
    if (this.#told + this.#toldOfChildren > 0) this.#count(change.type);
  }

  readonly #tellWatcher = (watcher: ClientConnection, type: EventType, path: string): void => {
    if (type === EventType.NodeChildrenChanged) this.#toldOfChildren++;
    else this.#told++;
    const change = this.#change;
    const acl =
      type === EventType.NodeChildrenChanged && change && 'parentAcl' in change ? change.parentAcl : change?.acl;
    if (acl !== undefined && isAllowed(acl, Permission.READ, watcher)) watcher.notify(type, path);
  };

  #count(type: Change['type']): void {
    const { summaries } = this.#metrics;
    if (this.#toldOfChildren > 0) summaries.node_children_watch_count.record(this.#toldOfChildren);
    if (this.#told > 0) {
      if (type === EventType.NodeCreated) summaries.node_created_watch_count.record(this.#told);
      else if (type === EventType.NodeDeleted) summaries.node_deleted_watch_count.record(this.#told);
      else summaries.node_changed_watch_count.record(this.#told);
    }
    this.#told = 0;
    this.#toldOfChildren = 0;
  }
}
