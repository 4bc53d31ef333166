import { toHex, ZERO_ZXID, type Zxid } from 'zookeeper-protocol-ts';
import type { DiskFile } from '../ports.ts';
import { adler32 } from './adler32.ts';
import { StorageError } from './storage-error.ts';
import {
  ENTRY_END,
  ENTRY_HEAD_BYTES,
  LOG_HEADER_BYTES,
  LOG_MAGIC,
  LOG_VERSION,
  RECORD_BYTES_MIN,
  zxidOfLogName,
  zxidOfRecord,
} from './txn-log-format.ts';

/** One transaction of a log. */
export interface TxnLogEntry {
  readonly zxid: Zxid;
  /** TxnHeader, body, and maybe a digest. A view of a large chunk: copy what is kept. */
  readonly bytes: Uint8Array;
  /** Where the entry starts in the file. */
  readonly offset: number;
}

/**
 * How the entries of a file ended.
 * - `clean`: at the end of the file, or at its padding.
 * - `torn`: at the remains of a write that was cut short. They were never durable, so they were never acknowledged, and may be
 *   cut off at `offset`.
 */
export type TxnLogEnd =
  | { readonly kind: 'clean'; readonly offset: number }
  | { readonly kind: 'torn'; readonly offset: number; readonly problem: string };

/** A file as far as it is read from. */
export type ReadableFile = Pick<DiskFile, 'size' | 'readAt'>;

export interface ReadTxnLogOptions {
  /** The last transaction that is known to have been durable when the last write to this file was begun. */
  readonly synced?: Zxid | undefined;
  /** Where an entry starts, or the last ones ended: to go on there. Default: the first one. */
  readonly from?: number;
}

/** What stands at a place in the file: an entry, the zeros of padding, or something else. */
export type Found =
  | { readonly kind: 'entry'; readonly entry: TxnLogEntry; readonly endOffset: number }
  | { readonly kind: 'padding' }
  | { readonly kind: 'broken'; readonly problem: string };

const CHUNK_BYTES = 256 * 1024;
const ZEROS = new Uint8Array(CHUNK_BYTES);

/**
 * Reads the entries of a log in order, chunk by chunk, and returns how they ended. The memory it takes is a chunk, or one
 * entry if that is larger.
 *
 * The original takes a length of 0, or a missing 'B', for the end of the file, and a wrong checksum for an error. Here all
 * three end the file where nothing but ruins of the last write can follow, and are damage where a valid transaction follows:
 * cutting there could drop transactions that were acknowledged. Unless it is known that nothing from there on was: a power
 * loss may leave the later part of a write and not the earlier one.
 *
 * @param file closed by the caller
 * @param name the file's name, for messages
 * @throws StorageError LOG_DAMAGED, or LOG_UNREADABLE for a file that is not a transaction log
 */
export function* readTxnLog(
  file: ReadableFile,
  name: string,
  { synced, from = 0 }: ReadTxnLogOptions = {},
): Generator<TxnLogEntry, TxnLogEnd> {
  const bytes = new FileWindow(file);
  const headerProblem = from === 0 ? problemOfHeader(bytes, name) : undefined;
  if (headerProblem !== undefined)
    return endAt({ bytes, name, synced, offset: 0, problem: headerProblem, last: undefined });

  let offset = Math.max(from, LOG_HEADER_BYTES);
  let last: Zxid | undefined;
  for (;;) {
    const found = findAt(bytes, offset);
    switch (found.kind) {
      case 'entry':
        last = found.entry.zxid;
        yield found.entry;
        offset = found.endOffset;
        break;
      case 'padding':
        return endAt({ bytes, name, synced, offset, problem: 'zeros in place of a transaction', last });
      case 'broken':
        return endAt({ bytes, name, synced, offset, problem: found.problem, last });
    }
  }
}

/** Why the header isn't one, as far as a write that was cut short explains it: undefined if it is a header. */
function problemOfHeader(bytes: FileWindow, name: string): string | undefined {
  const header = Buffer.alloc(LOG_HEADER_BYTES);
  header.set(bytes.at(0, LOG_HEADER_BYTES));
  const magic = header.readInt32BE(0);
  const version = header.readInt32BE(4);
  if (magic === LOG_MAGIC && version === LOG_VERSION && bytes.size >= LOG_HEADER_BYTES) return undefined;
  const expected = Buffer.alloc(8);
  expected.writeInt32BE(LOG_MAGIC, 0);
  expected.writeInt32BE(LOG_VERSION, 4);
  // A torn header is one whose end is missing, or still zeros. Anything else was never a log of ours or of the original.
  if (expected.every((byte, i) => header[i] === byte || header[i] === 0))
    return 'the header was not written to its end';
  const found = `magic ${header.toString('hex', 0, 4)}, version ${version}`;
  throw new StorageError('LOG_UNREADABLE', `not a transaction log of version ${LOG_VERSION}: ${found}`, {
    file: name,
    offset: 0,
  });
}

/** Reads what stands at `offset`, and no further. The entry's bytes are a view of the window's chunk. */
export function findAt(bytes: FileWindow, offset: number): Found {
  const head = bytes.at(offset, ENTRY_HEAD_BYTES);
  if (isZero(head)) return { kind: 'padding' };
  if (head.length < ENTRY_HEAD_BYTES) return broken('the file ends inside a checksum');
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const length = view.getInt32(8);
  const room = bytes.size - offset - ENTRY_HEAD_BYTES - 1;
  if (length < RECORD_BYTES_MIN || length > room)
    return broken(`a transaction of ${length} bytes, with room for ${room}`);
  // Before all of it is read: the length may be anything.
  if (bytes.byteAt(offset + ENTRY_HEAD_BYTES + length) !== ENTRY_END) {
    return broken('a transaction that was not written to its end');
  }
  const record = bytes.at(offset + ENTRY_HEAD_BYTES, length);
  if (view.getUint32(0) !== 0 || view.getUint32(4) !== adler32(record)) return broken('a checksum that does not match');
  const entry = { zxid: zxidOfRecord(record), bytes: record, offset };
  return { kind: 'entry', entry, endOffset: offset + ENTRY_HEAD_BYTES + length + 1 };
}

const broken = (problem: string): Found => ({ kind: 'broken', problem });

interface Break {
  readonly bytes: FileWindow;
  readonly name: string;
  readonly synced: Zxid | undefined;
  readonly offset: number;
  readonly problem: string;
  /** The last transaction before it, if there is one in this file. */
  readonly last: Zxid | undefined;
}

/** The entries stop at `offset`: finds out whether that is the end of the log or damage in the middle of it. */
function endAt({ bytes, name, synced, offset, problem, last }: Break): TxnLogEnd {
  if (bytes.nonZeroFrom(offset) === undefined) return { kind: 'clean', offset };
  if (synced !== undefined && (last ?? lastBefore(name)) >= synced) return { kind: 'torn', offset, problem };
  const next = nextEntry(bytes, offset + 1, last);
  if (next !== undefined) {
    throw new StorageError(
      'LOG_DAMAGED',
      `${problem}, but a valid transaction ${toHex(next.zxid)} follows at byte ${next.offset}: this is not the torn end of ` +
        'the last write, and transactions may be missing',
      last === undefined ? { file: name, offset } : { file: name, offset, zxid: last },
    );
  }
  return { kind: 'torn', offset, problem };
}

/** The last transaction before those of a file, as far as its name says. */
const lastBefore = (name: string): bigint => (zxidOfLogName(name) ?? ZERO_ZXID) - 1n;

/** The first valid entry at `from` or behind it with a zxid above `last`, wherever it starts. */
function nextEntry(bytes: FileWindow, from: number, last: Zxid | undefined): TxnLogEntry | undefined {
  for (let offset = from; ; offset++) {
    const nonZero = bytes.nonZeroFrom(offset);
    if (nonZero === undefined) return undefined;
    // Zeros are passed over in one step: an entry's length is not 0, so that byte is in its head at the latest.
    offset = Math.max(offset, nonZero - ENTRY_HEAD_BYTES + 1);
    const found = findAt(bytes, offset);
    if (found.kind === 'entry' && (last === undefined || found.entry.zxid > last)) return found.entry;
  }
}

/** Bytes of a file by their offset, as it was when the window was made, read in chunks that are never overwritten. */
export class FileWindow {
  readonly size: number;
  readonly #file: ReadableFile;
  #chunk: Uint8Array = new Uint8Array();
  #chunkOffset = 0;

  constructor(file: ReadableFile) {
    this.#file = file;
    this.size = file.size;
  }

  /** Fewer than `length` bytes at the end of the file. */
  at(offset: number, length: number): Uint8Array {
    const start = offset - this.#chunkOffset;
    if (start >= 0 && start + length <= this.#chunk.length) return this.#chunk.subarray(start, start + length);
    this.#chunk = this.#file.readAt(offset, Math.max(length, CHUNK_BYTES));
    this.#chunkOffset = offset;
    return this.#chunk.subarray(0, length);
  }

  /** One byte, without giving up the present chunk for it. */
  byteAt(offset: number): number | undefined {
    const start = offset - this.#chunkOffset;
    if (start >= 0 && start < this.#chunk.length) return this.#chunk[start];
    return this.#file.readAt(offset, 1)[0];
  }

  /** Where the first byte at `offset` or behind it is that is not zero. */
  nonZeroFrom(offset: number): number | undefined {
    for (let at = offset; at < this.size; ) {
      const start = at - this.#chunkOffset;
      const inChunk = start >= 0 && start < this.#chunk.length;
      const rest = inChunk ? this.#chunk.subarray(start) : this.at(at, CHUNK_BYTES);
      if (rest.length === 0) return undefined;
      if (!isZero(rest)) return at + rest.findIndex((byte) => byte !== 0);
      at += rest.length;
    }
    return undefined;
  }
}

/** By comparing memory, many times faster than byte by byte: padding is 64 MB at a time. */
function isZero(bytes: Uint8Array): boolean {
  if (bytes.length > 0 && bytes[0] !== 0) return false;
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const part = bytes.subarray(at, at + ZEROS.length);
    if (Buffer.compare(part, ZEROS.subarray(0, part.length)) !== 0) return false;
  }
  return true;
}
