/**
 * What can't be right is refused at the call, with the argument's name, before anything is sent and without waiting for a connection:
 * arguments as JavaScript callers may give them.
 */
import { describe, expect, it } from 'vitest';
import { CreateMode, OPEN_ACL, Permission } from 'zookeeper-protocol-ts';
import { InvalidArgumentError, InvalidConnectStringError } from './errors.ts';
import { EventSource } from './event-source.ts';
import { CuratorFramework, connect } from './framework.ts';
import type { FrameworkOptions } from './framework-options.ts';
import { FakeServer } from './operations/fake-server.fixture.ts';
import {
  BoundedExponentialBackoffRetry,
  ExponentialBackoffRetry,
  RetryForever,
  RetryNTimes,
  RetryOneTime,
  RetryUntilElapsed,
} from './retry.ts';
import { FakeMachine } from './session/fake-machine.fixture.ts';
import { ZooKeeper, type ZooKeeperOptions } from './zookeeper.ts';

/** Stands in for callers without types: fits wherever a value is asked for. */
const wrong = (value: unknown): never => value as never;

const badPaths = ['', 'a', '/a/', '//', '/a//b', '/a/./b', '/a/../b', '/a\u0000', '/\uD800', undefined, null, 7, {}];
const badVersions = [Number.NaN, 1.5, 2 ** 31, -(2 ** 31) - 1, Number.POSITIVE_INFINITY, '1', 1n, null, {}];
const badMs = [Number.NaN, -1, 0, 1.5, 2 ** 31, Number.POSITIVE_INFINITY, '1000', 10n, null];
const badAcls: readonly unknown[] = [
  [],
  {},
  'world:anyone:r',
  null,
  [undefined],
  [{ perms: 32, id: { scheme: 'world', id: 'anyone' } }],
  [{ perms: Number.NaN, id: { scheme: 'world', id: 'anyone' } }],
  [{ perms: '31', id: { scheme: 'world', id: 'anyone' } }],
  [{ perms: Permission.READ }],
  [{ perms: Permission.READ, id: { scheme: '', id: 'anyone' } }],
  [{ perms: Permission.READ, id: { scheme: 'world' } }],
  [...OPEN_ACL, { perms: Permission.READ, id: { scheme: 'world', id: 7 } }],
];
const badModes = [-1, 7, 1.5, Number.NaN, 'EPHEMERAL_AND_LAZY', 'toString', {}];
const badTtls = [0, -1, 1.5, Number.NaN, 2 ** 40, '1000'];
const badData = [7, {}, [1, 2], true, new ArrayBuffer(2), null];
const badSignals = [{}, 'abort', 7, null, new AbortController()];
const badWatchers = ['log', {}, 7, null];

/** For each operation: which argument is refused, and the calls that must be. */
type Row<Client> = readonly [
  operation: string,
  argument: RegExp,
  values: readonly unknown[],
  call: (client: Client, value: never) => Promise<unknown>,
];

const { PERSISTENT_WITH_TTL } = CreateMode;
const watcher = () => undefined;

describe('a session', () => {
  const rows: readonly Row<ZooKeeper>[] = [
    ['create', /^path$/, badPaths, (zk, path) => zk.create(path)],
    ['create', /^mode$/, badModes, (zk, mode) => zk.create('/a', { mode })],
    ['create', /^acl/, badAcls, (zk, acl) => zk.create('/a', { acl })],
    ['create', /^data$/, badData, (zk, data) => zk.create('/a', { data })],
    ['create', /^ttlMs$/, badTtls, (zk, ttlMs) => zk.create('/a', { mode: PERSISTENT_WITH_TTL, ttlMs })],
    ['create without a TTL mode', /^ttlMs$/, [1000], (zk, ttlMs) => zk.create('/a', { ttlMs })],
    ['delete', /^path$/, badPaths, (zk, path) => zk.delete(path)],
    ['delete', /^version$/, badVersions, (zk, version) => zk.delete('/a', { version })],
    ['exists', /^path$/, badPaths, (zk, path) => zk.exists(path)],
    ['exists', /^watcher$/, badWatchers, (zk, each) => zk.exists('/a', { watcher: each })],
    ['getData', /^path$/, badPaths, (zk, path) => zk.getData(path)],
    ['getData', /^watcher$/, badWatchers, (zk, each) => zk.getData('/a', { watcher: each })],
    ['getData', /^timeoutMs$/, badMs, (zk, timeoutMs) => zk.getData('/a', { timeoutMs })],
    ['getData', /^signal$/, badSignals, (zk, signal) => zk.getData('/a', { signal })],
    ['setData', /^path$/, badPaths, (zk, path) => zk.setData(path, '')],
    ['setData', /^version$/, badVersions, (zk, version) => zk.setData('/a', '', { version })],
    ['setData', /^data$/, badData, (zk, data) => zk.setData('/a', data)],
    ['getChildren', /^path$/, badPaths, (zk, path) => zk.getChildren(path)],
    ['getChildren', /^watcher$/, badWatchers, (zk, each) => zk.getChildren('/a', { watcher: each })],
    ['getACL', /^path$/, badPaths, (zk, path) => zk.getACL(path)],
    ['setACL', /^path$/, badPaths, (zk, path) => zk.setACL(path, OPEN_ACL)],
    ['setACL', /^acl/, badAcls, (zk, acl) => zk.setACL('/a', acl)],
    ['setACL', /^version$/, badVersions, (zk, version) => zk.setACL('/a', OPEN_ACL, { version })],
    ['sync', /^path$/, badPaths, (zk, path) => zk.sync(path)],
    ['multi', /^operations$/, [{}, 'delete /a', null, undefined], (zk, operations) => zk.multi(operations)],
    ['multi', /^operations\[0\]\.kind$/, ['getData', undefined, 7], (zk, kind) => zk.multi([{ kind, path: '/a' }])],
    ['multi', /^operations\[0\]/, [null, 'delete /a'], (zk, operation) => zk.multi([operation])],
    ['multi', /^operations\[0\]\.path$/, badPaths, (zk, path) => zk.multi([{ kind: 'delete', path }])],
    [
      'multi',
      /^operations\[1\]\.version$/,
      badVersions,
      (zk, version) =>
        zk.multi([
          { kind: 'check', path: '/a' },
          { kind: 'check', path: '/a', version },
        ]),
    ],
    ['multiRead', /^operations$/, [{}, null, undefined], (zk, operations) => zk.multiRead(operations)],
    ['multiRead', /^operations\[0\]\.kind$/, ['exists', undefined], (zk, kind) => zk.multiRead([{ kind, path: '/a' }])],
    ['multiRead', /^operations\[0\]\.kind$/, [null, undefined], (zk, operation) => zk.multiRead([operation])],
    ['addWatch', /^path$/, badPaths, (zk, path) => zk.addWatch(path, watcher)],
    ['addWatch', /^watcher$/, [...badWatchers, undefined], (zk, each) => zk.addWatch('/a', each)],
    ['addWatch', /^recursive$/, ['yes', 1, null], (zk, recursive) => zk.addWatch('/a', watcher, { recursive })],
    ['removeWatches', /^path$/, badPaths, (zk, path) => zk.removeWatches(path)],
    ['removeWatches', /^type$/, [0, 6, 'Data', null], (zk, type) => zk.removeWatches('/a', { type })],
    ['removeWatches', /^local$/, ['yes', 1], (zk, local) => zk.removeWatches('/a', { local })],
    ['getEphemerals', /^path$/, ['a', 7, null], (zk, prefix) => zk.getEphemerals(prefix)],
    ['getAllChildrenNumber', /^path$/, badPaths, (zk, path) => zk.getAllChildrenNumber(path)],
    ['addAuth', /^scheme$/, ['', undefined, 7], (zk, scheme) => zk.addAuth(scheme, '')],
    ['addAuth', /^auth$/, [7, {}, null], (zk, auth) => zk.addAuth('digest', auth)],
    ['reconfig', /^joining$/, ['server.1=a', [''], [7]], (zk, joining) => zk.reconfig({ joining })],
    ['reconfig', /^newMembers$/, [['server.1=a']], (zk, newMembers) => zk.reconfig({ newMembers, leaving: ['2'] })],
    ['reconfig', /^fromConfig$/, [1, '1', null], (zk, fromConfig) => zk.reconfig({ fromConfig })],
  ];

  it.each(rows)('refuses what can be no argument of %s (%s)', async (_, argument, values, call) => {
    const machine = new FakeMachine();
    const zk = new ZooKeeper({ connectString: 'zk1', ports: machine.ports });
    machine.link.accept();
    const written = machine.link.writes.length;
    for (const value of values) {
      const error = await call(zk, wrong(value)).catch((reason: unknown) => reason);
      expect(error, String(value)).toBeInstanceOf(InvalidArgumentError);
      expect((error as InvalidArgumentError).argument, String(value)).toMatch(argument);
    }
    machine.drain();
    expect(machine.link.writes).toHaveLength(written);
  });

  it.each<[keyof ZooKeeperOptions, RegExp, readonly unknown[]]>([
    ['sessionTimeoutMs', /^sessionTimeoutMs$/, badMs],
    ['frameBytesMax', /^frameBytesMax$/, [...badMs, 1023]],
    ['canBeReadOnly', /^canBeReadOnly$/, ['yes', 1, null]],
    ['logger', /^logger$/, [{}, 'console', { debug: () => undefined }]],
    [
      'session',
      /^session\.id$/,
      [
        { id: 1, password: Buffer.alloc(16) },
        { id: 0n, password: Buffer.alloc(16) },
      ],
    ],
    [
      'session',
      /^session\.password$/,
      [
        { id: 1n, password: Buffer.alloc(15) },
        { id: 1n, password: '0123456789abcdef' },
      ],
    ],
  ])('refuses what can be no %s (%s)', (option, argument, values) => {
    const machine = new FakeMachine();
    for (const value of values) {
      const open = () => new ZooKeeper({ connectString: 'zk1', ports: machine.ports, [option]: wrong(value) });
      expect(open, String(value)).toThrow(expect.objectContaining({ argument: expect.stringMatching(argument) }));
    }
    expect(machine.links).toHaveLength(0);
  });

  it.each(['', ',', '/app', 'zk1:0', 'zk1:65536', 'zk1:-1', 'zk1:x', '::1', '[::1', 'zk1/a//b', undefined, 7, null])(
    'refuses the connect string %s',
    (connectString) => {
      const machine = new FakeMachine();
      const open = () => new ZooKeeper({ connectString: wrong(connectString), ports: machine.ports });
      expect(open).toThrow(InvalidConnectStringError);
    },
  );
});

describe('a framework', () => {
  const rows: readonly Row<CuratorFramework>[] = [
    ['create', /^path$/, badPaths.filter((path) => path !== undefined), (client, path) => client.create(path)],
    ['create', /^path$/, badPaths, (client, path) => client.create().forPath(path)],
    ['create', /^mode$/, badModes, (client, mode) => client.create('/a', { mode })],
    ['create', /^acl/, badAcls.filter(Boolean), (client, acl) => client.create('/a', { acl })],
    ['create', /^data$/, badData.filter(Boolean), (client, data) => client.create('/a', { data })],
    ['create', /^ttlMs$/, badTtls, (client, ttlMs) => client.create('/a', { mode: PERSISTENT_WITH_TTL, ttlMs })],
    [
      'create',
      /^orSetData\.version$/,
      badVersions,
      (client, version) => client.create('/a', { orSetData: { version } }),
    ],
    ['delete', /^version$/, badVersions, (client, version) => client.delete('/a', { version })],
    ['delete', /^path$/, badPaths, (client, path) => client.delete().forPath(path)],
    ['checkExists', /^path$/, badPaths, (client, path) => client.checkExists().forPath(path)],
    ['checkExists', /^acl/, badAcls.filter(Boolean), (client, acl) => client.checkExists('/a', { parents: true, acl })],
    ['getData', /^path$/, badPaths, (client, path) => client.getData().forPath(path)],
    ['getData', /^watcher$/, badWatchers, (client, each) => client.getData('/a', { watcher: each })],
    ['getData', /^signal$/, badSignals, (client, signal) => client.getData('/a', { signal })],
    ['getChildren', /^path$/, badPaths, (client, path) => client.getChildren().forPath(path)],
    ['getChildren', /^watcher$/, badWatchers, (client, each) => client.getChildren('/a', { watcher: each })],
    ['setData', /^version$/, badVersions, (client, version) => client.setData('/a', '', { version })],
    ['setData', /^path$/, badPaths, (client, path) => client.setData().forPath(path)],
    ['getACL', /^path$/, badPaths, (client, path) => client.getACL().forPath(path)],
    ['setACL', /^acl/, badAcls.filter(Boolean), (client, acl) => client.setACL('/a', acl)],
    ['setACL', /^version$/, badVersions, (client, version) => client.setACL('/a', OPEN_ACL, { version })],
    ['sync', /^path$/, badPaths, (client, path) => client.sync(path)],
    ['transaction', /^ops$/, [[], {}, null], (client, ops) => client.transaction(ops)],
    [
      'transaction',
      /^ops\[0\]\.kind$/,
      ['getData', undefined],
      (client, kind) => client.transaction([{ kind, path: '/a' }]),
    ],
    [
      'transaction',
      /^ops\[0\]\.version$/,
      badVersions,
      (client, version) => client.transaction([client.op.delete('/a', { version })]),
    ],
    [
      'transaction',
      /^ops\[0\]\.acl/,
      badAcls.filter(Boolean),
      (client, acl) => client.transaction([client.op.create('/a', { acl })]),
    ],
    ['addWatch', /^path$/, badPaths, (client, path) => client.addWatch(path, watcher)],
    ['addWatch', /^watcher$/, [...badWatchers, undefined], (client, each) => client.addWatch('/a', each)],
    ['removeWatches', /^watcher$/, badWatchers, (client, each) => client.removeWatches('/a', { watcher: each })],
    [
      'blockUntilConnected',
      /^timeoutMs$/,
      badMs.filter((ms) => ms !== 0),
      (client, timeoutMs) => client.blockUntilConnected({ timeoutMs }),
    ],
    ['blockUntilConnected', /^signal$/, badSignals, (client, signal) => client.blockUntilConnected({ signal })],
    ['retry', /^signal$/, badSignals, (client, signal) => client.retry(async () => undefined, { signal })],
  ];

  it.each(rows)('refuses what can be no argument of %s (%s), connected or not', async (_, argument, values, call) => {
    const server = new FakeServer();
    server.up = false;
    const client = CuratorFramework.builder()
      .connectString(server.connectString)
      .namespace('app')
      .retryPolicy(new RetryForever(100))
      .ports(server.ports)
      .build()
      .start();
    for (const value of values) {
      // No time passes: a call that waited for a connection would wait for ever.
      const error = await call(client, wrong(value)).catch((reason: unknown) => reason);
      expect(error, String(value)).toBeInstanceOf(InvalidArgumentError);
      expect((error as InvalidArgumentError).argument, String(value)).toMatch(argument);
    }
    await client.close();
    expect(server.received).toEqual([]);
  });

  it('refuses a watch stream of what is no path, or with a signal that is none', () => {
    const client = CuratorFramework.builder().connectString('zk1').retryPolicy(new RetryForever(100)).build();
    for (const path of badPaths) {
      expect(() => client.watch(wrong(path)), String(path)).toThrow(expect.objectContaining({ argument: 'path' }));
    }
    for (const signal of badSignals) {
      const watch = () => client.watch('/a', { signal: wrong(signal) });
      expect(watch, String(signal)).toThrow(expect.objectContaining({ argument: 'signal' }));
    }
  });

  it.each<[keyof FrameworkOptions, readonly unknown[]]>([
    ['sessionTimeoutMs', badMs.filter((ms) => ms !== null)],
    ['connectionTimeoutMs', badMs.filter((ms) => ms !== null)],
    ['canBeReadOnly', ['yes', 1, null]],
    ['enableCompression', ['yes', 1, null]],
    ['useContainerParents', ['yes', 1, null]],
    ['ensembleTracker', ['yes', 1, null]],
    ['namespace', [7, {}, '/slash', 'a//b', '..']],
    ['defaultData', [7, {}]],
    ['connectionStateErrorPolicy', ['strict', 7, {}]],
    ['aclProvider', [{}, OPEN_ACL, 7]],
    ['compressionProvider', [{}, 'gzip']],
    ['authorization', ['digest', {}, [{ scheme: '', auth: '' }], [{ scheme: 'digest', auth: 7 }]]],
    ['circuitBreaking', [true, {}, 1000]],
    ['schemaSet', [[], {}]],
    ['logger', [{}, 'console']],
  ])('refuses what can be no %s', async (option, values) => {
    for (const value of values) {
      const opened = connect('zk1', { ports: new FakeServer().ports, [option]: value });
      await expect(opened, String(value)).rejects.toThrow(expect.objectContaining({ argument: option }));
    }
  });

  it.each([[{}], [null], [{ nextDelayMs: 100 }]])('refuses a retry policy that is none: %s', (policy) => {
    const builder = CuratorFramework.builder().connectString('zk1').retryPolicy(wrong(policy));
    expect(() => builder.build()).toThrow(expect.objectContaining({ argument: 'retryPolicy' }));
  });

  it('refuses the delay of a retry policy that is no time', async () => {
    const server = new FakeServer();
    const client = CuratorFramework.builder()
      .connectString(server.connectString)
      .retryPolicy({ nextDelayMs: () => Number.NaN })
      .ports(server.ports)
      .build()
      .start();
    server.fate = ({ operation }) => (operation === 'getData' ? 'lose request' : undefined);
    const failure = client.getData('/').catch((error: unknown) => error);
    await server.clock.settle();
    expect(await failure).toMatchObject({
      code: 'INVALID_ARGUMENT',
      argument: 'retryPolicy',
      cause: { code: 'CONNECTION_LOSS' },
    });
    const closed = client.close();
    await server.clock.advance(1000);
    await closed;
  });
});

describe('retry policies', () => {
  const badPauses = [Number.NaN, -1, 2 ** 31, Number.POSITIVE_INFINITY, '100', null, undefined];
  const badCounts = [Number.NaN, -1, 1.5, '3', null, undefined];
  it.each<[string, string, readonly unknown[], (value: never) => unknown]>([
    ['RetryNTimes', 'maxRetries', badCounts, (value) => new RetryNTimes(value, 100)],
    ['RetryNTimes', 'sleepMs', badPauses, (value) => new RetryNTimes(1, value)],
    ['RetryOneTime', 'sleepMs', badPauses, (value) => new RetryOneTime(value)],
    ['RetryForever', 'sleepMs', [...badPauses, 0], (value) => new RetryForever(value)],
    ['RetryUntilElapsed', 'maxElapsedMs', badPauses, (value) => new RetryUntilElapsed(value, 100)],
    ['RetryUntilElapsed', 'sleepMs', badPauses, (value) => new RetryUntilElapsed(1000, value)],
    ['ExponentialBackoffRetry', 'baseSleepMs', badPauses, (value) => new ExponentialBackoffRetry(value, 3)],
    ['ExponentialBackoffRetry', 'maxRetries', badCounts, (value) => new ExponentialBackoffRetry(100, value)],
    [
      'BoundedExponentialBackoffRetry',
      'maxSleepMs',
      badPauses.slice(0, -1),
      (value) => new BoundedExponentialBackoffRetry(100, value, 3),
    ],
  ])('%s refuses what can be no %s', (_, argument, values, make) => {
    for (const value of values) {
      expect(() => make(wrong(value)), String(value)).toThrow(expect.objectContaining({ argument }));
    }
  });
});

describe('listeners', () => {
  it.each([undefined, null, 'log', {}])('may not be %s', (listener) => {
    expect(() => new EventSource<{ event: [] }>().on('event', wrong(listener))).toThrow(InvalidArgumentError);
  });
});
