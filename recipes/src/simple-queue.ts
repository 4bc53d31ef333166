/**
 * The queue of ZooKeeper's own recipes: raw bytes, in the order in which the servers got them, taken one at a time (Curator's
 * `SimpleDistributedQueue`, compatible with it on the same path):
 *
 *     <path>/qn-<sequence>       persistent: the items
 *     <path>-producers/<uuid>    ephemeral: see `exactly-once.ts`; nobody else has to know of it
 *
 * What must always hold: an item is handed to one taker, who has deleted it. If nobody can say who has, the take rejects, and the item may
 * be lost: whoever needs more takes a {@link DistributedQueue}. Waiting for an item survives that the server deletes the empty container
 * (CURATOR-308).
 */
import {
  BadVersionError,
  type CuratorFramework,
  joinPath,
  NoNodeError,
  onAbort,
  sequenceOf,
} from 'zookeeper-client-ts';
import { type AcquireOptions, AcquireTimeoutError, withinTime } from './acquire-timeout.ts';
import { removeChildWatch } from './child-watch.ts';
import { doneUnlessOffline } from './closing.ts';
import { ExactlyOnce } from './exactly-once.ts';
import { type PutOptions, QueueProducer } from './queue-producer.ts';
import { RecipeStateError } from './recipe-state.ts';
import { WakeUp } from './wake-up.ts';

const ITEM_PREFIX = 'qn-';

/** Java's `element` and `remove` are {@link peek} and {@link poll} that throw: here undefined says that there is nothing. */
export class SimpleDistributedQueue implements AsyncDisposable {
  readonly path: string;
  readonly #client: CuratorFramework;
  readonly #producer: QueueProducer;
  readonly #once: ExactlyOnce;
  /** Listed, and not tried yet; the next one last. */
  #backlog: string[] = [];
  /** Items are taken one after the other, as {@link ExactlyOnce} needs it. Never rejects. */
  #turn: Promise<void> = Promise.resolve();
  /** Of those who wait for an item. */
  readonly #wakeUps = new Set<WakeUp>();
  #isClosed = false;

  constructor(client: CuratorFramework, path: string) {
    this.path = path;
    this.#client = client;
    const report = (error: unknown) => client.reportError(error);
    this.#producer = new QueueProducer(client, path, { maxItems: Number.POSITIVE_INFINITY, report });
    this.#once = new ExactlyOnce(client, `${path}-producers`, report);
  }

  /** Stores an item: as `DistributedQueue.put`. */
  offer(data: Uint8Array, options: PutOptions = {}): Promise<void> {
    return this.#producer.put(ITEM_PREFIX, data, options);
  }

  /** The first item, which stays where it is. Undefined if there is none. */
  async peek(): Promise<Buffer | undefined> {
    for (const name of (await this.#list()).reverse()) {
      try {
        return (await this.#client.getData(joinPath(this.path, name))).data;
      } catch (error) {
        // Somebody has taken it.
        if (!(error instanceof NoNodeError)) throw error;
      }
    }
    return undefined;
  }

  /** Takes the first item. Undefined if there is none, or with `timeoutMs` if none comes within that time. Rejects as {@link take} does. */
  async poll({ timeoutMs = 0, signal }: AcquireOptions = {}): Promise<Buffer | undefined> {
    signal?.throwIfAborted();
    if (timeoutMs === 0) return this.#takeFirst();
    try {
      return await this.take({ timeoutMs, signal });
    } catch (error) {
      if (error instanceof AcquireTimeoutError) return undefined;
      throw error;
    }
  }

  /**
   * Takes the first item, as soon as there is one.
   * @throws AcquireTimeoutError when the time is up; ConnectionLossError if nobody can say who has taken an item, or there was no connection
   *   within the client's retry policy; ClientClosedError; RecipeStateError if the queue is closed
   */
  take({ timeoutMs, signal }: AcquireOptions = {}): Promise<Buffer> {
    return withinTime({ clock: this.#client.clock, path: this.path, signal, timeoutMs }, (signal) =>
      this.#take(signal),
    );
  }

  /** Refuses what waits. Resolves when what is under way has settled; without a connection at once. May be called again. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wakeAll();
    await this.#producer.close();
    await doneUnlessOffline(this.#client, this.#turn);
    const report = (error: unknown) => this.#client.reportError(error);
    await removeChildWatch(this.#client, this.path, { watcher: this.#wakeAll, report });
    await this.#once.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #take(signal: AbortSignal): Promise<Buffer> {
    const wakeUp = new WakeUp(this.#client.clock);
    const stop = [
      this.#client.on('state', wakeUp.call),
      this.#client.on('lifecycle', wakeUp.call),
      onAbort(signal, wakeUp.call),
    ];
    this.#wakeUps.add(wakeUp);
    try {
      for (;;) {
        wakeUp.clear();
        signal.throwIfAborted();
        const data = await this.#takeFirst();
        if (data !== undefined) return data;
        await wakeUp.sleep();
      }
    } finally {
      this.#wakeUps.delete(wakeUp);
      for (const each of stop) each();
    }
  }

  #takeFirst(): Promise<Buffer | undefined> {
    const taken = this.#turn.then(() => this.#tryInOrder());
    const onSettled = () => undefined;
    this.#turn = taken.then(onSettled, onSettled);
    return taken;
  }

  async #tryInOrder(): Promise<Buffer | undefined> {
    for (;;) {
      if (this.#isClosed) throw new RecipeStateError(`the queue ${this.path} is closed`, { path: this.path });
      if (this.#backlog.length === 0) this.#backlog = await this.#list();
      const name = this.#backlog.pop();
      if (name === undefined) return undefined;
      const path = joinPath(this.path, name);
      try {
        const { data, stat } = await this.#client.getData(path);
        await this.#once.transaction([this.#client.op.delete(path, { version: stat.version })]);
        return data;
      } catch (error) {
        if (error instanceof BadVersionError) this.#backlog.push(name);
        // Somebody else has taken it.
        else if (!(error instanceof NoNodeError)) throw error;
      }
    }
  }

  /** The next one last. Whoever waits is woken when there is another list. */
  async #list(): Promise<string[]> {
    for (;;) {
      try {
        const names = await this.#client.getChildren(this.path, { watcher: this.#wakeAll });
        const items = names.flatMap((name) => {
          const sequence = name.startsWith(ITEM_PREFIX) ? sequenceOf(name) : undefined;
          return sequence === undefined ? [] : [{ name, sequence }];
        });
        // By their distance: the numbers may have wrapped.
        return items.sort((a, b) => (b.sequence - a.sequence) | 0).map(({ name }) => name);
      } catch (error) {
        if (!(error instanceof NoNodeError)) throw error;
        await this.#client.createContainers(this.path);
      }
    }
  }

  readonly #wakeAll = (): void => {
    for (const wakeUp of this.#wakeUps) wakeUp.call();
  };
}
