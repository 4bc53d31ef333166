/** Agreement on a machine, where one end is slower than the other: who waits for whom, and what waits in memory. */
import { describe, expect, it } from 'vitest';
import { JuteWriter, QuorumPacketType, toEpoch, toZxid } from 'zookeeper-protocol-ts';
import { accepted, following, infoOf, leading, ONE, proposalAt, typesIn, wire } from './agreement.fixture.ts';
import { recordOf } from './storage/txn-log.fixture.ts';

const { LEADERINFO, SNAP, PROPOSAL, COMMIT, NEWLEADER } = QuorumPacketType;

const MIB = 1024 * 1024;
/** More than may wait for the disk, 64 MiB, in proposals of a megabyte. */
const MANY = 66;

const largeAt = (counter: number) => {
  const { zxid } = proposalAt(counter);
  return wire({ kind: 'proposal', proposal: { zxid, bytes: recordOf(zxid, 1_030_000) } });
};

describe('a follower whose disk is slower than its leader', () => {
  it('reads nothing more while 64 MiB wait for the log, and goes on when they are written', () => {
    const { stage, leader } = following();
    for (let counter = 1; counter <= MANY; counter++) leader.receive(largeAt(counter));
    expect(stage.history.log.queuedBytes).toBeGreaterThan(64 * MIB);
    stage.agreement.flush();
    expect(leader.isPaused).toBe(true);
    // What was under way is not read either.
    leader.receive(wire({ kind: 'commit', zxid: proposalAt(1).zxid }));
    expect(stage.events).not.toContain('deliver 1');
    stage.flush();
    expect(leader.isPaused).toBe(false);
    expect(stage.events).toContain('deliver 1');
  });

  it('reads nothing more while 4 MiB of a snapshot wait for the disk', () => {
    const { stage, leader } = accepted();
    const writer = new JuteWriter(6 * MIB);
    writer.writeInt(0);
    writer.writeInt(0);
    writer.writeString('/large');
    writer.writeBuffer(Buffer.alloc(5 * MIB));
    writer.writeRaw(Buffer.alloc(8 + 60));
    const contents = Buffer.from(writer.take());
    leader.receive(Buffer.concat([wire({ kind: 'snap', zxid: toZxid(9n) }), contents]));
    expect(leader.isPaused).toBe(true);
    stage.settle();
    expect(leader.isPaused).toBe(false);
  });
});

describe('a leader with a learner that is far behind', () => {
  it('sends it a snapshot slice by slice, and what was delivered meanwhile behind it', () => {
    const { stage, follower } = leading();
    const propose = (counter: number): void => {
      stage.agreement.step({ kind: 'propose', proposal: proposalAt(counter) });
      stage.flush();
      follower.receive(wire({ kind: 'ack', zxid: proposalAt(counter).zxid }));
      stage.flush();
    };
    propose(1);
    const learner = stage.learner(infoOf(ONE));
    stage.flush();
    expect(typesIn(learner.take())).toEqual([LEADERINFO]);
    // Of an epoch that is over, and longer than anybody's.
    learner.receive(wire({ kind: 'ackEpoch', lastZxid: toZxid(1n), currentEpoch: toEpoch(0) }));
    learner.isStuck = true;
    learner.queuedBytes = MIB;
    stage.flush();
    propose(2);
    expect(typesIn(learner.take())).toEqual([SNAP]);
    learner.isStuck = false;
    learner.drain();
    stage.flush();
    const sent = learner.take().toString('latin1');
    const signature = 'BenWasHere';
    const behind = Buffer.from(sent.slice(sent.indexOf(signature) + signature.length), 'latin1');
    expect(typesIn(behind)).toEqual([PROPOSAL, COMMIT, NEWLEADER]);
    expect(stage.failures).toEqual([]);
  });

  it('lets go of what it would have sent when the learner goes', () => {
    const { stage } = leading();
    const learner = stage.learner(infoOf(ONE));
    stage.flush();
    learner.isStuck = true;
    learner.queuedBytes = MIB;
    learner.receive(wire({ kind: 'ackEpoch', lastZxid: toZxid(1n), currentEpoch: toEpoch(0) }));
    learner.finish();
    stage.flush();
    expect(stage.failures).toEqual([]);
    expect(stage.agreement.role).toBe('leader');
  });
});
