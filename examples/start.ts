/**
 * The main job (`npm start`): a server of its own in its own process, three contenders for the role of master in theirs, and
 * one timeline of what happens. The leading process is killed: its session expires, and the next one takes over. That one
 * gives up by itself: the one behind it takes over at once. With CONNECT it all happens on an existing ZooKeeper ensemble.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
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
    if (earlier !== undefined) return earlier;
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

async function play(connectString: string): Promise<void> {
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
  if (process.env.CONNECT === undefined && tookOverAfterMs > allowedMs) {
    throw new Error(
      `the take-over took ${tookOverAfterMs.toFixed(0)} ms, more than session timeout + 2 ticks = ${allowedMs} ms`,
    );
  }

  await second.line(/^gives up/);
  const gaveUpAt = performance.now();
  const third = await firstToLead(heirs.filter((contender) => contender !== second));
  say('', `${third.name} took over ${(performance.now() - gaveUpAt).toFixed(0)} ms after ${second.name} gave up`);
}

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'curator-ts-'));
  try {
    const given = process.env.CONNECT;
    const connectString = given ?? (await startServer(folder));
    say('', given === undefined ? 'three contenders start' : `three contenders start on ${given}`);
    await play(connectString);
    say('', 'everybody leaves');
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  } finally {
    // Contenders first, the server last.
    const [server, ...contenders] = players.toSorted(
      (a, b) => Number(b.name === 'server') - Number(a.name === 'server'),
    );
    await Promise.all(contenders.map((contender) => contender.stop()));
    await server?.stop();
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
