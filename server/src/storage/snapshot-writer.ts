import { JuteWriter, type Zxid } from 'zookeeper-protocol-ts';
import type { Database } from '../database.ts';
import { assertNever } from '../invariant.ts';
import type { Disk, DiskFile, Done } from '../ports.ts';
import { DIGEST_VERSION } from '../tree/tree-digest.ts';
import { ADLER32_EMPTY, adler32 } from './adler32.ts';
import { compressSnappyChunk, SNAPPY_HEADER } from './snappy.ts';
import { snapshotContents } from './snapshot-contents.ts';
import {
  SECTION_END,
  SNAPSHOT_DBID,
  SNAPSHOT_MAGIC,
  SNAPSHOT_VERSION,
  type SnapshotCompressor,
  snapshotName,
  unfinishedSnapshotName,
} from './snapshot-format.ts';

export interface SnapshotWriterOptions {
  readonly disk: Disk;
  readonly database: Database;
  readonly compressor: SnapshotCompressor;
  /** Write the section with the tree's digest (`digest.enabled`). */
  readonly withDigest: boolean;
  /** Write the section with the last zxid, of 3.9 and later (`serializeLastProcessedZxid.enabled`). */
  readonly withLastZxid: boolean;
  /** How much is made at a time. Default: 128 KiB, which holds the loop for about half a millisecond. */
  readonly sliceBytes?: number;
}

const SLICE_BYTES_DEFAULT = 128 * 1024;

/**
 * Writes one snapshot: the database exactly as it is when the writer is made, slice by slice, while transactions go on. The next
 * slice is made when the one before has been written, so that it costs memory for one slice and for what changes meanwhile.
 *
 * What must hold: the zxid is read before anything is serialized (SNAP-1); the file gets its name only when it is whole and
 * durable, and counts only when the name is durable too. So there is never a part of a snapshot under a snapshot's name.
 */
export class SnapshotWriter {
  readonly zxid: Zxid;
  readonly name: string;
  readonly #options: SnapshotWriterOptions;
  readonly #slices: Generator<Uint8Array, void, void>;
  #bytes = 0;
  #abandoned = false;

  constructor(options: SnapshotWriterOptions) {
    this.#options = options;
    this.zxid = options.database.lastZxid;
    this.name = snapshotName(this.zxid, options.compressor.kind);
    this.#slices = slicesOf(options);
  }

  /** Of the file so far, compressed or not. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * @param done called once, never within the call: with null when the snapshot counts, or with why there is none. Then what
   *   had been written is removed, as far as the disk allows.
   */
  write(done: Done): void {
    const { disk } = this.#options;
    const unfinished = unfinishedSnapshotName(this.zxid);
    const finish: Done = (error) => {
      this.#slices.return();
      if (error === null) return done(null);
      // The name is removed by the next start, if the disk doesn't do it now.
      disk.remove(unfinished, () => done(error));
    };
    let file: DiskFile;
    try {
      file = disk.open(unfinished);
    } catch (cause) {
      return finish(cause instanceof Error ? cause : new Error(`${unfinished} can't be opened`, { cause }));
    }
    const closed: Done = (error) => {
      file.close();
      finish(error);
    };
    const publish: Done = (error) => {
      file.close();
      if (error !== null) return finish(error);
      disk.rename(unfinished, this.name, (failure) => (failure === null ? disk.syncDirectory(done) : finish(failure)));
    };
    file.truncate(0, (error) =>
      error === null
        ? this.#writeNext(file, (failure) => (failure === null ? file.sync(publish) : closed(failure)))
        : closed(error),
    );
  }

  /** Ends it at the next step: `done` of {@link write} is called with an error. */
  abandon(): void {
    this.#abandoned = true;
  }

  #writeNext(file: DiskFile, done: Done): void {
    if (this.#abandoned) return done(new Error(`${this.name} was given up: the server stops`));
    const slice = this.#slices.next();
    if (slice.done === true) return done(null);
    const write = (bytes: Uint8Array): void => {
      file.write(this.#bytes, bytes, (error) => {
        if (error !== null) return done(error);
        this.#bytes += bytes.length;
        this.#writeNext(file, done);
      });
    };
    const { compressor } = this.#options;
    switch (compressor.kind) {
      case 'none':
        return write(slice.value);
      case 'snappy': {
        const chunk = compressSnappyChunk(slice.value);
        return write(this.#bytes === 0 ? Buffer.concat([SNAPPY_HEADER, chunk]) : chunk);
      }
      case 'gz':
        return compressor.gzip.compress(slice.value, (error, compressed) =>
          error === null ? write(compressed) : done(error),
        );
      default:
        return assertNever(compressor);
    }
  }
}

/** The bytes of the file. What the snapshot shows is settled within this call; the slices are made as they are asked for. */
function slicesOf(options: SnapshotWriterOptions): Generator<Uint8Array, void, void> {
  const { database, withDigest, withLastZxid, sliceBytes = SLICE_BYTES_DEFAULT } = options;
  const { lastZxid } = database;
  const { digest } = database.tree;
  const contents = snapshotContents(database, sliceBytes);
  const writer = new JuteWriter(256);
  let checksum = ADLER32_EMPTY;
  const summed = (bytes: Uint8Array): Uint8Array => {
    checksum = adler32(bytes, checksum);
    return bytes;
  };

  function* sections(): Generator<Uint8Array, void, void> {
    try {
      yield Buffer.alloc(0);
      writer.writeInt(SNAPSHOT_MAGIC);
      writer.writeInt(SNAPSHOT_VERSION);
      writer.writeLong(SNAPSHOT_DBID);
      yield summed(writer.take());
      for (const slice of contents) yield summed(slice);
      yield* seal();
      if (withDigest) {
        writer.writeLong(lastZxid);
        writer.writeInt(DIGEST_VERSION);
        // The original has no digest yet when it writes an empty database for the first time.
        writer.writeLong(lastZxid === 0n ? 0n : BigInt.asIntN(64, digest));
        yield* seal();
      }
      if (withLastZxid) {
        writer.writeLong(lastZxid);
        yield* seal();
      }
      yield writer.take();
    } finally {
      contents.return();
    }
  }

  function* seal(): Generator<Uint8Array, void, void> {
    yield summed(writer.take());
    writer.writeLongFromNumber(checksum);
    writer.writeString(SECTION_END);
  }

  const started = sections();
  // From here on `return` runs what is behind `finally`.
  started.next();
  return started;
}
