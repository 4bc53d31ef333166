import { expect, test } from 'vitest';
import { EventSource } from './event-source.ts';

type Events = { change: [from: number, to: number]; end: [] };

test('listeners are called in the order in which they were added', () => {
  const source = new EventSource<Events>();
  const log: string[] = [];
  source.on('change', (from, to) => log.push(`a ${from} ${to}`));
  source.on('change', (from, to) => log.push(`b ${from} ${to}`));
  source.on('end', () => log.push('end'));
  source.emit('change', 1, 2);
  expect(log).toEqual(['a 1 2', 'b 1 2']);
});

test('a listener that throws does not keep the others from running', () => {
  const source = new EventSource<Events>();
  const log: string[] = [];
  source.on('end', () => {
    throw new Error('of the user');
  });
  source.on('end', () => log.push('ran'));
  source.emit('end');
  expect(log).toEqual(['ran']);
});

test('an async listener that rejects is no unhandled rejection', async () => {
  const source = new EventSource<Events>();
  const unhandled: unknown[] = [];
  const note = (error: unknown) => unhandled.push(error);
  process.on('unhandledRejection', note);
  source.on('end', async () => {
    throw new Error('of the user');
  });
  source.emit('end');
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});

test('a removed listener is not called, even if it is removed while listeners run', () => {
  const source = new EventSource<Events>();
  const log: string[] = [];
  source.on('end', () => removeSecond());
  const removeSecond = source.on('end', () => log.push('second'));
  source.emit('end');
  removeSecond();
  source.emit('end');
  expect(log).toEqual([]);
});

test('the same function added twice is called twice, and removed one at a time', () => {
  const source = new EventSource<Events>();
  let calls = 0;
  const listener = () => void calls++;
  const remove = source.on('end', listener);
  source.on('end', listener);
  source.emit('end');
  expect(calls).toBe(2);
  remove();
  source.emit('end');
  expect(calls).toBe(3);
});

test('a listener added by a listener hears of the next event', () => {
  const source = new EventSource<Events>();
  let calls = 0;
  const remove = source.on('end', () => {
    remove();
    source.on('end', () => void calls++);
  });
  source.emit('end');
  expect(calls).toBe(0);
  source.emit('end');
  expect(calls).toBe(1);
});

test('has tells whether anybody listens', () => {
  const source = new EventSource<Events>();
  expect(source.has('end')).toBe(false);
  const remove = source.on('end', () => undefined);
  expect(source.has('end')).toBe(true);
  expect(source.has('change')).toBe(false);
  remove();
  expect(source.has('end')).toBe(false);
});
