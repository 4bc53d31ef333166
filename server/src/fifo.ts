/**
 * First in, first out, in a ring: constant time at both ends, however long it is. (`Array.shift` moves all that is left, which
 * is felt at a thousand proposals under way.)
 *
 * What was taken out is forgotten at once, and the ring stays the same one while it is long enough. An array that is replaced
 * now and then would keep what stood in it alive until the next full collection: a million creates left 150 MB of that.
 */
export class Fifo<T> implements Iterable<T> {
  /** A power of two long. Undefined outside of the `length` items from `#head` on. */
  #ring: (T | undefined)[] = new Array(LENGTH_AT_FIRST).fill(undefined);
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: T): void {
    if (this.#length === this.#ring.length) this.#grow();
    this.#ring[this.#place(this.#length++)] = item;
  }

  /** The oldest, which stays. */
  peek(): T | undefined {
    return this.#ring[this.#head];
  }

  /** The one that is `index` behind the oldest. There is one: `index` is below the length. */
  at(index: number): T {
    return this.#ring[this.#place(index)] as T; // Every place up to `#length` has an item.
  }

  /** Takes out the oldest. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = this.#place(1);
    this.#length--;
    return item;
  }

  /** Takes out all but the oldest `length`. @returns what was taken out, oldest first */
  cut(length: number): T[] {
    const taken: T[] = [];
    for (let i = length; i < this.#length; i++) {
      taken.push(this.at(i));
      this.#ring[this.#place(i)] = undefined;
    }
    this.#length -= taken.length;
    return taken;
  }

  *[Symbol.iterator](): Generator<T> {
    for (let i = 0; i < this.#length; i++) yield this.at(i);
  }

  /** Where the item stands that is so many behind the oldest. */
  #place(index: number): number {
    return (this.#head + index) & (this.#ring.length - 1);
  }

  #grow(): void {
    const ring = this.#ring;
    const items = [...this];
    this.#ring = [...items, ...new Array<undefined>(items.length).fill(undefined)];
    this.#head = 0;
    // It may live on among old objects, and what it points to with it.
    ring.fill(undefined);
  }
}

const LENGTH_AT_FIRST = 64;
