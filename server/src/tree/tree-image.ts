import { JuteWriter } from 'zookeeper-protocol-ts';
import { ROOT, StatField, type Znode, type ZnodeColumns } from './znode.ts';

/**
 * The znodes of a tree as they were when the image was begun, written in the form of a snapshot, in slices, while the tree goes
 * on changing. A znode that is about to change before its turn has come is written just then, with those above it that are not
 * written yet: so each is written once, as it was, and behind its parent.
 *
 * The form of a znode: `path string, data buffer, acl long, StatPersisted` (60 bytes); the path of the root is empty.
 *
 * What must hold: a slot is marked exactly if there was no znode in it at the beginning, or if that znode has been written; the
 * parent of a marked znode is marked.
 */
export class TreeImage {
  readonly #columns: ZnodeColumns;
  /** By slot. Slots behind its end were not in use. */
  readonly #marked: Uint8Array;
  readonly #writer = new JuteWriter(SLICE_CHUNK_BYTES);
  #next = 0;

  constructor(columns: ZnodeColumns) {
    this.#columns = columns;
    this.#marked = new Uint8Array(columns.slotCount);
    for (const slot of columns.freeSlots()) this.#marked[slot] = 1;
  }

  /** Called before anything that the image has of a znode changes, and before a znode vanishes. */
  beforeChange(node: Znode): void {
    // Undefined behind the end.
    if (this.#marked[node] === 0) this.#writeBelowParents(node);
  }

  /**
   * Writes on until about so many bytes wait to be taken.
   * @returns whether all znodes are written
   */
  advance(bytes: number): boolean {
    while (this.#next < this.#marked.length) {
      if (this.#writer.length >= bytes) return false;
      const node = this.#next++ as Znode;
      if (this.#marked[node] === 0) this.#writeBelowParents(node);
    }
    return true;
  }

  /** What was written since the last call. */
  take(): Uint8Array {
    return this.#writer.take();
  }

  #writeBelowParents(node: Znode): void {
    let top = node;
    const above: Znode[] = [];
    while (top !== ROOT) {
      top = this.#columns.parentOf(top);
      if (this.#marked[top] !== 0) break;
      above.push(top);
    }
    for (let each = above.pop(); each !== undefined; each = above.pop()) this.#write(each);
    this.#write(node);
  }

  #write(node: Znode): void {
    this.#marked[node] = 1;
    const columns = this.#columns;
    const writer = this.#writer;
    writer.writeString(node === ROOT ? '' : columns.pathOf(node));
    writer.writeBuffer(columns.dataOf(node));
    writer.writeLongFromNumber(columns.aclIdOf(node));
    columns.writeStatInts(node, writer, StatField.czxid, StatField.dataLength);
    columns.writeStatInts(node, writer, StatField.pzxid, StatField.end);
  }
}

const SLICE_CHUNK_BYTES = 512 * 1024;
