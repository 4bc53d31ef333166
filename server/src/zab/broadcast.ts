import type { ServerId, Zxid } from 'zookeeper-protocol-ts';
import type { Ensemble } from '../ensemble.ts';
import { Fifo } from '../fifo.ts';
import { assert } from '../invariant.ts';
import type { Output } from './contract.ts';
import type { History } from './history.ts';
import type { Proposal } from './proposal.ts';

/** What a commit leads to. */
type CommitOutput = Extract<Output, { readonly kind: 'deliver' | 'syncCompleted' }>;

/**
 * The leader's part of broadcast (ZAB paper, phase 3): proposals are numbered without gaps, appended, and committed in order,
 * each once a quorum of voters has it in a durable log. The leader counts itself only when its own log is synced.
 */
export class Broadcast {
  readonly #ensemble: Ensemble;
  readonly #history: History;
  #lastProposed: Zxid;
  #lastCommitted: Zxid;
  /** Up to which zxid each voter's log is known to be durable. */
  readonly #durable = new Map<ServerId, Zxid>();
  /** Syncs waiting for what was proposed before them, oldest first. */
  readonly #syncs = new Fifo<{ readonly after: Zxid; readonly id: number }>();

  /** @param lastZxid the one before the first proposal: the end of a committed history, or the start of an epoch */
  constructor({ ensemble, history, lastZxid }: { ensemble: Ensemble; history: History; lastZxid: Zxid }) {
    this.#ensemble = ensemble;
    this.#history = history;
    this.#lastProposed = lastZxid;
    this.#lastCommitted = lastZxid;
  }

  /** The zxid that the next proposal must have. */
  get nextZxid(): Zxid {
    return (this.#lastProposed + 1n) as Zxid;
  }

  get lastProposed(): Zxid {
    return this.#lastProposed;
  }

  /** Syncs that wait for what was proposed before them. */
  get pendingSyncs(): number {
    return this.#syncs.length;
  }

  get lastCommitted(): Zxid {
    return this.#lastCommitted;
  }

  propose(proposal: Proposal): void {
    assert(proposal.zxid === this.nextZxid, 'LOG-2: a proposal must have the next zxid');
    this.#lastProposed = proposal.zxid;
    this.#history.append(proposal);
  }

  /**
   * A voter's log is durable up to `zxid`. What it has acknowledged before changes nothing, nor does a zxid of another epoch.
   * @returns what is committed by that is delivered, in order
   */
  onAck(voter: ServerId, zxid: Zxid): CommitOutput[] {
    if (zxid > this.#lastProposed || zxid <= (this.#durable.get(voter) ?? this.#lastCommitted)) return [];
    this.#durable.set(voter, zxid);
    if (!this.#ensemble.hasQuorum((each) => (this.#durable.get(each) ?? 0n) > this.#lastCommitted)) return [];
    this.#lastCommitted = this.#durableAtQuorum();
    const outputs: CommitOutput[] = [];
    for (const proposal of this.#history.deliverUpTo(this.#lastCommitted)) {
      outputs.push({ kind: 'deliver', proposal });
      this.#completeSyncs(proposal.zxid, outputs);
    }
    return outputs;
  }

  /** Answered by `syncCompleted` once everything proposed before has been committed; at once if there is nothing. */
  sync(id: number): CommitOutput[] {
    if (this.#lastProposed === this.#lastCommitted) return [{ kind: 'syncCompleted', id }];
    this.#syncs.push({ after: this.#lastProposed, id });
    return [];
  }

  #completeSyncs(committed: Zxid, outputs: CommitOutput[]): void {
    for (let next = this.#syncs.peek(); next !== undefined && next.after <= committed; next = this.#syncs.peek()) {
      this.#syncs.shift();
      outputs.push({ kind: 'syncCompleted', id: next.id });
    }
  }

  /** A voter has gone: whatever it tells when it is back it has to acknowledge again. */
  forget(voter: ServerId): void {
    this.#durable.delete(voter);
  }

  /** Up to which zxid a quorum has everything in durable logs. */
  #durableAtQuorum(): Zxid {
    let highest = this.#lastCommitted;
    for (const candidate of this.#durable.values()) {
      if (candidate > highest && this.#ensemble.hasQuorum((voter) => (this.#durable.get(voter) ?? 0n) >= candidate)) {
        highest = candidate;
      }
    }
    return highest;
  }
}
