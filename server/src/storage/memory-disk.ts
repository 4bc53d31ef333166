import type { Disk, DiskFile, Done } from '../ports.ts';

/** What a {@link MemoryDisk} is about to do. */
export interface DiskOperation {
  readonly kind: 'open' | 'write' | 'sync' | 'truncate' | 'rename' | 'remove' | 'syncDirectory';
  /** The file, or the folder. */
  readonly name: string;
}

export interface MemoryDiskOptions {
  /** Calls `run` later, in the order of the calls: every operation takes effect and is reported there. */
  readonly soon: (run: () => void) => void;
  /** What the files contain at first. */
  readonly files?: Iterable<readonly [name: string, bytes: Uint8Array]>;
  /** Sees every operation when it is asked for; with an error, the operation fails and changes nothing. */
  readonly onOperation?: (operation: DiskOperation) => Error | undefined;
}

/**
 * A disk in memory: the folder of a server that need not outlive its process, and the disk of unit tests. It does what a real
 * one does, except that nothing is ever lost, so a sync has nothing to do.
 */
export class MemoryDisk implements Disk {
  readonly name = 'memory';
  readonly #files = new Map<string, MemoryFile>();
  readonly #options: MemoryDiskOptions;

  constructor(options: MemoryDiskOptions) {
    this.#options = options;
    for (const [name, bytes] of options.files ?? []) this.#files.set(name, new MemoryFile(bytes));
  }

  list(): string[] {
    return [...this.#files.keys()].sort();
  }

  open(name: string): DiskFile {
    const refused = this.#options.onOperation?.({ kind: 'open', name });
    if (refused !== undefined) throw refused;
    let file = this.#files.get(name);
    if (file === undefined) {
      file = new MemoryFile(new Uint8Array());
      this.#files.set(name, file);
    }
    return new OpenMemoryFile(file, (kind, run, done) => this.#perform({ kind, name }, run, done));
  }

  rename(from: string, to: string, done: Done): void {
    const run = () => {
      this.#files.set(to, this.#existing(from));
      this.#files.delete(from);
    };
    this.#perform({ kind: 'rename', name: from }, run, done);
  }

  remove(name: string, done: Done): void {
    const run = () => {
      this.#existing(name);
      this.#files.delete(name);
    };
    this.#perform({ kind: 'remove', name }, run, done);
  }

  syncDirectory(done: Done): void {
    this.#perform({ kind: 'syncDirectory', name: this.name }, () => {}, done);
  }

  /** What a file contains now. @throws when there is no such file */
  bytesOf(name: string): Uint8Array {
    return this.#existing(name).bytes();
  }

  #existing(name: string): MemoryFile {
    const file = this.#files.get(name);
    if (file === undefined) throw new Error(`${this.name}: there is no file ${name}`);
    return file;
  }

  #perform(operation: DiskOperation, run: () => void, done: Done): void {
    const refused = this.#options.onOperation?.(operation);
    this.#options.soon(() => {
      if (refused !== undefined) return done(refused);
      try {
        run();
      } catch (error) {
        return done(error instanceof Error ? error : new Error(String(error)));
      }
      done(null);
    });
  }
}

/** The bytes, in a buffer that grows by doubling. Behind its size it is zeros. */
class MemoryFile {
  #buffer: Uint8Array;
  #size: number;

  constructor(bytes: Uint8Array) {
    // Not `slice`: a Buffer's is a view.
    this.#buffer = Uint8Array.from(bytes);
    this.#size = bytes.length;
  }

  get size(): number {
    return this.#size;
  }

  bytes(offset = 0, length = this.#size): Uint8Array {
    return this.#buffer.slice(Math.min(offset, this.#size), Math.min(offset + length, this.#size));
  }

  write(offset: number, bytes: Uint8Array): void {
    if (offset + bytes.length > this.#size) this.resize(offset + bytes.length);
    this.#buffer.set(bytes, offset);
  }

  resize(size: number): void {
    if (size < this.#size) this.#buffer.fill(0, size, this.#size);
    if (size > this.#buffer.length) {
      const buffer = new Uint8Array(Math.max(size, this.#buffer.length * 2));
      buffer.set(this.#buffer);
      this.#buffer = buffer;
    }
    this.#size = size;
  }
}

class OpenMemoryFile implements DiskFile {
  readonly #file: MemoryFile;
  readonly #perform: (kind: 'write' | 'sync' | 'truncate', run: () => void, done: Done) => void;
  #open = true;

  constructor(file: MemoryFile, perform: (kind: 'write' | 'sync' | 'truncate', run: () => void, done: Done) => void) {
    this.#file = file;
    this.#perform = perform;
  }

  get size(): number {
    return this.#file.size;
  }

  readAt(offset: number, length: number): Uint8Array {
    this.#requireOpen();
    return this.#file.bytes(offset, length);
  }

  write(offset: number, bytes: Uint8Array, done: Done): void {
    this.#ask('write', () => this.#file.write(offset, bytes), done);
  }

  sync(done: Done): void {
    this.#ask('sync', () => {}, done);
  }

  truncate(size: number, done: Done): void {
    this.#ask('truncate', () => this.#file.resize(size), done);
  }

  close(): void {
    this.#open = false;
  }

  /** What was asked for before the file was closed is still done. */
  #ask(kind: 'write' | 'sync' | 'truncate', run: () => void, done: Done): void {
    const open = this.#open;
    const runIfOpen = () => {
      if (!open) throw new Error('the file is closed');
      run();
    };
    this.#perform(kind, runIfOpen, done);
  }

  #requireOpen(): void {
    if (!this.#open) throw new Error('the file is closed');
  }
}
