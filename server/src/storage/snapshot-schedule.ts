import type { Random } from '../ports.ts';

export interface SnapshotScheduleOptions {
  /** `snapCount`: a snapshot after so many transactions at the latest, and after half of them at the earliest. */
  readonly transactions: number;
  /** `snapSizeLimitInKb` in bytes: the same for the bytes in the log. Undefined: bytes don't count. */
  readonly bytes: number | undefined;
  readonly random: Pick<Random, 'next'>;
}

/**
 * When the next snapshot is due: after so many transactions, or bytes of log. Half of either is drawn anew each time, so that
 * the servers of an ensemble don't write theirs at the same moment (the original's `SyncRequestProcessor.shouldSnapshot`).
 */
export class SnapshotSchedule {
  readonly #options: SnapshotScheduleOptions;
  #transactions = 0;
  #bytes = 0;
  #transactionsMax = 0;
  #bytesMax = 0;

  constructor(options: SnapshotScheduleOptions) {
    this.#options = options;
    this.#draw();
  }

  /** A transaction was appended. @returns whether a snapshot is due; then counting starts anew */
  isDueAfter(bytes: number): boolean {
    this.#transactions++;
    this.#bytes += bytes;
    if (this.#transactions <= this.#transactionsMax && this.#bytes <= this.#bytesMax) return false;
    this.#draw();
    return true;
  }

  #draw(): void {
    const { transactions, bytes, random } = this.#options;
    this.#transactions = 0;
    this.#bytes = 0;
    this.#transactionsMax = halfAndMore(transactions, random);
    this.#bytesMax = bytes === undefined ? Number.POSITIVE_INFINITY : halfAndMore(bytes, random);
  }
}

const halfAndMore = (most: number, random: Pick<Random, 'next'>): number => {
  const half = Math.floor(most / 2);
  return half + Math.floor(random.next() * half);
};
