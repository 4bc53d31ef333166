/**
 * One who consumes a queue: keeps a list of what is there, has up to `prefetch` items on their way, and hands them out in their order.
 *
 * What must always hold:
 * - The children are listed when the known ones are used up and a watch says that there are others, not for each item. The watch is set by
 *   the list itself, and everything is listed again after an outage and in another session (CURATOR-623).
 * - Items are handed out in the order of the list. One that somebody else has in hand is passed over, and looked at again when it is free.
 * - What is in hand and has not been settled is at most `prefetch` znodes. When so many are, no others are asked for until half of them have been
 *   handed out: those that are asked for in one turn cost the servers one transaction.
 * - With delivery `at-least-once`, nothing is handed out whose lock is in doubt. Whatever ends a consumer, what it has not handed out is
 *   given back.
 */
import {
  ClientClosedError,
  type CuratorFramework,
  DataInconsistencyError,
  FrameTooLargeError,
  isRetryable,
  NoNodeError,
  NotReadOnlyError,
  onAbort,
  SessionFailedError,
  type SessionScope,
} from 'zookeeper-client-ts';
import { removeChildWatch } from './child-watch.ts';
import { doneUnlessOffline } from './closing.ts';
import type { Ownership } from './ownership.ts';
import { AtLeastOnce } from './queue-at-least-once.ts';
import { AtMostOnce } from './queue-at-most-once.ts';
import type { Delivery, DeliveryScope, ItemTaker, Taken, TakenItem } from './queue-delivery.ts';
import { type QueueMessage, ZnodeInHand } from './queue-message.ts';
import { type ItemName, type QueueOrder, readListing } from './queue-names.ts';
import { WakeUp } from './wake-up.ts';

/** A queue, as its consumers know it. */
export interface ConsumedQueue<T>
  extends Pick<DeliveryScope<T>, 'path' | 'lockPath' | 'errorPath' | 'read' | 'requeue' | 'report'> {
  readonly client: CuratorFramework;
  readonly order: QueueOrder;
  /** After so many items the children are listed again, if there are others. */
  readonly itemsBeforeRefresh: number;
  readonly reportStrangers: (names: readonly string[]) => void;
}

export interface ConsumerOptions {
  readonly delivery: Delivery;
  readonly prefetch: number;
  readonly signal?: AbortSignal | undefined;
  /** Called when it has ended, and nothing is in hand. */
  readonly onEnd: () => void;
}

/** How long to wait before looking again when nothing is certain to wake us. */
const PAUSE_MS = 1_000;
/** Timers wait no longer than this. */
const WAIT_MS_MAX = 3_600_000;

/** An item that we want, or have. */
interface Slot<T> {
  readonly item: ItemName;
  /** What keeps others from it, if anything does. */
  held: Ownership | undefined;
  /** Not handed out yet. Undefined until the servers have said what comes of it. */
  messages: QueueMessage<T>[] | undefined;
}

interface Waiter<T> {
  readonly resolve: (result: IteratorResult<QueueMessage<T>, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/** How it has ended: by its user, or by what can't be cured. */
type End = { readonly kind: 'closed' } | { readonly kind: 'failed'; readonly error: unknown };

/** Begins with the first call of `next`. */
export class QueueConsumer<T> implements AsyncIterator<QueueMessage<T>, undefined> {
  readonly #queue: ConsumedQueue<T>;
  readonly #options: ConsumerOptions;
  readonly #wakeUp: WakeUp;
  readonly #ending = new AbortController();
  #end: End | undefined;
  #stopListening: (() => void)[] = [];
  /** What `return` waits for. None of it rejects. */
  readonly #work = new Set<Promise<void>>();
  #isStarted = false;
  /** Listed, and nothing done with them yet; the next one last. */
  #backlog: ItemName[] = [];
  #isListDue = true;
  #takenSinceList = 0;
  /** By name, from when we want it until it is settled or turns out to be somebody else's. Of the present session. */
  #inHand = new Map<string, Slot<T>>();
  /** Names of items that others have in hand. */
  readonly #locked = new Set<string>();
  /** Names of items that can't be had, and were reported. */
  readonly #unusable = new Set<string>();
  /** From when half of what we may have in hand was handed out, until all hands are full. */
  #isFilling = true;
  /** Wanted or there, and not handed out, in their order. */
  readonly #line: Slot<T>[] = [];
  readonly #waiters: Waiter<T>[] = [];

  constructor(queue: ConsumedQueue<T>, options: ConsumerOptions) {
    this.#queue = queue;
    this.#options = options;
    this.#wakeUp = new WakeUp(queue.client.clock);
  }

  /** Rejects, once, with the signal's reason, with ClientClosedError, or with what the servers refuse. Then it is done. */
  next(): Promise<IteratorResult<QueueMessage<T>, undefined>> {
    this.#start();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.#handOut();
    });
  }

  /** Ends it, and gives back all that is not settled. Resolves when that is done; without a connection at once. */
  async return(): Promise<IteratorReturnResult<undefined>> {
    this.stop();
    for (const { held } of this.#inHand.values()) this.#release(held);
    const done = async () => {
      while (this.#work.size > 0) await Promise.all(this.#work);
    };
    await doneUnlessOffline(this.#queue.client, done());
    return { done: true, value: undefined };
  }

  /** Ends it. What was handed out stays with those who have it, until it is settled. */
  stop(): void {
    this.#finish({ kind: 'closed' });
  }

  #start(): void {
    if (this.#isStarted || this.#end !== undefined) return;
    this.#isStarted = true;
    const { client } = this.#queue;
    const { signal } = this.#options;
    if (signal?.aborted) return this.#finish({ kind: 'failed', error: signal.reason });
    this.#stopListening = [
      client.on('state', this.#listSoon),
      client.on('lifecycle', this.#listSoon),
      ...(signal ? [onAbort(signal, () => this.#finish({ kind: 'failed', error: signal.reason }))] : []),
    ];
    this.#track(this.#run());
  }

  #finish(end: End): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    for (const stop of this.#stopListening) stop();
    this.#ending.abort(new ClientClosedError(`nothing is consumed any more: ${this.#queue.path}`));
    for (const slot of this.#line.splice(0)) this.#giveBack(slot);
    this.#wakeUp.call();
    this.#handOut();
    this.#tellIfOver();
  }

  // Looking for items.

  /** Never rejects. */
  async #run(): Promise<void> {
    const { client } = this.#queue;
    while (this.#end === undefined) {
      this.#wakeUp.clear();
      try {
        if (client.lifecycle === 'LATENT') await this.#wakeUp.sleep();
        else await client.withSession((scope) => this.#consumeIn(scope), { mode: 'FAIL', signal: this.#ending.signal });
      } catch (error) {
        if (error instanceof SessionFailedError || this.#end !== undefined) continue;
        if (!isRetryable(error) && !(error instanceof NotReadOnlyError)) this.#finish({ kind: 'failed', error });
        else await this.#wakeUp.sleep({ timeoutMs: PAUSE_MS });
      }
    }
    const { path, report } = this.#queue;
    await removeChildWatch(client, path, { watcher: this.#listSoon, report });
  }

  async #consumeIn(session: SessionScope<CuratorFramework>): Promise<void> {
    const { client, signal } = session;
    this.#inHand = new Map();
    this.#locked.clear();
    this.#isListDue = true;
    const taker = this.#takerIn(session, this.#inHand);
    const stop = onAbort(signal, this.#wakeUp.call);
    try {
      while (this.#end === undefined && !signal.aborted) await this.#lookFor(client, taker);
    } finally {
      stop();
      taker.close();
    }
  }

  #takerIn({ client, sessionId }: SessionScope<CuratorFramework>, inHand: Map<string, Slot<T>>): ItemTaker<T> {
    const { path, lockPath, errorPath, read, requeue, report } = this.#queue;
    // It may be there still, and nobody's.
    const onLeft = (name: string): void => {
      if (inHand.delete(name)) this.#listSoon();
      this.#tellIfOver();
    };
    const scope = { path, lockPath, errorPath, read, requeue, report, sessionId, onLeft };
    return this.#options.delivery === 'at-least-once'
      ? new AtLeastOnce({ ...scope, client })
      : new AtMostOnce({ ...scope, client: this.#queue.client });
  }

  async #lookFor(client: CuratorFramework, taker: ItemTaker<T>): Promise<void> {
    const { prefetch } = this.#options;
    this.#wakeUp.clear();
    this.#isFilling ||= this.#line.length <= prefetch / 2;
    if (this.#isListWanted) await this.#list(client);
    while (this.#hasRoom && !this.#isListWanted) {
      const item = this.#nextDue();
      if (item === undefined) break;
      this.#backlog.pop();
      this.#take(taker, item);
    }
    if (this.#inHand.size >= prefetch) this.#isFilling = false;
    if (!this.#isListWanted) await this.#wakeUp.sleep(this.#untilDue());
  }

  get #hasRoom(): boolean {
    const isPossible = this.#end === undefined && this.#queue.client.state !== 'READ_ONLY';
    return isPossible && this.#isFilling && this.#inHand.size < this.#options.prefetch;
  }

  get #isListWanted(): boolean {
    if (!this.#isListDue || !this.#hasRoom) return false;
    return this.#takenSinceList >= this.#queue.itemsBeforeRefresh || this.#nextDue() === undefined;
  }

  #nextDue(): ItemName | undefined {
    const next = this.#backlog.at(-1);
    return next !== undefined && next.dueAt <= this.#queue.client.clock.wallTime() ? next : undefined;
  }

  #untilDue(): { readonly timeoutMs?: number } {
    const next = this.#backlog.at(-1);
    if (next === undefined || !this.#hasRoom) return {};
    return { timeoutMs: Math.min(Math.max(next.dueAt - this.#queue.client.clock.wallTime(), 0), WAIT_MS_MAX) };
  }

  async #list(client: CuratorFramework): Promise<void> {
    const { path, order, reportStrangers } = this.#queue;
    // Before the request: what happens from here on makes another list due.
    this.#isListDue = false;
    this.#takenSinceList = 0;
    try {
      const { items, strangers } = readListing(await client.getChildren(path, { watcher: this.#listSoon }), order);
      if (strangers.length > 0) reportStrangers(strangers);
      const listed = new Set(items.map(({ name }) => name));
      for (const names of [this.#locked, this.#unusable]) {
        for (const name of names) if (!listed.has(name)) names.delete(name);
      }
      const isFree = ({ name }: ItemName) =>
        !(this.#inHand.has(name) || this.#locked.has(name) || this.#unusable.has(name));
      this.#backlog = items.filter(isFree).reverse();
    } catch (error) {
      this.#isListDue = true;
      if (!(error instanceof NoNodeError)) throw error;
      // The server deletes containers that are empty.
      await client.createContainers(path);
    }
  }

  readonly #listSoon = (): void => {
    this.#isListDue = true;
    this.#wakeUp.call();
  };

  // Getting them, and handing them out.

  #take(taker: ItemTaker<T>, item: ItemName): void {
    const inHand = this.#inHand;
    const slot: Slot<T> = { item, held: undefined, messages: undefined };
    inHand.set(item.name, slot);
    this.#line.push(slot);
    this.#takenSinceList++;
    const taking = async () => {
      try {
        this.#onTaken(slot, await taker.take(item), inHand);
      } catch (error) {
        this.#drop(slot, inHand);
        this.#onFailed(item, error);
      }
      this.#handOut();
      this.#wakeUp.call();
    };
    this.#track(taking());
  }

  #onTaken(slot: Slot<T>, taken: Taken<T>, inHand: Map<string, Slot<T>>): void {
    const { name } = slot.item;
    if (taken.kind === 'taken') return this.#onOurs(slot, taken, inHand);
    this.#drop(slot, inHand);
    switch (taken.kind) {
      case 'gone':
        return;
      case 'unusable':
        this.#unusable.add(name);
        return;
      case 'locked':
        this.#locked.add(name);
        return taken.onFreed(() => {
          if (this.#locked.delete(name)) this.#listSoon();
        });
    }
  }

  #onOurs(slot: Slot<T>, { items, ...of }: TakenItem<T>, inHand: Map<string, Slot<T>>): void {
    const hasErrorPath = this.#queue.errorPath !== undefined;
    slot.held = of.held;
    // What is deleted already needs no common end.
    const znodes = of.held === undefined ? items.map((item) => [item]) : [items];
    slot.messages = znodes.flatMap((items) => new ZnodeInHand({ ...of, items, hasErrorPath }).messages);
    if (this.#end !== undefined) return this.#giveBack(slot);
    if (items.length > 0) return;
    this.#drop(slot, inHand);
    // A znode without items, which nobody waits for.
    this.#track(of.settle({ requeued: [], rejected: [] }).catch(this.#queue.report));
  }

  #onFailed({ name }: ItemName, error: unknown): void {
    if (isRetryable(error) || error instanceof NotReadOnlyError) return this.#listSoon();
    if (error instanceof SessionFailedError || error instanceof ClientClosedError) return;
    // Anything else would be said of every item.
    const isItsOwn = error instanceof DataInconsistencyError || error instanceof FrameTooLargeError;
    if (!isItsOwn) return this.#finish({ kind: 'failed', error });
    this.#unusable.add(name);
    this.#queue.report(error);
  }

  #drop(slot: Slot<T>, inHand: Map<string, Slot<T>>): void {
    inHand.delete(slot.item.name);
    const index = this.#line.indexOf(slot);
    if (index >= 0) this.#line.splice(index, 1);
  }

  #handOut(): void {
    while (this.#waiters.length > 0) {
      const [slot] = this.#line;
      if (slot === undefined || slot.messages === undefined) break;
      if (slot.held?.signal.aborted) {
        // In doubt, or lost, before anybody has seen it.
        this.#shiftLine();
        this.#giveBack(slot);
        continue;
      }
      const value = slot.messages.shift();
      if (slot.messages.length === 0) {
        this.#shiftLine();
        if (slot.held === undefined) this.#inHand.delete(slot.item.name);
      }
      if (value !== undefined) this.#waiters.shift()?.resolve({ done: false, value });
    }
    if (this.#end !== undefined) this.#tellEnd(this.#end);
  }

  /** There may be room for others then. */
  #shiftLine(): void {
    this.#line.shift();
    this.#wakeUp.call();
  }

  #tellEnd(end: End): void {
    if (end.kind === 'failed' && this.#waiters.length > 0) {
      this.#end = { kind: 'closed' };
      this.#waiters.shift()?.reject(end.error);
    }
    for (const { resolve } of this.#waiters.splice(0)) resolve({ done: true, value: undefined });
  }

  // Giving back.

  /** What was not handed out. Of what was deleted already, another one is stored. */
  #giveBack({ held, messages = [] }: Slot<T>): void {
    this.#release(held);
    if (held !== undefined) return;
    for (const message of messages.splice(0)) this.#track(message.requeue().catch(this.#queue.report));
  }

  #release(held: Ownership | undefined): void {
    if (held !== undefined) this.#track(held.release());
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => {
      this.#work.delete(tracked);
      this.#tellIfOver();
    });
    this.#work.add(tracked);
  }

  #tellIfOver(): void {
    if (this.#end !== undefined && this.#work.size === 0 && this.#inHand.size === 0) this.#options.onEnd();
  }
}
