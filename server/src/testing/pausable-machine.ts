import type {
  Address,
  Clock,
  Closeable,
  DialHandler,
  ListenHandler,
  Millis,
  Network,
  Stream,
  StreamHandler,
} from '../ports.ts';

/**
 * Clock and network of a server that can be paused, as a process is by SIGSTOP: meanwhile it hears nothing, says nothing and
 * its alarm doesn't ring, but the system goes on accepting connections. Afterwards all comes in the order in which it happened.
 */
export class PausableMachine {
  readonly clock: Clock;
  readonly network: Network;
  readonly #streams = new Set<PausableStream>();
  /** What is kept back while it is paused. */
  #kept: (() => void)[] | undefined;

  constructor({ clock, network }: { clock: Clock; network: Network }) {
    this.clock = {
      now: () => clock.now(),
      wallTime: () => clock.wallTime(),
      setAlarm: (at: Millis, wake: () => void) => clock.setAlarm(at, () => this.#pass(wake)),
      soon: (run: () => void) => clock.soon(() => this.#pass(run)),
    };
    this.network = {
      listen: (address: Address, handler: ListenHandler) => this.#listen(network, address, handler),
      dial: (address: Address, handler: DialHandler) => this.#dial(network, address, handler),
    };
  }

  get isPaused(): boolean {
    return this.#kept !== undefined;
  }

  pause(): void {
    this.#kept ??= [];
    for (const stream of this.#streams) stream.updateReading();
  }

  resume(): void {
    const kept = this.#kept ?? [];
    this.#kept = undefined;
    for (const run of kept) run();
    for (const stream of this.#streams) stream.updateReading();
  }

  /** Ends all connections at once, without a word to either side. */
  dropConnections(): void {
    for (const stream of this.#streams) stream.drop();
  }

  #dial(network: Network, address: Address, handler: DialHandler): void {
    network.dial(address, {
      onFailure: (error) => this.#pass(() => handler.onFailure(error)),
      onOpened: (stream) => this.#pausable(stream, (pausable) => handler.onOpened(pausable)),
    });
  }

  #listen(network: Network, address: Address, handler: ListenHandler): Closeable {
    return network.listen(address, {
      onListening: (bound) => handler.onListening(bound),
      onFailure: (error) => handler.onFailure(error),
      onStream: (stream) => this.#pausable(stream, (pausable) => handler.onStream(pausable)),
    });
  }

  #pausable(stream: Stream, handlerFor: (pausable: Stream) => StreamHandler | undefined): StreamHandler {
    const pausable = new PausableStream(stream, {
      isPaused: () => this.isPaused,
      pass: (run) => this.#pass(run),
      ended: () => this.#streams.delete(pausable),
    });
    this.#streams.add(pausable);
    if (this.isPaused) pausable.updateReading();
    this.#pass(() => pausable.attach(handlerFor(pausable)));
    return pausable;
  }

  #pass(run: () => void): void {
    if (this.#kept === undefined) run();
    else this.#kept.push(run);
  }
}

interface StreamOwner {
  isPaused(): boolean;
  /** Runs it now, or when the machine is resumed. */
  pass(run: () => void): void;
  ended(): void;
}

/** Stands between a stream and the server's handler of it. */
class PausableStream implements Stream, StreamHandler {
  readonly #stream: Stream;
  readonly #owner: StreamOwner;
  #handler: StreamHandler | undefined;
  /** The server itself wants to read. */
  #reads = true;

  constructor(stream: Stream, owner: StreamOwner) {
    this.#stream = stream;
    this.#owner = owner;
  }

  /** Without a handler the server doesn't want it. */
  attach(handler: StreamHandler | undefined): void {
    this.#handler = handler;
    if (handler === undefined) this.#stream.destroy();
  }

  updateReading(): void {
    if (this.#reads && !this.#owner.isPaused()) this.#stream.resume();
    else this.#stream.pause();
  }

  drop(): void {
    this.#stream.destroy();
  }

  get remote(): Address {
    return this.#stream.remote;
  }

  get queuedBytes(): number {
    return this.#stream.queuedBytes;
  }

  write(bytes: Uint8Array): void {
    this.#owner.pass(() => this.#stream.write(bytes));
  }

  pause(): void {
    this.#reads = false;
    this.updateReading();
  }

  resume(): void {
    this.#reads = true;
    this.updateReading();
  }

  close(): void {
    this.#owner.pass(() => this.#stream.close());
  }

  destroy(): void {
    this.#owner.pass(() => this.#stream.destroy());
  }

  onBytes(bytes: Uint8Array): void {
    this.#owner.pass(() => this.#handler?.onBytes(bytes));
  }

  onDrain(): void {
    this.#owner.pass(() => this.#handler?.onDrain());
  }

  onClose(error: Error | undefined): void {
    this.#owner.ended();
    this.#owner.pass(() => this.#handler?.onClose(error));
  }
}
