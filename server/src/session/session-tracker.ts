import type { SessionId } from 'zookeeper-protocol-ts';
import { assert } from '../invariant.ts';
import type { Millis } from '../ports.ts';
import type { SessionClock } from './session-clock.ts';

/**
 * When sessions expire (the original's `SessionTrackerImpl` and `ExpiryQueue`). Kept by the leader: only it may decide that a
 * session is over, and it begins its reign by giving every session its whole timeout again.
 *
 * Sessions stand in buckets of one tick, so that a touch is mostly a comparison and expiry looks at whole buckets: idle
 * sessions cost nothing between their pings. A session expires at the first whole tick past its timeout, never before.
 *
 * What must hold: a session is in exactly one bucket until it is closing, and in none from then on (SES-3); time for which the
 * server was itself held up is nobody's silence: it could neither read pings nor ask learners for theirs (SES-4).
 */
export class SessionTracker implements SessionClock {
  readonly #tickMs: Millis;
  readonly #sessions = new Map<SessionId, Tracked>();
  /** By deadline, a multiple of the tick. None is empty. */
  readonly #buckets = new Map<Millis, Bucket>();
  /** A multiple of the tick; no bucket has an earlier deadline. */
  #earliest: Millis;

  constructor({ tickMs, now }: { tickMs: Millis; now: Millis }) {
    this.#tickMs = tickMs;
    this.#earliest = Math.floor(now / tickMs) * tickMs;
  }

  /** Sessions that are tracked, closing ones included. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Starts a session's clock. For one that is tracked already: a new timeout, and a touch unless it is closing. */
  add(id: SessionId, timeoutMs: Millis, now: Millis): void {
    const session = this.#sessions.get(id);
    if (session === undefined) {
      const bucket = this.#bucketAt(this.#deadline(now, timeoutMs));
      bucket.sessions.add(id);
      this.#sessions.set(id, { timeoutMs, bucket });
    } else {
      session.timeoutMs = timeoutMs;
      this.touch(id, now);
    }
  }

  /**
   * Gives a session its whole timeout again.
   * @returns false for a session that is unknown or closing: its request must not be served (SES-1)
   */
  touch(id: SessionId, now: Millis): boolean {
    const session = this.#sessions.get(id);
    if (session?.bucket === undefined) return false;
    const deadline = this.#deadline(now, session.timeoutMs);
    if (deadline === session.bucket.deadline) return true;
    this.#leave(id, session.bucket);
    session.bucket = this.#bucketAt(deadline);
    session.bucket.sessions.add(id);
    return true;
  }

  /** From now on the session can't be touched and won't expire: its closeSession is under way. */
  setClosing(id: SessionId): void {
    const session = this.#sessions.get(id);
    if (session?.bucket === undefined) return;
    this.#leave(id, session.bucket);
    session.bucket = undefined;
  }

  isClosing(id: SessionId): boolean {
    const session = this.#sessions.get(id);
    return session !== undefined && session.bucket === undefined;
  }

  has(id: SessionId): boolean {
    return this.#sessions.has(id);
  }

  /** Forgets a session: its closeSession was applied. */
  remove(id: SessionId): void {
    this.setClosing(id);
    this.#sessions.delete(id);
  }

  /** The server did nothing for so long. All deadlines move by that, if it is more than a tick. */
  onHeldUp(ms: Millis): void {
    if (ms > this.#tickMs) this.#postpone(ms);
  }

  /**
   * The sessions whose time is up, earliest first; each is told once and is closing from then on. Asked more than a tick after
   * {@link nextDeadline}, it answers none and moves all deadlines by the delay instead: whoever was late had not read the
   * pings that came meanwhile.
   */
  expired(now: Millis): SessionId[] {
    const late = now - this.nextDeadline();
    if (late > this.#tickMs) {
      this.#postpone(late);
      return [];
    }
    const expired: SessionId[] = [];
    for (let deadline = this.nextDeadline(); deadline <= now; deadline = this.nextDeadline()) {
      for (const id of this.#buckets.get(deadline)?.sessions ?? []) {
        expired.push(id);
        this.setClosing(id);
      }
    }
    return expired;
  }

  /** When {@link expired} should be asked next; Infinity if nothing can expire. */
  nextDeadline(): Millis {
    if (this.#buckets.size === 0) return Number.POSITIVE_INFINITY;
    // Every tick is passed once, however often this is asked.
    while (!this.#buckets.has(this.#earliest)) this.#earliest += this.#tickMs;
    return this.#earliest;
  }

  /** The sessions by deadline, earliest first, for the `dump` command. Closing ones have none. */
  deadlines(): [deadline: Millis, sessions: SessionId[]][] {
    return [...this.#buckets.values()]
      .sort((a, b) => a.deadline - b.deadline)
      .map(({ deadline, sessions }) => [deadline, [...sessions]]);
  }

  #deadline(now: Millis, timeoutMs: Millis): Millis {
    return (Math.floor((now + timeoutMs) / this.#tickMs) + 1) * this.#tickMs;
  }

  #bucketAt(deadline: Millis): Bucket {
    const known = this.#buckets.get(deadline);
    if (known !== undefined) return known;
    if (deadline < this.#earliest || this.#buckets.size === 0) this.#earliest = deadline;
    const bucket = { deadline, sessions: new Set<SessionId>() };
    this.#buckets.set(deadline, bucket);
    return bucket;
  }

  #leave(id: SessionId, bucket: Bucket): void {
    const wasThere = bucket.sessions.delete(id);
    assert(wasThere, 'SES-3: a session is not in its bucket');
    if (bucket.sessions.size === 0) this.#buckets.delete(bucket.deadline);
  }

  /** By whole ticks, rounded up. */
  #postpone(delay: Millis): void {
    const shift = Math.ceil(delay / this.#tickMs) * this.#tickMs;
    const buckets = [...this.#buckets.values()];
    this.#buckets.clear();
    for (const bucket of buckets) {
      bucket.deadline += shift;
      this.#buckets.set(bucket.deadline, bucket);
    }
  }
}

interface Tracked {
  timeoutMs: Millis;
  /** Undefined while the session is closing. */
  bucket: Bucket | undefined;
}

interface Bucket {
  deadline: Millis;
  readonly sessions: Set<SessionId>;
}
