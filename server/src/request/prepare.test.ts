import { beforeEach, describe, expect, it } from 'vitest';
import {
  CreateMode,
  ErrorCode,
  JuteReader,
  JuteWriter,
  OPEN_ACL,
  OpCode,
  type Operation,
  operations,
  type SessionId,
  type Txn,
  type TxnBody,
  toSessionId,
  toXid,
  toZxid,
} from 'zookeeper-protocol-ts';
import { Database } from '../database.ts';
import { OutstandingChanges } from './outstanding-changes.ts';
import { prepare } from './prepare.ts';

const session = toSessionId(0x100n);
const closing = toSessionId(0x200n);
const identities = [{ scheme: 'ip', id: '127.0.0.1' }];

let database: Database;
let changes: OutstandingChanges;
let zxid: bigint;

beforeEach(() => {
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

const proposed: Txn[] = [];

function proposeRaw(type: number, bytes: Uint8Array, by: SessionId = session): TxnBody {
  zxid++;
  const body = prepare(
    { origin: { identities }, sessionId: by, xid: toXid(1), type, body: new JuteReader(bytes), arrivedAt: 0 },
    { zxid: toZxid(zxid), changes, isOpen: (id) => id === session },
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
  beforeEach(() => void proposed.splice(0));

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

  it('that is an error when its bytes are malformed', () => {
    for (const type of [OpCode.create, OpCode.delete, OpCode.setData]) {
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
