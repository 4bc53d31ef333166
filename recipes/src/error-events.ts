import type { CuratorFramework, EventSource } from 'zookeeper-client-ts';

/** Event name → the arguments of its listeners, for recipes that tell errors which no caller hears of. */
export interface ErrorEvents extends Record<string, readonly unknown[]> {
  readonly error: readonly [error: unknown];
}

/**
 * Tells what a user's function threw, or what a recipe could not do while nobody waited for it, to the recipe's own listeners
 * of `error`; if there are none, to the client's. It never becomes an unhandled rejection.
 */
export function tellError(events: EventSource<ErrorEvents>, client: CuratorFramework, error: unknown): void {
  if (events.has('error')) events.emit('error', error);
  else client.reportError(error);
}
