/**
 * Every codec of the client protocol and of transactions, under the same three demands: what is written is read back; what
 * ends too early is refused; what was damaged is read or refused, with a MarshallingError and nothing else.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Codec } from './codec.ts';
import { toSessionId, toXid, toZxid } from './ids.ts';
import { JuteReader } from './jute/reader.ts';
import { JuteWriter } from './jute/writer.ts';
import { MarshallingError } from './marshalling-error.ts';
import { OpCode } from './op-code.ts';
import type { MultiOperation, MultiResult } from './operations/multi.ts';
import { connectRequest, connectResponse } from './operations/session.ts';
import { operations } from './operations.ts';
import { acl, identity } from './records/acl.ts';
import { replyHeader, requestHeader, watcherEvent } from './records/headers.ts';
import { STAT_BYTES, stat } from './records/stat.ts';
import { type Txn, type TxnBody, txn, txnDigest, txnHeader } from './records/txns.ts';

const int = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
/** Longs that we keep as numbers: times and durations. */
const millis = fc.maxSafeInteger();
const text = fc.string({ unit: 'binary', maxLength: 12 });
const texts = fc.array(text, { maxLength: 4 });
const bytes = fc.uint8Array({ maxLength: 24 }).map((array) => Buffer.from(array));
const orNull = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(values, { nil: null });

const zxids = long.map(toZxid);
const sessionIds = long.map(toSessionId);
const ids = fc.record({ scheme: orNull(text), id: orNull(text) });
const acls = fc.record({ perms: int, id: ids });
const aclLists = orNull(fc.array(acls, { maxLength: 3 }));
const stats = fc.record({
  czxid: zxids,
  mzxid: zxids,
  ctime: millis,
  mtime: millis,
  version: int,
  cversion: int,
  aversion: int,
  ephemeralOwner: sessionIds,
  dataLength: int,
  numChildren: int,
  pzxid: zxids,
});

const path = fc.record({ path: text });
const watchable = fc.record({ path: text, watch: fc.boolean() });
const versioned = fc.record({ path: text, version: int });
const typed = fc.record({ path: text, type: int });
const statReply = fc.record({ stat: stats });
const dataReply = fc.record({ data: orNull(bytes), stat: stats });
const createReply = fc.record({ path: text, stat: stats });
const creates = fc.record({ path: text, data: orNull(bytes), acl: aclLists, flags: int });
const createsTtl = fc.record({ path: text, data: orNull(bytes), acl: aclLists, flags: int, ttlMs: millis });
const setsData = fc.record({ path: text, data: orNull(bytes), version: int });
const tokens = fc.record({ token: orNull(bytes) });
const children = fc.record({ children: texts });
const empty = fc.constant(undefined);
const watches = {
  relativeZxid: zxids,
  dataWatches: texts,
  existWatches: texts,
  childWatches: texts,
};

const multiOperations: fc.Arbitrary<readonly MultiOperation[]> = fc.array(
  fc.oneof(
    fc.record({
      type: fc.constantFrom(OpCode.create, OpCode.create2, OpCode.createContainer),
      request: creates,
    }),
    fc.record({ type: fc.constant(OpCode.createTTL), request: createsTtl }),
    fc.record({ type: fc.constant(OpCode.delete), request: versioned }),
    fc.record({ type: fc.constant(OpCode.setData), request: setsData }),
    fc.record({ type: fc.constant(OpCode.check), request: versioned }),
    fc.record({ type: fc.constant(OpCode.getData), request: watchable }),
    fc.record({ type: fc.constant(OpCode.getChildren), request: watchable }),
  ),
  { maxLength: 4 },
);

const multiResults: fc.Arbitrary<readonly MultiResult[]> = fc.array(
  fc.oneof(
    fc.record({ type: fc.constant(OpCode.create), path: text }),
    fc.record({ type: fc.constant(OpCode.create2), path: text, stat: stats }),
    fc.record({ type: fc.constantFrom(OpCode.delete, OpCode.check) }),
    fc.record({ type: fc.constant(OpCode.setData), stat: stats }),
    fc.record({ type: fc.constant(OpCode.getData), data: orNull(bytes), stat: stats }),
    fc.record({ type: fc.constant(OpCode.getChildren), children: texts }),
    fc.record({ type: fc.constant(OpCode.error), err: int }),
  ),
  { maxLength: 4 },
);

/** Paths of ephemerals: never empty. */
const ephemerals = fc.array(
  text.map((name) => `/${name}`),
  { maxLength: 3 },
);
const createdZnode = { path: text, data: orNull(bytes), acl: aclLists, parentCversion: int };
const simpleTxnBodies: fc.Arbitrary<TxnBody> = fc.oneof(
  fc.record({ type: fc.constantFrom(OpCode.create, OpCode.create2), ...createdZnode, ephemeral: fc.boolean() }),
  fc.record({ type: fc.constant(OpCode.createContainer), ...createdZnode }),
  fc.record({ type: fc.constant(OpCode.createTTL), ...createdZnode, ttlMs: millis }),
  fc.record({ type: fc.constantFrom(OpCode.delete, OpCode.deleteContainer), path: text }),
  fc.record({
    type: fc.constantFrom(OpCode.setData, OpCode.reconfig),
    path: text,
    data: orNull(bytes),
    version: int,
  }),
  fc.record({ type: fc.constant(OpCode.setACL), path: text, acl: aclLists, version: int }),
  fc.record({ type: fc.constant(OpCode.check), path: text, version: int }),
  fc.record({ type: fc.constant(OpCode.createSession), timeoutMs: int }),
  fc.record({ type: fc.constant(OpCode.closeSession), paths: fc.option(ephemerals, { nil: undefined }) }),
  fc.record({ type: fc.constant(OpCode.error), err: int }),
);
const txnBodies: fc.Arbitrary<TxnBody> = fc.oneof(
  { weight: 4, arbitrary: simpleTxnBodies },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant(OpCode.multi), txns: fc.array(simpleTxnBodies, { maxLength: 4 }) }),
  },
);
const digests = fc.record({ version: fc.constant(2), treeDigest: long });
const txns: fc.Arbitrary<Txn> = fc
  .tuple(sessionIds, int.map(toXid), zxids, millis, txnBodies, fc.option(digests, { nil: undefined }))
  .map(([sessionId, cxid, zxid, time, body, digest]) => ({
    header: { sessionId, cxid, zxid, time, type: body.type },
    body,
    digest,
  }));

/** A codec with values for it. */
interface Case {
  readonly name: string;
  readonly codec: Codec<unknown>;
  readonly values: fc.Arbitrary<unknown>;
  /** How many bytes may be missing at the end of a value's encoding: the optional tails of old versions. */
  readonly mayLack: (value: unknown) => number[];
}

const on = <T>(
  name: string,
  codec: Codec<T>,
  values: fc.Arbitrary<T>,
  mayLack: (value: T) => number[] = () => [],
): Case => ({
  name,
  // A codec is only ever given values of its own arbitrary, which have its type.
  codec: codec as Codec<unknown>,
  values,
  mayLack: mayLack as (value: unknown) => number[],
});

type RequestOf<O> = O extends { request: Codec<infer Request> } ? Request : never;
type ResponseOf<O> = O extends { response: Codec<infer Response> } ? Response : never;
type Operations = typeof operations;

/** Values for the request and the reply of every operation: the compiler sees to it that none is missing. */
const bodies: {
  [Name in keyof Operations]: [fc.Arbitrary<RequestOf<Operations[Name]>>, fc.Arbitrary<ResponseOf<Operations[Name]>>];
} = {
  create: [creates, path],
  create2: [creates, createReply],
  createContainer: [creates, createReply],
  createTTL: [createsTtl, createReply],
  delete: [versioned, empty],
  exists: [watchable, statReply],
  getData: [watchable, dataReply],
  setData: [setsData, statReply],
  getACL: [path, fc.record({ acl: aclLists, stat: stats })],
  setACL: [fc.record({ path: text, acl: aclLists, version: int }), statReply],
  getChildren: [watchable, children],
  getChildren2: [watchable, fc.record({ children: texts, stat: stats })],
  sync: [path, path],
  ping: [empty, empty],
  check: [versioned, empty],
  multi: [multiOperations, multiResults],
  multiRead: [multiOperations, multiResults],
  reconfig: [
    fc.record({ joiningServers: orNull(text), leavingServers: orNull(text), newMembers: orNull(text), configId: long }),
    dataReply,
  ],
  checkWatches: [typed, empty],
  removeWatches: [typed, empty],
  auth: [fc.record({ type: int, scheme: text, auth: orNull(bytes) }), empty],
  setWatches: [fc.record(watches), empty],
  setWatches2: [fc.record({ ...watches, persistentWatches: texts, persistentRecursiveWatches: texts }), empty],
  sasl: [tokens, tokens],
  getEphemerals: [fc.record({ prefixPath: orNull(text) }), fc.record({ ephemerals: texts })],
  getAllChildrenNumber: [path, fc.record({ totalNumber: int })],
  addWatch: [fc.record({ path: text, mode: int }), fc.record({ err: int })],
  whoAmI: [empty, fc.record({ clientInfo: fc.array(fc.record({ authScheme: text, user: text }), { maxLength: 3 }) })],
  closeSession: [empty, empty],
};

const cases: Case[] = [
  ...Object.entries(bodies).flatMap(([name, [requests, responses]]) => {
    const operation = operations[name as keyof Operations];
    return [
      on(`request of ${name}`, operation.request as Codec<unknown>, requests as fc.Arbitrary<unknown>),
      on(`reply of ${name}`, operation.response as Codec<unknown>, responses as fc.Arbitrary<unknown>),
    ];
  }),
  on(
    'connect request',
    connectRequest,
    fc.record({
      protocolVersion: int,
      lastZxidSeen: zxids,
      timeoutMs: int,
      sessionId: sessionIds,
      password: orNull(bytes),
      readOnly: fc.option(fc.boolean(), { nil: undefined }),
    }),
    ({ readOnly }) => (readOnly === undefined ? [] : [1]),
  ),
  on(
    'connect response',
    connectResponse,
    fc.record({
      protocolVersion: int,
      timeoutMs: int,
      sessionId: sessionIds,
      password: bytes,
      readOnly: fc.option(fc.boolean(), { nil: undefined }),
    }),
    ({ readOnly }) => (readOnly === undefined ? [] : [1]),
  ),
  on('request header', requestHeader, fc.record({ xid: int.map(toXid), type: int })),
  on('reply header', replyHeader, fc.record({ xid: int.map(toXid), zxid: zxids, err: int })),
  on('watcher event', watcherEvent, fc.record({ type: int, state: int, path: text })),
  on('stat', stat, stats),
  on('identity', identity, ids),
  on('acl', acl, acls),
  on(
    'txn header',
    txnHeader,
    fc.record({ sessionId: sessionIds, cxid: int.map(toXid), zxid: zxids, time: millis, type: int }),
  ),
  on('txn digest', txnDigest, fc.record({ version: int, treeDigest: long })),
  on('txn', txn, txns, missingOfTxn),
];

/** A txn may lack its digest, and then what its body got in later versions. */
function missingOfTxn({ body, digest }: Txn): number[] {
  const digestBytes = digest === undefined ? 0 : 12;
  const missing = [digestBytes];
  if (body.type === OpCode.create || body.type === OpCode.create2) missing.push(digestBytes + 4);
  if (body.type === OpCode.closeSession && body.paths !== undefined) {
    const listBytes = 4 + body.paths.reduce((sum, one) => sum + 4 + Buffer.byteLength(one), 0);
    missing.push(digestBytes + listBytes);
    // Two paths of which eight bytes are left look like a digest.
    if (body.paths.length === 2) missing.push(digestBytes + listBytes - 12);
  }
  return missing;
}

const encode = ({ codec }: Case, value: unknown): Buffer => {
  const writer = new JuteWriter(16);
  codec.write(writer, value);
  return writer.take();
};

/** What a codec makes of bytes: a value, or the reason why it refuses them. Any other error is the test's to report. */
const decode = ({ codec }: Case, input: Uint8Array): { value: unknown } | { refused: MarshallingError } => {
  try {
    return { value: codec.read(new JuteReader(input)) };
  } catch (error) {
    if (error instanceof MarshallingError) return { refused: error };
    throw error;
  }
};

/** Bytes to put over an encoding, and where: any, and those that make the worst lengths and counts. */
const damage = fc.array(
  fc.tuple(
    fc.nat(),
    fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 4 }),
      fc.constantFrom(
        ...['7fffffff', '80000000', 'ffffffff', 'fffffffe', '00ffffff', '00000000'].map((hex) =>
          Buffer.from(hex, 'hex'),
        ),
      ),
    ),
  ),
  { minLength: 1, maxLength: 4 },
);

/** The encoding with the changes put over it; its length stays the same. */
function damaged(encoding: Buffer, changes: [number, Uint8Array][]): Buffer {
  const copy = Buffer.from(encoding);
  if (copy.length === 0) return copy;
  for (const [place, change] of changes) {
    const at = place % copy.length;
    copy.set(change.subarray(0, copy.length - at), at);
  }
  return copy;
}

describe.each(cases)('$name', (one) => {
  it('is read back as it was written, to the last byte', () => {
    fc.assert(
      fc.property(one.values, (value) => {
        const reader = new JuteReader(encode(one, value));
        expect(one.codec.read(reader)).toEqual(value);
        expect(reader.remaining).toBe(0);
      }),
    );
  });

  it('is refused when it ends too early, except before an optional tail', () => {
    fc.assert(
      fc.property(one.values, (value) => {
        const encoding = encode(one, value);
        const mayLack = one.mayLack(value);
        for (let length = 0; length < encoding.length; length++) {
          const accepted = 'value' in decode(one, encoding.subarray(0, length));
          expect({ length, accepted }).toEqual({ length, accepted: mayLack.includes(encoding.length - length) });
        }
      }),
      { numRuns: 40 },
    );
  });

  it('is read or refused when bytes of it were changed', () => {
    fc.assert(
      fc.property(one.values, damage, (value, changes) => {
        const result = decode(one, damaged(encode(one, value), changes));
        if ('refused' in result) expect(result.refused.message).not.toBe('');
      }),
      { numRuns: 300 },
    );
  });
});

it('a stat is 68 bytes', () => {
  fc.assert(
    fc.property(stats, (value) => {
      const writer = new JuteWriter();
      stat.write(writer, value);
      expect(writer.length).toBe(STAT_BYTES);
    }),
  );
});

it('any bytes are read or refused by every codec', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (input) => {
      for (const one of cases) decode(one, input);
    }),
  );
});
