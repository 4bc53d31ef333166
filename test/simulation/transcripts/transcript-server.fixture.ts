/**
 * One server of a transcript: the shipped `QuorumPeer`, and around it a disk on which nothing is done until the script says so. It
 * carries out what the machine answers with, as `agreement.ts` does, and says each of it in a line.
 *
 * What must hold: every output is told, in its order; only what was synced, saved, cut or installed outlives a crash.
 */
import { type Epoch, OpCode, type ServerId, toEpoch, toHex, toZxid, type Zxid } from 'zookeeper-protocol-ts';
import type { Notification } from '../../../server/src/election/notification.ts';
import type { Ensemble } from '../../../server/src/ensemble.ts';
import { InvariantError } from '../../../server/src/invariant.ts';
import { type Input, type Output, QuorumPeer, type Role } from '../../../server/src/quorum-peer.ts';
import type { EpochKind, LinkId } from '../../../server/src/zab/contract.ts';
import type { ForwardedRequest, QuorumMessage, TouchedSession } from '../../../server/src/zab/messages.ts';
import type { Proposal } from '../../../server/src/zab/proposal.ts';
import { messageText, proposalText, requestText, voteText, wordsOf, zxidText } from './transcript-words.fixture.ts';

export const TIMING = { tickTimeMs: 2000, initLimit: 10, syncLimit: 5 };

/** What a server finds around it. */
export interface Surroundings {
  readonly ensemble: Ensemble;
  readonly now: () => number;
  /** A line of the transcript. */
  readonly say: (line: string) => void;
  readonly notify: (from: ServerId, to: ServerId, notification: Notification) => void;
  readonly dial: (from: ServerId, to: ServerId, link: LinkId) => void;
  /** Who is at the other end; undefined if that link is no more. */
  readonly otherEnd: (from: ServerId, link: LinkId) => ServerId | undefined;
  readonly send: (from: ServerId, link: LinkId, message: QuorumMessage) => void;
  readonly sendSnapshot: (from: ServerId, link: LinkId, contents: readonly Proposal[]) => void;
  readonly close: (from: ServerId, link: LinkId) => void;
}

/** What a server has on its disk when the story begins. */
export interface DiskContents {
  /** Where its snapshot ends, if it has one: nobody knows the transactions in it any more. */
  readonly snapshot: Zxid | undefined;
  readonly log: readonly Zxid[];
  /** So many of the last transactions are in memory as well; the others are read from the log when somebody lacks them. */
  readonly atHand: number;
  readonly acceptedEpoch: number;
  readonly currentEpoch: number;
}

/** What a leader has to do for a learner that lacks more than is at hand. */
type Feed =
  | Extract<Output, { readonly kind: 'searchLog' | 'sendLog' }>
  | { readonly kind: 'sent'; readonly link: LinkId };

/** Log and database are about to become others. */
type Change =
  | { readonly kind: 'cut'; readonly after: Zxid }
  | { readonly kind: 'receiving'; readonly link: LinkId; readonly zxid: Zxid }
  | { readonly kind: 'installing'; readonly zxid: Zxid; readonly contents: readonly Proposal[] };

const beginning = (zxid: Zxid): Proposal => ({ zxid, bytes: new Uint8Array() });

export class TranscriptServer {
  readonly id: ServerId;
  readonly #around: Surroundings;
  /** Sessions that this server knows of as a leader. */
  readonly sessions = new Set<bigint>();
  /** Heard since the last ping was answered. */
  touched: TouchedSession[] = [];
  #peer: QuorumPeer | undefined;
  #role: Role | undefined;
  #hasRun = false;
  // The disk.
  #snapshot: readonly Proposal[] = [];
  #log: Proposal[] = [];
  #synced = 0;
  #atHand = 0;
  #epochs = { accepted: toEpoch(0), current: toEpoch(0) };
  // What is asked of it.
  readonly #saves: { readonly which: EpochKind; readonly epoch: Epoch }[] = [];
  #change: Change | undefined;
  readonly #feeds: Feed[] = [];
  /** What has arrived while the history is being changed. */
  readonly #unread: { readonly link: LinkId; readonly message: QuorumMessage }[] = [];
  /** The database. */
  #applied: Proposal[] = [];
  /** Whose sync each is: a learner's, or its own. */
  readonly #syncs = new Map<number, LinkId | undefined>();
  #nextSync = 1;
  readonly #inputs: Input[] = [];
  #isStepping = false;

  constructor(id: ServerId, around: Surroundings) {
    this.id = id;
    this.#around = around;
  }

  get isRunning(): boolean {
    return this.#peer !== undefined;
  }

  /** Whether it was ever more than what the script says for it. */
  get hasRun(): boolean {
    return this.#hasRun;
  }

  get deadline(): number {
    return this.#peer?.nextDeadline() ?? Number.POSITIVE_INFINITY;
  }

  /** @throws Error unless it runs */
  get peer(): QuorumPeer {
    if (this.#peer === undefined) throw new Error(`server ${this.id} doesn't run`);
    return this.#peer;
  }

  /** In one line, for people. */
  get state(): string {
    const { accepted, current } = this.#epochs;
    const leader = this.#peer?.leader;
    const role = this.#role === undefined ? 'serves nobody' : `is ${this.#role} of ${leader}`;
    const log = this.#log.map(({ zxid }) => zxidText(zxid)).join(' ') || 'empty';
    return [
      `${this.id} ${this.#peer === undefined ? "doesn't run" : role}`,
      ...this.#snapshot.slice(-1).map(({ zxid }) => `snapshot ${zxidText(zxid)}`),
      `log ${log}${this.#synced < this.#log.length ? `, of which ${this.#synced} durable` : ''}`,
      `database up to ${zxidText(this.#applied.at(-1)?.zxid ?? toZxid(0n))}`,
      `accepted epoch ${accepted}, current epoch ${current}`,
    ].join('; ');
  }

  setDisk({ snapshot, log, atHand, acceptedEpoch, currentEpoch }: DiskContents): void {
    if (this.#hasRun) throw new Error(`server ${this.id} has a disk of its own by now`);
    this.#snapshot = snapshot === undefined ? [] : [beginning(snapshot)];
    this.#log = log.map(beginning);
    this.#synced = this.#log.length;
    this.#atHand = atHand;
    this.#epochs = { accepted: toEpoch(acceptedEpoch), current: toEpoch(currentEpoch) };
  }

  /** Its process begins; {@link start} tells it so. */
  boot(): void {
    if (this.#peer !== undefined) throw new Error(`server ${this.id} runs already`);
    this.#hasRun = true;
    this.#applied = [...this.#snapshot, ...this.#log];
    this.#peer = new QuorumPeer({
      self: this.id,
      ensemble: this.#around.ensemble,
      lastZxid: this.#last,
      recent: this.#log.slice(-this.#atHand),
      commitLogCount: 500,
      epochs: this.#epochs,
      timing: TIMING,
    });
  }

  start(): void {
    this.#perform(this.peer.start(this.#around.now()));
  }

  /** Its process ends. @param losesPower with it what was not durable */
  end({ losesPower }: { readonly losesPower: boolean }): void {
    this.#peer = undefined;
    this.#role = undefined;
    if (losesPower) this.#log.length = this.#synced;
    // What was written and not synced is found by the next process, which syncs what it reads.
    this.#synced = this.#log.length;
    this.#saves.length = 0;
    this.#change = undefined;
    this.#unread.length = 0;
    this.#feeds.length = 0;
    this.#syncs.clear();
    this.touched = [];
  }

  step(input: Input): void {
    this.#inputs.push(input);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
        this.#perform(this.peer.step(next, this.#around.now()));
      }
    } catch (error) {
      if (!(error instanceof InvariantError)) throw error;
      this.#say(`stops: ${error.message}`);
      this.#inputs.length = 0;
      this.end({ losesPower: false });
    } finally {
      this.#isStepping = false;
    }
  }

  /** A client's request, as the server's own pipeline orders it. */
  propose(words: string): void {
    this.step({ kind: 'propose', proposal: { zxid: this.peer.nextZxid, bytes: Buffer.from(words) } });
  }

  sync(link?: LinkId): void {
    const id = this.#nextSync++;
    this.#syncs.set(id, link);
    this.step({ kind: 'sync', id });
  }

  /** Nothing is read while the history is being changed. */
  onMessage(link: LinkId, message: QuorumMessage): void {
    if (this.hasToChange) this.#unread.push({ link, message });
    else this.step({ kind: 'message', link, message });
  }

  forward(message: QuorumMessage): void {
    this.#perform(this.peer.toLeader(message));
  }

  hangUp(link: LinkId, reason: string): void {
    const other = this.#around.otherEnd(this.id, link);
    if (other === undefined) return;
    this.#say(`hangs up on ${other}: ${reason}`);
    this.#around.close(this.id, link);
    this.onLinkClosed(link);
  }

  onLinkClosed(link: LinkId): void {
    if (this.#change?.kind === 'receiving' && this.#change.link === link) {
      this.#change = undefined;
      this.step({ kind: 'snapshotLost' });
    }
    this.step({ kind: 'linkClosed', link });
  }

  onSnapshot(link: LinkId, contents: readonly Proposal[]): void {
    this.step({ kind: 'heard', link });
    if (this.#change?.kind !== 'receiving' || this.#change.link !== link) return;
    const { zxid } = this.#change;
    // What the script sends as one has no transactions.
    this.#change = { kind: 'installing', zxid, contents: contents.length === 0 ? [beginning(zxid)] : contents };
    this.step({ kind: 'snapshotReceived', link });
  }

  // --- the disk, when the script lets it ------------------------------------------------------------------------------

  get hasToSync(): boolean {
    return this.isRunning && this.#synced < this.#log.length;
  }

  get hasToSave(): boolean {
    return this.#saves.length > 0;
  }

  get hasToFeed(): boolean {
    return this.#feeds.length > 0;
  }

  get hasToChange(): boolean {
    return this.#change?.kind === 'cut' || this.#change?.kind === 'installing';
  }

  /** @param upTo the rest is in a later write */
  syncLog(upTo?: Zxid): void {
    const durable = upTo === undefined ? this.#log.length : this.#log.findLastIndex(({ zxid }) => zxid <= upTo) + 1;
    if (durable <= this.#synced) throw new Error(`server ${this.id} has nothing to sync`);
    this.#synced = durable;
    this.step({ kind: 'synced', zxid: this.#log[durable - 1]?.zxid ?? toZxid(0n) });
  }

  saveEpoch(): void {
    const save = this.#saves.shift();
    if (save === undefined) throw new Error(`server ${this.id} has no epoch to save`);
    this.#epochs = { ...this.#epochs, [save.which]: save.epoch };
    this.step({ ...save, kind: 'epochSaved' });
  }

  changeHistory(): void {
    const change = this.#change;
    if (change === undefined || change.kind === 'receiving') throw new Error(`server ${this.id} has nothing to change`);
    this.#change = undefined;
    if (change.kind === 'cut') {
      this.#log = this.#log.filter(({ zxid }) => zxid <= change.after);
    } else {
      this.#snapshot = change.contents;
      this.#log = [];
    }
    this.#synced = this.#log.length;
    this.#applied = [...this.#snapshot, ...this.#log];
    const zxid = change.kind === 'cut' ? change.after : change.zxid;
    this.step({ kind: change.kind === 'cut' ? 'truncated' : 'snapshotInstalled', zxid });
    for (const { link, message } of this.#unread.splice(0)) this.onMessage(link, message);
  }

  /** Does the next thing for a learner that is behind. */
  feed(): void {
    const feed = this.#feeds.shift();
    if (feed === undefined) throw new Error(`server ${this.id} has no learner to feed`);
    if (feed.kind === 'searchLog') return this.#searchLog(feed);
    if (feed.kind === 'sendLog') this.#sendLog(feed);
    this.step({ kind: 'historySent', link: feed.link });
  }

  #searchLog({ link, zxid, upTo }: Extract<Feed, { readonly kind: 'searchLog' }>): void {
    const durable = this.#log.slice(0, this.#synced);
    const index = durable.findLastIndex((entry) => entry.zxid <= zxid);
    const [last, next] = index === -1 ? [] : durable.slice(index, index + 2);
    const isThere = last !== undefined && next !== undefined && next.zxid <= upTo;
    const place = isThere ? { last: last.zxid, next: next.zxid } : undefined;
    this.step({ kind: 'logSearched', link, place });
  }

  #sendLog({ link, after, upTo }: Extract<Feed, { readonly kind: 'sendLog' }>): void {
    for (const proposal of this.#log.slice(0, this.#synced)) {
      if (proposal.zxid <= after || proposal.zxid > upTo) continue;
      this.#send(link, { kind: 'proposal', proposal });
      this.#send(link, { kind: 'commit', zxid: proposal.zxid });
    }
  }

  // --- outputs ----------------------------------------------------------------------------------------------------------

  get #last(): Zxid {
    return this.#log.at(-1)?.zxid ?? this.#snapshot.at(-1)?.zxid ?? toZxid(0n);
  }

  #say(what: string): void {
    this.#around.say(`${this.id} ${what}`);
  }

  #perform(outputs: readonly Output[]): void {
    for (const output of outputs) this.#do(output);
  }

  #do(output: Output): void {
    switch (output.kind) {
      case 'notify':
        this.#say(`-> ${output.to}: ${voteText(output.notification)}`);
        return this.#around.notify(this.id, output.to, output.notification);
      case 'roleChanged':
        this.#role = output.role;
        return this.#say(`${output.role === undefined ? 'serves nobody' : `is ${output.role}`}: ${output.reason}`);
      case 'dial':
        this.#say(`dials ${output.leader}`);
        return this.#around.dial(this.id, output.leader, output.link);
      case 'send':
        return this.#send(output.link, output.message);
      case 'close':
        return this.hangUp(output.link, output.reason);
      case 'append':
        this.#log.push(output.proposal);
        return this.#say(`appends ${proposalText(output.proposal)}`);
      case 'deliver':
        this.#applied.push(output.proposal);
        return this.#say(`delivers ${proposalText(output.proposal)}`);
      case 'saveEpoch':
        this.#saves.push({ which: output.which, epoch: output.epoch });
        return this.#say(`saves ${output.which} epoch ${output.epoch}`);
      case 'truncate':
        this.#change = { kind: 'cut', after: output.after };
        return this.#say(`cuts its history behind ${zxidText(output.after)}`);
      case 'receiveSnapshot':
        this.#change = { kind: 'receiving', link: output.link, zxid: output.zxid };
        return this.#say(`takes in a snapshot at ${zxidText(output.zxid)}`);
      case 'sendSnapshot':
        this.#say(`-> ${this.#otherEnd(output.link)}: the snapshot`);
        this.#feeds.push({ kind: 'sent', link: output.link });
        return this.#around.sendSnapshot(this.id, output.link, [...this.#applied]);
      case 'searchLog':
        this.#feeds.push(output);
        return this.#say(`looks in its log for ${zxidText(output.zxid)}, up to ${zxidText(output.upTo)}`);
      case 'sendLog':
        this.#feeds.push(output);
        return this.#say(`reads its log behind ${zxidText(output.after)} up to ${zxidText(output.upTo)}`);
      case 'pong':
        return this.#send(output.link, { kind: 'pong', zxid: output.zxid, touched: this.touched.splice(0) });
      case 'ask':
        return this.#onAsked(output.link, output.request);
      case 'syncCompleted':
        return this.#onSyncCompleted(output.id);
      case 'forwardedSyncCompleted':
        return this.#say('answers the oldest sync');
      case 'touch': {
        const heard = output.sessions.map(({ sessionId, timeoutMs }) => `${toHex(sessionId)} for ${timeoutMs} ms`);
        return heard.length === 0 ? undefined : this.#say(`prolongs ${heard.join(', ')}`);
      }
      case 'revalidate': {
        const { link, sessionId } = output;
        return this.#send(link, { kind: 'revalidated', sessionId, isValid: this.sessions.has(sessionId) });
      }
      case 'revalidated':
        return this.#say(`${output.isValid ? 'continues' : 'refuses'} session ${toHex(output.sessionId)}`);
    }
  }

  #otherEnd(link: LinkId): ServerId | 'nobody' {
    return this.#around.otherEnd(this.id, link) ?? 'nobody';
  }

  #send(link: LinkId, message: QuorumMessage): void {
    this.#say(`-> ${this.#otherEnd(link)}: ${messageText(message)}`);
    this.#around.send(this.id, link, message);
  }

  #onAsked(link: LinkId, request: ForwardedRequest): void {
    this.#say(`is asked by ${this.#otherEnd(link)}: ${requestText(request)}`);
    if (request.type === OpCode.sync) this.sync(link);
    else this.propose(wordsOf(request.body).slice(2, -1));
  }

  #onSyncCompleted(id: number): void {
    const link = this.#syncs.get(id);
    this.#syncs.delete(id);
    if (link === undefined) return this.#say('answers a sync');
    this.#send(link, { kind: 'synced' });
  }
}
