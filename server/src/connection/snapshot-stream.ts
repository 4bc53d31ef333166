import { MarshallingError } from 'zookeeper-protocol-ts';

/** What stands behind the contents of a snapshot that is sent to a learner. */
export const SNAPSHOT_SIGNATURE = 'BenWasHere';

/** The path that ends the znodes (`storage/snapshot-format.ts`). */
const SECTION_END = '/';
const EMPTY = Buffer.alloc(0);
const SESSION_BYTES = 12;
const ACL_NUMBER_BYTES = 8;
const PERMISSIONS_BYTES = 4;
/** The number of its ACL, and its stat. */
const ZNODE_END_BYTES = 8 + 60;
const LENGTH_MAX = 0x4000_0000;

type Part = 'sessionCount' | 'sessions' | 'aclCount' | 'acls' | 'znodes' | 'signature' | 'end';

/**
 * Finds the end of a snapshot in a stream, where it has no length in front: session table, ACL table and znodes as in a file (see
 * `storage/snapshot-format.ts`), and the signature. Whether what it holds makes sense is seen when it is read.
 */
export class SnapshotStream {
  readonly #onContents: (bytes: Uint8Array) => void;
  #part: Part = 'sessionCount';
  /** Elements of the part that are still to come. */
  #left = 0;
  #rest: Buffer = EMPTY;

  /** @param onContents is given the contents as they arrive, without the signature */
  constructor(onContents: (bytes: Uint8Array) => void) {
    this.#onContents = onContents;
  }

  /**
   * @returns what belongs to the stream behind the snapshot; undefined until that has been reached
   * @throws MarshallingError for what can't be a snapshot
   */
  push(bytes: Uint8Array): Buffer | undefined {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const buffer = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    let contentsEnd = 0;
    while (this.#part !== 'end') {
      const isContents = this.#part !== 'signature';
      const next = this.#skip(buffer, at);
      if (next === undefined) break;
      at = next;
      if (isContents) contentsEnd = at;
    }
    if (contentsEnd > 0) this.#onContents(buffer.subarray(0, contentsEnd));
    this.#rest = buffer.subarray(at);
    if (this.#part !== 'end') return undefined;
    const behind = this.#rest;
    this.#rest = EMPTY;
    return behind;
  }

  /** Where the element at `at` ends, all of it arrived; undefined otherwise. */
  #skip(buffer: Buffer, at: number): number | undefined {
    switch (this.#part) {
      case 'sessionCount':
      case 'aclCount': {
        const end = within(buffer, at + 4);
        if (end === undefined) return undefined;
        this.#left = Math.max(buffer.readInt32BE(at), 0);
        this.#part = this.#part === 'sessionCount' ? 'sessions' : 'acls';
        return end;
      }
      case 'sessions':
        return this.#skipCounted(at, 'aclCount', () => within(buffer, at + SESSION_BYTES));
      case 'acls':
        return this.#skipCounted(at, 'znodes', () => aclEnd(buffer, at + ACL_NUMBER_BYTES));
      case 'znodes':
        return this.#skipZnode(buffer, at);
      default: {
        const end = stringEnd(buffer, at);
        if (end === undefined) return undefined;
        const signature = buffer.toString('utf8', at + 4, end);
        if (signature !== SNAPSHOT_SIGNATURE) throw new MarshallingError(`a snapshot that ends in "${signature}"`);
        this.#part = 'end';
        return end;
      }
    }
  }

  #skipCounted(at: number, nextPart: Part, end: () => number | undefined): number | undefined {
    if (this.#left === 0) {
      this.#part = nextPart;
      return at;
    }
    const next = end();
    if (next !== undefined) this.#left--;
    return next;
  }

  #skipZnode(buffer: Buffer, at: number): number | undefined {
    const pathEnd = stringEnd(buffer, at);
    if (pathEnd === undefined) return undefined;
    if (pathEnd === at + 5 && buffer.toString('utf8', at + 4, pathEnd) === SECTION_END) {
      this.#part = 'signature';
      return pathEnd;
    }
    const dataEnd = stringEnd(buffer, pathEnd);
    return dataEnd === undefined ? undefined : within(buffer, dataEnd + ZNODE_END_BYTES);
  }
}

const within = (buffer: Buffer, end: number): number | undefined => (end <= buffer.length ? end : undefined);

/** Where the string or buffer at `at` ends. */
function stringEnd(buffer: Buffer, at: number): number | undefined {
  if (buffer.length < at + 4) return undefined;
  const length = buffer.readInt32BE(at);
  if (length < -1 || length > LENGTH_MAX) throw new MarshallingError(`a snapshot with a string of ${length} bytes`);
  return within(buffer, at + 4 + Math.max(length, 0));
}

/** Where the vector of ACLs at `at` ends. */
function aclEnd(buffer: Buffer, at: number): number | undefined {
  if (buffer.length < at + 4) return undefined;
  let end: number | undefined = at + 4;
  for (let left = buffer.readInt32BE(at); left > 0 && end !== undefined; left--) {
    end = stringEnd(buffer, end + PERMISSIONS_BYTES);
    if (end !== undefined) end = stringEnd(buffer, end);
  }
  return end;
}
