import { type ServerId, toHex } from 'zookeeper-protocol-ts';

/** A member of an ensemble. */
export interface Member {
  readonly id: ServerId;
  /** Whether it votes. */
  readonly type: 'participant' | 'observer';
  /** Where its leader listens for learners. */
  readonly quorumAddress: MemberAddress;
  /** Where it takes part in elections. */
  readonly electionAddress: MemberAddress;
  /** Where clients go, where its line says so. */
  readonly clientAddress?: MemberAddress | undefined;
}

export interface MemberAddress {
  readonly host: string;
  readonly port: number;
}

export interface EnsembleOptions {
  readonly members: readonly Member[];
  /** Groups of voters, by number (`group.N`): a quorum is a majority of groups, each with the majority of its weight. */
  readonly groups?: ReadonlyMap<number, readonly ServerId[]>;
  /** Weights that are not 1 (`weight.N`); without groups they have no effect, as in the original. */
  readonly weights?: ReadonlyMap<ServerId, number>;
  /** Version of the configuration: 0 of a static one. */
  readonly version?: bigint;
}

/**
 * Who takes part, and what makes a quorum (`QuorumMaj`, `QuorumHierarchical`). A standalone server is an ensemble of one voter;
 * nothing else in the server knows the difference.
 */
export class Ensemble {
  readonly #members: ReadonlyMap<ServerId, Member>;
  readonly #groups: ReadonlyMap<number, readonly ServerId[]>;
  readonly #weights: ReadonlyMap<ServerId, number>;
  readonly version: bigint;
  /** Those who vote, in the order of their ids. */
  readonly voters: readonly ServerId[];

  constructor({ members, groups = new Map(), weights = new Map(), version = 0n }: EnsembleOptions) {
    this.#members = new Map([...members].sort((a, b) => a.id - b.id).map((member) => [member.id, member]));
    this.#groups = groups;
    this.#weights = weights;
    this.version = version;
    this.voters = [...this.#members.values()].filter(({ type }) => type === 'participant').map(({ id }) => id);
  }

  /** Of one voter, who needs nobody and is never dialled. */
  static of(self: ServerId): Ensemble {
    const nowhere = { host: '', port: 0 };
    return new Ensemble({
      members: [{ id: self, type: 'participant', quorumAddress: nowhere, electionAddress: nowhere }],
    });
  }

  /** Whether there is nobody to agree with, and nobody to be dialled by. */
  get isAlone(): boolean {
    const [only] = this.#members.values();
    return this.#members.size === 1 && only?.quorumAddress.port === 0;
  }

  get members(): Iterable<Member> {
    return this.#members.values();
  }

  member(id: ServerId): Member | undefined {
    return this.#members.get(id);
  }

  isVoter(id: ServerId): boolean {
    return this.#members.get(id)?.type === 'participant';
  }

  /** 0 for a server that must not lead. */
  weightOf(id: ServerId): number {
    if (this.#groups.size === 0) return 1;
    return this.isVoter(id) ? (this.#weights.get(id) ?? 1) : 0;
  }

  /** Whether those voters for which `holds` is true are a quorum. Servers that don't vote never count. */
  hasQuorum(holds: (voter: ServerId) => boolean): boolean {
    if (this.#groups.size > 0) return this.#hasQuorumOfGroups(holds);
    let count = 0;
    for (const voter of this.voters) if (holds(voter)) count++;
    return count * 2 > this.voters.length;
  }

  /** As servers send it to each other, and as it stands in `/zookeeper/config`. */
  get text(): string {
    const lines = [...this.#members.values()].map((member) => `server.${member.id}=${memberText(member)}`);
    for (const [group, ids] of this.#groups) lines.push(`group.${group}=${ids.join(':')}`);
    if (this.#groups.size > 0) for (const id of this.voters) lines.push(`weight.${id}=${this.weightOf(id)}`);
    lines.push(`version=${toHex(this.version).slice(2)}`);
    return lines.join('\n');
  }

  #hasQuorumOfGroups(holds: (voter: ServerId) => boolean): boolean {
    let groups = 0;
    let satisfied = 0;
    for (const ids of this.#groups.values()) {
      let total = 0;
      let held = 0;
      for (const id of ids) {
        total += this.weightOf(id);
        if (holds(id)) held += this.weightOf(id);
      }
      if (total === 0) continue;
      groups++;
      if (held * 2 > total) satisfied++;
    }
    return satisfied * 2 > groups;
  }
}

const inBrackets = (host: string): string => (host.includes(':') ? `[${host}]` : host);

function memberText({ quorumAddress, electionAddress, type, clientAddress }: Member): string {
  const { host, port } = quorumAddress;
  const client = clientAddress === undefined ? '' : `;${inBrackets(clientAddress.host)}:${clientAddress.port}`;
  return `${inBrackets(host)}:${port}:${electionAddress.port}:${type}${client}`;
}
