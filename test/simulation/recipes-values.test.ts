/**
 * Caches and counters among programs that are frozen, killed and cut off, over servers that restart. SIM_SEEDS and SIM_SEED: see
 * `seeds.fixture.ts`.
 */
import { describe, it } from 'vitest';
import { isRetryable, NodeExistsError, NoNodeError, NotEmptyError } from 'zookeeper-client-ts';
import { type ChildData, CuratorCache, DistributedAtomicLong, string } from 'zookeeper-recipes-ts';
import { type Actor, FAULTS, RecipeWorld } from './recipe-world.fixture.ts';
import { type Marks, runSeeds, SEEDS_TIMEOUT_MS } from './seeds.fixture.ts';

const file = 'test/simulation/recipes-values.test.ts';

const ROOT = '/tree';

/** R-CACHE: the cache as one knows it who only hears its events. */
class HeardTree {
  readonly #run: RecipeWorld;
  /** Path → mzxid and data. */
  readonly #znodes = new Map<string, string>();

  constructor(run: RecipeWorld, cache: CuratorCache<string>) {
    this.#run = run;
    cache.on('created', (_old, node) => {
      if (this.#znodes.has(node.path)) run.violation(`R-CACHE: ${node.path} was created, and is there`);
      this.#znodes.set(node.path, stateOf(node));
    });
    cache.on('changed', (old, node) => {
      this.#expect(old);
      if (old.stat.czxid !== node.stat.czxid) run.violation(`R-CACHE: another ${node.path} is told as a change`);
      this.#znodes.set(node.path, stateOf(node));
      run.mark('changed');
    });
    cache.on('deleted', (old) => {
      this.#expect(old);
      this.#znodes.delete(old.path);
      run.mark('deleted');
      const child = [...this.#znodes.keys()].find((path) => path.startsWith(`${old.path}/`));
      if (child !== undefined) run.violation(`R-CACHE: ${old.path} was deleted, and ${child} is there`);
    });
  }

  /** Sorted lines. */
  get lines(): string[] {
    return [...this.#znodes].map(([path, state]) => `${path} ${state}`).sort();
  }

  #expect(old: ChildData<string>): void {
    if (this.#znodes.get(old.path) !== stateOf(old))
      this.#run.violation(`R-CACHE: ${old.path} was ${stateOf(old)}, known as ${this.#znodes.get(old.path)}`);
  }
}

const stateOf = ({ stat, value }: ChildData<string>): string => `${stat.czxid}/${stat.mzxid} ${value}`;

/** What the cache must show in the end. */
function treeOf(run: RecipeWorld): string[] {
  const { tree } = run.server.database;
  return [...tree.znodes()]
    .filter((node) => tree.pathOf(node) === ROOT || tree.pathOf(node).startsWith(`${ROOT}/`))
    .map((node) => {
      const data = Buffer.from(tree.data(node) ?? []).toString();
      return `${tree.pathOf(node)} ${tree.czxid(node)}/${tree.mzxid(node)} ${data}`;
    })
    .sort();
}

/** Makes, changes and deletes, often the same few znodes. */
async function change(run: RecipeWorld, { client, ...actor }: Writer): Promise<void> {
  const path = `${ROOT}/${actor.between([1, 3])}${actor.chance(0.5) ? '' : `/${actor.between([1, 3])}`}`;
  const data = `${actor.between([1, 1000])}`;
  try {
    switch (actor.between([0, 3])) {
      case 0:
        return void (await client.delete(path, { children: actor.chance(0.5) }));
      case 1:
        return void (await client.setData(path, data));
      case 2:
        // Another one with the same version.
        await client.transaction([client.op.delete(path), client.op.create(path, { data })]);
        return run.mark('deleted and created in one transaction');
      default:
        return void (await client.create(path, { parents: true, data }));
    }
  } catch (error) {
    const isRefused =
      error instanceof NoNodeError || error instanceof NodeExistsError || error instanceof NotEmptyError;
    if (!isRefused && !isRetryable(error)) throw error;
  }
}

type Writer = Pick<Actor, 'client' | 'between' | 'chance'>;

const writerOf = (actor: Actor): Writer => ({
  client: actor.client,
  between: (range) => actor.between(range),
  chance: (probability) => actor.chance(probability),
});

async function runCache(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: 4, workMs: 12_000 });
  const caches = new Map<Actor, { cache: CuratorCache<string>; heard: HeardTree }>();
  await run.play(async (actor) => {
    if (run.actors.indexOf(actor) >= 2) {
      while (run.isWorking) {
        await change(run, writerOf(actor));
        await actor.pause([0, 300]);
      }
      return;
    }
    const cache = new CuratorCache(actor.client, ROOT, { serializer: string });
    caches.set(actor, { cache, heard: new HeardTree(run, cache) });
    await cache.start();
    run.mark('synced');
  });
  for (const [actor, { cache, heard }] of caches) {
    if (actor.process.state === 'dead') continue;
    const shown = () => [...cache].map((node) => `${node.path} ${stateOf(node)}`).sort();
    const isRight = () => {
      const expected = treeOf(run).join('\n');
      return shown().join('\n') === expected && heard.lines.join('\n') === expected;
    };
    await run.until(`R-CACHE: ${actor.name} shows the tree`, isRight).catch((cause: unknown) => {
      throw new Error(
        `R-CACHE: shown\n${shown().join('\n')}\nheard\n${heard.lines.join('\n')}\nis\n${treeOf(run).join('\n')}`,
        {
          cause,
        },
      );
    });
    await run.world.perform(actor.process, () => cache.close());
  }
  await run.close();
  return run.marks;
}

async function runCounter(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: 4, workMs: 10_000 });
  let counted = 0;
  let unknown = 0;
  const seen = new Set<bigint>();
  await run.play(async (actor) => {
    const counter = new DistributedAtomicLong(actor.client, '/counter');
    while (run.isWorking) {
      // Whoever dies has perhaps counted.
      unknown++;
      try {
        const result = await counter.increment(actor.chance(0.1) ? { signal: actor.abortAfter([0, 200]) } : {});
        unknown--;
        if (result.succeeded) {
          counted++;
          run.mark('counted');
          if (seen.has(result.postValue)) run.violation(`R-COUNT: two have made it ${result.postValue}`);
          seen.add(result.postValue);
        } else {
          run.mark('overtaken too often');
        }
      } catch (error) {
        if (error instanceof Error && error.name !== 'GaveUp' && !isRetryable(error)) throw error;
        run.mark('outcome unknown');
      }
      await actor.pause([0, 100]);
    }
  });
  const { tree } = run.server.database;
  const value = () => {
    const node = tree.find('/counter');
    return node === undefined ? 0 : Number(Buffer.from(tree.data(node) ?? []).readBigInt64BE());
  };
  if (value() < counted || value() > counted + unknown)
    run.violation(`R-COUNT: ${value()} after ${counted} increments, and ${unknown} of which nobody knows`);
  await run.close();
  return run.marks;
}

describe('in every seed', { timeout: SEEDS_TIMEOUT_MS }, () => {
  it('a cache goes from step to step that are possible, and shows the tree when the faults are over', async () => {
    const covers = [...FAULTS, 'synced', 'changed', 'deleted', 'deleted and created in one transaction'];
    await runSeeds({ name: 'a cache goes', file, covers, run: runCache });
  });

  it('a counter has counted what has succeeded, and at most what nobody knows of besides', async () => {
    const covers = [...FAULTS, 'counted', 'outcome unknown'];
    await runSeeds({ name: 'a counter has', file, covers, run: runCounter });
  });
});
