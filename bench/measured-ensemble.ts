/** An ensemble that is measured: three servers of one make on the loopback, each in a process and a folder of its own. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LoadTarget } from './load-program.ts';
import { ask, launch, type Make, usageOf } from './servers.ts';

const IDS = [1, 2, 3];
/** Below those that the system gives to whoever asks for any: a server that was killed must find its ports free. */
const PORTS = { first: 12_000, last: 32_000 };
/** How long a server may take to serve. */
const PATIENCE_MS = 60_000;

/** One server, over all its restarts. */
class Member {
  readonly id: number;
  readonly clientPort: number;
  readonly #make: Make;
  readonly #zooCfg: string;
  #process: ChildProcess | undefined;

  constructor(make: Make, id: number, clientPort: number, zooCfg: string) {
    this.#make = make;
    this.id = id;
    this.clientPort = clientPort;
    this.#zooCfg = zooCfg;
  }

  get host(): string {
    return `127.0.0.1:${this.clientPort}`;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  start(): void {
    this.#process = launch(this.#make, this.#zooCfg, { heapMax: '1g' });
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  /** As `srvr` says it; undefined while it serves nobody. */
  async mode(): Promise<string | undefined> {
    return /Mode: (\w+)/.exec((await ask(this.clientPort, 'srvr')) ?? '')?.[1];
  }

  /** @returns when it serves */
  async untilServing(): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while ((await this.mode()) === undefined) {
      if (this.#process?.exitCode !== null) throw new Error(`server ${this.id} of ${this.#make} has ended`);
      if (performance.now() > deadline) throw new Error(`server ${this.id} of ${this.#make} does not serve`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

export class MeasuredEnsemble implements AsyncDisposable {
  readonly make: Make;
  readonly #folder: string;
  readonly #members: readonly Member[];

  private constructor(make: Make, folder: string, members: readonly Member[]) {
    this.make = make;
    this.#folder = folder;
    this.#members = members;
  }

  /** @returns when all of them serve */
  static async start(make: Make, { tickTimeMs = 2000 } = {}): Promise<MeasuredEnsemble> {
    const folder = await mkdtemp(join(tmpdir(), 'bench-ensemble-'));
    const ports = await freePorts(IDS.length * 3);
    const lines = IDS.map((id, i) => `server.${id}=127.0.0.1:${ports[3 * i + 1]}:${ports[3 * i + 2]}`);
    const members = IDS.map((id, i) => new Member(make, id, ports[3 * i] ?? 0, join(folder, `zoo-${id}.cfg`)));
    for (const { id, clientPort } of members) {
      const dataDir = join(folder, String(id));
      await mkdir(dataDir);
      await writeFile(join(dataDir, 'myid'), String(id));
      const settings = [
        ...[`tickTime=${tickTimeMs}`, 'initLimit=10', 'syncLimit=5', `dataDir=${dataDir}`],
        ...[`clientPort=${clientPort}`, 'clientPortAddress=127.0.0.1', 'maxClientCnxns=0'],
        ...['4lw.commands.whitelist=srvr,mntr', 'admin.enableServer=false'],
      ];
      await writeFile(join(folder, `zoo-${id}.cfg`), `${[...settings, ...lines].join('\n')}\n`);
    }
    const ensemble = new MeasuredEnsemble(make, folder, members);
    for (const member of members) member.start();
    await ensemble.untilServing();
    return ensemble;
  }

  /** All of them; the first one, which a single connection goes to, is a follower. */
  async target(): Promise<LoadTarget> {
    const leader = await this.leader();
    return this.#targetOf([...this.#members.filter((member) => member !== leader), leader]);
  }

  /** Without one of them, which doesn't run. */
  targetWithout(gone: Member): LoadTarget {
    return this.#targetOf(this.#members.filter((member) => member !== gone));
  }

  async leader(): Promise<Member> {
    for (const member of this.#members) if ((await member.mode()) === 'leader') return member;
    throw new Error(`the ensemble of ${this.make} has no leader`);
  }

  async follower(): Promise<Member> {
    for (const member of this.#members) if ((await member.mode()) === 'follower') return member;
    throw new Error(`the ensemble of ${this.make} has no follower`);
  }

  async untilServing(): Promise<void> {
    for (const member of this.#members) await member.untilServing();
  }

  /** Of one server, on average. */
  async residentMb(): Promise<number> {
    const usages = await Promise.all(this.#members.map(({ pid }) => usageOf(pid)));
    return usages.reduce((sum, { residentMb }) => sum + residentMb, 0) / usages.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#members.map((member) => member.kill()));
    await rm(this.#folder, { recursive: true, force: true });
  }

  #targetOf(members: readonly Member[]): LoadTarget {
    return { hosts: members.map(({ host }) => host).join(','), pids: members.map(({ pid }) => pid) };
  }
}

/** Ports of the loopback that nobody listened on just now. */
async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const port = PORTS.first + Math.floor(Math.random() * (PORTS.last - PORTS.first));
    if (await isFree(port)) found.add(port);
  }
  return [...found];
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
