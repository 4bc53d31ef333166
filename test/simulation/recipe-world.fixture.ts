/**
 * Programs with recipes in a simulated world: the shipped recipes, client and server, on machines that are frozen, killed and cut
 * off, while messages get lost, and the server loses its power. Everything is drawn from the seed, also which kinds of faults
 * there are at all: some situations come only where others don't (swarm testing).
 *
 * What is checked after every event of the world, whoever runs it:
 * - R-CONN: the server ends no session that its client still believes in, and the states of each client follow from each other.
 * - Whatever {@link RecipeWorld.afterEach} was given.
 *
 * And in the end, when the faults are over: everybody still alive gets done, and is connected.
 */
import { CuratorFramework, ExponentialBackoffRetry } from 'zookeeper-client-ts';
import type { SessionId, Zxid } from 'zookeeper-protocol-ts';
import type { Server } from 'zookeeper-server-ts';
import { FAULT_KINDS, FaultyTransport, type MessageFault } from '../simulator/message-faults.ts';
import type { Process } from '../simulator/process.ts';
import { Draws, type Range, SeededRandom } from '../simulator/random.ts';
import { startServer } from '../simulator/start-server.ts';
import { World } from '../simulator/world.ts';
import { ConnectionOrder } from './connection-order.fixture.ts';

const TICK_MS = 500;
const SESSION_TIMEOUTS_MS: Range = [2000, 5000];
const SLOW_MS = 600;
const LATE_MS = 2000;
/** Byte by byte is worth a test of the client, but not most of the time of these. */
const CHOPS = ['whole', 'whole', 'whole', 'cut', 'merge', 'mixed'] as const;
/** After the faults: retries, a session that has to end, locks that go round once more. */
const DONE_WITHIN_MS = 90_000;
/** Then what is done in the background is over, even when each message of it comes late. */
const QUIET_WITHIN_MS = 60_000;
/** A server reads its few files in far less. */
const RECOVERED_WITHIN_MS = 1000;
const MESSAGE_FAULTS_MAX = 8;
/** Which of an actor's messages a fault may strike. */
const MESSAGES: Range = [2, 120];

/** What has to have happened in a profile with faults, or it proves nothing. */
export const FAULTS = [
  'frozen',
  'session expired',
  'cut',
  'cut between request and reply',
  'message lost or late',
  'partition',
  'server killed',
  'power lost',
  'killed',
] as const;

export interface RecipeWorldOptions {
  readonly seed: number;
  readonly actors: number;
  /** Nothing goes wrong, but for the strike. Default: faults, drawn from the seed. */
  readonly isCalm?: boolean;
  readonly strike?: Strike | undefined;
  /** How long programs begin new things, and faults happen. */
  readonly workMs?: number;
}

/** One thing that goes wrong for the first of the actors, at one step of its life. */
export type Strike =
  | { readonly kind: 'freeze'; readonly afterEvent: number; readonly ms: number }
  | { readonly kind: 'message'; readonly fault: MessageFault };

/** What may go wrong in a run. Each is there for half of the seeds. */
interface Faults {
  readonly freezes: boolean;
  readonly freezesOfHolders: boolean;
  readonly partitions: boolean;
  readonly messages: boolean;
  readonly restarts: boolean;
  readonly deaths: boolean;
}

/** A program on a machine of its own, with a client. */
export class Actor {
  readonly name: string;
  readonly process: Process;
  readonly client: CuratorFramework;
  readonly wire: FaultyTransport;
  /** When it last went on after a freeze, by the world's clock, ms. */
  thawedAt = Number.NEGATIVE_INFINITY;
  /** What is still to strike. */
  readonly #faults: MessageFault[];
  readonly #random: SeededRandom;

  constructor(world: World, name: string, faults: MessageFault[], sessionTimeoutMs: number) {
    this.name = name;
    this.#faults = faults;
    this.process = world.spawn(name, { usesPromises: true });
    this.#random = new SeededRandom(world.seed, `${name}/program`);
    const { clock, transport, random } = this.process.clientPorts;
    this.wire = new FaultyTransport({ clock, transport, faults, slowMs: SLOW_MS, lateMs: LATE_MS });
    this.client = CuratorFramework.builder()
      .connectString('s1:2181')
      .sessionTimeoutMs(sessionTimeoutMs)
      .connectionTimeoutMs(sessionTimeoutMs)
      .retryPolicy(new ExponentialBackoffRetry(100, 4))
      .ensembleTracker(false)
      .ports({ clock, transport: this.wire, random })
      .build();
  }

  /** No message is struck from here on, and connections that were are given up. */
  heal(): void {
    this.#faults.length = 0;
    this.wire.heal();
  }

  between([min, max]: Range): number {
    return min + Math.floor(this.#random.next() * (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.#random.next() < probability;
  }

  /** Lets simulated time go by. */
  pause(ms: Range): Promise<void> {
    return new Promise((resolve) => this.process.clock.after(this.between(ms), resolve));
  }

  /** Aborts after some time. */
  abortAfter(ms: Range): AbortSignal {
    const controller = new AbortController();
    this.process.clock.after(this.between(ms), () => controller.abort(new GaveUp()));
    return controller.signal;
  }
}

/** Why a program's own signal was aborted. */
export class GaveUp extends Error {
  override readonly name = 'GaveUp';
}

export class RecipeWorld {
  readonly world: World;
  readonly actors: readonly Actor[];
  readonly #marks = new Map<string, number>();
  readonly #draws: Draws;
  readonly #faults: Faults;
  readonly #workMs: number;
  readonly #checks: (() => void)[] = [];
  readonly #liveSessions = new Set<SessionId>();
  readonly #ownerOf = new Map<SessionId, Actor>();
  /** Still to come. */
  #strike: Strike | undefined;
  #disturbances = 0;
  #eventsOfWork = 0;
  #serverProcess: Process;
  #server: Server;
  #startedAt = 0;
  #lastZxid: Zxid | undefined;
  #isWorking = true;
  /** The first. */
  #violation: Error | undefined;

  constructor({ seed, actors, isCalm = false, strike, workMs = 15_000 }: RecipeWorldOptions) {
    this.#draws = new Draws(seed, 'recipe-world');
    const chop = CHOPS[this.#draws.between([0, CHOPS.length - 1], 0)] ?? 'whole';
    this.world = new World({ seed, trace: process.env.SIM_TRACE !== undefined, network: { chop } });
    this.#workMs = workMs;
    this.#strike = strike;
    const drawn = (name: string): boolean => !isCalm && new Draws(seed, `fault/${name}`).chance(0.5, 0);
    this.#faults = {
      freezes: drawn('freezes'),
      freezesOfHolders: drawn('freezes of holders'),
      partitions: drawn('partitions'),
      messages: drawn('messages'),
      restarts: drawn('restarts'),
      deaths: drawn('deaths'),
    };
    this.#serverProcess = this.world.spawn('s1');
    this.#server = this.#startServer();
    const sessionTimeoutMs = this.#draws.between(SESSION_TIMEOUTS_MS, 1);
    this.actors = Array.from(
      { length: actors },
      (_, index) => new Actor(this.world, `c${index + 1}`, this.#messageFaults(index), sessionTimeoutMs),
    );
    for (const actor of this.actors) {
      const { client, name } = actor;
      client.on('state', () => {
        this.#disturbances++;
        this.#ownerOf.set(client.sessionId, actor);
      });
      new ConnectionOrder(client, (what) => this.violation(`R-CONN: ${name}: ${what}`));
    }
  }

  get server(): Server {
    return this.#server;
  }

  get marks(): ReadonlyMap<string, number> {
    return this.#marks;
  }

  /** How often something went wrong for somebody, or was mended, as far as it can be seen from outside or by a client. */
  get disturbances(): number {
    return this.#disturbances;
  }

  /** Of the first actor, until its program was done, or as long as there was work. */
  get eventsOfWork(): number {
    return this.#eventsOfWork;
  }

  /** Whether programs may begin something new. */
  get isWorking(): boolean {
    return this.#isWorking;
  }

  /** The server has had the time to read what it had written. */
  get isServing(): boolean {
    return this.world.running('s1') !== undefined && this.world.nowMs >= this.#startedAt + RECOVERED_WITHIN_MS;
  }

  mark(what: string): void {
    this.#marks.set(what, (this.#marks.get(what) ?? 0) + 1);
  }

  /** Ends the run, also where somebody catches this. */
  violation(what: string): never {
    this.#violation ??= new Error(`at ${this.world.nowMs} ms: ${what}`);
    throw this.#violation;
  }

  /** Called after each event; what it throws ends the run. `changed`: the replicated state may have changed. */
  afterEach(check: (changed: boolean) => void): void {
    this.#checks.push(() => check(this.#hasChanged));
  }
  #hasChanged = false;

  /** The names of a znode's children on the server. */
  childrenOf(path: string): string[] {
    const { tree } = this.#server.database;
    const node = tree.find(path);
    return node === undefined ? [] : tree.children(node);
  }

  /** Runs the program on all machines, with the faults; then without, until all that live are done, and it is quiet. */
  async play(program: (actor: Actor) => Promise<void>): Promise<void> {
    await this.world.runFor(50);
    const done = new Set<Actor>();
    const failures: string[] = [];
    for (const actor of this.actors) {
      const run = async () => {
        actor.client.start();
        await program(actor);
      };
      actor.process.act(run).then(
        () => {
          done.add(actor);
          if (actor === this.actors[0]) this.#eventsOfWork = actor.process.events;
        },
        (error: unknown) => failures.push(`${actor.name} threw ${error instanceof Error ? error.stack : error}`),
      );
    }
    this.#scheduleFaults();
    const until = this.world.nowMs + this.#workMs;
    this.world.at(until, () => undefined);
    const failed = () => failures.length > 0;
    await this.#runUntil(() => failed() || this.world.nowMs >= until);
    this.#heal();
    const isOver = () => failed() || this.actors.every((actor) => done.has(actor) || isDead(actor));
    await this.#runUntil(isOver, DONE_WITHIN_MS).catch((cause: unknown) => {
      const late = this.actors.filter((actor) => !done.has(actor) && !isDead(actor));
      throw new Error(`not done: ${late.map(({ name, client }) => `${name} (${client.state})`).join(', ')}: ${cause}`);
    });
    if (failed()) this.violation(failures.join('\n'));
    await this.#quiet();
  }

  /** Freezes somebody who holds something, in those runs that have such faults. */
  perhapsFreeze(actor: Actor): void {
    if (!this.#faults.freezesOfHolders || !this.#isWorking || !actor.chance(0.15)) return;
    const ms = actor.between([0, 40]);
    this.world.at(this.world.nowMs + ms, () => this.#freeze(actor, actor.between([100, 9000]), 'frozen while holding'));
  }

  /**
   * Runs on until it holds.
   * @throws SimulationError that has `what` if it doesn't become true
   */
  async until(what: string, condition: () => boolean): Promise<void> {
    try {
      await this.#runUntil(condition, QUIET_WITHIN_MS);
    } catch (cause) {
      if (this.#violation !== undefined) throw this.#violation;
      throw new Error(`never: ${what}`, { cause });
    }
  }

  /** After the faults. */
  async #quiet(): Promise<void> {
    const areConnected = () => this.actors.every((actor) => isDead(actor) || actor.client.connected);
    await this.until('R-CONN: everybody is connected', areConnected);
    for (const { wire } of this.actors) {
      for (const { direction, kind } of wire.struck) {
        // What was asked for has its effect, and who has asked is not told.
        const isReplyLost =
          direction === 'reply' ? kind !== 'cut after' && kind.startsWith('cut') : kind === 'cut after';
        if (isReplyLost) this.mark('cut between request and reply');
        else this.mark(kind.startsWith('cut') ? 'cut' : 'message lost or late');
      }
    }
  }

  /** Closes the clients of those who live. */
  async close(): Promise<void> {
    for (const actor of this.actors) {
      if (!isDead(actor)) await this.world.perform(actor.process, () => actor.client.close());
    }
  }

  async #runUntil(condition: () => boolean, withinMs?: number): Promise<void> {
    const check = () => {
      this.#strikeInTime();
      const { lastZxid } = this.#server.database;
      // A server that recovers goes through what was.
      this.#hasChanged = lastZxid !== this.#lastZxid && lastZxid >= (this.#lastZxid ?? lastZxid);
      if (this.#hasChanged) {
        this.#lastZxid = lastZxid;
        this.#checkSessions();
      }
      for (const each of this.#checks) each();
      if (this.#violation !== undefined) throw this.#violation;
      return condition();
    };
    await this.world.runUntil(check, withinMs === undefined ? {} : { withinMs });
  }

  #strikeInTime(): void {
    const [actor] = this.actors;
    if (this.#strike?.kind !== 'freeze' || actor === undefined) return;
    const { afterEvent, ms } = this.#strike;
    if (actor.process.events < afterEvent) return;
    this.#strike = undefined;
    this.#freeze(actor, ms, 'frozen');
  }

  #checkSessions(): void {
    const { sessions } = this.#server.database;
    for (const id of this.#liveSessions) {
      if (sessions.has(id)) continue;
      this.#liveSessions.delete(id);
      const owner = this.#ownerOf.get(id);
      if (owner !== undefined && !isDead(owner)) this.mark('session expired');
      for (const actor of this.actors) {
        const { client, process } = actor;
        if (isDead(actor) || client.sessionId !== id || client.lifecycle === 'STOPPED') continue;
        if (process.clock.now() < client.leaseEnd)
          this.violation(`R-CONN: the session of ${actor.name} ended before its lease, in state ${client.state}`);
      }
    }
    for (const id of sessions.keys()) this.#liveSessions.add(id);
  }

  #startServer(): Server {
    this.#startedAt = this.world.nowMs;
    return startServer(this.#serverProcess, {
      zooCfg: [`tickTime=${TICK_MS}`, 'minSessionTimeout=1000', 'snapCount=100000'],
    });
  }

  #messageFaults(actor: number): MessageFault[] {
    if (this.#strike?.kind === 'message' && actor === 0) return [this.#strike.fault];
    if (!this.#faults.messages) return [];
    const draws = new Draws(this.world.seed, `messages/${actor}`);
    const count = draws.between([0, MESSAGE_FAULTS_MAX], 0);
    return Array.from({ length: count }, (_, index) => ({
      direction: draws.chance(0.5, 1, index) ? 'request' : 'reply',
      message: draws.between(MESSAGES, 2, index),
      kind: FAULT_KINDS[draws.between([0, FAULT_KINDS.length - 1], 3, index)] ?? 'cut after',
    }));
  }

  #scheduleFaults(): void {
    for (const [index, actor] of this.actors.entries()) {
      if (this.#faults.freezes) {
        this.#often(`freeze/${index}`, [1000, 12_000], (draws, at) =>
          this.#freeze(actor, draws.between([10, 8000], 1, at), 'frozen'),
        );
      }
      if (this.#faults.partitions) {
        this.#often(`partition/${index}`, [1500, 15_000], (draws, at) =>
          this.#cutOff(actor, draws.between([50, 8000], 1, at), draws.between([0, 2], 2, at)),
        );
      }
      // The first stays, so that somebody does.
      if (this.#faults.deaths && index > 0) {
        const draws = new Draws(this.world.seed, `death/${index}`);
        if (draws.chance(0.4, 0)) this.#at(draws.between([0, this.#workMs], 1), () => this.#kill(actor));
      }
    }
    if (this.#faults.restarts) {
      this.#often('restart', [3000, 15_000], (draws, at) =>
        this.#restartServer(draws.between([1, 2500], 1, at), draws.chance(0.5, 2, at)),
      );
    }
  }

  /** Again and again, after times that are drawn. */
  #often(stream: string, everyMs: Range, strike: (draws: Draws, at: number) => void): void {
    const draws = new Draws(this.world.seed, stream);
    let ms = 0;
    for (let count = 0; ; count++) {
      ms += draws.between(everyMs, 0, count);
      if (ms > this.#workMs) return;
      this.#at(ms, () => strike(draws, count));
    }
  }

  #at(ms: number, run: () => void): void {
    this.world.at(this.world.nowMs + ms, () => {
      if (this.#isWorking) run();
    });
  }

  #freeze(actor: Actor, ms: number, mark: string): void {
    if (!this.#isWorking || actor.process.state !== 'running') return;
    this.mark(mark);
    this.#disturbances++;
    this.world.freeze(actor.process);
    this.world.at(this.world.nowMs + ms, () => this.#thaw(actor));
  }

  #thaw(actor: Actor): void {
    if (actor.process.state !== 'frozen') return;
    actor.thawedAt = this.world.nowMs;
    this.#disturbances++;
    this.world.thaw(actor.process);
  }

  #cutOff(actor: Actor, ms: number, direction: number): void {
    this.mark('partition');
    const { network } = this.world;
    if (direction !== 1) network.block(actor.name, 's1');
    if (direction !== 2) network.block('s1', actor.name);
    this.world.at(this.world.nowMs + ms, () => {
      network.unblock(actor.name, 's1');
      network.unblock('s1', actor.name);
    });
  }

  #kill(actor: Actor): void {
    this.mark('killed');
    this.#disturbances++;
    this.world.kill(actor.process);
  }

  #restartServer(ms: number, isPowerLoss: boolean): void {
    if (this.world.running('s1') === undefined) return;
    this.mark(isPowerLoss ? 'power lost' : 'server killed');
    this.#disturbances++;
    if (isPowerLoss) this.world.powerLoss(this.#serverProcess);
    else this.world.kill(this.#serverProcess);
    this.world.at(this.world.nowMs + ms, () => this.#reviveServer());
  }

  #reviveServer(): void {
    if (this.world.running('s1') !== undefined) return;
    this.#serverProcess = this.world.spawn('s1');
    this.#server = this.#startServer();
  }

  #heal(): void {
    this.#isWorking = false;
    this.world.network.heal();
    for (const actor of this.actors) {
      actor.heal();
      this.#thaw(actor);
    }
    this.#reviveServer();
  }
}

export const isDead = ({ process }: Actor): boolean => process.state === 'dead';
