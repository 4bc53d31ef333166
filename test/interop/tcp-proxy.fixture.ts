/**
 * A way to a server over real sockets that fails when it is told to: held up, silent, slow, broken, in one direction or in both.
 *
 * What must always hold: of a connection either all bytes arrive in their order, or none after the first that didn't.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Which way bytes go: `request` to the server, `reply` from it. */
export type Direction = 'request' | 'reply';

const BOTH: readonly Direction[] = ['request', 'reply'];

export class TcpProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #routes = new Set<Route>();
  /** What new connections begin with. */
  readonly #silent = new Set<Direction>();
  readonly #delayMs: Record<Direction, number> = { request: 0, reply: 0 };
  /** Of the next bytes in that direction so many pass; then their connection breaks. */
  #cut: { readonly direction: Direction; bytes: number } | undefined;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @returns when connections to it are passed on to this port of the loopback */
  static async start(targetPort: number): Promise<TcpProxy> {
    // Sockets end one by one, as the other side does.
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    const proxy = new TcpProxy(server);
    server.on('connection', (client) => proxy.#onConnection(client, targetPort));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get connectString(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Connections that there are. */
  get connections(): number {
    return this.#routes.size;
  }

  /** Holds up everything, as a network does that drops packets for a while: it arrives after {@link resume}. */
  pause(): void {
    for (const route of this.#routes) route.setPaused(true);
  }

  resume(): void {
    for (const route of this.#routes) route.setPaused(false);
  }

  /**
   * From now on nothing arrives in these directions, and nobody is told. The connections that there are stay silent for ever; new ones
   * are silent until {@link heal}, unless only the present ones are meant.
   */
  silence(directions: readonly Direction[] = BOTH, { onlyPresent = false } = {}): void {
    for (const route of this.#routes) for (const direction of directions) route.silent.add(direction);
    if (!onlyPresent) for (const direction of directions) this.#silent.add(direction);
  }

  /** Everything arrives so much later. */
  delay(ms: number, directions: readonly Direction[] = BOTH): void {
    for (const direction of directions) this.#delayMs[direction] = ms;
  }

  /** Breaks a connection when so many more bytes have passed in a direction, and the next one comes. */
  cutAfter(direction: Direction, bytes: number): void {
    this.#cut = { direction, bytes };
  }

  /** Resets all connections. New ones are let through. */
  reset(): void {
    for (const route of [...this.#routes]) route.reset();
  }

  /** Ends all connections in order, as a server does that stops. New ones are let through. */
  end(): void {
    for (const route of [...this.#routes]) route.end();
  }

  /** New connections are as they should be. */
  heal(): void {
    this.#silent.clear();
    this.delay(0);
    this.#cut = undefined;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.reset();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #onConnection(client: Socket, targetPort: number): void {
    const server = connect({ host: '127.0.0.1', port: targetPort, allowHalfOpen: true, noDelay: true });
    const route: Route = new Route(client, server, {
      silent: this.#silent,
      delayMs: this.#delayMs,
      passing: (direction, bytes) => this.#passing(direction, bytes),
      onGone: () => this.#routes.delete(route),
    });
    this.#routes.add(route);
  }

  /** How many of these bytes may pass; undefined for all. */
  #passing(direction: Direction, bytes: number): number | undefined {
    if (this.#cut?.direction !== direction) return undefined;
    if (bytes <= this.#cut.bytes) {
      this.#cut.bytes -= bytes;
      return undefined;
    }
    const passing = this.#cut.bytes;
    this.#cut = undefined;
    return passing;
  }
}

interface RouteOptions {
  readonly silent: ReadonlySet<Direction>;
  readonly delayMs: Readonly<Record<Direction, number>>;
  passing(direction: Direction, bytes: number): number | undefined;
  onGone(): void;
}

/** One connection, and the one behind it. */
class Route {
  readonly silent: Set<Direction>;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #options: RouteOptions;
  readonly #timers = new Set<NodeJS.Timeout>();
  /** When the last bytes of a direction are due, so that a shorter delay overtakes no longer one. */
  readonly #dueAt: Record<Direction, number> = { request: 0, reply: 0 };
  #isGone = false;

  constructor(client: Socket, server: Socket, options: RouteOptions) {
    this.#client = client;
    this.#server = server;
    this.#options = options;
    this.silent = new Set(options.silent);
    this.#carry('request', client, server);
    this.#carry('reply', server, client);
  }

  setPaused(isPaused: boolean): void {
    for (const socket of [this.#client, this.#server]) {
      if (isPaused) socket.pause();
      else socket.resume();
    }
  }

  reset(): void {
    this.#client.resetAndDestroy();
    this.#server.resetAndDestroy();
    this.#gone();
  }

  end(): void {
    this.#client.destroySoon();
    this.#server.destroySoon();
    this.#gone();
  }

  #carry(direction: Direction, from: Socket, to: Socket): void {
    from.on('data', (bytes: Buffer) => {
      const passing = this.#options.passing(direction, bytes.length);
      if (passing === undefined) return this.#later(direction, () => to.write(bytes));
      // What passes must be on its way before the end.
      this.#later(direction, () => {
        to.write(bytes.subarray(0, passing));
        this.end();
      });
    });
    from.on('end', () => this.#later(direction, () => to.end()));
    // Its end is told by `close`.
    from.on('error', () => undefined);
    from.on('close', (isFailed) => {
      if (isFailed && !this.silent.has(direction)) to.resetAndDestroy();
      if (this.#client.destroyed && this.#server.destroyed) this.#gone();
    });
  }

  #later(direction: Direction, run: () => void): void {
    if (this.silent.has(direction) || this.#isGone) return;
    const now = performance.now();
    const dueAt = Math.max(now + this.#options.delayMs[direction], this.#dueAt[direction]);
    this.#dueAt[direction] = dueAt;
    if (dueAt <= now) return run();
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.silent.has(direction)) run();
    }, dueAt - now);
    this.#timers.add(timer);
  }

  #gone(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#options.onGone();
  }
}
