import type { ServerId, Zxid } from 'zookeeper-protocol-ts';
import type { Ensemble } from '../ensemble.ts';
import { Fifo } from '../fifo.ts';
import { assert } from '../invariant.ts';
import type { Output } from './contract.ts';
import type { Proposal } from './proposal.ts';

/**
 * The leader's part of broadcast (ZAB paper, phase 3): proposals are numbered without gaps, appended, and committed in order,
 * each once a quorum of voters has it in a durable log. The leader counts itself only when its own log is synced.
 */
export class Leader {
  readonly #self: ServerId;
  readonly #ensemble: Ensemble;
  /** Proposals not committed yet, oldest first, zxids contiguous. */
  readonly #outstanding = new Fifo<Proposal>();
  #lastProposed: Zxid;
  #lastCommitted: Zxid;
  /** Up to which zxid each voter's log is known to be durable. */
  readonly #durable = new Map<ServerId, Zxid>();
  /** Syncs waiting for what was proposed before them, oldest first. */
  readonly #syncs: { readonly after: Zxid; readonly id: number }[] = [];

  /** @param lastZxid the last zxid of the history that this leader starts from: durable, and committed */
  constructor({ self, ensemble, lastZxid }: { self: ServerId; ensemble: Ensemble; lastZxid: Zxid }) {
    this.#self = self;
    this.#ensemble = ensemble;
    this.#lastProposed = lastZxid;
    this.#lastCommitted = lastZxid;
  }

  /** The zxid that the next proposal must have. */
  get nextZxid(): Zxid {
    return (this.#lastProposed + 1n) as Zxid;
  }

  /** Proposals not committed yet. */
  get outstanding(): number {
    return this.#outstanding.length;
  }

  propose(proposal: Proposal): Output[] {
    assert(proposal.zxid === this.nextZxid, 'LOG-2: a proposal must have the next zxid');
    this.#lastProposed = proposal.zxid;
    this.#outstanding.push(proposal);
    return [{ kind: 'append', proposal }];
  }

  /** This server's own log is durable up to `zxid`: it may count itself for all up to there. */
  onSynced(zxid: Zxid): Output[] {
    assert(zxid <= this.#lastProposed, 'LOG-3: synced beyond what was proposed');
    this.#durable.set(this.#self, zxid);
    return this.#commitReady();
  }

  /** Answered by `syncCompleted` once everything proposed before has been committed; at once if there is nothing. */
  sync(id: number): Output[] {
    if (this.#outstanding.length === 0) return [{ kind: 'syncCompleted', id }];
    this.#syncs.push({ after: this.#lastProposed, id });
    return [];
  }

  #commitReady(): Output[] {
    const outputs: Output[] = [];
    const committable = this.#durableAtQuorum();
    for (
      let next = this.#outstanding.peek();
      next !== undefined && next.zxid <= committable;
      next = this.#outstanding.peek()
    ) {
      assert(next.zxid === this.#lastCommitted + 1n, 'ZAB-2: commits are in the order of the proposals');
      this.#outstanding.shift();
      this.#lastCommitted = next.zxid;
      outputs.push({ kind: 'deliver', proposal: next });
      this.#completeSyncs(outputs);
    }
    return outputs;
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

  #completeSyncs(outputs: Output[]): void {
    for (;;) {
      const sync = this.#syncs[0];
      if (sync === undefined || sync.after > this.#lastCommitted) return;
      this.#syncs.shift();
      outputs.push({ kind: 'syncCompleted', id: sync.id });
    }
  }
}
