/**
 * What was written to a znode of ours, to recognize it when it comes again. A request whose connection is given up may still be on its way,
 * and while the servers keep its session they apply it, after what was written in the next one: what is there then is older than what was
 * said last, and was written by nobody else.
 */

/** Only the last ones can still be on their way: requests go one after the other. */
const KEPT_MAX = 8;

export class SentData {
  /** The oldest first. */
  #sent: Uint8Array[] = [];

  add(data: Uint8Array): void {
    if (this.#sent.at(-1) !== data) this.#sent = [...this.#sent, data].slice(-KEPT_MAX);
  }

  has(data: Buffer): boolean {
    return this.#sent.some((each) => data.equals(each));
  }
}
