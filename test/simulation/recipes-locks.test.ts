/**
 * Locks and semaphores among programs that are frozen, killed and cut off, over servers that restart: what they promise holds in every
 * seed. SIM_SEEDS and SIM_SEED: see `seeds.fixture.ts`.
 */
import { describe, it } from 'vitest';
import {
  InterProcessMultiLock,
  InterProcessMutex,
  InterProcessReadWriteLock,
  InterProcessSemaphoreMutex,
  InterProcessSemaphoreV2,
  type LineLock,
  type Ownership,
} from 'zookeeper-recipes-ts';
import { dueOfReadWriteLock, Holdings, inLine } from './holdings.fixture.ts';
import {
  acquired,
  LOCK_MARKS,
  type Lock,
  onlyRetryable,
  released,
  takeTurn,
  workWith,
} from './recipe-turns.fixture.ts';
import { type Actor, FAULTS, RecipeWorld } from './recipe-world.fixture.ts';
import { type Marks, runSeeds, SEEDS_TIMEOUT_MS } from './seeds.fixture.ts';

const file = 'test/simulation/recipes-locks.test.ts';
const ACTORS = 4;
/** R-RW: who owns it enters again at once, and the znode goes with the last handle, whichever that is. */
async function enterTwice(run: RecipeWorld, actor: Actor, holdings: Holdings, lock: LineLock): Promise<void> {
  const first = await acquired(run, actor, lock);
  if (first === undefined) return;
  const one = holdings.granted(actor, first);
  const second = await acquired(run, actor, ownedBy(lock, first));
  if (second === undefined) return released(holdings, one);
  if (second.path !== first.path)
    run.violation(`R-RW: ${actor.name} has entered again by another znode, ${second.path}`);
  const two = holdings.granted(actor, second);
  const [inner, outer] = actor.chance(0.5) ? [one, two] : [two, one];
  await released(holdings, inner);
  if (outer.held.isHeld()) run.mark('entered twice');
  await workWith(actor, holdings, outer);
  await released(holdings, outer);
}

async function runMutex(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: ACTORS });
  const holdings = new Holdings(run, {
    folder: '/lock',
    due: (names) => inLine(names).slice(0, 1),
    isGrantedAgain: true,
  });
  await run.play(async (actor) => {
    const lock = new InterProcessMutex(actor.client, '/lock');
    while (run.isWorking) {
      if (actor.chance(0.2)) await enterTwice(run, actor, holdings, lock);
      else await takeTurn(run, actor, holdings, lock);
      await actor.pause([0, 400]);
    }
  });
  await holdings.checkOrphans();
  await run.close();
  return run.marks;
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
    await released(holdings, asWriter);
    if (asReader === undefined) return;
    await workWith(actor, holdings, asReader);
    await released(holdings, asReader);
  };
  await run.play(async (actor) => {
    const lock = new InterProcessReadWriteLock(actor.client, '/catalog');
    while (run.isWorking) {
      if (actor.chance(0.15)) await downgrade(actor, lock);
      else if (actor.chance(0.4)) await takeTurn(run, actor, holdings, lock.writeLock, 'write');
      else await takeTurn(run, actor, holdings, lock.readLock, 'read');
      await actor.pause([0, 300]);
    }
  });
  await holdings.checkOrphans();
  await run.close();
  return run.marks;
}

const ownedBy = (lock: LineLock, owner: Ownership): Lock<Ownership> => ({
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
        for (const holding of holdingsOfAll) await released(holdings, holding);
      } else {
        await takeTurn(run, actor, holdings, semaphore);
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
      await takeTurn(run, actor, holdings, lock);
      await actor.pause([0, 400]);
    }
  });
  await holdings.checkOrphans('/mutex/locks');
  await run.close();
  return run.marks;
}

/** Some take two locks as one, some take one of them. */
async function runMultiLock(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: ACTORS });
  const paths = ['/from', '/to'];
  const books = paths.map((folder) => new Holdings(run, { folder, due: (names) => inLine(names).slice(0, 1) }));
  const takeBoth = async (actor: Actor, lock: InterProcessMultiLock): Promise<void> => {
    const together = await acquired(run, actor, lock);
    if (together === undefined) return;
    run.mark('held as one');
    const holdings = together.parts.map((part, index) => {
      const book = books[index];
      if (book === undefined || !('token' in part)) throw new Error('a part for each path');
      return { book, holding: book.granted(actor, part as Ownership) };
    });
    for (const { book, holding } of holdings) await workWith(actor, book, holding);
    if (together.isHeld() !== holdings.every(({ holding }) => holding.held.isHeld()))
      run.violation(`R-LOST: what ${actor.name} holds as one and its parts contradict`);
    for (const { book, holding } of holdings) book.releasing(holding);
    await together.release().catch(onlyRetryable);
  };
  await run.play(async (actor) => {
    const both = new InterProcessMultiLock(actor.client, paths);
    const singles = paths.map((path) => new InterProcessMutex(actor.client, path));
    while (run.isWorking) {
      const index = actor.between([0, 3]);
      const [single, book] = [singles[index], books[index]];
      if (single !== undefined && book !== undefined) await takeTurn(run, actor, book, single);
      else await takeBoth(actor, both);
      await actor.pause([0, 300]);
    }
  });
  for (const book of books) await book.checkOrphans();
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
      await released(holdings, holding);
    }
  });
  await holdings.checkOrphans();
  await run.close();
  return run.marks;
}

describe('in every seed', { timeout: SEEDS_TIMEOUT_MS }, () => {
  it('a mutex is held by one alone, in the order of the line, with tokens that rise, and leaves nothing behind', async () => {
    await runSeeds({ name: 'a mutex is', file, covers: [...LOCK_MARKS, 'entered twice'], run: runMutex });
  });

  it('a read-write lock is shared by readers, held by a writer alone, and kept by one who turns from writing to reading', async () => {
    const covers = [...LOCK_MARKS, 'held together', 'downgraded'];
    await runSeeds({ name: 'a read-write lock is', file, covers, run: runReadWriteLock });
  });

  it('a semaphore grants no more leases than there are, and gets all of them back', async () => {
    const covers = [
      ...FAULTS,
      'frozen while holding',
      'held together',
      'all leases at once',
      'timed out',
      'gave up',
      'lost while holding',
    ];
    await runSeeds({ name: 'a semaphore grants', file, covers, run: runSemaphore });
  });

  it('several locks are held as one, or not at all', async () => {
    await runSeeds({ name: 'several locks', file, covers: [...LOCK_MARKS, 'held as one'], run: runMultiLock });
  });

  it('a semaphore mutex is held by one alone', async () => {
    await runSeeds({ name: 'a semaphore mutex is', file, covers: LOCK_MARKS, run: runSemaphoreMutex });
  });

  it('a release of a mutex wakes one of those who wait', async () => {
    await runSeeds({ name: 'a release of', file, covers: ['one waits behind one'], run: runHerd });
  });
});
