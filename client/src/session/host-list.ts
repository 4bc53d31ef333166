/**
 * The servers of an ensemble, in the order in which this client tries them (ZooKeeper's `StaticHostProvider`): shuffled once, so
 * that the clients of an ensemble spread over it, then round robin.
 *
 * When the list changes while the client runs, the clients must spread evenly over the new one without all of them moving.
 * Each draws for itself, with odds such that the expected load comes out even ("Dynamic reconfiguration", Rebalancing): when
 * servers were added, a client stays with probability old/new; when some were taken away, only those move whose server went.
 * A client that moves tries servers by those odds first, each once, and then goes round as usual.
 *
 * No clock: the pauses are the session's.
 */
import { hostName } from './connect-string.ts';
import type { HostAddress } from './transport.ts';

/** A client that has to move: what it has not tried yet, and how likely it takes an old server. */
interface Move {
  readonly oldHosts: HostAddress[];
  readonly newHosts: HostAddress[];
  readonly oldProbability: number;
}

export class HostList {
  readonly #random: () => number;
  #hosts: readonly HostAddress[];
  #index = -1;
  /** The host that served last, or the first one: coming round to it costs a pause. */
  #lastIndex = -1;
  /** Present from a change of the list that this client has to move for until it has moved. */
  #move: Move | undefined;

  /** @param hosts at least one */
  constructor(hosts: readonly HostAddress[], random: () => number) {
    this.#random = random;
    this.#hosts = shuffle(hosts, random);
  }

  get length(): number {
    return this.#hosts.length;
  }

  /** The host to try next; `isRound` when that is the one that served last, or the first one again. */
  next(): { readonly address: HostAddress; readonly isRound: boolean } {
    const moving = this.#nextOfMove();
    if (moving !== undefined) return { address: moving, isRound: false };
    this.#index = (this.#index + 1) % this.#hosts.length;
    const isRound = this.#index === this.#lastIndex;
    if (this.#lastIndex === -1) this.#lastIndex = 0;
    return { address: this.#at(this.#index), isRound };
  }

  /** The host that `next` gave out last, or that was named here, serves. */
  onConnected(address: HostAddress): void {
    this.#index = this.#indexOf(address);
    this.#lastIndex = this.#index;
    this.#move = undefined;
  }

  /**
   * Another list from now on.
   * @param current the host that this client is connected to, or is about to try
   * @returns whether it should leave that host, and connect to what `next` says
   */
  update(hosts: readonly HostAddress[], current: HostAddress): boolean {
    const before = this.#hosts;
    const isIn = (list: readonly HostAddress[], host: HostAddress) => list.some((each) => isSame(each, host));
    this.#hosts = shuffle(hosts, this.#random);
    const oldHosts = this.#hosts.filter((host) => isIn(before, host));
    const newHosts = this.#hosts.filter((host) => !isIn(before, host));
    const oldProbability = this.#oldProbability(before.length, oldHosts.length, isIn(this.#hosts, current));
    this.#index = oldProbability === undefined ? this.#indexOf(current) : -1;
    this.#lastIndex = this.#index;
    this.#move = oldProbability === undefined ? undefined : { oldHosts, newHosts, oldProbability };
    return this.#move !== undefined;
  }

  /** How likely a client that moves should take one of the servers that were there before; undefined for one that stays. */
  #oldProbability(before: number, kept: number, isCurrentKept: boolean): number | undefined {
    const now = this.#hosts.length;
    if (now > before) {
      // The old servers must lose clients.
      if (isCurrentKept && this.#random() >= 1 - before / now) return undefined;
      return 0;
    }
    if (isCurrentKept) return undefined;
    return kept === before ? 1 : (kept * (before - now)) / (now * (before - kept));
  }

  #nextOfMove(): HostAddress | undefined {
    if (this.#move === undefined) return undefined;
    const { oldHosts, newHosts, oldProbability } = this.#move;
    const takesOld = newHosts.length === 0 || (oldHosts.length > 0 && this.#random() < oldProbability);
    const address = (takesOld ? oldHosts : newHosts).shift();
    if (address === undefined) this.#move = undefined;
    else this.#index = this.#indexOf(address);
    return address;
  }

  #indexOf(address: HostAddress): number {
    return this.#hosts.findIndex((host) => isSame(host, address));
  }

  #at(index: number): HostAddress {
    const address = this.#hosts[index];
    if (address === undefined) throw new RangeError('a session needs at least one host');
    return address;
  }
}

/** By name: names are resolved at every attempt, so that addresses say nothing about who a server is. */
const isSame = (one: HostAddress, other: HostAddress): boolean => hostName(one) === hostName(other);

/** Fisher–Yates. */
function shuffle<T>(items: readonly T[], random: () => number): T[] {
  const shuffled = [...items];
  for (let i = shuffled.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [shuffled[i], shuffled[j]] = [shuffled[j] as T, shuffled[i] as T];
  }
  return shuffled;
}
