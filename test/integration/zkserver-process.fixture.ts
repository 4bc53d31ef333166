/**
 * Our server in a process of its own, for what can only happen to a process: it is killed, or stopped by a signal. It serves on a free
 * port of the loopback, the same over all restarts, in a folder that goes with it. Runs what `npm run build` made.
 *
 * It never outlives the test: a guard holds a pipe to this process, and kills the server when the pipe closes, however this process
 * ended.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const command = fileURLToPath(new URL('../../server/bin/zkserver.js', import.meta.url));

/** Runs the server as a child, says its process id, and kills it when its own input ends. */
const GUARD = `
  "$0" "$@" </dev/null 3<&- & server=$!
  echo "process $server"
  { cat >/dev/null; kill -9 $server; } <&3 >/dev/null 2>&1 & watcher=$!
  wait $server
  kill $watcher
`;

/** Session timeouts from 1 s to 10 s. */
const TICK_MS = 500;

export class ZkServerProcess implements AsyncDisposable {
  readonly #folder: string;
  /** The guard and the server's process id, while it runs. */
  #running: { readonly guard: ChildProcess; readonly pid: number } | undefined;
  /** 0 until the first start. */
  #port = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** @returns when it serves */
  static async start(): Promise<ZkServerProcess> {
    const server = new ZkServerProcess(await mkdtemp(join(tmpdir(), 'zkserver-process-')));
    await server.restart();
    return server;
  }

  get port(): number {
    return this.#port;
  }

  get connectString(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Lets it crash; {@link restart} brings it back with what it had written. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Stops it if it runs, and starts it on the same port and the same files. */
  async restart(): Promise<void> {
    await this.#end('SIGTERM');
    const file = join(this.#folder, 'zoo.cfg');
    const lines = [
      `dataDir=${join(this.#folder, 'data')}`,
      `clientPort=${this.#port}`,
      'clientPortAddress=127.0.0.1',
      `tickTime=${TICK_MS}`,
      'maxClientCnxns=0',
      'admin.enableServer=false',
    ];
    await writeFile(file, `${lines.join('\n')}\n`);
    const guard = spawn('bash', ['-c', GUARD, process.execPath, command, 'start-foreground', file], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    const { pid, port } = await untilServing(guard);
    this.#running = { guard, pid };
    this.#port = port;
  }

  /** Freezes it: connections stay, nothing is answered. */
  pause(): void {
    this.#signal('SIGSTOP');
  }

  resume(): void {
    this.#signal('SIGCONT');
  }

  /** Stops it for good and removes its folder. May be called again. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
    await rm(this.#folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#running !== undefined) process.kill(this.#running.pid, signal);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#running === undefined) return;
    const { guard } = this.#running;
    const exited = once(guard, 'exit');
    // A frozen process takes no other signal than SIGKILL before it goes on.
    this.#signal('SIGCONT');
    this.#signal(signal);
    this.#running = undefined;
    await exited;
    for (const stream of guard.stdio) stream?.destroy();
  }
}

/** The server's process id, and the port that it says it serves on. */
function untilServing(guard: ChildProcess): Promise<{ readonly pid: number; readonly port: number }> {
  return new Promise((resolve, reject) => {
    let said = '';
    // Also when that is known: what it says later must not fill a pipe.
    for (const stream of [guard.stdout, guard.stderr]) {
      stream?.on('data', (bytes) => {
        said += bytes;
        const [pid, port] = [/process (\d+)/, /serving on \S+:(\d+)/].map((pattern) => pattern.exec(said)?.[1]);
        if (pid !== undefined && port !== undefined) resolve({ pid: Number(pid), port: Number(port) });
      });
    }
    guard.once('exit', () => reject(new Error(`the server did not start:\n${said}`)));
  });
}
