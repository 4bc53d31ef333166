/**
 * Queues among producers and consumers that are frozen, killed and cut off, over servers that restart. SIM_SEEDS and SIM_SEED: see
 * `seeds.fixture.ts`.
 */
import { describe, it } from 'vitest';
import { isRetryable, SessionFailedError } from 'zookeeper-client-ts';
import {
  type ConsumeOptions,
  type Delivery,
  DistributedDelayQueue,
  DistributedIdQueue,
  DistributedPriorityQueue,
  DistributedQueue,
  OwnershipLostError,
  type PutOptions,
  type QueueMessage,
  SimpleDistributedQueue,
  string,
} from 'zookeeper-recipes-ts';
import { Holdings } from './holdings.fixture.ts';
import { consumeAll, JOBS, Jobs, type Producer, produce } from './recipe-jobs.fixture.ts';
import { type Actor, FAULTS, RecipeWorld } from './recipe-world.fixture.ts';
import { type Marks, runSeeds, SEEDS_TIMEOUT_MS } from './seeds.fixture.ts';

const file = 'test/simulation/recipes-queues.test.ts';
const PRODUCERS = 2;

/** A queue of some kind, by what all kinds have in common. */
interface KindOfQueue extends Producer {
  consume(options: ConsumeOptions): AsyncIterable<QueueMessage<string>>;
}

type NewQueue = (run: RecipeWorld, actor: Actor) => KindOfQueue;

const newQueue: NewQueue = (_run, actor) => {
  const queue = new DistributedQueue(actor.client, JOBS, { serializer: string });
  return {
    put: (value, options) => queue.put(value, options),
    consume: (options) => queue.consume(options),
    close: () => queue.close(),
  };
};

const newIdQueue: NewQueue = (run, actor) => {
  const queue = new DistributedIdQueue(actor.client, JOBS, { serializer: string });
  run.mark('ids');
  return {
    put: (value, options) => queue.put(value, value, options),
    remove: (value) => queue.remove(value),
    consume: (options) => queue.consume(options),
    close: () => queue.close(),
  };
};

/** @param keys what the order of each value is by */
const newPriorityQueue =
  (keys = new Map<string, number>()): NewQueue =>
  (run, actor) => {
    const queue = new DistributedPriorityQueue(actor.client, JOBS, { serializer: string, minItemsBeforeRefresh: 1 });
    run.mark('priorities');
    return {
      put: (value, options) => {
        const priority = actor.between([-3, 3]);
        keys.set(value, priority);
        return queue.put(value, priority, options);
      },
      consume: (options) => queue.consume(options),
      close: () => queue.close(),
    };
  };

/** @param keys what the order of each value is by: when it is due */
const newDelayQueue =
  (keys = new Map<string, number>()): NewQueue =>
  (run, actor) => {
    const now = () => actor.process.clock.wallTime();
    const queue = new DistributedDelayQueue(actor.client, JOBS, { serializer: string });
    run.mark('due times');
    const isDue = (value: string) => (keys.get(value) ?? 0) <= now();
    return {
      put: (value, options) => {
        const dueAt = now() + actor.between([0, 3000]);
        keys.set(value, dueAt);
        return queue.put(value, dueAt, options);
      },
      async *consume(options) {
        for await (const message of queue.consume(options)) {
          if (!isDue(message.value)) run.violation(`R-QUEUE: ${message.value} is delivered before it is due`);
          yield message;
        }
      },
      close: () => queue.close(),
    };
  };

async function runQueue(seed: number, delivery: Delivery, newQueueOf: NewQueue): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: 4 });
  const jobs = new Jobs(run);
  const holdings = new Holdings(run, { folder: `${JOBS}-locks`, due: (names) => names, thing: ({ path }) => path });
  const settle = async (actor: Actor, message: QueueMessage<string>): Promise<void> => {
    const holding = message.held && holdings.granted(actor, message.held);
    await actor.pause([0, 100]);
    const isOurs = holding === undefined || holdings.work(holding, 10);
    if (holding !== undefined) holdings.releasing(holding);
    try {
      if (!isOurs) return await message.held?.release();
      // It would be delivered again.
      if (delivery === 'at-least-once' && actor.chance(0.1)) return await message.requeue();
      await message.ack();
      jobs.acknowledged.add(message.value);
    } catch (error) {
      const isPromised = error instanceof OwnershipLostError || error instanceof SessionFailedError;
      if (!isPromised && !isRetryable(error)) throw error;
      run.mark('settled to no known end');
    }
  };
  jobs.produceBy(PRODUCERS);
  await run.play(async (actor) => {
    const queue = newQueueOf(run, actor);
    if (jobs.producing.has(actor)) return produce(jobs, actor, queue);
    const onMessages = async (signal: AbortSignal) => {
      for await (const message of queue.consume({ delivery, prefetch: actor.between([1, 4]), signal })) {
        jobs.deliver(actor, message.value, delivery);
        await settle(actor, message);
      }
    };
    await consumeAll(jobs, actor, { onMessages, isOver: () => jobs.isDrained });
    await queue.close();
  });
  jobs.check(delivery);
  await holdings.checkOrphans();
  await run.close();
  return run.marks;
}

/** One consumer and no faults. `check` is told each value in its turn. */
async function runCalm(
  seed: number,
  newQueueOf: NewQueue,
  check: (run: RecipeWorld, jobs: Jobs, message: QueueMessage<string>) => void,
): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: 3, isCalm: true, workMs: 4000 });
  const jobs = new Jobs(run);
  jobs.produceBy(PRODUCERS);
  await run.play(async (actor) => {
    const queue = newQueueOf(run, actor);
    if (jobs.producing.has(actor)) return produce(jobs, actor, queue);
    const delivery = actor.chance(0.5) ? 'at-least-once' : 'at-most-once';
    const onMessages = async (signal: AbortSignal) => {
      for await (const message of queue.consume({ delivery, prefetch: actor.between([1, 4]), signal })) {
        check(run, jobs, message);
        jobs.deliver(actor, message.value, 'at-most-once');
        await actor.pause([0, 100]);
        await message.ack();
      }
    };
    await consumeAll(jobs, actor, { onMessages, isOver: () => jobs.isDelivered });
    await queue.close();
  });
  await run.close();
  return run.marks;
}

function runOrder(seed: number): Promise<Marks> {
  let last = '';
  return runCalm(seed, newQueue, (run, _jobs, { path }) => {
    if (path <= last) run.violation(`R-QUEUE: ${path} after ${last}`);
    last = path;
    run.mark('delivered in order');
  });
}

/** How long a consumer may not know of what was put: what it has fetched before comes first. */
const UNNOTICED_MS = 1000;

/** Lower keys come first, of what the consumer must know of, and may have. */
function runRanks(seed: number, newQueueOf: (keys: Map<string, number>) => NewQueue): Promise<Marks> {
  const keys = new Map<string, number>();
  /** When it was first seen to be stored, by the wall clock. */
  const since = new Map<string, number>();
  return runCalm(seed, newQueueOf(keys), (run, jobs, { value }) => {
    const now = run.actors[0]?.process.clock.wallTime() ?? 0;
    for (const stored of jobs.stored) if (!since.has(stored)) since.set(stored, now);
    const keyOf = (each: string) => keys.get(each) ?? 0;
    const waiting = [...since].filter(([other]) => other !== value && !jobs.delivered.has(other));
    // A priority, unlike the time when something is due, has always come.
    const late = waiting.filter(([other, at]) => Math.max(at, keyOf(other)) < now - UNNOTICED_MS);
    const overtaken = late.filter(([other]) => keyOf(other) < keyOf(value));
    if (overtaken.length > 0)
      run.violation(`R-QUEUE: ${value} (${keyOf(value)}) before ${overtaken.map(([other]) => other).join(' ')}`);
    if (waiting.some(([other]) => keyOf(other) > keyOf(value))) run.mark('first of several');
  });
}

/** Items of a queue without locks are handed to one taker, or to nobody that knows. */
async function runSimpleQueue(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: 4 });
  const jobs = new Jobs(run);
  jobs.produceBy(PRODUCERS);
  /** Takes of which nobody knows what became. */
  let unknown = 0;
  await run.play(async (actor) => {
    const queue = new SimpleDistributedQueue(actor.client, JOBS);
    if (jobs.producing.has(actor)) {
      const put = (value: string, options: PutOptions) => queue.offer(Buffer.from(value), options);
      return produce(jobs, actor, { put, close: () => queue.close() });
    }
    while (!jobs.isDrained) {
      unknown++;
      try {
        const data = await queue.poll({ timeoutMs: actor.between([0, 500]) });
        unknown--;
        if (data === undefined) run.mark('nothing there');
        else jobs.deliver(actor, data.toString(), 'at-most-once');
      } catch (error) {
        if (!isRetryable(error)) throw error;
        run.mark('nobody knows who has it');
      }
      await actor.pause([0, 100]);
    }
    await queue.close();
  });
  const missing = [...jobs.stored].filter((value) => !jobs.delivered.has(value));
  if (missing.length > unknown) run.violation(`R-QUEUE: never delivered: ${missing.join(' ')}; unknown: ${unknown}`);
  await run.close();
  return run.marks;
}

describe('in every seed', { timeout: SEEDS_TIMEOUT_MS }, () => {
  it('a queue delivers everything at least once, to one consumer at a time, and nothing after its acknowledgement', async () => {
    const covers = [
      ...FAULTS,
      'frozen while holding',
      'stored',
      'delivered again',
      'settled to no known end',
      'lost while holding',
    ];
    const run = (seed: number) => runQueue(seed, 'at-least-once', newQueue);
    await runSeeds({ name: 'a queue delivers everything at least once', file, covers, run });
  });

  it('a queue delivers nothing twice where it shall be at most once', async () => {
    const covers = [...FAULTS, 'stored', 'taken along'];
    const run = (seed: number) => runQueue(seed, 'at-most-once', newQueue);
    await runSeeds({ name: 'a queue delivers nothing twice', file, covers, run });
  });

  it('a queue keeps its order', async () => {
    await runSeeds({ name: 'a queue keeps', file, covers: ['delivered in order'], run: runOrder });
  });

  it('so does one with ids, from which items can be taken out, one with priorities, and one with due times', async () => {
    const kinds = [newIdQueue, newPriorityQueue(), newDelayQueue()];
    const covers = [...FAULTS, 'stored', 'delivered again', 'removed', 'ids', 'priorities', 'due times'];
    const run = (seed: number) => runQueue(seed, 'at-least-once', kinds[seed % kinds.length] ?? newIdQueue);
    await runSeeds({ name: 'so does one with ids', file, covers, run });
  });

  it('a queue with priorities or due times delivers in their order', async () => {
    const run = (seed: number) => runRanks(seed, seed % 2 === 0 ? newPriorityQueue : newDelayQueue);
    await runSeeds({ name: 'a queue with priorities', file, covers: ['first of several'], run });
  });

  it('a simple queue hands each item to one taker', async () => {
    const covers = [...FAULTS, 'stored', 'nothing there', 'nobody knows who has it'];
    await runSeeds({ name: 'a simple queue', file, covers, run: runSimpleQueue });
  });
});
