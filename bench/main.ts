/**
 * `npm run bench [-- start-up|throughput|sessions|watchers|million|goals|ensemble|client|recipes|leaks …]`: the server's figures, beside
 * Apache ZooKeeper's in the same run where that is installed (Debian's package `libzookeeper-java`), those of three servers
 * (`ensembles.ts`), the client's, beside those of others (`client.ts`), and the recipes', beside Java Curator's (`recipes.ts`).
 * Quote the ratios: machines differ, and are shared.
 */
import { clients } from './client.ts';
import { ensembles } from './ensembles.ts';
import { goals } from './goals.ts';
import { leaks } from './leaks.ts';
import {
  createRequest,
  LoadConnection,
  type LoadOperation,
  prepare,
  runLoad,
  sendAll,
  setRequest,
  watchRequest,
} from './load.ts';
import { recipes } from './recipes.ts';
import { type Make, MeasuredServer, makes } from './servers.ts';

const ROUNDS = Number(process.env.ROUNDS ?? 5);

interface Figure {
  readonly name: string;
  readonly unit: string;
  /** Whether more is better. */
  readonly more: boolean;
}

/** One figure of each make, a value for each round. */
class Table {
  readonly #rows = new Map<string, { readonly figure: Figure; readonly values: Map<Make, number[]> }>();

  add(figure: Figure, make: Make, value: number): void {
    const row = this.#rows.get(figure.name) ?? { figure, values: new Map() };
    this.#rows.set(figure.name, row);
    row.values.set(make, [...(row.values.get(make) ?? []), value]);
  }

  print(): void {
    for (const { figure, values } of this.#rows.values()) {
      const ours = median(values.get('ours') ?? []);
      const theirs = median(values.get('Apache ZooKeeper') ?? []);
      const ratio = figure.more ? ours / theirs : theirs / ours;
      const beside = Number.isNaN(theirs)
        ? ''
        : `   Apache ZooKeeper ${format(theirs)}   ${ratio.toFixed(2)} times as good`;
      console.log(`${figure.name.padEnd(44)} ${format(ours)} ${figure.unit.padEnd(8)}${beside}`);
    }
    this.#rows.clear();
  }
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const format = (value: number): string =>
  value.toLocaleString('en', { maximumFractionDigits: value < 100 ? 2 : 0 }).padStart(10);

/** Runs a measurement in turns, so that a change of the machine's mood meets all makes. */
async function inTurns(rounds: number, measure: (make: Make, table: Table) => Promise<void>): Promise<void> {
  const table = new Table();
  for (let round = 0; round < rounds; round++) for (const make of makes()) await measure(make, table);
  table.print();
}

async function startUp(): Promise<void> {
  await inTurns(ROUNDS, async (make, table) => {
    await using server = await MeasuredServer.start(make);
    table.add({ name: 'empty server: start to the first reply', unit: 'ms', more: false }, make, server.startUpMs);
    table.add(
      { name: 'empty server: resident memory', unit: 'MB', more: false },
      make,
      (await server.usage()).residentMb,
    );
  });
}

const CASES: readonly [LoadOperation, number, number][] = [
  ['get', 1, 1],
  ['set', 1, 1],
  ['get', 1, 100],
  ['set', 1, 100],
  ['create', 1, 100],
  ['get', 50, 20],
  ['set', 50, 20],
  ['create', 50, 20],
];

async function throughput(): Promise<void> {
  const table = new Table();
  const servers = await Promise.all(makes().map((make) => MeasuredServer.start(make)));
  for (const { port } of servers) {
    await prepare(port);
    // Java compiles while it runs: it gets as much time as it needs for that, and so do we.
    for (const operation of ['get', 'set', 'create'] as const) {
      await runLoad({ port, operation, connections: 50, window: 20, seconds: 5, warmUpSeconds: 0 });
    }
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const [operation, connections, window] of CASES) {
      for (const server of servers) {
        const before = await server.usage();
        const load = await runLoad({
          port: server.port,
          operation,
          connections,
          window,
          seconds: 2,
          warmUpSeconds: 0.5,
        });
        const cpuSeconds = (await server.usage()).cpuSeconds - before.cpuSeconds;
        const name = `${operation}, ${connections} x ${window}`;
        table.add({ name, unit: 'ops/s', more: true }, server.make, load.operationsPerSecond);
        // The warm-up's work is in the CPU time as well.
        const perCpuSecond = (load.operationsPerSecond * 2.5) / cpuSeconds;
        table.add({ name: `${name}, a CPU second`, unit: 'ops', more: true }, server.make, perCpuSecond);
        table.add({ name: `${name}, p99`, unit: 'ms', more: false }, server.make, load.p99Ms);
        table.add({ name: `${name}, longest gap`, unit: 'ms', more: false }, server.make, load.gapMs);
      }
    }
  }
  for (const server of servers) await server[Symbol.asyncDispose]();
  table.print();
}

async function sessions(): Promise<void> {
  const count = 10_000;
  await inTurns(Math.min(ROUNDS, 3), async (make, table) => {
    await using server = await MeasuredServer.start(make);
    const startedAt = performance.now();
    const connections: LoadConnection[] = [];
    while (connections.length < count) {
      connections.push(...(await Promise.all(Array.from({ length: 100 }, () => LoadConnection.open(server.port)))));
    }
    const perSecond = count / ((performance.now() - startedAt) / 1000);
    table.add({ name: 'sessions made, 100 at a time', unit: 'a second', more: true }, make, perSecond);
    await new Promise((resolve) => setTimeout(resolve, 3000));
    table.add(
      { name: '10,000 idle sessions: resident memory', unit: 'MB', more: false },
      make,
      (await server.usage()).residentMb,
    );
    for (const connection of connections) connection.close();
  });
}

async function watchers(): Promise<void> {
  for (const count of [1000, 10_000]) {
    await inTurns(Math.min(ROUNDS, 3), async (make, table) => {
      await using server = await MeasuredServer.start(make);
      await prepare(server.port);
      const connections: LoadConnection[] = [];
      while (connections.length < count) {
        connections.push(...(await Promise.all(Array.from({ length: 100 }, () => LoadConnection.open(server.port)))));
      }
      for (let round = 0; round < 3; round++) {
        let told = 0;
        const allTold = new Promise<void>((resolve) => {
          for (const connection of connections) {
            connection.onEvent = () => {
              if (++told === count) resolve();
            };
          }
        });
        await Promise.all(connections.map((connection) => connection.sendAll([watchRequest('/bench')])));
        const startedAt = performance.now();
        await Promise.all([sendAll(server.port, [setRequest('/bench')]), allTold]);
        const name = `${count} watchers of one znode: set to the last event`;
        table.add({ name, unit: 'ms', more: false }, make, performance.now() - startedAt);
      }
      for (const connection of connections) connection.close();
    });
  }
}

async function million(): Promise<void> {
  await inTurns(1, async (make, table) => {
    await using server = await MeasuredServer.start(make);
    const requests = function* (): Generator<Buffer> {
      for (let i = 0; i < 1000; i++) {
        yield createRequest(`/d${i}`);
        for (let j = 0; j < 1000; j++) yield createRequest(`/d${i}/n${j}`);
      }
    };
    await sendAll(server.port, requests(), { window: 1000 });
    await new Promise((resolve) => setTimeout(resolve, 5000));
    const { residentMb } = await server.usage();
    table.add({ name: '1,000,000 znodes of 100 bytes: resident', unit: 'MB', more: false }, make, residentMb);
    await using again = await server.restart();
    const name = 'the same: killed, until it serves again';
    table.add({ name, unit: 'ms', more: false }, make, again.startUpMs);
    table.add({ name: 'resident after that', unit: 'MB', more: false }, make, (await again.usage()).residentMb);
  });
}

const measurements: Record<string, () => Promise<void>> = {
  'start-up': startUp,
  throughput,
  sessions,
  watchers,
  million,
  client: () => clients(ROUNDS),
  recipes: () => recipes(ROUNDS),
  goals: () => goals(ROUNDS),
  ensemble: () => ensembles(ROUNDS),
  leaks: async () => {
    if (!(await leaks())) process.exitCode = 1;
  },
};

const asked = process.argv.slice(2);
// Goals and ensembles are measured with another load, on demand.
const usual = Object.keys(measurements).filter((name) => name !== 'goals' && name !== 'ensemble');
for (const name of asked.length > 0 ? asked : usual) {
  const measurement = measurements[name];
  if (measurement === undefined) {
    console.error(`unknown: ${name}; there are ${Object.keys(measurements).join(', ')}`);
    process.exitCode = 2;
    break;
  }
  await measurement();
}
