/**
 * Whoever holds or waits is struck at each step of its life, one step after the other: frozen after each of its events, which is at
 * every `await` that the world can tell from the one before, for less than its session and for longer; and cut off at each message, before
 * it, in the middle of it, and between the request and its reply. Beside it are others who want the same; nothing else goes wrong.
 *
 * A run without a strike counts the steps; each seed is one strike in one story. They come in an order that mixes them; behind the last one it
 * goes on in another world. SIM_SEEDS and SIM_SEED: see `seeds.fixture.ts`; 7700 seeds are all steps of all stories in one world.
 */
import { describe, it } from 'vitest';
import {
  DistributedQueue,
  InterProcessMultiLock,
  InterProcessMutex,
  InterProcessReadWriteLock,
  InterProcessSemaphoreV2,
  LeaderLatch,
  LeaderSelector,
  type Ownership,
  string,
} from 'zookeeper-recipes-ts';
import type { FaultKind } from '../simulator/message-faults.ts';
import { dueOfReadWriteLock, type HoldingRules, Holdings, inLine } from './holdings.fixture.ts';
import { onlyRetryable } from './recipe-turns.fixture.ts';
import { type Actor, RecipeWorld, type Strike } from './recipe-world.fixture.ts';
import { type Marks, runSeeds, seedsTimeoutMs } from './seeds.fixture.ts';

const file = 'test/simulation/recipes-each-step.test.ts';
/** Ten of each story. */
const SEEDS = 70;
/** Prime, and larger than there are steps: every step has its turn. */
const STRIDE = 7919;
const ACTORS = 3;
const TURNS = 2;
/** Longer than what is done in it, and than the longest freeze. */
const WORK_MS = 14_000;
/** Shorter than any session, and longer than any with its ticks. */
const FREEZES_MS = [700, 7000];
const CUTS: readonly FaultKind[] = ['cut before', 'cut within', 'cut after', 'half-open'];

interface Story {
  readonly rules: HoldingRules;
  /** Where else nothing may be left. */
  readonly others?: readonly string[];
  /** What each does. */
  readonly program: (run: RecipeWorld, actor: Actor, holdings: Holdings) => Promise<void>;
}

const lineOf = (folder: string): HoldingRules => ({
  folder,
  due: (names) => inLine(names).slice(0, 1),
  isGrantedAgain: true,
});

/** Holds it for a moment, several times. */
async function takeTurns(
  actor: Actor,
  holdings: Holdings,
  lock: { acquire(): Promise<Ownership> },
  mode?: string,
): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) {
    const held = await lock.acquire();
    await hold(actor, holdings, held, mode);
    await held.release().catch(onlyRetryable);
  }
}

async function hold(actor: Actor, holdings: Holdings, held: Ownership, mode?: string): Promise<void> {
  const holding = holdings.granted(actor, held, mode);
  for (let count = 0; count < 12 && holdings.work(holding, 5); count++) await actor.pause([40, 40]);
  holdings.releasing(holding);
}

const STORIES: Readonly<Record<string, Story>> = {
  'a mutex': {
    rules: lineOf('/lock'),
    program: (_run, actor, holdings) => takeTurns(actor, holdings, new InterProcessMutex(actor.client, '/lock')),
  },
  'a read-write lock': {
    rules: {
      folder: '/catalog',
      due: dueOfReadWriteLock,
      isExclusive: (mode) => mode === 'write',
      isGrantedAgain: true,
    },
    program: async (_run, actor, holdings) => {
      const { readLock, writeLock } = new InterProcessReadWriteLock(actor.client, '/catalog');
      await takeTurns(actor, holdings, writeLock, 'write');
      await takeTurns(actor, holdings, readLock, 'read');
    },
  },
  'a semaphore': {
    rules: {
      folder: '/limit/leases',
      due: (names) => (names.length <= 2 ? names : []),
      isExclusive: () => false,
      limit: 2,
    },
    others: ['/limit/locks'],
    program: (_run, actor, holdings) =>
      takeTurns(actor, holdings, new InterProcessSemaphoreV2(actor.client, '/limit', 2)),
  },
  'several locks as one': {
    rules: lineOf('/to'),
    others: ['/from'],
    program: async (_run, actor, holdings) => {
      for (let turn = 0; turn < TURNS; turn++) {
        const together = await new InterProcessMultiLock(actor.client, ['/from', '/to']).acquire();
        const last = together.parts.at(-1);
        if (last === undefined || !('token' in last)) throw new Error('a part for each path');
        await hold(actor, holdings, last as Ownership);
        await together.release().catch(onlyRetryable);
      }
    },
  },
  'a latch': {
    rules: lineOf('/master'),
    program: async (_run, actor, holdings) => {
      const latch = new LeaderLatch(actor.client, '/master', { id: actor.name }).start();
      let leading: Promise<void> = Promise.resolve();
      const led = new Promise<void>((resolve) => {
        latch.on('leader', (leadership) => {
          leading = hold(actor, holdings, leadership).then(resolve);
        });
      });
      await led;
      await leading;
      await latch.close();
    },
  },
  'a selector': {
    rules: lineOf('/master'),
    program: async (run, actor, holdings) => {
      await new Promise<void>((resolve) => {
        let turns = 0;
        const selector = new LeaderSelector(actor.client, '/master', {
          async takeLeadership(_client, leadership) {
            await hold(actor, holdings, leadership);
            if (++turns === TURNS) resolve(selector.close());
          },
        });
        selector.on('error', (error) => run.violation(`R-LATCH: ${error}`));
        selector.autoRequeue().start();
      });
    },
  },
  'a queue': {
    rules: { folder: '/jobs-locks', due: (names) => names, thing: ({ path }) => path },
    others: ['/jobs'],
    program: async (run, actor, holdings) => {
      const queue = new DistributedQueue(actor.client, '/jobs', { serializer: string });
      await queue.put(actor.name).catch(onlyRetryable);
      const stop = new AbortController();
      const consuming = async () => {
        for await (const { held, ack } of queue.consume({ signal: stop.signal })) {
          if (held === undefined) throw new Error('there is a lock');
          await hold(actor, holdings, held);
          await ack().catch(() => run.mark('delivered again'));
        }
      };
      const consumed = consuming().catch((error: unknown) => {
        if (error !== stop.signal.reason) run.violation(`R-QUEUE: ${error}`);
      });
      while (run.isWorking || run.childrenOf('/jobs').length > 0) await actor.pause([300, 300]);
      stop.abort();
      await consumed;
      await queue.close();
    },
  },
};

async function tell({ rules, others = [], program }: Story, seed: number, strike?: Strike): Promise<RecipeWorld> {
  const run = new RecipeWorld({ seed, actors: ACTORS, isCalm: true, strike, workMs: WORK_MS });
  const holdings = new Holdings(run, rules);
  await run.play((actor) => program(run, actor, holdings));
  await holdings.checkOrphans(...others);
  await run.close();
  return run;
}

/** Those of a story in one world, each once. */
const strikesKnown = new Map<string, readonly Strike[]>();

/** All strikes at the steps of a run that was seen without. */
async function strikesOf(name: string, story: Story, worldSeed: number): Promise<readonly Strike[]> {
  const key = `${name} ${worldSeed}`;
  const known = strikesKnown.get(key);
  if (known !== undefined) return known;
  const run = await tell(story, worldSeed);
  const [actor] = run.actors;
  if (actor === undefined) throw new Error('there are actors');
  const { request, reply } = actor.wire.messages;
  const strikes: Strike[] = [
    ...FREEZES_MS.flatMap((ms) =>
      upTo(run.eventsOfWork).map((afterEvent) => ({ kind: 'freeze', afterEvent, ms }) as const),
    ),
    ...CUTS.flatMap((kind) => [
      ...upTo(request).map((message) => messageStrike('request', message, kind)),
      ...upTo(reply).map((message) => messageStrike('reply', message, kind)),
    ]),
  ];
  strikesKnown.set(key, strikes);
  return strikes;
}

const messageStrike = (direction: 'request' | 'reply', message: number, kind: FaultKind): Strike => ({
  kind: 'message',
  fault: { direction, message, kind },
});

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => 1 + index);

const described = (strike: Strike): string =>
  strike.kind === 'freeze'
    ? `frozen for ${strike.ms} ms after event ${strike.afterEvent}`
    : `${strike.fault.kind} at ${strike.fault.direction} ${strike.fault.message}`;

async function runStrike(seed: number): Promise<Marks> {
  const stories = Object.entries(STORIES);
  const [name, story] = stories[seed % stories.length] ?? [];
  if (name === undefined || story === undefined) throw new Error('there are stories');
  let step = Math.floor((seed - 1) / stories.length);
  for (let worldSeed = 1; ; worldSeed++) {
    const strikes = await strikesOf(name, story, worldSeed);
    const strike = strikes[(step * STRIDE) % strikes.length];
    if (step >= strikes.length || strike === undefined) {
      step -= strikes.length;
      continue;
    }
    const run = await tell(story, worldSeed, strike).catch((cause: unknown) => {
      throw new Error(`${name}, ${described(strike)}: ${cause}`, { cause });
    });
    run.mark(name);
    return run.marks;
  }
}

describe('in every seed', { timeout: seedsTimeoutMs(SEEDS) }, () => {
  it('who is struck at one step of its life does no harm, whatever it wants', async () => {
    const covers = [
      ...[
        'frozen',
        'session expired',
        'cut',
        'cut between request and reply',
        'message lost or late',
        'lost while holding',
      ],
      ...Object.keys(STORIES),
    ];
    await runSeeds({ name: 'who is struck', file, covers, seeds: SEEDS, run: runStrike });
  });
});
