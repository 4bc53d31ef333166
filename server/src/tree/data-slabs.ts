import { assert } from '../invariant.ts';

/**
 * The bytes of many small values, in a few large pieces of memory. One `Uint8Array` for each value would cost several times a
 * small value's size, and give the garbage collector a million objects to visit.
 *
 * Values of about the same size share slabs of equal cells; a cell that is given back is used again by its size. Values beyond
 * {@link CELL_BYTES_MAX} have memory of their own. A place is a number: keep it together with the value's length.
 */
export class DataSlabs {
  readonly #slabs: Uint8Array[] = [];
  readonly #classes: SizeClass[] = [];
  /** Values with memory of their own, by place; those places are negative. */
  readonly #large = new Map<number, Uint8Array>();
  #nextLarge = -1;

  /** Copies a value in. @returns its place */
  store(bytes: Uint8Array): number {
    if (bytes.length > CELL_BYTES_MAX) {
      const place = this.#nextLarge--;
      this.#large.set(place, Uint8Array.from(bytes));
      return place;
    }
    const place = this.#allocate(sizeClassOf(bytes.length));
    this.#slabOf(place).set(bytes, offsetOf(place));
    return place;
  }

  /** A view of a value: good until it is given back. */
  view(place: number, length: number): Uint8Array {
    const large = this.#large.get(place);
    if (large !== undefined) return large;
    const start = offsetOf(place);
    return this.#slabOf(place).subarray(start, start + length);
  }

  /** Gives a value's memory back. */
  release(place: number, length: number): void {
    if (place < 0) {
      const known = this.#large.delete(place);
      assert(known, 'DATA-1: a large value is given back once');
      return;
    }
    const sizeClass = this.#classes[sizeClassOf(length)];
    assert(sizeClass !== undefined, 'DATA-1: a value is given back to the size it was stored with');
    sizeClass.free.push(place);
  }

  #allocate(index: number): number {
    const sizeClass = this.#sizeClass(index);
    const reused = sizeClass.free.pop();
    if (reused !== undefined) return reused;
    if (sizeClass.next + sizeClass.cellUnits > sizeClass.end) {
      sizeClass.next = this.#slabs.length * SLAB_UNITS;
      sizeClass.end = sizeClass.next + SLAB_UNITS;
      assert(sizeClass.end <= PLACES_MAX, 'DATA-2: a place is a 32-bit number: 32 GiB of small values are the most');
      this.#slabs.push(new Uint8Array(sizeClass.isNew ? FIRST_SLAB_BYTES : SLAB_BYTES));
      sizeClass.isNew = false;
    }
    const place = sizeClass.next;
    sizeClass.next += sizeClass.cellUnits;
    this.#growFor(place, sizeClass.cellUnits);
    return place;
  }

  /** The first slab of a size begins small, for most trees are. Views of what it held before stay right: nothing in it changes. */
  #growFor(place: number, cellUnits: number): void {
    const slab = this.#slabOf(place);
    if (offsetOf(place) + cellUnits * UNIT_BYTES <= slab.length) return;
    const grown = new Uint8Array(Math.min(slab.length * 4, SLAB_BYTES));
    grown.set(slab);
    this.#slabs[Math.floor(place / SLAB_UNITS)] = grown;
  }

  #sizeClass(index: number): SizeClass {
    let sizeClass = this.#classes[index];
    if (sizeClass === undefined) {
      sizeClass = { cellUnits: CELL_UNITS[index] ?? 0, free: [], next: 0, end: 0, isNew: true };
      this.#classes[index] = sizeClass;
    }
    return sizeClass;
  }

  #slabOf(place: number): Uint8Array {
    const slab = this.#slabs[Math.floor(place / SLAB_UNITS)];
    assert(slab !== undefined, 'DATA-3: a place is in a slab');
    return slab;
  }
}

interface SizeClass {
  /** The size of its cells. */
  readonly cellUnits: number;
  /** Places that were given back. */
  readonly free: number[];
  /** The next place that was never used, and the end of its slab. In units. */
  next: number;
  end: number;
  /** It has no slab yet. */
  isNew: boolean;
}

/** Cells begin at multiples of this. */
const UNIT_BYTES = 16;
/** Places fit a signed 32-bit column. */
const PLACES_MAX = 0x7fff_ffff;
const SLAB_BYTES = 1024 * 1024;
const SLAB_UNITS = SLAB_BYTES / UNIT_BYTES;
/** A multiple of no cell's size, but larger than each of them. */
const FIRST_SLAB_BYTES = 16 * 1024;

/** The largest value that shares a slab. */
export const CELL_BYTES_MAX = 4096;

/** Sizes of cells, in units, growing by an eighth at the most, or by one: what is left over in a cell stays small. */
const CELL_UNITS: readonly number[] = (() => {
  const sizes: number[] = [];
  for (let units = 1; units * UNIT_BYTES < CELL_BYTES_MAX; units = Math.max(units + 1, Math.floor((units * 9) / 8))) {
    sizes.push(units);
  }
  return [...sizes, CELL_BYTES_MAX / UNIT_BYTES];
})();

/** Size class by value length in units: a table, for a value is stored with every write. */
const CLASS_OF_UNITS: readonly number[] = (() => {
  const table: number[] = [];
  for (let units = 0, index = 0; units <= CELL_BYTES_MAX / UNIT_BYTES; units++) {
    if (units > (CELL_UNITS[index] ?? 0)) index++;
    table.push(index);
  }
  return table;
})();

const sizeClassOf = (length: number): number => CLASS_OF_UNITS[Math.ceil(length / UNIT_BYTES)] ?? 0;

const offsetOf = (place: number): number => (place % SLAB_UNITS) * UNIT_BYTES;
