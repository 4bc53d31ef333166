/** A table of figures that there are goals for: ours beside Apache ZooKeeper's, medians, and whether each goal is met. */
import type { Make } from './servers.ts';

/** One row of the table. */
export interface Goal {
  readonly name: string;
  readonly unit: string;
  /** Met by our median, given theirs (NaN where Apache ZooKeeper is not installed). */
  readonly isMet: (ours: number, theirs: number) => boolean;
  readonly goal: string;
}

export const timesTheirs = (factor: number) => ({
  isMet: (ours: number, theirs: number) => ours >= factor * theirs,
  goal: `${factor} times theirs`,
});
export const partOfTheirs = (part: number) => ({
  isMet: (ours: number, theirs: number) => ours <= part * theirs,
  goal: part === 1 ? 'not more than theirs' : `${part.toFixed(2)} of theirs`,
});
export const atMost = (limit: number) => ({ isMet: (ours: number) => ours <= limit, goal: `at most ${limit}` });
export const atLeast = (limit: number) => ({ isMet: (ours: number) => ours >= limit, goal: `at least ${limit}` });

export class GoalTable {
  readonly #rows = new Map<string, { readonly goal: Goal; readonly values: Record<Make, number[]> }>();

  add(make: Make, value: number, goal: Goal): void {
    const row = this.#rows.get(goal.name) ?? { goal, values: { ours: [], 'Apache ZooKeeper': [] } };
    this.#rows.set(goal.name, row);
    row.values[make].push(value);
  }

  /** The head of the table. */
  printHead(): void {
    console.log('| measure, median | ours | Apache ZooKeeper | ours / theirs | goal | met |');
    console.log('| --- | --- | --- | --- | --- | --- |');
  }

  /** What was added since the last call. */
  printRows(): void {
    for (const { goal, values } of this.#rows.values()) {
      const [ours, theirs] = [median(values.ours), median(values['Apache ZooKeeper'])];
      const cells = [`${goal.name}, ${goal.unit}`, text(ours), text(theirs), (ours / theirs).toFixed(2), goal.goal];
      console.log(`| ${cells.join(' | ')} | ${goal.isMet(ours, theirs) ? 'yes' : 'no'} |`);
    }
    this.#rows.clear();
  }
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const text = (value: number): string =>
  Number.isNaN(value) ? '' : value.toLocaleString('en', { maximumFractionDigits: value < 100 ? 1 : 0 });
