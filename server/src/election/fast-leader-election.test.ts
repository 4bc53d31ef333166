import { describe, expect, it } from 'vitest';
import { type ServerId, toEpoch, toServerId, toZxid } from 'zookeeper-protocol-ts';
import { Ensemble, type Member } from '../ensemble.ts';
import { type ElectionOutput, FastLeaderElection } from './fast-leader-election.ts';
import { NOTIFICATION_VERSION, type Notification } from './notification.ts';
import { isBetter, type Vote } from './vote.ts';

const address = { host: 'localhost', port: 1 };
const memberOf = (id: number, type: Member['type']): Member => ({
  ...{ id: toServerId(id), type, quorumAddress: address, electionAddress: address },
});

/** Voters 1 to `voters`, and an observer 9. */
const ensembleOf = (voters: number): Ensemble =>
  new Ensemble({
    members: [...Array.from({ length: voters }, (_, i) => memberOf(i + 1, 'participant')), memberOf(9, 'observer')],
  });

const voteFor = (leader: number, zxid = 0n, peerEpoch = 0): Vote => ({
  ...{ leader: toServerId(leader), zxid: toZxid(zxid), peerEpoch: toEpoch(peerEpoch) },
});

const says = (vote: Vote, changes: Partial<Notification> = {}): Notification => ({
  ...{ ...vote, state: 'LOOKING', round: 1, version: NOTIFICATION_VERSION, configuration: '' },
  ...changes,
});

/** Server 1 looks for a leader since time 0. */
function looking(voters = 3) {
  const election = new FastLeaderElection({ self: toServerId(1), ensemble: ensembleOf(voters) });
  const started = election.start({ zxid: toZxid(0n), peerEpoch: toEpoch(0) }, 0);
  const hear = (from: number, notification: Notification, now = 0): ElectionOutput[] =>
    election.onNotification(toServerId(from), notification, now);
  return { election, started, hear };
}

const told = (outputs: readonly ElectionOutput[]): [ServerId, ServerId, number][] =>
  outputs.flatMap((output) =>
    output.kind === 'notify' ? [[output.to, output.notification.leader, output.notification.round]] : [],
  );

const elected = (outputs: readonly ElectionOutput[]): ServerId | undefined =>
  outputs.flatMap((output) => (output.kind === 'elected' ? [output.vote.leader] : []))[0];

describe('the order of votes', () => {
  const weightOf = (id: ServerId): number => (id === 7 ? 0 : 1);

  it.each([
    ['the later epoch', voteFor(1, 1n, 2), voteFor(3, 9n, 1)],
    ['in one epoch the longer history', voteFor(1, 2n, 1), voteFor(3, 1n, 1)],
    ['of equals the larger id', voteFor(3, 1n, 1), voteFor(1, 1n, 1)],
  ])('prefers %s', (_, better, worse) => {
    expect(isBetter(better, worse, weightOf)).toBe(true);
    expect(isBetter(worse, better, weightOf)).toBe(false);
  });

  it('never prefers a server that must not lead', () => {
    expect(isBetter(voteFor(7, 9n, 9), voteFor(1), weightOf)).toBe(false);
  });
});

describe('a server that looks for a leader', () => {
  it('begins a new round, and tells every other voter that it proposes itself', () => {
    const { started } = looking();
    expect(told(started)).toEqual([
      [2, 1, 1],
      [3, 1, 1],
    ]);
  });

  it('takes over a better proposal, and tells everybody', () => {
    expect(told(looking().hear(3, says(voteFor(3))))).toEqual([
      [2, 3, 1],
      [3, 3, 1],
    ]);
  });

  it('keeps its own proposal against a worse one', () => {
    const { election, hear } = looking();
    election.start({ zxid: toZxid(5n), peerEpoch: toEpoch(0) }, 0);
    expect(hear(3, says(voteFor(3), { round: 2 }))).toEqual([]);
    expect(election.proposal.leader).toBe(1);
  });

  it('is done 200 ms after a quorum has agreed', () => {
    const { election, hear } = looking();
    hear(3, says(voteFor(3)), 10);
    expect(election.nextDeadline()).toBe(210);
    expect(election.onDeadline(209)).toEqual([]);
    expect(elected(election.onDeadline(210))).toBe(3);
    expect(election.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });

  it('takes a better vote that comes within these 200 ms', () => {
    const { election, hear } = looking(5);
    hear(2, says(voteFor(2)), 0);
    hear(3, says(voteFor(2)), 0);
    hear(4, says(voteFor(4)), 100);
    expect(elected(election.onDeadline(200))).toBe(undefined);
    hear(2, says(voteFor(4)), 210);
    expect(election.nextDeadline()).toBe(410);
    expect(elected(election.onDeadline(410))).toBe(4);
  });

  it('is done at once when all voters have voted in this round', () => {
    const { hear } = looking(5);
    for (const from of [2, 3, 4]) expect(elected(hear(from, says(voteFor(5))))).toBe(undefined);
    expect(elected(hear(5, says(voteFor(5))))).toBe(5);
  });

  it('waits for nobody who can not be reached', () => {
    const { election, hear } = looking();
    expect(election.onUnreachable(toServerId(3), 0)).toEqual([]);
    expect(elected(hear(2, says(voteFor(2))))).toBe(2);
  });

  it('is done as soon as it turns out that the last one can not be reached', () => {
    const { election, hear } = looking();
    hear(2, says(voteFor(2)), 0);
    expect(elected(election.onUnreachable(toServerId(3), 50))).toBe(2);
    expect(election.onUnreachable(toServerId(3), 60)).toEqual([]);
  });

  it('remembers from one election to the next who can not be reached, until it is heard of', () => {
    const { election, hear } = looking();
    election.onUnreachable(toServerId(3), 0);
    election.onUnreachable(toServerId(2), 0);
    expect(elected(hear(2, says(voteFor(2))))).toBe(2);
    election.start({ zxid: toZxid(0n), peerEpoch: toEpoch(0) }, 1000);
    election.onHeard(toServerId(3));
    expect(elected(hear(2, says(voteFor(2), { round: 2 }), 1000))).toBe(undefined);
    expect(election.nextDeadline()).toBe(1200);
  });

  it('does not take a vote of an earlier round for one of this', () => {
    const { election, hear } = looking();
    hear(3, says(voteFor(3)));
    election.start({ zxid: toZxid(0n), peerEpoch: toEpoch(0) }, 0);
    hear(3, says(voteFor(3)));
    expect(elected(hear(2, says(voteFor(2), { round: 2 })))).toBe(undefined);
  });

  it('joins a later round with its own proposal or a better one, and forgets the votes of the one before', () => {
    const { election, hear } = looking(5);
    hear(2, says(voteFor(5)));
    expect(told(hear(3, says(voteFor(3), { round: 4 })))[0]).toEqual([2, 3, 4]);
    expect(election.round).toBe(4);
    hear(4, says(voteFor(5), { round: 4 }));
    expect(elected(election.onDeadline(1000))).toBe(undefined);
  });

  it('answers a vote of an earlier round, and does not count it', () => {
    const { election, hear } = looking();
    election.start({ zxid: toZxid(0n), peerEpoch: toEpoch(0) }, 0);
    expect(told(hear(3, says(voteFor(3), { round: 1 })))).toEqual([[3, 1, 2]]);
    expect(election.proposal.leader).toBe(1);
  });

  it('counts no vote of or for a server that does not vote', () => {
    const { hear, election } = looking();
    expect(hear(9, says(voteFor(3)))).toEqual([]);
    expect(hear(2, says(voteFor(9, 99n)))).toEqual([]);
    expect(hear(2, says(voteFor(3), { state: 'OBSERVING' }))).toEqual([]);
    expect(election.proposal.leader).toBe(1);
  });

  it('tells everybody again when it hears nothing, after twice the time each time, up to five seconds', () => {
    const { election } = looking();
    let at = election.nextDeadline();
    expect(at).toBe(200);
    const waits: number[] = [];
    for (let i = 0; i < 10; i++) {
      expect(told(election.onDeadline(at))).toHaveLength(2);
      waits.push(election.nextDeadline() - at);
      at = election.nextDeadline();
    }
    expect(waits.slice(0, 3)).toEqual([400, 800, 1600]);
    expect(waits.at(-1)).toBe(5000);
  });

  it('elects itself when it is a quorum alone', () => {
    expect(elected(looking(1).started)).toBe(1);
  });
});

describe('a server that comes to an ensemble with a leader', () => {
  const decided = (state: Notification['state'], changes: Partial<Notification> = {}) =>
    says(voteFor(3, 5n, 7), { state, round: 6, ...changes });

  it('joins the leader that a quorum follows, when that one says that it leads', () => {
    const { election, hear } = looking();
    expect(hear(2, decided('FOLLOWING'))).toEqual([]);
    expect(elected(hear(3, decided('LEADING')))).toBe(3);
    expect(election.round).toBe(6);
  });

  it('does not join a leader that has not said so itself', () => {
    const { hear } = looking(5);
    for (const from of [2, 4, 5]) expect(hear(from, decided('FOLLOWING'))).toEqual([]);
  });

  it('takes votes with other zxids and rounds as the same decision (ZOOKEEPER-1818)', () => {
    const { hear } = looking();
    hear(2, decided('FOLLOWING', { zxid: toZxid(1n), round: 3 }));
    expect(elected(hear(3, decided('LEADING')))).toBe(3);
  });

  it('does not count votes of different epochs together', () => {
    const { hear } = looking();
    hear(2, decided('FOLLOWING', { peerEpoch: toEpoch(6) }));
    expect(elected(hear(3, decided('LEADING')))).toBe(undefined);
  });

  it('compares the leader alone where one of two is too old to know epochs', () => {
    const { hear } = looking();
    hear(2, decided('FOLLOWING', { peerEpoch: toEpoch(6), version: 0 }));
    expect(elected(hear(3, decided('LEADING')))).toBe(3);
  });

  it('does not believe others that it leads itself, in another round', () => {
    const { hear } = looking();
    const mine = says(voteFor(1, 5n, 7), { state: 'FOLLOWING', round: 6 });
    hear(2, mine);
    expect(elected(hear(3, mine))).toBe(undefined);
  });

  it('votes for nobody if it is an observer, and joins all the same', () => {
    const observer = new FastLeaderElection({ self: toServerId(9), ensemble: ensembleOf(3) });
    const [first] = observer.start(undefined, 0);
    expect(first).toMatchObject({ notification: { zxid: -(1n << 63n) } });
    observer.onNotification(toServerId(2), decided('FOLLOWING'), 0);
    expect(elected(observer.onNotification(toServerId(3), decided('LEADING'), 0))).toBe(3);
  });
});
