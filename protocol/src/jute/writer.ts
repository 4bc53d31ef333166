/**
 * Writes jute into one growing buffer (jute's `BinaryOutputArchive`). Reused over many records: {@link JuteWriter.take} hands
 * out what was written and goes on behind it, so nothing that was handed out is ever overwritten.
 */
export class JuteWriter {
  #bytes: Buffer;
  #view: DataView;
  /** Where the part that was not taken yet starts. */
  #start = 0;
  #end = 0;
  readonly #chunkBytes: number;

  constructor(chunkBytes = 1024) {
    this.#chunkBytes = chunkBytes;
    this.#bytes = Buffer.alloc(chunkBytes);
    this.#view = viewOf(this.#bytes);
  }

  /** Bytes written since the last {@link take}. */
  get length(): number {
    return this.#end - this.#start;
  }

  writeByte(value: number): void {
    const at = this.#grow(1);
    this.#view.setInt8(at, value);
  }

  writeBool(value: boolean): void {
    const at = this.#grow(1);
    this.#view.setInt8(at, value ? 1 : 0);
  }

  writeInt(value: number): void {
    const at = this.#grow(4);
    this.#view.setInt32(at, value);
  }

  writeLong(value: bigint): void {
    const at = this.#grow(8);
    this.#view.setBigInt64(at, value);
  }

  /** A long that is a count or a time, exact up to 2^53. */
  writeLongFromNumber(value: number): void {
    const at = this.#grow(8);
    this.#view.setInt32(at, Math.floor(value / 0x1_0000_0000));
    this.#view.setUint32(at + 4, value >>> 0);
  }

  writeBuffer(value: Uint8Array | null): void {
    if (value === null) return this.writeInt(-1);
    this.writeInt(value.length);
    this.writeRaw(value);
  }

  writeString(value: string | null): void {
    if (value === null) return this.writeInt(-1);
    // Three bytes at the most for each UTF-16 unit.
    const at = this.#grow(4 + value.length * 3);
    const written = this.#writeAscii(value, at + 4) ? value.length : this.#bytes.write(value, at + 4, 'utf8');
    this.#view.setInt32(at, written);
    this.#end = at + 4 + written;
  }

  /** Short texts are nearly all ASCII, and this takes less time than one call of the system's encoder. */
  #writeAscii(text: string, at: number): boolean {
    if (text.length > ASCII_LENGTH_MAX) return false;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) return false;
      this.#bytes[at + i] = unit;
    }
    return true;
  }

  writeVector<T>(elements: readonly T[] | null, writeElement: (writer: JuteWriter, element: T) => void): void {
    if (elements === null) return this.writeInt(-1);
    this.writeInt(elements.length);
    for (const element of elements) writeElement(this, element);
  }

  /** Bytes as they are, without a length. */
  writeRaw(bytes: Uint8Array): void {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** Leaves room for a frame's length; {@link endFrame} with the returned mark fills it in. */
  startFrame(): number {
    const mark = this.length;
    this.#grow(4);
    return mark;
  }

  endFrame(mark: number): void {
    this.patchInt(mark, this.length - mark - 4);
  }

  /** Overwrites the int at `mark`, a former {@link length}. */
  patchInt(mark: number, value: number): void {
    this.#view.setInt32(this.#start + mark, value);
  }

  /** Drops all that was written behind `mark`, a former {@link length}. */
  rewind(mark: number): void {
    this.#end = this.#start + mark;
  }

  /** What was written since the last take. The bytes stay as they are: later writes go behind them. */
  take(): Buffer {
    const taken = this.#bytes.subarray(this.#start, this.#end);
    this.#start = this.#end;
    return taken;
  }

  /**
   * Makes room for `count` bytes and returns where they start in the buffer. To be called in a statement of its own, before
   * `#bytes` or `#view` is read: it may replace both.
   */
  #grow(count: number): number {
    const at = this.#end;
    if (at + count > this.#bytes.length) return this.#move(count);
    this.#end = at + count;
    return at;
  }

  #move(count: number): number {
    const kept = this.length;
    const needed = kept + count;
    const bytes = Buffer.alloc(needed > this.#chunkBytes ? Math.max(needed, kept * 2) : this.#chunkBytes);
    this.#bytes.copy(bytes, 0, this.#start, this.#end);
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    this.#start = 0;
    this.#end = needed;
    return kept;
  }
}

const ASCII_LENGTH_MAX = 64;

const viewOf = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
