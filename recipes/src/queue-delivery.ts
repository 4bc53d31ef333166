/** Two ways to get an item out of a queue, for `QueueConsumer`: what they are given, and what may come of it. */
import { type CuratorFramework, joinPath, type SessionId, type TransactionOp } from 'zookeeper-client-ts';
import type { Ownership } from './ownership.ts';
import { encodeItems } from './queue-items.ts';
import type { ReadItem, Settlement } from './queue-message.ts';
import { ITEM_PREFIX, type ItemName } from './queue-names.ts';

/**
 * - `at-least-once`: an item is locked, delivered, and deleted when it is acknowledged. Whoever crashes in between, or loses the session,
 *   leaves it to others, who get it again.
 * - `at-most-once`: an item is deleted, then delivered. Nobody gets it twice; what a consumer that crashes had in hand is lost.
 */
export type Delivery = 'at-least-once' | 'at-most-once';

/** One consumer, in one session. */
export interface DeliveryScope<T> {
  /** For `at-least-once`, bound to the session. */
  readonly client: CuratorFramework;
  readonly sessionId: SessionId;
  readonly path: string;
  readonly lockPath: string;
  readonly errorPath: string | undefined;
  /** @throws DeserializationError */
  readonly read: (path: string, data: Uint8Array) => readonly ReadItem<T>[];
  /** Puts something into the queue again. */
  readonly requeue: (label: string, data: Uint8Array) => Promise<void>;
  readonly report: (error: unknown) => void;
  /** An item that we had in hand is in hand no more. */
  readonly onLeft: (name: string) => void;
}

/** It is ours. */
export interface TakenItem<T> {
  readonly kind: 'taken';
  readonly path: string;
  readonly items: readonly ReadItem<T>[];
  readonly held: Ownership | undefined;
  readonly settle: (settlement: Settlement) => Promise<void>;
}

/** What came of the wish to have an item. */
export type Taken<T> =
  | TakenItem<T>
  /** Somebody has had it. */
  | { readonly kind: 'gone' }
  /** Somebody else has it in hand. `onFreed` calls back once that may have changed, perhaps at once. */
  | { readonly kind: 'locked'; readonly onFreed: (run: () => void) => void }
  /** It can't be read, was reported, and stays where it is. */
  | { readonly kind: 'unusable' };

/** Gets items, and sees to their end. */
export interface ItemTaker<T> {
  /** Rejects with what waiting may cure, and with SessionFailedError. */
  take(item: ItemName): Promise<Taken<T>>;
  close(): void;
}

/** Stores again what a settlement leaves of an item. */
export function storeAgain(
  { client, path, errorPath }: Pick<DeliveryScope<unknown>, 'client' | 'path' | 'errorPath'>,
  { label }: ItemName,
  { requeued, rejected }: Settlement,
): TransactionOp[] {
  return [
    ...(requeued.length > 0 ? [storeItem(client, path, { label, data: encodeItems(requeued) })] : []),
    ...(rejected.length > 0 && errorPath !== undefined
      ? [storeItem(client, errorPath, { label, data: encodeItems(rejected) })]
      : []),
  ];
}

/** At the end of a queue, under the name that it had without its number (CURATOR-56, 224). */
export const storeItem = (
  { op }: CuratorFramework,
  path: string,
  { label, data }: { readonly label: string; readonly data: Uint8Array },
): TransactionOp => op.create(joinPath(path, `${ITEM_PREFIX}${label}`), { mode: 'PERSISTENT_SEQUENTIAL', data });
