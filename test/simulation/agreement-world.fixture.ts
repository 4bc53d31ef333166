/**
 * Agreement alone, in thousands of lives: the shipped `QuorumPeer` of each server, and nothing else that is shipped. Streams keep
 * their order and may come late; of the notifications that can't be delivered the last one is. The faults of a life are drawn from its seed, each kind
 * of them in half of the lives only: rare states are often reached because other faults are absent.
 *
 * A life ends well: everything is mended, and then within a bound there is one leader, everybody serves, new proposals are
 * delivered, and all have the same.
 */
import { makeZxid, type ServerId, toEpoch, toServerId } from 'zookeeper-protocol-ts';
import type { Notification } from '../../server/src/election/notification.ts';
import { Ensemble, type Member } from '../../server/src/ensemble.ts';
import type { LinkId } from '../../server/src/zab/contract.ts';
import { EventQueue } from '../simulator/event-queue.ts';
import { SeededRandom } from '../simulator/random.ts';
import { AgreementChecker } from './agreement-checkers.fixture.ts';
import { AgreementPeer, type Parcel, type Surroundings } from './agreement-peer.fixture.ts';

/** How long things break, of which one is drawn. */
const FAULTY_MS = [2000, 4000, 8000];
/** An election, discovery and synchronization, a few times over. */
const HEALED_MS = 5000;
const COMMITS_MIN = 20;
const EVENTS_PER_INSTANT_MAX = 10_000;
const TRACE_LINES = 20_000;
/** Above all that there are. */
const PRETENDED_EPOCH = toEpoch(1_000_000);

/** One end of a stream, and what its owner sends on it. */
interface End {
  readonly owner: AgreementPeer;
  readonly incarnation: number;
  readonly link: LinkId;
  other: End | undefined;
  isOpen: boolean;
  /** Nothing arrives before what was sent before it. */
  arrivesAt: number;
  /** What can't arrive, because the way is cut. */
  readonly held: (() => void)[];
}

const FAULT_KINDS = [
  ...(['crash', 'crashLeader', 'crashAll', 'crashAtEpoch', 'cut', 'isolate', 'freeze', 'slowDisk', 'reset'] as const),
  ...(['strandLeader', 'pretend'] as const),
];
type FaultKind = (typeof FAULT_KINDS)[number];

export interface AgreementWorldOptions {
  readonly seed: number;
  /** Keep lines for people. Default false. */
  readonly trace?: boolean;
}

export class AgreementWorld {
  readonly marks = new Map<string, number>();
  readonly #seed: number;
  readonly #lines: string[] = [];
  readonly #keepsLines: boolean;
  readonly #queue: EventQueue;
  readonly #random: SeededRandom;
  readonly #peers: readonly AgreementPeer[];
  readonly #checker: AgreementChecker;
  readonly #ends = new Map<AgreementPeer, Map<LinkId, End>>();
  /** Directions that are cut, `from>to`, and until when. */
  readonly #cuts = new Map<string, number>();
  /** The newest notification for each direction that is cut: the connections of elections keep that one. */
  readonly #waiting = new Map<string, Notification>();
  readonly #faults: readonly FaultKind[];
  readonly #faultEveryMs: number;
  readonly #proposeEveryMs: number;
  /** They crash when they have saved that an epoch begins, or shortly after. */
  readonly #doomed = new Set<AgreementPeer>();
  /** Elections take it for the one with the most history: what is safe rests on discovery, and not on them. */
  #pretender: ServerId | undefined;
  #proposals = 0;
  #isProposing = true;
  #isHealed = false;

  constructor({ seed, trace = false }: AgreementWorldOptions) {
    this.#seed = seed;
    this.#keepsLines = trace;
    this.#queue = new EventQueue(seed);
    this.#random = new SeededRandom(seed, 'agreement');
    const voters = this.#pick([3, 3, 4, 5]);
    const observers = this.#pick([0, 0, 1, 2]);
    this.#faults = FAULT_KINDS.filter(() => this.#random.next() < 0.5);
    this.#faultEveryMs = this.#pick([200, 600, 1500]);
    this.#proposeEveryMs = this.#pick([5, 30, 100]);
    const ids = Array.from({ length: voters + observers }, (_, i) => toServerId(i + 1));
    const address = { host: '', port: 0 };
    const members = ids.map((id): Member => {
      const type = id > voters ? 'observer' : 'participant';
      return { id, type, quorumAddress: address, electionAddress: address };
    });
    const ensemble = new Ensemble({ members });
    this.#checker = new AgreementChecker(ensemble, () => this.#peers);
    const around = this.#surroundings(ensemble);
    this.#peers = ids.map((id) => new AgreementPeer(id, around));
  }

  /** What happened, for people. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** @throws Error what a checker found, with the seed */
  run(): void {
    try {
      this.#live();
    } catch (cause) {
      const { message } = cause as Error; // checkers and machines throw nothing else
      throw new Error(`seed ${this.#seed} at ${this.#now()} ms: ${message}`, { cause });
    }
  }

  #live(): void {
    for (const peer of this.#peers) this.#after(this.#between(0, 50), () => peer.start());
    this.#after(100, () => this.#propose());
    this.#after(300, () => this.#fault());
    const faultyMs = this.#pick(FAULTY_MS);
    this.#runUntil(faultyMs);
    this.#heal();
    const { length } = this.#checker.history;
    this.#runUntil(faultyMs + HEALED_MS);
    this.#isProposing = false;
    this.#runUntil(faultyMs + HEALED_MS + 500);
    const roles = this.#peers.map(({ id, role }) => `${id} ${role ?? 'looking'}`).join(', ');
    const commits = this.#checker.history.length - length;
    if (commits < COMMITS_MIN) throw new Error(`LIVENESS: ${commits} transactions since everything works: ${roles}`);
    if (this.#peers.some(({ role }) => role === undefined)) throw new Error(`LIVENESS: not all serve: ${roles}`);
    if (this.#peers.filter(({ role }) => role === 'leader').length !== 1) throw new Error(`LIVENESS: ${roles}`);
    this.#checker.checkSame();
  }

  // --- time and chance ----------------------------------------------------------------------------------------------

  #now = (): number => this.#queue.nowUs / 1000;

  #after = (ms: number, run: () => void): void => {
    this.#queue.kernel.schedule(this.#queue.nowUs + Math.round(ms * 1000), { kind: 'event', run });
  };

  #between = (min: number, max: number): number => min + Math.floor(this.#random.next() * (max - min + 1));

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random.next() * list.length)] as T; // the index is below the length
  }

  #runUntil(ms: number): void {
    let instant = -1;
    let events = 0;
    for (;;) {
      const event = this.#queue.next(ms * 1000);
      if (event === undefined) return;
      events = event.atUs === instant ? events + 1 : 0;
      instant = event.atUs;
      if (events > EVENTS_PER_INSTANT_MAX) throw new Error('LIVENESS: time stands still');
      event.what.run(new Uint8Array(0));
    }
  }

  #mark = (name: string): void => {
    this.marks.set(name, (this.marks.get(name) ?? 0) + 1);
  };

  #trace = (line: () => string): void => {
    if (!this.#keepsLines) return;
    this.#lines.push(`${this.#now().toFixed(1)} ${line()}`);
    if (this.#lines.length > TRACE_LINES) this.#lines.shift();
  };

  // --- the network --------------------------------------------------------------------------------------------------

  #surroundings(ensemble: Ensemble): Surroundings {
    return {
      ensemble,
      now: this.#now,
      between: this.#between,
      after: this.#after,
      notify: (from, to, notification) => this.#notify(from, this.#peer(to), this.#asPretended(notification)),
      dial: (from, to, link) => this.#dial(from, this.#peer(to), link),
      send: (from, link, parcel) => this.#send(from, link, parcel),
      close: (from, link) => this.#close(from, link),
      closeAll: (from) => {
        for (const link of [...this.#endsOf(from).keys()]) this.#close(from, link);
      },
      onSnapshotAwaited: (peer) => {
        if (!this.#faults.includes('reset') || this.#random.next() > 0.2) return;
        this.#after(this.#between(0, 200), () => this.#isHealed || this.#break('reset', peer));
      },
      mark: this.#mark,
      trace: this.#trace,
      observer: {
        ...{ onDeliver: this.#checker.onDeliver, onHistoryChanged: this.#checker.onHistoryChanged },
        onEpoch: (peer, which, before) => {
          this.#checker.onEpoch(peer, which, before);
          if (which === 'current' && this.#doomed.delete(peer))
            this.#after(this.#between(0, 3), () => this.#crash(peer, 500));
        },
        onRole: (peer) => {
          this.#mark(peer.role ?? 'looking');
          this.#checker.onRole(peer);
        },
      },
    };
  }

  #peer(id: ServerId): AgreementPeer {
    return this.#peers[id - 1] as AgreementPeer; // ids are 1, 2, 3 …
  }

  #isCut(from: AgreementPeer, to: AgreementPeer): boolean {
    return (this.#cuts.get(`${from.id}>${to.id}`) ?? 0) > this.#now();
  }

  #asPretended(notification: Notification): Notification {
    if (notification.leader !== this.#pretender || notification.state !== 'LOOKING') return notification;
    return { ...notification, peerEpoch: PRETENDED_EPOCH, zxid: makeZxid(PRETENDED_EPOCH, 0) };
  }

  #notify(from: AgreementPeer, to: AgreementPeer, notification: Notification): void {
    const way = `${from.id}>${to.id}`;
    if (this.#waiting.has(way)) {
      this.#mark('notification superseded');
      this.#waiting.set(way, notification);
    } else if (this.#isCut(from, to)) {
      this.#waiting.set(way, notification);
      this.#notifyLater(from, to, way);
    } else this.#after(this.#between(1, 8), () => to.step({ kind: 'notification', from: from.id, notification }));
  }

  #notifyLater(from: AgreementPeer, to: AgreementPeer, way: string): void {
    this.#after(this.#between(5, 50), () => {
      if (this.#isCut(from, to)) return this.#notifyLater(from, to, way);
      const notification = this.#waiting.get(way);
      this.#waiting.delete(way);
      if (notification !== undefined && from.isUp) to.step({ kind: 'notification', from: from.id, notification });
    });
  }

  #endsOf(peer: AgreementPeer): Map<LinkId, End> {
    let ends = this.#ends.get(peer);
    if (ends === undefined) {
      ends = new Map();
      this.#ends.set(peer, ends);
    }
    return ends;
  }

  #dial(from: AgreementPeer, to: AgreementPeer, link: LinkId): void {
    const end = this.#addEnd(from, link);
    this.#after(this.#between(1, 5), () => {
      if (!end.isOpen || end.incarnation !== from.incarnation) return;
      if (!to.isUp || this.#isCut(from, to) || this.#isCut(to, from)) {
        this.#endsOf(from).delete(link);
        return from.onLinkClosed(link);
      }
      const other = this.#addEnd(to, to.peer.nextLink());
      end.other = other;
      other.other = end;
      from.step({ kind: 'linkOpened', link });
    });
  }

  #addEnd(owner: AgreementPeer, link: LinkId): End {
    const { incarnation } = owner;
    const end: End = { owner, incarnation, link, other: undefined, isOpen: true, arrivesAt: 0, held: [] };
    this.#endsOf(owner).set(link, end);
    return end;
  }

  #send(from: AgreementPeer, link: LinkId, parcel: Parcel): void {
    const end = this.#endsOf(from).get(link);
    if (end?.other !== undefined && end.isOpen) this.#transmit(end, end.other, parcel);
  }

  #transmit(end: End, other: End, { takesMs = 0, arrived }: Parcel): void {
    const arrive = () => {
      const { owner, link, incarnation } = other;
      if (owner.incarnation === incarnation && this.#endsOf(owner).get(link) === other) arrived(owner, link);
    };
    end.arrivesAt = Math.max(end.arrivesAt, this.#now() + takesMs + this.#between(1, 6));
    this.#after(end.arrivesAt - this.#now(), () => {
      if (end.held.length > 0 || this.#isCut(end.owner, other.owner)) end.held.push(arrive);
      else arrive();
      if (end.held.length === 1) this.#retransmit(end, other);
    });
  }

  #retransmit(end: End, other: End): void {
    this.#after(this.#between(5, 50), () => {
      if (this.#isCut(end.owner, other.owner)) return this.#retransmit(end, other);
      for (const arrive of end.held.splice(0)) arrive();
    });
  }

  /** The other end hears of it behind what was sent before. */
  #close(from: AgreementPeer, link: LinkId): void {
    const end = this.#endsOf(from).get(link);
    if (end === undefined) return;
    this.#endsOf(from).delete(link);
    end.isOpen = false;
    if (end.other === undefined) return;
    const arrived = (to: AgreementPeer, toLink: LinkId) => {
      this.#endsOf(to).delete(toLink);
      to.onLinkClosed(toLink);
    };
    this.#transmit(end, end.other, { arrived });
  }

  // --- work, and faults ---------------------------------------------------------------------------------------------

  #propose(): void {
    if (!this.#isProposing) return;
    for (const peer of this.#peers) {
      const value = `v${++this.#proposals}`;
      this.#checker.onProposed(value);
      peer.propose(value);
    }
    this.#after(this.#between(1, this.#proposeEveryMs), () => this.#propose());
  }

  #fault(): void {
    if (this.#isHealed) return;
    if (this.#faults.length > 0) this.#break(this.#pick(this.#faults), this.#pick(this.#peers));
    this.#after(this.#between(0, this.#faultEveryMs), () => this.#fault());
  }

  #break(kind: FaultKind, peer: AgreementPeer): void {
    this.#mark(kind);
    this.#trace(() => `fault ${kind} at server ${peer.id}`);
    switch (kind) {
      case 'crash':
        return this.#crash(peer, 1500);
      case 'crashLeader': {
        const leader = this.#peers.find(({ role }) => role === 'leader');
        return leader && this.#crash(leader, 800);
      }
      case 'crashAll':
        if (this.#random.next() < 0.8) return; // or nothing else ever happens
        for (const each of this.#peers) this.#crash(each, 500);
        return;
      case 'crashAtEpoch':
        this.#doomed.add(peer);
        return;
      case 'cut': {
        const other = this.#pick(this.#peers);
        this.#cut(peer, other, 2500);
        if (this.#random.next() < 0.7) this.#cut(other, peer, 2500);
        return;
      }
      case 'isolate':
        return this.#isolate(peer, 2500);
      case 'strandLeader': {
        // What it proposes from now on nobody else has.
        const leader = this.#peers.find(({ role }) => role === 'leader');
        if (leader === undefined) return;
        this.#isolate(leader, 2500);
        return this.#after(this.#between(50, 400), () => this.#crash(leader, 500));
      }
      case 'freeze':
        peer.freeze();
        return this.#after(this.#between(0, 1500), () => peer.thaw());
      case 'slowDisk':
        peer.diskFactor = this.#pick([1, 5, 30]);
        return;
      case 'pretend':
        this.#pretender = peer.id;
        return this.#after(this.#between(0, 1500), () => {
          this.#pretender = undefined;
        });
      case 'reset':
        this.#reset(peer);
    }
  }

  #reset(peer: AgreementPeer): void {
    for (const link of [...this.#endsOf(peer).keys()]) {
      const end = this.#endsOf(peer).get(link);
      this.#close(peer, link);
      if (end?.other !== undefined) peer.onLinkClosed(link);
    }
  }

  #crash(peer: AgreementPeer, awayMs: number): void {
    peer.crash();
    this.#after(this.#between(0, awayMs), () => peer.start());
  }

  #isolate(peer: AgreementPeer, ms: number): void {
    for (const other of this.#peers) {
      this.#cut(peer, other, ms);
      this.#cut(other, peer, ms);
    }
  }

  #cut(from: AgreementPeer, to: AgreementPeer, ms: number): void {
    if (from !== to) this.#cuts.set(`${from.id}>${to.id}`, this.#now() + this.#between(0, ms));
  }

  #heal(): void {
    this.#isHealed = true;
    this.#pretender = undefined;
    this.#doomed.clear();
    this.#trace(() => 'healed');
    this.#cuts.clear();
    for (const peer of this.#peers) {
      peer.diskFactor = 1;
      peer.thaw();
      peer.start();
    }
  }
}
