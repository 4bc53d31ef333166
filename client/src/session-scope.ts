/**
 * Work that makes sense only within one session (Curator's `SessionFailRetryLoop`): what it has made of ephemerals, watches and locks
 * goes when the session goes, so the rest of the work must not go on in the next one as if nothing had happened.
 *
 * What must always hold: no request of a scope reaches another session than its own, and at most one run of the work is under way.
 */
import { KeeperState, type SessionId, toHex } from 'zookeeper-protocol-ts';
import { ClientClosedError, InvalidArgumentError, ZooKeeperError } from './errors.ts';
import type { Attempt, FrameworkConnection } from './framework-connection.ts';
import { onAbort } from './on-abort.ts';
import type { ZooKeeper } from './zookeeper.ts';

/** The session that a piece of work began in is over. What it did before may have happened; its ephemerals are gone, or will be. */
export class SessionFailedError extends ZooKeeperError {
  override readonly name = 'SessionFailedError';
  override readonly code = 'SESSION_FAILED';
}

/** What the work gets. */
export interface SessionScope<Client> {
  /** The client, bound to the session: once that is over, every operation rejects with {@link SessionFailedError}. */
  readonly client: Client;
  readonly sessionId: SessionId;
  /** Aborted when the session is over, with a {@link SessionFailedError}, or with `ClientClosedError` when the client is closed. */
  readonly signal: AbortSignal;
  /** How many times the work has been begun, this time included. */
  readonly attemptNumber: number;
}

export interface WithSessionOptions {
  /** When the session is over: begin again in the next one, or reject with {@link SessionFailedError}. `RETRY` by default. */
  readonly mode?: 'RETRY' | 'FAIL' | undefined;
  /** Aborting ends the wait for a session. Work that is under way has to look at the signal itself. */
  readonly signal?: AbortSignal | undefined;
}

/** One session, for as long as the work runs. */
export class BoundSession {
  readonly id: SessionId;
  readonly #zookeeper: ZooKeeper;
  readonly #over = new AbortController();
  readonly #stopListening: () => void;

  constructor(zookeeper: ZooKeeper) {
    this.#zookeeper = zookeeper;
    this.id = zookeeper.sessionId;
    this.#stopListening = zookeeper.on('session', (state) => this.#onState(state));
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** The connection's retry loop, in this session alone. Rejects as soon as the session is over. */
  retry<T>(connection: FrameworkConnection, attempt: Attempt<T>, signal: AbortSignal | undefined): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.signal.throwIfAborted();
      const inSession: Attempt<T> = async (zk, attemptNumber) => {
        this.#endUnlessIn(zk);
        this.signal.throwIfAborted();
        return await attempt(zk, attemptNumber);
      };
      const stopWaiting = onAbort(this.signal, () => reject(this.signal.reason));
      connection.retry(inSession, { signal }).finally(stopWaiting).then(resolve, reject);
    });
  }

  /** @throws the reason why the session is over, if it is */
  assertAlive(zookeeper: ZooKeeper): void {
    this.#endUnlessIn(zookeeper);
    this.signal.throwIfAborted();
  }

  leave(): void {
    this.#stopListening();
  }

  #onState(state: KeeperState): void {
    if (state === KeeperState.Closed) this.#over.abort(new ClientClosedError('the client was closed'));
    else if (state === KeeperState.Expired || state === KeeperState.AuthFailed) this.#end();
    // A session of a read-only server is replaced by one of the ensemble.
    else this.#endUnlessIn(this.#zookeeper);
  }

  /** The session may be over, and the word of it on its way. */
  #endUnlessIn(zookeeper: ZooKeeper): void {
    if (zookeeper !== this.#zookeeper || zookeeper.sessionId !== this.id) this.#end();
  }

  #end(): void {
    this.#over.abort(new SessionFailedError(`the session ${toHex(this.id)} is over`));
  }
}

/**
 * Runs `work` in one session, and again in the next one if it was over before the work was.
 * @param toClient makes the view of the client that is bound to the session
 */
export async function withSession<Client, T>(
  connection: FrameworkConnection,
  toClient: (session: BoundSession) => Client,
  work: (scope: SessionScope<Client>) => Promise<T>,
  { mode = 'RETRY', signal }: WithSessionOptions,
): Promise<T> {
  if (mode !== 'RETRY' && mode !== 'FAIL')
    throw new InvalidArgumentError('mode', `${String(mode)} is not RETRY or FAIL`);
  for (let attemptNumber = 1; ; attemptNumber++) {
    const session = new BoundSession(await connection.retry(async (zk) => zk, { signal }));
    try {
      const { id: sessionId } = session;
      const result = await work({ client: toClient(session), sessionId, signal: session.signal, attemptNumber });
      session.assertAlive(connection.zookeeper);
      return result;
    } catch (error) {
      // Whatever the work makes of it, it is the end of the session that counts.
      const reason: unknown = session.signal.aborted ? session.signal.reason : error;
      if (mode === 'FAIL' || !(reason instanceof SessionFailedError) || !session.signal.aborted) throw reason;
    } finally {
      session.leave();
    }
  }
}
