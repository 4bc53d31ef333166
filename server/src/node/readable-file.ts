import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { ReadableFile } from '../storage/txn-log-reader.ts';

/** A file that is only read, for the tools: it is neither created nor changed, and may belong to a server that runs. */
export class OpenedFile implements ReadableFile, Disposable {
  readonly #descriptor: number;

  /** @throws Error with a system code when it can't be opened */
  constructor(path: string) {
    this.#descriptor = openSync(path, 'r');
  }

  get size(): number {
    return fstatSync(this.#descriptor).size;
  }

  readAt(offset: number, length: number): Uint8Array {
    const bytes = Buffer.alloc(Math.max(0, Math.min(length, this.size - offset)));
    let filled = 0;
    while (filled < bytes.length) {
      const count = readSync(this.#descriptor, bytes, filled, bytes.length - filled, offset + filled);
      if (count === 0) break;
      filled += count;
    }
    return bytes.subarray(0, filled);
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}
