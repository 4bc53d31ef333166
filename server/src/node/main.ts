import { FULL_VERSION } from '../admin/version.ts';
import { ConfigError } from '../config.ts';
import { printCommand, start, stop } from './daemon.ts';
import { ExitCode } from './exit-code.ts';
import { startForeground } from './foreground.ts';
import { status } from './status.ts';

/**
 * The command `zkserver`, with the words of the original's `zkServer.sh`. What can't be done is told in one line on stderr,
 * and ends with an exit code other than 0.
 */

const USAGE = `usage: zkserver {start|start-foreground|stop|restart|status|print-cmd|version} [zoo.cfg]
  start-foreground  serves until it is interrupted; without a file: port 2181, data in ./zookeeper-data
  start             the same in the background: run log in zookeeper.out, pid file in the data folder
  stop, restart     ask the server that start has started to end, and wait for it
  status            asks the server for its mode
  print-cmd         prints what start runs
  Java properties of the original may stand in the file, or in JVMFLAGS as -Dname=value. The run log goes to ZOO_LOG_DIR, or
  to the working folder; ZOOPIDFILE names another pid file.`;

/** Runs a command. @returns the exit code */
export async function main(words: readonly string[]): Promise<number> {
  const [command, file, ...rest] = words;
  try {
    if (rest.length === 0 && command === 'start-foreground') return await startForeground(file);
    if (rest.length === 0 && command === 'version') {
      console.log(`Apache ZooKeeper, version ${FULL_VERSION}`);
      return ExitCode.OK;
    }
    const run = command === undefined ? undefined : ON_A_FILE.get(command);
    if (run !== undefined && file !== undefined && rest.length === 0) {
      console.error(`Using config: ${file}`);
      return await run(file);
    }
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return error instanceof ConfigError ? ExitCode.BAD_INVOCATION : ExitCode.FAILED;
  }
  console.error(USAGE);
  return ExitCode.BAD_INVOCATION;
}

async function restart(file: string): Promise<number> {
  const stopped = await stop(file);
  return stopped === ExitCode.OK ? start(file) : stopped;
}

/** Commands that need a zoo.cfg. */
const ON_A_FILE: ReadonlyMap<string, (file: string) => Promise<number>> = new Map([
  ['start', start],
  ['stop', stop],
  ['restart', restart],
  ['status', status],
  ['print-cmd', printCommand],
]);
