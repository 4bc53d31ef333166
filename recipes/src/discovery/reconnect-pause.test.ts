import { expect, it } from 'vitest';
import { ReconnectPause } from './reconnect-pause.ts';

const start = () => {
  let now = 1_000;
  const clock = {
    now: () => now,
    wallTime: () => now,
    after: () => ({ cancel: () => undefined }),
    soon: () => undefined,
  };
  const pause = new ReconnectPause({ clock, random: () => 0.999999 });
  const after = (ms: number): number => {
    now += ms;
    return Math.round(pause.next());
  };
  return { after };
};

it('an outage or two cost nothing, a connection that flaps more and more, up to half a minute (CURATOR-320)', () => {
  const { after } = start();
  const pauses = Array.from({ length: 10 }, () => after(5_000));
  expect(pauses).toEqual([0, 0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});

it('a connection that was steady for a minute starts over', () => {
  const { after } = start();
  for (let turn = 0; turn < 5; turn++) after(1_000);
  expect(after(60_000)).toBe(0);
});
