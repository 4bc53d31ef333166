import { toHex, type Zxid } from 'zookeeper-protocol-ts';

/**
 * The administrator's words: four plain characters as the first bytes of a connection, answered with text (the original's
 * `FourLetterCommands`). A word is executed only if it is in `4lw.commands.whitelist`.
 */

export const FOUR_LETTER_WORD_BYTES = 4;

/** The version that this server behaves as, and its own. Tools read the number in front. */
export const VERSION = '3.8.0-curator-ts-0.1.0';

/** All words of the original: any other four bytes are the length of a frame. */
const KNOWN: ReadonlySet<string> = new Set([
  ...['conf', 'cons', 'crst', 'dirs', 'dump', 'envi', 'gtmk', 'hash', 'isro'],
  ...['mntr', 'ruok', 'srst', 'srvr', 'stat', 'stmk', 'wchc', 'wchp', 'wchs'],
]);

/** The word that a connection starts with, or undefined if these bytes are not, or not yet, one. */
export function fourLetterWordIn(start: Buffer | undefined): string | undefined {
  const word = start?.toString('latin1');
  return word !== undefined && KNOWN.has(word) ? word : undefined;
}

/** What `srvr` tells. Latencies in ms. */
export interface ServerFigures {
  readonly latency: { readonly min: number; readonly average: number; readonly max: number };
  readonly received: number;
  readonly sent: number;
  readonly connections: number;
  readonly outstanding: number;
  readonly lastZxid: Zxid;
  readonly mode: string;
  readonly nodeCount: number;
}

/**
 * The answer to a known word, a clear refusal of one that is not in the whitelist, or of one that isn't there yet.
 */
export function answerFourLetterWord(word: string, whitelist: ReadonlySet<string>, figures: ServerFigures): string {
  if (!whitelist.has(word) && !whitelist.has('*')) {
    return `${word} is not executed because it is not in the whitelist.\n`;
  }
  switch (word) {
    case 'ruok':
      return 'imok';
    case 'isro':
      return 'rw';
    case 'srvr':
      return srvr(figures);
    default:
      return `${word} is not supported by this server yet.\n`;
  }
}

const srvr = ({
  latency,
  received,
  sent,
  connections,
  outstanding,
  lastZxid,
  mode,
  nodeCount,
}: ServerFigures): string =>
  [
    `Zookeeper version: ${VERSION}, built on 2026-11-23 00:00 UTC`,
    `Latency min/avg/max: ${latency.min}/${Number(latency.average.toFixed(4))}/${latency.max}`,
    `Received: ${received}`,
    `Sent: ${sent}`,
    `Connections: ${connections}`,
    `Outstanding: ${outstanding}`,
    `Zxid: ${toHex(lastZxid)}`,
    `Mode: ${mode}`,
    `Node count: ${nodeCount}`,
    '',
  ].join('\n');
