import { counterOf, epochOf, type Zxid } from 'zookeeper-protocol-ts';
import { Fifo } from '../fifo.ts';
import { assert } from '../invariant.ts';
import type { Proposal } from './proposal.ts';

/** Of all of them together, which the original does not bound. */
const RECENT_BYTES_MAX = 64 * 1024 * 1024;

/** How a learner gets from its history to the leader's. */
export type Sync =
  | { readonly kind: 'diff' | 'trunc'; readonly zxid: Zxid; readonly proposals: readonly Proposal[] }
  /** It ends before all that is at hand: the log may have what it lacks. */
  | { readonly kind: 'older' }
  | { readonly kind: 'snap' };

export interface HistoryOptions {
  /** So many delivered proposals are kept (`commitLogCount`), and up to twice as many; 0: there are no learners. */
  readonly recentMax: number;
  readonly recent?: readonly Proposal[];
}

/**
 * This server's history, as far as agreement must know it: where the log ends, up to where the database has been told, the
 * proposals between the two, and the last ones before.
 *
 * What must always hold: delivered is a prefix of logged; and what a server has delivered it has been told by a leader whom a
 * quorum followed, so the database never holds what may still be dropped. (The original's does, while it looks for a leader:
 * ZOOKEEPER-2845 and what followed.) The exception is what recovery has replayed: nobody knows of the log's end whether it was
 * agreed on.
 */
export class History {
  #lastLogged: Zxid;
  #lastDelivered: Zxid;
  #lastSynced: Zxid;
  /** Logged and not delivered, oldest first. */
  #pending = new Fifo<Proposal>();
  /**
   * Delivered, oldest first, without a gap: a gap empties it (ZOOKEEPER-4925). All that is not durable in this server's own log is
   * among it, so what is not at hand is there.
   */
  #recent: Proposal[] = [];
  /** The one before them; undefined if nobody knows. */
  #beforeRecent: Zxid | undefined;
  #recentBytes = 0;
  readonly #recentMax: number;
  /** With more, the oldest ones are dropped. */
  #trimBeyond = { count: 0, bytes: 0 };

  /**
   * @param lastZxid where the recovered history ends: all of it is in the database, and durable
   * @param options `recent`: the end of that history
   */
  constructor(lastZxid: Zxid, { recentMax, recent = [] }: HistoryOptions) {
    this.#recentMax = recentMax;
    this.#lastLogged = lastZxid;
    this.#lastDelivered = lastZxid;
    this.#lastSynced = lastZxid;
    this.#setRecent([], recent.length === 0 ? lastZxid : undefined);
    if (recentMax > 0) for (const proposal of recent) this.#keep(proposal);
  }

  /** Where the log ends, or will when what was appended is written. */
  get lastLogged(): Zxid {
    return this.#lastLogged;
  }

  get lastDelivered(): Zxid {
    return this.#lastDelivered;
  }

  /** Up to where the log is durable. */
  get lastSynced(): Zxid {
    return this.#lastSynced;
  }

  /** Up to where what is delivered can be read in this server's own log. */
  get lastReadable(): Zxid {
    if (this.#lastSynced < this.#lastDelivered) return this.#lastSynced;
    return this.#lastDelivered;
  }

  get pending(): Iterable<Proposal> {
    return this.#pending;
  }

  /** The zxids of what was logged behind `after`, up to `upTo`, and is still at hand, oldest first. */
  logged(after: Zxid, upTo: Zxid): Zxid[] {
    const zxids: Zxid[] = [];
    const first = this.#recent.findLastIndex(({ zxid }) => zxid <= after) + 1;
    for (const { zxid } of this.#recent.slice(first)) if (zxid <= upTo) zxids.push(zxid);
    for (let i = 0; i < this.#pending.length; i++) {
      const { zxid } = this.#pending.at(i);
      if (zxid > upTo) break;
      if (zxid > after) zxids.push(zxid);
    }
    return zxids;
  }

  append(proposal: Proposal): void {
    assert(proposal.zxid > this.#lastLogged, 'LOG-1: appended zxids rise');
    this.#lastLogged = proposal.zxid;
    this.#pending.push(proposal);
  }

  onSynced(zxid: Zxid): void {
    if (zxid > this.#lastSynced && zxid <= this.#lastLogged) this.#lastSynced = zxid;
  }

  /** Takes out what is pending up to `zxid`, in order, to be delivered now. */
  deliverUpTo(zxid: Zxid): Proposal[] {
    const delivered: Proposal[] = [];
    for (let next = this.#pending.peek(); next !== undefined && next.zxid <= zxid; next = this.#pending.peek()) {
      this.#pending.shift();
      this.#lastDelivered = next.zxid;
      delivered.push(next);
      if (this.#recentMax > 0) this.#keep(next);
    }
    return delivered;
  }

  #keep(proposal: Proposal): void {
    this.#recent.push(proposal);
    this.#recentBytes += proposal.bytes.length;
    const { count, bytes } = this.#trimBeyond;
    if (this.#recent.length > count || this.#recentBytes > bytes) this.#trim();
  }

  /** Drops the oldest ones, but none that only memory has. */
  #trim(): void {
    const kept = this.#recent.slice(-this.#recentMax);
    const keepsCount = bytesOf(kept) <= RECENT_BYTES_MAX / 2;
    const from = this.#recent.length - (keepsCount ? kept.length : 1);
    const durable = this.#recent.findLastIndex(({ zxid }) => zxid <= this.#lastSynced) + 1;
    const dropped = Math.min(from, durable);
    this.#setRecent(this.#recent.slice(dropped), this.#recent[dropped - 1]?.zxid ?? this.#beforeRecent);
  }

  #setRecent(recent: Proposal[], before: Zxid | undefined): void {
    this.#recent = recent;
    this.#beforeRecent = before;
    this.#recentBytes = bytesOf(recent);
    // Seldom: what is left is copied each time.
    this.#trimBeyond = {
      count: Math.max(this.#recentMax, recent.length) * 2,
      bytes: Math.max(RECENT_BYTES_MAX, this.#recentBytes * 2),
    };
  }

  /** The log was cut behind `zxid`, durably, and the database recovered from what is left: that is as if it were delivered. */
  truncate(zxid: Zxid): void {
    this.deliverUpTo(zxid);
    this.#pending = new Fifo();
    const recent = this.#recent.filter((proposal) => proposal.zxid <= zxid);
    this.#setRecent(recent, recent.length === 0 ? zxid : this.#beforeRecent);
    this.#lastLogged = zxid;
    this.#lastSynced = zxid;
    this.#lastDelivered = zxid;
  }

  /** All of it was replaced by a snapshot at `zxid`, which is durable. */
  replace(zxid: Zxid): void {
    this.#pending = new Fifo();
    this.#setRecent([], zxid);
    this.#lastLogged = zxid;
    this.#lastDelivered = zxid;
    this.#lastSynced = zxid;
  }

  /** What was delivered behind `zxid`, which is a part of this history; undefined if not all of it is at hand. */
  deliveredSince(zxid: Zxid): readonly Proposal[] | undefined {
    if (zxid === this.#lastDelivered) return [];
    if (zxid === this.#beforeRecent) return this.#recent.slice();
    const index = this.#recent.findIndex((proposal) => proposal.zxid === zxid);
    return index === -1 ? undefined : this.#recent.slice(index + 1);
  }

  /**
   * How a learner whose log ends at `last` gets what is delivered here (`LearnerHandler.syncFollower`). A zxid inside the range
   * counts only if it is present: a server may have logged what nobody else ever had (ZOOKEEPER-1154).
   */
  syncFor(last: Zxid): Sync {
    const max = this.#lastDelivered;
    const missing = this.deliveredSince(last);
    if (missing !== undefined) return { kind: 'diff', zxid: max, proposals: missing };
    const startsEpoch = counterOf(last) === 0;
    if (last > max && !startsEpoch) return { kind: 'trunc', zxid: max, proposals: [] };
    const [first] = this.#recent;
    if (first === undefined || last < first.zxid) return { kind: last < max ? 'older' : 'snap' };
    let index = this.#recent.findIndex((proposal) => proposal.zxid >= last);
    if (index === -1) index = this.#recent.length;
    const next = this.#recent[index];
    if (startsEpoch) return { kind: 'diff', zxid: max, proposals: this.#recent.slice(index) };
    const previous = this.#recent[index - 1];
    if (previous === undefined || next === undefined || epochOf(next.zxid) !== epochOf(last)) return { kind: 'snap' };
    return { kind: 'trunc', zxid: previous.zxid, proposals: this.#recent.slice(index) };
  }
}

const bytesOf = (proposals: readonly Proposal[]): number => proposals.reduce((sum, { bytes }) => sum + bytes.length, 0);
