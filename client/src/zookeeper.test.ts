import { describe, expect, test } from 'vitest';
import {
  CreateMode,
  ErrorCode,
  EventType,
  eventTypeName,
  KeeperState,
  keeperStateName,
  type MultiResult,
  NO_SESSION,
  OPEN_ACL,
  OpCode,
  operations,
  SpecialXid,
  type Stat,
  toSessionId,
  toZxid,
} from 'zookeeper-protocol-ts';
import {
  BadVersionError,
  ClientClosedError,
  ConnectionLossError,
  InvalidArgumentError,
  InvalidConnectStringError,
  NoNodeError,
  OperationTimeoutError,
  SessionExpiredError,
} from './errors.ts';
import {
  accepted,
  FakeMachine,
  notified,
  PASSWORD,
  replied,
  repliedWith,
  SESSION_ID,
} from './session/fake-machine.fixture.ts';
import type { WatchedEvent } from './watch/watch-registry.ts';
import { ZooKeeper, type ZooKeeperOptions } from './zookeeper.ts';

const STAT: Stat = {
  czxid: toZxid(1n),
  mzxid: toZxid(2n),
  ctime: 3,
  mtime: 4,
  version: 5,
  cversion: 6,
  aversion: 7,
  ephemeralOwner: NO_SESSION,
  dataLength: 8,
  numChildren: 9,
  pzxid: toZxid(10n),
};

function connect(options: Partial<ZooKeeperOptions> = {}) {
  const machine = new FakeMachine();
  const zk = new ZooKeeper({ connectString: 'zk1', ports: machine.ports, ...options });
  machine.link.accept();
  return { machine, zk };
}

/** The error that a promise rejects with. */
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => expect.fail(`resolved with ${String(value)}`),
    (error: unknown) => error,
  );

const gotData = (xid: number, data: string) =>
  repliedWith(xid, operations.getData.response, { data: Buffer.from(data), stat: STAT });

/** The paths of the requests sent so far. */
const sentPaths = (machine: FakeMachine) => machine.link.requests.map(({ body }) => body.readString());

describe('operations', () => {
  test.each([
    [CreateMode.EPHEMERAL_SEQUENTIAL, undefined, OpCode.create2],
    [CreateMode.CONTAINER, undefined, OpCode.createContainer],
    [CreateMode.PERSISTENT_WITH_TTL, 5000, OpCode.createTTL],
  ])('create in mode %i uses the operation that the mode needs', async (mode, ttlMs, opCode) => {
    const { machine, zk } = connect();
    const created = zk.create('/a', { mode, ttlMs, data: 'ü' });
    await machine.settle();
    const [request] = machine.link.requests;
    expect(request?.type).toBe(opCode);
    const codec = opCode === OpCode.createTTL ? operations.createTTL.request : operations.create2.request;
    expect(request && codec.read(request.body)).toEqual({
      path: '/a',
      data: Buffer.from('ü'),
      acl: OPEN_ACL,
      flags: mode,
      ...(ttlMs === undefined ? {} : { ttlMs }),
    });
    machine.link.receive(repliedWith(1, operations.create2.response, { path: '/a0000000007', stat: STAT }));
    expect(await created).toEqual({ path: '/a0000000007', stat: STAT });
  });

  test('versions default to any', async () => {
    const { machine, zk } = connect();
    void zk.delete('/a').catch(() => undefined);
    const failed = failure(zk.setData('/a', Buffer.of(1), { version: 7 }));
    await machine.settle();
    const [remove, set] = machine.link.requests;
    expect(remove && operations.delete.request.read(remove.body)).toEqual({ path: '/a', version: -1 });
    expect(set && operations.setData.request.read(set.body)).toEqual({ path: '/a', data: Buffer.of(1), version: 7 });
    machine.link.receive(replied(1), replied(2, { err: ErrorCode.BAD_VERSION }));
    expect(await failed).toBeInstanceOf(BadVersionError);
    expect(await failed).toMatchObject({ code: 'BAD_VERSION', path: '/a' });
  });

  test('exists answers undefined for a znode that is not there', async () => {
    const { machine, zk } = connect();
    const exists = zk.exists('/a');
    await machine.settle();
    machine.link.receive(replied(1, { err: ErrorCode.NO_NODE }));
    expect(await exists).toBeUndefined();
  });

  test('data that is null on the wire is empty, and data is a copy of the received bytes', async () => {
    const { machine, zk } = connect();
    const none = zk.getData('/a');
    const some = zk.getData('/a');
    await machine.settle();
    const reply = gotData(2, 'data');
    machine.link.receiveOnly(repliedWith(1, operations.getData.response, { data: null, stat: STAT }), reply);
    await machine.settle();
    expect(await none).toEqual({ data: Buffer.alloc(0), stat: STAT });
    const { data } = await some;
    expect(data.toString()).toBe('data');
    expect(data.buffer).not.toBe(reply.buffer);
  });

  test('a failed multi rejects with the error of the operation that failed it', async () => {
    const { machine, zk } = connect();
    const failed = failure(
      zk.multi([
        { kind: 'check', path: '/a', version: 1 },
        { kind: 'delete', path: '/b' },
        { kind: 'setData', path: '/c', data: 'x' },
      ]),
    );
    await machine.settle();
    const results: MultiResult[] = [0, ErrorCode.NO_NODE, -2].map((err) => ({ type: OpCode.error, err }));
    machine.link.receive(repliedWith(1, operations.multi.response, results));
    expect(await failed).toBeInstanceOf(NoNodeError);
    expect(await failed).toMatchObject({ path: '/b' });
  });

  test('a multi returns the result of each operation, also of a create without stat', async () => {
    const { machine, zk } = connect({ connectString: 'zk1/app' });
    const done = zk.multi([
      { kind: 'create', path: '/s-', mode: CreateMode.PERSISTENT_SEQUENTIAL },
      { kind: 'check', path: '/a' },
    ]);
    await machine.settle();
    const [request] = machine.link.requests;
    expect(request && operations.multi.request.read(request.body)).toMatchObject([
      { type: OpCode.create2, request: { path: '/app/s-' } },
      { type: OpCode.check, request: { path: '/app/a', version: -1 } },
    ]);
    const results: MultiResult[] = [{ type: OpCode.create, path: '/app/s-0000000001' }, { type: OpCode.check }];
    machine.link.receive(repliedWith(1, operations.multi.response, results));
    expect(await done).toEqual([{ kind: 'create', path: '/s-0000000001', stat: undefined }, { kind: 'check' }]);
  });

  test('the error of a multi tells what the server said of each operation, also in codes of a newer one', async () => {
    const { machine, zk } = connect();
    const failed = failure(zk.multi(['/a', '/b', '/c'].map((path) => ({ kind: 'check', path }) as const)));
    await machine.settle();
    const results: MultiResult[] = [0, -999, -2].map((err) => ({ type: OpCode.error, err }));
    machine.link.receive(repliedWith(1, operations.multi.response, results));
    expect(await failed).toMatchObject({ code: '-999', operationCodes: ['OK', '-999', 'RUNTIME_INCONSISTENCY'] });
  });

  test('the reads of a multiRead fail each for itself', async () => {
    const { machine, zk } = connect({ connectString: 'zk1/app' });
    const done = zk.multiRead([
      { kind: 'getData', path: '/a' },
      { kind: 'getChildren', path: '/' },
      { kind: 'getData', path: '/none' },
    ]);
    await machine.settle();
    const [request] = machine.link.requests;
    expect(request && operations.multiRead.request.read(request.body)).toMatchObject([
      { type: OpCode.getData, request: { path: '/app/a', watch: false } },
      { type: OpCode.getChildren, request: { path: '/app' } },
      { type: OpCode.getData, request: { path: '/app/none' } },
    ]);
    const results: MultiResult[] = [
      { type: OpCode.getData, data: null, stat: STAT },
      { type: OpCode.getChildren, children: ['a'] },
      { type: OpCode.error, err: ErrorCode.NO_NODE },
    ];
    machine.link.receive(repliedWith(1, operations.multiRead.response, results));
    expect(await done).toMatchObject([
      { kind: 'getData', data: Buffer.alloc(0), stat: STAT },
      { kind: 'getChildren', children: ['a'] },
      { kind: 'error', error: { code: 'NO_NODE', path: '/none' } },
    ]);
  });

  test('getEphemerals answers paths of the chroot, and none of its neighbours', async () => {
    const { machine, zk } = connect({ connectString: 'zk1/app' });
    const ephemerals = zk.getEphemerals();
    await machine.settle();
    const [request] = machine.link.requests;
    expect(request && operations.getEphemerals.request.read(request.body)).toEqual({ prefixPath: '/app' });
    const answer = { ephemerals: ['/app/a', '/application/b'] };
    machine.link.receive(repliedWith(1, operations.getEphemerals.response, answer));
    expect(await ephemerals).toEqual(['/a']);
  });

  test('the configuration lies in no chroot', async () => {
    const { machine, zk } = connect({ connectString: 'zk1/app' });
    const config = zk.getConfig();
    await machine.settle();
    const [request] = machine.link.requests;
    expect(request && operations.getData.request.read(request.body)).toEqual({
      path: '/zookeeper/config',
      watch: false,
    });
    machine.link.receive(gotData(1, 'server.1=…'));
    expect((await config).data.toString()).toBe('server.1=…');
  });

  test('a reconfig without servers on one side says so by null (CURATOR-583)', async () => {
    const { machine, zk } = connect();
    const done = zk.reconfig({ joining: ['server.4=a:1:2;3', 'server.5=b:1:2;3'], leaving: [], fromConfig: 7n });
    await machine.settle();
    const [request] = machine.link.requests;
    expect(request && operations.reconfig.request.read(request.body)).toEqual({
      joiningServers: 'server.4=a:1:2;3,server.5=b:1:2;3',
      leavingServers: null,
      newMembers: null,
      configId: 7n,
    });
    machine.link.receive(gotData(1, 'version=8'));
    expect((await done).data.toString()).toBe('version=8');
  });
});

describe('arguments', () => {
  test.each<[string, (zk: ZooKeeper) => Promise<unknown>]>([
    ['path', (zk) => zk.getData('a')],
    ['path', (zk) => zk.create('/a/')],
    ['path', (zk) => zk.exists(undefined as unknown as string)],
    ['version', (zk) => zk.delete('/a', { version: 1.5 })],
    ['fromConfig', (zk) => zk.reconfig({ fromConfig: 7 as unknown as bigint })],
    ['joining', (zk) => zk.reconfig({ joining: [''] })],
    [
      'operations[1].kind',
      (zk) =>
        zk.multiRead([
          { kind: 'getData', path: '/a' },
          { kind: 'exists' as 'getData', path: '/a' },
        ]),
    ],
    ['operations[0].path', (zk) => zk.multiRead([{ kind: 'getData', path: 'a' }])],
    ['version', (zk) => zk.setData('/a', '', { version: 2 ** 31 })],
    ['data', (zk) => zk.setData('/a', 5 as unknown as string)],
    ['mode', (zk) => zk.create('/a', { mode: 7 as CreateMode })],
    ['acl', (zk) => zk.create('/a', { acl: [] })],
    ['ttlMs', (zk) => zk.create('/a', { ttlMs: 1 })],
    ['ttlMs', (zk) => zk.create('/a', { mode: CreateMode.PERSISTENT_WITH_TTL })],
    ['ttlMs', (zk) => zk.create('/a', { mode: CreateMode.PERSISTENT_WITH_TTL, ttlMs: 2 ** 40 })],
    ['timeoutMs', (zk) => zk.sync('/', { timeoutMs: 0 })],
    [
      'operations[1].path',
      (zk) =>
        zk.multi([
          { kind: 'check', path: '/a' },
          { kind: 'delete', path: 'b' },
        ]),
    ],
    ['scheme', (zk) => zk.addAuth('', 'a:b')],
  ])('%s is checked at the call, and nothing is sent', async (argument, call) => {
    const { machine, zk } = connect();
    const error = await failure(call(zk));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ argument, code: 'INVALID_ARGUMENT' });
    await machine.settle();
    expect(machine.link.requests).toEqual([]);
  });

  test('a sequential path may end with a slash', async () => {
    const { machine, zk } = connect({ connectString: 'zk1/app' });
    void zk.create('/', { mode: CreateMode.PERSISTENT_SEQUENTIAL }).catch(() => undefined);
    void zk.create('/a/', { mode: CreateMode.EPHEMERAL_SEQUENTIAL }).catch(() => undefined);
    await machine.settle();
    expect(sentPaths(machine)).toEqual(['/app/', '/app/a/']);
  });

  test.each([
    { connectString: '' },
    { sessionTimeoutMs: 0 },
    { sessionTimeoutMs: Number.NaN },
    { frameBytesMax: 10 },
    { session: { id: NO_SESSION, password: PASSWORD } },
    { session: { id: SESSION_ID, password: Buffer.alloc(3) } },
  ])('the constructor refuses %o', (options) => {
    const { ports, links } = new FakeMachine();
    const expected = 'connectString' in options ? InvalidConnectStringError : InvalidArgumentError;
    expect(() => new ZooKeeper({ connectString: 'zk1', ports, ...options })).toThrow(expected);
    expect(links).toEqual([]);
  });
});

describe('chroot', () => {
  test('goes on to every path and comes off results, events and errors', async () => {
    const { machine, zk } = connect({ connectString: 'zk1,zk2/app' });
    const events: WatchedEvent[] = [];
    const created = zk.create('/a');
    const read = zk.getData('/', { watcher: (event) => events.push(event) });
    const failed = failure(zk.getChildren('/gone'));
    await machine.settle();
    expect(sentPaths(machine)).toEqual(['/app/a', '/app', '/app/gone']);
    machine.link.receive(
      repliedWith(1, operations.create2.response, { path: '/app/a', stat: STAT }),
      gotData(2, ''),
      notified('/app'),
      replied(3, { err: ErrorCode.NO_NODE }),
    );
    await machine.settle();
    expect((await created).path).toBe('/a');
    await read;
    expect(events.map(({ path }) => path)).toEqual(['/']);
    expect(await failed).toMatchObject({ path: '/gone', message: 'no such znode: /gone' });
  });

  test('the watches of a reconnect are the server’s paths, with the last zxid', async () => {
    const { machine, zk } = connect({ connectString: 'zk1/app' });
    void zk.getData('/d', { watcher: () => undefined });
    void zk.exists('/e', { watcher: () => undefined });
    void zk.getChildren('/c', { watcher: () => undefined });
    void zk.getData('/failed', { watcher: () => undefined }).catch(() => undefined);
    await machine.settle();
    machine.link.receive(
      gotData(1, ''),
      replied(2, { err: ErrorCode.NO_NODE }),
      repliedWith(3, operations.getChildren2.response, { children: [], stat: STAT }),
      replied(4, { err: ErrorCode.NO_NODE, zxid: 99n }),
    );
    machine.link.fail();
    machine.advance(5000);
    machine.link.accept();
    const [request] = machine.link.requests;
    expect(request?.type).toBe(OpCode.setWatches);
    expect(request && operations.setWatches.request.read(request.body)).toEqual({
      relativeZxid: 99n,
      dataWatches: ['/app/d'],
      existWatches: ['/app/e'],
      childWatches: ['/app/c'],
    });
  });
});

describe('watchers', () => {
  test('are called once for their event, and for every change of the connection before it', async () => {
    const { machine, zk } = connect();
    const log: string[] = [];
    const watcher = ({ type, state, path }: WatchedEvent) =>
      log.push(`${eventTypeName(type)} ${keeperStateName(state)} ${path}`);
    void zk.getData('/a', { watcher });
    void zk.getData('/a', { watcher });
    await machine.settle();
    machine.link.receive(gotData(1, ''), gotData(2, ''));
    machine.link.fail();
    machine.advance(5000);
    machine.link.accept();
    machine.link.receive(notified('/a'), notified('/a'));
    machine.link.fail();
    await machine.settle();
    expect(log).toEqual(['None Disconnected ', 'None SyncConnected ', 'NodeDataChanged SyncConnected /a']);
  });

  test('one that throws keeps neither the others nor the connection from going on', async () => {
    const { machine, zk } = connect();
    let called = false;
    void zk.getData('/a', {
      watcher: () => {
        throw new Error('of the user');
      },
    });
    void zk.getData('/a', {
      watcher: () => {
        called = true;
      },
    });
    const behind = zk.getData('/b');
    await machine.settle();
    machine.link.receive(gotData(1, ''), gotData(2, ''), notified('/a'), gotData(3, 'b'));
    await machine.settle();
    expect(called).toBe(true);
    expect((await behind).data.toString()).toBe('b');
    expect(zk.state).toBe('CONNECTED');
  });

  test('an event comes before the answers behind it and after what awaited those before it', async () => {
    const { machine, zk } = connect();
    const log: string[] = [];
    const read = async (path: string) => {
      await zk.getData(path, { watcher: () => log.push(`event ${path}`) });
      log.push(`read ${path}`);
    };
    const reads = Promise.all([read('/a'), read('/b')]);
    await machine.settle();
    machine.link.receiveOnly(gotData(1, ''), notified('/a'), gotData(2, ''));
    await machine.settle();
    await reads;
    expect(log).toEqual(['read /a', 'event /a', 'read /b']);
  });

  test('one whose call was given up is not called', async () => {
    const { machine, zk } = connect();
    const log: unknown[] = [];
    const controller = new AbortController();
    const failed = failure(zk.getData('/a', { signal: controller.signal, watcher: (event) => log.push(event) }));
    await machine.settle();
    controller.abort();
    machine.link.receive(gotData(1, ''), notified('/a'));
    await machine.settle();
    await failed;
    expect(log).toEqual([]);
    expect(zk.state).toBe('CONNECTED');
  });

  test('learn of the end of the session, and are gone then', async () => {
    const { machine, zk } = connect();
    const log: KeeperState[] = [];
    void zk.exists('/a', { watcher: ({ state }) => log.push(state) });
    await machine.settle();
    machine.link.receive(replied(1, { err: ErrorCode.NO_NODE }));
    zk.abandon();
    zk.abandon();
    await machine.settle();
    expect(log).toEqual([KeeperState.Expired]);
  });

  test('persistent ones stay', async () => {
    const { machine, zk } = connect();
    const paths: string[] = [];
    const added = zk.addWatch('/a', ({ path }) => paths.push(path), { recursive: true });
    await machine.settle();
    const [request] = machine.link.requests;
    expect(request && operations.addWatch.request.read(request.body)).toEqual({ path: '/a', mode: 1 });
    machine.link.receive(
      repliedWith(1, operations.addWatch.response, { err: 0 }),
      notified('/a/b', EventType.NodeCreated),
      notified('/a'),
    );
    await machine.settle();
    await added;
    expect(paths).toEqual(['/a/b', '/a']);
  });
});

describe('a newer server', () => {
  test('may answer with codes and send events that this version does not know: the connection stays', async () => {
    const { machine, zk } = connect();
    const events: WatchedEvent[] = [];
    const first = zk.getData('/a', { watcher: (event) => events.push(event) });
    await machine.settle();
    machine.link.receive(gotData(1, 'one'));
    await first;
    const refused = failure(zk.getData('/a'));
    await machine.settle();
    machine.link.receive(notified('/a', 99), replied(2, { err: -999 }), notified('/a'));
    await machine.settle();
    expect(await refused).toMatchObject({ name: 'ZooKeeperError', code: '-999', path: '/a' });
    expect(events.map(({ type }) => type)).toEqual([EventType.NodeDataChanged]);
    expect(zk.state).toBe('CONNECTED');
  });
});

describe('giving up a call', () => {
  test('a signal that is aborted already sends nothing', async () => {
    const { machine, zk } = connect();
    const reason = new Error('enough');
    expect(await failure(zk.sync('/', { signal: AbortSignal.abort(reason) }))).toBe(reason);
    await machine.settle();
    expect(machine.link.requests).toEqual([]);
  });

  test('a signal rejects with its reason, before and after the request was sent, and the connection goes on', async () => {
    const { machine, zk } = connect();
    const controller = new AbortController();
    const sent = failure(zk.getData('/a', { signal: controller.signal }));
    await machine.settle();
    const unsent = failure(zk.getData('/b', { signal: controller.signal }));
    const behind = zk.getData('/c');
    const reason = new Error('enough');
    controller.abort(reason);
    expect(await sent).toBe(reason);
    expect(await unsent).toBe(reason);
    await machine.settle();
    expect(sentPaths(machine)).toEqual(['/a', '/c']);
    machine.link.receive(gotData(1, 'a'), gotData(2, 'c'));
    expect((await behind).data.toString()).toBe('c');
  });

  test('a timeout counts from the call, also without a connection', async () => {
    const machine = new FakeMachine();
    const zk = new ZooKeeper({ connectString: 'zk1', ports: machine.ports });
    const failed = failure(zk.sync('/a', { timeoutMs: 500 }));
    machine.advance(500);
    expect(await failed).toBeInstanceOf(OperationTimeoutError);
    expect(await failed).toMatchObject({ code: 'OPERATION_TIMEOUT', path: '/a' });
  });

  test('an answered call leaves neither timer nor listener behind', async () => {
    const { machine, zk } = connect();
    const { signal } = new AbortController();
    const listeners: string[] = [];
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners.push(args[0]);
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners.pop();
      remove(...args);
    };
    const { timers } = machine;
    const read = zk.getData('/a', { signal, timeoutMs: 500 });
    await machine.settle();
    expect(machine.timers).toBe(timers + 1);
    expect(listeners).toHaveLength(1);
    machine.link.receive(gotData(1, ''));
    await read;
    expect(machine.timers).toBe(timers);
    expect(listeners).toHaveLength(0);
  });
});

describe('the end', () => {
  test('close settles every call, tells Closed and can be repeated', async () => {
    const { machine, zk } = connect();
    const states: (string | undefined)[] = [];
    zk.on('session', (state) => states.push(keeperStateName(state)));
    const read = zk.getData('/a');
    const closed = zk.close();
    const late = failure(zk.getData('/late'));
    await machine.settle();
    machine.link.receive(gotData(1, 'a'), replied(2));
    await machine.settle();
    await closed;
    await zk.close();
    await zk[Symbol.asyncDispose]();
    expect((await read).data.toString()).toBe('a');
    expect(await late).toBeInstanceOf(ClientClosedError);
    expect(states).toEqual(['Closed']);
    expect(zk.state).toBe('CLOSED');
    expect(machine.timers).toBe(0);
  });

  test('abandon rejects every call with SESSION_EXPIRED, and tells Expired', async () => {
    const { machine, zk } = connect();
    const states: (string | undefined)[] = [];
    const read = failure(zk.getData('/a'));
    await machine.settle();
    zk.on('session', (state) => states.push(keeperStateName(state)));
    zk.abandon();
    expect(zk.state).toBe('CLOSED');
    expect(states).toEqual([]);
    const late = failure(zk.exists('/b'));
    await machine.settle();
    expect(await late).toBeInstanceOf(SessionExpiredError);
    expect(await read).toBeInstanceOf(SessionExpiredError);
    expect(states).toEqual(['Expired']);
    const closed = zk.close();
    await machine.settle();
    await closed;
  });

  test('a lost connection rejects with the hosts and the reasons', async () => {
    const { machine, zk } = connect();
    const failed = failure(zk.getData('/a'));
    await machine.settle();
    machine.link.fail(new Error('read ECONNRESET'));
    await machine.settle();
    expect(await failed).toBeInstanceOf(ConnectionLossError);
    expect(await failed).toMatchObject({ path: '/a', failures: new Map([['zk1:2181', new Error('read ECONNRESET')]]) });
    expect(zk.connectFailures.get('zk1:2181')?.message).toBe('read ECONNRESET');
  });

  test('a session handed over is the one that is asked for', () => {
    const machine = new FakeMachine();
    const zk = new ZooKeeper({
      connectString: 'zk1',
      ports: machine.ports,
      session: { id: toSessionId(0x42n), password: PASSWORD },
    });
    expect(zk.sessionId).toBe(0x42n);
    machine.link.open();
    expect(Buffer.concat(machine.link.writes).subarray(20, 28).toString('hex')).toBe('0000000000000042');
    machine.link.receive(accepted({ sessionId: toSessionId(0x42n), timeoutMs: 6000 }));
    expect(zk.sessionTimeoutMs).toBe(6000);
    expect(zk.state).toBe('CONNECTED');
  });

  test('nothing is called back before the constructor has returned', async () => {
    const machine = new FakeMachine();
    const zk = new ZooKeeper({ connectString: 'zk1', ports: machine.ports });
    const states: KeeperState[] = [];
    expect(zk.state).toBe('CONNECTING');
    zk.on('session', (state) => states.push(state));
    machine.link.fail(new Error('refused'));
    await machine.settle();
    expect(states).toEqual([KeeperState.Disconnected]);
  });
});

test('credentials are accepted, or end the session', async () => {
  const { machine, zk } = connect();
  const added = zk.addAuth('digest', 'bob:pw');
  machine.link.receive(replied(SpecialXid.auth));
  await machine.settle();
  await added;
  const refused = failure(zk.addAuth('nonsense', 'x'));
  machine.link.receive(replied(SpecialXid.auth, { err: ErrorCode.AUTH_FAILED }));
  await machine.settle();
  expect(await refused).toMatchObject({ code: 'AUTH_FAILED' });
  expect(zk.state).toBe('AUTH_FAILED');
});
