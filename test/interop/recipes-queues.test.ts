/** Queues with Java Curator on the same paths of a real Apache ZooKeeper: what one puts the other consumes, in the same order, and once. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type CuratorFramework, connect, ExponentialBackoffRetry } from 'zookeeper-client-ts';
import {
  DistributedDelayQueue,
  DistributedIdQueue,
  DistributedPriorityQueue,
  DistributedQueue,
  type QueueMessage,
  SimpleDistributedQueue,
  string,
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

/** What a consumer of Java's says that it got. */
async function items(peer: CrossPeer, count: number): Promise<string[]> {
  const got: string[] = [];
  while (got.length < count) got.push((await peer.line('ITEM')).details);
  return got;
}

/** The next so many, each acknowledged. */
async function drain(messages: AsyncIterable<QueueMessage<string>>, count: number): Promise<string[]> {
  const got: string[] = [];
  for await (const message of messages) {
    got.push(message.value);
    await message.ack();
    if (got.length === count) break;
  }
  return got;
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

  it('DistributedQueue: what we put Java consumes in its order, and the other way round', async () => {
    const ours = new DistributedQueue(client, '/ours', { serializer: string });
    const theirs = new DistributedQueue(client, '/theirs', { serializer: string });
    const producer = startPeer('queue', 'put', '/theirs', 'a', 'b', 'ü');
    const consumer = startPeer('queue', 'consume', '/ours', '5');
    await ours.put('1');
    await ours.putMulti(['2', '3']);
    await Promise.all([ours.put('4'), ours.put('ä')]);
    expect(await items(consumer, 5)).toEqual(['1', '2', '3', '4', 'ä']);
    await producer.line('BYE');
    expect(await drain(theirs.consume({ delivery: 'at-most-once' }), 3)).toEqual(['a', 'b', 'ü']);
    await Promise.all([ours.close(), theirs.close()]);
  });

  it('DistributedQueue with a lock path: each item goes to one of both, and what one has in hand the other leaves alone', async () => {
    const options = { serializer: string, lockPath: '/shared-locks' };
    const queue = new DistributedQueue(client, '/shared', options);
    await queue.put('held');
    const held = queue.consume()[Symbol.asyncIterator]();
    const { value: inHand } = await held.next();
    const java = startPeer('queue', 'consume', '/shared', '1000', '/shared-locks');
    const theirs: string[] = [];
    // It ends when the peer does.
    const listening = (async () => {
      for (;;) theirs.push((await java.line('ITEM')).details);
    })().catch(() => undefined);
    await queue.put('first');
    await expect.poll(() => theirs).toEqual(['first']);

    const ours: string[] = [];
    queue.onMessage((value) => void ours.push(value), { prefetch: 4 });
    const all = Array.from({ length: 100 }, (_, index) => `item-${index}`);
    await Promise.all(all.map((value) => queue.put(value)));
    await expect.poll(() => ours.length + theirs.length).toBe(101);
    expect(theirs).not.toContain('held');
    expect([...ours, ...theirs].sort()).toEqual(['first', ...all].sort());

    await inHand?.requeue();
    await expect.poll(() => [...ours, ...theirs]).toContain('held');
    await queue.close();
    await java[Symbol.asyncDispose]();
    await listening;
    expect(await client.getChildren('/shared')).toEqual([]);
  });

  it('DistributedPriorityQueue: both put and consume in the same order, negative priorities first', async () => {
    const priorities = ['5', 'low', '0', 'first', '-7', 'negative', '0', 'second'];
    const order = ['negative', 'first', 'second', 'low'];
    const ours = new DistributedPriorityQueue(client, '/our-priorities', { serializer: string });
    const theirs = new DistributedPriorityQueue(client, '/their-priorities', { serializer: string });
    const producer = startPeer('pqueue', 'put', '/their-priorities', ...priorities);
    for (let index = 0; index < priorities.length; index += 2) {
      await ours.put(String(priorities[index + 1]), Number(priorities[index]));
    }
    const consumer = startPeer('pqueue', 'consume', '/our-priorities', '4');
    expect(await items(consumer, 4)).toEqual(order);
    await producer.line('BYE');
    expect(await drain(theirs.consume({ delivery: 'at-most-once' }), 4)).toEqual(order);
    await Promise.all([ours.close(), theirs.close()]);
  });

  it('DistributedDelayQueue and DistributedIdQueue: times and ids of one hold for the other', async () => {
    const delays = new DistributedDelayQueue(client, '/delays', { serializer: string });
    const dueAt = Date.now() + 500;
    await delays.put('later', dueAt + 1);
    await delays.put('due', dueAt);
    const delayed = startPeer('dqueue', 'consume', '/delays', '2');
    const first = await delayed.line('ITEM');
    expect([first.details, (await delayed.line('ITEM')).details]).toEqual(['due', 'later']);
    expect(first.at).toBeGreaterThanOrEqual(dueAt);
    const theirs = startPeer('dqueue', 'put', '/delays', '300', 'from Java');
    const { at } = await theirs.line('PUT');
    expect(await drain(delays.consume({ delivery: 'at-most-once' }), 1)).toEqual(['from Java']);
    expect(Date.now()).toBeGreaterThanOrEqual(at + 250);

    const ids = new DistributedIdQueue(client, '/ids', { serializer: string });
    for (const [value, id] of [
      ['1', 'x'],
      ['2', 'y'],
      ['3', 'x'],
    ] as const)
      await ids.put(value, id);
    expect((await startPeer('idqueue', 'remove', '/ids', 'x').line('REMOVED')).details).toBe('2');
    await startPeer('idqueue', 'put', '/ids', 'z/z', '4').line('BYE');
    expect(await ids.remove('z/z')).toBe(1);
    expect(await drain(ids.consume({ delivery: 'at-most-once' }), 1)).toEqual(['2']);
    await Promise.all([delays.close(), ids.close()]);
  });

  it('SimpleDistributedQueue: what we offer Java takes, and the other way round', async () => {
    const queue = new SimpleDistributedQueue(client, '/simple');
    const java = startPeer('simplequeue', 'take', '/simple', '2');
    await queue.offer(Buffer.from('1'));
    await queue.offer(Buffer.from('2'));
    expect(await items(java, 2)).toEqual(['1', '2']);
    await startPeer('simplequeue', 'offer', '/simple', 'a', 'b').line('BYE');
    expect([await queue.take(), await queue.poll(), await queue.poll()].map((data) => data?.toString())).toEqual([
      'a',
      'b',
      undefined,
    ]);
    await queue.close();
  });
});
