import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Disk, DiskFile, Done } from '../ports.ts';
import { StorageError } from '../storage/storage-error.ts';

/**
 * The {@link Disk} of a real machine: a folder of the file system. Syncs, truncations and large writes run on Node's thread pool;
 * small writes, and what only happens at start-up, are synchronous.
 */
export class FileDisk implements Disk {
  readonly name: string;

  /**
   * Creates the folder if it is missing.
   * @throws StorageError FOLDER_UNUSABLE when it can't be created, is not a folder, or may not be written
   */
  constructor(folder: string) {
    this.name = folder;
    try {
      fs.mkdirSync(folder, { recursive: true });
      fs.accessSync(folder, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
    } catch (cause) {
      throw new StorageError('FOLDER_UNUSABLE', `the folder ${problemOf(cause)}`, { file: folder, cause });
    }
  }

  list(): string[] {
    const entries = fs.readdirSync(this.name, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name)
      .sort();
  }

  open(name: string): DiskFile {
    return new OpenFile(join(this.name, name));
  }

  rename(from: string, to: string, done: Done): void {
    fs.rename(join(this.name, from), join(this.name, to), done);
  }

  remove(name: string, done: Done): void {
    fs.unlink(join(this.name, name), done);
  }

  syncDirectory(done: Done): void {
    fs.open(this.name, 'r', (openError, descriptor) => {
      if (openError !== null) return done(openError);
      fs.fsync(descriptor, (syncError) => {
        fs.close(descriptor, (closeError) => done(syncError ?? closeError ?? null));
      });
    });
  }
}

/** What an operator can do something about, in words; the rest as the system says it. */
function problemOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'can not be written by the user that runs the server';
    case 'EEXIST':
    case 'ENOTDIR':
      return 'is a file, or lies below one';
    default:
      return `can not be used: ${String(error)}`;
  }
}

/**
 * So few bytes are written without the thread pool: the system copies them into its own memory, which takes some microseconds,
 * and the way through the pool a tenth of a millisecond. A sync waits for the disk, and never happens here.
 */
const WRITTEN_AT_ONCE_MAX = 64 * 1024;

class OpenFile implements DiskFile {
  readonly #path: string;
  readonly #descriptor: number;
  #size: number;
  /** Operations that the thread pool still has: the descriptor stays open for them. */
  #inFlight = 0;
  #closed = false;

  constructor(path: string) {
    this.#path = path;
    this.#descriptor = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o644);
    this.#size = fs.fstatSync(this.#descriptor).size;
  }

  get size(): number {
    return this.#size;
  }

  readAt(offset: number, length: number): Uint8Array {
    if (this.#closed) throw this.#closedError();
    const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, this.#size - offset)));
    let filled = 0;
    while (filled < bytes.length) {
      const count = fs.readSync(this.#descriptor, bytes, filled, bytes.length - filled, offset + filled);
      if (count === 0) break;
      filled += count;
    }
    return bytes.subarray(0, filled);
  }

  write(offset: number, bytes: Uint8Array, done: Done): void {
    const finished = this.#begin(done);
    if (finished === undefined) return;
    if (bytes.length <= WRITTEN_AT_ONCE_MAX) process.nextTick(finished, this.#writeNow(offset, bytes));
    else this.#writeFrom(offset, bytes, finished);
  }

  /** @returns why it failed */
  #writeNow(offset: number, bytes: Uint8Array): Error | null {
    try {
      for (let at = 0; at < bytes.length; ) {
        at += fs.writeSync(this.#descriptor, bytes, at, bytes.length - at, offset + at);
        this.#size = Math.max(this.#size, offset + at);
      }
      return null;
    } catch (error) {
      return error instanceof Error ? error : new Error(`${this.#path} can't be written`, { cause: error });
    }
  }

  /** The system may write less than it was given: goes on with the rest. */
  #writeFrom(offset: number, bytes: Uint8Array, finished: Done): void {
    fs.write(this.#descriptor, bytes, 0, bytes.length, offset, (error, written) => {
      if (error !== null) return finished(error);
      this.#size = Math.max(this.#size, offset + written);
      if (written === bytes.length) return finished(null);
      this.#writeFrom(offset + written, bytes.subarray(written), finished);
    });
  }

  /** The contents and what is needed to read them back, the size too; times of access and change may be lost. */
  sync(done: Done): void {
    const finished = this.#begin(done);
    if (finished !== undefined) fs.fdatasync(this.#descriptor, finished);
  }

  truncate(size: number, done: Done): void {
    const finished = this.#begin(done);
    if (finished === undefined) return;
    fs.ftruncate(this.#descriptor, size, (error) => {
      if (error === null) this.#size = size;
      finished(error);
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#inFlight === 0) fs.closeSync(this.#descriptor);
  }

  /** Counts an operation until it calls back; refuses it when the file is closed. */
  #begin(done: Done): Done | undefined {
    if (this.#closed) {
      setImmediate(done, this.#closedError());
      return undefined;
    }
    this.#inFlight++;
    return (error) => {
      this.#inFlight--;
      if (this.#closed && this.#inFlight === 0) fs.closeSync(this.#descriptor);
      done(error);
    };
  }

  #closedError(): Error {
    return new Error(`${this.#path} is closed`);
  }
}
