/**
 * A gate that all wait at until somebody opens it (Curator's `DistributedBarrier`, compatible with it, and with kazoo's `Barrier`, on the
 * same path). It is closed while there is a znode.
 */
import { type CuratorFramework, NodeExistsError, NoNodeError } from 'zookeeper-client-ts';
import type { AcquireOptions } from './acquire-timeout.ts';
import { waitAtBarrier } from './barrier-wait.ts';

/**
 * ```ts
 * const barrier = new DistributedBarrier(client, '/barriers/migration');
 * await barrier.setBarrier();
 * // elsewhere
 * await barrier.waitOnBarrier({ timeoutMs: 60_000 });
 * ```
 */
export class DistributedBarrier {
  readonly path: string;
  readonly #client: CuratorFramework;

  constructor(client: CuratorFramework, path: string) {
    this.#client = client;
    this.path = path;
  }

  /** Closes it. Nothing happens if it is closed. */
  async setBarrier({ signal }: Pick<AcquireOptions, 'signal'> = {}): Promise<void> {
    try {
      await this.#client.create(this.path, { containers: true, signal });
    } catch (error) {
      if (!(error instanceof NodeExistsError)) throw error;
    }
  }

  /** Opens it. Nothing happens if it is open. */
  async removeBarrier({ signal }: Pick<AcquireOptions, 'signal'> = {}): Promise<void> {
    await this.#client.delete(this.path, { quietly: true, signal });
  }

  /**
   * Resolves as soon as it is seen open. Waits for the client to be started and connected, and over lost connections and sessions. (Curator
   * resolves to false when the time is up: here nobody passes by forgetting to look.)
   * @throws AcquireTimeoutError, ClientClosedError, and what the server refuses
   */
  waitOnBarrier(options: AcquireOptions = {}): Promise<void> {
    const { path } = this;
    const report = (error: unknown) => this.#client.reportError(error);
    return waitAtBarrier({ client: this.#client, path, report }, options, async ({ signal, watcherFor }) => {
      try {
        // By getData, which leaves no watch where there is no znode.
        await this.#client.getData(path, { watcher: watcherFor(path), signal, decompressed: false });
        return 'wait';
      } catch (error) {
        if (error instanceof NoNodeError) return 'pass';
        throw error;
      }
    });
  }
}
