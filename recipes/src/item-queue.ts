/**
 * What all queues of items have in common: where things are, how they are consumed, what becomes of errors. The queues differ in the names
 * that they give, and in the order that they read from them.
 *
 *     <path>/queue-<label><sequence>      persistent: the items
 *     <lockPath>/<name of the item>       ephemeral: who has it in hand, with delivery `at-least-once`
 *     <path>-producers/<uuid>             ephemeral: see `exactly-once.ts`; nobody else has to know of it
 */
import {
  type CuratorFramework,
  EventSource,
  InvalidArgumentError,
  joinPath,
  validatePath,
  ZooKeeperError,
} from 'zookeeper-client-ts';
import { type ErrorEvents, tellError } from './error-events.ts';
import { type ConsumedQueue, QueueConsumer } from './queue-consumer.ts';
import type { Delivery } from './queue-delivery.ts';
import { decodeItems, encodeItems } from './queue-items.ts';
import type { QueueMessage, ReadItem } from './queue-message.ts';
import { type CallbackConsumer, MessageLoop } from './queue-message-loop.ts';
import { ITEM_PREFIX, type QueueOrder } from './queue-names.ts';
import { type PutOptions, QueueProducer } from './queue-producer.ts';
import { RecipeStateError } from './recipe-state.ts';
import { bytes, deserialize, type Serializer } from './serializer.ts';

/** What a queue is like. Those who share a path must agree on the serializer, on the delivery, and on `lockPath`. */
export interface QueueOptions<T> {
  /** What the items are. By default bytes. */
  readonly serializer?: Serializer<T> | undefined;
  /** Whoever puts waits while the queue has so many. By default it has no bound. */
  readonly maxItems?: number | undefined;
  /** Where consumers lock items, with delivery `at-least-once`: `<path>-locks` by default. */
  readonly lockPath?: string | undefined;
  /**
   * Where items go that can't be read, or were rejected: bytes as they are, names as in the queue. Without it those that can't be read stay
   * in the queue, and each consumer passes over them.
   */
  readonly errorPath?: string | undefined;
}

/** How to consume. */
export interface ConsumeOptions {
  /** What happens to a message when its consumer crashes. `at-least-once` by default. */
  readonly delivery?: Delivery | undefined;
  /**
   * How many znodes may be on their way or in hand, and not settled. 1 by default: an item is fetched when the one before is settled. Of many, the
   * next ones are fetched together when half of them have been handed out.
   */
  readonly prefetch?: number | undefined;
  /**
   * Aborting ends the loop with the signal's reason. What was not handed out is given back at once; what was stays with whoever has it, until it
   * is settled.
   */
  readonly signal?: AbortSignal | undefined;
}

/** What becomes of a message whose consumer throws. */
export type ErrorMode = 'requeue' | 'delete' | 'reject';

/** How to consume by callbacks. */
export interface OnMessageOptions extends Omit<ConsumeOptions, 'signal'> {
  /** `requeue` by default, as in Curator; `reject` moves it to `errorPath`. */
  readonly errorMode?: ErrorMode | undefined;
}

/** A child of a queue's path was found that is no item. It is ignored. Reported once. */
export class UnknownItemError extends ZooKeeperError {
  override readonly name = 'UnknownItemError';
  override readonly code = 'UNKNOWN_ITEM';
  readonly children: readonly string[];

  constructor(path: string, children: readonly string[]) {
    super(`${path} has children that are no items of a queue: ${children.join(', ')}`, { path });
    this.children = children;
  }
}

interface QueueKind {
  readonly order: QueueOrder;
  readonly itemsBeforeRefresh?: number | undefined;
}

/** See `DistributedQueue`, which is the plain one. */
export class ItemQueue<T> implements AsyncDisposable {
  readonly path: string;
  readonly lockPath: string;
  readonly errorPath: string | undefined;
  readonly #client: CuratorFramework;
  readonly #serializer: Serializer<T>;
  readonly #producer: QueueProducer;
  readonly #consumed: ConsumedQueue<T>;
  readonly #events = new EventSource<ErrorEvents>();
  readonly #consumers = new Set<QueueConsumer<T>>();
  readonly #loops = new Set<MessageLoop<T>>();
  #strangersReported = false;
  #closed: Promise<void> | undefined;

  protected constructor(client: CuratorFramework, path: string, options: QueueOptions<T>, kind: QueueKind) {
    const { maxItems = Number.POSITIVE_INFINITY, lockPath = `${path}-locks`, errorPath } = options;
    checkPaths({ path, lockPath, errorPath });
    if (!(maxItems === Number.POSITIVE_INFINITY || (Number.isSafeInteger(maxItems) && maxItems > 0)))
      throw new InvalidArgumentError('maxItems', `must be a whole number from 1 on, not ${String(maxItems)}`);
    this.path = path;
    this.lockPath = lockPath;
    this.errorPath = errorPath;
    this.#client = client;
    // Without a serializer T is what it is by default.
    this.#serializer = options.serializer ?? (bytes as Serializer<unknown> as Serializer<T>);
    this.#producer = new QueueProducer(client, path, { maxItems, report: this.#report });
    this.#consumed = {
      ...{ client, path, lockPath, errorPath, report: this.#report },
      order: kind.order,
      itemsBeforeRefresh: kind.itemsBeforeRefresh ?? Number.POSITIVE_INFINITY,
      read: (path, data) => deserialize(this.#items, path, data),
      requeue: (label, data) => this.#producer.put(`${ITEM_PREFIX}${label}`, data),
      reportStrangers: (names) => {
        if (this.#strangersReported) return;
        this.#strangersReported = true;
        this.#report(new UnknownItemError(path, names));
      },
    };
  }

  /**
   * `error`: what no caller hears of. A callback threw; an item can't be read (`DeserializationError`, with its path); there are children that
   * are no items. Without a listener the client's `error` listeners hear it. Returns what removes the listener.
   */
  on<Name extends keyof ErrorEvents>(name: Name, listener: (...args: ErrorEvents[Name]) => void): () => void {
    return this.#events.on(name, listener);
  }

  /**
   * The messages, in their order, as they come: a loop over them never ends by itself. Each loop is a consumer of its own, and begins with its
   * first step. Leaving it gives back what is not settled. It ends with the signal's reason, `ClientClosedError`, or what the servers refuse;
   * closing the queue just ends it.
   */
  consume(options: ConsumeOptions = {}): AsyncIterable<QueueMessage<T>, undefined> {
    return { [Symbol.asyncIterator]: () => this.#newConsumer(options) };
  }

  /**
   * Calls `consumer` for one message after the other, as long as the queue is open: it is settled when the call is over, by `errorMode` if it
   * has thrown. What it throws is an `error` event. Returns what stops that: it resolves when the call that is under way is over, and what was
   * not handed out has been given back.
   */
  onMessage(consumer: CallbackConsumer<T>, options: OnMessageOptions = {}): () => Promise<void> {
    const { errorMode = 'requeue', ...consumeOptions } = options;
    if (!['requeue', 'delete', 'reject'].includes(errorMode))
      throw new InvalidArgumentError('errorMode', `${String(errorMode)} is not requeue, delete or reject`);
    if (errorMode === 'reject' && this.errorPath === undefined)
      throw new InvalidArgumentError('errorMode', 'the queue has no errorPath for what is rejected');
    const loop = new MessageLoop(consumer, {
      ...{ errorMode, clock: this.#client.clock, report: this.#report },
      newConsumer: () => this.#newConsumer(consumeOptions),
      onEnd: () => void this.#loops.delete(loop),
    });
    this.#loops.add(loop.start());
    return () => loop.close();
  }

  /**
   * Resolves when all that was put before is stored; rejects with the first failure among it, or with `signal.reason`. (Curator's tells only
   * whether it has ended in time.)
   */
  flushPuts(options: PutOptions = {}): Promise<void> {
    return this.#producer.flush(options);
  }

  /**
   * Ends the consumers, and gives back what is not settled, when callbacks that are under way are over; refuses puts that have not been sent.
   * Resolves when that is done; without a connection, as soon as nothing is left that could be done without one. May be called again.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** For the queues: stores the values in one znode. @throws as `QueueProducer.put`, and what the serializer throws */
  protected async store(label: string, values: readonly T[], options: PutOptions = {}): Promise<void> {
    const payloads = values.map((value) => this.#serializer.serialize(value));
    await this.#producer.put(`${ITEM_PREFIX}${label}`, encodeItems(payloads), options);
  }

  /** For the queues. */
  protected get report(): (error: unknown) => void {
    return this.#report;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#loops].map((loop) => loop.close()));
    await Promise.all([...this.#consumers].map((consumer) => consumer.return()));
    await this.#producer.close();
  }

  #newConsumer({ delivery = 'at-least-once', prefetch = 1, signal }: ConsumeOptions): QueueConsumer<T> {
    if (delivery !== 'at-least-once' && delivery !== 'at-most-once')
      throw new InvalidArgumentError('delivery', `${String(delivery)} is not at-least-once or at-most-once`);
    if (!(Number.isSafeInteger(prefetch) && prefetch > 0))
      throw new InvalidArgumentError('prefetch', `must be a whole number from 1 on, not ${String(prefetch)}`);
    if (this.#closed !== undefined) throw new RecipeStateError(`the queue ${this.path} is closed`, { path: this.path });
    const consumer = new QueueConsumer(this.#consumed, {
      ...{ delivery, prefetch, signal },
      onEnd: () => void this.#consumers.delete(consumer),
    });
    this.#consumers.add(consumer);
    return consumer;
  }

  /** The items of a znode, each as bytes and as what they mean. */
  readonly #items: Serializer<readonly ReadItem<T>[]> = {
    serialize: (items) => encodeItems(items.map(({ payload }) => payload)),
    deserialize: (data) =>
      decodeItems(data).map((payload) => ({ payload, value: this.#serializer.deserialize(payload) })),
  };

  readonly #report = (error: unknown): void => tellError(this.#events, this.#client, error);
}

/** What is kept in one of them must not turn up in another. */
function checkPaths(paths: Readonly<Record<'path' | 'lockPath', string> & { errorPath: string | undefined }>): void {
  const seen = new Set<string>();
  for (const [argument, path] of Object.entries(paths)) {
    if (path === undefined) continue;
    validatePath(joinPath(path, 'x'));
    if (seen.has(path)) throw new InvalidArgumentError(argument, `${path} is used for something else in this queue`);
    seen.add(path);
  }
}
