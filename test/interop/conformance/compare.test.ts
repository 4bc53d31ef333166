import { describe, expect, it } from 'vitest';
import type { Line } from './client.ts';
import { compare } from './compare.ts';
import type { Deviation } from './deviations.ts';

const transcript = (...texts: readonly string[]): readonly Line[] =>
  texts.map((text) => {
    const [step = '', outcome = ''] = text.split(' → ');
    return { step, outcome };
  });

const reportOf = (theirs: readonly Line[], ours: readonly Line[], listed: readonly Deviation[] = []): string =>
  compare({ theirs, ours }, listed, new Set()).report;

describe('comparing two transcripts', () => {
  const three = transcript('a → 1', 'b → 2', 'c → 3');

  it('finds no difference between equal ones, and counts their lines', () => {
    expect(compare({ theirs: three, ours: three }, [], new Set())).toEqual({ checks: 3, report: '' });
  });

  it('names an outcome that differs, on both sides, with the line before it', () => {
    expect(reportOf(three, transcript('a → 1', 'b → 9', 'c → 3'))).toBe(
      '  behind  a → 1\n  theirs  b → 2\n  behind  a → 1\n  ours    b → 9',
    );
  });

  it('names a line that only one has, and finds its way again behind it', () => {
    expect(reportOf(transcript('a → 1', 'c → 3'), three)).toBe('  behind  a → 1\n  ours    b → 2');
    expect(reportOf(three, transcript('b → 2', 'c → 3'))).toBe('  behind  (the start)\n  theirs  a → 1');
  });

  it('names lines in another order', () => {
    expect(reportOf(three, transcript('b → 2', 'a → 1', 'c → 3'))).not.toBe('');
  });

  it('passes over what is listed, on the side for which it is listed, and says that it was met', () => {
    const listed: Deviation = { scenario: /x/, theirs: /^b → 2$/, ours: /^b → 9$/, reason: 'meant' };
    const other = transcript('a → 1', 'b → 9', 'c → 3');
    const seen = new Set<RegExp>();
    expect(compare({ theirs: three, ours: other }, [listed], seen).report).toBe('');
    expect(seen).toEqual(new Set([listed.theirs, listed.ours]));
    expect(reportOf(other, three, [listed])).not.toBe('');
    expect(reportOf(three, transcript('a → 1', 'b → 8', 'c → 3'), [listed])).toBe('  behind  a → 1\n  ours    b → 8');
  });
});
