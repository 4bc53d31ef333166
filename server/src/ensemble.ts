import type { ServerId } from 'zookeeper-protocol-ts';

/**
 * Who takes part: the voters of an ensemble, and what makes a quorum of them. A standalone server is an ensemble of one
 * voter; nothing else in the server knows the difference.
 */
export class Ensemble {
  readonly #voters: ReadonlySet<ServerId>;

  constructor(voters: Iterable<ServerId>) {
    this.#voters = new Set(voters);
  }

  get size(): number {
    return this.#voters.size;
  }

  /** Whether those voters for which `holds` is true are a majority. Servers that don't vote never count. */
  hasQuorum(holds: (voter: ServerId) => boolean): boolean {
    let count = 0;
    for (const voter of this.#voters) if (holds(voter)) count++;
    return count * 2 > this.#voters.size;
  }
}
