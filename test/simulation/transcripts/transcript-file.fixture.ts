/**
 * A transcript as a text, and whether a world does what it says. How one is written stands at the head of `transcripts.test.ts`.
 *
 * What must hold: a line that is neither a title, a remark, a command nor an expectation is an error; and nothing a server does
 * passes unmentioned, unless a line says `…`.
 */

/** Stands for any number of lines, also none. */
const ANYTHING = '…';

interface Step {
  /** From 1. */
  readonly line: number;
  readonly command: string;
  readonly expected: readonly string[];
  /** How many lines of the file belong to it. */
  readonly height: number;
}

export interface Transcript {
  readonly title: string;
  readonly steps: readonly Step[];
}

/** What a transcript is played on. */
export interface World {
  /** @returns what comes of it, a line each */
  do(command: string): string[];
}

/** @throws Error for a line that is nothing */
export function readTranscript(text: string): Transcript {
  const lines = text.trimEnd().split('\n');
  const [title = ''] = lines;
  if (!/^# \S/.test(title)) throw new Error('line 1: a transcript begins with "# " and its title');
  const steps: { line: number; command: string; expected: string[]; height: number }[] = [];
  let isOpen = false;
  for (const [index, line] of lines.entries()) {
    const step = steps.at(-1);
    if (line === '' || line.startsWith('#')) isOpen = false;
    else if (!line.startsWith(' ')) {
      steps.push({ line: index + 1, command: line, expected: [], height: 1 });
      isOpen = true;
    } else if (line.startsWith('  ') && isOpen && step !== undefined) {
      step.expected.push(line.slice(2));
      step.height++;
    } else throw new Error(`line ${index + 1}: what is expected stands right behind its command, two blanks in`);
  }
  if (steps.length === 0) throw new Error('nothing happens');
  return { title: title.slice(2), steps };
}

/** @throws Error for the first step of which something else comes, with its line in the file */
export function playTranscript({ steps }: Transcript, world: World): void {
  for (const step of steps) requireMatch(step, play(step, world));
}

/**
 * The text as it would be right, for somebody to review. Steps that leave something open stay as they are.
 * @throws Error for the first of these of which something else comes
 */
export function rewriteTranscript(text: string, world: World): string {
  const lines = text.trimEnd().split('\n');
  const found = readTranscript(text).steps.map((step) => ({ step, right: play(step, world) }));
  for (const { step, right } of found) if (step.expected.includes(ANYTHING)) requireMatch(step, right);
  for (const { step, right } of found.reverse()) {
    if (!step.expected.includes(ANYTHING)) lines.splice(step.line, step.height - 1, ...indented(right));
  }
  return `${lines.join('\n')}\n`;
}

function play({ line, command }: Step, world: World): string[] {
  try {
    return world.do(command);
  } catch (cause) {
    throw new Error(`line ${line}: ${command}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

function requireMatch({ line, command, expected }: Step, lines: readonly string[]): void {
  if (isMatch(lines, expected)) return;
  const parts = [`line ${line}: ${command}`, 'expected:', ...indented(expected), 'found:', ...indented(lines)];
  throw new Error(parts.join('\n'));
}

const indented = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);

/** Each part between two `…` is found at the first place behind the one before; the first and the last stand at the ends. */
function isMatch(lines: readonly string[], expected: readonly string[]): boolean {
  const [first = [], ...others] = splitAt(expected);
  const last = others.pop();
  if (!startsWith(lines, first, 0)) return false;
  if (last === undefined) return lines.length === first.length;
  let from = first.length;
  for (const part of others) {
    while (from + part.length <= lines.length && !startsWith(lines, part, from)) from++;
    if (from + part.length > lines.length) return false;
    from += part.length;
  }
  return lines.length - last.length >= from && startsWith(lines, last, lines.length - last.length);
}

function splitAt(expected: readonly string[]): string[][] {
  const parts: string[][] = [[]];
  for (const line of expected) {
    if (line === ANYTHING) parts.push([]);
    else parts.at(-1)?.push(line);
  }
  return parts;
}

const startsWith = (lines: readonly string[], part: readonly string[], from: number): boolean =>
  part.every((line, i) => lines[from + i] === line);
