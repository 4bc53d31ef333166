/** Apache ZooKeeper and our server, side by side, of one and the same zoo.cfg. Ours runs in this process, from the sources. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseZooCfg, type ServerConfig, ZooKeeperServer } from 'zookeeper-server-ts';
import { type ApacheZooKeeper, startApacheZooKeeper } from '../apache-zookeeper.ts';

export interface ServerPairOptions {
  /** Lines of zoo.cfg. */
  readonly config?: Readonly<Record<string, string | number>>;
  /** System properties of the JVM, which ours reads too. */
  readonly properties?: Readonly<Record<string, string | number>>;
}

/** One of the two, as a scenario needs it. */
export interface ServerUnderTest {
  readonly port: number;
  /** Stops it in good order and starts it again on the same files and port. */
  restart(): Promise<void>;
}

export class ServerPair implements AsyncDisposable {
  readonly #apache: ApacheZooKeeper;
  readonly #config: ServerConfig;
  #ours: ZooKeeperServer;

  private constructor(apache: ApacheZooKeeper, ours: ZooKeeperServer, config: ServerConfig) {
    this.#apache = apache;
    this.#ours = ours;
    this.#config = config;
  }

  get theirs(): ServerUnderTest {
    return this.#apache;
  }

  get ours(): ServerUnderTest {
    const { port } = this.#ours.address;
    return {
      port,
      restart: async () => {
        await this.#ours.close();
        this.#ours = await ZooKeeperServer.start({ ...this.#config, clientPort: port });
      },
    };
  }

  static async start({ config = {}, properties = {} }: ServerPairOptions = {}): Promise<ServerPair> {
    const folder = await mkdtemp(join(tmpdir(), 'conformance-'));
    const lines: Record<string, string | number> = {
      tickTime: 500,
      dataDir: folder,
      clientPort: 0,
      clientPortAddress: '127.0.0.1',
      maxClientCnxns: 0,
      'admin.enableServer': 'false',
      '4lw.commands.whitelist': '*',
      ...config,
    };
    const text = Object.entries(lines)
      .map(([key, value]) => `${key}=${value}`)
      .join('\n');
    const parsed = parseZooCfg(text, {
      file: 'zoo.cfg',
      properties: new Map(Object.entries(properties).map(([key, value]) => [key, String(value)])),
    });
    const ours = await ZooKeeperServer.start(parsed.config);
    const apache = await startApacheZooKeeper({ config, properties }).catch(async (error: unknown) => {
      await ours.close();
      throw error;
    });
    return new ServerPair(apache, ours, parsed.config);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#apache.stop(), this.#ours.close()]);
    await rm(this.#config.dataDir, { recursive: true });
  }
}
