import { describe, expect, test } from 'vitest';
import { ServerMetrics, Summary } from './metrics.ts';

describe('a summary', () => {
  test('tells 0 of everything before anything was recorded', () => {
    const summary = new Summary({ withPercentiles: true });
    const { count, sum, min, max, average } = summary;
    expect({ count, sum, min, max, average, p99: summary.percentile(0.99) }).toEqual({
      ...{ count: 0, sum: 0, min: 0, max: 0, average: 0, p99: 0 },
    });
  });

  test('tells whole numbers, and the average with four decimals', () => {
    const summary = new Summary();
    for (const value of [0.9, 1.2, 7.95]) summary.record(value);
    const { count, sum, min, max, average } = summary;
    expect({ count, sum, min, max, average }).toEqual({ count: 3, sum: 10, min: 0, max: 7, average: 3.35 });
    expect(summary.hasPercentiles).toBe(false);
  });

  test('has exact percentiles of small values', () => {
    const summary = new Summary({ withPercentiles: true });
    for (let value = 1; value <= 50; value++) summary.record(value);
    expect([0.5, 0.95, 0.99, 0.999].map((share) => summary.percentile(share))).toEqual([25, 48, 50, 50]);
  });

  test.each([64, 100, 1000, 65_535, 1e6, 0x7fff_ffff])('has a percentile at most a sixteenth below %d', (value) => {
    const summary = new Summary({ withPercentiles: true });
    summary.record(value);
    expect(summary.percentile(0.5)).toBeLessThanOrEqual(value);
    expect(summary.percentile(0.5)).toBeGreaterThan(value * (1 - 1 / 16));
  });

  test('takes what is beyond 24 days for 24 days', () => {
    const summary = new Summary({ withPercentiles: true });
    summary.record(1e12);
    expect(summary.max).toBe(1e12);
    expect(summary.percentile(0.5)).toBeGreaterThan(2e9);
  });
});

test('a reset sets all counters and summaries back', () => {
  const metrics = new ServerMetrics();
  metrics.counters.watch_bytes += 5;
  metrics.summaries.readlatency.record(3);
  metrics.reset();
  expect(metrics.counters.watch_bytes).toBe(0);
  expect(metrics.summaries.readlatency.count).toBe(0);
  expect(metrics.summaries.readlatency.percentile(0.5)).toBe(0);
});
