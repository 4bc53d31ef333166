/**
 * Leader election by turns: who is selected leads while its `takeLeadership` runs, then hands over (Curator's
 * `LeaderSelector`, an InterProcessMutex underneath: znodes `lock-`, compatible with it on the same path).
 *
 * What must always hold:
 * - One round at a time: wait in line, lead, release. The znode goes only after the user's promise has settled, so a
 *   successor never begins while we are still at work, unless the session was lost.
 * - Only what was acquired is released (CURATOR-337), and releasing can't be interrupted (CURATOR-205).
 * - Whoever sees that a leadership has ended can `requeue()` (CURATOR-518, 671).
 */
import { ClientClosedError, type ConnectionState, type CuratorFramework, EventSource } from 'zookeeper-client-ts';
import { Contender } from './contenders.ts';
import { type ErrorEvents, tellError } from './error-events.ts';
import type { Ownership } from './ownership.ts';
import { leaderOf, type Participant, participantsOf } from './participant.ts';
import { type RecipeState, RecipeStateError } from './recipe-state.ts';

/** What the user does as a leader. */
export interface LeaderSelectorListener {
  /**
   * Called when selected. Returning, or throwing, gives leadership up; until then nobody else leads. So when
   * `leadership.signal` fires (the connection is in doubt, somebody asked to stop, the selector is being closed) stop what
   * only a leader may do, and return. What is thrown is reported as `error`, except the signal's own reason.
   */
  takeLeadership(client: CuratorFramework, leadership: Ownership): void | Promise<void>;
  /** Called for every state of the client between start and close. The signal has fired before, if it must. */
  stateChanged?(client: CuratorFramework, state: ConnectionState): void;
}

export interface LeaderSelectorOptions {
  /** What this participant calls itself; stored in its znode. Default: the client's default data is stored instead. */
  readonly id?: string;
}

/**
 * ```ts
 * const selector = new LeaderSelector(client, '/master', {
 *   async takeLeadership(client, leadership) {
 *     while (!leadership.signal.aborted) await step(leadership.token, leadership.signal);
 *   },
 * });
 * selector.autoRequeue().start();
 * ```
 */
export class LeaderSelector implements AsyncDisposable {
  readonly path: string;
  readonly id: string;
  readonly #client: CuratorFramework;
  readonly #listener: LeaderSelectorListener;
  readonly #contender: Contender;
  readonly #events = new EventSource<ErrorEvents>();
  readonly #closing = new AbortController();
  #state: RecipeState = 'LATENT';
  #isAutoRequeued = false;
  /** A round waits or leads. Cleared when its leadership ends, which may be before its `takeLeadership` returns. */
  #isQueued = false;
  /** The rounds, one behind the other. Never rejects. */
  #rounds: Promise<void> = Promise.resolve();
  /** Present while `takeLeadership` runs. */
  #leadership: Ownership | undefined;
  #unsubscribe: () => void = () => undefined;
  #closed: Promise<void> | undefined;

  constructor(
    client: CuratorFramework,
    path: string,
    listener: LeaderSelectorListener,
    { id = '' }: LeaderSelectorOptions = {},
  ) {
    this.#client = client;
    this.path = path;
    this.id = id;
    this.#listener = listener;
    this.#contender = new Contender(client, path, {
      lineName: LINE_NAME,
      id,
      report: this.#report,
      ...(id !== '' && { data: id }),
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
   * `error`: what `takeLeadership` threw, or what kept a round from leading; and what is worth knowing although nothing stops
   * (strangers on the path). Returns what removes the listener.
   */
  on<Name extends keyof ErrorEvents>(name: Name, listener: (...args: ErrorEvents[Name]) => void): () => void {
    return this.#events.on(name, listener);
  }

  /** Goes back into the line after each round, and also when a round could not be brought to leading. Default: one round only. */
  autoRequeue(): this {
    this.#isAutoRequeued = true;
    return this;
  }

  /**
   * Begins the first round. Returns at once; if the client is not started or not connected, the round waits for that.
   * @throws RecipeStateError if it was started or closed before
   */
  start(): this {
    if (this.#state !== 'LATENT') throw new RecipeStateError(`the selector at ${this.path} can't be started again`);
    this.#state = 'STARTED';
    this.#unsubscribe = this.#client.on('state', (state) => this.#onState(state));
    this.requeue();
    return this;
  }

  /**
   * Begins another round, when the present one has ended. False if one is already waiting or leading, or the selector is
   * closed.
   * @throws RecipeStateError before `start`
   */
  requeue(): boolean {
    if (this.#state === 'LATENT') throw new RecipeStateError(`the selector at ${this.path} is not started`);
    if (this.#state === 'CLOSED' || this.#isQueued) return false;
    this.#isQueued = true;
    this.#rounds = this.#rounds.then(() => this.#round());
    return true;
  }

  /** Asks the present leadership, if there is one, to end: fires its signal. The successor waits until `takeLeadership` returns. */
  interruptLeadership(): void {
    this.#leadership?.end('INTERRUPTED');
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
   * Stops taking part: interrupts the leadership, waits until `takeLeadership` has returned (so don't await it in there: call
   * it and return), and releases as {@link Ownership.release} does: without a connection at once. May be called twice.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#stop();
    await this.#rounds;
  }

  #stop(): void {
    this.#state = 'CLOSED';
    this.#unsubscribe();
    this.#closing.abort(new RecipeStateError(`the selector at ${this.path} is closed`));
    this.interruptLeadership();
  }

  async #round(): Promise<void> {
    const { signal } = this.#closing;
    try {
      let leadership = await this.#acquire(signal);
      // In doubt again since it was granted: it has not begun, so this is still the same round.
      while (!leadership.isHeld()) leadership = await this.#acquire(signal);
      await this.#lead(leadership);
    } catch (error) {
      this.#isQueued = false;
      if (error instanceof ClientClosedError) this.#stop();
      else if (error !== signal.reason) this.#report(error);
    }
    if (this.#isAutoRequeued) this.requeue();
  }

  #acquire(signal: AbortSignal): Promise<Ownership> {
    return this.#isAutoRequeued
      ? this.#contender.acquireAtLast({ signal, onRefusal: this.#report })
      : this.#contender.acquire({ signal });
  }

  async #lead(leadership: Ownership): Promise<void> {
    this.#leadership = leadership;
    // The first listener of the signal: whoever else sees the leadership ended finds the slot free.
    leadership.signal.addEventListener('abort', () => {
      this.#isQueued = false;
    });
    try {
      // Closed since it was granted.
      this.#closing.signal.throwIfAborted();
      await this.#listener.takeLeadership(this.#client, leadership);
    } catch (error) {
      if (error !== leadership.signal.reason && error !== this.#closing.signal.reason) this.#report(error);
    }
    const released = leadership.release();
    this.#leadership = undefined;
    await released.catch(this.#report);
  }

  #onState(state: ConnectionState): void {
    try {
      this.#listener.stateChanged?.(this.#client, state);
    } catch (error) {
      this.#report(error);
    }
  }

  readonly #report = (error: unknown): void => tellError(this.#events, this.#client, error);
}

const LINE_NAME = 'lock-';
