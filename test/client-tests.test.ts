/** The table of docs/client-tests.md names tests: each must be where it says. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const docs = fileURLToPath(new URL('../docs', import.meta.url));
const document = readFileSync(join(docs, 'client-tests.md'), 'utf8');

interface Row {
  readonly case: string;
  readonly answer: string;
  readonly tests: readonly { readonly title: string; readonly file: string }[];
}

const rows: Row[] = document
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (case|-+) +\|/.test(line))
  .map((line) => {
    const [, name = '', answer = ''] = line.split('|').map((cell) => cell.trim());
    const links = [...answer.matchAll(/\[([^\]]+)\]\((\S+)\)/g)];
    return { case: name, answer, tests: links.map(([, title = '', file = '']) => ({ title, file })) };
  });

/** Whether a source has a string of exactly this text. */
const holds = (source: string, title: string): boolean => {
  const escaped = title.replaceAll("'", "\\'");
  return [`'${title}'`, `'${escaped}'`, `"${title}"`, `\`${title}\``].some((string) => source.includes(string));
};

describe("the table of Curator's tests", () => {
  it('has every case', () => {
    expect(rows.length).toBeGreaterThan(70);
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

  it('would miss a test that is gone', () => {
    expect(holds("it('is there', () => {", 'is there')).toBe(true);
    expect(holds('it("isn\'t there", () => {', "isn't there")).toBe(true);
    expect(holds("it('is there no more', () => {", 'is there')).toBe(false);
  });
});
