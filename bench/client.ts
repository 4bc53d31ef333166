/**
 * `npm run bench -- client`: our two clients beside those of others, on the same server in the same run: each client in a process of its
 * own, one after the other in turns. CPU time per operation is the steadier figure: the server takes most of the machine.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Report, Run, RunResult } from './client-process.ts';
import { availableClients, CLIENTS, type ClientName } from './clients.ts';
import { type LoadOperation, prepare, runLoad } from './load.ts';
import { MeasuredServer, makes } from './servers.ts';

const program = fileURLToPath(new URL('client-process.js', import.meta.url));
const OPERATIONS: readonly LoadOperation[] = ['get', 'set', 'create'];
const WINDOWS = [1, 100];

/** A client in its process. */
class ClientProcess {
  readonly name: ClientName;
  readonly #child: ChildProcess;

  private constructor(name: ClientName, child: ChildProcess) {
    this.name = name;
    this.#child = child;
  }

  static async start(name: ClientName, connectString: string): Promise<ClientProcess> {
    const started = new ClientProcess(name, fork(program, [name, connectString]));
    await started.#report();
    return started;
  }

  async run(run: Run): Promise<RunResult> {
    this.#child.send(run);
    const report = await this.#report();
    if (report.kind !== 'result') throw new Error(`${this.name}: a result was due`);
    return report.result;
  }

  stop(): void {
    this.#child.disconnect();
  }

  /** What it says next; rejects if it ends instead. */
  async #report(): Promise<Report> {
    const gone = new AbortController();
    const ended = once(this.#child, 'exit', { signal: gone.signal }).then(([code]) => {
      throw new Error(`${this.name} exited with ${code}`);
    });
    try {
      const [report] = await Promise.race([once(this.#child, 'message', { signal: gone.signal }), ended]);
      return report as Report;
    } finally {
      ended.catch(() => undefined);
      gone.abort();
    }
  }
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

export async function clients(rounds: number): Promise<void> {
  const names = availableClients();
  const absent = CLIENTS.filter((name) => !names.includes(name));
  if (absent.length > 0) console.log(`without ${absent.join(' and ')}: PEERS names no folder that has them`);
  for (const make of makes()) {
    await using server = await MeasuredServer.start(make);
    await prepare(server.port);
    for (const operation of OPERATIONS) {
      await runLoad({ port: server.port, operation, connections: 50, window: 20, seconds: 3, warmUpSeconds: 0 });
    }
    const started: ClientProcess[] = [];
    for (const name of names) started.push(await ClientProcess.start(name, `127.0.0.1:${server.port}`));
    console.log(`server: ${make}`);
    for (const window of WINDOWS)
      for (const operation of OPERATIONS) await measure(started, { operation, window, rounds });
    for (const each of started) each.stop();
  }
}

async function measure(
  started: readonly ClientProcess[],
  { operation, window, rounds }: Pick<Run, 'operation' | 'window'> & { rounds: number },
): Promise<void> {
  const results = new Map<ClientName, RunResult[]>(started.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const each of started) results.get(each.name)?.push(await each.run({ operation, window, seconds: 1.5 }));
  }
  const columns = [...results].map(([name, runs]) => {
    const rate = median(runs.map((run) => run.operationsPerSecond));
    const cpu = median(runs.map((run) => run.cpuMicrosPerOperation));
    return `${name} ${Math.round(rate).toLocaleString('en').padStart(7)}/s ${cpu.toFixed(1).padStart(6)} µs`;
  });
  console.log(`  ${`${operation}, ${window} in flight`.padEnd(22)} ${columns.join('   ')}`);
}
