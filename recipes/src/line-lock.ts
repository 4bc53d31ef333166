/**
 * A lock whose contenders stand in a line: what the mutex and the two sides of a read-write lock are (Curator's
 * `InterProcessMutex` with its `LockInternals`).
 *
 * What must always hold:
 * - Each `acquire` is a contender of its own, with a znode of its own, unless its caller shows that it is the owner: by
 *   running in a `using` of this lock, or by a handle. Then it enters again, without waiting for itself.
 * - The znode goes with the last handle that is released. A handle that was lost still has to be released: its holder may be
 *   at work, and only it knows when that is over.
 * - Only what was acquired can be released (CURATOR-337): there is no `release` but on the handle.
 */
import { type CuratorFramework, EventSource, joinPath } from 'zookeeper-client-ts';
import { type AcquireOptions, withinTime } from './acquire-timeout.ts';
import { Contender } from './contenders.ts';
import { type ErrorEvents, tellError } from './error-events.ts';
import { childrenOf, isWriter, type LineName, lineUp } from './line.ts';
import { grantedInTime, type InterProcessLock, runAndRelease } from './lock.ts';
import { heldInScope, runHolding } from './lock-scope.ts';
import type { OwnedZnode } from './owned-znode.ts';
import { type Ownership, OwnershipLostError } from './ownership.ts';
import { RecipeStateError } from './recipe-state.ts';
import { isRevocation } from './revocation.ts';

export interface LockOptions {
  /**
   * Content of the znodes of this lock's contenders. By default the client's default data; nothing if somebody listens for
   * `revoke`, as in Curator.
   */
  readonly data?: Uint8Array | string | undefined;
}

export interface LockAcquireOptions extends AcquireOptions {
  /** What the caller holds of this lock already: it enters again, and holds until both handles have been released. */
  readonly owner?: Ownership | undefined;
}

export interface LockEvents extends ErrorEvents {
  /** Somebody has asked for `held` to be given up: `attemptRevoke`. It may come before `acquire` has resolved. */
  readonly revoke: readonly [held: Ownership];
}

interface LineLockOptions extends LockOptions {
  readonly lineName: LineName;
  /**
   * For one who doesn't hold this lock, but may hold something that gives it a place, or bars it: makes the znode that is
   * granted to it without waiting. Undefined if it must stand in line.
   */
  readonly placeFor?: (options: LockAcquireOptions) => Promise<OwnedZnode> | undefined;
}

export class LineLock implements InterProcessLock<Ownership> {
  readonly path: string;
  readonly #client: CuratorFramework;
  readonly #options: LineLockOptions;
  readonly #events = new EventSource<LockEvents>();
  readonly #znodes = new WeakMap<Ownership, OwnedZnode>();
  /** Those that have not ended. */
  readonly #held = new Set<Ownership>();

  constructor(client: CuratorFramework, path: string, options: LineLockOptions) {
    this.path = path;
    this.#client = client;
    this.#options = options;
  }

  /** Whether anybody holds it through this object at this moment. */
  get isAcquiredInThisProcess(): boolean {
    return [...this.#held].some((held) => held.isHeld());
  }

  /**
   * - `revoke`: see {@link LockEvents};
   * - `error`: what is worth knowing although nothing stops (strangers on the path, a znode that could not be deleted).
   *
   * Returns what removes the listener.
   */
  on<Name extends keyof LockEvents>(name: Name, listener: (...args: LockEvents[Name]) => void): () => void {
    return this.#events.on(name, listener);
  }

  /**
   * Waits for its turn, in the order of the calls as the server got them. Before the client is started or connected it just
   * waits. An owner enters again at once.
   * @throws AcquireTimeoutError, OwnershipLostError if the owner has lost what it holds, RecipeStateError if `owner` holds
   * nothing of this lock, ClientClosedError, and what the server refuses
   */
  async acquire(options: LockAcquireOptions = {}): Promise<Ownership> {
    const { signal, timeoutMs } = options;
    if (timeoutMs === 0) return grantedInTime(await this.tryAcquire(options), this.path);
    return withinTime({ clock: this.#client.clock, path: this.path, signal, timeoutMs }, async (signal) => {
      return (await this.#enter({ ...options, signal })) ?? this.#stand((contender) => contender.acquire({ signal }));
    });
  }

  /** Undefined, and nothing is left behind, if it would have to wait for others or for a connection. */
  async tryAcquire({ signal, owner }: Omit<LockAcquireOptions, 'timeoutMs'> = {}): Promise<Ownership | undefined> {
    return withinTime({ clock: this.#client.clock, path: this.path, signal }, async (signal) => {
      return (await this.#enter({ owner, signal })) ?? this.#stand((contender) => contender.tryAcquire({ signal }));
    });
  }

  /**
   * Acquires, runs `work`, and releases; settles as `work` does. Whatever `work` calls and awaits owns the lock: its own
   * `acquire` and `using` of this lock enter again. If the lock is lost, `held.signal` says so, and `work` goes on until it
   * returns.
   */
  async using<T>(work: (held: Ownership) => T | Promise<T>, options: LockAcquireOptions = {}): Promise<T> {
    const held = await this.acquire(options);
    return runAndRelease(held, { work: () => runHolding(this, held, () => work(held)), report: this.#report });
  }

  /** The znodes of all who hold or wait, here and elsewhere, in their order. Of a side of a read-write lock, only of that side. */
  async getParticipantNodes({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<string[]> {
    const { lineName } = this.#options;
    const { names } = lineUp(await childrenOf(this.#client, this.path, { signal }), lineName);
    return names
      .filter((name) => isWriter(name) === (lineName === '__WRIT__'))
      .map((name) => joinPath(this.path, name));
  }

  /** For the other side of the same lock: what the caller holds of this one, by its handle or its scope. */
  holdOf(owner: Ownership | undefined): Ownership | undefined {
    if (owner === undefined) return heldInScope(this);
    return this.#znodes.has(owner) ? owner : undefined;
  }

  /** For one who is the owner. Undefined for others. */
  async #enter(options: LockAcquireOptions): Promise<Ownership | undefined> {
    const own = this.holdOf(options.owner);
    const znode = own && this.#znodes.get(own);
    if (own !== undefined && znode !== undefined) {
      own.signal.throwIfAborted();
      return this.#note(znode, znode.share());
    }
    const place = await this.#options.placeFor?.(options);
    if (place !== undefined) {
      const granted = place.grant();
      if (granted !== undefined) return this.#note(place, granted);
      await place.delete().catch(this.#report);
      throw new OwnershipLostError(place.path, 'LOST');
    }
    if (options.owner === undefined) return undefined;
    throw new RecipeStateError(`${options.owner.path} gives no place in the line at ${this.path}`, { path: this.path });
  }

  async #stand<Granted extends Ownership | undefined>(
    acquire: (contender: Contender) => Promise<Granted>,
  ): Promise<Granted> {
    let isRevoked = false;
    let granted: Ownership | undefined;
    const tellIfRevoked = () => {
      if (isRevoked && granted !== undefined) this.#events.emit('revoke', granted);
    };
    const contender = new Contender(this.#client, this.path, {
      lineName: this.#options.lineName,
      id: '',
      data: this.#options.data ?? (this.#events.has('revoke') ? '' : undefined),
      report: this.#report,
      onData: (data) => {
        isRevoked = isRevocation(data);
        tellIfRevoked();
      },
    });
    const ownership = await acquire(contender);
    if (ownership !== undefined && contender.znode !== undefined) {
      granted = this.#note(contender.znode, ownership);
      tellIfRevoked();
    }
    return ownership;
  }

  #note(znode: OwnedZnode, held: Ownership): Ownership {
    this.#znodes.set(held, znode);
    if (held.isHeld()) this.#held.add(held);
    held.signal.addEventListener('abort', () => this.#held.delete(held), { once: true });
    return held;
  }

  readonly #report = (error: unknown): void => tellError(this.#events, this.#client, error);
}
