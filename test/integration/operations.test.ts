/** Every operation of the client protocol, as clients see it; sessions, watches and bad input are in server.test.ts. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type Acl,
  AddWatchMode,
  CREATOR_ALL_ACL,
  CreateMode,
  ErrorCode,
  EventType,
  type Id,
  type MultiOperation,
  OPEN_ACL,
  OpCode,
  operations,
  Permission,
  READ_ACL,
  SpecialXid,
  WatcherType,
  ZERO_ZXID,
} from 'zookeeper-protocol-ts';
import { type RunLog, ZooKeeperServer, type ZooKeeperServerOptions } from 'zookeeper-server-ts';
import { RawConnection } from './raw-connection.ts';

let folder: string;
let server: ZooKeeperServer;
let lines: string[];
let open: RawConnection[];

const startServer = (options: Partial<ZooKeeperServerOptions> = {}): Promise<ZooKeeperServer> => {
  const log = (line: string) => void lines.push(line);
  const runLog: RunLog = { info: log, warn: log, error: log };
  return ZooKeeperServer.start({
    dataDir: folder,
    clientPort: 0,
    clientPortAddress: '127.0.0.1',
    tickTimeMs: 500,
    preallocateBytes: 64 * 1024,
    runLog,
    ...options,
  });
};

const restart = async (options: Partial<ZooKeeperServerOptions>): Promise<void> => {
  await server.close();
  server = await startServer(options);
};

beforeEach(async () => {
  lines = [];
  open = [];
  folder = await mkdtemp(join(tmpdir(), 'zkserver-operations-'));
  server = await startServer();
});

afterEach(async () => {
  for (const connection of open) connection.destroy();
  await server.close();
  await rm(folder, { recursive: true });
});

const connect = async (): Promise<RawConnection> => {
  const { connection } = await RawConnection.withSession(server.address.port);
  open.push(connection);
  return connection;
};

const text = (value: string): Buffer => Buffer.from(value);

const create = (
  connection: RawConnection,
  path: string,
  {
    data = 'x',
    flags = CreateMode.PERSISTENT,
    acl = OPEN_ACL,
  }: { data?: string; flags?: number; acl?: readonly Acl[] } = {},
) => connection.call(operations.create2, { path, data: text(data), acl, flags });

const setData = (connection: RawConnection, path: string, data = 'y', version = -1) =>
  connection.call(operations.setData, { path, data: text(data), version });

const getData = (connection: RawConnection, path: string) =>
  connection.call(operations.getData, { path, watch: false });

const exists = async (connection: RawConnection, path: string): Promise<boolean> =>
  (await connection.call(operations.exists, { path, watch: false })).err === ErrorCode.OK;

const authenticate = (connection: RawConnection, credentials: string, scheme = 'digest') =>
  connection.call(operations.auth, { type: 0, scheme, auth: text(credentials) }, { xid: SpecialXid.auth });

const whoAmI = async (connection: RawConnection): Promise<string[]> => {
  const { body } = await connection.call(operations.whoAmI, undefined);
  return (body?.clientInfo ?? []).map(({ authScheme, user }) => `${authScheme}/${user}`);
};

const BOB: Id = { scheme: 'digest', id: 'bob:ikIaKsbtGweaHnb/jKn7OHqbunM=' };
const ANYONE: Id = { scheme: 'world', id: 'anyone' };

describe('authentication', () => {
  it('by digest gives the connection an identity beside its address, answered with zxid 0', async () => {
    const connection = await connect();
    expect(await whoAmI(connection)).toEqual(['ip/127.0.0.1']);
    expect(await authenticate(connection, 'bob:pw')).toMatchObject({ err: ErrorCode.OK, zxid: ZERO_ZXID });
    expect(await whoAmI(connection)).toEqual(['ip/127.0.0.1', 'digest/bob']);
  });

  it('gives one more identity each time, the same one once, and any of them opens a znode', async () => {
    const connection = await connect();
    for (const credentials of ['bob:pw', 'ann:pw', 'bob:pw']) await authenticate(connection, credentials);
    expect(await whoAmI(connection)).toEqual(['ip/127.0.0.1', 'digest/bob', 'digest/ann']);
    await create(connection, '/both', { acl: CREATOR_ALL_ACL });
    const bob = await connect();
    await authenticate(bob, 'bob:pw');
    expect((await getData(bob, '/both')).err).toBe(ErrorCode.OK);
    expect((await getData(await connect(), '/both')).err).toBe(ErrorCode.NO_AUTH);
  });

  it('counts for what is sent behind it, and not for what is sent before', async () => {
    const connection = await connect();
    const before = create(connection, '/before', { acl: CREATOR_ALL_ACL });
    const auth = authenticate(connection, 'bob:pw');
    const behind = create(connection, '/behind', { acl: CREATOR_ALL_ACL });
    await Promise.allSettled([before, auth, behind]);
    expect(await exists(connection, '/before')).toBe(false);
    expect(await exists(connection, '/behind')).toBe(true);
  });

  it('does not wait for the writes in front of it', async () => {
    const connection = await connect();
    void create(connection, '/a');
    void authenticate(connection, 'bob:pw').catch(() => undefined);
    await connection.ping().catch(() => undefined);
    expect(connection.arrivals.indexOf('reply -4')).toBeLessThan(connection.arrivals.indexOf('reply 1'));
  });

  it.each(['world', 'auth', 'super', 'sasl', 'x509', 'magic'])(
    'by the scheme %s fails, and ends the connection behind the answer',
    async (scheme) => {
      const connection = await connect();
      expect(await authenticate(connection, 'anyone', scheme)).toMatchObject({ err: ErrorCode.AUTH_FAILED });
      await connection.closed;
    },
  );

  it('that can not be read, or brings too many identities, ends the connection', async () => {
    const malformed = await connect();
    void malformed.callRaw(OpCode.auth, Buffer.from([0, 0]));
    await malformed.closed;
    const greedy = await connect();
    const long = `u${'x'.repeat(10_000)}`;
    expect((await authenticate(greedy, `${long}1:pw`)).err).toBe(ErrorCode.OK);
    expect((await authenticate(greedy, `${long}2:pw`)).err).toBe(ErrorCode.AUTH_FAILED);
    await greedy.closed;
  });

  it('as the super digest passes everywhere', async () => {
    await restart({ superDigest: 'super:D/InIHSb7yEEbrWz8b9l71RjZJU=' });
    const owner = await connect();
    await create(owner, '/mine', { acl: [{ perms: Permission.ALL, id: BOB }] });
    const connection = await connect();
    await authenticate(connection, 'super:wrong');
    expect((await getData(connection, '/mine')).err).toBe(ErrorCode.NO_AUTH);
    await authenticate(connection, 'super:test');
    expect(await whoAmI(connection)).toContain('super/');
    expect((await getData(connection, '/mine')).err).toBe(ErrorCode.OK);
    expect((await setData(connection, '/zookeeper/config')).err).toBe(ErrorCode.OK);
  });

  it('by SASL is answered without a token, and proves nothing', async () => {
    const connection = await connect();
    const reply = await connection.call(operations.sasl, { token: text('') });
    expect(reply).toMatchObject({ err: ErrorCode.OK, zxid: ZERO_ZXID, body: { token: null } });
    expect(await whoAmI(connection)).toEqual(['ip/127.0.0.1']);
  });
});

describe('an ACL', () => {
  const acl: readonly Acl[] = [
    { perms: Permission.ALL, id: BOB },
    { perms: Permission.READ, id: ANYONE },
  ];

  it('is shown whole to who has ADMIN, without hashes to who has READ, and not at all to others', async () => {
    const connection = await connect();
    const bob = await connect();
    await authenticate(bob, 'bob:pw');
    await create(connection, '/a', { acl });
    expect((await bob.call(operations.getACL, { path: '/a' })).body?.acl).toEqual(acl);
    expect((await connection.call(operations.getACL, { path: '/a' })).body?.acl).toEqual([
      { perms: Permission.ALL, id: { scheme: 'digest', id: 'bob:x' } },
      { perms: Permission.READ, id: ANYONE },
    ]);
    await create(connection, '/b', { acl: acl.slice(0, 1) });
    expect((await connection.call(operations.getACL, { path: '/b' })).err).toBe(ErrorCode.NO_AUTH);
    expect((await connection.call(operations.getACL, { path: '/c' })).err).toBe(ErrorCode.NO_NODE);
  });

  it('is changed by who has ADMIN, under a version of its own, and nobody is told', async () => {
    const connection = await connect();
    await create(connection, '/a');
    await connection.call(operations.getData, { path: '/a', watch: true });
    const setAcl = (version: number) => connection.call(operations.setACL, { path: '/a', acl: READ_ACL, version });
    expect((await setAcl(7)).err).toBe(ErrorCode.BAD_VERSION);
    expect((await setAcl(0)).body?.stat).toMatchObject({ aversion: 1, version: 0 });
    expect((await setAcl(1)).err).toBe(ErrorCode.NO_AUTH);
    expect((await setData(connection, '/a')).err).toBe(ErrorCode.NO_AUTH);
    expect(connection.events).toEqual([]);
    await restart({});
    expect((await setData(await connect(), '/a')).err).toBe(ErrorCode.NO_AUTH);
  });

  it('does not count where ACLs are skipped, but has to be valid', async () => {
    await restart({ skipAcl: true });
    const connection = await connect();
    await create(connection, '/a', { acl: [{ perms: 0, id: BOB }] });
    expect((await setData(connection, '/a')).err).toBe(ErrorCode.OK);
    expect((await connection.call(operations.getACL, { path: '/a' })).body?.acl).toEqual([{ perms: 0, id: BOB }]);
    expect((await create(connection, '/b', { acl: [] })).err).toBe(ErrorCode.INVALID_ACL);
    expect(await whoAmI(connection)).toEqual(['ip/127.0.0.1']);
  });
});

describe('a multi', () => {
  const put = { data: text('d'), acl: OPEN_ACL };
  const multi = (connection: RawConnection, parts: readonly MultiOperation[]) =>
    connection.call(operations.multi, parts);
  const creating = (path: string, flags = 0): MultiOperation => ({
    type: OpCode.create,
    request: { path, ...put, flags },
  });

  it('does all of its parts under one zxid, and answers each', async () => {
    const connection = await connect();
    const reply = await multi(connection, [
      creating('/m'),
      { type: OpCode.create2, request: { path: '/m/s-', ...put, flags: CreateMode.EPHEMERAL_SEQUENTIAL } },
      { type: OpCode.createContainer, request: { path: '/m/c', ...put, flags: CreateMode.CONTAINER } },
      { type: OpCode.setData, request: { path: '/m', data: text('new'), version: 0 } },
      { type: OpCode.check, request: { path: '/m', version: 1 } },
      { type: OpCode.delete, request: { path: '/m/c', version: 0 } },
    ]);
    const { zxid } = reply;
    expect(reply).toMatchObject({
      err: ErrorCode.OK,
      body: [
        { type: OpCode.create, path: '/m' },
        { type: OpCode.create, path: '/m/s-0000000000' },
        { type: OpCode.create2, path: '/m/c', stat: { ephemeralOwner: 0n } },
        { type: OpCode.setData, stat: { version: 1, mzxid: zxid, numChildren: 2 } },
        { type: OpCode.check },
        { type: OpCode.delete },
      ],
    });
    expect((await getData(connection, '/m')).body?.stat).toMatchObject({ czxid: zxid, mzxid: zxid, pzxid: zxid });
  });

  it('that fails does nothing, takes one zxid, and answers the codes under a header without error', async () => {
    const connection = await connect();
    await create(connection, '/m');
    const { zxid } = await connection.ping();
    const reply = await multi(connection, [
      creating('/m/a', CreateMode.EPHEMERAL),
      { type: OpCode.check, request: { path: '/m', version: 9 } },
      { type: OpCode.delete, request: { path: '/m/a', version: -1 } },
    ]);
    expect(reply).toMatchObject({
      err: ErrorCode.OK,
      zxid: zxid + 1n,
      body: [ErrorCode.OK, ErrorCode.BAD_VERSION, ErrorCode.RUNTIME_INCONSISTENCY].map((err) => ({
        type: OpCode.error,
        err,
      })),
    });
    expect(await exists(connection, '/m/a')).toBe(false);
    expect((await create(connection, '/m/s-', { flags: 2 })).body?.path).toBe('/m/s-0000000000');
  });

  it('may be empty, may undo itself, and tells watchers of each step in order', async () => {
    const connection = await connect();
    expect(await multi(connection, [])).toMatchObject({ err: ErrorCode.OK, body: [] });
    await connection.call(operations.addWatch, { path: '/', mode: AddWatchMode.PERSISTENT_RECURSIVE });
    await multi(connection, [
      creating('/m'),
      { type: OpCode.delete, request: { path: '/m', version: 0 } },
      creating('/m', CreateMode.EPHEMERAL),
    ]);
    expect(connection.events.map(({ type, path }) => [type, path])).toEqual([
      [EventType.NodeCreated, '/m'],
      [EventType.NodeDeleted, '/m'],
      [EventType.NodeCreated, '/m'],
    ]);
  });

  it('of what may not be in it is malformed', async () => {
    const connection = await connect();
    const reading: MultiOperation = { type: OpCode.getData, request: { path: '/', watch: false } };
    expect((await multi(connection, [creating('/m'), reading])).err).toBe(ErrorCode.MARSHALLING_ERROR);
    expect((await connection.callRaw(OpCode.multi, Buffer.alloc(0))).err).toBe(ErrorCode.MARSHALLING_ERROR);
    expect(await exists(connection, '/m')).toBe(false);
  });

  it('is there again after a restart, and a failed one is not', async () => {
    const connection = await connect();
    await multi(connection, [creating('/a'), creating('/a/b')]);
    await multi(connection, [creating('/c'), creating('/a')]);
    await restart({});
    const later = await connect();
    expect([await exists(later, '/a/b'), await exists(later, '/c')]).toEqual([true, false]);
  });
});

describe('a multiRead', () => {
  it('answers every read for itself, and leaves no watches', async () => {
    const connection = await connect();
    await create(connection, '/a', { data: 'one' });
    await create(connection, '/a/b');
    await create(connection, '/secret', { acl: [{ perms: Permission.ALL, id: BOB }] });
    const { body } = await connection.call(operations.multiRead, [
      { type: OpCode.getData, request: { path: '/a', watch: true } },
      { type: OpCode.getChildren, request: { path: '/a', watch: true } },
      { type: OpCode.getData, request: { path: '/none', watch: true } },
      { type: OpCode.getChildren, request: { path: '/secret', watch: true } },
    ]);
    expect(body).toMatchObject([
      { type: OpCode.getData, data: text('one'), stat: { numChildren: 1 } },
      { type: OpCode.getChildren, children: ['b'] },
      { type: OpCode.error, err: ErrorCode.NO_NODE },
      { type: OpCode.error, err: ErrorCode.NO_AUTH },
    ]);
    await setData(connection, '/a');
    expect(connection.events).toEqual([]);
  });

  it('of a write is malformed, and an empty one is answered', async () => {
    const connection = await connect();
    const deleting: MultiOperation = { type: OpCode.delete, request: { path: '/a', version: -1 } };
    expect((await connection.call(operations.multiRead, [deleting])).err).toBe(ErrorCode.MARSHALLING_ERROR);
    expect(await connection.call(operations.multiRead, [])).toMatchObject({ err: ErrorCode.OK, body: [] });
  });

  it('of more than there may be in an answer is refused, and the server goes on', async () => {
    const connection = await connect();
    await create(connection, '/big', { data: 'x'.repeat(1_000_000) });
    const reads = Array.from(
      { length: 1000 },
      (): MultiOperation => ({
        type: OpCode.getData,
        request: { path: '/big', watch: false },
      }),
    );
    expect((await connection.call(operations.multiRead, reads)).err).toBe(ErrorCode.MARSHALLING_ERROR);
    expect((await connection.call(operations.multiRead, reads.slice(0, 10))).body).toHaveLength(10);
  });
});

describe('a check outside of a multi', () => {
  it('is refused like a write, and answered without a body when it holds', async () => {
    const connection = await connect();
    await create(connection, '/a');
    const check = (path: string, version: number) => connection.call(operations.check, { path, version });
    expect((await check('/a', 1)).err).toBe(ErrorCode.BAD_VERSION);
    expect((await check('/b', -1)).err).toBe(ErrorCode.NO_NODE);
    expect((await check('/a', 0)).err).toBe(ErrorCode.OK);
  });
});

describe('a znode with a time to live', () => {
  const createTtl = (connection: RawConnection, path: string, ttlMs: number) =>
    connection.call(operations.createTTL, {
      path,
      data: null,
      acl: OPEN_ACL,
      flags: CreateMode.PERSISTENT_WITH_TTL,
      ttlMs,
    });

  it('is not implemented unless extended types are enabled', async () => {
    expect((await createTtl(await connect(), '/t', 1)).err).toBe(ErrorCode.UNIMPLEMENTED);
  });

  it('goes when it was left alone for so long and has no children, and shows no owner', async () => {
    await restart({ extendedTypesEnabled: true, containerCheckIntervalMs: 20 });
    const connection = await connect();
    expect((await createTtl(connection, '/long', 60_000)).body?.stat.ephemeralOwner).toBe(0n);
    const put = { data: null, acl: OPEN_ACL };
    await connection.call(operations.multi, [
      {
        type: OpCode.createTTL,
        request: { path: '/parent', ...put, flags: CreateMode.PERSISTENT_WITH_TTL, ttlMs: 1 },
      },
      { type: OpCode.create, request: { path: '/parent/child', ...put, flags: 0 } },
    ]);
    await connection.call(operations.addWatch, { path: '/', mode: AddWatchMode.PERSISTENT_RECURSIVE });
    await createTtl(connection, '/short', 1);
    while (connection.events.length < 2) await connection.ping();
    expect(connection.events.map(({ type, path }) => [type, path])).toEqual([
      [EventType.NodeCreated, '/short'],
      [EventType.NodeDeleted, '/short'],
    ]);
    expect(await exists(connection, '/parent')).toBe(true);
    await connection.call(operations.delete, { path: '/parent/child', version: -1 });
    while (await exists(connection, '/parent')) await connection.ping();
    expect(await exists(connection, '/long')).toBe(true);
  });
});

describe('a container', () => {
  it('that never had a child goes after the time for that, if there is one, and one of several at each look', async () => {
    await restart({ containerCheckIntervalMs: 300, containerNeverUsedMsMax: 1, containersPerMinuteMax: 1 });
    const connection = await connect();
    await connection.call(operations.addWatch, { path: '/', mode: AddWatchMode.PERSISTENT_RECURSIVE });
    const containers = ['/c1', '/c2'].map((path) => ({
      type: OpCode.createContainer,
      request: { path, data: null, acl: OPEN_ACL, flags: CreateMode.CONTAINER },
    }));
    await connection.call(operations.multi, containers);
    while (connection.events.length < 3) await connection.ping();
    expect(await exists(connection, '/c2'), 'at most one at a look').toBe(true);
    while (connection.events.length < 4) await connection.ping();
    expect(connection.events.slice(2).map(({ type, path }) => [type, path])).toEqual([
      [EventType.NodeDeleted, '/c1'],
      [EventType.NodeDeleted, '/c2'],
    ]);
  });
});

describe('a watch', () => {
  it('is known by its kind and its connection, and checking leaves it', async () => {
    const connection = await connect();
    const other = await connect();
    await create(connection, '/w');
    await connection.call(operations.exists, { path: '/w', watch: true });
    const check = async (by: RawConnection, path: string, type: number) =>
      (await by.call(operations.checkWatches, { path, type })).err;
    expect(await check(connection, '/w', WatcherType.Data)).toBe(ErrorCode.OK);
    expect(await check(connection, '/w', WatcherType.Any)).toBe(ErrorCode.OK);
    expect(await check(connection, '/w', WatcherType.Children)).toBe(ErrorCode.NO_WATCHER);
    expect(await check(connection, '/', WatcherType.Data)).toBe(ErrorCode.NO_WATCHER);
    expect(await check(other, '/w', WatcherType.Data)).toBe(ErrorCode.NO_WATCHER);
    expect(await check(connection, '/w', 0)).toBe(ErrorCode.MARSHALLING_ERROR);
    await setData(other, '/w');
    await connection.ping();
    expect(connection.events).toHaveLength(1);
  });

  it('that is removed is not told of anything; one of another kind at the same path stays', async () => {
    const connection = await connect();
    await create(connection, '/w');
    await connection.call(operations.getData, { path: '/w', watch: true });
    await connection.call(operations.getChildren, { path: '/w', watch: true });
    const remove = async (type: number) => (await connection.call(operations.removeWatches, { path: '/w', type })).err;
    expect(await remove(WatcherType.Data)).toBe(ErrorCode.OK);
    expect(await remove(WatcherType.Data)).toBe(ErrorCode.NO_WATCHER);
    expect(await remove(9)).toBe(ErrorCode.MARSHALLING_ERROR);
    await setData(connection, '/w');
    await create(connection, '/w/child');
    expect(connection.events.map(({ type }) => type)).toEqual([EventType.NodeChildrenChanged]);
  });

  it('of all kinds is removed at once', async () => {
    const connection = await connect();
    await create(connection, '/w');
    for (const mode of Object.values(AddWatchMode)) await connection.call(operations.addWatch, { path: '/w', mode });
    await connection.call(operations.exists, { path: '/w', watch: true });
    await connection.call(operations.removeWatches, { path: '/w', type: WatcherType.Any });
    await setData(connection, '/w');
    await create(connection, '/w/child');
    expect(connection.events).toEqual([]);
  });

  it('of a mode that there is not is refused', async () => {
    const reply = await (await connect()).call(operations.addWatch, { path: '/w', mode: 2 });
    expect(reply.err).toBe(ErrorCode.MARSHALLING_ERROR);
  });
});

describe('what a session and a tree hold', () => {
  it.each([
    [null, ['/e1', '/e2', '/p/e3']],
    ['', ['/e1', '/e2', '/p/e3']],
    [' / ', ['/e1', '/e2', '/p/e3']],
    ['/e', ['/e1', '/e2']],
    ['/p/e3', ['/p/e3']],
    ['e', []],
  ])('ephemerals of the session, with the prefix %j', async (prefixPath, expected) => {
    const connection = await connect();
    await create(connection, '/p');
    for (const path of ['/e1', '/e2', '/p/e3']) await create(connection, path, { flags: CreateMode.EPHEMERAL });
    await create(await connect(), '/e4', { flags: CreateMode.EPHEMERAL });
    const { body } = await connection.call(operations.getEphemerals, { prefixPath });
    expect([...(body?.ephemerals ?? [])].sort()).toEqual(expected);
  });

  it('the number of all znodes below one that may be read', async () => {
    const connection = await connect();
    for (const path of ['/a', '/a/b', '/a/b/c', '/ab']) await create(connection, path);
    await create(connection, '/secret', { acl: [{ perms: Permission.ALL, id: BOB }] });
    const count = (path: string) => connection.call(operations.getAllChildrenNumber, { path });
    expect((await count('/a')).body?.totalNumber).toBe(2);
    expect((await count('/')).body?.totalNumber).toBe(8);
    expect((await count('/none')).err).toBe(ErrorCode.NO_NODE);
    expect((await count('/secret')).err).toBe(ErrorCode.NO_AUTH);
  });
});

describe('a quota', () => {
  const LIMITS = '/zookeeper/quota/q/zookeeper_limits';
  const STATS = '/zookeeper/quota/q/zookeeper_stats';
  const limit = async (connection: RawConnection, limits: string): Promise<void> => {
    await create(connection, '/q', { data: '12345' });
    await create(connection, '/zookeeper/quota/q');
    await create(connection, LIMITS, { data: limits });
    await create(connection, STATS, { data: '' });
  };
  const usage = async (connection: RawConnection): Promise<string> =>
    String((await getData(connection, STATS)).body?.data);

  it('that is soft is counted, and told to the operator', async () => {
    const connection = await connect();
    await limit(connection, 'count=1,bytes=-1');
    expect((await create(connection, '/q/a', { data: '123' })).err).toBe(ErrorCode.OK);
    expect(await usage(connection)).toBe('count=2,bytes=8');
    expect(lines.at(-1)).toBe('quota exceeded: /q [current count=2, softCountLimit=1]');
    await restart({});
    expect(await usage(await connect())).toBe('count=2,bytes=8');
  });

  it('that is hard refuses creates and data beyond it, where quotas are enforced', async () => {
    await restart({ enforceQuota: true });
    const connection = await connect();
    await limit(connection, 'count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=2');
    expect((await create(connection, '/q/a', { data: '1' })).err).toBe(ErrorCode.OK);
    expect((await create(connection, '/q/b', { data: '1' })).err).toBe(ErrorCode.QUOTA_EXCEEDED);
    expect((await setData(connection, '/q/a', '12345')).err).toBe(ErrorCode.OK);
    expect((await setData(connection, '/q/a', '123456')).err).toBe(ErrorCode.QUOTA_EXCEEDED);
    const creating: MultiOperation = {
      type: OpCode.create,
      request: { path: '/q/c', data: null, acl: OPEN_ACL, flags: 0 },
    };
    expect((await connection.call(operations.multi, [creating])).body).toEqual([
      { type: OpCode.error, err: ErrorCode.QUOTA_EXCEEDED },
    ]);
    expect(await usage(connection)).toBe('count=2,bytes=10');
    await connection.call(operations.delete, { path: LIMITS, version: -1 });
    expect((await create(connection, '/q/b', { data: '1' })).err).toBe(ErrorCode.OK);
  });
});

describe('the configuration of the ensemble', () => {
  const reconfig = (connection: RawConnection) =>
    connection.call(operations.reconfig, {
      joiningServers: null,
      leavingServers: '1',
      newMembers: null,
      configId: -1n,
    });

  it('is an empty znode that everybody reads and nobody writes', async () => {
    const connection = await connect();
    expect((await getData(connection, '/zookeeper/config')).body).toMatchObject({
      data: Buffer.alloc(0),
      stat: { version: 0, aversion: -1 },
    });
    expect((await connection.call(operations.getACL, { path: '/zookeeper/config' })).body?.acl).toEqual(READ_ACL);
    expect((await setData(connection, '/zookeeper/config')).err).toBe(ErrorCode.NO_AUTH);
  });

  it('is not changed by a server alone, whether it is enabled or not', async () => {
    expect((await reconfig(await connect())).err).toBe(ErrorCode.RECONFIG_DISABLED);
    await restart({ reconfigEnabled: true });
    expect((await reconfig(await connect())).err).toBe(ErrorCode.UNIMPLEMENTED);
  });
});
