/**
 * One life of an ensemble: servers, clients, faults, and then peace, in which everything must come right within a bound. All of it
 * is drawn from the seed, the configuration first.
 */
import type { Zxid } from 'zookeeper-protocol-ts';
import { CallChecker } from '../simulator/checkers/calls.ts';
import { HistoryChecker, HistoryUnknown } from '../simulator/checkers/history.ts';
import { HistoryModel } from '../simulator/checkers/model.ts';
import { SimulatedEnsemble } from '../simulator/ensemble.ts';
import { Faults } from '../simulator/faults.ts';
import { SeededRandom } from '../simulator/random.ts';
import { Records, WorkloadClient } from '../simulator/workload.ts';
import { World } from '../simulator/world.ts';

const TICK_MS = 200;
const INIT_LIMIT = 10;
const SYNC_LIMIT = 5;
/** What is left of a fault, an election, synchronization, and all that once more. */
const HEALED_WITHIN_MS = 4 * (INIT_LIMIT + SYNC_LIMIT) * TICK_MS + 10_000;
/** Clients find a server, finish, and close; what they left behind expires. */
const ENDED_WITHIN_MS = 40_000;

/** @returns how often each situation was met */
export async function liveEnsemble(seed: number): Promise<ReadonlyMap<string, number>> {
  const world = worldOf(seed);
  try {
    return await live(world);
  } catch (cause) {
    if (causesOf(cause).some((each) => each instanceof HistoryUnknown)) return new Map([['history unknown', 1]]);
    const story = world.trace.story.slice(-STORY_LINES); // with SIM_TRACE
    throw new Error([...story, String(cause)].join('\n'), { cause });
  }
}

const causesOf = (error: unknown): unknown[] => (error instanceof Error ? [error, ...causesOf(error.cause)] : [error]);

const STORY_LINES = 2000;

async function live(world: World): Promise<ReadonlyMap<string, number>> {
  const { seed } = world;
  const random = new SeededRandom(seed, 'configuration');
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random.next() * list.length)] as T; // below the length
  const history = new HistoryChecker();
  const ensemble = new SimulatedEnsemble(world, {
    voters: pick([3, 3, 3, 5]),
    observers: pick([0, 0, 1]),
    zooCfg: [
      ...[`tickTime=${TICK_MS}`, `initLimit=${INIT_LIMIT}`, `syncLimit=${SYNC_LIMIT}`],
      `snapCount=${pick([10, 60, 100_000])}`,
    ],
    clocks: Array.from({ length: 6 }, () => ({
      originMs: random.next() * 1e6,
      ratePpm: (random.next() - 0.5) * 40_000,
    })),
    onlooker: history,
  });
  const records = new Records();
  for (const name of ensemble.names) ensemble.start(name);
  const clients = Array.from({ length: pick([2, 4]) }, (_, i) => {
    const [window, thinkMs, sessionTimeoutMs] = [pick([1, 4, 16]), pick([10, 50, 200]), pick([1000, 2000, 4000])];
    return new WorkloadClient(world.spawn(`c${i + 1}`), {
      ...{ records, seed, sessionTimeoutMs, window, thinkMs },
      servers: ensemble.names,
      moveRate: pick([0.003, 0.003, 0.05]),
    });
  });
  await world.runFor(1500);
  const faults = new Faults(world, ensemble);
  await world.runFor(pick([4000, 8000, 12_000]));
  faults.heal();
  await settle(world, ensemble);
  for (const client of clients) client.stop();
  await world.runUntil(() => clients.every(({ isEnded }) => isEnded), { withinMs: ENDED_WITHIN_MS });
  await world.runFor(6000); // sessions that were left behind expire
  checkEnd(ensemble, history);
  const model = new HistoryModel(history.txns);
  checkTrees(ensemble, model);
  const calls = new CallChecker(history, model);
  calls.check(records);
  const marks = new Map(calls.marks);
  for (const [mark, count] of [...history.marks, ...faults.marks]) marks.set(mark, (marks.get(mark) ?? 0) + count);
  if (records.expired.length > 0) marks.set('session expired', records.expired.length);
  return marks;
}

function worldOf(seed: number): World {
  const random = new SeededRandom(seed, 'world');
  const isSlow = random.next() < 0.25;
  return new World({
    seed,
    trace: process.env.SIM_TRACE !== undefined,
    network: { lossRate: random.next() < 0.3 ? 0.02 : 0 },
    disk: isSlow ? { syncMs: [1, 30], stallRate: 0.01, stallMs: [50, 800] } : {},
  });
}

/** One leader, and all the others with it. */
async function settle(world: World, ensemble: SimulatedEnsemble): Promise<void> {
  const isSettled = () =>
    ensemble.running.length === ensemble.names.length &&
    ensemble.running.every(({ role }) => role !== undefined) &&
    ensemble.running.filter(({ role }) => role === 'leader').length === 1;
  const until = world.nowMs + HEALED_WITHIN_MS;
  while (!isSettled()) {
    if (world.nowMs >= until) {
      const roles = ensemble.running.map(({ name, role }) => `${name} ${role ?? 'looking'}`);
      throw new Error(`LIVENESS: ${HEALED_WITHIN_MS} ms after the heal: ${roles.join(', ')}`);
    }
    await world.runFor(100);
  }
}

/** Everybody has all of the history, and nothing is left of clients that are gone. */
function checkEnd(ensemble: SimulatedEnsemble, { last }: HistoryChecker): void {
  for (const { name, database, ...server } of ensemble.running.map((each) => ({
    name: each.name,
    database: each.database,
    view: each.view(),
  }))) {
    const { lastZxid, tree, sessions } = database;
    if (lastZxid !== (last ?? (0n as Zxid))) throw new Error(`LIVENESS: ${name} is at ${lastZxid}, not at ${last}`);
    tree.assertConsistent();
    if (sessions.size > 0) throw new Error(`C3: ${name} has ${sessions.size} sessions, and no client lives`);
    if (tree.ephemeralCount > 0) throw new Error(`C1: ${name} has ${tree.ephemeralCount} ephemerals without sessions`);
    const { watches, outstanding } = server.view;
    if (watches.total > 0) throw new Error(`E1: ${name} has ${watches.total} watches, and no client lives`);
    if (outstanding > 0) throw new Error(`E1: ${name} has ${outstanding} requests under way, and no client lives`);
  }
}

function checkTrees(ensemble: SimulatedEnsemble, model: HistoryModel): void {
  const expected = model.paths.filter((path) => path !== '/').sort();
  for (const { name, database } of ensemble.running) {
    const { tree } = database;
    const paths = [...tree.znodes()].map((node) => tree.pathOf(node)).filter((path) => /^\/[nq]/.test(path));
    if (paths.sort().join() !== expected.join()) throw new Error(`A2: ${name} has [${paths}], not [${expected}]`);
    for (const path of expected) {
      const node = tree.find(path);
      const data = node === undefined ? undefined : Buffer.from(tree.data(node) ?? []).toString();
      if (data !== model.now(path)?.data) throw new Error(`A2: ${path} at ${name} is ${data}`);
    }
  }
}
