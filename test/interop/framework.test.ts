/**
 * CuratorFramework against a real Apache ZooKeeper: what the unit tests say of their own server, the original must confirm,
 * and outages are real ones.
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
  KeeperState,
  NoNodeError,
  type Ports,
  RetryNTimes,
  systemPorts,
  type WatchedEvent,
  ZooKeeper,
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
    const changes: { state: ConnectionState; at: number }[] = [];
    client.on('state', (state) => changes.push({ state, at: client.clock.now() }));
    return { client, changes, states: () => changes.map(({ state }) => state) };
  }

  /** A path of its own for each test. */
  let paths = 0;
  const newPath = (): string => `/framework-${++paths}`;

  const POLL = { interval: 20, timeout: 30_000 };

  /** Ends a session from a second connection, as its owner would. */
  async function endSession({ sessionId: id, sessionPassword: password }: ZooKeeper): Promise<void> {
    await using twin = new ZooKeeper({ connectString: server.connectString, session: { id, password } });
    await new Promise<void>((resolve) => {
      twin.on('session', (state) => {
        if (state === KeeperState.SyncConnected) resolve();
      });
    });
  }

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

  it('finds its protected znode after a lost answer, and makes no second one', async () => {
    const network = new BreakableNetwork();
    const { client, states } = await connected({ ports: network.ports });
    const root = newPath();
    await client.create(root);
    network.loseNextAnswer = true;
    const path = await client.create(`${root}/n-`, { protect: true, mode: 'EPHEMERAL_SEQUENTIAL' });
    expect((await client.getChildren(root)).map((name) => `${root}/${name}`)).toEqual([path]);
    expect((await client.checkExists(path))?.ephemeralOwner).toBe(client.sessionId);
    expect(states()).toEqual(['SUSPENDED', 'RECONNECTED']);
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
    expect(states()).toEqual(['SUSPENDED', 'LOST', 'RECONNECTED']);
  });

  it('a session that the server has ended is LOST, then RECONNECTED in another one', async () => {
    const { client, states } = await connected();
    const { zookeeper, sessionId } = client;
    await endSession(zookeeper);
    await expect.poll(() => client.state, POLL).toBe('RECONNECTED');
    expect(states().slice(-2)).toEqual(['LOST', 'RECONNECTED']);
    expect(client.sessionId).not.toBe(sessionId);
    expect(client.zookeeper).not.toBe(zookeeper);
  });

  it('a restart of the server is SUSPENDED, then RECONNECTED, with session, ephemerals and watches kept', async () => {
    const { client, states } = await connected({ sessionTimeoutMs: 10_000 });
    const { sessionId } = client;
    const path = await client.create(newPath(), { mode: 'EPHEMERAL' });
    const events: WatchedEvent[] = [];
    await client.getData(path, { watcher: (event) => events.push(event) });
    await server.restart();
    // Waits for the connection by itself.
    await client.setData(path, 'after');
    expect(states()).toEqual(['SUSPENDED', 'RECONNECTED']);
    expect(client.sessionId).toBe(sessionId);
    await expect
      .poll(() => events.filter(({ type }) => type !== EventType.None), POLL)
      .toMatchObject([{ type: EventType.NodeDataChanged, path }]);
  });

  it('an outage longer than the session is SUSPENDED, LOST when the lease ends, RECONNECTED after it', async () => {
    const { client, states, changes } = await connected();
    const { sessionId, zookeeper } = client;
    const path = await client.create(newPath(), { mode: 'EPHEMERAL' });
    await server.kill();
    await expect.poll(() => client.state, POLL).toBe('SUSPENDED');
    const { leaseEnd } = client;
    const late = client.delete(path, { guaranteed: true, quietly: true });
    late.catch(() => undefined);
    await expect.poll(() => client.state, POLL).toBe('LOST');
    expect(states()).toEqual(['SUSPENDED', 'LOST']);
    const lostAt = changes.at(-1)?.at ?? 0;
    expect(lostAt).toBeGreaterThanOrEqual(leaseEnd);
    expect(lostAt).toBeLessThan(leaseEnd + 500);
    expect(zookeeper.state).toBe('CLOSED');
    await server.restart();
    await expect.poll(() => client.state, POLL).toBe('RECONNECTED');
    expect(states()).toEqual(['SUSPENDED', 'LOST', 'RECONNECTED']);
    expect(client.sessionId).not.toBe(sessionId);
    await late;
    expect(await client.checkExists(path)).toBeUndefined();
  });

  it('a server that freezes ends in LOST no later than it can have ended the session', async () => {
    const { client, states, changes } = await connected();
    server.pause();
    try {
      await expect.poll(() => client.state, POLL).toBe('LOST');
      expect(states()).toEqual(['SUSPENDED', 'LOST']);
      const [suspended, lost] = changes.map(({ at }) => at);
      // SUSPENDED after two thirds of a session without a word, LOST after at most a whole one.
      expect((lost ?? 0) - (suspended ?? 0)).toBeLessThan(SESSION_TIMEOUT_MS / 3 + 500);
    } finally {
      server.resume();
    }
    await expect.poll(() => client.state, POLL).toBe('RECONNECTED');
    expect(states()).toEqual(['SUSPENDED', 'LOST', 'RECONNECTED']);
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
