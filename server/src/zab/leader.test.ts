import { describe, expect, it } from 'vitest';
import { toServerId, toZxid } from 'zookeeper-protocol-ts';
import { Ensemble } from '../ensemble.ts';
import { InvariantError } from '../invariant.ts';
import { Leader } from './leader.ts';
import type { Proposal } from './proposal.ts';

const self = toServerId(1);
const alone = new Ensemble([self]);
const proposal = (zxid: bigint): Proposal => ({ zxid: toZxid(zxid), bytes: Buffer.from([Number(zxid)]) });

const leaderAt = (lastZxid: bigint, ensemble = alone) => new Leader({ self, ensemble, lastZxid: toZxid(lastZxid) });

describe('a leader', () => {
  it('appends a proposal at once, and delivers it only when its own log is synced', () => {
    const leader = leaderAt(4n);
    expect(leader.nextZxid).toBe(5n);
    expect(leader.propose(proposal(5n))).toEqual([{ kind: 'append', proposal: proposal(5n) }]);
    expect(leader.outstanding).toBe(1);
    expect(leader.onSynced(toZxid(5n))).toEqual([{ kind: 'deliver', proposal: proposal(5n) }]);
    expect(leader.outstanding).toBe(0);
  });

  it('delivers all that one sync covers, in order, and nothing behind it', () => {
    const leader = leaderAt(0n);
    for (const zxid of [1n, 2n, 3n]) leader.propose(proposal(zxid));
    expect(leader.onSynced(toZxid(2n)).map((output) => output.kind === 'deliver' && output.proposal.zxid)).toEqual([
      1n,
      2n,
    ]);
    expect(leader.onSynced(toZxid(2n))).toEqual([]);
    expect(leader.onSynced(toZxid(3n))).toHaveLength(1);
  });

  it('does not commit by itself where it is not a quorum', () => {
    const leader = leaderAt(0n, new Ensemble([1, 2, 3].map(toServerId)));
    leader.propose(proposal(1n));
    expect(leader.onSynced(toZxid(1n))).toEqual([]);
    expect(leader.outstanding).toBe(1);
  });

  it('completes a sync at once when nothing is under way, else behind what was proposed before it', () => {
    const leader = leaderAt(0n);
    expect(leader.sync(1)).toEqual([{ kind: 'syncCompleted', id: 1 }]);
    leader.propose(proposal(1n));
    expect(leader.sync(2)).toEqual([]);
    leader.propose(proposal(2n));
    expect(leader.sync(3)).toEqual([]);
    expect(leader.onSynced(toZxid(2n))).toEqual([
      { kind: 'deliver', proposal: proposal(1n) },
      { kind: 'syncCompleted', id: 2 },
      { kind: 'deliver', proposal: proposal(2n) },
      { kind: 'syncCompleted', id: 3 },
    ]);
  });

  it('stops at a proposal out of order, and at a sync beyond what was proposed', () => {
    expect(() => leaderAt(0n).propose(proposal(2n))).toThrow(InvariantError);
    expect(() => leaderAt(0n).onSynced(toZxid(1n))).toThrow(InvariantError);
  });
});

describe('a quorum', () => {
  it.each([
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
  ])('of %i voters is %i', (size, needed) => {
    const voters = Array.from({ length: size }, (_, i) => toServerId(i + 1));
    const ensemble = new Ensemble(voters);
    expect(ensemble.hasQuorum((voter) => voter <= needed)).toBe(true);
    expect(ensemble.hasQuorum((voter) => voter <= needed - 1)).toBe(false);
  });
});
