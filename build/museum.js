/**
 * `npm run sim -- --museum`: bugs that once were, of this server's original and of its own, put back one at a time, each into a copy of
 * the tree: a checker or a test must catch every one of them (`test/simulation/museum.json`, `museum-recipes.json`).
 *
 *     npm run sim -- --museum                   all of them, on all cores
 *     npm run sim -- --museum --only '3911|A6'  those with one of these words in what is said of them
 *     npm run sim -- --museum --only agreement --seed 100   with seeds from 100 on
 *
 * Prints one row of a table for each, and ends with 1 if one was not caught, or if what it changes is not there any more.
 */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
/** What tests need of the tree. */
const COPIED = [
  'protocol',
  'client',
  'recipes',
  'server',
  'test',
  'package.json',
  'tsconfig.base.json',
  'vitest.config.ts',
];
/** Of the server, and of the recipes (`docs/recipe-bugs.md`). */
const ROOMS = ['test/simulation/museum.json', 'test/simulation/museum-recipes.json'];
const LEFT_OUT = /(^|\/)(node_modules|dist)(\/|$)|\.tsbuildinfo$/;
/** A checker's name at the beginning of what it says: A8, LIVENESS, LOG-3. */
const CHECKER = /\b([A-E]\d|LIVENESS|[A-Z]{3,}-\d)\b(?=:)/;
/** Enough for the slowest of them on a busy machine. */
const TIMEOUT_MS = 30 * 60_000;

/** @returns whether all were caught */
export async function visitMuseum({ only = '', seed = 1, jobs = availableParallelism() } = {}) {
  const rows = ROOMS.flatMap((file) => JSON.parse(readFileSync(join(root, file), 'utf8')).rows);
  const words = only.toLowerCase().split('|');
  const wanted = rows.filter((row) => words.some((word) => JSON.stringify(row).toLowerCase().includes(word)));
  const open = wanted.filter(({ cannot }) => cannot === undefined);
  const trees = Array.from({ length: Math.min(jobs, open.length) }, copyTree);
  try {
    const problem = await soundness(trees[0], open);
    if (problem !== undefined) {
      console.error(`museum: without any change: ${problem}`);
      return false;
    }
    console.log('| row | bug | caught by | limit | in |');
    console.log('| --- | --- | --- | --- | --- |');
    let next = 0;
    let missed = 0;
    const work = async (tree) => {
      for (let row = open[next++]; row !== undefined; row = open[next++]) {
        const { isCaught, text } = await exhibit(tree, row, seed);
        if (!isCaught) missed++;
        console.log(`| ${row.row} | ${row.bug} | ${text} | ${limitOf(row)} | ${placeOf(row)} |`);
      }
    };
    await Promise.all(trees.map(work));
    const others = wanted.length - open.length;
    console.log(`museum: ${open.length - missed} of ${open.length} caught, ${others} cannot exist here`);
    return missed === 0;
  } finally {
    for (const tree of trees) rmSync(tree, { recursive: true });
  }
}

const limitOf = ({ by }) => (by.seeds === undefined ? '' : `${by.seeds} seeds`);
const placeOf = ({ by }) => (by.story === undefined ? by.test : `${by.test}, ${by.story}`);

function copyTree() {
  const tree = mkdtempSync(join(tmpdir(), 'museum-'));
  for (const name of COPIED) {
    const filter = (source) => !LEFT_OUT.test(relative(root, source));
    cpSync(join(root, name), join(tree, name), { recursive: true, filter });
  }
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
  return tree;
}

/** What fails without any change catches nothing. */
async function soundness(tree, rows) {
  for (const test of new Set(rows.map(({ by }) => by.test))) {
    const { failure } = await runTests(tree, { test, seeds: 1 }, 1);
    if (failure !== undefined) return `${test}: ${failure}`;
  }
  return undefined;
}

/** Puts a bug back, has it looked for, and mends it again. */
async function exhibit(tree, { changes, by }, seed) {
  const before = new Map();
  try {
    for (const { file, anchor, replacement } of changes) {
      const path = join(tree, file);
      const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
      if (!before.has(path)) before.set(path, text);
      const count = text.split(anchor).length - 1;
      if (count !== 1) return { isCaught: false, text: `STALE: ${file} has ${count} times: ${anchor}` };
      writeFileSync(
        path,
        text.replace(anchor, () => replacement),
      );
    }
    const { failure, cause } = await runTests(tree, by, seed);
    if (cause !== undefined) return { isCaught: false, text: `NOT RUN: ${cause}` };
    if (failure === undefined) return { isCaught: false, text: 'NOT CAUGHT' };
    return { isCaught: true, text: by.seeds === undefined ? failure.name : checkerOf(failure.text) };
  } finally {
    for (const [path, text] of before) writeFileSync(path, text);
  }
}

function checkerOf(text) {
  const what = text.slice(text.indexOf('seed '));
  const [line = ''] = what.split('\n');
  const checker =
    CHECKER.exec(what)?.[1] ?? line.replace(/^seed \d+[:,] (Error: |SimulationError: )*/, '').slice(0, 100);
  return `seed ${/\d+/.exec(line)?.[0]}: ${checker}`;
}

/** @returns `failure` of the first test that fails, `cause` if they could not be run; neither if all is well */
async function runTests(tree, { test, seeds, story }, seed) {
  const report = join(tree, 'report.json');
  rmSync(report, { force: true });
  const environment = {
    ...process.env,
    ...(seeds === undefined ? {} : { SIM_SEED: String(seed), SIM_SEEDS: String(seeds), CRASH_ROUNDS: String(seeds) }),
    ...(story === undefined ? {} : { SIM_STORY: story }),
  };
  const parameters = ['vitest', 'run', '--bail=1', '--reporter=json', `--outputFile=${report}`, test];
  const child = spawn('npx', parameters, { cwd: tree, env: environment, stdio: 'ignore', timeout: TIMEOUT_MS });
  await new Promise((resolve) => child.on('close', resolve));
  if (!existsSync(report)) return { cause: 'no report' };
  const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
  if (testResults.length === 0) return { cause: `there is no ${test}` };
  for (const { assertionResults, status, message } of testResults) {
    const failed = assertionResults.find((result) => result.status === 'failed');
    if (failed === undefined && status === 'failed') return { cause: message.split('\n')[0] };
    if (failed === undefined) continue;
    const text = failed.failureMessages.join('\n');
    // Too few seeds meet not everything; that is no bug found.
    if (seeds === undefined || /seed \d+/.test(text)) return { failure: { name: failed.fullName, text } };
  }
  return {};
}
