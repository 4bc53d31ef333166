/**
 * The shipped client and the shipped server in a simulated world, the client behind a network that fails at chosen messages, and
 * beside it another client that nothing happens to.
 *
 * What is checked after every event of the world, whoever runs it:
 * - the server ends no session that the client still believes in (R-CONN: LOST comes no later than the server's own expiry);
 * - every connection state follows from the one before it, and another session never comes without LOST (CURATOR-367).
 */
import { type Clock, type ConnectionState, CuratorFramework, RetryNTimes, type RetryPolicy } from 'zookeeper-client-ts';
import type { SessionId } from 'zookeeper-protocol-ts';
import type { Server } from 'zookeeper-server-ts';
import { FaultyTransport, type MessageFault } from '../simulator/message-faults.ts';
import type { Process } from '../simulator/process.ts';
import { startServer } from '../simulator/start-server.ts';
import { World } from '../simulator/world.ts';
import { ConnectionOrder } from './connection-order.fixture.ts';

const SESSION_TIMEOUT_MS = 4000;
const TICK_MS = 500;
const SESSION_TIMEOUT_MAX_MS = 20 * TICK_MS;
/** So slow a connection is not given up: it is silent for less than two thirds of the session timeout. */
const SLOW_MS = SESSION_TIMEOUT_MS * 0.55;
/** Whatever comes so late comes into another session. */
const LATE_MS = SESSION_TIMEOUT_MS * 1.5 + 2 * TICK_MS;
/** Whoever is told of a change that was made just now has been told, and has read what it is, over a slow connection as well. */
export const TOLD_WITHIN_MS = 3 * SLOW_MS;
/** After so long without faults everything that could be mended has been. */
export const QUIET_MS = 3 * SESSION_TIMEOUT_MS;
/** After so long the server has ended whatever session it has not heard of. */
export const FORGOTTEN_MS = SESSION_TIMEOUT_MS + 2 * TICK_MS;
/** A call takes at most so long: retries, and connections that fail in between. */
const SETTLED_WITHIN_MS = 120_000;

/** A clock that knows how many of its timers are still to run. */
class CountedClock implements Clock {
  timers = 0;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  wallTime(): number {
    return this.#clock.wallTime();
  }

  after(ms: number, run: () => void) {
    let isPending = true;
    this.timers++;
    const settle = () => {
      if (isPending) this.timers--;
      isPending = false;
    };
    const timer = this.#clock.after(ms, () => {
      settle();
      run();
    });
    return {
      cancel: () => {
        settle();
        timer.cancel();
      },
    };
  }

  soon(run: () => void): void {
    this.#clock.soon(run);
  }
}

export interface ClientWorldOptions {
  readonly seed?: number | undefined;
  readonly retry: RetryPolicy;
  readonly faults?: readonly MessageFault[] | undefined;
}

export class ClientWorld {
  readonly world: World;
  readonly server: Server;
  readonly wire: FaultyTransport;
  /** The one that the faults are for; not started yet. */
  readonly client: CuratorFramework;
  /** Started; nothing happens to it. */
  readonly other: CuratorFramework;
  /** The states of the client, in order. */
  readonly states: ConnectionState[] = [];
  readonly #process: Process;
  readonly #otherProcess: Process;
  readonly #clock: CountedClock;
  readonly #liveSessions = new Set<SessionId>();
  /** What the checks after each event have found. */
  readonly #violations: string[] = [];

  constructor({ seed = 1, retry, faults }: ClientWorldOptions) {
    // It is the faults that cut messages here.
    this.world = new World({ seed, network: { chop: 'whole' } });
    const serverProcess = this.world.spawn('s1');
    this.server = startServer(serverProcess, { zooCfg: [`tickTime=${TICK_MS}`] });
    this.#process = this.world.spawn('c1', { usesPromises: true });
    this.#otherProcess = this.world.spawn('c2', { usesPromises: true });
    this.#clock = new CountedClock(this.#process.clock);
    const { transport, random } = this.#process.clientPorts;
    // What is late is the network's business, not the client's.
    const clock = this.world.spawn('wire').clock;
    this.wire = new FaultyTransport({ clock, transport, faults, slowMs: SLOW_MS, lateMs: LATE_MS });
    const builder = (sessionTimeoutMs: number) =>
      CuratorFramework.builder()
        .connectString('s1:2181')
        .sessionTimeoutMs(sessionTimeoutMs)
        .connectionTimeoutMs(SESSION_TIMEOUT_MS)
        .ensembleTracker(false);
    this.client = builder(SESSION_TIMEOUT_MS)
      .retryPolicy(retry)
      .ports({ clock: this.#clock, transport: this.wire, random })
      .build();
    this.client.on('state', (state) => this.states.push(state));
    new ConnectionOrder(this.client, (what) => this.#violations.push(what));
    // It need not ping often.
    this.other = builder(SESSION_TIMEOUT_MAX_MS)
      .retryPolicy(new RetryNTimes(0, 0))
      .ports(this.#otherProcess.clientPorts)
      .build();
  }

  /** Timers of the client that are still to run. */
  get timers(): number {
    return this.#clock.timers;
  }

  /** The data of a znode on the server; undefined if there is none. */
  textAt(path: string): string | undefined {
    const { tree } = this.server.database;
    const node = tree.find(path);
    return node === undefined ? undefined : Buffer.from(tree.data(node) ?? []).toString();
  }

  /** The names of a znode's children on the server, sorted. */
  childrenAt(path: string): string[] {
    const { tree } = this.server.database;
    const node = tree.find(path);
    return node === undefined ? [] : tree.children(node).sort();
  }

  hasSession(id: SessionId): boolean {
    return this.server.database.sessions.has(id);
  }

  /** Runs code of the client's process, and the world until its result is there. */
  perform<T>(code: () => T | PromiseLike<T>): Promise<T> {
    return this.#perform(this.#process, code);
  }

  /** The same for the process of the other client. */
  performElsewhere<T>(code: () => T | PromiseLike<T>): Promise<T> {
    return this.#perform(this.#otherProcess, code);
  }

  async runFor(ms: number): Promise<void> {
    await this.runUntil(() => false, ms);
  }

  /** Runs until the condition holds, or so long. */
  async runUntil(condition: () => boolean, withinMs: number): Promise<void> {
    const until = this.world.nowMs + withinMs;
    this.world.at(until, () => undefined);
    await this.#runUntil(() => this.world.nowMs >= until || condition());
  }

  /** What the client and the server did that must not be. */
  get violations(): readonly string[] {
    return this.#violations;
  }

  async #perform<T>(process: Process, code: () => T | PromiseLike<T>): Promise<T> {
    let settled = false;
    const onSettled = () => {
      settled = true;
    };
    const result = process.act(code);
    result.then(onSettled, onSettled);
    await this.#runUntil(() => settled);
    return result;
  }

  async #runUntil(condition: () => boolean): Promise<void> {
    const check = () => {
      this.#checkSessions();
      return condition();
    };
    await this.world.runUntil(check, { withinMs: SETTLED_WITHIN_MS });
  }

  #checkSessions(): void {
    const { sessions } = this.server.database;
    for (const id of this.#liveSessions) {
      if (sessions.has(id)) continue;
      this.#liveSessions.delete(id);
      if (this.client.sessionId === id) {
        this.#violations.push(`at ${this.world.nowMs} ms the session of a client that is ${this.client.state} ended`);
      }
    }
    for (const id of sessions.keys()) this.#liveSessions.add(id);
  }
}
