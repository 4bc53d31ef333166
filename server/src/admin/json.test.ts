import { expect, test } from 'vitest';
import { Decimal } from './decimal.ts';
import { toJson } from './json.ts';

test('writes the form of the original: two spaces a level, arrays on their line', () => {
  const text = toJson({
    list: [
      { a: 1, b: [] },
      { a: 2, b: [1, 2] },
    ],
    none: {},
    last: null,
    yes: true,
  });
  expect(text).toBe(
    [
      '{',
      '  "list" : [ {',
      '    "a" : 1,',
      '    "b" : [ ]',
      '  }, {',
      '    "a" : 2,',
      '    "b" : [ 1, 2 ]',
      '  } ],',
      '  "none" : { },',
      '  "last" : null,',
      '  "yes" : true',
      '}',
    ].join('\n'),
  );
});

test('writes session ids as exact integers, and doubles with a point', () => {
  expect(toJson({ id: 72_057_857_911_816_193n, whole: new Decimal(0), part: new Decimal(1.2273) })).toBe(
    '{\n  "id" : 72057857911816193,\n  "whole" : 0.0,\n  "part" : 1.2273\n}',
  );
});

test('keeps the order of names that look like numbers, in a map', () => {
  const sessions = new Map([
    ['20', 'b'],
    ['10', 'a'],
  ]);
  expect(toJson(sessions)).toBe('{\n  "20" : "b",\n  "10" : "a"\n}');
});

test('escapes what a path may hold', () => {
  expect(toJson({ path: '/a"b\\c\nd' })).toBe('{\n  "path" : "/a\\"b\\\\c\\nd"\n}');
});
