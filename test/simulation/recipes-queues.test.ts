/**
 * Queues among producers and consumers that are frozen, killed and cut off, over servers that restart. What an observer sees: what was
 * stored, what was delivered, what was acknowledged. SIM_SEEDS and SIM_SEED: see `seeds.fixture.ts`.
 */
import { describe, it } from 'vitest';
import { isRetryable, SessionFailedError } from 'zookeeper-client-ts';
import { type Delivery, DistributedQueue, OwnershipLostError, type QueueMessage, string } from 'zookeeper-recipes-ts';
import { Holdings } from './holdings.fixture.ts';
import { type Actor, GaveUp, isDead, RecipeWorld } from './recipe-world.fixture.ts';
import { type Marks, runSeeds, SEEDS_TIMEOUT_MS } from './seeds.fixture.ts';

const file = 'test/simulation/recipes-queues.test.ts';
const PATH = '/jobs';
const FAULTS = ['frozen while holding', 'session ended', 'reply lost', 'server restarted', 'partition', 'killed'];
const PRODUCERS = 2;

/** R-QUEUE: what became of each value. Values are put once. */
class Jobs {
  readonly run: RecipeWorld;
  /** `put` has resolved. */
  readonly stored = new Set<string>();
  readonly delivered = new Map<string, number>();
  /** `ack` has resolved. */
  readonly acknowledged = new Set<string>();
  /** Producers that are not done. */
  readonly producing = new Set<Actor>();

  constructor(run: RecipeWorld) {
    this.run = run;
  }

  deliver(actor: Actor, value: string, delivery: Delivery): void {
    const before = this.delivered.get(value) ?? 0;
    if (this.acknowledged.has(value)) this.run.violation(`R-QUEUE: ${value} goes to ${actor.name} after its ack`);
    if (delivery === 'at-most-once' && before > 0) this.run.violation(`R-QUEUE: ${value} is delivered twice`);
    if (before > 0) this.run.mark('delivered again');
    this.delivered.set(value, before + 1);
  }

  /** Nothing more is to come. */
  get isDrained(): boolean {
    const isProducing = [...this.producing].some((actor) => !isDead(actor));
    return !this.run.isWorking && !isProducing && this.run.childrenOf(PATH).length === 0;
  }

  /** In the end: everything that was stored has been delivered, unless a consumer may have taken it along. */
  check(delivery: Delivery): void {
    const missing = [...this.stored].filter((value) => !this.delivered.has(value));
    for (const _ of missing) this.run.mark('taken along');
    const mayLose = delivery === 'at-most-once';
    if (missing.length > 0 && !mayLose) this.run.violation(`R-QUEUE: never delivered: ${missing.join(' ')}`);
  }
}

async function produce(jobs: Jobs, actor: Actor, queue: DistributedQueue<string>): Promise<void> {
  const { run } = jobs;
  for (let count = 1; run.isWorking; count++) {
    const value = `${actor.name}/${count}`;
    try {
      await queue.put(value, actor.chance(0.1) ? { signal: actor.abortAfter([0, 500]) } : {});
      jobs.stored.add(value);
      run.mark('stored');
    } catch (error) {
      if (!(error instanceof GaveUp || isRetryable(error))) throw error;
      run.mark('put came to nothing that is known');
    }
    await actor.pause([0, 300]);
  }
  await queue.close();
  jobs.producing.delete(actor);
}

async function consumeAll(jobs: Jobs, actor: Actor, onMessages: (stop: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const consuming = onMessages(stop.signal).catch((error: unknown) => {
    if (!(error instanceof GaveUp)) jobs.run.violation(`${actor.name} consumes no more: ${error}`);
  });
  while (!jobs.isDrained) await actor.pause([100, 200]);
  stop.abort(new GaveUp());
  await consuming;
}

async function runQueue(seed: number, delivery: Delivery): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: 4 });
  const jobs = new Jobs(run);
  const holdings = new Holdings(run, { folder: `${PATH}-locks`, due: (names) => names, thing: ({ path }) => path });
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
  // Made outside of the simulated processes, because it keeps the machine's `Date.now` for those queues that delay.
  const queues = new Map(
    run.actors.map((actor) => [actor, new DistributedQueue(actor.client, PATH, { serializer: string })]),
  );
  for (const actor of run.actors.slice(-PRODUCERS)) jobs.producing.add(actor);
  await run.play(async (actor) => {
    const queue = queues.get(actor);
    if (queue === undefined) throw new Error('each has a queue');
    if (jobs.producing.has(actor)) return produce(jobs, actor, queue);
    await consumeAll(jobs, actor, async (signal) => {
      for await (const message of queue.consume({ delivery, prefetch: actor.between([1, 4]), signal })) {
        jobs.deliver(actor, message.value, delivery);
        await settle(actor, message);
      }
    });
    await queue.close();
  });
  jobs.check(delivery);
  await holdings.checkOrphans();
  await run.close();
  return run.marks;
}

/** One consumer and no faults: the order of the queue. */
async function runOrder(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: 3, isCalm: true, workMs: 4000 });
  const jobs = new Jobs(run);
  const queues = new Map(
    run.actors.map((actor) => [actor, new DistributedQueue(actor.client, PATH, { serializer: string })]),
  );
  for (const actor of run.actors.slice(-PRODUCERS)) jobs.producing.add(actor);
  let last = '';
  await run.play(async (actor) => {
    const queue = queues.get(actor);
    if (queue === undefined) throw new Error('each has a queue');
    if (jobs.producing.has(actor)) return produce(jobs, actor, queue);
    const delivery = actor.chance(0.5) ? 'at-least-once' : 'at-most-once';
    await consumeAll(jobs, actor, async (signal) => {
      for await (const message of queue.consume({ delivery, prefetch: actor.between([1, 8]), signal })) {
        jobs.deliver(actor, message.value, 'at-most-once');
        if (message.path <= last) run.violation(`R-QUEUE: ${message.path} after ${last}`);
        last = message.path;
        run.mark('delivered in order');
        await actor.pause([0, 100]);
        await message.ack();
      }
    });
    await queue.close();
  });
  jobs.check('at-least-once');
  await run.close();
  return run.marks;
}

describe('in every seed', { timeout: SEEDS_TIMEOUT_MS }, () => {
  it('a queue delivers everything at least once, to one consumer at a time, and nothing after its acknowledgement', async () => {
    const covers = [...FAULTS, 'stored', 'delivered again', 'settled to no known end', 'lost while holding'];
    const run = (seed: number) => runQueue(seed, 'at-least-once');
    await runSeeds({ name: 'a queue delivers everything at least once', file, covers, run });
  });

  it('a queue delivers nothing twice where it shall be at most once', async () => {
    const covers = ['session ended', 'reply lost', 'server restarted', 'killed', 'stored'];
    const run = (seed: number) => runQueue(seed, 'at-most-once');
    await runSeeds({ name: 'a queue delivers nothing twice', file, covers, run });
  });

  it('a queue keeps its order', async () => {
    await runSeeds({ name: 'a queue keeps', file, covers: ['delivered in order'], run: runOrder });
  });
});
