import { describe, expect, it } from 'vitest';
import { exceeded, parseQuota, quotaText } from './quota-limits.ts';

describe('the text of a quota', () => {
  it.each([
    'count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=10',
    'count=7,bytes=10',
    'count=1,bytes=2=;byteHardLimit=3;countHardLimit=4;ofTheFuture=5',
  ])('%s is read, and written the same', (text) => {
    expect(quotaText(parseQuota(text))).toBe(text);
  });

  it('is read with any separators, and with values that are none as no limit', () => {
    expect([...parseQuota('bytes=3;;count=,x=y')]).toEqual([
      ['bytes', 3],
      ['count', -1],
      ['x', -1],
    ]);
    expect(quotaText(parseQuota(''))).toBe('count=-1,bytes=-1');
  });
});

describe('a limit', () => {
  const used = parseQuota('count=4,bytes=100');

  it.each([
    ['count=3,bytes=-1', { count: true, bytes: false }],
    ['count=4,bytes=99', { count: false, bytes: true }],
    ['count=-1,bytes=-1=;byteHardLimit=0;countHardLimit=3', { count: true, bytes: true }],
    ['count=-1,bytes=-1=;byteHardLimit=100;countHardLimit=4', { count: false, bytes: false }],
    ['', { count: false, bytes: false }],
  ])('in %j is exceeded only by more than it', (limits, which) => {
    expect(exceeded(parseQuota(limits), used)).toEqual(which);
  });
});
