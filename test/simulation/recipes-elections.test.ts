/**
 * Elections among programs that are frozen, killed and cut off, over servers that restart: nobody leads beside another, and when it is
 * over, everybody gets to lead. SIM_SEEDS and SIM_SEED: see `seeds.fixture.ts`.
 */
import { describe, it } from 'vitest';
import { LeaderLatch, LeaderSelector, type Ownership } from 'zookeeper-recipes-ts';
import { Holdings, inLine } from './holdings.fixture.ts';
import { type Actor, FAULTS, RecipeWorld } from './recipe-world.fixture.ts';
import { type Marks, runSeeds, SEEDS_TIMEOUT_MS } from './seeds.fixture.ts';

const file = 'test/simulation/recipes-elections.test.ts';
const ACTORS = 3;
/** Without anything that explains them. */
const CHANGES_MAX = 2;
const MARKS = [...FAULTS, 'frozen while holding', 'granted', 'lost while holding', 'stale token refused'];

const newHoldings = (run: RecipeWorld): Holdings =>
  new Holdings(run, { folder: '/master', due: (names) => inLine(names).slice(0, 1), isGrantedAgain: true });

/** Leads for a while, or until it is lost. */
async function lead(run: RecipeWorld, actor: Actor, holdings: Holdings, leadership: Ownership): Promise<void> {
  const holding = holdings.granted(actor, leadership, 'leader');
  for (let count = actor.between([1, 40]); count > 0 && run.isWorking; count--) {
    if (!holdings.work(holding, actor.chance(0.1) ? actor.between([100, 9000]) : actor.between([0, 20]))) break;
    await actor.pause([10, 200]);
  }
  holdings.releasing(holding);
}

/** R-LATCH: the leadership goes to and fro only when something goes wrong, or it is given up. */
class Changes {
  readonly #run: RecipeWorld;
  #seen = 0;
  #changes = 0;

  constructor(run: RecipeWorld) {
    this.#run = run;
  }

  onLeader(actor: Actor): void {
    if (this.#run.disturbances !== this.#seen) this.onGivenUp();
    this.#seen = this.#run.disturbances;
    if (++this.#changes > CHANGES_MAX) this.#run.violation(`R-LATCH: ${actor.name} leads, after others, for no reason`);
  }

  onGivenUp(): void {
    this.#changes = 0;
  }
}

async function runLatch(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: ACTORS });
  const holdings = newHoldings(run);
  const changes = new Changes(run);
  await run.play(async (actor) => {
    const latch = new LeaderLatch(actor.client, '/master', { id: actor.name, closeMode: 'NOTIFY_LEADER' });
    let told: Ownership | undefined;
    const leading: Promise<void>[] = [];
    latch.on('notLeader', (leadership) => {
      if (told !== leadership || !leadership.signal.aborted)
        run.violation(`R-LATCH: ${actor.name} is told of the end of what it was not told of, or holds`);
      told = undefined;
    });
    latch.on('leader', (leadership) => {
      if (told !== undefined) run.violation(`R-LATCH: ${actor.name} is told twice that it leads`);
      told = leadership;
      changes.onLeader(actor);
      const done = () => {
        changes.onGivenUp();
        return leadership.release();
      };
      leading.push(lead(run, actor, holdings, leadership).then(done));
    });
    latch.start();
    while (run.isWorking) await actor.pause([200, 400]);
    // Everybody who lives gets to lead: each gives it up for the next.
    await latch.leadership();
    run.mark('led in the end');
    await Promise.all(leading);
    await latch.close();
  });
  await holdings.checkOrphans();
  await run.close();
  return run.marks;
}

async function runSelector(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: ACTORS });
  const holdings = newHoldings(run);
  await run.play(async (actor) => {
    let isLeading = false;
    let onLast: () => void = () => undefined;
    const last = new Promise<void>((resolve) => (onLast = resolve));
    const selector = new LeaderSelector(actor.client, '/master', {
      async takeLeadership(_client, leadership) {
        if (isLeading) run.violation(`R-LATCH: ${actor.name} is called while it leads`);
        isLeading = true;
        await lead(run, actor, holdings, leadership);
        isLeading = false;
        if (run.isWorking) return;
        run.mark('led in the end');
        onLast();
      },
    });
    selector.on('error', (error) => run.violation(`R-LATCH: ${error}`));
    selector.autoRequeue().start();
    await last;
    await selector.close();
  });
  await holdings.checkOrphans();
  await run.close();
  return run.marks;
}

/** Without faults leadership changes when it is given up, and not otherwise. */
async function runSteady(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: ACTORS, isCalm: true, workMs: 10_000 });
  const holdings = newHoldings(run);
  await run.play(async (actor) => {
    const latch = new LeaderLatch(actor.client, '/master', { id: actor.name });
    let isGivenUp = false;
    latch.on('leader', (leadership) => {
      const holding = holdings.granted(actor, leadership);
      leadership.signal.addEventListener('abort', () => {
        holdings.releasing(holding);
        if (!isGivenUp) run.violation(`R-LATCH: ${actor.name} lost it without a fault: ${leadership.signal.reason}`);
      });
    });
    latch.start();
    while (run.isWorking) await actor.pause([100, 500]);
    isGivenUp = true;
    await latch.close();
  });
  await holdings.checkOrphans();
  await run.close();
  return run.marks;
}

describe('in every seed', { timeout: SEEDS_TIMEOUT_MS }, () => {
  it('one latch leads at a time, hears of each leadership once, and everybody leads when the faults are over', async () => {
    await runSeeds({ name: 'one latch leads', file, covers: [...MARKS, 'led in the end'], run: runLatch });
  });

  it('one selector leads at a time, in turns, and everybody leads when the faults are over', async () => {
    await runSeeds({ name: 'one selector leads', file, covers: [...MARKS, 'led in the end'], run: runSelector });
  });

  it('a leader stays the leader while nothing goes wrong', async () => {
    await runSeeds({ name: 'a leader stays', file, covers: ['granted'], run: runSteady });
  });
});
