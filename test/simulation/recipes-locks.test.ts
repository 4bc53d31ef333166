/**
 * Locks and semaphores among programs that are frozen, killed and cut off, over servers that restart: what they promise holds in every
 * seed. SIM_SEEDS and SIM_SEED: see `seeds.fixture.ts`.
 */
import { describe, it } from 'vitest';
import { isRetryable } from 'zookeeper-client-ts';
import {
  AcquireTimeoutError,
  InterProcessMutex,
  InterProcessReadWriteLock,
  InterProcessSemaphoreMutex,
  InterProcessSemaphoreV2,
  type LineLock,
  type LockAcquireOptions,
  type Ownership,
  OwnershipLostError,
} from 'zookeeper-recipes-ts';
import { type Holding, Holdings, inLine, sequenceOf } from './holdings.fixture.ts';
import { type Actor, GaveUp, RecipeWorld } from './recipe-world.fixture.ts';
import { type Marks, runSeeds, SEEDS_TIMEOUT_MS } from './seeds.fixture.ts';

const file = 'test/simulation/recipes-locks.test.ts';
const ACTORS = 4;
const FAULTS = ['frozen while holding', 'session ended', 'reply lost', 'server restarted', 'partition', 'killed'];
const LOCK_MARKS = [...FAULTS, 'granted', 'lost while holding', 'timed out', 'gave up', 'stale token refused'];

interface Lock {
  acquire(options: LockAcquireOptions): Promise<Ownership>;
}

/** Undefined if it came to nothing, in one of the ways that are promised. */
async function acquired(run: RecipeWorld, actor: Actor, lock: Lock): Promise<Ownership | undefined> {
  const options = {
    ...(actor.chance(0.3) && { timeoutMs: actor.between([0, 3000]) }),
    ...(actor.chance(0.2) && { signal: actor.abortAfter([0, 3000]) }),
  };
  try {
    return await lock.acquire(options);
  } catch (error) {
    if (error instanceof AcquireTimeoutError) run.mark('timed out');
    else if (error instanceof GaveUp) run.mark('gave up');
    else if (error instanceof OwnershipLostError || isRetryable(error)) run.mark('failed');
    else throw error;
    return undefined;
  }
}

/** Does some work while it may. */
async function workWith(actor: Actor, holdings: Holdings, holding: Holding): Promise<void> {
  for (let count = actor.between([1, 4]); count > 0; count--) {
    if (!holdings.work(holding, actor.chance(0.2) ? actor.between([100, 9000]) : actor.between([0, 20]))) return;
    await actor.pause([0, 150]);
  }
}

async function released(run: RecipeWorld, holdings: Holdings, holding: Holding): Promise<void> {
  holdings.releasing(holding);
  try {
    await holding.held.release();
  } catch (error) {
    if (!isRetryable(error)) throw error;
    run.mark('release failed');
  }
}

/** Takes turns with a lock as long as there is work. */
async function takeTurns(run: RecipeWorld, actor: Actor, holdings: Holdings, lock: Lock, mode?: string): Promise<void> {
  const held = await acquired(run, actor, lock);
  if (held === undefined) return;
  const holding = holdings.granted(actor, held, mode);
  await workWith(actor, holdings, holding);
  await released(run, holdings, holding);
}

async function runMutex(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: ACTORS });
  const holdings = new Holdings(run, { folder: '/lock', due: (names) => inLine(names).slice(0, 1) });
  await run.play(async (actor) => {
    const lock = new InterProcessMutex(actor.client, '/lock');
    while (run.isWorking) {
      await takeTurns(run, actor, holdings, lock);
      await actor.pause([0, 400]);
    }
  });
  await holdings.checkOrphans();
  await run.close();
  return run.marks;
}

const isWriter = (name: string): boolean => name.includes('__WRIT__');

/** A writer whom nobody stands in front of, and readers that have no writer in front of them. */
function dueOfReadWriteLock(names: readonly string[]): string[] {
  const first = Math.min(...names.map(sequenceOf));
  const firstWriter = Math.min(...names.filter(isWriter).map(sequenceOf));
  return names.filter((name) => sequenceOf(name) <= (isWriter(name) ? first : firstWriter));
}

async function runReadWriteLock(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: ACTORS });
  const holdings = new Holdings(run, {
    folder: '/catalog',
    due: dueOfReadWriteLock,
    isExclusive: (mode) => mode === 'write',
  });
  const downgrade = async (actor: Actor, lock: InterProcessReadWriteLock): Promise<void> => {
    const writing = await acquired(run, actor, lock.writeLock);
    if (writing === undefined) return;
    const asWriter = holdings.granted(actor, writing, 'write');
    await workWith(actor, holdings, asWriter);
    const reading = await acquired(run, actor, ownedBy(lock.readLock, writing));
    const asReader = reading && holdings.granted(actor, reading, 'read');
    if (asReader !== undefined) run.mark('downgraded');
    await released(run, holdings, asWriter);
    if (asReader === undefined) return;
    await workWith(actor, holdings, asReader);
    await released(run, holdings, asReader);
  };
  await run.play(async (actor) => {
    const lock = new InterProcessReadWriteLock(actor.client, '/catalog');
    while (run.isWorking) {
      if (actor.chance(0.15)) await downgrade(actor, lock);
      else if (actor.chance(0.4)) await takeTurns(run, actor, holdings, lock.writeLock, 'write');
      else await takeTurns(run, actor, holdings, lock.readLock, 'read');
      await actor.pause([0, 300]);
    }
  });
  await holdings.checkOrphans();
  await run.close();
  return run.marks;
}

const ownedBy = (lock: LineLock, owner: Ownership): Lock => ({
  acquire: (options) => lock.acquire({ ...options, owner }),
});

const LEASES = 2;

async function runSemaphore(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: ACTORS });
  const holdings = new Holdings(run, {
    folder: '/limit/leases',
    due: (names) => (names.length <= LEASES ? names : []),
    isExclusive: () => false,
    limit: LEASES,
  });
  await run.play(async (actor) => {
    const semaphore = new InterProcessSemaphoreV2(actor.client, '/limit', LEASES);
    while (run.isWorking) {
      if (actor.chance(0.25)) {
        const leases = await acquiredMany(run, actor, semaphore);
        const holdingsOfAll = leases.map((lease) => holdings.granted(actor, lease));
        for (const holding of holdingsOfAll) await workWith(actor, holdings, holding);
        for (const holding of holdingsOfAll) await released(run, holdings, holding);
      } else {
        await takeTurns(run, actor, holdings, semaphore);
      }
      await actor.pause([0, 400]);
    }
  });
  await holdings.checkOrphans('/limit/locks');
  await run.close();
  return run.marks;
}

async function acquiredMany(
  run: RecipeWorld,
  actor: Actor,
  semaphore: InterProcessSemaphoreV2,
): Promise<readonly Ownership[]> {
  let leases: readonly Ownership[] = [];
  await acquired(run, actor, {
    acquire: async (options) => {
      const many = await semaphore.acquireMany(LEASES, options);
      leases = many.parts;
      run.mark('all leases at once');
      const [first] = many.parts;
      if (first === undefined) throw new Error('no lease was granted');
      return first;
    },
  });
  return leases;
}

async function runSemaphoreMutex(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: 3 });
  const holdings = new Holdings(run, {
    folder: '/mutex/leases',
    due: (names) => (names.length === 1 ? names : []),
  });
  await run.play(async (actor) => {
    const lock = new InterProcessSemaphoreMutex(actor.client, '/mutex');
    while (run.isWorking) {
      await takeTurns(run, actor, holdings, lock);
      await actor.pause([0, 400]);
    }
  });
  await holdings.checkOrphans('/mutex/locks');
  await run.close();
  return run.marks;
}

/** Nobody gives up and nothing goes wrong, so each waits behind one, and a release is told to one. */
async function runHerd(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: 8, isCalm: true, workMs: 3000 });
  const holdings = new Holdings(run, { folder: '/lock', due: (names) => inLine(names).slice(0, 1) });
  run.afterEach((hasChanged) => {
    if (!hasChanged) return;
    const { tree } = run.server.database;
    for (const [path, sessions] of run.server.view().watches.byPath()) {
      const node = path.startsWith('/lock/') ? tree.find(path) : undefined;
      if (node === undefined) continue;
      const waiting = sessions.filter((id) => id !== tree.owner(node));
      if (waiting.length > 1) run.violation(`R-HERD: ${waiting.length} wait for ${path}`);
      if (waiting.length === 1) run.mark('one waits behind one');
    }
  });
  await run.play(async (actor) => {
    const lock = new InterProcessMutex(actor.client, '/lock');
    while (run.isWorking) {
      const holding = holdings.granted(actor, await lock.acquire());
      await workWith(actor, holdings, holding);
      await released(run, holdings, holding);
    }
  });
  await holdings.checkOrphans();
  await run.close();
  return run.marks;
}

describe('in every seed', { timeout: SEEDS_TIMEOUT_MS }, () => {
  it('a mutex is held by one alone, in the order of the line, with tokens that rise, and leaves nothing behind', async () => {
    await runSeeds({ name: 'a mutex is', file, covers: LOCK_MARKS, run: runMutex });
  });

  it('a read-write lock is shared by readers, held by a writer alone, and kept by one who turns from writing to reading', async () => {
    const covers = [...LOCK_MARKS, 'held together', 'downgraded'];
    await runSeeds({ name: 'a read-write lock is', file, covers, run: runReadWriteLock });
  });

  it('a semaphore grants no more leases than there are, and gets all of them back', async () => {
    const covers = [...FAULTS, 'held together', 'all leases at once', 'timed out', 'gave up', 'lost while holding'];
    await runSeeds({ name: 'a semaphore grants', file, covers, run: runSemaphore });
  });

  it('a semaphore mutex is held by one alone', async () => {
    await runSeeds({ name: 'a semaphore mutex is', file, covers: LOCK_MARKS, run: runSemaphoreMutex });
  });

  it('a release of a mutex wakes one of those who wait', async () => {
    await runSeeds({ name: 'a release of', file, covers: ['one waits behind one'], run: runHerd });
  });
});
