import * as net from 'node:net';
import { ALL_ADDRESSES } from '../config.ts';
import type { Address, Closeable, DialHandler, ListenHandler, Network, Stream, StreamHandler } from '../ports.ts';

export interface TcpNetworkOptions {
  /** Connections that the system keeps until they are accepted (`clientPortListenBacklog`). Default, and -1: Node's. */
  readonly backlog?: number;
  /** Whether the system looks after connections that are silent (`clientTcpKeepAlive`). Default: false. */
  readonly keepAlive?: boolean;
}

/** The {@link Network} of a real machine: TCP. */
export class TcpNetwork implements Network {
  readonly #backlog: number | undefined;
  readonly #keepAlive: boolean;

  constructor({ backlog, keepAlive = false }: TcpNetworkOptions = {}) {
    this.#backlog = backlog === -1 ? undefined : backlog;
    this.#keepAlive = keepAlive;
  }

  listen(address: Address, handler: ListenHandler): Closeable {
    const server = net.createServer({ allowHalfOpen: false, noDelay: true, keepAlive: this.#keepAlive });
    let state: 'starting' | 'listening' | 'ended' = 'starting';
    server.on('error', (error) => {
      // Once it listens, an error is about one connection that could not be accepted: its client sees it and tries again.
      if (state !== 'starting') return;
      state = 'ended';
      handler.onFailure(error);
    });
    server.on('listening', () => {
      if (state !== 'starting') return;
      state = 'listening';
      handler.onListening(boundAddress(server, address));
    });
    server.on('connection', (socket) => accept(socket, handler));
    server.listen({
      port: address.port,
      // Without a host, Node takes all addresses, and those of IPv4 alone on a machine that has no IPv6.
      ...(address.host === ALL_ADDRESSES ? {} : { host: address.host }),
      ...(this.#backlog === undefined ? {} : { backlog: this.#backlog }),
    });
    return {
      close: () => {
        if (state === 'ended') return;
        state = 'ended';
        server.close();
      },
    };
  }

  dial(address: Address, handler: DialHandler): void {
    const socket = net.connect({ host: address.host, port: address.port, noDelay: true, keepAlive: true });
    const timer = setTimeout(() => socket.destroy(new Error(`no answer within ${DIAL_MS_MAX} ms`)), DIAL_MS_MAX);
    const onFailure = (error: Error): void => {
      clearTimeout(timer);
      handler.onFailure(error);
    };
    socket.once('error', onFailure);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', onFailure);
      accept(socket, { onStream: (stream) => handler.onOpened(stream) });
    });
  }
}

/** The original's `cnxTimeout`. */
const DIAL_MS_MAX = 5000;

function boundAddress(server: net.Server, asked: Address): Address {
  const bound = server.address();
  return bound !== null && typeof bound === 'object' ? { host: bound.address, port: bound.port } : asked;
}

function accept(socket: net.Socket, handler: Pick<ListenHandler, 'onStream'>): void {
  // Without an address the client has gone already.
  if (socket.remoteAddress === undefined || socket.remotePort === undefined) {
    socket.destroy();
    return;
  }
  const stream = new TcpStream(socket, { host: withoutMapping(socket.remoteAddress), port: socket.remotePort });
  const streamHandler = handler.onStream(stream);
  if (streamHandler === undefined) stream.destroy();
  stream.attach(streamHandler);
}

/** An IPv4 client of an IPv6 socket, by the address that it has itself. */
const withoutMapping = (host: string): string => (/^::ffff:\d+\./.test(host) ? host.slice('::ffff:'.length) : host);

/** How long a stream that was closed may stand still, and how long it waits for its client when all is sent. */
const LINGER_MS = 2000;
/** How long in all, whatever its client reads meanwhile: nobody counts what it holds any more. */
const LINGER_MAX_MS = 10_000;

class TcpStream implements Stream {
  readonly remote: Address;
  readonly #socket: net.Socket;
  #handler: StreamHandler | undefined;
  /** By this side: nothing more is written or handed to the handler, but its end. */
  #ended = false;
  #error: Error | undefined;

  constructor(socket: net.Socket, remote: Address) {
    this.#socket = socket;
    this.remote = remote;
  }

  /** Begins to read. Without a handler it only waits for the end. */
  attach(handler: StreamHandler | undefined): void {
    this.#handler = handler;
    this.#socket.on('error', (error) => {
      this.#error = error;
    });
    this.#socket.on('close', () => this.#handler?.onClose(this.#error));
    this.#socket.on('data', (bytes) => {
      if (!this.#ended) this.#handler?.onBytes(bytes);
    });
  }

  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Uint8Array): void {
    if (this.#ended) return;
    // What one turn of the server writes leaves in one call of the system.
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork();
      process.nextTick(() => this.#socket.uncork());
    }
    this.#socket.write(bytes, this.#onWritten);
  }

  /** Not the stream's own `drain`: that one comes only after more was queued than its mark, whatever the server's is. */
  readonly #onWritten = (): void => {
    if (!this.#ended && this.#socket.writableLength === 0) this.#handler?.onDrain();
  };

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /**
   * Ends this side and waits for the other to end its own: a socket that is closed with bytes unread, or still to come, makes
   * the system reset the connection, and the client may lose the last reply. A client that doesn't go is cut off.
   */
  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    const socket = this.#socket;
    socket.resume();
    socket.setTimeout(LINGER_MS, () => socket.destroy());
    let cut = setTimeout(() => socket.destroy(), LINGER_MAX_MS);
    socket.once('close', () => clearTimeout(cut));
    socket.end(() => {
      clearTimeout(cut);
      if (!socket.destroyed) cut = setTimeout(() => socket.destroy(), LINGER_MS);
    });
  }

  destroy(): void {
    this.#ended = true;
    this.#socket.destroy();
  }
}
