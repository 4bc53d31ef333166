/**
 * CuratorFramework against a real Apache ZooKeeper: what the unit tests say of their own server, the original must confirm. Outages
 * have suites of their own, which run against our server, too.
 */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  ConnectionLossError,
  type ConnectionState,
  CreateMode,
  type CuratorFramework,
  connect,
  EventType,
  ExponentialBackoffRetry,
  type FrameworkOptions,
  NoNodeError,
  type Ports,
  RetryNTimes,
  systemPorts,
  type WatchedEvent,
} from 'zookeeper-client-ts';
import { type ApacheZooKeeper, startApacheZooKeeper, whyNoApacheZooKeeper } from './apache-zookeeper.ts';

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`skipped: no Apache ZooKeeper here: ${missing}`);

const SESSION_TIMEOUT_MS = 3000;

/** The system's ports, with a network that breaks when told to. */
class BreakableNetwork {
  /** The next bytes from the server are lost, and their connection with them. */
  loseNextAnswer = false;

  readonly ports: Ports = {
    ...systemPorts(),
    transport: {
      connect: (address, handler) => {
        const connection = systemPorts().transport.connect(address, {
          onOpen: () => handler.onOpen(),
          onBytes: (bytes) => {
            if (!this.loseNextAnswer) return handler.onBytes(bytes);
            this.loseNextAnswer = false;
            connection.close();
            handler.onClose(new Error('cut'));
          },
          onClose: (error) => handler.onClose(error),
        });
        return connection;
      },
    },
  };
}

describe.skipIf(missing !== undefined)('CuratorFramework with Apache ZooKeeper', () => {
  let server: ApacheZooKeeper;
  beforeAll(async () => {
    server = await startApacheZooKeeper({ config: { extendedTypesEnabled: 'true' } });
  });
  afterAll(() => server.stop());

  const opened: CuratorFramework[] = [];
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((client) => client.close()));
  });

  async function connected(options: FrameworkOptions = {}) {
    const client = await connect(server.connectString, {
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      retry: new ExponentialBackoffRetry(100, 5),
      ...options,
    });
    opened.push(client);
    const states: ConnectionState[] = [];
    client.on('state', (state) => states.push(state));
    return { client, states };
  }

  /** A path of its own for each test. */
  let paths = 0;
  const newPath = (): string => `/framework-${++paths}`;

  const POLL = { interval: 20, timeout: 30_000 };

  it('creates, reads, writes, lists and deletes in both styles', async () => {
    const { client } = await connected();
    const root = newPath();
    const created = await client.create(`${root}/a/b`, { parents: true, data: 'ünï' });
    expect(created).toBe(`${root}/a/b`);
    expect((await client.getData(created)).data.toString()).toBe('ünï');
    const { version } = await client.setData().forPath(created, 'two');
    expect(version).toBe(1);
    await client
      .create()
      .creatingParentsIfNeeded()
      .forPath(`${root}/c/d`, Buffer.from([1, 2]));
    expect((await client.getChildren(root)).sort()).toEqual(['a', 'c']);
    expect(await client.checkExists(`${root}/c/d`)).toMatchObject({ dataLength: 2 });
    await client.delete().deletingChildrenIfNeeded().forPath(root);
    expect(await client.checkExists(root)).toBeUndefined();
    await expect(client.getData(root)).rejects.toBeInstanceOf(NoNodeError);
    await client.delete(root, { quietly: true });
  });

  it('makes znodes of every mode', async () => {
    const { client } = await connected();
    const root = newPath();
    await client.create(root, { mode: 'CONTAINER' });
    const modes = {
      PERSISTENT: /n$/,
      PERSISTENT_SEQUENTIAL: /n\d{10}$/,
      EPHEMERAL: /n$/,
      EPHEMERAL_SEQUENTIAL: /n\d{10}$/,
      CONTAINER: /n$/,
      PERSISTENT_WITH_TTL: /n$/,
      PERSISTENT_SEQUENTIAL_WITH_TTL: /n\d{10}$/,
    } as const;
    for (const [name, pattern] of Object.entries(modes)) {
      const mode = CreateMode[name as keyof typeof modes];
      const builder = client.create().withMode(mode).creatingParentContainersIfNeeded().withProtection();
      if (name.endsWith('TTL')) builder.withTtl(60_000);
      const { path, stat } = await builder.storingStat().forPath(`${root}/${name}/n`);
      expect(path).toMatch(pattern);
      expect(stat.ephemeralOwner === client.sessionId).toBe(name.startsWith('EPHEMERAL'));
    }
    await client.delete(root, { children: true });
  });

  it('lives in its namespace, whatever the names', async () => {
    const { client } = await connected({ namespace: 'foo' });
    const events: WatchedEvent[] = [];
    await client.checkExists('/foobar', { watcher: (event) => events.push(event) });
    expect(await client.create('/foobar')).toBe('/foobar');
    expect(await client.create('/foo')).toBe('/foo');
    await expect.poll(() => events, POLL).toMatchObject([{ type: EventType.NodeCreated, path: '/foobar' }]);
    const whole = client.usingNamespace(null);
    expect((await whole.getChildren('/foo')).sort()).toEqual(['foo', 'foobar']);
    await whole.delete('/foo', { children: true });
  });

  it('leaves no protected znode behind when the call fails for good', async () => {
    const network = new BreakableNetwork();
    const { client } = await connected({ ports: network.ports, retry: new RetryNTimes(0, 0) });
    const root = newPath();
    await client.create(root);
    network.loseNextAnswer = true;
    const creating = client.create(`${root}/n-`, { protect: true, mode: 'PERSISTENT_SEQUENTIAL' });
    await expect(creating).rejects.toBeInstanceOf(ConnectionLossError);
    await client.blockUntilConnected();
    // It was made: the parent's counter of changes says so.
    await expect.poll(async () => (await client.checkExists(root))?.cversion, POLL).toBe(2);
    expect(await client.getChildren(root)).toEqual([]);
  });

  it('makes exactly one protected znode when the session ends between two attempts (CURATOR-498)', async () => {
    const network = new BreakableNetwork();
    const { client, states } = await connected({ ports: network.ports, retry: new RetryNTimes(5, 1000) });
    const root = newPath();
    await client.create(root);
    const { zookeeper } = client;
    network.loseNextAnswer = true;
    const creating = client.create(`${root}/n-`, { protect: true, mode: 'EPHEMERAL_SEQUENTIAL' });
    await expect.poll(() => client.state, POLL).toBe('SUSPENDED');
    // As if the lease had ended: the server still holds the old session and its znode.
    zookeeper.abandon();
    const path = await creating;
    expect(client.sessionId).not.toBe(zookeeper.sessionId);
    expect((await client.checkExists(path))?.ephemeralOwner).toBe(client.sessionId);
    await expect
      .poll(async () => (await client.getChildren(root)).map((name) => `${root}/${name}`), POLL)
      .toEqual([path]);
    expect(states).toEqual(['SUSPENDED', 'LOST', 'RECONNECTED']);
  });

  it('deletes what it has guaranteed to delete after an outage', async () => {
    const { client } = await connected({ retry: new RetryNTimes(0, 0), connectionTimeoutMs: 300 });
    const path = await client.create(newPath(), { mode: 'PERSISTENT' });
    await server.kill();
    await expect.poll(() => client.connected, POLL).toBe(false);
    await expect(client.delete(path, { guaranteed: true })).rejects.toBeInstanceOf(ConnectionLossError);
    await server.restart();
    await expect.poll(() => client.connected, POLL).toBe(true);
    await expect.poll(() => client.checkExists(path), POLL).toBeUndefined();
  });

  it('tells why no server could be reached', async () => {
    await server.kill();
    const connecting = connect(server.connectString, { connectionTimeoutMs: 300 });
    await expect(connecting).rejects.toThrow(`${server.connectString}: connect ECONNREFUSED`);
    await server.restart();
  });
});
