import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HostList } from './host-list.ts';
import type { HostAddress } from './transport.ts';

const host = (name: string): HostAddress => ({ host: name, port: 2181 });
const hosts = (...names: string[]): HostAddress[] => names.map(host);

/** Repeats itself, and is evenly spread (Park and Miller). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 0x7fff_ffff;
    return state / 0x7fff_ffff;
  };
}

describe('HostList', () => {
  it('gives out each host in turn, and says when it has come round', () => {
    const list = new HostList(hosts('a', 'b', 'c'), generator(1));
    const given = [1, 2, 3, 4].map(() => list.next());
    expect(
      given
        .slice(0, 3)
        .map(({ address }) => address.host)
        .sort(),
    ).toEqual(['a', 'b', 'c']);
    expect(given.map(({ isRound }) => isRound)).toEqual([false, false, false, true]);
    expect(given[3]?.address).toEqual(given[0]?.address);
  });

  it('comes round to the host that served last', () => {
    const list = new HostList(hosts('a', 'b', 'c'), generator(1));
    list.onConnected(host('b'));
    expect([1, 2, 3].map(() => list.next().isRound)).toEqual([false, false, true]);
  });

  it('leaves a client where it is when only others have gone', () => {
    const list = new HostList(hosts('a', 'b', 'c'), generator(1));
    expect(list.update(hosts('a', 'b'), host('a'))).toBe(false);
    expect(list.next().address).toEqual(host('b'));
  });

  it('moves a client whose server has gone', () => {
    const list = new HostList(hosts('a', 'b', 'c'), generator(1));
    expect(list.update(hosts('a', 'b'), host('c'))).toBe(true);
    expect(new Set([list.next(), list.next()].map(({ address }) => address.host))).toEqual(new Set(['a', 'b']));
  });

  it('moves a client whose server has gone to a new one, when there are more servers than before', () => {
    const list = new HostList(hosts('a', 'b'), generator(1));
    expect(list.update(hosts('a', 'd', 'e'), host('b'))).toBe(true);
    expect(new Set([list.next(), list.next()].map(({ address }) => address.host))).toEqual(new Set(['d', 'e']));
    expect(list.next().address).toEqual(host('a'));
  });

  it('tries every host, whatever the odds', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1 }),
        fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1 }),
        fc.integer({ min: 1, max: 1e6 }),
        (before, after, seed) => {
          const list = new HostList(hosts(...before), generator(seed));
          list.update(hosts(...after), list.next().address);
          const tried = Array.from({ length: 2 * after.length }, () => list.next().address.host);
          expect(new Set(tried)).toEqual(new Set(after));
        },
      ),
    );
  });

  it.each([
    { before: ['a', 'b', 'c'], after: ['a', 'b', 'c', 'd', 'e'] },
    { before: ['a', 'b', 'c', 'd', 'e'], after: ['a', 'b', 'c'] },
    { before: ['a', 'b', 'c'], after: ['b', 'c', 'd'] },
    { before: ['a', 'b', 'c', 'd'], after: ['c', 'd', 'e'] },
    { before: ['a', 'b'], after: ['c', 'd', 'e'] },
  ])('spreads clients evenly: $before to $after', ({ before, after }) => {
    const random = generator(42);
    const clients = 6000;
    const load = new Map(after.map((name) => [name, 0]));
    for (let i = 0; i < clients; i++) {
      const list = new HostList(hosts(...before), random);
      const { address } = list.next();
      list.onConnected(address);
      const now = list.update(hosts(...after), address) ? list.next().address : address;
      load.set(now.host, (load.get(now.host) ?? 0) + 1);
    }
    for (const [name, count] of load) {
      expect(Math.abs(count / clients - 1 / after.length), `${name}: ${count}`).toBeLessThan(0.03);
    }
  });
});
