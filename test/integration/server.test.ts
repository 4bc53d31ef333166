/** The server as clients see it: real sockets and files, frames in and frames out. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  CreateMode,
  ErrorCode,
  EventType,
  NO_SESSION,
  OPEN_ACL,
  OpCode,
  operations,
  Permission,
  SpecialXid,
  toSessionId,
  toZxid,
} from 'zookeeper-protocol-ts';
import { type RunLog, ZooKeeperServer } from 'zookeeper-server-ts';
import { RawConnection } from './raw-connection.ts';

let folder: string;
let server: ZooKeeperServer;
let lines: string[];
let open: RawConnection[];

const TICK_MS = 100;

async function startServer(
  options: { maxClientCnxns?: number; fourLetterWords?: Set<string>; sessionlessTimeoutMs?: number } = {},
) {
  const log = (line: string) => void lines.push(line);
  const runLog: RunLog = { info: log, warn: log, error: log };
  return ZooKeeperServer.start({
    dataDir: folder,
    clientPort: 0,
    clientPortAddress: '127.0.0.1',
    tickTimeMs: TICK_MS,
    preallocateBytes: 64 * 1024,
    runLog,
    ...options,
  });
}

beforeEach(async () => {
  lines = [];
  open = [];
  folder = await mkdtemp(join(tmpdir(), 'zkserver-test-'));
  server = await startServer();
});

afterEach(async () => {
  for (const connection of open) connection.destroy();
  await server.close();
  await rm(folder, { recursive: true });
});

const raw = async (options?: { framed?: boolean }): Promise<RawConnection> => {
  const connection = await RawConnection.open(server.address.port, options);
  open.push(connection);
  return connection;
};

const withSession = async (...request: Parameters<RawConnection['connect']>) => {
  const connection = await raw();
  return { connection, session: await connection.connect(...request) };
};

const text = (value: string): Buffer => Buffer.from(value);

const create = (
  connection: RawConnection,
  path: string,
  {
    data = 'x',
    flags = CreateMode.PERSISTENT,
    acl = OPEN_ACL,
  }: { data?: string; flags?: number; acl?: typeof OPEN_ACL } = {},
) => connection.call(operations.create, { path, data: text(data), acl, flags });

describe('a session', () => {
  it('gets an id with the server id in its top byte, a password, and a timeout within the limits of the server', async () => {
    const { session } = await withSession({ timeoutMs: 1 });
    expect(session.timeoutMs).toBe(2 * TICK_MS);
    expect(BigInt.asUintN(64, session.sessionId) >> 56n).toBe(1n);
    expect(session.password).toHaveLength(16);
    expect((await withSession({ timeoutMs: 1_000_000 })).session.timeoutMs).toBe(20 * TICK_MS);
  });

  it('answers with the read-only byte only to clients that sent theirs', async () => {
    expect((await withSession({ readOnly: false })).session.readOnly).toBe(false);
    expect((await withSession({ readOnly: undefined })).session.readOnly).toBeUndefined();
  });

  it('continues on another connection with its id and password, and ends the connection before', async () => {
    const { connection: first, session } = await withSession();
    await create(first, '/e', { flags: CreateMode.EPHEMERAL });
    const { connection: second, session: continued } = await withSession(session);
    expect(continued.sessionId).toBe(session.sessionId);
    await first.closed;
    expect((await second.call(operations.exists, { path: '/e', watch: false })).err).toBe(ErrorCode.OK);
  });

  it('is refused with a wrong password, with an unknown id, and with id and timeout 0 in the answer', async () => {
    const { session } = await withSession();
    for (const request of [
      { ...session, password: Buffer.alloc(16, 7) },
      { ...session, sessionId: toSessionId(session.sessionId + 1000n) },
    ]) {
      const { connection, session: refused } = await withSession(request);
      expect(refused).toMatchObject({ sessionId: NO_SESSION, timeoutMs: 0 });
      expect(Buffer.from(refused.password).equals(Buffer.alloc(16))).toBe(true);
      await connection.closed;
    }
  });

  it('is not given to a client that has seen a later zxid than the server', async () => {
    await expect(withSession({ lastZxidSeen: toZxid(1n << 40n) })).rejects.toThrow('closed');
  });

  it('expires when its client is silent, within its timeout and two ticks, and takes its ephemerals along', async () => {
    const { connection: observer } = await withSession({ timeoutMs: 2000 });
    const { connection: silent, session } = await withSession({ timeoutMs: 400 });
    await create(silent, '/e', { flags: CreateMode.EPHEMERAL });
    const lastHeard = performance.now();
    await observer.call(operations.exists, { path: '/e', watch: true });
    while (observer.events.length === 0) await observer.ping();
    const silence = performance.now() - lastHeard;
    expect(observer.events).toEqual([expect.objectContaining({ type: EventType.NodeDeleted, path: '/e' })]);
    expect(silence).toBeGreaterThan(400);
    expect(silence).toBeLessThan(400 + 2 * TICK_MS + 500);
    await silent.closed;
    expect((await withSession(session)).session.sessionId).toBe(NO_SESSION);
  });

  it('lives on by pings alone', async () => {
    const { connection } = await withSession({ timeoutMs: 300 });
    await create(connection, '/e', { flags: CreateMode.EPHEMERAL });
    for (const until = performance.now() + 900; performance.now() < until; ) {
      await connection.ping();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect((await connection.call(operations.exists, { path: '/e', watch: false })).err).toBe(ErrorCode.OK);
  });

  it('ends with closeSession: its ephemerals are gone, the answer comes, then the end of the connection', async () => {
    const { connection, session } = await withSession();
    const { connection: other } = await withSession();
    await create(connection, '/e', { flags: CreateMode.EPHEMERAL });
    expect((await connection.call(operations.closeSession, undefined)).err).toBe(ErrorCode.OK);
    await connection.closed;
    expect((await other.call(operations.exists, { path: '/e', watch: false })).err).toBe(ErrorCode.NO_NODE);
    expect((await withSession(session)).session.sessionId).toBe(NO_SESSION);
  });

  it('is refused what it sends behind its own end', async () => {
    const { connection } = await withSession();
    const closing = connection.call(operations.closeSession, undefined);
    const late = create(connection, '/late');
    const lateRead = connection.call(operations.exists, { path: '/', watch: false });
    expect((await closing).err).toBe(ErrorCode.OK);
    await connection.closed;
    for (const outcome of await Promise.allSettled([late, lateRead])) {
      if (outcome.status === 'fulfilled') expect(outcome.value.err).toBe(ErrorCode.SESSION_EXPIRED);
    }
    const { connection: other } = await withSession();
    expect((await other.call(operations.exists, { path: '/late', watch: false })).err).toBe(ErrorCode.NO_NODE);
  });

  it("is refused also a server's own operations behind its own end", async () => {
    const { connection } = await withSession();
    const { connection: other } = await withSession();
    const closing = connection.call(operations.closeSession, undefined);
    const late = [OpCode.createSession, OpCode.deleteContainer].map((type) =>
      connection.callRaw(type, Buffer.alloc(8)),
    );
    expect((await closing).err).toBe(ErrorCode.OK);
    await connection.closed;
    for (const outcome of await Promise.allSettled(late)) {
      if (outcome.status === 'fulfilled') expect(outcome.value.err).toBe(ErrorCode.SESSION_EXPIRED);
    }
    expect((await other.ping()).err).toBe(ErrorCode.OK);
  });

  it('survives a restart of the server', async () => {
    const { connection, session } = await withSession({ timeoutMs: 2000 });
    await create(connection, '/e', { flags: CreateMode.EPHEMERAL });
    await server.close();
    server = await startServer();
    const { connection: again, session: continued } = await withSession(session);
    expect(continued.sessionId).toBe(session.sessionId);
    expect((await again.call(operations.exists, { path: '/e', watch: false })).err).toBe(ErrorCode.OK);
  });
});

describe('znodes', () => {
  it('are created, read, set and deleted with the Stat that ZooKeeper gives them', async () => {
    const { connection } = await withSession();
    const created = await connection.call(operations.create2, {
      path: '/a',
      data: text('one'),
      acl: OPEN_ACL,
      flags: CreateMode.PERSISTENT,
    });
    expect(created.body).toMatchObject({
      path: '/a',
      stat: { version: 0, cversion: 0, dataLength: 3, czxid: created.zxid },
    });
    const set = await connection.call(operations.setData, { path: '/a', data: text('three'), version: 0 });
    expect(set.body?.stat).toMatchObject({ version: 1, dataLength: 5, mzxid: set.zxid, czxid: created.zxid });
    await create(connection, '/a/b');
    const { body } = await connection.call(operations.getData, { path: '/a', watch: false });
    expect(body?.data?.toString()).toBe('three');
    expect(body?.stat).toMatchObject({ numChildren: 1, cversion: 1 });
    await connection.call(operations.delete, { path: '/a/b', version: 0 });
    const children = await connection.call(operations.getChildren2, { path: '/a', watch: false });
    expect(children.body).toMatchObject({ children: [], stat: { numChildren: 0, cversion: 2 } });
  });

  it('get the parent counter behind their names when they are sequential, which counts every creation', async () => {
    const { connection } = await withSession();
    await create(connection, '/q');
    const names = [];
    for (const flags of [CreateMode.PERSISTENT_SEQUENTIAL, CreateMode.EPHEMERAL_SEQUENTIAL]) {
      names.push((await create(connection, '/q/n-', { flags })).body?.path);
    }
    await create(connection, '/q/plain');
    names.push((await create(connection, '/q/', { flags: CreateMode.PERSISTENT_SEQUENTIAL })).body?.path);
    expect(names).toEqual(['/q/n-0000000000', '/q/n-0000000001', '/q/0000000003']);
  });

  it('are containers when asked for: removed after their last child', async () => {
    await server.close();
    const log = (line: string) => void lines.push(line);
    server = await ZooKeeperServer.start({
      dataDir: folder,
      clientPort: 0,
      clientPortAddress: '127.0.0.1',
      tickTimeMs: TICK_MS,
      containerCheckIntervalMs: 50,
      runLog: { info: log, warn: log, error: log },
    });
    const { connection } = await withSession({ timeoutMs: 2000 });
    const made = await connection.call(operations.createContainer, {
      path: '/c',
      data: null,
      acl: OPEN_ACL,
      flags: CreateMode.CONTAINER,
    });
    expect(made.body?.stat.ephemeralOwner).toBe(0n);
    await create(connection, '/c/x');
    await connection.call(operations.exists, { path: '/c', watch: true });
    await connection.call(operations.delete, { path: '/c/x', version: -1 });
    while (connection.events.length === 0) await connection.ping();
    expect(connection.events[0]).toMatchObject({ type: EventType.NodeDeleted, path: '/c' });
  });

  it.each([
    ['a missing parent', '/no/such', CreateMode.PERSISTENT, ErrorCode.NO_NODE],
    ['an existing path', '/there', CreateMode.PERSISTENT, ErrorCode.NODE_EXISTS],
    ['the root', '/', CreateMode.PERSISTENT, ErrorCode.NODE_EXISTS],
    ['an empty component below a missing parent', '/there//x', CreateMode.PERSISTENT, ErrorCode.NO_NODE],
    ['a path without a slash', 'there', CreateMode.PERSISTENT, ErrorCode.BAD_ARGUMENTS],
    ['a NUL', '/a\0b', CreateMode.PERSISTENT, ErrorCode.BAD_ARGUMENTS],
    ['a relative component', '/..', CreateMode.PERSISTENT, ErrorCode.BAD_ARGUMENTS],
    ['a child of an ephemeral', '/ephemeral/x', CreateMode.PERSISTENT, ErrorCode.NO_CHILDREN_FOR_EPHEMERALS],
    ['unknown flags', '/x', 77, ErrorCode.BAD_ARGUMENTS],
    ['the flags of a TTL', '/x', CreateMode.PERSISTENT_WITH_TTL, ErrorCode.UNIMPLEMENTED],
  ])('are not created with %s', async (_what, path, flags, code) => {
    const { connection } = await withSession();
    await create(connection, '/there');
    await create(connection, '/ephemeral', { flags: CreateMode.EPHEMERAL });
    const before = await connection.ping();
    const refused = await create(connection, path, { flags });
    expect(refused.err).toBe(code);
    // A write that is refused takes a zxid, too.
    expect(refused.zxid).toBe(before.zxid + 1n);
  });

  it('are not deleted with children, with another version, or when they are part of every tree', async () => {
    const { connection } = await withSession();
    await create(connection, '/a');
    await create(connection, '/a/b');
    const remove = async (path: string, version = -1) =>
      (await connection.call(operations.delete, { path, version })).err;
    expect(await remove('/a')).toBe(ErrorCode.NOT_EMPTY);
    expect(await remove('/a/b', 3)).toBe(ErrorCode.BAD_VERSION);
    expect(await remove('/no')).toBe(ErrorCode.NO_NODE);
    for (const path of ['/', '/zookeeper', '/zookeeper/quota'])
      expect(await remove(path)).toBe(ErrorCode.BAD_ARGUMENTS);
    expect(await remove('/a/b', 0)).toBe(ErrorCode.OK);
  });

  it('are not set with another version', async () => {
    const { connection } = await withSession();
    await create(connection, '/a');
    const set = async (version: number) =>
      (await connection.call(operations.setData, { path: '/a', data: text('y'), version })).err;
    expect([await set(1), await set(0), await set(0), await set(-1)]).toEqual([
      ErrorCode.BAD_VERSION,
      ErrorCode.OK,
      ErrorCode.BAD_VERSION,
      ErrorCode.OK,
    ]);
  });

  it('are kept from those whom their ACL does not name', async () => {
    const { connection } = await withSession();
    const elsewhere = [{ perms: Permission.ALL, id: { scheme: 'ip', id: '10.9.9.9' } }];
    const here = [{ perms: Permission.READ, id: { scheme: 'ip', id: '127.0.0.0/8' } }];
    await create(connection, '/closed', { acl: elsewhere });
    await create(connection, '/readable', { acl: here });
    const get = async (path: string) => (await connection.call(operations.getData, { path, watch: false })).err;
    expect([await get('/closed'), await get('/readable')]).toEqual([ErrorCode.NO_AUTH, ErrorCode.OK]);
    expect((await create(connection, '/readable/x')).err).toBe(ErrorCode.NO_AUTH);
    expect((await create(connection, '/x', { acl: [] })).err).toBe(ErrorCode.INVALID_ACL);
  });
});

describe('the order of a session', () => {
  it('holds for reads behind writes in one stream of requests', async () => {
    const { connection } = await withSession();
    const replies = [];
    for (let i = 0; i < 50; i++) {
      replies.push(create(connection, `/n${i}`));
      replies.push(connection.call(operations.exists, { path: `/n${i}`, watch: false }));
    }
    const codes = (await Promise.all(replies)).map((reply) => reply.err);
    expect(codes).toEqual(codes.map(() => ErrorCode.OK));
    expect(connection.arrivals).toEqual(replies.map((_, i) => `reply ${i + 1}`));
  });

  it('lets a write see the outcome of the writes before it that are not committed yet', async () => {
    const { connection } = await withSession();
    const results = await Promise.all([
      create(connection, '/a'),
      create(connection, '/a/b'),
      connection.call(operations.delete, { path: '/a', version: -1 }),
      connection.call(operations.delete, { path: '/a/b', version: -1 }),
      connection.call(operations.delete, { path: '/a', version: -1 }),
      create(connection, '/a/c'),
    ]);
    expect(results.map((reply) => reply.err)).toEqual([
      ErrorCode.OK,
      ErrorCode.OK,
      ErrorCode.NOT_EMPTY,
      ErrorCode.OK,
      ErrorCode.OK,
      ErrorCode.NO_NODE,
    ]);
  });

  it('answers a sync behind the writes before it, with its path', async () => {
    const { connection } = await withSession();
    const write = create(connection, '/a');
    const sync = await connection.call(operations.sync, { path: '/a' });
    expect(sync.body).toEqual({ path: '/a' });
    expect(sync.zxid).toBeGreaterThanOrEqual((await write).zxid);
  });
});

describe('a watch', () => {
  it('fires once, and before the reply to the very request that fired it', async () => {
    const { connection } = await withSession();
    await create(connection, '/a');
    await connection.call(operations.getData, { path: '/a', watch: true });
    await connection.call(operations.setData, { path: '/a', data: text('1'), version: -1 }, { xid: 90 });
    await connection.call(operations.setData, { path: '/a', data: text('2'), version: -1 }, { xid: 91 });
    expect(connection.arrivals.slice(-3)).toEqual([`event ${EventType.NodeDataChanged} /a`, 'reply 90', 'reply 91']);
  });

  it('on a missing znode is left by exists, and tells of its creation', async () => {
    const { connection } = await withSession();
    const { connection: other } = await withSession();
    expect((await connection.call(operations.exists, { path: '/a', watch: true })).err).toBe(ErrorCode.NO_NODE);
    expect((await connection.call(operations.getData, { path: '/b', watch: true })).err).toBe(ErrorCode.NO_NODE);
    await create(other, '/b');
    await create(other, '/a');
    await connection.ping();
    expect(connection.events).toEqual([expect.objectContaining({ type: EventType.NodeCreated, path: '/a' })]);
  });

  it('on children tells of creations and deletions below, and of the end of the znode itself', async () => {
    const { connection } = await withSession();
    await create(connection, '/a');
    const watch = () => connection.call(operations.getChildren, { path: '/a', watch: true });
    await watch();
    await create(connection, '/a/b');
    await watch();
    await connection.call(operations.delete, { path: '/a/b', version: -1 });
    await watch();
    await connection.call(operations.delete, { path: '/a', version: -1 });
    expect(connection.events.map((event) => [event.type, event.path])).toEqual([
      [EventType.NodeChildrenChanged, '/a'],
      [EventType.NodeChildrenChanged, '/a'],
      [EventType.NodeDeleted, '/a'],
    ]);
  });

  it('is taken over by setWatches after a reconnect: what was missed is told before the reply', async () => {
    const { connection: first, session } = await withSession();
    const { connection: other } = await withSession();
    for (const path of ['/data', '/gone', '/parent', '/quiet']) await create(first, path);
    const seen = (await first.ping()).zxid;
    first.destroy();
    await other.call(operations.setData, { path: '/data', data: text('new'), version: -1 });
    await other.call(operations.delete, { path: '/gone', version: -1 });
    await create(other, '/parent/child');
    await create(other, '/made');
    const { connection: second } = await withSession(session);
    await second.call(
      operations.setWatches,
      {
        relativeZxid: seen,
        dataWatches: ['/data', '/gone', '/quiet'],
        existWatches: ['/made', '/never'],
        childWatches: ['/parent', '/quiet'],
      },
      { xid: SpecialXid.setWatches },
    );
    expect(second.arrivals).toEqual([
      `event ${EventType.NodeDataChanged} /data`,
      `event ${EventType.NodeDeleted} /gone`,
      `event ${EventType.NodeCreated} /made`,
      `event ${EventType.NodeChildrenChanged} /parent`,
      'reply -8',
    ]);
    await other.call(operations.setData, { path: '/quiet', data: text('q'), version: -1 });
    await create(other, '/never');
    await second.ping();
    expect(second.events.slice(4).map((event) => event.path)).toEqual(['/quiet', '/never']);
  });

  it('is not told to those who may not read the znode', async () => {
    const { connection } = await withSession();
    const { connection: other } = await withSession();
    await connection.call(operations.exists, { path: '/secret', watch: true });
    await create(other, '/secret', { acl: [{ perms: Permission.ALL, id: { scheme: 'ip', id: '10.9.9.9' } }] });
    await connection.ping();
    expect(connection.events).toEqual([]);
  });
});

describe('what no client may ask for', () => {
  it.each([
    ['an operation of no version', 999],
    ['an operation that only servers use', OpCode.createSession],
    ['the removal of a container', OpCode.deleteContainer],
  ])('%s ends the connection behind the answer', async (_what, type) => {
    const { connection } = await withSession();
    expect((await connection.callRaw(type, Buffer.alloc(0))).err).toBe(ErrorCode.UNIMPLEMENTED);
    await connection.closed;
  });
});

describe('bad input', () => {
  it('of one connection does not disturb the others', async () => {
    const { connection } = await withSession();
    const hostile: [string, Buffer][] = [
      ['a frame that is too long', Buffer.from([0x7f, 0xff, 0xff, 0xff])],
      ['a negative length', Buffer.from([0xff, 0xff, 0xff, 0xff])],
      ['an HTTP request', text('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
      ['a TLS hello', Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01])],
      ['a connect request that is too short', Buffer.from([0, 0, 0, 4, 0, 0, 0, 0])],
      ['an empty frame', Buffer.from([0, 0, 0, 0])],
    ];
    for (const [what, bytes] of hostile) {
      const enemy = await raw();
      const before = lines.length;
      enemy.write(bytes);
      await enemy.closed;
      expect(
        lines.slice(before).some((line) => line.includes('unreadable')),
        what,
      ).toBe(true);
      expect((await connection.ping()).err).toBe(ErrorCode.OK);
    }
  });

  it('inside a session: a frame over jute.maxbuffer ends the connection, one at the limit does not', async () => {
    const { connection } = await withSession();
    const overhead = 4 + 4 + 4 + '/big'.length + 4 + (4 + 4 + 4 + 5 + 4 + 6) + 4;
    const fitting = 0xfffff - overhead;
    expect((await create(connection, '/big', { data: 'x'.repeat(fitting) })).err).toBe(ErrorCode.OK);
    await expect(create(connection, '/bi2', { data: 'x'.repeat(fitting + 1) })).rejects.toThrow('closed');
  });

  it('inside a request: a malformed read and a malformed write get the code, and the connection goes on', async () => {
    const { connection } = await withSession();
    expect((await connection.callRaw(OpCode.getData, Buffer.from([0, 0, 0, 99]))).err).toBe(
      ErrorCode.MARSHALLING_ERROR,
    );
    expect((await connection.callRaw(OpCode.create, Buffer.from([0, 0, 0, 99]))).err).toBe(ErrorCode.MARSHALLING_ERROR);
    expect((await connection.callRaw(OpCode.setWatches, Buffer.from([1]))).err).toBe(ErrorCode.MARSHALLING_ERROR);
    expect((await connection.ping()).err).toBe(ErrorCode.OK);
  });

  it('a header that is cut short ends the connection', async () => {
    const { connection } = await withSession();
    connection.write(Buffer.from([0, 0, 0, 2, 0, 1]));
    await connection.closed;
  });

  it('silence without a session ends the connection', async () => {
    await server.close();
    server = await startServer({ sessionlessTimeoutMs: 100 });
    const connection = await raw();
    await connection.closed;
    expect(lines.at(-1)).toContain('no session within 100 ms');
  });

  it('more connections from one address than are allowed are closed at once', async () => {
    await server.close();
    server = await startServer({ maxClientCnxns: 2 });
    const kept = [await withSession(), await withSession()];
    const third = await raw();
    await third.closed;
    expect(lines.at(-1)).toContain('maxClientCnxns');
    for (const { connection } of kept) expect((await connection.ping()).err).toBe(ErrorCode.OK);
  });
});

describe('a four-letter word', () => {
  const ask = async (...parts: string[]): Promise<string> => {
    const connection = await raw({ framed: false });
    for (const part of parts) {
      connection.write(text(part));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await connection.closed;
    return connection.text;
  };

  it('is answered if it is in the whitelist, also when it comes in pieces', async () => {
    await server.close();
    server = await startServer({ fourLetterWords: new Set(['ruok', 'srvr']) });
    expect(await ask('ruok')).toBe('imok');
    expect(await ask('r', 'u', 'o', 'k')).toBe('imok');
    expect(await ask('isro')).toBe('isro is not executed because it is not in the whitelist.\n');
    await withSession();
    expect(await ask('srvr')).toMatch(
      /^Zookeeper version: 3\.8\.0.*\nLatency min\/avg\/max: \d+\/[\d.]+\/\d+\nReceived: \d+\nSent: \d+\nConnections: 2\nOutstanding: 0\nZxid: 0x1\nMode: standalone\nNode count: 5\n$/,
    );
  });

  it('is refused by default, but for srvr', async () => {
    expect(await ask('ruok')).toContain('not in the whitelist');
    expect(await ask('srvr')).toContain('Mode: standalone');
  });

  it('that nobody knows is the length of a frame, and ends the connection', async () => {
    expect(await ask('what')).toBe('');
  });
});
