import { describe, expect, test } from 'vitest';
import type { Clock } from 'zookeeper-server-ts';
import type { Machine } from './machine.ts';

export interface ClockUnderTest {
  readonly clock: Clock;
  readonly machine: Machine;
}

/** What a {@link Clock} does, on every machine. */
export function clockConformance(name: string, make: () => ClockUnderTest): void {
  describe(`clock: ${name}`, () => {
    test('time does not run backwards', async () => {
      const { clock, machine } = make();
      const before = clock.now();
      let passed = false;
      clock.setAlarm(before + 5, () => {
        passed = true;
      });
      await machine.until(() => passed);
      expect(clock.now()).toBeGreaterThanOrEqual(before + 5);
    });

    test('the wall clock counts from 1970', () => {
      const { clock } = make();
      expect(clock.wallTime()).toBeGreaterThan(Date.UTC(2000, 0));
      expect(clock.wallTime()).toBeLessThan(Date.UTC(2200, 0));
    });

    test('an alarm rings once, never early', async () => {
      const { clock, machine } = make();
      for (const delay of [0.25, 1, 3.7, 12]) {
        const at = clock.now() + delay;
        const rang: number[] = [];
        clock.setAlarm(at, () => rang.push(clock.now()));
        await machine.until(() => rang.length > 0);
        expect(rang[0]).toBeGreaterThanOrEqual(at);
        await passing(clock, machine, 3);
        expect(rang).toHaveLength(1);
      }
    });

    test.each([0, -1000])('an alarm that is due already (%i ms) rings, after the call', async (delay) => {
      const { clock, machine } = make();
      let rang = false;
      clock.setAlarm(clock.now() + delay, () => {
        rang = true;
      });
      expect(rang).toBe(false);
      await machine.until(() => rang);
    });

    test.each([
      ['earlier', 2],
      ['later', 20],
    ])('an alarm replaces the one set before: by an %s one', async (_, delay) => {
      const { clock, machine } = make();
      const rang: string[] = [];
      clock.setAlarm(clock.now() + 10, () => rang.push('first'));
      clock.setAlarm(clock.now() + delay, () => rang.push('second'));
      await passing(clock, machine, 0, () => rang.length > 0);
      expect(rang).toEqual(['second']);
    });

    test('an alarm at infinity, or further away than any timer reaches, does not ring', async () => {
      const { clock, machine } = make();
      for (const at of [Number.POSITIVE_INFINITY, clock.now() + 2 ** 40]) {
        let rang = false;
        clock.setAlarm(at, () => {
          rang = true;
        });
        let turns = 0;
        const turn = () => {
          if (++turns < 20) clock.soon(turn);
        };
        clock.soon(turn);
        await machine.until(() => turns >= 20);
        expect(rang).toBe(false);
      }
      clock.setAlarm(Number.POSITIVE_INFINITY, () => undefined);
    });

    test('an alarm can be set by the one that rings', async () => {
      const { clock, machine } = make();
      let count = 0;
      const ring = () => {
        if (++count < 3) clock.setAlarm(clock.now() + 1, ring);
      };
      clock.setAlarm(clock.now() + 1, ring);
      await machine.until(() => count === 3);
      expect(count).toBe(3);
    });

    test('soon runs after the call, in the order asked for', async () => {
      const { clock, machine } = make();
      const order: number[] = [];
      for (const each of [1, 2, 3]) clock.soon(() => order.push(each));
      expect(order).toEqual([]);
      await machine.until(() => order.length === 3);
      expect(order).toEqual([1, 2, 3]);
    });

    test('what is asked for by what runs soon runs later, not within it', async () => {
      const { clock, machine } = make();
      const order: string[] = [];
      clock.soon(() => {
        clock.soon(() => order.push('inner'));
        order.push('outer');
      });
      await machine.until(() => order.length === 2);
      expect(order).toEqual(['outer', 'inner']);
    });
  });
}

/** Waits for the condition, then, without touching the alarm, for so many ms and a turn. */
async function passing(clock: Clock, machine: Machine, ms: number, condition = () => true): Promise<void> {
  await machine.until(condition);
  if (ms === 0) return;
  const deadline = clock.now() + ms;
  let done = false;
  clock.setAlarm(deadline, () => {
    done = true;
  });
  await machine.until(() => done);
}
