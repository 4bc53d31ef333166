import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { completeConfig, type ServerConfig, type ServerConfigOptions } from '../config.ts';
import type { Address, RunLog } from '../ports.ts';
import { Server } from '../server.ts';
import { StorageError } from '../storage/storage-error.ts';
import { type HttpEndpoint, startAdminServer, startPrometheus } from './admin-http.ts';
import { FileDisk } from './file-disk.ts';
import { nodeGzip } from './gzip.ts';
import { SystemClock } from './system-clock.ts';
import { systemHash } from './system-hash.ts';
import { SystemMachine } from './system-machine.ts';
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

const textOf = ({ host, port }: Address): string => `${host}:${port}`;

/** With `datadir.autocreate=false`, folders that are missing are a disk that is not mounted. @throws StorageError */
function requireFolders({ dataDir, dataLogDir }: ServerConfig): void {
  for (const folder of [dataDir, dataLogDir].map((above) => join(above, VERSION_FOLDER))) {
    if (existsSync(folder)) continue;
    throw new StorageError('FOLDER_UNUSABLE', 'the folder is missing, and datadir.autocreate is false', {
      file: folder,
    });
  }
}

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
  #admin: HttpEndpoint | undefined;
  #prometheus: HttpEndpoint | undefined;
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
   * @throws AdminServerError when a port for administrators can't be had
   * @throws Error with a system code (`EADDRINUSE`, …) when the port can't be had
   */
  static async start({ runLog = SILENT, ...options }: ZooKeeperServerOptions): Promise<ZooKeeperServer> {
    const config = completeConfig({ ...options, clientPort: options.clientPort ?? 2181 });
    let reportFailure: (error: Error) => void = () => undefined;
    const failed = new Promise<Error>((resolve) => {
      reportFailure = resolve;
    });
    if (!config.createsFolders) requireFolders(config);
    const logDisk = new FileDisk(join(config.dataLogDir, VERSION_FOLDER));
    const isOneFolder = resolve(config.dataDir) === resolve(config.dataLogDir);
    const snapshotDisk = isOneFolder ? logDisk : new FileDisk(join(config.dataDir, VERSION_FOLDER));
    const server = new Server({
      config,
      clock: new SystemClock(),
      network: new TcpNetwork({ backlog: config.listenBacklog, keepAlive: config.clientTcpKeepAlive }),
      logDisk,
      snapshotDisk,
      gzip: nodeGzip,
      random: new SystemRandom(),
      hash: systemHash,
      runLog,
      machine: new SystemMachine(),
      onFailure: reportFailure,
    });
    const address = await new Promise<Address>((resolve, reject) => {
      server.start((outcome) => ('error' in outcome ? reject(outcome.error) : resolve(outcome.address)));
    });
    const started = new ZooKeeperServer(server, address, failed);
    try {
      await started.#startEndpoints(config, runLog);
    } catch (error) {
      await started.close();
      throw error;
    }
    return started;
  }

  async #startEndpoints({ admin, prometheus }: ServerConfig, runLog: RunLog): Promise<void> {
    const view = () => this.#server.view();
    if (admin !== undefined) {
      this.#admin = await startAdminServer(admin, view);
      runLog.info(`AdminServer on ${textOf(this.#admin.address)}${admin.commandUrl}`);
    }
    if (prometheus !== undefined) {
      this.#prometheus = await startPrometheus(prometheus, view);
      runLog.info(`metrics for Prometheus on ${textOf(this.#prometheus.address)}/metrics`);
    }
  }

  /** Where the AdminServer listens, if it was asked for. */
  get adminAddress(): ServerAddress | undefined {
    return this.#admin?.address;
  }

  /** Where the metrics for Prometheus are, if they were asked for. */
  get prometheusAddress(): ServerAddress | undefined {
    return this.#prometheus?.address;
  }

  /** What clients of this machine connect to. */
  get connectString(): string {
    const { host, port } = this.address;
    const reachable = host === '::' || host === '0.0.0.0' ? '127.0.0.1' : host;
    return reachable.includes(':') ? `[${reachable}]:${port}` : `${reachable}:${port}`;
  }

  /** Stops accepting, makes everything durable, ends the connections. Sessions go on when it is started again. */
  close(): Promise<void> {
    this.#admin?.close();
    this.#prometheus?.close();
    this.#closing ??= new Promise((resolve, reject) => {
      this.#server.close((error) => (error === null ? resolve() : reject(error)));
    });
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
