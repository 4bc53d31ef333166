/**
 * Hostile clients. Whatever one of them does, its neighbour goes on: it has a session, an ephemeral and a watch from before, and is
 * served in between and afterwards. Which kind of bad input is tested where:
 *
 * - frames that are too long, cut short, or make no sense; words; handshakes; requests in their place (Z1 to Z9): here, "a stream
 *   that makes no sense", "a handshake", "a client that takes its time"; words that come in pieces: `admin.test.ts`; clients that
 *   vanish without a word (Z4): `server.test.ts`, "expires when its client is silent".
 * - unknown operations, reserved xids, paths, reserved znodes, null and empty data, ACLs, multis (Z10 to Z16): here, "a malformed
 *   request", "a malformed multi"; each against Apache ZooKeeper's own answers: `test/interop/conformance/`.
 * - floods: watches, children, requests and events without reading, connections, sessions, credentials, large requests (Z17 to Z25):
 *   here, "a flood", "an authentication"; the limits themselves: `limits.test.ts`.
 * - the HTTP port (Z28): `admin.test.ts`. Depth, children of ephemerals, versions (Z29): here and in `server.test.ts`.
 * - connections that end at every byte (Z31): here; of whole conversations, and bytes changed at random: `test/property/fuzz-*`.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  AddWatchMode,
  CreateMode,
  ErrorCode,
  EventType,
  JuteWriter,
  NO_SESSION,
  OPEN_ACL,
  OpCode,
  type Operation,
  operations,
  toSessionId,
  toZxid,
} from 'zookeeper-protocol-ts';
import { TestingServer } from '../../server/src/testing/testing-server.ts';
import { MemoryMachine } from './memory-machine.ts';
import { RawConnection } from './raw-connection.ts';

let server: TestingServer;
let lines: string[];
let neighbour: RawConnection;
let open: RawConnection[];

beforeEach(async () => {
  lines = [];
  open = [];
  const log = (line: string): void => void lines.push(line);
  server = await TestingServer.start({
    minSessionTimeoutMs: 300,
    sessionlessTimeoutMs: 300,
    runLog: { info: log, warn: log, error: log },
  });
  neighbour = await joined();
  await create(neighbour, '/neighbour', { flags: CreateMode.EPHEMERAL });
});

/** The server lives, and the neighbour has lost nothing. */
afterEach(async () => {
  expect((await neighbour.call(operations.exists, { path: '/neighbour', watch: true })).err).toBe(ErrorCode.OK);
  const set = await neighbour.call(operations.setData, { path: '/neighbour', data: Buffer.alloc(1), version: -1 });
  expect(set.err).toBe(ErrorCode.OK);
  expect(neighbour.events.at(-1)).toMatchObject({ type: EventType.NodeDataChanged, path: '/neighbour' });
  for (const connection of open) connection.destroy();
  await server.close();
});

const raw = async (): Promise<RawConnection> => {
  const connection = await RawConnection.open(server.port);
  open.push(connection);
  return connection;
};

const joined = async (): Promise<RawConnection> => {
  const connection = await raw();
  await connection.connect({ timeoutMs: 20_000 });
  return connection;
};

const create = (
  connection: RawConnection,
  path: string,
  { data = '', flags = CreateMode.PERSISTENT as number, acl = OPEN_ACL } = {},
) => connection.call(operations.create, { path, data: Buffer.from(data), acl, flags });

const isServed = async (): Promise<void> => {
  expect((await neighbour.ping()).err).toBe(ErrorCode.OK);
};

const fourLetterWord = async (word: string): Promise<string> => {
  const connection = await RawConnection.open(server.port, { framed: false });
  connection.write(Buffer.from(word));
  await connection.closed;
  return connection.text;
};

/** A request's header and body, behind a length. */
const frame = (write: (writer: JuteWriter) => void): Buffer => {
  const writer = new JuteWriter(64 * 1024);
  const start = writer.startFrame();
  write(writer);
  writer.endFrame(start);
  return writer.take();
};

const int = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

describe('a stream that makes no sense', () => {
  it.each([
    ['a negative length', int(-1)],
    ['a length of one byte over the limit', int(0x10_0000)],
    ['the greatest length', int(0x7fff_ffff)],
    ['an HTTP request', Buffer.from('GET /commands/stat HTTP/1.1\r\nHost: localhost\r\n\r\n')],
    ['a TLS hello', Buffer.from('16030100c8010000c40303', 'hex')],
    ['four letters that are no word', Buffer.from('abcd')],
    ['a connect request without a password', Buffer.concat([int(24), Buffer.alloc(24)])],
    ['a request before the handshake', frame((writer) => writer.writeRaw(Buffer.from([0, 0, 0, 1, 0, 0, 0, 4])))],
    ['a connect request whose password is longer than it', Buffer.concat([int(28), Buffer.alloc(24), int(1_000_000)])],
    ['a connect request whose password has a negative length', Buffer.concat([int(28), Buffer.alloc(24), int(-2)])],
  ])('ends with the connection, and one line of the run log: %s', async (_what, bytes) => {
    const hostile = await raw();
    const before = lines.length;
    hostile.write(bytes);
    await hostile.closed;
    expect(lines.slice(before).filter((line) => line.includes('unreadable'))).toHaveLength(1);
    await isServed();
  });

  it('ends with the connection when it comes behind a session: a second connect request is no request', async () => {
    const hostile = await joined();
    // Its version and the zxid are taken for an xid and an operation.
    expect((await hostile.callRaw(0, Buffer.alloc(36), { xid: 0 })).err).toBe(ErrorCode.UNIMPLEMENTED);
    await hostile.closed;
    await isServed();
  });
});

describe('a frame of the greatest length', () => {
  const setting = (frameBytes: number) => {
    // The headers, the path, and what is around the data.
    const data = Buffer.alloc(frameBytes - 8 - (4 + '/neighbour'.length) - 4 - 4);
    return { path: '/neighbour', data, version: -1 };
  };

  it('is taken, and one of a byte more is the end', async () => {
    const hostile = await joined();
    expect((await hostile.call(operations.setData, setting(0xfffff))).err).toBe(ErrorCode.OK);
    void hostile.call(operations.setData, setting(0x10_0000));
    await hostile.closed;
    const { body } = await neighbour.call(operations.exists, { path: '/neighbour', watch: false });
    expect(body?.stat.dataLength).toBe(0xfffff - 30);
  });
});

describe('a handshake', () => {
  it.each([
    ['a negative timeout', { timeoutMs: -1 }, 300],
    ['no timeout', { timeoutMs: 0 }, 300],
    ['the greatest timeout', { timeoutMs: 0x7fff_ffff }, 60_000],
    ['another version of the protocol', { protocolVersion: 7, timeoutMs: 1000 }, 1000],
    ['a null password', { password: null as never, timeoutMs: 1000 }, 1000],
    ['a password of a million bytes', { password: Buffer.alloc(1_000_000), timeoutMs: 1000 }, 1000],
  ])('with %s gets a session, with a timeout within the limits', async (_what, request, timeoutMs) => {
    expect((await (await raw()).connect(request)).timeoutMs).toBe(timeoutMs);
  });

  it('from the future is refused without a session', async () => {
    const hostile = await raw();
    await expect(hostile.connect({ lastZxidSeen: toZxid(0x7fff_ffff_ffff_ffffn) })).rejects.toThrow('closed');
  });

  it("with another's session and a wrong password is refused, and the session goes on where it was", async () => {
    const [sessionId] = server.sessions;
    for (const password of [Buffer.alloc(16), Buffer.alloc(0), Buffer.alloc(17, 1)]) {
      const refused = await (await raw()).connect({ sessionId: toSessionId(sessionId ?? 0n), password });
      expect(refused).toMatchObject({ sessionId: NO_SESSION, timeoutMs: 0 });
    }
    await isServed();
  });
});

describe('a client that takes its time', () => {
  it('with its handshake, sending a byte now and then, is ended at its time', async () => {
    const hostile = await raw();
    const silent = await raw();
    const started = performance.now();
    const drip = setInterval(() => hostile.write(Buffer.from([0])), 50);
    hostile.write(Buffer.from([0, 0, 0]));
    hostile.write(Buffer.from([44]));
    await Promise.all([hostile.closed, silent.closed]);
    clearInterval(drip);
    expect(performance.now() - started).toBeLessThan(2000);
    await isServed();
  });

  it('inside a session, with a request that never ends, loses the session by its heartbeat', async () => {
    const hostile = await raw();
    const session = await hostile.connect({ timeoutMs: 300 });
    hostile.write(int(0xfffff));
    const drip = setInterval(() => hostile.write(Buffer.from([1])), 20);
    await hostile.closed;
    clearInterval(drip);
    expect(server.sessions).not.toContain(session.sessionId);
    await isServed();
  });

  it('goes away in the middle of whatever it was sending, at every byte of it', async () => {
    const handshake = frame((writer) => {
      writer.writeRaw(Buffer.alloc(24));
      writer.writeBuffer(Buffer.alloc(16));
    });
    const request = frame((writer) => {
      writer.writeInt(1);
      writer.writeInt(OpCode.create);
      operations.create.request.write(writer, { path: '/half', data: null, acl: OPEN_ACL, flags: 0 });
    });
    const whole = Buffer.concat([handshake, request]);
    for (let length = 0; length < whole.length; length++) {
      const hostile = await raw();
      hostile.write(whole.subarray(0, length));
      hostile.destroy();
    }
    expect((await neighbour.call(operations.exists, { path: '/half', watch: false })).err).toBe(ErrorCode.NO_NODE);
  });
});

describe('a malformed request', () => {
  it.each([
    [
      'a count of 2 147 483 647 ACL entries',
      OpCode.create,
      Buffer.concat([int(2), Buffer.from('/a'), int(-1), int(0x7fff_ffff)]),
    ],
    ['a negative count of ACL entries', OpCode.create, Buffer.concat([int(2), Buffer.from('/a'), int(-1), int(-7)])],
    [
      'data that is longer than the request',
      OpCode.setData,
      Buffer.concat([int(2), Buffer.from('/a'), int(1_000_000)]),
    ],
    ['a path that is longer than the request', OpCode.getData, int(0x7fff_ffff)],
    ['no body', OpCode.getChildren2, Buffer.alloc(0)],
    ['a count of 2 147 483 647 watches', OpCode.setWatches, Buffer.concat([Buffer.alloc(8), int(0x7fff_ffff)])],
  ])('with %s is answered with the code for it, and the connection goes on', async (_what, type, body) => {
    const hostile = await joined();
    expect((await hostile.callRaw(type, body)).err).toBe(ErrorCode.MARSHALLING_ERROR);
    expect((await hostile.ping()).err).toBe(ErrorCode.OK);
  });

  it.each([999, -1, -10, OpCode.createSession, OpCode.deleteContainer, OpCode.error])(
    'for operation %i makes no transaction, and ends the connection behind the answer',
    async (type) => {
      const hostile = await joined();
      const before = (await neighbour.ping()).zxid;
      expect((await hostile.callRaw(type, Buffer.alloc(64))).err).toBe(ErrorCode.UNIMPLEMENTED);
      await hostile.closed;
      expect((await neighbour.ping()).zxid).toBe(before);
    },
  );

  it.each([
    ['an empty path', ''],
    ['a relative path', 'a'],
    ['a slash at the end', '/neighbour/'],
    ['an empty name', '//b'],
    ['a dot', '/.'],
    ['two dots', '/..'],
    ['a NUL', '/a\0'],
    ['a control character', '/a\u0001'],
    ['a character that is none', '/a\ufffe'],
    ['a million characters and one that is not allowed', `/${'x'.repeat(900_000)}\0`],
  ])('with %s creates nothing', async (_what, path) => {
    const hostile = await joined();
    expect((await create(hostile, path)).err).toBe(ErrorCode.BAD_ARGUMENTS);
    const { body } = await neighbour.call(operations.getChildren, { path: '/', watch: false });
    expect([...(body?.children ?? [])].sort()).toEqual(['neighbour', 'zookeeper']);
  });

  it.each([
    ['invalid UTF-8', Buffer.from([0x2f, 0xff, 0xfe])],
    ['a lone surrogate', Buffer.from([0x2f, 0xed, 0xa0, 0x80])],
  ])('with %s in the path is answered, and the server lives', async (_what, path) => {
    const hostile = await joined();
    const body = Buffer.concat([int(path.length), path, Buffer.from([0])]);
    expect((await hostile.callRaw(OpCode.exists, body)).err).toBe(ErrorCode.NO_NODE);
  });

  it.each([
    ['the deletion of the root', operations.delete, { path: '/', version: -1 }, ErrorCode.BAD_ARGUMENTS],
    ['the deletion of /zookeeper', operations.delete, { path: '/zookeeper', version: -1 }, ErrorCode.BAD_ARGUMENTS],
    [
      'new contents of the configuration',
      operations.setData,
      { path: '/zookeeper/config', data: Buffer.from('x'), version: -1 },
      ErrorCode.NO_AUTH,
    ],
    [
      'another access to the configuration',
      operations.setACL,
      { path: '/zookeeper/config', acl: OPEN_ACL, version: -1 },
      ErrorCode.NO_AUTH,
    ],
  ] as const)('that asks for %s is refused', async (_what, operation, request, code) => {
    const hostile = await joined();
    // The union of operations has no call of its own: each is called with its own request.
    expect((await hostile.call(operation as Operation<unknown, unknown>, request)).err).toBe(code);
    for (const path of ['/', '/zookeeper/config', '/zookeeper/quota']) {
      expect((await neighbour.call(operations.exists, { path, watch: false })).err).toBe(ErrorCode.OK);
    }
  });

  it('tells null data and empty data apart', async () => {
    const client = await joined();
    await client.call(operations.create, { path: '/null', data: null, acl: OPEN_ACL, flags: 0 });
    await client.call(operations.create, { path: '/empty', data: Buffer.alloc(0), acl: OPEN_ACL, flags: 0 });
    const data = async (path: string) =>
      (await client.call(operations.getData, { path, watch: false })).body?.data?.length ?? null;
    expect([await data('/null'), await data('/empty')]).toEqual([null, 0]);
  });

  it('with 10 000 ACL entries, the same ones or unknown ones, is answered', async () => {
    const hostile = await joined();
    const same = Array.from({ length: 10_000 }, () => ({ perms: 31, id: { scheme: 'world', id: 'anyone' } }));
    const unknown = Array.from({ length: 10_000 }, (_, i) => ({ perms: 31, id: { scheme: 'nobody', id: `${i}` } }));
    expect((await create(hostile, '/same', { acl: same })).err).toBe(ErrorCode.OK);
    expect((await create(hostile, '/unknown', { acl: unknown })).err).toBe(ErrorCode.INVALID_ACL);
    await hostile.call(operations.delete, { path: '/same', version: -1 });
  });

  it('with xids that fall, repeat, or are reserved, is executed in its order', async () => {
    const hostile = await joined();
    const xids = [5, 5, 3, -7, 0, -3, 0x7fff_ffff, -0x8000_0000];
    const replies = await Promise.all(
      xids.map((xid) => hostile.call(operations.exists, { path: '/', watch: false }, { xid })),
    );
    expect(replies.map(({ err }) => err)).toEqual(xids.map(() => ErrorCode.OK));
  });
});

describe('a malformed multi', () => {
  /** Type, whether it is the last, and an error code: in front of each part. */
  const part = (type: number, isLast: boolean, body: Buffer = Buffer.alloc(0)): Buffer =>
    Buffer.concat([int(type), Buffer.from([isLast ? 1 : 0]), int(-1), body]);
  const end = part(-1, true);
  const creation = part(
    OpCode.create,
    false,
    Buffer.concat([
      int(2),
      Buffer.from('/m'),
      int(0),
      int(1),
      int(31),
      int(5),
      Buffer.from('world'),
      int(6),
      Buffer.from('anyone'),
      int(0),
    ]),
  );

  it.each([
    ['without an end', creation],
    ['whose end is cut short', Buffer.concat([creation, end.subarray(0, 5)])],
    ['with an unknown part', Buffer.concat([creation, part(77, false), end])],
    ['with another multi in it', Buffer.concat([creation, part(OpCode.multi, false, end), end])],
    ['with the end of the session in it', Buffer.concat([creation, part(OpCode.closeSession, false), end])],
    ['with a part that has no body', Buffer.concat([creation, part(OpCode.delete, false), end])],
    ['of nothing at all', Buffer.alloc(0)],
  ])('%s changes nothing', async (_what, body) => {
    const hostile = await joined();
    await Promise.race([hostile.callRaw(OpCode.multi, body).catch(() => undefined), hostile.closed]);
    expect((await neighbour.call(operations.exists, { path: '/m', watch: false })).err).toBe(ErrorCode.NO_NODE);
  });

  it('of as many parts as a request holds is answered, or refused, whole', async () => {
    const hostile = await joined();
    const check = part(OpCode.check, false, Buffer.concat([int(1), Buffer.from('/'), int(-1)]));
    const parts = Array.from({ length: 50_000 }, () => check);
    const answer = await hostile.callRaw(OpCode.multi, Buffer.concat([creation, ...parts, end]));
    const { err } = await neighbour.call(operations.exists, { path: '/m', watch: false });
    expect(err).toBe(answer.err === ErrorCode.OK ? ErrorCode.OK : ErrorCode.NO_NODE);
  });
});

describe('an authentication', () => {
  it.each([
    ['with an unknown scheme', { scheme: 'nobody', auth: Buffer.from('me') }],
    ['with a million bytes for an unknown scheme', { scheme: 'nobody', auth: Buffer.alloc(1_000_000) }],
    ['without a scheme', { scheme: '', auth: Buffer.alloc(0) }],
    ['with a scheme of half a million characters', { scheme: 's'.repeat(500_000), auth: Buffer.alloc(0) }],
  ])('%s fails, and ends the connection', async (_what, { scheme, auth }) => {
    const hostile = await joined();
    const answer = await hostile.call(operations.auth, { type: 0, scheme, auth }, { xid: -4 });
    expect(answer.err).toBe(ErrorCode.AUTH_FAILED);
    await hostile.closed;
  });

  it('a thousand times over leaves the connection with its identities, or without it', async () => {
    const hostile = await joined();
    const attempts = Array.from({ length: 1000 }, (_, i) => {
      const auth = Buffer.from(`user-${i}:password`);
      return hostile.call(operations.auth, { type: 0, scheme: 'digest', auth }, { xid: -4 });
    });
    await Promise.race([Promise.allSettled(attempts), hostile.closed]);
    await isServed();
  });
});

describe('a flood', () => {
  it('of connections that come and go leaves nothing behind', async () => {
    for (let round = 0; round < 20; round++) {
      const connections = await Promise.all(Array.from({ length: 50 }, () => RawConnection.open(server.port)));
      for (const connection of connections) connection.destroy();
      await isServed();
    }
    expect(server.sessions).toHaveLength(1);
    // The neighbour's, and the one that asks.
    expect(await fourLetterWord('srvr')).toContain('Connections: 2\n');
  });

  it('of sessions that are abandoned leaves nothing behind when their time is up', () => {
    const machine = new MemoryMachine();
    const living = machine.join({ timeoutMs: 30_000 });
    for (let i = 0; i < 2000; i++) machine.join({ timeoutMs: 6000 }).stream.end();
    machine.run();
    expect(machine.server.database.sessions.size).toBe(2001);
    for (let i = 0; i < 5; i++) {
      machine.advance(3000);
      living.ask(operations.ping, undefined, { xid: -2 });
      machine.run();
    }
    expect(machine.server.database.sessions.size).toBe(1);
    expect(machine.server.connectionMemory.held).toEqual({ inbound: 0, outbound: 0, largeRequests: 0 });
  });

  it('of requests without reading the answers stops being read, and the neighbour is served in between', async () => {
    await create(neighbour, '/big', { data: 'x'.repeat(100_000) });
    const hostile = await joined();
    hostile.pause();
    for (let i = 0; i < 3000; i++) void hostile.call(operations.getData, { path: '/big', watch: false });
    const before = performance.now();
    for (let i = 0; i < 20; i++) await isServed();
    expect(performance.now() - before).toBeLessThan(5000);
    // It gets all of its 300 MB when it reads.
    hostile.resume();
    expect((await hostile.ping()).err).toBe(ErrorCode.OK);
    expect(hostile.arrivals).toHaveLength(3001);
  });

  it('of watches by one client, and the events of them all, does not keep others waiting', () => {
    const machine = new MemoryMachine();
    const hostile = machine.join();
    const other = machine.join();
    for (let i = 0; i < 20_000; i++) hostile.ask(operations.exists, { path: `/flood/n${i}`, watch: true });
    hostile.ask(operations.addWatch, { path: '/', mode: AddWatchMode.PERSISTENT_RECURSIVE });
    machine.run();
    hostile.stream.setReading(false);
    const acl = OPEN_ACL;
    other.ask(operations.create, { path: '/flood', data: null, acl, flags: 0 });
    for (let i = 0; i < 5000; i++) other.ask(operations.create, { path: `/flood/n${i}`, data: null, acl, flags: 0 });
    machine.run();
    expect(other.replies.filter(({ err }) => err === ErrorCode.OK)).toHaveLength(5001);
    hostile.stream.setReading(true);
    machine.run();
    expect(hostile.events).toBe(5001);
    hostile.stream.end();
    machine.run();
    expect(machine.server.connectionMemory.held.outbound).toBe(0);
  });

  it('of watches that are set again, as many as a request holds, is answered', async () => {
    const hostile = await joined();
    const paths = Array.from({ length: 80_000 }, (_, i) => `/n${i}`);
    const again = { relativeZxid: toZxid(1n << 60n), dataWatches: [], existWatches: paths, childWatches: [] };
    expect((await hostile.call(operations.setWatches, again, { xid: -8 })).err).toBe(ErrorCode.OK);
    await isServed();
  });

  it('of children asked for by many is answered to all of them', async () => {
    const hostile = await joined();
    await create(hostile, '/many');
    await Promise.all(Array.from({ length: 2000 }, (_, i) => create(hostile, `/many/child-${i}`)));
    const askers = await Promise.all(Array.from({ length: 20 }, joined));
    const replies = await Promise.all(
      askers.map((asker) => asker.call(operations.getChildren, { path: '/many', watch: false })),
    );
    expect(replies.map(({ body }) => body?.children.length)).toEqual(askers.map(() => 2000));
  });

  it('of pings is answered ping by ping', async () => {
    const hostile = await joined();
    const pings = Array.from({ length: 10_000 }, () => hostile.ping());
    await isServed();
    expect((await Promise.all(pings)).every(({ err }) => err === ErrorCode.OK)).toBe(true);
  });
});

describe('a deep tree', () => {
  it('of as many levels as a path holds is made, read and deleted', async () => {
    const client = await joined();
    const levels = 500;
    let path = '';
    for (let i = 0; i < levels; i++) {
      path += '/d';
      void create(client, path);
    }
    expect((await client.call(operations.exists, { path, watch: false })).err).toBe(ErrorCode.OK);
    for (; path !== ''; path = path.slice(0, -2)) void client.call(operations.delete, { path, version: -1 });
    expect((await client.call(operations.exists, { path: '/d', watch: false })).err).toBe(ErrorCode.NO_NODE);
  });
});
