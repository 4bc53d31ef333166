/**
 * The client's session layer against a real Apache ZooKeeper: the original is the judge of every byte.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  BadVersionError,
  ConnectionLossError,
  EventType,
  KeeperState,
  NoAuthError,
  NoChildrenForEphemeralsError,
  NodeExistsError,
  NoNodeError,
  NotEmptyError,
  SessionExpiredError,
  type WatchedEvent,
  ZooKeeper,
  type ZooKeeperOptions,
} from 'zookeeper-client-ts';
import { CREATOR_ALL_ACL, CreateMode, OPEN_ACL } from 'zookeeper-protocol-ts';
import { type ApacheZooKeeper, startApacheZooKeeper, whyNoApacheZooKeeper } from './apache-zookeeper.ts';

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`skipped: no Apache ZooKeeper here: ${missing}`);

describe.skipIf(missing !== undefined)('with Apache ZooKeeper', () => {
  let server: ApacheZooKeeper;
  beforeAll(async () => {
    server = await startApacheZooKeeper({ config: { extendedTypesEnabled: 'true' } });
  });
  afterAll(() => server.stop());

  const opened: ZooKeeper[] = [];
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((zk) => zk.close()));
  });

  function open(options: Partial<ZooKeeperOptions> = {}): ZooKeeper {
    const zk = new ZooKeeper({ connectString: server.connectString, sessionTimeoutMs: 4000, ...options });
    opened.push(zk);
    return zk;
  }

  /** Resolves when the session comes to this state. */
  const until = (zk: ZooKeeper, state: KeeperState): Promise<void> =>
    new Promise((resolve) => {
      const remove = zk.on('session', (now) => {
        if (now !== state) return;
        remove();
        resolve();
      });
    });

  async function connected(options: Partial<ZooKeeperOptions> = {}): Promise<ZooKeeper> {
    const zk = open(options);
    await until(zk, KeeperState.SyncConnected);
    return zk;
  }

  /** A watcher, and the events of znodes and of the connection that it gets. */
  function watch() {
    const events: WatchedEvent[] = [];
    const next = () =>
      new Promise<WatchedEvent>((resolve) => {
        wake = resolve;
      });
    let wake: (event: WatchedEvent) => void = () => undefined;
    const watcher = (event: WatchedEvent) => {
      events.push(event);
      wake(event);
    };
    return { watcher, events, next };
  }

  let paths = 0;
  const newPath = () => `/client-${++paths}`;

  test('the server grants a session within its limits, and the lease with it', async () => {
    const zk = await connected({ sessionTimeoutMs: 60_000 });
    expect(zk.state).toBe('CONNECTED');
    expect(zk.sessionTimeoutMs).toBe(10_000);
    expect(zk.sessionId).not.toBe(0n);
    expect(zk.sessionPassword).toHaveLength(16);
    const left = zk.leaseEnd - zk.clock.now();
    expect(left).toBeGreaterThan(9000);
    expect(left).toBeLessThanOrEqual(10_000);
  });

  test('znodes are created, read, changed, listed and deleted', async () => {
    const zk = await connected();
    const path = newPath();
    const created = await zk.create(path, { data: 'zażółć' });
    expect(created.path).toBe(path);
    expect(created.stat).toMatchObject({ version: 0, numChildren: 0, ephemeralOwner: 0n });
    expect((await zk.getData(path)).data.toString()).toBe('zażółć');
    const stat = await zk.setData(path, Buffer.of(1, 2, 3), { version: 0 });
    expect(stat).toMatchObject({ version: 1, dataLength: 3 });
    expect(await zk.exists(path)).toEqual(stat);
    await zk.create(`${path}/b`);
    await zk.create(`${path}/a`, { mode: CreateMode.EPHEMERAL });
    const { children, stat: parent } = await zk.getChildren(path);
    expect(children.sort()).toEqual(['a', 'b']);
    expect(parent.numChildren).toBe(2);
    expect((await zk.exists(`${path}/a`))?.ephemeralOwner).toBe(zk.sessionId);
    await zk.sync(path);
    await zk.delete(`${path}/b`, { version: 0 });
    expect(await zk.exists(`${path}/b`)).toBeUndefined();
    expect(zk.lastZxid).toBeGreaterThan(0n);
  });

  test('every create mode does what its name says', async () => {
    const zk = await connected();
    const path = newPath();
    await zk.create(path);
    const names = [];
    for (const mode of [CreateMode.PERSISTENT_SEQUENTIAL, CreateMode.EPHEMERAL_SEQUENTIAL] as const) {
      names.push((await zk.create(`${path}/n-`, { mode })).path);
    }
    expect(names).toEqual([`${path}/n-0000000000`, `${path}/n-0000000001`]);
    const container = await zk.create(`${path}/c`, { mode: CreateMode.CONTAINER });
    expect(container.stat.ephemeralOwner).toBe(0n);
    await zk.create(`${path}/t`, { mode: CreateMode.PERSISTENT_WITH_TTL, ttlMs: 60_000 });
    const ttl = await zk.create(`${path}/t-`, { mode: CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, ttlMs: 60_000 });
    expect(ttl.path).toMatch(/\/t-\d{10}$/);
    expect((await zk.create(`${path}/`, { mode: CreateMode.PERSISTENT_SEQUENTIAL })).path).toMatch(/\/\d{10}$/);
  });

  test('refusals are errors of their class, with the path', async () => {
    const zk = await connected();
    const path = newPath();
    await zk.create(path, { mode: CreateMode.EPHEMERAL });
    const parent = newPath();
    await zk.create(`${parent}`);
    await zk.create(`${parent}/child`);
    await expect(zk.create(path)).rejects.toThrow(NodeExistsError);
    await expect(zk.create(`${path}/child`)).rejects.toThrow(NoChildrenForEphemeralsError);
    await expect(zk.delete(parent)).rejects.toThrow(NotEmptyError);
    await expect(zk.setData(path, '', { version: 9 })).rejects.toThrow(BadVersionError);
    await expect(zk.getData(`${path}-no`)).rejects.toThrow(NoNodeError);
    await expect(zk.getData(`${path}-no`)).rejects.toMatchObject({ code: 'NO_NODE', path: `${path}-no` });
  });

  test('a multi is applied as a whole or not at all', async () => {
    const zk = await connected();
    const path = newPath();
    const results = await zk.multi([
      { kind: 'create', path, data: 'a' },
      { kind: 'setData', path, data: 'b', version: 0 },
      { kind: 'check', path, version: 1 },
      { kind: 'create', path: `${path}/n-`, mode: CreateMode.PERSISTENT_SEQUENTIAL },
    ]);
    expect(results.map(({ kind }) => kind)).toEqual(['create', 'setData', 'check', 'create']);
    expect(results[3]).toMatchObject({ path: `${path}/n-0000000000` });
    const failed = zk.multi([
      { kind: 'setData', path, data: 'c' },
      { kind: 'check', path, version: 1 },
      { kind: 'delete', path },
    ]);
    await expect(failed).rejects.toThrow(BadVersionError);
    await expect(failed).rejects.toMatchObject({ path });
    expect((await zk.getData(path)).data.toString()).toBe('b');
    expect(await zk.multi([])).toEqual([]);
  });

  test('identities open what an ACL closes', async () => {
    const owner = await connected();
    const path = newPath();
    await owner.addAuth('digest', 'bob:pw');
    await owner.create(path, { acl: CREATOR_ALL_ACL, data: 'secret' });
    expect((await owner.getACL(path)).acl).toEqual([
      { perms: 31, id: { scheme: 'digest', id: 'bob:ikIaKsbtGweaHnb/jKn7OHqbunM=' } },
    ]);
    const other = await connected();
    await expect(other.getData(path)).rejects.toThrow(NoAuthError);
    expect(await owner.setACL(path, OPEN_ACL, { version: 0 })).toMatchObject({ aversion: 1 });
    expect((await other.getData(path)).data.toString()).toBe('secret');
    await expect(other.addAuth('nonsense', 'x')).rejects.toMatchObject({ code: 'AUTH_FAILED' });
    expect(other.state).toBe('AUTH_FAILED');
  });

  test('a chroot is invisible to its client', async () => {
    const root = await connected();
    const chroot = newPath();
    await root.create(chroot);
    const zk = await connected({ connectString: `${server.connectString}${chroot}` });
    const { watcher, next } = watch();
    expect((await zk.create('/a')).path).toBe('/a');
    await zk.getData('/a', { watcher });
    const event = next();
    await root.setData(`${chroot}/a`, 'changed');
    expect(await event).toEqual({ type: EventType.NodeDataChanged, state: KeeperState.SyncConnected, path: '/a' });
    expect((await zk.getChildren('/')).children).toEqual(['a']);
    const sequential = await zk.create('/', { mode: CreateMode.EPHEMERAL_SEQUENTIAL });
    expect(sequential.path).toMatch(/^\/\d{10}$/);
  });

  test('watches fire once, for data, existence and children', async () => {
    const zk = await connected();
    const path = newPath();
    const exist = watch();
    expect(await zk.exists(path, { watcher: exist.watcher })).toBeUndefined();
    await zk.create(path);
    const data = watch();
    const child = watch();
    await zk.getData(path, { watcher: data.watcher });
    await zk.getChildren(path, { watcher: child.watcher });
    await zk.setData(path, 'b');
    await zk.setData(path, 'c');
    await zk.create(`${path}/a`);
    await zk.create(`${path}/b`);
    const types = [exist, data, child].map(({ events }) => events.map(({ type }) => type));
    expect(types).toEqual([[EventType.NodeCreated], [EventType.NodeDataChanged], [EventType.NodeChildrenChanged]]);
  });

  test('a persistent recursive watch sees the whole subtree', async () => {
    const zk = await connected();
    const path = newPath();
    const { watcher, events } = watch();
    await zk.addWatch(path, watcher, { recursive: true });
    await zk.create(path);
    await zk.create(`${path}/a`);
    await zk.setData(`${path}/a`, 'x');
    await zk.delete(`${path}/a`);
    expect(events.map((event) => [event.type, event.path])).toEqual([
      [EventType.NodeCreated, path],
      [EventType.NodeCreated, `${path}/a`],
      [EventType.NodeDataChanged, `${path}/a`],
      [EventType.NodeDeleted, `${path}/a`],
    ]);
  });

  test('many requests of one tick are answered in order', async () => {
    const zk = await connected();
    const path = newPath();
    await zk.create(path);
    const stats = await Promise.all(Array.from({ length: 300 }, (_, i) => zk.setData(path, String(i))));
    expect(stats.map(({ version }) => version)).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
  });

  test('an idle session lives by its pings, and its lease moves on', async () => {
    const zk = await connected({ sessionTimeoutMs: 1000 });
    const { leaseEnd } = zk;
    const path = newPath();
    await zk.create(path, { mode: CreateMode.EPHEMERAL });
    await sleep(2500);
    expect(zk.state).toBe('CONNECTED');
    expect(zk.leaseEnd).toBeGreaterThan(leaseEnd + 1500);
    expect(zk.leaseEnd).toBeGreaterThan(zk.clock.now());
    expect(await zk.exists(path)).toBeDefined();
  });

  test('close deletes the ephemerals at once', async () => {
    const zk = await connected();
    const other = await connected();
    const path = newPath();
    await zk.create(path, { mode: CreateMode.EPHEMERAL });
    const pending = zk.getData(path);
    await zk.close();
    await pending;
    expect(zk.state).toBe('CLOSED');
    expect(await other.exists(path)).toBeUndefined();
  });

  test('abandon leaves the ephemerals until the session times out', async () => {
    const zk = await connected({ sessionTimeoutMs: 1000 });
    const other = await connected();
    const path = newPath();
    await zk.create(path, { mode: CreateMode.EPHEMERAL });
    const { watcher, next } = watch();
    await other.exists(path, { watcher });
    const deleted = next();
    const { leaseEnd } = zk;
    zk.abandon();
    await expect(zk.getData(path)).rejects.toThrow(SessionExpiredError);
    expect(await other.exists(path)).toBeDefined();
    expect(await deleted).toMatchObject({ type: EventType.NodeDeleted, path });
    // Both clients have the same clock: the server must not have been earlier than the lease.
    expect(other.clock.now()).toBeGreaterThanOrEqual(leaseEnd);
  });

  test('a session can be taken over, and the one who lost it finds out', async () => {
    const zk = await connected();
    const path = newPath();
    await zk.create(path, { mode: CreateMode.EPHEMERAL });
    const session = { id: zk.sessionId, password: zk.sessionPassword };
    const lost = until(zk, KeeperState.Disconnected);
    const heir = await connected({ session });
    expect(heir.sessionId).toBe(zk.sessionId);
    await lost;
    await heir.close();
    await until(zk, KeeperState.Expired);
    expect(zk.state).toBe('CLOSED');
    expect(zk.leaseEnd).toBe(Number.NEGATIVE_INFINITY);
  });

  test('a wrong password is an expired session', async () => {
    const zk = await connected();
    const thief = open({ session: { id: zk.sessionId, password: Buffer.alloc(16) } });
    const read = thief.getData('/');
    await expect(read).rejects.toThrow(SessionExpiredError);
    expect(thief.state).toBe('CLOSED');
  });

  test('nobody there: calls fail with the host and the reason', async () => {
    const zk = open({ connectString: '127.0.0.1:1,name.invalid:2' });
    await expect(zk.getData('/')).rejects.toThrow(ConnectionLossError);
    await expect(zk.getData('/')).rejects.toThrow(/127\.0\.0\.1:1: connect ECONNREFUSED|name\.invalid:2: getaddrinfo/);
  });

  test('a crash of the server: the session, its ephemerals and its watches live on, and what was missed is told', async () => {
    const zk = await connected({ sessionTimeoutMs: 10_000 });
    const path = newPath();
    const { watcher, events } = watch();
    const { sessionId } = zk;
    await zk.create(path, { mode: CreateMode.EPHEMERAL });
    await zk.getData(path, { watcher });
    await zk.exists(`${path}-later`, { watcher });
    const lost = until(zk, KeeperState.Disconnected);
    await server.kill();
    await lost;
    await expect(zk.getData(path)).rejects.toThrow(ConnectionLossError);
    const back = until(zk, KeeperState.SyncConnected);
    await server.restart();
    await back;
    expect(zk.sessionId).toBe(sessionId);
    expect((await zk.exists(path))?.ephemeralOwner).toBe(sessionId);
    await zk.setData(path, 'changed');
    await zk.create(`${path}-later`);
    expect(events.map((event) => [event.type, event.state, event.path])).toEqual([
      [EventType.None, KeeperState.Disconnected, ''],
      [EventType.None, KeeperState.SyncConnected, ''],
      [EventType.NodeDataChanged, KeeperState.SyncConnected, path],
      [EventType.NodeCreated, KeeperState.SyncConnected, `${path}-later`],
    ]);
  });

  test('a server that falls silent: Disconnected before the lease is over', async () => {
    const zk = await connected({ sessionTimeoutMs: 3000 });
    const lost = until(zk, KeeperState.Disconnected);
    const pending = zk.clock.now();
    server.pause();
    try {
      await lost;
      expect(zk.clock.now()).toBeLessThan(zk.leaseEnd);
      expect(zk.clock.now() - pending).toBeGreaterThan(900);
    } finally {
      server.resume();
    }
    await until(zk, KeeperState.SyncConnected);
  });

  test('five thousand watches survive a reconnect', async () => {
    const zk = await connected({ sessionTimeoutMs: 10_000 });
    const path = newPath();
    await zk.create(path);
    const { watcher, events } = watch();
    const names = Array.from({ length: 5000 }, (_, i) => `${path}/${'watched-'.repeat(6)}${i}`);
    await Promise.all(names.map((name) => zk.exists(name, { watcher })));
    const back = until(zk, KeeperState.Disconnected).then(() => until(zk, KeeperState.SyncConnected));
    await server.restart();
    await back;
    await zk.sync('/');
    expect(await server.ask('wchs')).toContain('Total watches:5000');
    await zk.create(names[4999] ?? '');
    expect(events.at(-1)).toMatchObject({ type: EventType.NodeCreated, path: names[4999] });
  });
});
