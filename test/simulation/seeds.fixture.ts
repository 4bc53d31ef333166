/**
 * Runs a profile over many seeds. SIM_SEEDS=10000 runs so many of each profile, SIM_SEED=17 begins there; with SIM_SEEDS=1 that
 * is the replay of one seed, which a failure asks for by name.
 *
 * What must always hold: a run that has met none of what the profile is there for is a failure as well.
 */

const SEEDS = Number(process.env.SIM_SEEDS ?? 15);
const FIRST_SEED = Number(process.env.SIM_SEED ?? 1);
/** With fewer seeds the rarer situations need not come. */
const SEEDS_COVERING = 15;
const SEED_TIMEOUT_MS = 5_000;

/** For a test that runs seeds. */
export const SEEDS_TIMEOUT_MS = 60_000 + SEEDS * SEED_TIMEOUT_MS;

/** How often each situation was met. */
export type Marks = ReadonlyMap<string, number>;

export interface Profile {
  readonly name: string;
  /** The test file that has it. */
  readonly file: string;
  /** What has to be met in all of its seeds together. */
  readonly covers: readonly string[];
  /** Rejects if the seed finds something wrong. */
  readonly run: (seed: number) => Promise<Marks>;
}

/** @throws Error that names the first seed that failed, and how to replay it, or the situations that were never met */
export async function runSeeds({ name, file, covers, run }: Profile): Promise<void> {
  const met = new Map<string, number>();
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    try {
      for (const [mark, count] of await run(seed)) met.set(mark, (met.get(mark) ?? 0) + count);
    } catch (cause) {
      const replay = `SIM_SEED=${seed} SIM_SEEDS=1 npx vitest run ${file} -t '${name}'`;
      throw new Error(`seed ${seed}: ${cause}\n  replay: ${replay}`, { cause });
    }
  }
  if (process.env.SIM_SEEDS !== undefined) {
    const counts = [...met].sort().map(([mark, count]) => `${mark} ${count}`);
    console.info(`${name}: ${SEEDS} seeds from ${FIRST_SEED}; ${counts.join(', ')}`);
  }
  const missed = covers.filter((mark) => !met.has(mark));
  if (SEEDS >= SEEDS_COVERING && missed.length > 0) {
    throw new Error(`${name}: in ${SEEDS} seeds from ${FIRST_SEED} there was never: ${missed.join(', ')}`);
  }
}
