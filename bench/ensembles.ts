/**
 * Three servers of ours beside three Apache ZooKeepers, in turns, on the loopback and one disk: what a server-CPU-second does, how
 * long a write by itself takes, how long nobody can write when the leader is killed, how long a follower needs that was away, and
 * memory. Five rounds take about a quarter of an hour.
 *
 * The load comes from the program that ZKLOAD names (`load-program.ts`). A single connection is one to a follower; others go to all
 * three in turns.
 */
import { atMost, GoalTable, partOfTheirs, timesTheirs } from './goal-table.ts';
import { type LoadOptions, runLoad } from './load-program.ts';
import { MeasuredEnsemble } from './measured-ensemble.ts';
import { makes } from './servers.ts';

const MANY = { connections: 50, window: 20 };
const TIMES: LoadOptions = { seconds: 2, warmup: 0.5 };

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Ensembles of all makes, which run side by side: who is not measured does next to nothing. */
async function withEnsembles(
  tickTimeMs: number,
  work: (ensembles: readonly MeasuredEnsemble[]) => Promise<void>,
): Promise<void> {
  const ensembles: MeasuredEnsemble[] = [];
  try {
    for (const make of makes()) ensembles.push(await MeasuredEnsemble.start(make, { tickTimeMs }));
    await work(ensembles);
  } finally {
    for (const ensemble of ensembles) await ensemble[Symbol.asyncDispose]();
  }
}

async function throughput(ensemble: MeasuredEnsemble, table: GoalTable): Promise<void> {
  const { make } = ensemble;
  const target = await ensemble.target();
  for (const { op, factor } of [
    { op: 'set', factor: 2.5 },
    { op: 'get', factor: 4 },
  ]) {
    const report = await runLoad(target, { op, ...MANY, ...TIMES });
    const name = `three servers: ${op}, 50 x 20`;
    table.add(make, report.ops_per_cpu_s, { name, unit: 'a CPU second of all three', ...timesTheirs(factor) });
    table.add(make, report.ops_per_s, { name: `${name}: rate`, unit: 'a second', ...timesTheirs(1) });
  }
  for (const { window, factor } of [
    { window: 1, factor: 1.4 },
    { window: 100, factor: 4 },
  ]) {
    const report = await runLoad(target, { op: 'set', connections: 1, window, ...TIMES });
    const name = `three servers: set, 1 x ${window}`;
    table.add(make, report.ops_per_s, { name, unit: 'a second', ...timesTheirs(factor) });
  }
}

/** From the kill of the leader to the next write that anybody is told of: three sessions, one on each server at first. */
async function failover(ensemble: MeasuredEnsemble, tickTimeMs: number, table: GoalTable): Promise<void> {
  const leader = await ensemble.leader();
  const load = runLoad(await ensemble.target(), {
    ...{ op: 'set', connections: 3, nodes: 10, 'no-prefill': true, reconnect: true },
    ...{ seconds: 4, warmup: 0.5 },
  });
  await pause(2000);
  await leader.kill();
  const name = `leader killed, to the next write (tickTime ${tickTimeMs})`;
  table.add(ensemble.make, (await load).max_gap_ms, { name, unit: 'ms', ...atMost(350) });
  leader.start();
  await ensemble.untilServing();
  await pause(1000);
}

const BEHIND = 100_000;

async function behind(ensemble: MeasuredEnsemble, table: GoalTable): Promise<void> {
  const follower = await ensemble.follower();
  await follower.kill();
  await runLoad(ensemble.targetWithout(follower), { op: 'set', ...MANY, ops: BEHIND, warmup: 0 });
  const startedAt = performance.now();
  follower.start();
  await follower.untilServing();
  const name = `a follower ${BEHIND.toLocaleString('en')} transactions behind: start to serving`;
  table.add(ensemble.make, performance.now() - startedAt, { name, unit: 'ms', ...partOfTheirs(1) });
}

async function memory(ensemble: MeasuredEnsemble, when: string, table: GoalTable): Promise<void> {
  const name = `three servers, ${when}: resident memory of each`;
  table.add(ensemble.make, await ensemble.residentMb(), { name, unit: 'MB', ...partOfTheirs(1) });
}

/** Java compiles while it runs: it gets as much time as it needs for that, and so do we. */
async function warmUp(ensemble: MeasuredEnsemble): Promise<void> {
  for (const op of ['get', 'set']) await runLoad(await ensemble.target(), { op, ...MANY, seconds: 6 });
}

/** Runs a measurement of each ensemble, in turns, and prints what came out. */
async function inTurns(
  rounds: number,
  ensembles: readonly MeasuredEnsemble[],
  table: GoalTable,
  measure: (ensemble: MeasuredEnsemble) => Promise<void>,
): Promise<void> {
  for (let round = 0; round < rounds; round++) for (const ensemble of ensembles) await measure(ensemble);
  table.printRows();
}

/** Measures everything, and prints the table. */
export async function ensembles(rounds: number): Promise<void> {
  const table = new GoalTable();
  table.printHead();
  await withEnsembles(2000, async (each) => {
    await inTurns(1, each, table, (ensemble) => memory(ensemble, 'just started', table));
    for (const ensemble of each) await warmUp(ensemble);
    await inTurns(rounds, each, table, (ensemble) => throughput(ensemble, table));
    await inTurns(1, each, table, (ensemble) => memory(ensemble, 'after the load', table));
    await inTurns(Math.min(rounds, 3), each, table, (ensemble) => behind(ensemble, table));
  });
  for (const tickTimeMs of [2000, 200]) {
    await withEnsembles(tickTimeMs, async (each) => {
      for (const ensemble of each) {
        await runLoad(await ensemble.target(), { op: 'set', connections: 6, window: 10, nodes: 10, seconds: 5 });
      }
      await inTurns(rounds, each, table, (ensemble) => failover(ensemble, tickTimeMs, table));
    });
  }
}
