/**
 * One client in a process of its own: `client-process.js CLIENT HOST:PORT`. Runs what its parent tells it to, one run after the other, and
 * answers with what it came to. The CPU time is that of the whole process: a native client has threads of its own.
 */
import { type ClientName, type MeasuredClient, openClient } from './clients.ts';
import { VALUE } from './load.ts';

export interface Run {
  readonly operation: 'get' | 'set' | 'create';
  /** Calls in flight. */
  readonly window: number;
  readonly seconds: number;
}

export interface RunResult {
  readonly operationsPerSecond: number;
  readonly cpuMicrosPerOperation: number;
}

/** From the child: it is connected, or a run is over. */
export type Report = { readonly kind: 'ready' } | { readonly kind: 'result'; readonly result: RunResult };

/** Before anything is counted. */
const WARM_UP_SECONDS = 0.3;

const [name, connectString = ''] = process.argv.slice(2);
const client = await openClient(name as ClientName, connectString);
const root = `/bench-${process.pid}`;
let created = 0;

await new Promise<void>((resolve, reject) =>
  client.create(root, VALUE, (error) => (error ? reject(error) : resolve())),
);

const calls: Record<Run['operation'], (client: MeasuredClient, done: (error?: unknown) => void) => void> = {
  get: (client, done) => client.get(root, done),
  set: (client, done) => client.set(root, VALUE, done),
  create: (client, done) => client.create(`${root}/c${created++}`, VALUE, done),
};

/** Keeps the window full for that long, and then waits for what is in flight. */
function drive({ operation, window, seconds }: Run): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const call = calls[operation];
    const cpu = process.cpuUsage();
    const startedAt = performance.now();
    const endAt = startedAt + seconds * 1000;
    let inFlight = 0;
    let count = 0;
    const next = (): void => {
      inFlight++;
      call(client, onDone);
    };
    const onDone = (error?: unknown): void => {
      if (error) return reject(error);
      inFlight--;
      count++;
      const now = performance.now();
      if (now < endAt) return next();
      if (inFlight > 0) return;
      const { user, system } = process.cpuUsage(cpu);
      resolve({
        operationsPerSecond: (count * 1000) / (now - startedAt),
        cpuMicrosPerOperation: (user + system) / count,
      });
    };
    for (let i = 0; i < window; i++) next();
  });
}

const report = (message: Report): void => void process.send?.(message);

process.on('message', async (run: Run) => {
  await drive({ ...run, seconds: WARM_UP_SECONDS });
  report({ kind: 'result', result: await drive(run) });
});
process.on('disconnect', () => process.exit());
report({ kind: 'ready' });
