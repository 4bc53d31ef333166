import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { JuteReader, MarshallingError, toHex, txn } from 'zookeeper-protocol-ts';
import { logsInOrder } from '../storage/log-replay.ts';
import { StorageError } from '../storage/storage-error.ts';
import { readTxnLog, type TxnLogEnd, type TxnLogEntry } from '../storage/txn-log-reader.ts';
import { OpenedFile } from './readable-file.ts';
import { txnLine } from './txn-line.ts';

/**
 * The command `zktxnlog`: shows what is in a transaction log, of this server or of the original, in the lines of the original's
 * `TxnLogToolkit`. It reads only.
 */

const USAGE = `usage: zktxnlog FILE [--verify | --follow]
  Prints the transactions of a log (version-2/log.*), one a line.
  --verify  prints one line only: how many transactions there are, and whether the file is sound
  --follow  goes on as the server writes, into the files behind this one, until it is interrupted`;

/** 0: sound; 1: damaged or not a log; 2: bad invocation. */
const ExitCode = { OK: 0, UNSOUND: 1, BAD_INVOCATION: 2 } as const;

/** How often a file is looked at that is followed. */
const FOLLOW_EVERY_MS = 200;

export interface ToolOutput {
  readonly print: (line: string) => void;
  readonly complain: (line: string) => void;
  /** Ends what would go on for ever. */
  readonly signal?: AbortSignal;
}

/** Runs the command. @returns the exit code */
export async function txnlogTool(words: readonly string[], output: ToolOutput): Promise<number> {
  const options = words.filter((word) => word.startsWith('--'));
  const [path, ...rest] = words.filter((word) => !word.startsWith('--'));
  const [option, ...moreOptions] = options;
  const isKnown = option === undefined || option === '--verify' || option === '--follow';
  if (path === undefined || rest.length > 0 || moreOptions.length > 0 || !isKnown) {
    output.complain(USAGE);
    return ExitCode.BAD_INVOCATION;
  }
  try {
    if (option === '--verify') return verify(path, output);
    if (option === '--follow') return await follow(path, output);
    return dump(path, output);
  } catch (error) {
    if (!isAboutFile(error)) throw error;
    output.complain(error.message);
    return ExitCode.UNSOUND;
  }
}

function dump(path: string, { print }: ToolOutput): number {
  print('ZooKeeper Transactional Log File with dbid 0 txnlog format version 2');
  const { count, end } = read(path, 0, (entry) => print(lineOf(entry)));
  if (end.kind === 'torn') print(`the remains of an unfinished write at byte ${end.offset}: ${end.problem}`);
  print(`EOF reached after ${count} txns.`);
  return ExitCode.OK;
}

function verify(path: string, { print }: ToolOutput): number {
  let first: TxnLogEntry['zxid'] | undefined;
  let last: TxnLogEntry['zxid'] | undefined;
  const { count, end } = read(path, 0, (entry) => {
    lineOf(entry);
    first ??= entry.zxid;
    last = entry.zxid;
  });
  const range = first === undefined || last === undefined ? '' : `, ${toHex(first)} to ${toHex(last)}`;
  const tail = end.kind === 'clean' ? 'sound' : `sound up to the remains of an unfinished write at byte ${end.offset}`;
  print(`${basename(path)}: ${count} transactions${range}: ${tail}`);
  return ExitCode.OK;
}

/** The end of a file that is being written may look torn: it is looked at again, from there. */
async function follow(path: string, output: ToolOutput): Promise<number> {
  let file = path;
  let from = 0;
  while (output.signal?.aborted !== true) {
    const next = nextLog(file);
    // The next file was there already, so this one is complete.
    const { end } = read(file, from, (entry) => output.print(lineOf(entry)));
    from = end.offset;
    if (next !== undefined) {
      file = next;
      from = 0;
      continue;
    }
    await sleep(FOLLOW_EVERY_MS);
  }
  return ExitCode.OK;
}

function nextLog(path: string): string | undefined {
  const logs = logsInOrder(readdirSync(dirname(path)));
  const at = logs.indexOf(basename(path));
  const next = at === -1 ? undefined : logs[at + 1];
  return next === undefined ? undefined : join(dirname(path), next);
}

function read(path: string, from: number, take: (entry: TxnLogEntry) => void): { count: number; end: TxnLogEnd } {
  using file = new OpenedFile(path);
  const entries = readTxnLog(file, path, { from });
  for (let count = 0; ; count++) {
    const next = entries.next();
    if (next.done === true) return { count, end: next.value };
    take(next.value);
  }
}

const lineOf = (entry: TxnLogEntry): string => txnLine(txn.read(new JuteReader(entry.bytes)));

const isAboutFile = (error: unknown): error is Error =>
  error instanceof StorageError || error instanceof MarshallingError || (error instanceof Error && 'syscall' in error);
