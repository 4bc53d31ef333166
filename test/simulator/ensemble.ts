/**
 * An ensemble of shipped servers in a world, each on its own machine `s1`, `s2` …, with somebody who looks on. What the onlooker
 * is told comes from the server's own inputs: a transaction is delivered, a role begins or ends, recovery is done.
 */
import { JuteReader, type Txn, txn } from 'zookeeper-protocol-ts';
import { type Disk, Server, type ServerOptions } from 'zookeeper-server-ts';
import type { Role } from '../../server/src/quorum-peer.ts';
import { readEpochs } from '../../server/src/storage/epoch-files.ts';
import { logsInOrder } from '../../server/src/storage/log-replay.ts';
import { readTxnLog } from '../../server/src/storage/txn-log-reader.ts';
import type { Proposal } from '../../server/src/zab/proposal.ts';
import type { ClockOptions } from './clock.ts';
import type { Process } from './process.ts';
import { startServer } from './start-server.ts';
import type { World } from './world.ts';

export interface Onlooker {
  /** It has a history: from its disk, or after that was cut or replaced. */
  readonly onRecovered: (server: ObservedServer) => void;
  /** It begins to serve; `undefined`: it has stopped. */
  readonly onRole: (server: ObservedServer, role: Role | undefined) => void;
  /** Applied. `before` is where the database was. */
  readonly onDelivered: (server: ObservedServer, delivered: Txn, before: bigint) => void;
}

/** A shipped server that tells what happens to it. */
export class ObservedServer extends Server {
  readonly name: string;
  role: Role | undefined;
  readonly #onlooker: Onlooker;
  readonly #disk: Disk;

  constructor(name: string, options: ServerOptions, onlooker: Onlooker) {
    super(options);
    this.name = name;
    this.#disk = options.logDisk;
    this.#onlooker = onlooker;
  }

  override onRoleChanged(role: Role | undefined, reason: string): void {
    if (role !== undefined) this.#onlooker.onRecovered(this);
    super.onRoleChanged(role, reason);
    this.role = role;
    this.#onlooker.onRole(this, role);
  }

  override onDeliver(proposal: Proposal): void {
    const before = this.database.lastZxid;
    super.onDeliver(proposal);
    this.#onlooker.onDelivered(this, txn.read(new JuteReader(proposal.bytes)), before);
  }

  /** The epoch that its disk says it is in. */
  get epoch(): number {
    return readEpochs(this.#disk, this.database.lastZxid).current;
  }

  /** The transactions that are in its logs, in order, as a reader finds them now. */
  *logged(): Generator<Txn> {
    for (const name of logsInOrder(this.#disk.list())) {
      const file = this.#disk.open(name);
      for (const { bytes } of readTxnLog(file, name)) yield txn.read(new JuteReader(Uint8Array.from(bytes)));
      file.close();
    }
  }
}

export interface EnsembleOptions {
  readonly voters: number;
  readonly observers: number;
  /** Lines of zoo.cfg beside those of the members. */
  readonly zooCfg: readonly string[];
  readonly clocks: readonly ClockOptions[];
  readonly onlooker: Onlooker;
}

export class SimulatedEnsemble {
  readonly names: readonly string[];
  readonly voters: readonly string[];
  readonly #world: World;
  readonly #options: EnsembleOptions;
  readonly #servers = new Map<string, ObservedServer>();

  constructor(world: World, options: EnsembleOptions) {
    this.#world = world;
    this.#options = options;
    this.names = Array.from({ length: options.voters + options.observers }, (_, i) => `s${i + 1}`);
    this.voters = this.names.slice(0, options.voters);
  }

  /** Those whose process lives. */
  get running(): readonly ObservedServer[] {
    return this.names.flatMap((name) => (this.#process(name) === undefined ? [] : (this.#servers.get(name) ?? [])));
  }

  get leader(): ObservedServer | undefined {
    return this.running.find(({ role }) => role === 'leader');
  }

  /** Starts it, unless it runs. */
  start(name: string): void {
    if (this.#process(name) !== undefined) return;
    const index = this.names.indexOf(name);
    const clock = this.#options.clocks[index];
    const process = this.#world.spawn(name, clock === undefined ? {} : { clock });
    const members = this.names.map((member, i) => {
      const type = i < this.#options.voters ? 'participant' : 'observer';
      return `server.${i + 1}=${member}:2888:3888:${type}`;
    });
    const server = startServer(process, {
      myid: index + 1,
      zooCfg: [...this.#options.zooCfg, ...members, ...(index < this.#options.voters ? [] : ['peerType=observer'])],
      create: (options: ServerOptions) => new ObservedServer(name, options, this.#options.onlooker),
    });
    this.#servers.set(name, server);
  }

  kill(name: string): void {
    const process = this.#process(name);
    if (process !== undefined) this.#world.kill(process);
  }

  powerLoss(name: string): void {
    const process = this.#process(name);
    if (process !== undefined) this.#world.powerLoss(process);
  }

  freeze(name: string): void {
    const process = this.#process(name);
    if (process !== undefined) this.#world.freeze(process);
  }

  thaw(name: string): void {
    const process = this.#process(name);
    if (process !== undefined) this.#world.thaw(process);
  }

  #process(name: string): Process | undefined {
    return this.#world.running(name);
  }
}
