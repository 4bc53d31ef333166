/** How long a session waits, and for what: the arithmetic of Java's `ClientCnxn` and `StaticHostProvider`. */

/** Pause after any attempt or connection that ended by itself, ms. */
const CLEAN_UP_MS = 100;
/** Once a server has been reached, a random pause below this one comes on top, so that the clients of a dead server spread out. */
const RECONNECT_SPREAD_MS = 1000;
/** Pause before the host that served last, or that was the first to be tried, is tried again. */
const SAME_HOST_MS = 1000;
/** A ping is sent after this time without sending, however long the session timeout. */
const PING_INTERVAL_MS_MAX = 10_000;

/** Before the next host is tried. */
export function pauseBeforeMs({
  hasReachedServer,
  isRound,
  random,
}: {
  readonly hasReachedServer: boolean;
  /** It served last, or was the first one. */
  readonly isRound: boolean;
  readonly random: () => number;
}): number {
  const spreadMs = hasReachedServer ? Math.floor(random() * RECONNECT_SPREAD_MS) : 0;
  return CLEAN_UP_MS + spreadMs + (isRound ? SAME_HOST_MS : 0);
}

/** How long a connection may be silent. */
export const readTimeoutMs = (sessionTimeoutMs: number): number => Math.floor((sessionTimeoutMs * 2) / 3);

/** Half of what a connection may be silent, and a second earlier where that leaves more than a second. */
export function pingAfterMs(sessionTimeoutMs: number): number {
  const half = readTimeoutMs(sessionTimeoutMs) / 2;
  const early = half > 1000 ? Math.max(1000, half - 1000) : half;
  return Math.min(early, PING_INTERVAL_MS_MAX);
}
