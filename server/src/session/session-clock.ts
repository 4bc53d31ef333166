import type { SessionId } from 'zookeeper-protocol-ts';
import type { Millis } from '../ports.ts';

/** Who is alive: kept by the leader with deadlines, and by a learner for the leader. */
export interface SessionClock {
  /** Sessions that are known. */
  readonly size: number;
  /** Starts a session's clock. For one that is known already: a new timeout, and a touch. */
  add(id: SessionId, timeoutMs: Millis, now: Millis): void;
  /** The session was heard. @returns false for one that is unknown or closing: its request must not be served (SES-1) */
  touch(id: SessionId, now: Millis): boolean;
  has(id: SessionId): boolean;
  isClosing(id: SessionId): boolean;
  /** From now on the session can't be touched and won't expire: its closeSession is under way. */
  setClosing(id: SessionId): void;
  /** Forgets a session: its closeSession was applied. */
  remove(id: SessionId): void;
  /** The server did nothing for so long: nobody was silent meanwhile. */
  onHeldUp(ms: Millis): void;
  /** The sessions whose time is up; each is told once. */
  expired(now: Millis): SessionId[];
  /** When {@link expired} should be asked next; Infinity if nothing can expire. */
  nextDeadline(): Millis;
  /** The sessions by deadline, earliest first. */
  deadlines(): [deadline: Millis, sessions: SessionId[]][];
}
