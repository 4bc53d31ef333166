import { firstValueFrom, take, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { QueueMessage } from './queue-message.ts';
import { type ConsumableQueue, messages$ } from './rx.ts';

const message = (value: number) => ({ value }) as unknown as QueueMessage<number>;

/** A queue of a few messages, and how often it was consumed and left. */
class ShortQueue implements ConsumableQueue<number> {
  readonly #end: () => void;
  begun = 0;
  left = 0;

  constructor(end: () => void = () => undefined) {
    this.#end = end;
  }

  async *consume(): AsyncGenerator<QueueMessage<number>, undefined> {
    this.begun++;
    try {
      for (let value = 1; value <= 3; value++) yield message(value);
      this.#end();
    } finally {
      this.left++;
    }
  }
}

describe('messages$', () => {
  it('is a consumer for each subscription, from when there is one', async () => {
    const queue = new ShortQueue();
    const all$ = messages$(queue).pipe(toArray());
    expect(queue.begun).toBe(0);
    expect((await firstValueFrom(all$)).map(({ value }) => value)).toEqual([1, 2, 3]);
    await firstValueFrom(all$);
    expect(queue.begun).toBe(2);
  });

  it('ends the consumer when nobody listens any more', async () => {
    const queue = new ShortQueue();
    await firstValueFrom(messages$(queue).pipe(take(1)));
    await expect.poll(() => queue.left).toBe(1);
  });

  it('tells what ends the consumer', async () => {
    const queue = new ShortQueue(() => {
      throw new Error('refused');
    });
    await expect(firstValueFrom(messages$(queue).pipe(toArray()))).rejects.toThrow('refused');
  });
});
