import { type SessionId, toServerId } from 'zookeeper-protocol-ts';
import { completeConfig, type ServerConfig } from '../config.ts';
import { Ensemble, type Member } from '../ensemble.ts';
import { FileDisk } from '../node/file-disk.ts';
import { nodeGzip } from '../node/gzip.ts';
import { SystemClock } from '../node/system-clock.ts';
import { systemHash } from '../node/system-hash.ts';
import { SystemMachine } from '../node/system-machine.ts';
import { SystemRandom } from '../node/system-random.ts';
import { TcpNetwork } from '../node/tcp.ts';
import type { Address, Disk, Network, RunLog } from '../ports.ts';
import type { Role } from '../quorum-peer.ts';
import { Server } from '../server.ts';
import { MemoryDisk } from '../storage/memory-disk.ts';
import { PausableMachine } from './pausable-machine.ts';
import { PeerWires } from './peer-wires.ts';

/** What a testing cluster can be told. */
export interface TestingClusterOptions {
  /** Servers that don't vote, behind those that do. Default: 0. */
  readonly observers?: number;
  /** A folder for the data, with one folder for each server in it. Default: the data is in memory. */
  readonly dataDir?: string;
  /** Default: 100 ms. A leader that is cut off gives up within 5 ticks. */
  readonly tickTimeMs?: number;
  /** Where the lines go that an operator reads. Default: nowhere. */
  readonly runLog?: (server: number) => RunLog;
}

/** The cluster, or a server of it, is not in the state that was needed. */
export class TestingClusterStateError extends Error {
  override readonly name = 'TestingClusterStateError';
  readonly code = 'TESTING_CLUSTER_STATE';
}

interface ClusterServer {
  readonly id: number;
  /** The same over all restarts. */
  readonly disk: Disk;
  address: Address;
  running: { readonly server: Server; readonly machine: PausableMachine } | undefined;
}

const SILENT: RunLog = { info: () => undefined, warn: () => undefined, error: () => undefined };
const CHECK_EVERY_MS = 5;

const aMoment = (): Promise<void> =>
  new Promise((resolve) => {
    const clock = new SystemClock();
    clock.setAlarm(clock.now() + CHECK_EVERY_MS, resolve);
  });

/** An election among servers of one process takes half a second. */
const ESTABLISHED_MS_MAX = 30_000;

/**
 * An ensemble for tests (Curator's `TestingCluster`): shipped servers in this process, 1 to N, each on a free port of the loopback
 * address for clients; between each other they speak in memory, over a network that can be cut.
 *
 * ```ts
 * await using cluster = await TestingCluster.start(3);
 * await using client = await connect(cluster.connectString);
 * await cluster.kill(cluster.leader);
 * ```
 *
 * What differs from a server's defaults is what differs for a `TestingServer`. In the background nothing fails: a server that stops
 * by itself is gone from {@link TestingCluster.servers}, and {@link TestingCluster.failed} says why.
 */
export class TestingCluster implements AsyncDisposable {
  readonly #options: TestingClusterOptions;
  readonly #clock = new SystemClock();
  readonly #wires = new PeerWires((run) => this.#clock.soon(run));
  readonly #ensemble: Ensemble;
  readonly #servers: readonly ClusterServer[];
  #isClosed = false;
  #reportFailure: (error: Error) => void = () => undefined;

  /** Resolves when a server has stopped by itself, with the reason. Not in a test that goes well. */
  readonly failed: Promise<Error> = new Promise((resolve) => {
    this.#reportFailure = resolve;
  });

  private constructor(voters: number, options: TestingClusterOptions) {
    this.#options = options;
    const members = Array.from({ length: voters + (options.observers ?? 0) }, (_, index) =>
      memberOf(index + 1, index < voters ? 'participant' : 'observer'),
    );
    this.#ensemble = new Ensemble({ members });
    this.#servers = members.map(({ id }) => ({
      id,
      disk:
        options.dataDir === undefined
          ? new MemoryDisk({ soon: (run) => this.#clock.soon(run) })
          : new FileDisk(`${options.dataDir}/${id}/version-2`),
      address: { host: '127.0.0.1', port: 0 },
      running: undefined,
    }));
  }

  /**
   * @param voters how many servers vote, at least 1
   * @returns when all of them serve
   * @throws ConfigError, StorageError as a server does
   */
  static async start(voters = 3, options: TestingClusterOptions = {}): Promise<TestingCluster> {
    const cluster = new TestingCluster(voters, options);
    try {
      await Promise.all(cluster.#servers.map((server) => cluster.#start(server)));
      await cluster.established();
    } catch (error) {
      await cluster.close();
      throw error;
    }
    return cluster;
  }

  /** What clients connect to: all servers, also those that don't run. */
  get connectString(): string {
    return this.#servers.map(({ address: { host, port } }) => `${host}:${port}`).join(',');
  }

  /** What clients of one server connect to. */
  connectStringOf(server: number): string {
    const { host, port } = this.#server(server).address;
    return `${host}:${port}`;
  }

  /** Those that run. */
  get servers(): number[] {
    return this.#servers.flatMap(({ id, running }) => (running === undefined ? [] : [id]));
  }

  /** What a server does; undefined while it looks for a leader, or doesn't run. */
  roleOf(server: number): Role | undefined {
    return this.#server(server).running?.server.view().mode;
  }

  /**
   * The number of the server that leads. Of two, while one that was cut off has not noticed yet, the one of the later epoch.
   * @throws TestingClusterStateError when there is none: {@link TestingCluster.established} waits for one
   */
  get leader(): number {
    const leaders = this.#servers.filter(({ id }) => this.roleOf(id) === 'leader');
    const [first] = leaders.sort((a, b) => Number(epochOf(b) - epochOf(a)));
    if (first === undefined) throw new TestingClusterStateError('the testing cluster has no leader');
    return first.id;
  }

  /**
   * Resolves when all that run serve, or those of them that are named.
   * @throws TestingClusterStateError when that doesn't come true within 30 s
   */
  async established(servers: readonly number[] = this.servers): Promise<void> {
    const deadline = this.#clock.now() + ESTABLISHED_MS_MAX;
    while (!servers.every((server) => this.roleOf(server) !== undefined)) {
      if (this.#isClosed) throw new TestingClusterStateError('the testing cluster is closed');
      if (this.#clock.now() > deadline) {
        const roles = servers.map((server) => `${server}: ${this.roleOf(server) ?? 'looking'}`).join(', ');
        throw new TestingClusterStateError(`not all servers serve within ${ESTABLISHED_MS_MAX} ms (${roles})`);
      }
      await aMoment();
    }
  }

  /** Ends a server at once: its connections break, clients and servers are not told. Nothing happens if it doesn't run. */
  async kill(server: number): Promise<void> {
    const killed = this.#server(server);
    const { running } = killed;
    if (running === undefined) return;
    killed.running = undefined;
    running.machine.resume();
    running.machine.dropConnections();
    this.#wires.drop(server);
    await new Promise<void>((resolve, reject) => {
      running.server.close((error) => (error === null ? resolve() : reject(error)));
    });
  }

  /** Starts a server again with what it had, on the same port; one that runs is killed before. @returns when it listens */
  async restart(server: number): Promise<void> {
    await this.kill(server);
    await this.#start(this.#server(server));
  }

  /**
   * Cuts the network between groups of servers: `partition([1], [2, 3])`. Who is in no group is alone. Clients reach all of them.
   * A partition replaces the one before.
   */
  partition(...groups: readonly (readonly number[])[]): void {
    for (const server of groups.flat()) this.#server(server);
    this.#wires.partition(groups);
  }

  /** The network is whole again; what was sent meanwhile arrives now. */
  heal(): void {
    this.#wires.heal();
  }

  /** As `TestingServer.pause`. @throws TestingClusterStateError when it doesn't run */
  pause(server: number): void {
    this.#running(server).machine.pause();
  }

  /** Goes on, with all that has arrived meanwhile. */
  resume(server: number): void {
    this.#running(server).machine.resume();
  }

  /**
   * Ends a session as if its client had been silent for too long.
   * @returns when no server that serves knows it any more; false if there was no such session
   * @throws TestingClusterStateError when there is no leader
   */
  async expireSession(sessionId: SessionId): Promise<boolean> {
    const expires = this.#running(this.leader).server.expireSession(sessionId);
    const knows = ({ id, running }: ClusterServer): boolean =>
      this.roleOf(id) !== undefined && running?.server.database.sessions.has(sessionId) === true;
    while (expires && this.#servers.some(knows)) await aMoment();
    return expires;
  }

  /** Stops all servers for good. What is in memory is gone; a `dataDir` stays. May be called twice. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#servers.map(({ id }) => this.kill(id)));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #server(id: number): ClusterServer {
    const server = this.#servers[id - 1];
    if (server === undefined) throw new TestingClusterStateError(`the testing cluster has no server ${id}`);
    return server;
  }

  #running(id: number): NonNullable<ClusterServer['running']> {
    const { running } = this.#server(id);
    if (running === undefined) throw new TestingClusterStateError(`server ${id} of the testing cluster does not run`);
    return running;
  }

  async #start(member: ClusterServer): Promise<void> {
    if (this.#isClosed) throw new TestingClusterStateError('the testing cluster is closed');
    const { id } = member;
    const machine = new PausableMachine({ clock: new SystemClock(), network: this.#networkOf(id) });
    const server = new Server({
      config: this.#configOf(member),
      clock: machine.clock,
      network: machine.network,
      logDisk: member.disk,
      gzip: nodeGzip,
      random: new SystemRandom(),
      hash: systemHash,
      runLog: this.#options.runLog?.(id) ?? SILENT,
      machine: new SystemMachine(),
      onFailure: (error) => {
        if (member.running?.server === server) member.running = undefined;
        this.#reportFailure(error);
      },
    });
    member.address = await new Promise<Address>((resolve, reject) => {
      server.start((outcome) => ('error' in outcome ? reject(outcome.error) : resolve(outcome.address)));
    });
    member.running = { server, machine };
  }

  #configOf({ id, address }: ClusterServer): ServerConfig {
    const { dataDir, tickTimeMs = 100 } = this.#options;
    return completeConfig({
      serverId: id,
      ensemble: this.#ensemble,
      dataDir: dataDir === undefined ? 'memory' : `${dataDir}/${id}`,
      clientPort: address.port,
      clientPortAddress: address.host,
      tickTimeMs,
      initLimit: 50,
      syncLimit: 5,
      maxSessionTimeoutMs: 60_000,
      maxClientCnxns: 0,
      fourLetterWords: new Set(['*']),
      ...(dataDir === undefined ? { preallocateBytes: 0 } : {}),
    });
  }

  /** Clients come over TCP, servers in memory. */
  #networkOf(id: number): Network {
    const tcp = new TcpNetwork();
    const wires = this.#wires.networkOf(id);
    return {
      listen: (address, handler) => (isPeer(address) ? wires : tcp).listen(address, handler),
      dial: (address, handler) => wires.dial(address, handler),
    };
  }
}

/** The servers' names for each other, which no client uses. */
const PEER_HOST = 'testing-cluster-';

const isPeer = ({ host }: Address): boolean => host.startsWith(PEER_HOST);

function memberOf(id: number, type: Member['type']): Member {
  const host = `${PEER_HOST}${id}`;
  return { id: toServerId(id), type, quorumAddress: { host, port: 2888 }, electionAddress: { host, port: 3888 } };
}

const epochOf = ({ running }: ClusterServer): bigint => (running?.server.database.lastZxid ?? 0n) >> 32n;
