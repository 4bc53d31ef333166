import {
  counterOf,
  type Epoch,
  epochOf,
  makeZxid,
  type ServerId,
  toEpoch,
  toHex,
  type Zxid,
} from 'zookeeper-protocol-ts';
import type { Ensemble } from '../ensemble.ts';
import { assert } from '../invariant.ts';
import type { Millis } from '../ports.ts';
import { Broadcast } from './broadcast.ts';
import { type EpochKind, type LinkId, type LogPlace, type Output, send, type ZabState } from './contract.ts';
import type { History } from './history.ts';
import type { LearnerProgress } from './learner-progress.ts';
import { LearnerSync } from './learner-sync.ts';
import type { QuorumMessage } from './messages.ts';
import type { Proposal } from './proposal.ts';

/** The epochs that are on the disk. */
export interface Epochs {
  readonly accepted: Epoch;
  readonly current: Epoch;
}

export interface ZabTiming {
  readonly tickTimeMs: Millis;
  /** Ticks until discovery and synchronization must be over. */
  readonly initLimit: number;
  /** Ticks of silence after which the other one counts as gone. */
  readonly syncLimit: number;
}

export interface LeaderOptions {
  readonly self: ServerId;
  readonly ensemble: Ensemble;
  readonly history: History;
  readonly epochs: Epochs;
  readonly timing: ZabTiming;
  readonly now: Millis;
  /** The last counter that it uses: the next transaction is of another epoch. Default: 2^32 - 2; all ones never is used. */
  readonly counterMax?: number | undefined;
}

/**
 * - `discovery`: a quorum must come with its epochs; the new one is above all of them.
 * - `savingAccepted`: it is being written down.
 * - `acceptance`: a quorum must accept it; nobody in it may have more history than this server.
 * - `savingCurrent`: it is being written down that this history is the epoch's beginning.
 * - `synchronization`: a quorum must have that history durably.
 * - `broadcast`: the leader leads.
 * - `ended`
 */
type Phase =
  | { readonly kind: 'discovery' }
  | { readonly kind: 'savingAccepted' }
  | { readonly kind: 'acceptance' }
  | { readonly kind: 'savingCurrent' }
  | { readonly kind: 'synchronization' }
  | { readonly kind: 'broadcast'; readonly broadcast: Broadcast }
  | { readonly kind: 'ended' };

/**
 * A server that was elected, until it has lost its quorum (ZAB paper, section 5; `Leader.java`, `LearnerHandler.java`).
 *
 * What must be durable before what is said: the accepted epoch before LEADERINFO; for UPTODATE the history on a quorum's disks,
 * this server's included, and its current epoch. A learner gets all proposals from the step on in which it was sent the last of what is
 * delivered, so none can fall between the two.
 */
export class Leader {
  readonly #self: ServerId;
  readonly #ensemble: Ensemble;
  readonly #history: History;
  readonly #sync: LearnerSync;
  readonly #epochs: Epochs;
  readonly #timing: ZabTiming;
  readonly #counterMax: number;
  readonly #learners = new Map<LinkId, LearnerProgress>();
  /** The epochs that voters have come with. */
  readonly #acceptedEpochs = new Map<ServerId, Epoch>();
  /** Voters that have accepted the new epoch with a history that counts. */
  readonly #acceptors = new Set<ServerId>();
  /** Voters that have the epoch's beginning durably. */
  readonly #beginners = new Set<ServerId>();
  #epoch: Epoch;
  #phase: Phase = { kind: 'discovery' };
  /** Until when the phases before broadcast must be over. */
  readonly #establishedBy: Millis;
  /** When the next pings are due, and the quorum is looked at. */
  #nextPing: Millis;

  constructor({ self, ensemble, history, epochs, timing, now, counterMax = COUNTER_MAX }: LeaderOptions) {
    this.#self = self;
    this.#counterMax = counterMax;
    this.#ensemble = ensemble;
    this.#history = history;
    this.#sync = new LearnerSync(history);
    this.#epochs = epochs;
    this.#timing = timing;
    this.#epoch = epochs.accepted;
    this.#establishedBy = now + timing.initLimit * timing.tickTimeMs;
    this.#nextPing = now + timing.tickTimeMs / 2;
  }

  /** The new one, once discovery is over. */
  get epoch(): Epoch {
    return this.#epoch;
  }

  get isEstablished(): boolean {
    return this.#phase.kind === 'broadcast';
  }

  get zabState(): ZabState {
    const { kind } = this.#phase;
    return kind === 'synchronization' || kind === 'broadcast' ? kind : 'discovery';
  }

  /** The zxid that the next proposal must have. */
  get nextZxid(): Zxid {
    return this.#broadcast().nextZxid;
  }

  /** Syncs that wait for what was proposed before them. */
  get pendingSyncs(): number {
    return this.#phase.kind === 'broadcast' ? this.#phase.broadcast.pendingSyncs : 0;
  }

  get learners(): Iterable<Readonly<LearnerProgress>> {
    return this.#learners.values();
  }

  nextDeadline(): Millis {
    if (this.#phase.kind === 'ended') return Number.POSITIVE_INFINITY;
    return this.#phase.kind === 'broadcast' ? this.#nextPing : Math.min(this.#establishedBy, this.#nextPing);
  }

  /** Begins, with this server's own epoch: alone it may be a quorum. */
  start(): Output[] {
    this.#acceptedEpochs.set(this.#self, this.#epochs.accepted);
    return this.#discover();
  }

  onTick(now: Millis): Output[] {
    if (this.#phase.kind === 'ended') return [];
    if (this.#phase.kind !== 'broadcast' && now >= this.#establishedBy) {
      return this.#abandon(`no quorum of followers within ${this.#timing.initLimit} ticks`);
    }
    if (now < this.#nextPing) return [];
    this.#nextPing = now + this.#timing.tickTimeMs / 2;
    const outputs = this.#dropSilent(now);
    if (this.#phase.kind === 'broadcast') {
      if (!this.#hasFollowers()) return [...outputs, ...this.#abandon('a quorum of followers is gone')];
      const zxid = this.#phase.broadcast.lastProposed;
      for (const { link, phase } of this.#learners.values()) {
        if (phase === 'synced' || phase === 'serving') outputs.push(send(link, { kind: 'ping', zxid }));
      }
    }
    return outputs;
  }

  onMessage(link: LinkId, message: QuorumMessage, now: Millis): Output[] {
    if (this.#phase.kind === 'ended') return [];
    const learner = this.#learners.get(link);
    if (message.kind === 'learnerInfo')
      return learner === undefined
        ? this.#onLearnerInfo(link, message, now)
        : this.#refuse(link, 'it has introduced itself before');
    if (learner === undefined) return this.#refuse(link, 'a learner must introduce itself first');
    learner.heardAt = now;
    switch (message.kind) {
      case 'ackEpoch':
        return this.#onAckEpoch(learner, message);
      case 'ack':
        return this.#onAck(learner, message.zxid, now);
      case 'pong':
        return [{ kind: 'touch', sessions: message.touched }];
      case 'request':
        return learner.phase === 'serving' ? [{ kind: 'ask', link, request: message.request }] : [];
      case 'revalidate':
        if (learner.phase !== 'serving') return [];
        return [{ kind: 'revalidate', link, sessionId: message.sessionId, timeoutMs: message.timeoutMs }];
      default:
        return this.#refuse(link, `a learner doesn't send ${message.kind}`);
    }
  }

  /** The learner takes what it is sent. */
  onHeard(link: LinkId, now: Millis): void {
    const learner = this.#learners.get(link);
    if (learner !== undefined) learner.heardAt = now;
  }

  onLogSearched(link: LinkId, place: LogPlace | undefined, now: Millis): Output[] {
    const learner = this.#learners.get(link);
    if (learner?.phase !== 'searching') return [];
    learner.heardAt = now;
    return this.#keepUp(learner, this.#sync.onLogSearched(learner, place));
  }

  onHistorySent(link: LinkId, now: Millis): Output[] {
    const learner = this.#learners.get(link);
    if (learner?.phase !== 'behind') return [];
    learner.heardAt = now;
    return this.#keepUp(learner, this.#sync.onHistorySent(learner));
  }

  onLinkClosed(link: LinkId): Output[] {
    const learner = this.#learners.get(link);
    if (learner === undefined || this.#phase.kind === 'ended') return [];
    this.#learners.delete(link);
    if (this.#phase.kind !== 'broadcast') return [];
    if (this.#isConnected(learner.id)) return [];
    this.#phase.broadcast.forget(learner.id);
    return this.#hasFollowers() ? [] : this.#abandon('a quorum of followers is gone');
  }

  onEpochSaved(which: EpochKind): Output[] {
    switch (this.#phase.kind) {
      case 'savingAccepted': {
        if (which !== 'accepted') return [];
        this.#phase = { kind: 'acceptance' };
        this.#acceptors.add(this.#self);
        const outputs = [...this.#learners.values()].flatMap((learner) => this.#tellEpoch(learner));
        return [...outputs, ...this.#accept()];
      }
      case 'savingCurrent':
        return which === 'current' ? this.#synchronize() : [];
      default:
        return [];
    }
  }

  onSynced(zxid: Zxid): Output[] {
    if (this.#phase.kind === 'synchronization') return this.#countSelf();
    if (this.#phase.kind !== 'broadcast') return [];
    return this.#commit(this.#phase.broadcast.onAck(this.#self, zxid));
  }

  propose(proposal: Proposal): Output[] {
    this.#broadcast().propose(proposal);
    const outputs: Output[] = [{ kind: 'append', proposal }];
    const message: QuorumMessage = { kind: 'proposal', proposal };
    for (const { link, isVoter, phase } of this.#learners.values()) {
      if (isVoter && isForwarded(phase)) outputs.push(send(link, message));
    }
    // The next one would be of another epoch, which only an election can begin (ZOOKEEPER-1277).
    if (counterOf(proposal.zxid) >= this.#counterMax)
      outputs.push(...this.#abandon('the zxids of this epoch are used up'));
    return outputs;
  }

  sync(id: number): Output[] {
    return this.#broadcast().sync(id);
  }

  /** Gives up: all learners are dropped. */
  #abandon(reason: string): Output[] {
    this.#phase = { kind: 'ended' };
    const closes = [...this.#learners.keys()].map((link): Output => ({ kind: 'close', link, reason }));
    this.#learners.clear();
    return [...closes, { kind: 'abandoned', reason }];
  }

  #refuse(link: LinkId, reason: string): Output[] {
    return [...this.onLinkClosed(link), { kind: 'close', link, reason }];
  }

  // --- discovery ----------------------------------------------------------------------------------------------------

  #onLearnerInfo(
    link: LinkId,
    { learner: id, isVoter, acceptedEpoch }: Extract<QuorumMessage, { kind: 'learnerInfo' }>,
    now: Millis,
  ): Output[] {
    const outputs: Output[] = [];
    for (const other of this.#learners.values()) {
      if (other.id === id && isVoter) outputs.push(...this.#refuse(other.link, `server ${id} has come again`));
    }
    if (this.#phase.kind === 'ended') return outputs;
    const learner: LearnerProgress = {
      link,
      id,
      isVoter,
      phase: 'info',
      lastZxid: 0n as Zxid,
      heardAt: now,
      acked: 0n as Zxid,
      ackedAt: now,
      heldCommits: [],
    };
    this.#learners.set(link, learner);
    if (this.#phase.kind === 'discovery') {
      if (isVoter && this.#ensemble.isVoter(id)) this.#acceptedEpochs.set(id, acceptedEpoch);
      return [...outputs, ...this.#discover()];
    }
    if (this.#phase.kind !== 'savingAccepted') outputs.push(...this.#tellEpoch(learner));
    return outputs;
  }

  #discover(): Output[] {
    if (!this.#ensemble.hasQuorum((voter) => this.#acceptedEpochs.has(voter))) return [];
    this.#epoch = toEpoch(Math.max(...this.#acceptedEpochs.values()) + 1);
    this.#phase = { kind: 'savingAccepted' };
    return [{ kind: 'saveEpoch', which: 'accepted', epoch: this.#epoch }];
  }

  #tellEpoch(learner: LearnerProgress): Output[] {
    learner.phase = 'epoch';
    return [send(learner.link, { kind: 'leaderInfo', epoch: this.#epoch })];
  }

  #onAckEpoch(
    learner: LearnerProgress,
    { lastZxid, currentEpoch }: Extract<QuorumMessage, { kind: 'ackEpoch' }>,
  ): Output[] {
    if (learner.phase !== 'epoch') return this.#refuse(learner.link, 'it was not asked to accept an epoch');
    if (currentEpoch !== undefined && this.#isAhead(currentEpoch, lastZxid)) {
      return this.#refuse(learner.link, `it is ahead of its leader: epoch ${currentEpoch}, zxid ${toHex(lastZxid)}`);
    }
    learner.phase = 'accepted';
    learner.lastZxid = lastZxid;
    if (this.#phase.kind === 'synchronization' || this.#phase.kind === 'broadcast') return this.#bring(learner);
    if (this.#phase.kind !== 'acceptance' || !learner.isVoter || currentEpoch === undefined) return [];
    this.#acceptors.add(learner.id);
    return this.#accept();
  }

  #isAhead(epoch: Epoch, zxid: Zxid): boolean {
    if (this.#phase.kind === 'broadcast') return false;
    return epoch > this.#epochs.current || (epoch === this.#epochs.current && zxid > this.#history.lastLogged);
  }

  #accept(): Output[] {
    if (!this.#ensemble.hasQuorum((voter) => this.#acceptors.has(voter))) return [];
    this.#phase = { kind: 'savingCurrent' };
    return [{ kind: 'saveEpoch', which: 'current', epoch: this.#epoch }];
  }

  // --- synchronization ----------------------------------------------------------------------------------------------

  /** This server's history, all of it, is what the epoch begins with. */
  #synchronize(): Output[] {
    this.#phase = { kind: 'synchronization' };
    const outputs: Output[] = this.#history
      .deliverUpTo(this.#history.lastLogged)
      .map((proposal) => ({ kind: 'deliver', proposal }));
    for (const learner of this.#learners.values())
      if (learner.phase === 'accepted') outputs.push(...this.#bring(learner));
    return [...outputs, ...this.#countSelf()];
  }

  #bring(learner: LearnerProgress): Output[] {
    return this.#keepUp(learner, this.#sync.begin(learner));
  }

  /** @param sent to a learner: once that is all it lacked, it is kept at this history from now on */
  #keepUp(learner: LearnerProgress, sent: Output[]): Output[] {
    const { link, isVoter, phase } = learner;
    if (phase !== 'syncing') return sent;
    const outputs = [...sent];
    // What is proposed and not committed yet: observers are told when it is.
    if (isVoter) for (const proposal of this.#history.pending) outputs.push(send(link, { kind: 'proposal', proposal }));
    // The rest has a proposal to be acknowledged.
    learner.acked = this.#phase.kind === 'broadcast' ? this.#phase.broadcast.lastCommitted : makeZxid(this.#epoch, 0);
    outputs.push(send(link, { kind: 'newLeader', epoch: this.#epoch, configuration: this.#ensemble.text }));
    return outputs;
  }

  #countSelf(): Output[] {
    if (this.#history.lastSynced < this.#history.lastDelivered) return [];
    this.#beginners.add(this.#self);
    return this.#establish();
  }

  #onAck(learner: LearnerProgress, zxid: Zxid, now: Millis): Output[] {
    if (learner.phase === 'syncing') {
      // A server of 3.8 may acknowledge a proposal before NEWLEADER (ZOOKEEPER-4685).
      if (zxid !== makeZxid(this.#epoch, 0)) return [];
      learner.phase = 'synced';
      if (this.#phase.kind === 'broadcast') return this.#serve(learner);
      if (learner.isVoter) this.#beginners.add(learner.id);
      return this.#establish();
    }
    // Before that nobody knows what else is in its log.
    if (learner.phase !== 'synced' && learner.phase !== 'serving') return [];
    if (this.#phase.kind !== 'broadcast' || !learner.isVoter || epochOf(zxid) !== this.#epoch) return [];
    if (zxid > learner.acked) {
      learner.acked = zxid;
      learner.ackedAt = now;
    }
    return this.#commit(this.#phase.broadcast.onAck(learner.id, zxid));
  }

  #establish(): Output[] {
    if (this.#phase.kind !== 'synchronization') return [];
    if (!this.#ensemble.hasQuorum((voter) => this.#beginners.has(voter))) return [];
    const broadcast = new Broadcast({
      ensemble: this.#ensemble,
      history: this.#history,
      lastZxid: makeZxid(this.#epoch, 0),
    });
    this.#phase = { kind: 'broadcast', broadcast };
    const outputs: Output[] = [{ kind: 'established', epoch: this.#epoch }];
    for (const learner of this.#learners.values())
      if (learner.phase === 'synced') outputs.push(...this.#serve(learner));
    return outputs;
  }

  #serve(learner: LearnerProgress): Output[] {
    learner.phase = 'serving';
    const outputs: Output[] = [send(learner.link, { kind: 'upToDate' })];
    for (const zxid of learner.heldCommits) outputs.push(send(learner.link, { kind: 'commit', zxid }));
    learner.heldCommits.length = 0;
    return outputs;
  }

  // --- broadcast ----------------------------------------------------------------------------------------------------

  /** Learners are told of what is committed before this server's own clients. */
  #commit(committed: ReturnType<Broadcast['onAck']>): Output[] {
    const outputs: Output[] = [];
    for (const output of committed) {
      if (output.kind === 'deliver') this.#tell(output.proposal, outputs);
      outputs.push(output);
    }
    return outputs;
  }

  #tell(proposal: Proposal, outputs: Output[]): void {
    for (const { link, phase, isVoter, heldCommits } of this.#learners.values()) {
      if (!isForwarded(phase)) continue;
      if (!isVoter) outputs.push(send(link, { kind: 'inform', proposal }));
      else if (phase === 'serving') outputs.push(send(link, { kind: 'commit', zxid: proposal.zxid }));
      else heldCommits.push(proposal.zxid);
    }
  }

  #broadcast(): Broadcast {
    assert(this.#phase.kind === 'broadcast', 'ZAB-1: only an established leader proposes');
    return this.#phase.broadcast;
  }

  /** Whether this server and those that follow it are still a quorum. */
  #hasFollowers(): boolean {
    return this.#ensemble.hasQuorum((voter) => voter === this.#self || this.#isConnected(voter));
  }

  #isConnected(id: ServerId): boolean {
    for (const learner of this.#learners.values()) {
      if (learner.id === id && learner.isVoter && (learner.phase === 'synced' || learner.phase === 'serving'))
        return true;
    }
    return false;
  }

  #dropSilent(now: Millis): Output[] {
    const { tickTimeMs, initLimit, syncLimit } = this.#timing;
    const outputs: Output[] = [];
    for (const learner of [...this.#learners.values()]) {
      const { id, link, phase } = learner;
      // It waits for this server's own disk.
      if (phase === 'searching') continue;
      const limit = phase === 'synced' || phase === 'serving' ? syncLimit : initLimit;
      const last = Math.min(learner.heardAt, this.#lastProgress(learner, now));
      if (now - last < limit * tickTimeMs) continue;
      this.#learners.delete(link);
      if (this.#phase.kind === 'broadcast' && !this.#isConnected(id)) this.#phase.broadcast.forget(id);
      outputs.push({ kind: 'close', link, reason: `it was silent, or acknowledged nothing, for ${limit} ticks` });
    }
    return outputs;
  }

  /** When a voter that serves last got further with what it has to acknowledge: now, if there is nothing. */
  #lastProgress(learner: LearnerProgress, now: Millis): Millis {
    const hasAll = this.#phase.kind !== 'broadcast' || learner.acked >= this.#phase.broadcast.lastProposed;
    if (hasAll || !learner.isVoter || learner.phase !== 'serving') learner.ackedAt = now;
    return learner.ackedAt;
  }
}

const COUNTER_MAX = 0xffff_fffe;

/** Whether it gets what is proposed. */
const isForwarded = (phase: LearnerProgress['phase']): boolean =>
  phase === 'syncing' || phase === 'synced' || phase === 'serving';
