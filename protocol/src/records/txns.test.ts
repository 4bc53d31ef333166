/** Transactions: those that a real server logged, and the tails that versions left out. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../error-code.ts';
import { toSessionId, toXid, toZxid } from '../ids.ts';
import { JuteReader } from '../jute/reader.ts';
import { JuteWriter } from '../jute/writer.ts';
import { MarshallingError } from '../marshalling-error.ts';
import { OpCode, opCodeName } from '../op-code.ts';
import { readTxnBody, type Txn, txn, writeTxnBody } from './txns.ts';

interface LoggedTxn {
  readonly operation: string;
  readonly hex: string;
}

const logs = ['txn-log', 'txn-log-without-paths', 'txn-log-without-paths-and-digests'];

const load = (name: string): LoggedTxn[] =>
  JSON.parse(readFileSync(new URL(`../../fixtures/${name}.json`, import.meta.url), 'utf8')).txns;

const decode = (hex: string): Txn => {
  const reader = new JuteReader(Buffer.from(hex, 'hex'));
  const decoded = txn.read(reader);
  expect(reader.remaining).toBe(0);
  return decoded;
};

const encode = (value: Txn): string => {
  const writer = new JuteWriter(8);
  txn.write(writer, value);
  return writer.take().toString('hex');
};

const ofType = (log: string, operation: string): Txn[] =>
  load(log)
    .filter((logged) => logged.operation === operation)
    .map(({ hex }) => decode(hex));

describe.each(logs)('the log %s', (name) => {
  it('is decoded to the last byte, and encoded to the same bytes', () => {
    for (const { operation, hex } of load(name)) {
      const decoded = decode(hex);
      expect(opCodeName(decoded.header.type)).toBe(operation);
      expect(decoded.body.type).toBe(decoded.header.type);
      expect(encode(decoded)).toBe(hex);
    }
  });

  it('has rising zxids', () => {
    const zxids = load(name).map(({ hex }) => decode(hex).header.zxid);
    expect(zxids.every((zxid, index) => index === 0 || zxid > (zxids[index - 1] ?? zxid))).toBe(true);
  });
});

describe('the log of a server of 3.8', () => {
  it('has every type of transaction but a check, which stands only in a multi', () => {
    expect(new Set(load('txn-log').map(({ operation }) => operation))).toEqual(
      new Set([
        ...['create', 'create2', 'createContainer', 'createTTL', 'delete', 'deleteContainer', 'setData', 'setACL'],
        ...['reconfig', 'multi', 'createSession', 'closeSession', 'error'],
      ]),
    );
  });

  it('has the digest of the tree in every transaction but an error, which changes nothing', () => {
    for (const { operation, hex } of load('txn-log')) {
      expect(decode(hex).digest?.version).toBe(operation === 'error' ? undefined : 2);
    }
  });

  it('names the ephemerals that end with their session', () => {
    const paths = ofType('txn-log', 'closeSession').flatMap(({ body }) =>
      body.type === OpCode.closeSession ? body.paths : [],
    );
    expect(paths).toContain('/java/ephemeral');
  });

  it('has a failed multi with errors from the operation that failed on, and the others before it', () => {
    const multis = ofType('txn-log', 'multi').map(({ body }) => (body.type === OpCode.multi ? body.txns : []));
    const { BAD_VERSION, RUNTIME_INCONSISTENCY } = ErrorCode;
    expect(multis).toContainEqual([
      expect.objectContaining({ type: OpCode.create, path: '/multi/x' }),
      { type: OpCode.error, err: BAD_VERSION },
      { type: OpCode.error, err: RUNTIME_INCONSISTENCY },
      { type: OpCode.error, err: RUNTIME_INCONSISTENCY },
    ]);
    expect(multis.flat()).toContainEqual({ type: OpCode.check, path: '/multi', version: 2 });
  });

  it('has the time to live of a TTL znode', () => {
    const ttls = ofType('txn-log', 'createTTL').map(({ body }) =>
      body.type === OpCode.createTTL ? body.ttlMs : undefined,
    );
    expect(ttls).toContain(60_000);
    expect(ttls).toContain(0xff_ffff_ffff);
  });
});

describe('the end of a session without the paths of its ephemerals', () => {
  it('is told from a list of paths when a digest follows', () => {
    for (const { body, digest } of ofType('txn-log-without-paths', 'closeSession')) {
      expect(body).toEqual({ type: OpCode.closeSession, paths: undefined });
      expect(digest?.version).toBe(2);
    }
  });

  it('is told from a list of paths when nothing follows', () => {
    for (const { body, digest } of ofType('txn-log-without-paths-and-digests', 'closeSession')) {
      expect(body).toEqual({ type: OpCode.closeSession, paths: undefined });
      expect(digest).toBeUndefined();
    }
  });

  it('is not seen in a list that happens to be as long as a digest', () => {
    const value: Txn = {
      header: { sessionId: toSessionId(1n), cxid: toXid(2), zxid: toZxid(3n), time: 4, type: OpCode.closeSession },
      body: { type: OpCode.closeSession, paths: ['/abc'] },
      digest: undefined,
    };
    expect(decode(encode(value))).toEqual(value);
  });
});

describe('the body of a transaction', () => {
  it('of the oldest logs has no cversion of the parent', () => {
    const writer = new JuteWriter();
    const create = {
      type: OpCode.create,
      path: '/a',
      data: null,
      acl: null,
      ephemeral: true,
      parentCversion: 7,
    } as const;
    writeTxnBody(writer, create);
    const bytes = writer.take();
    expect(readTxnBody(OpCode.create, new JuteReader(bytes.subarray(0, -4)))).toEqual({
      ...create,
      parentCversion: -1,
    });
  });

  it.each([OpCode.getData, OpCode.notification, OpCode.sync, OpCode.createSession - 5, 999])(
    'is refused for the type %i, which no transaction has',
    (type) => {
      expect(() => readTxnBody(type, new JuteReader(Buffer.alloc(64)))).toThrow(MarshallingError);
    },
  );

  it('is refused where a multi stands inside a multi', () => {
    const writer = new JuteWriter();
    writeTxnBody(writer, { type: OpCode.multi, txns: [{ type: OpCode.multi, txns: [] }] });
    expect(() => readTxnBody(OpCode.multi, new JuteReader(writer.take()))).toThrow(/inside a multi/);
  });

  it('is refused where a part of a multi has no bytes', () => {
    const writer = new JuteWriter();
    writer.writeInt(1);
    writer.writeInt(OpCode.error);
    writer.writeBuffer(null);
    expect(() => readTxnBody(OpCode.multi, new JuteReader(writer.take()))).toThrow(/no bytes/);
  });

  it('is refused where a part of a multi reaches beyond its own length', () => {
    const writer = new JuteWriter();
    writer.writeInt(1);
    writer.writeInt(OpCode.createSession);
    // The part claims two bytes; the int that it needs goes on behind them.
    writer.writeInt(2);
    writer.writeInt(10_000);
    expect(() => readTxnBody(OpCode.multi, new JuteReader(writer.take()))).toThrow(MarshallingError);
  });
});
