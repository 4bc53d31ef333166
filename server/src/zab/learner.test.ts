/** One test for each sentence of what a learner must do, in the order of a learner's life. */
import { describe, expect, it } from 'vitest';
import { toEpoch, toServerId } from 'zookeeper-protocol-ts';
import { InvariantError } from '../invariant.ts';
import type { Output } from './contract.ts';
import { History } from './history.ts';
import { Learner } from './learner.ts';
import { kindsOf, link, proposal, saidOn, TIMING, zxid } from './zab.fixture.ts';

const LEADER = 3;

/** Follows server 3 with the history up to 1/5; time stands at 0. */
function learnerWith({ isVoter = true, accepted = 1, current = 1 } = {}) {
  const history = new History(zxid(1, 5), { recentMax: 500 });
  const learner = new Learner({
    self: toServerId(1),
    isVoter,
    leader: toServerId(LEADER),
    link: link(LEADER),
    history,
    epochs: { accepted: toEpoch(accepted), current: toEpoch(current) },
    timing: TIMING,
    now: 0,
  });
  learner.start();
  const hear = (message: Parameters<Learner['onMessage']>[1], now = 0): Output[] =>
    learner.onMessage(link(LEADER), message, now);
  const synced = (epoch: number, counter: number): Output[] => {
    history.onSynced(zxid(epoch, counter));
    return learner.onSynced();
  };
  return { learner, history, hear, synced };
}

type Started = ReturnType<typeof learnerWith>;

/** Epoch 2 is accepted. */
function accepted(options?: Parameters<typeof learnerWith>[0]): Started {
  const started = learnerWith(options);
  started.learner.onLinkOpened(link(LEADER), 0);
  started.hear({ kind: 'leaderInfo', epoch: toEpoch(2) });
  started.learner.onEpochSaved('accepted');
  return started;
}

/** The leader has told how to get to its history. */
function synchronizing(options?: Parameters<typeof learnerWith>[0]): Started {
  const started = accepted(options);
  started.hear({ kind: 'diff', zxid: zxid(1, 5) });
  return started;
}

const NEW_LEADER = { kind: 'newLeader', epoch: toEpoch(2), configuration: '' } as const;

/** NEWLEADER is acknowledged. */
function acknowledged(options?: Parameters<typeof learnerWith>[0]): Started {
  const started = synchronizing(options);
  started.hear(NEW_LEADER);
  started.learner.onEpochSaved('current');
  return started;
}

/** It serves. */
function serving(options?: Parameters<typeof learnerWith>[0]): Started {
  const started = acknowledged(options);
  started.hear({ kind: 'upToDate' });
  return started;
}

describe('a learner that reaches its leader', () => {
  it('introduces itself with the epoch that it has accepted', () => {
    const { learner } = learnerWith();
    expect(saidOn(learner.onLinkOpened(link(LEADER), 0), LEADER)).toEqual([
      { kind: 'learnerInfo', learner: 1, isVoter: true, acceptedEpoch: 1 },
    ]);
  });

  it('dials again for as long as a leader may take to listen, and gives up then', () => {
    const { learner } = learnerWith();
    expect(learner.onLinkClosed(link(LEADER), 10)).toEqual([]);
    expect(learner.nextDeadline()).toBe(110);
    expect(learner.onTick(110, () => link(4))).toEqual([{ kind: 'dial', leader: LEADER, link: 4 }]);
    expect(kindsOf(learner.onLinkClosed(link(4), 1000))).toEqual(['abandoned']);
  });

  it('closes a stream that it does not wait for any more', () => {
    const { learner } = learnerWith();
    expect(kindsOf(learner.onLinkOpened(link(9), 0))).toEqual(['close']);
  });
});

describe('a learner that is told the epoch', () => {
  it('accepts it only when that is durable, and says where its history ends', () => {
    const { learner, hear } = learnerWith();
    learner.onLinkOpened(link(LEADER), 0);
    expect(hear({ kind: 'leaderInfo', epoch: toEpoch(2) })).toEqual([
      { kind: 'saveEpoch', which: 'accepted', epoch: 2 },
    ]);
    expect(saidOn(learner.onEpochSaved('accepted'), LEADER)).toEqual([
      { kind: 'ackEpoch', lastZxid: zxid(1, 5), currentEpoch: 1 },
    ]);
  });

  it('accepts an epoch that it has accepted before, without a current epoch to be counted by', () => {
    const { learner, hear } = learnerWith({ accepted: 2 });
    learner.onLinkOpened(link(LEADER), 0);
    expect(saidOn(hear({ kind: 'leaderInfo', epoch: toEpoch(2) }), LEADER)).toEqual([
      { kind: 'ackEpoch', lastZxid: zxid(1, 5), currentEpoch: undefined },
    ]);
  });

  it('leaves a leader of an epoch older than the one it has accepted', () => {
    const { learner, hear } = learnerWith({ accepted: 4 });
    learner.onLinkOpened(link(LEADER), 0);
    expect(kindsOf(hear({ kind: 'leaderInfo', epoch: toEpoch(2) }))).toEqual(['close', 'abandoned']);
  });

  it('leaves a leader that tells its epoch twice', () => {
    const { hear } = synchronizing();
    expect(kindsOf(hear({ kind: 'leaderInfo', epoch: toEpoch(3) }))).toEqual(['close', 'abandoned']);
  });
});

describe('a learner that is brought to the history of its leader', () => {
  it('logs what is proposed, and neither acknowledges nor delivers it before NEWLEADER and UPTODATE', () => {
    const { hear, synced } = synchronizing();
    expect(hear({ kind: 'proposal', proposal: proposal(1, 6) })).toEqual([
      { kind: 'append', proposal: proposal(1, 6) },
    ]);
    expect(hear({ kind: 'commit', zxid: zxid(1, 6) })).toEqual([]);
    expect(synced(1, 6)).toEqual([]);
  });

  it('acknowledges NEWLEADER only when its history and then its epoch are durable', () => {
    const { learner, hear, synced } = synchronizing();
    hear({ kind: 'proposal', proposal: proposal(1, 6) });
    expect(hear(NEW_LEADER)).toEqual([]);
    expect(synced(1, 6)).toEqual([{ kind: 'saveEpoch', which: 'current', epoch: 2 }]);
    expect(saidOn(learner.onEpochSaved('current'), LEADER)[0]).toEqual({ kind: 'ack', zxid: zxid(2, 0) });
  });

  it('saves the epoch once, however often its log is synced', () => {
    const { hear, synced } = synchronizing();
    hear({ kind: 'proposal', proposal: proposal(1, 6) });
    hear(NEW_LEADER);
    synced(1, 6);
    hear({ kind: 'proposal', proposal: proposal(2, 1) });
    expect(synced(2, 1)).toEqual([]);
  });

  it('acknowledges a proposal that was durable before NEWLEADER right behind it (ZOOKEEPER-4685)', () => {
    const { learner, hear, synced } = synchronizing();
    hear({ kind: 'proposal', proposal: proposal(1, 6) });
    synced(1, 6);
    hear(NEW_LEADER);
    expect(saidOn(learner.onEpochSaved('current'), LEADER)).toEqual([
      { kind: 'ack', zxid: zxid(2, 0) },
      { kind: 'ack', zxid: zxid(1, 6) },
    ]);
  });

  it('acknowledges with NEWLEADER all that was committed before it, however much that is', () => {
    const { learner, hear, synced } = synchronizing();
    for (const counter of [6, 7, 8]) hear({ kind: 'proposal', proposal: proposal(1, counter) });
    hear({ kind: 'commit', zxid: zxid(1, 7) });
    hear(NEW_LEADER);
    synced(1, 8);
    expect(saidOn(learner.onEpochSaved('current'), LEADER)).toEqual([
      { kind: 'ack', zxid: zxid(2, 0) },
      { kind: 'ack', zxid: zxid(1, 8) },
    ]);
  });

  it('delivers with UPTODATE what was committed before, in order, and serves then', () => {
    const { learner, hear, synced } = synchronizing();
    for (const counter of [6, 7]) hear({ kind: 'proposal', proposal: proposal(1, counter) });
    hear({ kind: 'commit', zxid: zxid(1, 6) });
    hear(NEW_LEADER);
    synced(1, 7);
    learner.onEpochSaved('current');
    const outputs = hear({ kind: 'upToDate' });
    expect(saidOn(outputs, LEADER)).toEqual([{ kind: 'ack', zxid: zxid(2, 0) }]);
    expect(outputs.slice(1)).toEqual([
      { kind: 'deliver', proposal: proposal(1, 6) },
      { kind: 'established', epoch: 2 },
    ]);
  });

  it('keeps a proposal that is not committed across NEWLEADER and UPTODATE (ZOOKEEPER-4394)', () => {
    const { hear } = acknowledged();
    hear({ kind: 'proposal', proposal: proposal(2, 1) });
    hear({ kind: 'upToDate' });
    expect(hear({ kind: 'commit', zxid: zxid(2, 1) })).toEqual([{ kind: 'deliver', proposal: proposal(2, 1) }]);
  });

  it('has its history cut before it reads on, and is not in a hurry meanwhile', () => {
    const { learner, history, hear } = accepted();
    expect(hear({ kind: 'trunc', zxid: zxid(1, 3) })).toEqual([{ kind: 'truncate', after: zxid(1, 3) }]);
    expect(() => hear({ kind: 'proposal', proposal: proposal(1, 4) })).toThrow(InvariantError);
    expect(learner.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    history.truncate(zxid(1, 3));
    learner.onHistoryChanged(5000);
    expect(learner.nextDeadline()).toBe(6000);
    expect(hear({ kind: 'proposal', proposal: proposal(1, 4) }, 5000)).toEqual([
      { kind: 'append', proposal: proposal(1, 4) },
    ]);
  });

  it('has its history replaced before it reads on, and waits for a silent leader only as long as the snapshot arrives', () => {
    const { learner, history, hear } = accepted();
    expect(hear({ kind: 'snap', zxid: zxid(1, 9) })).toEqual([
      { kind: 'receiveSnapshot', link: LEADER, zxid: zxid(1, 9) },
    ]);
    learner.onHeard(link(LEADER), 800);
    expect(learner.nextDeadline()).toBe(1800);
    learner.onSnapshotReceived(link(LEADER));
    expect(learner.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    expect(() => hear(NEW_LEADER)).toThrow(InvariantError);
    history.replace(zxid(1, 9));
    learner.onHistoryChanged(5000);
    expect(learner.nextDeadline()).toBe(6000);
    expect(hear(NEW_LEADER, 5000)).toEqual([{ kind: 'saveEpoch', which: 'current', epoch: 2 }]);
  });

  it('leaves a leader that falls silent in the middle of a snapshot', () => {
    const { learner, hear } = accepted();
    hear({ kind: 'snap', zxid: zxid(1, 9) });
    learner.onHeard(link(LEADER), 800);
    expect(kindsOf(learner.onTick(1800, () => link(9)))).toEqual(['close', 'abandoned']);
  });

  it('drops a proposal that it has already', () => {
    const { hear } = synchronizing();
    expect(hear({ kind: 'proposal', proposal: proposal(1, 5) })).toEqual([]);
  });

  it.each([
    ['a proposal that leaves a gap', { kind: 'proposal', proposal: proposal(1, 8) }],
    ['a commit of what was not proposed', { kind: 'commit', zxid: zxid(1, 8) }],
    ['NEWLEADER of another epoch', { ...NEW_LEADER, epoch: toEpoch(3) }],
    ['UPTODATE before NEWLEADER', { kind: 'upToDate' }],
    ['a second DIFF', { kind: 'diff', zxid: zxid(1, 5) }],
    ['what only learners send', { kind: 'ack', zxid: zxid(1, 5) }],
  ] as const)('leaves a leader that sends %s', (_, message) => {
    const { hear, learner } = synchronizing();
    expect(kindsOf(hear(message))).toEqual(['close', 'abandoned']);
    expect(learner.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    expect(hear({ kind: 'diff', zxid: zxid(1, 5) })).toEqual([]);
  });
});

describe('a follower', () => {
  it('acknowledges a proposal when it is durable, and not before', () => {
    const { hear, synced } = serving();
    expect(hear({ kind: 'proposal', proposal: proposal(2, 1) })).toEqual([
      { kind: 'append', proposal: proposal(2, 1) },
    ]);
    expect(saidOn(synced(2, 1), LEADER)).toEqual([{ kind: 'ack', zxid: zxid(2, 1) }]);
  });

  it('acknowledges each proposal that one sync has made durable, once', () => {
    const { hear, synced } = serving();
    for (const counter of [1, 2, 3]) hear({ kind: 'proposal', proposal: proposal(2, counter) });
    expect(saidOn(synced(2, 2), LEADER)).toEqual([
      { kind: 'ack', zxid: zxid(2, 1) },
      { kind: 'ack', zxid: zxid(2, 2) },
    ]);
    expect(saidOn(synced(2, 3), LEADER)).toEqual([{ kind: 'ack', zxid: zxid(2, 3) }]);
  });

  it('delivers what is committed, also before its own log has it durably', () => {
    const { hear } = serving();
    hear({ kind: 'proposal', proposal: proposal(2, 1) });
    expect(hear({ kind: 'commit', zxid: zxid(2, 1) })).toEqual([{ kind: 'deliver', proposal: proposal(2, 1) }]);
  });

  it('answers pings with what its clients did, and hands on the answers of its leader', () => {
    const { hear } = serving();
    expect(hear({ kind: 'ping', zxid: zxid(2, 0) })).toEqual([{ kind: 'pong', link: LEADER, zxid: zxid(2, 0) }]);
    expect(hear({ kind: 'synced' })).toEqual([{ kind: 'forwardedSyncCompleted' }]);
  });

  it('forwards only while it serves', () => {
    const message = { kind: 'revalidate', sessionId: 1n as never, timeoutMs: 4000 } as const;
    expect(acknowledged().learner.send(message)).toEqual([]);
    expect(saidOn(serving().learner.send(message), LEADER)).toEqual([message]);
  });

  it('leaves a leader that is silent for syncLimit ticks, or whose stream ends', () => {
    const { learner, hear } = serving();
    hear({ kind: 'ping', zxid: zxid(2, 0) }, 100);
    expect(learner.nextDeadline()).toBe(600);
    expect(learner.onTick(599, () => link(9))).toEqual([]);
    expect(kindsOf(learner.onTick(600, () => link(9)))).toEqual(['close', 'abandoned']);
    expect(kindsOf(serving().learner.onLinkClosed(link(LEADER), 0))).toEqual(['abandoned']);
  });
});

describe('an observer', () => {
  it('logs and delivers what it is informed of, and acknowledges none of it', () => {
    const { hear, synced } = serving({ isVoter: false });
    expect(hear({ kind: 'inform', proposal: proposal(2, 1) })).toEqual([
      { kind: 'append', proposal: proposal(2, 1) },
      { kind: 'deliver', proposal: proposal(2, 1) },
    ]);
    expect(synced(2, 1)).toEqual([]);
  });
});
