/** The real machine: TCP by node:net, and the system's monotonic clock. */
import { connect, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { Clock, Connection, ConnectionHandler, HostAddress, Ports, Timer, Transport } from './transport.ts';

/** The longest that `setTimeout` can wait. */
const TIMEOUT_MS_MAX = 0x7fff_ffff;

/**
 * `performance.now()` goes on while the process is stopped. On Linux it does not while the whole machine is suspended: a laptop that
 * wakes up learns that its session is over from the server.
 */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  after: (ms, run) => startTimer(performance.now() + ms, run),
  // setImmediate runs behind all promises that are settled by then; nextTick and microtasks would not.
  soon: (run) => void setImmediate(run),
};

function startTimer(due: number, run: () => void): Timer {
  let timeout: NodeJS.Timeout;
  const wait = (): void => {
    timeout = setTimeout(onTimeout, Math.min(Math.max(0, Math.ceil(due - performance.now())), TIMEOUT_MS_MAX));
  };
  // setTimeout counts in milliseconds of its own, and may be a fraction early.
  const onTimeout = (): void => (performance.now() < due ? wait() : run());
  wait();
  return { cancel: () => clearTimeout(timeout) };
}

/** Plain TCP. A name that can't be resolved is reported like a host that can't be reached. */
export const tcpTransport: Transport = { connect: (address, handler) => new TcpConnection(address, handler) };

class TcpConnection implements Connection {
  readonly #socket: Socket;
  #closed = false;

  constructor({ host, port }: HostAddress, handler: ConnectionHandler) {
    let failure: Error | undefined;
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket
      .on('connect', () => this.#closed || handler.onOpen())
      .on('data', (bytes) => this.#closed || handler.onBytes(bytes))
      .on('error', (error) => {
        failure = withMessage(error);
      })
      // Always the last event, also after an error.
      .on('close', () => this.#closed || handler.onClose(failure));
  }

  /** What the network doesn't take yet is kept by the socket: no more than the requests that are waiting for an answer. */
  write(bytes: Uint8Array): void {
    if (!this.#closed) this.#socket.write(bytes);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#socket.connecting) {
      this.#socket.destroy();
    } else {
      this.#socket.destroySoon();
      // A peer that takes nothing any more must not keep the process alive.
      this.#socket.unref();
    }
  }
}

/** Where a name has several addresses, and all failed, node reports an error without a message of its own. */
function withMessage(error: Error): Error {
  if (!(error instanceof AggregateError) || error.message !== '') return error;
  return new Error(
    error.errors.map((each: unknown) => (each instanceof Error ? each.message : String(each))).join('; '),
    {
      cause: error,
    },
  );
}

/** What a client uses unless told otherwise. */
export const systemPorts = (): Ports => ({ clock: systemClock, transport: tcpTransport, random: Math.random });
