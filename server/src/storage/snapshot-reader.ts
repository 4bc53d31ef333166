import { type Acl, type SessionId, toHex, toSessionId, toZxid, type Zxid } from 'zookeeper-protocol-ts';
import { InvariantError } from '../invariant.ts';
import { DataTree } from '../tree/data-tree.ts';
import { DIGEST_VERSION } from '../tree/tree-digest.ts';
import { ADLER32_EMPTY, adler32 } from './adler32.ts';
import { decompressSnappy } from './snappy.ts';
import {
  DIGEST_SECTION_BYTES,
  type Gzip,
  LAST_ZXID_SECTION_BYTES,
  SEAL_BYTES,
  SECTION_END,
  SNAPSHOT_MAGIC,
  SNAPSHOT_VERSION,
  type SnapshotName,
} from './snapshot-format.ts';
import { StorageError } from './storage-error.ts';
import type { ReadableFile } from './txn-log-reader.ts';

/** What a snapshot file holds. */
export interface Snapshot {
  readonly tree: DataTree;
  /** Timeouts in ms, by session. */
  readonly sessions: Map<SessionId, number>;
  /** That of the file's name: the log from the next one on is to be replayed over it. */
  readonly zxid: Zxid;
  /** What the tree's digest must be when that zxid, or the file's own, has been applied; undefined if the file doesn't say. */
  readonly digest: SnapshotDigest | undefined;
  /** The last transaction that was applied while the file was written, where it says so (3.9 and later). */
  readonly lastZxid: Zxid | undefined;
}

export interface SnapshotDigest {
  readonly zxid: Zxid;
  /** Unsigned 64 bits. */
  readonly digest: bigint;
}

/**
 * Reads a whole snapshot, checksums and all, in chunks.
 * @param file closed by the caller
 * @throws StorageError SNAPSHOT_UNREADABLE
 */
export function readSnapshot(file: ReadableFile, { name, zxid, compression }: SnapshotName, gzip?: Gzip): Snapshot {
  const reader = new SealedReader(compression === 'none' ? file : decompressed(file, name, compression, gzip), name);
  const magic = reader.readInt();
  const version = reader.readInt();
  if (magic !== SNAPSHOT_MAGIC || version !== SNAPSHOT_VERSION) {
    throw reader.problem(
      `not a snapshot of version ${SNAPSHOT_VERSION}: magic ${magic.toString(16)}, version ${version}`,
    );
  }
  reader.skip(8);
  const sessions = readSessions(reader);
  const tree = readUnsealedTree(reader);
  reader.readSeal();
  const withDigest = reader.remaining >= DIGEST_SECTION_BYTES + SEAL_BYTES;
  const digest = withDigest ? readDigest(reader, zxid) : undefined;
  if (withDigest) reader.readSeal();
  const withLastZxid = reader.remaining === LAST_ZXID_SECTION_BYTES + SEAL_BYTES;
  const lastZxid = withLastZxid ? toZxid(reader.readLong()) : undefined;
  if (withLastZxid) reader.readSeal();
  if (reader.remaining > 0) throw reader.problem(`${reader.remaining} bytes follow that belong to no section`);
  return { tree, sessions, zxid, digest, lastZxid };
}

function decompressed(
  file: ReadableFile,
  name: string,
  compression: 'gz' | 'snappy',
  gzip: Gzip | undefined,
): ReadableFile {
  if (compression === 'gz' && gzip === undefined) {
    throw unreadable(name, 0, `this server can't read files compressed with ${compression}`);
  }
  try {
    const compressed = file.readAt(0, file.size);
    const bytes =
      compression === 'snappy' ? decompressSnappy(compressed) : (gzip?.decompress(compressed) ?? compressed);
    return { size: bytes.length, readAt: (offset, length) => bytes.subarray(offset, offset + length) };
  } catch (cause) {
    throw unreadable(name, 0, "it can't be decompressed", cause);
  }
}

function readSessions(reader: SealedReader): Map<SessionId, number> {
  const sessions = new Map<SessionId, number>();
  const count = reader.readCount(12);
  for (let i = 0; i < count; i++) {
    const sessionId = toSessionId(reader.readLong());
    sessions.set(sessionId, reader.readInt());
  }
  return sessions;
}

/** The checksum stands behind the tree: until there, bytes that were damaged can be at odds with themselves in any way. */
function readUnsealedTree(reader: SealedReader): DataTree {
  try {
    return readTree(reader);
  } catch (error) {
    if (error instanceof InvariantError) throw reader.problem(error.message);
    throw error;
  }
}

function readTree(reader: SealedReader): DataTree {
  const acls = new Map<number, readonly Acl[]>();
  const count = reader.readCount(12);
  for (let i = 0; i < count; i++) {
    const id = reader.readLongAsNumber();
    acls.set(id, readAcl(reader));
  }
  const tree = new DataTree(acls);
  for (;;) {
    const path = reader.readString();
    if (path === SECTION_END) break;
    if (path === null) throw reader.problem('a znode without a path');
    const data = reader.readBuffer();
    const aclId = reader.readLongAsNumber();
    const stat = {
      czxid: toZxid(reader.readLong()),
      mzxid: toZxid(reader.readLong()),
      ctime: reader.readLongAsNumber(),
      mtime: reader.readLongAsNumber(),
      version: reader.readInt(),
      cversion: reader.readInt(),
      aversion: reader.readInt(),
      owner: reader.readLong(),
      pzxid: toZxid(reader.readLong()),
    };
    if (!tree.restore({ path: path === '' ? '/' : path, data, aclId, stat })) {
      throw reader.problem(`the parent of ${path} does not stand before it`);
    }
  }
  tree.finishRestore();
  return tree;
}

function readAcl(reader: SealedReader): Acl[] {
  const acl: Acl[] = [];
  const count = reader.readCount(12);
  for (let i = 0; i < count; i++) {
    const perms = reader.readInt();
    acl.push({ perms, id: { scheme: reader.readString(), id: reader.readString() } });
  }
  return acl;
}

function readDigest(reader: SealedReader, snapshotZxid: Zxid): SnapshotDigest | undefined {
  const zxid = toZxid(reader.readLong());
  const version = reader.readInt();
  const digest = BigInt.asUintN(64, reader.readLong());
  // Of an empty database the original doesn't know it yet, and of an older tree than the file's it says nothing about that.
  return version === DIGEST_VERSION && zxid > 0n && zxid >= snapshotZxid ? { zxid, digest } : undefined;
}

const unreadable = (file: string, offset: number, what: string, cause?: unknown): StorageError =>
  new StorageError('SNAPSHOT_UNREADABLE', what, cause === undefined ? { file, offset } : { file, offset, cause });

const CHUNK_BYTES = 1024 * 1024;

/**
 * Reads jute from a file chunk by chunk, and keeps the checksum of all that was read. Nothing is allocated for a length before
 * the file is known to be as long.
 */
class SealedReader {
  readonly #file: ReadableFile;
  readonly #name: string;
  #chunk: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  /** Where the chunk starts in the file. */
  #chunkOffset = 0;
  /** The next byte, in the chunk. */
  #at = 0;
  /** Of the bytes before `#summedTo` in the chunk, and all before the chunk. */
  #checksum = ADLER32_EMPTY;
  #summedTo = 0;

  constructor(file: ReadableFile, name: string) {
    this.#file = file;
    this.#name = name;
  }

  get remaining(): number {
    return this.#file.size - this.#chunkOffset - this.#at;
  }

  problem(what: string): StorageError {
    return unreadable(this.#name, this.#chunkOffset + this.#at, what);
  }

  skip(count: number): void {
    this.#advance(count);
  }

  readInt(): number {
    const at = this.#advance(4);
    return this.#view.getInt32(at);
  }

  readLong(): bigint {
    const at = this.#advance(8);
    return this.#view.getBigInt64(at);
  }

  readLongAsNumber(): number {
    const at = this.#advance(8);
    return this.#view.getInt32(at) * 0x1_0000_0000 + this.#view.getUint32(at + 4);
  }

  /** A view of the chunk. */
  readBuffer(): Uint8Array | null {
    const length = this.readInt();
    if (length === -1) return null;
    const at = this.#advance(length);
    return this.#chunk.subarray(at, at + length);
  }

  readString(): string | null {
    const length = this.readInt();
    if (length === -1) return null;
    const at = this.#advance(length);
    return this.#chunk.toString('utf8', at, at + length);
  }

  /** @param elementBytesMin the fewest bytes that each of them takes */
  readCount(elementBytesMin: number): number {
    const count = this.readInt();
    if (count === -1) return 0;
    if (count < 0 || count * elementBytesMin > this.remaining) throw this.problem(`${count} elements can't follow`);
    return count;
  }

  readSeal(): void {
    this.#sum();
    const computed = this.#checksum;
    const stored = this.readLong();
    if (stored !== BigInt(computed)) {
      throw this.problem(`the checksum is ${toHex(stored)}, and that of the contents ${toHex(BigInt(computed))}`);
    }
    if (this.readString() !== SECTION_END) throw this.problem('a checksum is not followed by its end mark');
  }

  #sum(): void {
    this.#checksum = adler32(this.#chunk.subarray(this.#summedTo, this.#at), this.#checksum);
    this.#summedTo = this.#at;
  }

  #advance(count: number): number {
    if (count < 0) throw this.problem(`a length of ${count}`);
    if (this.#at + count > this.#chunk.length) this.#refill(count);
    const at = this.#at;
    this.#at += count;
    return at;
  }

  #refill(count: number): void {
    if (count > this.remaining) throw this.problem(`the file ends: ${count} bytes wanted, ${this.remaining} left`);
    this.#sum();
    this.#chunkOffset += this.#at;
    const chunk = this.#file.readAt(this.#chunkOffset, Math.max(count, CHUNK_BYTES));
    this.#chunk = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#at = 0;
    this.#summedTo = 0;
    if (chunk.length < count) throw this.problem(`the file ends: ${count} bytes wanted, ${chunk.length} left`);
  }
}
