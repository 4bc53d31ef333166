import { readFileSync, rmSync, writeFileSync } from 'node:fs';

/**
 * The file that says which process serves a data folder: `zookeeper_server.pid` in it, a number without an end of line, as
 * `zkServer.sh` writes it. It may be left over from a process that died; then its number may be another's by now.
 */
export class PidFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** The number in it; undefined if there is no such file. @throws Error for anything else than a number */
  read(): number | undefined {
    let text: string;
    try {
      text = readFileSync(this.path, 'utf8').trim();
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
    if (!/^[1-9]\d*$/.test(text)) throw new Error(`${this.path} holds no process id`);
    return Number(text);
  }

  write(pid: number): void {
    writeFileSync(this.path, String(pid));
  }

  remove(): void {
    rmSync(this.path, { force: true });
  }
}

/** Whether a process with this number runs, and is a server of ours as far as the system tells. */
export function isServerRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // One of another user may not be signalled, but runs.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  let command: string;
  try {
    command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    // A system without /proc: the number is all there is to go by, as in the original.
    return true;
  }
  return command.split('\0').includes(FOREGROUND);
}

/** The word of the command line by which a server is known. */
export const FOREGROUND = 'start-foreground';
