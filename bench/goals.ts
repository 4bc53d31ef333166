/**
 * The server's goals in one table: every figure that there is a goal for, ours and Apache ZooKeeper's in turns, medians, and
 * whether the goal is met. Five rounds take about ten minutes.
 *
 * The load comes from the program that ZKLOAD names (`load-program.ts`).
 */
import { atLeast, atMost, GoalTable, partOfTheirs, timesTheirs } from './goal-table.ts';
import { type LoadOptions, runLoad } from './load-program.ts';
import { type Make, MeasuredServer, makes } from './servers.ts';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function emptyServer(make: Make, table: GoalTable): Promise<void> {
  await using server = await MeasuredServer.start(make);
  const { residentMb } = await server.usage();
  table.add(make, server.startUpMs, { name: 'empty server: start to the first reply', unit: 'ms', ...atMost(300) });
  table.add(make, residentMb, { name: 'empty server: resident memory', unit: 'MB', ...atMost(60) });
}

const SINGLE = { connections: 1, window: 1 };
const PIPELINED = { connections: 1, window: 100 };
const MANY = { connections: 50, window: 20 };

const operationsPerSecond: readonly { op: string; shape: LoadOptions; goal: number }[] = [
  { op: 'get', shape: SINGLE, goal: 1.5 },
  { op: 'set', shape: SINGLE, goal: 1.2 },
  { op: 'get', shape: PIPELINED, goal: 8 },
  { op: 'set', shape: PIPELINED, goal: 4 },
  { op: 'create', shape: PIPELINED, goal: 3 },
];
const operationsPerCpuSecond: readonly { op: string; goal: number; p99?: number }[] = [
  { op: 'get', goal: 4, p99: 1 / 3 },
  { op: 'set', goal: 2, p99: 1 / 2 },
  { op: 'create', goal: 2 },
];
const TIMES: LoadOptions = { seconds: 2, warmup: 0.5 };

async function throughput(server: MeasuredServer, table: GoalTable): Promise<void> {
  for (const { op, shape, goal } of operationsPerSecond) {
    const report = await runLoad(server, { op, ...shape, ...TIMES });
    const name = `${op}, ${shape.connections} x ${shape.window}`;
    table.add(server.make, report.ops_per_s, { name, unit: 'a second', ...timesTheirs(goal) });
  }
  for (const { op, goal, p99 } of operationsPerCpuSecond) {
    const report = await runLoad(server, { op, ...MANY, ...TIMES });
    const name = `${op}, 50 x 20`;
    table.add(server.make, report.ops_per_cpu_s, { name, unit: 'a CPU second', ...timesTheirs(goal) });
    if (p99 === undefined) continue;
    const p99Ms = (report.latency_us[op]?.p99 ?? Number.NaN) / 1000;
    table.add(server.make, p99Ms, { name: `${name}: p99`, unit: 'ms', ...partOfTheirs(p99) });
  }
}

/** Java compiles while it runs: it gets as much time as it needs for that, and so do we. */
async function warmUp(server: MeasuredServer): Promise<void> {
  for (const op of ['get', 'set', 'create']) await runLoad(server, { op, ...MANY, seconds: 4 });
}

const SESSIONS = 10_000;

async function sessions(make: Make, table: GoalTable): Promise<void> {
  await using server = await MeasuredServer.start(make);
  const load = runLoad(server, { op: 'connect', connections: SESSIONS, window: 100, seconds: 5 });
  while (((await server.connectionCount()) ?? 0) < SESSIONS) await pause(200);
  await pause(2500);
  const { residentMb } = await server.usage();
  const { ops_per_s, latency_us } = await load;
  table.add(make, residentMb, { name: '10,000 idle sessions: resident memory', unit: 'MB', ...atMost(120) });
  table.add(make, ops_per_s, { name: 'sessions made, 100 at a time', unit: 'a second', ...atLeast(6000) });
  const longest = (latency_us.connect?.max ?? Number.NaN) / 1000;
  table.add(make, longest, { name: 'the longest handshake among them', unit: 'ms', ...partOfTheirs(1) });
}

async function watchers(make: Make, table: GoalTable): Promise<void> {
  await using server = await MeasuredServer.start(make);
  const { latency_us } = await runLoad(server, { op: 'watch-fanout', connections: SESSIONS, window: 100, ops: 5 });
  const last = (latency_us['last-notify']?.p50 ?? Number.NaN) / 1000;
  table.add(make, last, { name: '10,000 watchers: set to the last event', unit: 'ms', ...partOfTheirs(1) });
}

const MILLION: LoadOptions = { nodes: 1_000_000, fanout: 1000 };

async function million(make: Make, rounds: number, table: GoalTable): Promise<void> {
  let server = await MeasuredServer.start(make);
  await runLoad(server, { ...MILLION, window: 1000, 'prefill-only': true });
  await pause(5000);
  const resident = { name: '1,000,000 znodes: resident after they were made', unit: 'MB', ...atMost(450) };
  table.add(make, (await server.usage()).residentMb, resident);
  for (let round = 0; round < rounds; round++) {
    // Half of it writes: snapshots are taken meanwhile.
    const load = { ...MILLION, 'no-prefill': true, op: 'mixed:0.5', ...MANY, seconds: 4 } as const;
    const { max_gap_ms } = await runLoad(server, load);
    table.add(make, max_gap_ms, { name: 'the same under load: longest pause', unit: 'ms', ...partOfTheirs(1) });
  }
  for (let round = 0; round < rounds; round++) {
    server = await server.restart();
    table.add(make, server.startUpMs, { name: 'the same: killed, until it serves', unit: 'ms', ...atMost(4000) });
    const after = { name: 'the same: resident after that', unit: 'MB', ...atMost(450) };
    table.add(make, (await server.usage()).residentMb, after);
  }
  await server[Symbol.asyncDispose]();
}

/** Measures everything, and prints the table. */
export async function goals(rounds: number): Promise<void> {
  const table = new GoalTable();
  table.printHead();
  for (const measure of [emptyServer, sessions, watchers]) {
    for (let round = 0; round < rounds; round++) for (const make of makes()) await measure(make, table);
    table.printRows();
  }
  const servers = await Promise.all(makes().map((make) => MeasuredServer.start(make)));
  for (const server of servers) await warmUp(server);
  for (let round = 0; round < rounds; round++) for (const server of servers) await throughput(server, table);
  for (const server of servers) await server[Symbol.asyncDispose]();
  table.printRows();
  for (const make of makes()) await million(make, rounds, table);
  table.printRows();
}
