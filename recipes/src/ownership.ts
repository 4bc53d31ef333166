/**
 * What a recipe gives out when it grants something: a lock, a leadership, a lease. Ownership rests on one ephemeral znode
 * of ours and ends with it, so all recipes share this one handle, and no recipe decides by itself whether it still holds.
 *
 * What must always hold:
 * - While `isHeld()` is true nobody else can have been granted the same thing: the server has confirmed our session within
 *   its timeout, counted from when the confirmed request was sent, and our znode was there when it was last looked at.
 * - The signal has fired before anybody else can own. It never un-fires: who holds again has a new handle.
 * - All of that is computed at the call from the clock and the client, not remembered from the last event. A process that
 *   was frozen, or an event loop that was blocked, gets the truth from its first question.
 *
 * No client can close the last gap: between the question and the effect of what is done next, anything may happen; and a
 * server that is cut off from its leader may go on to confirm a session for a while. Hence the token, which rises with each
 * grant: a store that remembers the highest token it has seen, and refuses lower ones, is safe against all of it.
 *
 * Lessons of the original: CURATOR-604, 620, 653, 696 (a znode of an earlier session is not ours), 537 (the token is that of
 * the znode that won), 206, 465 (holders must be told), 678 (a pending clean-up stays visible).
 */
import {
  type CuratorFramework,
  type MultiResult,
  NoNodeError,
  type SessionId,
  type Timer,
  type TransactionOp,
  ZooKeeperError,
  type Zxid,
} from 'zookeeper-client-ts';

/**
 * Why an ownership ended:
 * - `SUSPENDED`: the connection is gone, and the client's error policy doesn't ride that out;
 * - `READ_ONLY`: the server is cut off from the quorum, which may end the session behind its back;
 * - `LOST`: the session is over;
 * - `LEASE_ENDED`: the server has not confirmed the session for its whole timeout, and may have ended it;
 * - `NODE_DELETED`: somebody else deleted our znode;
 * - `UNVERIFIED`: somebody wrote to our znode, and it could not be read and watched again;
 * - `INTERRUPTED`: the recipe asked the holder to stop; the znode stays until `release()`;
 * - `RELEASED`: the holder, or closing the recipe, gave it up;
 * - `CLIENT_CLOSED`: the client was closed, and the session with it.
 */
export type OwnershipLostReason =
  | 'SUSPENDED'
  | 'READ_ONLY'
  | 'LOST'
  | 'LEASE_ENDED'
  | 'NODE_DELETED'
  | 'UNVERIFIED'
  | 'INTERRUPTED'
  | 'RELEASED'
  | 'CLIENT_CLOSED';

/** The reason of an {@link Ownership}'s signal: what was held is held no more. */
export class OwnershipLostError extends ZooKeeperError {
  override readonly name = 'OwnershipLostError';
  override readonly code = 'OWNERSHIP_LOST';
  readonly reason: OwnershipLostReason;

  constructor(path: string, reason: OwnershipLostReason) {
    super(`${path} is no longer held: ${explanations[reason]}`, { path });
    this.reason = reason;
  }
}

const explanations: Readonly<Record<OwnershipLostReason, string>> = {
  SUSPENDED: 'the connection to the servers is gone',
  READ_ONLY: 'the server is cut off from its quorum',
  LOST: 'the session is over',
  LEASE_ENDED: 'the server has not confirmed the session for its whole timeout',
  NODE_DELETED: 'somebody else deleted the znode',
  UNVERIFIED: 'somebody wrote to the znode, and it could not be read again',
  INTERRUPTED: 'the holder was asked to stop',
  RELEASED: 'it was released',
  CLIENT_CLOSED: 'the client was closed',
};

/** What {@link Ownership} rests on. */
export interface Grant {
  readonly client: CuratorFramework;
  readonly path: string;
  /** The czxid of the znode, or of the one whose place it took. */
  readonly token: Zxid;
  readonly sessionId: SessionId;
  readonly id: string;
  /** Deletes the znode; called at most once. */
  readonly release: () => Promise<void>;
}

/** Something held, and the means to notice that it isn't any more. Made by recipes. */
export class Ownership implements AsyncDisposable {
  /** Our znode. */
  readonly path: string;
  /**
   * Fencing token: the czxid of our znode, or of the one whose place it took (from writing to reading). Whoever is granted the same
   * thing later has a higher one.
   */
  readonly token: Zxid;
  /** The session that owns our znode. */
  readonly sessionId: SessionId;
  /** What the holder calls itself in the data of its znode; empty if it has no name. */
  readonly id: string;
  /**
   * Fires when ownership has ended or is in doubt, always before somebody else can own; its reason is an
   * {@link OwnershipLostError}. `aborted`, `reason` and `throwIfAborted()` look at the clock when they are called; what is
   * derived from the signal (`AbortSignal.any`, listeners) learns of the end by an event, as soon as the event loop runs.
   */
  readonly signal: AbortSignal;

  readonly #client: CuratorFramework;
  readonly #controller = new AbortController();
  readonly #deleteZnode: () => Promise<void>;
  readonly #subscriptions: readonly (() => void)[];
  #leaseTimer: Timer | undefined;
  #ended = false;
  #released: Promise<void> | undefined;

  /** For recipes: `OwnedZnode` makes it when the server has confirmed the znode. It may have ended already. */
  constructor({ client, path, token, sessionId, id, release }: Grant) {
    this.#client = client;
    this.path = path;
    this.token = token;
    this.sessionId = sessionId;
    this.id = id;
    this.#deleteZnode = release;
    this.signal = askFirst(this.#controller.signal, () => this.#endIfInDoubt());
    this.#subscriptions = [
      client.on('state', () => this.#endIfInDoubt()),
      client.on('lifecycle', () => this.#endIfInDoubt()),
    ];
    this.#watchLease();
  }

  /** Whether it is held at this moment. The answer ages: check `signal`, and hand `token` to what you write to. */
  isHeld(): boolean {
    this.#endIfInDoubt();
    return !this.#ended;
  }

  /** Makes the operations of a {@link transaction}. */
  get op(): CuratorFramework['op'] {
    return this.#client.op;
  }

  /**
   * Applies all operations, or none: only while our znode exists, which the server checks in the same transaction. As long as it does, nobody
   * else can have been granted the same thing; so this needs no token, and holds also where the client is mistaken. (Its name was ours
   * alone, with an id and a number that are given out once: if there is a znode of that name, it has our czxid.) Resolves to the result of each.
   *
   * After a lost answer the attempt is repeated, and may then be refused because the first one was applied: `client.transaction` says more.
   * @throws OwnershipLostError if it isn't held any more: nothing was applied
   */
  async transaction(
    ops: readonly TransactionOp[],
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<MultiResult[]> {
    this.signal.throwIfAborted();
    try {
      const [, ...results] = await this.#client.transaction([this.op.check(this.path), ...ops], { signal });
      return results;
    } catch (error) {
      if (!(error instanceof NoNodeError && error.operationCodes?.[0] === error.code)) throw error;
      this.end('NODE_DELETED');
      throw this.signal.reason;
    }
  }

  /**
   * Gives it up: fires the signal, then deletes the znode. Resolves when it is gone; without a connection at once, and then
   * the client deletes it when it has one again (until then, or until the session ends, others wait behind it). May be called
   * again, also after ownership was lost, for the znode may still be there. Rejects only with what the server refused.
   */
  release(): Promise<void> {
    this.end('RELEASED');
    this.#released ??= this.#deleteZnode();
    return this.#released;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /** For recipes: fires the signal, and leaves the znode in place until {@link release}. Nothing happens the second time. */
  end(reason: OwnershipLostReason): void {
    if (this.#ended) return;
    // Set first: whoever is told by the signal must find it ended, and must not get here again.
    this.#ended = true;
    this.#leaseTimer?.cancel();
    for (const unsubscribe of this.#subscriptions) unsubscribe();
    this.#controller.abort(new OwnershipLostError(this.path, reason));
  }

  #endIfInDoubt(): void {
    if (this.#ended) return;
    const doubt = this.#doubt();
    if (doubt !== undefined) this.end(doubt);
  }

  #doubt(): OwnershipLostReason | undefined {
    const { lifecycle, state, sessionId, leaseEnd, clock } = this.#client;
    if (lifecycle === 'STOPPED') return 'CLIENT_CLOSED';
    if (state === 'LOST') return 'LOST';
    if (state === 'READ_ONLY') return 'READ_ONLY';
    if (state === undefined || this.#client.isErrorState(state)) return 'SUSPENDED';
    if (sessionId !== this.sessionId) return 'LOST';
    return clock.now() < leaseEnd ? undefined : 'LEASE_ENDED';
  }

  /** Every answer of the server moves the end of the lease: look again when the one known now has come. */
  #watchLease(): void {
    this.#endIfInDoubt();
    if (this.#ended) return;
    const { leaseEnd, clock } = this.#client;
    this.#leaseTimer = clock.after(leaseEnd - clock.now(), () => this.#watchLease());
  }
}

/** Resolves when the ownership has ended. */
export const whenEnded = ({ signal }: Ownership): Promise<void> =>
  new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });

/**
 * Makes a signal that asks `check` whether it should have been aborted, before it says that it isn't.
 *
 * Without that, a signal is only as true as the last event that was dealt with. Take a holder that computes for longer than
 * its lease, or whose process is stopped for a while: when it runs again, its own code may come before our timer, which is
 * as overdue, and would read `aborted === false` long after another was granted the same thing. So this instance gets own
 * properties in front of those of `AbortSignal.prototype`, which most of what takes a signal reads before it begins to listen.
 * `AbortSignal.any` of later Nodes looks past them: what is derived learns of the end when our timer runs.
 */
export function askFirst(signal: AbortSignal, check: () => void): AbortSignal {
  const inherited = (name: 'aborted' | 'reason'): PropertyDescriptor => ({
    get: () => {
      check();
      return Reflect.get(AbortSignal.prototype, name, signal);
    },
  });
  return Object.defineProperties(signal, {
    aborted: inherited('aborted'),
    reason: inherited('reason'),
    throwIfAborted: {
      value: () => {
        check();
        AbortSignal.prototype.throwIfAborted.call(signal);
      },
    },
  });
}
