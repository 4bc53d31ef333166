/**
 * What a client and its namespaced views share (Curator's `CuratorZookeeperClient` and `ConnectionStateManager`): the
 * lifecycle, the present session, the connection state, the retry loop, and what goes on in the background.
 *
 * What must always hold:
 * - While started there is exactly one `ZooKeeper` handle; when its session is over, another takes its place by itself.
 * - LOST comes at the latest when the server may have ended the session: one session timeout after the last request that it
 *   is known to have seen was sent (CURATOR-460). A process that was frozen finds out as soon as its event loop runs.
 * - The state changes on the step that decides it. Listeners hear of each state, in order, one after the other.
 * - Whatever waits here ends when the client is closed or its own signal fires, and leaves no timer behind.
 */
import { EventType, KeeperState, NO_SESSION, type SessionId, toHex } from 'zookeeper-protocol-ts';
import { addCallers } from './call-site.ts';
import { CircuitBreaker } from './circuit-breaker.ts';
import {
  type ConnectionState,
  ConnectionStateChart,
  type ConnectionStateInput,
  isConnectedState,
} from './connection-state.ts';
import { publishConnectionState, publishRetry } from './diagnostics.ts';
import type { EnsembleProvider } from './ensemble/ensemble-provider.ts';
import { EnsembleTracker } from './ensemble/ensemble-tracker.ts';
import {
  AuthFailedError,
  ClientClosedError,
  ConnectionLossError,
  InvalidArgumentError,
  toReasons,
  ZooKeeperError,
} from './errors.ts';
import { EventSource } from './event-source.ts';
import { Interruptions } from './interruptions.ts';
import { debugLogger, describeError, type Logger, toDetails } from './logger.ts';
import { onAbort } from './on-abort.ts';
import { isRetryable, type RetryPolicy } from './retry.ts';
import { parseConnectString } from './session/connect-string.ts';
import type { Clock, Ports, Timer } from './session/transport.ts';
import type { WatchedEvent } from './watch/watch-registry.ts';
import { ZooKeeper } from './zookeeper.ts';
import { checkSignal } from './zookeeper-arguments.ts';

/** `LATENT` until `start()`, `STARTED` until `close()`, then `STOPPED` for good. */
export type Lifecycle = 'LATENT' | 'STARTED' | 'STOPPED';

/** Event name → the arguments of its listeners. */
export type FrameworkEvents = {
  readonly state: readonly [state: ConnectionState, previous: ConnectionState | undefined];
  /** A failure in the background, where no caller waits. Without a listener it is logged. */
  readonly error: readonly [error: unknown];
  readonly lifecycle: readonly [lifecycle: Lifecycle];
  /** What a read with `watched` waited for, with the path as its caller knows it. */
  readonly watched: readonly [event: WatchedEvent];
};

/** A client was used before `start()`, started twice, or a view was started or closed instead of the client itself. */
export class IllegalStateError extends ZooKeeperError {
  override readonly name = 'IllegalStateError';
  override readonly code = 'ILLEGAL_STATE';
}

/** An identity that a client takes on: `{ scheme: 'digest', auth: 'user:password' }`. */
export interface Authorization {
  readonly scheme: string;
  readonly auth: Uint8Array | string;
}

export interface FrameworkConnectionOptions {
  readonly ensembleProvider: EnsembleProvider;
  /** Follow the ensemble's own configuration. False by default. */
  readonly ensembleTracker?: boolean | undefined;
  /** Added to every session. None by default. */
  readonly authorization?: readonly Authorization[] | undefined;
  /** False by default. */
  readonly canBeReadOnly?: boolean | undefined;
  readonly sessionTimeoutMs: number;
  readonly connectionTimeoutMs: number;
  readonly retryPolicy: RetryPolicy;
  /** Hold good news back for the pauses of this policy. None by default. */
  readonly circuitBreaking?: RetryPolicy | undefined;
  /** `DEBUG=zookeeper:*` by default. */
  readonly logger?: Logger | undefined;
  readonly ports: Ports;
}

/** One attempt of something that is retried. Numbered from 1. */
export type Attempt<T> = (zk: ZooKeeper, attemptNumber: number) => Promise<T>;

/**
 * Errors of retry loops that have given up. A loop around another one doesn't start again with such an error, so that nested
 * loops don't multiply their attempts (CURATOR-559).
 */
const givenUp = new WeakSet<object>();

/** Between two rounds of retries of the same work in the background. */
const BACKGROUND_PAUSE_MS = 1000;
/** Between two sessions when the server refuses the credentials: it would refuse them again. */
const AUTH_FAILED_PAUSE_MS = 5000;

export class FrameworkConnection {
  readonly clock: Clock;
  readonly random: () => number;
  readonly connectionTimeoutMs: number;
  /** Tells of what is `watched`, once for each event. */
  readonly defaultWatcher = (event: WatchedEvent): void => {
    // What happens to the connection is told as states.
    if (event.type !== EventType.None) this.#events.emit('watched', event);
  };
  readonly #options: FrameworkConnectionOptions;
  readonly #events: EventSource<FrameworkEvents>;
  readonly #logger: Logger;
  readonly #chart = new ConnectionStateChart();
  /** Between the chart and the listeners, if that was asked for. */
  readonly #breaker: CircuitBreaker | undefined;
  #lifecycle: Lifecycle = 'LATENT';
  #handle: ZooKeeper | undefined;
  #forgetHandle: () => void = () => undefined;
  #closed: Promise<void> | undefined;
  #leaseTimer: Timer | undefined;
  readonly #tracker: EnsembleTracker | undefined;
  /** The provider's string, as it was last taken over or found to be of no use. */
  #connectString: string | undefined;
  /** Present while the credentials have been refused, until another session is tried. */
  #authFailure: AuthFailedError | undefined;
  #authTimer: Timer | undefined;
  /** When the present SUSPENDED began. */
  #suspendedAt = 0;
  #lastDelivered: ConnectionState | undefined;
  /** Who waits for a connection. */
  readonly #connectionWaiters = new Set<() => void>();
  /** One for each promise of this object that is not settled: rejects it. */
  readonly #interruptions = new Interruptions();
  /**
   * What goes on without its caller, oldest first; the head is being tried. One at a time, so that an outage does not end in
   * a storm. Grows by at most one for each call that failed for lack of a connection, which takes such a call a while.
   */
  readonly #background: Attempt<void>[] = [];

  constructor(options: FrameworkConnectionOptions) {
    this.#options = options;
    this.clock = options.ports.clock;
    this.random = options.ports.random;
    this.connectionTimeoutMs = options.connectionTimeoutMs;
    const { ensembleProvider: provider, ensembleTracker } = options;
    const logger = options.logger ?? debugLogger('zookeeper:framework');
    this.#logger = logger;
    this.#events = new EventSource(options.logger);
    this.#breaker = this.#newBreaker(options.circuitBreaking);
    this.#tracker = ensembleTracker
      ? new EnsembleTracker({ provider, logger, onChanged: () => this.#followEnsemble() })
      : undefined;
  }

  get lifecycle(): Lifecycle {
    return this.#lifecycle;
  }

  get state(): ConnectionState | undefined {
    return this.#chart.state;
  }

  /** The state that listeners have heard of last. */
  get lastDelivered(): ConnectionState | undefined {
    return this.#lastDelivered;
  }

  get connected(): boolean {
    return this.#lifecycle === 'STARTED' && isConnectedState(this.#chart.state);
  }

  get zookeeper(): ZooKeeper {
    this.assertStarted();
    if (this.#handle === undefined) throw new IllegalStateError('the client has no handle yet');
    return this.#handle;
  }

  get sessionId(): SessionId {
    return this.#lifecycle === 'STARTED' ? (this.#handle?.sessionId ?? NO_SESSION) : NO_SESSION;
  }

  get leaseEnd(): number {
    return this.#lifecycle === 'STARTED'
      ? (this.#handle?.leaseEnd ?? Number.NEGATIVE_INFINITY)
      : Number.NEGATIVE_INFINITY;
  }

  on<Name extends keyof FrameworkEvents>(event: Name, listener: (...args: FrameworkEvents[Name]) => void): () => void {
    return this.#events.on(event, listener);
  }

  /** @throws IllegalStateError before `start`, ClientClosedError after `close` */
  assertStarted(): void {
    if (this.#lifecycle === 'LATENT') throw new IllegalStateError('the client has not been started');
    if (this.#lifecycle === 'STOPPED') throw new ClientClosedError('the client is closed');
  }

  start(): void {
    if (this.#lifecycle === 'STOPPED') throw new ClientClosedError('a closed client cannot be started');
    if (this.#lifecycle === 'STARTED') throw new IllegalStateError('a client cannot be started more than once');
    this.#options.ensembleProvider.start?.();
    this.#openHandle();
    this.#lifecycle = 'STARTED';
    this.#events.emit('lifecycle', 'STARTED');
  }

  close(): Promise<void> {
    if (this.#closed !== undefined) return this.#closed;
    this.#lifecycle = 'STOPPED';
    this.#forgetHandle();
    this.#leaseTimer?.cancel();
    this.#authTimer?.cancel();
    this.#breaker?.close();
    this.#options.ensembleProvider.close?.();
    const closed = this.#handle?.close() ?? Promise.resolve();
    this.#closed = closed;
    this.#interruptions.run();
    this.#events.emit('lifecycle', 'STOPPED');
    return closed;
  }

  /** For failures that no caller hears of. */
  reportError(error: unknown): void {
    if (this.#events.has('error')) this.#events.emit('error', error);
    else this.#logger.error(`in the background: ${describeError(error, { stack: true })}`);
  }

  // Sessions and states.

  #openHandle(): void {
    const { ensembleProvider, sessionTimeoutMs, canBeReadOnly, authorization = [], logger, ports } = this.#options;
    const connectString = ensembleProvider.getConnectionString();
    const handle = new ZooKeeper({
      connectString,
      sessionTimeoutMs,
      canBeReadOnly,
      ports,
      logger: logger && toDetails(logger),
    });
    this.#handle = handle;
    this.#connectString = connectString;
    this.#forgetHandle = handle.on('session', (state) => this.#onSession(handle, state));
    for (const { scheme, auth } of authorization) {
      // A session that ends takes its credentials with it; where they are the reason, its state says so.
      handle.addAuth(scheme, auth).catch(() => undefined);
    }
  }

  /** The session is over: a new handle, then whoever waits for the old one is told. */
  #replaceHandle(): void {
    const old = this.#handle;
    this.#forgetHandle();
    this.#authFailure = undefined;
    this.#authTimer?.cancel();
    this.#openHandle();
    if (old?.state !== 'CLOSED') old?.abandon();
  }

  /** The servers have refused the credentials, and would again: the next session can wait. */
  #onAuthFailed(): void {
    this.#authFailure = new AuthFailedError('the server did not accept the credentials');
    this.reportError(this.#authFailure);
    this.#authTimer?.cancel();
    this.#authTimer = this.clock.after(AUTH_FAILED_PAUSE_MS, () => {
      this.#replaceHandle();
      this.#checkLease();
    });
  }

  /** The ensemble provider has another connect string: the session goes on with it, or another takes its place. */
  #followEnsemble(): void {
    const handle = this.#handle;
    const { ensembleProvider } = this.#options;
    const connectString = ensembleProvider.getConnectionString();
    if (this.#lifecycle !== 'STARTED' || handle === undefined || connectString === this.#connectString) return;
    this.#connectString = connectString;
    try {
      const { chroot } = parseConnectString(connectString);
      this.#logger.info(`the ensemble is at ${connectString}`);
      if (ensembleProvider.updateServerListEnabled() && chroot === parseConnectString(handle.connectString).chroot) {
        handle.updateServerList(connectString);
      } else {
        this.#step({ kind: 'expired' });
      }
    } catch (error) {
      this.reportError(error);
    }
  }

  #onSession(handle: ZooKeeper, state: KeeperState): void {
    switch (state) {
      case KeeperState.SyncConnected:
      case KeeperState.ConnectedReadOnly: {
        const readOnly = state === KeeperState.ConnectedReadOnly;
        this.#step({ kind: 'connected', sessionId: handle.sessionId, readOnly });
        this.#tracker?.read(handle);
        break;
      }
      case KeeperState.Disconnected:
        this.#step({ kind: 'disconnected' });
        break;
      case KeeperState.AuthFailed:
        // An identity that was added to the session by hand does not come back in the next one.
        if (this.#options.authorization?.length) this.#onAuthFailed();
        this.#step({ kind: this.#authFailure === undefined ? 'expired' : 'authFailed' });
        break;
      case KeeperState.Expired:
      case KeeperState.Closed:
        // However it ended; and if this client had closed it, it would not listen any more.
        this.#step({ kind: 'expired' });
        break;
      default:
        // Nothing of the connection has changed.
        break;
    }
    this.#followEnsemble();
  }

  /** Never re-entered from a listener: sessions and timers call back from the event loop alone. */
  #step(input: ConnectionStateInput): void {
    const entered = this.#chart.step(input);
    if (entered.includes('SUSPENDED')) this.#suspendedAt = this.clock.now();
    // Before anybody hears of LOST, so that a listener which goes on at once does so in the new session.
    if (input.kind === 'expired' || (input.kind === 'leaseEnded' && this.#hasLease())) this.#replaceHandle();
    if (this.connected) for (const wake of [...this.#connectionWaiters]) wake();
    for (const state of entered) {
      // A listener has closed the client.
      if (this.#lifecycle !== 'STARTED') break;
      if (this.#breaker === undefined) this.#deliver(state);
      else this.#breaker.step(state);
    }
    this.#checkLease();
  }

  #newBreaker(policy: RetryPolicy | undefined): CircuitBreaker | undefined {
    if (policy === undefined) return undefined;
    const { clock, random } = this;
    return new CircuitBreaker({ policy, clock, random, deliver: (state) => this.#deliver(state) });
  }

  #deliver(state: ConnectionState): void {
    const previous = this.#lastDelivered;
    this.#lastDelivered = state;
    this.#logState(state);
    publishConnectionState(() => ({ state, previous, sessionId: this.sessionId }));
    this.#events.emit('state', state, previous);
  }

  #logState(state: ConnectionState): void {
    switch (state) {
      case 'SUSPENDED':
        return this.#logger.warn(`SUSPENDED${toReasons(this.#handle?.connectFailures ?? new Map())}`);
      case 'LOST':
        return this.#logger.warn('LOST: the session is over, or may be');
      default:
        return this.#logger.info(
          `${state}: ${this.#handle?.server ?? this.#connectString}, session ${toHex(this.sessionId)}`,
        );
    }
  }

  /**
   * Ends the session here when the server may have ended it there. Looks again when that could be, as far as is known now:
   * each answer from the server moves it.
   */
  #checkLease(): void {
    this.#leaseTimer?.cancel();
    const lostAt = this.#lostAt();
    if (lostAt === undefined) return;
    const leftMs = lostAt - this.clock.now();
    if (leftMs > 0) this.#leaseTimer = this.clock.after(leftMs, () => this.#checkLease());
    else this.#step({ kind: 'leaseEnded' });
  }

  /** When LOST is due, as far as is known now; undefined while there is nothing to lose. */
  #lostAt(): number | undefined {
    if (this.#lifecycle !== 'STARTED') return undefined;
    if (this.#hasLease()) return this.leaseEnd;
    // There was no session yet. As in Curator, LOST comes when one would have ended.
    return this.#chart.state === 'SUSPENDED' ? this.#suspendedAt + this.#options.sessionTimeoutMs : undefined;
  }

  #hasLease(): boolean {
    return Number.isFinite(this.leaseEnd);
  }

  // Waiting.

  /** Resolves to whether there is a connection, at the latest after `timeoutMs`; without it, waits for one. */
  async awaitConnection({
    timeoutMs,
    signal,
  }: {
    timeoutMs?: number | undefined;
    signal?: AbortSignal | undefined;
  }): Promise<boolean> {
    signal?.throwIfAborted();
    if (this.connected) return true;
    return this.#interruptible(signal, (resolve) => {
      const onConnected = () => resolve(true);
      this.#connectionWaiters.add(onConnected);
      const timer = timeoutMs === undefined ? undefined : this.clock.after(timeoutMs, () => resolve(false));
      return () => {
        this.#connectionWaiters.delete(onConnected);
        timer?.cancel();
      };
    });
  }

  /** What a call that finds no connection fails with. */
  connectionLoss(waitedMs: number): ConnectionLossError {
    return new ConnectionLossError(`no connection to ${this.#connectString} within ${waitedMs} ms`, {
      failures: new Map(this.#handle?.connectFailures),
      cause: this.#authFailure,
    });
  }

  /**
   * Tries until it works, the failure is no matter of the connection, or the policy gives up; then rejects with the last
   * error. Each attempt gets the present handle, and is made only with a connection; if there is none within the connection
   * timeout, that is its failure. Ends at once with `ClientClosedError` on close and with the signal's reason on abort, and
   * doesn't wait for an attempt under way: attempts should hand the signal on.
   */
  async retry<T>(attempt: Attempt<T>, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<T> {
    this.assertStarted();
    checkSignal(signal);
    const startedAt = this.clock.now();
    let attemptNumber = 0;
    for (let retryCount = 0; ; retryCount++) {
      try {
        if (!this.connected && !(await this.awaitConnection({ timeoutMs: this.connectionTimeoutMs, signal }))) {
          throw this.connectionLoss(this.connectionTimeoutMs);
        }
        attemptNumber++;
        return await this.#interruptible(signal, (resolve, reject) => {
          attempt(this.zookeeper, attemptNumber).then(resolve, reject);
          return () => undefined;
        });
      } catch (error) {
        const elapsedMs = this.clock.now() - startedAt;
        const delayMs = this.#nextDelayMs({ retryCount, elapsedMs, error });
        if (delayMs === undefined) {
          addCallers(error);
          throw error;
        }
        this.#logger.debug(`attempt ${retryCount + 1} failed, next in ${delayMs} ms: ${describeError(error)}`);
        await this.#sleep(delayMs, signal);
      }
    }
  }

  #nextDelayMs(failure: { retryCount: number; elapsedMs: number; error: unknown }): number | undefined {
    const { error } = failure;
    if (!isRetryable(error) || !(error instanceof Error) || givenUp.has(error)) return undefined;
    const delayMs = this.#options.retryPolicy.nextDelayMs({ ...failure, random: this.random });
    if (delayMs !== undefined && !(delayMs >= 0)) {
      throw new InvalidArgumentError('retryPolicy', `its nextDelayMs returned ${String(delayMs)}`, { cause: error });
    }
    publishRetry(() => ({ attempt: failure.retryCount + 1, elapsedMs: failure.elapsedMs, delayMs, error }));
    if (delayMs === undefined) givenUp.add(error);
    return delayMs;
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#interruptible(signal, (resolve) => {
      const timer = this.clock.after(ms, resolve);
      return () => timer.cancel();
    });
  }

  /**
   * A promise that is settled by what `begin` starts, by the signal, or by closing the client. `begin` must not settle it
   * before it has returned; it returns what cleans up, which is then called exactly once.
   */
  #interruptible<T>(
    signal: AbortSignal | undefined,
    begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => () => void,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.assertStarted();
      signal?.throwIfAborted();
      const finish = (settle: () => void) => {
        if (!this.#interruptions.remove(interruption)) return;
        stopWaiting?.();
        cleanUp();
        settle();
      };
      const onClose = () => finish(() => reject(new ClientClosedError('the client was closed')));
      const onAborted = () => finish(() => reject(signal?.reason));
      const cleanUp = begin(
        (value) => finish(() => resolve(value)),
        (error) => finish(() => reject(error)),
      );
      const interruption = this.#interruptions.add(onClose);
      const stopWaiting = signal === undefined ? undefined : onAbort(signal, onAborted);
      // What was begun may have closed the client, or fired the signal, by itself.
      if (this.#lifecycle === 'STOPPED') onClose();
      else if (signal?.aborted) onAborted();
    });
  }

  // In the background.

  /** Tries until it works, is refused (then `error` events tell) or the client is closed. */
  guarantee(attempt: Attempt<void>): void {
    if (this.#lifecycle !== 'STARTED') return;
    this.#background.push(attempt);
    if (this.#background.length === 1) this.#runBackground().catch((error) => this.reportError(error));
  }

  async #runBackground(): Promise<void> {
    for (let attempt = this.#background[0]; attempt !== undefined; attempt = this.#background[0]) {
      try {
        await this.retry(attempt);
        this.#background.shift();
      } catch (error) {
        if (this.#lifecycle === 'STOPPED') return;
        if (isRetryable(error)) {
          await this.#pauseBackground();
        } else {
          this.#background.shift();
          this.reportError(error);
        }
      }
    }
  }

  /** Until there is a connection, and never shorter than the pause, whatever the retry policy says (CURATOR-209). */
  async #pauseBackground(): Promise<void> {
    try {
      await this.#sleep(BACKGROUND_PAUSE_MS);
      await this.awaitConnection({});
    } catch (error) {
      // Closing the client is the only thing that ends this wait, and there is nobody to tell.
      if (!(error instanceof ClientClosedError)) throw error;
    }
  }
}
