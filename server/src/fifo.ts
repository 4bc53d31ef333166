/**
 * First in, first out: constant time at both ends, however long it is. (`Array.shift` moves all that is left, which is felt at
 * a thousand proposals under way.)
 */
export class Fifo<T> implements Iterable<T> {
  /** What was taken out is undefined, and cut off now and then. */
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** The oldest, which stays. */
  peek(): T | undefined {
    return this.#items[this.#head];
  }

  /** Takes out the oldest. */
  shift(): T | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#items[this.#head++] = undefined;
    if (this.#head * 2 >= this.#items.length && this.#head >= CUT_OFF_MIN) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Takes out all but the oldest `length`. @returns what was taken out, oldest first */
  cut(length: number): T[] {
    return this.#items.splice(this.#head + length) as T[]; // Only in front of the head are there holes.
  }

  *[Symbol.iterator](): Generator<T> {
    for (let i = this.#head; i < this.#items.length; i++) yield this.#items[i] as T; // as above
  }
}

const CUT_OFF_MIN = 64;
