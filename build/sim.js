/**
 * `npm run sim`: the scenarios of the simulator.
 *
 *     npm run sim                     each of them, as `npm test` does
 *     npm run sim -- --seed 17        seed 17 of each profile, with the readable trace of what fails
 *     npm run sim -- --minutes 30     one seed after the other from --seed on, for so long
 *     npm run sim -- --only ensemble  only test files with that in their name
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

/** With fewer, the profiles don't insist on having met everything. */
const SEEDS_AT_A_TIME = 25;

const { values } = parseArgs({
  options: { seed: { type: 'string' }, minutes: { type: 'string' }, only: { type: 'string' } },
});

const run = (environment) => {
  const files = values.only === undefined ? [] : [`test/simulation/${values.only}`];
  const { status } = spawnSync('npx', ['vitest', 'run', '--project', 'simulation', ...files], {
    env: { ...process.env, ...environment },
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(status ?? 1);
};

const first = Number(values.seed ?? 1);
const minutes = Number(values.minutes ?? 0);
if (!Number.isInteger(first) || !(minutes >= 0)) {
  console.error('--seed takes a whole number, --minutes a number');
  process.exit(2);
}
if (values.minutes !== undefined) {
  const until = Date.now() + minutes * 60_000;
  for (let seed = first; Date.now() < until; seed += SEEDS_AT_A_TIME) {
    run({ SIM_SEED: String(seed), SIM_SEEDS: String(SEEDS_AT_A_TIME) });
  }
} else if (values.seed !== undefined) run({ SIM_SEED: String(first), SIM_SEEDS: '1', SIM_TRACE: '1' });
else run({});
