/**
 * A typed emitter: what `on` of `ZooKeeper` and of `CuratorFramework` stand on. Listeners belong to the user: one that throws
 * is reported by `debug` (`DEBUG=zookeeper:listener`), and the others still run.
 */
import debug from 'debug';

const report = debug('zookeeper:listener');

/** Event name → the arguments of its listeners. */
export type EventArguments = Record<string, readonly unknown[]>;

export class EventSource<Events extends EventArguments> {
  readonly #registrations = new Map<keyof Events, Set<Registration>>();

  /** Calls `listener` for each such event from now on. Returns what removes it; calling that twice is harmless. */
  on<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => void): () => void {
    const registration: Registration = { listener: listener as Registration['listener'] };
    const registrations = this.#registrations.get(name) ?? new Set();
    this.#registrations.set(name, registrations.add(registration));
    return () => void registrations.delete(registration);
  }

  /** Whether anybody listens. */
  has(name: keyof Events): boolean {
    return (this.#registrations.get(name)?.size ?? 0) > 0;
  }

  /**
   * Calls the listeners in the order in which they were added: those that are there now, except the ones that are removed
   * before it is their turn.
   */
  emit<Name extends keyof Events>(name: Name, ...args: Events[Name]): void {
    const registrations = this.#registrations.get(name);
    if (registrations === undefined) return;
    for (const registration of [...registrations]) {
      if (registrations.has(registration)) callListener(registration.listener, ...args);
    }
  }
}

/** One call of `on`: the same function added twice is two of them. */
interface Registration {
  // What the key `name` holds takes the arguments of `name`: `on` and `emit` see to that.
  readonly listener: (...args: readonly unknown[]) => void;
}

/** Calls a function of the user's. Whatever it throws, or rejects with if it is async, is reported and goes no further. */
export function callListener<Args extends readonly unknown[]>(listener: (...args: Args) => void, ...args: Args): void {
  try {
    const result: unknown = listener(...args);
    if (result instanceof Promise) result.catch((error: unknown) => report('a listener rejected: %O', error));
  } catch (error) {
    report('a listener threw: %O', error);
  }
}
