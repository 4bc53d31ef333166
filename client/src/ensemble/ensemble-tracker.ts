/**
 * Follows the ensemble: reads its configuration on every new connection and whenever it changes, and tells the ensemble provider
 * (Curator's `EnsembleTracker`), so that a client which knew three servers finds the five that there are a year later.
 *
 * What must always hold: the chroot stays (CURATOR-593), names stay names (CURATOR-638), and a configuration that names nobody
 * changes nothing. There is one watch at a time, and it goes with the session (CURATOR-710).
 */
import { EventType } from 'zookeeper-protocol-ts';
import { describeError, type Logger } from '../logger.ts';
import type { WatchedEvent } from '../watch/watch-registry.ts';
import type { ZooKeeper } from '../zookeeper.ts';
import { toHostList } from './ensemble-config.ts';
import type { EnsembleProvider } from './ensemble-provider.ts';

export interface EnsembleTrackerOptions {
  readonly provider: EnsembleProvider;
  /** Called when the provider has been told something new. */
  readonly onChanged: () => void;
  readonly logger: Logger;
}

export class EnsembleTracker {
  readonly #provider: EnsembleProvider;
  readonly #onChanged: () => void;
  readonly #logger: Logger;
  /** Whose watch it is: one for each session. */
  #watched: { readonly zk: ZooKeeper; readonly watcher: (event: WatchedEvent) => void } | undefined;

  constructor({ provider, onChanged, logger }: EnsembleTrackerOptions) {
    this.#provider = provider;
    this.#onChanged = onChanged;
    this.#logger = logger;
  }

  /** To be called on every connection. What fails is tried again on the next one. */
  read(zk: ZooKeeper): void {
    zk.getConfig({ watcher: this.#watcherFor(zk) }).then(
      ({ data }) => this.#onConfig(data.toString()),
      (error) => this.#logger.debug(`the configuration of the ensemble could not be read: ${describeError(error)}`),
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
      this.#logger.warn(`the ensemble names servers that make no connect string: ${describeError(error)}`);
    }
  }
}
