/**
 * One incarnation of a simulated process: the ports that it gets, and whether it runs, is frozen or dead. A restart is a new
 * Process on the same machine, so a callback of the old one can never reach the new one.
 */

import type { Ports, Transport } from 'zookeeper-client-ts';
import type { Disk, Network, Random, RunLog } from 'zookeeper-server-ts';
import type { ProcessClock } from './clock.ts';
import { type EventOwner, type EventQueue, type QueuedEvent, Source } from './event-queue.ts';

export interface ProcessParts {
  readonly name: string;
  /** Counts the processes of this name, from 1. */
  readonly incarnation: number;
  readonly usesPromises: boolean;
}

export interface ProcessPorts {
  readonly clock: ProcessClock;
  readonly network: Network & Transport;
  readonly random: Random;
  readonly runLog: RunLog;
  readonly mount: (folder: string) => Disk;
}

export class Process implements EventOwner {
  /** Also the name of its machine. */
  readonly name: string;
  readonly incarnation: number;
  readonly usesPromises: boolean;
  /** Set by the world only. */
  state: 'running' | 'frozen' | 'dead' = 'running';
  readonly held: QueuedEvent[] = [];
  /** How many have run so far. Counted by the world. */
  events = 0;

  readonly clock: ProcessClock;
  /** `listen` for servers, `connect` for clients. */
  readonly network: Network & Transport;
  readonly random: Random;
  readonly runLog: RunLog;
  readonly #mount: (folder: string) => Disk;
  readonly #queue: EventQueue;
  readonly #acts: Source;

  constructor(queue: EventQueue, parts: ProcessParts, portsFor: (process: Process) => ProcessPorts) {
    this.#queue = queue;
    this.name = parts.name;
    this.incarnation = parts.incarnation;
    this.usesPromises = parts.usesPromises;
    const ports = portsFor(this);
    this.clock = ports.clock;
    this.network = ports.network;
    this.random = ports.random;
    this.runLog = ports.runLog;
    this.#mount = ports.mount;
    this.#acts = new Source(queue, this, `${parts.name}.${parts.incarnation}/act`);
  }

  /** A folder of its machine's disk; survives the process. */
  disk(folder = 'data'): Disk {
    return this.#mount(folder);
  }

  /** What the client package takes. */
  get clientPorts(): Ports {
    return { clock: this.clock, transport: this.network, random: () => this.random.next() };
  }

  /**
   * Runs code as the next event of this process. The promise settles as the code's result does, which may take the world
   * some running; if the process dies before, it never settles.
   */
  act<T>(run: () => T | PromiseLike<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#acts.schedule(this.#queue.nowUs, {
        kind: 'act',
        run: () => {
          try {
            resolve(run());
          } catch (error) {
            reject(error);
          }
        },
      });
    });
  }
}
