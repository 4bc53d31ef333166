import { type Epoch, epochOf, makeZxid, type ServerId, toHex, type Zxid } from 'zookeeper-protocol-ts';
import { assert } from '../invariant.ts';
import type { Millis } from '../ports.ts';
import { type EpochKind, type LinkId, type Output, send, type ZabState } from './contract.ts';
import type { History } from './history.ts';
import type { Epochs, ZabTiming } from './leader.ts';
import type { QuorumMessage } from './messages.ts';
import type { Proposal } from './proposal.ts';

export interface LearnerOptions {
  readonly self: ServerId;
  /** Whether it votes: a follower, or else an observer. */
  readonly isVoter: boolean;
  readonly leader: ServerId;
  readonly link: LinkId;
  readonly history: History;
  readonly epochs: Epochs;
  readonly timing: ZabTiming;
  readonly now: Millis;
}

/**
 * - `dialling`: the leader's port is being tried, again and again for a while.
 * - `discovery`: introduced; the leader will tell its epoch when it has a quorum.
 * - `savingAccepted`: that epoch is being written down.
 * - `accepted`: waits for how its history becomes the leader's.
 * - `receiving`: a snapshot arrives.
 * - `changing`: its own history is being cut, or replaced by that snapshot; nothing is read from the leader.
 * - `synchronization`: what it lacks arrives, up to NEWLEADER.
 * - `beginning`: NEWLEADER has come; the history becomes durable, then the epoch.
 * - `acknowledged`: waits until a quorum has come as far.
 * - `broadcast`: it serves.
 * - `ended`
 */
type Phase =
  | { readonly kind: 'dialling' }
  | { readonly kind: 'discovery' }
  | { readonly kind: 'savingAccepted'; readonly epoch: Epoch }
  | { readonly kind: 'accepted' }
  | { readonly kind: 'receiving' }
  | { readonly kind: 'changing' }
  | { readonly kind: 'synchronization' }
  | { readonly kind: 'beginning'; readonly isSaving: boolean }
  | { readonly kind: 'acknowledged' }
  | { readonly kind: 'broadcast' }
  | { readonly kind: 'ended' };

/** A leader may have been elected and not listen yet: so long is it tried at least once more. */
const DIAL_EVERY_MS = 100;

/**
 * A server that follows a leader, or observes one (ZAB paper, section 5; `Learner.java`, `Follower.java`, `Observer.java`).
 *
 * What must be durable before what is said: the accepted epoch before ACKEPOCH; all of the history that the leader has sent, and
 * after that the current epoch, before NEWLEADER is acknowledged (ZOOKEEPER-3911, 4643, 4646, 4785); a proposal and all before it
 * before its ACK, none of which leaves before that of NEWLEADER (4685). Nothing is delivered before UPTODATE: until then nobody
 * knows whether this leader has a quorum, and the database never has to be taken back (2845).
 */
export class Learner {
  readonly #self: ServerId;
  readonly #isVoter: boolean;
  readonly #leader: ServerId;
  readonly #history: History;
  readonly #epochs: Epochs;
  readonly #timing: ZabTiming;
  #link: LinkId;
  #phase: Phase = { kind: 'dialling' };
  #epoch: Epoch;
  /** Up to where the leader has said that it is committed, and nothing before UPTODATE is delivered. */
  #committed: Zxid;
  /** The last proposal that was acknowledged. */
  #acked: Zxid;
  #heardAt: Millis;
  readonly #dialUntil: Millis;
  #nextDial = Number.POSITIVE_INFINITY;

  constructor({ self, isVoter, leader, link, history, epochs, timing, now }: LearnerOptions) {
    this.#self = self;
    this.#isVoter = isVoter;
    this.#leader = leader;
    this.#link = link;
    this.#history = history;
    this.#epochs = epochs;
    this.#timing = timing;
    this.#epoch = epochs.accepted;
    this.#committed = history.lastDelivered;
    this.#acked = history.lastLogged;
    this.#heardAt = now;
    this.#dialUntil = now + timing.initLimit * timing.tickTimeMs;
  }

  get leader(): ServerId {
    return this.#leader;
  }

  get link(): LinkId {
    return this.#link;
  }

  get epoch(): Epoch {
    return this.#epoch;
  }

  get isEstablished(): boolean {
    return this.#phase.kind === 'broadcast';
  }

  get zabState(): ZabState {
    switch (this.#phase.kind) {
      case 'dialling':
      case 'discovery':
      case 'savingAccepted':
        return 'discovery';
      case 'broadcast':
        return 'broadcast';
      case 'ended':
        return 'election';
      default:
        return 'synchronization';
    }
  }

  nextDeadline(): Millis {
    if (this.#phase.kind === 'ended') return Number.POSITIVE_INFINITY;
    return Math.min(this.#nextDial, this.#heardAt + this.#limit());
  }

  start(): Output[] {
    return [{ kind: 'dial', leader: this.#leader, link: this.#link }];
  }

  /** @param nextLink for another attempt to reach the leader */
  onTick(now: Millis, nextLink: () => LinkId): Output[] {
    if (this.#phase.kind === 'ended') return [];
    if (now >= this.#heardAt + this.#limit()) return this.#abandon(`the leader was silent for ${this.#limit()} ms`);
    if (now < this.#nextDial) return [];
    this.#nextDial = Number.POSITIVE_INFINITY;
    this.#link = nextLink();
    return this.start();
  }

  onLinkOpened(link: LinkId, now: Millis): Output[] {
    if (link !== this.#link || this.#phase.kind !== 'dialling')
      return [{ kind: 'close', link, reason: 'not needed any more' }];
    this.#phase = { kind: 'discovery' };
    this.#heardAt = now;
    const { accepted } = this.#epochs;
    return [this.#send({ kind: 'learnerInfo', learner: this.#self, isVoter: this.#isVoter, acceptedEpoch: accepted })];
  }

  onLinkClosed(link: LinkId, now: Millis): Output[] {
    if (link !== this.#link || this.#phase.kind === 'ended') return [];
    if (this.#phase.kind === 'dialling' && now < this.#dialUntil) {
      this.#nextDial = now + DIAL_EVERY_MS;
      return [];
    }
    this.#phase = { kind: 'ended' };
    return [{ kind: 'abandoned', reason: `the connection to server ${this.#leader}, the leader, is gone` }];
  }

  onMessage(link: LinkId, message: QuorumMessage, now: Millis): Output[] {
    if (link !== this.#link || this.#phase.kind === 'ended') return [];
    this.#heardAt = now;
    if (message.kind === 'ping') return this.#isSynced() ? [{ kind: 'pong', link, zxid: message.zxid }] : [];
    const { kind } = this.#phase;
    assert(kind !== 'receiving' && kind !== 'changing', 'ZAB-4: nothing is read while the history is being changed');
    switch (message.kind) {
      case 'leaderInfo':
        return this.#onLeaderInfo(message.epoch);
      case 'diff':
      case 'trunc':
      case 'snap':
        return this.#onSync(message);
      case 'newLeader':
        return this.#onNewLeader(message.epoch);
      case 'upToDate':
        return this.#onUpToDate();
      case 'proposal':
        return this.#onProposal(message.proposal);
      case 'commit':
        return this.#onCommit(message.zxid);
      case 'inform':
        return [...this.#onProposal(message.proposal), ...this.#onCommit(message.proposal.zxid)];
      case 'revalidated':
        return [{ kind: 'revalidated', sessionId: message.sessionId, isValid: message.isValid }];
      case 'synced':
        return [{ kind: 'forwardedSyncCompleted' }];
      default:
        return this.#abandon(`a leader doesn't send ${message.kind}`);
    }
  }

  /** The leader is alive, whatever it sends. */
  onHeard(link: LinkId, now: Millis): void {
    if (link === this.#link) this.#heardAt = now;
  }

  onEpochSaved(which: EpochKind): Output[] {
    const phase = this.#phase;
    if (phase.kind === 'savingAccepted' && which === 'accepted')
      return this.#acceptEpoch(phase.epoch, this.#epochs.current);
    if (phase.kind === 'beginning' && which === 'current') {
      this.#phase = { kind: 'acknowledged' };
      return [this.#send({ kind: 'ack', zxid: makeZxid(this.#epoch, 0) }), ...this.#acknowledge()];
    }
    return [];
  }

  onSynced(): Output[] {
    if (this.#phase.kind === 'beginning') return this.#begin();
    return this.#acknowledge();
  }

  onSnapshotReceived(link: LinkId): void {
    if (link === this.#link && this.#phase.kind === 'receiving') this.#phase = { kind: 'changing' };
  }

  onHistoryChanged(now: Millis): void {
    if (this.#phase.kind !== 'changing') return;
    this.#phase = { kind: 'synchronization' };
    this.#committed = this.#history.lastLogged;
    this.#acked = this.#history.lastLogged;
    this.#heardAt = now;
  }

  /** A message to the leader, in whatever order it comes: session, sync and writes of clients. */
  send(message: QuorumMessage): Output[] {
    return this.#phase.kind === 'broadcast' ? [this.#send(message)] : [];
  }

  #onLeaderInfo(epoch: Epoch): Output[] {
    if (this.#phase.kind !== 'discovery') return this.#abandon('the leader has told its epoch before');
    if (epoch < this.#epochs.accepted) {
      return this.#abandon(
        `the leader's epoch ${epoch} is older than ${this.#epochs.accepted}, which was accepted before`,
      );
    }
    if (epoch === this.#epochs.accepted) return this.#acceptEpoch(epoch, undefined);
    this.#phase = { kind: 'savingAccepted', epoch };
    return [{ kind: 'saveEpoch', which: 'accepted', epoch }];
  }

  #acceptEpoch(epoch: Epoch, currentEpoch: Epoch | undefined): Output[] {
    this.#epoch = epoch;
    this.#phase = { kind: 'accepted' };
    return [this.#send({ kind: 'ackEpoch', lastZxid: this.#history.lastLogged, currentEpoch })];
  }

  #onSync(message: Extract<QuorumMessage, { kind: 'diff' | 'trunc' | 'snap' }>): Output[] {
    if (this.#phase.kind !== 'accepted')
      return this.#abandon(`${message.kind} comes after the leader's epoch was accepted, once`);
    switch (message.kind) {
      case 'diff':
        // All of this history is in the leader's.
        this.#phase = { kind: 'synchronization' };
        this.#committed = this.#history.lastLogged;
        return [];
      case 'trunc':
        this.#phase = { kind: 'changing' };
        return [{ kind: 'truncate', after: message.zxid }];
      case 'snap':
        this.#phase = { kind: 'receiving' };
        return [{ kind: 'receiveSnapshot', link: this.#link, zxid: message.zxid }];
    }
  }

  #onProposal(proposal: Proposal): Output[] {
    const { zxid } = proposal;
    const last = this.#history.lastLogged;
    // It may come twice: with the history, and as it is proposed.
    if (zxid <= last) return [];
    if (epochOf(zxid) === epochOf(last) && zxid !== last + 1n) {
      return this.#abandon(`proposal ${toHex(zxid)} does not follow ${toHex(last)}`);
    }
    this.#history.append(proposal);
    return [{ kind: 'append', proposal }];
  }

  #onCommit(zxid: Zxid): Output[] {
    if (zxid > this.#history.lastLogged) return this.#abandon(`a commit of ${toHex(zxid)}, which was not proposed`);
    if (zxid > this.#committed) this.#committed = zxid;
    return this.#deliver();
  }

  #onNewLeader(epoch: Epoch): Output[] {
    if (this.#phase.kind !== 'synchronization') return this.#abandon('NEWLEADER comes after synchronization, once');
    if (epoch !== this.#epoch) return this.#abandon(`NEWLEADER of epoch ${epoch}; ${this.#epoch} was accepted`);
    // What the leader has called committed by now NEWLEADER's ACK speaks for.
    if (this.#committed > this.#acked) this.#acked = this.#committed;
    this.#phase = { kind: 'beginning', isSaving: false };
    return this.#begin();
  }

  /** First the history, then the epoch: the other way round a crash leaves a high epoch with a short log (ZOOKEEPER-4643). */
  #begin(): Output[] {
    assert(this.#phase.kind === 'beginning', 'ZAB-3: the epoch begins after NEWLEADER');
    if (this.#phase.isSaving || this.#history.lastSynced < this.#history.lastLogged) return [];
    this.#phase = { kind: 'beginning', isSaving: true };
    return [{ kind: 'saveEpoch', which: 'current', epoch: this.#epoch }];
  }

  #onUpToDate(): Output[] {
    if (this.#phase.kind !== 'acknowledged')
      return this.#abandon('UPTODATE comes after NEWLEADER was acknowledged, once');
    this.#phase = { kind: 'broadcast' };
    const again = this.#send({ kind: 'ack', zxid: makeZxid(this.#epoch, 0) });
    return [again, ...this.#deliver(), { kind: 'established', epoch: this.#epoch }];
  }

  #deliver(): Output[] {
    if (this.#phase.kind !== 'broadcast') return [];
    return this.#history.deliverUpTo(this.#committed).map((proposal) => ({ kind: 'deliver', proposal }));
  }

  /** Tells the leader what is durable of its proposals, one by one, as servers of Apache's expect. */
  #acknowledge(): Output[] {
    if (!this.#isVoter || (this.#phase.kind !== 'acknowledged' && this.#phase.kind !== 'broadcast')) return [];
    const outputs: Output[] = [];
    for (const zxid of this.#history.logged(this.#acked, this.#history.lastSynced)) {
      this.#acked = zxid;
      outputs.push(this.#send({ kind: 'ack', zxid }));
    }
    return outputs;
  }

  #abandon(reason: string): Output[] {
    this.#phase = { kind: 'ended' };
    return [
      { kind: 'close', link: this.#link, reason },
      { kind: 'abandoned', reason },
    ];
  }

  /** How long the leader may be silent. While nothing is read from it, for ever. */
  #limit(): Millis {
    if (this.#phase.kind === 'changing') return Number.POSITIVE_INFINITY;
    const { tickTimeMs, initLimit, syncLimit } = this.#timing;
    return tickTimeMs * (this.#isSynced() ? syncLimit : initLimit);
  }

  /** NEWLEADER is acknowledged. What a leader of Apache's hears before that must be the ACK: it drops who answers a ping first. */
  #isSynced(): boolean {
    return this.#phase.kind === 'acknowledged' || this.#phase.kind === 'broadcast';
  }

  #send(message: QuorumMessage): Output {
    return send(this.#link, message);
  }
}
