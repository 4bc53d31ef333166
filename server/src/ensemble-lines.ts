import { type ServerId, toServerId } from 'zookeeper-protocol-ts';
import { Ensemble, type Member, type MemberAddress } from './ensemble.ts';

/** A line of zoo.cfg about an ensemble that says what can't be. The message has no place. */
export class EnsembleLineError extends Error {
  override readonly name = 'EnsembleLineError';
}

/**
 * The lines of zoo.cfg, or of a dynamic configuration, that make an ensemble (`QuorumPeerConfig.parseDynamicConfig`,
 * `QuorumPeer.QuorumServer`):
 *
 *     server.N=host:quorum port:election port[:participant|observer][;[client address:]client port]
 *     group.G=N:N:…        weight.N=W
 */
export class EnsembleLines {
  readonly #members = new Map<ServerId, Member>();
  readonly #groups = new Map<number, readonly ServerId[]>();
  readonly #weights = new Map<ServerId, number>();

  /**
   * Takes a line about an ensemble.
   * @returns false for a line about something else
   * @throws EnsembleLineError
   */
  take(key: string, value: string): boolean {
    const [, kind, number] = /^(server|group|weight)\.(\d{1,9})$/.exec(key) ?? [];
    if (kind === undefined || number === undefined) {
      if (/^(server|group|weight)\./.test(key)) throw new EnsembleLineError('the number behind the dot is missing');
      return false;
    }
    const id = toServerId(Number(number));
    switch (kind) {
      case 'server':
        if (this.#members.has(id)) throw new EnsembleLineError(`server ${id} stands here twice`);
        if (id < 1 || id > ID_MAX) throw new EnsembleLineError(`${id} is not between 1 and ${ID_MAX}`);
        this.#members.set(id, memberOf(id, value));
        break;
      case 'group':
        this.#groups.set(id, this.#groupOf(value));
        break;
      default:
        if (!/^\d{1,9}$/.test(value)) throw new EnsembleLineError(`"${value}" is not a weight`);
        this.#weights.set(id, Number(value));
    }
    return true;
  }

  /**
   * Undefined if no line was taken, or if it is one voter who needs no other: the original runs that one alone, too.
   * @throws EnsembleLineError for lines that don't fit each other
   */
  complete({ standaloneEnabled }: { readonly standaloneEnabled: boolean }): Ensemble | undefined {
    if (this.#members.size === 0) {
      if (this.#groups.size + this.#weights.size > 0)
        throw new EnsembleLineError('groups and weights, and no server lines');
      return undefined;
    }
    const voters = [...this.#members.values()].filter(({ type }) => type === 'participant');
    if (voters.length === 0) throw new EnsembleLineError('nobody votes: an ensemble of observers');
    if (this.#members.size === 1 && standaloneEnabled) return undefined;
    this.#requireGroups(voters);
    return new Ensemble({ members: [...this.#members.values()], groups: this.#groups, weights: this.#weights });
  }

  #groupOf(value: string): ServerId[] {
    if (!/^\d{1,9}(:\d{1,9})*$/.test(value)) throw new EnsembleLineError(`"${value}" is not a list of servers: 1:2:3`);
    const ids = value.split(':').map((id) => toServerId(Number(id)));
    for (const id of ids) {
      const isTwice = [...this.#groups.values()].some((group) => group.includes(id));
      if (isTwice) throw new EnsembleLineError(`server ${id} is in another group already`);
    }
    return ids;
  }

  #requireGroups(voters: readonly Member[]): void {
    if (this.#groups.size === 0) return;
    const grouped = new Set([...this.#groups.values()].flat());
    for (const { id } of voters) {
      if (!grouped.has(id)) throw new EnsembleLineError(`server ${id} votes and is in no group`);
    }
  }
}

/** The id stands in one byte of the session ids. */
const ID_MAX = 255;

function memberOf(id: ServerId, value: string): Member {
  const [servers = '', client] = value.split(';');
  if (servers.includes('|')) throw new EnsembleLineError('several addresses of one server are not supported');
  const [, bracketed, plain, quorum, election, role = 'participant'] = MEMBER.exec(servers.trim()) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || quorum === undefined || election === undefined) {
    throw new EnsembleLineError(`"${value}" is not host:port:port, with :participant or :observer and ;port or not`);
  }
  return {
    id,
    type: role.toLowerCase() === 'observer' ? 'observer' : 'participant',
    quorumAddress: { host, port: portOf(quorum) },
    electionAddress: { host, port: portOf(election) },
    clientAddress: client === undefined || client.trim() === '' ? undefined : clientAddressOf(client.trim()),
  };
}

const MEMBER = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d+):(\d+)(?::(participant|observer))?$/i;

function clientAddressOf(text: string): MemberAddress {
  const [, bracketed, plain, port] = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d+)$/.exec(text) ?? [];
  if (port === undefined) throw new EnsembleLineError(`"${text}" is not a client port`);
  return { host: bracketed ?? plain ?? '0.0.0.0', port: portOf(port) };
}

function portOf(text: string): number {
  const port = Number(text);
  if (port < 1 || port > 65_535) throw new EnsembleLineError(`${text} is not a port`);
  return port;
}
