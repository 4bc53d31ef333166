/**
 * `npm run bench -- recipes`: our recipes beside Java Curator's, on the same server in the same run, in turns, each warmed up. Curator's figures
 * come from the program that CURATOR_BENCH names (a `CuratorBench.java`) and from `LockingQueue.java` beside this file, which are compiled here
 * and print a line of JSON for each case; its jars are where Debian's package `libcurator-recipes-java` puts them. Without them there are only ours.
 *
 * The figures of one process with all contenders in it, as in the Java program: each contender has a session of its own. Both also over a
 * link that delays, where round trips count and the load of the machine doesn't.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
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
const lockingQueue = fileURLToPath(new URL('../LockingQueue.java', import.meta.url));
const slowLink = fileURLToPath(new URL('slow-link.js', import.meta.url));

/** Of one measurement, and how many there are in each turn. */
const SECONDS = 1;
const TIMES = 3;
const MESSAGES = 2000;
/** As Curator takes a lock for each, fewer. */
const LOCKED_MESSAGES = 500;
const PREFETCH = 100;
const WAITERS = 1000;
const CONTENDERS = 8;
const HAND_OVERS = 7;
/** One way. */
const LINK_MS = 5;

const ALONE = 'InterProcessMutex pairs, 1 client';
const CONTENDED = `InterProcessMutex pairs, ${CONTENDERS} contenders`;
const HAND_OVER = 'LeaderLatch hand-over after close';
const AT_MOST_ONCE = 'DistributedQueue, at most once';
const AT_LEAST_ONCE = 'DistributedQueue, at least once';
/** In the names of the Java programs what is not ours is renamed. */
const JAVA_NAMES: Readonly<Record<string, string>> = { [`DistributedQueue, ${MESSAGES} messages`]: AT_MOST_ONCE };
const far = (name: string): string => `${name}, ${2 * LINK_MS} ms away`;

/** By case, then by figure: a value for each measurement. */
class Figures {
  readonly #values = new Map<string, Map<string, number[]>>();

  add(name: string, figures: Readonly<Record<string, number>>): void {
    const known = this.#values.get(name) ?? new Map<string, number[]>();
    this.#values.set(name, known);
    for (const [figure, value] of Object.entries(figures)) known.set(figure, [...(known.get(figure) ?? []), value]);
  }

  median(name: string, figure: string): number | undefined {
    const values = this.#values.get(name)?.get(figure) ?? [];
    return values.toSorted((a, b) => a - b)[values.length >> 1];
  }

  /** Each case with each of its figures. */
  *names(): Generator<readonly [name: string, figure: string], void> {
    for (const [name, figures] of this.#values) for (const figure of figures.keys()) yield [name, figure];
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

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

// Ours.

/** Pairs of acquire and release a second, and the CPU time of each in this process. */
async function mutexPairs(clients: readonly CuratorFramework[], path: string): Promise<Record<string, number>> {
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
  return {
    ops_per_s: pairs / ((performance.now() - startedAt) / 1000),
    cpu_us_per_op: (user + system) / pairs,
  };
}

/** From the leader's `close` until the next leads, ms. */
async function handOver([first, second]: readonly CuratorFramework[], path: string): Promise<number> {
  if (first === undefined || second === undefined) throw new Error('it takes two');
  const leaving = new LeaderLatch(first, path, { id: 'a' }).start();
  await leaving.leadership();
  await using next = new LeaderLatch(second, path, { id: 'b' }).start();
  while ((await next.getParticipants()).length < 2) await pause(5);
  await pause(100);
  const leading = next.leadership();
  const startedAt = performance.now();
  const closed = leaving.close();
  await leading;
  const ms = performance.now() - startedAt;
  await closed;
  return ms;
}

const perSecond = (count: number, startedAt: number): number => count / ((performance.now() - startedAt) / 1000);

async function filled(client: CuratorFramework, path: string): Promise<DistributedQueue> {
  const queue = new DistributedQueue(client, path, { serializer: bytes });
  await Promise.all(Array.from({ length: MESSAGES }, () => queue.put(Buffer.alloc(100))));
  return queue;
}

/** In a loop, each acknowledged before the next. */
async function consumedOneByOne(queue: DistributedQueue, delivery: 'at-least-once' | 'at-most-once'): Promise<number> {
  const startedAt = performance.now();
  let left = MESSAGES;
  for await (const message of queue.consume({ delivery, prefetch: PREFETCH })) {
    await message.ack();
    if (--left === 0) break;
  }
  return perSecond(MESSAGES, startedAt);
}

/** By a callback, as Curator's consumer, until all are acknowledged. */
async function consumedByCallback(queue: DistributedQueue): Promise<number> {
  const startedAt = performance.now();
  let left = MESSAGES;
  let stop = async (): Promise<void> => undefined;
  await new Promise<void>((resolve) => {
    const consume = (): void => {
      if (--left === 0) resolve();
    };
    stop = queue.onMessage(consume, { delivery: 'at-least-once', prefetch: PREFETCH });
  });
  await stop();
  return perSecond(MESSAGES, startedAt);
}

/** A thousand who wait, in ten sessions, each letting go at once: how long a hand-over takes, and how many requests of all of them. */
async function longLine(server: MeasuredServer, clients: readonly CuratorFramework[]): Promise<Record<string, number>> {
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
  while ((await own.getChildren('/bench-line')).length <= WAITERS) await pause(50);
  await pause(500);
  const requests = await server.requestCount();
  const startedAt = performance.now();
  await first.release();
  await Promise.all(waiting);
  return {
    hand_over_ms: (performance.now() - startedAt) / granted,
    requests_per_hand_over: ((await server.requestCount()) - requests) / granted,
  };
}

/** A turn of ours. */
async function ours(connectString: string, turn: number, figures: Figures): Promise<void> {
  await withClients(connectString, CONTENDERS, async (clients) => {
    const one = clients.slice(0, 1);
    for (let time = 0; time < TIMES; time++) figures.add(ALONE, await mutexPairs(one, '/bench-lock'));
    for (let time = 0; time < TIMES; time++) figures.add(CONTENDED, await mutexPairs(clients, '/bench-lock'));
    for (let time = 0; time < HAND_OVERS; time++)
      figures.add(HAND_OVER, { ms: await handOver(clients, `/bench-latch-${turn}-${time}`) });
    for (const client of one) {
      for (let time = 0; time < TIMES; time++) {
        const path = `/bench-queue-${turn}-${time}`;
        const startedAt = performance.now();
        await using first = await filled(client, path);
        const put = perSecond(MESSAGES, startedAt);
        figures.add(AT_MOST_ONCE, {
          put_per_s: put,
          consume_per_s: await consumedOneByOne(first, 'at-most-once'),
        });
        await using second = await filled(client, `${path}-b`);
        figures.add(AT_LEAST_ONCE, { consume_per_s: await consumedByCallback(second) });
        await using third = await filled(client, `${path}-c`);
        figures.add(`${AT_LEAST_ONCE}, in a loop`, { consume_per_s: await consumedOneByOne(third, 'at-least-once') });
      }
    }
  });
}

async function oursFarAway(connectString: string, turn: number, figures: Figures): Promise<void> {
  await withClients(connectString, CONTENDERS, async (clients) => {
    figures.add(far(ALONE), await mutexPairs(clients.slice(0, 1), '/bench-far'));
    figures.add(far(CONTENDED), await mutexPairs(clients, '/bench-far'));
    for (let time = 0; time < HAND_OVERS; time++)
      figures.add(far(HAND_OVER), { ms: await handOver(clients, `/bench-far-latch-${turn}-${time}`) });
  });
}

// Curator's.

/** The Java programs, compiled. */
class CuratorPrograms implements AsyncDisposable {
  readonly #classes: string;

  private constructor(classes: string) {
    this.#classes = classes;
  }

  /** Undefined if they are not there. */
  static async compile(): Promise<CuratorPrograms | undefined> {
    const source = process.env.CURATOR_BENCH;
    if (source === undefined || !existsSync(source)) {
      console.log('without Java Curator: CURATOR_BENCH names no CuratorBench.java');
      return undefined;
    }
    const classes = await mkdtemp(join(tmpdir(), 'curator-bench-'));
    await output('javac', ['-nowarn', '-cp', CLASS_PATH, '-d', classes, source, lockingQueue]);
    return new CuratorPrograms(classes);
  }

  /** A turn. Each start of the program warms it up first, and prints medians. */
  async run(connectString: string, turn: number, figures: Figures): Promise<void> {
    for (const part of ['InterProcessMutex', HAND_OVER, 'DistributedQueue'])
      await this.#bench(connectString, { part, times: TIMES, figures, toName: (name) => name });
    const args = [connectString, `/bench-java-locked-${turn}`, `${LOCKED_MESSAGES}`, `${TIMES}`];
    this.#note(await this.#java(['LockingQueue', ...args]), figures, (name) => name);
  }

  async runFarAway(connectString: string, figures: Figures): Promise<void> {
    for (const part of ['InterProcessMutex', HAND_OVER])
      await this.#bench(connectString, { part, times: 1, figures, toName: far });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#classes, { recursive: true, force: true });
  }

  async #bench(
    connectString: string,
    run: { part: string; times: number; figures: Figures; toName: (name: string) => string },
  ): Promise<void> {
    const args = ['CuratorBench', connectString, `${run.times}`, `${SECONDS}`, run.part];
    this.#note(await this.#java(args), run.figures, run.toName);
  }

  #java(args: readonly string[]): Promise<string> {
    const options = ['-Xmx512m', '-Dzookeeper.sasl.client=false', '-cp', `${this.#classes}:${CLASS_PATH}`];
    return output('java', [...options, ...args]);
  }

  #note(printed: string, figures: Figures, toName: (name: string) => string): void {
    for (const line of printed.split('\n').filter((each) => each.startsWith('{'))) {
      const { client: _client, case: name, ...rest } = JSON.parse(line) as Record<string, string | number>;
      const numbers = Object.entries(rest).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
      figures.add(toName(JAVA_NAMES[String(name)] ?? String(name)), Object.fromEntries(numbers));
    }
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

/** To the server, over a link that delays. */
async function startSlowLink(
  port: number,
): Promise<{ readonly process: ChildProcess; readonly connectString: string }> {
  const child = spawn(process.execPath, [slowLink, `${port}`, `${LINK_MS}`], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [printed] = await once(child.stdout, 'data');
  return { process: child, connectString: `127.0.0.1:${Number(String(printed))}` };
}

// All of it.

/** Where both do the same thing with the same guarantee: Curator's queue with a path for locks is the one that delivers at least once. */
function print(mine: Figures, javas: Figures): void {
  for (const [name, figure] of mine.names()) {
    const value = mine.median(name, figure) ?? Number.NaN;
    const theirs = javas.median(name === `${AT_LEAST_ONCE}, in a loop` ? AT_LEAST_ONCE : name, figure);
    const ratio = theirs === undefined ? Number.NaN : figure.endsWith('_per_s') ? value / theirs : theirs / value;
    const beside =
      theirs === undefined ? '' : `   Curator ${theirs.toFixed(1).padStart(9)}   ${ratio.toFixed(2)} times as good`;
    console.log(`${name.padEnd(50)} ${figure.padEnd(22)} ${value.toFixed(1).padStart(9)}${beside}`);
  }
  console.log('put: ours stores a message once also if an answer is lost, Curator perhaps twice');
}

export async function recipes(rounds: number): Promise<void> {
  // The last: Apache ZooKeeper where it is installed, so that both are on a server that is neither's own.
  const make = makes().at(-1) ?? 'ours';
  await using server = await MeasuredServer.start(make);
  await using curator = await CuratorPrograms.compile();
  const link = await startSlowLink(server.port);
  try {
    const connectString = `127.0.0.1:${server.port}`;
    const [mine, javas] = [new Figures(), new Figures()];
    // What is compiled as it runs, here and in the server.
    await ours(connectString, -1, new Figures());
    for (let turn = 0; turn < rounds; turn++) {
      await ours(connectString, turn, mine);
      await curator?.run(connectString, turn, javas);
      await oursFarAway(link.connectString, turn, mine);
      await curator?.runFarAway(link.connectString, javas);
    }
    await withClients(connectString, 10, async (clients) =>
      mine.add(`${WAITERS} waiters of one mutex`, await longLine(server, clients)),
    );
    console.log(`server: ${make}, medians of ${rounds} turns`);
    print(mine, javas);
  } finally {
    link.process.kill();
  }
}
