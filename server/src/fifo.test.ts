import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fifo } from './fifo.ts';

describe('first in, first out', () => {
  it('gives back what was put in, in its order, whatever the mixture of calls', () => {
    const action = fc.oneof(
      { weight: 5, arbitrary: fc.constant('push' as const) },
      { weight: 4, arbitrary: fc.constant('shift' as const) },
      { weight: 1, arbitrary: fc.constant('cut' as const) },
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 600 }), (actions) => {
        const fifo = new Fifo<number>();
        const model: number[] = [];
        actions.forEach((what, i) => {
          if (what === 'push') {
            fifo.push(i);
            model.push(i);
          } else if (what === 'shift') {
            expect(fifo.shift()).toBe(model.shift());
          } else {
            const kept = model.length >> 1;
            expect(fifo.cut(kept)).toEqual(model.splice(kept));
          }
          expect(fifo.length).toBe(model.length);
          expect(fifo.peek()).toBe(model[0]);
        });
        expect([...fifo]).toEqual(model);
      }),
    );
  });
});
