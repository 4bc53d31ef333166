/** Ensembles of the shipped server, in whole: log, snapshots, election, agreement, sessions, watches, and real clients. */
import { describe, it } from 'vitest';
import { ENSEMBLE_MARKS } from '../simulator/ensemble-marks.ts';
import { FAULT_KINDS } from '../simulator/faults.ts';
import { STORIES } from '../simulator/stories.ts';
import { MOMENT_NAMES } from '../simulator/triggers.ts';
import { liveEnsemble, QUICK, STANDARD } from './ensemble-life.fixture.ts';
import { runSeeds, seedsTimeoutMs } from './seeds.fixture.ts';

/** In so many lives everything is met. */
const SEEDS = 250;

const profile = process.env.SIM_PROFILE === STANDARD.name ? STANDARD : QUICK;

describe('an ensemble of whole servers', () => {
  it('keeps what it has acknowledged, in order, and comes right', { timeout: seedsTimeoutMs(SEEDS) }, async () => {
    await runSeeds({
      name: 'keeps what it has acknowledged',
      file: 'test/simulation/ensemble.test.ts',
      seeds: SEEDS,
      covers: [
        ...['leader', 'follower', 'observer', 'looking', 'session expired', 'healed among a majority only'],
        ...[
          'create',
          'create refused',
          'delete',
          'set',
          'set refused',
          'multi',
          'get',
          'get refused',
          'children',
          'sync',
        ],
        ...['unknown, done', 'unknown, not done', 'watch told', 'watch told after a reconnect'],
        ...ENSEMBLE_MARKS,
        ...FAULT_KINDS.map((kind) => `fault: ${kind}`),
        ...MOMENT_NAMES.map((moment) => `moment: ${moment}`),
        ...STORIES.map((story) => `story: ${story}`),
      ],
      run: (seed) => liveEnsemble(seed, profile),
    });
  });
});
