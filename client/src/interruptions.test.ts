import { expect, test } from 'vitest';
import { Interruptions } from './interruptions.ts';

function noted() {
  const interruptions = new Interruptions();
  const log: string[] = [];
  const add = (name: string, more: () => void = () => undefined) =>
    interruptions.add(() => {
      log.push(name);
      more();
    });
  return { interruptions, log, add };
}

test('those that are there are run in the order in which they came', () => {
  const { interruptions, log, add } = noted();
  for (const name of ['a', 'b', 'c']) add(name);
  interruptions.run();
  expect(log).toEqual(['a', 'b', 'c']);
});

test('one that was removed is not run, wherever it stood, and is removed once', () => {
  const { interruptions, log, add } = noted();
  const [first, , middle, , last] = ['a', 'b', 'c', 'd', 'e'].map((name) => add(name));
  for (const entry of [first, middle, last]) {
    if (entry === undefined) throw new Error('not added');
    expect(interruptions.remove(entry)).toBe(true);
    expect(interruptions.remove(entry)).toBe(false);
  }
  add('f');
  interruptions.run();
  expect(log).toEqual(['b', 'd', 'f']);
});

test('running may remove what is there and add more, which is not run', () => {
  const { interruptions, log, add } = noted();
  const first = add('a', () => {
    interruptions.remove(first);
    add('late');
  });
  add('b');
  interruptions.run();
  expect(log).toEqual(['a', 'b']);
  interruptions.run();
  expect(log).toEqual(['a', 'b', 'b', 'late']);
});

test('with nobody there nobody is run', () => {
  const { interruptions, log, add } = noted();
  interruptions.remove(add('a'));
  interruptions.run();
  expect(log).toEqual([]);
});
