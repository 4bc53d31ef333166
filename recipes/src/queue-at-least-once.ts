/**
 * Delivery `at-least-once`, by Curator's protocol (`lockPath` of its `QueueBuilder`, compatible with it on the same paths):
 *
 *     <lockPath>/<name of the item>      ephemeral: somebody has the item in hand
 *
 * What must always hold:
 * - An item is delivered only when the server has shown our lock on it, made in this session; and it is locked only if it is still there,
 *   which the server checks in the same transaction. Java's consumer makes locks of items that are gone, and deletes them again.
 * - What becomes of an item is one transaction: our lock is deleted, and with it the item, or neither (CURATOR-605). It is sent in the
 *   session of the lock alone. While that session lives, nobody else can have made a lock of the same name.
 * - A lock that isn't needed is deleted in its session or goes with it; never later, when the name may be somebody else's.
 * - Bytes that nobody can read are not lost: they go to `errorPath`, or stay. (Curator's consumer deletes them.)
 */
import {
  ClientClosedError,
  type CuratorFramework,
  EventType,
  isRetryable,
  joinPath,
  NodeExistsError,
  NoNodeError,
  randomUuid,
  SessionFailedError,
  type TransactionOp,
  type WatchedEvent,
  type ZnodeData,
} from 'zookeeper-client-ts';
import { doneUnlessOffline } from './closing.ts';
import { refusedAt } from './exactly-once.ts';
import { JointTransactions } from './joint-transactions.ts';
import { Ownership, OwnershipLostError, type OwnershipLostReason } from './ownership.ts';
import { type DeliveryScope, type ItemTaker, storeAgain, storeItem, type Taken } from './queue-delivery.ts';
import type { Settlement } from './queue-message.ts';
import type { ItemName } from './queue-names.ts';

/** Why an ownership may have ended although our lock may be there: the session decides. */
const doubts: ReadonlySet<OwnershipLostReason> = new Set(['SUSPENDED', 'READ_ONLY', 'LEASE_ENDED']);

/** Before another attempt to delete a lock without a connection, ms. */
const PAUSE_MS = 1_000;

export class AtLeastOnce<T> implements ItemTaker<T> {
  readonly #scope: DeliveryScope<T>;
  /** In the data of our locks: an answer that was lost can't be mistaken for the lock of somebody else. */
  readonly #id: string;
  readonly #locking: JointTransactions;
  readonly #ending: JointTransactions;
  /** Settled when there is a folder for locks. Absent until one is needed, and when there may be none. */
  #folder: Promise<void> | undefined;

  constructor(scope: DeliveryScope<T>) {
    this.#scope = scope;
    this.#id = randomUuid(scope.client.random);
    this.#locking = new JointTransactions(scope.client);
    this.#ending = new JointTransactions(scope.client);
  }

  async take(item: ItemName): Promise<Taken<T>> {
    for (;;) {
      const lock = new ItemLock(this.#scope, item, this.#ending);
      try {
        const taken = await this.#take(lock);
        if (taken !== undefined) return taken;
      } catch (error) {
        this.#folder = undefined;
        if (isRetryable(error)) await this.#clear(lock);
        throw error;
      }
    }
  }

  close(): void {
    // Locks are given back by those who have them in hand.
  }

  /** Undefined if it has to be tried again. */
  async #take(lock: ItemLock<T>): Promise<Taken<T> | undefined> {
    const { client, lockPath } = this.#scope;
    const { itemPath } = lock;
    this.#folder ??= client.createContainers(lockPath);
    await this.#folder;
    const read = () =>
      Promise.allSettled([
        client.getData(lock.path, { watcher: lock.onEvent, decompressed: false }),
        client.getData(itemPath),
      ]);
    let reads: ReturnType<typeof read> | undefined;
    const ops = [
      client.op.check(itemPath),
      client.op.create(lock.path, { mode: 'EPHEMERAL', data: this.#id, compressed: false }),
    ];
    // What is read leaves with it; the server executes it in this order.
    const onSent = () => {
      reads = read();
    };
    const [locking] = await Promise.allSettled([this.#locking.transaction(ops, onSent)]);
    let [looking, reading] = await (reads ?? read());
    // Sent again, behind what was read.
    if (locking.status === 'fulfilled' && looking.status === 'rejected') [looking, reading] = await read();
    if (locking.status === 'rejected' && !(locking.reason instanceof NodeExistsError)) {
      const { reason } = locking;
      if (!(reason instanceof NoNodeError)) throw reason;
      if (refusedAt(reason) === 0) return { kind: 'gone' };
      // The server deletes containers that are empty.
      this.#folder = undefined;
      return undefined;
    }
    if (looking.status === 'rejected') {
      // Somebody has deleted it in between.
      if (looking.reason instanceof NoNodeError) return undefined;
      throw looking.reason;
    }
    if (!this.#isOurs(looking.value)) return { kind: 'locked', onFreed: (run) => lock.awaitFreed(run) };
    const held = lock.hold(looking.value);
    if (reading.status === 'rejected') {
      await lock.giveBack();
      if (reading.reason instanceof NoNodeError) return { kind: 'gone' };
      throw reading.reason;
    }
    return this.#deliver(lock, held, reading.value);
  }

  /** After an unknown outcome: there may be a lock of ours, which nobody knows of. */
  async #clear({ path }: ItemLock<T>): Promise<void> {
    const { client } = this.#scope;
    for (;;) {
      try {
        if (this.#isOurs(await client.getData(path, { decompressed: false }))) await client.delete(path);
        return;
      } catch (error) {
        if (!isRetryable(error)) return;
        await pause(client);
      }
    }
  }

  #isOurs({ data, stat }: ZnodeData): boolean {
    return stat.ephemeralOwner === this.#scope.sessionId && data.toString() === this.#id;
  }

  async #deliver(lock: ItemLock<T>, held: Ownership, { data }: ZnodeData): Promise<Taken<T>> {
    const { client, errorPath, read, report } = this.#scope;
    try {
      const items = read(lock.itemPath, data);
      return { kind: 'taken', path: lock.itemPath, items, held, settle: (settlement) => lock.settle(settlement) };
    } catch (error) {
      report(error);
      if (errorPath === undefined) {
        await lock.giveBack();
        return { kind: 'unusable' };
      }
      await lock.end([storeItem(client, errorPath, { label: lock.item.label, data })]);
      return { kind: 'gone' };
    }
  }
}

const pause = ({ clock }: CuratorFramework): Promise<void> =>
  new Promise((resolve) => void clock.after(PAUSE_MS, resolve));

const isSessionOver = (error: unknown): boolean =>
  error instanceof SessionFailedError || error instanceof ClientClosedError;

/** The lock on one item. */
class ItemLock<T> {
  readonly path: string;
  readonly itemPath: string;
  readonly item: ItemName;
  readonly #scope: DeliveryScope<T>;
  readonly #ending: JointTransactions;
  #held: Ownership | undefined;
  /** Present when it is somebody else's. */
  #onFreed: (() => void) | undefined;
  /** Its watch has fired. */
  #fired: EventType | undefined;
  /** We are about to delete it. */
  #isEnding = false;
  /** Present while lock and item are being deleted. */
  #underWay: Promise<void> | undefined;
  /** Lock and item are gone. */
  #isOver = false;

  constructor(scope: DeliveryScope<T>, item: ItemName, ending: JointTransactions) {
    this.#scope = scope;
    this.#ending = ending;
    this.item = item;
    this.path = joinPath(scope.lockPath, item.name);
    this.itemPath = joinPath(scope.path, item.name);
  }

  readonly onEvent = ({ type }: WatchedEvent): void => {
    if (type === EventType.None) return;
    this.#fired = type;
    this.#onFired();
  };

  /** It is somebody else's. */
  awaitFreed(run: () => void): void {
    this.#onFreed = run;
    this.#onFired();
  }

  /** It is ours. */
  hold({ stat }: ZnodeData): Ownership {
    const { client, sessionId } = this.#scope;
    this.#held = new Ownership({
      client,
      path: this.path,
      token: stat.czxid,
      sessionId,
      id: '',
      release: () => this.#delete(),
    });
    this.#onFired();
    return this.#held;
  }

  #onFired(): void {
    if (this.#fired === undefined) return;
    // Whoever has written to it: it is watched no more, and what comes of it will show.
    if (this.#onFreed !== undefined) return this.#onFreed();
    if (this.#isEnding || this.#held === undefined) return;
    const isDeleted = this.#fired === EventType.NodeDeleted;
    this.#held.end(isDeleted ? 'NODE_DELETED' : 'UNVERIFIED');
    if (isDeleted) this.#scope.onLeft(this.item.name);
  }

  /** The item stays for others. */
  async giveBack(): Promise<void> {
    await this.#held?.release();
  }

  settle(settlement: Settlement): Promise<void> {
    return this.end(storeAgain(this.#scope, this.item, settlement));
  }

  /** Deletes lock and item, and stores what is left of it, in one transaction. */
  async end(storing: readonly TransactionOp[]): Promise<void> {
    const reason: unknown = this.#held?.signal.reason;
    if (reason instanceof OwnershipLostError && !doubts.has(reason.reason)) throw reason;
    this.#isEnding = true;
    this.#underWay = this.#end(storing);
    try {
      await this.#underWay;
    } catch (error) {
      this.#isEnding = false;
      this.#onFired();
      throw error;
    } finally {
      this.#underWay = undefined;
    }
    this.#isOver = true;
    this.#held?.end('RELEASED');
    this.#scope.onLeft(this.item.name);
  }

  async #end(storing: readonly TransactionOp[]): Promise<void> {
    const { client, errorPath } = this.#scope;
    const { op } = client;
    for (;;) {
      try {
        const ops = [op.delete(this.path), op.delete(this.itemPath), ...storing];
        // What has to be stored may be as large as a request can be.
        if (storing.length > 0) await client.transaction(ops);
        else await this.#ending.transaction(ops);
        return;
      } catch (error) {
        if (!(error instanceof NoNodeError)) throw error;
        const refused = refusedAt(error);
        if (refused === 0) {
          // We have deleted both, and the answer was lost; or somebody has deleted our lock.
          if ((await client.checkExists(this.itemPath)) === undefined) return;
          throw new OwnershipLostError(this.path, 'NODE_DELETED');
        }
        // Somebody has deleted the item, who cares for no locks: that was its end.
        if (refused === 1) return await client.delete(this.path, { quietly: true });
        await client.createContainers(errorPath ?? this.#scope.path);
      }
    }
  }

  async #delete(): Promise<void> {
    const { client, onLeft, report } = this.#scope;
    this.#isEnding = true;
    const deleted = this.#deleteUnlessOver(client)
      // It has gone with its session, or stays for as long as that lives: nobody else can do anything about it.
      .catch((error: unknown) => (isSessionOver(error) ? undefined : report(error)))
      .then(() => onLeft(this.item.name));
    await doneUnlessOffline(client, deleted);
  }

  async #deleteUnlessOver(client: CuratorFramework): Promise<void> {
    // Whoever has settled it hears what comes of that.
    await this.#underWay?.catch(() => undefined);
    // Of that name there may be somebody else's.
    if (!this.#isOver && this.#fired !== EventType.NodeDeleted) await this.#deleteInSession(client);
  }

  async #deleteInSession(client: CuratorFramework): Promise<void> {
    for (;;) {
      try {
        return await client.delete(this.path, { quietly: true });
      } catch (error) {
        if (!isRetryable(error)) throw error;
        await pause(client);
      }
    }
  }
}
