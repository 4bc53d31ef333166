import { describe, expect, test } from 'vitest';
import { JuteReader, OpCode, toSessionId, toXid } from 'zookeeper-protocol-ts';
import type { Request } from './request.ts';
import { RequestThrottle, type RequestThrottleLimits, type ThrottledOrigin } from './request-throttle.ts';

const throttleOf = (limits: Partial<RequestThrottleLimits> = {}): RequestThrottle =>
  new RequestThrottle({
    requestThrottleMaxRequests: 0,
    requestThrottleDropStale: true,
    staleConnectionCheck: true,
    staleLatencyCheck: false,
    throttledOpWaitMs: 0,
    ...limits,
  });

/** Arrived at 1000. */
const requestOf = (
  origin: Partial<ThrottledOrigin> | undefined,
  type: number = OpCode.getData,
): Request<ThrottledOrigin> => ({
  origin: origin && { identities: [], isSuperuser: false, isClosed: false, sessionTimeoutMs: 4000, ...origin },
  sessionId: toSessionId(1n),
  xid: toXid(1),
  type,
  body: new JuteReader(Buffer.alloc(0)),
  arrivedAt: 1000,
});

describe('RequestThrottle', () => {
  test('is full with so many in process, and never when it is off', () => {
    const throttle = throttleOf({ requestThrottleMaxRequests: 3 });
    expect([2, 3, 4].map((inProcess) => throttle.isFull(inProcess))).toEqual([false, true, true]);
    expect(throttleOf().isFull(1_000_000)).toBe(false);
  });

  test('drops what is stale only when it is on and told to', () => {
    expect(throttleOf().dropsStale).toBe(false);
    expect(throttleOf({ requestThrottleMaxRequests: 1 }).dropsStale).toBe(true);
    expect(throttleOf({ requestThrottleMaxRequests: 1, requestThrottleDropStale: false }).dropsStale).toBe(false);
  });

  test('takes a request for stale whose connection has gone, unless that is not looked at', () => {
    const gone = requestOf({ isClosed: true });
    expect(throttleOf().isStale(gone, 1000)).toBe(true);
    expect(throttleOf({ staleConnectionCheck: false }).isStale(gone, 1000)).toBe(false);
  });

  test('takes a request for stale that is older than its session may be silent, if that is looked at', () => {
    const throttle = throttleOf({ staleLatencyCheck: true });
    expect([5000, 5001].map((now) => throttle.isStale(requestOf({}), now))).toEqual([false, true]);
    expect(throttleOf().isStale(requestOf({}), 1_000_000)).toBe(false);
  });

  test('never takes the end of a session for stale, nor what the server asks of itself', () => {
    const throttle = throttleOf({ staleLatencyCheck: true });
    expect(throttle.isStale(requestOf({ isClosed: true }, OpCode.closeSession), 1_000_000)).toBe(false);
    expect(throttle.isStale(requestOf(undefined), 1_000_000)).toBe(false);
  });

  test('takes for too late what waited longer than it may, but a ping and the end of a session', () => {
    const throttle = throttleOf({ throttledOpWaitMs: 50 });
    expect([1050, 1051].map((now) => throttle.isTooLate(requestOf({}), now))).toEqual([false, true]);
    for (const type of [OpCode.ping, OpCode.closeSession]) {
      expect(throttle.isTooLate(requestOf({}, type), 9999)).toBe(false);
    }
    expect(throttleOf().isTooLate(requestOf({}), 1_000_000)).toBe(false);
  });
});
