/**
 * Our server in a process of its own (`guarded-process.fixture.ts`). It serves on a free port of the loopback, the same over all
 * restarts, in a folder that goes with it. Runs what `npm run build` made.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { GuardedProcess } from './guarded-process.fixture.ts';

const command = fileURLToPath(new URL('../../server/bin/zkserver.js', import.meta.url));

/** Session timeouts from 1 s to 10 s. */
const TICK_MS = 500;

export class ZkServerProcess implements AsyncDisposable {
  readonly #folder: string;
  #process: GuardedProcess | undefined;
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
    await this.#process?.end('SIGKILL');
  }

  /** Stops it if it runs, and starts it on the same port and the same files. */
  async restart(): Promise<void> {
    await this.#process?.end('SIGTERM');
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
    const output = join(this.#folder, 'output');
    await writeFile(output, '');
    this.#process = await GuardedProcess.start([process.execPath, command, 'start-foreground', file], output);
    this.#port = await servingPort(this.#process, output);
  }

  /** Freezes it: connections stay, nothing is answered. */
  pause(): void {
    this.#process?.signal('SIGSTOP');
  }

  resume(): void {
    this.#process?.signal('SIGCONT');
  }

  /** Stops it for good and removes its folder. May be called again. */
  async stop(): Promise<void> {
    await this.#process?.end('SIGTERM');
    await rm(this.#folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** The port that it says it serves on. */
async function servingPort(server: GuardedProcess, output: string): Promise<number> {
  for (;;) {
    const { hasExited } = server;
    const said = await readFile(output, 'utf8');
    const port = /serving on \S+:(\d+),/.exec(said)?.[1];
    if (port !== undefined) return Number(port);
    if (hasExited) throw new Error(`the server did not start:\n${said}`);
    await sleep(10);
  }
}
