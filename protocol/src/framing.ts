import { JuteReader } from './jute/reader.ts';
import { MarshallingError } from './marshalling-error.ts';

/** Apache ZooKeeper's `jute.maxbuffer`: the largest frame that is accepted by default, in bytes. */
export const FRAME_BYTES_MAX_DEFAULT = 0xfffff;

/** So many chunks may wait, whatever their size. */
const CHUNKS_KEPT_MIN = 64;

const EMPTY = Buffer.alloc(0);
const EMPTY_VIEW = new DataView(EMPTY.buffer, EMPTY.byteOffset, 0);

/**
 * Cuts a stream of bytes into frames: an int length, then so many bytes. Chunks may be cut anywhere. Memory grows with the
 * bytes received, not with the length announced, and not with the number of chunks that they came in.
 */
export class FrameReader {
  readonly #frameBytesMax: number;
  /** The chunk being read, from `#offset` on; later chunks wait behind it. */
  #chunk: Buffer = EMPTY;
  /** Of the chunk: one for all frames in it. */
  #view: DataView = EMPTY_VIEW;
  #offset = 0;
  #waiting: Buffer[] = [];
  #buffered = 0;

  constructor({ frameBytesMax = FRAME_BYTES_MAX_DEFAULT }: { frameBytesMax?: number } = {}) {
    this.#frameBytesMax = frameBytesMax;
  }

  /** Bytes received that were not handed out. */
  get buffered(): number {
    return this.#buffered;
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const chunk = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.#buffered === 0) this.#begin(chunk);
    else this.#waiting.push(chunk);
    this.#buffered += chunk.length;
    // A chunk of one byte takes some hundred bytes to keep. At this rate gathering copies at most 256 bytes for each received.
    if (this.#waiting.length > CHUNKS_KEPT_MIN + this.#buffered / 256) this.#gather(this.#buffered);
  }

  /**
   * The next whole frame without its length, or undefined until more bytes arrive. A view of the received bytes where the
   * frame came in one chunk.
   * @throws MarshallingError for a negative length, or one over the limit: the stream can't be read any further
   */
  next(): Buffer | undefined {
    return this.nextReader()?.readRemaining();
  }

  /** As {@link next}, for who reads the frame at once: it costs no view of its own. */
  nextReader(): JuteReader | undefined {
    const length = this.peekInt(0);
    if (length === undefined) return undefined;
    if (length < 0 || length > this.#frameBytesMax) {
      throw new MarshallingError(`a frame of ${length} bytes; at most ${this.#frameBytesMax} are accepted`);
    }
    if (this.#buffered < 4 + length) return undefined;
    this.#gather(4 + length);
    const start = this.#offset + 4;
    const reader = new JuteReader(this.#chunk, { start, end: start + length, view: this.#view });
    this.#consume(4 + length);
    return reader;
  }

  /** The int that stands `offset` bytes from here, without taking it, or undefined until it has arrived. */
  peekInt(offset: number): number | undefined {
    if (this.#buffered < offset + 4) return undefined;
    this.#gather(offset + 4);
    return this.#view.getInt32(this.#offset + offset);
  }

  /** The first `count` bytes without taking them, or undefined until they have arrived. */
  peek(count: number): Buffer | undefined {
    if (this.#buffered < count) return undefined;
    this.#gather(count);
    return this.#chunk.subarray(this.#offset, this.#offset + count);
  }

  /** Takes the first `count` bytes away; so many must have arrived. */
  skip(count: number): void {
    this.#gather(count);
    this.#consume(count);
  }

  /** Makes `count` bytes contiguous; so many must have arrived. */
  #gather(count: number): void {
    if (this.#chunk.length - this.#offset >= count) return;
    this.#begin(Buffer.concat([this.#chunk.subarray(this.#offset), ...this.#waiting], this.#buffered));
    this.#waiting = [];
  }

  #consume(count: number): void {
    this.#buffered -= count;
    this.#offset += count;
    if (this.#offset < this.#chunk.length) return;
    this.#begin(this.#waiting.shift() ?? EMPTY);
  }

  #begin(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#view = chunk === EMPTY ? EMPTY_VIEW : new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#offset = 0;
  }
}
