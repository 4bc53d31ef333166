/** The servers that are measured: ours, and Apache ZooKeeper where it is installed. Each in a process and a folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type Make = 'ours' | 'Apache ZooKeeper';

/** Where Debian's packages of Apache ZooKeeper put it; JAVA_CLASS_PATH names another place. */
const classPath = process.env.JAVA_CLASS_PATH ?? '/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-nop.jar';
const command = fileURLToPath(new URL('../../server/bin/zkserver.js', import.meta.url));
/** Clock ticks of the kernel's accounting, a second. */
const TICKS_PER_SECOND = 100;

/** What can be measured here. */
export const makes = (): Make[] => {
  const [jar = ''] = classPath.split(':');
  return existsSync(jar) ? ['ours', 'Apache ZooKeeper'] : ['ours'];
};

export interface ServerUsage {
  readonly cpuSeconds: number;
  readonly residentMb: number;
}

/** Runs a server on its zoo.cfg. */
export const launch = (make: Make, zooCfg: string, { heapMax = '2g' } = {}): ChildProcess =>
  make === 'ours'
    ? spawn(process.execPath, [command, 'start-foreground', zooCfg], { stdio: 'ignore' })
    : spawn(
        'java',
        [`-Xmx${heapMax}`, '-Xms1g', '-cp', classPath, 'org.apache.zookeeper.server.quorum.QuorumPeerMain', zooCfg],
        { stdio: 'ignore' },
      );

export async function usageOf(pid: number): Promise<ServerUsage> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    residentMb: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024,
  };
}

export class MeasuredServer implements AsyncDisposable {
  readonly make: Make;
  readonly port: number;
  /** From the start of the process to the first reply. */
  readonly startUpMs: number;
  readonly #process: ChildProcess;
  readonly #folder: string;

  private constructor(make: Make, port: number, startUpMs: number, process: ChildProcess, folder: string) {
    this.make = make;
    this.port = port;
    this.startUpMs = startUpMs;
    this.#process = process;
    this.#folder = folder;
  }

  static async start(make: Make, folder?: string): Promise<MeasuredServer> {
    const home = folder ?? (await mkdtemp(join(tmpdir(), 'bench-server-')));
    const port = await freePort();
    const file = join(home, 'zoo.cfg');
    const settings = {
      tickTime: 2000,
      dataDir: join(home, 'data'),
      clientPort: port,
      clientPortAddress: '127.0.0.1',
      maxClientCnxns: 0,
      '4lw.commands.whitelist': 'srvr,mntr',
    };
    const lines = Object.entries({ ...settings, 'admin.enableServer': false }).map(
      ([key, value]) => `${key}=${value}\n`,
    );
    await writeFile(file, lines.join(''));
    const startedAt = performance.now();
    const child = launch(make, file);
    while (!(await ask(port, 'srvr'))?.includes('Mode: standalone')) {
      if (child.exitCode !== null) throw new Error(`${make} exited with ${child.exitCode}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return new MeasuredServer(make, port, performance.now() - startedAt, child, home);
  }

  usage(): Promise<ServerUsage> {
    return usageOf(this.pid);
  }

  /** How many watches its clients have left. */
  async watchCount(): Promise<number> {
    return Number(/zk_watch_count\t(\d+)/.exec((await ask(this.port, 'mntr')) ?? '')?.[1]);
  }

  /** How many packets its clients have sent so far. */
  async requestCount(): Promise<number> {
    return Number(/Received: (\d+)/.exec((await ask(this.port, 'srvr')) ?? '')?.[1]);
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** What clients connect to. */
  get hosts(): string {
    return `127.0.0.1:${this.port}`;
  }

  get pids(): readonly number[] {
    return [this.pid];
  }

  /** How many clients are connected; undefined if it doesn't answer. */
  async connectionCount(): Promise<number | undefined> {
    const count = /Connections: (\d+)/.exec((await ask(this.port, 'srvr')) ?? '')?.[1];
    return count === undefined ? undefined : Number(count);
  }

  /** Kills it and starts it again on what it had written. */
  async restart(): Promise<MeasuredServer> {
    await this.#kill();
    return MeasuredServer.start(this.make, this.#folder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exited;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

/** The answer to a four-letter word, or undefined if nobody listens. */
export function ask(port: number, word: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    let answer = '';
    socket.setTimeout(1000, () => socket.destroy(new Error('no answer')));
    socket.on('connect', () => socket.write(word));
    socket.on('data', (bytes) => (answer += bytes.toString()));
    socket.on('error', () => resolve(undefined));
    socket.on('end', () => resolve(answer));
  });
}
