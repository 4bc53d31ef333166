import { beforeEach, describe, expect, it } from 'vitest';
import { ErrorCode, OPEN_ACL, OpCode, type TxnBody, toSessionId, toXid, toZxid } from 'zookeeper-protocol-ts';
import { Database } from '../database.ts';
import { Quotas, quotaText, readQuotaText } from './quota.ts';

let database: Database;
let zxid: bigint;

beforeEach(() => {
  database = new Database();
  zxid = 0n;
});

function apply(body: TxnBody): void {
  const header = { sessionId: toSessionId(1n), cxid: toXid(1), zxid: toZxid(++zxid), time: 7, type: body.type };
  expect(database.apply({ header, body, digest: undefined }).error).toBe(ErrorCode.OK);
}

const text = (value: string) => Buffer.from(value);
const create = (path: string, data: string | null = null) =>
  apply({
    type: OpCode.create,
    path,
    data: data === null ? null : text(data),
    acl: OPEN_ACL,
    ephemeral: false,
    parentCversion: -1,
  });
const setData = (path: string, data: string) => apply({ type: OpCode.setData, path, data: text(data), version: 1 });
const remove = (path: string) => apply({ type: OpCode.delete, path });

/** Sets a quota as a client does: the limits first. */
function limit(path: string, limits: string): void {
  path
    .split('/')
    .slice(1)
    .reduce((parent, name) => {
      const below = `${parent}/${name}`;
      if (database.tree.find(below) === undefined) create(below);
      return below;
    }, '/zookeeper/quota');
  create(`/zookeeper/quota${path}/zookeeper_limits`, limits);
  create(`/zookeeper/quota${path}/zookeeper_stats`, 'count=0,bytes=0');
}

function usage(path: string): string {
  const node = database.tree.find(`/zookeeper/quota${path}/zookeeper_stats`);
  return node === undefined ? 'none' : Buffer.from(database.tree.data(node) ?? []).toString();
}

const check = (path: string, bytes: number, count: number, enforced = true) =>
  database.quotas.check(path, { bytes, count }, { enforced });

describe('the usage of a quota', () => {
  it('counts the znode itself and all below it when it is set, and every change from then on', () => {
    create('/a', '12345');
    create('/a/b', '123');
    create('/other', '1');
    limit('/a', 'count=9,bytes=-1');
    expect(usage('/a')).toBe('count=2,bytes=8');
    create('/a/b/c', '1');
    create('/other/x', '1234');
    expect(usage('/a')).toBe('count=3,bytes=9');
    setData('/a/b', '1');
    expect(usage('/a')).toBe('count=3,bytes=7');
    remove('/a/b/c');
    expect(usage('/a')).toBe('count=2,bytes=6');
    database.tree.assertConsistent();
  });

  it('changes neither version nor time of its znode, and nobody is told', () => {
    create('/a');
    limit('/a', 'count=9,bytes=-1');
    const node = database.tree.find('/zookeeper/quota/a/zookeeper_stats');
    if (node === undefined) throw new Error('the znode of the usage is missing');
    const before = database.tree.stat(node);
    create('/a/b', 'x'.repeat(100));
    expect(database.tree.stat(node)).toEqual({ ...before, dataLength: 'count=2,bytes=100'.length });
  });

  it('is counted by the nearest quota only', () => {
    create('/a');
    create('/a/b');
    limit('/a', 'count=9,bytes=-1');
    limit('/a/b', 'count=9,bytes=-1');
    create('/a/b/c');
    create('/a/x');
    expect([usage('/a'), usage('/a/b')]).toEqual(['count=3,bytes=0', 'count=2,bytes=0']);
  });

  it('is counted no more when the limits are gone', () => {
    create('/a');
    limit('/a', 'count=1,bytes=-1=;countHardLimit=1');
    remove('/zookeeper/quota/a/zookeeper_limits');
    create('/a/b');
    expect(usage('/a')).toBe('count=1,bytes=0');
    expect(check('/a/c', 0, 1)).toBe(ErrorCode.OK);
  });

  it('goes on from what a client has made of it, and is left alone where it can not be read', () => {
    create('/a');
    limit('/a', 'count=9,bytes=-1');
    setData('/zookeeper/quota/a/zookeeper_stats', 'count=7');
    create('/a/b', 'x');
    expect(usage('/a')).toBe('count=8,bytes=0');
    setData('/zookeeper/quota/a/zookeeper_stats', 'nonsense');
    create('/a/c', 'x');
    expect(usage('/a')).toBe('nonsense');
  });

  it('is counted anew in a tree that comes out of a snapshot', () => {
    create('/a');
    create('/a/b', 'xy');
    limit('/a', 'count=1,bytes=-1');
    setData('/zookeeper/quota/a/zookeeper_stats', 'count=77,bytes=77');
    const quotas = new Quotas(database.tree);
    expect(usage('/a')).toBe('count=2,bytes=2');
    quotas.onCreated('/a/c', 5);
    expect(usage('/a')).toBe('count=3,bytes=7');
  });

  it('is not kept for the root, nor for a znode elsewhere of that name', () => {
    create('/zookeeper/quota/zookeeper_limits', 'count=0,bytes=0=;countHardLimit=0');
    create('/a');
    create('/a/zookeeper_limits', 'count=0,bytes=0=;countHardLimit=0');
    expect(check('/a/b', 1, 1)).toBe(ErrorCode.OK);
  });
});

describe('a limit', () => {
  beforeEach(() => {
    create('/a', '1234');
    create('/a/b');
  });

  it('refuses what exceeds it when it is hard and enforced, and nothing at the limit', () => {
    limit('/a', 'count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3');
    expect(check('/a/c', 6, 1)).toBe(ErrorCode.OK);
    expect(check('/a/c', 7, 1)).toBe(ErrorCode.QUOTA_EXCEEDED);
    create('/a/c');
    expect(check('/a/d', 0, 1)).toBe(ErrorCode.QUOTA_EXCEEDED);
    expect(check('/a/b', 6, 0), 'new data needs no room for a znode').toBe(ErrorCode.OK);
    expect(check('/a/d', 0, 1, false)).toBe(ErrorCode.OK);
    expect(check('/b', 1000, 1)).toBe(ErrorCode.OK);
  });

  it('tells the operator once, and again when the usage was within it meanwhile', () => {
    limit('/a', 'count=2,bytes=-1');
    expect([check('/a/c', 0, 1), check('/a/d', 0, 1)]).toEqual([ErrorCode.OK, ErrorCode.OK]);
    expect(database.quotas.takeWarnings()).toEqual(['quota exceeded: /a [current count=3, softCountLimit=2]']);
    expect(database.quotas.takeWarnings()).toEqual([]);
    remove('/a/b');
    check('/a/c', 0, 1);
    create('/a/c');
    check('/a/d', 0, 1);
    expect(database.quotas.takeWarnings()).toHaveLength(1);
    setData('/zookeeper/quota/a/zookeeper_limits', 'count=-1,bytes=3');
    check('/a/d', 5, 1);
    expect(database.quotas.takeWarnings()).toEqual(['quota exceeded: /a [current bytes=9, softByteLimit=3]']);
  });

  it('that is soft does not keep the hard one beside it from refusing', () => {
    limit('/a', 'count=1,bytes=-1=;byteHardLimit=4');
    expect(check('/a/c', 1, 1)).toBe(ErrorCode.QUOTA_EXCEEDED);
  });

  it('that can not be read is refused as malformed where it is enforced', () => {
    limit('/a', 'garbage');
    expect(check('/a/c', 0, 1)).toBe(ErrorCode.MARSHALLING_ERROR);
    expect(check('/a/c', 0, 1, false)).toBe(ErrorCode.OK);
  });
});

describe('the text of a quota', () => {
  it.each([
    [
      'count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=10',
      { count: 5, bytes: -1, byteHardLimit: -1, countHardLimit: 10 },
    ],
    ['bytes=2;count=+1', { bytes: 2, count: 1 }],
    ['count==5,bytes=1', { count: -1, bytes: 1 }],
    ['count=1,', { count: 1 }],
    ['', {}],
  ])('%s is read', (written, numbers) => {
    expect(Object.fromEntries(readQuotaText(written) ?? [])).toEqual(numbers);
  });

  it.each(['garbage', 'count', 'count=', ',count=1', 'count=x', 'count=1.5', 'count=1,bytes'])(
    '%s is not',
    (written) => {
      expect(readQuotaText(written)).toBeUndefined();
    },
  );

  it('is written with count and bytes first, and a lone = in front of the others', () => {
    expect(quotaText(new Map([['bytes', 3]]))).toBe('count=-1,bytes=3');
    const numbers = { countHardLimit: 10, bytes: -1, byteHardLimit: 7, count: 5 };
    expect(quotaText(new Map(Object.entries(numbers)))).toBe('count=5,bytes=-1=;byteHardLimit=7;countHardLimit=10');
  });
});
