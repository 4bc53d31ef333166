/** Locks and semaphores with Java Curator on the same paths of a real Apache ZooKeeper: who holds excludes the other, both ways. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type CuratorFramework, connect, ExponentialBackoffRetry } from 'zookeeper-client-ts';
import {
  type Held,
  InterProcessMutex,
  InterProcessReadWriteLock,
  InterProcessSemaphoreMutex,
  InterProcessSemaphoreV2,
} from 'zookeeper-recipes-ts';
import { type ApacheZooKeeper, startApacheZooKeeper, whyNoApacheZooKeeper } from './apache-zookeeper.ts';
import { CrossPeer } from './cross-peer.fixture.ts';

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`skipped: no Apache ZooKeeper here: ${missing}`);

let server: ApacheZooKeeper;
let client: CuratorFramework;
const peers: CrossPeer[] = [];

function startPeer(...args: readonly string[]): CrossPeer {
  const peer = new CrossPeer(server.connectString, ...args);
  peers.push(peer);
  return peer;
}

/** Waits until that many have a znode there. */
const untilChildren = (path: string, count: number) =>
  expect.poll(() => client.getChildren(path), { interval: 10 }).toHaveLength(count);

/** When it was granted, by the clock of this machine. */
const timed = async <T extends Held>(acquiring: Promise<T>): Promise<{ held: T; at: number }> => ({
  held: await acquiring,
  at: Date.now(),
});

describe.skipIf(missing !== undefined)('with Java Curator on the same path', () => {
  beforeAll(async () => {
    server = await startApacheZooKeeper();
    client = await connect(server.connectString, {
      sessionTimeoutMs: 10_000,
      retry: new ExponentialBackoffRetry(100, 3),
    });
  });
  afterAll(async () => {
    await client?.close();
    await server?.stop();
  });
  afterEach(async () => {
    await Promise.all(peers.splice(0).map((peer) => peer[Symbol.asyncDispose]()));
  });

  it('InterProcessMutex: each waits for the other, in the order of the line', async () => {
    const mutex = new InterProcessMutex(client, '/mutex');
    const first = await mutex.acquire();
    const java = startPeer('lock', '/mutex', '-1');
    await untilChildren('/mutex', 2);
    const acquiring = timed(mutex.acquire());
    await untilChildren('/mutex', 3);
    expect(await mutex.getParticipantNodes()).toHaveLength(3);

    const released = Date.now();
    await first.release();
    expect((await java.line('ACQUIRED')).at).toBeGreaterThanOrEqual(released);
    java.say();
    expect((await java.line('PARTICIPANTS')).details).toBe('2');
    const releasing = await java.line('RELEASING');
    const second = await acquiring;
    expect(second.at).toBeGreaterThanOrEqual(releasing.at);
    expect(second.held.token).toBeGreaterThan(first.token);
    await second.held.release();
  });

  it('InterProcessMutex: many turns each, and never two at the same time', async () => {
    const java = startPeer('lock', '/turns', '20', '10');
    await java.line('WAITING');
    const ours: { from: number; to: number }[] = [];
    const mutex = new InterProcessMutex(client, '/turns');
    for (let turn = 0; turn < 15; turn++) {
      await mutex.using(async () => {
        const from = Date.now();
        await new Promise((resolve) => setTimeout(resolve, 20));
        ours.push({ from, to: Date.now() });
      });
    }
    for (let turn = 0; turn < 10; turn++) {
      const { at: from } = await java.line('ACQUIRED');
      const { at: to } = await java.line('RELEASING');
      for (const mine of ours) expect(mine.to <= from || to <= mine.from).toBe(true);
    }
  });

  it('InterProcessReadWriteLock: readers share, writers wait for them, and a writer that has become a reader keeps them out', async () => {
    const lock = new InterProcessReadWriteLock(client, '/catalog');
    const writing = await lock.writeLock.acquire();
    const reader = startPeer('rwlock', 'read', '/catalog', '-1');
    await untilChildren('/catalog', 2);
    const writer = startPeer('rwlock', 'write', '/catalog', '0');
    await untilChildren('/catalog', 3);

    const reading = await lock.readLock.acquire({ owner: writing });
    const released = Date.now();
    await writing.release();
    expect((await reader.line('ACQUIRED')).at).toBeGreaterThanOrEqual(released);
    expect(await lock.writeLock.tryAcquire()).toBeUndefined();
    const leaving = Date.now();
    await reading.release();
    reader.say();
    const left = await reader.line('RELEASING');
    expect((await writer.line('ACQUIRED')).at).toBeGreaterThanOrEqual(Math.max(leaving, left.at));
    await writer.line('RELEASED');
    await using alone = await lock.writeLock.acquire();
    expect(alone.isHeld()).toBe(true);
  });

  it('InterProcessReadWriteLock: our reader shares with theirs, our writer waits for it', async () => {
    const lock = new InterProcessReadWriteLock(client, '/shared');
    const java = startPeer('rwlock', 'read', '/shared', '-1');
    await java.line('ACQUIRED');
    const reading = await lock.readLock.acquire();
    const acquiring = timed(lock.writeLock.acquire());
    await untilChildren('/shared', 3);
    await reading.release();
    java.say();
    const { at } = await java.line('RELEASING');
    const writing = await acquiring;
    expect(writing.at).toBeGreaterThanOrEqual(at);
    await writing.held.release();
  });

  it('InterProcessSemaphoreV2: both count the leases of the other', async () => {
    const semaphore = new InterProcessSemaphoreV2(client, '/limit', 2);
    const ours = await semaphore.acquire();
    const java = startPeer('semaphore', '/limit', '2', '-1', '2');
    await java.line('ACQUIRED');
    expect(await semaphore.tryAcquire()).toBeUndefined();
    const acquiring = timed(semaphore.acquire());
    await untilChildren('/limit/leases', 3);
    java.say();
    const { at } = await java.line('RELEASING');
    const second = await acquiring;
    expect(second.at).toBeGreaterThanOrEqual(at);
    // Its second turn waits for one of ours.
    const released = Date.now();
    await ours.release();
    expect((await java.line('ACQUIRED')).at).toBeGreaterThanOrEqual(released);
    java.say();
    await java.line('RELEASED');
    await second.held.release();
  });

  it('InterProcessSemaphoreMutex: each waits for the other', async () => {
    const mutex = new InterProcessSemaphoreMutex(client, '/semaphore-mutex');
    const first = await mutex.acquire();
    const java = startPeer('semmutex', '/semaphore-mutex', '-1');
    await untilChildren('/semaphore-mutex/leases', 2);
    const released = Date.now();
    await first.release();
    expect((await java.line('ACQUIRED')).at).toBeGreaterThanOrEqual(released);
    const acquiring = timed(mutex.acquire());
    await untilChildren('/semaphore-mutex/leases', 2);
    java.say();
    const { at } = await java.line('RELEASING');
    const second = await acquiring;
    expect(second.at).toBeGreaterThanOrEqual(at);
    await second.held.release();
  });
});
