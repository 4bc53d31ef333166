/**
 * A queue: what is put goes to one of those who consume, in the order in which the servers got it (Curator's `DistributedQueue`,
 * compatible with it on the same path).
 *
 * ZooKeeper keeps all of it in memory and writes all of it to a log: a queue is for thousands of small items, not for millions or large
 * ones: the servers refuse requests of 1 MiB.
 */
import type { CuratorFramework } from 'zookeeper-client-ts';
import { ItemQueue, type QueueOptions } from './item-queue.ts';
import { byName } from './queue-names.ts';
import type { PutOptions } from './queue-producer.ts';

/**
 * ```ts
 * await using jobs = new DistributedQueue(client, '/queues/jobs', { serializer: json<Job>() });
 * await jobs.put(job);
 * for await (const message of jobs.consume({ signal, prefetch: 32 })) {
 *   await handle(message.value);
 *   await message.ack();
 * }
 * ```
 */
export class DistributedQueue<T = Uint8Array> extends ItemQueue<T> {
  constructor(client: CuratorFramework, path: string, options: QueueOptions<T> = {}) {
    super(client, path, options, { order: byName });
  }

  /**
   * Resolves when it is stored; waits while the queue is full. Puts that don't wait for each other share a transaction, and keep their order.
   * @throws RecipeStateError if the queue is closed, or closed first; ConnectionLossError if nobody can say whether it is stored; what the
   *   serializer throws, and what the servers refuse
   */
  put(value: T, options: PutOptions = {}): Promise<void> {
    return this.store('', [value], options);
  }

  /** {@link put}, for several that go into one znode, and are taken by one consumer. */
  putMulti(values: readonly T[], options: PutOptions = {}): Promise<void> {
    return this.store('', values, options);
  }
}
