/** How a server gets from one role to the next: what comes too early, what it answers while it is brought up to date, and how it rests. */
import { describe, expect, it } from 'vitest';
import { makeZxid, type ServerId, toEpoch, toServerId, toZxid } from 'zookeeper-protocol-ts';
import { NOTIFICATION_VERSION, type Notification } from './election/notification.ts';
import { Ensemble, type Member } from './ensemble.ts';
import { type Output, QuorumPeer } from './quorum-peer.ts';
import type { LinkId } from './zab/contract.ts';
import type { QuorumMessage } from './zab/messages.ts';

const [ONE, TWO, THREE] = [toServerId(1), toServerId(2), toServerId(3)];
const TICK_MS = 1000;

const memberOf = (id: ServerId): Member => ({
  id,
  type: 'participant',
  quorumAddress: { host: `s${id}`, port: 2888 },
  electionAddress: { host: `s${id}`, port: 3888 },
});

const ensemble = new Ensemble({ members: [ONE, TWO, THREE].map(memberOf) });

/** A server that looks for a leader since time 0, in an ensemble that has no history. */
function looking(self: ServerId, { acceptedEpoch = 0 } = {}): QuorumPeer {
  const epochs = { accepted: toEpoch(acceptedEpoch), current: toEpoch(0) };
  const timing = { tickTimeMs: TICK_MS, initLimit: 10, syncLimit: 5 };
  const peer = new QuorumPeer({ self, ensemble, lastZxid: toZxid(0n), commitLogCount: 500, epochs, timing });
  peer.start(0);
  return peer;
}

/** Somebody votes for a leader, or follows one. */
const vote = (leader: ServerId, state: Notification['state'] = 'LOOKING', peerEpoch = 0): Notification => ({
  ...{ leader, state, round: 1, version: NOTIFICATION_VERSION, configuration: '' },
  ...{ zxid: toZxid(0n), peerEpoch: toEpoch(peerEpoch) },
});

const link = (number: number): LinkId => number as LinkId; // made here as the streams make them
const kindsOf = (outputs: readonly Output[]): string[] => outputs.map(({ kind }) => kind);
const learnerInfo: QuorumMessage = { kind: 'learnerInfo', learner: TWO, isVoter: true, acceptedEpoch: toEpoch(0) };

/** The election ends when no better vote has come for a while. @returns when that is, and what it does then */
function endElection(peer: QuorumPeer): { now: number; outputs: Output[] } {
  const now = peer.nextDeadline();
  return { now, outputs: peer.step({ kind: 'tick' }, now) };
}

/** Lets it follow server 3, up to where the connection is made. @returns the link */
function dial(peer: QuorumPeer, now: number): LinkId {
  peer.step({ kind: 'notification', from: THREE, notification: vote(THREE, 'LEADING', 1) }, now);
  const outputs = peer.step({ kind: 'notification', from: TWO, notification: vote(THREE, 'FOLLOWING', 1) }, now);
  const dialled = outputs.find((output) => output.kind === 'dial');
  if (dialled === undefined) throw new Error('it follows');
  peer.step({ kind: 'linkOpened', link: dialled.link }, now);
  return dialled.link;
}

describe('a follower that comes before this server knows that it leads', () => {
  it('waits, and is counted as soon as this server has been elected by its own count', () => {
    const peer = looking(THREE);
    peer.step({ kind: 'notification', from: TWO, notification: vote(THREE) }, 10);
    expect(peer.step({ kind: 'message', link: link(7), message: learnerInfo }, 20)).toEqual([]);
    // With itself and the follower there is a quorum for a new epoch at once.
    expect(endElection(peer).outputs).toEqual([{ kind: 'saveEpoch', which: 'accepted', epoch: 1 }]);
  });

  it('is refused when another one has been elected', () => {
    const peer = looking(TWO);
    peer.step({ kind: 'message', link: link(7), message: { ...learnerInfo, learner: ONE } }, 20);
    peer.step({ kind: 'notification', from: THREE, notification: vote(THREE) }, 30);
    const { outputs } = endElection(peer);
    expect(outputs).toContainEqual({ kind: 'close', link: 7, reason: 'this server does not lead' });
    expect(kindsOf(outputs)).toEqual(['close', 'dial']);
  });

  it('is forgotten when it goes', () => {
    const peer = looking(THREE);
    peer.step({ kind: 'notification', from: TWO, notification: vote(THREE) }, 10);
    peer.step({ kind: 'message', link: link(7), message: learnerInfo }, 20);
    peer.step({ kind: 'linkClosed', link: link(7) }, 30);
    expect(endElection(peer).outputs).toEqual([]);
  });
});

describe('a ping', () => {
  it('is not answered before NEWLEADER is acknowledged: a leader of 3.8 drops the learner whose next word is not that', () => {
    const peer = looking(ONE);
    const toLeader = dial(peer, 10);
    const hear = (message: QuorumMessage): Output[] => peer.step({ kind: 'message', link: toLeader, message }, 20);
    const ping: QuorumMessage = { kind: 'ping', zxid: toZxid(0n) };
    const epoch = toEpoch(1);
    hear({ kind: 'leaderInfo', epoch });
    peer.step({ kind: 'epochSaved', which: 'accepted', epoch }, 30);
    expect(hear(ping)).toEqual([]);
    hear({ kind: 'diff', zxid: toZxid(0n) });
    expect(hear(ping)).toEqual([]);
    hear({ kind: 'newLeader', epoch, configuration: '' });
    expect(hear(ping)).toEqual([]);
    const acknowledged = peer.step({ kind: 'epochSaved', which: 'current', epoch }, 40);
    expect(acknowledged).toEqual([
      { kind: 'send', link: toLeader, message: { kind: 'ack', zxid: makeZxid(epoch, 0) } },
    ]);
    expect(hear(ping)).toEqual([{ kind: 'pong', link: toLeader, zxid: 0n }]);
  });
});

describe('a server that no leader can do anything with', () => {
  /** Comes to a leader of an epoch that it can't accept, so often. @returns how long it rested after each time */
  function refuse(peer: QuorumPeer, times: number): number[] {
    const rests: number[] = [];
    let now = 0;
    for (let i = 0; i < times; i++) {
      const toLeader = dial(peer, now);
      const outputs = peer.step(
        { kind: 'message', link: toLeader, message: { kind: 'leaderInfo', epoch: toEpoch(1) } },
        now,
      );
      expect(kindsOf(outputs)).toContain('roleChanged');
      const isLooking = kindsOf(outputs).includes('notify');
      const until = isLooking ? now : peer.nextDeadline();
      if (!isLooking) expect(kindsOf(peer.step({ kind: 'tick' }, until))).toContain('notify');
      rests.push(until - now);
      now = until;
    }
    return rests;
  }

  it('looks again at once for a few times, then rests longer and longer, for a tick at the most', () => {
    expect(refuse(looking(ONE, { acceptedEpoch: 9 }), 10)).toEqual([0, 0, 0, 50, 100, 200, 400, 800, TICK_MS, TICK_MS]);
  });

  it('hears meanwhile what the others say', () => {
    const peer = looking(ONE, { acceptedEpoch: 9 });
    refuse(peer, 3);
    const toLeader = dial(peer, 0);
    peer.step({ kind: 'message', link: toLeader, message: { kind: 'leaderInfo', epoch: toEpoch(1) } }, 0);
    peer.step({ kind: 'notification', from: THREE, notification: vote(THREE, 'LEADING', 10) }, 10);
    peer.step({ kind: 'notification', from: TWO, notification: vote(THREE, 'FOLLOWING', 10) }, 20);
    expect(kindsOf(peer.step({ kind: 'tick' }, 50))).toContain('dial');
  });
});
