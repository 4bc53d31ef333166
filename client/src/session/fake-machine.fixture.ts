/**
 * For the tests of the session layer: a machine whose time and network move by the test's hand, and the words of a server.
 * Not part of the package's door.
 */
import {
  type Codec,
  connectResponse,
  ErrorCode,
  EventType,
  FrameReader,
  JuteReader,
  JuteWriter,
  KeeperState,
  nothing,
  replyHeader,
  requestHeader,
  SpecialXid,
  toSessionId,
  toXid,
  toZxid,
  watcherEvent,
} from 'zookeeper-protocol-ts';
import type { Clock, Connection, ConnectionHandler, HostAddress, Ports, Timer, Transport } from './transport.ts';

interface FakeTimer extends Timer {
  readonly due: number;
  readonly run: () => void;
}

export class FakeMachine {
  /** Every connection that was tried, in order. */
  readonly links: FakeLink[] = [];
  readonly ports: Ports;
  now = 1000;
  random = 0;
  /** When anything was sent last. */
  lastWrite = Number.NEGATIVE_INFINITY;
  readonly #timers = new Set<FakeTimer>();
  #soon: (() => void)[] = [];

  constructor() {
    const clock: Clock = {
      now: () => this.now,
      wallTime: () => this.now,
      after: (ms, run) => {
        const timer: FakeTimer = { due: this.now + ms, run, cancel: () => void this.#timers.delete(timer) };
        this.#timers.add(timer);
        return timer;
      },
      soon: (run) => void this.#soon.push(run),
    };
    const transport: Transport = {
      connect: (address, handler) => {
        const link = new FakeLink(this, address, handler);
        this.links.push(link);
        return link;
      },
    };
    this.ports = { clock, transport, random: () => this.random };
  }

  /** The latest connection. */
  get link(): FakeLink {
    const link = this.links.at(-1);
    if (link === undefined) throw new Error('no connection was tried');
    return link;
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** Does something, and then what was put off until after it. */
  step(run: () => void = () => undefined): void {
    run();
    this.drain();
  }

  drain(): void {
    for (let next = this.#soon.shift(); next !== undefined; next = this.#soon.shift()) next();
  }

  /** Lets time pass; timers run when they are due. */
  advance(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const [next] = [...this.#timers].filter(({ due }) => due <= end).sort((a, b) => a.due - b.due);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.now = Math.max(this.now, next.due);
      this.step(next.run);
    }
    this.now = end;
  }

  /** Lets time pass while the process is frozen: no timer runs before the next `advance`. */
  freeze(ms: number): void {
    this.now += ms;
  }

  /** Lets promises react, and does what is put off, until nothing is left to do. Time stands still. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 2; quiet++) {
      await new Promise((resolve) => setImmediate(resolve));
      const next = this.#soon.shift();
      if (next === undefined) continue;
      next();
      quiet = -1;
    }
  }
}

export class FakeLink implements Connection {
  /** What was written, one element for each write. */
  readonly writes: Uint8Array[] = [];
  /** By the client. */
  closed = false;
  /** By the server. */
  ended = false;
  /** For the test: how many requests it has answered. */
  answered = 0;
  readonly #machine: FakeMachine;
  readonly #handler: ConnectionHandler;
  readonly address: HostAddress;

  constructor(machine: FakeMachine, address: HostAddress, handler: ConnectionHandler) {
    this.#machine = machine;
    this.#handler = handler;
    this.address = address;
  }

  write(bytes: Uint8Array): void {
    this.writes.push(bytes);
    this.#machine.lastWrite = this.#machine.now;
  }

  close(): void {
    this.closed = true;
  }

  open(): void {
    if (this.#isOpen) this.#machine.step(() => this.#handler.onOpen());
  }

  /** Bytes from the server, several frames in one chunk. */
  receive(...frames: Uint8Array[]): void {
    if (this.#isOpen) this.#machine.step(() => this.#handler.onBytes(Buffer.concat(frames)));
  }

  /** The same without doing what is put off: for tests that let promises run in between. */
  receiveOnly(...frames: Uint8Array[]): void {
    if (this.#isOpen) this.#handler.onBytes(Buffer.concat(frames));
  }

  fail(error?: Error): void {
    if (!this.#isOpen) return;
    this.ended = true;
    this.#machine.step(() => this.#handler.onClose(error));
  }

  /** As the port promises: nothing is called back after either side has ended it. */
  get #isOpen(): boolean {
    return !this.closed && !this.ended;
  }

  /** Opens it, and lets the server accept the session. */
  accept(options: Parameters<typeof accepted>[0] = {}): void {
    this.open();
    this.receive(accepted(options));
  }

  /** The requests written so far, without the connect request. */
  get requests(): { xid: number; type: number; body: JuteReader }[] {
    const frames = new FrameReader();
    for (const bytes of this.writes) frames.push(bytes);
    const requests = [];
    frames.next();
    for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
      const body = new JuteReader(frame);
      requests.push({ ...requestHeader.read(body), body });
    }
    return requests;
  }
}

/** A frame of what `write` writes. */
export function framed(write: (writer: JuteWriter) => void): Buffer {
  const writer = new JuteWriter();
  const frame = writer.startFrame();
  write(writer);
  writer.endFrame(frame);
  return writer.take();
}

export const SESSION_ID = toSessionId(0x1_0000_dc6d_1000_0n);
export const PASSWORD = Buffer.from('0123456789abcdef');

/** The server's answer to a connect request. */
export const accepted = ({
  sessionId = SESSION_ID,
  timeoutMs = 30_000,
  readOnly = false as boolean | undefined,
} = {}) =>
  framed((writer) =>
    connectResponse.write(writer, { protocolVersion: 0, timeoutMs, sessionId, password: PASSWORD, readOnly }),
  );

/** The server's answer to a request. */
export const replied = (xid: number, { zxid = 0n, err = ErrorCode.OK as number } = {}): Buffer =>
  repliedWith(xid, nothing, undefined, { zxid, err });

/** The same with a body. */
export const repliedWith = <T>(
  xid: number,
  codec: Codec<T>,
  body: T,
  { zxid = 0n, err = ErrorCode.OK as number } = {},
): Buffer =>
  framed((writer) => {
    replyHeader.write(writer, { xid: toXid(xid), zxid: toZxid(zxid), err });
    codec.write(writer, body);
  });

export const notified = (path: string, type: number = EventType.NodeDataChanged): Buffer =>
  repliedWith(SpecialXid.notification, watcherEvent, { type, state: KeeperState.SyncConnected, path }, { zxid: -1n });

export const pong = (): Buffer => replied(SpecialXid.ping);
