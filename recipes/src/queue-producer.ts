/**
 * How items get into a queue. All that is put while a transaction is under way goes into the next one, so that a thousand puts cost a few
 * round trips and a few syncs of the server's log.
 *
 * What must always hold:
 * - A put resolves when its item is stored, and not before; one that rejects with a refusal has stored nothing. An answer that was lost
 *   doesn't duplicate an item (`exactly-once.ts`).
 * - Items are stored in the order in which they were put, also over lost connections.
 * - One item that is refused doesn't take others with it.
 * - With a bound, whoever puts waits while the queue has that many children. Each producer looks before each transaction, so several of them
 *   may together go beyond it by what they send at the same time.
 * - Every put settles: also when its signal fires, when the queue is closed, and when the client is.
 */
import {
  ClientClosedError,
  type CuratorFramework,
  isRetryable,
  joinPath,
  NoNodeError,
  onAbort,
  type TransactionOp,
} from 'zookeeper-client-ts';
import { removeChildWatch } from './child-watch.ts';
import { doneUnlessOffline } from './closing.ts';
import { ExactlyOnce } from './exactly-once.ts';
import { RecipeStateError } from './recipe-state.ts';
import { WakeUp } from './wake-up.ts';

/** Limits of one transaction: a server refuses frames of 1 MiB, and others want to be served as well. */
const BATCH_ITEMS_MAX = 512;
const BATCH_BYTES_MAX = 256 * 1024;
/** What an operation takes beside data and path, roughly. */
const OPERATION_BYTES = 64;

export interface QueueProducerOptions {
  /** How many children the queue may have. */
  readonly maxItems: number;
  readonly report: (error: unknown) => void;
}

export interface PutOptions {
  /**
   * Aborting rejects with the signal's reason. An item that waits for its turn is not stored; one whose transaction is under way may be,
   * all the same.
   */
  readonly signal?: AbortSignal | undefined;
}

/** A put that has not settled. */
interface Put {
  readonly name: string;
  readonly data: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Stores items below one path. */
export class QueueProducer {
  readonly #client: CuratorFramework;
  readonly #path: string;
  readonly #maxItems: number;
  readonly #report: (error: unknown) => void;
  readonly #once: ExactlyOnce;
  readonly #wakeUp: WakeUp;
  /** Not sent yet, oldest first. */
  #waiting: Put[] = [];
  /** Those that have not settled. */
  readonly #open = new Set<Promise<void>>();
  #running: Promise<void> | undefined;
  #isClosed = false;

  constructor(client: CuratorFramework, path: string, { maxItems, report }: QueueProducerOptions) {
    this.#client = client;
    this.#path = path;
    this.#maxItems = maxItems;
    this.#report = report;
    this.#once = new ExactlyOnce(client, `${path}-producers`, report);
    this.#wakeUp = new WakeUp(client.clock);
  }

  /**
   * Stores an item. @param name what the server's sequence number is put behind
   * @throws RecipeStateError if the queue is closed first; ClientClosedError; ConnectionLossError if the outcome is unknown, or nothing was
   *   sent within the client's retry policy; and what the servers refuse
   */
  put(name: string, data: Uint8Array, { signal }: PutOptions = {}): Promise<void> {
    const stored = this.#put(name, data, signal);
    this.#open.add(stored);
    const onSettled = () => void this.#open.delete(stored);
    stored.then(onSettled, onSettled);
    return stored;
  }

  /** Resolves when all that was put before is stored; rejects with the first failure among it, or with `signal.reason`. */
  async flush({ signal }: PutOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    const all = Promise.all(this.#open);
    if (signal === undefined) return void (await all);
    await new Promise<void>((resolve, reject) => {
      const stop = onAbort(signal, () => reject(signal.reason));
      all.finally(stop).then(() => resolve(), reject);
    });
  }

  /** What has not been sent is refused; what is under way settles as it will. Resolves when that is done. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#refuseWaiting(new RecipeStateError(`the queue ${this.#path} is closed`, { path: this.#path }));
    this.#wakeUp.call();
    await doneUnlessOffline(this.#client, this.#running);
    await removeChildWatch(this.#client, this.#path, { watcher: this.#wakeUp.call, report: this.#report });
    await this.#once.close();
  }

  async #put(name: string, data: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    if (this.#isClosed) throw new RecipeStateError(`the queue ${this.#path} is closed`, { path: this.#path });
    signal?.throwIfAborted();
    let stop: (() => void) | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        const put = { name, data, resolve, reject };
        stop = signal && onAbort(signal, () => this.#withdraw(put, signal.reason));
        this.#waiting.push(put);
        this.#start();
      });
    } finally {
      stop?.();
    }
  }

  #withdraw(put: Put, reason: unknown): void {
    this.#waiting = this.#waiting.filter((each) => each !== put);
    this.#wakeUp.call();
    put.reject(reason);
  }

  #refuseWaiting(reason: unknown): void {
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
  }

  /** What is put in the same turn goes together. */
  #start(): void {
    this.#running ??= new Promise((resolve) => {
      this.#client.clock.soon(() => this.#run().then(resolve));
    });
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      try {
        const room = await this.#room();
        const batch = this.#nextBatch(room);
        if (batch.length > 0) await this.#store(batch);
      } catch (error) {
        // Whether there is room can't be told: that holds for all who wait.
        this.#refuseWaiting(error);
      }
    }
    // In the same step as the last look: what is put from here on starts another run.
    this.#running = undefined;
  }

  #nextBatch(room: number): Put[] {
    let count = 0;
    let size = 0;
    for (const { name, data } of this.#waiting.slice(0, Math.min(room, BATCH_ITEMS_MAX))) {
      size += data.length + name.length + this.#path.length + OPERATION_BYTES;
      if (count > 0 && size > BATCH_BYTES_MAX) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #store(batch: readonly Put[]): Promise<void> {
    try {
      await this.#create(batch);
    } catch (error) {
      const isRefused = !isRetryable(error) && !(error instanceof ClientClosedError);
      if (batch.length > 1 && isRefused) for (const put of batch) await this.#store([put]);
      else for (const { reject } of batch) reject(error);
      return;
    }
    for (const { resolve } of batch) resolve();
  }

  async #create(batch: readonly Put[]): Promise<void> {
    const { op } = this.#client;
    const ops: TransactionOp[] = batch.map(({ name, data }) =>
      op.create(joinPath(this.#path, name), { mode: 'PERSISTENT_SEQUENTIAL', data }),
    );
    for (;;) {
      try {
        await this.#once.transaction(ops);
        return;
      } catch (error) {
        if (!(error instanceof NoNodeError)) throw error;
        // The queue's own znode, which the server may have deleted when it was empty.
        await this.#client.createContainers(this.#path);
      }
    }
  }

  /** How many items may be stored now; waits while there is none. 0 if meanwhile nobody wants to. */
  async #room(): Promise<number> {
    if (this.#maxItems === Number.POSITIVE_INFINITY) return this.#maxItems;
    const room = this.#maxItems - ((await this.#client.checkExists(this.#path))?.numChildren ?? 0);
    return room > 0 ? room : await this.#waitForRoom();
  }

  async #waitForRoom(): Promise<number> {
    const stop = [this.#client.on('state', this.#wakeUp.call), this.#client.on('lifecycle', this.#wakeUp.call)];
    try {
      for (;;) {
        this.#wakeUp.clear();
        if (this.#waiting.length === 0) return 0;
        const room = this.#maxItems - (await this.#countChildren());
        if (room > 0) return room;
        // What was withdrawn while the servers were asked has called.
        await this.#wakeUp.sleep();
      }
    } finally {
      for (const each of stop) each();
    }
  }

  async #countChildren(): Promise<number> {
    try {
      return (await this.#client.getChildren(this.#path, { watcher: this.#wakeUp.call })).length;
    } catch (error) {
      if (error instanceof NoNodeError) return 0;
      throw error;
    }
  }
}
