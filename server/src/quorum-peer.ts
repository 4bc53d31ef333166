import type { ServerId, Zxid } from 'zookeeper-protocol-ts';
import { type ElectionOutput, FastLeaderElection } from './election/fast-leader-election.ts';
import { NOTIFICATION_VERSION, type Notification } from './election/notification.ts';
import type { Vote } from './election/vote.ts';
import type { Ensemble } from './ensemble.ts';
import { assert, assertNever } from './invariant.ts';
import type { Millis } from './ports.ts';
import { Broadcast } from './zab/broadcast.ts';
import type { EpochKind, LinkId, Input as ZabInput, Output as ZabOutput, ZabState } from './zab/contract.ts';
import { History } from './zab/history.ts';
import { type Epochs, Leader, type ZabTiming } from './zab/leader.ts';
import { Learner } from './zab/learner.ts';
import type { QuorumMessage } from './zab/messages.ts';
import type { Proposal } from './zab/proposal.ts';

/** What a server is at the moment; the words are those that `srvr` prints. Undefined: it serves nobody. */
export type Role = 'standalone' | 'leader' | 'follower' | 'observer';

export type Input =
  | ZabInput
  | { readonly kind: 'notification'; readonly from: ServerId; readonly notification: Notification }
  /** The connection for elections with this server has ended, or can't be made. */
  | { readonly kind: 'unreachable'; readonly server: ServerId };

export type Output =
  | Exclude<ZabOutput, { readonly kind: 'established' | 'abandoned' }>
  | Extract<ElectionOutput, { readonly kind: 'notify' }>
  /** From now on it serves as this; undefined: it stops serving, for it looks for a leader. */
  | { readonly kind: 'roleChanged'; readonly role: Role | undefined; readonly reason: string };

export interface QuorumPeerOptions {
  readonly self: ServerId;
  readonly ensemble: Ensemble;
  /** Where the recovered history ends. */
  readonly lastZxid: Zxid;
  /** The last proposals of it, for learners that lack them. Default: none. */
  readonly recent?: readonly Proposal[];
  /** How many of them are kept. Not used by a server alone. */
  readonly commitLogCount: number;
  /** As they are on the disk. Not used by a server alone. */
  readonly epochs: Epochs;
  readonly timing: ZabTiming;
  /** The last counter of an epoch, see `leader.ts`. */
  readonly counterMax?: number | undefined;
}

/** An election may go wrong a few times, and is held again at once; who is refused for good must not keep the others busy. */
const FAILURES_AT_ONCE = 3;
/** Then it rests, twice as long each time, for a tick at the most. */
const REST_MS_MIN = 50;

/** What a role wants that its server's state hangs on. */
const CONCERNS_PEER: ReadonlySet<ZabOutput['kind']> = new Set([
  ...(['saveEpoch', 'truncate', 'receiveSnapshot', 'established', 'abandoned'] as const),
]);

const NOT_LEADING = 'this server does not lead';

/**
 * - `alone`: the only voter of an ensemble that needs no election.
 * - `settling`: the disk is still busy with what an earlier role wanted: until that is done nobody knows what there is to vote with.
 *   And a server that was refused again and again rests: `until`.
 * - `looking`
 * - `leading`, `learning`: elected, from discovery on.
 */
type Status =
  | { readonly kind: 'new' }
  | { readonly kind: 'alone'; readonly broadcast: Broadcast }
  | { readonly kind: 'settling'; readonly until: Millis }
  | { readonly kind: 'looking' }
  | { readonly kind: 'leading'; readonly leader: Leader; readonly vote: Vote }
  | { readonly kind: 'learning'; readonly learner: Learner; readonly vote: Vote };

/**
 * Agreement as a state machine: inputs in, outputs out, no clock, socket, file or randomness inside. A server looks for a leader,
 * leads or follows, and looks again when that ends (`QuorumPeer.run`). An ensemble of one needs no votes: it leads from the start,
 * on the history that it recovered, and its epoch stays that of its log.
 */
export class QuorumPeer {
  readonly #self: ServerId;
  readonly #ensemble: Ensemble;
  readonly #timing: ZabTiming;
  readonly #counterMax: number | undefined;
  readonly #history: History;
  readonly #election: FastLeaderElection;
  #epochs: Epochs;
  #status: Status = { kind: 'new' };
  /**
   * Who has come to this server as its leader before it has been elected by its own count: an election ends at each server in its
   * own time. Emptied when it has a leader. (The original doesn't listen before it leads, and is dialled again.)
   */
  readonly #early = new Map<LinkId, QuorumMessage>();
  /** What the other members have told last while this server was settling. Emptied when it looks. */
  readonly #unread = new Map<ServerId, Notification>();
  /** Epochs being written, and changes of the history under way: agreement waits for them before it begins anew. */
  #writes = 0;
  /** Roles in a row that have ended before anybody was served. */
  #failures = 0;
  #nextLink = 1;

  constructor({
    self,
    ensemble,
    lastZxid,
    recent = [],
    commitLogCount,
    epochs,
    timing,
    counterMax,
  }: QuorumPeerOptions) {
    this.#self = self;
    this.#counterMax = counterMax;
    this.#ensemble = ensemble;
    this.#timing = timing;
    this.#epochs = epochs;
    const recentMax = ensemble.isAlone ? 0 : commitLogCount;
    this.#history = new History(lastZxid, { recentMax, recent });
    this.#election = new FastLeaderElection({ self, ensemble });
  }

  get role(): Role | undefined {
    switch (this.#status.kind) {
      case 'alone':
        return 'standalone';
      case 'leading':
        return this.#status.leader.isEstablished ? 'leader' : undefined;
      case 'learning':
        if (!this.#status.learner.isEstablished) return undefined;
        return this.#isVoter ? 'follower' : 'observer';
      default:
        return undefined;
    }
  }

  get epochs(): Epochs {
    return this.#epochs;
  }

  get zabState(): ZabState {
    switch (this.#status.kind) {
      case 'alone':
        return 'broadcast';
      case 'leading':
        return this.#status.leader.zabState;
      case 'learning':
        return this.#status.learner.zabState;
      default:
        return 'election';
    }
  }

  /** The zxid that the next proposal must have. Only of who leads. */
  get nextZxid(): Zxid {
    const status = this.#status;
    if (status.kind === 'alone') return status.broadcast.nextZxid;
    assert(status.kind === 'leading', 'ZAB-1: only a leader proposes');
    return status.leader.nextZxid;
  }

  /** Of an established leader or learner. */
  get leader(): ServerId | undefined {
    if (this.#status.kind === 'leading') return this.#self;
    return this.#status.kind === 'learning' ? this.#status.learner.leader : undefined;
  }

  /** Who follows and observes this server, and how many syncs wait; undefined of who doesn't lead. */
  get reign(): Pick<Leader, 'learners' | 'pendingSyncs'> | undefined {
    return this.#status.kind === 'leading' ? this.#status.leader : undefined;
  }

  /** A number for a stream that came, or will be made. */
  nextLink(): LinkId {
    return this.#nextLink++ as LinkId;
  }

  nextDeadline(): Millis {
    switch (this.#status.kind) {
      case 'settling':
        return this.#isDiskBusy ? Number.POSITIVE_INFINITY : this.#status.until;
      case 'looking':
        return this.#election.nextDeadline();
      case 'leading':
        return this.#status.leader.nextDeadline();
      case 'learning':
        return this.#status.learner.nextDeadline();
      default:
        return Number.POSITIVE_INFINITY;
    }
  }

  /** A server that is an ensemble by itself leads at once; others look for a leader. */
  start(now: Millis): Output[] {
    assert(this.#status.kind === 'new', 'ZAB-1: agreement is started once');
    if (this.#ensemble.isAlone) {
      const broadcast = new Broadcast({
        ensemble: this.#ensemble,
        history: this.#history,
        lastZxid: this.#history.lastLogged,
      });
      this.#status = { kind: 'alone', broadcast };
      return [{ kind: 'roleChanged', role: 'standalone', reason: 'it is alone' }];
    }
    return this.#look(now);
  }

  step(input: Input, now: Millis): Output[] {
    switch (input.kind) {
      case 'propose':
        return this.#propose(input.proposal, now);
      case 'sync':
        return this.#sync(input.id);
      case 'synced':
        this.#history.onSynced(input.zxid);
        return this.#onSynced(input.zxid, now);
      case 'notification':
        this.#election.onHeard(input.from);
        return this.#onNotification(input.from, input.notification, now);
      case 'unreachable':
        return this.#elect(this.#election.onUnreachable(input.server, now), now);
      case 'epochSaved':
        this.#epochs = { ...this.#epochs, [input.which]: input.epoch };
        this.#writes--;
        return this.#onEpochSaved(input.which, now);
      case 'truncated':
        this.#history.truncate(input.zxid);
        return this.#onHistoryChanged(now);
      case 'snapshotInstalled':
        this.#history.replace(input.zxid);
        return this.#onHistoryChanged(now);
      case 'snapshotLost':
        this.#writes--;
        return this.#settle(now);
      case 'tick':
        return this.#onTick(now);
      case 'message':
        return this.#onMessage(input.link, input.message, now);
      case 'heard':
        if (this.#status.kind === 'learning') this.#status.learner.onHeard(input.link, now);
        if (this.#status.kind === 'leading') this.#status.leader.onHeard(input.link, now);
        return [];
      case 'snapshotReceived':
        if (this.#status.kind === 'learning') this.#status.learner.onSnapshotReceived(input.link);
        return [];
      case 'logSearched':
        if (this.#status.kind !== 'leading') return [];
        return this.#follow(this.#status.leader.onLogSearched(input.link, input.place, now), now);
      case 'historySent':
        if (this.#status.kind !== 'leading') return [];
        return this.#follow(this.#status.leader.onHistorySent(input.link, now), now);
      case 'linkOpened':
        if (this.#status.kind === 'learning')
          return this.#follow(this.#status.learner.onLinkOpened(input.link, now), now);
        return [{ kind: 'close', link: input.link, reason: 'not needed any more' }];
      case 'linkClosed':
        if (this.#status.kind === 'learning')
          return this.#follow(this.#status.learner.onLinkClosed(input.link, now), now);
        this.#early.delete(input.link);
        if (this.#status.kind === 'leading') return this.#follow(this.#status.leader.onLinkClosed(input.link), now);
        return [];
      default:
        return assertNever(input);
    }
  }

  /** Sends the leader what a learner's clients want of it; nothing while there is none. */
  toLeader(message: QuorumMessage): Output[] {
    if (this.#status.kind !== 'learning') return [];
    return this.#status.learner.send(message) as Output[]; // sends only
  }

  get #isVoter(): boolean {
    return this.#ensemble.isVoter(this.#self);
  }

  #propose(proposal: Proposal, now: Millis): Output[] {
    const status = this.#status;
    if (status.kind === 'alone') {
      status.broadcast.propose(proposal);
      return [{ kind: 'append', proposal }];
    }
    assert(status.kind === 'leading', 'ZAB-1: only a leader proposes');
    return this.#follow(status.leader.propose(proposal), now);
  }

  #sync(id: number): Output[] {
    const status = this.#status;
    if (status.kind === 'leading') return status.leader.sync(id) as Output[]; // completions only
    assert(status.kind === 'alone', 'ZAB-1: only a leader syncs');
    return status.broadcast.sync(id);
  }

  #onSynced(zxid: Zxid, now: Millis): Output[] {
    const status = this.#status;
    switch (status.kind) {
      case 'alone':
        return status.broadcast.onAck(this.#self, zxid);
      case 'leading':
        return this.#follow(status.leader.onSynced(zxid), now);
      case 'learning':
        return this.#follow(status.learner.onSynced(), now);
      default:
        return this.#settle(now);
    }
  }

  #onEpochSaved(which: EpochKind, now: Millis): Output[] {
    const status = this.#status;
    if (status.kind === 'leading') return this.#follow(status.leader.onEpochSaved(which), now);
    if (status.kind === 'learning') return this.#follow(status.learner.onEpochSaved(which), now);
    return this.#settle(now);
  }

  #onHistoryChanged(now: Millis): Output[] {
    this.#writes--;
    const status = this.#status;
    if (status.kind !== 'learning') return this.#settle(now);
    status.learner.onHistoryChanged(now);
    return [];
  }

  #onTick(now: Millis): Output[] {
    const status = this.#status;
    switch (status.kind) {
      case 'settling':
        return this.#settle(now);
      case 'looking':
        return this.#elect(this.#election.onDeadline(now), now);
      case 'leading':
        return this.#follow(status.leader.onTick(now), now);
      case 'learning':
        return this.#follow(
          status.learner.onTick(now, () => this.nextLink()),
          now,
        );
      default:
        return [];
    }
  }

  #onMessage(link: LinkId, message: QuorumMessage, now: Millis): Output[] {
    const status = this.#status;
    if (status.kind === 'leading') return this.#follow(status.leader.onMessage(link, message, now), now);
    if (status.kind === 'learning' && link === status.learner.link) {
      return this.#follow(status.learner.onMessage(link, message, now), now);
    }
    if (status.kind === 'looking' && message.kind === 'learnerInfo' && !this.#early.has(link)) {
      this.#early.set(link, message);
      return [];
    }
    this.#early.delete(link);
    return [{ kind: 'close', link, reason: NOT_LEADING }];
  }

  // --- election -----------------------------------------------------------------------------------------------------

  #onNotification(from: ServerId, notification: Notification, now: Millis): Output[] {
    const status = this.#status;
    if (status.kind === 'looking') {
      // Who doesn't vote asks only.
      if (!this.#ensemble.isVoter(from)) return [this.#election.tell(from)] as Output[];
      return this.#elect(this.#election.onNotification(from, notification, now), now);
    }
    if (status.kind === 'settling' && this.#ensemble.member(from) !== undefined) this.#unread.set(from, notification);
    if (status.kind !== 'leading' && status.kind !== 'learning') return [];
    if (this.#ensemble.isVoter(from) && notification.state !== 'LOOKING') return [];
    return [{ kind: 'notify', to: from, notification: this.#currentVote(status) }];
  }

  /** For those who look for a leader: whom this server follows, and in which epoch. */
  #currentVote(status: Extract<Status, { readonly vote: Vote }>): Notification {
    const role = status.kind === 'leading' ? status.leader : status.learner;
    const state = status.kind === 'leading' ? 'LEADING' : this.#isVoter ? 'FOLLOWING' : 'OBSERVING';
    return {
      ...status.vote,
      peerEpoch: role.isEstablished ? role.epoch : status.vote.peerEpoch,
      state,
      round: this.#election.round,
      version: NOTIFICATION_VERSION,
      configuration: this.#ensemble.text,
    };
  }

  /** Begins to look for a leader, as soon as the disk is done with what was before, and not in a hot loop. */
  #look(now: Millis): Output[] {
    const restMs = this.#failures <= FAILURES_AT_ONCE ? 0 : REST_MS_MIN * 2 ** (this.#failures - FAILURES_AT_ONCE - 1);
    this.#status = { kind: 'settling', until: now + Math.min(restMs, this.#timing.tickTimeMs) };
    return this.#settle(now);
  }

  get #isDiskBusy(): boolean {
    return this.#writes > 0 || this.#history.lastSynced < this.#history.lastLogged;
  }

  #settle(now: Millis): Output[] {
    if (this.#status.kind !== 'settling' || now < this.#status.until || this.#isDiskBusy) return [];
    this.#status = { kind: 'looking' };
    const { lastLogged: zxid } = this.#history;
    const candidate = this.#isVoter ? { zxid, peerEpoch: this.#epochs.current } : undefined;
    const outputs = this.#elect(this.#election.start(candidate, now), now);
    const unread = [...this.#unread];
    this.#unread.clear();
    return [...outputs, ...unread.flatMap(([from, notification]) => this.#onNotification(from, notification, now))];
  }

  #elect(outputs: readonly ElectionOutput[], now: Millis): Output[] {
    return outputs.flatMap((output) => (output.kind === 'notify' ? [output] : this.#onElected(output.vote, now)));
  }

  #onElected(vote: Vote, now: Millis): Output[] {
    const options = {
      self: this.#self,
      ensemble: this.#ensemble,
      history: this.#history,
      epochs: this.#epochs,
      timing: this.#timing,
      now,
    };
    const early = [...this.#early];
    this.#early.clear();
    if (vote.leader === this.#self) {
      const leader = new Leader({ ...options, counterMax: this.#counterMax });
      this.#status = { kind: 'leading', leader, vote };
      const outputs = [...leader.start(), ...early.flatMap(([from, message]) => leader.onMessage(from, message, now))];
      return this.#follow(outputs, now);
    }
    const link = this.nextLink();
    const learner = new Learner({ ...options, isVoter: this.#isVoter, leader: vote.leader, link });
    this.#status = { kind: 'learning', learner, vote };
    const closes = early.map(([from]): Output => ({ kind: 'close', link: from, reason: NOT_LEADING }));
    return [...closes, ...this.#follow(learner.start(), now)];
  }

  // --- what the roles want ------------------------------------------------------------------------------------------

  #follow(outputs: ZabOutput[], now: Millis): Output[] {
    // What most steps lead to is for others.
    if (!outputs.some(({ kind }) => CONCERNS_PEER.has(kind))) return outputs as Output[];
    return outputs.flatMap((output): Output[] => {
      switch (output.kind) {
        case 'saveEpoch':
        case 'truncate':
        case 'receiveSnapshot':
          this.#writes++;
          return [output];
        case 'established':
          this.#failures = 0;
          return [{ kind: 'roleChanged', role: this.role, reason: `epoch ${output.epoch} has begun` }];
        case 'abandoned':
          this.#failures++;
          return [{ kind: 'roleChanged', role: undefined, reason: output.reason }, ...this.#look(now)];
        default:
          return [output];
      }
    });
  }
}
