import { describe, expect, test } from 'vitest';
import { PropertySyntaxError, readProperties } from './config-properties.ts';

const pairs = (text: string) => readProperties(text).map(({ key, value }) => [key, value]);

describe('readProperties', () => {
  test.each([
    ['key=value', 'key', 'value'],
    ['key = value', 'key', 'value'],
    ['  key:value  ', 'key', 'value'],
    ['key value', 'key', 'value'],
    ['key\t:\tvalue with = and : in it', 'key', 'value with = and : in it'],
    ['key==value', 'key', '=value'],
    ['key', 'key', ''],
    ['key=', 'key', ''],
    ['a\\=b\\:c\\ d=value', 'a=b:c d', 'value'],
    ['dir=C:\\\\data\\tx', 'dir', 'C:\\data\tx'],
    ['key=\\u0041\\u00e4', 'key', 'Aä'],
    ['key=\\q', 'key', 'q'],
    ['server.1=host:2888:3888;2181', 'server.1', 'host:2888:3888;2181'],
  ])('reads %j', (line, key, value) => {
    expect(pairs(line)).toEqual([[key, value]]);
  });

  test('passes over comments and blank lines', () => {
    expect(pairs('# a=1\n! b=2\n\n   \t\n   # c=3\nd=4 # not a comment')).toEqual([['d', '4 # not a comment']]);
  });

  test('joins a line that ends in a backslash with the next one, without its indentation', () => {
    expect(pairs('words=ruok,\\\n    srvr,\\\n  # mntr\nnext=1')).toEqual([
      ['words', 'ruok,srvr,# mntr'],
      ['next', '1'],
    ]);
  });

  test('does not join a line that ends in an escaped backslash', () => {
    expect(pairs('dir=C:\\\\\nnext=1')).toEqual([
      ['dir', 'C:\\'],
      ['next', '1'],
    ]);
  });

  test('does not join a comment with the next line', () => {
    expect(pairs('# comment \\\na=1')).toEqual([['a', '1']]);
  });

  test('keeps a backslash at the end of the text harmless', () => {
    expect(pairs('a=1\\')).toEqual([['a', '1']]);
  });

  test('counts lines of every kind of end, and names the first of a joined line', () => {
    const lines = readProperties('a=1\r\nb=2\\\r\n  3\rc=4\n\nd=5').map(({ key, line }) => [key, line]);
    expect(lines).toEqual([
      ['a', 1],
      ['b', 2],
      ['c', 4],
      ['d', 6],
    ]);
  });

  test('keeps the order of repeated keys', () => {
    expect(pairs('a=1\na=2')).toEqual([
      ['a', '1'],
      ['a', '2'],
    ]);
  });

  test.each(['a=1\nb=\\u12g4', 'a=1\nb=\\u12'])('refuses %j', (text) => {
    expect(() => readProperties(text)).toThrow(PropertySyntaxError);
    expect(() => readProperties(text)).toThrow(expect.objectContaining({ line: 2 }));
  });
});
