import { MarshallingError } from '../marshalling-error.ts';

/**
 * Reads jute, ZooKeeper's encoding: big endian numbers; strings and buffers behind an int length, -1 for null; vectors behind
 * an int count, -1 for null; records field by field without framing (jute's `BinaryInputArchive`).
 *
 * Every read is checked against the bytes that are there before anything is allocated: a malformed input gives a
 * {@link MarshallingError} that names what was read and where, never a crash and never memory beyond the input's size.
 */
export class JuteReader {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  readonly #start: number;
  readonly #end: number;
  #at: number;

  /** @param part the part of the bytes that is read, and a view of all of them, which many readers may share */
  constructor(bytes: Uint8Array, part?: { readonly start: number; readonly end: number; readonly view: DataView }) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = part?.view ?? new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#start = part?.start ?? 0;
    this.#end = part?.end ?? bytes.length;
    this.#at = this.#start;
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#at - this.#start;
  }

  /** Bytes left. */
  get remaining(): number {
    return this.#end - this.#at;
  }

  readByte(): number {
    return this.#view.getInt8(this.#advance(1, 'byte'));
  }

  /** Any byte but 0 is true, as in the original. */
  readBool(): boolean {
    return this.#view.getInt8(this.#advance(1, 'boolean')) !== 0;
  }

  readInt(): number {
    return this.#view.getInt32(this.#advance(4, 'int'));
  }

  /** The next int, which stays unread. */
  peekInt(): number {
    const value = this.readInt();
    this.#at -= 4;
    return value;
  }

  readLong(): bigint {
    return this.#view.getBigInt64(this.#advance(8, 'long'));
  }

  /** A long that is a count or a time: exact up to 2^53, which is the year 287396 in milliseconds. */
  readLongAsNumber(): number {
    const at = this.#advance(8, 'long');
    return this.#view.getInt32(at) * 0x1_0000_0000 + this.#view.getUint32(at + 4);
  }

  /** A view of the input, not a copy: keep it only as long as the input, or copy it. */
  readBuffer(): Buffer | null {
    const length = this.#readLength('buffer');
    if (length === -1) return null;
    const at = this.#advance(length, 'buffer');
    return this.#bytes.subarray(at, at + length);
  }

  readString(): string | null {
    const length = this.#readLength('string');
    if (length === -1) return null;
    const at = this.#advance(length, 'string');
    return this.#bytes.toString('utf8', at, at + length);
  }

  /** A string where null makes no sense, as in a path. */
  readRequiredString(field: string): string {
    const value = this.readString();
    if (value === null) throw new MarshallingError(`${field} is null at byte ${this.offset - 4}`);
    return value;
  }

  /** @param elementBytesMin the fewest bytes that one element takes: bounds the count before anything is allocated */
  readVector<T>(readElement: (reader: JuteReader) => T, elementBytesMin = 4): T[] | null {
    const at = this.offset;
    const count = this.readInt();
    if (count === -1) return null;
    if (count < 0 || count * elementBytesMin > this.remaining) {
      throw new MarshallingError(`a vector of ${count} elements at byte ${at}, with ${this.remaining} bytes left`);
    }
    const elements: T[] = [];
    for (let i = 0; i < count; i++) elements.push(readElement(this));
    return elements;
  }

  /** Passes over so many bytes. */
  skip(count: number): void {
    this.#advance(count, 'skipped part');
  }

  /** What is left, which stays unread. */
  peekRemaining(): Buffer {
    return this.#bytes.subarray(this.#at, this.#end);
  }

  readRemaining(): Buffer {
    return this.#bytes.subarray(this.#advance(this.remaining, 'rest'), this.#end);
  }

  #readLength(what: string): number {
    const at = this.offset;
    const length = this.readInt();
    if (length < -1 || length > this.remaining) {
      throw new MarshallingError(`a ${what} of ${length} bytes at byte ${at}, with ${this.remaining} left`);
    }
    return length;
  }

  #advance(count: number, what: string): number {
    const at = this.#at;
    if (count > this.#end - at) this.#refuse(count, what);
    this.#at = at + count;
    return at;
  }

  #refuse(count: number, what: string): never {
    throw new MarshallingError(
      `the input ends inside a ${what} at byte ${this.offset}: ${count} wanted, ${this.remaining} left`,
    );
  }
}
