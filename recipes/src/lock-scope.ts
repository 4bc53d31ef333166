/**
 * Who is acquiring? In Java the thread says it. Here it is the flow of control: what runs in a lock's `using`, with all that
 * it calls and awaits, holds that lock, and enters it again without waiting for itself.
 *
 * What must always hold: a scope that has been left gives nothing. What was started in it and still runs afterwards holds
 * nothing, and stands in line like anybody else.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Ownership } from './ownership.ts';

interface LockScope {
  readonly lock: object;
  readonly held: Ownership;
  readonly outer: LockScope | undefined;
  isOpen: boolean;
}

const scopes = new AsyncLocalStorage<LockScope>();

/** Runs `work` in a scope that holds `lock`. */
export async function runHolding<T>(lock: object, held: Ownership, work: () => T | Promise<T>): Promise<T> {
  const scope: LockScope = { lock, held, outer: scopes.getStore(), isOpen: true };
  try {
    return await scopes.run(scope, work);
  } finally {
    scope.isOpen = false;
  }
}

/** What the present flow of control holds of `lock`, by its innermost scope. */
export function heldInScope(lock: object): Ownership | undefined {
  for (let scope = scopes.getStore(); scope !== undefined; scope = scope.outer) {
    if (scope.lock === lock && scope.isOpen) return scope.held;
  }
  return undefined;
}
