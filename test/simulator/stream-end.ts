/**
 * One end of a simulated TCP connection: what the kernel keeps for it, and the Stream that the process sees.
 *
 * - Bytes arrive in order, cut and joined anywhere.
 * - At most `windowBytes` are under way or unread at the other end. What is written beyond that stays in the process
 *   (`queuedBytes`) until the peer has read and its acknowledgement came back: so a link that is blocked one way stalls the
 *   other way too, once the window is full.
 * - The kernel lives on while the process is frozen, and ends the connection when it is killed. A machine without power
 *   says nothing: its peer stays half-open until it has waited long enough for an acknowledgement, or the machine is back
 *   and answers with a reset.
 */
import type { Address, Stream, StreamHandler } from 'zookeeper-server-ts';
import { type EventOwner, type EventQueue, type QueuedEvent, Source } from './event-queue.ts';
import type { Link, LinkUser } from './link.ts';
import { type Draws, wordOf } from './random.ts';
import { SystemError } from './system-error.ts';

/** How a stream's bytes are handed to the reader. `drip`: byte by byte at the start of some writes, the first one among them, and in random cuts. */
export type Chop = 'whole' | 'drip' | 'cut' | 'merge';

/** Linux gives up on unacknowledged data after about 15 minutes (tcp_retries2). */
const GIVE_UP_US = 924_600_000;

/** Dripping a megabyte byte by byte shows nothing that its first bytes don't, nor every write what some don't. */
const DRIPPED_BYTES = 64;
const DRIPPED_RATE = 1 / 16;

/** Counters of the draws that are made once per end; pieces count from 1. */
const RESET_DRAW = -1;
const KILL_DRAW = -2;

export interface Host {
  /** False after a power loss, until the machine is started again. */
  readonly powered: boolean;
}

export interface StreamEndOptions {
  readonly owner: EventOwner;
  /** Stable between runs, and of this end only. */
  readonly name: string;
  readonly host: Host;
  readonly remote: Address;
  readonly outLink: Link;
  readonly inLink: Link;
  readonly windowBytes: number;
  readonly chop: Chop;
  /** Whether the process wants to hear that all it wrote has left. */
  readonly tellsDrain: boolean;
  /** What the process writes, when it does. */
  readonly onWritten: (bytes: Uint8Array) => void;
  /** The kernel forgets this end. */
  readonly onReleased: (end: StreamEnd) => void;
}

interface Segment {
  /** Infinity while it waits for a blocked link. */
  arrivalUs: number;
  bytes: Uint8Array;
  /** So many of its bytes are still to be handed over one by one. */
  drippedBytes: number;
}

interface Ending {
  arrivalUs: number;
  readonly error: Error | undefined;
}

export class StreamEnd implements Stream, LinkUser {
  readonly remote: Address;
  readonly owner: EventOwner;
  readonly #queue: EventQueue;
  readonly #draws: Draws;
  readonly #key: number;
  readonly #options: StreamEndOptions;
  /** `connecting` has no peer yet; `closing` still sends what was written; `closed` neither sends nor takes bytes. */
  #state: 'connecting' | 'open' | 'closing' | 'closed' = 'connecting';
  #peer: StreamEnd | undefined;
  /** Whom the process put in charge; undefined until it accepted or opened, and again after `onClose`. */
  #handler: StreamHandler | undefined;
  /** The owner has let go of it: no handler is called any more. */
  #abandoned = false;
  /** It was reset while connecting: its process learns of that instead of the answer. */
  #resetBeforeOpen: SystemError | undefined;
  /** It was closed while connecting, with bytes to send. */
  #closesWhenOpen = false;
  #paused = false;

  /** What is under way to this end or waits in its receive buffer, oldest first. */
  #inbound: Segment[] = [];
  #lastArrivalUs = 0;
  /** The end of the stream, behind all of `#inbound`. */
  #ending: Ending | undefined;
  readonly #inboundSource: Source;
  #inboundEvent: QueuedEvent | undefined;
  /** For the trace: which stream it was. */
  readonly #bytesKind: string;
  #pieces = 0;
  /** Read bytes whose acknowledgement can't get through. */
  #heldAcknowledgements = 0;

  /** Written and still in the process. */
  readonly #queued: Uint8Array[] = [];
  #queuedBytes = 0;
  /** Sent and not acknowledged. */
  #unacknowledged = 0;
  #acknowledged = 0;
  readonly #writableSource: Source;
  #writableEvent: QueuedEvent | undefined;
  #giveUpEvent: QueuedEvent | undefined;

  constructor(queue: EventQueue, draws: Draws, options: StreamEndOptions) {
    this.#queue = queue;
    this.#draws = draws;
    this.#options = options;
    this.#key = wordOf(options.name);
    this.#bytesKind = `bytes ${options.name}`;
    this.remote = options.remote;
    this.owner = options.owner;
    this.#inboundSource = new Source(queue, options.owner, `${options.name}/in`);
    this.#writableSource = new Source(queue, options.owner, `${options.name}/out`);
    options.inLink.attach(this);
    options.outLink.attach(this);
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get name(): string {
    return this.#options.name;
  }

  get connecting(): boolean {
    return this.#state === 'connecting';
  }

  // --- what the process does

  write(bytes: Uint8Array): void {
    if (this.#state === 'closing' || this.#state === 'closed' || bytes.length === 0) return;
    this.#options.onWritten(bytes);
    this.#queued.push(bytes);
    this.#queuedBytes += bytes.length;
    this.#sendQueued();
    if (this.#queuedBytes === 0 && this.#options.tellsDrain) this.#armWritable(this.#queue.nowUs);
  }

  pause(): void {
    this.#paused = true;
    this.#disarm();
    this.#arm();
  }

  resume(): void {
    this.#paused = false;
    this.#arm();
  }

  close(): void {
    if (this.#state === 'connecting') {
      if (this.#queuedBytes === 0) this.#end(undefined);
      else this.#closesWhenOpen = true;
    }
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    this.#dropInbound();
    if (this.#queuedBytes === 0) this.#finish();
  }

  destroy(): void {
    if (this.#state === 'closed') return;
    this.#finish();
  }

  /** Closes it, and calls no handler any more. */
  abandon(): void {
    this.#abandoned = true;
    if (this.#state === 'closed') this.#release();
    else this.close();
  }

  // --- what the kernels do

  /** Both ends exist; bytes may flow. The peer may be told later. */
  join(peer: StreamEnd): void {
    this.#peer = peer;
    peer.#peer = this;
    this.#state = 'open';
  }

  /** The other side has answered: the connecting process learns of it. */
  opened(onOpen: () => void, handler: StreamHandler): void {
    if (this.#state !== 'connecting') {
      // It was closed meanwhile; the other side finds out by a reset.
      if (this.#options.host.powered) this.#peer?.reset();
      return;
    }
    if (this.#resetBeforeOpen !== undefined) return this.fail(this.#resetBeforeOpen, handler);
    this.#state = 'open';
    if (this.#closesWhenOpen) {
      this.#sendQueued();
      this.close();
      return;
    }
    this.#inboundSource.schedule(this.#queue.nowUs, {
      kind: 'open',
      run: () => {
        if (this.#abandoned) return;
        this.attach(handler);
        onOpen();
        this.#sendQueued();
      },
    });
  }

  /** Puts the process's handler in charge; what has arrived comes next. */
  attach(handler: StreamHandler): void {
    this.#handler = handler;
    this.#arm();
  }

  /** The connection could not be made. */
  fail(error: Error, handler: StreamHandler): void {
    if (this.#state !== 'connecting') return;
    this.#handler = handler;
    this.#end(error);
  }

  /** A reset arrived: some of the unread bytes may still be read, cut anywhere. */
  reset(code = 'ECONNRESET'): void {
    if (this.#state === 'closed') return;
    const error = new SystemError(code, `connection with ${this.remote.host}:${this.remote.port}`);
    if (this.#state === 'connecting') {
      this.#resetBeforeOpen = error;
      return;
    }
    const unread = this.#inbound.reduce(
      (sum, segment) => sum + (segment.arrivalUs < Infinity ? segment.bytes.length : 0),
      0,
    );
    let kept = this.#paused ? 0 : this.#draws.between([0, unread], this.#key, RESET_DRAW);
    this.#disarm();
    this.#inbound = this.#inbound.filter((segment) => {
      if (segment.arrivalUs === Infinity || kept === 0) return false;
      segment.arrivalUs = Math.min(segment.arrivalUs, this.#queue.nowUs);
      segment.bytes = segment.bytes.subarray(0, kept);
      kept -= segment.bytes.length;
      return true;
    });
    this.#end(error);
  }

  /** Something between the two ends has forgotten the connection. */
  resetBoth(): void {
    this.#peer?.reset();
    this.reset();
  }

  /** The process did not want it. */
  refuse(): void {
    this.#abandoned = true;
    this.destroy();
    this.#release();
  }

  /** Its process was killed: the kernel sends what it has, then ends the connection, orderly or not. */
  killed(): void {
    const peer = this.#peer;
    const abrupt = this.#draws.chance(0.5, this.#key, KILL_DRAW);
    this.#abandoned = true;
    if (this.#state === 'closed') this.#release();
    else if (this.#state === 'connecting') this.#end(undefined);
    else if (abrupt && peer !== undefined) {
      this.#end(undefined);
      this.#options.outLink.send(() => peer.reset());
    } else this.#finish();
  }

  /** The power of its machine went off: nobody is told. */
  vanish(): void {
    this.#abandoned = true;
    this.#inbound = []; // without acknowledging it
    this.#end(undefined);
    if (this.#peer !== undefined && this.#peer.#unacknowledged > 0) this.#peer.#watchForGivingUp();
  }

  /** The machine of the vanished end is back: the peer's next retransmission is answered with a reset. */
  answerForVanished(delayUs: number): void {
    const peer = this.#peer;
    if (peer === undefined || peer.#unacknowledged === 0) return;
    this.#queue.kernel.schedule(this.#queue.nowUs + delayUs, {
      kind: 'retransmission',
      run: () => peer.#options.outLink.send(() => this.#options.outLink.send(() => peer.reset())),
    });
  }

  onBlocked(link: Link): void {
    if (link === this.#options.inLink) {
      const nowUs = this.#queue.nowUs;
      for (const segment of this.#inbound) if (segment.arrivalUs > nowUs) segment.arrivalUs = Infinity;
      if (this.#ending !== undefined && this.#ending.arrivalUs > nowUs) this.#ending.arrivalUs = Infinity;
      this.#disarm();
      this.#arm();
    }
    if (this.#unacknowledged > 0) this.#watchForGivingUp();
  }

  onUnblocked(link: Link): void {
    if (link === this.#options.outLink) {
      const count = this.#heldAcknowledgements;
      this.#heldAcknowledgements = 0;
      if (count > 0 && this.#peer !== undefined) this.#peer.#onAcknowledged(count);
      return;
    }
    this.#lastArrivalUs = this.#queue.nowUs;
    for (const segment of this.#inbound) {
      if (segment.arrivalUs === Infinity) segment.arrivalUs = this.#nextArrivalUs(segment.bytes.length);
    }
    if (this.#ending?.arrivalUs === Infinity) this.#ending.arrivalUs = this.#nextArrivalUs(0);
    this.#arm();
  }

  // --- sending

  #sendQueued(): void {
    if (this.#state === 'connecting' || this.#state === 'closed') return;
    while (this.#queued.length > 0) {
      const room = this.#options.windowBytes - this.#unacknowledged;
      const head = this.#queued[0];
      if (head === undefined || room <= 0) break;
      const bytes = head.length <= room ? head : head.subarray(0, room);
      if (bytes === head) this.#queued.shift();
      else this.#queued[0] = head.subarray(room);
      this.#queuedBytes -= bytes.length;
      this.#transmit(bytes);
    }
  }

  #transmit(bytes: Uint8Array): void {
    const peer = this.#peer;
    this.#unacknowledged += bytes.length;
    if (peer === undefined) return;
    if (peer.#state !== 'closed') peer.#receive(bytes);
    else if (peer.#options.host.powered)
      this.#options.outLink.send(() => this.#options.inLink.send(() => this.reset()));
    if (this.#isStuck()) this.#watchForGivingUp();
  }

  /** The acknowledgement travels back; the process may send more when that is worth a packet. */
  #onAcknowledged(count: number): void {
    this.#unacknowledged -= count;
    this.#acknowledged += count;
    const room = this.#options.windowBytes - this.#unacknowledged;
    if (this.#queuedBytes === 0 || room < Math.min(this.#queuedBytes, this.#options.windowBytes / 2)) return;
    this.#armWritable(this.#options.inLink.arrivalUs(0));
  }

  #armWritable(atUs: number): void {
    if (this.#writableEvent !== undefined) return;
    this.#writableEvent = this.#writableSource.schedule(atUs, { kind: 'writable', run: () => this.#onWritable() });
  }

  #onWritable(): void {
    this.#writableEvent = undefined;
    this.#sendQueued();
    if (this.#queuedBytes > 0) return;
    if (this.#state === 'closing') this.#finish();
    else if (this.#state === 'open') this.#handler?.onDrain();
  }

  /** All is sent, or will never be: says goodbye to the peer and to the process. */
  #finish(): void {
    const peer = this.#peer;
    this.#end(undefined);
    if (peer !== undefined) peer.#receiveEnd();
  }

  // --- receiving

  #nextArrivalUs(byteCount: number): number {
    this.#lastArrivalUs = Math.max(this.#lastArrivalUs, this.#options.inLink.arrivalUs(byteCount));
    return this.#lastArrivalUs;
  }

  #receive(bytes: Uint8Array): void {
    if (this.#state === 'closing') return; // it stopped listening
    const last = this.#inbound.at(-1);
    if (this.#options.chop === 'merge' && last !== undefined && last.arrivalUs > this.#queue.nowUs) {
      last.bytes = Buffer.concat([last.bytes, bytes]);
      return;
    }
    this.#inbound.push({ arrivalUs: this.#nextArrivalUs(bytes.length), bytes, drippedBytes: this.#drawDripped() });
    this.#arm();
  }

  #receiveEnd(): void {
    if (this.#state === 'closed') return;
    this.#ending = { arrivalUs: this.#nextArrivalUs(0), error: undefined };
    this.#arm();
  }

  /** No bytes go either way from now on; the process hears of it when it has read what is left. */
  #end(error: Error | undefined): void {
    if (this.#state === 'closed') return;
    this.#disarm();
    if (error === undefined) this.#dropInbound();
    this.#state = 'closed';
    this.#queued.length = 0;
    this.#queuedBytes = 0;
    if (this.#writableEvent !== undefined) this.#writableEvent.cancelled = true;
    if (this.#giveUpEvent !== undefined) this.#giveUpEvent.cancelled = true;
    this.#ending = { arrivalUs: this.#queue.nowUs, error };
    this.#options.inLink.detach(this);
    this.#options.outLink.detach(this);
    if (this.#abandoned) this.#release();
    else this.#arm();
  }

  /** No callback is to come: the kernel forgets this end. */
  #release(): void {
    this.#disarm();
    this.#options.onReleased(this);
  }

  #dropInbound(): void {
    this.#disarm();
    const count = this.#inbound.reduce((sum, segment) => sum + segment.bytes.length, 0);
    this.#inbound = [];
    this.#acknowledge(count);
  }

  #acknowledge(count: number): void {
    if (count === 0) return;
    if (this.#options.outLink.blocked) this.#heldAcknowledgements += count;
    else if (this.#peer !== undefined) this.#peer.#onAcknowledged(count);
  }

  #disarm(): void {
    if (this.#inboundEvent !== undefined) this.#inboundEvent.cancelled = true;
    this.#inboundEvent = undefined;
  }

  /** Keeps exactly the next thing that the process will be told in the queue. */
  #arm(): void {
    if (this.#inboundEvent !== undefined || this.#handler === undefined || this.#abandoned) return;
    if (this.#paused && this.#state === 'closed') this.#inbound = []; // nobody will read it
    const segment = this.#inbound[0];
    if (segment !== undefined && this.#state !== 'closing') {
      if (this.#paused || segment.arrivalUs === Infinity) return;
      this.#inboundEvent = this.#inboundSource.schedule(segment.arrivalUs, {
        kind: this.#bytesKind,
        payload: () => this.#take(),
        run: (bytes) => this.#onBytes(bytes),
      });
      return;
    }
    const ending = this.#ending;
    // A paused reader doesn't see the other side's end, because it doesn't read; it does see its own.
    if (ending === undefined || ending.arrivalUs === Infinity || (this.#paused && this.#state === 'open')) return;
    this.#inboundEvent = this.#inboundSource.schedule(ending.arrivalUs, {
      kind: 'close',
      run: () => this.#onClose(ending.error),
    });
  }

  /** Takes the next piece: a copy, because both sides own their bytes, at an offset that a careless DataView would miss. */
  #take(): Buffer {
    const segment = this.#inbound[0];
    if (segment === undefined) throw new Error('no bytes have arrived');
    const length = this.#pieceLength(segment);
    const offset = this.#draws.u32(this.#key, ++this.#pieces) & 7;
    const piece = Buffer.alloc(offset + length).subarray(offset);
    piece.set(segment.bytes.subarray(0, length));
    segment.bytes = segment.bytes.subarray(length);
    segment.drippedBytes -= length;
    segment.arrivalUs = this.#queue.nowUs + 1;
    if (segment.bytes.length === 0) this.#inbound.shift();
    return piece;
  }

  #drawDripped(): number {
    if (this.#options.chop !== 'drip') return 0;
    return this.#pieces === 0 || this.#draws.chance(DRIPPED_RATE, this.#key, ++this.#pieces) ? DRIPPED_BYTES : 0;
  }

  #pieceLength({ bytes, drippedBytes }: Segment): number {
    switch (this.#options.chop) {
      case 'whole':
      case 'merge':
        return bytes.length;
      case 'drip':
        return drippedBytes > 0 ? 1 : this.#draws.between([1, bytes.length], this.#key, ++this.#pieces);
      case 'cut':
        return this.#draws.between([1, bytes.length], this.#key, ++this.#pieces);
    }
  }

  #onBytes(bytes: Uint8Array): void {
    this.#inboundEvent = undefined;
    this.#acknowledge(bytes.length);
    this.#handler?.onBytes(bytes);
    this.#arm();
  }

  #onClose(error: Error | undefined): void {
    const handler = this.#handler;
    this.#inboundEvent = undefined;
    this.#handler = undefined;
    this.#abandoned = true; // this is the last call
    if (this.#state === 'closed') this.#release();
    else this.#end(undefined);
    handler?.onClose(error);
  }

  // --- giving up on a silent peer

  #isStuck(): boolean {
    const peer = this.#peer;
    const gone = peer !== undefined && peer.#state === 'closed' && !peer.#options.host.powered;
    return gone || this.#options.outLink.blocked || this.#options.inLink.blocked;
  }

  #watchForGivingUp(): void {
    if (this.#giveUpEvent !== undefined || this.#state === 'closed') return;
    const acknowledged = this.#acknowledged;
    this.#giveUpEvent = this.#queue.kernel.schedule(this.#queue.nowUs + GIVE_UP_US, {
      kind: 'give-up',
      run: () => {
        this.#giveUpEvent = undefined;
        if (this.#unacknowledged === 0 || !this.#isStuck()) return;
        if (this.#acknowledged === acknowledged) this.reset('ETIMEDOUT');
        else this.#watchForGivingUp();
      },
    });
  }
}
