/** Locks and semaphores on a server of ours: exclusion over lost sessions and connections, and a thousand who wait. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ClientClosedError, type CuratorFramework, connect, ExponentialBackoffRetry } from 'zookeeper-client-ts';
import {
  AcquireTimeoutError,
  attemptRevoke,
  InterProcessMultiLock,
  InterProcessMutex,
  InterProcessReadWriteLock,
  InterProcessSemaphoreV2,
  type Ownership,
} from 'zookeeper-recipes-ts';
import { TestingServer } from 'zookeeper-server-ts/testing';

let server: TestingServer;
const clients: CuratorFramework[] = [];

beforeEach(async () => {
  server = await TestingServer.start();
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await server.close();
});

async function newClient(): Promise<CuratorFramework> {
  const client = await connect(server.connectString, {
    sessionTimeoutMs: 10_000,
    retry: new ExponentialBackoffRetry(10, 10, 100),
  });
  clients.push(client);
  return client;
}

const newClients = (count: number) => Promise.all(Array.from({ length: count }, newClient));

/** A store that refuses lower tokens than it has seen, and notes who was inside at the same time. */
class Guarded {
  inside = 0;
  most = 0;
  uses = 0;
  highest = 0n;

  async use(held: Ownership): Promise<void> {
    expect(held.token).toBeGreaterThanOrEqual(this.highest);
    this.highest = held.token;
    this.inside++;
    this.most = Math.max(this.most, this.inside);
    await new Promise((resolve) => setImmediate(resolve));
    this.inside--;
    this.uses++;
  }
}

describe('InterProcessMutex', () => {
  it('lets one in at a time, with rising tokens, and leaves nothing behind', async () => {
    const store = new Guarded();
    const all = await newClients(4);
    await Promise.all(
      all.map(async (client) => {
        const mutex = new InterProcessMutex(client, '/lock');
        for (let round = 0; round < 10; round++) await mutex.using((held) => store.use(held));
      }),
    );
    expect([store.most, store.uses]).toEqual([1, 40]);
    expect(await all[0]?.getChildren('/lock')).toEqual([]);
  });

  it('goes to the next one when the session of its holder expires, whose signal says so', async () => {
    const [a, b] = (await newClients(2)) as [CuratorFramework, CuratorFramework];
    const first = await new InterProcessMutex(a, '/lock').acquire();
    const acquiring = new InterProcessMutex(b, '/lock').acquire();
    await server.expireSession(a.sessionId);
    const second = await acquiring;
    await expect.poll(() => first.signal.aborted).toBe(true);
    expect(second.token).toBeGreaterThan(first.token);
    // A znode that is gone is as good as deleted.
    await first.release();
    expect(second.isHeld()).toBe(true);
  });

  it('a waiter keeps its place when all connections break', async () => {
    const [a, b, c] = (await newClients(3)) as [CuratorFramework, CuratorFramework, CuratorFramework];
    const first = await new InterProcessMutex(a, '/lock').acquire();
    const order: string[] = [];
    const waiting = new InterProcessMutex(b, '/lock').acquire().then((held) => {
      order.push('b');
      return held;
    });
    await expect.poll(() => a.getChildren('/lock')).toHaveLength(2);
    server.dropConnections();
    await expect.poll(() => first.signal.aborted).toBe(true);
    const last = new InterProcessMutex(c, '/lock').acquire().then((held) => {
      order.push('c');
      return held;
    });
    await expect.poll(() => c.getChildren('/lock')).toHaveLength(3);
    await first.release();
    await (await waiting).release();
    await last;
    expect(order).toEqual(['b', 'c']);
  });

  it('given up after its time, it leaves nothing behind', async () => {
    const client = await newClient();
    const mutex = new InterProcessMutex(client, '/lock');
    const held = await mutex.acquire();
    await expect(mutex.acquire({ timeoutMs: 50 })).rejects.toBeInstanceOf(AcquireTimeoutError);
    expect(await mutex.tryAcquire()).toBeUndefined();
    expect(await mutex.getParticipantNodes()).toEqual([held.path]);
  });

  it('its holder is asked to give it up, and does', async () => {
    const [a, b] = (await newClients(2)) as [CuratorFramework, CuratorFramework];
    const revocable = new InterProcessMutex(a, '/lock');
    revocable.on('revoke', (held) => void held.release());
    const first = await revocable.acquire();
    const acquiring = new InterProcessMutex(b, '/lock').acquire();
    await attemptRevoke(b, first.path);
    expect((await acquiring).isHeld()).toBe(true);
    expect(first.signal.reason).toMatchObject({ reason: 'RELEASED' });
  });

  it('without contention, the line that is asked for together with joining it is all it has to read', async () => {
    const client = await newClient();
    const mutex = new InterProcessMutex(client, '/lock');
    // The first one also makes the path.
    await mutex.using(() => undefined);
    const lists = vi.spyOn(client, 'getChildren');
    const reads = vi.spyOn(client, 'getData');
    const held = await mutex.acquire();
    // The read is that of the watch, which nobody waits for.
    expect([lists.mock.calls.length, reads.mock.calls.length]).toEqual([1, 1]);
    await held.release();
  });

  it('a thousand wait: a release wakes exactly one, and costs the same however many they are', async () => {
    const WAITERS = 1_000;
    const all = await newClients(4);
    const grants: Ownership[] = [];
    const ended: unknown[] = [];
    const mutexes = all.map((client) => new InterProcessMutex(client, '/lock'));
    const first = await mutexes[0]?.acquire();
    for (let waiters = 0; waiters < WAITERS; waiters += 50) {
      const joining = Array.from({ length: 50 }, (_, index) => mutexes[index % 4]?.acquire());
      for (const each of joining) void each?.then((held) => grants.push(held)).catch((error) => ended.push(error));
      await expect.poll(() => mutexes[0]?.getParticipantNodes(), { interval: 5 }).toHaveLength(waiters + 51);
    }
    // All have joined, and watch the one before them.
    await Promise.all(all.map((client) => client.sync('/lock')));
    const lists = all.map((client) => vi.spyOn(client, 'getChildren'));
    const reads = all.map((client) => vi.spyOn(client, 'getData'));
    const calls = () => [...lists, ...reads].reduce((sum, { mock }) => sum + mock.calls.length, 0);

    const costs: number[] = [];
    for (let handOver = 0; handOver < 20; handOver++) {
      const before = calls();
      await (handOver === 0 ? first : grants.at(-1))?.release();
      await expect.poll(() => grants.length, { interval: 1 }).toBe(handOver + 1);
      await new Promise((resolve) => setImmediate(resolve));
      costs.push(calls() - before);
    }
    expect(grants).toHaveLength(20);
    // One reads the line, and its own znode.
    expect(Math.max(...costs)).toBeLessThanOrEqual(2);

    await Promise.all(all.map((client) => client.close()));
    await expect.poll(() => ended.length).toBe(WAITERS - grants.length);
    expect(ended.every((error) => error instanceof ClientClosedError)).toBe(true);
  });
});

describe('InterProcessReadWriteLock', () => {
  it('lets readers in together and writers alone, whatever they do', async () => {
    const all = await newClients(4);
    let reading = 0;
    let writing = 0;
    let mostReading = 0;
    const check = () => {
      expect(writing).toBeLessThanOrEqual(1);
      if (writing === 1) expect(reading).toBe(0);
      mostReading = Math.max(mostReading, reading);
    };
    const pause = () => new Promise((resolve) => setTimeout(resolve, 5));
    await Promise.all(
      all.map(async (client, index) => {
        const lock = new InterProcessReadWriteLock(client, '/catalog');
        for (let round = 0; round < 6; round++) {
          if ((index + round) % 3 === 0) {
            await lock.writeLock.using(async () => {
              writing++;
              check();
              await pause();
              writing--;
            });
          } else {
            await lock.readLock.using(async () => {
              reading++;
              check();
              await pause();
              reading--;
            });
          }
        }
      }),
    );
    expect(mostReading).toBeGreaterThan(1);
    expect(await all[0]?.getChildren('/catalog')).toEqual([]);
  });

  it('a writer becomes a reader, and the writer behind it stays out (CURATOR-621)', async () => {
    const [a, b] = (await newClients(2)) as [CuratorFramework, CuratorFramework];
    const lock = new InterProcessReadWriteLock(a, '/catalog');
    const writing = await lock.writeLock.acquire();
    let isWriting = false;
    const acquiring = new InterProcessReadWriteLock(b, '/catalog').writeLock.acquire().then((held) => {
      isWriting = true;
      return held;
    });
    await expect.poll(() => a.getChildren('/catalog')).toHaveLength(2);
    const reading = await lock.readLock.acquire({ owner: writing });
    await writing.release();
    await b.sync('/catalog');
    expect(await new InterProcessReadWriteLock(b, '/catalog').writeLock.tryAcquire()).toBeUndefined();
    expect([isWriting, reading.isHeld()]).toEqual([false, true]);
    await reading.release();
    expect((await acquiring).isHeld()).toBe(true);
  });
});

describe('InterProcessSemaphoreV2', () => {
  it('never has more leases than its limit, and all that can be', async () => {
    const all = await newClients(3);
    let leases = 0;
    let most = 0;
    const use = async (quantity: number) => {
      leases += quantity;
      most = Math.max(most, leases);
      await new Promise((resolve) => setTimeout(resolve, 5));
      leases -= quantity;
    };
    await Promise.all(
      all.map(async (client, index) => {
        const semaphore = new InterProcessSemaphoreV2(client, '/limit', 3);
        for (let round = 0; round < 4; round++) {
          const quantity = ((index + round) % 3) + 1;
          await using _held = await semaphore.acquireMany(quantity);
          await use(quantity);
        }
      }),
    );
    expect(most).toBeLessThanOrEqual(3);
    expect(await all[0]?.getChildren('/limit/leases')).toEqual([]);
    expect(await all[0]?.getChildren('/limit/locks')).toEqual([]);
  });

  it('the leases of a session that expires are free again', async () => {
    const [a, b] = (await newClients(2)) as [CuratorFramework, CuratorFramework];
    const two = await new InterProcessSemaphoreV2(a, '/limit', 2).acquireMany(2);
    const acquiring = new InterProcessSemaphoreV2(b, '/limit', 2).acquire();
    await expect.poll(() => b.getChildren('/limit/leases')).toHaveLength(3);
    await server.expireSession(a.sessionId);
    expect((await acquiring).isHeld()).toBe(true);
    await expect.poll(() => two.isHeld()).toBe(false);
  });
});

describe('InterProcessMultiLock', () => {
  it('holds all, or gives back what it had', async () => {
    const [a, b] = (await newClients(2)) as [CuratorFramework, CuratorFramework];
    const blocked = await new InterProcessMutex(b, '/locks/to').acquire();
    const both = new InterProcessMultiLock(a, ['/locks/from', '/locks/to']);
    await expect(both.acquire({ timeoutMs: 50 })).rejects.toBeInstanceOf(AcquireTimeoutError);
    expect(await a.getChildren('/locks/from')).toEqual([]);
    await blocked.release();
    await using held = await both.acquire();
    expect(held.isHeld()).toBe(true);
  });
});
