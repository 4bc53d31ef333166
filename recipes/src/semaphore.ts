/**
 * So many leases and no more, across all processes (Curator's `InterProcessSemaphoreV2`, compatible with it on the same path):
 *
 *     <path>/locks/_c_<uuid>-lock-<10 digits>      who is about to lease, a line
 *     <path>/leases/_c_<uuid>-lease-<10 digits>    the leases
 *
 * The limit is stored nowhere: all processes must be given the same one, or follow the same shared count.
 *
 * What must always hold:
 * - A lease is granted only when the server has listed it among no more leases than the limit. Whoever counts has made its
 *   leases before, so two who count at the same time can't both find room for the last one.
 * - Only the first of the line counts, and watches; a lease that is returned wakes one, and those who want many aren't
 *   overtaken by those who want one. All leases of one acquire are taken in one turn: nobody waits with half of them in hand, and nobody
 *   stands behind others with any: they would wait for each other. Whoever has lost its place has given them back before it joins again.
 * - All or nothing: whatever an acquire rejects with, it leaves no lease behind (CURATOR-335, 462).
 * - A change of the limit wakes who waits (CURATOR-75). Nobody loses a lease by it.
 * - Strangers among the leases are not counted. (Curator counts them.)
 */
import {
  CreateMode,
  type CuratorFramework,
  EventSource,
  EventType,
  InvalidArgumentError,
  isRetryable,
  joinPath,
  nameOf,
  onAbort,
  type WatchedEvent,
} from 'zookeeper-client-ts';
import { type AcquireOptions, withinTime } from './acquire-timeout.ts';
import { Contender } from './contenders.ts';
import { type ErrorEvents, tellError } from './error-events.ts';
import { HeldTogether } from './held-together.ts';
import { childrenOf, lineUp, UnknownContenderError } from './line.ts';
import { grantedInTime, type InterProcessLock, runAndRelease } from './lock.ts';
import { OwnedZnode } from './owned-znode.ts';
import type { Ownership } from './ownership.ts';
import { WakeUp } from './wake-up.ts';

/** A limit that may change: a `SharedCount`, say. */
export interface SharedCountReader {
  getCount(): number;
  on(event: 'change', listener: () => void): () => void;
}

export interface SemaphoreOptions {
  /** Content of the znodes of its leases; the client's default data if left out. */
  readonly data?: Uint8Array | string | undefined;
}

/**
 * ```ts
 * const workers = new InterProcessSemaphoreV2(client, '/limits/workers', 10);
 * await using lease = await workers.acquire({ signal });
 * await using three = await workers.acquireMany(3, { timeoutMs: 5_000 });
 * ```
 */
export class InterProcessSemaphoreV2 implements InterProcessLock<Ownership> {
  readonly path: string;
  readonly #client: CuratorFramework;
  readonly #limit: SharedCountReader;
  readonly #isFixed: boolean;
  readonly #data: Uint8Array | string | undefined;
  readonly #events = new EventSource<ErrorEvents>();
  #strangersReported = false;

  /** @param maxLeases the limit, or what tells it: then a change counts from the next lease on */
  constructor(
    client: CuratorFramework,
    path: string,
    maxLeases: number | SharedCountReader,
    { data }: SemaphoreOptions = {},
  ) {
    this.path = path;
    this.#client = client;
    this.#isFixed = typeof maxLeases === 'number';
    this.#limit = typeof maxLeases === 'number' ? { getCount: () => maxLeases, on: () => () => undefined } : maxLeases;
    this.#data = data;
  }

  /** What is worth knowing although nothing stops (strangers among the leases). Returns what removes the listener. */
  on<Name extends keyof ErrorEvents>(name: Name, listener: (...args: ErrorEvents[Name]) => void): () => void {
    return this.#events.on(name, listener);
  }

  /**
   * Waits for a lease.
   * @throws AcquireTimeoutError, ClientClosedError, and what the server refuses
   */
  async acquire(options: AcquireOptions = {}): Promise<Ownership> {
    const [lease] = await this.#acquire(1, options);
    return grantedInTime(lease, this.path);
  }

  /**
   * Waits for that many leases, and gets all of them or none. They may also be released one by one: they are its `parts`.
   * @throws AcquireTimeoutError, ClientClosedError, what the server refuses; InvalidArgumentError if there can never be so many
   */
  async acquireMany(quantity: number, options: AcquireOptions = {}): Promise<HeldTogether<Ownership>> {
    if (!(Number.isSafeInteger(quantity) && quantity > 0))
      throw new InvalidArgumentError('quantity', `must be a whole number from 1 on, not ${quantity}`);
    if (this.#isFixed && quantity > this.#limit.getCount())
      throw new InvalidArgumentError('quantity', `${quantity} leases of ${this.#limit.getCount()} can't be granted`);
    return new HeldTogether(this.path, await this.#acquire(quantity, options));
  }

  /**
   * Undefined, and nothing is left behind, if there is no lease to be had at once. That may also be because somebody else is
   * just about to take one.
   */
  async tryAcquire({ signal }: Pick<AcquireOptions, 'signal'> = {}): Promise<Ownership | undefined> {
    return (await this.#take({ quantity: 1, isPatient: false }, { signal }))?.[0];
  }

  /** Leases, runs `work`, and gives the lease back; settles as `work` does. */
  async using<T>(work: (lease: Ownership) => T | Promise<T>, options: AcquireOptions = {}): Promise<T> {
    const lease = await this.acquire(options);
    return runAndRelease(lease, { work: () => work(lease), report: this.#report });
  }

  /** The znodes of all leases, here and elsewhere, also of the one that somebody waits for. */
  async getParticipantNodes({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<string[]> {
    const folder = joinPath(this.path, LEASES);
    return lineUp(await childrenOf(this.#client, folder, { signal }), LEASE).names.map((name) =>
      joinPath(folder, name),
    );
  }

  async #acquire(quantity: number, { signal, timeoutMs }: AcquireOptions): Promise<readonly Ownership[]> {
    const leases =
      timeoutMs === 0
        ? await this.#take({ quantity, isPatient: false }, { signal })
        : await this.#take({ quantity, isPatient: true }, { signal, timeoutMs });
    return grantedInTime(leases, this.path);
  }

  #take(
    wish: Omit<LeaseWish, 'signal'>,
    { signal, timeoutMs }: AcquireOptions,
  ): Promise<readonly Ownership[] | undefined> {
    const limit = { clock: this.#client.clock, path: this.path, signal, timeoutMs };
    return withinTime(limit, (signal) => new LeaseTaker(this.#parts, { ...wish, signal }).take());
  }

  get #parts(): LeaseTakerParts {
    return {
      client: this.#client,
      path: this.path,
      limit: this.#limit,
      data: this.#data,
      report: this.#report,
      reportStrangers: this.#reportStrangers,
    };
  }

  readonly #reportStrangers = (error: UnknownContenderError): void => {
    if (this.#strangersReported) return;
    this.#strangersReported = true;
    this.#report(error);
  };

  readonly #report = (error: unknown): void => tellError(this.#events, this.#client, error);
}

interface LeaseTakerParts {
  readonly client: CuratorFramework;
  readonly path: string;
  readonly limit: SharedCountReader;
  readonly data: Uint8Array | string | undefined;
  readonly report: (error: unknown) => void;
  readonly reportStrangers: (error: UnknownContenderError) => void;
}

interface LeaseWish {
  readonly quantity: number;
  readonly signal: AbortSignal;
  /** Waits for leases, turns and connections. */
  readonly isPatient: boolean;
}

/** One acquire. */
class LeaseTaker {
  readonly #parts: LeaseTakerParts;
  readonly #wish: LeaseWish;
  readonly #leasesPath: string;
  readonly #line: Contender;
  readonly #wakeUp: WakeUp;
  #turn: Ownership | undefined;
  /** Made, and not granted yet. */
  #leases: OwnedZnode[] = [];

  constructor(parts: LeaseTakerParts, wish: LeaseWish) {
    this.#parts = parts;
    this.#wish = wish;
    this.#leasesPath = joinPath(parts.path, LEASES);
    this.#line = new Contender(parts.client, joinPath(parts.path, 'locks'), {
      lineName: 'lock-',
      id: '',
      report: parts.report,
      beforeJoining: () => this.#giveBack(),
    });
    this.#wakeUp = new WakeUp(parts.client.clock);
  }

  /** Undefined if it would have to wait and isn't patient. */
  async take(): Promise<readonly Ownership[] | undefined> {
    const { client, limit } = this.#parts;
    const stop = [
      client.on('state', this.#wakeUp.call),
      client.on('lifecycle', this.#wakeUp.call),
      limit.on('change', this.#wakeUp.call),
      onAbort(this.#wish.signal, this.#wakeUp.call),
    ];
    try {
      for (;;) {
        const granted = await this.#takeAndLeave();
        if (granted === undefined || granted.every((lease) => lease.isHeld())) return granted;
        // Lost on the way out of the line: it begins anew.
        await this.#giveBack();
        if (!this.#wish.isPatient) return undefined;
      }
    } finally {
      for (const each of stop) each();
    }
  }

  /** Afterwards it stands in line no more, and has no leases but those that were granted. */
  async #takeAndLeave(): Promise<readonly Ownership[] | undefined> {
    let granted: readonly Ownership[] | undefined;
    try {
      granted = await this.#takeInTurn();
      return granted;
    } finally {
      if (granted === undefined) await this.#giveBack();
      await this.#line.leave().catch(this.#parts.report);
    }
  }

  async #takeInTurn(): Promise<readonly Ownership[] | undefined> {
    const { signal, isPatient } = this.#wish;
    for (;;) {
      this.#wakeUp.clear();
      signal.throwIfAborted();
      // Also when the connection was lost: the turn is asked for again, and outages are waited out there.
      if (!this.#turn?.isHeld()) {
        this.#turn = await (isPatient ? this.#line.acquire({ signal }) : this.#line.tryAcquire({ signal }));
        if (this.#turn === undefined) return undefined;
      }
      try {
        await this.#makeLeases();
        if (await this.#hasRoom()) {
          const granted = this.#grant();
          if (granted !== undefined) return granted;
        } else if (!isPatient) {
          return undefined;
        } else if (!(await this.#hasRoom({ watcher: this.#onReturned }))) {
          await this.#wakeUp.sleep();
        }
      } catch (error) {
        signal.throwIfAborted();
        if (!isPatient || !isRetryable(error)) throw error;
        await this.#wakeUp.sleep({ timeoutMs: PAUSE_MS });
      }
    }
  }

  /** Those that are missing, all at once. */
  async #makeLeases(): Promise<void> {
    const { client, data } = this.#parts;
    const making = Array.from({ length: this.#wish.quantity - this.#leases.length }, () =>
      client
        .create()
        .withMode(CreateMode.EPHEMERAL_SEQUENTIAL)
        .creatingParentContainersIfNeeded()
        .withProtection()
        .withSignal(this.#wish.signal)
        .storingStat()
        .forPath(joinPath(this.#leasesPath, LEASE), data),
    );
    for (const made of await Promise.allSettled(making)) {
      if (made.status === 'fulfilled') this.#leases.push(new OwnedZnode(client, made.value, { id: '' }));
    }
    // Settled above: this rejects with the first failure, if there is one.
    await Promise.all(making);
  }

  /** Whether our leases are among no more than the limit. If the server doesn't show all of ours, they are made anew. */
  async #hasRoom({ watcher }: { watcher?: (event: WatchedEvent) => void } = {}): Promise<boolean> {
    const { client, limit, reportStrangers } = this.#parts;
    const { signal } = this.#wish;
    const { names, strangers } = lineUp(await childrenOf(client, this.#leasesPath, { signal, watcher }), LEASE);
    if (strangers.length > 0) reportStrangers(new UnknownContenderError(this.#leasesPath, strangers));
    const listed = new Set(names);
    const areOurs = this.#leases.every(
      ({ path, sessionId }) => sessionId === client.sessionId && listed.has(nameOf(path)),
    );
    if (!areOurs) await this.#giveBack();
    return names.length <= limit.getCount();
  }

  /** Undefined if the leases are not ours any more, or in doubt. */
  #grant(): readonly Ownership[] | undefined {
    if (this.#leases.length < this.#wish.quantity) return undefined;
    const granted = this.#leases.map((lease) => lease.grant()).filter((ownership) => ownership !== undefined);
    return granted.length === this.#leases.length && granted.every((each) => each.isHeld()) ? granted : undefined;
  }

  async #giveBack(): Promise<void> {
    const leases = this.#leases;
    this.#leases = [];
    await Promise.all(leases.map((lease) => lease.delete().catch(this.#parts.report)));
  }

  readonly #onReturned = (event: WatchedEvent): void => {
    // Of what happens to the connection, the state tells.
    if (event.type !== EventType.None) this.#wakeUp.call();
  };
}

const LEASES = 'leases';
const LEASE = 'lease-';

/** How long to wait before looking again when nothing is certain to wake us. */
const PAUSE_MS = 1_000;
