import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  connectRequest,
  ErrorCode,
  JuteReader,
  keeperStateName,
  NO_SESSION,
  OpCode,
  operations,
  type SetWatches2Request,
  SpecialXid,
  toSessionId,
  toZxid,
  type WatcherEvent,
} from 'zookeeper-protocol-ts';
import {
  AuthFailedError,
  ClientClosedError,
  ConnectionLossError,
  FrameTooLargeError,
  MarshallingFailedError,
  SessionExpiredError,
  type ZooKeeperError,
} from '../errors.ts';
import {
  accepted,
  FakeMachine,
  framed,
  notified,
  PASSWORD,
  pong,
  replied,
  repliedWith,
  SESSION_ID,
} from './fake-machine.fixture.ts';
import { Session } from './session.ts';
import type { SessionOptions } from './session-options.ts';
import type { SessionRequest } from './session-request.ts';

const HOSTS = [{ host: 'zk1', port: 2181 }];
const THREE_HOSTS = ['zk1', 'zk2', 'zk3'].map((host) => ({ host, port: 2181 }));

/** A session, and what its owner was told. */
function startSession(options: Partial<SessionOptions> = {}) {
  const machine = new FakeMachine();
  const states: (string | undefined)[] = [];
  const events: WatcherEvent[] = [];
  const watches: SetWatches2Request[] = [];
  const session = new Session({
    hosts: HOSTS,
    timeoutMs: 30_000,
    ports: machine.ports,
    handler: {
      onState: (state) => states.push(keeperStateName(state)),
      onConnectionFailure: () => undefined,
      onEvent: (event) => events.push(event),
      watchesToRestore: (relativeZxid) => watches.map((request) => ({ ...request, relativeZxid })),
    },
    ...options,
  });
  return { machine, session, states, events, watches };
}

/** A session that a server has accepted. */
function startConnected(options: Partial<SessionOptions> = {}) {
  const started = startSession(options);
  started.machine.link.accept();
  return started;
}

type Outcome = { err: number } | { error: ZooKeeperError };

/** A sync of a path: the smallest request with a path and a body. `outcomes` has all that it was told. */
function makeRequest(path = '/a') {
  const outcomes: Outcome[] = [];
  const request = {
    opCode: OpCode.sync as SessionRequest['opCode'],
    path,
    settled: false,
    write: (writer) => operations.sync.request.write(writer, { path }),
    onReply: (err, body) => {
      if (err === ErrorCode.OK) operations.sync.response.read(body);
      outcomes.push({ err });
    },
    onFailure: (error) => outcomes.push({ error }),
  } satisfies SessionRequest;
  return { request, outcomes };
}

const synced = (xid: number, options: { zxid?: bigint } = {}) =>
  repliedWith(xid, operations.sync.response, { path: '/a' }, options);

const errorOf = (outcomes: readonly Outcome[]): ZooKeeperError | undefined => {
  expect(outcomes).toHaveLength(1);
  const [outcome] = outcomes;
  return outcome !== undefined && 'error' in outcome ? outcome.error : undefined;
};

describe('handshake', () => {
  test('asks for a new session with zeros, the requested timeout and the read-only byte', () => {
    const { machine } = startSession({ timeoutMs: 12_345 });
    machine.link.open();
    expect(Buffer.concat(machine.link.writes).toString('hex')).toBe(
      `0000002d${'00000000'}${'0000000000000000'}${'00003039'}${'0000000000000000'}${'00000010'}${'00'.repeat(16)}${'00'}`,
    );
  });

  test.each([
    ['with', false],
    ['without', undefined],
  ])('takes a response %s the read-only byte', (_, readOnly) => {
    const { machine, session, states } = startSession();
    machine.link.open();
    machine.link.receive(accepted({ timeoutMs: 4000, readOnly }));
    expect(session.state).toBe('CONNECTED');
    expect(session.id).toBe(SESSION_ID);
    expect(Buffer.from(session.password)).toEqual(PASSWORD);
    expect(session.timeoutMs).toBe(4000);
    expect(states).toEqual(['SyncConnected']);
  });

  test('a read-only server is told apart', () => {
    const { machine, session, states } = startSession();
    machine.link.open();
    machine.link.receive(accepted({ readOnly: true }));
    expect(session.state).toBe('CONNECTED_READ_ONLY');
    expect(states).toEqual(['ConnectedReadOnly']);
  });

  test('a response cut into single bytes is one response', () => {
    const { machine, session } = startSession();
    machine.link.open();
    for (const byte of accepted()) machine.link.receive(Buffer.of(byte));
    expect(session.state).toBe('CONNECTED');
  });

  test('a reconnect asks for the same session and tells the last zxid', () => {
    const { machine, session } = startConnected();
    machine.step(() => session.submit(makeRequest().request));
    machine.link.receive(synced(1, { zxid: 77n }));
    machine.link.fail();
    machine.advance(5000);
    machine.link.open();
    const request = connectRequest.read(new JuteReader(Buffer.concat(machine.link.writes).subarray(4)));
    expect(request).toMatchObject({ sessionId: SESSION_ID, lastZxidSeen: 77n, timeoutMs: 30_000, readOnly: false });
    expect(Buffer.from(request.password ?? [])).toEqual(PASSWORD);
  });

  test('a refused session is expired, and all that waits fails', () => {
    const { machine, session, states } = startConnected();
    machine.link.fail();
    const { request, outcomes } = makeRequest();
    session.submit(request);
    machine.advance(5000);
    machine.link.open();
    machine.link.receive(accepted({ sessionId: NO_SESSION, timeoutMs: 0 }));
    expect(states).toEqual(['SyncConnected', 'Disconnected', 'Expired']);
    expect(errorOf(outcomes)).toBeInstanceOf(SessionExpiredError);
    expect(session.state).toBe('CLOSED');
    expect(session.leaseEnd).toBe(Number.NEGATIVE_INFINITY);
    expect(machine.link.closed).toBe(true);
    expect(machine.timers).toBe(0);
  });

  test('an answer for another session ends the connection', () => {
    const { machine, session } = startConnected();
    machine.link.fail();
    machine.advance(5000);
    machine.link.open();
    machine.link.receive(accepted({ sessionId: (SESSION_ID + 1n) as typeof SESSION_ID }));
    expect(session.state).toBe('NOT_CONNECTED');
    expect(session.id).toBe(SESSION_ID);
  });

  test('an answer that comes when the session may be over again ends the connection', () => {
    const { machine, session } = startSession();
    machine.link.open();
    machine.freeze(4000);
    machine.link.receive(accepted({ timeoutMs: 4000 }));
    expect(session.state).toBe('NOT_CONNECTED');
  });
});

describe('requests', () => {
  test('those of one tick leave in one write, numbered from 1', () => {
    const { machine, session } = startConnected();
    const before = machine.link.writes.length;
    machine.step(() => {
      for (const path of ['/a', '/b', '/c']) session.submit(makeRequest(path).request);
    });
    expect(machine.link.writes).toHaveLength(before + 1);
    expect(machine.link.requests.map(({ xid, type }) => [xid, type])).toEqual([
      [1, OpCode.sync],
      [2, OpCode.sync],
      [3, OpCode.sync],
    ]);
  });

  test('those made before there is a connection wait for it', () => {
    const { machine, session } = startSession();
    const { request, outcomes } = makeRequest();
    machine.step(() => session.submit(request));
    machine.link.accept();
    machine.link.receive(synced(1));
    expect(outcomes).toEqual([{ err: 0 }]);
  });

  test('fail with CONNECTION_LOSS that names the host and the reason when the attempt fails', () => {
    const { machine, session, states } = startSession();
    const { request, outcomes } = makeRequest();
    session.submit(request);
    machine.link.fail(new Error('connect ECONNREFUSED'));
    const error = errorOf(outcomes);
    expect(error).toBeInstanceOf(ConnectionLossError);
    expect(error?.message).toBe('connection lost: sync /a (zk1:2181: connect ECONNREFUSED)');
    expect(states).toEqual(['Disconnected']);
  });

  test('a reply with an error has no body', () => {
    const { machine, session } = startConnected();
    const { request, outcomes } = makeRequest();
    machine.step(() => session.submit(request));
    machine.link.receive(replied(1, { err: ErrorCode.NO_NODE, zxid: 5n }));
    expect(outcomes).toEqual([{ err: ErrorCode.NO_NODE }]);
    expect(session.lastZxid).toBe(5n);
  });

  test('lastZxid never goes back, and pings do not move it', () => {
    const { machine, session } = startConnected();
    machine.step(() => {
      for (let i = 0; i < 3; i++) session.submit(makeRequest().request);
    });
    machine.link.receive(synced(1, { zxid: 9n }), synced(2, { zxid: -1n }), synced(3, { zxid: 3n }));
    machine.link.receive(replied(SpecialXid.ping, { zxid: 100n }));
    expect(session.lastZxid).toBe(9n);
  });

  test('one that its caller has given up is not sent, and takes no xid', () => {
    const { machine, session } = startConnected();
    const given = makeRequest('/given-up');
    const { request } = makeRequest('/b');
    machine.step(() => {
      session.submit({ ...given.request, settled: true });
      session.submit(request);
    });
    expect(machine.link.requests).toHaveLength(1);
    expect(machine.link.requests[0]?.xid).toBe(1);
  });

  test('the reply of one that its caller has given up is dropped, in its place', () => {
    const { machine, session } = startConnected();
    const given = makeRequest();
    const next = makeRequest();
    const givenUp = { ...given.request, settled: false };
    machine.step(() => {
      session.submit(givenUp);
      session.submit(next.request);
    });
    givenUp.settled = true;
    machine.link.receive(synced(1), synced(2));
    expect(given.outcomes).toEqual([]);
    expect(next.outcomes).toEqual([{ err: 0 }]);
  });

  test('one larger than the frame limit is refused, and the others of its tick are sent', () => {
    const { machine, session } = startConnected({ frameBytesMax: 1024 });
    const large = makeRequest(`/${'x'.repeat(1024)}`);
    const small = makeRequest();
    machine.step(() => {
      session.submit(large.request);
      session.submit(small.request);
    });
    expect(errorOf(large.outcomes)).toBeInstanceOf(FrameTooLargeError);
    expect(machine.link.requests).toHaveLength(1);
    machine.link.receive(synced(2));
    expect(small.outcomes).toEqual([{ err: 0 }]);
  });

  test('one that cannot be written fails alone', () => {
    const { machine, session } = startConnected();
    const broken = makeRequest('/broken');
    const fine = makeRequest();
    machine.step(() => {
      session.submit({
        ...broken.request,
        write: (writer) => {
          writer.writeString('half');
          throw new TypeError('not a string');
        },
      });
      session.submit(fine.request);
    });
    expect(errorOf(broken.outcomes)).toBeInstanceOf(MarshallingFailedError);
    expect(machine.link.requests.map(({ body }) => body.readString())).toEqual(['/a']);
  });
});

describe('bytes that make no sense', () => {
  test('an xid out of order ends the connection, and no request gets the answer of another', () => {
    const { machine, session, states } = startConnected();
    const first = makeRequest();
    const second = makeRequest();
    machine.step(() => {
      session.submit(first.request);
      session.submit(second.request);
    });
    machine.link.receive(synced(2), synced(1));
    for (const { outcomes } of [first, second]) expect(errorOf(outcomes)).toBeInstanceOf(ConnectionLossError);
    expect(machine.link.closed).toBe(true);
    expect(states).toEqual(['SyncConnected', 'Disconnected']);
  });

  test('an answer that nobody asked for ends the connection', () => {
    const { machine, session } = startConnected();
    machine.link.receive(synced(1));
    expect(session.state).toBe('NOT_CONNECTED');
  });

  test('a truncated reply fails its request and ends the connection', () => {
    const { machine, session } = startConnected();
    const { request, outcomes } = makeRequest();
    const behind = makeRequest('/b');
    machine.step(() => {
      session.submit(request);
      session.submit(behind.request);
    });
    machine.link.receive(replied(1));
    expect(errorOf(outcomes)).toBeInstanceOf(MarshallingFailedError);
    expect(errorOf(behind.outcomes)).toBeInstanceOf(ConnectionLossError);
    expect(session.state).toBe('NOT_CONNECTED');
  });

  test.each([
    ['a header that is too short', framed((writer) => writer.writeInt(1))],
    ['a negative length', Buffer.from('ffffffff', 'hex')],
    ['an event without a path', framed((writer) => writer.writeRaw(Buffer.from(`${'ff'.repeat(12)}00000000`, 'hex')))],
  ])('%s ends the connection', (_, bytes) => {
    const { machine, session } = startConnected();
    machine.link.receive(bytes);
    expect(session.state).toBe('NOT_CONNECTED');
  });

  test('a reply over the frame limit fails its request with FRAME_TOO_LARGE, not with CONNECTION_LOSS', () => {
    const { machine, session } = startConnected({ frameBytesMax: 1024 });
    const { request, outcomes } = makeRequest();
    const behind = makeRequest('/b');
    machine.step(() => {
      session.submit(request);
      session.submit(behind.request);
    });
    machine.link.receive(Buffer.from('0000040100000001', 'hex'));
    expect(errorOf(outcomes)).toBeInstanceOf(FrameTooLargeError);
    expect(errorOf(behind.outcomes)).toBeInstanceOf(ConnectionLossError);
  });

  test('unknown error codes and event types are handed on', () => {
    const { machine, session, events } = startConnected();
    const { request, outcomes } = makeRequest();
    machine.step(() => session.submit(request));
    machine.link.receive(notified('/a', 4711), replied(1, { err: -999 }));
    expect(events.map(({ type }) => type)).toEqual([4711]);
    expect(outcomes).toEqual([{ err: -999 }]);
    expect(session.state).toBe('CONNECTED');
  });
});

describe('time', () => {
  // 30 s: silent for 20 s at the most; half of that less a second is 9 s.
  test.each([
    [30_000, 9000],
    [3000, 1000],
    [1200, 400],
    [90_000, 10_000],
  ])('with a session timeout of %i ms, an idle client pings after %i ms', (timeoutMs, pingAfterMs) => {
    const { machine } = startSession();
    machine.link.accept({ timeoutMs });
    machine.advance(pingAfterMs - 1);
    expect(machine.link.requests).toHaveLength(0);
    machine.advance(1);
    expect(machine.link.requests.map(({ xid, type }) => [xid, type])).toEqual([[SpecialXid.ping, OpCode.ping]]);
    machine.link.receive(pong());
    machine.advance(pingAfterMs);
    expect(machine.link.requests).toHaveLength(2);
  });

  test('a client that sends need not ping', () => {
    const { machine, session } = startConnected();
    machine.advance(8000);
    machine.step(() => session.submit(makeRequest().request));
    machine.link.receive(synced(1));
    machine.advance(8999);
    expect(machine.link.requests.filter(({ type }) => type === OpCode.ping)).toHaveLength(0);
    machine.advance(1);
    expect(machine.link.requests.filter(({ type }) => type === OpCode.ping)).toHaveLength(1);
  });

  test('a connection that is silent for exactly two thirds of the session timeout is given up', () => {
    const { machine, session, states } = startConnected();
    const { request, outcomes } = makeRequest();
    machine.step(() => session.submit(request));
    machine.advance(19_999);
    expect(session.state).toBe('CONNECTED');
    machine.advance(1);
    expect(machine.links[0]?.closed).toBe(true);
    expect(states).toEqual(['SyncConnected', 'Disconnected']);
    expect(errorOf(outcomes)?.message).toContain('nothing heard from the server for 20000 ms');
  });

  test('any byte counts as a sign of life', () => {
    const { machine, session } = startConnected();
    machine.advance(15_000);
    machine.link.receive(notified('/a').subarray(0, 1));
    machine.advance(10_000);
    expect(session.state).toBe('CONNECTED');
  });

  test('bytes that a frozen process finds too late do not save the connection', () => {
    const { machine, session, states } = startConnected();
    machine.freeze(20_000);
    machine.link.receive(notified('/a'));
    expect(session.state).toBe('NOT_CONNECTED');
    expect(states).toEqual(['SyncConnected', 'Disconnected']);
  });

  test('timers that a frozen process runs too late do the same', () => {
    const { machine, session } = startConnected();
    machine.freeze(31_000);
    machine.advance(0);
    expect(session.state).toBe('NOT_CONNECTED');
  });

  test.each([
    ['opening', () => undefined],
    ['the handshake', (machine: FakeMachine) => machine.link.open()],
  ])('%s may take the session timeout divided by the number of hosts', (_, prepare) => {
    const { machine, session } = startSession({ hosts: THREE_HOSTS });
    prepare(machine);
    machine.advance(9999);
    expect(session.state).toBe('CONNECTING');
    machine.advance(1);
    expect(session.state).toBe('NOT_CONNECTED');
    expect(machine.links[0]?.closed).toBe(true);
  });
});

describe('leaseEnd', () => {
  test('is -Infinity before the first connection', () => {
    const { machine, session } = startSession();
    machine.link.open();
    expect(session.leaseEnd).toBe(Number.NEGATIVE_INFINITY);
  });

  test('counts from when the connect request was sent, with the negotiated timeout', () => {
    const { machine, session } = startSession();
    machine.advance(100);
    machine.link.open();
    const sentAt = machine.now;
    machine.advance(250);
    machine.link.receive(accepted({ timeoutMs: 8000 }));
    expect(session.leaseEnd).toBe(sentAt + 8000);
  });

  test('counts from when the answered request was sent, not from the answer', () => {
    const { machine, session } = startConnected();
    const before = session.leaseEnd;
    machine.advance(2000);
    const sentAt = machine.now;
    machine.step(() => session.submit(makeRequest().request));
    machine.advance(3000);
    expect(session.leaseEnd).toBe(before);
    machine.link.receive(synced(1));
    expect(session.leaseEnd).toBe(sentAt + 30_000);
  });

  test('counts from when the answered ping was sent, and not from one still unanswered', () => {
    const { machine, session } = startConnected();
    const start = machine.now;
    machine.advance(18_000);
    expect(machine.link.requests).toHaveLength(2);
    machine.link.receive(pong());
    expect(session.leaseEnd).toBe(start + 9000 + 30_000);
  });

  test('is not moved by events', () => {
    const { machine, session } = startConnected();
    const before = session.leaseEnd;
    machine.advance(5000);
    machine.link.receive(notified('/a'));
    expect(session.leaseEnd).toBe(before);
  });

  test.each([ErrorCode.SESSION_EXPIRED, ErrorCode.SESSION_MOVED])('is not moved by the error %i', (err) => {
    const { machine, session } = startConnected();
    const before = session.leaseEnd;
    machine.advance(5000);
    machine.step(() => session.submit(makeRequest().request));
    machine.link.receive(replied(1, { err }));
    expect(session.leaseEnd).toBe(before);
  });

  test('stays while the connection is away, and moves with the next one', () => {
    const { machine, session } = startConnected();
    const before = session.leaseEnd;
    machine.link.fail();
    expect(session.leaseEnd).toBe(before);
    machine.advance(5000);
    const sentAt = machine.now;
    machine.link.accept();
    expect(session.leaseEnd).toBe(sentAt + 30_000);
  });

  test('is never passed by a connection that still gets events but no answers', () => {
    const { machine, session } = startConnected();
    const { leaseEnd } = session;
    while (machine.now < leaseEnd - 1000) {
      machine.advance(1000);
      machine.link.receive(notified('/a'));
    }
    expect(session.state).toBe('CONNECTED');
    machine.advance(1000);
    expect(session.state).toBe('NOT_CONNECTED');
  });
});

describe('reconnecting', () => {
  test('tries the hosts in turn, and pauses a second more before the first one again', () => {
    const { machine } = startSession({ hosts: THREE_HOSTS });
    machine.random = 0.999;
    const tried: [string, number][] = [];
    for (let i = 0; i < 4; i++) {
      const start = machine.now;
      machine.link.fail(new Error('refused'));
      const links = machine.links.length;
      while (machine.links.length === links) machine.advance(1);
      tried.push([machine.link.address.host, machine.now - start]);
    }
    const [first, second, third] = machine.links.map(({ address }) => address.host);
    expect(new Set([first, second, third]).size).toBe(3);
    expect(tried).toEqual([
      [second, 100],
      [third, 100],
      [first, 1100],
      [second, 100],
    ]);
  });

  test('spreads over a second once a server has been reached', () => {
    const { machine } = startSession({ hosts: THREE_HOSTS });
    machine.random = 0.5;
    machine.link.accept();
    machine.link.fail();
    machine.advance(599);
    expect(machine.links).toHaveLength(1);
    machine.advance(1);
    expect(machine.links).toHaveLength(2);
  });

  test('shuffles the hosts by the random port', () => {
    const machine = new FakeMachine();
    machine.random = 0.99;
    startSession({ hosts: THREE_HOSTS, ports: machine.ports });
    expect(machine.link.address.host).toBe('zk1');
    const other = new FakeMachine();
    startSession({ hosts: THREE_HOSTS, ports: other.ports });
    expect(other.link.address.host).toBe('zk2');
  });

  test('tells Disconnected once an outage', () => {
    const { machine, states } = startConnected();
    machine.link.fail();
    for (let i = 0; i < 3; i++) {
      machine.advance(5000);
      machine.link.fail(new Error('refused'));
    }
    machine.advance(5000);
    machine.link.accept();
    expect(states).toEqual(['SyncConnected', 'Disconnected', 'SyncConnected']);
  });

  test('remembers why each host failed until the next connection', () => {
    const { machine, session } = startSession();
    machine.link.fail(new Error('getaddrinfo ENOTFOUND zk1'));
    expect([...session.failures].map(([host, { message }]) => [host, message])).toEqual([
      ['zk1:2181', 'getaddrinfo ENOTFOUND zk1'],
    ]);
    machine.advance(5000);
    machine.link.accept();
    expect(session.failures.size).toBe(0);
  });

  test('credentials come first, then the watches, then the requests that wait, in one write', () => {
    const { machine, session, watches } = startConnected();
    watches.push({
      relativeZxid: toZxid(0n),
      dataWatches: ['/d'],
      existWatches: ['/e'],
      childWatches: ['/c'],
      persistentWatches: [],
      persistentRecursiveWatches: [],
    });
    session.addCredential({
      scheme: 'digest',
      auth: Buffer.from('bob:pw'),
      onAccepted: () => undefined,
      onFailure: () => undefined,
    });
    machine.step(() => session.submit(makeRequest().request));
    machine.link.receive(replied(SpecialXid.auth), synced(1, { zxid: 42n }));
    machine.link.fail();
    session.submit(makeRequest('/waiting').request);
    machine.advance(5000);
    machine.link.accept();
    expect(machine.link.writes).toHaveLength(2);
    const [auth, setWatches, sync] = machine.link.requests;
    expect(auth).toMatchObject({ xid: SpecialXid.auth, type: OpCode.auth });
    expect(setWatches).toMatchObject({ type: OpCode.setWatches });
    expect(setWatches && operations.setWatches.request.read(setWatches.body)).toEqual({
      relativeZxid: 42n,
      dataWatches: ['/d'],
      existWatches: ['/e'],
      childWatches: ['/c'],
    });
    expect(sync?.type).toBe(OpCode.sync);
  });

  test('persistent watches need setWatches2', () => {
    const { machine, watches } = startSession();
    watches.push({
      relativeZxid: toZxid(0n),
      dataWatches: [],
      existWatches: [],
      childWatches: [],
      persistentWatches: ['/p'],
      persistentRecursiveWatches: ['/r'],
    });
    machine.link.accept();
    const [request] = machine.link.requests;
    expect(request?.type).toBe(OpCode.setWatches2);
    expect(request && operations.setWatches2.request.read(request.body)).toMatchObject({
      persistentWatches: ['/p'],
      persistentRecursiveWatches: ['/r'],
    });
  });

  test('a connection whose server does not take the watches is given up', () => {
    const { machine, session, watches } = startSession();
    watches.push({
      relativeZxid: toZxid(0n),
      dataWatches: ['/d'],
      existWatches: [],
      childWatches: [],
      persistentWatches: [],
      persistentRecursiveWatches: [],
    });
    machine.link.accept();
    machine.link.receive(replied(1, { err: ErrorCode.UNIMPLEMENTED }));
    expect(session.state).toBe('NOT_CONNECTED');
  });
});

describe('credentials', () => {
  test('one that the server refuses ends the session', () => {
    const { machine, session, states } = startConnected();
    const failures: ZooKeeperError[] = [];
    const { request, outcomes } = makeRequest();
    session.submit(request);
    session.addCredential({
      scheme: 'nonsense',
      auth: Buffer.alloc(0),
      onAccepted: () => expect.fail('accepted'),
      onFailure: (error) => failures.push(error),
    });
    machine.link.receive(replied(SpecialXid.auth, { err: ErrorCode.AUTH_FAILED }));
    expect(failures).toHaveLength(1);
    expect(failures[0]).toBeInstanceOf(AuthFailedError);
    expect(errorOf(outcomes)).toBeInstanceOf(AuthFailedError);
    expect(session.state).toBe('AUTH_FAILED');
    expect(states).toEqual(['SyncConnected', 'AuthFailed']);
    expect(machine.timers).toBe(0);
  });
});

describe('close', () => {
  function close(session: Session): { readonly count: number } {
    const closed = { count: 0 };
    session.close(() => closed.count++);
    return closed;
  }

  test('sends closeSession behind what was asked for before, and settles everything', () => {
    const { machine, session, states } = startConnected();
    const { request, outcomes } = makeRequest();
    session.submit(request);
    const closed = close(session);
    machine.drain();
    expect(machine.link.requests.map(({ xid, type }) => [xid, type])).toEqual([
      [1, OpCode.sync],
      [2, OpCode.closeSession],
    ]);
    expect(closed.count).toBe(0);
    machine.link.receive(synced(1), replied(2));
    expect(outcomes).toEqual([{ err: 0 }]);
    expect(closed.count).toBe(1);
    expect(states).toEqual(['SyncConnected', 'Closed']);
    expect(machine.link.closed).toBe(true);
    expect(machine.timers).toBe(0);
    expect(session.leaseEnd).toBe(Number.NEGATIVE_INFINITY);
  });

  test('refuses what is asked for later', () => {
    const { session } = startConnected();
    close(session);
    const { request, outcomes } = makeRequest();
    session.submit(request);
    expect(errorOf(outcomes)).toBeInstanceOf(ClientClosedError);
  });

  test('is over at once where there is no session, and nothing is tried any more', () => {
    const { machine, session } = startSession();
    const { request, outcomes } = makeRequest();
    session.submit(request);
    const closed = close(session);
    expect(closed.count).toBe(1);
    expect(errorOf(outcomes)).toBeInstanceOf(ClientClosedError);
    expect(machine.link.closed).toBe(true);
    machine.advance(60_000);
    expect(machine.links).toHaveLength(1);
    expect(machine.timers).toBe(0);
  });

  test('is over at once between two attempts', () => {
    const { machine, session } = startConnected();
    machine.link.fail();
    expect(close(session).count).toBe(1);
    expect(machine.timers).toBe(0);
  });

  test('awaits an attempt under way, to end the session on the server', () => {
    const { machine, session } = startConnected();
    machine.link.fail();
    machine.advance(5000);
    const closed = close(session);
    machine.link.accept();
    expect(machine.link.requests.map(({ type }) => type)).toEqual([OpCode.closeSession]);
    machine.link.receive(replied(1));
    expect(closed.count).toBe(1);
  });

  test('is over when the connection breaks before the answer, and pending calls have an unknown outcome', () => {
    const { machine, session, states } = startConnected();
    const { request, outcomes } = makeRequest();
    session.submit(request);
    const closed = close(session);
    machine.drain();
    machine.link.fail();
    expect(closed.count).toBe(1);
    expect(errorOf(outcomes)).toBeInstanceOf(ConnectionLossError);
    expect(states.at(-1)).toBe('Closed');
  });

  test('takes the session timeout at the most', () => {
    const { machine, session } = startConnected();
    const closed = close(session);
    machine.drain();
    while (closed.count === 0 && machine.now < 100_000) {
      machine.advance(1000);
      machine.link.receive(notified('/busy'));
    }
    expect(machine.now).toBe(31_000);
    expect(machine.timers).toBe(0);
  });

  test('calls back at once when the session is over', () => {
    const { session } = startConnected();
    session.abandon();
    expect(close(session).count).toBe(1);
  });
});

describe('abandon', () => {
  test('drops the connection without closeSession, and all that waits fails with SESSION_EXPIRED', () => {
    const { machine, session, states } = startConnected();
    const sent = makeRequest();
    machine.step(() => session.submit(sent.request));
    const unsent = makeRequest();
    session.submit(unsent.request);
    machine.step(() => session.abandon());
    for (const { outcomes } of [sent, unsent]) expect(errorOf(outcomes)).toBeInstanceOf(SessionExpiredError);
    expect(machine.link.requests.map(({ type }) => type)).toEqual([OpCode.sync]);
    expect(machine.link.closed).toBe(true);
    expect(session.state).toBe('CLOSED');
    expect(session.leaseEnd).toBe(Number.NEGATIVE_INFINITY);
    expect(states).toEqual(['SyncConnected', 'Expired']);
    expect(machine.timers).toBe(0);
  });

  test('is possible at any time, and only once', () => {
    const { machine, session, states } = startSession();
    session.abandon();
    session.abandon();
    expect(states).toEqual(['Expired']);
    expect(machine.timers).toBe(0);
    const { request, outcomes } = makeRequest();
    session.submit(request);
    expect(errorOf(outcomes)).toBeInstanceOf(SessionExpiredError);
  });
});

describe('whatever happens', () => {
  type Action =
    | { kind: 'submit' | 'giveUp' | 'open' | 'accept' | 'reply' | 'pong' | 'event' | 'fail' }
    | { kind: 'advance' | 'freeze'; ms: number }
    | { kind: 'garbage'; bytes: Uint8Array };

  const action: fc.Arbitrary<Action> = fc.oneof(
    fc.record({
      kind: fc.constantFrom('submit', 'giveUp', 'open', 'accept', 'accept', 'reply', 'pong', 'event', 'fail'),
    }),
    fc.record({ kind: fc.constant('advance'), ms: fc.nat(4000) }),
    fc.record({ kind: fc.constant('freeze'), ms: fc.nat(9000) }),
    fc.record({ kind: fc.constant('garbage'), bytes: fc.uint8Array({ maxLength: 40 }) }),
  );

  test('every request is answered exactly once, the lease is never too long, and nothing is left behind', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), fc.constantFrom('close', 'abandon'), (actions, ending) => {
        const { machine, session } = startSession({ timeoutMs: 6000, hosts: THREE_HOSTS });
        const requests: { request: { settled: boolean }; outcomes: Outcome[] }[] = [];
        const perform = (next: Action): void => {
          switch (next.kind) {
            case 'submit': {
              const made = makeRequest();
              requests.push(made);
              return machine.step(() => session.submit(made.request));
            }
            case 'giveUp': {
              const given = requests.find(({ outcomes }) => outcomes.length === 0);
              if (given !== undefined) given.request.settled = true;
              return;
            }
            case 'open':
              return machine.link.writes.length === 0 ? machine.link.open() : undefined;
            case 'accept':
              if (session.state !== 'CONNECTING') return;
              if (machine.link.writes.length === 0) machine.link.open();
              return machine.link.receive(accepted({ timeoutMs: 6000 }));
            case 'reply': {
              if (session.state !== 'CONNECTED') return;
              const sent = machine.link.requests.filter(({ type }) => type === OpCode.sync);
              const answered = machine.link.answered++;
              const request = sent[answered];
              return request && machine.link.receive(synced(request.xid));
            }
            case 'pong':
              return session.state === 'CONNECTED' ? machine.link.receive(pong()) : undefined;
            case 'event':
              return session.state === 'CONNECTED' ? machine.link.receive(notified('/a')) : undefined;
            case 'fail':
              return machine.link.fail(new Error('reset'));
            case 'advance':
              return machine.advance(next.ms);
            case 'freeze':
              return machine.freeze(next.ms);
            case 'garbage':
              return session.state === 'CONNECTED' ? machine.link.receive(next.bytes) : undefined;
          }
        };
        for (const next of actions) {
          perform(next);
          expect(session.leaseEnd).toBeLessThanOrEqual(machine.lastWrite + 6000);
          if (next.kind === 'advance' && session.state === 'CONNECTED') {
            expect(session.leaseEnd).toBeGreaterThan(machine.now);
          }
        }
        let closed = 0;
        if (ending === 'abandon') session.abandon();
        session.close(() => closed++);
        machine.drain();
        machine.advance(7000);
        expect(closed).toBe(1);
        expect(session.state).toBe('CLOSED');
        expect(machine.timers).toBe(0);
        expect(machine.links.filter((link) => !link.closed && !link.ended)).toEqual([]);
        for (const { request, outcomes } of requests) {
          expect(outcomes.length).toBeLessThanOrEqual(1);
          if (!request.settled) expect(outcomes).toHaveLength(1);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('a server without a quorum', () => {
  const READ_ONLY_SESSION = toSessionId(0x7n);

  const openReadOnly = () => {
    const machine = new FakeMachine();
    const states: string[] = [];
    const session = new Session({
      hosts: THREE_HOSTS,
      timeoutMs: 30_000,
      canBeReadOnly: true,
      ports: machine.ports,
      handler: {
        onState: (state) => states.push(keeperStateName(state) ?? ''),
        onConnectionFailure: () => undefined,
        onEvent: () => undefined,
        watchesToRestore: () => [],
      },
    });
    return { machine, session, states };
  };
  const connectRequestOf = (link: { writes: Uint8Array[] }) =>
    connectRequest.read(new JuteReader(Buffer.from(link.writes[0] ?? []).subarray(4)));

  test('will do, until one with a quorum is found; then the session is a real one', () => {
    const { machine, session, states } = openReadOnly();
    machine.link.accept({ readOnly: true, sessionId: READ_ONLY_SESSION });
    expect(connectRequestOf(machine.link)).toMatchObject({ readOnly: true, sessionId: NO_SESSION });
    expect(session.state).toBe('CONNECTED_READ_ONLY');

    machine.advance(100);
    const first = machine.link;
    first.open();
    expect(Buffer.concat(first.writes).toString()).toBe('isro');
    first.receive(Buffer.from('ro'));
    expect(first.closed).toBe(true);
    machine.advance(200);
    const second = machine.link;
    second.open();
    second.receive(Buffer.from('rw'));
    expect(session.state).toBe('NOT_CONNECTED');
    machine.advance(100);
    expect(machine.link.address).toEqual(second.address);
    machine.link.open();
    expect(connectRequestOf(machine.link)).toMatchObject({ sessionId: NO_SESSION });
    machine.link.receive(accepted());
    expect([session.state, session.id]).toEqual(['CONNECTED', SESSION_ID]);
    expect(states).toEqual(['ConnectedReadOnly', 'Disconnected', 'SyncConnected']);
  });

  test('is asked by nobody any more when the session is over', () => {
    const { machine, session } = openReadOnly();
    machine.link.accept({ readOnly: true, sessionId: READ_ONLY_SESSION });
    machine.advance(100);
    const probe = machine.link;
    session.abandon();
    expect(probe.closed).toBe(true);
    expect(machine.timers).toBe(0);
  });

  test('that does not answer is left after a second', () => {
    const { machine } = openReadOnly();
    machine.link.accept({ readOnly: true, sessionId: READ_ONLY_SESSION });
    machine.advance(100);
    const probe = machine.link;
    machine.advance(1000);
    expect(probe.closed).toBe(true);
    machine.advance(200);
    expect(machine.link).not.toBe(probe);
  });

  test('says nothing about a session of the ensemble: its lease ends, the reads go on', () => {
    const { machine, session } = openReadOnly();
    machine.link.accept();
    machine.link.fail();
    const { leaseEnd } = session;
    machine.advance(2000);
    machine.link.accept({ readOnly: true });
    expect(session.leaseEnd).toBe(leaseEnd);
    expect(session.state).toBe('CONNECTED_READ_ONLY');
  });
});

describe('another list of servers', () => {
  test('moves a connection whose server has gone, and fails what was under way', () => {
    const machine = new FakeMachine();
    const states: string[] = [];
    const session = new Session({
      hosts: HOSTS,
      timeoutMs: 30_000,
      ports: machine.ports,
      handler: {
        onState: (state) => states.push(keeperStateName(state) ?? ''),
        onConnectionFailure: () => undefined,
        onEvent: () => undefined,
        watchesToRestore: () => [],
      },
    });
    machine.link.accept();
    // Whatever is drawn, there is no pause: nothing has failed.
    machine.random = 0.999;
    session.updateHosts([{ host: 'zk9', port: 2181 }]);
    machine.advance(0);
    expect(machine.link.address.host).toBe('zk9');
    machine.link.accept();
    expect(states).toEqual(['SyncConnected', 'Disconnected', 'SyncConnected']);
    expect(session.id).toBe(SESSION_ID);
  });

  test('ends the pause of a session that waits for a server which has gone', () => {
    const { machine, session } = startConnected();
    machine.random = 0.999;
    machine.link.fail();
    expect(session.state).toBe('NOT_CONNECTED');
    session.updateHosts([{ host: 'zk9', port: 2181 }]);
    machine.advance(0);
    expect(machine.link.address.host).toBe('zk9');
  });

  test('leaves a connection alone whose server stays', () => {
    const machine = new FakeMachine();
    const session = new Session({
      hosts: THREE_HOSTS,
      timeoutMs: 30_000,
      ports: machine.ports,
      handler: {
        onState: () => undefined,
        onConnectionFailure: () => undefined,
        onEvent: () => undefined,
        watchesToRestore: () => [],
      },
    });
    machine.link.accept();
    session.updateHosts([machine.link.address]);
    expect(session.state).toBe('CONNECTED');
    expect(machine.links).toHaveLength(1);
  });
});
