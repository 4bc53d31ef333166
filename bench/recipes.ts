/**
 * `npm run bench -- recipes`: our recipes beside Java Curator's, on the same server in the same run, in turns. Curator's figures come from
 * the program that CURATOR_BENCH names (a `CuratorBench.java`, compiled here), which prints a line of JSON for each case; its jars are where
 * Debian's package `libcurator-recipes-java` puts them. Without it there are only ours.
 *
 * The figures of one process with all contenders in it, as in the Java program: each contender has a session of its own.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CuratorFramework, connect, ExponentialBackoffRetry } from 'zookeeper-client-ts';
import { bytes, DistributedQueue, InterProcessMutex, LeaderLatch, type Ownership } from 'zookeeper-recipes-ts';
import { MeasuredServer, makes } from './servers.ts';

const jars = '/usr/share/java';
const CLASS_PATH = [
  'curator-recipes',
  'curator-framework',
  'curator-client',
  'zookeeper',
  'zookeeper-jute',
  'guava',
  'slf4j-api',
  'slf4j-nop',
]
  .map((name) => `${jars}/${name}.jar`)
  .join(':');
const SECONDS = 2;
const MESSAGES = 2000;
const WAITERS = 1000;
const CONTENDERS = 8;
const HAND_OVERS = 7;

/** By case, then by figure. */
type Figures = Map<string, Map<string, number>>;

const newClient = (connectString: string): Promise<CuratorFramework> =>
  connect(connectString, { sessionTimeoutMs: 30_000, retry: new ExponentialBackoffRetry(100, 3) });

async function withClients<T>(
  connectString: string,
  count: number,
  work: (clients: readonly CuratorFramework[]) => Promise<T>,
): Promise<T> {
  const clients = await Promise.all(Array.from({ length: count }, () => newClient(connectString)));
  try {
    return await work(clients);
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
}

/** Pairs of acquire and release a second, and the CPU time of each in this process. */
async function mutexPairs(clients: readonly CuratorFramework[], path: string): Promise<Map<string, number>> {
  let pairs = 0;
  const startedAt = performance.now();
  const cpu = process.cpuUsage();
  const contend = async (client: CuratorFramework): Promise<void> => {
    const mutex = new InterProcessMutex(client, path);
    while (performance.now() < startedAt + SECONDS * 1000) {
      await (await mutex.acquire()).release();
      pairs++;
    }
  };
  await Promise.all(clients.map(contend));
  const { user, system } = process.cpuUsage(cpu);
  return new Map([
    ['ops_per_s', pairs / ((performance.now() - startedAt) / 1000)],
    ['cpu_us_per_op', (user + system) / pairs],
  ]);
}

/** From the leader's `close` until the next leads, ms. */
async function handOver([first, second]: readonly CuratorFramework[], path: string): Promise<number> {
  if (first === undefined || second === undefined) throw new Error('it takes two');
  const leaving = new LeaderLatch(first, path, { id: 'a' }).start();
  await leaving.leadership();
  await using next = new LeaderLatch(second, path, { id: 'b' }).start();
  while ((await next.getParticipants()).length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 100));
  const leading = next.leadership();
  const startedAt = performance.now();
  const closed = leaving.close();
  await leading;
  const ms = performance.now() - startedAt;
  await closed;
  return ms;
}

/** Messages put, then consumed and acknowledged, a second. As Curator's without a path for locks: at most once. */
async function queue(client: CuratorFramework, path: string): Promise<Map<string, number>> {
  await using queue = new DistributedQueue(client, path, { serializer: bytes });
  const message = Buffer.alloc(100);
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: MESSAGES }, () => queue.put(message)));
  const putAt = performance.now();
  let left = MESSAGES;
  for await (const each of queue.consume({ delivery: 'at-most-once', prefetch: 100 })) {
    await each.ack();
    if (--left === 0) break;
  }
  return new Map([
    ['put_per_s', MESSAGES / ((putAt - startedAt) / 1000)],
    ['consume_per_s', MESSAGES / ((performance.now() - putAt) / 1000)],
  ]);
}

/** A thousand who wait, in ten sessions, each letting go at once: how long a hand-over takes, and how many requests of all of them. */
async function longLine(server: MeasuredServer, clients: readonly CuratorFramework[]): Promise<Map<string, number>> {
  const [own] = clients;
  if (own === undefined) throw new Error('it takes one');
  const first = await new InterProcessMutex(own, '/bench-line').acquire();
  let granted = 0;
  const letGo = async (held: Ownership): Promise<void> => {
    granted++;
    await held.release();
  };
  const waiting = Array.from({ length: WAITERS }, (_, index) => {
    const client = clients[index % clients.length] ?? own;
    return new InterProcessMutex(client, '/bench-line').acquire().then(letGo);
  });
  while ((await own.getChildren('/bench-line')).length <= WAITERS)
    await new Promise((resolve) => setTimeout(resolve, 50));
  await new Promise((resolve) => setTimeout(resolve, 500));
  const requests = await server.requestCount();
  const startedAt = performance.now();
  await first.release();
  await Promise.all(waiting);
  return new Map([
    ['hand_over_ms', (performance.now() - startedAt) / granted],
    ['requests_per_hand_over', ((await server.requestCount()) - requests) / granted],
  ]);
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

/** The names of the cases are those of the Java program. */
const CASES = {
  alone: 'InterProcessMutex pairs, 1 client',
  contended: `InterProcessMutex pairs, ${CONTENDERS} contenders`,
  handOver: 'LeaderLatch hand-over after close',
  queue: `DistributedQueue, ${MESSAGES} messages`,
  line: `${WAITERS} waiters of one mutex`,
} as const;

async function ours(server: MeasuredServer, rounds: number): Promise<Figures> {
  const connectString = `127.0.0.1:${server.port}`;
  const values = new Map<string, Map<string, number[]>>();
  const note = (name: string, figures: ReadonlyMap<string, number>): void => {
    const known = values.get(name) ?? new Map<string, number[]>();
    values.set(name, known);
    for (const [figure, value] of figures) known.set(figure, [...(known.get(figure) ?? []), value]);
  };
  await withClients(connectString, CONTENDERS, async (clients) => {
    const one = clients.slice(0, 1);
    await mutexPairs(one, '/bench-lock'); // what is compiled as it runs
    for (let round = 0; round < rounds; round++) {
      note(CASES.alone, await mutexPairs(one, '/bench-lock'));
      note(CASES.contended, await mutexPairs(clients, '/bench-lock'));
      for (const client of one) note(CASES.queue, await queue(client, `/bench-queue-${round}`));
    }
    for (let time = 0; time < HAND_OVERS; time++)
      note(CASES.handOver, new Map([['ms', await handOver(clients, `/bench-latch-${time}`)]]));
  });
  await withClients(connectString, 10, async (clients) => note(CASES.line, await longLine(server, clients)));
  const medians = [...values].map(
    ([name, figures]) => [name, new Map([...figures].map(([figure, each]) => [figure, median(each)]))] as const,
  );
  return new Map(medians);
}

/** What the Java program prints for the cases that are ours as well; nothing without it. */
async function theirs({ port }: MeasuredServer, rounds: number): Promise<Figures> {
  const source = process.env.CURATOR_BENCH;
  if (source === undefined || !existsSync(source)) {
    console.log('without Java Curator: CURATOR_BENCH names no CuratorBench.java');
    return new Map();
  }
  const classes = await mkdtemp(join(tmpdir(), 'curator-bench-'));
  try {
    await output('javac', ['-nowarn', '-cp', CLASS_PATH, '-d', classes, source]);
    const figures: Figures = new Map();
    // One part of a name for each start of it; so many seconds for each round.
    for (const part of ['InterProcessMutex', 'LeaderLatch hand-over after close', 'DistributedQueue']) {
      const args = ['-Xmx512m', '-Dzookeeper.sasl.client=false', '-cp', `${classes}:${CLASS_PATH}`, 'CuratorBench'];
      const printed = await output('java', [...args, `127.0.0.1:${port}`, `${rounds}`, `${SECONDS}`, part]);
      for (const line of printed.split('\n').filter((each) => each.startsWith('{'))) {
        const { client: _client, case: name, ...rest } = JSON.parse(line) as Record<string, string | number>;
        const numbers = Object.entries(rest).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
        figures.set(String(name), new Map(numbers));
      }
    }
    return figures;
  } finally {
    await rm(classes, { recursive: true, force: true });
  }
}

/** What a program prints; rejects unless it exits with 0. */
async function output(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk) => (text += String(chunk)));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${command} exited with ${code}`);
  return text;
}

export async function recipes(rounds: number): Promise<void> {
  // The last: Apache ZooKeeper where it is installed, so that both are on a server that is neither's own.
  const make = makes().at(-1) ?? 'ours';
  await using server = await MeasuredServer.start(make);
  const [mine, javas] = [await ours(server, rounds), await theirs(server, rounds)];
  console.log(`server: ${make}, medians of ${rounds}`);
  for (const [name, figures] of mine) {
    for (const [figure, value] of figures) {
      const beside = javas.get(name)?.get(figure);
      const text = beside === undefined ? '' : `   Curator ${beside.toFixed(1).padStart(10)}`;
      console.log(`${name.padEnd(40)} ${figure.padEnd(24)} ${value.toFixed(1).padStart(10)}${text}`);
    }
  }
}
