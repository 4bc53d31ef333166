import { counterOf, epochOf, type Zxid } from 'zookeeper-protocol-ts';
import { Fifo } from '../fifo.ts';
import { assert } from '../invariant.ts';
import type { Proposal } from './proposal.ts';

/** The original's `commitLogCount`: so many delivered proposals are kept for learners that lack them. */
export const RECENT_MAX = 500;
/** Of all of them together, which the original does not bound. */
const RECENT_BYTES_MAX = 64 * 1024 * 1024;

/** How a learner gets from its history to the leader's. */
export type Sync =
  | { readonly kind: 'diff' | 'trunc'; readonly zxid: Zxid; readonly proposals: readonly Proposal[] }
  | { readonly kind: 'snap' };

export interface HistoryOptions {
  readonly keepsRecent: boolean;
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
  /** Delivered, oldest first, without a gap: a gap empties it (ZOOKEEPER-4925). */
  #recent: Proposal[] = [];

  #recentBytes = 0;
  readonly #keepsRecent: boolean;

  /**
   * @param lastZxid where the recovered history ends: all of it is in the database, and durable
   * @param options `keepsRecent`: whether there may be learners; `recent`: the end of that history
   */
  constructor(lastZxid: Zxid, { keepsRecent, recent = [] }: HistoryOptions) {
    this.#keepsRecent = keepsRecent;
    if (keepsRecent) for (const proposal of recent) this.#keep(proposal);
    this.#lastLogged = lastZxid;
    this.#lastDelivered = lastZxid;
    this.#lastSynced = lastZxid;
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

  get pending(): Iterable<Proposal> {
    return this.#pending;
  }

  /** What was logged behind `zxid` and is still at hand, oldest first. */
  *since(zxid: Zxid): Generator<Proposal> {
    for (let i = this.#recent.findLastIndex((proposal) => proposal.zxid <= zxid) + 1; i < this.#recent.length; i++) {
      yield this.#recent[i] as Proposal; // i is below the length
    }
    for (const proposal of this.#pending) if (proposal.zxid > zxid) yield proposal;
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
      if (this.#keepsRecent) this.#keep(next);
    }
    return delivered;
  }

  #keep(proposal: Proposal): void {
    this.#recent.push(proposal);
    this.#recentBytes += proposal.bytes.length;
    // Seldom: what is cut off is copied each time.
    if (this.#recent.length <= RECENT_MAX * 2 && this.#recentBytes <= RECENT_BYTES_MAX) return;
    this.#recent = this.#recent.slice(-RECENT_MAX);
    this.#recentBytes = this.#recent.reduce((sum, { bytes }) => sum + bytes.length, 0);
    if (this.#recentBytes <= RECENT_BYTES_MAX / 2) return;
    this.#recent = this.#recent.slice(-1);
    this.#recentBytes = proposal.bytes.length;
  }

  /** The log was cut behind `zxid`, durably, and the database recovered from what is left: that is as if it were delivered. */
  truncate(zxid: Zxid): void {
    this.deliverUpTo(zxid);
    this.#pending = new Fifo();
    this.#recent = this.#recent.filter((proposal) => proposal.zxid <= zxid);
    this.#lastLogged = zxid;
    this.#lastSynced = zxid;
    this.#lastDelivered = zxid;
  }

  /** All of it was replaced by a snapshot at `zxid`, which is durable. */
  replace(zxid: Zxid): void {
    this.#pending = new Fifo();
    this.#recent = [];
    this.#recentBytes = 0;
    this.#lastLogged = zxid;
    this.#lastDelivered = zxid;
    this.#lastSynced = zxid;
  }

  /**
   * How a learner whose log ends at `last` gets what is delivered here (`LearnerHandler.syncFollower`). A zxid inside the range
   * counts only if it is present: a server may have logged what nobody else ever had (ZOOKEEPER-1154).
   */
  syncFor(last: Zxid): Sync {
    if (last === this.#lastDelivered) return { kind: 'diff', zxid: last, proposals: [] };
    const max = this.#lastDelivered;
    const startsEpoch = counterOf(last) === 0;
    if (last > max && !startsEpoch) return { kind: 'trunc', zxid: max, proposals: [] };
    const [first] = this.#recent;
    if (first === undefined || last < first.zxid) return { kind: 'snap' };
    let index = this.#recent.findIndex((proposal) => proposal.zxid >= last);
    if (index === -1) index = this.#recent.length;
    const next = this.#recent[index];
    if (next?.zxid === last) return { kind: 'diff', zxid: max, proposals: this.#recent.slice(index + 1) };
    if (startsEpoch) return { kind: 'diff', zxid: max, proposals: this.#recent.slice(index) };
    const previous = this.#recent[index - 1];
    if (previous === undefined || next === undefined || epochOf(next.zxid) !== epochOf(last)) return { kind: 'snap' };
    return { kind: 'trunc', zxid: previous.zxid, proposals: this.#recent.slice(index) };
  }
}
