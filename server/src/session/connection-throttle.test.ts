import { describe, expect, test } from 'vitest';
import {
  CONNECTION_THROTTLE_DEFAULTS,
  ConnectionThrottle,
  type ConnectionThrottleLimits,
} from './connection-throttle.ts';

const throttleOf = (limits: Partial<ConnectionThrottleLimits>, random = () => 0.5): ConnectionThrottle =>
  new ConnectionThrottle({ ...CONNECTION_THROTTLE_DEFAULTS, ...limits }, { now: 1000, random });

/** How many of so many get their tokens. */
const passing = (throttle: ConnectionThrottle, count: number, now: number): number =>
  Array.from({ length: count }, () => throttle.take('created', now)).filter(Boolean).length;

describe('ConnectionThrottle', () => {
  test('lets everybody in by default', () => {
    const throttle = throttleOf({});
    expect(passing(throttle, 10_000, 1000)).toBe(10_000);
    expect(throttle.deficit).toBe(0);
  });

  test('lets a burst in, and then as many as tokens come back', () => {
    const throttle = throttleOf({ tokens: 5, fillCount: 2, fillTimeMs: 100 });
    expect(passing(throttle, 8, 1000)).toBe(5);
    expect(throttle.deficit).toBe(5);
    // The time for the first new tokens has to be over, not only there.
    expect(passing(throttle, 8, 1100)).toBe(0);
    expect(passing(throttle, 8, 1101)).toBe(2);
    expect(passing(throttle, 8, 1401)).toBe(5);
  });

  test('never holds more tokens than it began with', () => {
    const throttle = throttleOf({ tokens: 3 });
    expect(passing(throttle, 10, 1_000_000)).toBe(3);
  });

  test('takes what a session weighs, and counts in created ones', () => {
    const throttle = throttleOf({ tokens: 2, fillTimeMs: 1000, weights: { created: 3, renewed: 2 } });
    expect([1, 2, 3, 4].map(() => throttle.take('renewed', 1000))).toEqual([true, true, true, false]);
    // One created session's worth comes back in each time.
    expect(throttle.take('created', 2001)).toBe(true);
    expect(throttle.take('created', 2001)).toBe(false);
  });

  test('refuses by chance the more, the longer no token is left, and the less again when enough are', () => {
    const limits = { tokens: 2, fillTimeMs: 1000, freezeTimeMs: 10, dropIncrease: 0.4, dropDecrease: 0.3 };
    const throttle = throttleOf(limits, () => 0.79);
    expect(passing(throttle, 3, 1000)).toBe(2);
    expect(throttle.dropChance).toBe(0);
    // Looked at only when its time is over.
    throttle.take('created', 1010);
    expect(throttle.dropChance).toBe(0);
    throttle.take('created', 1011);
    expect(throttle.dropChance).toBeCloseTo(0.4);
    for (const now of [1022, 1033, 1044]) throttle.take('created', now);
    expect(throttle.dropChance).toBe(1);
    // There are tokens again: the chance falls, and decides until it has.
    expect(throttle.take('created', 4000)).toBe(true);
    expect(throttle.dropChance).toBeCloseTo(0.7);
  });

  test('counts a share of the tokens as enough', () => {
    const limits = { tokens: 10, fillTimeMs: 100_000, freezeTimeMs: 10, dropIncrease: 1, dropDecrease: 0.5 };
    for (const [decreaseRatio, chance] of [
      [0, 1],
      [0.3, 0.5],
    ] as const) {
      const throttle = throttleOf({ ...limits, decreaseRatio }, () => 0);
      passing(throttle, 10, 1000);
      throttle.take('created', 1011);
      expect(throttle.dropChance).toBe(1);
      // 8 of 10 come back: 2 are missing.
      throttle.take('created', 801_011);
      expect(throttle.dropChance).toBe(chance);
    }
  });
});
