/**
 * What consumers get out of a queue, and what becomes of it. A znode may hold several messages, which were put together; it is in hand as
 * a whole, and goes as a whole, when the last of them is settled.
 */

import type { Ownership } from './ownership.ts';
import { RecipeStateError } from './recipe-state.ts';

/** A message of a queue. Each has to be settled, by one of its methods: what isn't counts against `prefetch`. */
export interface QueueMessage<T> {
  readonly value: T;
  /** The znode that it came in. */
  readonly path: string;
  /**
   * With delivery `at-least-once`, what keeps others from it: an ephemeral lock, whose signal fires before anybody else can get it, and whose
   * token is higher each time that it is delivered. `release()` gives it back as it is. Undefined with `at-most-once`: the znode is gone.
   */
  readonly held: Ownership | undefined;
  /**
   * It has been dealt with. Resolves when the znode is gone, deleted together with our lock in one transaction (CURATOR-605); of several
   * messages in one znode, all but the last resolve at once, and if this process crashes before that one, all of them are delivered again.
   * With `at-most-once` there is nothing to do.
   *
   * @throws OwnershipLostError if it wasn't held any more: it is, or will be, delivered again; SessionFailedError or ConnectionLossError if
   *   that is unknown
   */
  ack(): Promise<void>;
  /** Puts it at the end of the queue (of its priority, of its due time), as {@link ack} does and with the same errors. Its znode is another one then. */
  requeue(): Promise<void>;
  /**
   * Moves it to the queue's `errorPath`, as {@link ack} does and with the same errors.
   * @throws RecipeStateError if the queue has none
   */
  reject(): Promise<void>;
}

/** How a message is settled. */
export type Verdict = 'ack' | 'requeue' | 'reject';

/** Of a znode that is settled: the payloads that are to be stored again, and where. */
export interface Settlement {
  readonly requeued: readonly Uint8Array[];
  readonly rejected: readonly Uint8Array[];
}

/** One of the items of a znode, as bytes and as what they mean. */
export interface ReadItem<T> {
  readonly payload: Uint8Array;
  readonly value: T;
}

interface ZnodeInHand<T> {
  readonly path: string;
  readonly items: readonly ReadItem<T>[];
  readonly held: Ownership | undefined;
  readonly hasErrorPath: boolean;
  /** Called when all of them are settled; again if it has failed, and somebody settles again. */
  readonly settle: (settlement: Settlement) => Promise<void>;
}

/** The messages of one znode. */
export function messagesOf<T>({ path, items, held, hasErrorPath, settle }: ZnodeInHand<T>): QueueMessage<T>[] {
  const verdicts = new Map<number, Verdict>();
  let settling: Promise<void> | undefined;

  const payloadsOf = (verdict: Verdict): Uint8Array[] =>
    items.filter((_item, index) => verdicts.get(index) === verdict).map(({ payload }) => payload);

  const decide = async (index: number, verdict: Verdict): Promise<void> => {
    const earlier = verdicts.get(index) ?? verdict;
    if (earlier !== verdict)
      throw new RecipeStateError(`the message was settled by ${earlier} before: ${path}`, { path });
    if (verdict === 'reject' && !hasErrorPath)
      throw new RecipeStateError(`the queue has no errorPath for what is rejected: ${path}`, { path });
    verdicts.set(index, verdict);
    if (verdicts.size < items.length) return;
    settling ??= settle({ requeued: payloadsOf('requeue'), rejected: payloadsOf('reject') });
    try {
      await settling;
    } catch (error) {
      settling = undefined;
      throw error;
    }
  };

  return items.map(({ value }, index) => ({
    value,
    path,
    held,
    ack: () => decide(index, 'ack'),
    requeue: () => decide(index, 'requeue'),
    reject: () => decide(index, 'reject'),
  }));
}
