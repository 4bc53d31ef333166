import { expect, test } from 'vitest';
import { Deliveries } from './deliveries.ts';
import { FakeMachine } from './fake-machine.fixture.ts';

test('nothing is delivered before the present event is over', () => {
  const machine = new FakeMachine();
  const log: string[] = [];
  const deliveries = new Deliveries(machine.ports.clock);
  deliveries.add('event', () => log.push('event'));
  expect(log).toEqual([]);
  machine.drain();
  expect(log).toEqual(['event']);
});

test('what awaits an answer runs before an event behind it, and after an event ahead of it', async () => {
  const machine = new FakeMachine();
  const log: string[] = [];
  const deliveries = new Deliveries(machine.ports.clock);
  const answer = (name: string) =>
    new Promise<void>((resolve) => deliveries.add('answer', resolve)).then(() => log.push(name));
  deliveries.add('event', () => log.push('event 1'));
  answer('answer 1');
  answer('answer 2');
  deliveries.add('event', () => log.push('event 2'));
  answer('answer 3');
  await machine.settle();
  expect(log).toEqual(['event 1', 'answer 1', 'answer 2', 'event 2', 'answer 3']);
});

test('what is added while delivering is delivered behind', () => {
  const machine = new FakeMachine();
  const log: string[] = [];
  const deliveries = new Deliveries(machine.ports.clock);
  deliveries.add('event', () => {
    log.push('first');
    deliveries.add('event', () => log.push('third'));
  });
  deliveries.add('event', () => log.push('second'));
  machine.drain();
  expect(log).toEqual(['first', 'second', 'third']);
});
