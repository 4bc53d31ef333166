import { type Brand, type JuteWriter, STAT_BYTES } from 'zookeeper-protocol-ts';
import { assert } from '../invariant.ts';
import { crc32, crc32OfText } from './crc32.ts';
import { DataSlabs } from './data-slabs.ts';

/**
 * Znodes in columns. A znode is a slot number; what it is made of stands at that index in a few arrays, so that a million
 * znodes are a handful of objects for the garbage collector instead of many millions.
 *
 * Stat fields stand in one byte slab, 68 bytes a slot, in the order and the byte order of a Stat on the wire. Two fields
 * differ from what clients see: `cversion` is the stored one, which counts creates only, and `ephemeralOwner` is the raw
 * owner (`owner.ts`).
 *
 * Data is kept in slabs (`data-slabs.ts`), and its place in a column.
 *
 * The children of a znode are a doubly linked list through four int columns, in no particular order. Slot 0 is the root,
 * which is nobody's child and nobody's sibling, so 0 ends a list.
 */

/** Slot number of a living znode. Given out again after the znode was deleted: not to be kept across transactions. */
export type Znode = Brand<number, 'Znode'>;

export const ROOT = 0 as Znode;

/** Where a field starts in the 68 bytes of a slot. The versions and the two counts have 4 bytes, the others 8. */
export const StatField = {
  czxid: 0,
  mzxid: 8,
  ctime: 16,
  mtime: 24,
  version: 32,
  cversion: 36,
  aversion: 40,
  owner: 44,
  dataLength: 52,
  numChildren: 56,
  pzxid: 60,
  end: STAT_BYTES,
} as const;
export type StatField = (typeof StatField)[keyof typeof StatField];

const SLOTS_AT_FIRST = 64;

/** The place of data that is null: no value is there. */
const NO_DATA = -0x8000_0000;

/** The columns, and which slots are free. Knows nothing of paths' meaning; `DataTree` does. */
export class ZnodeColumns {
  /** Undefined in a free slot. */
  readonly #paths: (string | undefined)[] = [];
  /** Where the data is; {@link NO_DATA} for null. Its length is in the Stat. */
  #dataPlaces = new Int32Array(SLOTS_AT_FIRST);
  readonly #data = new DataSlabs();
  readonly #free: Znode[] = [];
  #stats = new DataView(new ArrayBuffer(SLOTS_AT_FIRST * STAT_BYTES));
  /** The memory of `#stats`. */
  #statBytes = new Uint8Array(this.#stats.buffer);
  /** What each znode has in the sum of `TreeDigest`, which keeps this column; 0 in a free slot. */
  #digests = new Uint32Array(SLOTS_AT_FIRST);
  #aclIds = new Int32Array(SLOTS_AT_FIRST);
  #parents = new Int32Array(SLOTS_AT_FIRST);
  #firstChildren = new Int32Array(SLOTS_AT_FIRST);
  #nextSiblings = new Int32Array(SLOTS_AT_FIRST);
  #previousSiblings = new Int32Array(SLOTS_AT_FIRST);

  /** Takes a slot, without children and in nobody's list. The other fields are anything until they are set. */
  allocate(path: string): Znode {
    const slot = this.#free.pop() ?? (this.#paths.length as Znode);
    if (slot === this.#paths.length) {
      if (slot === this.#aclIds.length) this.#grow();
      this.#paths.push(path);
    } else {
      this.#paths[slot] = path;
    }
    this.#dataPlaces[slot] = NO_DATA;
    return slot;
  }

  /** Gives a slot back. It must have been unlinked and have no children. */
  release(node: Znode): void {
    assert(this.#firstChildren[node] === 0, 'TREE-1: a znode with children is released');
    this.#paths[node] = undefined;
    this.#releaseData(node);
    this.#free.push(node);
  }

  /** Slots that are in use or free. */
  get slotCount(): number {
    return this.#paths.length;
  }

  freeSlots(): readonly Znode[] {
    return this.#free;
  }

  pathOf(node: Znode): string {
    const path = this.#paths[node];
    assert(path !== undefined, 'TREE-1: a znode is used after it was deleted');
    return path;
  }

  /** A view: good until the znode's data is set again, or the znode deleted. */
  dataOf(node: Znode): Uint8Array | null {
    const place = this.#dataPlaces[node] ?? NO_DATA;
    return place === NO_DATA ? null : this.#data.view(place, this.int(node, StatField.dataLength));
  }

  /** Copies the bytes. */
  setData(node: Znode, data: Uint8Array | null): void {
    this.#releaseData(node);
    if (data !== null) this.#dataPlaces[node] = this.#data.store(data);
    this.setInt(node, StatField.dataLength, data === null ? 0 : data.length);
  }

  #releaseData(node: Znode): void {
    const place = this.#dataPlaces[node] ?? NO_DATA;
    if (place === NO_DATA) return;
    this.#data.release(place, this.int(node, StatField.dataLength));
    this.#dataPlaces[node] = NO_DATA;
  }

  aclIdOf(node: Znode): number {
    return this.#aclIds[node] ?? 0;
  }

  setAclId(node: Znode, id: number): void {
    this.#aclIds[node] = id;
  }

  digestOf(node: Znode): number {
    return this.#digests[node] ?? 0;
  }

  setDigest(node: Znode, digest: number): void {
    this.#digests[node] = digest;
  }

  /** The CRC-32, unsigned, of path, data and the 60 bytes of the stat that last, in the order of `DigestCalculator`. */
  crcOf(node: Znode, path: string): number {
    const data = this.dataOf(node);
    let crc = crc32OfText(path);
    if (data) crc = crc32(data, crc);
    const stat = node * STAT_BYTES;
    crc = crc32(this.#statBytes, crc, stat + StatField.czxid, stat + StatField.ctime);
    crc = crc32(this.#statBytes, crc, stat + StatField.pzxid, stat + StatField.end);
    return crc32(this.#statBytes, crc, stat + StatField.ctime, stat + StatField.dataLength) >>> 0;
  }

  int(node: Znode, field: StatField): number {
    return this.#stats.getInt32(node * STAT_BYTES + field);
  }

  setInt(node: Znode, field: StatField, value: number): void {
    this.#stats.setInt32(node * STAT_BYTES + field, value);
  }

  long(node: Znode, field: StatField): bigint {
    return this.#stats.getBigInt64(node * STAT_BYTES + field);
  }

  setLong(node: Znode, field: StatField, value: bigint): void {
    this.#stats.setBigInt64(node * STAT_BYTES + field, value);
  }

  /** A 64-bit field that is a time, exact up to 2^53. */
  time(node: Znode, field: StatField): number {
    const at = node * STAT_BYTES + field;
    return this.#stats.getInt32(at) * 0x1_0000_0000 + this.#stats.getUint32(at + 4);
  }

  setTime(node: Znode, field: StatField, ms: number): void {
    const at = node * STAT_BYTES + field;
    this.#stats.setInt32(at, Math.floor(ms / 0x1_0000_0000));
    this.#stats.setUint32(at + 4, ms >>> 0);
  }

  /** Writes the stat's bytes from one offset up to another, by ints: whole fields, without making a view or a bigint. */
  writeStatInts(node: Znode, writer: JuteWriter, from: number, to: number): void {
    const end = node * STAT_BYTES + to;
    for (let at = node * STAT_BYTES + from; at < end; at += 4) writer.writeInt(this.#stats.getInt32(at));
  }

  parentOf(node: Znode): Znode {
    return this.#parents[node] as Znode;
  }

  /** 0 if there is none. */
  firstChildOf(node: Znode): Znode {
    return this.#firstChildren[node] as Znode;
  }

  /** 0 behind the last one. */
  nextSiblingOf(node: Znode): Znode {
    return this.#nextSiblings[node] as Znode;
  }

  /** Puts a znode in front of its parent's children. */
  link(node: Znode, parent: Znode): void {
    const first = this.firstChildOf(parent);
    this.#parents[node] = parent;
    this.#nextSiblings[node] = first;
    this.#previousSiblings[node] = 0;
    if (first !== ROOT) this.#previousSiblings[first] = node;
    this.#firstChildren[parent] = node;
    this.setInt(parent, StatField.numChildren, this.int(parent, StatField.numChildren) + 1);
  }

  /** Takes a znode out of its parent's children. */
  unlink(node: Znode): void {
    const parent = this.parentOf(node);
    const next = this.nextSiblingOf(node);
    const previous = this.#previousSiblings[node] as Znode;
    if (previous === ROOT) this.#firstChildren[parent] = next;
    else this.#nextSiblings[previous] = next;
    if (next !== ROOT) this.#previousSiblings[next] = previous;
    this.setInt(parent, StatField.numChildren, this.int(parent, StatField.numChildren) - 1);
  }

  /** By half: a million znodes are copied within milliseconds, and at most a third of the columns is unused. */
  #grow(): void {
    const slots = Math.ceil(this.#aclIds.length * 1.5);
    const stats = new Uint8Array(slots * STAT_BYTES);
    stats.set(this.#statBytes);
    this.#statBytes = stats;
    this.#stats = new DataView(stats.buffer);
    const digests = new Uint32Array(slots);
    digests.set(this.#digests);
    this.#digests = digests;
    this.#dataPlaces = grown(this.#dataPlaces, slots);
    this.#aclIds = grown(this.#aclIds, slots);
    this.#parents = grown(this.#parents, slots);
    this.#firstChildren = grown(this.#firstChildren, slots);
    this.#nextSiblings = grown(this.#nextSiblings, slots);
    this.#previousSiblings = grown(this.#previousSiblings, slots);
  }
}

function grown(column: Int32Array<ArrayBuffer>, slots: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(slots);
  larger.set(column);
  return larger;
}
