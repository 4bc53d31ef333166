/**
 * `npm run sim`: the scenarios of the simulator.
 *
 *     npm run sim                     each of them, as `npm test` does
 *     npm run sim -- --seed 17        seed 17 of each profile, with the readable trace of what fails
 *     npm run sim -- --minutes 30     one seed after the other from --seed on, for so long
 *     npm run sim -- --only ensemble  only test files with that in their name
 *     npm run sim -- --seeds 10000    so many of each profile from --seed on, on all cores, whatever fails, and a line of figures
 *     npm run sim -- --profile standard  longer lives, where a profile has them (ensemble)
 *     npm run sim -- --museum         known bugs, put back one at a time (`museum.js`)
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { visitMuseum } from './museum.js';

/** With fewer, the profiles don't insist on having met everything. */
const SEEDS_AT_A_TIME = 25;
/** Marks that are no situation, but a figure of the run. */
const FIGURES = ['simulated seconds', 'fault events', 'operations'];

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    minutes: { type: 'string' },
    only: { type: 'string' },
    profile: { type: 'string' },
    museum: { type: 'boolean', default: false },
    jobs: { type: 'string' },
  },
});

const files = values.only === undefined ? [] : [`test/simulation/${values.only}`];
const command = ['vitest', 'run', '--project', 'simulation', ...files];
const profile = values.profile === undefined ? {} : { SIM_PROFILE: values.profile };
const environmentOf = (environment) => ({ ...process.env, ...profile, ...environment });

const run = (environment) => {
  const { status } = spawnSync('npx', command, { env: environmentOf(environment), stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
};

/** Runs the seeds side by side, and puts the reports together. @returns whether all is well */
async function runSeeds(first, count) {
  const folder = mkdtempSync(join(tmpdir(), 'sim-'));
  const report = join(folder, 'reports');
  const start = Date.now();
  const workers = Math.min(availableParallelism(), count);
  const runs = Array.from({ length: workers }, (_, i) => {
    const [from, to] = [i, i + 1].map((part) => first + Math.floor((count * part) / workers));
    return runQuietly({ SIM_SEED: String(from), SIM_SEEDS: String(to - from), SIM_REPORT: report });
  });
  const codes = await Promise.all(runs);
  const minutes = (Date.now() - start) / 60_000;
  const lines = codes.every((code) => code === 0) ? readFileSync(report, 'utf8').trim().split('\n') : [];
  rmSync(folder, { recursive: true });
  if (lines.length === 0) {
    console.error(`sim: the scenarios could not be run: ${codes.join(', ')}`);
    return false;
  }
  return summarize(
    lines.map((line) => JSON.parse(line)),
    { minutes, workers },
  );
}

/** Shows what its seeds say, and all of its output only if it can't run. */
function runQuietly(environment) {
  return new Promise((resolve) => {
    const child = spawn('npx', [...command, '--disable-console-intercept', '--no-file-parallelism', '--reporter=dot'], {
      env: environmentOf(environment),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (text) => {
      output += text;
    });
    child.on('close', (code) => {
      if (code !== 0) console.error(output);
      resolve(code);
    });
  });
}

function summarize(reports, { minutes, workers }) {
  const profiles = byName(reports);
  let isWell = true;
  const all = { seeds: 0, failures: 0 };
  for (const [name, parts] of profiles) {
    const seeds = parts.reduce((sum, part) => sum + part.seeds, 0);
    const failures = parts.flatMap((part) => part.failures);
    const marks = new Map();
    for (const part of parts) {
      for (const [mark, times] of Object.entries(part.marks)) marks.set(mark, (marks.get(mark) ?? 0) + times);
    }
    const [{ covers, seedsCovering }] = parts;
    const missed = covers.filter((mark) => !marks.has(mark));
    for (const { error, replay } of failures) console.log(`FAILED ${error.split('\n').at(-1)}\n  replay: ${replay}`);
    if (missed.length > 0) console.log(`${name}: never: ${missed.join(', ')}`);
    const counts = [...marks].filter(([mark]) => !FIGURES.includes(mark)).sort();
    console.log(`${name}: ${counts.map(([mark, times]) => `${mark} ${times}`).join(', ')}`);
    const figures = FIGURES.filter((figure) => marks.has(figure)).map(
      (figure) => `${Math.round(marks.get(figure))} ${figure}, `,
    );
    const met = `${covers.length - missed.length} of ${covers.length} marks`;
    console.log(`${name}: ${seeds} seeds, ${failures.length} failures, ${figures.join('')}${met}`);
    all.seeds += seeds;
    all.failures += failures.length;
    if (failures.length > 0 || (missed.length > 0 && seeds >= seedsCovering)) isWell = false;
  }
  const speed = Math.round(all.seeds / minutes);
  console.log(
    `${all.seeds} seeds of ${profiles.size} profiles, ${all.failures} failures, ${minutes.toFixed(1)} minutes in ${workers} processes: ${speed} seeds a minute`,
  );
  return isWell;
}

function byName(reports) {
  const groups = new Map();
  for (const report of reports) groups.set(report.name, [...(groups.get(report.name) ?? []), report]);
  return groups;
}

const first = Number(values.seed ?? 1);
const count = Number(values.seeds ?? 1);
const minutes = Number(values.minutes ?? 0);
if (!Number.isInteger(first) || !Number.isInteger(count) || count < 1 || !(minutes >= 0)) {
  console.error('--seed and --seeds take a whole number, --minutes a number');
  process.exit(2);
}
if (values.museum) {
  const jobs = Number(values.jobs ?? availableParallelism());
  if (!(await visitMuseum({ only: values.only, seed: first, jobs }))) process.exit(1);
} else if (values.seeds !== undefined) {
  if (!(await runSeeds(first, count))) process.exit(1);
} else if (values.minutes !== undefined) {
  const until = Date.now() + minutes * 60_000;
  for (let seed = first; Date.now() < until; seed += SEEDS_AT_A_TIME) {
    run({ SIM_SEED: String(seed), SIM_SEEDS: String(SEEDS_AT_A_TIME) });
  }
} else if (values.seed !== undefined) run({ SIM_SEED: String(first), SIM_SEEDS: '1', SIM_TRACE: '1' });
else run({});
