import type { SessionId } from 'zookeeper-protocol-ts';
import type { Millis } from '../ports.ts';
import type { SessionClock } from './session-clock.ts';

/**
 * What a learner knows of sessions (`LearnerSessionTracker`): that its clients are alive. It tells the leader when it is asked,
 * and lets no session expire: only the leader may.
 */
export class TouchedSessions implements SessionClock {
  /** The sessions of the database, which lags behind the leader's. */
  readonly #known: ReadonlyMap<SessionId, number>;
  /** Heard since {@link take}, with their timeouts. */
  #touched = new Map<SessionId, Millis>();

  constructor(known: ReadonlyMap<SessionId, number>) {
    this.#known = known;
  }

  get size(): number {
    return this.#known.size;
  }

  add(id: SessionId, timeoutMs: Millis): void {
    this.#touched.set(id, timeoutMs);
  }

  touch(id: SessionId): boolean {
    const timeoutMs = this.#known.get(id);
    if (timeoutMs === undefined) return false;
    this.#touched.set(id, timeoutMs);
    return true;
  }

  has(id: SessionId): boolean {
    return this.#known.has(id);
  }

  /** Only the leader knows. */
  isClosing(): boolean {
    return false;
  }

  setClosing(): void {
    // The leader will tell.
  }

  remove(id: SessionId): void {
    this.#touched.delete(id);
  }

  onHeldUp(): void {
    // The leader has its own clock.
  }

  expired(): SessionId[] {
    return [];
  }

  nextDeadline(): Millis {
    return Number.POSITIVE_INFINITY;
  }

  deadlines(): [Millis, SessionId[]][] {
    return [];
  }

  /** The sessions heard since the last call. */
  take(): { sessionId: SessionId; timeoutMs: Millis }[] {
    const touched = [...this.#touched].map(([sessionId, timeoutMs]) => ({ sessionId, timeoutMs }));
    this.#touched = new Map();
    return touched;
  }
}
