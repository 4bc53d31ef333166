/** Agreement of three to five voters, with and without observers, under crashes, partitions, resets, pauses and slow disks. */
import { describe, it } from 'vitest';
import { AgreementWorld } from './agreement-world.fixture.ts';
import { type Marks, runSeeds, SEEDS_TIMEOUT_MS } from './seeds.fixture.ts';

/** They are short. */
const LIVES_PER_SEED = 6;
const TRACE_TAIL_LINES = 300;

const live = async (seed: number): Promise<Marks> => {
  const marks = new Map<string, number>();
  for (let life = 0; life < LIVES_PER_SEED; life++) {
    const world = new AgreementWorld({
      seed: seed * LIVES_PER_SEED + life,
      trace: process.env.SIM_TRACE !== undefined,
    });
    try {
      world.run();
    } catch (cause) {
      throw new Error([...world.lines.slice(-TRACE_TAIL_LINES), String(cause)].join('\n'), { cause });
    }
    for (const [mark, count] of world.marks) marks.set(mark, (marks.get(mark) ?? 0) + count);
  }
  return marks;
};

describe('agreement', () => {
  it('loses nothing, has one history, and comes right', { timeout: SEEDS_TIMEOUT_MS }, async () => {
    await runSeeds({
      name: 'loses nothing',
      file: 'test/simulation/agreement.test.ts',
      covers: [
        ...['leader', 'follower', 'observer', 'looking', 'diff', 'trunc', 'snap', 'proposal', 'commit', 'inform'],
        ...['found in the log', 'log sent'],
        ...['upToDate', 'unsynced log lost', 'truncated below the database', 'snapshot lost'],
        ...[
          'notification superseded',
          'crash',
          'crashLeader',
          'crashAll',
          'cut',
          'isolate',
          'freeze',
          'slowDisk',
          'reset',
          'pretend',
          'crashAtEpoch',
          'strandLeader',
        ],
      ],
      run: live,
    });
  });
});
