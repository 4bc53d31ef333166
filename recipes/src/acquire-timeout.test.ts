import { describe, expect, it } from 'vitest';
import { InvalidArgumentError } from 'zookeeper-client-ts';
import { AcquireTimeoutError, withinTime } from './acquire-timeout.ts';
import { VirtualClock } from './fake-client.fixture.ts';

/** Waits for nothing but the signal. */
const forEver = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  });

describe('withinTime', () => {
  it('rejects when the time is up, and not before, with what was waited for and how long', async () => {
    const clock = new VirtualClock();
    const outcome: unknown[] = [];
    const waiting = withinTime({ clock, path: '/lock', timeoutMs: 50 }, forEver).catch((error) => outcome.push(error));
    await clock.advance(49);
    expect(outcome).toEqual([]);
    await clock.advance(1);
    await waiting;
    expect(outcome[0]).toBeInstanceOf(AcquireTimeoutError);
    expect(outcome[0]).toMatchObject({ code: 'ACQUIRE_TIMEOUT', path: '/lock', timeoutMs: 50 });
  });

  it('rejects with the reason of the signal', async () => {
    const stop = new AbortController();
    const waiting = withinTime(
      { clock: new VirtualClock(), path: '/lock', timeoutMs: 50, signal: stop.signal },
      forEver,
    );
    stop.abort('enough');
    await expect(waiting).rejects.toBe('enough');
  });

  it('begins nothing when the signal has fired before', async () => {
    const begun: unknown[] = [];
    const waiting = withinTime(
      { clock: new VirtualClock(), path: '/lock', signal: AbortSignal.abort('enough') },
      async (signal) => begun.push(signal),
    );
    await expect(waiting).rejects.toBe('enough');
    expect(begun).toEqual([]);
  });

  it.each([-1, Number.NaN])('refuses %d ms', async (timeoutMs) => {
    const waiting = withinTime({ clock: new VirtualClock(), path: '/lock', timeoutMs }, async () => 'done');
    await expect(waiting).rejects.toBeInstanceOf(InvalidArgumentError);
  });

  it('leaves no timer behind, whatever comes of it', async () => {
    const clock = new VirtualClock();
    await withinTime({ clock, path: '/lock', timeoutMs: 50 }, async () => 'done');
    await withinTime({ clock, path: '/lock', timeoutMs: 50 }, () => Promise.reject(new Error('no'))).catch(() => 'no');
    expect(clock.alarms).toBe(0);
  });
});
