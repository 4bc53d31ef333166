/**
 * A queue whose items are due at a time, and not consumed before it, by the wall clock of its client (Curator's `DistributedDelayQueue`,
 * compatible with it on the same path). The earliest comes first; two of the same millisecond come in the order in which they were put.
 *
 * An item that is put again keeps its time. (Curator's requeue drops it: the item then comes before all others.)
 */
import { type CuratorFramework, InvalidArgumentError } from 'zookeeper-client-ts';
import { ItemQueue, type QueueOptions } from './item-queue.ts';
import { byDueTime, delayLabel } from './queue-names.ts';
import type { PutOptions } from './queue-producer.ts';

/** See the file's comment. */
export class DistributedDelayQueue<T = Uint8Array> extends ItemQueue<T> {
  constructor(client: CuratorFramework, path: string, options: QueueOptions<T> = {}) {
    super(client, path, options, { order: byDueTime });
  }

  /**
   * As `DistributedQueue.put`.
   * @param dueAt when it may be consumed: a `Date`, or ms since 1970
   */
  put(value: T, dueAt: Date | number, options: PutOptions = {}): Promise<void> {
    return this.putMulti([value], dueAt, options);
  }

  /** {@link put}, for several that go into one znode, and are taken by one consumer. */
  async putMulti(values: readonly T[], dueAt: Date | number, options: PutOptions = {}): Promise<void> {
    const dueMs = Math.ceil(Number(dueAt));
    if (!(Number.isSafeInteger(dueMs) && dueMs >= 0))
      throw new InvalidArgumentError('dueAt', `${String(dueAt)} is not a time from 1970 on`);
    await this.store(delayLabel(dueMs), values, options);
  }
}
