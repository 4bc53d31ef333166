/**
 * Leader election for as long as the process lives: who starts a latch takes part until it closes it, and leads from being
 * first in line until it loses that place (Curator's `LeaderLatch`, znodes `latch-`, compatible with it on the same path).
 *
 * What must always hold:
 * - One story at a time: a latch waits, leads, waits again. Every transition is a step of `#run`, so they can't overlap.
 * - An outage ends the leadership but not the znode. When the session survives, so does the place in line: on RECONNECTED it
 *   is looked at again, not given up (CURATOR-644, 645). Only a znode that is gone, or not ours, is replaced.
 * - Listeners and waiters are told of each leadership once, and of its end once, in order.
 */
import { type CuratorFramework, EventSource } from 'zookeeper-client-ts';
import { Contender } from './contenders.ts';
import { type ErrorEvents, tellError } from './error-events.ts';
import { type Ownership, whenEnded } from './ownership.ts';
import { leaderOf, type Participant, participantsOf } from './participant.ts';
import { type RecipeState, RecipeStateError } from './recipe-state.ts';

export interface LeaderLatchOptions {
  /** What this participant calls itself; stored in its znode. Default: empty. */
  readonly id?: string;
  /** Whether `notLeader` is still called when `close()` ends the leadership. Default: SILENT. */
  readonly closeMode?: 'SILENT' | 'NOTIFY_LEADER';
}

interface LeaderLatchEvents extends ErrorEvents {
  leader: readonly [leadership: Ownership];
  notLeader: readonly [leadership: Ownership];
}

/**
 * ```ts
 * await using latch = new LeaderLatch(client, '/master', { id: 'node-1' }).start();
 * const leadership = await latch.leadership({ signal });
 * ```
 */
export class LeaderLatch implements AsyncDisposable {
  readonly path: string;
  readonly id: string;
  readonly #client: CuratorFramework;
  readonly #closeMode: 'SILENT' | 'NOTIFY_LEADER';
  readonly #contender: Contender;
  readonly #events = new EventSource<LeaderLatchEvents>();
  readonly #closing = new AbortController();
  /** Those who wait in {@link leadership}. */
  readonly #waiters = new Set<Waiter>();
  #state: RecipeState = 'LATENT';
  /** Present from being granted until the end was told. */
  #leadership: Ownership | undefined;
  #isSilent = false;
  #running: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(client: CuratorFramework, path: string, { id = '', closeMode = 'SILENT' }: LeaderLatchOptions = {}) {
    this.#client = client;
    this.path = path;
    this.id = id;
    this.#closeMode = closeMode;
    this.#contender = new Contender(client, path, {
      lineName: LINE_NAME,
      id,
      data: id,
      report: this.#report,
    });
  }

  get state(): RecipeState {
    return this.#state;
  }

  /** Whether it leads at this moment, see {@link Ownership.isHeld}. */
  get hasLeadership(): boolean {
    return this.#leadership?.isHeld() ?? false;
  }

  /**
   * - `leader`: it leads now. The same znode can be granted again after an outage, with a new handle and the same token.
   * - `notLeader`: that leadership has ended; `leadership.signal.reason` says why. The latch goes on taking part.
   * - `error`: something could not be done (a missing permission, strangers on the path). The latch goes on.
   *
   * Returns what removes the listener.
   */
  on<Name extends keyof LeaderLatchEvents>(
    name: Name,
    listener: (...args: LeaderLatchEvents[Name]) => void,
  ): () => void {
    return this.#events.on(name, listener);
  }

  /**
   * Begins to take part. Returns at once; if the client is not started or not connected, the latch waits for that.
   * @throws RecipeStateError if it was started or closed before
   */
  start(): this {
    if (this.#state !== 'LATENT') throw new RecipeStateError(`the latch at ${this.path} can't be started again`);
    this.#state = 'STARTED';
    this.#running = this.#run();
    return this;
  }

  /**
   * Resolves with the present leadership, or the next one. Giving it up with `release()` sends the latch to the end of the
   * line. Rejects with `signal.reason`; when the latch or the client is closed; and when the server refuses to let the latch
   * take part: it goes on trying, and a later call may succeed.
   */
  leadership({ signal }: { readonly signal?: AbortSignal } = {}): Promise<Ownership> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#state === 'CLOSED') throw this.#closing.signal.reason;
      if (this.#leadership?.isHeld()) return resolve(this.#leadership);
      const abort = () => waiter.reject(signal?.reason);
      const settleBy =
        <T>(settle: (value: T) => void) =>
        (value: T): void => {
          this.#waiters.delete(waiter);
          signal?.removeEventListener('abort', abort);
          settle(value);
        };
      const waiter: Waiter = { resolve: settleBy(resolve), reject: settleBy(reject) };
      this.#waiters.add(waiter);
      signal?.addEventListener('abort', abort);
    });
  }

  /** All who take part, the leader first. */
  getParticipants(options: { readonly signal?: AbortSignal } = {}): Promise<Participant[]> {
    return participantsOf(this.#client, { path: this.path, lineName: LINE_NAME, ...options });
  }

  /** Who is first in line; undefined if nobody takes part. */
  getLeader(options: { readonly signal?: AbortSignal } = {}): Promise<Participant | undefined> {
    return leaderOf(this.#client, { path: this.path, lineName: LINE_NAME, ...options });
  }

  /**
   * Gives up leading and taking part. Resolves when our znode is gone, as {@link Ownership.release} does: without a connection
   * at once. May be called twice, also before `start`, or while that is under way.
   * @param notify whether `notLeader` is called if this ends a leadership; `closeMode` decides by default
   */
  close({ notify = this.#closeMode === 'NOTIFY_LEADER' }: { readonly notify?: boolean } = {}): Promise<void> {
    this.#closed ??= this.#close({ notify });
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close({ notify }: { notify: boolean }): Promise<void> {
    this.#isSilent = !notify;
    this.#end(new RecipeStateError(`the latch at ${this.path} is closed`));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    try {
      for (;;) {
        const leadership = await this.#contender.acquireAtLast({ signal, onRefusal: this.#onRefusal });
        // Closed, or in doubt again, since it was granted.
        signal.throwIfAborted();
        if (!leadership.isHeld()) continue;
        this.#lead(leadership);
        await whenEnded(leadership);
        this.#leadership = undefined;
        if (!this.#isSilent) this.#events.emit('notLeader', leadership);
      }
    } catch (error) {
      // Closed, by its user or with its client; nothing else ends the loop.
      this.#end(error);
    }
    await this.#contender.leave().catch(this.#report);
  }

  #lead(leadership: Ownership): void {
    this.#leadership = leadership;
    for (const waiter of [...this.#waiters]) waiter.resolve(leadership);
    if (!this.#isSilent) this.#events.emit('leader', leadership);
  }

  readonly #onRefusal = (error: unknown): void => {
    for (const waiter of [...this.#waiters]) waiter.reject(error);
    this.#report(error);
  };

  #end(reason: unknown): void {
    this.#state = 'CLOSED';
    this.#closing.abort(reason);
    this.#leadership?.end('RELEASED');
    for (const waiter of [...this.#waiters]) waiter.reject(reason);
  }

  readonly #report = (error: unknown): void => tellError(this.#events, this.#client, error);
}

interface Waiter {
  readonly resolve: (leadership: Ownership) => void;
  readonly reject: (reason: unknown) => void;
}

const LINE_NAME = 'latch-';
