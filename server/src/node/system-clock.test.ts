import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SystemClock } from './system-clock.ts';

describe('SystemClock', () => {
  let now = 0;
  beforeEach(() => {
    now = 1000;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    vi.spyOn(performance, 'now').mockImplementation(() => now);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  const pass = (ms: number) => {
    now += ms;
    vi.advanceTimersByTime(ms);
  };

  test('waits on when a timer fires before its time', () => {
    const clock = new SystemClock();
    const wake = vi.fn();
    clock.setAlarm(1010, wake);
    vi.advanceTimersByTime(10);
    expect(wake).not.toHaveBeenCalled();
    pass(10);
    expect(wake).toHaveBeenCalledOnce();
  });

  test('reaches a time that is too far away for one timer', () => {
    const clock = new SystemClock();
    const wake = vi.fn();
    const days = 24 * 60 * 60 * 1000;
    clock.setAlarm(1000 + 60 * days, wake);
    pass(59 * days);
    expect(wake).not.toHaveBeenCalled();
    pass(days);
    expect(wake).toHaveBeenCalledOnce();
  });

  test('keeps no timer for an alarm at infinity', () => {
    const clock = new SystemClock();
    clock.setAlarm(2000, () => undefined);
    expect(vi.getTimerCount()).toBe(1);
    clock.setAlarm(Number.POSITIVE_INFINITY, () => undefined);
    expect(vi.getTimerCount()).toBe(0);
  });
});
