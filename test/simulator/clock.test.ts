import { describe, expect, it } from 'vitest';
import { World } from './world.ts';

const worldOf = (seed = 1) => new World({ seed });

describe('the clock of a process', () => {
  it('wakes an alarm once, at its time, and only the last one that was set', async () => {
    const world = worldOf();
    const { clock } = world.spawn('s1', { clock: { originMs: 500 } });
    const woken: string[] = [];
    clock.setAlarm(clock.now() + 10, () => woken.push(`first at ${clock.now()}`));
    clock.setAlarm(clock.now() + 25.5, () => woken.push(`second at ${clock.now()}`));
    await world.runFor(1000);
    expect(woken).toEqual(['second at 525.5']);
  });

  it('replaces the callback of an alarm that is set again for the same time', async () => {
    const world = worldOf();
    const { clock } = world.spawn('s1');
    const woken: string[] = [];
    const at = clock.now() + 10;
    clock.setAlarm(at, () => woken.push('first'));
    clock.setAlarm(at, () => woken.push('second'));
    await world.runFor(100);
    expect(woken).toEqual(['second']);
  });

  it('takes an alarm in the past as due now, and one at infinity as none', async () => {
    const world = worldOf();
    const { clock } = world.spawn('s1');
    const woken: number[] = [];
    clock.setAlarm(clock.now() - 5, () => woken.push(world.nowMs));
    await world.runFor(10);
    clock.setAlarm(clock.now() + 5, () => woken.push(world.nowMs));
    clock.setAlarm(Number.POSITIVE_INFINITY, () => woken.push(-1));
    await world.runFor(1000);
    expect(woken).toEqual([0]);
  });

  it('runs timers by deadline, and equal ones in the order they were asked for', async () => {
    const world = worldOf();
    const { clock } = world.spawn('c1');
    const ran: string[] = [];
    clock.after(20, () => ran.push('b'));
    clock.after(10, () => ran.push('a'));
    clock.after(20, () => ran.push('c'));
    await world.runFor(100);
    expect(ran).toEqual(['a', 'b', 'c']);
  });

  it('does not run a cancelled timer, and takes a second cancel', async () => {
    const world = worldOf();
    const { clock } = world.spawn('c1');
    const ran: string[] = [];
    const timer = clock.after(10, () => ran.push('cancelled'));
    clock.after(20, () => ran.push('kept'));
    timer.cancel();
    timer.cancel();
    await world.runFor(100);
    expect(ran).toEqual(['kept']);
  });

  it('never runs a timer before its own clock shows the time, also when it runs fast or slow', async () => {
    for (const ratePpm of [-50_000, -333, 0, 777, 50_000]) {
      const world = worldOf();
      const { clock } = world.spawn('c1', { clock: { originMs: 12_345.678, ratePpm } });
      const errors: number[] = [];
      for (let i = 1; i <= 50; i++) {
        const due = clock.now() + i * 33.333;
        clock.after(i * 33.333, () => errors.push(clock.now() - due));
      }
      await world.runFor(5000);
      expect(errors).toHaveLength(50);
      expect(Math.min(...errors)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...errors)).toBeLessThan(0.003);
    }
  });

  it('drifts from the world at its rate', async () => {
    const world = worldOf();
    const { clock } = world.spawn('c1', { clock: { ratePpm: 50_000 } });
    await world.runFor(1000);
    expect(clock.now()).toBe(1050);
  });

  it('keeps monotonic time when the wall clock jumps', async () => {
    const world = worldOf();
    const { clock } = world.spawn('c1');
    const [mono, wall] = [clock.now(), clock.wallTime()];
    clock.jumpWallClock(-3_600_000);
    await world.runFor(100);
    expect(clock.now() - mono).toBe(100);
    expect(clock.wallTime() - wall).toBe(100 - 3_600_000);
  });

  it('runs soon after everything that is ready with the present event, in order', async () => {
    for (const seed of [1, 2, 3, 4]) {
      const world = worldOf(seed);
      const { clock } = world.spawn('c1');
      const ran: string[] = [];
      clock.after(10, () => {
        clock.soon(() => {
          ran.push('soon 1');
          clock.soon(() => ran.push('soon 3'));
        });
        clock.soon(() => ran.push('soon 2'));
      });
      clock.after(10, () => ran.push('timer'));
      clock.setAlarm(clock.now() + 10, () => ran.push('alarm'));
      await world.runFor(20);
      expect(ran.slice(2)).toEqual(['soon 1', 'soon 2', 'soon 3']);
    }
  });
});

describe('a frozen process', () => {
  it('gets no event, and its clock goes on; at the thaw its timers come by deadline', async () => {
    const world = worldOf();
    const c1 = world.spawn('c1', { clock: { originMs: 0 } });
    const ran: string[] = [];
    const { clock } = c1;
    clock.after(30, () => ran.push(`later ${clock.now()}`));
    clock.after(10, () => ran.push(`earlier ${clock.now()}`));
    clock.after(200, () => ran.push(`after ${clock.now()}`));
    world.at(5, () => world.freeze(c1));
    await world.runFor(100);
    expect(ran).toEqual([]);
    world.at(150, () => world.thaw(c1));
    await world.runFor(200);
    expect(ran).toEqual(['earlier 150', 'later 150', 'after 200']);
  });

  it('may see an overdue timer or an overdue alarm first: the seed decides', async () => {
    const orders = new Set<string>();
    for (let seed = 1; seed <= 20; seed++) {
      const world = worldOf(seed);
      const c1 = world.spawn('c1');
      const ran: string[] = [];
      c1.clock.after(10, () => ran.push('timer'));
      c1.clock.setAlarm(c1.clock.now() + 12, () => ran.push('alarm'));
      world.freeze(c1);
      world.at(50, () => world.thaw(c1));
      await world.runFor(100);
      orders.add(ran.join());
    }
    expect([...orders].sort()).toEqual(['alarm,timer', 'timer,alarm']);
  });

  it('gets nothing any more when it is killed instead of thawed', async () => {
    const world = worldOf();
    const c1 = world.spawn('c1');
    const ran: string[] = [];
    c1.clock.after(10, () => ran.push('timer'));
    world.freeze(c1);
    world.at(20, () => world.kill(c1));
    world.at(30, () => world.thaw(c1));
    await world.runFor(100);
    expect(ran).toEqual([]);
  });
});
