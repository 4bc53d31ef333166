import { describe, expect, it } from 'vitest';
import { JuteWriter, makeZxid, OpCode, toEpoch, toSessionId, toXid, txn, type Zxid } from 'zookeeper-protocol-ts';
import type { Role } from '../../../server/src/quorum-peer.ts';
import type { Proposal } from '../../../server/src/zab/proposal.ts';
import type { ObservedServer } from '../ensemble.ts';
import { HistoryChecker } from './history.ts';

const zxid = (epoch: number, counter: number): Zxid => makeZxid(toEpoch(epoch), counter);

/** The `n`th of several transactions that could have this zxid. */
function proposal(epoch: number, counter: number, n = 0): Proposal {
  const writer = new JuteWriter();
  const at = zxid(epoch, counter);
  const body = { type: OpCode.createSession, timeoutMs: 1000 + n } as const;
  const header = { sessionId: toSessionId(7n), cxid: toXid(0), zxid: at, time: 0, type: body.type };
  txn.write(writer, { header, body, digest: undefined });
  return { zxid: at, bytes: writer.take() };
}

/** Servers as the checker sees them, whose trees are as old as their zxids unless they are said to be otherwise. */
function ensemble() {
  const history = new HistoryChecker();
  const server = (name: string) => {
    const seen = { name, role: undefined as Role | undefined, epoch: 0, lastZxid: zxid(0, 0), digest: 0n };
    const observed = {
      ...{ name },
      get role() {
        return seen.role;
      },
      get epoch() {
        return seen.epoch;
      },
      database: {
        get lastZxid() {
          return seen.lastZxid;
        },
        tree: {
          get digest() {
            return seen.digest;
          },
        },
      },
    } as unknown as ObservedServer;
    return {
      seen,
      /** Begins to serve, with the history up to `last`. */
      serves(role: Role, epoch: number, last = seen.lastZxid, digest: bigint = last) {
        Object.assign(seen, { role, epoch, lastZxid: last, digest });
        history.onRecovered(observed);
        history.onRole(observed, role);
      },
      logs: (...proposals: Proposal[]) => {
        for (const each of proposals) history.onAppended(observed, each);
      },
      delivers: (...proposals: Proposal[]) => {
        for (const each of proposals) {
          const before = seen.lastZxid;
          Object.assign(seen, { lastZxid: each.zxid, digest: each.zxid });
          history.onDelivered(observed, each, before);
        }
      },
    };
  };
  return { history, server };
}

/** Server 1 leads in epoch 1 and has delivered two transactions; 2 follows it and has delivered the first. */
function reign() {
  const { history, server } = ensemble();
  const [s1, s2] = [server('s1'), server('s2')];
  s1.serves('leader', 1);
  s2.serves('follower', 1);
  const both = [proposal(1, 1), proposal(1, 2)];
  s1.logs(...both);
  s2.logs(...both);
  s1.delivers(...both);
  s2.delivers(proposal(1, 1));
  return { history, server, s1, s2 };
}

describe('the history', () => {
  it('is what leaders deliver, and what a leader has from before', () => {
    const { history, server, s1, s2 } = reign();
    s1.logs(proposal(1, 3), proposal(1, 4));
    s2.logs(proposal(1, 3));
    s2.serves('leader', 2, zxid(1, 3));
    expect(history.txns.map(({ header }) => header.zxid)).toEqual([zxid(1, 1), zxid(1, 2), zxid(1, 3)]);
    s2.logs(proposal(2, 1));
    s2.delivers(proposal(2, 1));
    expect(history.last).toBe(zxid(2, 1));
    // Epoch 2 had proposed more, and was seen last by one who had it in a snapshot.
    s2.logs(proposal(2, 2));
    server('s3').serves('leader', 4, zxid(2, 2));
    expect(history.last).toBe(zxid(2, 2));
  });

  it('A1: is delivered without a hole, in order, and to the byte', () => {
    const { server, s2 } = reign();
    const s3 = server('s3');
    s3.serves('follower', 1);
    expect(() => s3.delivers(proposal(1, 2))).toThrow('A1: s3 applies 0x100000002 to 0x0, not 0x100000001');
    expect(() => s2.delivers(proposal(1, 2, 1))).toThrow('A1: s2 applies 0x100000002, and it was proposed otherwise');
  });

  it('A2: makes the same tree everywhere, and every later leader has all of it', () => {
    const { server } = reign();
    expect(() => server('s3').serves('follower', 1, zxid(1, 2), 99n)).toThrow('A2: s3 has another tree than others');
    const { server: other } = reign();
    expect(() => other('s3').serves('leader', 2, zxid(1, 1))).toThrow('A2: s3 leads from 0x100000001, and 0x100000002');
  });

  it('A3: has only what leaders have proposed in their epochs, and delivered first', () => {
    const { s1, s2, server } = reign();
    expect(() => s2.logs(proposal(1, 3))).toThrow('A3: s2 logs 0x100000003, which nobody has proposed');
    expect(() => s1.logs(proposal(2, 1))).toThrow('A3: s1 logs 0x200000001, and leads in epoch 1');
    s1.logs(proposal(1, 3));
    expect(() => s1.logs(proposal(1, 3))).toThrow('A3: s1 logs 0x100000003, which was proposed before');
    expect(() => s2.logs(proposal(1, 3, 1))).toThrow('A3: s2 logs 0x100000003, and it was proposed otherwise');
    s2.delivers(proposal(1, 2));
    expect(() => s2.delivers(proposal(1, 3))).toThrow('A3: s2 delivers 0x100000003, which no leader has delivered');
    expect(() => server('s3').serves('follower', 1, zxid(1, 3))).toThrow('A3: s3 serves as follower with 0x100000003');
    expect(() => server('s4').serves('leader', 2, zxid(1, 7))).toThrow('nobody has proposed it');
  });

  it('A4: has no gap in an epoch', () => {
    const { s1 } = reign();
    s1.logs(proposal(1, 4));
    expect(() => s1.delivers(proposal(1, 4))).toThrow('A4: s1, 0x100000004 behind 0x100000002: a gap');
  });

  it('A5: does not go back to an earlier epoch', () => {
    const { s1, s2 } = reign();
    s1.logs(proposal(1, 3));
    s2.serves('leader', 2, zxid(1, 2));
    s2.logs(proposal(2, 1));
    s2.delivers(proposal(2, 1));
    expect(() => s1.delivers(proposal(1, 3))).toThrow('A5: s1, 0x100000003 behind 0x200000001');
  });

  it('A6: has one leader in an epoch; A7: the epochs of a server rise', () => {
    const { server, s2 } = reign();
    expect(() => server('s3').serves('leader', 1, zxid(1, 2))).toThrow('A6: s1 and s3 lead in epoch 1');
    s2.serves('leader', 3, zxid(1, 2));
    expect(() => s2.serves('follower', 2, zxid(1, 2))).toThrow('A7: s2 was in epoch 3, and is in 2');
  });

  it('A9: is what a server recovers', () => {
    const { server } = reign();
    expect(() => server('s3').serves('observer', 1, zxid(1, 1), 5n)).toThrow('A2: s3 has another tree than others');
  });
});
