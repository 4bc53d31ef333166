/**
 * A queue whose items have ids, by which they can be taken out again (Curator's `DistributedIdQueue`, compatible with it on the same
 * path). Several may have the same id; they don't change the order.
 */
import {
  type CuratorFramework,
  InvalidArgumentError,
  joinPath,
  NodeExistsError,
  NoNodeError,
} from 'zookeeper-client-ts';
import { ExactlyOnce, refusedAt } from './exactly-once.ts';
import { ItemQueue, type QueueOptions } from './item-queue.ts';
import { childrenOf } from './line.ts';
import { bySequence, idLabel, readListing } from './queue-names.ts';
import type { PutOptions } from './queue-producer.ts';

/** See the file's comment. `/` and `|` in an id count as `_`. */
export class DistributedIdQueue<T = Uint8Array> extends ItemQueue<T> {
  readonly #client: CuratorFramework;

  constructor(client: CuratorFramework, path: string, options: QueueOptions<T> = {}) {
    super(client, path, options, { order: bySequence });
    this.#client = client;
  }

  /** As `DistributedQueue.put`. */
  put(value: T, id: string, options: PutOptions = {}): Promise<void> {
    return this.putMulti([value], id, options);
  }

  /** {@link put}, for several that go into one znode, and are taken by one consumer. */
  async putMulti(values: readonly T[], id: string, options: PutOptions = {}): Promise<void> {
    await this.store(toLabel(id), values, options);
  }

  /**
   * Deletes the items with that id which nobody has in hand. Resolves to how many there were; rejects with the first failure, when those
   * before it are deleted.
   */
  async remove(id: string): Promise<number> {
    const wanted = toLabel(id);
    const { items } = readListing(await childrenOf(this.#client, this.path), bySequence);
    const once = new ExactlyOnce(this.#client, `${this.path}-producers`, this.report);
    let removed = 0;
    try {
      for (const { name, label } of items) if (label === wanted && (await this.#remove(once, name))) removed++;
    } finally {
      await once.close();
    }
    return removed;
  }

  /** With the lock that consumers make, so that no one has it in hand. */
  async #remove(once: ExactlyOnce, name: string): Promise<boolean> {
    const { op } = this.#client;
    const lock = joinPath(this.lockPath, name);
    for (;;) {
      try {
        await once.transaction([
          op.create(lock, { mode: 'EPHEMERAL', data: '', compressed: false }),
          op.delete(joinPath(this.path, name)),
          op.delete(lock),
        ]);
        return true;
      } catch (error) {
        if (error instanceof NodeExistsError) return false;
        if (!(error instanceof NoNodeError)) throw error;
        // Behind the operation of `once` and the lock: the item is gone.
        if (refusedAt(error) === 2) return false;
        await this.#client.createContainers(this.lockPath);
      }
    }
  }
}

function toLabel(id: string): string {
  if (typeof id !== 'string' || id === '') throw new InvalidArgumentError('id', 'must be a string that is not empty');
  return idLabel(id);
}
