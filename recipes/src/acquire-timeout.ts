/**
 * How long a caller is willing to wait for a grant: until its signal fires, or its time is up. Both become one signal, so
 * that whatever waits has one thing to listen to, and one reason to reject with.
 *
 * What must always hold: one deadline for all that an `acquire` does, however many steps it takes (Curator's multi lock gives
 * the whole time to each of its locks); no timer and no listener is left when it has settled.
 */
import { type Clock, InvalidArgumentError, onAbort, ZooKeeperError } from 'zookeeper-client-ts';

/** How long an `acquire` may wait. Without either, as long as it takes. */
export interface AcquireOptions {
  /** Aborting rejects with the signal's reason. Nothing is left behind. */
  readonly signal?: AbortSignal | undefined;
  /**
   * When it is up, rejects with {@link AcquireTimeoutError}, as soon as what was created is deleted or the connection is found
   * to be gone. 0: what can't be granted at once is not waited for.
   */
  readonly timeoutMs?: number | undefined;
}

/** It was not granted within `timeoutMs`. What was created for it has been deleted, or will be as soon as a server is there. */
export class AcquireTimeoutError extends ZooKeeperError {
  override readonly name = 'AcquireTimeoutError';
  override readonly code = 'ACQUIRE_TIMEOUT';
  readonly timeoutMs: number;

  constructor(path: string, timeoutMs: number) {
    super(`${path} was not granted within ${timeoutMs} ms`, { path });
    this.timeoutMs = timeoutMs;
  }
}

interface Limit extends AcquireOptions {
  readonly clock: Clock;
  /** What is waited for, in the error. */
  readonly path: string;
}

/**
 * Runs `wait` with a signal that fires when the caller's does, with its reason, or when the time is up, with an
 * {@link AcquireTimeoutError}. Settles as `wait` does, which must give up when its signal fires.
 * @throws InvalidArgumentError if `timeoutMs` is negative or not a number
 */
export async function withinTime<T>(
  { clock, path, signal, timeoutMs = Number.POSITIVE_INFINITY }: Limit,
  wait: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (!(timeoutMs >= 0)) throw new InvalidArgumentError('timeoutMs', `must be at least 0, not ${timeoutMs}`);
  signal?.throwIfAborted();
  const controller = new AbortController();
  const stopListening = signal && onAbort(signal, () => controller.abort(signal.reason));
  const timer = Number.isFinite(timeoutMs)
    ? clock.after(timeoutMs, () => controller.abort(new AcquireTimeoutError(path, timeoutMs)))
    : undefined;
  try {
    return await wait(controller.signal);
  } finally {
    stopListening?.();
    timer?.cancel();
  }
}
