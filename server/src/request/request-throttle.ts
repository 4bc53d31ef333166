import { OpCode } from 'zookeeper-protocol-ts';
import type { Millis } from '../ports.ts';
import type { Origin, Request } from './request.ts';

/** What the throttle is told; the names are those of `ServerConfig`. */
export interface RequestThrottleLimits {
  /** With so many requests in process, others stay in front of the pipeline; 0 is off. */
  readonly requestThrottleMaxRequests: number;
  /** What waited there is dropped if it is stale. */
  readonly requestThrottleDropStale: boolean;
  /** A request is stale when its connection has gone. */
  readonly staleConnectionCheck: boolean;
  /** A request is stale when it is older than its session's timeout. */
  readonly staleLatencyCheck: boolean;
  /** A request that waited longer is refused; 0 is off. */
  readonly throttledOpWaitMs: Millis;
}

/** What the throttle asks of who is to be answered. */
export interface ThrottledOrigin extends Origin {
  readonly isClosed: boolean;
  readonly sessionTimeoutMs: Millis;
}

/**
 * Decides which requests wait in front of the pipeline, and which of those are no longer worth executing (the original's
 * `RequestThrottler`, and `Request.isStale`). Where the original sleeps and looks again after `request_throttle_stall_time`,
 * what waits here goes on as soon as there is room.
 */
export class RequestThrottle {
  readonly #limits: RequestThrottleLimits;

  constructor(limits: RequestThrottleLimits) {
    this.#limits = limits;
  }

  /** As many requests are in process as may be. Those that are never wait for one that isn't. */
  isFull(inProcess: number): boolean {
    const { requestThrottleMaxRequests } = this.#limits;
    return requestThrottleMaxRequests > 0 && inProcess >= requestThrottleMaxRequests;
  }

  /** Whether a stale request is dropped rather than executed. */
  get dropsStale(): boolean {
    return this.#limits.requestThrottleMaxRequests > 0 && this.#limits.requestThrottleDropStale;
  }

  /** Nobody waits for its answer any more. The end of a session is never too late, and the server's own requests aren't. */
  isStale({ origin, type, arrivedAt }: Request<ThrottledOrigin>, now: Millis): boolean {
    if (origin === undefined || type === OpCode.closeSession) return false;
    const { staleConnectionCheck, staleLatencyCheck } = this.#limits;
    if (staleConnectionCheck && origin.isClosed) return true;
    return staleLatencyCheck && now - arrivedAt > origin.sessionTimeoutMs;
  }

  /** Too old to be worth executing: answered in its session's order all the same. */
  isTooLate({ type, arrivedAt }: Request, now: Millis): boolean {
    const { throttledOpWaitMs } = this.#limits;
    if (throttledOpWaitMs === 0 || type === OpCode.ping || type === OpCode.closeSession) return false;
    return now - arrivedAt > throttledOpWaitMs;
  }
}
