import { JuteWriter, MarshallingError, type Zxid } from 'zookeeper-protocol-ts';
import { LearnerStatistics } from '../admin/learner-statistics.ts';
import { assert, InvariantError } from '../invariant.ts';
import type { Millis, Stream, StreamHandler } from '../ports.ts';
import type { LinkId } from '../zab/contract.ts';
import { type QuorumMessage, type Sender, toMessage, writeMessage } from '../zab/messages.ts';
import { QuorumPacketReader } from './quorum-packets.ts';
import { SnapshotStream } from './snapshot-stream.ts';

/** What the stream belongs to. */
export interface QuorumStreamOwner {
  /** The largest transaction or request that is accepted, in bytes. */
  readonly frameBytesMax: number;
  onMessage(link: LinkId, message: QuorumMessage): void;
  /** Called once, whoever ended it. */
  onLinkClosed(link: LinkId, reason: string): void;
  /** Something was written: {@link QuorumStream.flush} at the end of the turn. */
  onLinkWritten(stream: QuorumStream): void;
  /** A part of the history has left for the other end: {@link QuorumStream.sendMore} in a turn of its own. */
  onHistoryTaken(stream: QuorumStream): void;
  /** All slices of {@link QuorumStream.sendHistory} were written. */
  onHistorySent(link: LinkId): void;
}

/** Takes in a snapshot as it arrives. */
export interface SnapshotSink {
  write(bytes: Uint8Array): void;
  /** All of it has arrived. */
  end(): void;
}

/**
 * A stream between a leader and a learner (`LearnerHandler`, `Learner`): packets in both directions, and once, from the leader,
 * a snapshot between two of them. What is written in a turn leaves in one piece; of what is long, the history, a slice when there is
 * room for it.
 */
export class QuorumStream implements StreamHandler {
  readonly link: LinkId;
  readonly statistics: LearnerStatistics;
  readonly #owner: QuorumStreamOwner;
  readonly #stream: Stream;
  readonly #sender: Sender;
  readonly #packets: QuorumPacketReader;
  readonly #writer = new JuteWriter(64 * 1024);
  /** A snapshot is being received. */
  #snapshot: { readonly stream: SnapshotStream; readonly sink: SnapshotSink } | undefined;
  /** The rest of the history that is being sent. */
  #slices: Generator<Uint8Array, void, void> | undefined;
  #isPaused = false;
  /** Arrived, and not read because the stream is paused. */
  #unread = EMPTY;
  #isClosed = false;

  /** Messages that wait for the network, as far as it has told. */
  #queuedPackets = 0;

  /** @param sender who is at the other end */
  constructor(link: LinkId, owner: QuorumStreamOwner, stream: Stream, sender: Sender, establishedAt: Millis = 0) {
    this.link = link;
    this.statistics = new LearnerStatistics(establishedAt);
    this.#owner = owner;
    this.#stream = stream;
    this.#sender = sender;
    this.#packets = new QuorumPacketReader(owner);
  }

  get remote(): string {
    return `${this.#stream.remote.host}:${this.#stream.remote.port}`;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get queuedPackets(): number {
    return this.queuedBytes === 0 ? 0 : this.#queuedPackets;
  }

  get queuedBytes(): number {
    return this.#writer.length + this.#stream.queuedBytes;
  }

  send(message: QuorumMessage): void {
    if (this.#isClosed) return;
    this.#queuedPackets++;
    this.statistics.onSent(zxidOf(message));
    assert(this.#slices === undefined, 'ZAB-5: nothing is sent in the middle of the history');
    writeMessage(this.#writer, message);
    this.#owner.onLinkWritten(this);
  }

  /**
   * Sends a snapshot or a part of the log, slice by slice as the other end takes them. Nothing else may be sent before
   * {@link QuorumStreamOwner.onHistorySent}. Slices that end in an error end the stream.
   */
  sendHistory(slices: Generator<Uint8Array, void, void>): void {
    this.flush();
    if (this.#isClosed) {
      slices.return();
      return;
    }
    this.#slices = slices;
    this.sendMore();
  }

  /** The next slices of the history, as far as there is room for them. */
  sendMore(): void {
    while (this.#slices !== undefined && !this.#isClosed && this.#stream.queuedBytes < HISTORY_BYTES_QUEUED_MAX) {
      const slice = this.#nextSlice(this.#slices);
      if (slice !== undefined) {
        this.#stream.write(slice);
        continue;
      }
      if (this.#isClosed) return;
      this.#slices = undefined;
      this.#owner.onHistorySent(this.link);
    }
  }

  /** A snapshot follows, behind the packet that was received last. */
  receiveSnapshot(sink: SnapshotSink): void {
    this.#snapshot = { stream: new SnapshotStream((bytes) => sink.write(bytes)), sink };
  }

  /** Reads nothing more until {@link resume}, not even what has arrived. */
  pause(): void {
    if (this.#isPaused || this.#isClosed) return;
    this.#isPaused = true;
    this.#stream.pause();
  }

  resume(): void {
    if (!this.#isPaused || this.#isClosed) return;
    this.#isPaused = false;
    this.#stream.resume();
    const unread = this.#unread;
    this.#unread = EMPTY;
    this.onBytes(unread);
  }

  flush(): void {
    if (this.#isClosed || this.#writer.length === 0) return;
    this.#stream.write(this.#writer.take());
    if (this.#stream.queuedBytes <= QUEUED_BYTES_MAX) return;
    this.#stream.destroy();
    this.#end(`it does not read: ${this.#stream.queuedBytes} bytes wait for it`);
  }

  close(reason: string): void {
    if (this.#isClosed) return;
    this.flush();
    this.#stream.close();
    this.#end(reason);
  }

  onBytes(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    try {
      this.#read(bytes);
    } catch (error) {
      if (!(error instanceof MarshallingError)) throw error;
      this.close(`unreadable: ${error.message}`);
    }
  }

  onDrain(): void {
    this.#queuedPackets = 0;
    if (this.#slices === undefined) return;
    // Not at once: the system may take megabytes within one turn of this process, and nobody else would have theirs.
    this.#owner.onHistoryTaken(this);
  }

  onClose(error: Error | undefined): void {
    this.#end(error === undefined ? 'closed by the other end' : error.message);
  }

  #read(bytes: Uint8Array): void {
    let rest = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    while (!this.#isClosed && !this.#isPaused) {
      const behind = this.#snapshot === undefined ? this.#readPackets(rest) : this.#readSnapshot(this.#snapshot, rest);
      if (behind === undefined) return;
      rest = behind;
    }
    // One chunk: nothing arrives while the stream is paused.
    if (this.#isPaused) this.#unread = Buffer.concat([this.#unread, rest]);
  }

  /** @returns what has arrived behind the snapshot, once that is whole */
  #readSnapshot({ stream, sink }: { stream: SnapshotStream; sink: SnapshotSink }, bytes: Buffer): Buffer | undefined {
    const behind = stream.push(bytes);
    if (behind === undefined) return undefined;
    this.#snapshot = undefined;
    sink.end();
    return behind;
  }

  /** @returns what has arrived behind the last packet, if that is not the beginning of another one that is read now */
  #readPackets(bytes: Buffer): Buffer | undefined {
    this.#packets.push(bytes);
    while (!this.#isClosed) {
      const packet = this.#packets.next();
      if (packet === undefined) return undefined;
      const message = toMessage(packet, this.#sender);
      this.statistics.onReceived({ isRequest: message.kind === 'request' });
      this.#owner.onMessage(this.link, message);
      if (this.#snapshot !== undefined || this.#isPaused) return this.#packets.takeRest();
    }
    return undefined;
  }

  /** @returns undefined when there is none any more, or the stream is closed because there should be */
  #nextSlice(slices: Generator<Uint8Array, void, void>): Uint8Array | undefined {
    try {
      const { done, value } = slices.next();
      return done === true ? undefined : value;
    } catch (error) {
      if (!(error instanceof Error) || error instanceof InvariantError) throw error;
      this.close(`the history can't be read: ${error.message}`);
      return undefined;
    }
  }

  #end(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // The tree keeps what changes until then.
    this.#slices?.return();
    this.#slices = undefined;
    this.#unread = EMPTY;
    this.#owner.onLinkClosed(this.link, reason);
  }
}

/** What a message is about. */
const zxidOf = (message: QuorumMessage): Zxid | undefined =>
  'zxid' in message ? message.zxid : 'proposal' in message ? message.proposal.zxid : undefined;

const EMPTY = Buffer.alloc(0);
/** So much of the history may wait for the network at a time: the system has as much again of it, at least. */
const HISTORY_BYTES_QUEUED_MAX = 128 * 1024;
/** Who leaves more unread is cut off: the leader's memory is not its. */
const QUEUED_BYTES_MAX = 256 * 1024 * 1024;
