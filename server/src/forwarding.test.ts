import { describe, expect, it } from 'vitest';
import {
  ErrorCode,
  JuteReader,
  JuteWriter,
  OpCode,
  type TxnBody,
  toSessionId,
  toXid,
  toZxid,
  txn,
} from 'zookeeper-protocol-ts';
import { Forwarding } from './forwarding.ts';
import type { Request } from './request/request.ts';
import type { QuorumMessage } from './zab/messages.ts';
import type { Proposal } from './zab/proposal.ts';

const SESSION = toSessionId(7n);

const requestOf = (xid: number): Request => ({
  ...{ origin: undefined, sessionId: SESSION, xid: toXid(xid), type: OpCode.delete, arrivedAt: 0 },
  body: new JuteReader(Buffer.from([xid])),
});

const proposalOf = (xid: number, body: TxnBody): Proposal => {
  const zxid = toZxid(BigInt(xid + 1));
  const writer = new JuteWriter();
  txn.write(writer, {
    header: { sessionId: SESSION, cxid: toXid(xid), zxid, time: 0, type: body.type },
    body,
    digest: undefined,
  });
  return { zxid, bytes: writer.take() };
};

const forwardingTo = (sent: QuorumMessage[]) =>
  new Forwarding<Request>({
    toLeader: (message) => {
      sent.push(message);
    },
  });

describe('forwarding', () => {
  it('finds the request that a transaction was asked for by', () => {
    const sent: QuorumMessage[] = [];
    const forwarding = forwardingTo(sent);
    const [first, second] = [requestOf(1), requestOf(2)];
    forwarding.submit(first);
    forwarding.submit(second);
    expect(sent.map(({ kind }) => kind)).toEqual(['request', 'request']);
    const refusal: TxnBody = { type: OpCode.error, err: ErrorCode.NO_NODE };
    expect(forwarding.onDeliver(proposalOf(1, refusal)).request).toBe(first);
    expect(forwarding.onDeliver(proposalOf(2, refusal)).request).toBe(second);
  });

  it('takes what the session asked for elsewhere for nobody here', () => {
    const forwarding = forwardingTo([]);
    forwarding.submit(requestOf(2));
    const elsewhere = proposalOf(1, { type: OpCode.delete, path: '/a' });
    expect(forwarding.onDeliver(elsewhere).request).toBeUndefined();
  });

  it('goes on in order when the session ends before what it had asked for comes back refused', () => {
    const forwarding = forwardingTo([]);
    const late = requestOf(1);
    forwarding.submit(late);
    // The leader has expired the session: nobody's request.
    const end = forwarding.onDeliver(proposalOf(0, { type: OpCode.closeSession, paths: [] }));
    expect(end.request).toBeUndefined();
    const refusal = proposalOf(1, { type: OpCode.error, err: ErrorCode.SESSION_EXPIRED });
    expect(forwarding.onDeliver(refusal).request).toBe(late);
  });
});
