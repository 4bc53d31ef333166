import { describe, expect, it } from 'vitest';
import {
  AuthFailedError,
  ClientClosedError,
  ConnectionLossError,
  InvalidArgumentError,
  NoNodeError,
  OperationTimeoutError,
  SessionExpiredError,
  SessionMovedError,
} from './errors.ts';
import {
  BoundedExponentialBackoffRetry,
  ExponentialBackoffRetry,
  isRefused,
  isRetryable,
  RetryForever,
  RetryNTimes,
  RetryOneTime,
  type RetryPolicy,
  RetryUntilElapsed,
} from './retry.ts';

const error = new ConnectionLossError('lost');

/** The delays that a policy grants for the first `count` failures. */
const delays = (policy: RetryPolicy, count: number, random = 0.75): (number | undefined)[] =>
  Array.from({ length: count }, (_, retryCount) =>
    policy.nextDelayMs({ retryCount, elapsedMs: 0, error, random: () => random }),
  );

describe('RetryNTimes', () => {
  it('grants the same pause n times, then gives up', () => {
    expect(delays(new RetryNTimes(3, 100), 5)).toEqual([100, 100, 100, undefined, undefined]);
  });

  it('with n = 0 gives up at once', () => {
    expect(delays(new RetryNTimes(0, 100), 1)).toEqual([undefined]);
  });
});

describe('RetryOneTime', () => {
  it('grants one retry', () => {
    expect(delays(new RetryOneTime(50), 2)).toEqual([50, undefined]);
  });
});

describe('RetryForever', () => {
  it('never gives up', () => {
    const policy: RetryPolicy = new RetryForever(10);
    expect(policy.nextDelayMs({ retryCount: 1_000_000, elapsedMs: 1e9, error, random: () => 0 })).toBe(10);
  });

  it('refuses not to pause at all', () => {
    expect(() => new RetryForever(0)).toThrow(InvalidArgumentError);
  });
});

describe('RetryUntilElapsed', () => {
  it.each([
    [0, 20],
    [999, 20],
    [1000, undefined],
    [1001, undefined],
  ])('after %d ms of 1000 answers %s', (elapsedMs, expected) => {
    const policy = new RetryUntilElapsed(1000, 20);
    expect(policy.nextDelayMs({ retryCount: 100, elapsedMs, error, random: () => 0 })).toBe(expected);
  });
});

describe('ExponentialBackoffRetry', () => {
  it('multiplies the base by a whole number drawn from 0 ≤ R < 2^(c+1)', () => {
    // 0.75 of 2, 4, 8, 16, rounded down.
    expect(delays(new ExponentialBackoffRetry(1000, 4), 5)).toEqual([1000, 3000, 6000, 12_000, undefined]);
  });

  it('pauses at least the base, whatever is drawn', () => {
    expect(delays(new ExponentialBackoffRetry(1000, 3), 3, 0)).toEqual([1000, 1000, 1000]);
  });

  it('never draws 2^(c+1) itself', () => {
    expect(delays(new ExponentialBackoffRetry(1000, 3), 3, 1 - 2 ** -53)).toEqual([1000, 3000, 7000]);
  });

  it('pauses at most the maximum', () => {
    expect(delays(new ExponentialBackoffRetry(1000, 4, 5000), 4)).toEqual([1000, 3000, 5000, 5000]);
  });

  it('does not overflow: the last of 29 retries pauses no longer than 2^31−1 ms', () => {
    const granted = delays(new ExponentialBackoffRetry(1000, 100), 30, 0.999);
    expect(granted[28]).toBe(2 ** 31 - 1);
    expect(granted[29]).toBeUndefined();
  });

  it('refuses a negative base', () => {
    expect(() => new ExponentialBackoffRetry(-1, 3)).toThrow(/baseSleepMs/);
  });
});

describe('BoundedExponentialBackoffRetry', () => {
  it('takes the maximum before the number of retries', () => {
    expect(delays(new BoundedExponentialBackoffRetry(100, 250, 3), 4)).toEqual([100, 250, 250, undefined]);
  });
});

describe('the families of failures', () => {
  it.each([
    [new ConnectionLossError('x'), true, false],
    [new OperationTimeoutError('x'), true, false],
    [new SessionMovedError('x'), true, false],
    [new SessionExpiredError('x'), true, false],
    [new NoNodeError('x'), false, true],
    [new ClientClosedError('x'), false, false],
    [new AuthFailedError('x'), false, false],
    [new TypeError('x'), false, false],
  ])('%o: retryable %s, refused %s', (failure, retryable, refused) => {
    expect(isRetryable(failure)).toBe(retryable);
    expect(isRefused(failure)).toBe(refused);
  });
});
