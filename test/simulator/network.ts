/**
 * The network between the machines of a world, and the ports by which processes use it: `listen` for servers, `connect` for
 * clients. A machine has a name and a numeric address; connections to a name find the machine that the name table gives at
 * that moment. Faults are methods: block a link one way or both, partition, slow down, reset, refuse, take a name away.
 */

import type { Connection, ConnectionHandler, HostAddress, Transport } from 'zookeeper-client-ts';
import type { Address, Closeable, DialHandler, ListenHandler, Network, StreamHandler } from 'zookeeper-server-ts';
import { type EventOwner, type EventQueue, type QueuedEvent, Source } from './event-queue.ts';
import { LINK_OPTIONS_DEFAULT, Link, type LinkOptions } from './link.ts';
import type { Observe } from './observation.ts';
import { Draws, wordOf } from './random.ts';
import { type Chop, type Host, StreamEnd, type StreamEndOptions } from './stream-end.ts';
import { SystemError } from './system-error.ts';

const CHOPS: readonly Chop[] = ['whole', 'drip', 'cut', 'merge'];
const EPHEMERAL_PORT_FIRST = 32_768;
/** Connections that wait to be accepted; more are not answered until there is room. */
const BACKLOG_MAX = 511;
const RESOLVE_US = 100;
const SYN_RETRY_US = 1_000_000;
/** Linux gives up connecting after six retries, about two minutes. */
const CONNECT_TIMEOUT_US = 127_000_000;
/** What the server's own network waits for a connection. */
const DIAL_TIMEOUT_US = 5_000_000;
/** A machine that is back answers old connections when the peer sends again, which it does ever more rarely. */
const RETRANSMISSION_US_MAX = 10_000_000;

export interface NetworkOptions extends LinkOptions {
  /** How bytes are cut and joined; `mixed` draws it for each connection. Default `mixed`. */
  readonly chop: Chop | 'mixed';
  /** Bytes under way or unread in one direction of a connection. Default 64 KiB. */
  readonly windowBytes: number;
}

const NETWORK_OPTIONS_DEFAULT: NetworkOptions = { ...LINK_OPTIONS_DEFAULT, chop: 'mixed', windowBytes: 65_536 };

/** Links inside one machine are short, and no fault cuts them. */
const LOOPBACK: LinkOptions = { delayMs: [0.01, 0.02], bytesPerMs: Number.POSITIVE_INFINITY, lossRate: 0 };

interface Machine extends Host {
  readonly name: string;
  readonly address: string;
  powered: boolean;
  refusing: boolean;
  readonly listeners: Map<number, Listener>;
  nextPort: number;
  connections: number;
  readonly ends: Set<StreamEnd>;
  /** Ends that a power loss took without a word. */
  vanished: StreamEnd[];
}

interface Listener {
  readonly owner: EventOwner;
  readonly handler: ListenHandler;
  readonly source: Source;
  readonly backlog: StreamEnd[];
  closed: boolean;
}

/** What somebody wants a connection for. */
interface Opening {
  readonly to: HostAddress;
  readonly onOpen: () => void;
  readonly streamHandler: StreamHandler;
  readonly tellsDrain: boolean;
  readonly giveUpUs: number;
}

/** A connection being made. */
interface Attempt {
  readonly client: StreamEnd;
  readonly machine: Machine;
  readonly port: number;
  readonly to: HostAddress;
  readonly onOpen: () => void;
  readonly streamHandler: StreamHandler;
  readonly giveUp: QueuedEvent;
}

export class SimulatedNetwork {
  readonly #queue: EventQueue;
  readonly #draws: Draws;
  readonly #options: NetworkOptions;
  readonly #machines = new Map<string, Machine>();
  readonly #names = new Map<string, string>();
  readonly #links = new Map<string, Link>();
  readonly #observe: Observe;

  constructor(
    queue: EventQueue,
    seed: number,
    options: Partial<NetworkOptions> = {},
    observe: Observe = () => undefined,
  ) {
    this.#queue = queue;
    this.#observe = observe;
    this.#draws = new Draws(seed, 'network');
    this.#options = { ...NETWORK_OPTIONS_DEFAULT, ...options };
  }

  /** The ports of one process on a machine, which is made, or powered on, if need be. */
  attach(machineName: string, owner: EventOwner): Network & Transport {
    const machine = this.#machines.get(machineName) ?? this.#addMachine(machineName);
    if (!machine.powered) this.#powerOn(machine);
    return {
      listen: (address, handler) => this.#listen(machine, owner, address, handler),
      connect: (address, handler) => this.#connect(machine, owner, address, handler),
      dial: (address, handler) => this.#dial(machine, owner, address, handler),
    };
  }

  /** What connections to this name find from now on: a machine's name, or nothing. Machines have their own names already. */
  setName(name: string, machine: string | undefined): void {
    if (machine === undefined) this.#names.delete(name);
    else this.#names.set(name, machine);
  }

  /** Blocks one direction: what is sent waits. The other direction lives until its window is full. */
  block(from: string, to: string): void {
    this.#link(from, to).block();
  }

  unblock(from: string, to: string): void {
    this.#link(from, to).unblock();
  }

  /** Blocks both directions between every machine of one group and every one of the other. */
  partition(group: readonly string[], others: readonly string[]): void {
    for (const a of group) {
      for (const b of others) {
        this.block(a, b);
        this.block(b, a);
      }
    }
  }

  /** Unblocks everything. */
  heal(): void {
    for (const link of this.#links.values()) link.unblock();
  }

  /** Changes delay, bandwidth or loss of one direction, for what is sent from now on. */
  shape(from: string, to: string, options: Partial<LinkOptions>): void {
    const link = this.#link(from, to);
    link.options = { ...link.options, ...options };
  }

  /** While it is set, new connections to this machine are refused. */
  setRefusing(machine: string, refusing: boolean): void {
    this.#machine(machine).refusing = refusing;
  }

  /** Resets every connection of this machine, as a middlebox does that has forgotten them: both ends, at any byte. */
  resetConnections(machine: string): void {
    for (const end of [...this.#machine(machine).ends]) {
      if (!end.connecting) end.resetBoth();
    }
  }

  /**
   * This machine's side of its connections is gone, and the others are not told: they find out when they send. So it is with
   * whoever was away while its connections were given up.
   */
  halfClose(machine: string): void {
    for (const end of [...this.#machine(machine).ends]) {
      if (!end.connecting) end.reset();
    }
  }

  /** The kernel closes what the process had open. */
  onKilled(machineName: string, owner: EventOwner): void {
    const machine = this.#machine(machineName);
    for (const [port, listener] of [...machine.listeners]) {
      if (listener.owner === owner) this.#closeListener(machine, port, listener);
    }
    for (const end of [...machine.ends]) if (end.owner === owner) end.killed();
  }

  /** All that the machine knew is gone, and nobody is told. */
  onPowerLoss(machineName: string): void {
    const machine = this.#machine(machineName);
    machine.powered = false;
    machine.vanished = [...machine.ends];
    for (const listener of machine.listeners.values()) listener.closed = true;
    machine.listeners.clear();
    for (const end of machine.vanished) end.vanish();
  }

  #powerOn(machine: Machine): void {
    machine.powered = true;
    for (const [i, end] of machine.vanished.splice(0).entries()) {
      end.answerForVanished(this.#draws.between([0, RETRANSMISSION_US_MAX], wordOf(machine.name), i));
    }
  }

  #addMachine(name: string): Machine {
    const machine: Machine = {
      name,
      address: `10.0.0.${this.#machines.size + 1}`,
      powered: true,
      refusing: false,
      listeners: new Map(),
      nextPort: EPHEMERAL_PORT_FIRST,
      connections: 0,
      ends: new Set(),
      vanished: [],
    };
    this.#machines.set(name, machine);
    this.#names.set(name, name);
    this.#names.set(machine.address, name);
    return machine;
  }

  #machine(name: string): Machine {
    const machine = this.#machines.get(name);
    if (machine === undefined) throw new Error(`there is no machine ${name}`);
    return machine;
  }

  #link(from: string, to: string): Link {
    const name = `${from}>${to}`;
    let link = this.#links.get(name);
    if (link === undefined) {
      link = new Link(this.#queue, this.#draws, name, from === to ? LOOPBACK : this.#options);
      this.#links.set(name, link);
    }
    return link;
  }

  // --- listening

  #listen(machine: Machine, owner: EventOwner, address: Address, handler: ListenHandler): Closeable {
    const port = address.port === 0 ? this.#freePort(machine) : address.port;
    const source = new Source(this.#queue, owner, `${owner.name}:${port}/accept`);
    const listener: Listener = { owner, handler, source, backlog: [], closed: false };
    const refusal = this.#bindRefusal(machine, address, port);
    if (refusal === undefined) machine.listeners.set(port, listener);
    source.schedule(this.#queue.nowUs, {
      kind: 'listen',
      run: () => {
        if (refusal !== undefined) handler.onFailure(refusal);
        else if (!listener.closed) handler.onListening({ host: address.host, port });
      },
    });
    return { close: () => this.#closeListener(machine, port, listener) };
  }

  #bindRefusal(machine: Machine, { host }: Address, port: number): SystemError | undefined {
    const own = ['0.0.0.0', '::', '127.0.0.1', 'localhost', machine.address];
    if (!own.includes(host) && this.#names.get(host) !== machine.name) {
      return new SystemError('EADDRNOTAVAIL', `listen ${host}:${port}`);
    }
    return machine.listeners.has(port) ? new SystemError('EADDRINUSE', `listen ${host}:${port}`) : undefined;
  }

  #freePort(machine: Machine): number {
    while (machine.listeners.has(machine.nextPort)) machine.nextPort++;
    return machine.nextPort++;
  }

  #closeListener(machine: Machine, port: number, listener: Listener): void {
    if (listener.closed) return;
    listener.closed = true;
    if (machine.listeners.get(port) === listener) machine.listeners.delete(port);
    for (const end of listener.backlog.splice(0)) end.resetBoth();
  }

  #accept(listener: Listener, end: StreamEnd): void {
    listener.backlog.push(end);
    if (listener.backlog.length === 1) this.#armAccept(listener);
  }

  #armAccept(listener: Listener): void {
    listener.source.schedule(this.#queue.nowUs, {
      kind: 'accept',
      run: () => {
        const end = listener.backlog.shift();
        if (listener.backlog.length > 0) this.#armAccept(listener);
        if (end === undefined || listener.closed) return;
        const handler = listener.handler.onStream(end);
        if (handler === undefined) end.refuse();
        else end.attach(handler);
      },
    });
  }

  // --- connecting

  /** For the client's port: the stream is written to before it is open, and its user hears no more of it once it is closed. */
  #connect(machine: Machine, owner: EventOwner, to: HostAddress, handler: ConnectionHandler): Connection {
    const streamHandler: StreamHandler = {
      onBytes: (bytes) => handler.onBytes(bytes),
      onDrain: () => {},
      onClose: (error) => handler.onClose(error),
    };
    const opening = {
      to,
      onOpen: () => handler.onOpen(),
      streamHandler,
      tellsDrain: false,
      giveUpUs: CONNECT_TIMEOUT_US,
    };
    const client = this.#open(machine, owner, opening);
    return { write: (bytes) => client.write(bytes), close: () => client.abandon() };
  }

  /** For the server's port. */
  #dial(machine: Machine, owner: EventOwner, to: Address, handler: DialHandler): void {
    let state: { readonly handler: StreamHandler | undefined } | undefined;
    const streamHandler: StreamHandler = {
      onBytes: (bytes) => state?.handler?.onBytes(bytes),
      onDrain: () => state?.handler?.onDrain(),
      onClose: (error) => {
        if (state === undefined)
          handler.onFailure(error ?? new SystemError('ECONNRESET', `connect ${to.host}:${to.port}`));
        else state.handler?.onClose(error);
      },
    };
    const onOpen = () => {
      state = { handler: handler.onOpened(client) };
    };
    const client = this.#open(machine, owner, {
      to,
      onOpen,
      streamHandler,
      tellsDrain: true,
      giveUpUs: DIAL_TIMEOUT_US,
    });
  }

  #open(machine: Machine, owner: EventOwner, { to, onOpen, streamHandler, tellsDrain, giveUpUs }: Opening): StreamEnd {
    // The target is looked up now, and reached when the look-up has taken its time.
    const target = to.host === 'localhost' || to.host === '127.0.0.1' ? machine.name : this.#names.get(to.host);
    const port = this.#freePort(machine);
    const client = this.#addEnd(machine, target ?? machine.name, owner, {
      name: `${machine.name}#${machine.connections++}`,
      remote: { host: this.#machines.get(target ?? '')?.address ?? to.host, port: to.port },
      port: to.port,
      tellsDrain,
    });
    const giveUp = this.#after(giveUpUs, 'connect-timeout', () => {
      client.fail(new SystemError('ETIMEDOUT', `connect ${to.host}:${to.port}`), streamHandler);
    });
    const attempt: Attempt = { client, machine, port, to, onOpen, streamHandler, giveUp };
    this.#after(RESOLVE_US, 'resolved', () => {
      const found = target === undefined ? undefined : this.#machines.get(target);
      if (found === undefined) this.#fail(attempt, /^[\d.]+$/.test(to.host) ? 'EHOSTUNREACH' : 'ENOTFOUND');
      else this.#sendSyn(attempt, found);
    });
    return client;
  }

  #sendSyn(attempt: Attempt, target: Machine): void {
    this.#link(attempt.machine.name, target.name).send(() => this.#onSyn(attempt, target));
  }

  #onSyn(attempt: Attempt, target: Machine): void {
    const { client, machine, to } = attempt;
    if (!client.connecting) return;
    const listener = target.listeners.get(to.port);
    if (!target.powered || (listener !== undefined && listener.backlog.length >= BACKLOG_MAX)) {
      this.#after(SYN_RETRY_US, 'retransmission', () => this.#sendSyn(attempt, target));
      return;
    }
    const answer = (arrived: () => void) => this.#link(target.name, machine.name).send(arrived);
    if (listener === undefined || target.refusing) {
      answer(() => this.#fail(attempt, 'ECONNREFUSED'));
      return;
    }
    const server = this.#addEnd(target, machine.name, listener.owner, {
      name: `${client.name}>${target.name}:${to.port}`,
      remote: { host: machine.address, port: attempt.port },
      port: to.port,
      tellsDrain: true,
    });
    server.join(client);
    this.#accept(listener, server);
    answer(() => {
      attempt.giveUp.cancelled = true;
      client.opened(attempt.onOpen, attempt.streamHandler);
    });
  }

  #fail({ client, to, streamHandler, giveUp }: Attempt, code: string): void {
    giveUp.cancelled = true;
    client.fail(new SystemError(code, `connect ${to.host}:${to.port}`), streamHandler);
  }

  #addEnd(
    machine: Machine,
    peer: string,
    owner: EventOwner,
    { name, remote, port, tellsDrain }: Pick<StreamEndOptions, 'name' | 'remote' | 'tellsDrain'> & { port: number },
  ): StreamEnd {
    const chop = this.#options.chop;
    const end = new StreamEnd(this.#queue, this.#draws, {
      owner,
      name,
      host: machine,
      remote,
      outLink: this.#link(machine.name, peer),
      inLink: this.#link(peer, machine.name),
      windowBytes: this.#options.windowBytes,
      tellsDrain,
      chop: chop === 'mixed' ? (CHOPS[this.#draws.u32(wordOf(name)) % CHOPS.length] ?? 'whole') : chop,
      onWritten: (bytes) => this.#observe({ kind: 'written', from: machine.name, to: peer, port, stream: name, bytes }),
      onReleased: () => machine.ends.delete(end),
    });
    machine.ends.add(end);
    return end;
  }

  #after(us: number, kind: string, run: () => void): QueuedEvent {
    return this.#queue.kernel.schedule(this.#queue.nowUs + us, { kind, run });
  }
}
