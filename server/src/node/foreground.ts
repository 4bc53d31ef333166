import { PeerPortError } from '../agreement.ts';
import { ConfigError, type ServerConfigOptions } from '../config.ts';
import { StorageError } from '../storage/storage-error.ts';
import type { ParsedZooCfg } from '../zoo-cfg.ts';
import { AdminServerError } from './admin-http.ts';
import { SERVING } from './daemon.ts';
import { ExitCode } from './exit-code.ts';
import { TextRunLog } from './run-log.ts';
import { readZooCfg } from './zoo-cfg-file.ts';
import { ZooKeeperServer } from './zookeeper-server.ts';

/** What the server runs with when it is given no file. */
const WITHOUT_FILE: ServerConfigOptions = { dataDir: 'zookeeper-data', clientPort: 2181 };

/** Serves until the process is asked to end, or the server fails. @returns the exit code */
export async function startForeground(file: string | undefined): Promise<number> {
  const zooCfg = file === undefined ? undefined : await readZooCfg(file);
  const config = zooCfg?.config;
  const myid = config?.ensemble === undefined ? undefined : config.serverId;
  const runLog = new TextRunLog({ myid, output: process.stderr });
  for (const warning of zooCfg?.warnings ?? []) runLog.warn(warning);
  let server: ZooKeeperServer;
  try {
    server = await ZooKeeperServer.start({ ...(config ?? WITHOUT_FILE), runLog });
  } catch (error) {
    console.error(placed(error, zooCfg));
    return exitCodeOf(error);
  }
  tellStarter();
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

/** A server in the background has a starter that waits for it. */
function tellStarter(): void {
  if (process.send === undefined) return;
  process.send(SERVING, () => {
    if (process.connected) process.disconnect();
  });
}

/** Resolves when the process is asked to end. */
const interrupted = (): Promise<undefined> =>
  new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(undefined));
  });

/** The line of zoo.cfg that a start failed on, in front of the reason. */
function placed(error: unknown, zooCfg: ParsedZooCfg | undefined): string {
  const key = keyOf(error, zooCfg);
  const place = zooCfg?.places.get(key);
  return place === undefined ? messageOf(error) : `${place}: ${key}: ${messageOf(error)}`;
}

function keyOf(error: unknown, zooCfg: ParsedZooCfg | undefined): string {
  if (error instanceof AdminServerError) return error.key;
  if (error instanceof PeerPortError) return `server.${error.server}`;
  if (!(error instanceof StorageError)) return 'clientPort';
  return zooCfg?.places.has('dataLogDir') ? 'dataLogDir' : 'dataDir';
}

function exitCodeOf(error: unknown): number {
  if (error instanceof StorageError) return ExitCode.DATA_FOLDER;
  if (error instanceof AdminServerError) return ExitCode.ADMIN_SERVER;
  return error instanceof ConfigError ? ExitCode.BAD_INVOCATION : ExitCode.FAILED;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
