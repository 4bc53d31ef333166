/**
 * An ensemble on this machine, every server of it a process: ours (what `npm run build` made), or an Apache ZooKeeper where the caller
 * says how one is run. Both read the same zoo.cfg and the same folders, so a member may change from one to the other.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { GuardedProcess } from './guarded-process.fixture.ts';

const command = fileURLToPath(new URL('../../server/bin/zkserver.js', import.meta.url));

/** How a server is run from its zoo.cfg. */
export type Runner = (zooCfg: string) => readonly string[];

export const ours: Runner = (zooCfg) => [process.execPath, command, 'start-foreground', zooCfg];

export interface EnsembleOptions {
  /** Server 1, server 2, and so on. */
  readonly runners: readonly Runner[];
  /** The numbers of those who don't vote. */
  readonly observers?: readonly number[];
  /** The lines of zoo.cfg that all of them have. By default the ticks are short: sessions from 400 ms to 20 s. */
  readonly settings?: readonly string[];
  /** Their addresses, where they are not all on the loopback. */
  readonly hosts?: readonly string[];
}

/** What {@link EnsembleOptions.settings} are by default. */
const SETTINGS = ['tickTime=200', 'initLimit=50', 'syncLimit=10', 'maxSessionTimeout=20000'];
/** The default ones, with these instead or besides. */
export const settingsWith = (...lines: readonly string[]): readonly string[] => {
  const keyOf = (line: string): string | undefined => line.split('=')[0];
  return [...SETTINGS.filter((line) => !lines.some((other) => keyOf(other) === keyOf(line))), ...lines];
};

const LOOPBACK = '127.0.0.1';
const FOR_TESTS = [
  'maxClientCnxns=0',
  'admin.enableServer=false',
  '4lw.commands.whitelist=*',
  'extendedTypesEnabled=true',
];

/** One server of an ensemble, over all its restarts. */
export class EnsembleMember {
  readonly id: number;
  readonly host: string;
  readonly clientPort: number;
  readonly quorumPort: number;
  readonly electionPort: number;
  /** `zoo.cfg`, the output and the data are in it. */
  readonly folder: string;
  #process: GuardedProcess | undefined;

  constructor(
    { id, host, folder }: Pick<EnsembleMember, 'id' | 'host' | 'folder'>,
    [clientPort, quorumPort, electionPort]: readonly [number, number, number],
  ) {
    this.id = id;
    this.host = host;
    this.folder = folder;
    this.clientPort = clientPort;
    this.quorumPort = quorumPort;
    this.electionPort = electionPort;
  }

  get connectString(): string {
    return `${this.host}:${this.clientPort}`;
  }

  get isRunning(): boolean {
    return this.#process !== undefined && !this.#process.hasExited;
  }

  get pid(): number {
    return this.#started.pid;
  }

  /** Its exit code, when it ends. */
  get exited(): Promise<number> {
    return this.#started.exited;
  }

  get #started(): GuardedProcess {
    if (this.#process === undefined) throw new Error(`server ${this.id} was not started`);
    return this.#process;
  }

  /** Starts the process; it serves when it has found a leader. */
  async start(runner: Runner): Promise<void> {
    await this.stop();
    this.#process = await GuardedProcess.start(runner(join(this.folder, 'zoo.cfg')), join(this.folder, 'output'));
  }

  async stop(): Promise<void> {
    await this.#process?.end('SIGTERM');
  }

  /** Lets it crash: it leaves behind what it had written. */
  async kill(): Promise<void> {
    await this.#process?.end('SIGKILL');
  }

  /** Freezes it: connections stay, nothing is answered. */
  pause(): void {
    this.#process?.signal('SIGSTOP');
  }

  resume(): void {
    this.#process?.signal('SIGCONT');
  }

  /** What it has printed in all its lives. */
  output(): Promise<string> {
    return readFile(join(this.folder, 'output'), 'utf8');
  }

  /** Sends a four-letter word. @returns the answer, or why there is none */
  async ask(word: string): Promise<string> {
    const socket = connect({ host: this.host, port: this.clientPort });
    socket.setTimeout(2000, () => socket.destroy(new Error(`no answer to ${word}`)));
    socket.end(word);
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of socket) chunks.push(chunk as Buffer);
    } catch (error) {
      return String(error);
    }
    return Buffer.concat(chunks).toString();
  }

  /** As `srvr` says it: leader, follower, observer; `none` while it serves nobody. */
  async mode(): Promise<string> {
    return /Mode: (\w+)/.exec(await this.ask('srvr'))?.[1] ?? 'none';
  }

  /** A number of `mntr`. */
  async monitored(name: string): Promise<number> {
    return Number(new RegExp(`^zk_${name}\\s+(\\S+)$`, 'm').exec(await this.ask('mntr'))?.[1]);
  }
}

export class EnsembleOfProcesses implements AsyncDisposable {
  readonly members: readonly EnsembleMember[];
  readonly #folder: string;
  readonly #options: EnsembleOptions;

  private constructor(folder: string, members: readonly EnsembleMember[], options: EnsembleOptions) {
    this.#folder = folder;
    this.members = members;
    this.#options = options;
  }

  /** Writes files and folders; nothing runs yet. */
  static async prepare(options: EnsembleOptions): Promise<EnsembleOfProcesses> {
    const folder = await mkdtemp(join(tmpdir(), 'ensemble-'));
    const ports = await freePorts(options.runners.length * 3);
    const members = options.runners.map((_, index) => {
      const [client = 0, quorum = 0, election = 0] = ports.slice(index * 3);
      const id = index + 1;
      const host = options.hosts?.[index] ?? LOOPBACK;
      return new EnsembleMember({ id, host, folder: join(folder, String(id)) }, [client, quorum, election]);
    });
    const ensemble = new EnsembleOfProcesses(folder, members, options);
    for (const member of members) await ensemble.#configure(member);
    return ensemble;
  }

  /** @returns when all of them serve */
  static async start(options: EnsembleOptions): Promise<EnsembleOfProcesses> {
    const ensemble = await EnsembleOfProcesses.prepare(options);
    try {
      await ensemble.startAll();
    } catch (error) {
      await ensemble.stop();
      throw error;
    }
    return ensemble;
  }

  async #configure(member: EnsembleMember): Promise<void> {
    const dataDir = join(member.folder, 'data');
    await mkdir(dataDir, { recursive: true });
    await writeFile(join(dataDir, 'myid'), `${member.id}\n`);
    const { settings = SETTINGS, observers = [] } = this.#options;
    const lines = [
      ...settings,
      ...FOR_TESTS,
      ...(settings.some((line) => line.startsWith('dataDir=')) ? [] : ['dataDir=data']),
      `clientPortAddress=${member.host}`,
      `clientPort=${member.clientPort}`,
      ...(observers.includes(member.id) ? ['peerType=observer'] : []),
      ...this.memberLines,
    ].map((line) => line.replace(/^(data(?:Log)?Dir)=/, `$1=${member.folder}/`));
    await writeFile(join(member.folder, 'zoo.cfg'), `${lines.join('\n')}\n`);
  }

  /** The lines `server.N`. */
  get memberLines(): readonly string[] {
    const { observers = [] } = this.#options;
    return this.members.map(({ id, host, quorumPort, electionPort }) => {
      const role = observers.includes(id) ? ':observer' : '';
      return `server.${id}=${host}:${quorumPort}:${electionPort}${role}`;
    });
  }

  get connectString(): string {
    return this.members.map((member) => member.connectString).join(',');
  }

  member(id: number): EnsembleMember {
    const member = this.members[id - 1];
    if (member === undefined) throw new Error(`there is no server ${id}`);
    return member;
  }

  runnerOf({ id }: EnsembleMember): Runner {
    return this.#options.runners[id - 1] ?? ours;
  }

  /** Starts a member as it was planned, or with another runner. */
  async restart(member: EnsembleMember, runner: Runner = this.runnerOf(member)): Promise<void> {
    await member.start(runner);
  }

  /** Starts those that don't run. @returns when all serve */
  async startAll(): Promise<void> {
    await Promise.all(this.members.filter(({ isRunning }) => !isRunning).map((member) => this.restart(member)));
    await this.untilServing();
  }

  /** Waits until each of these serves; by default all of them. */
  async untilServing(members: readonly EnsembleMember[] = this.members): Promise<void> {
    const isServed = async () => !(await Promise.all(members.map((member) => member.mode()))).includes('none');
    if (await comesTrue(isServed)) return;
    const outputs = await Promise.all(members.map((member) => member.output()));
    const ends = outputs.map((output, index) => `server ${members[index]?.id}:\n${output.slice(-1500)}`);
    throw new Error(`not all of them serve; they say at last:\n${ends.join('\n')}`);
  }

  /** Waits for a leader among those that run. */
  async leader(): Promise<EnsembleMember> {
    let found: EnsembleMember | undefined;
    await comesTrue(async () => {
      for (const member of this.members) if ((await member.mode()) === 'leader') found = member;
      return found !== undefined;
    });
    if (found === undefined) throw new Error('there is no leader');
    return found;
  }

  others(...without: readonly EnsembleMember[]): EnsembleMember[] {
    return this.members.filter((member) => !without.includes(member));
  }

  /** Ends all of them; their folders stay. */
  async stopAll(): Promise<void> {
    await Promise.all(this.members.map((member) => member.stop()));
  }

  /** Ends all of them, and removes the folders. May be called again. */
  async stop(): Promise<void> {
    await this.stopAll();
    await rm(this.#folder, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** How long an ensemble may take to find a leader, on a machine that has much to do. */
const PATIENCE_MS = 40_000;

/** @returns false if it doesn't come true in {@link PATIENCE_MS} */
async function comesTrue(condition: () => Promise<boolean>): Promise<boolean> {
  const end = performance.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (performance.now() > end) return false;
    await sleep(50);
  }
  return true;
}

/** Below the ports that the system gives to whoever asks for any: they must be free again after a restart. */
const PORTS = { first: 12_000, last: 32_000 } as const;

/** Ports of the loopback that nobody listened on just now. */
export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) {
    const port = PORTS.first + Math.floor(Math.random() * (PORTS.last - PORTS.first));
    if (!found.includes(port) && (await isFree(port))) found.push(port);
  }
  return found;
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, LOOPBACK, () => probe.close(() => resolve(true)));
  });
