/**
 * Snappy, in the form in which the original writes snapshots with it (snappy-java's `SnappyOutputStream`; the blocks are those of
 * google/snappy's `format_description.txt`):
 *
 *     stream  = 82 "SNAPPY" 00, version int 1, compatible int 1, chunk*
 *     chunk   = length int, block
 *     block   = length of what it becomes (varint), element*
 *     element = literal: tag (length - 1) << 2 | 0, or 60 … 63 << 2 | 0 and the length - 1 in 1 … 4 bytes; the bytes
 *             | copy of 4 … 11 bytes: tag offset >> 8 << 5 | (length - 4) << 2 | 1, low byte of the offset
 *             | copy of 1 … 64 bytes: tag (length - 1) << 2 | 2, offset in 2 bytes; or | 3, offset in 4 bytes
 *
 * Numbers in blocks are little-endian, the others big-endian. A copy repeats what stands `offset` bytes before, and may overlap itself.
 *
 * What must hold: nothing is allocated for a length that the bytes at hand can't become.
 */

/** Bytes that are not of this form: cut short, or saying what can't be. */
export class SnappyError extends Error {
  override readonly name = 'SnappyError';
  readonly code = 'SNAPPY';
}

/** What a stream begins with. */
export const SNAPPY_HEADER: Uint8Array = Buffer.from('82534e41505059000000000100000001', 'hex');

const MAGIC_BYTES = 8;
const LENGTH_BYTES = 4;
/** A copy of 64 bytes takes 3: what a block becomes has at most so many times its bytes. */
const GROWTH_MAX = 22;

/**
 * What a whole stream holds.
 * @throws SnappyError
 */
export function decompressSnappy(stream: Uint8Array): Uint8Array {
  const bytes = Buffer.from(stream.buffer, stream.byteOffset, stream.length);
  const isSnappy = bytes.subarray(0, MAGIC_BYTES).equals(SNAPPY_HEADER.subarray(0, MAGIC_BYTES));
  if (!isSnappy || bytes.length < SNAPPY_HEADER.length) throw new SnappyError('no snappy stream begins like this');
  const blocks: Block[] = [];
  let length = 0;
  for (let at = SNAPPY_HEADER.length; at < bytes.length; ) {
    if (at + LENGTH_BYTES > bytes.length) throw new SnappyError('the stream ends in the length of a chunk');
    const start = at + LENGTH_BYTES;
    const end = start + bytes.readInt32BE(at);
    if (end <= start || end > bytes.length) throw new SnappyError(`a chunk of ${end - start} bytes can't follow`);
    const block = openBlock(bytes, start, end);
    blocks.push(block);
    length += block.length;
    at = end;
  }
  const whole = Buffer.allocUnsafe(length);
  let to = 0;
  for (const block of blocks) to = decompressBlock(bytes, block, whole, to);
  return whole;
}

interface Block {
  /** Of its elements, in the stream. */
  readonly start: number;
  readonly end: number;
  /** What it becomes. */
  readonly length: number;
}

function openBlock(bytes: Buffer, start: number, end: number): Block {
  let length = 0;
  for (let at = start, shift = 0; at < end && shift < 32; shift += 7) {
    const byte = bytes[at++] ?? 0;
    length += (byte & 0x7f) * 2 ** shift;
    if (byte & 0x80) continue;
    if (length > (end - at) * GROWTH_MAX) throw new SnappyError(`a block of ${end - at} bytes can't become ${length}`);
    return { start: at, end, length };
  }
  throw new SnappyError('a block does not say what length it becomes');
}

/** @returns where it ends in `out` */
function decompressBlock(bytes: Buffer, { start, end, length }: Block, out: Buffer, outStart: number): number {
  const outEnd = outStart + length;
  let at = start;
  let to = outStart;
  while (at < end) {
    const tag = bytes[at++] ?? 0;
    const more = MORE_BYTES[tag & 3] ?? 0;
    if ((tag & 3) === 0) {
      const lengthBytes = Math.max((tag >> 2) - 59, 0);
      if (at + lengthBytes > end) throw new SnappyError('a block ends in the length of a literal');
      const count = (lengthBytes === 0 ? tag >> 2 : bytes.readUIntLE(at, lengthBytes)) + 1;
      at += lengthBytes;
      if (at + count > end || to + count > outEnd) throw new SnappyError(`a literal of ${count} bytes can't follow`);
      bytes.copy(out, to, at, at + count);
      at += count;
      to += count;
      continue;
    }
    if (at + more > end) throw new SnappyError('a block ends in the offset of a copy');
    const isShort = more === 1;
    const count = isShort ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
    const offset = isShort ? ((tag >> 5) << 8) | (bytes[at] ?? 0) : bytes.readUIntLE(at, more);
    at += more;
    if (offset === 0 || offset > to - outStart || to + count > outEnd) {
      throw new SnappyError(`a copy of ${count} bytes from ${offset} before can't follow`);
    }
    // Byte by byte, for it may repeat what it has just written.
    for (let i = 0; i < count; i++, to++) out[to] = out[to - offset] ?? 0;
  }
  if (to !== outEnd) throw new SnappyError(`a block ends ${outEnd - to} bytes before it should`);
  return to;
}

/** Bytes behind the tag of a copy, by its last two bits. */
const MORE_BYTES = [0, 1, 2, 4];

/** So far back copies reach: their offset has two bytes. */
const FRAGMENT_BYTES = 0x1_0000;
const HASH_BITS = 14;
/** A match is at least so long, and begins where so many bytes hash alike. */
const MATCH_BYTES = 4;
const COPY_BYTES_MAX = 64;

/**
 * One chunk of a stream, behind {@link SNAPPY_HEADER} or other chunks: what is repeated within 64 KiB is copied, what is found first
 * is taken, as in google/snappy.
 */
export function compressSnappyChunk(bytes: Uint8Array): Uint8Array {
  const from = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  // No element is longer than what it stands for but by its tag and length.
  const out = Buffer.allocUnsafe(32 + from.length + Math.ceil(from.length / 6));
  let to = LENGTH_BYTES;
  let left = from.length;
  for (; left >= 0x80; left >>>= 7) out[to++] = (left & 0x7f) | 0x80;
  out[to++] = left;
  const heads = new Int32Array(1 << HASH_BITS);
  for (let start = 0; start < from.length; start += FRAGMENT_BYTES) {
    to = compressFragment(from, start, Math.min(start + FRAGMENT_BYTES, from.length), out, to, heads.fill(-1));
  }
  out.writeInt32BE(to - LENGTH_BYTES, 0);
  return out.subarray(0, to);
}

/** @param heads where the last place of each hash is; @returns where it ends in `out` */
function compressFragment(
  from: Buffer,
  start: number,
  end: number,
  out: Buffer,
  outStart: number,
  heads: Int32Array,
): number {
  let to = outStart;
  let literal = start;
  for (let at = start; at + MATCH_BYTES <= end; ) {
    const word = from.readInt32LE(at);
    const hash = Math.imul(word, 0x1e35_a7bd) >>> (32 - HASH_BITS);
    const candidate = heads[hash] ?? -1;
    heads[hash] = at;
    if (candidate < 0 || from.readInt32LE(candidate) !== word) {
      // Where nothing is repeated, ever fewer places are looked at.
      at += 1 + ((at - literal) >> 5);
      continue;
    }
    to = writeLiteral(from, literal, at, out, to);
    let matched = MATCH_BYTES;
    while (at + matched < end && from[candidate + matched] === from[at + matched]) matched++;
    to = writeCopies(at - candidate, matched, out, to);
    at += matched;
    literal = at;
  }
  return writeLiteral(from, literal, end, out, to);
}

function writeLiteral(from: Buffer, start: number, end: number, out: Buffer, outStart: number): number {
  if (start === end) return outStart;
  let to = outStart;
  const last = end - start - 1;
  if (last < 60) out[to++] = last << 2;
  else {
    // A fragment has at most 64 KiB: the length takes one byte or two.
    const lengthBytes = last < 0x100 ? 1 : 2;
    out[to++] = (59 + lengthBytes) << 2;
    to = out.writeUIntLE(last, to, lengthBytes);
  }
  return to + from.copy(out, to, start, end);
}

function writeCopies(offset: number, length: number, out: Buffer, outStart: number): number {
  let to = outStart;
  for (let left = length; left > 0; left -= COPY_BYTES_MAX) {
    out[to++] = ((Math.min(left, COPY_BYTES_MAX) - 1) << 2) | 2;
    to = out.writeUInt16LE(offset, to);
  }
  return to;
}
