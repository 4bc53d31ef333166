/**
 * The main job (`npm start`): a server of its own in its own process, three contenders for the role of master in theirs, and
 * one timeline of what happens. The leading process is killed: its session expires, and the next one takes over. That one
 * gives up by itself: the one behind it takes over at once. With CONNECT it all happens on an existing ZooKeeper ensemble; with
 * `--ensemble` on three servers of ours, whose leader is killed at the end: another one leads, and somebody is master again.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const TICK_MS = 500;
const SESSION_TIMEOUT_MS = 4000;
const HOLD_MS = 5000;
/** By then something hangs. */
const GIVE_UP_MS = 60_000;
const startedAt = performance.now();

const say = (who: string, what: string): void => {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(2).padStart(6);
  console.log(`${seconds} s  ${who.padEnd(8)} ${what}`);
};

const pathOf = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

/** A child process whose lines go into the timeline. */
class Player {
  readonly name: string;
  readonly process: ChildProcess;
  readonly #waiting: { pattern: RegExp; found: (line: string) => void }[] = [];
  readonly #lines: string[] = [];

  constructor(
    name: string,
    script: string,
    args: readonly string[],
    env: Record<string, string>,
    tell: (line: string) => string | undefined,
  ) {
    this.name = name;
    this.process = spawn(process.execPath, [script, ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const output of [this.process.stdout, this.process.stderr]) {
      if (output === null) continue;
      createInterface({ input: output }).on('line', (line) => {
        const told = tell(line);
        if (told !== undefined) say(name, told);
        this.#lines.push(line);
        for (const waiting of this.#waiting) if (waiting.pattern.test(line)) waiting.found(line);
      });
    }
  }

  get ended(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** The first line, also an earlier one, that matches; rejected when the process ends without it. */
  async line(pattern: RegExp): Promise<string> {
    const earlier = this.#lines.find((line) => pattern.test(line));
    return earlier ?? this.next(pattern);
  }

  /** The next line that matches; rejected when the process ends without it. */
  async next(pattern: RegExp): Promise<string> {
    return new Promise((found, failed) => {
      this.#waiting.push({ pattern, found });
      // Its last lines may still be on their way when it exits; `close` comes after them.
      this.process.once('close', () => failed(new Error(this.#lines.at(-1) ?? `${this.name} ended without a word`)));
    });
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.ended) return;
    const ended = once(this.process, 'exit');
    this.process.kill(signal);
    await ended;
  }
}

const players: Player[] = [];

async function startServer(folder: string): Promise<string> {
  const file = join(folder, 'zoo.cfg');
  await writeFile(
    file,
    `tickTime=${TICK_MS}\ndataDir=${join(folder, 'data')}\nclientPort=0\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n`,
  );
  const server = new Player(
    'server',
    pathOf('../../server/bin/zkserver.js'),
    ['start-foreground', file],
    {},
    (line) => /(serving on .*|session \S+ expires.*)$/.exec(line)?.[1],
  );
  players.push(server);
  const line = await server.line(/serving on \S+:\d+/);
  return /serving on (\S+:\d+)/.exec(line)?.[1] ?? '';
}

const ENSEMBLE = [1, 2, 3];
/** By then an ensemble has a leader, or something is wrong. */
const LEADER_WITHIN_MS = 15_000;

/** A port that nobody has; somebody may take it before it is used, but hardly. */
async function freePort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  listener.close();
  await once(listener, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Three servers, each in a process of its own; the first lines of each tell its role. */
class Ensemble {
  readonly #files: readonly string[];
  readonly #servers: Player[] = [];
  readonly connectString: string;

  private constructor(files: readonly string[], connectString: string) {
    this.#files = files;
    this.connectString = connectString;
  }

  static async start(folder: string): Promise<Ensemble> {
    const ports = await Promise.all(ENSEMBLE.map(() => Promise.all([freePort(), freePort(), freePort()])));
    const members = ports.map(([quorum, election], i) => `server.${i + 1}=127.0.0.1:${quorum}:${election}`);
    const files = await Promise.all(
      ENSEMBLE.map(async (id, i) => {
        const dataDir = join(folder, String(id));
        await mkdir(dataDir, { recursive: true });
        await writeFile(join(dataDir, 'myid'), String(id));
        const lines = [`tickTime=${TICK_MS}`, 'initLimit=10', 'syncLimit=4', `dataDir=${dataDir}`];
        lines.push(
          `clientPort=${ports[i]?.[2]}`,
          'clientPortAddress=127.0.0.1',
          'admin.enableServer=false',
          ...members,
        );
        const file = join(folder, `zoo-${id}.cfg`);
        await writeFile(file, `${lines.join('\n')}\n`);
        return file;
      }),
    );
    const ensemble = new Ensemble(files, ports.map(([, , client]) => `127.0.0.1:${client}`).join(','));
    for (const id of ENSEMBLE) ensemble.#start(id);
    await ensemble.leader();
    return ensemble;
  }

  /** The first that says it leads, of those that run. */
  async leader(): Promise<Player> {
    const running = this.#servers.filter((server) => !server.ended);
    const timer = new AbortController();
    const late = sleep(LEADER_WITHIN_MS, undefined, { signal: timer.signal }).then(() => {
      throw new Error(`no server leads within ${LEADER_WITHIN_MS} ms`);
    });
    try {
      return await Promise.race([late, ...running.map((server) => server.line(/is leader/).then(() => server))]);
    } finally {
      timer.abort();
      late.catch(() => undefined); // the timer that was stopped
    }
  }

  /** Kills the leader, and starts it again when the others have another one. */
  async killLeader(): Promise<void> {
    const killed = await this.leader();
    const killedAt = performance.now();
    await killed.stop('SIGKILL');
    say(killed.name, 'led the ensemble, and was killed (SIGKILL)');
    const next = await this.leader();
    say('', `${next.name} leads the ensemble ${((performance.now() - killedAt) / 1000).toFixed(2)} s after the kill`);
    this.#start(Number(killed.name.slice('server '.length)));
  }

  #start(id: number): void {
    const server = new Player(
      `server ${id}`,
      pathOf('../../server/bin/zkserver.js'),
      ['start-foreground', this.#files[id - 1] ?? ''],
      {},
      (line) => /(this server (?:is|has) .*|session \S+ expires.*)$/.exec(line)?.[1],
    );
    this.#servers.push(server);
    players.push(server);
  }
}

function startContender(name: string, connectString: string): Player {
  const contender = new Player(
    name,
    pathOf('./master-selector.js'),
    [],
    { CONNECT: connectString, NAME: name, HOLD_MS: String(HOLD_MS) },
    (line) => line,
  );
  players.push(contender);
  return contender;
}

const firstToLead = (contenders: readonly Player[]): Promise<Player> =>
  Promise.race(contenders.map((contender) => contender.line(/^leads/).then(() => contender)));

async function play(connectString: string, ensemble: Ensemble | undefined): Promise<void> {
  const contenders = ['alpha', 'bravo', 'charlie'].map((name) => startContender(name, connectString));
  await Promise.all(contenders.map((contender) => contender.line(/^joined/)));
  const first = await firstToLead(contenders);
  say('', `${first.name} is the first leader: its process is killed (SIGKILL) in a second`);
  await new Promise((resolve) => setTimeout(resolve, 1000));

  await first.stop('SIGKILL');
  const killedAt = performance.now();
  say(first.name, 'was killed; its session expires when it was silent for its timeout');
  const heirs = contenders.filter((contender) => contender !== first);
  const second = await firstToLead(heirs);
  const tookOverAfterMs = performance.now() - killedAt;
  const allowedMs = SESSION_TIMEOUT_MS + 2 * TICK_MS;
  say('', `${second.name} took over ${(tookOverAfterMs / 1000).toFixed(2)} s after the kill (session timeout 4 s)`);
  if (process.env.CONNECT === undefined && ensemble === undefined && tookOverAfterMs > allowedMs) {
    throw new Error(
      `the take-over took ${tookOverAfterMs.toFixed(0)} ms, more than session timeout + 2 ticks = ${allowedMs} ms`,
    );
  }

  await second.line(/^gives up/);
  const gaveUpAt = performance.now();
  const third = await firstToLead(heirs.filter((contender) => contender !== second));
  say('', `${third.name} took over ${(performance.now() - gaveUpAt).toFixed(0)} ms after ${second.name} gave up`);

  if (ensemble === undefined) return;
  const again = Promise.race(heirs.map((contender) => contender.next(/^leads/).then(() => contender)));
  await Promise.all([ensemble.killLeader(), again]);
  say('', `${(await again).name} is master on what is left of the ensemble`);
}

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'curator-ts-'));
  try {
    const given = process.env.CONNECT;
    const ensemble = process.argv.includes('--ensemble') ? await Ensemble.start(folder) : undefined;
    const connectString = given ?? ensemble?.connectString ?? (await startServer(folder));
    say('', given === undefined ? 'three contenders start' : `three contenders start on ${given}`);
    await play(connectString, ensemble);
    say('', 'everybody leaves');
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  } finally {
    // Contenders first, servers last.
    const isServer = ({ name }: Player): boolean => name.startsWith('server');
    await Promise.all(players.filter((player) => !isServer(player)).map((contender) => contender.stop()));
    await Promise.all(players.filter(isServer).map((server) => server.stop()));
    await rm(folder, { recursive: true, force: true });
  }
}

const watchdog = setTimeout(() => {
  console.error(`nothing more happened within ${GIVE_UP_MS / 1000} s`);
  process.exitCode = 1;
  for (const player of players) player.process.kill('SIGKILL');
}, GIVE_UP_MS);
await main();
clearTimeout(watchdog);
