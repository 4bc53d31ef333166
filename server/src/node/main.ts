import { readFile } from 'node:fs/promises';
import {
  ConfigError,
  type ParsedZooCfg,
  parseZooCfg,
  propertiesOfJvmFlags,
  type ServerConfigOptions,
} from '../config.ts';
import { StorageError } from '../storage/storage-error.ts';
import { TextRunLog } from './run-log.ts';
import { ZooKeeperServer } from './zookeeper-server.ts';

/**
 * The command `zkserver`, with the words of the original's `zkServer.sh`. What can't be done is told in one line on stderr,
 * and ends with an exit code other than 0.
 */

const USAGE = `usage: zkserver start-foreground [zoo.cfg]
  Serves until it is interrupted. Without a file: port 2181, data in ./zookeeper-data.
  Java properties of the original may stand in the file, or in JVMFLAGS as -Dname=value.`;

/** The original's exit codes. */
const ExitCode = { OK: 0, FAILED: 1, BAD_INVOCATION: 2, DATA_FOLDER: 3 } as const;

/** What the server runs with when it is given no file. */
const WITHOUT_FILE: ServerConfigOptions = { dataDir: 'zookeeper-data', clientPort: 2181 };

/** Runs a command. @returns the exit code */
export async function main(words: readonly string[]): Promise<number> {
  const [command, file, ...rest] = words;
  if (command === 'start-foreground' && rest.length === 0) return startForeground(file);
  if (command !== undefined && ['start', 'stop', 'restart', 'status', 'print-cmd'].includes(command)) {
    console.error(`zkserver ${command} is not there yet; start-foreground is`);
  } else {
    console.error(USAGE);
  }
  return ExitCode.BAD_INVOCATION;
}

async function startForeground(file: string | undefined): Promise<number> {
  const runLog = new TextRunLog({ output: process.stderr });
  let zooCfg: ParsedZooCfg | undefined;
  try {
    zooCfg = file === undefined ? undefined : await readZooCfg(file);
  } catch (error) {
    console.error(messageOf(error));
    return ExitCode.BAD_INVOCATION;
  }
  for (const warning of zooCfg?.warnings ?? []) runLog.warn(warning);
  let server: ZooKeeperServer;
  try {
    server = await ZooKeeperServer.start({ ...(zooCfg?.config ?? WITHOUT_FILE), runLog });
  } catch (error) {
    console.error(placed(error, zooCfg));
    return isAboutDataFolder(error) ? ExitCode.DATA_FOLDER : ExitCode.FAILED;
  }
  const failure = await Promise.race([server.failed, interrupted()]);
  try {
    await server.close();
  } catch (error) {
    console.error(messageOf(error));
    return ExitCode.FAILED;
  }
  if (failure === undefined) runLog.info('stopped');
  return failure === undefined ? ExitCode.OK : ExitCode.FAILED;
}

async function readZooCfg(file: string): Promise<ParsedZooCfg> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new ConfigError(`${file}: ${messageOf(cause)}`, { cause });
  }
  return parseZooCfg(text, { file, properties: propertiesOfJvmFlags(process.env.JVMFLAGS ?? '') });
}

/** Resolves when the process is asked to end. */
const interrupted = (): Promise<undefined> =>
  new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(undefined));
  });

/** The line of zoo.cfg that a start failed on, in front of the reason. */
function placed(error: unknown, zooCfg: ParsedZooCfg | undefined): string {
  const key = isAboutDataFolder(error) ? folderKey(zooCfg) : 'clientPort';
  const place = zooCfg?.places.get(key);
  return place === undefined ? messageOf(error) : `${place}: ${key}: ${messageOf(error)}`;
}

const folderKey = (zooCfg: ParsedZooCfg | undefined): string =>
  zooCfg?.places.has('dataLogDir') ? 'dataLogDir' : 'dataDir';

const isAboutDataFolder = (error: unknown): boolean => error instanceof StorageError;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
