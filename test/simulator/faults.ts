/**
 * What goes wrong in a life of an ensemble: at times drawn from the seed, and at moments (`triggers.ts`). Each kind is on in half of
 * the seeds: rare states are often reached only because other faults are absent. Everything heals at the end.
 */
import type { DiskOperation } from './disk.ts';
import type { SimulatedEnsemble } from './ensemble.ts';
import type { LinkOptions } from './link.ts';
import { SeededRandom } from './random.ts';
import type { Story } from './stories.ts';
import { type Struck, Triggers } from './triggers.ts';
import type { World } from './world.ts';

export const FAULT_KINDS = [
  ...(['kill', 'powerLoss', 'powerLossOfLeader', 'powerLossOfAll', 'rollingRestart', 'freeze', 'isolate'] as const),
  ...(['isolateLeader', 'oneWay', 'split', 'bridge', 'ring', 'flap', 'cutClient', 'reset', 'halfClose'] as const),
  ...(['refuse', 'slowLink', 'clockJump', 'diskFull', 'diskStalls', 'diskError', 'syncLost'] as const),
];
export type FaultKind = (typeof FAULT_KINDS)[number];

/** Errors that a disk can have with nothing lost. */
const DISK_ERRORS: readonly DiskOperation[] = [
  ...(['list', 'open', 'read', 'write', 'truncate', 'rename', 'remove', 'syncDirectory'] as const),
];
const DISK_FILES = ['', '', 'log.', 'snapshot', 'unfinished', 'currentEpoch', 'acceptedEpoch', 'txnlog'];
const YEAR_MS = 365 * 86_400_000;

export interface FaultsOptions {
  readonly world: World;
  readonly ensemble: SimulatedEnsemble;
  readonly clients: readonly string[];
  readonly story: Story;
  /** Pauses between faults that are on a time; one of them is drawn. */
  readonly pausesMs: readonly number[];
}

export class Faults {
  readonly marks = new Map<string, number>();
  readonly triggers: Triggers;
  readonly #options: FaultsOptions;
  readonly #world: World;
  readonly #ensemble: SimulatedEnsemble;
  readonly #random: SeededRandom;
  readonly #kinds: readonly FaultKind[];
  readonly #everyMs: number;
  /** The disks that may lose what they have said is saved: of less than half of the voters. */
  readonly #liars: readonly string[];
  #isOver = false;

  constructor(options: FaultsOptions) {
    const { world, ensemble, story, pausesMs } = options;
    this.#options = options;
    this.#world = world;
    this.#ensemble = ensemble;
    this.#random = new SeededRandom(world.seed, 'faults');
    const swarm = FAULT_KINDS.filter(() => this.#random.next() < 0.5);
    this.#kinds = story.kinds ?? swarm;
    this.#everyMs = story.everyMs ?? this.#pick(pausesMs);
    const first = this.#below(ensemble.voters.length);
    const liars = Math.floor((ensemble.voters.length - 1) / 2);
    this.#liars = Array.from(
      { length: liars },
      (_, i) => ensemble.voters[(first + i) % ensemble.voters.length] as string, // below the length
    );
    this.triggers = new Triggers(
      world.seed,
      () => world.nowMs,
      (struck) => this.#strike(struck),
    );
    this.#next();
  }

  /** A server can't go on with its disk, or doesn't start with it: somebody will start it again. */
  onStopped(name: string): void {
    this.#mark('stopped by its disk');
    this.#restart(name, 2000);
  }

  /** Whether it may have lost what it said was saved: then it may refuse to start. */
  isLiar(name: string): boolean {
    return this.#liars.includes(name) && this.marks.has('fault: syncLost');
  }

  /**
   * Ends all faults among some servers that are a quorum. What becomes of the others is drawn: dead, cut off, or heard by one of
   * them and deaf.
   */
  healSome(core: readonly string[]): void {
    this.#end('heal some');
    const others = this.#ensemble.names.filter((name) => !core.includes(name));
    for (const name of others) {
      const [first] = core;
      const drawn = this.#random.next();
      if (drawn < 0.4) this.#ensemble.kill(name);
      this.#world.network.partition([name], core);
      if (drawn > 0.7 && first !== undefined) this.#world.network.unblock(name, first);
    }
    for (const name of core) this.#ensemble.start(name);
  }

  /** Ends all faults, and starts what does not run. */
  heal(): void {
    this.#end('heal');
    for (const name of this.#ensemble.names) this.#ensemble.start(name);
  }

  #end(what: string): void {
    this.#isOver = true;
    this.#world.note('world', what);
    this.#world.network.heal();
    for (const name of this.#ensemble.names) {
      this.#world.network.setRefusing(name, false);
      for (const other of this.#ensemble.names) if (other !== name) this.#slow(name, other, QUICK);
      const disk = this.#disk(name);
      disk.repair();
      disk.shape();
      disk.capacityBytes = Number.POSITIVE_INFINITY;
      this.#ensemble.thaw(name);
    }
  }

  #next(): void {
    this.#after(this.#below(this.#everyMs), () => {
      if (this.#isOver) return;
      const server = this.#options.story.victim ?? this.#pick(this.#ensemble.names);
      if (this.#kinds.length > 0) this.#break(this.#pick(this.#kinds), server);
      this.#next();
    });
  }

  #strike({ moment, strike, afterMs }: Struck): void {
    if (this.#isOver) return;
    this.#mark(`moment: ${moment}`);
    this.#after(afterMs, () => {
      if (this.#isOver) return;
      this.#world.note('server' in strike ? strike.server : 'world', `fault ${strike.kind}: ${moment}`);
      switch (strike.kind) {
        case 'kill':
          this.#ensemble.kill(strike.server);
          return this.#restart(strike.server, 1000);
        case 'powerLoss':
          return this.#powerLoss(strike.server, 1000);
        case 'powerLossOfAll':
          return this.#powerLossOfAll();
        case 'freeze':
          return this.#freeze(strike.server);
        case 'reset':
          return this.#world.network.resetConnections(strike.server);
        case 'isolate':
          return this.#cut([strike.server], this.#without(strike.server));
        case 'cut':
          return this.#block(strike.from, strike.to);
      }
    });
  }

  #break(kind: FaultKind, server: string): void {
    this.#mark(`fault: ${kind}`);
    this.#world.note(server, `fault ${kind}`);
    const { network } = this.#world;
    const others = this.#without(server);
    switch (kind) {
      case 'kill':
        this.#ensemble.kill(server);
        return this.#restart(server, this.#options.story.awayMs ?? 2000);
      case 'powerLoss':
        return this.#powerLoss(server, this.#options.story.awayMs ?? 2000);
      case 'powerLossOfLeader': {
        const { leader } = this.#ensemble;
        return leader && this.#powerLoss(leader.name, 1000);
      }
      case 'powerLossOfAll':
        // Or nothing else ever happens.
        return this.#options.story.kinds !== undefined || this.#random.next() < 0.3
          ? this.#powerLossOfAll()
          : undefined;
      case 'rollingRestart':
        return this.#rollingRestart();
      case 'freeze':
        return this.#freeze(server);
      case 'isolate':
        return this.#cut([server], others, this.#options.story.awayMs);
      case 'isolateLeader': {
        const { leader } = this.#ensemble;
        return leader && this.#cut([leader.name], this.#without(leader.name));
      }
      case 'oneWay':
        return this.#block(server, this.#pick(others));
      case 'split': {
        const half = others.filter(() => this.#random.next() < 0.5);
        return this.#cut(
          [server, ...half],
          others.filter((name) => !half.includes(name)),
        );
      }
      case 'bridge': {
        const half = others.filter(() => this.#random.next() < 0.5);
        return this.#cut(
          half,
          others.filter((name) => !half.includes(name)),
        );
      }
      case 'ring':
        return this.#ring();
      case 'flap': {
        const other = this.#pick(others);
        for (let i = 0; i < 6; i++) this.#after(i * 300, () => this.#block(server, other, 150));
        return;
      }
      case 'cutClient':
        return this.#cut([this.#pick(this.#options.clients)], [server]);
      case 'reset':
        return network.resetConnections(server);
      case 'halfClose':
        return network.halfClose(server);
      case 'refuse':
        network.setRefusing(server, true);
        return this.#after(this.#below(1500), () => network.setRefusing(server, false));
      case 'slowLink': {
        const other = this.#pick(others);
        this.#slow(server, other, { delayMs: [20, 200], lossRate: 0.1, bytesPerMs: 100 });
        return this.#after(this.#below(4000), () => this.#slow(server, other, QUICK));
      }
      case 'clockJump': {
        const mostMs = this.#pick([7_200_000, 20 * YEAR_MS]);
        return this.#world.running(server)?.clock.jumpWallClock(Math.round((this.#random.next() - 0.5) * mostMs));
      }
      default:
        return this.#breakDisk(kind, server);
    }
  }

  #breakDisk(kind: 'diskFull' | 'diskStalls' | 'diskError' | 'syncLost', server: string): void {
    const disk = this.#disk(server);
    switch (kind) {
      case 'diskFull':
        disk.capacityBytes = disk.usedBytes + this.#below(2000);
        return this.#after(this.#below(5000), () => {
          disk.capacityBytes = Number.POSITIVE_INFINITY;
        });
      case 'diskStalls':
        disk.shape({
          stallRate: this.#pick([0.01, 0.1, 0.5]),
          stallMs: this.#pick([[50, 500] as const, [500, 5000] as const]),
        });
        return this.#after(this.#below(5000), () => disk.shape());
      case 'diskError':
        return disk.inject({
          operation: this.#pick(DISK_ERRORS),
          code: 'EIO',
          namePrefix: this.#pick(DISK_FILES),
          times: this.#pick([1, 1, 3]),
        });
      case 'syncLost': {
        const liar = this.#disk(this.#pick(this.#liars));
        return liar.inject({ operation: 'sync', code: 'EIO', namePrefix: this.#pick(DISK_FILES) });
      }
    }
  }

  #powerLoss(name: string, awayMs: number): void {
    this.#ensemble.powerLoss(name);
    this.#restart(name, awayMs);
  }

  #powerLossOfAll(): void {
    for (const name of this.#ensemble.names) this.#powerLoss(name, 500);
  }

  #rollingRestart(): void {
    for (const [i, name] of this.#ensemble.names.entries()) {
      this.#after(i * 500, () => {
        if (this.#isOver) return;
        this.#ensemble.kill(name);
        this.#ensemble.start(name);
      });
    }
  }

  #restart(name: string, awayMs: number): void {
    this.#after(this.#below(awayMs), () => this.#ensemble.start(name));
  }

  #freeze(name: string): void {
    this.#ensemble.freeze(name);
    this.#after(this.#below(2500), () => this.#ensemble.thaw(name));
  }

  /** Everybody sees two others: majorities that overlap. */
  #ring(): void {
    const { names } = this.#ensemble;
    for (const [i, a] of names.entries()) {
      const far = names.filter((_, j) => j > i + 1 && !(i === 0 && j === names.length - 1));
      if (far.length > 0) this.#cut([a], far);
    }
  }

  #cut(group: readonly string[], others: readonly string[], withinMs = 4000): void {
    const { network } = this.#world;
    network.partition(group, others);
    this.#after(this.#below(withinMs), () => {
      if (this.#isOver) return;
      for (const a of group)
        for (const b of others) {
          network.unblock(a, b);
          network.unblock(b, a);
        }
    });
  }

  #block(from: string, to: string, forMs = this.#below(3000)): void {
    if (this.#isOver) return;
    this.#world.network.block(from, to);
    this.#after(forMs, () => {
      if (!this.#isOver) this.#world.network.unblock(from, to);
    });
  }

  #slow(from: string, to: string, options: Partial<LinkOptions>): void {
    this.#world.network.shape(from, to, options);
  }

  #disk(server: string) {
    return this.#world.disk(server, 'version-2');
  }

  #without(server: string): readonly string[] {
    return this.#ensemble.names.filter((name) => name !== server);
  }

  #mark(name: string): void {
    this.marks.set(name, (this.marks.get(name) ?? 0) + 1);
  }

  #after(ms: number, run: () => void): void {
    this.#world.at(this.#world.nowMs + ms, run);
  }

  #below(count: number): number {
    return Math.floor(this.#random.next() * count);
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#below(list.length)] as T; // the index is below the length
  }
}

const QUICK: Partial<LinkOptions> = { delayMs: [0.1, 2], lossRate: 0, bytesPerMs: Number.POSITIVE_INFINITY };
