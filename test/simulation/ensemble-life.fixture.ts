/**
 * One life of an ensemble: servers, clients, faults, and then peace, in which everything must come right within a bound: first
 * among a majority, then everywhere. All of it is drawn from the seed, the configuration first.
 */
import { toHex } from 'zookeeper-protocol-ts';
import { StorageError } from '../../server/src/storage/storage-error.ts';
import { CallChecker } from '../simulator/checkers/calls.ts';
import { DurabilityChecker } from '../simulator/checkers/durability.ts';
import { ExpiryChecker } from '../simulator/checkers/expiry.ts';
import { HistoryChecker } from '../simulator/checkers/history.ts';
import { HistoryModel } from '../simulator/checkers/model.ts';
import type { DiskOptions } from '../simulator/disk.ts';
import { type ObservedServer, SimulatedEnsemble } from '../simulator/ensemble.ts';
import { EnsembleMarks } from '../simulator/ensemble-marks.ts';
import { Faults } from '../simulator/faults.ts';
import type { Observation } from '../simulator/observation.ts';
import { SeededRandom } from '../simulator/random.ts';
import { drawStory, type Story } from '../simulator/stories.ts';
import { SystemError } from '../simulator/system-error.ts';
import { operationsPerTurn, Records, WorkloadClient } from '../simulator/workload.ts';
import { World } from '../simulator/world.ts';

/** How long a life is, and how much is asked for in it. */
export interface LifeProfile {
  readonly name: string;
  /** How long there are faults. */
  readonly faultsMs: readonly number[];
  readonly pausesMs: readonly number[];
  /** About so many, if servers can be found. */
  readonly operations: number;
}

/** 150 to 300 operations and 20 to 60 s. */
export const QUICK: LifeProfile = {
  name: 'quick',
  faultsMs: [4000, 8000, 16_000],
  pausesMs: [400, 1500, 4000],
  operations: 300,
};

/** 1000 operations and more, 3 to 6 min. */
export const STANDARD: LifeProfile = {
  name: 'standard',
  faultsMs: [120_000, 180_000, 240_000],
  pausesMs: [1500, 5000, 15_000],
  operations: 1700,
};

const TICK_MS = 200;
const INIT_LIMIT = 10;
const SYNC_LIMIT = 5;
/** What is left of a fault, an election, synchronization, and all that once more. */
const HEALED_WITHIN_MS = 4 * (INIT_LIMIT + SYNC_LIMIT) * TICK_MS + 10_000;
/** A commit gets to everybody, and an event to its client. */
const RESTED_AFTER_MS = 600;
/** With a lost packet on either way, or two; with a disk that stalls, and what is read of the leader waiting for it. */
const RESTED_AFTER_SLOWLY_MS = 2000;
/** Clients find a server, finish, and close; what they left behind expires. */
const ENDED_WITHIN_MS = 40_000;
const CLOCK_RATE_PPM = 50_000;
const BEFORE_FAULTS_MS = 1500;
const STORY_LINES = 2000;

/** @returns how often each situation was met */
export async function liveEnsemble(seed: number, profile: LifeProfile): Promise<ReadonlyMap<string, number>> {
  const life = new EnsembleLife(seed, profile);
  try {
    return await life.run();
  } catch (cause) {
    const story = life.world.trace.story.slice(-STORY_LINES); // with SIM_TRACE
    throw new Error([...story, causesOf(cause).join(': ')].join('\n'), { cause });
  }
}

class EnsembleLife {
  readonly world: World;
  readonly #profile: LifeProfile;
  readonly #faultsMs: number;
  readonly #random: SeededRandom;
  readonly #lossRate: number;
  readonly #disk: Partial<DiskOptions>;
  readonly #story: Story;
  readonly #history: HistoryChecker;
  readonly #durability: DurabilityChecker;
  readonly #expiry = new ExpiryChecker({ tickMs: TICK_MS });
  readonly #seen: EnsembleMarks;
  readonly #ensemble: SimulatedEnsemble;
  readonly #clients: readonly WorkloadClient[];
  readonly #records = new Records();
  #faults: Faults | undefined;

  constructor(seed: number, profile: LifeProfile) {
    this.#profile = profile;
    this.#random = new SeededRandom(seed, 'configuration');
    this.#lossRate = this.#random.next() < 0.3 ? 0.02 : 0;
    // Bytes in single pieces cost the most time, and show nothing that depends on much else.
    const chop = this.#pick(['mixed', 'merge', 'whole'] as const);
    this.#disk = this.#random.next() < 0.25 ? SLOW_DISK : {};
    this.world = new World({
      seed,
      trace: process.env.SIM_TRACE !== undefined,
      observe: (observation) => this.#observe(observation),
      network: { lossRate: this.#lossRate, chop },
      disk: this.#disk,
    });
    const story = drawStory(this.#random, process.env.SIM_STORY);
    this.#story = story;
    const voters = this.#pick([3, 3, 3, 5]);
    this.#seen = new EnsembleMarks(voters);
    this.#seen.mark(`story: ${story.name}`);
    this.#history = new HistoryChecker(story.lastZxid);
    this.#durability = new DurabilityChecker({
      ...{ world: this.world, voters, history: this.#history },
      isExcused: (name) => this.#faults?.isLiar(name) === true,
    });
    this.#ensemble = new SimulatedEnsemble(this.world, {
      voters,
      observers: this.#pick([0, 0, 1, 2]),
      zooCfg: [
        ...[`tickTime=${TICK_MS}`, `initLimit=${INIT_LIMIT}`, `syncLimit=${SYNC_LIMIT}`],
        `snapCount=${story.snapCount ?? this.#pick([10, 60, 100_000])}`,
        `commitLogCount=${story.commitLogCount ?? this.#pick([5, 40, 500])}`,
        `logQueuedBytesMax=${this.#pick([100, 67_108_864, 67_108_864])}`,
        `snapshotSizeFactor=${this.#pick([-1, 0, 0, 0.33])}`,
        ...this.#pick([[], ['autopurge.purgeInterval=500ms', 'autopurge.snapRetainCount=3']]),
      ],
      clocks: Array.from({ length: 7 }, () => ({
        originMs: this.#random.next() * 1e6,
        ratePpm: Math.round((this.#random.next() - 0.5) * 2 * CLOCK_RATE_PPM),
      })),
      onlookers: [
        this.#history,
        this.#durability,
        this.#expiry,
        {
          onRole: ({ name }, role) => {
            this.#seen.onRole(name, role);
            this.#faults?.triggers.onRole(name, role);
          },
        },
      ],
      ...(story.files === undefined ? {} : { files: story.files }),
      server: story.counterMax === undefined ? {} : { counterMax: story.counterMax },
      onStopped: (name, error) => this.#onStopped(name, error),
    });
    for (const name of this.#ensemble.names) this.#ensemble.start(name);
    this.#faultsMs = this.#pick(profile.faultsMs);
    const count = this.#pick([2, 4]);
    this.#clients = Array.from({ length: count }, (_, i) => {
      const [window, sessionTimeoutMs] = [this.#pick([1, 4, 16]), this.#pick([1000, 2000, 4000])];
      const turns = profile.operations / count / operationsPerTurn(window);
      const thinkMs = Math.ceil((2 * (this.#faultsMs + BEFORE_FAULTS_MS)) / turns);
      return new WorkloadClient(this.world.spawn(`c${i + 1}`), {
        ...{ records: this.#records, seed, sessionTimeoutMs, window, thinkMs },
        servers: this.#ensemble.names,
        moveRate: story.moveRate ?? this.#pick([0.003, 0.003, 0.05]),
      });
    });
  }

  async run(): Promise<ReadonlyMap<string, number>> {
    const { world } = this;
    await world.runFor(BEFORE_FAULTS_MS);
    const faults = new Faults({
      ...{ world, ensemble: this.#ensemble, pausesMs: this.#profile.pausesMs },
      clients: this.#clients.map((_, i) => `c${i + 1}`),
      story: this.#story,
    });
    this.#faults = faults;
    await world.runFor(this.#faultsMs);
    if (this.#random.next() < 0.4) {
      const core = this.#drawCore();
      faults.healSome(core);
      this.#seen.mark('healed among a majority only');
      await this.#settle(core);
    }
    faults.heal();
    await this.#settle(this.#ensemble.members);
    await this.#rest();
    for (const client of this.#clients) client.stop();
    await world.runUntil(() => this.#clients.every(({ isEnded }) => isEnded), { withinMs: ENDED_WITHIN_MS });
    await world.runFor(6000); // sessions that were left behind expire
    this.#check();
    return this.#marks();
  }

  #observe(observation: Observation): void {
    const packets = this.#seen.observe(observation);
    const triggers = this.#faults?.triggers;
    if (triggers === undefined) return;
    for (const packet of packets) triggers.onPacket(packet);
    if (observation.kind === 'disk') triggers.onDisk(observation);
  }

  #onStopped(name: string, error: Error): void {
    this.world.note(name, `stopped: ${error.message}`);
    const faults = this.#faults;
    const causes = causesOf(error);
    if (faults !== undefined && causes.some((cause) => cause instanceof SystemError)) return faults.onStopped(name);
    const isDamaged = causes.some((cause) => cause instanceof StorageError) && faults?.isLiar(name) === true;
    if (!isDamaged) throw new Error(`${name} stops`, { cause: error });
    // Rather than serve guesses: its disk has lost what it had said was saved.
    this.#seen.mark('disk: a server does not start on what its disk has lost');
    this.#ensemble.retire(name);
  }

  /** More than half of the voters, and maybe observers. */
  #drawCore(): readonly string[] {
    const { members, voters } = this.#ensemble;
    const rank = new Map(members.map((name) => [name, this.#random.next()]));
    const shuffled = [...members].sort((a, b) => (rank.get(a) ?? 0) - (rank.get(b) ?? 0));
    const quorum = shuffled.filter((name) => voters.includes(name)).slice(0, Math.floor(voters.length / 2) + 1);
    return [...quorum, ...shuffled.filter((name) => !voters.includes(name) && this.#random.next() < 0.5)];
  }

  /** One leader among these, and all the others of them with it. */
  async #settle(names: readonly string[]): Promise<void> {
    const ensemble = this.#ensemble;
    const members = () => ensemble.running.filter(({ name }) => names.includes(name));
    const isSettled = () =>
      members().length === names.filter((name) => ensemble.members.includes(name)).length &&
      members().every(({ role }) => role !== undefined) &&
      members().filter(({ role }) => role === 'leader').length === 1;
    let until = this.world.nowMs + HEALED_WITHIN_MS;
    while (!isSettled()) {
      if (this.world.nowMs >= until) {
        if (this.#electAgain(members())) {
          until = this.world.nowMs + HEALED_WITHIN_MS;
          continue;
        }
        const roles = ensemble.running.map(({ name, role }) => `${name} ${role ?? 'looking'}`);
        throw new Error(`LIVENESS: ${HEALED_WITHIN_MS} ms after ${names} were healed: ${roles.join(', ')}`);
      }
      await this.world.runFor(100);
    }
  }

  /**
   * Who has accepted an epoch that nobody has begun can't follow a leader of an earlier one, and comes back with the next election,
   * as in the original. An operator would restart the leader; here that is done if it is all that is in the way.
   */
  #electAgain(members: readonly ObservedServer[]): boolean {
    const leader = members.find(({ role }) => role === 'leader');
    const away = members.filter(({ role }) => role === undefined);
    if (leader === undefined || away.length === 0) return false;
    if (away.some(({ acceptedEpoch }) => acceptedEpoch <= leader.epoch)) return false;
    this.#seen.mark('left out until the next election');
    this.#ensemble.kill(leader.name);
    this.#ensemble.start(leader.name);
    return true;
  }

  /** All but one ask for nothing any more, and are told all the same what they watch, without another word of theirs. */
  async #rest(): Promise<void> {
    const clients = this.#clients;
    const areIdle = () => clients.every(({ isIdle }) => isIdle);
    for (const client of clients) client.rest();
    await this.world.runUntil(areIdle, { withinMs: ENDED_WITHIN_MS });
    clients[0]?.setSome();
    await this.world.runUntil(areIdle, { withinMs: ENDED_WITHIN_MS });
    const isSlow = this.#lossRate > 0 || this.#disk === SLOW_DISK;
    await this.world.runFor(isSlow ? RESTED_AFTER_SLOWLY_MS : RESTED_AFTER_MS);
    for (const client of clients) client.markRested(this.#history.last);
  }

  #check(): void {
    checkEnd(this.#ensemble, this.#history);
    this.#durability.check('at the end');
    this.#expiry.check(this.#history.txns);
    const model = new HistoryModel(this.#history.txns);
    checkTrees(this.#ensemble, model);
    const calls = new CallChecker(this.#history, model);
    calls.check(this.#records);
    for (const [mark, count] of calls.marks) this.#seen.mark(mark, count);
  }

  #marks(): ReadonlyMap<string, number> {
    const faults = this.#faults?.marks ?? new Map<string, number>();
    for (const [mark, count] of [...this.#history.marks, ...faults]) this.#seen.mark(mark, count);
    if (this.#records.expired.length > 0) this.#seen.mark('session expired', this.#records.expired.length);
    const struck = [...faults].filter(([mark]) => /^(fault|moment): /.test(mark));
    this.#seen.mark('simulated seconds', this.world.nowMs / 1000);
    this.#seen.mark(
      'fault events',
      struck.reduce((sum, [, count]) => sum + count, 0),
    );
    this.#seen.mark('operations', this.#records.calls.length);
    return this.#seen.counts;
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random.next() * list.length)] as T; // the index is below the length
  }
}

const SLOW_DISK: Partial<DiskOptions> = { syncMs: [1, 30], stallRate: 0.01, stallMs: [50, 800] };

const causesOf = (error: unknown): unknown[] => (error instanceof Error ? [error, ...causesOf(error.cause)] : [error]);

/** Everybody has all of the history, and nothing is left of clients that are gone. */
function checkEnd(ensemble: SimulatedEnsemble, { last }: HistoryChecker): void {
  for (const server of ensemble.running) {
    const { name, database } = server;
    const { lastZxid, tree, sessions } = database;
    if (lastZxid !== last) throw new Error(`LIVENESS: ${name} is at ${toHex(lastZxid)}, not at ${toHex(last)}`);
    tree.assertConsistent();
    if (sessions.size > 0) throw new Error(`C3: ${name} has ${sessions.size} sessions, and no client lives`);
    if (tree.ephemeralCount > 0) throw new Error(`C1: ${name} has ${tree.ephemeralCount} ephemerals without sessions`);
    const { watches, outstanding } = server.view();
    if (watches.total > 0) throw new Error(`E1: ${name} has ${watches.total} watches, and no client lives`);
    if (outstanding > 0) throw new Error(`E1: ${name} has ${outstanding} requests under way, and no client lives`);
  }
}

function checkTrees(ensemble: SimulatedEnsemble, model: HistoryModel): void {
  const expected = model.paths.filter((path) => path !== '/').sort();
  for (const { name, database } of ensemble.running) {
    const { tree } = database;
    const paths = [...tree.znodes()].map((node) => tree.pathOf(node)).filter((path) => /^\/[nq]/.test(path));
    if (paths.sort().join() !== expected.join()) throw new Error(`A2: ${name} has [${paths}], not [${expected}]`);
    for (const path of expected) {
      const node = tree.find(path);
      const data = node === undefined ? undefined : Buffer.from(tree.data(node) ?? []).toString();
      if (data !== model.now(path)?.data) throw new Error(`A2: ${path} at ${name} is ${data}`);
    }
  }
}
