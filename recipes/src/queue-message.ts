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

export interface ZnodeInHandOptions<T> {
  readonly path: string;
  readonly items: readonly ReadItem<T>[];
  readonly held: Ownership | undefined;
  readonly hasErrorPath: boolean;
  /** Called when all messages are settled; again if it has failed, and somebody settles again. */
  readonly settle: (settlement: Settlement) => Promise<void>;
}

/** A znode, and what was decided on its messages. */
export class ZnodeInHand<T> {
  readonly messages: readonly QueueMessage<T>[];
  readonly #options: ZnodeInHandOptions<T>;
  /** By the place of the message. */
  readonly #verdicts = new Map<number, Verdict>();
  #settling: Promise<void> | undefined;

  constructor(options: ZnodeInHandOptions<T>) {
    const { items, path, held } = options;
    this.#options = options;
    this.messages = items.map(({ value }, index) => ({
      value,
      path,
      held,
      ack: () => this.#decide(index, 'ack'),
      requeue: () => this.#decide(index, 'requeue'),
      reject: () => this.#decide(index, 'reject'),
    }));
  }

  async #decide(index: number, verdict: Verdict): Promise<void> {
    const { items, path, hasErrorPath, settle } = this.#options;
    const earlier = this.#verdicts.get(index) ?? verdict;
    if (earlier !== verdict)
      throw new RecipeStateError(`the message was settled by ${earlier} before: ${path}`, { path });
    if (verdict === 'reject' && !hasErrorPath)
      throw new RecipeStateError(`the queue has no errorPath for what is rejected: ${path}`, { path });
    this.#verdicts.set(index, verdict);
    if (this.#verdicts.size < items.length) return;
    this.#settling ??= settle({ requeued: this.#payloads('requeue'), rejected: this.#payloads('reject') });
    try {
      await this.#settling;
    } catch (error) {
      this.#settling = undefined;
      throw error;
    }
  }

  #payloads(verdict: Verdict): Uint8Array[] {
    const { items } = this.#options;
    return items.filter((_item, index) => this.#verdicts.get(index) === verdict).map(({ payload }) => payload);
  }
}
