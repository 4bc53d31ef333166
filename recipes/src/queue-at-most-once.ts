/**
 * Delivery `at-most-once` (Curator's queues without a `lockPath`, compatible with them on the same path): an item is read, then deleted,
 * and then delivered to whoever deleted it.
 *
 * What must always hold:
 * - Nobody delivers what somebody else may have deleted. So if the answer to the deletion is lost, and the item is gone afterwards, it is
 *   not delivered, and that is reported.
 * - What can't be read is not deleted: it goes to `errorPath`, or stays. (Curator's consumer deletes it.)
 */
import { BadVersionError, ConnectionLossError, joinPath, NoNodeError } from 'zookeeper-client-ts';
import { refusedAt } from './exactly-once.ts';
import { JointTransactions } from './joint-transactions.ts';
import { type DeliveryScope, type ItemTaker, storeItem, type Taken } from './queue-delivery.ts';
import { encodeItems } from './queue-items.ts';
import type { ReadItem, Settlement } from './queue-message.ts';
import { ITEM_PREFIX, type ItemName } from './queue-names.ts';

export class AtMostOnce<T> implements ItemTaker<T> {
  readonly #scope: DeliveryScope<T>;
  readonly #deleting: JointTransactions;
  readonly #stopListening: () => void;
  /** How often the connection has changed: an answer may have been lost if it did. */
  #changes = 0;

  constructor(scope: DeliveryScope<T>) {
    this.#scope = scope;
    this.#deleting = new JointTransactions(scope.client);
    this.#stopListening = scope.client.on('state', () => this.#changes++);
  }

  async take(item: ItemName): Promise<Taken<T>> {
    const { client, read, report, errorPath } = this.#scope;
    const path = joinPath(this.#scope.path, item.name);
    try {
      const { data, stat } = await client.getData(path);
      let items: readonly ReadItem<T>[];
      try {
        items = read(path, data);
      } catch (error) {
        report(error);
        if (errorPath === undefined) return { kind: 'unusable' };
        await this.#moveAway(path, { errorPath, label: item.label, data, version: stat.version });
        return { kind: 'gone' };
      }
      if (!(await this.#delete(path, stat.version))) return { kind: 'gone' };
      const settle = (settlement: Settlement) => this.#storeAgain(item, settlement);
      return { kind: 'taken', path, items, held: undefined, settle };
    } catch (error) {
      if (error instanceof NoNodeError) return { kind: 'gone' };
      // Somebody has written to it in between.
      if (error instanceof BadVersionError) return this.take(item);
      throw error;
    }
  }

  close(): void {
    this.#stopListening();
  }

  /** Whether we have deleted it. */
  async #delete(path: string, version: number): Promise<boolean> {
    const changes = this.#changes;
    try {
      await this.#deleting.transaction([this.#scope.client.op.delete(path, { version })]);
      return true;
    } catch (error) {
      if (!(error instanceof NoNodeError)) throw error;
      if (changes !== this.#changes) {
        const details = { path, cause: error };
        this.#scope.report(new ConnectionLossError(`not delivered, for somebody else may have it: ${path}`, details));
      }
      return false;
    }
  }

  async #moveAway(
    path: string,
    { errorPath, version, ...item }: { errorPath: string; label: string; data: Uint8Array; version: number },
  ): Promise<void> {
    const { client } = this.#scope;
    for (;;) {
      try {
        await client.transaction([client.op.delete(path, { version }), storeItem(client, errorPath, item)]);
        return;
      } catch (error) {
        if (!(error instanceof NoNodeError) || refusedAt(error) === 0) throw error;
        await client.createContainers(errorPath);
      }
    }
  }

  /** Its znode is gone: another one is made. */
  async #storeAgain({ label }: ItemName, { requeued, rejected }: Settlement): Promise<void> {
    const { client, requeue, errorPath } = this.#scope;
    if (requeued.length > 0) await requeue(label, encodeItems(requeued));
    if (rejected.length > 0 && errorPath !== undefined) {
      const path = joinPath(errorPath, `${ITEM_PREFIX}${label}`);
      await client.create(path, { mode: 'PERSISTENT_SEQUENTIAL', data: encodeItems(rejected), containers: true });
    }
  }
}
