/**
 * A simulated world: machines, processes, a network, disks and one clock, all of it a function of the seed. The shipped
 * server, client and recipes run in it unchanged, because they see the machine only through their ports.
 *
 * - One event runs at a time, to its end. After an event of a process that uses promises, all microtasks run before the next
 *   event, so simulated time never overtakes the code.
 * - Equal seed and equal program give an equal `trace.hash`.
 * - A throw, an unhandled rejection or a reach past the ports ends the run with a {@link SimulationError}.
 */
import { type ClockOptions, ProcessClock } from './clock.ts';
import { type CrashImage, type DiskOptions, SimulatedDisk } from './disk.ts';
import { EventQueue, payloadOf, type QueuedEvent, Source } from './event-queue.ts';
import { type NetworkOptions, SimulatedNetwork } from './network.ts';
import { NondeterminismTrap } from './nondeterminism-trap.ts';
import type { Observe } from './observation.ts';
import { Process } from './process.ts';
import { Draws, SeededRandom, wordOf } from './random.ts';
import { Trace } from './trace.ts';

/** The only real timer in a simulation: Node runs it when no microtask is left. */
const realSetImmediate = setImmediate;
const realNextTick = process.nextTick.bind(process);

/** So many events without time going on are a loop. */
const EVENTS_PER_INSTANT_MAX = 200_000;
/** Lets the test runner breathe when no process uses promises. */
const EVENTS_WITHOUT_PAUSE_MAX = 20_000;
const WITHIN_MS_DEFAULT = 600_000;
const TRACE_LINES = 20_000;
const TRACE_TAIL_LINES = 20;

export interface WorldOptions {
  /** Unsigned 32 bits. */
  readonly seed: number;
  readonly network?: Partial<NetworkOptions>;
  readonly disk?: Partial<DiskOptions>;
  /** Is told what an onlooker sees. */
  readonly observe?: Observe;
  /** Keep readable lines of the trace. Default false: only the hash. */
  readonly trace?: boolean;
}

export interface ProcessOptions {
  /** Drain the microtasks after each of its events. Default false, as for a server. */
  readonly usesPromises?: boolean;
  readonly clock?: ClockOptions;
}

/** The run found something wrong, or could not go on. `cause` has the error of the simulated code. */
export class SimulationError extends Error {
  override readonly name = 'SimulationError';
}

export class World {
  readonly seed: number;
  readonly network: SimulatedNetwork;
  readonly trace: Trace;
  readonly #queue: EventQueue;
  readonly #diskOptions: Partial<DiskOptions>;
  readonly #disks = new Map<string, SimulatedDisk>();
  readonly #processes = new Map<string, Process>();
  readonly #faults: Source;
  readonly #observe: Observe;
  readonly #trap = new NondeterminismTrap();
  readonly #rejections: unknown[] = [];
  #running = false;
  #instantUs = -1;
  #eventsOfInstant = 0;

  constructor({ seed, network, disk = {}, observe = () => undefined, trace = false }: WorldOptions) {
    this.seed = seed;
    this.#queue = new EventQueue(seed);
    this.#observe = observe;
    this.network = new SimulatedNetwork(this.#queue, seed, network, observe);
    this.trace = new Trace({ linesMax: trace ? TRACE_LINES : 0 });
    this.#diskOptions = disk;
    this.#faults = new Source(this.#queue, undefined, 'faults');
  }

  /** Milliseconds since the start of the world. */
  get nowMs(): number {
    return this.#queue.nowUs / 1000;
  }

  /** A new process on the machine of that name, which is made, or powered on, if need be. One at a time per machine. */
  spawn(name: string, { usesPromises = false, clock }: ProcessOptions = {}): Process {
    const before = this.#processes.get(name);
    if (before !== undefined && before.state !== 'dead') throw new Error(`${name} is running already`);
    const incarnation = (before?.incarnation ?? 0) + 1;
    const id = `${name}.${incarnation}`;
    const process = new Process(this.#queue, { name, incarnation, usesPromises }, (owner) => ({
      clock: new ProcessClock(this.#queue, owner, id, clock ?? { originMs: this.#uptimeMs(id) }),
      network: this.network.attach(name, owner),
      random: new SeededRandom(this.seed, id),
      runLog: {
        info: (line) => this.#log(name, 'info', line),
        warn: (line) => this.#log(name, 'warn', line),
        error: (line) => this.#log(name, 'error', line),
      },
      mount: (folder) => this.disk(name, folder).mount(owner),
    }));
    this.#processes.set(name, process);
    this.#note(name, 'spawn');
    return process;
  }

  /** The process of that name that is not dead. */
  running(name: string): Process | undefined {
    const process = this.#processes.get(name);
    return process?.state === 'dead' ? undefined : process;
  }

  /** A folder of a machine's disk, to break it. */
  disk(machine: string, folder = 'data'): SimulatedDisk {
    const name = `${machine}/${folder}`;
    let disk = this.#disks.get(name);
    if (disk === undefined) {
      disk = new SimulatedDisk(this.#queue, this.seed, name, this.#diskOptions, (operation, file) =>
        this.#observe({ kind: 'disk', machine, operation, file }),
      );
      this.#disks.set(name, disk);
    }
    return disk;
  }

  /** A line of the story, for people: what is about to be done to whom. */
  note(process: string, what: string): void {
    this.#note(process, what);
  }

  // --- faults

  /** Does something at that time of the world, or now if it is past. */
  at(ms: number, run: () => void): void {
    this.#faults.schedule(Math.ceil(ms * 1000), { kind: 'fault', run });
  }

  /** Holds all events of the process. Its clocks go on, its kernel receives. */
  freeze(process: Process): void {
    if (process.state !== 'running') return;
    process.state = 'frozen';
    this.#note(process.name, 'freeze');
  }

  /** Everything overdue comes at once: in order for each source, interleaved by the seed. */
  thaw(process: Process): void {
    if (process.state !== 'frozen') return;
    process.state = 'running';
    this.#note(process.name, 'thaw');
    for (const event of process.held.splice(0)) {
      if (event.cancelled) continue;
      event.atUs = this.#queue.nowUs;
      event.priority = event.source.drawPriority();
      this.#queue.add(event);
    }
  }

  /** Kills the process at once: its kernel closes what it had open, the disk keeps what was written. */
  kill(process: Process): void {
    if (process.state === 'dead') return;
    this.#bury(process);
    this.network.onKilled(process.name, process);
    for (const disk of this.#disksOf(process.name)) disk.onKilled();
    this.#note(process.name, 'kill');
  }

  /** Cuts the power of the machine of the process: peers are told nothing, unsynced bytes may be gone. */
  powerLoss(process: Process): ReadonlyMap<string, CrashImage> {
    const images = new Map<string, CrashImage>();
    if (process.state === 'dead') return images;
    this.#bury(process);
    this.network.onPowerLoss(process.name);
    for (const disk of this.#disksOf(process.name)) {
      for (const [file, image] of disk.onPowerLoss()) {
        images.set(file, image);
        this.#note(process.name, `power-loss ${file} ${image}`);
      }
    }
    this.#note(process.name, 'power-loss');
    return images;
  }

  // --- running

  /** Runs for so long, in simulated time. */
  async runFor(ms: number): Promise<void> {
    await this.#run(this.#queue.nowUs + Math.round(ms * 1000), () => false);
  }

  /**
   * Runs until the condition holds, which is asked after each event.
   * @throws SimulationError when it doesn't within `withinMs` of simulated time, or nothing is left to happen
   */
  async runUntil(condition: () => boolean, { withinMs = WITHIN_MS_DEFAULT } = {}): Promise<void> {
    if (await this.#run(this.#queue.nowUs + Math.round(withinMs * 1000), condition)) return;
    throw this.#error(`what was waited for did not happen within ${withinMs} ms`);
  }

  /** Runs code in a process, and the world until its result is there. */
  async perform<T>(
    process: Process,
    code: () => T | PromiseLike<T>,
    { withinMs = WITHIN_MS_DEFAULT } = {},
  ): Promise<T> {
    let settled = false;
    const result = process.act(code);
    const onSettled = () => {
      settled = true;
    };
    result.then(onSettled, onSettled); // the caller gets the rejection from `result`
    await this.runUntil(() => settled, { withinMs });
    return result;
  }

  /** @returns whether `finished` held before the time was up */
  async #run(untilUs: number, finished: () => boolean): Promise<boolean> {
    if (this.#running) throw new Error('the world is running already');
    this.#running = true;
    this.#trap.install();
    const release = this.#catchUnhandled();
    try {
      return await this.#loop(untilUs, finished);
    } finally {
      release();
      this.#trap.remove();
      this.#running = false;
    }
  }

  async #loop(untilUs: number, finished: () => boolean): Promise<boolean> {
    await this.#drain(); // what the test did since the last run
    this.#throwUnhandled('before the run');
    for (let sincePause = 1; ; sincePause++) {
      if (finished()) return true;
      const event = this.#queue.next(untilUs);
      if (event === undefined) return false;
      this.#step(event);
      const owner = event.source.owner;
      if (owner?.usesPromises === false && sincePause < EVENTS_WITHOUT_PAUSE_MAX) continue;
      sincePause = 0;
      await this.#drain();
      this.#throwUnhandled(`after ${owner?.name ?? 'world'} ${event.what.kind}`);
    }
  }

  #step(event: QueuedEvent): void {
    const { what, source } = event;
    const owner = source.owner;
    this.#watchForStandstill();
    this.#trap.arm();
    try {
      if (!event.performed) what.effect?.();
      event.performed = true;
      if (owner?.state === 'dead') return;
      if (owner?.state === 'frozen') {
        owner.held.push(event);
        return;
      }
      if (owner !== undefined) owner.events++;
      const payload = payloadOf(what);
      this.trace.record(this.#queue.nowUs, owner?.name ?? 'world', what.kind, payload);
      what.run(payload);
      if (this.#trap.caught !== undefined) throw this.#trap.caught;
    } catch (cause) {
      throw this.#error(`${owner?.name ?? 'world'} threw in ${what.kind}: ${cause}`, cause);
    } finally {
      if (owner?.usesPromises === false) this.#trap.disarm();
    }
  }

  /**
   * Waits until no microtask is left. The trap stays armed while they run, and not longer: `nextTick` comes after the last
   * of them and before the event loop, where the test runner lives.
   */
  #drain(): Promise<void> {
    return new Promise((resolve) => {
      realNextTick(() => this.#trap.disarm());
      realSetImmediate(resolve);
    });
  }

  #watchForStandstill(): void {
    if (this.#queue.nowUs !== this.#instantUs) {
      this.#instantUs = this.#queue.nowUs;
      this.#eventsOfInstant = 0;
    }
    if (++this.#eventsOfInstant > EVENTS_PER_INSTANT_MAX) throw this.#error('time stands still');
  }

  /** Takes over from the test runner's listeners for the time of the run: here it is known which event was at fault. */
  #catchUnhandled(): () => void {
    const listener = (reason: unknown) => {
      this.#trap.disarm(); // Node uses a timer of its own to go on
      this.#rejections.push(reason);
    };
    const restores = (['unhandledRejection', 'uncaughtException'] as const).map((name) => {
      const others = process.listeners(name as 'uncaughtException');
      process.removeAllListeners(name);
      process.on(name, listener);
      return () => {
        process.removeListener(name, listener);
        for (const other of others) process.on(name as 'uncaughtException', other);
      };
    });
    return () => {
      for (const restore of restores) restore();
    };
  }

  #throwUnhandled(when: string): void {
    const { caught } = this.#trap;
    if (caught !== undefined) throw this.#error(`${when}: ${caught}`, caught);
    if (this.#rejections.length === 0) return;
    const [first] = this.#rejections.splice(0);
    throw this.#error(`unhandled ${when}: ${first}`, first);
  }

  #error(what: string, cause?: unknown): SimulationError {
    const tail = this.trace.lines.slice(-TRACE_TAIL_LINES).map((line) => `\n  ${line}`);
    return new SimulationError(`seed ${this.seed} at ${this.nowMs} ms: ${what}${tail.join('')}`, { cause });
  }

  #bury(process: Process): void {
    process.state = 'dead';
    process.held.length = 0;
  }

  #disksOf(machine: string): SimulatedDisk[] {
    return [...this.#disks].filter(([name]) => name.startsWith(`${machine}/`)).map(([, disk]) => disk);
  }

  /** Machines have been up for different times. */
  #uptimeMs(id: string): number {
    return new Draws(this.seed, 'uptime').between([1000, 10_000_000], wordOf(id));
  }

  #log(process: string, level: string, line: string): void {
    this.trace.note(this.#queue.nowUs, process, level, line);
    this.#observe({ kind: 'log', process, line });
  }

  #note(process: string, what: string): void {
    this.trace.note(this.#queue.nowUs, process, what);
  }
}
