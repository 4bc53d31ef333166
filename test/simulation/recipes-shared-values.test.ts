/**
 * Values and numbers that all share, among programs that are frozen, killed and cut off, over servers that restart. SIM_SEEDS and SIM_SEED:
 * see `seeds.fixture.ts`.
 */
import { describe, it } from 'vitest';
import { isRetryable } from 'zookeeper-client-ts';
import {
  CachedAtomicLong,
  DistributedAtomicLong,
  json,
  SharedCount,
  SharedValue,
  type VersionedValue,
} from 'zookeeper-recipes-ts';
import { type Actor, FAULTS, isDead, RecipeWorld } from './recipe-world.fixture.ts';
import { type Marks, runSeeds, SEEDS_TIMEOUT_MS } from './seeds.fixture.ts';

const file = 'test/simulation/recipes-shared-values.test.ts';
const PATH = '/shared';
const ACTORS = 4;

/** What is written, each time another. */
interface Written {
  readonly id: string;
  /** The zxid of what it was written over, if only over that. */
  readonly over?: string;
}

/** Retries until the servers have answered. */
async function insisting<T>(actor: Actor, call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isRetryable(error)) throw error;
      await actor.pause([100, 500]);
    }
  }
}

/** R-COUNT, of values: what all have seen of one. */
class SeenValues {
  readonly #run: RecipeWorld;
  readonly #byZxid = new Map<bigint, Written>();
  /** Told not to have been written. */
  readonly refused = new Set<string>();

  constructor(run: RecipeWorld) {
    this.#run = run;
  }

  see({ value, zxid }: VersionedValue<Written>): void {
    const known = this.#byZxid.get(zxid);
    if (known !== undefined && known.id !== value.id)
      this.#run.violation(`R-COUNT: at ${zxid} some see ${known.id}, some ${value.id}`);
    this.#byZxid.set(zxid, value);
  }

  /** In the end: each that was written over another one came right behind it, and once. */
  check(): void {
    const inOrder = [...this.#byZxid].sort(([a], [b]) => (a < b ? -1 : 1));
    const ids = new Set<string>();
    for (const [index, [zxid, { id, over }]] of inOrder.entries()) {
      if (this.refused.has(id)) this.#run.violation(`R-COUNT: ${id} is there, and was refused`);
      if (over === undefined) continue;
      if (ids.has(id)) this.#run.violation(`R-COUNT: ${id} was written twice`);
      ids.add(id);
      const [before] = inOrder[index - 1] ?? [];
      if (before !== undefined && before > BigInt(over))
        this.#run.violation(`R-COUNT: ${id} at ${zxid} was written over ${over}, and there was ${before}`);
      this.#run.mark('right behind what it was written over');
    }
  }
}

async function runSharedValue(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: ACTORS, workMs: 10_000 });
  const seen = new SeenValues(run);
  const values = new Map<Actor, SharedValue<Written>>();
  await run.play(async (actor) => {
    const newValue = () =>
      new SharedValue(actor.client, PATH, { id: 'seed' } as Written, { serializer: json<Written>() });
    const value = await insisting(actor, () => newValue().start());
    values.set(actor, value);
    seen.see(value.getVersionedValue());
    let last = value.getVersionedValue().zxid;
    value.on('change', (changed) => {
      if (changed.zxid <= last) run.violation(`R-COUNT: ${actor.name} goes back from ${last} to ${changed.zxid}`);
      last = changed.zxid;
      seen.see(changed);
    });
    for (let count = 1; run.isWorking; count++) {
      await write(run, actor, { value, seen, id: `${actor.name}/${count}` });
      await actor.pause([0, 300]);
    }
  });
  for (const [actor, value] of values) {
    if (isDead(actor)) continue;
    await run.until(`R-COUNT: ${actor.name} shows the value`, () => value.getVersionedValue().zxid === mzxidOf(run));
    await run.world.perform(actor.process, () => value.close());
  }
  seen.check();
  await run.close();
  return run.marks;
}

interface Write {
  readonly value: SharedValue<Written>;
  readonly seen: SeenValues;
  readonly id: string;
}

async function write(run: RecipeWorld, actor: Actor, { value, seen, id }: Write): Promise<void> {
  const known = value.getVersionedValue();
  try {
    if (actor.chance(0.2)) return await value.setValue({ id });
    // What somebody else has written meanwhile is not overwritten.
    if (actor.chance(0.3)) await actor.pause([0, 100]);
    const isWritten = await value.trySetValue(known, { id, over: String(known.zxid) });
    run.mark(isWritten ? 'written' : 'refused');
    if (!isWritten) seen.refused.add(id);
  } catch (error) {
    if (!isRetryable(error)) throw error;
    run.mark('outcome unknown');
  }
}

const mzxidOf = (run: RecipeWorld): bigint | undefined => {
  const { tree } = run.server.database;
  const node = tree.find(PATH);
  return node === undefined ? undefined : tree.mzxid(node);
};

async function runSharedCount(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: ACTORS, workMs: 10_000 });
  let counted = 0;
  let unknown = 0;
  await run.play(async (actor) => {
    const count = await insisting(actor, () => new SharedCount(actor.client, PATH, 0).start());
    while (run.isWorking) {
      const known = count.getVersionedValue();
      // Whoever dies has perhaps counted.
      unknown++;
      try {
        const isCounted = await count.trySetCount(known, known.value + 1);
        unknown--;
        if (isCounted) counted++;
        run.mark(isCounted ? 'counted' : 'refused');
      } catch (error) {
        if (!isRetryable(error)) throw error;
        run.mark('outcome unknown');
      }
      await actor.pause([0, 200]);
    }
    await count.close();
  });
  const { tree } = run.server.database;
  const node = tree.find(PATH);
  const value = node === undefined ? 0 : Buffer.from(tree.data(node) ?? []).readInt32BE();
  if (value < counted || value > counted + unknown)
    run.violation(`R-COUNT: ${value} after ${counted} increments, and ${unknown} of which nobody knows`);
  await run.close();
  return run.marks;
}

async function runCachedNumber(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: ACTORS, workMs: 10_000 });
  const given = new Set<bigint>();
  await run.play(async (actor) => {
    const ids = new CachedAtomicLong(new DistributedAtomicLong(actor.client, PATH), actor.between([1, 5]));
    const next = async (): Promise<void> => {
      try {
        const result = await ids.next();
        if (!result.succeeded) return run.mark('overtaken too often');
        if (given.has(result.preValue)) run.violation(`R-COUNT: ${result.preValue} is given out twice`);
        given.add(result.preValue);
        run.mark('given out');
      } catch (error) {
        if (!isRetryable(error)) throw error;
        run.mark('outcome unknown');
      }
    };
    while (run.isWorking) {
      await Promise.all(Array.from({ length: actor.between([1, 3]) }, next));
      await actor.pause([0, 150]);
    }
  });
  await run.close();
  return run.marks;
}

describe('in every seed', { timeout: SEEDS_TIMEOUT_MS }, () => {
  it('a shared value never goes back, is the same for all, and is replaced once by one of those who compare it', async () => {
    const covers = [...FAULTS, 'written', 'refused', 'outcome unknown', 'right behind what it was written over'];
    await runSeeds({ name: 'a shared value', file, covers, run: runSharedValue });
  });

  it('a shared count has counted what has succeeded, and at most what nobody knows of besides', async () => {
    const covers = [...FAULTS, 'counted', 'refused', 'outcome unknown'];
    await runSeeds({ name: 'a shared count', file, covers, run: runSharedCount });
  });

  it('a cached number gives out nothing twice', async () => {
    const covers = [...FAULTS, 'given out', 'outcome unknown'];
    await runSeeds({ name: 'a cached number', file, covers, run: runCachedNumber });
  });
});
