/**
 * A network of its own for each of some processes, with a switch between them that can be cut: Linux network namespaces. Each is held
 * by a process, so that nothing is left of them when that ends, however the test does.
 */
import { spawnSync } from 'node:child_process';
import { readlink } from 'node:fs/promises';
import { devNull } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { GuardedProcess } from './guarded-process.fixture.ts';

/** Why there can't be any here, or undefined: it takes Linux, the tools `ip`, `nsenter` and `unshare`, and a superuser. */
export function whyNoNamespaces(): string | undefined {
  const { error, status, stderr } = spawnSync('unshare', ['-n', 'ip', 'link', 'add', 'probe', 'type', 'bridge']);
  if (error !== undefined) return error.message;
  if (status !== 0) return stderr.toString().trim();
  return spawnSync('nsenter', ['--version']).error?.message;
}

export class NetworkNamespaces implements AsyncDisposable {
  /** The first is the switch's. */
  readonly #holders: readonly GuardedProcess[];
  readonly #subnet: string;

  private constructor(holders: readonly GuardedProcess[], subnet: string) {
    this.#holders = holders;
    this.#subnet = subnet;
  }

  static async make(count: number): Promise<NetworkNamespaces> {
    const hold = () => GuardedProcess.start(['unshare', '-n', 'sleep', 'infinity'], devNull);
    const holders = await Promise.all(Array.from({ length: count + 1 }, hold));
    // Of the addresses for benchmarks (RFC 2544), which nobody else uses.
    const subnet = `198.18.${process.pid % 256}`;
    const namespaces = new NetworkNamespaces(holders, subnet);
    try {
      await Promise.all(holders.map(untilApart));
      namespaces.#connect();
    } catch (error) {
      await namespaces.#release();
      throw error;
    }
    return namespaces;
  }

  /** The address of process 1, 2, and so on. */
  hostOf(id: number): string {
    return `${this.#subnet}.${id}`;
  }

  /** What stands in front of a command that is to run there. */
  prefixOf(id: number): readonly string[] {
    return ['nsenter', '-t', String(this.#holder(id).pid), '-n'];
  }

  /** Nothing goes to it or comes from it; nobody is told. */
  cut(id: number): void {
    this.#inSwitch('link', 'set', `port${id}`, 'down');
  }

  heal(id: number): void {
    this.#inSwitch('link', 'set', `port${id}`, 'up');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#release();
  }

  async #release(): Promise<void> {
    await Promise.all(this.#holders.map((holder) => holder.end('SIGKILL')));
  }

  #connect(): void {
    this.#inSwitch('link', 'add', 'switch', 'type', 'bridge');
    this.#inSwitch('link', 'set', 'switch', 'up');
    for (let id = 1; id < this.#holders.length; id++) {
      this.#plugIn(`port${id}`, 'eth0', this.#holder(id).pid);
      run([...this.prefixOf(id), 'ip', 'addr', 'add', `${this.hostOf(id)}/24`, 'dev', 'eth0']);
      run([...this.prefixOf(id), 'ip', 'link', 'set', 'eth0', 'up']);
      run([...this.prefixOf(id), 'ip', 'link', 'set', 'lo', 'up']);
    }
    // And this process, which talks to all of them.
    const own = `zk-test-${process.pid}`.slice(0, INTERFACE_NAME_MAX);
    this.#plugIn('port-test', own, process.pid);
    run(['ip', 'addr', 'add', `${this.#subnet}.254/24`, 'dev', own]);
    run(['ip', 'link', 'set', own, 'up']);
  }

  #plugIn(port: string, name: string, pid: number): void {
    this.#inSwitch('link', 'add', port, 'type', 'veth', 'peer', 'name', name, 'netns', String(pid));
    this.#inSwitch('link', 'set', port, 'master', 'switch', 'up');
  }

  #inSwitch(...words: readonly string[]): void {
    run([...this.prefixOf(0), 'ip', ...words]);
  }

  #holder(id: number): GuardedProcess {
    const holder = this.#holders[id];
    if (holder === undefined) throw new Error(`there is no namespace ${id}`);
    return holder;
  }
}

/** Until then it is a process on the network of this one. */
async function untilApart({ pid }: GuardedProcess): Promise<void> {
  const networkOf = (process: number | string): Promise<string> => readlink(`/proc/${process}/ns/net`);
  while ((await networkOf(pid)) === (await networkOf('self'))) await sleep(5);
}

const INTERFACE_NAME_MAX = 15;

function run([command = '', ...words]: readonly string[]): void {
  const { status, stderr } = spawnSync(command, words);
  if (status !== 0) throw new Error(`${command} ${words.join(' ')}: ${stderr.toString().trim()}`);
}
