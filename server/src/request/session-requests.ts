import type { SessionId } from 'zookeeper-protocol-ts';
import { assert } from '../invariant.ts';

/**
 * The order within each session: requests are executed and answered in the order in which they were sent, so a read waits
 * behind the session's own writes, and only behind those (the original's CommitProcessor). Writes are handed on at once;
 * they don't wait for each other.
 */
export class SessionRequests<R> {
  /** Requests of each session that are not answered yet, in order; the first is always one that waits for its outcome. */
  readonly #lines = new Map<SessionId, { readonly request: R; readonly waits: boolean }[]>();

  /** How many requests are waiting, in all sessions. */
  outstanding = 0;

  /**
   * Takes the next request of a session.
   * @param waits it is answered later, by {@link complete}: a write, or a sync
   * @returns true if it may be executed now: always so for one that waits, which is only handed on
   */
  accept(session: SessionId, request: R, waits: boolean): boolean {
    const line = this.#lines.get(session);
    if (line === undefined) {
      if (waits) {
        this.#lines.set(session, [{ request, waits }]);
        this.outstanding++;
      }
      return true;
    }
    line.push({ request, waits });
    this.outstanding++;
    return waits;
  }

  /**
   * The request at the head of its session's line has its outcome and was answered.
   * @returns what waited only for it, in order: to be executed and answered now
   */
  complete(session: SessionId, request: R): readonly R[] {
    const line = this.#lines.get(session);
    assert(line?.[0]?.request === request, 'REQ-1: answers are in the order of the requests');
    line.shift();
    this.outstanding--;
    if (line.length === 0) this.#lines.delete(session);
    if (line[0]?.waits !== false) return NONE;
    const ready: R[] = [];
    for (let next = line[0]; next !== undefined && !next.waits; next = line[0]) {
      ready.push(next.request);
      line.shift();
    }
    this.outstanding -= ready.length;
    if (line.length === 0) this.#lines.delete(session);
    return ready;
  }
}

/** Mostly nothing is. */
const NONE: readonly never[] = [];
