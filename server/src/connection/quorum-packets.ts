import {
  FRAME_BYTES_MAX_DEFAULT,
  JuteReader,
  MarshallingError,
  type QuorumPacket,
  quorumPacket,
} from 'zookeeper-protocol-ts';

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

  constructor({ frameBytesMax = FRAME_BYTES_MAX_DEFAULT }: { frameBytesMax?: number } = {}) {
    this.#bytesMax = frameBytesMax + EXTRA_BYTES;
  }

  push(bytes: Uint8Array): void {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#buffered = this.#buffered.length === 0 ? chunk : Buffer.concat([this.#buffered, chunk]);
  }

  /** All that has arrived and is no packet yet: the caller takes it. */
  takeRest(): Buffer {
    const rest = this.#buffered;
    this.#buffered = EMPTY;
    return rest;
  }

  /**
   * The next whole packet, or undefined until more has arrived. Its data are a view of the bytes received.
   * @throws MarshallingError for what can't be one: the stream can't be read any further
   */
  next(): QuorumPacket | undefined {
    const length = this.#packetLength();
    if (length === undefined) return undefined;
    const packet = quorumPacket.read(new JuteReader(this.#buffered.subarray(0, length)));
    this.#buffered = this.#buffered.subarray(length);
    return packet;
  }

  #packetLength(): number | undefined {
    let end = this.#lengthAt(TYPE_AND_ZXID_BYTES);
    if (end === undefined || this.#buffered.length < end + 4) return undefined;
    const identities = this.#buffered.readInt32BE(end);
    if (identities > this.#bytesMax / (2 * STRING_BYTES_MIN)) throw tooLarge(`${identities} identities`);
    end += 4;
    for (let strings = Math.max(identities, 0) * 2; strings > 0; strings--) {
      end = this.#lengthAt(end);
      if (end === undefined) return undefined;
    }
    return this.#buffered.length < end ? undefined : end;
  }

  /** Where the buffer or string at `at` ends; undefined if its length has not arrived. */
  #lengthAt(at: number): number | undefined {
    if (this.#buffered.length < at + 4) return undefined;
    const length = this.#buffered.readInt32BE(at);
    if (length < -1 || length > this.#bytesMax) throw tooLarge(`${length} bytes`);
    return at + 4 + Math.max(length, 0);
  }
}

const tooLarge = (what: string): MarshallingError => new MarshallingError(`a quorum packet with ${what}`);
