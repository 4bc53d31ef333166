import { describe, expect, it } from 'vitest';
import { toServerId, toZxid } from 'zookeeper-protocol-ts';
import { Ensemble, type Member } from '../ensemble.ts';
import { InvariantError } from '../invariant.ts';
import { Broadcast } from './broadcast.ts';
import { History } from './history.ts';
import type { Proposal } from './proposal.ts';

const proposal = (zxid: bigint): Proposal => ({ zxid: toZxid(zxid), bytes: Buffer.from([Number(zxid)]) });

const ensembleOf = (voters: number): Ensemble => {
  const address = { host: 'localhost', port: 1 };
  const members = Array.from({ length: voters }, (_, i): Member => {
    return { id: toServerId(i + 1), type: 'participant', quorumAddress: address, electionAddress: address };
  });
  return new Ensemble({ members });
};

const broadcastAt = (last: bigint, voters = 1) => {
  const lastZxid = toZxid(last);
  return new Broadcast({
    ensemble: ensembleOf(voters),
    history: new History(lastZxid, { recentMax: 0 }),
    lastZxid,
  });
};

const ack = (broadcast: Broadcast, zxid: bigint, voter = 1) => broadcast.onAck(toServerId(voter), toZxid(zxid));

const delivered = (outputs: ReturnType<Broadcast['onAck']>): bigint[] =>
  outputs.flatMap((output) => (output.kind === 'deliver' ? [output.proposal.zxid] : []));

describe('broadcast', () => {
  it('delivers a proposal when the only voter has it durably, and not before', () => {
    const broadcast = broadcastAt(4n);
    expect(broadcast.nextZxid).toBe(5n);
    broadcast.propose(proposal(5n));
    expect(ack(broadcast, 5n)).toEqual([{ kind: 'deliver', proposal: proposal(5n) }]);
  });

  it('delivers all that one sync covers, in order, and nothing behind it', () => {
    const broadcast = broadcastAt(0n);
    for (const zxid of [1n, 2n, 3n]) broadcast.propose(proposal(zxid));
    expect(delivered(ack(broadcast, 2n))).toEqual([1n, 2n]);
    expect(ack(broadcast, 2n)).toEqual([]);
    expect(delivered(ack(broadcast, 3n))).toEqual([3n]);
  });

  it('commits when a majority has it, whoever they are, and once', () => {
    const broadcast = broadcastAt(0n, 3);
    broadcast.propose(proposal(1n));
    expect(ack(broadcast, 1n, 2)).toEqual([]);
    expect(delivered(ack(broadcast, 1n, 3))).toEqual([1n]);
    expect(ack(broadcast, 1n, 1)).toEqual([]);
  });

  it('counts an acknowledgement for all before it', () => {
    const broadcast = broadcastAt(0n, 3);
    for (const zxid of [1n, 2n, 3n]) broadcast.propose(proposal(zxid));
    ack(broadcast, 3n, 2);
    expect(delivered(ack(broadcast, 2n, 1))).toEqual([1n, 2n]);
    expect(delivered(ack(broadcast, 3n, 1))).toEqual([3n]);
  });

  it('does not count a voter that has gone until it has acknowledged again', () => {
    const broadcast = broadcastAt(0n, 3);
    broadcast.propose(proposal(1n));
    ack(broadcast, 1n, 2);
    broadcast.forget(toServerId(2));
    expect(ack(broadcast, 1n, 1)).toEqual([]);
    expect(delivered(ack(broadcast, 1n, 2))).toEqual([1n]);
  });

  it('takes no notice of acknowledgements of what was never proposed', () => {
    const broadcast = broadcastAt(0n, 3);
    broadcast.propose(proposal(1n));
    expect(ack(broadcast, 9n, 2)).toEqual([]);
    expect(ack(broadcast, 1n, 1)).toEqual([]);
  });

  it('does not count those who do not vote', () => {
    const broadcast = broadcastAt(0n, 3);
    broadcast.propose(proposal(1n));
    ack(broadcast, 1n, 1);
    expect(ack(broadcast, 1n, 4)).toEqual([]);
  });

  it('completes a sync behind what was proposed before it, and at once when there is nothing', () => {
    const broadcast = broadcastAt(0n);
    expect(broadcast.sync(1)).toEqual([{ kind: 'syncCompleted', id: 1 }]);
    broadcast.propose(proposal(1n));
    expect(broadcast.sync(2)).toEqual([]);
    broadcast.propose(proposal(2n));
    expect(ack(broadcast, 1n).map(({ kind }) => kind)).toEqual(['deliver', 'syncCompleted']);
  });

  it('stops at a proposal that does not have the next zxid', () => {
    const broadcast = broadcastAt(0n);
    expect(() => broadcast.propose(proposal(2n))).toThrow(InvariantError);
  });
});
