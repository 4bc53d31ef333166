import { JuteWriter, MarshallingError, type QuorumPacket, quorumPacket } from 'zookeeper-protocol-ts';
import type { Stream, StreamHandler } from '../ports.ts';
import type { LinkId } from '../zab/contract.ts';
import { type QuorumMessage, type Sender, toMessage, toPacket } from '../zab/messages.ts';
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
}

/** Takes in a snapshot as it arrives. */
export interface SnapshotSink {
  write(bytes: Uint8Array): void;
  /** All of it has arrived. */
  end(): void;
}

/**
 * A stream between a leader and a learner (`LearnerHandler`, `Learner`): packets in both directions, and once, from the leader,
 * a snapshot between two of them. What is written in a turn leaves in one piece.
 */
export class QuorumStream implements StreamHandler {
  readonly link: LinkId;
  readonly #owner: QuorumStreamOwner;
  readonly #stream: Stream;
  readonly #sender: Sender;
  readonly #packets: QuorumPacketReader;
  readonly #writer = new JuteWriter(16 * 1024);
  /** A snapshot is being received. */
  #snapshot: { readonly stream: SnapshotStream; readonly sink: SnapshotSink } | undefined;
  /** A snapshot is being sent: packets wait behind it. */
  #waiting: QuorumPacket[] | undefined;
  /** The rest of the snapshot that is being sent. */
  #slices: Generator<Uint8Array, void, void> | undefined;
  #isClosed = false;

  /** @param sender who is at the other end */
  constructor(link: LinkId, owner: QuorumStreamOwner, stream: Stream, sender: Sender) {
    this.link = link;
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

  send(message: QuorumMessage): void {
    if (this.#isClosed) return;
    const packet = toPacket(message);
    if (this.#waiting !== undefined) {
      this.#waiting.push(packet);
      return;
    }
    quorumPacket.write(this.#writer, packet);
    this.#owner.onLinkWritten(this);
  }

  /** Sends a snapshot, slice by slice as the other end takes them; what is sent afterwards comes behind it. */
  sendSnapshot(slices: Generator<Uint8Array, void, void>): void {
    if (this.#isClosed) {
      slices.return();
      return;
    }
    this.flush();
    this.#waiting = [];
    this.#slices = slices;
    this.#sendSlices();
  }

  /** A snapshot follows, behind the packet that was received last. */
  receiveSnapshot(sink: SnapshotSink): void {
    this.#snapshot = { stream: new SnapshotStream((bytes) => sink.write(bytes)), sink };
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
    this.#sendSlices();
  }

  onClose(error: Error | undefined): void {
    this.#end(error === undefined ? 'closed by the other end' : error.message);
  }

  #read(bytes: Uint8Array): void {
    let behind: Uint8Array | undefined = bytes;
    while (behind !== undefined && !this.#isClosed) {
      if (this.#snapshot === undefined) {
        this.#packets.push(behind);
        behind = this.#readPackets();
      } else {
        const { stream, sink } = this.#snapshot;
        behind = stream.push(behind);
        if (behind === undefined) return;
        this.#snapshot = undefined;
        sink.end();
      }
    }
  }

  /** @returns what has arrived of a snapshot */
  #readPackets(): Uint8Array | undefined {
    while (!this.#isClosed) {
      const packet = this.#packets.next();
      if (packet === undefined) return undefined;
      this.#owner.onMessage(this.link, toMessage(packet, this.#sender));
      if (this.#snapshot !== undefined) return this.#packets.takeRest();
    }
    return undefined;
  }

  #sendSlices(): void {
    while (this.#slices !== undefined && !this.#isClosed && this.#stream.queuedBytes < SNAPSHOT_BYTES_QUEUED_MAX) {
      const slice = this.#slices.next();
      if (slice.done !== true) {
        this.#stream.write(slice.value);
        continue;
      }
      this.#slices = undefined;
      const waiting = this.#waiting ?? [];
      this.#waiting = undefined;
      for (const packet of waiting) quorumPacket.write(this.#writer, packet);
      this.flush();
    }
  }

  #end(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // The tree keeps what changes until then.
    this.#slices?.return();
    this.#slices = undefined;
    this.#waiting = undefined;
    this.#owner.onLinkClosed(this.link, reason);
  }
}

/** So much of a snapshot may wait for the network at a time. */
const SNAPSHOT_BYTES_QUEUED_MAX = 1024 * 1024;
/** Who leaves more unread is cut off: the leader's memory is not its. */
const QUEUED_BYTES_MAX = 256 * 1024 * 1024;
