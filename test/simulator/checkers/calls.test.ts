import { describe, expect, it } from 'vitest';
import {
  CreateMode,
  ErrorCode,
  EventType,
  OpCode,
  type Stat,
  type Txn,
  type TxnBody,
  toSessionId,
  toXid,
  toZxid,
} from 'zookeeper-protocol-ts';
import type { Answer, Call, Item, Request } from '../workload.ts';
import { Records } from '../workload.ts';
import { CallChecker } from './calls.ts';
import type { HistoryChecker } from './history.ts';
import { HistoryModel } from './model.ts';

const [SESSION, OTHER] = [toSessionId(1n), toSessionId(2n)];

/** Transaction `n` has zxid n, and the cxid is that of the call which asked for it: 0 is nobody's. */
const txnsOf = (...bodies: (TxnBody | readonly [cxid: number, body: TxnBody])[]): Txn[] =>
  bodies.map((each, i) => {
    const [cxid, body] = Array.isArray(each) ? (each as [number, TxnBody]) : [0, each as TxnBody];
    const header = { sessionId: SESSION, cxid: toXid(cxid), zxid: toZxid(BigInt(i + 1)), time: 0, type: body.type };
    return { header, body, digest: undefined };
  });

const opened: TxnBody = { type: OpCode.createSession, timeoutMs: 1000 };
const created = (path: string, parentCversion: number, { ephemeral = false, data = '' } = {}): TxnBody => ({
  ...{ type: OpCode.create, path, data: Buffer.from(data), acl: [], ephemeral, parentCversion },
});
const set = (path: string, version: number, data = ''): TxnBody => ({
  ...{ type: OpCode.setData, path, data: Buffer.from(data), version },
});
const deleted = (path: string): TxnBody => ({ type: OpCode.delete, path });
const closed = (...paths: string[]): TxnBody => ({ type: OpCode.closeSession, paths });

const GET = (path: string, watch = false): Request => ({ kind: 'get', path, watch });
const SYNC: Request = { kind: 'sync' };
const CREATE = (path: string, mode: CreateMode = CreateMode.PERSISTENT): Request => ({
  ...{ kind: 'create', path, data: '', mode },
});
const stat = (fields: Partial<Stat>): Stat => ({
  ...{ czxid: toZxid(0n), mzxid: toZxid(0n), ctime: 0, mtime: 0, version: 0, cversion: 0, aversion: 0 },
  ...{ ephemeralOwner: toSessionId(0n), dataLength: 0, numChildren: 0, pzxid: toZxid(0n) },
  ...fields,
});
/** What a read of a znode without data shows. */
const shows = (czxid: bigint, mzxid = czxid, version = 0): Answer => ({
  data: '',
  stat: stat({ czxid: toZxid(czxid), mzxid: toZxid(mzxid), version }),
});

interface Replied {
  readonly zxid: bigint;
  readonly xid?: number;
  readonly err?: number;
  readonly answer?: Answer;
  readonly floor?: bigint;
}

const replied = (request: Request, { zxid, xid = 0, err = 0, answer = {}, floor = 0n }: Replied): Item => ({
  kind: 'reply',
  call: {
    ...{ request, session: SESSION, xid: toXid(xid), floor: toZxid(floor) },
    outcome: { kind: 'replied', zxid: toZxid(zxid), err, answer },
  },
});
const event = (path: string, type: number = EventType.NodeDataChanged): Item => ({ kind: 'event', path, type });
const rewatched = (zxid: bigint): Item => ({ kind: 'rewatched', zxid: toZxid(zxid) });
const rested = (zxid: bigint): Item => ({ kind: 'rested', zxid: toZxid(zxid) });

/** What the checker says of what one connection brought. */
function checking(
  txns: readonly Txn[],
  items: readonly Item[],
  watched: { paths: string[]; since: bigint } | undefined = undefined,
) {
  return () => {
    const history = { txns, find: (zxid: bigint) => txns.find(({ header }) => header.zxid === zxid) };
    const checker = new CallChecker(history as unknown as HistoryChecker, new HistoryModel(txns));
    const records = new Records();
    const carried = { paths: watched?.paths ?? [], since: toZxid(watched?.since ?? 0n) };
    records.attachments.push({ session: SESSION, carried, items: [...items] });
    for (const item of items) if (item.kind === 'reply') records.calls.push(item.call);
    checker.check(records);
    return checker;
  };
}

/** /a is created at 2, set at 3, set at 4, deleted at 5. */
const LIFE = txnsOf(opened, created('/a', 1), set('/a', 1), set('/a', 2), deleted('/a'));

describe('calls', () => {
  it('are right as the history has them', () => {
    const txns = txnsOf(opened, [1, created('/a', 1)], [2, set('/a', 1)]);
    const items = [
      replied(CREATE('/a'), { xid: 1, zxid: 2n, answer: { path: '/a' } }),
      replied(GET('/a'), { zxid: 2n, answer: shows(2n) }),
      replied(
        { kind: 'set', path: '/a', data: '', version: -1 },
        { xid: 2, zxid: 3n, answer: { stat: stat({ version: 1 }) } },
      ),
      replied(GET('/b'), { zxid: 3n, err: ErrorCode.NO_NODE }),
    ];
    expect(checking(txns, items)().marks.get('get')).toBe(1);
  });

  it('B1 B2 B3 B4: a write is there, behind those acknowledged before, as it was answered, and once', () => {
    const txns = txnsOf(opened, [1, created('/a', 1)]);
    const create = (changes: Partial<Replied>) => [
      replied(CREATE('/a'), { xid: 1, zxid: 2n, answer: { path: '/a' }, ...changes }),
    ];
    expect(checking(txns, create({ zxid: 3n }))).toThrow('B1');
    expect(checking(txns, create({ xid: 2 }))).toThrow('B1');
    expect(checking(txns, create({ floor: 2n }))).toThrow('B2');
    expect(checking(txns, create({ answer: { path: '/b' } }))).toThrow('B3');
    expect(checking(txns, create({ err: ErrorCode.NODE_EXISTS }))).toThrow('B3');
    expect(checking(txnsOf(opened, [1, created('/a', 1)], [1, set('/a', 1)]), [])).toThrow('B4');
  });

  it('B2: what nobody was answered is behind what was acknowledged before, too', () => {
    const unknown: Call = {
      ...{ request: CREATE('/a'), session: SESSION, xid: toXid(1), floor: toZxid(2n), outcome: { kind: 'unknown' } },
    };
    expect(checking(txnsOf(opened, [1, created('/a', 1)]), [{ kind: 'reply', call: unknown }])).toThrow('B2');
  });

  it('B5 B6 B7: a read shows the state at its zxid, which never falls, and is not older than a sync', () => {
    expect(checking(LIFE, [replied(GET('/a'), { zxid: 3n, answer: shows(2n) })])).toThrow('B5');
    expect(checking(LIFE, [replied(GET('/a'), { zxid: 5n, answer: shows(2n, 4n, 2) })])).toThrow('B5');
    const back = [3n, 2n].map((zxid) => replied(GET('/b'), { zxid, err: ErrorCode.NO_NODE }));
    expect(checking(LIFE, back)).toThrow('B6');
    expect(checking(LIFE, [replied(SYNC, { zxid: 3n, floor: 4n })])).toThrow('B7');
    expect(checking(txnsOf(opened, [2, created('/a', 1)], [1, set('/a', 1)]), [])).toThrow('B6');
  });

  it('B8: a multi is there as a whole', () => {
    const failed: TxnBody = { type: OpCode.multi, txns: [{ type: OpCode.error, err: ErrorCode.NO_NODE }] };
    const multi: Request = { kind: 'multi', paths: ['/a', '/b'], data: '' };
    const reply = (isRefused: boolean) => [replied(multi, { xid: 1, zxid: 2n, answer: { isRefused } })];
    expect(checking(txnsOf(opened, [1, failed]), reply(true))).not.toThrow();
    expect(checking(txnsOf(opened, [1, failed]), reply(false))).toThrow('B8');
  });

  it('B9: sequential znodes count the creates below their parent, whatever was deleted', () => {
    const mode = CreateMode.EPHEMERAL_SEQUENTIAL;
    const sequence = (name: string) => {
      const txns = txnsOf(
        opened,
        created('/a', 1),
        deleted('/a'),
        [1, created(name, 2, { ephemeral: true })],
        closed(name),
      );
      return checking(txns, [replied(CREATE('/q-', mode), { xid: 1, zxid: 4n, answer: { path: name } })]);
    };
    expect(sequence('/q-0000000001')).not.toThrow();
    expect(sequence('/q-0000000000')).toThrow('B9');
    expect(sequence('/q-1')).toThrow('B9');
    expect(() => new HistoryModel(txnsOf(created('/a', 1), deleted('/a'), created('/b', 1)))).toThrow('B9');
    expect(() => new HistoryModel(txnsOf(created('/a', 1), created('/a/x', 1), created('/a/y', 3)))).toThrow('B9');
    // Another life of the parent begins anew.
    new HistoryModel(
      txnsOf(
        created('/a', 1),
        created('/a/x', 1),
        deleted('/a/x'),
        deleted('/a'),
        created('/a', 2),
        created('/a/x', 1),
      ),
    );
  });

  it('E2: all have an end', () => {
    const pending: Call = {
      request: SYNC,
      session: OTHER,
      xid: toXid(1),
      floor: toZxid(0n),
      outcome: { kind: 'pending' },
    };
    expect(checking(LIFE, [{ kind: 'reply', call: pending }])).toThrow('E2');
  });
});

describe('watches', () => {
  const watch = replied(GET('/a', true), { zxid: 2n, answer: shows(2n) });
  const later = (zxid: bigint) => replied(GET('/b'), { zxid, err: ErrorCode.NO_NODE });

  it('D1: tell before any reply that shows the change', () => {
    expect(checking(LIFE, [watch, later(2n), event('/a'), later(3n)])).not.toThrow();
    expect(checking(LIFE, [watch, later(3n), event('/a')])).toThrow('D1');
  });

  it('D2: tell once, of what happens, and as what it is', () => {
    expect(checking(LIFE, [event('/a')])).toThrow('D2');
    expect(checking(LIFE, [watch, event('/a'), event('/a')])).toThrow('D2');
    expect(checking(txnsOf(opened, created('/a', 1)), [watch, event('/a')])).toThrow('D2');
    expect(checking(LIFE, [watch, event('/a', EventType.NodeDeleted)])).toThrow('D2');
  });

  it('D3: are told of all that was missed when they are set again, and of nothing else', () => {
    const away = { paths: ['/a'], since: 3n };
    expect(checking(LIFE, [event('/a'), rewatched(4n)], away)).not.toThrow();
    expect(checking(LIFE, [event('/a', EventType.NodeDeleted), rewatched(5n)], away)).not.toThrow();
    expect(checking(LIFE, [rewatched(3n), event('/a'), later(4n)], away)).not.toThrow();
    expect(checking(LIFE, [rewatched(4n)], away)).toThrow('D3');
    expect(checking(LIFE, [event('/a'), rewatched(3n)], away)).toThrow('D3');
    expect(checking(LIFE, [event('/a'), rewatched(5n)], away)).toThrow('D2');
    expect(checking(LIFE, [event('/a')], { paths: ['/a'], since: 5n })).toThrow('D3');
    // The connection did not last until they were set.
    expect(checking(LIFE, [event('/a')], away)).not.toThrow();
  });

  it('D4: have told everything when all is quiet', () => {
    expect(checking(LIFE, [watch, rested(2n)])).not.toThrow();
    expect(checking(LIFE, [watch, rested(3n), event('/a')])).toThrow('D4');
  });
});

describe('the model', () => {
  it('C1: lets ephemerals live as long as their sessions', () => {
    const ephemeral = created('/e', 1, { ephemeral: true });
    expect(() => new HistoryModel(txnsOf(ephemeral))).toThrow('C1');
    expect(() => new HistoryModel(txnsOf(opened, ephemeral, closed()))).toThrow('C1');
    expect(() => new HistoryModel(txnsOf(opened, closed(), ephemeral))).toThrow('C1');
    expect(new HistoryModel(txnsOf(opened, ephemeral, closed('/e'))).now('/e')).toBeUndefined();
  });

  it('C4: has each session once', () => {
    expect(() => new HistoryModel(txnsOf(opened, opened))).toThrow('C4');
  });

  it('B3: changes what there is, version by version', () => {
    expect(() => new HistoryModel(txnsOf(set('/a', 1)))).toThrow('B3');
    expect(() => new HistoryModel(txnsOf(deleted('/a')))).toThrow('B3');
    expect(() => new HistoryModel(txnsOf(created('/a', 1), set('/a', 2)))).toThrow('B3');
    expect(() => new HistoryModel(txnsOf(created('/a/b', 1)))).toThrow('B3');
  });
});
