/**
 * Whether to try again, and when (Curator's retry policies, with its exact formulas; its reference: "Retry"). A policy is
 * plain arithmetic: it neither sleeps nor reads a clock nor draws randomness of its own, so the same inputs give the same
 * delays. The loop that asks it is `CuratorFramework.retry`.
 */
import retry from 'retry';
import {
  AuthFailedError,
  ClientClosedError,
  InvalidArgumentError,
  SessionExpiredError,
  ZooKeeperError,
} from './errors.ts';

/** What a policy may base its answer on. */
export interface RetryContext {
  /** Retries done so far: 0 after the first failure. */
  readonly retryCount: number;
  /** Since the operation began. */
  readonly elapsedMs: number;
  readonly error: unknown;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
}

/** Asked after each failure that may be retried at all, see {@link isRetryable}. */
export interface RetryPolicy {
  /** How long to wait before the next attempt, ms; undefined to give up. */
  nextDelayMs(context: RetryContext): number | undefined;
}

const retryableCodes: ReadonlySet<string> = new Set([
  'CONNECTION_LOSS',
  'OPERATION_TIMEOUT',
  'SESSION_MOVED',
  'SESSION_EXPIRED',
]);

/**
 * Failures that say nothing about the request, only about the way to the server. A write that failed so may have happened;
 * trying it again may then be refused (`NODE_EXISTS`, `BAD_VERSION`, `NO_NODE`).
 */
export const isRetryable = (error: unknown): boolean =>
  error instanceof ZooKeeperError && retryableCodes.has(error.code);

/** Failures after which it is certain that the request did nothing: the server, or this client, said no. */
export const isRefused = (error: unknown): boolean =>
  error instanceof ZooKeeperError &&
  !retryableCodes.has(error.code) &&
  !(error instanceof ClientClosedError || error instanceof AuthFailedError);

/** Retries `maxRetries` times, always after the same pause. */
export class RetryNTimes implements RetryPolicy {
  readonly #maxRetries: number;
  readonly #sleepMs: number;

  constructor(maxRetries: number, sleepMs: number) {
    this.#maxRetries = checkCount('maxRetries', maxRetries);
    this.#sleepMs = checkPause('sleepMs', sleepMs);
  }

  nextDelayMs({ retryCount }: RetryContext): number | undefined {
    return retryCount < this.#maxRetries ? this.#sleepMs : undefined;
  }
}

/** Retries once. */
export class RetryOneTime extends RetryNTimes {
  constructor(sleepMs: number) {
    super(1, sleepMs);
  }
}

/** Retries until it works or the client is closed. */
export class RetryForever implements RetryPolicy {
  readonly #sleepMs: number;

  /** @param sleepMs more than 0 */
  constructor(sleepMs: number) {
    this.#sleepMs = checkPause('sleepMs', sleepMs, { isZeroAllowed: false });
  }

  nextDelayMs(): number {
    return this.#sleepMs;
  }
}

/**
 * Retries as long as less than `maxElapsedMs` have passed. The last attempt may end one pause later. (Curator pauses before
 * it refuses; here a refusal is immediate.)
 */
export class RetryUntilElapsed implements RetryPolicy {
  readonly #maxElapsedMs: number;
  readonly #sleepMs: number;

  constructor(maxElapsedMs: number, sleepMs: number) {
    this.#maxElapsedMs = checkPause('maxElapsedMs', maxElapsedMs);
    this.#sleepMs = checkPause('sleepMs', sleepMs);
  }

  nextDelayMs({ elapsedMs }: RetryContext): number | undefined {
    return elapsedMs < this.#maxElapsedMs ? this.#sleepMs : undefined;
  }
}

/**
 * Retries with pauses that grow at random: before retry c (from 0) `baseSleepMs × max(1, R)`, R a whole number drawn evenly
 * from 0 ≤ R < 2^(c+1), and never more than `maxSleepMs`.
 */
export class ExponentialBackoffRetry implements RetryPolicy {
  readonly #baseSleepMs: number;
  readonly #maxRetries: number;
  readonly #maxSleepMs: number;

  /** @param maxRetries more than 29 count as 29 */
  constructor(baseSleepMs: number, maxRetries: number, maxSleepMs = 2 ** 31 - 1) {
    this.#baseSleepMs = checkPause('baseSleepMs', baseSleepMs);
    this.#maxRetries = Math.min(checkCount('maxRetries', maxRetries), RETRIES_MAX);
    this.#maxSleepMs = checkPause('maxSleepMs', maxSleepMs);
  }

  nextDelayMs({ retryCount, random }: RetryContext): number | undefined {
    if (retryCount >= this.#maxRetries) return undefined;
    const steps = retry.createTimeout(retryCount, { factor: 2, minTimeout: 2, maxTimeout: Number.POSITIVE_INFINITY });
    const drawn = Math.floor(random() * steps);
    return Math.min(this.#maxSleepMs, this.#baseSleepMs * Math.max(1, drawn));
  }
}

const RETRIES_MAX = 29;

/** Another policy, except that an expired session is not retried: for what rests on the session it began in. */
export class SessionFailedRetryPolicy implements RetryPolicy {
  readonly #policy: RetryPolicy;

  constructor(policy: RetryPolicy) {
    this.#policy = policy;
  }

  nextDelayMs(context: RetryContext): number | undefined {
    const { error } = context;
    return error instanceof SessionExpiredError ? undefined : this.#policy.nextDelayMs(context);
  }
}

/** {@link ExponentialBackoffRetry} with the order of arguments that Curator gave the bounded variant. */
export class BoundedExponentialBackoffRetry extends ExponentialBackoffRetry {
  constructor(baseSleepMs: number, maxSleepMs: number, maxRetries: number) {
    super(baseSleepMs, maxRetries, maxSleepMs);
  }
}

/** A pause, ms, or a time: no longer than a timer can wait. */
function checkPause(argument: string, ms: number, { isZeroAllowed = true } = {}): number {
  if (typeof ms === 'number' && (isZeroAllowed ? ms >= 0 : ms > 0) && ms <= PAUSE_MS_MAX) return ms;
  const least = isZeroAllowed ? 'from 0' : 'above 0';
  throw new InvalidArgumentError(argument, `${String(ms)} is not a number of ms ${least} to ${PAUSE_MS_MAX}`);
}

const PAUSE_MS_MAX = 0x7fff_ffff;

function checkCount(argument: string, count: number): number {
  if (typeof count === 'number' && (Number.isInteger(count) || count === Number.POSITIVE_INFINITY) && count >= 0) {
    return count;
  }
  throw new InvalidArgumentError(argument, `${String(count)} is not a whole number from 0 on`);
}
