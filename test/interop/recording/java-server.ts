import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The folder with the scripts that run real Apache software: `INTEROP_DIR`, or `../shared/interop` beside the repository. */
const interopDir = (): string =>
  process.env.INTEROP_DIR ?? fileURLToPath(new URL('../../../../shared/interop', import.meta.url));

/** A real Apache ZooKeeper server of the version that the fixtures are recorded from, with files in a folder of its own. */
export class JavaServer {
  readonly port: number;
  readonly #dir: string;

  private constructor(dir: string, port: number) {
    this.#dir = dir;
    this.port = port;
  }

  /**
   * @param options.dir an absent folder, made for it; the log is then in `dir/data/version-2`
   * @param options.config further lines of zoo.cfg
   * @param options.properties system properties of its JVM
   * @param options.voters members of its ensemble, of which it is the only one that is ever started; 0 runs it standalone
   */
  static async start(options: {
    dir: string;
    config?: Record<string, string>;
    properties?: Record<string, string>;
    voters?: number;
  }): Promise<JavaServer> {
    const { dir, config = {}, properties = {}, voters = 0 } = options;
    const port = await freePort();
    await mkdir(dir, { recursive: true });
    const members: Record<string, string> = {};
    for (let id = 1; id <= voters; id++) {
      const clientPort = id === 1 ? port : await freePort();
      members[`server.${id}`] = `127.0.0.1:${await freePort()}:${await freePort()}:participant;127.0.0.1:${clientPort}`;
    }
    const settings: Record<string, string> = {
      tickTime: '500',
      initLimit: '20',
      syncLimit: '10',
      dataDir: join(dir, 'data'),
      maxClientCnxns: '0',
      ...(voters === 0 ? { clientPort: String(port) } : { standaloneEnabled: 'false', ...members }),
      ...config,
    };
    const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`);
    await writeFile(join(dir, 'zoo.cfg'), lines.join(''));
    const server = new JavaServer(dir, port);
    await server.#control(
      'start',
      Object.entries(properties).map(([key, value]) => `-D${key}=${value}`),
    );
    return server;
  }

  get logDir(): string {
    return join(this.#dir, 'data', 'version-2');
  }

  async stop(): Promise<void> {
    await this.#control('stop', []);
  }

  async #control(action: 'start' | 'stop', args: string[]): Promise<void> {
    const script = join(interopDir(), 'zk-server.sh');
    await run(script, [action, join(this.#dir, 'zoo.cfg'), ...args], { env: { ...process.env, MYID: '1' } });
  }
}

/** A port of the loopback interface that is free now. */
function freePort(): Promise<number> {
  return new Promise((resolvePort, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === 'string') reject(new Error('no port'));
        else resolvePort(address.port);
      });
    });
  });
}
