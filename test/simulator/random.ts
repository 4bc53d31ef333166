/**
 * Randomness of a simulated world: every value is a pure function of (seed, stream, key, counter). Nothing is drawn "next",
 * except by a process from its own port, so taking one event out of a run leaves the draws of all others as they were:
 * that is what makes a failing run shrink.
 */
import type { Random } from 'zookeeper-server-ts';

/** An invertible 32-bit mixing function: every input bit changes about half of the output bits. */
const mix = (word: number): number => {
  let x = word ^ (word >>> 16);
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
};

/**
 * 32 random bits for (seed, stream, key, counter), each an unsigned 32-bit word. The words are absorbed one after the other
 * with mixing between them: xor-ing them first would make seed and key interchangeable.
 */
export const draw = (seed: number, stream: number, key: number, counter: number): number => {
  let x = mix((seed + 0x9e3779b9) >>> 0);
  x = mix((x + Math.imul(stream, 0x85ebca6b)) >>> 0);
  x = mix(((x ^ key) + 0xc2b2ae35) >>> 0);
  return mix(((x ^ counter) + 0x27d4eb2f) >>> 0);
};

/** A name as a 32-bit word, for streams and keys (FNV-1a over its UTF-16 units, mixed). */
export const wordOf = (name: string): number => {
  let x = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) x = Math.imul(x ^ name.charCodeAt(i), 0x01000193);
  return mix(x >>> 0);
};

/** Bounds of an even draw, both included. Equal bounds make it fixed. */
export type Range = readonly [min: number, max: number];

/** One named stream of draws. The same key and counter give the same value, however often and in whatever order. */
export class Draws {
  readonly seed: number;
  readonly #stream: number;

  constructor(seed: number, stream: string) {
    this.seed = seed >>> 0;
    this.#stream = wordOf(stream);
  }

  /** 0 ≤ x < 2^32. */
  u32(key: number, counter = 0): number {
    return draw(this.seed, this.#stream, key, counter);
  }

  /** An integer of the range; its bounds are integers. */
  between([min, max]: Range, key: number, counter = 0): number {
    return min + Math.floor((this.u32(key, counter) / 0x1_0000_0000) * (max - min + 1));
  }

  /** True in this part of all draws: 0 never, 1 always. */
  chance(probability: number, key: number, counter = 0): boolean {
    return this.u32(key, counter) < probability * 0x1_0000_0000;
  }
}

/** The Random port of one process: a sequence, because a process draws in its own order. */
export class SeededRandom implements Random {
  readonly #draws: Draws;
  #drawn = 0;

  constructor(seed: number, process: string) {
    this.#draws = new Draws(seed, `${process}/random`);
  }

  next(): number {
    const high = this.#draws.u32(0, this.#drawn) >>> 5;
    const low = this.#draws.u32(1, this.#drawn++) >>> 6;
    return (high * 0x400_0000 + low) / 2 ** 53;
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let i = 0; i < count; i++) bytes[i] = this.#draws.u32(0, this.#drawn++);
    return bytes;
  }
}
