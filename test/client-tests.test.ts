/** The tables of docs/client-tests.md and docs/recipe-bugs.md name tests: each must be where it says. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const docs = fileURLToPath(new URL('../docs', import.meta.url));
interface Row {
  readonly case: string;
  readonly answer: string;
  readonly tests: readonly { readonly title: string; readonly file: string }[];
}

/** The rows of the tables of a document, told apart from the rows above them by their first cell. The last cell is the answer. */
const rowsOf = (file: string): Row[] =>
  readFileSync(join(docs, file), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !/^\| (case|bug|-+) +\|/.test(line))
    .map((line) => {
      const cells = line.split('|').map((cell) => cell.trim());
      const answer = cells.at(-2) ?? '';
      const links = [...answer.matchAll(/\[([^\]]+)\]\((\S+)\)/g)];
      return { case: cells[1] ?? '', answer, tests: links.map(([, title = '', file = '']) => ({ title, file })) };
    });

/** Whether a source has a string of exactly this text. */
const holds = (source: string, title: string): boolean => {
  const escaped = title.replaceAll("'", "\\'");
  return [`'${title}'`, `'${escaped}'`, `"${title}"`, `\`${title}\``].some((string) => source.includes(string));
};

describe.each([
  { document: 'client-tests.md', about: "Curator's tests", atLeast: 70 },
  { document: 'recipe-bugs.md', about: "Curator's bugs", atLeast: 45 },
])('the table of $about', ({ document, atLeast }) => {
  const rows = rowsOf(document);

  it('has every case', () => {
    expect(rows.length).toBeGreaterThan(atLeast);
  });

  it.each(rows)('$case', ({ tests, answer }) => {
    if (tests.length === 0) expect(answer).toMatch(/^does not apply: .{20}/);
    for (const { title, file } of tests) {
      const path = join(docs, file);
      expect(existsSync(path), file).toBe(true);
      expect(path).toMatch(/\.(test|fixture)\.ts$/);
      expect(holds(readFileSync(path, 'utf8'), title), `"${title}" in ${file}`).toBe(true);
    }
  });
});

it('a test that is gone is missed', () => {
  expect(holds("it('is there', () => {", 'is there')).toBe(true);
  expect(holds('it("isn\'t there", () => {', "isn't there")).toBe(true);
  expect(holds("it('is there no more', () => {", 'is there')).toBe(false);
});
