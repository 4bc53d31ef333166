/** Barriers on a server of ours, over connections that break and sessions that end. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ClientClosedError,
  type CuratorFramework,
  connect,
  InvalidArgumentError,
  NoWatcherError,
  RetryNTimes,
} from 'zookeeper-client-ts';
import {
  AcquireTimeoutError,
  DistributedBarrier,
  DistributedDoubleBarrier,
  type Ownership,
  RecipeStateError,
} from 'zookeeper-recipes-ts';
import { TestingServer } from 'zookeeper-server-ts/testing';
import { CuttingPorts } from './cutting-ports.fixture.ts';
import { holdUp } from './held-up-client.fixture.ts';

const PATH = '/barriers/b';
const READY = `${PATH}/ready`;

let server: TestingServer;
const clients: CuratorFramework[] = [];

beforeEach(async () => {
  server = await TestingServer.start();
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await server.close();
});

async function newClient(ports = new CuttingPorts()): Promise<CuratorFramework> {
  const client = await connect(server.connectString, {
    sessionTimeoutMs: 40_000,
    retry: new RetryNTimes(100, 5),
    ports,
  });
  clients.push(client);
  return client;
}

const newClients = (count: number) => Promise.all(Array.from({ length: count }, () => newClient()));

/** What a promise has come to so far. */
function follow<T>(promise: Promise<T>): { isSettled: boolean; readonly result: Promise<T> } {
  const following = { isSettled: false, result: promise };
  const settle = () => {
    following.isSettled = true;
  };
  promise.then(settle, settle);
  return following;
}

/** Everything that was asked for has been answered, and what it caused has been told: far more requests than entering takes. */
async function settle(all: readonly CuratorFramework[]): Promise<void> {
  for (let round = 0; round < 30; round++) await Promise.all(all.map((client) => client.sync('/')));
}

const membersIn = async (client: CuratorFramework): Promise<string[]> =>
  (await client.checkExists(PATH)) === undefined
    ? []
    : (await client.getChildren(PATH)).filter((name) => name !== 'ready');

describe('DistributedBarrier', () => {
  it('holds up who waits until it is removed, and nobody when there is none', async () => {
    const [a, b] = (await newClients(2)) as [CuratorFramework, CuratorFramework];
    const barrier = new DistributedBarrier(a, PATH);
    await barrier.waitOnBarrier({ timeoutMs: 0 });
    await barrier.setBarrier();
    await barrier.setBarrier();
    const waiting = follow(new DistributedBarrier(b, PATH).waitOnBarrier());
    await settle([a, b]);
    expect(waiting.isSettled).toBe(false);
    await barrier.removeBarrier();
    await waiting.result;
    await barrier.removeBarrier();
  });

  it('is not opened by an event of the connection or of the znode, and not passed when the time is up', async () => {
    const [a, b] = (await newClients(2)) as [CuratorFramework, CuratorFramework];
    const barrier = new DistributedBarrier(a, PATH);
    await barrier.setBarrier();
    const waiting = follow(barrier.waitOnBarrier());
    await settle([a, b]);
    await b.setData(PATH, 'something else');
    server.dropConnections();
    await server.restart();
    await settle([a, b]);
    await server.expireSession(a.sessionId);
    await settle([a, b]);
    expect(waiting.isSettled).toBe(false);
    await expect(barrier.waitOnBarrier({ timeoutMs: 50 })).rejects.toBeInstanceOf(AcquireTimeoutError);
    await expect(barrier.waitOnBarrier({ timeoutMs: 0 })).rejects.toBeInstanceOf(AcquireTimeoutError);
    await b.delete(PATH);
    await waiting.result;
  });

  it('who waits is told when the client is closed, or its signal fires', async () => {
    const [a] = (await newClients(1)) as [CuratorFramework];
    const barrier = new DistributedBarrier(a, PATH);
    await barrier.setBarrier();
    const stop = new AbortController();
    const aborted = expect(barrier.waitOnBarrier({ signal: stop.signal })).rejects.toBe('enough');
    const closed = expect(barrier.waitOnBarrier()).rejects.toBeInstanceOf(ClientClosedError);
    await settle([a]);
    stop.abort('enough');
    await aborted;
    await a.close();
    await closed;
  });
});

describe('a wait that was given up', () => {
  it('leaves no watch behind', async () => {
    const [a] = (await newClients(1)) as [CuratorFramework];
    const barrier = new DistributedBarrier(a, '/gate');
    await barrier.setBarrier();
    await expect(barrier.waitOnBarrier({ timeoutMs: 1_000 })).rejects.toBeInstanceOf(AcquireTimeoutError);
    await expect(a.removeWatches('/gate')).rejects.toBeInstanceOf(NoWatcherError);
    const room = new DistributedDoubleBarrier(a, PATH, 2);
    await expect(room.enter({ timeoutMs: 1_000 })).rejects.toBeInstanceOf(AcquireTimeoutError);
    await expect(a.removeWatches(READY)).rejects.toBeInstanceOf(NoWatcherError);
  });
});

describe('DistributedDoubleBarrier', () => {
  it('all enter together and leave together, several times on one path', async () => {
    const all = await newClients(3);
    const barriers = all.map((client) => new DistributedDoubleBarrier(client, PATH, 3));
    for (let round = 0; round < 3; round++) {
      const entering = barriers.slice(1).map((barrier) => follow(barrier.enter()));
      await settle(all);
      expect(entering.map(({ isSettled }) => isSettled)).toEqual([false, false]);
      const [first] = await Promise.all([barriers[0]?.enter(), ...entering.map(({ result }) => result)]);
      expect(first?.isHeld()).toBe(true);
      const leaving = barriers.slice(1).map((barrier) => follow(barrier.leave()));
      await settle(all);
      expect(leaving.map(({ isSettled }) => isSettled)).toEqual([false, false]);
      await Promise.all([barriers[0]?.leave(), ...leaving.map(({ result }) => result)]);
      expect(first?.signal.reason).toMatchObject({ reason: 'RELEASED' });
      expect(await all[0]?.checkExists(READY)).toBeUndefined();
    }
  });

  it('more may enter than it takes, also late, and all have to leave', async () => {
    const all = (await newClients(4)) as [CuratorFramework, CuratorFramework, CuratorFramework, CuratorFramework];
    const barriers = all.map((client) => new DistributedDoubleBarrier(client, PATH, 2));
    await Promise.all(barriers.slice(0, 3).map((barrier) => barrier.enter()));
    await barriers[3]?.enter();
    const leaving = barriers.slice(0, 3).map((barrier) => follow(barrier.leave()));
    await settle(all);
    expect(leaving.map(({ isSettled }) => isSettled)).toEqual([false, false, false]);
    await barriers[3]?.leave();
    await Promise.all(leaving.map(({ result }) => result));
    expect(await membersIn(all[0])).toEqual([]);
  });

  it('events of the connection alone do not open it, neither the way in nor the way out (CURATOR-233, 536)', async () => {
    const [a, b] = (await newClients(2)) as [CuratorFramework, CuratorFramework];
    const first = new DistributedDoubleBarrier(a, PATH, 2);
    const entering = follow(first.enter());
    await expect.poll(() => membersIn(b)).toHaveLength(1);
    server.dropConnections();
    await settle([a, b]);
    await server.expireSession(a.sessionId);
    await settle([a, b]);
    expect(entering.isSettled).toBe(false);
    const second = new DistributedDoubleBarrier(b, PATH, 2);
    await Promise.all([second.enter(), entering.result]);
    const leaving = follow(first.leave());
    await settle([a, b]);
    server.dropConnections();
    await settle([a, b]);
    expect(leaving.isSettled).toBe(false);
    await second.leave();
    await leaving.result;
  });

  it('who gives up entering leaves no member behind, and is not counted (CURATOR-318)', async () => {
    const [a, b] = (await newClients(2)) as [CuratorFramework, CuratorFramework];
    const first = new DistributedDoubleBarrier(a, PATH, 2);
    await expect(first.enter({ timeoutMs: 1_000 })).rejects.toBeInstanceOf(AcquireTimeoutError);
    await expect(first.enter({ timeoutMs: 0 })).rejects.toBeInstanceOf(AcquireTimeoutError);
    const stop = new AbortController();
    const aborted = first.enter({ signal: stop.signal });
    stop.abort('enough');
    await expect(aborted).rejects.toBe('enough');
    expect(await membersIn(a)).toEqual([]);
    const second = new DistributedDoubleBarrier(b, PATH, 2);
    const entering = follow(second.enter());
    await settle([a, b]);
    expect(entering.isSettled).toBe(false);
    await Promise.all([first.enter(), entering.result]);
  });

  it('who gives up leaving can go on leaving (CURATOR-233, 536)', async () => {
    const [a, b] = (await newClients(2)) as [CuratorFramework, CuratorFramework];
    const barriers = [a, b].map((client) => new DistributedDoubleBarrier(client, PATH, 2));
    await Promise.all(barriers.map((barrier) => barrier.enter()));
    await expect(barriers[0]?.leave({ timeoutMs: 1_000 })).rejects.toBeInstanceOf(AcquireTimeoutError);
    await expect(barriers[0]?.leave({ timeoutMs: 0 })).rejects.toBeInstanceOf(AcquireTimeoutError);
    await Promise.all(barriers.map((barrier) => barrier.leave()));
    expect(await a.getChildren(PATH)).toEqual([]);
  });

  it('what a round left behind in which all crashed lets nobody in', async () => {
    const [a, b] = (await newClients(2)) as [CuratorFramework, CuratorFramework];
    await a.create(READY, { parents: true });
    const first = new DistributedDoubleBarrier(a, PATH, 2);
    const entering = follow(first.enter());
    await settle([a, b]);
    expect(entering.isSettled).toBe(false);
    const second = new DistributedDoubleBarrier(b, PATH, 2);
    await Promise.all([second.enter(), entering.result]);
    await Promise.all([first.leave(), second.leave()]);
    expect(await a.checkExists(READY)).toBeUndefined();
  });

  it('a slow one gets in by ready, when the quick ones are leaving already and too few members are left', async () => {
    const [a, b, c] = (await newClients(3)) as [CuratorFramework, CuratorFramework, CuratorFramework];
    const slow = new DistributedDoubleBarrier(a, PATH, 3);
    // It hears of nothing from its first look on.
    const getChildren = a.getChildren.bind(a);
    let goOn: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    Object.assign(a, {
      getChildren: async (...args: Parameters<typeof getChildren>) => {
        await held;
        return getChildren(...args);
      },
    });
    const entering = follow(slow.enter());
    await expect.poll(() => membersIn(b)).toHaveLength(1);
    const quick = [b, c].map((client) => new DistributedDoubleBarrier(client, PATH, 3));
    await Promise.all(quick.map((barrier) => barrier.enter()));
    const leaving = quick.map((barrier) => follow(barrier.leave()));
    // One of them stays, the lowest or the one who waits for it.
    await expect.poll(async () => (await membersIn(b)).length).toBeLessThan(3);
    goOn();
    await entering.result;
    expect(leaving.map(({ isSettled }) => isSettled)).toEqual([false, false]);
    await slow.leave();
    await Promise.all(leaving.map(({ result }) => result));
  });

  it('who comes late just when the last one leaves is waited for', async () => {
    const [a, b] = (await newClients(2)) as [CuratorFramework, CuratorFramework];
    const last = new DistributedDoubleBarrier(a, PATH, 1);
    await last.enter();
    const late = new DistributedDoubleBarrier(b, PATH, 1);
    const transaction = a.transaction.bind(a);
    let isFirst = true;
    Object.assign(a, {
      transaction: async (...args: Parameters<typeof transaction>) => {
        // It has seen that nobody else is in.
        if (isFirst) await late.enter();
        isFirst = false;
        return transaction(...args);
      },
    });
    const leaving = follow(last.leave());
    await expect.poll(() => isFirst).toBe(false);
    await settle([a, b]);
    expect(leaving.isSettled).toBe(false);
    await late.leave();
    await leaving.result;
  });

  it('who leaves waits for nobody who is waiting in the next round already', async () => {
    const [a, b] = (await newClients(2)) as [CuratorFramework, CuratorFramework];
    const pair = [a, b].map((client) => new DistributedDoubleBarrier(client, PATH, 2));
    await Promise.all(pair.map((barrier) => barrier.enter()));
    // The one whose name comes last sees the other, who has gone and come again before it is watched.
    const [first, second] = (await membersIn(a)).toSorted();
    const order = (await a.getData(`${PATH}/${first}`)).stat.ephemeralOwner === a.sessionId ? pair : pair.toReversed();
    const [quick, slow] = order as [DistributedDoubleBarrier, DistributedDoubleBarrier];
    const slowClient = quick === pair[0] ? b : a;
    const getData = slowClient.getData.bind(slowClient);
    let again: { isSettled: boolean; readonly result: Promise<unknown> } | undefined;
    Object.assign(slowClient, {
      getData: async (...args: Parameters<typeof getData>) => {
        if (again === undefined) {
          await quick.leave();
          again = follow(quick.enter());
          await expect.poll(() => membersIn(slowClient)).toEqual([first]);
        }
        return getData(...args);
      },
    });
    await slow.leave();
    expect(again?.isSettled).toBe(false);
    await Promise.all([slow.enter(), again?.result]);
    expect((await membersIn(a)).toSorted()).toEqual([first, second]);
  });

  it('a member that loses its session is told, and keeps nobody from leaving', async () => {
    const [a, b] = (await newClients(2)) as [CuratorFramework, CuratorFramework];
    const first = new DistributedDoubleBarrier(a, PATH, 2);
    const second = new DistributedDoubleBarrier(b, PATH, 2);
    const [inside] = await Promise.all([first.enter(), second.enter()]);
    await server.expireSession(a.sessionId);
    await second.leave();
    await expect.poll(() => inside.signal.aborted).toBe(true);
    await first.leave();
  });

  it('strangers are not counted, and reported once', async () => {
    const [a, b] = (await newClients(2)) as [CuratorFramework, CuratorFramework];
    await a.create(`${PATH}/somebody-else`, { parents: true });
    const errors: unknown[] = [];
    a.on('error', (error) => errors.push(error));
    const entering = follow(new DistributedDoubleBarrier(a, PATH, 2).enter());
    await settle([a, b]);
    expect(entering.isSettled).toBe(false);
    await Promise.all([new DistributedDoubleBarrier(b, PATH, 2).enter(), entering.result]);
    expect(errors).toMatchObject([{ code: 'UNKNOWN_CONTENDER', children: ['somebody-else'] }]);
  });

  it('wrong use is refused, and who waits is told when the client is closed', async () => {
    const [a] = (await newClients(1)) as [CuratorFramework];
    expect(() => new DistributedDoubleBarrier(a, PATH, 0)).toThrow(InvalidArgumentError);
    const barrier = new DistributedDoubleBarrier(a, PATH, 2);
    await expect(barrier.leave()).rejects.toBeInstanceOf(RecipeStateError);
    const entering = barrier.enter();
    await expect(barrier.enter()).rejects.toBeInstanceOf(RecipeStateError);
    const closed = expect(entering).rejects.toBeInstanceOf(ClientClosedError);
    await a.close();
    await closed;
  });
});

/** Park and Miller's generator. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 0x7fff_ffff;
    return state / 0x7fff_ffff;
  };
}

/** Everybody goes in and out together, round after round; what was seen that must not be. */
async function goRound(members: readonly DistributedDoubleBarrier[], rounds: number): Promise<string[]> {
  const impossible: string[] = [];
  const came = new Array<number>(rounds).fill(0);
  const leaving = new Array<number>(rounds).fill(0);
  await Promise.all(
    members.map(async (member) => {
      for (let round = 0; round < rounds; round++) {
        came[round] = (came[round] ?? 0) + 1;
        const inside: Ownership = await member.enter();
        if (came[round] !== members.length) impossible.push(`round ${round}: in when ${came[round]} had come`);
        leaving[round] = (leaving[round] ?? 0) + 1;
        await member.leave();
        if (leaving[round] !== members.length)
          impossible.push(`round ${round}: out when ${leaving[round]} were leaving`);
        if (inside.isHeld()) impossible.push(`round ${round}: still held`);
      }
    }),
  );
  return impossible;
}

describe('R-BARRIER: nobody is in before all have come, and nobody out before all are leaving', () => {
  it('however connections break', async () => {
    const random = randomFrom(4_711);
    const all = [new CuttingPorts(), new CuttingPorts(), new CuttingPorts()];
    const members = await Promise.all(
      all.map(async (ports) => new DistributedDoubleBarrier(await newClient(ports), PATH, all.length)),
    );
    for (const ports of all) ports.isCut = () => random() < 0.04;
    expect(await goRound(members, 4)).toEqual([]);
    for (const ports of all) ports.isCut = () => false;
    const [client] = clients;
    await expect.poll(() => client && membersIn(client)).toEqual([]);
    expect(all.reduce((sum, { cuts }) => sum + cuts, 0)).toBeGreaterThan(3);
  });

  it.each([1, 2, 3, 4])('wherever members are held up, seed %d', async (seed) => {
    const random = randomFrom(seed * 7_919);
    const all = await newClients(3);
    const members = all.map((client) => new DistributedDoubleBarrier(client, PATH, all.length));
    const pause = () =>
      random() < 0.5 ? undefined : new Promise<void>((resolve) => setTimeout(resolve, Math.floor(random() * 8)));
    for (const client of all) holdUp(client, pause);
    expect(await goRound(members, 5)).toEqual([]);
    expect(await all[0]?.getChildren(PATH)).toEqual([]);
  });
});
