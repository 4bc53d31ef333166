import { connect, createServer, type Server, type Socket } from 'node:net';
import {
  ErrorCode,
  errorCodeName,
  FrameReader,
  JuteReader,
  MarshallingError,
  opCodeName,
  replyHeader,
  requestHeader,
  SpecialXid,
  type Xid,
} from 'zookeeper-protocol-ts';
import type { RecordedFrame } from './recording.ts';

/**
 * Stands between clients and a server, passes on every byte unchanged, and writes down the frames of both directions. It
 * understands headers only: bodies are recorded as they are, so that a recording can judge our codecs.
 */
export class RecordingProxy {
  readonly #server: Server;
  readonly #serverPort: number;
  readonly #sockets = new Set<Socket>();
  #connections: ConnectionRecorder[] = [];
  #refusing = false;
  #lastFrameAt = 0;

  private constructor(serverPort: number) {
    this.#serverPort = serverPort;
    this.#server = createServer((client) => this.#onClient(client));
  }

  /** Listens on a free port of the loopback interface, in front of the server at `serverPort`. */
  static listen(serverPort: number): Promise<RecordingProxy> {
    const proxy = new RecordingProxy(serverPort);
    return new Promise((resolve, reject) => {
      proxy.#server.once('error', reject);
      proxy.#server.listen(0, '127.0.0.1', () => resolve(proxy));
    });
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy is not listening');
    return address.port;
  }

  /** When the last frame passed, ms since 1970. */
  get lastFrameAt(): number {
    return this.#lastFrameAt;
  }

  /** Cuts all connections and refuses new ones until {@link reconnect}. */
  disconnect(): void {
    this.#refusing = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  reconnect(): void {
    this.#refusing = false;
  }

  /** The connections recorded since the last call, without those on which no frame passed. */
  take(): RecordedFrame[][] {
    const taken = this.#connections.map((connection) => connection.frames).filter((frames) => frames.length > 0);
    this.#connections = [];
    return taken;
  }

  close(): Promise<void> {
    this.disconnect();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #onClient(client: Socket): void {
    if (this.#refusing) {
      client.destroy();
      return;
    }
    const server = connect(this.#serverPort, '127.0.0.1');
    const recorder = new ConnectionRecorder();
    this.#connections.push(recorder);
    this.#pass(client, server, (bytes) => recorder.onClientBytes(bytes));
    this.#pass(server, client, (bytes) => recorder.onServerBytes(bytes));
  }

  #pass(from: Socket, to: Socket, record: (bytes: Buffer) => void): void {
    this.#sockets.add(from);
    from.setNoDelay(true);
    from.on('data', (bytes) => {
      this.#lastFrameAt = Date.now();
      record(bytes);
      to.write(bytes);
    });
    from.on('end', () => to.end());
    // A reset is an ordinary end here; the close that follows is passed on.
    from.on('error', () => to.destroy());
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }
}

/** The frames of one connection. A reply is named after the oldest unanswered request with its xid. */
class ConnectionRecorder {
  readonly frames: RecordedFrame[] = [];
  readonly #fromClient = new FrameReader();
  readonly #fromServer = new FrameReader();
  readonly #unanswered: { xid: Xid; operation: string }[] = [];
  /** A connection that starts with a four-letter word has no frames. */
  #isText = false;
  #clientConnected = false;
  #serverConnected = false;

  onClientBytes(bytes: Buffer): void {
    for (const frame of this.#cut(this.#fromClient, bytes)) {
      const operation = this.#clientConnected ? this.#onRequest(frame) : 'connect';
      this.#clientConnected = true;
      this.frames.push({ from: 'client', operation, hex: frame.toString('hex') });
    }
  }

  onServerBytes(bytes: Buffer): void {
    for (const frame of this.#cut(this.#fromServer, bytes)) {
      const reply = this.#serverConnected ? this.#onReply(frame) : { operation: 'connect' };
      this.#serverConnected = true;
      this.frames.push({ from: 'server', ...reply, hex: frame.toString('hex') });
    }
  }

  #onRequest(frame: Buffer): string {
    const { xid, type } = requestHeader.read(new JuteReader(frame));
    const operation = opCodeName(type);
    this.#unanswered.push({ xid, operation });
    return operation;
  }

  #onReply(frame: Buffer): { operation: string; error?: string } {
    const { xid, err } = replyHeader.read(new JuteReader(frame));
    if (xid === SpecialXid.notification) return { operation: 'notification' };
    const at = this.#unanswered.findIndex((request) => request.xid === xid);
    const [request] = at < 0 ? [] : this.#unanswered.splice(at, 1);
    if (request === undefined) throw new Error(`a reply with xid ${xid} that answers no request`);
    return err === ErrorCode.OK
      ? { operation: request.operation }
      : { operation: request.operation, error: errorCodeName(err) ?? String(err) };
  }

  /** The frames that the bytes complete. */
  #cut(reader: FrameReader, bytes: Buffer): Buffer[] {
    if (this.#isText) return [];
    const frames: Buffer[] = [];
    try {
      reader.push(bytes);
      for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame);
    } catch (error) {
      // Four letters read as a length are beyond every limit.
      if (!(error instanceof MarshallingError) || this.#clientConnected) throw error;
      this.#isText = true;
    }
    return frames;
  }
}
