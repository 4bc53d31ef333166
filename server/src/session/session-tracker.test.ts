import { describe, expect, it } from 'vitest';
import { toSessionId } from 'zookeeper-protocol-ts';
import { SessionTracker } from './session-tracker.ts';

const TICK = 2_000;
const [A, B, C] = [toSessionId(0xan), toSessionId(0xbn), toSessionId(0xcn)];
const tracker = () => new SessionTracker({ tickMs: TICK, now: 0 });

/** Lets the alarm ring as the server does: at each deadline up to `end`. */
const expiredUntil = (sessions: SessionTracker, end: number) => {
  const expired: [now: number, id: bigint][] = [];
  for (let now = sessions.nextDeadline(); now <= end; now = sessions.nextDeadline()) {
    for (const id of sessions.expired(now)) expired.push([now, id]);
  }
  return expired;
};

describe('a session', () => {
  it('expires at the first whole tick past its timeout', () => {
    const sessions = tracker();
    sessions.add(A, 4_000, 0);
    sessions.add(B, 4_000, 1_999);
    sessions.add(C, 4_000, 2_000);
    expect(expiredUntil(sessions, 20_000)).toEqual([
      [6_000, A],
      [6_000, B],
      [8_000, C],
    ]);
  });

  it('lives as long as it is touched within its timeout', () => {
    const sessions = tracker();
    sessions.add(A, 4_000, 0);
    for (let now = 3_000; now <= 30_000; now += 3_000) {
      expect(expiredUntil(sessions, now)).toEqual([]);
      expect(sessions.touch(A, now)).toBe(true);
    }
    expect(expiredUntil(sessions, 40_000)).toEqual([[36_000, A]]);
  });

  it('is told to be expired once, and is closing from then on', () => {
    const sessions = tracker();
    sessions.add(A, 4_000, 0);
    expect(sessions.isClosing(A)).toBe(false);
    expect(sessions.expired(6_000)).toEqual([A]);
    expect(sessions.expired(6_001)).toEqual([]);
    expect([sessions.isClosing(A), sessions.has(A), sessions.touch(A, 6_001)]).toEqual([true, true, false]);
    expect(sessions.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });

  it('that is closing neither expires nor can be touched or revived', () => {
    const sessions = tracker();
    sessions.add(A, 4_000, 0);
    sessions.setClosing(A);
    sessions.add(A, 9_000, 1_000);
    expect([sessions.touch(A, 1_000), sessions.isClosing(A)]).toEqual([false, true]);
    expect(expiredUntil(sessions, 60_000)).toEqual([]);
  });

  it('is unknown before it is added and after it was removed', () => {
    const sessions = tracker();
    expect([sessions.has(A), sessions.touch(A, 0), sessions.isClosing(A)]).toEqual([false, false, false]);
    sessions.add(A, 4_000, 0);
    sessions.remove(A);
    sessions.remove(B);
    expect([sessions.has(A), sessions.touch(A, 0), sessions.size]).toEqual([false, false, 0]);
    expect(expiredUntil(sessions, 20_000)).toEqual([]);
  });

  it('that comes back with another timeout has that one', () => {
    const sessions = tracker();
    sessions.add(A, 4_000, 0);
    sessions.add(A, 10_000, 1_000);
    expect(sessions.size).toBe(1);
    expect(expiredUntil(sessions, 20_000)).toEqual([[12_000, A]]);
    sessions.add(B, 10_000, 20_000);
    sessions.add(B, 4_000, 20_000);
    expect(expiredUntil(sessions, 40_000)).toEqual([[26_000, B]]);
  });
});

describe('the tracker', () => {
  it('names the earliest deadline, also when an earlier one appears', () => {
    const sessions = tracker();
    expect(sessions.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    sessions.add(A, 40_000, 0);
    expect(sessions.nextDeadline()).toBe(42_000);
    sessions.add(B, 4_000, 0);
    expect(sessions.nextDeadline()).toBe(6_000);
    sessions.remove(B);
    expect(sessions.nextDeadline()).toBe(42_000);
    expect(sessions.deadlines()).toEqual([[42_000, [A]]]);
  });

  it('tells several deadlines that are due in their order', () => {
    const sessions = tracker();
    sessions.add(A, 5_000, 0);
    sessions.add(B, 3_000, 0);
    expect(sessions.expired(6_000)).toEqual([B, A]);
  });

  it('that was held up for more than a tick expires nobody, and gives all the time that it missed', () => {
    const sessions = tracker();
    sessions.add(A, 4_000, 0);
    sessions.add(B, 10_000, 0);
    expect(sessions.expired(6_000 + TICK + 1)).toEqual([]);
    expect(sessions.deadlines()).toEqual([
      [10_000, [A]],
      [16_000, [B]],
    ]);
    expect(sessions.touch(A, 8_500)).toBe(true);
    expect(expiredUntil(sessions, 30_000)).toEqual([
      [14_000, A],
      [16_000, B],
    ]);
  });

  it('whose server was held up for more than a tick gives all that time to everybody, before any deadline too', () => {
    const sessions = tracker();
    sessions.add(A, 4_000, 0);
    sessions.onHeldUp(TICK);
    expect(sessions.deadlines()).toEqual([[6_000, [A]]]);
    sessions.onHeldUp(TICK + 1);
    expect(sessions.deadlines()).toEqual([[10_000, [A]]]);
    expect(sessions.expired(9_999)).toEqual([]);
    expect(sessions.expired(10_000)).toEqual([A]);
  });

  it('that is a tick late or less expires as ever', () => {
    const sessions = tracker();
    sessions.add(A, 4_000, 0);
    expect(sessions.expired(6_000 + TICK)).toEqual([A]);
  });

  it('works from any origin of the clock, with a tick that does not divide it', () => {
    const sessions = new SessionTracker({ tickMs: 3, now: 1e12 + 0.5 });
    sessions.add(A, 7, 1e12 + 0.5);
    const deadline = sessions.nextDeadline();
    expect(deadline).toBeGreaterThan(1e12 + 7.5);
    expect(deadline).toBeLessThanOrEqual(1e12 + 10.5);
    expect(sessions.expired(deadline - 0.001)).toEqual([]);
    expect(sessions.expired(deadline)).toEqual([A]);
  });

  it('keeps a whole ensemble’s clients in few buckets', () => {
    const sessions = tracker();
    for (let i = 1n; i <= 10_000n; i++) sessions.add(toSessionId(i), 30_000, Number(i % 10n) * 1_000);
    expect(sessions.deadlines().length).toBeLessThanOrEqual(6);
    expect(sessions.deadlines().reduce((sum, [, ids]) => sum + ids.length, 0)).toBe(10_000);
  });
});
