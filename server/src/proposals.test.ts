import { describe, expect, it } from 'vitest';
import {
  ErrorCode,
  JuteReader,
  JuteWriter,
  OPEN_ACL,
  OpCode,
  type Operation,
  operations,
  type SessionId,
  type Txn,
  toXid,
  toZxid,
  txn,
} from 'zookeeper-protocol-ts';
import { SessionsStage } from './client-sessions.fixture.ts';
import { completeConfig } from './config.ts';
import { ForwardedOrigin } from './forwarded-origin.ts';
import { InvariantError } from './invariant.ts';
import { Proposals } from './proposals.ts';
import type { Input } from './quorum-peer.ts';
import type { Origin, Request } from './request/request.ts';
import type { LinkId } from './zab/contract.ts';
import type { Proposal } from './zab/proposal.ts';

const [B, C] = [2, 3] as unknown as [LinkId, LinkId]; // made here as the streams make them
const from = (link: LinkId): ForwardedOrigin => new ForwardedOrigin(link, [], { skipAcl: true });
const LOCAL: Origin = { identities: [], isSuperuser: true };

/** A leader whose last zxid is 1/0, and a session on it. */
function leading() {
  const stage = new SessionsStage();
  const { sessionId } = stage.join();
  const inputs: Input[] = [];
  let last = 0x1_0000_0000n;
  const proposals = new Proposals<Request>({
    config: completeConfig({ dataDir: '/data', clientPort: 2181 }),
    ...{ clock: stage.clock, runLog: stage.runLog, database: stage.database, sessions: stage.sessions },
    agreement: {
      get nextZxid() {
        return toZxid(last + 1n);
      },
      step: (input) => {
        inputs.push(input);
        if (input.kind === 'propose') last = input.proposal.zxid;
      },
    },
  });
  /** The proposals since the last time. */
  const take = (): Proposal[] =>
    inputs.splice(0).flatMap((input) => (input.kind === 'propose' ? [input.proposal] : []));
  return { stage, sessionId, proposals, inputs, take };
}

interface Asked {
  readonly sessionId: SessionId;
  readonly origin?: Origin | undefined;
  readonly xid?: number;
}

function requestOf<Body>(operation: Operation<Body, unknown>, body: Body, asked: Asked): Request {
  const writer = new JuteWriter();
  operation.request.write(writer, body);
  return {
    origin: 'origin' in asked ? asked.origin : LOCAL,
    ...{ sessionId: asked.sessionId, xid: toXid(asked.xid ?? 1), type: operation.opCode, arrivedAt: 0 },
    body: new JuteReader(writer.take()),
  };
}

const creating = (path: string, asked: Asked): Request =>
  requestOf(operations.create, { path, data: null, acl: OPEN_ACL, flags: 0 }, asked);

const closing = (sessionId: SessionId): Request => ({
  ...{ origin: undefined, sessionId, xid: toXid(0), type: OpCode.closeSession, arrivedAt: 0 },
  body: new JuteReader(new Uint8Array()),
});

const read = ({ bytes }: Proposal): Txn => txn.read(new JuteReader(bytes));

describe("a leader's write", () => {
  it('becomes the transaction with the next zxid, in the words that are logged and sent', () => {
    const { stage, sessionId, proposals, take } = leading();
    stage.clock.at = 5;
    proposals.submit(creating('/a', { sessionId, xid: 9 }));
    const [proposal] = take();
    expect(proposal?.zxid).toBe(0x1_0000_0001n);
    const { header, body } = read(proposal as Proposal);
    expect(header).toMatchObject({ sessionId, cxid: 9, zxid: proposal?.zxid, time: 1_700_000_000_005 });
    expect(body).toMatchObject({ type: OpCode.create, path: '/a' });
  });

  it('is found again when it is delivered, with who asked for it', () => {
    const { sessionId, proposals, take } = leading();
    const [first, second] = [creating('/a', { sessionId }), creating('/b', { sessionId })];
    proposals.submit(first);
    proposals.submit(second);
    const [a, b] = take() as [Proposal, Proposal];
    expect(proposals.onDeliver(a).request).toBe(first);
    expect(proposals.onDeliver(b)).toMatchObject({ txn: { body: { path: '/b' } }, request: second });
  });

  it('is delivered in its order, once, or the server stops', () => {
    const { sessionId, proposals, take } = leading();
    proposals.submit(creating('/a', { sessionId }));
    proposals.submit(creating('/b', { sessionId }));
    const [a, b] = take() as [Proposal, Proposal];
    expect(() => proposals.onDeliver(b)).toThrow(InvariantError);
    const again = leading();
    again.proposals.submit(creating('/a', again));
    again.proposals.onDeliver(a);
    expect(() => again.proposals.onDeliver(a)).toThrow(InvariantError);
  });

  it('is checked against the tree as it will be, until what was ahead of it is applied', () => {
    const { stage, sessionId, proposals, take } = leading();
    const next = (path: string): { body: Txn['body']; deliver: () => void } => {
      proposals.submit(creating(path, { sessionId }));
      const [proposal] = take() as [Proposal];
      return {
        body: read(proposal).body,
        deliver: () => {
          stage.database.apply(proposals.onDeliver(proposal).txn);
          proposals.onApplied(proposal);
        },
      };
    };
    const first = next('/a');
    const twice = next('/a');
    expect(twice.body).toMatchObject({ type: OpCode.error, err: ErrorCode.NODE_EXISTS });
    expect(next('/a/b').body).toMatchObject({ type: OpCode.create });
    first.deliver();
    twice.deliver();
    expect(next('/a').body).toMatchObject({ err: ErrorCode.NODE_EXISTS });
    expect(stage.database.tree.digest).not.toBe(0n);
  });

  it('that is refused takes a zxid all the same, and is logged', () => {
    const { sessionId, proposals, take } = leading();
    proposals.submit(creating('/no/parent', { sessionId }));
    proposals.submit(creating('/a', { sessionId }));
    const [refused, next] = take() as [Proposal, Proposal];
    expect(read(refused).body).toEqual({ type: OpCode.error, err: ErrorCode.NO_NODE });
    expect(next.zxid).toBe(refused.zxid + 1n);
  });

  it('of a session that is about to end is refused from the moment in which its end is proposed', () => {
    const { stage, sessionId, proposals, take } = leading();
    proposals.submit(creating('/before', { sessionId }));
    proposals.submit(closing(sessionId));
    proposals.submit(creating('/behind', { sessionId }));
    const [before, end, behind] = take().map(read) as [Txn, Txn, Txn];
    expect(before.body.type).toBe(OpCode.create);
    expect(end.body.type).toBe(OpCode.closeSession);
    expect(behind.body).toEqual({ type: OpCode.error, err: ErrorCode.SESSION_EXPIRED });
    expect(stage.sessions.isOpen(sessionId)).toBe(false);
  });
});

describe('a write through a learner', () => {
  it('counts as long as the client is on that learner', () => {
    const { stage, sessionId, proposals, take } = leading();
    stage.sessions.setHome(sessionId, B);
    proposals.submit(creating('/a', { sessionId, origin: from(B) }));
    stage.sessions.setHome(sessionId, C);
    proposals.submit(creating('/late', { sessionId, origin: from(B) }));
    proposals.submit(creating('/b', { sessionId, origin: from(C) }));
    const [a, late, b] = take().map((proposal) => read(proposal).body);
    expect(a).toMatchObject({ path: '/a' });
    expect(late).toEqual({ type: OpCode.error, err: ErrorCode.SESSION_MOVED });
    expect(b).toMatchObject({ path: '/b' });
  });

  it('has moved as well when the client has come to the leader itself, or has left it', () => {
    const { stage, sessionId, proposals, take } = leading();
    proposals.submit(creating('/a', { sessionId, origin: from(B) }));
    stage.sessions.setHome(sessionId, B);
    proposals.submit(creating('/b', { sessionId }));
    for (const proposal of take()) expect(read(proposal).body).toMatchObject({ err: ErrorCode.SESSION_MOVED });
  });

  it('leaves nothing behind when it has moved: the next one finds the tree without it', () => {
    const { stage, sessionId, proposals, take } = leading();
    stage.sessions.setHome(sessionId, C);
    proposals.submit(creating('/a', { sessionId, origin: from(B) }));
    proposals.submit(creating('/a', { sessionId, origin: from(C) }));
    expect(read(take()[1] as Proposal).body).toMatchObject({ type: OpCode.create, path: '/a' });
  });
});

it("what a server asks of itself is nobody's, wherever the session is at home", () => {
  const { stage, sessionId, proposals, take } = leading();
  stage.sessions.setHome(sessionId, B);
  const end = closing(sessionId);
  proposals.submit(end);
  const [proposal] = take() as [Proposal];
  expect(read(proposal).body.type).toBe(OpCode.closeSession);
  expect(proposals.onDeliver(proposal).request).toBe(end);
  expect(stage.sessions.hasMoved(sessionId, B)).toBe(false);
});

it('a sync is answered to whom it was asked by, in whatever order, once', () => {
  const { sessionId, proposals, inputs } = leading();
  const [first, second] = [creating('/a', { sessionId }), creating('/b', { sessionId })];
  proposals.sync(first);
  proposals.sync(second);
  const [a, b] = inputs.map((input) => (input.kind === 'sync' ? input.id : -1)) as [number, number];
  expect(proposals.onSyncCompleted(b)).toBe(second);
  expect(proposals.onSyncCompleted(a)).toBe(first);
  expect(() => proposals.onSyncCompleted(a)).toThrow(InvariantError);
});
