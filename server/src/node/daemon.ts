import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ExitCode } from './exit-code.ts';
import { FOREGROUND, isServerRunning } from './pid-file.ts';
import { outputFile, pidFileOf, readZooCfg } from './zoo-cfg-file.ts';

/**
 * A server in the background: `zkserver start` and `stop`, with the messages of `zkServer.sh`. A pid file in the data folder
 * says which process it is; its run log goes to `zookeeper.out`.
 */

/** What the server in the background tells its starter, once clients can connect. */
export const SERVING = 'serving';

/** Where this command is: what a server in the background is started with. */
const program = (): string => process.argv[1] ?? '';

/** The program and its arguments for a server in the foreground. */
const foreground = (file: string): string[] => [...process.execArgv, program(), FOREGROUND, file];

/** Starts a server and waits until it serves. @returns the exit code */
export async function start(file: string): Promise<number> {
  const zooCfg = await readZooCfg(file);
  const pidFile = pidFileOf(zooCfg);
  const { dataDir, createsFolders } = zooCfg.config;
  if (!createsFolders && !existsSync(dataDir)) {
    console.error(`ZooKeeper data directory is missing at ${dataDir}: fix the path, or allow datadir.autocreate`);
    return ExitCode.DATA_FOLDER;
  }
  process.stdout.write('Starting zookeeper ... ');
  const running = pidFile.read();
  if (running !== undefined && isServerRunning(running)) {
    console.log(`already running as process ${running}.`);
    return ExitCode.FAILED;
  }
  mkdirSync(dirname(pidFile.path), { recursive: true });
  const output = outputFile();
  mkdirSync(dirname(output), { recursive: true });
  const outputStart = existsSync(output) ? statSync(output).size : 0;
  const descriptor = openSync(output, 'a');
  const child = spawn(process.execPath, foreground(file), {
    detached: true,
    stdio: ['ignore', descriptor, descriptor, 'ipc'],
  });
  closeSync(descriptor);
  try {
    if (child.pid === undefined) throw new Error('FAILED TO START');
    pidFile.write(child.pid);
    const outcome = await Promise.race([once(child, 'message'), once(child, 'exit').then(() => undefined)]);
    if (outcome?.[0] === SERVING) {
      console.log('STARTED');
      return ExitCode.OK;
    }
  } finally {
    // From here on it is on its own.
    if (child.connected) child.disconnect();
    child.unref();
  }
  pidFile.remove();
  console.log('FAILED TO START');
  console.error(readFileSync(output).subarray(outputStart).toString().trimEnd());
  return child.exitCode ?? ExitCode.FAILED;
}

/** How long a server may take to make everything durable. */
const STOP_MS = 60_000;

/** Asks the server to stop and waits until it has. @returns the exit code */
export async function stop(file: string): Promise<number> {
  const pidFile = pidFileOf(await readZooCfg(file));
  process.stdout.write('Stopping zookeeper ... ');
  const pid = pidFile.read();
  if (pid === undefined) {
    console.log(`no zookeeper to stop (could not find file ${pidFile.path})`);
    return ExitCode.OK;
  }
  if (isServerRunning(pid)) {
    process.kill(pid, 'SIGTERM');
    const end = performance.now() + STOP_MS;
    while (isServerRunning(pid)) {
      if (performance.now() > end) {
        console.log(`process ${pid} is still running`);
        return ExitCode.FAILED;
      }
      await sleep(20);
    }
  }
  pidFile.remove();
  console.log('STOPPED');
  return ExitCode.OK;
}

/** Prints what `start` runs. */
export async function printCommand(file: string): Promise<number> {
  await readZooCfg(file);
  const words = [process.execPath, ...foreground(file)].map((word) => `"${word}"`).join(' ');
  console.log(`${words} >> "${outputFile()}" 2>&1 < /dev/null`);
  return ExitCode.OK;
}
