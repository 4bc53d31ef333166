/**
 * An ensemble of shipped servers in a world, each on its own machine `s1`, `s2` …, with some who look on. What onlookers are told
 * comes from the server's own inputs, and from what it logs: a transaction is delivered, a role begins or ends, a session expires.
 */
import { type SessionId, toSessionId } from 'zookeeper-protocol-ts';
import { type Disk, Server, type ServerOptions } from 'zookeeper-server-ts';
import type { Role } from '../../server/src/quorum-peer.ts';
import { readEpochs, type SavedEpochs } from '../../server/src/storage/epoch-files.ts';
import type { LinkId } from '../../server/src/zab/contract.ts';
import type { TouchedSession } from '../../server/src/zab/messages.ts';
import type { Proposal } from '../../server/src/zab/proposal.ts';
import type { ClockOptions } from './clock.ts';
import type { SimulatedDisk } from './disk.ts';
import type { Process } from './process.ts';
import { type StartServerOptions, startServer } from './start-server.ts';
import type { World } from './world.ts';

/** Who looks on is told what it has a handler for; several are told in their order. */
export interface Onlooker {
  /** It has a history: from its disk, or after that was cut or replaced. */
  readonly onRecovered?: (server: ObservedServer) => void;
  /** It begins to serve; `undefined`: it has stopped. */
  readonly onRole?: (server: ObservedServer, role: Role | undefined) => void;
  /** In its log, or soon; of a leader: proposed. */
  readonly onAppended?: (server: ObservedServer, proposal: Proposal) => void;
  /** Applied. `before` is where the database was. */
  readonly onDelivered?: (server: ObservedServer, proposal: Proposal, before: bigint) => void;
  /** A client of the session was heard, here or on a learner that has told. */
  readonly onHeard?: (server: ObservedServer, session: SessionId) => void;
  /** It has found that the session was silent for too long. */
  readonly onExpired?: (server: ObservedServer, session: SessionId) => void;
  /** It goes on, after so long by its own clock. */
  readonly onThawed?: (server: ObservedServer, frozenMs: number) => void;
}

/** A shipped server that tells what happens to it. */
export class ObservedServer extends Server {
  readonly name: string;
  role: Role | undefined;
  readonly #onlookers: readonly Onlooker[];
  readonly #disk: Disk;
  readonly #simulated: SimulatedDisk;

  constructor(
    { name, disk }: { readonly name: string; readonly disk: SimulatedDisk },
    options: ServerOptions,
    onlookers: readonly Onlooker[],
  ) {
    super(options);
    this.name = name;
    this.#simulated = disk;
    this.#disk = options.logDisk;
    this.#onlookers = onlookers;
  }

  override onRoleChanged(role: Role | undefined, reason: string): void {
    if (role !== undefined) for (const onlooker of this.#onlookers) onlooker.onRecovered?.(this);
    super.onRoleChanged(role, reason);
    this.role = role;
    for (const onlooker of this.#onlookers) onlooker.onRole?.(this, role);
  }

  override onAppended(proposal: Proposal): void {
    for (const onlooker of this.#onlookers) onlooker.onAppended?.(this, proposal);
    super.onAppended(proposal);
  }

  override onDeliver(proposal: Proposal): void {
    const before = this.database.lastZxid;
    super.onDeliver(proposal);
    for (const onlooker of this.#onlookers) onlooker.onDelivered?.(this, proposal, before);
  }

  override onRequest(request: Parameters<Server['onRequest']>[0]): void {
    super.onRequest(request);
    this.#onHeard(request.sessionId);
  }

  override onTouched(sessions: readonly TouchedSession[]): void {
    super.onTouched(sessions);
    for (const { sessionId } of sessions) this.#onHeard(sessionId);
  }

  override isSessionValid(link: LinkId, sessionId: SessionId): boolean {
    const isValid = super.isSessionValid(link, sessionId);
    if (isValid) this.#onHeard(sessionId);
    return isValid;
  }

  /** The epoch that its disk says it is in. */
  get epoch(): number {
    return this.#epochs.current;
  }

  /** And the one that it has accepted: it follows no leader of an earlier one. */
  get acceptedEpoch(): number {
    return this.#epochs.accepted;
  }

  get #epochs(): SavedEpochs {
    return this.#simulated.withoutFaults(() => readEpochs(this.#disk, this.database.lastZxid));
  }

  #onHeard(session: SessionId): void {
    for (const onlooker of this.#onlookers) onlooker.onHeard?.(this, session);
  }
}

export interface EnsembleOptions {
  readonly voters: number;
  readonly observers: number;
  /** Lines of zoo.cfg beside those of the members. */
  readonly zooCfg: readonly string[];
  readonly clocks: readonly ClockOptions[];
  readonly onlookers: readonly Onlooker[];
  /** What all of them have on their disks when they are started for the first time. Default: nothing. */
  readonly files?: ReadonlyMap<string, Uint8Array>;
  /** Of all of them, beside what their machines give. */
  readonly server?: Pick<ServerOptions, 'counterMax'>;
  /** A server can't start, or can't go on: its process ends. Default: the world stops with that error. */
  readonly onStopped?: (name: string, error: Error) => void;
}

export class SimulatedEnsemble {
  readonly names: readonly string[];
  readonly voters: readonly string[];
  readonly #world: World;
  readonly #options: EnsembleOptions;
  readonly #servers = new Map<string, ObservedServer>();
  /** Since when those who are frozen are, by their own clocks. */
  readonly #frozenAt = new Map<string, number>();
  readonly #retired = new Set<string>();

  constructor(world: World, options: EnsembleOptions) {
    this.#world = world;
    this.#options = options;
    this.names = Array.from({ length: options.voters + options.observers }, (_, i) => `s${i + 1}`);
    this.voters = this.names.slice(0, options.voters);
    for (const [file, bytes] of options.files ?? []) {
      for (const name of this.names) world.disk(name, DATA_FOLDER).place(file, bytes);
    }
  }

  /** Those who have not been retired. */
  get members(): readonly string[] {
    return this.names.filter((name) => !this.#retired.has(name));
  }

  /** Those whose process lives. */
  get running(): readonly ObservedServer[] {
    return this.names.flatMap((name) => (this.#process(name) === undefined ? [] : (this.#servers.get(name) ?? [])));
  }

  get leader(): ObservedServer | undefined {
    return this.running.find(({ role }) => role === 'leader');
  }

  /** Never starts it again. */
  retire(name: string): void {
    this.#retired.add(name);
  }

  /** Starts it, unless it runs. */
  start(name: string): void {
    if (this.#process(name) !== undefined || this.#retired.has(name)) return;
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
      ...this.#failureOf(name),
      create: (options: ServerOptions) => {
        const runLog = { ...options.runLog, info: (line: string) => this.#onLogged(name, line, options) };
        const machine = { name, disk: this.#world.disk(name, DATA_FOLDER) };
        return new ObservedServer(machine, { ...options, runLog, ...this.#options.server }, this.#options.onlookers);
      },
    });
    this.#servers.set(name, server);
  }

  /** The one who decides that a session is over says so. */
  #onLogged(name: string, line: string, { runLog }: ServerOptions): void {
    runLog.info(line);
    const session = EXPIRES.exec(line)?.[1];
    const server = this.#servers.get(name);
    if (session === undefined || server === undefined) return;
    for (const onlooker of this.#options.onlookers) onlooker.onExpired?.(server, toSessionId(BigInt(session)));
  }

  /** A process that has failed is over as soon as what it does at that moment is done. */
  #failureOf(name: string): Pick<StartServerOptions, 'onFailure'> {
    const { onStopped } = this.#options;
    if (onStopped === undefined) return {};
    return {
      onFailure: (error) => {
        const process = this.#process(name);
        this.#world.at(this.#world.nowMs, () => process !== undefined && this.#world.kill(process));
        onStopped(name, error);
      },
    };
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
    if (process?.state !== 'running') return;
    this.#frozenAt.set(name, process.clock.now());
    this.#world.freeze(process);
  }

  thaw(name: string): void {
    const process = this.#process(name);
    const server = this.#servers.get(name);
    if (process?.state !== 'frozen' || server === undefined) return;
    this.#world.thaw(process);
    const frozenMs = process.clock.now() - (this.#frozenAt.get(name) ?? process.clock.now());
    for (const onlooker of this.#options.onlookers) onlooker.onThawed?.(server, frozenMs);
  }

  #process(name: string): Process | undefined {
    return this.#world.running(name);
  }
}

const EXPIRES = /^session (0x[0-9a-f]+) expires$/;

/** Below the dataDir; see {@link startServer}. */
export const DATA_FOLDER = 'version-2';
