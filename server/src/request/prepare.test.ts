import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  type Acl,
  CREATOR_ALL_ACL,
  CreateMode,
  ErrorCode,
  JuteReader,
  JuteWriter,
  type MultiOperation,
  OPEN_ACL,
  OpCode,
  type Operation,
  operations,
  Permission,
  READ_ACL,
  type SessionId,
  type Txn,
  type TxnBody,
  toSessionId,
  toXid,
  toZxid,
  txn,
} from 'zookeeper-protocol-ts';
import { Database } from '../database.ts';
import type { WriteRules } from './outlook.ts';
import { OutstandingChanges } from './outstanding-changes.ts';
import { prepare } from './prepare.ts';
import type { Origin } from './request.ts';

const session = toSessionId(0x100n);
const closing = toSessionId(0x200n);
const ADDRESS = { scheme: 'ip', id: '127.0.0.1' };
const BOB = { scheme: 'digest', id: 'bob:hash' };

const proposed: Txn[] = [];
let database: Database;
let changes: OutstandingChanges;
let zxid: bigint;
/** Who asks. */
let origin: Origin;
let rules: WriteRules;

beforeEach(() => {
  origin = { identities: [ADDRESS], isSuperuser: false };
  rules = { extendedTypesEnabled: false, enforceQuota: false, reconfigEnabled: false };
  proposed.splice(0);
  database = new Database();
  changes = new OutstandingChanges(database.tree);
  zxid = 0n;
});

/** Prepares a write behind all that were prepared before; nothing is applied until {@link applyAll}. */
function propose<Request>(operation: Operation<Request, unknown>, request: Request, by: SessionId = session): TxnBody {
  const writer = new JuteWriter();
  operation.request.write(writer, request);
  return proposeRaw(operation.opCode, writer.take(), by);
}

function proposeRaw(
  type: number,
  bytes: Uint8Array,
  by: SessionId = session,
  from: Origin | undefined = type === OpCode.deleteContainer ? undefined : origin,
): TxnBody {
  zxid++;
  const body = prepare(
    { origin: from, sessionId: by, xid: toXid(1), type, body: new JuteReader(bytes), arrivedAt: 0 },
    { zxid: toZxid(zxid), changes, quotas: database.quotas, rules, isOpen: (id) => id === session },
  );
  proposed.push({
    header: { sessionId: by, cxid: toXid(1), zxid: toZxid(zxid), time: 5, type: body.type },
    body,
    digest: undefined,
  });
  return body;
}

function applyAll(): void {
  for (const txn of proposed.splice(0)) {
    database.apply(txn);
    changes.applied(txn.header.zxid);
  }
}

const create = (path: string, flags: number = CreateMode.PERSISTENT, by = session) =>
  propose(operations.create, { path, data: null, acl: OPEN_ACL, flags }, by);

describe('a write becomes a transaction', () => {
  it('that says what the parent will count, also before the writes ahead of it are applied', () => {
    expect(create('/a')).toMatchObject({ type: OpCode.create, path: '/a', ephemeral: false, parentCversion: 1 });
    expect(create('/b')).toMatchObject({ parentCversion: 2 });
    expect(create('/a/x')).toMatchObject({ path: '/a/x', parentCversion: 1 });
    applyAll();
    expect(create('/c')).toMatchObject({ parentCversion: 3 });
  });

  it('that names a sequential znode by the counter of its parent', () => {
    create('/a');
    expect(create('/a/n-', CreateMode.PERSISTENT_SEQUENTIAL)).toMatchObject({ path: '/a/n-0000000000' });
    expect(create('/a/n-', CreateMode.EPHEMERAL_SEQUENTIAL)).toMatchObject({
      path: '/a/n-0000000001',
      ephemeral: true,
    });
  });

  it('that says the version afterwards', () => {
    create('/a');
    const set = (version: number) => propose(operations.setData, { path: '/a', data: null, version });
    expect([set(-1), set(1), set(1)]).toMatchObject([{ version: 1 }, { version: 2 }, { err: ErrorCode.BAD_VERSION }]);
  });

  it('that lists the ephemerals of a session that is closed, applied or not', () => {
    create('/a', CreateMode.EPHEMERAL);
    applyAll();
    create('/b', CreateMode.EPHEMERAL);
    propose(operations.delete, { path: '/a', version: -1 });
    expect(propose(operations.closeSession, undefined)).toEqual({ type: OpCode.closeSession, paths: ['/b'] });
    expect(create('/b'), 'the ephemerals are as good as gone').toMatchObject({ path: '/b' });
  });

  it('that is an error, and leaves no trace, when it is refused', () => {
    create('/a', CreateMode.EPHEMERAL);
    expect(create('/a/x')).toEqual({ type: OpCode.error, err: ErrorCode.NO_CHILDREN_FOR_EPHEMERALS });
    expect(create('/a')).toEqual({ type: OpCode.error, err: ErrorCode.NODE_EXISTS });
    expect(propose(operations.delete, { path: '/a', version: 9 })).toEqual({
      type: OpCode.error,
      err: ErrorCode.BAD_VERSION,
    });
    expect(create('/b')).toMatchObject({ parentCversion: 2 });
  });

  it('that is an error for a session that is over or ending', () => {
    expect(create('/a', CreateMode.PERSISTENT, closing)).toEqual({
      type: OpCode.error,
      err: ErrorCode.SESSION_EXPIRED,
    });
    expect(proposeRaw(OpCode.getData, Buffer.alloc(0), closing)).toEqual({
      type: OpCode.error,
      err: ErrorCode.SESSION_EXPIRED,
    });
  });

  it("that is an error for a server's own operations, when a client asks", () => {
    for (const type of [OpCode.createSession, OpCode.deleteContainer]) {
      expect(proposeRaw(type, Buffer.alloc(8), session, origin)).toEqual(refused(ErrorCode.UNIMPLEMENTED));
    }
  });

  it('that is an error when its bytes are malformed', () => {
    const types = [OpCode.create, OpCode.createTTL, OpCode.delete, OpCode.setData, OpCode.setACL, OpCode.check];
    for (const type of [...types, OpCode.multi, OpCode.reconfig]) {
      expect(proposeRaw(type, Buffer.from([0, 0]))).toEqual({ type: OpCode.error, err: ErrorCode.MARSHALLING_ERROR });
    }
  });

  it('of a container only while it has no children', () => {
    propose(operations.createContainer, { path: '/c', data: null, acl: OPEN_ACL, flags: CreateMode.CONTAINER });
    create('/c/x');
    create('/plain');
    const writer = new JuteWriter();
    const reap = (path: string) => {
      writer.writeString(path);
      return proposeRaw(OpCode.deleteContainer, writer.take());
    };
    expect(reap('/c')).toEqual({ type: OpCode.error, err: ErrorCode.NOT_EMPTY });
    expect(reap('/plain')).toEqual({ type: OpCode.error, err: ErrorCode.BAD_ARGUMENTS });
    propose(operations.delete, { path: '/c/x', version: -1 });
    expect(reap('/c')).toEqual({ type: OpCode.deleteContainer, path: '/c' });
    expect(reap('/c')).toEqual({ type: OpCode.error, err: ErrorCode.NO_NODE });
  });
});

/** The first two of the recorded log: one that was done, and one that failed. */
function recordedMultis(): TxnBody[] {
  const file = new URL('../../../protocol/fixtures/txn-log.json', import.meta.url);
  const { txns } = JSON.parse(readFileSync(file, 'utf8')) as { txns: { operation: string; hex: string }[] };
  const multis = txns.filter(({ operation }) => operation === 'multi').slice(0, 2);
  return multis.map(({ hex }) => txn.read(new JuteReader(Buffer.from(hex, 'hex'))).body);
}

const refused = (err: ErrorCode) => ({ type: OpCode.error, err });

describe('a create', () => {
  const createTtl = (path: string, ttlMs: number, flags: number = CreateMode.PERSISTENT_WITH_TTL) =>
    propose(operations.createTTL, { path, data: null, acl: OPEN_ACL, flags, ttlMs });
  const createContainer = (path: string, flags: number) =>
    propose(operations.createContainer, { path, data: null, acl: OPEN_ACL, flags });

  it('of a time to live is not implemented unless extended types are enabled', () => {
    expect(createTtl('/t', 5)).toEqual(refused(ErrorCode.UNIMPLEMENTED));
    expect(create('/t', CreateMode.PERSISTENT_WITH_TTL)).toEqual(refused(ErrorCode.UNIMPLEMENTED));
    rules = { ...rules, extendedTypesEnabled: true };
    expect(createTtl('/t', 5)).toMatchObject({ type: OpCode.createTTL, path: '/t', ttlMs: 5 });
    expect(createTtl('/t-', 5, CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL)).toMatchObject({ path: '/t-0000000001' });
  });

  it.each([
    ['none', 0],
    ['a negative one', -1],
    ['one beyond 40 bits', 0x100_0000_0000],
  ])('with a time to live refuses %s', (_, ttlMs) => {
    rules = { ...rules, extendedTypesEnabled: true };
    expect(createTtl('/t', ttlMs)).toEqual(refused(ErrorCode.BAD_ARGUMENTS));
  });

  it('refuses a time to live without its mode, and the mode without a time to live', () => {
    rules = { ...rules, extendedTypesEnabled: true };
    expect(createTtl('/t', 5, CreateMode.PERSISTENT)).toEqual(refused(ErrorCode.BAD_ARGUMENTS));
    expect(createTtl('/t', 5, 9)).toEqual(refused(ErrorCode.BAD_ARGUMENTS));
    expect(create('/t', CreateMode.PERSISTENT_WITH_TTL)).toEqual(refused(ErrorCode.BAD_ARGUMENTS));
    expect(createContainer('/t', CreateMode.PERSISTENT_WITH_TTL)).toEqual(refused(ErrorCode.BAD_ARGUMENTS));
  });

  it('is of a container by its operation, not by its flag', () => {
    expect(createContainer('/c', CreateMode.EPHEMERAL)).toMatchObject({ type: OpCode.createContainer, path: '/c' });
    expect(createContainer('/c', CreateMode.PERSISTENT_SEQUENTIAL)).toMatchObject({ path: '/c0000000001' });
    expect(create('/c/x'), 'it is not ephemeral').toMatchObject({ path: '/c/x' });
    expect(create('/plain', CreateMode.CONTAINER)).toMatchObject({ type: OpCode.create, ephemeral: false });
  });
});

describe('setACL', () => {
  const setAcl = (path: string, acl: readonly Acl[] | null, version = -1) =>
    propose(operations.setACL, { path, acl, version });

  it('counts versions of its own, and what comes behind is checked against the new ACL', () => {
    create('/a');
    expect(setAcl('/a', READ_ACL, 0)).toEqual({ type: OpCode.setACL, path: '/a', acl: READ_ACL, version: 1 });
    expect(create('/a/x')).toEqual(refused(ErrorCode.NO_AUTH));
    expect(propose(operations.setData, { path: '/a', data: null, version: 0 })).toEqual(refused(ErrorCode.NO_AUTH));
    applyAll();
    expect(setAcl('/a', OPEN_ACL)).toEqual(refused(ErrorCode.NO_AUTH));
    origin = { ...origin, isSuperuser: true };
    expect(setAcl('/a', OPEN_ACL, 0)).toEqual(refused(ErrorCode.BAD_VERSION));
    expect(setAcl('/a', OPEN_ACL, 1)).toMatchObject({ version: 2 });
  });

  it('puts in who has authenticated', () => {
    create('/a');
    expect(setAcl('/a', CREATOR_ALL_ACL)).toEqual(refused(ErrorCode.INVALID_ACL));
    origin = { ...origin, identities: [ADDRESS, BOB] };
    expect(setAcl('/a', CREATOR_ALL_ACL)).toMatchObject({ acl: [{ perms: Permission.ALL, id: BOB }] });
  });

  it('looks at the path, then the ACL, then the znode', () => {
    expect(setAcl('/a/', null)).toEqual(refused(ErrorCode.BAD_ARGUMENTS));
    expect(setAcl('/a', null)).toEqual(refused(ErrorCode.INVALID_ACL));
    expect(setAcl('/a', OPEN_ACL)).toEqual(refused(ErrorCode.NO_NODE));
  });
});

describe('a check', () => {
  const check = (path: string, version: number) => propose(operations.check, { path, version });

  it('holds for the version that there will be, and for any', () => {
    create('/a');
    propose(operations.setData, { path: '/a', data: null, version: -1 });
    const holds = { type: OpCode.error, err: ErrorCode.OK };
    expect([check('/a', 1), check('/a', -1)]).toEqual([holds, holds]);
    expect(check('/a', 0)).toEqual(refused(ErrorCode.BAD_VERSION));
    expect(check('/b', -1)).toEqual(refused(ErrorCode.NO_NODE));
    expect(check('a', -1)).toEqual(refused(ErrorCode.BAD_ARGUMENTS));
  });

  it('needs READ', () => {
    propose(operations.create, { path: '/a', data: null, acl: [{ perms: Permission.WRITE, id: ADDRESS }], flags: 0 });
    expect(check('/a', 0)).toEqual(refused(ErrorCode.NO_AUTH));
  });
});

describe('a multi', () => {
  const multi = (...parts: MultiOperation[]) => propose(operations.multi, parts);
  const creating = (path: string, flags = 0): MultiOperation => ({
    type: OpCode.create,
    request: { path, data: null, acl: OPEN_ACL, flags },
  });
  const setting = (path: string, version: number): MultiOperation => ({
    type: OpCode.setData,
    request: { path, data: null, version },
  });
  const deleting = (path: string): MultiOperation => ({ type: OpCode.delete, request: { path, version: -1 } });

  it('is one transaction, in which each part builds on those before it', () => {
    expect(
      multi(
        creating('/a'),
        creating('/a/n-', 2),
        setting('/a', 0),
        setting('/a', 1),
        deleting('/a/n-0000000000'),
        deleting('/a'),
      ),
    ).toMatchObject({
      type: OpCode.multi,
      txns: [
        { path: '/a' },
        { path: '/a/n-0000000000' },
        { version: 1 },
        { version: 2 },
        { path: '/a/n-0000000000' },
        { path: '/a' },
      ],
    });
    applyAll();
    expect(database.tree.find('/a')).toBeUndefined();
    database.tree.assertConsistent();
  });

  it('is the transaction that Apache ZooKeeper logs for it, done or failed', () => {
    const [done, failed] = recordedMultis();
    rules = { ...rules, extendedTypesEnabled: true };
    create('/java');
    create('/other');
    const put = { acl: OPEN_ACL, data: Buffer.alloc(0) };
    const one = multi(
      { type: OpCode.create, request: { ...put, path: '/multi', data: Buffer.from('m'), flags: 0 } },
      { type: OpCode.create, request: { ...put, path: '/multi/n-', data: Buffer.from('n'), flags: 3 } },
      { type: OpCode.createContainer, request: { ...put, path: '/multi/container', data: null, flags: 4 } },
      { type: OpCode.createTTL, request: { ...put, path: '/multi/ttl', flags: 5, ttlMs: 60_000 } },
      { type: OpCode.setData, request: { path: '/multi', data: Buffer.from('mm'), version: 0 } },
      { type: OpCode.check, request: { path: '/multi', version: 1 } },
      deleting('/multi/ttl'),
    );
    expect(one).toEqual(done);
    applyAll();
    expect(multi(creating('/multi/x'), setting('/multi', 99), deleting('/multi'), deleting('/multi'))).toEqual(failed);
  });

  it('may be empty', () => {
    expect(multi()).toEqual({ type: OpCode.multi, txns: [] });
  });

  it('keeps the parts before the one that fails, has errors from there on, and leaves no trace', () => {
    create('/a');
    expect(multi(setting('/a', 0), creating('/b'), setting('/a', 0), deleting('/a'))).toEqual({
      type: OpCode.multi,
      txns: [
        { type: OpCode.setData, path: '/a', data: null, version: 1 },
        expect.objectContaining({ type: OpCode.create, path: '/b', parentCversion: 2 }),
        refused(ErrorCode.BAD_VERSION),
        refused(ErrorCode.RUNTIME_INCONSISTENCY),
      ],
    });
    expect(propose(operations.setData, { path: '/a', data: null, version: 0 })).toMatchObject({ version: 1 });
    expect(create('/b')).toMatchObject({ parentCversion: 2 });
    applyAll();
    expect(changes.get('/a')).toMatchObject({ version: 1 });
  });

  it('of a session that is over fails at its first part', () => {
    const request = [creating('/a'), creating('/b')];
    expect(propose(operations.multi, request, closing)).toMatchObject({
      txns: [refused(ErrorCode.SESSION_EXPIRED), refused(ErrorCode.RUNTIME_INCONSISTENCY)],
    });
  });

  it('that holds a read is malformed, and what stands in front of it leaves no trace', () => {
    const reading: MultiOperation = { type: OpCode.getData, request: { path: '/a', watch: false } };
    expect(multi(creating('/a'), reading)).toEqual(refused(ErrorCode.MARSHALLING_ERROR));
    expect(changes.get('/a')).toBeUndefined();
  });
});

describe('a quota', () => {
  beforeEach(() => {
    create('/a');
    for (const path of [
      '/zookeeper/quota/a',
      '/zookeeper/quota/a/zookeeper_limits',
      '/zookeeper/quota/a/zookeeper_stats',
    ]) {
      const data = Buffer.from(path.endsWith('limits') ? 'count=-1,bytes=-1=;byteHardLimit=3;countHardLimit=2' : '');
      propose(operations.create, { path, data, acl: OPEN_ACL, flags: 0 });
    }
    create('/a/b');
    applyAll();
  });
  const setData = (data: string, version = -1) =>
    propose(operations.setData, { path: '/a/b', data: Buffer.from(data), version });

  it('refuses creates and new data that exceed it, when it is enforced', () => {
    expect(setData('four')).toMatchObject({ type: OpCode.setData });
    rules = { ...rules, enforceQuota: true };
    expect(create('/a/c')).toEqual(refused(ErrorCode.QUOTA_EXCEEDED));
    expect(create('/b')).toMatchObject({ path: '/b' });
  });

  it('takes the difference to the data that there will be, and goes before the version', () => {
    rules = { ...rules, enforceQuota: true };
    expect(setData('one')).toMatchObject({ version: 1 });
    expect(setData('two')).toMatchObject({ version: 2 });
    applyAll();
    expect(setData('four', 99)).toEqual(refused(ErrorCode.QUOTA_EXCEEDED));
  });
});

describe('reconfig', () => {
  const reconfig = (by = session) =>
    propose(operations.reconfig, { joiningServers: null, leavingServers: '1', newMembers: null, configId: -1n }, by);

  it('is disabled unless it is enabled, and then nothing that a server alone can do', () => {
    expect(reconfig()).toEqual(refused(ErrorCode.RECONFIG_DISABLED));
    rules = { ...rules, reconfigEnabled: true };
    expect(reconfig()).toEqual(refused(ErrorCode.UNIMPLEMENTED));
    expect(reconfig(closing)).toEqual(refused(ErrorCode.SESSION_EXPIRED));
  });
});
