/**
 * Follows the ensemble: reads its configuration on every new connection and whenever it changes, and tells the ensemble provider
 * (Curator's `EnsembleTracker`), so that a client which knew three servers finds the five that there are a year later.
 *
 * What must always hold: the chroot stays (CURATOR-593), names stay names (CURATOR-638), and a configuration that names nobody
 * changes nothing. There is one watch at a time, and it goes with the session (CURATOR-710).
 */
import debug from 'debug';
import { EventType } from 'zookeeper-protocol-ts';
import type { WatchedEvent } from '../watch/watch-registry.ts';
import type { ZooKeeper } from '../zookeeper.ts';
import { toHostList } from './ensemble-config.ts';
import type { EnsembleProvider } from './ensemble-provider.ts';

const log = debug('zookeeper:framework');

export interface EnsembleTrackerOptions {
  readonly provider: EnsembleProvider;
  /** Called when the provider has been told something new. */
  readonly onChanged: () => void;
}

export class EnsembleTracker {
  readonly #provider: EnsembleProvider;
  readonly #onChanged: () => void;
  /** Whose watch it is: one for each session. */
  #watched: { readonly zk: ZooKeeper; readonly watcher: (event: WatchedEvent) => void } | undefined;

  constructor({ provider, onChanged }: EnsembleTrackerOptions) {
    this.#provider = provider;
    this.#onChanged = onChanged;
  }

  /** To be called on every connection. What fails is tried again on the next one. */
  read(zk: ZooKeeper): void {
    zk.getConfig({ watcher: this.#watcherFor(zk) }).then(
      ({ data }) => this.#onConfig(data.toString()),
      (error) => log('the configuration of the ensemble could not be read: %s', error),
    );
  }

  /** The same function for a session, so that a watch which is still set is not set twice. */
  #watcherFor(zk: ZooKeeper): (event: WatchedEvent) => void {
    if (this.#watched?.zk !== zk) {
      const watcher = (event: WatchedEvent) => {
        if (event.type !== EventType.None && this.#watched?.zk === zk) this.read(zk);
      };
      this.#watched = { zk, watcher };
    }
    return this.#watched.watcher;
  }

  #onConfig(config: string): void {
    const hosts = toHostList(config);
    if (hosts === undefined) return;
    const before = this.#provider.getConnectionString();
    const slash = before.indexOf('/');
    const connectString = slash === -1 ? hosts : hosts + before.slice(slash);
    if (connectString === before) return;
    try {
      this.#provider.setConnectionString(connectString);
      this.#onChanged();
    } catch (error) {
      log('the ensemble names servers that make no connect string: %s', error);
    }
  }
}
