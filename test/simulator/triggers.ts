/**
 * Faults that strike at a moment, not at a time: when somebody has just become leader, when NEWLEADER is on its way, when an fsync
 * has begun. Which moments count is drawn for each life.
 */
import type { Role } from '../../server/src/quorum-peer.ts';
import type { Observation } from './observation.ts';
import type { PacketName, SeenPacket } from './quorum-wire.ts';
import { SeededRandom } from './random.ts';

/** What is done to whom. `from` and `to` are the two ends of a message. */
export type Strike =
  | { readonly kind: 'kill' | 'powerLoss' | 'isolate' | 'freeze' | 'reset'; readonly server: string }
  | { readonly kind: 'cut'; readonly from: string; readonly to: string }
  | { readonly kind: 'powerLossOfAll' };

export interface Struck {
  readonly moment: Moment;
  readonly strike: Strike;
  /** From now on. */
  readonly afterMs: number;
}

/** How often each is taken when it comes. */
const MOMENTS = {
  'who became leader': 0.4,
  'LEADERINFO is sent': 0.1,
  'ACKEPOCH is sent': 0.1,
  'a history is sent': 0.2,
  'NEWLEADER is sent': 0.2,
  'NEWLEADER is acknowledged': 0.2,
  'UPTODATE is sent': 0.2,
  'PROPOSAL is sent': 0.01,
  'ACK is sent': 0.01,
  'COMMIT is sent': 0.01,
  'a sync of the log begins': 0.01,
  'an epoch is saved': 0.1,
  'a snapshot gets its name': 0.15,
  'a log is cut': 0.5,
} as const;
export type Moment = keyof typeof MOMENTS;

export const MOMENT_NAMES = Object.keys(MOMENTS) as readonly Moment[];

const PACKETS: Partial<Record<PacketName, Moment>> = {
  LEADERINFO: 'LEADERINFO is sent',
  ACKEPOCH: 'ACKEPOCH is sent',
  DIFF: 'a history is sent',
  TRUNC: 'a history is sent',
  SNAP: 'a history is sent',
  NEWLEADER: 'NEWLEADER is sent',
  UPTODATE: 'UPTODATE is sent',
  PROPOSAL: 'PROPOSAL is sent',
  COMMIT: 'COMMIT is sent',
};

export class Triggers {
  readonly #random: SeededRandom;
  readonly #moments: ReadonlySet<Moment>;
  /** So long nothing strikes after a strike: or nobody would ever be served. */
  readonly #pauseMs: number;
  readonly #strike: (struck: Struck) => void;
  readonly #nowMs: () => number;
  #quietUntil = 0;

  /** @param strike is asked to do it later: the process is in the middle of something */
  constructor(seed: number, nowMs: () => number, strike: (struck: Struck) => void) {
    this.#random = new SeededRandom(seed, 'triggers');
    this.#moments = new Set(MOMENT_NAMES.filter(() => this.#random.next() < 0.5));
    this.#pauseMs = this.#pick([300, 1500, 5000]);
    this.#nowMs = nowMs;
    this.#strike = strike;
  }

  onRole(server: string, role: Role | undefined): void {
    if (role === 'leader') this.#at('who became leader', server, undefined, 30);
  }

  onPacket({ name, from, to, zxid }: SeenPacket): void {
    const isOfEpoch = (zxid & 0xffff_ffffn) === 0n;
    const moment = name === 'ACK' ? (isOfEpoch ? 'NEWLEADER is acknowledged' : 'ACK is sent') : PACKETS[name];
    if (moment !== undefined) this.#at(moment, from, to, moment === 'a history is sent' ? 20 : 3);
  }

  onDisk({ machine, operation, file }: Extract<Observation, { readonly kind: 'disk' }>): void {
    const moment = momentOf(operation, file);
    if (moment !== undefined) this.#at(moment, machine, undefined, 2);
  }

  #at(moment: Moment, server: string, other: string | undefined, withinMs: number): void {
    if (!this.#moments.has(moment) || this.#nowMs() < this.#quietUntil) return;
    if (this.#random.next() >= MOMENTS[moment]) return;
    this.#quietUntil = this.#nowMs() + this.#pauseMs;
    const strike = this.#choose(server, other);
    // A link is cut before what was sent has arrived, or not at all.
    const afterMs = strike.kind === 'cut' || this.#random.next() < 0.5 ? 0 : this.#random.next() * withinMs;
    this.#strike({ moment, strike, afterMs });
  }

  #choose(server: string, other: string | undefined): Strike {
    const victim = other === undefined || this.#random.next() < 0.5 ? server : other;
    const drawn = this.#random.next();
    if (drawn < 0.35) return { kind: 'powerLoss', server: victim };
    if (drawn < 0.5) return { kind: 'kill', server: victim };
    if (drawn < 0.6) return { kind: 'powerLossOfAll' };
    if (other !== undefined && drawn < 0.8) return { kind: 'cut', from: server, to: other };
    return { kind: this.#pick(['isolate', 'freeze', 'reset'] as const), server: victim };
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random.next() * list.length)] as T; // the index is below the length
  }
}

function momentOf(operation: string, file: string): Moment | undefined {
  switch (operation) {
    case 'sync':
      return file.startsWith('log.') ? 'a sync of the log begins' : undefined;
    case 'rename':
      if (/^(accepted|current)Epoch$/.test(file)) return 'an epoch is saved';
      return file.startsWith('snapshot.') ? 'a snapshot gets its name' : undefined;
    case 'truncate':
      return file.startsWith('log.') ? 'a log is cut' : undefined;
    default:
      return undefined;
  }
}
