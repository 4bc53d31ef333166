import { describe, expect, it } from 'vitest';
import { CuratorFramework, ExponentialBackoffRetry } from 'zookeeper-client-ts';
import { LeaderLatch } from 'zookeeper-recipes-ts';
import type { Process } from '../simulator/process.ts';
import { startServer } from '../simulator/start-server.ts';
import { World } from '../simulator/world.ts';

const TICK_MS = 1000;
const SESSION_TIMEOUT_MS = 6000;
const DELAY_MS = 1;
const WRITE_MS = 0.1;
const SYNC_MS = 2;
const WORK_EVERY_MS = 70;
const FROZEN_AT_MS = 20_000;
const THAWED_AT_MS = 40_000;

interface Worker {
  readonly process: Process;
  readonly latch: LeaderLatch;
  /** When its latch told that it leads, and that it does no more. */
  readonly leads: number[];
  readonly leadsNoMore: number[];
  /** When user's code found the signal not aborted and did a piece of work. */
  readonly works: number[];
  /** When user's code found the signal aborted. */
  readonly stops: number[];
}

/** A program with a latch: works at a steady pace while the signal lets it. */
const startWorker = (world: World, name: string): Worker => {
  const process = world.spawn(name, { usesPromises: true });
  const client = CuratorFramework.builder()
    .connectString('s1:2181')
    .sessionTimeoutMs(SESSION_TIMEOUT_MS)
    .connectionTimeoutMs(5000)
    .retryPolicy(new ExponentialBackoffRetry(100, 3))
    .ports(process.clientPorts)
    .build();
  const latch = new LeaderLatch(client, '/master', { id: name });
  const worker: Worker = { process, latch, leads: [], leadsNoMore: [], works: [], stops: [] };
  latch.on('notLeader', () => worker.leadsNoMore.push(world.nowMs));
  latch.on('leader', async ({ signal }) => {
    worker.leads.push(world.nowMs);
    for (;;) {
      if (signal.aborted) break;
      worker.works.push(world.nowMs);
      await new Promise<void>((resolve) => process.clock.after(WORK_EVERY_MS, resolve));
    }
    worker.stops.push(world.nowMs);
  });
  void process.act(() => {
    client.start();
    latch.start();
  });
  return worker;
};

/** The leader of three is frozen for 20 s, more than three times its session timeout. */
const freezeTheLeader = async (seed: number) => {
  const world = new World({
    seed,
    trace: true,
    network: { delayMs: [DELAY_MS, DELAY_MS], chop: 'whole' },
    disk: { writeMs: [WRITE_MS, WRITE_MS], syncMs: [SYNC_MS, SYNC_MS] },
  });
  // The server's clock shows the world's time: session deadlines are whole ticks of it.
  const s1 = world.spawn('s1', { clock: { originMs: 0 } });
  startServer(s1, { zooCfg: [`tickTime=${TICK_MS}`] });
  await world.runFor(100);
  const workers: Worker[] = [];
  for (const name of ['c1', 'c2', 'c3']) {
    workers.push(startWorker(world, name));
    await world.runFor(1000); // so they stand in line in this order
  }
  const [first, second, third] = workers as [Worker, Worker, Worker];
  world.at(FROZEN_AT_MS, () => world.freeze(first.process));
  world.at(THAWED_AT_MS, () => world.thaw(first.process));
  await world.runFor(50_000 - world.nowMs);
  return { world, first, second, third };
};

/** When the server read the last bytes of a client's first connection, ms. */
const lastHeardOf = (world: World, client: string): number => {
  const line = world.trace.lines.findLast((each) => each.includes(` s1 bytes ${client}#0>s1:2181 `));
  if (line === undefined) throw new Error(`the server has never heard of ${client}`);
  return Number.parseFloat(line) * 1000;
};

describe('a leader that is frozen past its session timeout', () => {
  it('is followed by the next in line at the time that follows from its last ping', async () => {
    const { world, first, second, third } = await freezeTheLeader(1);
    const lastHeard = lastHeardOf(world, 'c1');
    expect(lastHeard).toBeLessThanOrEqual(FROZEN_AT_MS + DELAY_MS);
    expect(lastHeard).toBeGreaterThan(FROZEN_AT_MS - SESSION_TIMEOUT_MS);

    // The session expires at the first whole tick past its timeout; its end is written and synced; the watcher is told. Nobody
    // else stood in front of it and its own znode is watched, so it asks nothing more.
    const expired = (Math.floor((lastHeard + SESSION_TIMEOUT_MS) / TICK_MS) + 1) * TICK_MS;
    const leads = expired + WRITE_MS + SYNC_MS + DELAY_MS;

    expect(first.leads).toHaveLength(1);
    expect(second.leads).toEqual([leads]);
    expect(third.leads).toEqual([]);
  });

  it('runs no more of the code that checks its signal, and learns of the loss when it thaws', async () => {
    const { first, second } = await freezeTheLeader(2);
    expect(first.works.length).toBeGreaterThan(100);
    expect(Math.max(...first.works)).toBeLessThan(FROZEN_AT_MS);
    expect(first.stops).toEqual([THAWED_AT_MS]);
    expect(first.leadsNoMore).toEqual([THAWED_AT_MS]);
    expect(Math.min(...second.works)).toBeGreaterThan(Math.max(...first.works));
  });

  it('never works at the same time as its successor, in whatever order it learns of things', async () => {
    for (let seed = 10; seed < 20; seed++) {
      const { first, second, third } = await freezeTheLeader(seed);
      const works = [first, second, third].flatMap(({ works: times }, who) => times.map((at) => ({ at, who })));
      works.sort((a, b) => a.at - b.at);
      expect(works.map(({ who }) => who).filter((who, i, all) => who !== all[i - 1])).toEqual([0, 1]);
    }
  });

  it('gives the same trace for the same seed, and another for another', async () => {
    const [once, again, other] = [await freezeTheLeader(3), await freezeTheLeader(3), await freezeTheLeader(4)];
    expect(again.world.trace.hash).toBe(once.world.trace.hash);
    expect(other.world.trace.hash).not.toBe(once.world.trace.hash);
  });
});
