import { type ServerId, toEpoch, toServerId, toZxid } from 'zookeeper-protocol-ts';
import type { Ensemble } from '../ensemble.ts';
import type { Millis } from '../ports.ts';
import { NOTIFICATION_VERSION, type Notification } from './notification.ts';
import { isBetter, isSameVote, type Vote } from './vote.ts';

/** What an election asks for: the vote is to be told to a server, or it is over. */
export type ElectionOutput =
  | { readonly kind: 'notify'; readonly to: ServerId; readonly notification: Notification }
  | { readonly kind: 'elected'; readonly vote: Vote; readonly round: number };

export interface ElectionOptions {
  readonly self: ServerId;
  readonly ensemble: Ensemble;
  readonly timing?: Partial<ElectionTiming>;
}

export interface ElectionTiming {
  /** With a quorum for a vote, a better one is waited for so long (`finalizeWait`), if it can still come. Default: 200 ms. */
  readonly finalWaitMs: Millis;
  /** Nothing heard for so long: tell everybody again (`fastleader.minNotificationInterval`). Doubles each time. Default: 200 ms. */
  readonly repeatMs: Millis;
  /**
   * The longest of these intervals. Default: 5000 ms, where the original has 60 000: whoever was cut off for long, an observer above all,
   * whom nobody asks, is back that soon when it can be.
   */
  readonly repeatMsMax: Millis;
}

const TIMING: ElectionTiming = { finalWaitMs: 200, repeatMs: 200, repeatMsMax: 5000 };

/** A vote that was received: of which round, and from a server that has decided or not. */
interface Received extends Vote {
  readonly round: number;
  readonly state: Notification['state'];
  readonly version: number;
}

/**
 * The election of a leader (`FastLeaderElection.lookForLeader`): each server tells all voters whom it proposes, takes over what
 * is better than its own proposal, and is done when a quorum proposes the same. Then it waits for a better vote, but only while
 * there is somebody who may have one: the original always waits, which is most of what it needs to replace a leader that crashed.
 * A server that comes to an ensemble with a leader is told by the others whom they follow, and joins them.
 *
 * What must always hold: the logical clock (`round`) never goes back, votes of different rounds are never counted together; and
 * nobody joins a leader that has not said itself that it leads. Safety does not rest on this: ZAB's epochs see to that.
 *
 * Lessons of the original: ZOOKEEPER-1818 and 3537 (votes of servers that have decided are compared by leader and epoch only).
 */
export class FastLeaderElection {
  readonly #self: ServerId;
  readonly #ensemble: Ensemble;
  readonly #timing: ElectionTiming;
  #round = 0;
  /** What this server would propose by itself. */
  #initial: Vote = NOBODY;
  #proposal: Vote = NOBODY;
  /** The latest vote of each voter, in this round. Emptied when a round begins. */
  readonly #received = new Map<ServerId, Received>();
  /** The latest votes of those who have decided, of whatever round. */
  readonly #decided = new Map<ServerId, Received>();
  /** Who can't be reached, and has not been heard of since that turned out. Outlives elections. */
  readonly #unreachable = new Set<ServerId>();
  #repeatMs: Millis;
  #repeatAt: Millis = Number.POSITIVE_INFINITY;
  /** A quorum proposes the same, and this is how long a better vote may still come. */
  #finalAt: Millis = Number.POSITIVE_INFINITY;
  #isLooking = false;

  constructor({ self, ensemble, timing }: ElectionOptions) {
    this.#self = self;
    this.#ensemble = ensemble;
    this.#timing = { ...TIMING, ...timing };
    this.#repeatMs = this.#timing.repeatMs;
  }

  /** Which election this server takes part in, or has taken part in last. */
  get round(): number {
    return this.#round;
  }

  /** Whom it proposes now. */
  get proposal(): Vote {
    return this.#proposal;
  }

  nextDeadline(): Millis {
    return this.#isLooking ? Math.min(this.#repeatAt, this.#finalAt) : Number.POSITIVE_INFINITY;
  }

  /**
   * Begins a round.
   * @param candidate what this server's own history is; undefined if it doesn't vote
   */
  start(candidate: Omit<Vote, 'leader'> | undefined, now: Millis): ElectionOutput[] {
    this.#isLooking = true;
    this.#round++;
    this.#received.clear();
    this.#decided.clear();
    this.#initial = candidate === undefined ? NOBODY : { ...candidate, leader: this.#self };
    this.#repeatMs = this.#timing.repeatMs;
    this.#repeatAt = now + this.#repeatMs;
    this.#finalAt = Number.POSITIVE_INFINITY;
    return [...this.#propose(this.#initial), ...this.#decide(now)];
  }

  stop(): void {
    this.#isLooking = false;
  }

  onDeadline(now: Millis): ElectionOutput[] {
    if (!this.#isLooking) return [];
    if (now >= this.#finalAt) return this.#elect(this.#proposal);
    if (now < this.#repeatAt) return [];
    this.#repeatMs = Math.min(this.#repeatMs * 2, this.#timing.repeatMsMax);
    this.#repeatAt = now + this.#repeatMs;
    return this.#tellAll();
  }

  /** A connection to this server has ended, or can't be made: no vote is waited for that it may have. */
  onUnreachable(server: ServerId, now: Millis): ElectionOutput[] {
    this.#unreachable.add(server);
    return this.#isLooking ? this.#decide(now) : [];
  }

  /** This server is there, whatever it says. */
  onHeard(server: ServerId): void {
    this.#unreachable.delete(server);
  }

  onNotification(from: ServerId, notification: Notification, now: Millis): ElectionOutput[] {
    if (!this.#isLooking || !this.#ensemble.isVoter(from) || !this.#ensemble.isVoter(notification.leader)) return [];
    this.#repeatAt = now + this.#repeatMs;
    switch (notification.state) {
      case 'LOOKING':
        return this.#onLooking(from, notification, now);
      case 'FOLLOWING':
      case 'LEADING':
        return this.#onDecided(from, notification);
      case 'OBSERVING':
        return [];
    }
  }

  /** What to tell somebody who asks: this server's proposal. */
  tell(to: ServerId): ElectionOutput {
    const { leader, zxid, peerEpoch } = this.#proposal;
    const configuration = this.#ensemble.text;
    return {
      kind: 'notify',
      to,
      notification: {
        state: 'LOOKING',
        leader,
        zxid,
        peerEpoch,
        round: this.#round,
        version: NOTIFICATION_VERSION,
        configuration,
      },
    };
  }

  #onLooking(from: ServerId, notification: Notification, now: Millis): ElectionOutput[] {
    const outputs: ElectionOutput[] = [];
    if (notification.round > this.#round) {
      this.#round = notification.round;
      this.#received.clear();
      outputs.push(...this.#propose(this.#better(notification, this.#initial)));
    } else if (notification.round < this.#round) {
      return [this.tell(from)];
    } else if (isBetter(notification, this.#proposal, this.#weightOf)) {
      outputs.push(...this.#propose(notification));
    }
    this.#received.set(from, notification);
    return [...outputs, ...this.#decide(now)];
  }

  /** Over when a quorum proposes the same: at once if nobody is left who may know better, or else in a while. */
  #decide(now: Millis): ElectionOutput[] {
    const isAgreed = this.#ensemble.hasQuorum((voter) => this.#proposes(voter));
    if (isAgreed && !this.#ensemble.voters.some((voter) => this.#mayKnowBetter(voter))) {
      return this.#elect(this.#proposal);
    }
    this.#finalAt = isAgreed ? Math.min(this.#finalAt, now + this.#timing.finalWaitMs) : Number.POSITIVE_INFINITY;
    return [];
  }

  /** Whether it has not voted in this round, and can be reached as far as anybody knows. */
  #mayKnowBetter(voter: ServerId): boolean {
    if (voter === this.#self || this.#unreachable.has(voter)) return false;
    return this.#received.get(voter)?.round !== this.#round;
  }

  /** Somebody has a leader. This server joins when a quorum says so, and that leader too. */
  #onDecided(from: ServerId, notification: Notification): ElectionOutput[] {
    if (notification.round === this.#round) {
      this.#received.set(from, notification);
      if (this.#isElected(notification, this.#received)) return this.#elect(notification);
    }
    this.#decided.set(from, notification);
    if (!this.#isElected(notification, this.#decided)) return [];
    this.#round = notification.round;
    return this.#elect(notification);
  }

  #isElected(vote: Notification, votes: ReadonlyMap<ServerId, Received>): boolean {
    const isAgreed = this.#ensemble.hasQuorum((voter) => {
      const other = votes.get(voter);
      return other !== undefined && isSameDecision(vote, other);
    });
    if (!isAgreed) return false;
    if (vote.leader === this.#self) return vote.round === this.#round;
    return votes.get(vote.leader)?.state === 'LEADING';
  }

  #proposes(voter: ServerId): boolean {
    if (voter === this.#self) return true;
    const vote = this.#received.get(voter);
    return vote?.round === this.#round && isSameVote(vote, this.#proposal);
  }

  #better(a: Vote, b: Vote): Vote {
    return isBetter(a, b, this.#weightOf) ? a : b;
  }

  #propose({ leader, zxid, peerEpoch }: Vote): ElectionOutput[] {
    this.#proposal = { leader, zxid, peerEpoch };
    this.#finalAt = Number.POSITIVE_INFINITY;
    return this.#tellAll();
  }

  #tellAll(): ElectionOutput[] {
    return this.#ensemble.voters.filter((voter) => voter !== this.#self).map((voter) => this.tell(voter));
  }

  #elect({ leader, zxid, peerEpoch }: Vote): ElectionOutput[] {
    this.#isLooking = false;
    return [{ kind: 'elected', vote: { leader, zxid, peerEpoch }, round: this.#round }];
  }

  readonly #weightOf = (server: ServerId): number => this.#ensemble.weightOf(server);
}

/** Those who have decided agree if they follow the same leader in the same epoch; the oldest know no epochs. */
function isSameDecision(a: Received, b: Received): boolean {
  if (a.state === 'LOOKING' || b.state === 'LOOKING') return isSameVote(a, b) && a.round === b.round;
  if (a.leader !== b.leader) return false;
  const isOneOld = (a.version === 0) !== (b.version === 0);
  return isOneOld || a.peerEpoch === b.peerEpoch;
}

const LONG_MIN = -(2 ** 63);

/** The proposal of those who don't vote. */
const NOBODY: Vote = { leader: toServerId(LONG_MIN), zxid: toZxid(-(1n << 63n)), peerEpoch: toEpoch(LONG_MIN) };
