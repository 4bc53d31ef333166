/**
 * Java Curator as the other side of a recipe: a program that runs one of its recipes and says what it does, line by line, as
 * `WORD EPOCH_MS details` (`cross-peer.sh` of the folder INTEROP_DIR, by default `../shared/interop` beside the repository).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** As `npm run build` made it. */
const ownPeer = fileURLToPath(new URL('../../examples/dist/peer/main.js', import.meta.url));
const interopDir = process.env.INTEROP_DIR ?? fileURLToPath(new URL('../../../shared/interop', import.meta.url));

export interface PeerLine {
  /** By the clock of this machine, ms. */
  readonly at: number;
  readonly details: string;
}

export class CrossPeer implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  /** @param args a command of `cross-peer.sh`: `new CrossPeer(connectString, 'lock', '/path', '-1')` */
  constructor(connectString: string, ...args: readonly string[]) {
    const [command = '', ...before] = this.command;
    this.#process = spawn(command, [...before, ...args], {
      env: { ...process.env, ZK_HOSTS: connectString },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const { stdout } = this.#process;
    if (stdout === null) throw new Error('it is a pipe');
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  /** What to run, with the arguments that come first. */
  protected get command(): readonly string[] {
    return [`${interopDir}/cross-peer.sh`];
  }

  /** Stops it for a while, as a long pause of its machine would; `SIGCONT` lets it go on. */
  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
    this.#process.kill(name);
  }

  /** The next line with that word; those before it are passed over. */
  async line(word: string): Promise<PeerLine> {
    for (let next = await this.#lines.next(); !next.done; next = await this.#lines.next()) {
      const [said, at, ...details] = next.value.split(' ');
      if (said === word) return { at: Number(at), details: details.join(' ') };
      if (said === 'ERROR' || said === 'TIMEOUT') throw new Error(next.value);
    }
    throw new Error(`the peer has ended without ${word}`);
  }

  /** Something for it to read; an empty line ends what it holds. */
  say(command = ''): void {
    this.#process.stdin?.write(`${command}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exited;
  }
}

/** The same program with our recipes (`examples/peer`). It also tells tokens, and what is lost. */
export class OwnPeer extends CrossPeer {
  protected override get command(): readonly string[] {
    return [process.execPath, ownPeer];
  }
}
