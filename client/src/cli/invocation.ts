/**
 * The words behind `zkcli` (the original's `MyCommandOptions`): its own options, then a command, if only one is to be done. An option that
 * there isn't is refused; the original leaves it out without a word.
 */
import { InvalidConnectStringError } from '../errors.ts';
import { parseConnectString } from '../session/connect-string.ts';

export interface ShellOptions {
  readonly connectString: string;
  /** The session timeout to ask for, and how long `-waitforconnection` waits, ms. */
  readonly timeoutMs: number;
  readonly canBeReadOnly: boolean;
  /** A command is not begun before there is a connection. */
  readonly waitsForConnection: boolean;
}

export type Invocation =
  /** With a command: that alone. Without: what is typed. */
  | {
      readonly kind: 'shell';
      readonly options: ShellOptions;
      readonly json: boolean;
      readonly command: readonly string[];
    }
  | { readonly kind: 'help' }
  | { readonly kind: 'refused'; readonly problem: string };

export function parseInvocation(words: readonly string[]): Invocation {
  let connectString = 'localhost:2181';
  let timeoutMs = 30_000;
  let canBeReadOnly = false;
  let waitsForConnection = false;
  let json = false;
  let at = 0;
  for (; at < words.length; at++) {
    const option = words[at] ?? '';
    if (!option.startsWith('-')) break;
    switch (option) {
      case '-server': {
        const value = words[++at];
        if (value === undefined) return withoutValue(option);
        const problem = problemOf(value);
        if (problem !== undefined) return { kind: 'refused', problem };
        connectString = value;
        break;
      }
      case '-timeout': {
        const value = words[++at];
        if (value === undefined) return withoutValue(option);
        timeoutMs = /^\d+$/.test(value) ? Number(value) : 0;
        if (timeoutMs < 1 || timeoutMs > 0x7fff_ffff) {
          return { kind: 'refused', problem: `-timeout: ${value} is not a number of milliseconds` };
        }
        break;
      }
      case '-r':
        canBeReadOnly = true;
        break;
      case '-waitforconnection':
        waitsForConnection = true;
        break;
      case '--json':
        json = true;
        break;
      case '-h':
      case '-help':
      case '--help':
        return { kind: 'help' };
      case '-client-configuration':
        return {
          kind: 'refused',
          problem:
            '-client-configuration: a file of Java properties means nothing to this client; TLS and SASL are not offered',
        };
      default:
        return { kind: 'refused', problem: `unknown option: ${option}` };
    }
  }
  const options = { connectString, timeoutMs, canBeReadOnly, waitsForConnection };
  return { kind: 'shell', options, json, command: words.slice(at) };
}

const withoutValue = (option: string): Invocation => ({
  kind: 'refused',
  problem: `Error: no argument found for option ${option}`,
});

function problemOf(connectString: string): string | undefined {
  try {
    parseConnectString(connectString);
    return undefined;
  } catch (error) {
    if (error instanceof InvalidConnectStringError) return error.message;
    throw error;
  }
}
