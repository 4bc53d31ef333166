/**
 * What the leader makes of requests, against a naive model that does each at once: the same transactions, in multis too, however
 * far applying them lags behind.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CreateMode,
  JuteReader,
  JuteWriter,
  type MultiOperation,
  OPEN_ACL,
  OpCode,
  operations,
  type Txn,
  type TxnBody,
  toSessionId,
  toXid,
} from 'zookeeper-protocol-ts';
import { Database } from '../../server/src/database.ts';
import { OutstandingChanges } from '../../server/src/request/outstanding-changes.ts';
import { prepare } from '../../server/src/request/prepare.ts';
import { Model, opened, type Request, request, sessions, shownByDatabase, shownByModel } from './tree-model.ts';

const rules = { extendedTypesEnabled: true, enforceQuota: true, reconfigEnabled: false };
const origin = { identities: [], isSuperuser: true };

/** The model gives znodes without an ACL the open one; a client has to send one. */
const withAcl = (one: Request): Request => {
  if (one.kind === 'multi') return { ...one, parts: one.parts.map(withAcl) };
  return 'acl' in one && one.acl === null ? { ...one, acl: OPEN_ACL } : one;
};

type Create = Extract<Request, { kind: 'create' }>;

/** As a part of a multi, and as what stands alone. */
function operationOf(one: Request): MultiOperation {
  switch (one.kind) {
    case 'create':
      return createOf(one);
    case 'delete':
      return { type: OpCode.delete, request: { path: one.path, version: -1 } };
    case 'setData':
      return { type: OpCode.setData, request: { path: one.path, data: one.data, version: -1 } };
    default:
      throw new Error(`${one.kind} can't be a part of a multi`);
  }
}

function createOf({ path, data, acl, mode }: Create): MultiOperation {
  const common = { path, data, acl };
  switch (mode) {
    case 'persistent':
      return { type: OpCode.create2, request: { ...common, flags: CreateMode.PERSISTENT } };
    case 'ephemeral':
      return { type: OpCode.create2, request: { ...common, flags: CreateMode.EPHEMERAL } };
    case 'container':
      return { type: OpCode.createContainer, request: { ...common, flags: CreateMode.CONTAINER } };
    case 'ttl':
      return { type: OpCode.createTTL, request: { ...common, flags: CreateMode.PERSISTENT_WITH_TTL, ttlMs: 5 } };
  }
}

/** The type and the body that a client would send. */
function encoded(one: Request): { type: number; body: JuteReader } {
  const writer = new JuteWriter();
  const type = encode(one, writer);
  return { type, body: new JuteReader(writer.take()) };
}

function encode(one: Request, writer: JuteWriter): number {
  switch (one.kind) {
    case 'openSession':
      writer.writeInt(4_000);
      return OpCode.createSession;
    case 'closeSession':
      return OpCode.closeSession;
    case 'setAcl':
      operations.setACL.request.write(writer, { path: one.path, acl: one.acl, version: -1 });
      return OpCode.setACL;
    case 'multi':
      operations.multi.request.write(writer, one.parts.map(operationOf));
      return OpCode.multi;
    default: {
      // A multi of one holds the same body, between two headers.
      const operation = operationOf(one);
      const whole = new JuteWriter();
      operations.multi.request.write(whole, [operation]);
      writer.writeRaw(whole.take().subarray(HEADER_BYTES, -HEADER_BYTES));
      return operation.type;
    }
  }
}

const HEADER_BYTES = 9;

/** Bytes as text, for two kinds of arrays may hold the same; and what a session closes in an order that doesn't matter. */
const comparable = (body: TxnBody): unknown => {
  if (body.type === OpCode.multi) return { ...body, txns: body.txns.map(asPart).map(comparable) };
  if (body.type === OpCode.closeSession) return { ...body, paths: [...(body.paths ?? [])].sort() };
  return 'data' in body ? { ...body, data: body.data && Buffer.from(body.data).toString('hex') } : body;
};

/** In a multi a create2 becomes a create: see prepare.ts. */
const asPart = (body: TxnBody): TxnBody => (body.type === OpCode.create2 ? { ...body, type: OpCode.create } : body);

const inSession = (one: Request) => ('session' in one ? one.session : toSessionId(99n));

/** How many transactions have been proposed and are not applied yet, at the most, after a request. */
const lag = fc.constantFrom(0, 1, 2, 5, 30);

const [MULTI_SESSION = toSessionId(0n)] = sessions;

/** Few paths, so that many parts find what they need. */
const path = fc.constantFrom('/a', '/b', '/a/b');
const part: fc.Arbitrary<Request> = fc.oneof(
  fc.record({
    kind: fc.constant('create' as const),
    path,
    data: fc.constant(null),
    acl: fc.constant(OPEN_ACL),
    mode: fc.constantFrom('persistent', 'persistent', 'ephemeral', 'ttl'),
    session: fc.constant(MULTI_SESSION),
  }),
  fc.record({ kind: fc.constant('delete' as const), path }),
  fc.record({ kind: fc.constant('setData' as const), path, data: fc.option(fc.uint8Array({ maxLength: 3 })) }),
);
const multi = fc.record({
  kind: fc.constant('multi' as const),
  parts: fc.array(part, { minLength: 2, maxLength: 4 }),
  session: fc.constant(MULTI_SESSION),
});
const asked: fc.Arbitrary<Request> = fc.oneof(request, multi);

describe('what the leader makes of requests', () => {
  it('is what a naive model makes of them, however far applying them lags behind', () => {
    let failed = 0;
    let succeeded = 0;
    fc.assert(
      fc.property(fc.array(fc.record({ one: asked, lag }), { minLength: 10, maxLength: 60 }), (requests) => {
        const model = new Model();
        const database = new Database();
        const changes = new OutstandingChanges(database.tree);
        const waiting: Txn[] = [];
        const applyAllBut = (count: number) => {
          while (waiting.length > count) {
            const [txn] = waiting.splice(0, 1);
            if (txn === undefined) return;
            database.apply(txn);
            changes.applied(txn.header.zxid);
          }
        };
        for (const { one, lag } of [...opened.map((open) => ({ one: open, lag: 0 })), ...requests]) {
          const sent = withAcl(one);
          const sessionId = inSession(sent);
          const isOpening = sent.kind === 'openSession';
          // The model lets sessions that are over write what isn't ephemeral.
          if ('session' in sent && model.sessions.has(sessionId) === isOpening) continue;
          const { txn } = model.execute(sent);
          const { zxid } = txn.header;
          const client = {
            origin: isOpening ? undefined : origin,
            sessionId,
            xid: toXid(1),
            ...encoded(sent),
            arrivedAt: 0,
          };
          const body = prepare(client, { zxid, changes, quotas: database.quotas, rules, isOpen: () => true });
          expect(comparable(body)).toEqual(comparable(txn.body));
          if (body.type === OpCode.multi && body.txns.length > 1) {
            if (body.txns.some((part) => part.type === OpCode.error)) failed++;
            else succeeded++;
          }
          waiting.push({ ...txn, body });
          applyAllBut(lag);
        }
        applyAllBut(0);
        expect(shownByDatabase(database)).toEqual(shownByModel(model));
        database.tree.assertConsistent();
      }),
      { numRuns: 200 },
    );
    // The property says nothing unless both kinds occur.
    expect(Math.min(failed, succeeded)).toBeGreaterThan(20);
  });
});
