import { describe, expect, it } from 'vitest';
import {
  ErrorCode,
  EventType,
  OPEN_ACL,
  OpCode,
  READ_ACL,
  type Txn,
  type TxnBody,
  toSessionId,
  toXid,
  toZxid,
} from 'zookeeper-protocol-ts';
import { Database } from './database.ts';
import { InvariantError } from './invariant.ts';
import { CONTAINER_OWNER, ttlOwner } from './tree/owner.ts';

const SESSION = toSessionId(0x1000_00dc_6d10_000n);
const OTHER = toSessionId(0x1000_00dc_6d10_001n);
const bytes = (text: string) => new TextEncoder().encode(text);

const txn = (counter: number, body: TxnBody, sessionId = SESSION): Txn => ({
  header: { sessionId, cxid: toXid(counter), zxid: toZxid(BigInt(counter)), time: counter * 1_000, type: body.type },
  body,
  digest: undefined,
});

const create = (path: string, { ephemeral = false, acl = OPEN_ACL, parentCversion = -1 } = {}): TxnBody => ({
  type: OpCode.create2,
  path,
  data: bytes('data'),
  acl,
  ephemeral,
  parentCversion,
});
const remove = (path: string): TxnBody => ({ type: OpCode.delete, path });
const setData = (path: string, version: number): TxnBody => ({
  type: OpCode.setData,
  path,
  data: bytes('new'),
  version,
});

/** A database after these bodies, with the zxids 1, 2, 3, …; and how to apply more. */
function databaseAfter(...bodies: TxnBody[]) {
  const database = new Database();
  let counter = 0;
  const apply = (body: TxnBody, sessionId = SESSION) => database.apply(txn(++counter, body, sessionId));
  for (const body of bodies) apply(body);
  return { database, tree: database.tree, apply };
}

describe('a transaction', () => {
  it('must have a higher zxid than the one before', () => {
    const { database } = databaseAfter(create('/a'), create('/b'));
    for (const zxid of [1, 2]) expect(() => database.apply(txn(zxid, create('/c')))).toThrow(InvariantError);
    expect([database.lastZxid, database.tree.find('/c')]).toEqual([2n, undefined]);
  });

  it('that is an error takes its zxid, changes nothing, and has its code', () => {
    const { database, apply } = databaseAfter(create('/a'));
    const applied = apply({ type: OpCode.error, err: ErrorCode.BAD_VERSION });
    expect(applied).toMatchObject({ error: ErrorCode.BAD_VERSION, changes: [], node: undefined, results: undefined });
    expect(database.lastZxid).toBe(2n);
  });

  it('that is a check changes nothing', () => {
    const { apply } = databaseAfter(create('/a'));
    expect(apply({ type: OpCode.check, path: '/a', version: 0 })).toMatchObject({ error: 0, changes: [] });
  });
});

describe('create', () => {
  it('makes the znode and tells of it with the ACLs of the znode and of its parent', () => {
    const { tree, apply } = databaseAfter(create('/p', { acl: READ_ACL }));
    const { error, node, changes } = apply(create('/p/a'));
    expect([error, node]).toEqual([0, tree.find('/p/a')]);
    expect(changes).toEqual([{ type: EventType.NodeCreated, path: '/p/a', acl: OPEN_ACL, parentAcl: READ_ACL }]);
  });

  it('gives every kind of znode its owner', () => {
    const { tree } = databaseAfter(
      create('/plain'),
      create('/ephemeral', { ephemeral: true }),
      { type: OpCode.createContainer, path: '/container', data: null, acl: OPEN_ACL, parentCversion: 3 },
      { type: OpCode.createTTL, path: '/ttl', data: null, acl: OPEN_ACL, parentCversion: 4, ttlMs: 9 },
    );
    const owners = ['/plain', '/ephemeral', '/container', '/ttl'].map((path) => tree.owner(tree.find(path) ?? never()));
    expect(owners).toEqual([0n, SESSION, CONTAINER_OWNER, ttlOwner(9)]);
  });

  it('of an existing znode, in a replay, is an error without a change to tell of', () => {
    const { tree, apply } = databaseAfter(create('/a'), setData('/a', 1));
    expect(apply(create('/a', { acl: READ_ACL }))).toMatchObject({
      error: ErrorCode.NODE_EXISTS,
      changes: [],
      node: undefined,
    });
    expect(tree.data(tree.find('/a') ?? never())).toEqual(bytes('new'));
    expect(tree.aclOf(tree.find('/a') ?? never())).toEqual(READ_ACL);
  });

  it('below a missing parent, in a replay, is an error', () => {
    const { apply } = databaseAfter();
    expect(apply(create('/no/a'))).toMatchObject({ error: ErrorCode.NO_NODE, changes: [], node: undefined });
  });
});

describe('delete, setData and setACL', () => {
  it('tell of a delete with the ACLs from before', () => {
    const { tree, apply } = databaseAfter(create('/a', { acl: READ_ACL }));
    const applied = apply(remove('/a'));
    expect(applied).toMatchObject({ error: 0, node: undefined });
    expect(applied.changes).toEqual([{ type: EventType.NodeDeleted, path: '/a', acl: READ_ACL, parentAcl: OPEN_ACL }]);
    expect(tree.find('/a')).toBeUndefined();
  });

  it('tell of new data, and of a new ACL nothing', () => {
    const { tree, apply } = databaseAfter(create('/a'));
    const written = apply(setData('/a', 1));
    expect(written.changes).toEqual([{ type: EventType.NodeDataChanged, path: '/a', acl: OPEN_ACL }]);
    expect(written.node).toBe(tree.find('/a'));
    const restricted = apply({ type: OpCode.setACL, path: '/a', acl: READ_ACL, version: 1 });
    expect(restricted).toMatchObject({ error: 0, changes: [], node: tree.find('/a') });
    expect(tree.stat(tree.find('/a') ?? never())).toMatchObject({ version: 1, mzxid: 2n, mtime: 2_000, aversion: 1 });
  });

  it('of a missing znode, in a replay, are errors without a change to tell of', () => {
    const { tree, apply } = databaseAfter();
    for (const body of [
      remove('/a'),
      setData('/a', 1),
      { type: OpCode.setACL, path: '/a', acl: READ_ACL, version: 1 } as const,
    ]) {
      expect(apply(body)).toMatchObject({ error: ErrorCode.NO_NODE, changes: [], node: undefined });
    }
    expect(tree.pzxid(tree.find('/') ?? never())).toBe(1n);
  });

  it('take a reconfig for new data, and a deleteContainer for a delete', () => {
    const { tree, apply } = databaseAfter(create('/c'));
    const reconfig = apply({ type: OpCode.reconfig, path: '/zookeeper/config', data: bytes('server.1'), version: -1 });
    expect(reconfig.changes).toMatchObject([{ type: EventType.NodeDataChanged, path: '/zookeeper/config' }]);
    expect(tree.version(tree.find('/zookeeper/config') ?? never())).toBe(-1);
    expect(apply({ type: OpCode.deleteContainer, path: '/c' }).changes).toHaveLength(1);
  });
});

describe('multi', () => {
  it('shows in each result the stat between this part and the next', () => {
    const { tree, apply } = databaseAfter(create('/gone'));
    const parts = [
      create('/a'),
      setData('/a', 1),
      remove('/gone'),
      { type: OpCode.check, path: '/a', version: 1 } as const,
    ];
    const { error, changes, results } = apply({ type: OpCode.multi, txns: parts });
    expect(error).toBe(0);
    expect(changes.map(({ type, path }) => [type, path])).toEqual([
      [EventType.NodeCreated, '/a'],
      [EventType.NodeDataChanged, '/a'],
      [EventType.NodeDeleted, '/gone'],
    ]);
    expect(results?.map(({ stat }) => stat?.version)).toEqual([0, 1, undefined, undefined]);
    expect(results?.map(({ body }) => body)).toEqual(parts);
    expect(tree.find('/gone')).toBeUndefined();
  });

  it('tells of a child’s delete with the ACL of a parent that the same multi deletes', () => {
    const { apply } = databaseAfter(create('/p', { acl: READ_ACL }), create('/p/a'));
    const { changes } = apply({ type: OpCode.multi, txns: [remove('/p/a'), remove('/p')] });
    expect(changes).toMatchObject([
      { path: '/p/a', parentAcl: READ_ACL },
      { path: '/p', acl: READ_ACL },
    ]);
  });

  it('with one error among its parts executes none', () => {
    const { database, tree, apply } = databaseAfter();
    const applied = apply({
      type: OpCode.multi,
      txns: [
        create('/a'),
        { type: OpCode.error, err: ErrorCode.NO_NODE },
        { type: OpCode.error, err: ErrorCode.RUNTIME_INCONSISTENCY },
      ],
    });
    expect(applied.results?.map(({ error }) => error)).toEqual([0, ErrorCode.NO_NODE, ErrorCode.RUNTIME_INCONSISTENCY]);
    expect([applied.error, applied.changes, tree.find('/a'), database.lastZxid]).toEqual([0, [], undefined, 1n]);
  });

  it('without parts is a transaction like any other', () => {
    const { database, apply } = databaseAfter();
    expect(apply({ type: OpCode.multi, txns: [] })).toMatchObject({ error: 0, results: [] });
    expect(database.lastZxid).toBe(1n);
  });

  it('inside a multi is a bug', () => {
    const { apply } = databaseAfter();
    const inner: TxnBody = { type: OpCode.multi, txns: [] };
    expect(() => apply({ type: OpCode.multi, txns: [inner] })).toThrow(InvariantError);
  });
});

describe('a session', () => {
  it('is there from createSession to closeSession', () => {
    const { database, apply } = databaseAfter({ type: OpCode.createSession, timeoutMs: 30_000 });
    expect([...database.sessions]).toEqual([[SESSION, 30_000]]);
    apply({ type: OpCode.closeSession, paths: [] });
    expect([...database.sessions]).toEqual([]);
  });

  it('takes the listed ephemerals along, and tells of each', () => {
    const { tree, apply } = databaseAfter(
      create('/e', { ephemeral: true }),
      create('/p'),
      create('/p/f', { ephemeral: true }),
      create('/p/stays'),
    );
    const { changes } = apply({ type: OpCode.closeSession, paths: ['/p/f', '/e'] });
    expect(changes.map(({ type, path }) => [type, path])).toEqual([
      [EventType.NodeDeleted, '/p/f'],
      [EventType.NodeDeleted, '/e'],
    ]);
    expect(tree.ephemeralCount).toBe(0);
    expect(tree.children(tree.find('/p') ?? never())).toEqual(['stays']);
  });

  it('takes its ephemerals along when an old log doesn’t list them, or a list lacks one; and nobody else’s', () => {
    for (const paths of [undefined, ['/e']]) {
      const { tree, apply } = databaseAfter(create('/e', { ephemeral: true }), create('/f', { ephemeral: true }));
      apply(create('/other', { ephemeral: true }), OTHER);
      expect(apply({ type: OpCode.closeSession, paths }).changes).toHaveLength(2);
      expect(tree.ephemeralsOf(SESSION)).toEqual([]);
      expect(tree.ephemeralsOf(OTHER)).toEqual(['/other']);
    }
  });

  it('that is closed in a replay leaves the pzxid that it left the first time (ZOOKEEPER-3145)', () => {
    const { tree, apply } = databaseAfter(create('/p'), create('/p/later'));
    const { changes } = apply({ type: OpCode.closeSession, paths: ['/p/e'] });
    expect(changes).toEqual([]);
    expect(tree.pzxid(tree.find('/p') ?? never())).toBe(3n);
  });
});

describe('a database from a snapshot', () => {
  it('goes on behind its zxid', () => {
    const database = new Database({ sessions: new Map([[SESSION, 4_000]]), lastZxid: toZxid(9n) });
    expect(() => database.apply(txn(9, create('/a')))).toThrow(InvariantError);
    database.apply(txn(10, create('/a')));
    expect([database.lastZxid, database.sessions.size]).toEqual([10n, 1]);
  });
});

function never(): never {
  throw new Error('no such znode');
}
