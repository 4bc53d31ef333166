/** What goes beyond the first slice, against a real Apache ZooKeeper: the rarer operations of the protocol, and the framework's words for them. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  BadVersionError,
  CREATOR_ALL_ACL,
  CreateMode,
  type CuratorFramework,
  connect,
  DataInconsistencyError,
  EventType,
  type FrameworkOptions,
  NoAuthError,
  NodeExistsError,
  NoNodeError,
  NoWatcherError,
  READ_ACL,
  ReconfigDisabledError,
  RetryNTimes,
  type WatchedEvent,
  WatcherType,
} from 'zookeeper-client-ts';
import { LeaderLatch, OwnershipLostError } from 'zookeeper-recipes-ts';
import { type ApacheZooKeeper, startApacheZooKeeper, whyNoApacheZooKeeper } from './apache-zookeeper.ts';

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`skipped: no Apache ZooKeeper here: ${missing}`);

describe.skipIf(missing !== undefined)('client operations with Apache ZooKeeper', () => {
  let server: ApacheZooKeeper;
  beforeAll(async () => {
    server = await startApacheZooKeeper({ config: { extendedTypesEnabled: 'true' } });
  });
  afterAll(() => server.stop());

  const opened: CuratorFramework[] = [];
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((client) => client.close()));
  });

  let count = 0;
  /** A client in a part of the tree of its own. */
  async function connected(options: FrameworkOptions = {}, chroot = ''): Promise<CuratorFramework> {
    const client = await connect(server.connectString + chroot, {
      sessionTimeoutMs: 4000,
      connectionTimeoutMs: 3000,
      retry: new RetryNTimes(3, 200),
      namespace: `operations-${++count}`,
      ...options,
    });
    opened.push(client);
    return client;
  }

  const listen = () => {
    const events: WatchedEvent[] = [];
    const told: (() => void)[] = [];
    const watcher = (event: WatchedEvent) => {
      if (event.type === EventType.None) return;
      events.push(event);
      for (const tell of told.splice(0)) tell();
    };
    return { events, watcher, next: () => new Promise<void>((resolve) => told.push(resolve)) };
  };

  it('a transaction is applied as a whole, in both styles', async () => {
    const client = await connected();
    const results = await client.transaction([
      client.op.create('/a', { data: 'one' }),
      client.op.create('/a/n-', { mode: 'PERSISTENT_SEQUENTIAL' }),
      client.op.setData('/a', 'two', { version: 0 }),
      client.op.check('/a', { version: 1 }),
      client.op.delete('/a/n-0000000000'),
    ]);
    expect(results.map(({ kind }) => kind)).toEqual(['create', 'create', 'setData', 'check', 'delete']);
    expect(results.slice(0, 2)).toMatchObject([{ path: '/a' }, { path: '/a/n-0000000000' }]);
    expect((await client.getData('/a')).data.toString()).toBe('two');
    const transaction = client.transaction();
    transaction.create().withMode('EPHEMERAL').forPath('/b', 'x').and().check().withVersion(1).forPath('/a');
    expect(await transaction.setData().forPath('/b', 'y').and().delete().forPath('/a').and().commit()).toHaveLength(4);
    expect(await client.getChildren('/')).toEqual(['b']);
    await expect(transaction.commit()).rejects.toThrow('committed before');
  });

  it('a transaction that is refused leaves nothing, and tells what became of each operation', async () => {
    const client = await connected();
    const refused = client.transaction([client.op.create('/a'), client.op.delete('/none'), client.op.create('/b')]);
    await expect(refused).rejects.toBeInstanceOf(NoNodeError);
    await expect(refused).rejects.toMatchObject({ operationCodes: ['OK', 'NO_NODE', 'RUNTIME_INCONSISTENCY'] });
    expect(await client.getChildren('/')).toEqual([]);
  });

  it('creates with orSetData and idempotent', async () => {
    const client = await connected();
    expect(await client.create('/x/y', { data: '1', parents: true, orSetData: true })).toBe('/x/y');
    expect(await client.create().orSetData().storingStat().forPath('/x/y', '2')).toMatchObject({
      stat: { version: 1 },
    });
    await expect(client.create('/x/y', { data: '3', orSetData: { version: 0 } })).rejects.toBeInstanceOf(
      BadVersionError,
    );
    await expect(client.create().idempotent().forPath('/x/y', '2')).rejects.toBeInstanceOf(NodeExistsError);
    await client.create('/z', { data: '1' });
    expect(await client.create('/z', { data: '1', idempotent: true })).toBe('/z');
    await expect(client.create('/z', { data: '2', idempotent: true })).rejects.toBeInstanceOf(NodeExistsError);
    await expect(client.create('/z', { data: '1', mode: 'EPHEMERAL', idempotent: true })).rejects.toBeInstanceOf(
      NodeExistsError,
    );
  });

  it('writes idempotently, and makes znodes with a time to live', async () => {
    const client = await connected();
    await client.create('/a', { data: '0' });
    await client.setData('/a', '1', { version: 0 });
    expect(await client.setData('/a', '1', { version: 0, idempotent: true })).toMatchObject({ version: 1 });
    await expect(client.setData('/a', '2', { version: 0, idempotent: true })).rejects.toBeInstanceOf(BadVersionError);
    expect(await client.create().withMode('PERSISTENT_WITH_TTL').withTtl(60_000).forPath('/t')).toBe('/t');
    await client.delete().idempotent().forPath('/none');
  });

  it('compresses and decompresses', async () => {
    const client = await connected({ enableCompression: true });
    const text = 'compress me '.repeat(100);
    await client.create('/a', { data: text });
    expect((await client.getData('/a')).data.toString()).toBe(text);
    const raw = await client.getData().undecompressed().forPath('/a');
    expect(raw.length).toBeLessThan(100);
    expect([...raw.subarray(0, 3)]).toEqual([0x1f, 0x8b, 8]);
    await client.setData().uncompressed().forPath('/a', text);
    await expect(client.getData('/a')).rejects.toBeInstanceOf(DataInconsistencyError);
    await client.transaction([client.op.setData('/a', 'x'.repeat(1000))]);
    expect((await client.getData('/a')).stat.dataLength).toBeLessThan(100);
  });

  it('takes its identity into every session, and reads and sets ACLs', async () => {
    const namespace = `operations-${++count}`;
    const authorization = [{ scheme: 'digest', auth: 'bob:pw' }];
    const client = await connected({ namespace, authorization });
    await client.create('/mine', { acl: CREATOR_ALL_ACL });
    expect(await client.getACL('/mine')).toMatchObject({ acl: [{ id: { scheme: 'digest' } }], stat: { aversion: 0 } });
    expect(await client.zookeeper.whoAmI()).toContainEqual({ authScheme: 'digest', user: 'bob' });
    const stranger = await connected({ namespace });
    await expect(stranger.getData('/mine')).rejects.toBeInstanceOf(NoAuthError);

    const reconnected = new Promise<void>((resolve) => {
      client.on('state', (state) => state === 'RECONNECTED' && resolve());
    });
    client.zookeeper.abandon();
    await reconnected;
    await client.getData('/mine');
    expect(await client.setACL().withVersion(0).withACL(READ_ACL).forPath('/mine')).toMatchObject({ aversion: 1 });
    await stranger.getData('/mine');
  });

  it('gives parents the ACLs that the provider says, unless told otherwise', async () => {
    const aclProvider = { getDefaultAcl: () => CREATOR_ALL_ACL, getAclForPath: () => undefined };
    const client = await connected({
      aclProvider,
      authorization: [{ scheme: 'digest', auth: 'bob:pw' }],
      namespace: '',
    });
    const root = `/acl-${++count}`;
    await client.create(`${root}/a/b`, { parents: true, acl: READ_ACL });
    const schemes = async (path: string) => (await client.getACL(path)).acl.map(({ id }) => id.scheme);
    expect([await schemes(root), await schemes(`${root}/a`), await schemes(`${root}/a/b`)]).toEqual([
      ['digest'],
      ['digest'],
      ['world'],
    ]);
    const open = [...READ_ACL, ...CREATOR_ALL_ACL];
    await client.create().creatingParentsIfNeeded().withACL(open, true).forPath(`${root}/c/d`);
    expect(await schemes(`${root}/c`)).toEqual(['world', 'digest']);
  });

  it('leaves persistent watches and takes watches away', async () => {
    const client = await connected();
    const { events, watcher, next } = listen();
    await client.create('/a');
    await client.watches().add().withMode('PERSISTENT_RECURSIVE').usingWatcher(watcher).forPath('/a');
    let told = next();
    await client.create('/a/b');
    await told;
    told = next();
    await client.setData('/a/b', 'x');
    await told;
    expect(events.map(({ type, path }) => [type, path])).toEqual([
      [EventType.NodeCreated, '/a/b'],
      [EventType.NodeDataChanged, '/a/b'],
    ]);
    await client.removeWatches('/a', { watcher });
    await client.delete('/a', { children: true });
    await client.sync('/');
    expect(events.map(({ type }) => type).slice(2)).toEqual([EventType.PersistentWatchRemoved]);
    await expect(client.watches().removeAll().forPath('/a')).rejects.toBeInstanceOf(NoWatcherError);
    await client.watches().removeAll().quietly().forPath('/a');
  });

  it('takes away one kind of watch and keeps the other', async () => {
    const client = await connected();
    await client.create('/a');
    const data = listen();
    const children = listen();
    await client.getData('/a', { watcher: data.watcher });
    await client.getChildren('/a', { watcher: children.watcher });
    await client.watches().removeAll().ofType(WatcherType.Data).forPath('/a');
    const told = children.next();
    await client.setData('/a', 'x');
    await client.create('/a/b');
    await told;
    expect(data.events.map(({ type }) => type)).toEqual([EventType.DataWatchRemoved]);
    expect(children.events).toMatchObject([{ type: EventType.NodeChildrenChanged, path: '/a' }]);
  });

  it('a view takes its watches away, and no others', async () => {
    const client = await connected();
    await client.create('/a');
    const view = client.newWatcherRemoveCuratorFramework();
    const [mine, others] = [listen(), listen()];
    await view.getData('/a', { watcher: mine.watcher });
    await view.checkExists('/none', { watcher: mine.watcher });
    await client.getData('/a', { watcher: others.watcher });
    await view.removeWatchers();
    const told = others.next();
    await client.setData('/a', 'x');
    await told;
    expect(mine.events.map(({ type }) => type)).toEqual([EventType.DataWatchRemoved, EventType.DataWatchRemoved]);
    expect(others.events.map(({ type }) => type)).toEqual([EventType.NodeDataChanged]);
  });

  it('tells of what is watched without a watcher', async () => {
    const client = await connected();
    await client.create('/a');
    const watched = new Promise<WatchedEvent>((resolve) => client.on('watched', resolve));
    await client.getData().watched().forPath('/a');
    await client.setData('/a', 'x');
    expect(await watched).toMatchObject({ type: EventType.NodeDataChanged, path: '/a' });
  });

  it('reads several things at once, ephemerals and numbers, also in a chroot', async () => {
    const root = await connected({ namespace: '' });
    const chroot = `/chroot-${++count}`;
    await root.create(chroot);
    await root.create(`${chroot}sibling`);
    const client = await connected({ namespace: '' }, chroot);
    await client.create('/a', { data: 'x' });
    await client.create('/a/e', { mode: CreateMode.EPHEMERAL });
    const { zookeeper } = client;
    const reads = await zookeeper.multiRead([
      { kind: 'getData', path: '/a' },
      { kind: 'getChildren', path: '/a' },
      { kind: 'getData', path: '/none' },
    ]);
    expect(reads).toMatchObject([
      { kind: 'getData', data: Buffer.from('x') },
      { kind: 'getChildren', children: ['e'] },
      { kind: 'error', error: { code: 'NO_NODE', path: '/none' } },
    ]);
    expect(await zookeeper.getEphemerals()).toEqual(['/a/e']);
    expect(await zookeeper.getEphemerals('/b')).toEqual([]);
    expect(await zookeeper.getAllChildrenNumber('/')).toBe(2);
  });

  it('reads the configuration; reconfiguration is refused where it is not allowed', async () => {
    const client = await connected();
    expect(await client.getConfig().forEnsemble()).toBeInstanceOf(Buffer);
    expect(await client.getConfig({})).toMatchObject({ stat: { ephemeralOwner: 0n } });
    await expect(client.reconfig({ leaving: ['3'] })).rejects.toBeInstanceOf(ReconfigDisabledError);
    await client.sync('/');
  });

  it('makes parents before it looks, and containers', async () => {
    const client = await connected();
    expect(await client.checkExists('/a/b/c', { parents: true })).toBeUndefined();
    expect(await client.getChildren('/a')).toEqual(['b']);
    await client.createContainers('/c/d');
    expect(await client.getChildren('/c')).toEqual(['d']);
  });

  it('moves to another list of servers without a new session', async () => {
    const client = await connected();
    const { zookeeper, sessionId } = client;
    const other = server.connectString.replace('127.0.0.1', 'localhost');
    zookeeper.updateServerList(other);
    await expect.poll(() => client.state).toBe('RECONNECTED');
    expect(client.sessionId).toBe(sessionId);
    expect(zookeeper.connectString).toBe(other);
    expect(() => zookeeper.updateServerList(`${other}/elsewhere`)).toThrow('chroot');
  });

  it('a leader writes only as long as it leads', async () => {
    const client = await connected();
    await client.create('/state');
    await using latch = new LeaderLatch(client, '/leader').start();
    const leadership = await latch.leadership();
    expect(await leadership.transaction([leadership.op.setData('/state', 'mine')])).toMatchObject([
      { kind: 'setData' },
    ]);
    await client.delete(leadership.path);
    await expect(leadership.transaction([leadership.op.setData('/state', 'late')])).rejects.toBeInstanceOf(
      OwnershipLostError,
    );
    expect((await client.getData('/state')).data.toString()).toBe('mine');
  });
});
