/**
 * What an observer sees of a queue: what was stored, what was delivered, what was acknowledged (R-QUEUE). Values are put once.
 */
import { isRetryable } from 'zookeeper-client-ts';
import type { Delivery, PutOptions } from 'zookeeper-recipes-ts';
import { type Actor, GaveUp, isDead, type RecipeWorld } from './recipe-world.fixture.ts';

/** Where the queue is. */
export const JOBS = '/jobs';

/** What became of each value. */
export class Jobs {
  readonly run: RecipeWorld;
  /** `put` has resolved. */
  readonly stored = new Set<string>();
  readonly delivered = new Map<string, number>();
  /** `ack` has resolved. */
  readonly acknowledged = new Set<string>();
  /** Taken out again, for certain or perhaps. */
  readonly removed = new Set<string>();
  readonly perhapsRemoved = new Set<string>();
  /** Producers that are not done. */
  readonly producing = new Set<Actor>();

  constructor(run: RecipeWorld) {
    this.run = run;
  }

  /** The last of the actors are the producers. */
  produceBy(count: number): void {
    for (const actor of this.run.actors.slice(-count)) this.producing.add(actor);
  }

  deliver(actor: Actor, value: string, delivery: Delivery): void {
    const before = this.delivered.get(value) ?? 0;
    if (this.acknowledged.has(value)) this.run.violation(`R-QUEUE: ${value} goes to ${actor.name} after its ack`);
    if (delivery === 'at-most-once' && before > 0) this.run.violation(`R-QUEUE: ${value} is delivered twice`);
    if (this.removed.has(value)) this.run.violation(`R-QUEUE: ${value} goes to ${actor.name}, and was removed`);
    if (before > 0) this.run.mark('delivered again');
    this.delivered.set(value, before + 1);
  }

  /** Nothing more is to come. */
  get isDrained(): boolean {
    const isProducing = [...this.producing].some((actor) => !isDead(actor));
    return !this.run.isWorking && this.run.isServing && !isProducing && this.run.childrenOf(JOBS).length === 0;
  }

  /** Where nothing gets lost, the last ones may have left the queue and not been delivered yet. */
  get isDelivered(): boolean {
    return this.isDrained && this.#missing.length === 0;
  }

  /** In the end: everything that was stored has been delivered, unless a consumer may have taken it along. */
  check(delivery: Delivery): void {
    const missing = this.#missing;
    for (const _ of missing) this.run.mark('taken along');
    const mayLose = delivery === 'at-most-once';
    if (missing.length > 0 && !mayLose) this.run.violation(`R-QUEUE: never delivered: ${missing.join(' ')}`);
  }

  get #missing(): string[] {
    const isAccounted = (value: string) =>
      this.delivered.has(value) || this.removed.has(value) || this.perhapsRemoved.has(value);
    return [...this.stored].filter((value) => !isAccounted(value));
  }
}

/** How values get into a queue, and perhaps out of it again. */
export interface Producer {
  put(value: string, options: PutOptions): Promise<void>;
  /** Resolves to how many there were. */
  remove?(value: string): Promise<number>;
  close(): Promise<void>;
}

/** Puts one value after the other, as long as there is work. */
export async function produce(jobs: Jobs, actor: Actor, producer: Producer): Promise<void> {
  const { run } = jobs;
  for (let count = 1; run.isWorking; count++) {
    const value = `${actor.name}-${count}`;
    try {
      await producer.put(value, actor.chance(0.1) ? { signal: actor.abortAfter([0, 500]) } : {});
      jobs.stored.add(value);
      run.mark('stored');
      if (actor.chance(0.3)) await remove(jobs, producer, value);
    } catch (error) {
      if (!(error instanceof GaveUp || isRetryable(error))) throw error;
      run.mark('put came to nothing that is known');
    }
    await actor.pause([0, 300]);
  }
  await producer.close();
  jobs.producing.delete(actor);
}

async function remove(jobs: Jobs, producer: Producer, value: string): Promise<void> {
  if (producer.remove === undefined) return;
  jobs.perhapsRemoved.add(value);
  const count = await producer.remove(value);
  jobs.perhapsRemoved.delete(value);
  if (count > 1) jobs.run.violation(`R-QUEUE: ${value} was there ${count} times`);
  if (count === 0) return;
  jobs.removed.add(value);
  jobs.run.mark('removed');
}

interface Consuming {
  readonly onMessages: (stop: AbortSignal) => Promise<void>;
  /** Nothing more is to come. */
  readonly isOver: () => boolean;
}

/** Consumes until that is over. */
export async function consumeAll({ run }: Jobs, actor: Actor, { onMessages, isOver }: Consuming): Promise<void> {
  const stop = new AbortController();
  const consuming = onMessages(stop.signal).catch((error: unknown) => {
    if (!(error instanceof GaveUp)) run.violation(`${actor.name} consumes no more: ${error}`);
  });
  while (!isOver()) await actor.pause([100, 200]);
  stop.abort(new GaveUp());
  await consuming;
}
