/**
 * A queue: two processes put jobs, three do them, and one of those is killed with jobs in hand. Its session expires, and the others get what it
 * had: no job is lost. What it had done and not acknowledged is done twice; that is what "at least once" means.
 *
 *     node examples/dist/queue.js                               with a server of its own
 *     CONNECT=localhost:2181 node examples/dist/queue.js        with yours
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { connect } from 'zookeeper-client-ts';
import { DistributedQueue, json } from 'zookeeper-recipes-ts';
import { ZooKeeperServer } from 'zookeeper-server-ts';

const JOBS_EACH = 100;

interface Job {
  readonly id: string;
}

/** Who crashes is missed after this time. */
const SESSION_TIMEOUT_MS = 4_000;
const openClient = (connectString: string) =>
  connect(connectString, { sessionTimeoutMs: SESSION_TIMEOUT_MS, connectionTimeoutMs: SESSION_TIMEOUT_MS });

async function produce(name: string, connectString: string): Promise<void> {
  await using client = await openClient(connectString);
  await using jobs = new DistributedQueue<Job>(client, '/example/jobs', { serializer: json<Job>(), maxItems: 50 });
  // Whoever doesn't wait for each put waits for all of them: they are sent together.
  for (let count = 1; count <= JOBS_EACH; count++) {
    jobs.put({ id: `${name}-${count}` }).catch(() => undefined);
  }
  await jobs.flushPuts();
}

async function work(connectString: string): Promise<void> {
  const stopping = new AbortController();
  process.once('SIGTERM', () => stopping.abort());
  await using client = await openClient(connectString);
  await using jobs = new DistributedQueue<Job>(client, '/example/jobs', { serializer: json<Job>() });
  try {
    for await (const message of jobs.consume({ signal: stopping.signal, prefetch: 8 })) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      console.log(message.value.id);
      await message.ack();
    }
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
  }
}

/** This program, in another role. */
function start(role: 'produce' | 'work', name: string, connectString: string) {
  const script = fileURLToPath(import.meta.url);
  return spawn(process.execPath, [script, role, name, connectString], { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function play(connectString: string): Promise<void> {
  const timesDone = new Map<string, number>();
  const workers = ['alpha', 'bravo', 'charlie'].map((name) => start('work', name, connectString));
  const producers = ['delta', 'echo'].map((name) => start('produce', name, connectString));
  const [alpha] = workers;
  const done = new Promise<void>((resolve, reject) => {
    for (const process of [...workers, ...producers]) {
      // Those that are killed have none.
      process.once('exit', (code) => code && reject(new Error(`a process ended with code ${code}`)));
    }
    for (const worker of workers) {
      let jobsDone = 0;
      createInterface({ input: worker.stdout }).on('line', (id) => {
        timesDone.set(id, (timesDone.get(id) ?? 0) + 1);
        if (worker === alpha && ++jobsDone === 10) worker.kill('SIGKILL');
        if (timesDone.size === 2 * JOBS_EACH) resolve();
      });
    }
  });
  try {
    await done;
    const twice = [...timesDone.values()].filter((times) => times > 1).length;
    console.log(`alpha was killed with jobs in hand: ${alpha?.signalCode}`);
    console.log(`${2 * JOBS_EACH} jobs were put, ${timesDone.size} were done, ${twice} of them twice`);
  } finally {
    for (const process of [...workers, ...producers]) {
      if (process.exitCode !== null || process.signalCode !== null) continue;
      const exited = once(process, 'exit');
      process.kill('SIGTERM');
      await exited;
    }
  }
}

const [role, name = '', connectString = ''] = process.argv.slice(2);
if (role === 'produce') {
  await produce(name, connectString);
} else if (role === 'work') {
  await work(connectString);
} else {
  const given = process.env.CONNECT;
  await using server =
    given === undefined ? await ZooKeeperServer.start({ dataDir: './data', clientPort: 0 }) : undefined;
  await play(given ?? server?.connectString ?? '');
}
