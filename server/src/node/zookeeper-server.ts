import { join } from 'node:path';
import { completeConfig, type ServerConfig, type ServerConfigOptions } from '../config.ts';
import type { Address, RunLog } from '../ports.ts';
import { Server } from '../server.ts';
import { FileDisk } from './file-disk.ts';
import { SystemClock } from './system-clock.ts';
import { SystemRandom } from './system-random.ts';
import { TcpNetwork } from './tcp.ts';

/** Both folders hold the original's files in a folder of this name. */
const VERSION_FOLDER = 'version-2';

/** What a server can be told; only the folder of its data must be. The port is 2181 unless another is given, 0 a free one. */
export type ZooKeeperServerOptions = Omit<ServerConfigOptions, 'clientPort'> &
  Partial<Pick<ServerConfig, 'clientPort'>> & {
    /** Where the lines go that an operator reads. Default: nowhere. */
    readonly runLog?: RunLog;
  };

/** Where a server listens. */
export type ServerAddress = Address;

const SILENT: RunLog = { info: () => undefined, warn: () => undefined, error: () => undefined };

/**
 * A ZooKeeper server on this machine: files, sockets and clock around the server's core.
 *
 * ```ts
 * await using server = await ZooKeeperServer.start({ dataDir: './data', clientPort: 2181 });
 * ```
 */
export class ZooKeeperServer implements AsyncDisposable {
  readonly #server: Server;
  readonly address: ServerAddress;
  /** Resolves when the server has stopped by itself, with the reason: its disk failed, or an invariant is broken. */
  readonly failed: Promise<Error>;
  #closing: Promise<void> | undefined;

  private constructor(server: Server, address: ServerAddress, failed: Promise<Error>) {
    this.#server = server;
    this.address = address;
    this.failed = failed;
  }

  /**
   * Recovers what is in the folder and listens.
   * @returns once clients can connect
   * @throws ConfigError for an option that is out of its limits
   * @throws StorageError when the folder can't be used, or what is in it can't be read whole
   * @throws Error with a system code (`EADDRINUSE`, …) when the port can't be had
   */
  static async start({ runLog = SILENT, ...options }: ZooKeeperServerOptions): Promise<ZooKeeperServer> {
    const config = completeConfig({ ...options, clientPort: options.clientPort ?? 2181 });
    let reportFailure: (error: Error) => void = () => undefined;
    const failed = new Promise<Error>((resolve) => {
      reportFailure = resolve;
    });
    const server = new Server({
      config,
      clock: new SystemClock(),
      network: new TcpNetwork(),
      logDisk: new FileDisk(join(config.dataLogDir, VERSION_FOLDER)),
      random: new SystemRandom(),
      runLog,
      onFailure: reportFailure,
    });
    const address = await new Promise<Address>((resolve, reject) => {
      server.start((outcome) => ('error' in outcome ? reject(outcome.error) : resolve(outcome.address)));
    });
    return new ZooKeeperServer(server, address, failed);
  }

  /** What clients of this machine connect to. */
  get connectString(): string {
    const { host, port } = this.address;
    const reachable = host === '::' || host === '0.0.0.0' ? '127.0.0.1' : host;
    return reachable.includes(':') ? `[${reachable}]:${port}` : `${reachable}:${port}`;
  }

  /** Stops accepting, makes everything durable, ends the connections. Sessions go on when it is started again. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve, reject) => {
      this.#server.close((error) => (error === null ? resolve() : reject(error)));
    });
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
