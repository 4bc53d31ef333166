/** One test for each sentence of what a leader must do, in the order of a reign. */
import { describe, expect, it } from 'vitest';
import { toEpoch } from 'zookeeper-protocol-ts';
import { InvariantError } from '../invariant.ts';
import type { Output } from './contract.ts';
import { History } from './history.ts';
import { Leader } from './leader.ts';
import type { QuorumMessage } from './messages.ts';
import { ensembleOf, kindsOf, link, proposal, saidOn, server, TIMING, zxid } from './zab.fixture.ts';

/** Server 1 of three voters and an observer, with the history up to 1/5, elected at time 0. Learner N is on link N. */
function leaderWith({ accepted = 1, current = 1, recentMax = 500 } = {}) {
  const history = new History(zxid(1, 5), { recentMax });
  const ensemble = ensembleOf(3, 1);
  const leader = new Leader({
    self: server(1),
    ensemble,
    history,
    epochs: { accepted: toEpoch(accepted), current: toEpoch(current) },
    timing: TIMING,
    now: 0,
  });
  const hear = (from: number, message: QuorumMessage, now = 0): Output[] => leader.onMessage(link(from), message, now);
  const introduce = (from: number, acceptedEpoch = 1): Output[] =>
    hear(from, {
      kind: 'learnerInfo',
      learner: server(from),
      isVoter: from <= 3,
      acceptedEpoch: toEpoch(acceptedEpoch),
    });
  const accept = (from: number, last = zxid(1, 5), epoch: number | 'acceptedBefore' = 1): Output[] =>
    hear(from, {
      kind: 'ackEpoch',
      lastZxid: last,
      currentEpoch: epoch === 'acceptedBefore' ? undefined : toEpoch(epoch),
    });
  return { leader, history, ensemble, hear, introduce, accept, started: leader.start() };
}

type Started = ReturnType<typeof leaderWith>;

/** Server 2 has come, and knows epoch 2. */
function accepting(options?: Parameters<typeof leaderWith>[0]): Started {
  const started = leaderWith(options);
  started.introduce(2);
  started.leader.onEpochSaved('accepted');
  return started;
}

/** Server 2 was sent NEWLEADER. */
function synchronizing(options?: Parameters<typeof leaderWith>[0]): Started {
  const started = accepting(options);
  started.accept(2);
  started.leader.onEpochSaved('current');
  return started;
}

/** Servers 1 and 2 are established in epoch 2. */
function established(): Started {
  const started = synchronizing();
  started.hear(2, { kind: 'ack', zxid: zxid(2, 0) });
  return started;
}

/** A further learner that has caught up. */
function joined(started: Started, id: number): Output[] {
  started.introduce(id);
  return [...started.accept(id), ...started.hear(id, { kind: 'ack', zxid: zxid(2, 0) })];
}

describe('a leader in discovery', () => {
  it('chooses an epoch above all that a quorum has accepted, and tells it only when it is durable', () => {
    const { leader, introduce, started } = leaderWith();
    expect(started).toEqual([]);
    expect(introduce(2, 7)).toEqual([{ kind: 'saveEpoch', which: 'accepted', epoch: 8 }]);
    expect(introduce(3, 1)).toEqual([]);
    const outputs = leader.onEpochSaved('accepted');
    for (const learner of [2, 3]) expect(saidOn(outputs, learner)).toEqual([{ kind: 'leaderInfo', epoch: 8 }]);
  });

  it('does not count an observer', () => {
    const { introduce } = leaderWith();
    expect(introduce(4, 9)).toEqual([]);
    expect(introduce(2)).toEqual([{ kind: 'saveEpoch', which: 'accepted', epoch: 2 }]);
  });

  it('does not count a follower that is not in its list', () => {
    const { hear, introduce } = leaderWith();
    const follower = { kind: 'learnerInfo', learner: server(9), isVoter: true, acceptedEpoch: toEpoch(7) } as const;
    expect(hear(9, follower)).toEqual([]);
    expect(introduce(2)).toEqual([{ kind: 'saveEpoch', which: 'accepted', epoch: 2 }]);
  });

  it('refuses a learner that does not introduce itself, or twice', () => {
    const { hear, introduce } = leaderWith();
    expect(kindsOf(hear(3, { kind: 'ack', zxid: zxid(1, 1) }))).toEqual(['close']);
    introduce(2);
    expect(kindsOf(introduce(2))).toEqual(['close']);
  });

  it('gives up when there is no quorum within initLimit ticks', () => {
    const { leader } = leaderWith();
    expect(leader.onTick(999)).toEqual([]);
    expect(kindsOf(leader.onTick(1000))).toEqual(['abandoned']);
    expect(leader.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('a leader whose epoch is being accepted', () => {
  it('saves it as its current epoch when a quorum has accepted it', () => {
    expect(accepting().accept(2)).toEqual([{ kind: 'saveEpoch', which: 'current', epoch: 2 }]);
  });

  it('does not count who had accepted it before, nor an observer', () => {
    const { introduce, accept } = accepting();
    introduce(4);
    expect(accept(4)).toEqual([]);
    expect(accept(2, zxid(1, 5), 'acceptedBefore')).toEqual([]);
  });

  it.each([
    ['a higher current epoch', zxid(1, 1), 2],
    ['more history in the same epoch', zxid(1, 6), 1],
  ])('refuses a learner with %s', (_, last, epoch) => {
    expect(kindsOf(accepting().accept(2, last, epoch))).toEqual(['close']);
  });

  it('sends nothing of the epoch before it is durably its current one', () => {
    const started = accepting();
    expect(saidOn(started.accept(2), 2)).toEqual([]);
    expect(saidOn(started.leader.onEpochSaved('current'), 2)).toEqual([
      { kind: 'diff', zxid: zxid(1, 5) },
      { kind: 'newLeader', epoch: 2, configuration: started.ensemble.text },
    ]);
  });
});

describe('a leader in synchronization', () => {
  it('sends UPTODATE only after a quorum has acknowledged NEWLEADER, and serves then', () => {
    const { leader, hear } = synchronizing();
    expect(leader.isEstablished).toBe(false);
    expect(hear(2, { kind: 'ack', zxid: zxid(2, 0) })).toEqual([
      { kind: 'established', epoch: 2 },
      { kind: 'send', link: 2, message: { kind: 'upToDate' } },
    ]);
    expect(leader.nextZxid).toBe(zxid(2, 1));
  });

  it('counts itself only when all of its history is durable', () => {
    const { leader, history, introduce, accept, hear } = leaderWith();
    history.append(proposal(1, 6));
    introduce(2);
    leader.onEpochSaved('accepted');
    accept(2, zxid(1, 6));
    leader.onEpochSaved('current');
    expect(hear(2, { kind: 'ack', zxid: zxid(2, 0) })).toEqual([]);
    history.onSynced(zxid(1, 6));
    expect(kindsOf(leader.onSynced(zxid(1, 6)))).toEqual(['established', 'send']);
  });

  it('takes the acknowledgement of a proposal before that of NEWLEADER for what it is (ZOOKEEPER-4685)', () => {
    const { leader, hear } = synchronizing();
    expect(hear(2, { kind: 'ack', zxid: zxid(1, 5) })).toEqual([]);
    expect(leader.isEstablished).toBe(false);
  });

  it('cuts the history of a learner that has more, and replaces that of one that has too little', () => {
    const started = synchronizing();
    started.introduce(3);
    expect(saidOn(started.accept(3, zxid(1, 9), 0), 3)[0]).toEqual({ kind: 'trunc', zxid: zxid(1, 5) });
    started.introduce(4);
    expect(started.accept(4, zxid(0, 0), 0)).toEqual([
      { kind: 'searchLog', link: 4, zxid: zxid(0, 0), upTo: zxid(1, 5) },
    ]);
    expect(started.leader.onLogSearched(link(4), undefined, 0)).toEqual([
      { kind: 'send', link: 4, message: { kind: 'snap', zxid: zxid(1, 5) } },
      { kind: 'sendSnapshot', link: 4 },
    ]);
    expect(saidOn(started.leader.onHistorySent(link(4), 0), 4).map(({ kind }) => kind)).toEqual(['newLeader']);
  });

  it('replaces the history of one that comes again with the end that it was told to cut', () => {
    const started = synchronizing();
    started.introduce(3);
    expect(saidOn(started.accept(3, zxid(1, 9), 0), 3)[0]).toEqual({ kind: 'trunc', zxid: zxid(1, 5) });
    started.leader.onLinkClosed(link(3));
    started.introduce(3);
    expect(started.accept(3, zxid(1, 9), 0)).toEqual([
      { kind: 'send', link: 3, message: { kind: 'snap', zxid: zxid(1, 5) } },
      { kind: 'sendSnapshot', link: 3 },
    ]);
  });

  it('sends proposals with their commits to a learner that lacks them', () => {
    const started = established();
    for (const counter of [1, 2]) {
      started.leader.propose(proposal(2, counter));
      started.hear(2, { kind: 'ack', zxid: zxid(2, counter) });
      started.leader.onSynced(zxid(2, counter));
    }
    started.introduce(3);
    expect(saidOn(started.accept(3, zxid(2, 1), 2), 3)).toEqual([
      { kind: 'diff', zxid: zxid(2, 2) },
      { kind: 'proposal', proposal: proposal(2, 2) },
      { kind: 'commit', zxid: zxid(2, 2) },
      { kind: 'newLeader', epoch: 2, configuration: started.ensemble.text },
    ]);
  });

  it('forwards proposals from the step in which the sync of a learner was chosen, before NEWLEADER what was open then', () => {
    const started = established();
    started.leader.propose(proposal(2, 1));
    started.introduce(3);
    expect(saidOn(started.accept(3), 3).map(({ kind }) => kind)).toEqual(['diff', 'proposal', 'newLeader']);
    expect(saidOn(started.leader.propose(proposal(2, 2)), 3)).toEqual([{ kind: 'proposal', proposal: proposal(2, 2) }]);
  });

  it('tells a learner between NEWLEADER and UPTODATE of no commit, and of all of them then (ZOOKEEPER-4394)', () => {
    const started = established();
    started.introduce(3);
    started.accept(3);
    started.leader.propose(proposal(2, 1));
    started.leader.onSynced(zxid(2, 1));
    expect(saidOn(started.hear(2, { kind: 'ack', zxid: zxid(2, 1) }), 3)).toEqual([]);
    expect(saidOn(started.hear(3, { kind: 'ack', zxid: zxid(2, 0) }), 3)).toEqual([
      { kind: 'upToDate' },
      { kind: 'commit', zxid: zxid(2, 1) },
    ]);
  });
});

/** With proposals up to 2/`count` committed, of which the last 3 to 6 are at hand. */
function withHistory(count: number): Started {
  const started = synchronizing({ recentMax: 3 });
  started.hear(2, { kind: 'ack', zxid: zxid(2, 0) });
  for (let counter = 1; counter <= count; counter++) commit(started, counter);
  return started;
}

function commit({ leader, history, hear }: Started, counter: number): Output[] {
  return [
    ...leader.propose(proposal(2, counter)),
    ...hear(2, { kind: 'ack', zxid: zxid(2, counter) }),
    ...synced({ leader, history }, counter),
  ];
}

function synced({ leader, history }: Pick<Started, 'leader' | 'history'>, counter: number): Output[] {
  history.onSynced(zxid(2, counter));
  return leader.onSynced(zxid(2, counter));
}

const kindsOn = (outputs: readonly Output[], to: number) => saidOn(outputs, to).map(({ kind }) => kind);

describe('a leader with a learner that is far behind', () => {
  it('sends the log from where the history of the learner ends, then what is at hand, and from then on what is proposed', () => {
    const started = withHistory(20);
    started.introduce(3);
    expect(started.accept(3, zxid(2, 1), 2)).toEqual([
      { kind: 'searchLog', link: 3, zxid: zxid(2, 1), upTo: zxid(2, 20) },
    ]);
    expect(started.leader.onLogSearched(link(3), { last: zxid(2, 1), next: zxid(2, 2) }, 0)).toEqual([
      { kind: 'send', link: 3, message: { kind: 'diff', zxid: zxid(2, 20) } },
      { kind: 'sendLog', link: 3, after: zxid(2, 1), upTo: zxid(2, 20) },
    ]);
    // What is committed meanwhile is not told before the log is through: in order, each once.
    expect(saidOn([...commit(started, 21), ...commit(started, 22)], 3)).toEqual([]);
    started.leader.propose(proposal(2, 23));
    expect(saidOn(started.leader.onHistorySent(link(3), 0), 3)).toEqual([
      ...[21, 22].flatMap((counter) => [
        { kind: 'proposal', proposal: proposal(2, counter) },
        { kind: 'commit', zxid: zxid(2, counter) },
      ]),
      { kind: 'proposal', proposal: proposal(2, 23) },
      { kind: 'newLeader', epoch: 2, configuration: started.ensemble.text },
    ]);
    expect(saidOn(started.leader.propose(proposal(2, 24)), 3)).toEqual([
      { kind: 'proposal', proposal: proposal(2, 24) },
    ]);
  });

  it('goes on with the log as long as more was delivered meanwhile than is at hand (ZOOKEEPER-2418)', () => {
    const started = withHistory(20);
    started.introduce(3);
    started.accept(3, zxid(2, 1), 2);
    started.leader.onLogSearched(link(3), { last: zxid(2, 1), next: zxid(2, 2) }, 0);
    for (let counter = 21; counter <= 40; counter++) commit(started, counter);
    expect(started.leader.onHistorySent(link(3), 0)).toEqual([
      { kind: 'sendLog', link: 3, after: zxid(2, 20), upTo: zxid(2, 40) },
    ]);
    expect(kindsOn(started.leader.onHistorySent(link(3), 0), 3)).toEqual(['newLeader']);
  });

  it('reads of the log only what is durable there, and has the rest at hand', () => {
    const started = withHistory(20);
    started.introduce(3);
    started.accept(3, zxid(2, 20), 2);
    started.hear(3, { kind: 'ack', zxid: zxid(2, 0) });
    for (let counter = 21; counter <= 40; counter++) {
      started.leader.propose(proposal(2, counter));
      for (const from of [2, 3]) started.hear(from, { kind: 'ack', zxid: zxid(2, counter) });
    }
    expect(started.history.lastDelivered).toBe(zxid(2, 40));
    started.introduce(4);
    expect(started.accept(4, zxid(2, 1), 2)).toEqual([
      { kind: 'searchLog', link: 4, zxid: zxid(2, 1), upTo: zxid(2, 20) },
    ]);
    started.leader.onLogSearched(link(4), { last: zxid(2, 1), next: zxid(2, 2) }, 0);
    const said = saidOn(started.leader.onHistorySent(link(4), 0), 4);
    expect(said[0]).toEqual({ kind: 'proposal', proposal: proposal(2, 21) });
    expect(said).toHaveLength(2 * 20 + 1);
  });

  it.each([
    ['is not in the log', zxid(1, 7), { last: zxid(1, 6), next: zxid(1, 8) }, { kind: 'trunc', zxid: zxid(1, 6) }],
    ['begins an epoch', zxid(2, 0), { last: zxid(1, 6), next: zxid(2, 1) }, { kind: 'diff', zxid: zxid(2, 20) }],
    [
      'nobody has of an epoch that is over',
      zxid(1, 7),
      { last: zxid(1, 6), next: zxid(2, 1) },
      { kind: 'snap', zxid: zxid(2, 20) },
    ],
  ])('does what the original does with a last transaction that %s', (_, last, place, expected) => {
    const started = withHistory(20);
    started.introduce(3);
    started.accept(3, last, 1);
    const outputs = started.leader.onLogSearched(link(3), place, 0);
    expect(saidOn(outputs, 3)).toEqual([expected]);
    expect(outputs[1]).toEqual(
      expected.kind === 'snap'
        ? { kind: 'sendSnapshot', link: 3 }
        : { kind: 'sendLog', link: 3, after: zxid(1, 6), upTo: zxid(2, 20) },
    );
  });

  it('replaces a history that could not be cut where the log says', () => {
    const started = withHistory(20);
    const place = { last: zxid(1, 6), next: zxid(1, 8) };
    const [first, second] = [3, 3].map((id) => {
      started.introduce(id);
      started.accept(id, zxid(1, 7), 1);
      const outputs = started.leader.onLogSearched(link(id), place, 0);
      started.leader.onLinkClosed(link(id));
      return saidOn(outputs, id)[0]?.kind;
    });
    expect([first, second]).toEqual(['trunc', 'snap']);
  });

  it('sends what was delivered during a snapshot behind it, from the log if it is no more at hand', () => {
    const started = withHistory(20);
    started.introduce(3);
    started.accept(3, zxid(0, 0), 0);
    started.leader.onLogSearched(link(3), undefined, 0);
    for (let counter = 21; counter <= 40; counter++) commit(started, counter);
    expect(started.leader.onHistorySent(link(3), 0)).toEqual([
      { kind: 'sendLog', link: 3, after: zxid(2, 20), upTo: zxid(2, 40) },
    ]);
  });

  it('does not count what it acknowledges before NEWLEADER', () => {
    const started = withHistory(20);
    started.introduce(3);
    started.leader.propose(proposal(2, 21));
    synced(started, 21);
    for (const step of [
      () => started.accept(3, zxid(2, 1), 2),
      () => started.leader.onLogSearched(link(3), { last: zxid(2, 1), next: zxid(2, 2) }, 0),
      () => started.leader.onHistorySent(link(3), 0),
    ]) {
      expect(started.hear(3, { kind: 'ack', zxid: zxid(2, 21) })).toEqual([]);
      step();
    }
    expect(started.hear(3, { kind: 'ack', zxid: zxid(2, 21) })).toEqual([]);
    expect(started.history.lastDelivered).toBe(zxid(2, 20));
    started.hear(3, { kind: 'ack', zxid: zxid(2, 0) });
    started.hear(3, { kind: 'ack', zxid: zxid(2, 21) });
    expect(started.history.lastDelivered).toBe(zxid(2, 21));
  });

  it('tells an observer nothing before it has caught up, and all it delivers from then on', () => {
    const started = withHistory(20);
    started.introduce(4);
    started.accept(4, zxid(2, 1), 2);
    started.leader.onLogSearched(link(4), { last: zxid(2, 1), next: zxid(2, 2) }, 0);
    expect(saidOn(commit(started, 21), 4)).toEqual([]);
    expect(kindsOn(started.leader.onHistorySent(link(4), 0), 4)).toEqual(['proposal', 'commit', 'newLeader']);
    expect(kindsOn(commit(started, 22), 4)).toEqual(['inform']);
  });

  it('waits for it as long as it takes what it is sent, and not for one that does not', () => {
    const started = withHistory(20);
    started.introduce(3);
    started.accept(3, zxid(2, 1), 2);
    const tick = (now: number): Output[] => {
      started.hear(2, { kind: 'pong', zxid: zxid(2, 20), touched: [] }, now);
      return started.leader.onTick(now).filter(({ kind }) => kind !== 'send');
    };
    // The search is this server's own doing.
    expect(tick(3000)).toEqual([]);
    started.leader.onLogSearched(link(3), { last: zxid(2, 1), next: zxid(2, 2) }, 3000);
    started.leader.onHeard(link(3), 3900);
    expect(tick(4800)).toEqual([]);
    expect(kindsOf(tick(4900))).toEqual(['close']);
    expect(started.leader.onHistorySent(link(3), 4900)).toEqual([]);
  });

  it('does not answer one that asks before it serves', () => {
    const started = withHistory(20);
    started.introduce(3);
    started.accept(3, zxid(2, 1), 2);
    started.leader.onLogSearched(link(3), { last: zxid(2, 1), next: zxid(2, 2) }, 0);
    expect(started.hear(3, { kind: 'revalidate', sessionId: 5n as never, timeoutMs: 4000 })).toEqual([]);
  });
});

describe('an established leader', () => {
  it('brings along a follower that is not in its list, and commits nothing for its acknowledgement', () => {
    const { leader, hear, accept } = established();
    hear(9, { kind: 'learnerInfo', learner: server(9), isVoter: true, acceptedEpoch: toEpoch(1) });
    accept(9);
    expect(saidOn(hear(9, { kind: 'ack', zxid: zxid(2, 0) }), 9)).toEqual([{ kind: 'upToDate' }]);
    expect(saidOn(leader.propose(proposal(2, 1)), 9)).toEqual([{ kind: 'proposal', proposal: proposal(2, 1) }]);
    leader.onSynced(zxid(2, 1));
    expect(hear(9, { kind: 'ack', zxid: zxid(2, 1) })).toEqual([]);
    expect(saidOn(hear(2, { kind: 'ack', zxid: zxid(2, 1) }), 9)).toEqual([{ kind: 'commit', zxid: zxid(2, 1) }]);
  });

  it('appends and sends a proposal at once, and commits it only with its own durable log or those of a quorum', () => {
    const { leader, hear } = established();
    const outputs = leader.propose(proposal(2, 1));
    expect(outputs[0]).toEqual({ kind: 'append', proposal: proposal(2, 1) });
    expect(saidOn(outputs, 2)).toEqual([{ kind: 'proposal', proposal: proposal(2, 1) }]);
    expect(hear(2, { kind: 'ack', zxid: zxid(2, 1) })).toEqual([]);
    expect(leader.onSynced(zxid(2, 1))).toEqual([
      { kind: 'send', link: 2, message: { kind: 'commit', zxid: zxid(2, 1) } },
      { kind: 'deliver', proposal: proposal(2, 1) },
    ]);
  });

  it('informs observers when it commits, and proposes nothing to them', () => {
    const started = established();
    joined(started, 4);
    expect(saidOn(started.leader.propose(proposal(2, 1)), 4)).toEqual([]);
    started.leader.onSynced(zxid(2, 1));
    expect(saidOn(started.hear(2, { kind: 'ack', zxid: zxid(2, 1) }), 4)).toEqual([
      { kind: 'inform', proposal: proposal(2, 1) },
    ]);
  });

  it('takes no notice of acknowledgements of observers, of other epochs, and of what was not proposed', () => {
    const started = established();
    joined(started, 4);
    started.leader.propose(proposal(2, 1));
    started.leader.onSynced(zxid(2, 1));
    expect(started.hear(4, { kind: 'ack', zxid: zxid(2, 1) })).toEqual([]);
    expect(started.hear(2, { kind: 'ack', zxid: zxid(1, 1) })).toEqual([]);
    expect(started.hear(2, { kind: 'ack', zxid: zxid(2, 9) })).toEqual([]);
  });

  it('pings every half tick, and gives up when the silence of its followers has lasted syncLimit ticks', () => {
    const { leader } = established();
    expect(leader.nextDeadline()).toBe(50);
    expect(saidOn(leader.onTick(50), 2)).toEqual([{ kind: 'ping', zxid: zxid(2, 0) }]);
    expect(kindsOf(leader.onTick(500))).toEqual(['close', 'abandoned']);
  });

  it('drops a follower that answers pings and acknowledges nothing', () => {
    const { leader, hear } = established();
    leader.propose(proposal(2, 1));
    for (let now = 50; now < 500; now += 50) {
      leader.onTick(now);
      hear(2, { kind: 'pong', zxid: zxid(2, 1), touched: [] }, now);
    }
    expect(kindsOf([...leader.onTick(500), ...leader.onTick(550)])).toContain('abandoned');
  });

  it('gives up when the stream of the last follower it needs has ended, and not before', () => {
    const started = established();
    joined(started, 3);
    expect(started.leader.onLinkClosed(link(2))).toEqual([]);
    expect(kindsOf(started.leader.onLinkClosed(link(3)))).toEqual(['abandoned']);
  });

  it('keeps the new stream of a follower that has come again, and drops the old one', () => {
    const { hear, leader } = established();
    const again = { kind: 'learnerInfo', learner: server(3), isVoter: true, acceptedEpoch: toEpoch(2) } as const;
    hear(3, again);
    expect(hear(13, again).flatMap((output) => (output.kind === 'close' ? [output.link] : []))).toEqual([3]);
    expect([...leader.learners].map((learner) => learner.link)).toEqual([2, 13]);
  });

  it('answers a sync behind what was proposed before it', () => {
    const { leader, hear } = established();
    expect(leader.sync(1)).toEqual([{ kind: 'syncCompleted', id: 1 }]);
    leader.propose(proposal(2, 1));
    expect(leader.sync(2)).toEqual([]);
    leader.onSynced(zxid(2, 1));
    expect(kindsOf(hear(2, { kind: 'ack', zxid: zxid(2, 1) }))).toEqual(['send', 'deliver', 'syncCompleted']);
  });

  it('hands on what learners ask, once they serve', () => {
    const started = established();
    const request = { sessionId: 5n, cxid: 1, type: 1, body: Buffer.alloc(0), identities: [] } as never;
    started.introduce(3);
    expect(started.hear(3, { kind: 'request', request })).toEqual([]);
    expect(started.hear(2, { kind: 'request', request })).toEqual([{ kind: 'ask', link: 2, request }]);
  });

  it('refuses a learner that says what only leaders say', () => {
    expect(kindsOf(established().hear(2, { kind: 'commit', zxid: zxid(2, 1) }))).toContain('close');
  });

  it('proposes nothing before it is established', () => {
    expect(() => synchronizing().leader.propose(proposal(2, 1))).toThrow(InvariantError);
  });
});
