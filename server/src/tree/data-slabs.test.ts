import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvariantError } from '../invariant.ts';
import { CELL_BYTES_MAX, DataSlabs } from './data-slabs.ts';

const value = (length: number, fill: number): Buffer => Buffer.alloc(length, fill);

describe('the memory of values', () => {
  it('keeps every value as it was stored, whatever else is stored and given back', () => {
    const length = fc.oneof(
      fc.integer({ min: 0, max: 300 }),
      fc.integer({ min: CELL_BYTES_MAX - 20, max: CELL_BYTES_MAX + 20 }),
      fc.integer({ min: 0, max: 20_000 }),
    );
    fc.assert(
      fc.property(fc.array(fc.record({ length, drop: fc.nat() }), { maxLength: 200 }), (steps) => {
        const slabs = new DataSlabs();
        const kept: { place: number; bytes: Buffer }[] = [];
        steps.forEach(({ length: bytes, drop }, i) => {
          const stored = value(bytes, i % 256);
          kept.push({ place: slabs.store(stored), bytes: stored });
          if (drop % 3 === 0) {
            const [gone] = kept.splice(drop % kept.length, 1);
            if (gone !== undefined) slabs.release(gone.place, gone.bytes.length);
          }
        });
        for (const { place, bytes } of kept)
          expect(Buffer.from(slabs.view(place, bytes.length)).equals(bytes)).toBe(true);
        expect(new Set(kept.map(({ place }) => place)).size).toBe(kept.length);
      }),
      { numRuns: 50 },
    );
  });

  it('copies: the bytes that were handed in may change afterwards', () => {
    const slabs = new DataSlabs();
    for (const length of [10, CELL_BYTES_MAX + 1]) {
      const bytes = value(length, 1);
      const place = slabs.store(bytes);
      bytes.fill(2);
      expect(slabs.view(place, length)[length - 1]).toBe(1);
    }
  });

  it('uses what was given back again, for values of about the same size', () => {
    const slabs = new DataSlabs();
    const place = slabs.store(value(100, 1));
    slabs.release(place, 100);
    expect(slabs.store(value(105, 2))).toBe(place);
    expect(slabs.store(value(105, 3))).not.toBe(place);
  });

  it('goes on in another slab when one is full', () => {
    const slabs = new DataSlabs();
    const places = Array.from({ length: 3000 }, (_, i) => slabs.store(value(1000, i % 256)));
    for (const [i, place] of places.entries()) expect(slabs.view(place, 1000)[999]).toBe(i % 256);
  });

  it('notices a large value that is given back twice', () => {
    const slabs = new DataSlabs();
    const place = slabs.store(value(CELL_BYTES_MAX + 1, 1));
    slabs.release(place, CELL_BYTES_MAX + 1);
    expect(() => slabs.release(place, CELL_BYTES_MAX + 1)).toThrow(InvariantError);
  });
});
