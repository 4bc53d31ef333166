import {
  FRAME_BYTES_MAX_DEFAULT,
  JuteReader,
  MarshallingError,
  type QuorumPacket,
  QuorumPacketType,
  quorumPacket,
} from 'zookeeper-protocol-ts';

/** An acknowledgement, or a commit: without data and identities. */
const BARE_PACKET_BYTES = 20;

/** What a packet may have beyond the request or the transaction that it carries. */
const EXTRA_BYTES = 1024 * 1024;
const TYPE_AND_ZXID_BYTES = 12;
const STRING_BYTES_MIN = 4;
const EMPTY = Buffer.alloc(0);

/**
 * Cuts a stream into quorum packets, which have no length in front: where one ends is known when its parts have arrived. What is
 * not a packet, a snapshot, can be taken out between two.
 */
export class QuorumPacketReader {
  readonly #bytesMax: number;
  #buffered: Buffer = EMPTY;
  /** Reads `#buffered`: it stands behind the last packet that was taken out. */
  #reader = new JuteReader(EMPTY);

  constructor({ frameBytesMax = FRAME_BYTES_MAX_DEFAULT }: { frameBytesMax?: number } = {}) {
    this.#bytesMax = frameBytesMax + EXTRA_BYTES;
  }

  push(bytes: Uint8Array): void {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#setBuffered(this.#reader.remaining === 0 ? chunk : Buffer.concat([this.#reader.peekRemaining(), chunk]));
  }

  /** All that has arrived and is no packet yet: the caller takes it. */
  takeRest(): Buffer {
    const rest = this.#reader.peekRemaining();
    this.#setBuffered(EMPTY);
    return rest;
  }

  /**
   * The next whole packet, or undefined until more has arrived. Its data are a view of the bytes received. Of acknowledgements and
   * of commits in a row the last one is returned: transactions are logged and committed in order, so it says what all of them say.
   * @throws MarshallingError for what can't be one: the stream can't be read any further
   */
  next(): QuorumPacket | undefined {
    while (this.#isRepeatedByNext()) this.#reader.skip(BARE_PACKET_BYTES);
    return this.#isWhole() ? quorumPacket.read(this.#reader) : undefined;
  }

  /** Whether this packet and the one behind it acknowledge, or commit, two transactions that follow each other. */
  #isRepeatedByNext(): boolean {
    const at = this.#reader.offset;
    const next = at + BARE_PACKET_BYTES;
    const bytes = this.#buffered;
    if (bytes.length < next + BARE_PACKET_BYTES) return false;
    const type = bytes.readInt32BE(at);
    if ((type !== QuorumPacketType.ACK && type !== QuorumPacketType.COMMIT) || bytes.readInt32BE(next) !== type)
      return false;
    const counter = bytes.readUInt32BE(at + 8);
    return (
      // That of an epoch's beginning is about no transaction.
      counter > 0 &&
      bytes.readUInt32BE(next + 8) === counter + 1 &&
      bytes.readInt32BE(next + 4) === bytes.readInt32BE(at + 4) &&
      isBare(bytes, at) &&
      isBare(bytes, next)
    );
  }

  #setBuffered(bytes: Buffer): void {
    this.#buffered = bytes;
    this.#reader = new JuteReader(bytes);
  }

  /** Whether all of the next packet has arrived. */
  #isWhole(): boolean {
    let end = this.#endOf(this.#reader.offset + TYPE_AND_ZXID_BYTES);
    if (end === undefined || this.#buffered.length < end + 4) return false;
    const identities = this.#buffered.readInt32BE(end);
    if (identities > this.#bytesMax / (2 * STRING_BYTES_MIN)) throw tooLarge(`${identities} identities`);
    end += 4;
    for (let strings = Math.max(identities, 0) * 2; strings > 0; strings--) {
      end = this.#endOf(end);
      if (end === undefined) return false;
    }
    return this.#buffered.length >= end;
  }

  /** Where the buffer or string at `at` ends; undefined if its length has not arrived. */
  #endOf(at: number): number | undefined {
    if (this.#buffered.length < at + 4) return undefined;
    const length = this.#buffered.readInt32BE(at);
    if (length < -1 || length > this.#bytesMax) throw tooLarge(`${length} bytes`);
    return at + 4 + Math.max(length, 0);
  }
}

const isBare = (bytes: Buffer, at: number): boolean =>
  bytes.readInt32BE(at + TYPE_AND_ZXID_BYTES) === -1 && bytes.readInt32BE(at + TYPE_AND_ZXID_BYTES + 4) <= 0;

const tooLarge = (what: string): MarshallingError => new MarshallingError(`a quorum packet with ${what}`);
