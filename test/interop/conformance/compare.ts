/** Compares what two servers did in the same scenario, and knows which differences are meant. */
import type { Line } from './client.ts';
import type { Deviation } from './deviations.ts';

export interface Comparison {
  /** Lines that were compared. */
  readonly checks: number;
  /** Differences that nobody listed, to be read. Empty when all is well. */
  readonly report: string;
}

/** A line that only one server has, and the last line before it that both have. */
interface Difference {
  readonly side: 'theirs' | 'ours';
  readonly text: string;
  readonly behind: string;
}

/**
 * @param listed the deviations of this scenario: nothing else may differ
 * @param seen gets the patterns of those that were met
 */
export function compare(
  { theirs, ours }: { theirs: readonly Line[]; ours: readonly Line[] },
  listed: readonly Deviation[],
  seen: Set<RegExp>,
): Comparison {
  const problems: string[] = [];
  for (const { side, text, behind } of differences(theirs.map(textOf), ours.map(textOf))) {
    const patterns = listed.flatMap((deviation) => deviation[side] ?? []).filter((pattern) => pattern.test(text));
    for (const pattern of patterns) seen.add(pattern);
    if (patterns.length === 0) problems.push(`  behind  ${behind}\n  ${side.padEnd(6)}  ${text}`);
  }
  return { checks: Math.max(theirs.length, ours.length), report: problems.join('\n') };
}

/** What is left of two texts when their longest common part is taken out. */
function differences(theirs: readonly string[], ours: readonly string[]): Difference[] {
  // common[i][j]: lines in common from theirs[i] and ours[j] on.
  const common = Array.from({ length: theirs.length + 1 }, () => new Uint32Array(ours.length + 1));
  const at = (i: number, j: number): number => common[i]?.[j] ?? 0;
  for (let i = theirs.length - 1; i >= 0; i--) {
    for (let j = ours.length - 1; j >= 0; j--) {
      const row = common[i];
      if (row === undefined) continue;
      row[j] = theirs[i] === ours[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const found: Difference[] = [];
  let behind = '(the start)';
  let [i, j] = [0, 0];
  while (i < theirs.length || j < ours.length) {
    const [their, our] = [theirs[i], ours[j]];
    if (their !== undefined && their === our) {
      behind = their;
      i++;
      j++;
    } else if (their !== undefined && (our === undefined || at(i + 1, j) >= at(i, j + 1))) {
      found.push({ side: 'theirs', text: their, behind });
      i++;
    } else {
      found.push({ side: 'ours', text: our ?? '', behind });
      j++;
    }
  }
  return found;
}

const textOf = ({ step, outcome }: Line): string => `${step} → ${outcome}`;
