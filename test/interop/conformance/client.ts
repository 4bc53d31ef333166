/**
 * A connection of a scenario: it sends what it is told, and writes down every frame that comes back, in the order of arrival, as one
 * line of text. No client logic: no ping by itself, no reconnect, no check of what is sent. What differs between two runs of the same
 * scenario on equal servers (zxids, session ids, times) is written relative to the scenario, so that the lines can be compared.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  type ConnectRequest,
  connectRequest,
  connectResponse,
  errorCodeName,
  eventTypeName,
  FrameReader,
  JuteReader,
  JuteWriter,
  keeperStateName,
  NO_SESSION,
  OpCode,
  type Operation,
  operations,
  replyHeader,
  type SessionId,
  SpecialXid,
  watcherEvent,
  ZERO_ZXID,
  type Zxid,
} from 'zookeeper-protocol-ts';
import type { Words } from './words.ts';

export type OperationName = keyof typeof operations;
export type RequestOf<Name extends OperationName> =
  (typeof operations)[Name] extends Operation<infer Request, unknown> ? Request : never;

/** What was done, and what came of it. */
export interface Line {
  readonly step: string;
  readonly outcome: string;
}

/** Where a client works: the port, the words for what it sees, and the transcript that its lines go to. */
export interface Setting {
  readonly port: number;
  readonly words: Words;
  readonly lines: Line[];
  /** Sessions that were closed. */
  readonly ended: Set<SessionId>;
}

/** A request that has no answer yet. */
interface Expected {
  readonly xid: number;
  readonly step: string;
  /** The words for the body behind a header without error. */
  readonly bodyOf: (reader: JuteReader) => string;
  /** A ping that only waits for what is on its way. */
  readonly isBarrier: boolean;
}

/** After so long without an answer a scenario goes on, and its transcript says so. */
const PATIENCE_MS = 5000;

export class Client {
  readonly name: string;
  readonly #setting: Setting;
  readonly #socket: Socket;
  readonly #frames = new FrameReader({ frameBytesMax: 64 * 1024 * 1024 });
  readonly #expected: Expected[] = [];
  /** What arrived and is not in the transcript yet. */
  #arrived: Line[] = [];
  #onArrival: () => void = () => undefined;
  /** The step of a connect request that has no answer yet. */
  #connecting: string | undefined;
  #nextXid = 1;
  #isClosed = false;
  sessionId: SessionId = NO_SESSION;
  password: Uint8Array = Buffer.alloc(16);
  /** Of the last reply that had one. */
  lastZxid: Zxid = ZERO_ZXID;

  private constructor(name: string, socket: Socket, setting: Setting) {
    this.name = name;
    this.#socket = socket;
    this.#setting = setting;
    socket.setNoDelay(true);
    socket.on('data', (bytes) => this.#onBytes(bytes));
    // A reset is an end like any other.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      for (const { step, isBarrier } of this.#expected.splice(0)) {
        if (!isBarrier) this.#arrived.push({ step, outcome: 'unanswered' });
      }
      if (this.#connecting !== undefined) this.#arrived.push({ step: this.#connecting, outcome: 'unanswered' });
      this.#connecting = undefined;
      this.#arrived.push({ step: this.name, outcome: 'closed by the server' });
      this.#isClosed = true;
      this.#onArrival();
    });
  }

  static async open(name: string, setting: Setting): Promise<Client> {
    const socket = connect({ host: '127.0.0.1', port: setting.port });
    await once(socket, 'connect');
    return new Client(name, socket, setting);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Asks for a session; the transcript says what was granted. */
  async connect(request: Partial<ConnectRequest> = {}): Promise<this> {
    const writer = new JuteWriter();
    connectRequest.write(writer, {
      protocolVersion: 0,
      lastZxidSeen: ZERO_ZXID,
      timeoutMs: 10_000,
      sessionId: NO_SESSION,
      password: Buffer.alloc(16),
      readOnly: false,
      ...request,
    });
    return this.connectRaw(writer.take(), describeConnect(request));
  }

  /** Sends a connect request of our own making. */
  async connectRaw(body: Uint8Array, label: string): Promise<this> {
    this.#connecting = `${this.name} connects ${label}`;
    this.writeFrame(body);
    await this.#until(() => this.#connecting === undefined);
    this.#flush();
    return this;
  }

  /** Sends a request, waits for the reply and for what the server does behind it. */
  async do<Name extends OperationName>(name: Name, request: RequestOf<Name>, xid?: number): Promise<void> {
    this.send(name, request, xid);
    await this.answered();
    await this.settle();
  }

  /** The same with a body of our own making. */
  async doRaw(type: number, body: Uint8Array, label: string, xid?: number): Promise<void> {
    this.sendRaw(type, body, label, xid);
    await this.answered();
    await this.settle();
  }

  /** Sends a request without waiting; {@link settle} does. */
  send<Name extends OperationName>(name: Name, request: RequestOf<Name>, xid = this.#newXid()): void {
    // The table pairs each request with its codec; the union of all of them can't say so.
    const operation = operations[name] as Operation<unknown, unknown>;
    const writer = new JuteWriter();
    operation.request.write(writer, request);
    this.#sendFrame({
      xid,
      type: operation.opCode,
      body: writer.take(),
      step: `${this.name} ${name} ${this.#setting.words.of(request)}`.trimEnd(),
      bodyOf: (reader) => this.#setting.words.of(operation.response.read(reader)),
    });
  }

  sendRaw(type: number, body: Uint8Array, label: string, xid = this.#newXid()): void {
    this.#sendFrame({ xid, type, body, step: `${this.name} ${label}`, bodyOf: () => '' });
  }

  /** Waits for the replies to everything sent. */
  async answered(): Promise<void> {
    await this.#until(() => this.#expected.length === 0);
  }

  /** Waits until everything sent is answered and everything that was on its way is here. A request without answer is said to be so. */
  async settle(): Promise<void> {
    if (!this.#isClosed && this.sessionId !== NO_SESSION) {
      const barrier: Expected = { xid: SpecialXid.ping, step: 'ping', bodyOf: () => '', isBarrier: true };
      this.#expected.push(barrier);
      this.writeFrame(header(SpecialXid.ping, OpCode.ping));
      await this.#until(() => !this.#expected.includes(barrier));
    }
    this.#flush();
  }

  /** Waits for an event or a close, whichever comes first. */
  async next(): Promise<void> {
    await this.#until(() => this.#arrived.length > 0);
    this.#flush();
  }

  /** Waits for the server to close the connection, and says whether it does. */
  async untilClosed(): Promise<void> {
    await this.#until(() => false);
    if (!this.#isClosed) this.#note('stays open');
    this.#flush();
  }

  /** Ends the session, and waits for the server to close the connection. */
  async closeSession(): Promise<void> {
    this.send('closeSession', undefined);
    this.#setting.ended.add(this.sessionId);
    await this.untilClosed();
  }

  /** Drops the connection without a word to the server; the session stays. */
  async drop(): Promise<void> {
    this.#arrived = [];
    this.#socket.destroy();
    if (!this.#isClosed) await this.#until(() => this.#isClosed);
    this.#arrived = [];
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  writeFrame(...parts: Uint8Array[]): void {
    const length = Buffer.alloc(4);
    length.writeInt32BE(parts.reduce((sum, { length }) => sum + length, 0));
    this.write(Buffer.concat([length, ...parts]));
  }

  #newXid(): number {
    return this.#nextXid++;
  }

  #sendFrame({ type, body, ...expected }: Omit<Expected, 'isBarrier'> & { type: number; body: Uint8Array }): void {
    if (this.#isClosed) {
      this.#arrived.push({ step: expected.step, outcome: 'not sent: closed' });
      return;
    }
    this.#expected.push({ ...expected, isBarrier: false });
    this.writeFrame(header(expected.xid, type), body);
  }

  /** Waits until it is so, the connection is closed, or patience is over: then a line says so where an answer was due. */
  async #until(isSo: () => boolean): Promise<void> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#onArrival();
    }, PATIENCE_MS);
    while (!isSo() && !this.#isClosed && !isLate) {
      await new Promise<void>((resolve) => {
        this.#onArrival = resolve;
      });
    }
    clearTimeout(timer);
    if (!isLate) return;
    for (const { step, isBarrier } of this.#expected.splice(0)) {
      this.#arrived.push({ step: isBarrier ? `${this.name} waits` : step, outcome: 'no answer in time' });
    }
  }

  #note(outcome: string): void {
    this.#arrived.push({ step: this.name, outcome });
  }

  #flush(): void {
    this.#setting.lines.push(...this.#arrived);
    this.#arrived = [];
  }

  #onBytes(bytes: Buffer): void {
    this.#frames.push(bytes);
    for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next()) {
      if (this.#connecting === undefined) this.#onFrame(frame);
      else this.#onConnected(frame, this.#connecting);
    }
    this.#onArrival();
  }

  #onConnected(frame: Buffer, step: string): void {
    this.#connecting = undefined;
    const response = connectResponse.read(new JuteReader(frame));
    if (response.sessionId !== NO_SESSION) {
      this.sessionId = response.sessionId;
      this.password = Buffer.from(response.password);
      this.#setting.words.nameSession(response.sessionId, this.name);
    }
    this.#arrived.push({ step, outcome: `${frame.length} bytes ${this.#setting.words.of(response)}` });
  }

  #onFrame(frame: Buffer): void {
    const { words } = this.#setting;
    const reader = new JuteReader(frame);
    const { xid, zxid, err } = replyHeader.read(reader);
    if (xid === SpecialXid.notification) {
      const { type, state, path } = watcherEvent.read(reader);
      const what = `${eventTypeName(type) ?? type} ${keeperStateName(state) ?? state} ${words.of(path)}`;
      this.#arrived.push({ step: `${this.name} event`, outcome: `${words.zxid(zxid)} ${what}` });
      return;
    }
    const expected = this.#take(xid);
    if (expected === undefined) {
      this.#note(`a reply to ${xid}, which nobody asked for`);
      return;
    }
    if (expected.isBarrier) return;
    if (zxid > ZERO_ZXID) this.lastZxid = zxid;
    const error = err === 0 ? 'OK' : (errorCodeName(err) ?? String(err));
    const body = err === 0 ? wordsOfBody(expected, reader) : '';
    const rest = reader.remaining === 0 ? '' : ` and ${reader.remaining} bytes`;
    this.#arrived.push({ step: expected.step, outcome: `${error} ${words.zxid(zxid)} ${body}${rest}`.trimEnd() });
  }

  /** Answers come in the order of the requests: those in front of this one have none. Only auth has a lane of its own. */
  #take(xid: number): Expected | undefined {
    const at = this.#expected.findIndex((expected) => expected.xid === xid);
    if (at === -1) return undefined;
    if (xid !== SpecialXid.auth) {
      for (const { step } of this.#expected.splice(0, at)) this.#arrived.push({ step, outcome: 'unanswered' });
      return this.#expected.shift();
    }
    return this.#expected.splice(at, 1)[0];
  }
}

function wordsOfBody({ bodyOf }: Expected, reader: JuteReader): string {
  try {
    return bodyOf(reader);
  } catch (error) {
    return `undecodable: ${error}`;
  }
}

const header = (xid: number, type: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeInt32BE(xid, 0);
  bytes.writeInt32BE(type, 4);
  return bytes;
};

const describeConnect = (request: Partial<ConnectRequest>): string =>
  Object.entries(request)
    .filter(([key]) => key !== 'sessionId' && key !== 'password' && key !== 'lastZxidSeen')
    .map(([key, value]) => `${key} ${value}`)
    .join(', ');
