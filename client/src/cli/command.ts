/**
 * What a command of the shell is: its usage, its flags, and a function from what was typed to an {@link Answer}. A command neither reads
 * nor prints: `Shell` does. So each can be tested by calling it, and `--json` is no concern of theirs. The original's `CliCommand`.
 */
import type { Watcher } from '../watch/watch-registry.ts';
import type { ZooKeeper } from '../zookeeper.ts';
import { CommandError } from './command-error.ts';
import type { Arguments, Flags } from './command-line.ts';

/** What a command says when it has succeeded. */
export interface Answer {
  /** The lines that the original prints on stdout. */
  readonly out?: readonly string[];
  /** The lines that the original prints on stderr, although nothing failed. */
  readonly err?: readonly string[];
  /** The same as an object, for `--json`: bigints become hex, as zxids and session ids are written. */
  readonly json: object;
}

/** What commands of a session work with. */
export interface SessionAccess {
  readonly zookeeper: ZooKeeper;
  /** Prints what it is told: the one watcher of the shell. */
  readonly watcher: Watcher;
}

/** What commands about the shell itself work with. */
export interface ShellAccess {
  /** Ends the present session, if there is one, and begins another; on the same servers without a connect string. */
  connect(connectString: string | undefined): Promise<void>;
  /** Ends the session. */
  disconnect(): Promise<void>;
  /** Ends the session and the shell. */
  quit(): Promise<void>;
  /** The lines so far, the present one last. */
  readonly history: readonly string[];
  /** Does a line of the history again, in the place of the present one. */
  redo(index: number): Promise<Answer>;
  printsWatches: boolean;
  /** One line for each command. */
  readonly usage: readonly string[];
}

interface CommandForm {
  /** What is typed behind the name, as the original writes it. */
  readonly usage: string;
  readonly flags?: Flags;
  /** How many arguments there may be. */
  readonly words: { readonly min: number; readonly max: number };
}

export type Command =
  /** Asks the servers: refused without a session. */
  | (CommandForm & {
      readonly kind: 'session';
      readonly run: (typed: Arguments, access: SessionAccess) => Promise<Answer>;
    })
  /** Concerns the shell itself. */
  | (CommandForm & {
      readonly kind: 'shell';
      readonly run: (typed: Arguments, access: ShellAccess) => Promise<Answer>;
    });

/** By the names that are typed. */
export type Commands = Readonly<Record<string, Command>>;

/** The first argument of a command that can't do without one. */
export function firstWord({ words }: Arguments): string {
  const [word] = words;
  if (word === undefined) throw new CommandError('an argument is missing');
  return word;
}

/** The value of `-v`, or undefined for any version. */
export function versionFlag({ flags }: Arguments): number | undefined {
  const value = flags.get('v');
  return value === undefined ? undefined : wholeNumber(value, '-v argument must be an int value');
}

/** @throws CommandError with `complaint` for what is no whole number that a double holds */
export function wholeNumber(text: string, complaint: string): number {
  const value = Number(text);
  if (!/^[+-]?\d+$/.test(text) || !Number.isSafeInteger(value)) throw new CommandError(complaint);
  return value;
}
