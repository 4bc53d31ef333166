/**
 * What all locks have in common: how they are acquired, and what their holders have in hand (Curator's `InterProcessLock`).
 */
import { type AcquireOptions, AcquireTimeoutError } from './acquire-timeout.ts';

/** Something held, until it is released or lost. */
export interface Held extends AsyncDisposable {
  /** Fires when it has ended or is in doubt, always before somebody else can hold it. */
  readonly signal: AbortSignal;
  /** Whether it is held at this moment. The answer ages. */
  isHeld(): boolean;
  /** Gives it up. May be called again, and must be called also after it was lost, for something may be left of it. */
  release(): Promise<void>;
}

/** Something that one, or only some, can hold at a time. */
export interface InterProcessLock<Grant extends Held = Held> {
  /** Where it is; of several locks, all of them. */
  readonly path: string;
  /**
   * Waits until it is granted. Whatever it rejects with, nothing is left behind.
   * @throws AcquireTimeoutError when the time is up
   */
  acquire(options?: AcquireOptions): Promise<Grant>;
  /** Undefined if it would have to wait for somebody else, or for a connection. */
  tryAcquire(options?: Pick<AcquireOptions, 'signal'>): Promise<Grant | undefined>;
}

/** Releases after `work`, whatever comes of it. What `work` throws goes first (CURATOR-41). */
export async function runAndRelease<T>(
  held: Held,
  { work, report }: { readonly work: () => T | Promise<T>; readonly report: (error: unknown) => void },
): Promise<T> {
  let result: T;
  try {
    result = await work();
  } catch (error) {
    await held.release().catch(report);
    throw error;
  }
  await held.release();
  return result;
}

/** What was granted, or the error that says why not. */
export function grantedInTime<Grant>(granted: Grant | undefined, path: string): Grant {
  if (granted === undefined) throw new AcquireTimeoutError(path, 0);
  return granted;
}
