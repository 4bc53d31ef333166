/**
 * A line of the shell, cut into words and those into flags and arguments, as the original does it (`ZooKeeperMain.parseCommand`, and
 * the parser of Commons CLI behind each of its commands).
 *
 *     line     = { space } word { space word }
 *     word     = '"' text '"' | "'" text "'" | text without spaces that doesn't begin with a quote
 *     flag     = "-" name [ value | "=" value ] | "-" letters of several switches
 *
 * Flags may stand anywhere; behind `--` everything is an argument, and so is a negative number.
 */
import { CommandError } from './command-error.ts';

/** Cuts a line. Quotes keep spaces together and are taken off; there is no escaping. A quote that is never closed is dropped. */
export function splitLine(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|([^\s"']\S*)/g)].map(
    ([, inDouble, inSingle, bare]) => inDouble ?? inSingle ?? bare ?? '',
  );
}

/** The flags of a command: `switch` for one that is there or not, `value` for one that takes the next word. */
export type Flags = Readonly<Record<string, 'switch' | 'value'>>;

/** What was typed behind the name of a command. */
export interface Arguments {
  /** What is no flag, in its order. */
  readonly words: readonly string[];
  /** The flags that were given, with their values; a switch has the empty one. */
  readonly flags: ReadonlyMap<string, string>;
}

/** @throws CommandError for a flag that there isn't, that lacks its value, or that is given twice with one */
export function parseArguments(typed: readonly string[], known: Flags): Arguments {
  const words: string[] = [];
  const flags = new Map<string, string>();
  let at = 0;
  while (at < typed.length) {
    const word = typed[at++] ?? '';
    if (word === '--') {
      words.push(...typed.slice(at));
      break;
    }
    if (!looksLikeFlag(word)) {
      words.push(word);
      continue;
    }
    for (const { name, value } of toFlags(word, known)) {
      if (known[name] === 'switch') {
        flags.set(name, '');
        continue;
      }
      if (flags.has(name)) throw new CommandError(`Option given twice: ${name}`);
      flags.set(name, value ?? takeValue(name, typed[at++], known));
    }
  }
  return { words, flags };
}

const looksLikeFlag = (word: string): boolean => /^-./.test(word) && !/^-\d+(\.\d+)?$/.test(word);

/** `-s` and `-file` as they are; `-v3` and `-v=3` with their value; `-sw` as the two that it is made of. */
function toFlags(word: string, known: Flags): { name: string; value?: string }[] {
  const [, name = '', value] = /^-([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
  if (Object.hasOwn(known, name)) {
    if (value === undefined) return [{ name }];
    if (known[name] === 'value') return [{ name, value }];
    throw unrecognized(word);
  }
  const flags: { name: string; value?: string }[] = [];
  for (let at = 1; at < word.length; at++) {
    const letter = word.charAt(at);
    if (!Object.hasOwn(known, letter)) throw unrecognized(word);
    if (known[letter] === 'value') {
      const rest = word.slice(at + 1);
      flags.push(rest === '' ? { name: letter } : { name: letter, value: rest.replace(/^=/, '') });
      break;
    }
    flags.push({ name: letter });
  }
  return flags;
}

function takeValue(name: string, next: string | undefined, known: Flags): string {
  const isFlag = next !== undefined && looksLikeFlag(next) && Object.hasOwn(known, next.slice(1));
  if (next === undefined || isFlag) throw new CommandError(`Missing argument for option: ${name}`);
  return next;
}

const unrecognized = (word: string): CommandError => new CommandError(`Unrecognized option: ${word}`);
