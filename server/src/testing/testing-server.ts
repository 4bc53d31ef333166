import type { SessionId } from 'zookeeper-protocol-ts';
import { completeConfig, type ServerConfig } from '../config.ts';
import { FileDisk } from '../node/file-disk.ts';
import { nodeGzip } from '../node/gzip.ts';
import { SystemClock } from '../node/system-clock.ts';
import { systemHash } from '../node/system-hash.ts';
import { SystemMachine } from '../node/system-machine.ts';
import { SystemRandom } from '../node/system-random.ts';
import { TcpNetwork } from '../node/tcp.ts';
import type { Address, Disk, RunLog } from '../ports.ts';
import { Server } from '../server.ts';
import { MemoryDisk } from '../storage/memory-disk.ts';
import { PausableMachine } from './pausable-machine.ts';

export { TestingCluster, type TestingClusterOptions, TestingClusterStateError } from './testing-cluster.ts';

/** What a testing server can be told: everything that a server can, and nothing must be. */
export type TestingServerOptions = Partial<Omit<ServerConfig, 'dataLogDir'>> & {
  /** Where the lines go that an operator reads. Default: nowhere. */
  readonly runLog?: RunLog;
};

/** The server is not in the state that was needed: closed for good, stopped, or paused. */
export class TestingServerStateError extends Error {
  override readonly name = 'TestingServerStateError';
  readonly code = 'TESTING_SERVER_STATE';
}

type State =
  | { readonly kind: 'running'; readonly server: Server; readonly machine: PausableMachine }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'closed' };

const SILENT: RunLog = { info: () => undefined, warn: () => undefined, error: () => undefined };

/**
 * A ZooKeeper server for tests (Curator's `TestingServer`): the shipped server in this process, on a free port of the loopback
 * address, ready within milliseconds. It can be stopped, started again with the data that it had, paused, and made to lose
 * connections and sessions.
 *
 * ```ts
 * await using server = await TestingServer.start();
 * await using client = await connect(server.connectString);
 * ```
 *
 * What differs from a server's defaults, so that tests are quick: the data is in memory unless a `dataDir` is given, a tick is
 * 100 ms (a session timeout can be 200 ms, or up to a minute), any number of connections is accepted, and all four-letter
 * words are answered.
 */
export class TestingServer implements AsyncDisposable {
  readonly #config: ServerConfig;
  readonly #runLog: RunLog;
  readonly #clock = new SystemClock();
  /** The same over all restarts. */
  readonly #disk: Disk;
  #state: State = { kind: 'stopped' };
  #address: Address;
  /** Changes of the state, one after the other. */
  #changes: Promise<void> = Promise.resolve();
  #reportFailure: (error: Error) => void = () => undefined;

  /** Resolves when the server has stopped by itself, with the reason. Not in a test that goes well. */
  readonly failed: Promise<Error> = new Promise((resolve) => {
    this.#reportFailure = resolve;
  });

  private constructor({ runLog = SILENT, ...options }: TestingServerOptions) {
    this.#config = completeConfig({
      dataDir: 'memory',
      clientPort: 0,
      clientPortAddress: '127.0.0.1',
      tickTimeMs: 100,
      maxSessionTimeoutMs: 60_000,
      maxClientCnxns: 0,
      fourLetterWords: new Set(['*']),
      ...(options.dataDir === undefined ? { preallocateBytes: 0 } : {}),
      ...options,
    });
    this.#runLog = runLog;
    this.#disk =
      options.dataDir === undefined
        ? new MemoryDisk({ soon: (run) => this.#clock.soon(run) })
        : new FileDisk(`${this.#config.dataDir}/version-2`);
    this.#address = { host: this.#config.clientPortAddress, port: this.#config.clientPort };
  }

  /**
   * @returns once clients can connect
   * @throws ConfigError, StorageError as a server does; Error with a system code when the port can't be had
   */
  static async start(options: TestingServerOptions = {}): Promise<TestingServer> {
    const server = new TestingServer(options);
    await server.start();
    return server;
  }

  /** The same over all restarts. */
  get port(): number {
    return this.#address.port;
  }

  /** What clients connect to. */
  get connectString(): string {
    const { host, port } = this.#address;
    return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  }

  /** The sessions that there are, oldest first; none while the server is stopped. */
  get sessions(): SessionId[] {
    return this.#state.kind === 'running' ? [...this.#state.server.database.sessions.keys()] : [];
  }

  /** Starts it again where it was stopped: same port, same data. Nothing happens if it runs. @throws as the first start */
  start(): Promise<void> {
    return this.#change(() => this.#start());
  }

  /**
   * Stops it: connections end, the port is closed, the data is kept. Nothing happens if it is stopped. For as long as it is
   * stopped no session expires, and on start each has its whole timeout again.
   */
  stop(): Promise<void> {
    return this.#change(() => this.#stop());
  }

  /** {@link stop}, then {@link start}: clients lose the connection and keep the session. */
  restart(): Promise<void> {
    return this.#change(async () => {
      await this.#stop();
      await this.#start();
    });
  }

  /**
   * Ends a session as if its client had been silent for too long: its ephemerals go, its connection ends, and its client is
   * told of the expiry when it connects again.
   * @returns once it has ended; false if there was no such session
   * @throws TestingServerStateError when the server is not running
   */
  async expireSession(sessionId: SessionId): Promise<boolean> {
    const { server } = this.#running();
    const expires = server.expireSession(sessionId);
    while (server.database.sessions.has(sessionId) && this.#state.kind === 'running') {
      await new Promise<void>((resolve) => this.#clock.soon(resolve));
    }
    return expires;
  }

  /** Ends all connections at once, as a broken network does. Clients may connect again immediately. */
  dropConnections(): void {
    this.#running().machine.dropConnections();
  }

  /**
   * From now on the server neither reads, nor answers, nor lets a session expire, as a process that is stopped or collects
   * garbage. Connections stay, and new ones are still accepted by the system.
   * @throws TestingServerStateError when the server is not running
   */
  pause(): void {
    this.#running({ orPaused: true }).machine.pause();
  }

  /** Goes on, with all that has arrived meanwhile. Sessions that could not be heard get their time back. */
  resume(): void {
    this.#running({ orPaused: true }).machine.resume();
  }

  /** Stops it for good. What is in memory is gone; a `dataDir` stays. May be called twice. */
  close(): Promise<void> {
    return this.#change(
      async () => {
        await this.#stop();
        this.#state = { kind: 'closed' };
      },
      { orClosed: true },
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #running({ orPaused = false } = {}): State & { readonly kind: 'running' } {
    const state = this.#state;
    if (state.kind !== 'running') throw new TestingServerStateError(`the testing server is ${state.kind}`);
    if (state.machine.isPaused && !orPaused) throw new TestingServerStateError('the testing server is paused');
    return state;
  }

  #change(change: () => Promise<void>, { orClosed = false } = {}): Promise<void> {
    const changed = this.#changes.then(() => {
      if (this.#state.kind === 'closed') {
        if (orClosed) return;
        throw new TestingServerStateError('the testing server is closed');
      }
      return change();
    });
    // A change that fails is its caller's business, and does not stand in the way of the next one.
    this.#changes = changed.catch(() => undefined);
    return changed;
  }

  async #start(): Promise<void> {
    if (this.#state.kind === 'running') return;
    const machine = new PausableMachine({ clock: this.#clock, network: new TcpNetwork() });
    const server = new Server({
      config: { ...this.#config, clientPort: this.#address.port },
      clock: machine.clock,
      network: machine.network,
      logDisk: this.#disk,
      gzip: nodeGzip,
      random: new SystemRandom(),
      hash: systemHash,
      runLog: this.#runLog,
      machine: new SystemMachine(),
      onFailure: this.#reportFailure,
    });
    this.#address = await new Promise<Address>((resolve, reject) => {
      server.start((outcome) => ('error' in outcome ? reject(outcome.error) : resolve(outcome.address)));
    });
    this.#state = { kind: 'running', server, machine };
  }

  async #stop(): Promise<void> {
    const state = this.#state;
    if (state.kind !== 'running') return;
    this.#state = { kind: 'stopped' };
    state.machine.resume();
    await new Promise<void>((resolve, reject) => {
      state.server.close((error) => (error === null ? resolve() : reject(error)));
    });
  }
}
