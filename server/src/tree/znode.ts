import { type Brand, type JuteWriter, STAT_BYTES } from 'zookeeper-protocol-ts';
import { assert } from '../invariant.ts';
import { crc32, crc32OfText } from './crc32.ts';
import { DataSlabs } from './data-slabs.ts';

/**
 * Znodes in columns. A znode is a slot number; what it is made of stands at that index in a few arrays, so that a million
 * znodes are a handful of objects for the garbage collector instead of many millions. The arrays come in pages of
 * {@link PAGE_SLOTS} slots: a tree grows by a page, and nothing that it has already is copied, which with a million znodes would
 * hold everything up. Only the first page begins small, and doubles: most trees are.
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

/**
 * A power of two, for a slot's number is its page's and its place in it. Memory is only taken up where it is written to, so a page
 * may be large; with pages of 2^12 random changes of 200,000 znodes took a third longer.
 */
const PAGE_BITS = 16;
const PAGE_SLOTS = 1 << PAGE_BITS;
const PLACE_MASK = PAGE_SLOTS - 1;
/** Of the first page, at first. */
const FIRST_SLOTS = 256;

/** The columns of so many slots. */
class Page {
  readonly slots: number;
  /** Undefined in a free slot. */
  readonly paths: (string | undefined)[];
  /** 68 bytes a slot. */
  readonly statBytes: Uint8Array;
  /** The same memory. */
  readonly stats: DataView;
  /** Where the data is; {@link NO_DATA} for null. Its length is in the Stat. */
  readonly dataPlaces: Int32Array;
  /** What each znode has in the sum of `TreeDigest`, which keeps this column; 0 in a free slot. */
  readonly digests: Uint32Array;
  /** 1 where that is out of date; 0 in a free slot. */
  readonly stale: Uint8Array;
  readonly aclIds: Int32Array;
  readonly parents: Int32Array;
  readonly firstChildren: Int32Array;
  readonly nextSiblings: Int32Array;
  readonly previousSiblings: Int32Array;

  /** @param smaller takes over what that has: it is not to be used any more */
  constructor(slots: number, smaller?: Page) {
    this.slots = slots;
    this.paths = smaller?.paths ?? [];
    this.statBytes = new Uint8Array(slots * STAT_BYTES);
    this.stats = new DataView(this.statBytes.buffer);
    this.dataPlaces = new Int32Array(slots);
    this.digests = new Uint32Array(slots);
    this.stale = new Uint8Array(slots);
    this.aclIds = new Int32Array(slots);
    this.parents = new Int32Array(slots);
    this.firstChildren = new Int32Array(slots);
    this.nextSiblings = new Int32Array(slots);
    this.previousSiblings = new Int32Array(slots);
    if (smaller === undefined) return;
    this.statBytes.set(smaller.statBytes);
    this.dataPlaces.set(smaller.dataPlaces);
    this.digests.set(smaller.digests);
    this.stale.set(smaller.stale);
    this.aclIds.set(smaller.aclIds);
    this.parents.set(smaller.parents);
    this.firstChildren.set(smaller.firstChildren);
    this.nextSiblings.set(smaller.nextSiblings);
    this.previousSiblings.set(smaller.previousSiblings);
  }
}

/** The place of data that is null: no value is there. */
const NO_DATA = -0x8000_0000;

/** The columns, and which slots are free. Knows nothing of paths' meaning; `DataTree` does. */
export class ZnodeColumns {
  readonly #pages: Page[] = [];
  #slotCount = 0;
  readonly #data = new DataSlabs();
  readonly #free: Znode[] = [];

  /** Takes a slot, without children and in nobody's list. The other fields are anything until they are set. */
  allocate(path: string): Znode {
    const slot = this.#free.pop() ?? this.#newSlot();
    this.#page(slot).paths[slot & PLACE_MASK] = path;
    this.#page(slot).dataPlaces[slot & PLACE_MASK] = NO_DATA;
    return slot;
  }

  /** Gives a slot back. It must have been unlinked and have no children. */
  release(node: Znode): void {
    assert(this.#page(node).firstChildren[node & PLACE_MASK] === 0, 'TREE-1: a znode with children is released');
    this.#page(node).paths[node & PLACE_MASK] = undefined;
    this.#releaseData(node);
    this.#free.push(node);
  }

  /** Slots that are in use or free. */
  get slotCount(): number {
    return this.#slotCount;
  }

  freeSlots(): readonly Znode[] {
    return this.#free;
  }

  pathOf(node: Znode): string {
    const path = this.#page(node).paths[node & PLACE_MASK];
    assert(path !== undefined, 'TREE-1: a znode is used after it was deleted');
    return path;
  }

  /** A view: good until the znode's data is set again, or the znode deleted. */
  dataOf(node: Znode): Uint8Array | null {
    const place = this.#page(node).dataPlaces[node & PLACE_MASK] ?? NO_DATA;
    return place === NO_DATA ? null : this.#data.view(place, this.int(node, StatField.dataLength));
  }

  /** Copies the bytes. */
  setData(node: Znode, data: Uint8Array | null): void {
    this.#releaseData(node);
    if (data !== null) this.#page(node).dataPlaces[node & PLACE_MASK] = this.#data.store(data);
    this.setInt(node, StatField.dataLength, data === null ? 0 : data.length);
  }

  #releaseData(node: Znode): void {
    const place = this.#page(node).dataPlaces[node & PLACE_MASK] ?? NO_DATA;
    if (place === NO_DATA) return;
    this.#data.release(place, this.int(node, StatField.dataLength));
    this.#page(node).dataPlaces[node & PLACE_MASK] = NO_DATA;
  }

  aclIdOf(node: Znode): number {
    return this.#page(node).aclIds[node & PLACE_MASK] ?? 0;
  }

  setAclId(node: Znode, id: number): void {
    this.#page(node).aclIds[node & PLACE_MASK] = id;
  }

  digestOf(node: Znode): number {
    return this.#page(node).digests[node & PLACE_MASK] ?? 0;
  }

  setDigest(node: Znode, digest: number): void {
    this.#page(node).digests[node & PLACE_MASK] = digest;
  }

  isStale(node: Znode): boolean {
    return this.#page(node).stale[node & PLACE_MASK] === 1;
  }

  setStale(node: Znode, stale: boolean): void {
    this.#page(node).stale[node & PLACE_MASK] = stale ? 1 : 0;
  }

  /** The CRC-32, unsigned, of path, data and the 60 bytes of the stat that last, in the order of `DigestCalculator`. */
  crcOf(node: Znode, path: string): number {
    const data = this.dataOf(node);
    let crc = crc32OfText(path);
    if (data) crc = crc32(data, crc);
    const { statBytes } = this.#page(node);
    const stat = statAt(node);
    crc = crc32(statBytes, crc, stat + StatField.czxid, stat + StatField.ctime);
    crc = crc32(statBytes, crc, stat + StatField.pzxid, stat + StatField.end);
    return crc32(statBytes, crc, stat + StatField.ctime, stat + StatField.dataLength) >>> 0;
  }

  int(node: Znode, field: StatField): number {
    return this.#page(node).stats.getInt32(statAt(node) + field);
  }

  setInt(node: Znode, field: StatField, value: number): void {
    this.#page(node).stats.setInt32(statAt(node) + field, value);
  }

  long(node: Znode, field: StatField): bigint {
    return this.#page(node).stats.getBigInt64(statAt(node) + field);
  }

  setLong(node: Znode, field: StatField, value: bigint): void {
    this.#page(node).stats.setBigInt64(statAt(node) + field, value);
  }

  /** A 64-bit field that is a time, exact up to 2^53. */
  time(node: Znode, field: StatField): number {
    const { stats } = this.#page(node);
    const at = statAt(node) + field;
    return stats.getInt32(at) * 0x1_0000_0000 + stats.getUint32(at + 4);
  }

  setTime(node: Znode, field: StatField, ms: number): void {
    const { stats } = this.#page(node);
    const at = statAt(node) + field;
    stats.setInt32(at, Math.floor(ms / 0x1_0000_0000));
    stats.setUint32(at + 4, ms >>> 0);
  }

  /** Writes the stat's bytes from one offset up to another, by ints: whole fields, without making a view or a bigint. */
  writeStatInts(node: Znode, writer: JuteWriter, from: number, to: number): void {
    const { stats } = this.#page(node);
    const end = statAt(node) + to;
    for (let at = statAt(node) + from; at < end; at += 4) writer.writeInt(stats.getInt32(at));
  }

  parentOf(node: Znode): Znode {
    return this.#page(node).parents[node & PLACE_MASK] as Znode;
  }

  /** 0 if there is none. */
  firstChildOf(node: Znode): Znode {
    return this.#page(node).firstChildren[node & PLACE_MASK] as Znode;
  }

  /** 0 behind the last one. */
  nextSiblingOf(node: Znode): Znode {
    return this.#page(node).nextSiblings[node & PLACE_MASK] as Znode;
  }

  /** Puts a znode in front of its parent's children. */
  link(node: Znode, parent: Znode): void {
    const first = this.firstChildOf(parent);
    this.#page(node).parents[node & PLACE_MASK] = parent;
    this.#page(node).nextSiblings[node & PLACE_MASK] = first;
    this.#page(node).previousSiblings[node & PLACE_MASK] = 0;
    if (first !== ROOT) this.#page(first).previousSiblings[first & PLACE_MASK] = node;
    this.#page(parent).firstChildren[parent & PLACE_MASK] = node;
    this.setInt(parent, StatField.numChildren, this.int(parent, StatField.numChildren) + 1);
  }

  /** Takes a znode out of its parent's children. */
  unlink(node: Znode): void {
    const parent = this.parentOf(node);
    const next = this.nextSiblingOf(node);
    const previous = this.#page(node).previousSiblings[node & PLACE_MASK] as Znode;
    if (previous === ROOT) this.#page(parent).firstChildren[parent & PLACE_MASK] = next;
    else this.#page(previous).nextSiblings[previous & PLACE_MASK] = next;
    if (next !== ROOT) this.#page(next).previousSiblings[next & PLACE_MASK] = previous;
    this.setInt(parent, StatField.numChildren, this.int(parent, StatField.numChildren) - 1);
  }

  #newSlot(): Znode {
    const place = this.#slotCount & PLACE_MASK;
    const last = this.#pages.at(-1);
    if (last === undefined) this.#pages.push(new Page(FIRST_SLOTS));
    else if (place === 0) this.#pages.push(new Page(PAGE_SLOTS));
    else if (place === last.slots) this.#pages[this.#pages.length - 1] = new Page(last.slots * 2, last);
    return this.#slotCount++ as Znode;
  }

  #page(node: Znode): Page {
    const page = this.#pages[node >> PAGE_BITS];
    assert(page !== undefined, 'TREE-1: a znode is in a page');
    return page;
  }
}

/** Where the stat of a slot starts in its page. */
const statAt = (node: Znode): number => (node & PLACE_MASK) * STAT_BYTES;
