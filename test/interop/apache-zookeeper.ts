/**
 * A real Apache ZooKeeper for a test: standalone, on a free port of the loopback, in a folder of its own that goes with it. It is run
 * by `zk-server.sh` of the folder INTEROP_DIR (by default `../shared/interop` beside the repository).
 *
 * It never outlives the test: a guard holds a pipe to this process, and kills the server when the pipe closes, however this process
 * ended.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const interopDir = process.env.INTEROP_DIR ?? fileURLToPath(new URL('../../../shared/interop', import.meta.url));
const script = join(interopDir, 'zk-server.sh');

/** What its AdminServer needs besides the server itself. */
export const HTTP_JARS = [
  ...['server', 'http', 'io', 'util', 'util-ajax', 'servlet', 'security'].map((name) => `jetty9-${name}`),
  ...['servlet-api', 'jackson-core', 'jackson-databind', 'jackson-annotations'],
].map((name) => `/usr/share/java/${name}.jar`);

export interface ApacheZooKeeperOptions {
  /** 500 by default: session timeouts from 1 s to 10 s. */
  readonly tickTimeMs?: number;
  /** More lines of zoo.cfg. */
  readonly config?: Readonly<Record<string, string | number>>;
  /** Its number in an ensemble that `config` describes. */
  readonly myId?: number;
  /** System properties of the JVM: `{ 'znode.container.checkIntervalMs': 1000 }`. */
  readonly properties?: Readonly<Record<string, string | number>>;
}

/**
 * Why there can't be one on this machine, or undefined if there can.
 * @throws Error with that reason where INTEROP_REQUIRED says that there must be one
 */
export function whyNoApacheZooKeeper(): string | undefined {
  const reason = findMissing();
  refuseWhereRequired(reason);
  return reason;
}

/**
 * Why a suite can't run for want of these files, or undefined if they are there. A reason is printed.
 * @throws Error with that reason where INTEROP_REQUIRED says that they must be there
 */
export function whyNotWithout(suite: string, files: readonly string[]): string | undefined {
  const file = files.find((each) => !existsSync(each));
  const reason = file === undefined ? undefined : `${file} is missing`;
  refuseWhereRequired(reason);
  if (reason !== undefined) console.warn(`skipped, ${suite}: ${reason}`);
  return reason;
}

function refuseWhereRequired(reason: string | undefined): void {
  if (reason !== undefined && process.env.INTEROP_REQUIRED !== undefined) throw new Error(reason);
}

function findMissing(): string | undefined {
  if (!existsSync(script)) return `${script} is missing; set INTEROP_DIR`;
  for (const jar of ['zookeeper.jar', 'slf4j-simple.jar']) {
    if (!existsSync(`/usr/share/java/${jar}`)) return `/usr/share/java/${jar} is missing`;
  }
  return spawnSync(process.env.JAVA ?? 'java', ['-version']).status === 0 ? undefined : 'java is missing';
}

/** Starts one and waits until it serves. */
export async function startApacheZooKeeper(options: ApacheZooKeeperOptions = {}): Promise<ApacheZooKeeper> {
  const missing = whyNoApacheZooKeeper();
  if (missing !== undefined) throw new Error(`no Apache ZooKeeper here: ${missing}`);
  const folder = await mkdtemp(join(tmpdir(), 'apache-zookeeper-'));
  const port = await freePort();
  const config = {
    tickTime: options.tickTimeMs ?? 500,
    dataDir: join(folder, 'data'),
    clientPort: port,
    clientPortAddress: '127.0.0.1',
    maxClientCnxns: 0,
    'admin.enableServer': 'false',
    '4lw.commands.whitelist': '*',
    ...options.config,
  };
  await mkdir(config.dataDir);
  if (options.myId !== undefined) await writeFile(join(String(config.dataDir), 'myid'), String(options.myId));
  await writeFile(
    join(folder, 'zoo.cfg'),
    lines(config, ([name, value]) => `${name}=${value}`),
  );
  const properties = Object.entries(options.properties ?? {}).map(([name, value]) => `-D${name}=${value}`);
  const server = new ApacheZooKeeper({ folder, port, properties });
  await server.restart();
  return server;
}

/** Runs the server as a child, says its process id, and kills it when its own input ends. */
const GUARD = `
  "$0" run "$@" </dev/null >>"$1.log" 2>&1 & server=$!
  echo $server
  { cat >/dev/null; kill -9 $server; } <&3 >/dev/null 2>&1 & watcher=$!
  wait $server
  kill $watcher
`;

/** How long it may take to serve, or to stop. */
const PATIENCE_MS = 30_000;

export class ApacheZooKeeper implements AsyncDisposable {
  readonly port: number;
  readonly connectString: string;
  readonly #folder: string;
  readonly #properties: readonly string[];
  /** The guard and the server's process id, while it runs. */
  #running: { readonly guard: ChildProcess; readonly pid: number } | undefined;

  constructor({ folder, port, properties }: { folder: string; port: number; properties: readonly string[] }) {
    this.#folder = folder;
    this.#properties = properties;
    this.port = port;
    this.connectString = `127.0.0.1:${port}`;
  }

  /** Stops it for good and removes its folder. May be called again. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
    await rm(this.#folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Lets it crash; `restart` brings it back with what it had written. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Stops it if it runs, and starts it on the same port and the same files. */
  async restart(): Promise<void> {
    await this.#end('SIGTERM');
    const cfg = join(this.#folder, 'zoo.cfg');
    const guard = spawn('bash', ['-c', GUARD, script, cfg, ...this.#properties], {
      // What goes wrong is in the log; the shell only says that the server was killed.
      stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
    });
    if (guard.stdout === null) throw new Error('the guard has no output');
    const [pid] = (await once(createInterface(guard.stdout), 'line')) as [string];
    this.#running = { guard, pid: Number(pid) };
    await this.#untilServing();
  }

  /** Freezes it: connections stay, nothing is answered. */
  pause(): void {
    this.#signal('SIGSTOP');
  }

  resume(): void {
    this.#signal('SIGCONT');
  }

  /** Sends a four-letter word and returns the answer. */
  async ask(word: string, { timeoutMs = PATIENCE_MS }: { timeoutMs?: number } = {}): Promise<string> {
    const socket = connect({ host: '127.0.0.1', port: this.port });
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer to ${word}`)));
    socket.end(word);
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString();
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#running !== undefined) sendSignal(this.#running.pid, signal);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#running === undefined) return;
    const { guard, pid } = this.#running;
    this.#running = undefined;
    if (guard.exitCode === null) {
      const exited = once(guard, 'exit');
      // A paused process takes no other signal than SIGKILL before it goes on.
      sendSignal(pid, 'SIGCONT');
      sendSignal(pid, signal);
      const late = setTimeout(() => sendSignal(pid, 'SIGKILL'), PATIENCE_MS);
      await exited;
      clearTimeout(late);
    }
    for (const stream of guard.stdio) stream?.destroy();
  }

  async #untilServing(): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    for (;;) {
      // One that is just starting may take the connection, and never answer on it.
      const answer = await this.ask('srvr', { timeoutMs: 1000 }).catch((error: Error) => error.message);
      if (answer.includes('Mode: ')) return;
      if (this.#running?.guard.exitCode !== null || performance.now() > end) {
        const log = await readFile(join(this.#folder, 'zoo.cfg.log'), 'utf8');
        await this.stop();
        throw new Error(`Apache ZooKeeper does not serve (${answer}); its log ends with:\n${log.slice(-2000)}`);
      }
      await sleep(50);
    }
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It has ended by itself: what the signal was for.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

const lines = <T>(record: Readonly<Record<string, T>>, line: (entry: [string, T]) => string): string =>
  `${Object.entries(record).map(line).join('\n')}\n`;

/** A port of the loopback that nobody listened on just now. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
