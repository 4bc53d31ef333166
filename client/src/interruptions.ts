/**
 * Who is to be told when something long-lived ends: one entry for each call under way, which comes and goes with it.
 *
 * A ring, and not a `Set`, whose table is replaced again and again as entries come and go: a table that has become old keeps the next one
 * and all that was in it from V8's collector of young objects, and so does that one, until the old are collected. That was half of
 * a call's CPU time in `CuratorFramework`.
 */

/** A place in the ring; alone, its neighbours are itself. */
class Place {
  previous: Place = this;
  next: Place = this;
}

export class Interruption extends Place {
  readonly run: () => void;

  constructor(run: () => void) {
    super();
    this.run = run;
  }
}

export class Interruptions {
  /** Between the last and the first. */
  readonly #seam = new Place();

  /** Behind all others. */
  add(run: () => void): Interruption {
    const added = new Interruption(run);
    const last = this.#seam.previous;
    added.previous = last;
    added.next = this.#seam;
    last.next = added;
    this.#seam.previous = added;
    return added;
  }

  /** @returns whether it was still there */
  remove(interruption: Interruption): boolean {
    const { previous, next } = interruption;
    if (next === interruption) return false;
    previous.next = next;
    next.previous = previous;
    // An entry that has become old must not keep younger ones.
    interruption.previous = interruption;
    interruption.next = interruption;
    return true;
  }

  /** Runs those that are there now, the oldest first. They remove themselves, and may remove others. */
  run(): void {
    const present: Interruption[] = [];
    for (let place = this.#seam.next; place instanceof Interruption; place = place.next) present.push(place);
    for (const interruption of present) interruption.run();
  }
}
