/** Atomic values, counters and shared values on a server of ours, over connections that break between a request and its reply. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ConnectionLossError,
  type CuratorFramework,
  connect,
  InvalidArgumentError,
  NodeExistsError,
  RetryNTimes,
  type RetryPolicy,
} from 'zookeeper-client-ts';
import {
  CachedAtomicInteger,
  CachedAtomicLong,
  DeserializationError,
  DistributedAtomicInteger,
  DistributedAtomicLong,
  DistributedAtomicValue,
  IllegalTrySetVersionError,
  InterProcessMutex,
  InterProcessSemaphoreV2,
  json,
  RecipeStateError,
  SharedCount,
  SharedValue,
  string,
} from 'zookeeper-recipes-ts';
import { TestingServer } from 'zookeeper-server-ts/testing';
import { CuttingPorts } from './cutting-ports.fixture.ts';

let server: TestingServer;
const clients: CuratorFramework[] = [];

beforeEach(async () => {
  server = await TestingServer.start();
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await server.close();
});

async function newClient({
  ports = new CuttingPorts(),
  retry = new RetryNTimes(100, 5),
}: {
  ports?: CuttingPorts;
  retry?: RetryPolicy;
} = {}): Promise<CuratorFramework> {
  const client = await connect(server.connectString, { sessionTimeoutMs: 40_000, retry, ports });
  clients.push(client);
  return client;
}

/** A client each of whose next requests to the counter meets somebody else's write between being read and being written. */
async function interfere(client: CuratorFramework, times: number): Promise<void> {
  const other = new DistributedAtomicLong(await newClient(), '/n');
  const transaction = client.transaction.bind(client);
  let left = times;
  Object.assign(client, {
    transaction: async (...args: Parameters<typeof transaction>) => {
      if (left-- > 0) await other.increment();
      return transaction(...args);
    },
  });
}

const childrenOf = (client: CuratorFramework, path: string) => expect.poll(() => client.getChildren(path));

describe('DistributedAtomicLong', () => {
  it('is 0 where there is no znode, and counts from there', async () => {
    const client = await newClient();
    const counter = new DistributedAtomicLong(client, '/counters/n');
    expect(await counter.get()).toMatchObject({ succeeded: true, preValue: 0n, postValue: 0n });
    expect(await client.checkExists('/counters/n')).toBeUndefined();
    expect(await counter.increment()).toMatchObject({ succeeded: true, preValue: 0n, postValue: 1n });
    expect(await counter.add(41n)).toMatchObject({ succeeded: true, preValue: 1n, postValue: 42n });
    expect(await counter.decrement()).toMatchObject({ postValue: 41n });
    expect(await counter.subtract(50n)).toMatchObject({ postValue: -9n, stats: { optimisticTries: 1 } });
    expect((await client.getData('/counters/n')).data.toString('hex')).toBe('fffffffffffffff7');
    await childrenOf(client, '/counters/n').toEqual([]);
  });

  it('data of another length are told in hex, and can be forced to something else', async () => {
    const client = await newClient();
    await client.create('/n', { data: new Uint8Array([1, 2, 255]) });
    const counter = new DistributedAtomicLong(client, '/n');
    const failure = await counter.increment().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DeserializationError);
    expect(failure).toMatchObject({ path: '/n', cause: { message: expect.stringContaining('0102ff') } });
    await counter.forceSet(7n);
    expect((await counter.get()).postValue).toBe(7n);
  });

  it('a sum that does not fit is refused, and nothing is written', async () => {
    const counter = new DistributedAtomicLong(await newClient(), '/n');
    await counter.forceSet(2n ** 63n - 1n);
    await expect(counter.increment()).rejects.toBeInstanceOf(InvalidArgumentError);
    expect((await counter.get()).postValue).toBe(2n ** 63n - 1n);
  });

  it('compareAndSet never succeeds where there is no znode; initialize makes it, once', async () => {
    const counter = new DistributedAtomicLong(await newClient(), '/n');
    expect((await counter.compareAndSet(0n, 5n)).succeeded).toBe(false);
    expect(await counter.initialize(5n)).toBe(true);
    expect(await counter.initialize(6n)).toBe(false);
    expect(await counter.compareAndSet(6n, 7n)).toMatchObject({ succeeded: false, preValue: 5n, postValue: undefined });
    expect(await counter.compareAndSet(5n, 7n)).toMatchObject({ succeeded: true, preValue: 5n, postValue: 7n });
    expect(await counter.trySet(9n)).toMatchObject({ succeeded: true, preValue: 7n });
  });

  it.each(['increment', 'initialize', 'forceSet', 'compareAndSet'] as const)(
    'a lost reply is found out: %s is applied once, and told as succeeded',
    async (change) => {
      const ports = new CuttingPorts();
      const client = await newClient({ ports });
      const counter = new DistributedAtomicLong(client, '/n');
      if (change !== 'initialize') await counter.initialize(41n);
      await childrenOf(client, change === 'initialize' ? '/' : '/n').not.toContain('_c_');
      const transaction = client.transaction.bind(client);
      let transactions = 0;
      Object.assign(client, {
        transaction: (...args: Parameters<typeof transaction>) => {
          if (transactions++ === 0) ports.loseNextReply();
          return transaction(...args);
        },
      });
      if (change === 'increment') expect(await counter.increment()).toMatchObject({ succeeded: true, postValue: 42n });
      else if (change === 'initialize') expect(await counter.initialize(42n)).toBe(true);
      else if (change === 'forceSet') await counter.forceSet(42n);
      else expect(await counter.compareAndSet(41n, 42n)).toMatchObject({ succeeded: true });
      expect([ports.cuts, transactions]).toEqual([1, 1]);
      expect((await counter.get()).postValue).toBe(42n);
      await childrenOf(client, '/n').toEqual([]);
    },
  );

  it('that the same value is there at the next version is no proof: somebody else wrote it', async () => {
    const client = await newClient();
    const other = new DistributedAtomicLong(await newClient(), '/n');
    await other.initialize(0n);
    const counter = new DistributedAtomicLong(client, '/n', { retry: new RetryNTimes(0, 0) });
    const transaction = client.transaction.bind(client);
    Object.assign(client, {
      transaction: async (...args: Parameters<typeof transaction>) => {
        await other.forceSet(1n);
        return transaction(...args);
      },
    });
    expect((await counter.compareAndSet(0n, 1n)).succeeded).toBe(false);
  });

  it('when the session ends before the answer is there, the outcome is told as unknown', async () => {
    const ports = new CuttingPorts();
    const client = await newClient({ ports });
    const counter = new DistributedAtomicLong(client, '/n');
    await counter.initialize(0n);
    const transaction = client.transaction.bind(client);
    Object.assign(client, {
      transaction: (...args: Parameters<typeof transaction>) => {
        const { sessionId } = client;
        ports.isCut = (direction) => {
          if (direction === 'request') return false;
          ports.isCut = () => true;
          void server.expireSession(sessionId).then(() => {
            ports.isCut = () => false;
          });
          return true;
        };
        return transaction(...args);
      },
    });
    await expect(counter.increment()).rejects.toBeInstanceOf(ConnectionLossError);
    expect((await counter.get()).postValue).toBe(1n);
  });

  it('when the retry policy ends first, the outcome is told as unknown', async () => {
    const ports = new CuttingPorts();
    const client = await newClient({ ports, retry: new RetryNTimes(0, 0) });
    const counter = new DistributedAtomicLong(client, '/n');
    await counter.initialize(0n);
    const transaction = client.transaction.bind(client);
    Object.assign(client, {
      transaction: (...args: Parameters<typeof transaction>) => {
        ports.loseNextReply();
        return transaction(...args);
      },
    });
    await expect(counter.increment()).rejects.toBeInstanceOf(ConnectionLossError);
    await expect.poll(() => client.connected).toBe(true);
    expect((await counter.get()).postValue).toBe(1n);
    await childrenOf(client, '/n').toEqual([]);
  });

  it('a version that has wrapped to −1 can not be the condition of a change, and is got past by force', async () => {
    const client = await newClient();
    const counter = new DistributedAtomicLong(client, '/n');
    await counter.initialize(5n);
    const getData = client.getData.bind(client) as (path: string) => Promise<{ data: Buffer; stat: object }>;
    Object.assign(client, {
      getData: async (path: string) => {
        const { data, stat } = await getData(path);
        return { data, stat: { ...stat, version: -1 } };
      },
    });
    await expect(counter.increment()).rejects.toBeInstanceOf(IllegalTrySetVersionError);
    await counter.forceSet(7n);
    expect((await counter.get()).postValue).toBe(7n);
  });

  it('gives up as its policy says, with what was found last', async () => {
    const client = await newClient();
    await interfere(client, 3);
    const counter = new DistributedAtomicLong(client, '/n', { retry: new RetryNTimes(2, 1) });
    const result = await counter.increment();
    expect(result).toMatchObject({
      succeeded: false,
      preValue: 2n,
      stats: { optimisticTries: 3, promotedLockTries: 0 },
    });
    expect((await counter.get()).postValue).toBe(3n);
  });

  it('goes on under a lock when it is promoted to one, and releases it', async () => {
    const client = await newClient();
    await interfere(client, 2);
    const counter = new DistributedAtomicLong(client, '/n', {
      retry: new RetryNTimes(1, 1),
      promotedToLock: { path: '/n-lock' },
    });
    const result = await counter.increment();
    expect(result).toMatchObject({ succeeded: true, stats: { optimisticTries: 2, promotedLockTries: 1 } });
    expect(await client.getChildren('/n-lock')).toEqual([]);
  });

  it('does not succeed when the lock can not be had in time', async () => {
    const client = await newClient();
    await interfere(client, 1);
    await using _held = await new InterProcessMutex(client, '/n-lock').acquire();
    const counter = new DistributedAtomicLong(client, '/n', {
      retry: new RetryNTimes(0, 0),
      promotedToLock: { path: '/n-lock', timeoutMs: 20 },
    });
    expect(await counter.increment()).toMatchObject({ succeeded: false, stats: { promotedLockTries: 0 } });
  });

  it('aborted while others have their turn, it rejects at once and is never applied', async () => {
    const counter = new DistributedAtomicLong(await newClient(), '/n');
    const first = counter.increment();
    const stop = new AbortController();
    const second = counter.increment({ signal: stop.signal });
    stop.abort('enough');
    await expect(second).rejects.toBe('enough');
    await expect(counter.increment({ signal: stop.signal })).rejects.toBe('enough');
    await first;
    expect((await counter.increment()).postValue).toBe(2n);
  });

  it('many calls at one object take turns, and none is overtaken by another', async () => {
    const counter = new DistributedAtomicLong(await newClient(), '/n', { retry: new RetryNTimes(0, 0) });
    const results = await Promise.all(Array.from({ length: 50 }, () => counter.increment()));
    expect(results.map(({ postValue }) => postValue)).toEqual(results.map((_, index) => BigInt(index + 1)));
  });
});

describe('R-COUNT', () => {
  it('the final counter is what was acknowledged, and at most what is unknown on top of it', async () => {
    const CLIENTS = 3;
    const ADDS = 40;
    let seed = 20_231;
    const random = () => {
      seed = (seed * 48_271) % 0x7fff_ffff;
      return seed / 0x7fff_ffff;
    };
    let acknowledged = 0;
    let unknown = 0;
    let refused = 0;
    const all: CuttingPorts[] = [];
    await Promise.all(
      Array.from({ length: CLIENTS }, async (_, index) => {
        const ports = new CuttingPorts();
        all.push(ports);
        // One of them gives up at once, so that there are unknown outcomes.
        const retry = index === 0 ? new RetryNTimes(0, 0) : new RetryNTimes(200, 2);
        const client = await newClient({ ports, retry });
        const counter = new DistributedAtomicLong(client, '/n', { retry: new RetryNTimes(3, 1) });
        ports.isCut = () => random() < 0.05;
        for (let add = 0; add < ADDS; add++) {
          if (add === 20 && index === 1) await server.expireSession(client.sessionId);
          if (add === 30 && index === 2) server.dropConnections();
          try {
            if ((await counter.increment()).succeeded) acknowledged++;
            else refused++;
          } catch (error) {
            expect(error).toBeInstanceOf(ConnectionLossError);
            unknown++;
            await client.blockUntilConnected();
          }
        }
        ports.isCut = () => false;
      }),
    );
    const client = await newClient();
    const total = Number((await new DistributedAtomicLong(client, '/n').get()).postValue);
    expect(acknowledged + unknown + refused).toBe(CLIENTS * ADDS);
    expect(total).toBeGreaterThanOrEqual(acknowledged);
    expect(total).toBeLessThanOrEqual(acknowledged + unknown);
    // The run was what it claims to be.
    expect(all.reduce((sum, { cuts }) => sum + cuts, 0)).toBeGreaterThan(10);
    expect(acknowledged).toBeGreaterThan(CLIENTS * ADDS * 0.5);
    await childrenOf(client, '/n').toEqual([]);
  });
});

describe('DistributedAtomicInteger and DistributedAtomicValue', () => {
  it('an integer has four bytes, and takes no data at all for 0', async () => {
    const client = await newClient();
    await client.create('/n', { data: '' });
    const counter = new DistributedAtomicInteger(client, '/n');
    expect(await counter.subtract(2)).toMatchObject({ preValue: 0, postValue: -2 });
    expect((await client.getData('/n')).data.toString('hex')).toBe('fffffffe');
    await expect(counter.add(0.5)).rejects.toBeInstanceOf(InvalidArgumentError);
    await expect(counter.forceSet(2 ** 31)).rejects.toBeInstanceOf(InvalidArgumentError);
  });

  it('a value is undefined where there is no znode, and is compared by what it says', async () => {
    const client = await newClient();
    const value = new DistributedAtomicValue(client, '/v', { serializer: json<{ n: number }>() });
    expect((await value.get()).postValue).toBeUndefined();
    expect(await value.trySet({ n: 1 })).toMatchObject({ succeeded: true, preValue: undefined, postValue: { n: 1 } });
    await client.setData('/v', '{ "n" : 1 }');
    expect((await value.compareAndSet({ n: 1 }, { n: 2 })).succeeded).toBe(true);
    const raw = new DistributedAtomicValue(client, '/v');
    expect(Buffer.from((await raw.get()).postValue ?? []).toString()).toBe('{"n":2}');
  });
});

describe('CachedAtomicLong and CachedAtomicInteger', () => {
  it('hand out each number once, also to many callers at the same time, at the price of gaps', async () => {
    const [a, b] = [await newClient(), await newClient()];
    const caches = [a, b].map((client) => new CachedAtomicLong(new DistributedAtomicLong(client, '/ids'), 7));
    const results = await Promise.all(Array.from({ length: 60 }, (_, index) => caches[index % 2]?.next()));
    const ids = results.map((result) => result?.preValue);
    expect(new Set(ids).size).toBe(60);
    // 30 each are five blocks each.
    expect((await new DistributedAtomicLong(a, '/ids').get()).postValue).toBe(70n);
    const [first] = results;
    expect(first?.postValue).toBe((first?.preValue ?? 0n) + 1n);
  });

  it('a block whose outcome is unknown is not used', async () => {
    const ports = new CuttingPorts();
    const client = await newClient({ ports, retry: new RetryNTimes(0, 0) });
    const ids = new CachedAtomicInteger(new DistributedAtomicInteger(client, '/ids'), 10);
    expect((await ids.next()).preValue).toBe(0);
    for (let rest = 1; rest < 10; rest++) await ids.next();
    const transaction = client.transaction.bind(client);
    let isFirst = true;
    Object.assign(client, {
      transaction: (...args: Parameters<typeof transaction>) => {
        if (isFirst) ports.loseNextReply();
        isFirst = false;
        return transaction(...args);
      },
    });
    await expect(ids.next()).rejects.toBeInstanceOf(ConnectionLossError);
    await client.blockUntilConnected();
    expect(await ids.next()).toMatchObject({ succeeded: true, preValue: 20, postValue: 21 });
    expect(() => new CachedAtomicInteger(new DistributedAtomicInteger(client, '/ids'), 0)).toThrow(
      InvalidArgumentError,
    );
  });
});

describe('SharedValue and SharedCount', () => {
  it('the first one writes its seed, the others find it; a change is told to all', async () => {
    const [a, b] = [await newClient(), await newClient()];
    await using first = await new SharedCount(a, '/shared/limit', 10).start();
    await using second = new SharedCount(b, '/shared/limit', 20);
    expect(second.getCount()).toBe(20);
    await second.start();
    expect([first.getCount(), second.getCount()]).toEqual([10, 10]);
    const told: number[] = [];
    first.on('change', (count) => told.push(count));
    await second.setCount(-5);
    expect(second.getCount()).toBe(-5);
    await expect.poll(() => told).toEqual([-5]);
    expect((await a.getData('/shared/limit')).data.toString('hex')).toBe('fffffffb');
  });

  it('trySetValue writes only if nobody has written since, and then knows what they wrote', async () => {
    const [a, b] = [await newClient(), await newClient()];
    await using first = await new SharedValue(a, '/v', 'seed', { serializer: string }).start();
    await using second = await new SharedValue(b, '/v', 'seed', { serializer: string }).start();
    const known = first.getVersionedValue();
    expect(await second.trySetValue(second.getVersionedValue(), 'theirs')).toBe(true);
    expect(await first.trySetValue(known, 'ours')).toBe(false);
    await expect.poll(() => first.getValue()).toBe('theirs');
    expect(await first.trySetValue(first.getVersionedValue(), 'ours')).toBe(true);
    expect(first.getVersionedValue()).toMatchObject({ value: 'ours', version: 2 });
  });

  it('of two that set the same value at the same time one alone succeeds, and a lost reply does not hide it', async () => {
    const ports = new CuttingPorts();
    const [a, b] = [await newClient({ ports }), await newClient()];
    await using first = await new SharedCount(a, '/claim', 0).start();
    await using second = await new SharedCount(b, '/claim', 0).start();
    const transaction = a.transaction.bind(a);
    Object.assign(a, {
      transaction: (...args: Parameters<typeof transaction>) => {
        ports.loseNextReply();
        return transaction(...args);
      },
    });
    const mine = second.getVersionedValue();
    expect(await first.trySetCount(first.getVersionedValue(), 1)).toBe(true);
    expect(await second.trySetCount(mine, 1)).toBe(false);
  });

  it('a version of −1 can not be the condition of a write, and says so', async () => {
    const client = await newClient();
    await using value = await new SharedValue(client, '/v', 'seed', { serializer: string }).start();
    const wrapped = { ...value.getVersionedValue(), version: -1 };
    await expect(value.trySetValue(wrapped, 'x')).rejects.toBeInstanceOf(IllegalTrySetVersionError);
  });

  it('another znode with the same version is newer: what counts is the zxid (CURATOR-329, 688)', async () => {
    const client = await newClient();
    await using value = await new SharedValue(client, '/v', 'old', { serializer: string }).start();
    await client.delete('/v');
    await client.create('/v', { data: 'new' });
    await expect.poll(() => value.getValue()).toBe('new');
    expect(value.getVersionedValue().version).toBe(0);
  });

  it('without a connection it keeps its value and does not block, and is read again afterwards (CURATOR-311, 344)', async () => {
    const [a, b] = [await newClient(), await newClient()];
    await using value = await new SharedValue(a, '/v', 'one', { serializer: string }).start();
    const told: string[] = [];
    value.on('change', ({ value: changed }) => told.push(changed));
    await server.stop();
    await expect.poll(() => a.state).toBe('SUSPENDED');
    expect(value.getValue()).toBe('one');
    await server.start();
    await b.setData('/v', 'two');
    await expect.poll(() => value.getValue()).toBe('two');
    server.dropConnections();
    await a.blockUntilConnected();
    await b.setData('/v', 'three');
    await expect.poll(() => told).toEqual(['two', 'three']);
  });

  it('data that can not be read are an error event, and the value stays what it was', async () => {
    const client = await newClient();
    await using count = await new SharedCount(client, '/n', 4).start();
    const errors: unknown[] = [];
    count.on('error', (error) => errors.push(error));
    await client.setData('/n', 'no number');
    await expect.poll(() => errors[0]).toBeInstanceOf(DeserializationError);
    expect(count.getCount()).toBe(4);
    await expect(new SharedCount(client, '/n', 4).start()).rejects.toBeInstanceOf(DeserializationError);
  });

  it('wrong use is refused: written before it is started, started twice, written when it is closed', async () => {
    const client = await newClient();
    const count = new SharedCount(client, '/n', 4);
    await expect(count.setCount(5)).rejects.toBeInstanceOf(RecipeStateError);
    await count.start();
    await expect(count.start()).rejects.toBeInstanceOf(RecipeStateError);
    await count.close();
    await count.close();
    await expect(count.trySetCount(count.getVersionedValue(), 5)).rejects.toBeInstanceOf(RecipeStateError);
    expect(count.getCount()).toBe(4);
    await expect(client.create('/n')).rejects.toBeInstanceOf(NodeExistsError);
  });

  it('as the limit of a semaphore, a higher one lets in who waits (CURATOR-75)', async () => {
    const [a, b] = [await newClient(), await newClient()];
    await using limit = await new SharedCount(a, '/limit', 1).start();
    const semaphore = new InterProcessSemaphoreV2(a, '/workers', limit);
    await using _first = await semaphore.acquire();
    const acquiring = semaphore.acquire();
    await using elsewhere = await new SharedCount(b, '/limit', 1).start();
    await elsewhere.setCount(2);
    await using second = await acquiring;
    expect(second.isHeld()).toBe(true);
  });
});
