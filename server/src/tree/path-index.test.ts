import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PathIndex } from './path-index.ts';
import type { Znode } from './znode.ts';

describe('the index of paths', () => {
  it('is a map, whatever the paths are', () => {
    const path = fc.oneof(
      fc.constantFrom('/', '/a', '/b', '/a/same-end', '/b/same-end', '/größe'),
      fc.string({ maxLength: 12 }).map((name) => `/${name}`),
    );
    const action = fc.record({ path, adds: fc.boolean() });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
        const index = new PathIndex();
        const model = new Map<string, Znode>();
        actions.forEach(({ path, adds }, i) => {
          if (adds) {
            expect(index.set(path, i as Znode)).toBe(!model.has(path));
            model.set(path, i as Znode);
          } else {
            index.delete(path);
            model.delete(path);
          }
          expect(index.get(path)).toBe(model.get(path));
          expect(index.size).toBe(model.size);
        });
        expect(new Map(index.entries())).toEqual(model);
      }),
    );
  });
});
