/**
 * `npm run bench -- leaks`: what remains of watches that are gone. A client leaves 50,000 persistent watches and subscribes to 10,000 watch
 * streams, hears of a change by each, and takes them away again; the heap behind a full collection must be the same after every round.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type CuratorFramework, connect } from 'zookeeper-client-ts';
import { watch } from 'zookeeper-client-ts/rx';
import { MeasuredServer } from './servers.ts';

const WATCHES = 50_000;
const SUBSCRIPTIONS = 10_000;
const ROUNDS = 20;
/** Until then caches fill: shapes, optimised code, buffers of the socket. */
const SETTLING_ROUNDS = 5;
/** How much the heap may differ afterwards: less than a byte for each watch and subscription that there was. */
const GROWTH_BYTES_MAX = 500_000;
/** Calls in flight. */
const WINDOW = 1000;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

async function heapBytes(): Promise<number> {
  // What finalizers and the socket let go of comes free in the collection after theirs.
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return process.memoryUsage().heapUsed;
}

/** Calls `run` for each number below `count`, some at a time. */
async function forAll(count: number, run: (i: number) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < count; i += WINDOW) {
    await Promise.all(Array.from({ length: Math.min(WINDOW, count - i) }, (_, j) => run(i + j)));
  }
}

/** @throws Error if it doesn't come true within a minute */
async function until(isTrue: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const endAt = performance.now() + 60_000;
  while (!(await isTrue())) {
    if (performance.now() > endAt) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const watched = (i: number): string => `/watched/n${i}`;
const streamed = (i: number): string => `/streamed/n${i}`;

/** @returns the heap with all of them there */
async function round(client: CuratorFramework, server: MeasuredServer): Promise<number> {
  // The client has one of its own: on the configuration.
  const own = await server.watchCount();
  let events = 0;
  let changes = 0;
  const onEvent = (): void => void events++;
  const onChange = (): void => void changes++;
  await forAll(WATCHES, (i) => client.zookeeper.addWatch(watched(i), onEvent));
  const subscriptions = Array.from({ length: SUBSCRIPTIONS }, (_, i) =>
    // That it ends is seen by what it doesn't tell.
    watch(client, streamed(i)).data$.subscribe({ next: onChange, error: () => undefined }),
  );
  await until(() => changes === SUBSCRIPTIONS, 'each stream tells what there is');
  await forAll(WATCHES, (i) => client.setData(watched(i), 'changed'));
  await forAll(SUBSCRIPTIONS, (i) => client.setData(streamed(i), 'changed'));
  await until(() => events === WATCHES && changes === 2 * SUBSCRIPTIONS, 'each watch and each stream tells the change');
  const bytes = await heapBytes();
  for (const subscription of subscriptions) subscription.unsubscribe();
  await forAll(WATCHES, (i) => client.zookeeper.removeWatches(watched(i), { watcher: onEvent }));
  await until(async () => (await server.watchCount()) === own, 'the server has no watch of them left');
  return bytes;
}

/** @returns whether nothing leaks */
export async function leaks(): Promise<boolean> {
  await using server = await MeasuredServer.start('ours');
  await using client = await connect(`127.0.0.1:${server.port}`);
  for (const parent of ['/watched', '/streamed']) await client.create(parent);
  await forAll(WATCHES, (i) => client.create(watched(i)));
  await forAll(SUBSCRIPTIONS, (i) => client.create(streamed(i)));
  const before = await heapBytes();
  const after: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const peak = await round(client, server);
    after.push(await heapBytes());
    if (i === 0) {
      const each = Math.round((peak - before) / (WATCHES + SUBSCRIPTIONS));
      console.log(`with ${WATCHES} watches and ${SUBSCRIPTIONS} subscriptions: ${megabytes(peak)}, ${each} bytes each`);
    }
  }
  const growth = (after.at(-1) ?? 0) - (after[SETTLING_ROUNDS - 1] ?? 0);
  console.log(`heap before: ${megabytes(before)}; after each round: ${after.map(megabytes).join(', ')}`);
  console.log(`from round ${SETTLING_ROUNDS} to round ${ROUNDS}: ${growth} bytes`);
  return growth <= GROWTH_BYTES_MAX;
}

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MB`;
