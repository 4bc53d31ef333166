import { describe, expect, it } from 'vitest';
import { Draws, draw, SeededRandom, wordOf } from './random.ts';

describe('Draws', () => {
  it('gives the same value for the same key and counter, in whatever order it is asked', () => {
    const draws = new Draws(7, 'link');
    const forwards = [0, 1, 2, 3].map((counter) => draws.u32(5, counter));
    const backwards = [3, 2, 1, 0].map((counter) => new Draws(7, 'link').u32(5, counter));
    expect(forwards).toEqual(backwards.reverse());
  });

  it('tells seeds, streams, keys and counters apart', () => {
    const values = new Set<number>();
    for (let i = 0; i < 100; i++) {
      values
        .add(draw(i, 1, 1, 1))
        .add(draw(1, i + 100, 1, 1))
        .add(draw(1, 1, i + 200, 1))
        .add(draw(1, 1, 1, i + 300));
    }
    expect(values.size).toBe(400);
  });

  it('does not confuse a seed with a key', () => {
    expect(draw(1, 0, 2, 0)).not.toBe(draw(2, 0, 1, 0));
    expect(draw(0, 0, 3, 5)).not.toBe(draw(0, 0, 5, 3));
  });

  it('reaches both bounds of a range and nothing else', () => {
    const draws = new Draws(3, 'range');
    const values = new Set(Array.from({ length: 1000 }, (_, i) => draws.between([-2, 2], i)));
    expect([...values].sort((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2]);
  });

  it('says yes about as often as asked', () => {
    const draws = new Draws(11, 'chance');
    const hits = Array.from({ length: 10_000 }, (_, i) => draws.chance(0.1, i)).filter(Boolean).length;
    expect(hits).toBeGreaterThan(850);
    expect(hits).toBeLessThan(1150);
    expect(draws.chance(0, 1)).toBe(false);
    expect(draws.chance(1, 1)).toBe(true);
  });
});

describe('SeededRandom', () => {
  it('repeats its sequence for the same seed and process, and no other', () => {
    const sequence = (seed: number, process: string) => {
      const random = new SeededRandom(seed, process);
      return [random.next(), random.next(), ...random.bytes(4)];
    };
    expect(sequence(1, 's1.1')).toEqual(sequence(1, 's1.1'));
    expect(sequence(1, 's1.1')).not.toEqual(sequence(1, 's1.2'));
    expect(sequence(1, 's1.1')).not.toEqual(sequence(2, 's1.1'));
  });

  it('stays within 0 and 1 and fills the middle', () => {
    const random = new SeededRandom(5, 'p');
    const values = Array.from({ length: 1000 }, () => random.next());
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values)).toBeLessThan(1);
    expect(values.reduce((a, b) => a + b) / 1000).toBeCloseTo(0.5, 1);
  });
});

describe('wordOf', () => {
  it('differs for names that differ in order only', () => {
    expect(wordOf('s1>s2')).not.toBe(wordOf('s2>s1'));
  });
});
