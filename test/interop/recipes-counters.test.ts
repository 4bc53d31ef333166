/** Counters with Java Curator on the same paths of a real Apache ZooKeeper: both count into the same number, and none is lost. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type CuratorFramework, connect, ExponentialBackoffRetry } from 'zookeeper-client-ts';
import { DistributedAtomicLong, SharedCount } from 'zookeeper-recipes-ts';
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

  it('DistributedAtomicLong: what both add at the same time adds up', async () => {
    const counter = new DistributedAtomicLong(client, '/counters/orders');
    await counter.forceSet(-100n);
    const java = startPeer('counter', 'inc', '/counters/orders', '50');
    await java.line('SESSION');
    let ours = 0n;
    const seen = new Set<string>();
    for (let add = 0; add < 50; add++) {
      const result = await counter.add(1_000n);
      if (!result.succeeded) continue;
      ours += 1_000n;
      expect(result.postValue).toBe(result.preValue + 1_000n);
    }
    let theirs = 0n;
    for (let add = 0; add < 50; add++) {
      const { details } = await java.line('VALUE');
      expect(seen.has(details)).toBe(false);
      seen.add(details);
      theirs++;
    }
    await java.line('BYE');
    expect((await counter.get()).postValue).toBe(-100n + ours + theirs);
    expect(ours).toBeGreaterThan(0n);
    expect((await startPeer('counter', 'get', '/counters/orders').line('VALUE')).details).toBe(
      `${-100n + ours + theirs}`,
    );
    expect(await client.getChildren('/counters/orders')).toEqual([]);
  });

  it('SharedCount: each sees what the other has set', async () => {
    await using limit = await new SharedCount(client, '/shared/limit', 10).start();
    const java = startPeer('sharedcount', 'watch', '/shared/limit', '9');
    expect((await java.line('VALUE')).details).toBe('10');
    await limit.setCount(-7);
    // When it hears late that it is connected, it tells the first value as a change, before or after the answer.
    let changed = await java.line('CHANGED');
    while (changed.details === '10') changed = await java.line('CHANGED');
    expect(changed.details).toBe('-7');
    const known = limit.getVersionedValue();
    await startPeer('sharedcount', 'set', '/shared/limit', '12').line('SET');
    await expect.poll(() => limit.getCount()).toBe(12);
    expect(await limit.trySetCount(known, 13)).toBe(false);
    expect(await limit.trySetCount(limit.getVersionedValue(), 13)).toBe(true);
  });
});
