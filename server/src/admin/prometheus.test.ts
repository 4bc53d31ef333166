import { expect, test } from 'vitest';
import { prometheusText } from './prometheus.ts';
import { viewWith } from './server-view.fixture.ts';

test('every metric has its type, its value as a double, and the plain name of the original', () => {
  const view = viewWith();
  view.metrics.counters.watch_bytes = 12;
  const text = prometheusText(view, { withProcess: false });
  expect(text).toContain('# HELP znode_count znode_count\n# TYPE znode_count gauge\nznode_count 5.0\n');
  expect(text).toContain('# TYPE watch_bytes counter\nwatch_bytes 12.0\n');
  expect(text).not.toContain('process_');
  expect(text.endsWith('\n')).toBe(true);
});

test('a summary has its quantiles, count and sum', () => {
  const view = viewWith();
  for (const ms of [1, 2, 3]) view.metrics.summaries.readlatency.record(ms);
  view.metrics.summaries.fsynctime.record(8);
  const text = prometheusText(view, { withProcess: false });
  expect(text).toContain(
    '# TYPE readlatency summary\nreadlatency{quantile="0.5",} 2.0\nreadlatency{quantile="0.9",} 3.0\n' +
      'readlatency{quantile="0.99",} 3.0\nreadlatency_count 3.0\nreadlatency_sum 6.0\n',
  );
  expect(text).toContain('# TYPE fsynctime summary\nfsynctime_count 1.0\nfsynctime_sum 8.0\n');
});

test('the process is told of where that is asked for', () => {
  const text = prometheusText(viewWith(), { withProcess: true });
  expect(text).toContain('process_resident_memory_bytes 4096.0\n');
  expect(text).toContain('# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 1.5\n');
});
