/** Queues of a peer: put, or consumed until there were so many. */
import {
  DistributedDelayQueue,
  DistributedIdQueue,
  DistributedPriorityQueue,
  DistributedQueue,
  type QueueMessage,
  SimpleDistributedQueue,
  string,
} from 'zookeeper-recipes-ts';
import { type Command, ExitCode, numberAt, required, say, UsageError } from './conversation.ts';

interface Consumed {
  consume(options: { delivery: 'at-least-once' | 'at-most-once' }): AsyncIterable<QueueMessage<string>>;
}

/** As Curator's queues: with a path for locks an item is deleted when it has been dealt with, without one before. */
async function consume(queue: Consumed, { count, isLocking }: { count: number; isLocking: boolean }): Promise<number> {
  if (count === 0) return ExitCode.done;
  let left = count;
  for await (const message of queue.consume({ delivery: isLocking ? 'at-least-once' : 'at-most-once' })) {
    say('ITEM', message.value);
    await message.ack();
    if (--left === 0) break;
  }
  return ExitCode.done;
}

/** `A B A B …`, in pairs. */
function* pairsOf(args: readonly string[]): Generator<readonly [string, string]> {
  for (let i = 0; i + 1 < args.length; i += 2) yield [required(args, i), required(args, i + 1)];
}

const unknownVerb = (verb: string | undefined): UsageError => new UsageError(`a queue can't ${verb}`);

export const queues: Readonly<Record<string, Command>> = {
  /** `put PATH ITEM…`, `consume PATH N [LOCKPATH]` */
  queue: async ({ client, args: [verb, path = '', ...rest] }) => {
    const lockPath = verb === 'consume' ? rest[1] : undefined;
    await using queue = new DistributedQueue(client, path, { serializer: string, lockPath });
    if (verb === 'consume') {
      say('STARTED');
      return await consume(queue, { count: numberAt(rest, 0, 1), isLocking: lockPath !== undefined });
    }
    if (verb !== 'put') throw unknownVerb(verb);
    for (const item of rest) {
      await queue.put(item);
      say('PUT', item);
    }
    return ExitCode.done;
  },

  /** `put PATH ID ITEM`, `remove PATH ID`, `consume PATH N` */
  idqueue: async ({ client, args: [verb, path = '', ...rest] }) => {
    await using queue = new DistributedIdQueue(client, path, { serializer: string });
    switch (verb) {
      case 'put':
        await queue.put(required(rest, 1), required(rest, 0));
        say('PUT', rest[1]);
        return ExitCode.done;
      case 'remove':
        say('REMOVED', await queue.remove(required(rest, 0)));
        return ExitCode.done;
      case 'consume':
        return await consume(queue, { count: numberAt(rest, 0, 1), isLocking: false });
      default:
        throw unknownVerb(verb);
    }
  },

  /** `put PATH PRIORITY ITEM …`, `consume PATH N` */
  pqueue: async ({ client, args: [verb, path = '', ...rest] }) => {
    await using queue = new DistributedPriorityQueue(client, path, { serializer: string, minItemsBeforeRefresh: 0 });
    if (verb === 'consume') return await consume(queue, { count: numberAt(rest, 0, 1), isLocking: false });
    if (verb !== 'put') throw unknownVerb(verb);
    for (const [priority, item] of pairsOf(rest)) {
      await queue.put(item, Number(priority));
      say('PUT', item);
    }
    return ExitCode.done;
  },

  /** `put PATH DELAY_MS ITEM …`, `consume PATH N` */
  dqueue: async ({ client, args: [verb, path = '', ...rest] }) => {
    await using queue = new DistributedDelayQueue(client, path, { serializer: string });
    if (verb === 'consume') return await consume(queue, { count: numberAt(rest, 0, 1), isLocking: false });
    if (verb !== 'put') throw unknownVerb(verb);
    for (const [delayMs, item] of pairsOf(rest)) {
      await queue.put(item, Date.now() + Number(delayMs));
      say('PUT', item);
    }
    return ExitCode.done;
  },

  /** `offer PATH ITEM…`, `take PATH N`, `poll PATH MS` */
  simplequeue: async ({ client, args: [verb, path = '', ...rest] }) => {
    await using queue = new SimpleDistributedQueue(client, path);
    switch (verb) {
      case 'offer':
        for (const item of rest) {
          await queue.offer(Buffer.from(item));
          say('PUT', item);
        }
        return ExitCode.done;
      case 'take':
        for (let left = numberAt(rest, 0, 1); left > 0; left--) say('ITEM', await queue.take());
        return ExitCode.done;
      case 'poll': {
        const item = await queue.poll({ timeoutMs: numberAt(rest, 0, 0) });
        if (item === undefined) say('EMPTY');
        else say('ITEM', item);
        return ExitCode.done;
      }
      default:
        throw unknownVerb(verb);
    }
  },
};
