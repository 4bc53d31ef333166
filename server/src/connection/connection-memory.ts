import { JuteWriter } from 'zookeeper-protocol-ts';
import { assert } from '../invariant.ts';

/** What all connections together may hold in memory, in bytes. */
export interface ConnectionMemoryLimits {
  /** Received and not yet part of a request that is being served: frames that are not whole, and whole ones not yet read. */
  readonly inboundBytesMax: number;
  /** Answers and events that clients have not read. */
  readonly outboundBytesMax: number;
  /** A request above this size is large; -1: none is (`largeRequestThreshold`). */
  readonly largeRequestThreshold: number;
  /** Of large requests that are being served (`largeRequestMaxBytes`). */
  readonly largeRequestBytesMax: number;
}

/** Room for the replies of one turn, before another piece of memory is taken. */
const REPLY_CHUNK_BYTES = 16 * 1024;

/**
 * So many connections collect what they write in a turn. When there are more, the first sends what it has: a turn in which ten
 * thousand clients ping needs no more memory than one with 64.
 */
const WRITERS_MAX = 64;

/** Who has a writer, and gives it back with {@link ConnectionMemory.giveBackWriter} when that is asked for. */
export interface WriterBorrower {
  send(): void;
}

/**
 * The memory that the connections of a server share: how much of it they hold, against the limits, and the writers that they
 * borrow for a turn. A connection that nobody writes to holds none of it.
 *
 * What must hold: a connection that has ended has given back what it had taken, so with no connection all sums are 0 (MEM-1); a writer
 * has one borrower (MEM-2).
 */
export class ConnectionMemory {
  readonly limits: ConnectionMemoryLimits;
  #inbound = 0;
  #outbound = 0;
  #largeRequests = 0;
  /** Those that nobody has. Together with the borrowers there are never more than `WRITERS_MAX`. */
  readonly #writers: JuteWriter[] = [];
  /** In the order in which they borrowed. */
  readonly #borrowers = new Set<WriterBorrower>();

  constructor(limits: ConnectionMemoryLimits) {
    this.limits = limits;
  }

  /** What is held now, in bytes. */
  get held(): { readonly inbound: number; readonly outbound: number; readonly largeRequests: number } {
    return { inbound: this.#inbound, outbound: this.#outbound, largeRequests: this.#largeRequests };
  }

  /** Beyond the limit of what clients have not read: somebody must go. */
  get isOutboundOver(): boolean {
    return this.#outbound > this.limits.outboundBytesMax;
  }

  /**
   * A connection holds so many bytes more, or less, of what it received.
   * @returns false if that is too much for all together
   */
  addInbound(bytes: number): boolean {
    this.#inbound += bytes;
    return this.#inbound <= this.limits.inboundBytesMax;
  }

  addOutbound(bytes: number): void {
    this.#outbound += bytes;
  }

  isLarge(requestBytes: number): boolean {
    const { largeRequestThreshold } = this.limits;
    return largeRequestThreshold >= 0 && requestBytes > largeRequestThreshold;
  }

  /** @returns false, and takes nothing, if there is no room for a large request of this size */
  takeLargeRequest(bytes: number): boolean {
    if (this.#largeRequests + bytes > this.limits.largeRequestBytesMax) return false;
    this.#largeRequests += bytes;
    return true;
  }

  giveBackLargeRequest(bytes: number): void {
    this.#largeRequests -= bytes;
  }

  /** A writer with nothing in it, until it is given back. Nobody borrows while another is in the middle of a frame. */
  borrowWriter(borrower: WriterBorrower): JuteWriter {
    if (this.#borrowers.size === WRITERS_MAX) {
      for (const first of this.#borrowers) {
        first.send();
        break;
      }
    }
    this.#borrowers.add(borrower);
    return this.#writers.pop() ?? new JuteWriter(REPLY_CHUNK_BYTES);
  }

  /** What it held at last tells whether it has grown: then it isn't kept. */
  giveBackWriter(borrower: WriterBorrower, writer: JuteWriter, { takenBytes }: { takenBytes: number }): void {
    const borrowed = this.#borrowers.delete(borrower);
    assert(borrowed, 'MEM-2: a writer is given back once');
    if (takenBytes <= REPLY_CHUNK_BYTES) this.#writers.push(writer);
  }
}
