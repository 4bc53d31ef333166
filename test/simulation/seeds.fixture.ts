/**
 * Runs a profile over many seeds. SIM_SEEDS=10000 runs so many of each profile, SIM_SEED=17 begins there; with SIM_SEEDS=1 that
 * is the replay of one seed, which a failure asks for by name.
 *
 * What must always hold: a run that has met none of what the profile is there for is a failure as well.
 */
import { appendFileSync } from 'node:fs';

const FIRST_SEED = Number(process.env.SIM_SEED ?? 1);
const SEEDS_DEFAULT = 15;
/** The file that reports go to. */
const REPORT = process.env.SIM_REPORT;
const SEED_TIMEOUT_MS = 5_000;

const seedsOf = (count = SEEDS_DEFAULT): number => Number(process.env.SIM_SEEDS ?? count);

/** For a test that runs so many seeds, or as many as it is told to. */
export const seedsTimeoutMs = (count?: number): number => 60_000 + seedsOf(count) * SEED_TIMEOUT_MS;

/** For a test that runs seeds. */
export const SEEDS_TIMEOUT_MS = seedsTimeoutMs();

/** How often each situation was met. */
export type Marks = ReadonlyMap<string, number>;

export interface Profile {
  readonly name: string;
  /** The test file that has it. */
  readonly file: string;
  /** What has to be met in all of its seeds together. */
  readonly covers: readonly string[];
  /** How many, unless SIM_SEEDS says so; with fewer than these the rarer situations need not come. Default: 15. */
  readonly seeds?: number;
  /** Rejects if the seed finds something wrong. */
  readonly run: (seed: number) => Promise<Marks>;
}

/** What became of a profile's seeds, one JSON line of SIM_REPORT: `npm run sim -- --seeds N` puts those of its processes together. */
export interface Report {
  readonly name: string;
  readonly first: number;
  readonly seeds: number;
  readonly failures: readonly { readonly seed: number; readonly error: string; readonly replay: string }[];
  /** What has to be met in so many seeds. */
  readonly covers: readonly string[];
  readonly seedsCovering: number;
  readonly marks: Readonly<Record<string, number>>;
}

/**
 * Runs all seeds, or until the first one that fails; for a report it goes on behind that.
 * @throws Error that names the first seed that failed, and how to replay it, or the situations that were never met
 */
export async function runSeeds({
  name,
  file,
  covers,
  run,
  seeds: seedsCovering = SEEDS_DEFAULT,
}: Profile): Promise<void> {
  const seeds = seedsOf(seedsCovering);
  const met = new Map<string, number>();
  const failures: { seed: number; error: string; replay: string }[] = [];
  for (let seed = FIRST_SEED; seed < FIRST_SEED + seeds; seed++) {
    try {
      for (const [mark, count] of await run(seed)) met.set(mark, (met.get(mark) ?? 0) + count);
    } catch (cause) {
      const replay = `SIM_SEED=${seed} SIM_SEEDS=1 npx vitest run ${file} -t '${name}'`;
      if (REPORT === undefined) throw new Error(`seed ${seed}: ${cause}\n  replay: ${replay}`, { cause });
      failures.push({ seed, error: String(cause), replay });
      console.error(`${name}: seed ${seed}: ${cause}\n  replay: ${replay}`);
    }
  }
  if (REPORT !== undefined) {
    const marks = Object.fromEntries(met);
    const report: Report = { name, first: FIRST_SEED, seeds, failures, covers, seedsCovering, marks };
    return appendFileSync(REPORT, `${JSON.stringify(report)}\n`);
  }
  if (process.env.SIM_SEEDS !== undefined) {
    const counts = [...met].sort().map(([mark, count]) => `${mark} ${count}`);
    console.info(`${name}: ${seeds} seeds from ${FIRST_SEED}; ${counts.join(', ')}`);
  }
  const missed = covers.filter((mark) => !met.has(mark));
  if (seeds >= seedsCovering && missed.length > 0) {
    throw new Error(`${name}: in ${seeds} seeds from ${FIRST_SEED} there was never: ${missed.join(', ')}`);
  }
}
