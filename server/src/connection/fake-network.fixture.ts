import type { Address, Closeable, DialHandler, ListenHandler, Network, Stream, StreamHandler } from '../ports.ts';

/** One end of a connection, moved by the test's hand. */
export class FakeStream implements Stream {
  readonly remote: Address;
  /** Who reads it; undefined if it was refused. */
  handler: StreamHandler | undefined;
  /** What was written, joined. */
  written: Buffer = Buffer.alloc(0);
  /** In pieces, as they were written. */
  readonly writes: Uint8Array[] = [];
  /** What the other end leaves unread. */
  queuedBytes = 0;
  /** Whether the other end reads nothing. */
  isStuck = false;
  isPaused = false;
  end: 'closed' | 'destroyed' | undefined;

  constructor(remote: Address) {
    this.remote = remote;
  }

  write(bytes: Uint8Array): void {
    if (this.end !== undefined) return;
    this.writes.push(bytes);
    this.written = Buffer.concat([this.written, bytes]);
    if (this.isStuck) this.queuedBytes += bytes.length;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  close(): void {
    this.end ??= 'closed';
  }

  destroy(): void {
    this.end ??= 'destroyed';
  }

  /** Bytes come from the other end. */
  receive(bytes: Uint8Array | string): void {
    this.handler?.onBytes(typeof bytes === 'string' ? Buffer.from(bytes, 'hex') : bytes);
  }

  /** The other end has read everything. */
  drain(): void {
    this.queuedBytes = 0;
    this.handler?.onDrain();
  }

  /** It has ended: the other end, the network, or what this end asked for. */
  finish(error?: Error): void {
    this.end ??= 'closed';
    this.handler?.onClose(error);
  }

  /** What was written since the last call. */
  take(): Buffer {
    const { written } = this;
    this.written = Buffer.alloc(0);
    return written;
  }
}

interface Dial {
  readonly address: Address;
  readonly handler: DialHandler;
}

/** A network on which nothing happens by itself. */
export class FakeNetwork implements Network {
  /** Those that wait for an answer, oldest first. */
  readonly dials: Dial[] = [];
  readonly #asked: { readonly address: Address; readonly handler: ListenHandler }[] = [];
  readonly #listeners = new Map<number, ListenHandler>();
  #nextPort = 50_000;

  listen(address: Address, handler: ListenHandler): Closeable {
    const asked = { address, handler };
    this.#asked.push(asked);
    return {
      close: () => {
        if (this.#asked.includes(asked)) this.#asked.splice(this.#asked.indexOf(asked), 1);
        if (this.#listeners.get(address.port) === handler) this.#listeners.delete(address.port);
      },
    };
  }

  /** Gives the ports that were asked for, and those that are asked for then. @param refused one that can't be had */
  bind(refused?: { readonly port: number; readonly error: Error }): void {
    for (let next = this.#asked.shift(); next !== undefined; next = this.#asked.shift()) {
      const { address, handler } = next;
      if (address.port === refused?.port) {
        handler.onFailure(refused.error);
        continue;
      }
      this.#listeners.set(address.port, handler);
      handler.onListening(address);
    }
  }

  dial(address: Address, handler: DialHandler): void {
    this.dials.push({ address, handler });
  }

  isListening(port: number): boolean {
    return this.#listeners.has(port);
  }

  /** Somebody connects to a port. */
  connect(port: number, host = '10.0.0.9'): FakeStream {
    const stream = new FakeStream({ host, port: this.#nextPort++ });
    stream.handler = this.#listeners.get(port)?.onStream(stream);
    if (stream.handler === undefined) stream.end = 'closed';
    return stream;
  }

  /** The oldest dial succeeds. */
  open(): FakeStream {
    const { address, handler } = this.#takeDial();
    const stream = new FakeStream(address);
    stream.handler = handler.onOpened(stream);
    if (stream.handler === undefined) stream.end ??= 'closed';
    return stream;
  }

  /** The oldest dial fails. */
  fail(): void {
    this.#takeDial().handler.onFailure(new Error('nobody answers'));
  }

  #takeDial(): Dial {
    const dial = this.dials.shift();
    if (dial === undefined) throw new Error('nothing was dialled');
    return dial;
  }
}

/** Keeps its lines. */
export class FakeRunLog {
  readonly lines: string[] = [];

  info(line: string): void {
    this.lines.push(line);
  }

  warn(line: string): void {
    this.lines.push(`warning: ${line}`);
  }

  error(line: string): void {
    this.lines.push(`error: ${line}`);
  }
}
