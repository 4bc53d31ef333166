/** How programs use locks in a simulated world: they wait for some time, work while they may, and release. */
import { isRetryable } from 'zookeeper-client-ts';
import { AcquireTimeoutError, type LockAcquireOptions, type Ownership, OwnershipLostError } from 'zookeeper-recipes-ts';
import type { Holding, Holdings } from './holdings.fixture.ts';
import { type Actor, FAULTS, GaveUp, type RecipeWorld } from './recipe-world.fixture.ts';

/** What a profile of locks has to have met. */
export const LOCK_MARKS = [
  ...FAULTS,
  'frozen while holding',
  'granted',
  'lost while holding',
  'timed out',
  'gave up',
  'stale token refused',
] as const;

export interface Lock<Grant> {
  acquire(options: LockAcquireOptions): Promise<Grant>;
}

/** Undefined if it came to nothing, in one of the ways that are promised. */
export async function acquired<Grant>(run: RecipeWorld, actor: Actor, lock: Lock<Grant>): Promise<Grant | undefined> {
  const options = {
    ...(actor.chance(0.3) && { timeoutMs: actor.between([0, 3000]) }),
    ...(actor.chance(0.2) && { signal: actor.abortAfter([0, 3000]) }),
  };
  try {
    return await lock.acquire(options);
  } catch (error) {
    if (error instanceof AcquireTimeoutError) run.mark('timed out');
    else if (error instanceof GaveUp) run.mark('gave up');
    else if (error instanceof OwnershipLostError || isRetryable(error)) run.mark('failed');
    else throw error;
    return undefined;
  }
}

/** Does some work while it may. */
export async function workWith(actor: Actor, holdings: Holdings, holding: Holding): Promise<void> {
  for (let count = actor.between([1, 4]); count > 0; count--) {
    if (!holdings.work(holding, actor.chance(0.2) ? actor.between([100, 9000]) : actor.between([0, 20]))) return;
    await actor.pause([0, 150]);
  }
}

export async function released(holdings: Holdings, holding: Holding): Promise<void> {
  holdings.releasing(holding);
  await holding.held.release().catch(onlyRetryable);
}

/** What the connection does to a call is nobody's fault. */
export function onlyRetryable(error: unknown): void {
  if (!isRetryable(error)) throw error;
}

/** Acquires, works and releases, once. */
export async function takeTurn(
  run: RecipeWorld,
  actor: Actor,
  holdings: Holdings,
  lock: Lock<Ownership>,
  mode?: string,
): Promise<void> {
  const held = await acquired(run, actor, lock);
  if (held === undefined) return;
  const holding = holdings.granted(actor, held, mode);
  await workWith(actor, holdings, holding);
  await released(holdings, holding);
}
