/**
 * The way from one machine to another, in that direction. It delays what goes over it; while it is blocked, everything waits
 * and goes on after the heal, as retransmissions would bring it. Order is not the link's: the streams above keep it.
 */
import type { EventQueue } from './event-queue.ts';
import { type Draws, type Range, wordOf } from './random.ts';

const RETRANSMIT_US = 200_000;
/** A chunk is lost at most so many times in a row. */
const LOSSES_MAX = 6;

export interface LinkOptions {
  /** One-way delay, ms. Equal bounds make it fixed. Default 0.1 to 2. */
  readonly delayMs: Range;
  /** Default: no limit. */
  readonly bytesPerMs: number;
  /** Part of the chunks that are lost and sent again after 200 ms, then 400, doubling. Default 0. */
  readonly lossRate: number;
}

export const LINK_OPTIONS_DEFAULT: LinkOptions = {
  delayMs: [0.1, 2],
  bytesPerMs: Number.POSITIVE_INFINITY,
  lossRate: 0,
};

/** An end of a stream that must hear of a block and of its end. */
export interface LinkUser {
  onBlocked(link: Link): void;
  onUnblocked(link: Link): void;
}

export class Link {
  options: LinkOptions;
  readonly #queue: EventQueue;
  readonly #draws: Draws;
  readonly #key: number;
  #sent = 0;
  #blocked = false;
  /** Control packets held by the block, in order. */
  #waiting: (() => void)[] = [];
  readonly #users = new Set<LinkUser>();

  constructor(queue: EventQueue, draws: Draws, name: string, options: LinkOptions) {
    this.#queue = queue;
    this.#draws = draws;
    this.#key = wordOf(name);
    this.options = options;
  }

  get blocked(): boolean {
    return this.#blocked;
  }

  attach(user: LinkUser): void {
    this.#users.add(user);
  }

  detach(user: LinkUser): void {
    this.#users.delete(user);
  }

  /** When bytes arrive that are sent now; infinity while the link is blocked. */
  arrivalUs(byteCount: number): number {
    if (this.#blocked) return Number.POSITIVE_INFINITY;
    const { delayMs, bytesPerMs, lossRate } = this.options;
    const sent = this.#sent++;
    const delayUs = this.#draws.between(
      [Math.round(delayMs[0] * 1000), Math.round(delayMs[1] * 1000)],
      this.#key,
      sent,
    );
    let lostUs = 0;
    for (let losses = 0; losses < LOSSES_MAX; losses++) {
      if (!this.#draws.chance(lossRate, this.#key + 1 + losses, sent)) break;
      lostUs += RETRANSMIT_US * 2 ** losses;
    }
    return this.#queue.nowUs + delayUs + lostUs + Math.ceil((byteCount * 1000) / bytesPerMs);
  }

  /** Carries a packet of the connection's set-up or end. */
  send(arrived: () => void): void {
    if (this.#blocked) {
      this.#waiting.push(arrived);
      return;
    }
    const onArrival = () => (this.#blocked ? this.#waiting.push(arrived) : arrived());
    this.#queue.kernel.schedule(this.arrivalUs(0), { kind: 'packet', run: onArrival });
  }

  block(): void {
    if (this.#blocked) return;
    this.#blocked = true;
    for (const user of [...this.#users]) user.onBlocked(this);
  }

  unblock(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    for (const arrived of this.#waiting.splice(0)) this.send(arrived);
    for (const user of [...this.#users]) user.onUnblocked(this);
  }
}
