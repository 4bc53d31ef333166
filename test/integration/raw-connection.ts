import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  type ConnectRequest,
  type ConnectResponse,
  connectRequest,
  connectResponse,
  FrameReader,
  JuteReader,
  JuteWriter,
  NO_SESSION,
  type Operation,
  operations,
  type ReplyHeader,
  replyHeader,
  SpecialXid,
  toXid,
  type WatcherEvent,
  watcherEvent,
  ZERO_ZXID,
} from 'zookeeper-protocol-ts';

/** A reply, decoded; the body is undefined behind an error. */
export interface Reply<T> extends ReplyHeader {
  readonly body: T | undefined;
}

interface Waiter {
  readonly xid: number;
  settle(reply: ReplyHeader, body: JuteReader): void;
  fail(error: Error): void;
}

const NEW_SESSION: ConnectRequest = {
  protocolVersion: 0,
  lastZxidSeen: ZERO_ZXID,
  timeoutMs: 10_000,
  sessionId: NO_SESSION,
  password: Buffer.alloc(16),
  readOnly: false,
};

/**
 * A connection to the client port that does what it is told and nothing by itself: no ping, no reconnect, any bytes. It
 * records the order in which replies and events arrive.
 */
export class RawConnection {
  readonly #socket: Socket;
  readonly #frames = new FrameReader({ frameBytesMax: 64 * 1024 * 1024 });
  readonly #waiting: Waiter[] = [];
  #connected: ((response: ConnectResponse) => void) | undefined;
  #nextXid = 1;
  /** What arrived, in order: `reply <xid>` or `event <type> <path>`. */
  readonly arrivals: string[] = [];
  readonly events: WatcherEvent[] = [];
  /** Everything received, when it was not framed: for four-letter words. */
  text = '';
  /** Resolves when the other side has closed. */
  readonly closed: Promise<void>;

  private constructor(socket: Socket, { framed }: { framed: boolean }) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes) => {
      if (framed) this.#onBytes(bytes);
      else this.text += bytes.toString();
    });
    // A reset is an end like any other; what was expected fails below.
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        for (const waiter of this.#waiting) waiter.fail(new Error('the connection was closed'));
        resolve();
      });
    });
  }

  static async open(port: number, { framed = true, host = '127.0.0.1' } = {}): Promise<RawConnection> {
    const socket = connect({ host, port });
    await once(socket, 'connect');
    return new RawConnection(socket, { framed });
  }

  /** Opens a connection and a session on it. */
  static async withSession(
    port: number,
    request: Partial<ConnectRequest> = {},
  ): Promise<{ connection: RawConnection; session: ConnectResponse }> {
    const connection = await RawConnection.open(port);
    return { connection, session: await connection.connect(request) };
  }

  /** Asks for a session. Rejects when the connection is closed instead. */
  async connect(request: Partial<ConnectRequest> = {}): Promise<ConnectResponse> {
    const writer = new JuteWriter();
    const frame = writer.startFrame();
    connectRequest.write(writer, { ...NEW_SESSION, ...request });
    writer.endFrame(frame);
    const response = new Promise<ConnectResponse>((resolve) => {
      this.#connected = resolve;
    });
    this.write(writer.take());
    return Promise.race([
      response,
      this.closed.then(() => {
        throw new Error('the connection was closed');
      }),
    ]);
  }

  /** Sends a request; the reply is awaited in the order of the requests. */
  call<Request, Response>(
    operation: Operation<Request, Response>,
    request: Request,
    { xid = this.#nextXid++ }: { xid?: number } = {},
  ): Promise<Reply<Response>> {
    const writer = new JuteWriter();
    const frame = writer.startFrame();
    writer.writeInt(xid);
    writer.writeInt(operation.opCode);
    operation.request.write(writer, request);
    writer.endFrame(frame);
    this.write(writer.take());
    return this.#awaitReply(xid, (header, body) => ({
      ...header,
      body: header.err === 0 ? operation.response.read(body) : undefined,
    }));
  }

  /** Sends a request with a body of our own making. */
  callRaw(type: number, body: Uint8Array, { xid = this.#nextXid++ }: { xid?: number } = {}): Promise<ReplyHeader> {
    const writer = new JuteWriter();
    const frame = writer.startFrame();
    writer.writeInt(xid);
    writer.writeInt(type);
    writer.writeRaw(body);
    writer.endFrame(frame);
    this.write(writer.take());
    return this.#awaitReply(xid, (header) => header);
  }

  ping(): Promise<Reply<undefined>> {
    return this.call(operations.ping, undefined, { xid: SpecialXid.ping });
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Stops reading: what the server sends piles up, first in the system, then in the server. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #awaitReply<T>(xid: number, decode: (header: ReplyHeader, body: JuteReader) => T): Promise<T> {
    const reply = new Promise<T>((resolve, reject) => {
      this.#waiting.push({ xid, settle: (header, body) => resolve(decode(header, body)), fail: reject });
    });
    // Whoever doesn't wait for a reply doesn't care that it never came.
    reply.catch(() => undefined);
    return reply;
  }

  #onBytes(bytes: Buffer): void {
    this.#frames.push(bytes);
    for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next()) {
      this.#onFrame(new JuteReader(frame));
    }
  }

  #onFrame(reader: JuteReader): void {
    const connected = this.#connected;
    if (connected !== undefined) {
      this.#connected = undefined;
      connected(connectResponse.read(reader));
      return;
    }
    const header = replyHeader.read(reader);
    if (header.xid === SpecialXid.notification) {
      const event = watcherEvent.read(reader);
      this.events.push(event);
      this.arrivals.push(`event ${event.type} ${event.path}`);
      return;
    }
    this.arrivals.push(`reply ${header.xid}`);
    const waiter = this.#waiting.shift();
    if (waiter === undefined) throw new Error(`a reply to ${header.xid} that nobody asked for`);
    if (waiter.xid !== header.xid) waiter.fail(new Error(`a reply to ${header.xid}, not to ${toXid(waiter.xid)}`));
    else waiter.settle(header, reader);
  }
}
