/**
 * Barriers among programs that are frozen, killed and cut off, over servers that restart. SIM_SEEDS and SIM_SEED: see `seeds.fixture.ts`.
 */
import { describe, it } from 'vitest';
import { isRetryable } from 'zookeeper-client-ts';
import {
  AcquireTimeoutError,
  DistributedBarrier,
  DistributedDoubleBarrier,
  type Ownership,
  OwnershipLostError,
} from 'zookeeper-recipes-ts';
import { holdUp } from '../integration/held-up-client.fixture.ts';
import { type Actor, FAULTS, GaveUp, isDead, RecipeWorld } from './recipe-world.fixture.ts';
import { type Marks, runSeeds, SEEDS_TIMEOUT_MS } from './seeds.fixture.ts';

const file = 'test/simulation/recipes-barriers.test.ts';
const MEMBERS = 3;

/** R-BARRIER: who was there, and who is inside by what. */
class Round {
  readonly came = new Set<Actor>();
  readonly inside = new Map<Actor, Ownership>();

  /** Those who have not begun to leave, and whose place is theirs. */
  staying(): Actor[] {
    return [...this.inside].filter(([actor, held]) => isPlaceOf(actor, held)).map(([actor]) => actor);
  }
}

const isPlaceOf = (actor: Actor, held: Ownership): boolean => {
  const { client, process } = actor;
  const hasSession = client.sessionId === held.sessionId && process.clock.now() < client.leaseEnd;
  return !isDead(actor) && hasSession;
};

async function runDoubleBarrier(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: MEMBERS, workMs: 20_000 });
  const rounds = Array.from({ length: 6 }, () => new Round());
  const pass = async (actor: Actor, number: number, round: Round): Promise<void> => {
    const barrier = new DistributedDoubleBarrier(actor.client, `/barrier-${number}`, MEMBERS);
    const timeoutMs = 6000;
    round.came.add(actor);
    const held = await barrier.enter({ timeoutMs });
    if (round.came.size < MEMBERS) run.violation(`R-BARRIER: ${actor.name} is in before all have come`);
    round.inside.set(actor, held);
    run.mark('entered');
    await actor.pause([0, 500]);
    round.inside.delete(actor);
    await barrier.leave({ timeoutMs });
    const staying = round.staying().map(({ name }) => name);
    if (staying.length > 0) run.violation(`R-BARRIER: ${actor.name} is out, and ${staying.join(' and ')} inside`);
    run.mark('left');
  };
  await run.play(async (actor) => {
    for (const [number, round] of rounds.entries()) {
      if (!run.isWorking) return;
      await actor.pause([0, 1500]);
      try {
        await pass(actor, number, round);
      } catch (error) {
        const isPromised = error instanceof AcquireTimeoutError || error instanceof OwnershipLostError;
        if (!isPromised && !isRetryable(error)) throw error;
        run.mark('barrier given up');
      }
    }
  });
  await run.close();
  return run.marks;
}

/** The same objects, round after round: who is quick is in the next one before who is slow is out of the last. */
async function runRounds(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: MEMBERS, isCalm: true });
  const rounds = Array.from({ length: 5 }, () => ({ came: 0, leaving: 0 }));
  let inside = 0;
  await run.play(async (actor) => {
    holdUp(actor.client, () => (actor.chance(0.5) ? actor.pause([0, 30]) : undefined));
    const barrier = new DistributedDoubleBarrier(actor.client, '/barrier', MEMBERS);
    for (const round of rounds) {
      round.came++;
      const entering = barrier.enter();
      if (inside > 0) run.mark('comes again before the others are out');
      await entering;
      if (round.came < MEMBERS) run.violation(`R-BARRIER: ${actor.name} is in before all have come`);
      inside++;
      round.leaving++;
      await barrier.leave();
      if (round.leaving < MEMBERS) run.violation(`R-BARRIER: ${actor.name} is out before all are leaving`);
      inside--;
      run.mark('left');
    }
  });
  await run.close();
  return run.marks;
}

const GATE = '/gates/1';

/** When the gate was open, as the tree says. Moments are events of the world. */
class Gate {
  #moment = 0;
  #isOpen = true;
  #lastOpen = 0;

  constructor(run: RecipeWorld) {
    run.afterEach((hasChanged) => {
      this.#moment++;
      if (hasChanged) this.#isOpen = run.childrenOf('/gates').length === 0;
      if (this.#isOpen) this.#lastOpen = this.#moment;
    });
  }

  get moment(): number {
    return this.#moment;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  wasOpenSince(moment: number): boolean {
    return this.#isOpen || this.#lastOpen >= moment;
  }
}

/** The first opens and closes the gate, the others wait at it. */
async function runGate(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: 4, workMs: 12_000 });
  const gate = new Gate(run);
  const [keeper] = run.actors;
  const keep = async (actor: Actor, barrier: DistributedBarrier): Promise<void> => {
    while (run.isWorking || !gate.isOpen) {
      try {
        if (run.isWorking) await barrier.setBarrier();
        await actor.pause([0, 1500]);
        await barrier.removeBarrier();
        await actor.pause([0, 500]);
      } catch (error) {
        if (!isRetryable(error)) throw error;
      }
    }
  };
  const pass = async (actor: Actor, barrier: DistributedBarrier): Promise<void> => {
    const [came, wasOpen] = [gate.moment, gate.isOpen];
    // Nobody gives up in the end, when it is opened for good.
    const options = { ...(run.isWorking && actor.chance(0.3) && { timeoutMs: actor.between([0, 1500]) }) };
    const signal = run.isWorking && actor.chance(0.2) ? actor.abortAfter([0, 1500]) : undefined;
    try {
      await barrier.waitOnBarrier({ ...options, signal });
    } catch (error) {
      if (!(error instanceof AcquireTimeoutError || error instanceof GaveUp)) throw error;
      return run.mark('gave up');
    }
    if (!gate.wasOpenSince(came))
      run.violation(`R-BARRIER: ${actor.name} has passed a gate that was closed all the time`);
    run.mark(wasOpen ? 'passed' : 'waited, and passed');
  };
  await run.play(async (actor) => {
    const barrier = new DistributedBarrier(actor.client, GATE);
    if (actor === keeper) return keep(actor, barrier);
    while (run.isWorking) {
      await pass(actor, barrier);
      await actor.pause([0, 300]);
    }
    await pass(actor, barrier);
  });
  await run.close();
  return run.marks;
}

describe('in every seed', { timeout: SEEDS_TIMEOUT_MS }, () => {
  it('a double barrier lets nobody in before all have come, and nobody out before all leave', async () => {
    const covers = [...FAULTS, 'entered', 'left', 'barrier given up'];
    await runSeeds({ name: 'a double barrier', file, covers, run: runDoubleBarrier });
  });

  it('members of a double barrier go in and out together, round after round, however late each of them is', async () => {
    const covers = ['left', 'comes again before the others are out'];
    await runSeeds({ name: 'members of a double barrier', file, covers, run: runRounds });
  });

  it('a barrier lets nobody pass while it is there, and everybody when it has gone', async () => {
    const covers = [...FAULTS, 'passed', 'waited, and passed', 'gave up'];
    await runSeeds({ name: 'a barrier lets', file, covers, run: runGate });
  });
});
