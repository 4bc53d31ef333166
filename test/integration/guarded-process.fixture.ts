/**
 * A server in a process of its own, for what can only happen to a process: it is killed, frozen, or runs into a limit of the system.
 *
 * It never outlives the test: a guard holds a pipe to this process, and kills the server when the pipe closes, however this process
 * ended.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Runs the command as a child, says its process id, and kills it when the pipe on descriptor 3 ends. */
const GUARD = `
  output=$1; shift
  "$@" </dev/null 3<&- >>"$output" 2>&1 & server=$!
  echo $server
  { cat >/dev/null; kill -9 $server; } <&3 >/dev/null 2>&1 & watcher=$!
  wait $server; code=$?
  kill $watcher
  exit $code
`;

export class GuardedProcess {
  readonly pid: number;
  /** The exit code, when it has ended; 128 + n if by signal n. */
  readonly exited: Promise<number>;
  #hasExited = false;

  private constructor(guard: ChildProcess, pid: number) {
    this.pid = pid;
    this.exited = once(guard, 'exit').then(([code]) => {
      this.#hasExited = true;
      for (const stream of guard.stdio) stream?.destroy();
      return Number(code);
    });
  }

  /** @param output the file that takes what the process prints, behind what is in it */
  static async start(command: readonly string[], output: string): Promise<GuardedProcess> {
    const guard = spawn('bash', ['-c', GUARD, 'guard', output, ...command], {
      // What goes wrong is in the output; the shell only says that the process was killed.
      stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
    });
    if (guard.stdout === null) throw new Error('the guard has no output');
    const [pid] = (await once(createInterface(guard.stdout), 'line')) as [string];
    return new GuardedProcess(guard, Number(pid));
  }

  get hasExited(): boolean {
    return this.#hasExited;
  }

  /** Sends a signal, unless it has ended. */
  signal(signal: NodeJS.Signals): void {
    if (this.#hasExited) return;
    try {
      process.kill(this.pid, signal);
    } catch (error) {
      // It has ended by itself: what the signal was for.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  /** Ends it; one that doesn't obey in {@link PATIENCE_MS} is killed. @returns the exit code */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number> {
    this.signal(signal);
    // A frozen process takes no other signal than SIGKILL before it goes on.
    this.signal('SIGCONT');
    const late = setTimeout(() => this.signal('SIGKILL'), PATIENCE_MS);
    const code = await this.exited;
    clearTimeout(late);
    return code;
  }
}

/** How long a process may take to end. */
const PATIENCE_MS = 20_000;
