import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { onAbort } from './on-abort.ts';

describe('those who wait for a signal', () => {
  it('are all called, once, in the order in which they began to wait', () => {
    const controller = new AbortController();
    const calls: number[] = [];
    for (const i of [1, 2, 3]) onAbort(controller.signal, () => calls.push(i));
    controller.abort();
    expect(calls).toEqual([1, 2, 3]);
  });

  it('share one listener, which goes with the last of them', () => {
    const { signal } = new AbortController();
    const stops = Array.from({ length: 100 }, () => onAbort(signal, () => undefined));
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    for (const stop of stops) stop();
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    onAbort(signal, () => undefined);
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  });

  it('are not called when they have stopped waiting, not even by one that is called before', () => {
    const controller = new AbortController();
    const calls: string[] = [];
    const stops: (() => void)[] = [];
    onAbort(controller.signal, () => {
      calls.push('first');
      for (const stop of stops) stop();
    });
    stops.push(onAbort(controller.signal, () => calls.push('second')));
    controller.abort();
    expect(calls).toEqual(['first']);
  });
});
