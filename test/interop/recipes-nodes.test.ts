/** Nodes that stay, and groups, on a real Apache ZooKeeper, with Java Curator on the same paths. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type CuratorFramework, connect, ExponentialBackoffRetry } from 'zookeeper-client-ts';
import { GroupMember, PersistentNode, PersistentTtlNode, string } from 'zookeeper-recipes-ts';
import { type ApacheZooKeeper, startApacheZooKeeper, whyNoApacheZooKeeper } from './apache-zookeeper.ts';
import { CrossPeer } from './cross-peer.fixture.ts';

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`skipped: no Apache ZooKeeper here: ${missing}`);

let server: ApacheZooKeeper;
let client: CuratorFramework;
/** What a test has opened, the latest first. */
const opened: AsyncDisposable[] = [];

function open<T extends AsyncDisposable>(resource: T): T {
  opened.push(resource);
  return resource;
}

const startPeer = (...args: readonly string[]): CrossPeer => open(new CrossPeer(server.connectString, ...args));

const textAt = async (path: string): Promise<string | undefined> =>
  (await client.checkExists(path)) && (await client.getData(path)).data.toString();

describe.skipIf(missing !== undefined)('with Java Curator on the same path', () => {
  beforeAll(async () => {
    server = await startApacheZooKeeper({
      config: { extendedTypesEnabled: 'true' },
      properties: { 'zookeeper.extendedTypesEnabled': 'true', 'znode.container.checkIntervalMs': 500 },
    });
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
    for (const resource of opened.splice(0).reverse()) await resource[Symbol.asyncDispose]();
  });

  it('GroupMember: each sees the other, and that it goes', async () => {
    const member = open(await new GroupMember(client, '/group', 'ours', { data: 'ts', serializer: string }).start());
    const java = startPeer('member', '/group', 'theirs', 'jvm');
    await java.line('STARTED');
    await expect
      .poll(() => [...member.getCurrentMembers()])
      .toEqual([
        ['ours', 'ts'],
        ['theirs', 'jvm'],
      ]);
    const seenByJava = async () => {
      java.say('list');
      return (await java.line('MEMBERS')).details;
    };
    await expect.poll(seenByJava).toBe('ours=ts,theirs=jvm');
    await member.setThisData('node');
    await expect.poll(seenByJava).toBe('ours=node,theirs=jvm');
    await member.close();
    await expect.poll(seenByJava).toBe('theirs=jvm');
    const second = open(await new GroupMember(client, '/group', 'again', { serializer: string }).start());
    expect(second.getCurrentMembers().get('theirs')).toBe('jvm');
    java.say('close');
    await java.line('BYE');
    await expect.poll(() => [...second.getCurrentMembers().keys()]).toEqual(['again']);
  });

  it('PersistentNode: whoever comes later takes the znode over, and makes it again when the other goes', async () => {
    const java = startPeer('node', '/node', 'jvm');
    await java.line('CREATED');
    const node = open(new PersistentNode(client, '/node', { data: 'ts', serializer: string }).start());
    await node.waitForInitialCreate();
    expect(await textAt('/node')).toBe('ts');
    java.say('close');
    await java.line('BYE');
    await expect
      .poll(async () => (await client.checkExists('/node'))?.ephemeralOwner, { interval: 10 })
      .toBe(client.sessionId);
    startPeer('node', '/node', 'jvm again');
    await expect.poll(() => textAt('/node'), { interval: 10 }).toBe('jvm again');
    await node.close();
    await expect.poll(() => textAt('/node'), { interval: 10 }).toBe('jvm again');
    expect((await client.checkExists('/node'))?.ephemeralOwner).not.toBe(client.sessionId);
  });

  it('PersistentTtlNode: the servers delete it when nobody writes to it any more, and not before', async () => {
    const ttlMs = 2_000;
    const node = open(new PersistentTtlNode(client, '/ttl', { ttlMs, touchFactor: 8, serializer: string }).start());
    await node.waitForInitialCreate();
    const version = async () => (await client.checkExists('/ttl/touch'))?.version ?? -1;
    // Longer than its time to live, and than the server's interval.
    await expect.poll(version, { interval: 50 }).toBeGreaterThanOrEqual(12);
    const { czxid } = (await client.checkExists('/ttl')) ?? {};
    await node.close();
    expect((await client.checkExists('/ttl'))?.czxid).toBe(czxid);
    await expect.poll(() => client.checkExists('/ttl')).toBeUndefined();
  });
});
