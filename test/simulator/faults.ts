/**
 * What goes wrong in a life of an ensemble. Each kind is on in half of the seeds: rare states are often reached only because other
 * faults are absent. Everything heals at the end.
 */
import type { SimulatedEnsemble } from './ensemble.ts';
import { SeededRandom } from './random.ts';
import type { World } from './world.ts';

const KINDS = [
  ...(['kill', 'powerLoss', 'powerLossOfLeader', 'powerLossOfAll', 'rollingRestart', 'freeze', 'isolate'] as const),
  ...(['isolateLeader', 'oneWay', 'split', 'reset', 'refuse', 'slowLink', 'clockJump'] as const),
];
type Kind = (typeof KINDS)[number];

export class Faults {
  readonly marks = new Map<string, number>();
  readonly #world: World;
  readonly #ensemble: SimulatedEnsemble;
  readonly #random: SeededRandom;
  readonly #kinds: readonly Kind[];
  readonly #everyMs: number;
  #isOver = false;

  constructor(world: World, ensemble: SimulatedEnsemble) {
    this.#world = world;
    this.#ensemble = ensemble;
    this.#random = new SeededRandom(world.seed, 'faults');
    this.#kinds = KINDS.filter(() => this.#random.next() < 0.5);
    this.#everyMs = this.#pick([400, 1500, 4000]);
    this.#next();
  }

  /** Ends all faults, and starts what does not run. */
  heal(): void {
    this.#isOver = true;
    this.#world.note('world', 'heal');
    this.#world.network.heal();
    for (const name of this.#ensemble.names) {
      this.#world.network.setRefusing(name, false);
      for (const other of this.#ensemble.names) if (other !== name) this.#slow(name, other, QUICK);
      this.#ensemble.thaw(name);
      this.#ensemble.start(name);
    }
  }

  #next(): void {
    this.#after(this.#below(this.#everyMs), () => {
      if (this.#isOver) return;
      const server = this.#pick(this.#ensemble.names);
      if (this.#kinds.length > 0) this.#break(this.#pick(this.#kinds), server);
      this.#next();
    });
  }

  #break(kind: Kind, server: string): void {
    this.marks.set(kind, (this.marks.get(kind) ?? 0) + 1);
    this.#world.note(server, `fault ${kind}`);
    const { network } = this.#world;
    const others = this.#ensemble.names.filter((name) => name !== server);
    switch (kind) {
      case 'kill':
        this.#ensemble.kill(server);
        return this.#restart(server, 2000);
      case 'powerLoss':
        return this.#powerLoss(server, 2000);
      case 'powerLossOfLeader': {
        const { leader } = this.#ensemble;
        return leader && this.#powerLoss(leader.name, 1000);
      }
      case 'powerLossOfAll':
        if (this.#random.next() < 0.7) return; // or nothing else ever happens
        for (const name of this.#ensemble.names) this.#powerLoss(name, 500);
        return;
      case 'rollingRestart':
        for (const [i, name] of this.#ensemble.names.entries())
          this.#after(i * 500, () => {
            if (this.#isOver) return;
            this.#ensemble.kill(name);
            this.#ensemble.start(name);
          });
        return;
      case 'freeze':
        this.#ensemble.freeze(server);
        return this.#after(this.#below(2500), () => this.#ensemble.thaw(server));
      case 'isolate':
        return this.#cut([server], others);
      case 'isolateLeader': {
        const { leader } = this.#ensemble;
        return (
          leader &&
          this.#cut(
            [leader.name],
            this.#ensemble.names.filter((name) => name !== leader.name),
          )
        );
      }
      case 'oneWay': {
        const other = this.#pick(others);
        network.block(server, other);
        return this.#after(this.#below(3000), () => network.unblock(server, other));
      }
      case 'split': {
        const half = others.filter(() => this.#random.next() < 0.5);
        return this.#cut(
          [server, ...half],
          others.filter((name) => !half.includes(name)),
        );
      }
      case 'reset':
        return network.resetConnections(server);
      case 'refuse':
        network.setRefusing(server, true);
        return this.#after(this.#below(1500), () => network.setRefusing(server, false));
      case 'slowLink': {
        const other = this.#pick(others);
        this.#slow(server, other, { delayMs: [20, 200], lossRate: 0.1 });
        return this.#after(this.#below(4000), () => this.#slow(server, other, QUICK));
      }
      case 'clockJump':
        this.#world.running(server)?.clock.jumpWallClock((this.#random.next() - 0.5) * 7_200_000);
    }
  }

  #powerLoss(name: string, awayMs: number): void {
    this.#ensemble.powerLoss(name);
    this.#restart(name, awayMs);
  }

  #restart(name: string, awayMs: number): void {
    this.#after(this.#below(awayMs), () => this.#ensemble.start(name));
  }

  #cut(group: readonly string[], others: readonly string[]): void {
    const { network } = this.#world;
    network.partition(group, others);
    this.#after(this.#below(4000), () => {
      for (const a of group)
        for (const b of others) {
          network.unblock(a, b);
          network.unblock(b, a);
        }
    });
  }

  #slow(from: string, to: string, options: typeof QUICK): void {
    this.#world.network.shape(from, to, options);
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

const QUICK: { readonly delayMs: readonly [number, number]; readonly lossRate: number } = {
  delayMs: [0.1, 2],
  lossRate: 0,
};
