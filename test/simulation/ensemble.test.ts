/** Ensembles of the shipped server, in whole: log, snapshots, election, agreement, sessions, watches, and real clients. */
import { describe, it } from 'vitest';
import { liveEnsemble } from './ensemble-life.fixture.ts';
import { runSeeds, SEEDS_TIMEOUT_MS } from './seeds.fixture.ts';

describe('an ensemble of whole servers', () => {
  it('keeps what it has acknowledged, in order, and comes right', { timeout: SEEDS_TIMEOUT_MS }, async () => {
    await runSeeds({
      name: 'keeps what it has acknowledged',
      file: 'test/simulation/ensemble.test.ts',
      covers: [
        ...['leader', 'follower', 'observer', 'looking', 'history from a log', 'session expired'],
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
        ...[
          'unknown, done',
          'unknown, not done',
          'watch told',
          'kill',
          'powerLoss',
          'powerLossOfLeader',
          'powerLossOfAll',
        ],
        ...['rollingRestart', 'freeze', 'isolate', 'isolateLeader', 'oneWay', 'split', 'reset', 'refuse', 'slowLink'],
      ],
      run: liveEnsemble,
    });
  });
});
