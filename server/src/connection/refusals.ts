import type { Millis, RunLog } from '../ports.ts';

/** How long a line stands for all refusals of its kind. */
const INTERVAL_MS = 1000;

/**
 * Refusals in the run log, at most one line of a kind in a second: who is refused often enough must not fill the disk as well.
 * The next line says how many there were in between (the original's `RateLogger`).
 */
export class Refusals {
  readonly #runLog: RunLog;
  readonly #kinds = new Map<string, { since: Millis; untold: number }>();

  constructor(runLog: RunLog) {
    this.#runLog = runLog;
  }

  /** @param kind one of a few: the limit that was met */
  refused(kind: string, line: string, now: Millis): void {
    const told = this.#kinds.get(kind);
    if (told !== undefined && now - told.since < INTERVAL_MS) {
      told.untold++;
      return;
    }
    const others = told === undefined || told.untold === 0 ? '' : `; ${told.untold} others before it`;
    this.#runLog.warn(line + others);
    this.#kinds.set(kind, { since: now, untold: 0 });
  }
}
