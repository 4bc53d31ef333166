/** Agreement on a machine: ports, streams, files; whatever comes over the wire or from the disk, and what the server hears of it. */
import { describe, expect, it } from 'vitest';
import { OpCode, QuorumPacketType, toEpoch, toSessionId, toXid, toZxid } from 'zookeeper-protocol-ts';
import {
  accepted,
  dialling,
  ELECTION_PORT,
  elected,
  following,
  framed,
  hearOfLeader,
  infoOf,
  leading,
  ONE,
  packets,
  proposalAt,
  QUORUM_PORT,
  SESSION,
  Stage,
  THREE,
  TICK_MS,
  TWO,
  typesIn,
  wire,
} from './agreement.fixture.ts';
import { PeerPortError } from './agreement.ts';
import { Ensemble } from './ensemble.ts';
import { InvariantError } from './invariant.ts';
import type { Input } from './quorum-peer.ts';

const { REQUEST, PROPOSAL, ACK, COMMIT, REVALIDATE, NEWLEADER, UPTODATE } = QuorumPacketType;
const { DIFF, LEADERINFO, ACKEPOCH, FOLLOWERINFO } = QuorumPacketType;

import { SYNCED_MARK_NAME } from './storage/synced-mark.ts';
import { recordOf } from './storage/txn-log.fixture.ts';

describe('the start of agreement', () => {
  const outcomeOf = (stage: Stage): (Error | null)[] => {
    const outcomes: (Error | null)[] = [];
    stage.agreement.start((error) => outcomes.push(error));
    return outcomes;
  };

  it('is done when both ports are bound; then it looks for a leader', () => {
    const stage = new Stage({ self: THREE });
    const outcomes = outcomeOf(stage);
    expect(outcomes).toEqual([]);
    expect(stage.network.dials).toEqual([]);
    stage.network.bind();
    expect(outcomes).toEqual([null]);
    expect([QUORUM_PORT, ELECTION_PORT].map((port) => stage.network.isListening(port))).toEqual([true, true]);
    expect(stage.network.dials.map(({ address }) => address.host)).toEqual(['zk1', 'zk2']);
  });

  it.each([QUORUM_PORT, ELECTION_PORT])('fails when port %i can not be had, and says whose it is', (port) => {
    const stage = new Stage({ self: THREE });
    const outcomes = outcomeOf(stage);
    const error = new Error('EADDRINUSE');
    stage.network.bind({ port, error });
    expect(outcomes).toEqual([new PeerPortError(THREE, error)]);
    expect(outcomes[0]).toMatchObject({ server: THREE, cause: error });
    expect(stage.network.dials).toEqual([]);
    stage.agreement.stop('it does not start');
    expect(stage.network.isListening(QUORUM_PORT)).toBe(false);
  });

  it('needs no port for a server alone, which leads at once', () => {
    const stage = new Stage({ self: ONE, ensemble: Ensemble.of(ONE) });
    expect(outcomeOf(stage)).toEqual([null]);
    stage.network.bind();
    expect(stage.network.isListening(QUORUM_PORT)).toBe(false);
    expect(stage.agreement.role).toBe('standalone');
    expect(stage.events).toEqual(['standalone: it is alone']);
  });
});

describe('a leader on its machine', () => {
  it('says its epoch when that is on the disk, and what a turn has made at the end of the turn', () => {
    const { stage } = elected();
    const follower = stage.learner(infoOf(TWO));
    stage.agreement.flush();
    expect(follower.written).toHaveLength(0);
    expect(stage.disk.list()).not.toContain('acceptedEpoch');
    stage.settle();
    expect(Buffer.from(stage.disk.bytesOf('acceptedEpoch')).toString()).toBe('1');
    expect(follower.written).toHaveLength(0);
    expect(stage.agreement.hasUnsent).toBe(true);
    stage.agreement.flush();
    expect(typesIn(follower.take())).toEqual([LEADERINFO]);
    expect(stage.agreement.hasUnsent).toBe(false);
  });

  it('brings a follower in, and has what a quorum has durably delivered', () => {
    const { stage, follower } = leading();
    expect(typesIn(follower.take())).toEqual([LEADERINFO, DIFF, NEWLEADER, UPTODATE]);
    expect(stage.events).toEqual(['leader: epoch 1 has begun']);
    stage.agreement.step({ kind: 'propose', proposal: proposalAt(1) });
    stage.flush();
    expect(typesIn(follower.take())).toEqual([PROPOSAL]);
    expect(stage.events.slice(1)).toEqual(['append 1']);
    follower.receive(wire({ kind: 'ack', zxid: proposalAt(1).zxid }));
    stage.flush();
    expect(stage.events.slice(2)).toEqual(['deliver 1']);
    expect(typesIn(follower.take())).toEqual([COMMIT]);
  });

  it("hands on what a follower's clients want", () => {
    const { stage, follower } = leading();
    follower.take();
    const request = {
      sessionId: SESSION,
      cxid: toXid(9),
      type: OpCode.setData,
      body: Buffer.from([1]),
      identities: [],
    };
    follower.receive(
      wire(
        { kind: 'request', request },
        { kind: 'revalidate', sessionId: SESSION, timeoutMs: 4000 },
        { kind: 'revalidate', sessionId: toSessionId(6n), timeoutMs: 4000 },
        { kind: 'pong', zxid: toZxid(0n), touched: [{ sessionId: SESSION, timeoutMs: 4000 }] },
      ),
    );
    stage.flush();
    expect(stage.events.slice(1)).toEqual(['asked 5 9', 'touched 5']);
    const answers = wire(
      { kind: 'revalidated', sessionId: SESSION, isValid: true },
      { kind: 'revalidated', sessionId: toSessionId(6n), isValid: false },
    );
    expect(follower.take()).toEqual(answers);
  });

  it.each([
    ['speaks HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['sends a packet of an unknown type', packets({ type: 99, zxid: toZxid(0n), data: null, authinfo: null })],
    ['does not introduce itself', wire({ kind: 'ack', zxid: toZxid(0n) })],
    ['announces a gigabyte', Buffer.from(`00000002${'00'.repeat(8)}40000000`, 'hex')],
    ['introduces itself twice', wire(infoOf(ONE), infoOf(ONE))],
  ])('hangs up on one who %s, and leads on', (_, bytes) => {
    const { stage, follower } = leading();
    const stranger = stage.network.connect(QUORUM_PORT);
    stranger.receive(bytes);
    stage.flush();
    expect(stranger.end).toBe('closed');
    expect(stage.runLog.lines.at(-1)).toMatch(/^connection with 10\.0\.0\.9:\d+ on the quorum port ended: /);
    expect(stage.agreement.role).toBe('leader');
    expect(follower.end).toBeUndefined();
    expect(stage.failures).toEqual([]);
  });

  it('hangs up on one who says nothing while a follower may join, and not on its follower', () => {
    const { stage, follower } = leading();
    const stranger = stage.network.connect(QUORUM_PORT);
    stage.flush();
    stage.clock.at += 10 * TICK_MS;
    expect(stage.agreement.nextDeadline()).toBeLessThanOrEqual(stage.clock.at);
    follower.receive(wire({ kind: 'pong', zxid: toZxid(0n), touched: [] }));
    stage.agreement.wake(stage.clock.at - 1);
    expect(stranger.end).toBeUndefined();
    stage.agreement.wake(stage.clock.at);
    expect(stranger.end).toBe('closed');
    expect(stage.runLog.lines.at(-1)).toMatch(/on the quorum port ended: it has not said who it is$/);
    expect(stage.agreement.role).toBe('leader');
    expect(follower.end).toBeUndefined();
  });

  it('hangs up on one who says nothing on the election port', () => {
    const { stage } = leading();
    const [stranger, gone] = [stage.network.connect(ELECTION_PORT), stage.network.connect(QUORUM_PORT)];
    gone.finish();
    stage.clock.at += 5 * TICK_MS;
    stage.agreement.wake(stage.clock.at);
    expect(stranger.end).toBe('closed');
    expect(stage.runLog.lines.filter((line) => line.includes('not said'))).toHaveLength(1);
  });

  it('is not impressed by what it can not read on the election port', () => {
    const { stage, votes } = leading();
    votes[0].receive(framed(Buffer.alloc(28, 0xff)));
    expect(votes[0].end).toBe('closed');
    expect(stage.runLog.lines.at(-1)).toMatch(
      /^warning: connection with zk1:3888 on the election port ended: unreadable/,
    );
    expect(stage.agreement.role).toBe('leader');
    expect(stage.failures).toEqual([]);
  });

  it('steps down when its follower goes, and answers votes again', () => {
    const { stage, follower, votes } = leading();
    votes[1].take();
    follower.finish(new Error('ECONNRESET'));
    expect(stage.events.at(-1)).toBe('nobody: a quorum of followers is gone');
    expect(votes[1].take().length).toBeGreaterThan(0);
  });

  it('fails when its epoch can not be written down, and nobody hears of that epoch', () => {
    const { stage } = elected();
    stage.refuses = ({ kind }) => kind === 'write';
    const follower = stage.learner(infoOf(TWO));
    stage.flush();
    expect(stage.failures).toEqual([new Error('the disk refuses')]);
    expect(follower.written).toHaveLength(0);
  });

  it('fails when something is asked of it that can not be, and does no more than that', () => {
    const { stage, follower } = leading();
    follower.take();
    expect(() => stage.agreement.step({ kind: 'propose', proposal: proposalAt(7) })).not.toThrow();
    stage.flush();
    expect(stage.failures).toEqual([expect.any(InvariantError)]);
    expect(stage.events).toEqual(['leader: epoch 1 has begun']);
    expect(follower.written).toHaveLength(0);
  });
});

it('what happens while something is carried out has its turn behind it', () => {
  const stage = new Stage({ self: ONE, ensemble: Ensemble.of(ONE) });
  const { events } = stage;
  const proposalOf = (zxid: bigint) => ({ zxid: toZxid(zxid), bytes: recordOf(zxid) });
  stage.user.onDeliver = ({ zxid }) => {
    events.push(`deliver ${zxid}`);
    if (zxid === 1n) stage.agreement.step({ kind: 'propose', proposal: proposalOf(3n) });
    events.push(`delivered ${zxid}`);
  };
  stage.start();
  stage.agreement.step({ kind: 'propose', proposal: proposalOf(1n) });
  stage.agreement.step({ kind: 'propose', proposal: proposalOf(2n) });
  stage.flush();
  expect(events.slice(1)).toEqual([
    ...['append 1', 'append 2'],
    ...['deliver 1', 'delivered 1', 'deliver 2', 'delivered 2', 'append 3', 'deliver 3', 'delivered 3'],
  ]);
});

describe('a learner on its machine', () => {
  it('dials its leader again and again, until that is there', () => {
    const { stage } = dialling();
    expect(stage.network.dials.map(({ address }) => address)).toEqual([{ host: 'zk3', port: QUORUM_PORT }]);
    stage.network.fail();
    stage.clock.at = stage.agreement.nextDeadline();
    stage.agreement.wake(stage.clock.at);
    const leader = stage.network.open();
    stage.flush();
    expect(typesIn(leader.written)).toEqual([FOLLOWERINFO]);
  });

  it('accepts an epoch when that is on the disk', () => {
    const { stage } = dialling();
    const leader = stage.network.open();
    stage.flush();
    leader.take();
    leader.receive(wire({ kind: 'leaderInfo', epoch: toEpoch(1) }));
    stage.agreement.flush();
    expect(leader.written).toHaveLength(0);
    stage.flush();
    expect(typesIn(leader.written)).toEqual([ACKEPOCH]);
    expect(Buffer.from(stage.disk.bytesOf('acceptedEpoch')).toString()).toBe('1');
  });

  it('acknowledges what is durable in its log, and delivers what is committed', () => {
    const { stage, leader } = following();
    leader.receive(wire({ kind: 'proposal', proposal: proposalAt(1) }));
    expect(stage.events).toEqual(['append 1']);
    expect(leader.written).toHaveLength(0);
    stage.flush();
    expect(typesIn(leader.take())).toEqual([ACK]);
    leader.receive(wire({ kind: 'commit', zxid: proposalAt(1).zxid }));
    expect(stage.events).toEqual(['append 1', 'deliver 1']);
  });

  it('tells its leader what its clients want, and them what it answers', () => {
    const { stage, leader } = following();
    const request = { sessionId: SESSION, cxid: toXid(1), type: OpCode.sync, body: Buffer.alloc(0), identities: [] };
    stage.agreement.toLeader({ kind: 'request', request });
    stage.agreement.toLeader({ kind: 'revalidate', sessionId: SESSION, timeoutMs: 4000 });
    stage.flush();
    expect(typesIn(leader.take())).toEqual([REQUEST, REVALIDATE]);
    leader.receive(
      wire(
        { kind: 'synced' },
        { kind: 'revalidated', sessionId: SESSION, isValid: true },
        { kind: 'ping', zxid: toZxid(0n) },
      ),
    );
    stage.flush();
    expect(stage.events).toEqual(['sync -1', 'revalidated 5 true']);
    const heard = { sessionId: SESSION, timeoutMs: 4000 };
    expect(leader.take()).toEqual(wire({ kind: 'pong', zxid: toZxid(0n), touched: [heard] }));
  });

  it('hangs up on a leader that it can not read, and looks for another one', () => {
    const { stage, leader } = following();
    leader.receive(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'));
    expect(leader.end).toBe('closed');
    expect(stage.events).toEqual(['nobody: the connection to server 3, the leader, is gone']);
    expect(stage.failures).toEqual([]);
  });

  /** It has two transactions of an earlier leader's; the present one does not have the second. */
  function followingAnother() {
    const { stage, leader } = following();
    for (const counter of [1, 2]) leader.receive(wire({ kind: 'proposal', proposal: proposalAt(counter) }));
    stage.flush();
    leader.finish();
    hearOfLeader(stage);
    const next = stage.network.open();
    next.receive(wire({ kind: 'leaderInfo', epoch: toEpoch(2) }));
    stage.flush();
    return { stage, next };
  }

  it('reads nothing from its leader while its history is cut', () => {
    const { stage, next } = followingAnother();
    next.receive(
      wire({ kind: 'trunc', zxid: proposalAt(1).zxid }, { kind: 'newLeader', epoch: toEpoch(2), configuration: '' }),
    );
    expect(next.isPaused).toBe(true);
    expect(stage.history.isOpen).toBe(false);
    next.take();
    stage.flush();
    expect(next.isPaused).toBe(false);
    expect(stage.history.database.lastZxid).toBe(proposalAt(1).zxid);
    expect(typesIn(next.take())).toEqual([ACK]);
  });

  it('fails when its files can not be closed for that, rather than wait for ever', () => {
    const { stage, next } = followingAnother();
    stage.refuses = ({ kind, name }) => kind === 'sync' && name === SYNCED_MARK_NAME;
    next.receive(wire({ kind: 'trunc', zxid: proposalAt(1).zxid }));
    stage.flush();
    expect(stage.failures).toEqual([new Error('the disk refuses')]);
  });

  it('hangs up when the disk does not take a snapshot, and votes with what it had', () => {
    const { stage, leader, votes } = accepted();
    stage.refuses = ({ kind, name }) => kind === 'open' && name.startsWith('unfinished');
    leader.receive(wire({ kind: 'snap', zxid: toZxid(9n) }));
    expect(leader.end).toBe('closed');
    expect(stage.runLog.lines.at(-1)).toContain('the snapshot of the leader can not be taken in');
    stage.flush();
    expect(stage.events.at(-1)).toBe('nobody: the connection to server 3, the leader, is gone');
    for (const stream of votes) expect(stream.take().length).toBeGreaterThan(0);
    expect(stage.history.isOpen).toBe(true);
    expect(stage.failures).toEqual([]);
  });

  it('keeps its history when a snapshot breaks off in the middle, and votes with that', () => {
    const { stage, leader, votes } = accepted();
    leader.receive(Buffer.concat([wire({ kind: 'snap', zxid: toZxid(9n) }), Buffer.from('00000000', 'hex')]));
    leader.finish(new Error('ECONNRESET'));
    stage.flush();
    expect(stage.events.at(-1)).toBe('nobody: the connection to server 3, the leader, is gone');
    for (const stream of votes) expect(stream.take().length).toBeGreaterThan(0);
    expect(stage.history.isOpen).toBe(true);
    expect(stage.disk.list()).not.toContain('snapshot.9');
    expect(stage.failures).toEqual([]);
  });
});

describe('agreement that is stopped', () => {
  it('closes its ports and streams, and says and hears nothing more', () => {
    const { stage, follower, votes } = leading();
    const before = [...stage.events];
    follower.take();
    stage.agreement.stop('the server stops');
    expect([follower.end, votes[0].end, votes[1].end]).toEqual(['closed', 'closed', 'closed']);
    expect([QUORUM_PORT, ELECTION_PORT].some((port) => stage.network.isListening(port))).toBe(false);
    follower.receive(wire({ kind: 'ack', zxid: toZxid(0n) }));
    follower.finish();
    votes[0].finish();
    for (const input of [{ kind: 'tick' }, { kind: 'propose', proposal: proposalAt(1) }] satisfies Input[]) {
      stage.agreement.step(input);
    }
    stage.agreement.wake(Number.MAX_SAFE_INTEGER);
    stage.flush();
    expect(stage.events).toEqual(before);
    expect(stage.failures).toEqual([]);
  });

  it('takes no connection that was on its way', () => {
    const { stage } = dialling();
    stage.agreement.stop('the server stops');
    const late = stage.network.open();
    expect(late.end).toBe('closed');
    expect(late.written).toHaveLength(0);
    const { stage: failing } = dialling();
    failing.agreement.stop('the server stops');
    failing.network.fail();
    expect(failing.network.dials).toEqual([]);
  });

  it('does not come back when the disk is done', () => {
    const { stage } = elected();
    const follower = stage.learner(infoOf(TWO));
    stage.agreement.stop('the server stops');
    stage.settle();
    expect(follower.written).toHaveLength(0);
    expect(stage.events).toEqual([]);
  });
});
