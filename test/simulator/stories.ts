/**
 * What a life of an ensemble is about. Most are about everything at once; some lead on purpose to where chance seldom goes.
 */
import { type Epoch, makeZxid, toEpoch, type Zxid } from 'zookeeper-protocol-ts';
import { Database } from '../../server/src/database.ts';
import { snapshotOf } from '../../server/src/storage/snapshot.fixture.ts';
import type { FaultKind } from './faults.ts';
import type { SeededRandom } from './random.ts';

export interface Story {
  readonly name: string;
  /** Instead of those drawn for the seed. */
  readonly kinds?: readonly FaultKind[];
  /** How long there is quiet between two faults, at the most. */
  readonly everyMs?: number;
  /** Whom the faults hit. */
  readonly victim?: string;
  /** For how long who is stopped or cut off is away, at the most. */
  readonly awayMs?: number;
  readonly snapCount?: number;
  readonly commitLogCount?: number;
  /** What all servers have when they start for the first time. */
  readonly files?: ReadonlyMap<string, Uint8Array>;
  /** The end of that history. */
  readonly lastZxid?: Zxid;
  /** An epoch ends with the transaction of this number. */
  readonly counterMax?: number;
  /** How often a client goes to another server. */
  readonly moveRate?: number;
}

const EVERYTHING: Story = { name: 'everything' };
const DIRECTED_RATE = 0.25;

/** Counters end at 2³² − 2: so many transactions before, and more. */
const COUNTER_END = 0xffff_fffe;
const FIRST_EPOCH: Epoch = toEpoch(1);

/** The names of all stories. */
export const STORIES: readonly string[] = [
  ...['everything', 'sync storm', 'epoch churn', 'way behind', 'power cycles of all', 'rolling restarts', 'roll-over'],
  ...['disk hell', 'session churn', 'jumping clocks'],
];

/** @param name of the one to tell, whatever the seed says */
export function drawStory(random: SeededRandom, name?: string): Story {
  const drawn = random.next() / DIRECTED_RATE;
  if (name !== undefined) return storyOf(name, random);
  if (drawn >= 1) return EVERYTHING;
  const directed = STORIES.slice(1);
  return storyOf(directed[Math.floor(drawn * directed.length)] ?? '', random);
}

function storyOf(name: string, random: SeededRandom): Story {
  switch (name) {
    case 'sync storm':
      return {
        name,
        kinds: ['kill', 'powerLoss', 'isolate', 'reset'],
        everyMs: 1000,
        snapCount: 10,
        commitLogCount: 5,
      };
    case 'epoch churn':
      return { name, kinds: ['isolateLeader', 'powerLossOfLeader'], everyMs: 4000 };
    case 'way behind': {
      const isLong = random.next() < 0.5;
      const kinds = [random.next() < 0.5 ? 'kill' : 'isolate'] as const;
      return { name, kinds, everyMs: 500, victim: 's1', awayMs: isLong ? 60_000 : 6000, commitLogCount: 20 };
    }
    case 'power cycles of all':
      return { name, kinds: ['powerLossOfAll'], everyMs: 6000 };
    case 'rolling restarts':
      return { name, kinds: ['rollingRestart'], everyMs: 8000 };
    case 'roll-over':
      return { name, ...endOfEpoch(random), counterMax: 20 + Math.floor(random.next() * 60) };
    case 'disk hell':
      return { name, kinds: ['diskFull', 'diskStalls', 'diskError', 'diskError', 'powerLoss'], everyMs: 1500 };
    case 'session churn':
      return {
        name,
        kinds: ['cutClient', 'halfClose', 'reset', 'isolateLeader', 'slowLink', 'slowLink'],
        everyMs: 1500,
        moveRate: 0.2,
      };
    case 'jumping clocks':
      return { name, kinds: ['clockJump', 'clockJump', 'freeze', 'isolateLeader'], everyMs: 1500 };
    default:
      throw new Error(`there is no story ${name}`);
  }
}

/** A folder whose history ends shortly before the counter of its epoch does. */
function endOfEpoch(random: SeededRandom): Pick<Story, 'files' | 'lastZxid'> {
  const lastZxid = makeZxid(FIRST_EPOCH, COUNTER_END - 10 - Math.floor(random.next() * 60));
  const epoch = Buffer.from(String(FIRST_EPOCH));
  const snapshot = snapshotOf(new Database({ lastZxid }));
  return { lastZxid, files: new Map([snapshot, ['acceptedEpoch', epoch], ['currentEpoch', epoch]]) };
}
