/**
 * A queue whose items have priorities: lower numbers come first, and of equal ones those that were put first (Curator's
 * `DistributedPriorityQueue`, compatible with it on the same path).
 *
 * An item that is put again keeps its priority. (Curator's requeue loses it: the item then comes before all others that aren't
 * negative.)
 */
import { type CuratorFramework, InvalidArgumentError } from 'zookeeper-client-ts';
import { ItemQueue, type QueueOptions } from './item-queue.ts';
import { byName, priorityLabel } from './queue-names.ts';
import type { PutOptions } from './queue-producer.ts';

/** What a queue with priorities is like. */
export interface PriorityQueueOptions<T> extends QueueOptions<T> {
  /**
   * How many items a consumer takes before it looks whether there are more urgent ones: 16 by default. What it has taken, up to its `prefetch`,
   * comes first in any case.
   */
  readonly minItemsBeforeRefresh?: number | undefined;
}

/** See the file's comment. */
export class DistributedPriorityQueue<T = Uint8Array> extends ItemQueue<T> {
  constructor(client: CuratorFramework, path: string, options: PriorityQueueOptions<T> = {}) {
    const { minItemsBeforeRefresh = 16 } = options;
    if (!(Number.isSafeInteger(minItemsBeforeRefresh) && minItemsBeforeRefresh >= 0))
      throw new InvalidArgumentError(
        'minItemsBeforeRefresh',
        `${String(minItemsBeforeRefresh)} is not a whole number from 0 on`,
      );
    super(client, path, options, { order: byName, itemsBeforeRefresh: Math.max(minItemsBeforeRefresh, 1) });
  }

  /**
   * As `DistributedQueue.put`.
   * @param priority a 32-bit integer; lower ones come first
   */
  put(value: T, priority: number, options: PutOptions = {}): Promise<void> {
    return this.putMulti([value], priority, options);
  }

  /** {@link put}, for several that go into one znode, and are taken by one consumer. */
  async putMulti(values: readonly T[], priority: number, options: PutOptions = {}): Promise<void> {
    if ((priority | 0) !== priority)
      throw new InvalidArgumentError('priority', `${String(priority)} is not a 32-bit integer`);
    await this.store(priorityLabel(priority), values, options);
  }
}
