import { describe, expect, it } from 'vitest';
import { CommandError } from './command-error.ts';
import { type Flags, parseArguments, splitLine } from './command-line.ts';

describe('a line', () => {
  it.each([
    ['get /a', ['get', '/a']],
    ['  get\t/a  ', ['get', '/a']],
    ['set "/a b" \'two words\'', ['set', '/a b', 'two words']],
    ['set /a ""', ['set', '/a', '']],
    [`set /a '{"k": 1}'`, ['set', '/a', '{"k": 1}']],
    ['set /a it"s', ['set', '/a', 'it"s']],
    ['"a"b', ['a', 'b']],
    ['set /a "never closed', ['set', '/a', 'never', 'closed']],
    ['   ', []],
    ['', []],
  ])('%j is cut where the original cuts it', (line, words) => {
    expect(splitLine(line)).toEqual(words);
  });
});

describe('the words behind a command', () => {
  const known: Flags = { s: 'switch', w: 'switch', v: 'value', file: 'value' };
  const parse = (...typed: string[]) => {
    const { words, flags } = parseArguments(typed, known);
    return { words, flags: Object.fromEntries(flags) };
  };

  it.each([
    [['-s', '/a', '-v', '3'], { words: ['/a'], flags: { s: '', v: '3' } }],
    [['/a', 'x', '-s'], { words: ['/a', 'x'], flags: { s: '' } }],
    [['-sw', '/a'], { words: ['/a'], flags: { s: '', w: '' } }],
    [['-sv3', '/a'], { words: ['/a'], flags: { s: '', v: '3' } }],
    [['-v=3', '/a'], { words: ['/a'], flags: { v: '3' } }],
    [['-file', 'zoo.cfg'], { words: [], flags: { file: 'zoo.cfg' } }],
    [['-v', '-1', '/a'], { words: ['/a'], flags: { v: '-1' } }],
    [['/a', '-5'], { words: ['/a', '-5'], flags: {} }],
    [['/a', '-'], { words: ['/a', '-'], flags: {} }],
    [['/a', '--', '-s', '--'], { words: ['/a', '-s', '--'], flags: {} }],
    [['-s', '-s'], { words: [], flags: { s: '' } }],
    [['/a', ''], { words: ['/a', ''], flags: {} }],
  ])('%j are flags, their values, and the rest', (typed, parsed) => {
    expect(parse(...typed)).toEqual(parsed);
  });

  it.each([
    [['-x'], 'Unrecognized option: -x'],
    [['-sx'], 'Unrecognized option: -sx'],
    [['-s=1'], 'Unrecognized option: -s=1'],
    [['-toString'], 'Unrecognized option: -toString'],
    [['/a', '-v'], 'Missing argument for option: v'],
    [['-v', '-s'], 'Missing argument for option: v'],
    [['-v', '1', '-v', '2'], 'Option given twice: v'],
  ])('%j are refused: %s', (typed, message) => {
    expect(() => parse(...typed)).toThrow(new CommandError(message));
  });
});
