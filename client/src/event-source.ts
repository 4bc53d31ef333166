/**
 * A typed emitter: what `on` of `ZooKeeper` and of `CuratorFramework` stand on. Listeners belong to the user: one that throws
 * is logged (by default to `DEBUG=zookeeper:listener`), and the others still run.
 */
import { InvalidArgumentError } from './errors.ts';
import { debugLogger, describeError, type Logger } from './logger.ts';

const defaultLogger = debugLogger('zookeeper:listener');

/** Event name → the arguments of its listeners. */
export type EventArguments = Record<string, readonly unknown[]>;

export class EventSource<Events extends EventArguments> {
  readonly #registrations = new Map<keyof Events, Set<Registration>>();
  readonly #logger: Logger | undefined;

  /** @param logger hears of listeners that throw; `DEBUG=zookeeper:listener` by default */
  constructor(logger?: Logger) {
    this.#logger = logger;
  }

  /** Calls `listener` for each such event from now on. Returns what removes it; calling that twice is harmless. */
  on<Name extends keyof Events>(name: Name, listener: (...args: Events[Name]) => void): () => void {
    if (typeof listener !== 'function') throw new InvalidArgumentError('listener', 'not a function');
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
      if (registrations.has(registration)) callListener(this.#logger, registration.listener, ...args);
    }
  }
}

/** One call of `on`: the same function added twice is two of them. */
interface Registration {
  // What the key `name` holds takes the arguments of `name`: `on` and `emit` see to that.
  readonly listener: (...args: readonly unknown[]) => void;
}

/** Calls a function of the user's. Whatever it throws, or rejects with if it is async, is logged and goes no further. */
export function callListener<Args extends readonly unknown[]>(
  logger: Logger = defaultLogger,
  listener: (...args: Args) => void,
  ...args: Args
): void {
  const report = (what: string, error: unknown): void =>
    logger.error(`a listener ${what}: ${describeError(error, { stack: true })}`);
  try {
    const result: unknown = listener(...args);
    if (result instanceof Promise) result.catch((error: unknown) => report('rejected', error));
  } catch (error) {
    report('threw', error);
  }
}
