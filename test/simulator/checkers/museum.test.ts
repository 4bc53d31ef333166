/**
 * The museum of known bugs can be visited (`npm run sim -- --museum`): what each row changes is still there, and what looks for the
 * bug too. And the documents tell of every row.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

interface Row {
  readonly row: string;
  readonly bug: string;
  /** Why it can't be put back. */
  readonly cannot?: string;
  readonly changes?: readonly { readonly file: string; readonly anchor: string; readonly replacement: string }[];
  /** The test that catches it, of a profile within so many seeds, maybe of one story. */
  readonly by?: { readonly test: string; readonly seeds?: number; readonly story?: string };
}

const root = fileURLToPath(new URL('../../..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const rowsOf = (file: string) => (JSON.parse(read(file)) as { readonly rows: readonly Row[] }).rows;
const rooms = [
  { rows: rowsOf('test/simulation/museum.json'), document: 'docs/simulator.md' },
  { rows: rowsOf('test/simulation/museum-recipes.json'), document: 'docs/recipe-bugs.md' },
];
const rows = rooms.flatMap((room) => room.rows);

describe('the museum', () => {
  it.each(rows.filter(({ cannot }) => cannot === undefined))('can put back $row: $bug', ({ changes = [], by }) => {
    expect(by !== undefined && existsSync(join(root, by.test))).toBe(true);
    const texts = new Map<string, string>();
    for (const { file, anchor, replacement } of changes) {
      const text = texts.get(file) ?? read(file);
      expect({ anchor, count: text.split(anchor).length - 1 }).toEqual({ anchor, count: 1 });
      texts.set(
        file,
        text.replace(anchor, () => replacement),
      );
    }
    expect(texts.size).toBeGreaterThan(0);
  });

  it.each(rooms)('stands in $document, row by row', ({ rows, document }) => {
    const told = read(document);
    expect(rows.filter(({ bug }) => !told.includes(bug)).map(({ row, bug }) => `${row}: ${bug}`)).toEqual([]);
  });
});
