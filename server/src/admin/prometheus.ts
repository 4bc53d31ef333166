import type { Machine } from '../ports.ts';
import { Decimal } from './decimal.ts';
import { type Metric, metricsOf } from './monitor.ts';
import type { ServerView } from './server-view.ts';

/**
 * The metrics in Prometheus' text format, with the names that the original's provider gives them: the plain names, without
 * prefix or suffix, and every number as a `double` (`PrometheusMetricsProvider` of 3.8).
 *
 *     # HELP znode_count znode_count
 *     # TYPE znode_count gauge
 *     znode_count 5.0
 */
export function prometheusText(view: ServerView, { withProcess }: { readonly withProcess: boolean }): string {
  const metrics = withProcess ? [...metricsOf(view), ...processMetrics(view.machine)] : metricsOf(view);
  return metrics.map(linesOf).join('');
}

export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

function linesOf(metric: Metric): string {
  const { name, kind } = metric;
  const head = `# HELP ${name} ${name}\n# TYPE ${name} ${kind}\n`;
  if (metric.kind !== 'summary') return `${head}${name} ${double(metric.value)}\n`;
  const { summary } = metric;
  // The quantiles of the original; it has the median of a basic summary as well, which nothing here keeps.
  const quantiles = summary.hasPercentiles
    ? [0.5, 0.9, 0.99].map((share) => `${name}{quantile="${share}",} ${double(summary.percentile(share))}\n`).join('')
    : '';
  return `${head}${quantiles}${name}_count ${double(summary.count)}\n${name}_sum ${double(summary.sum)}\n`;
}

/** What all client libraries of Prometheus tell of their process, and the original in place of its own figures. */
function processMetrics(machine: Machine): Metric[] {
  const { residentBytes, cpuSeconds, startedAtSeconds } = machine.usage();
  const { now, max } = machine.openFiles();
  return [
    { kind: 'counter', name: 'process_cpu_seconds_total', value: cpuSeconds },
    { kind: 'gauge', name: 'process_start_time_seconds', value: startedAtSeconds },
    { kind: 'gauge', name: 'process_open_fds', value: now },
    { kind: 'gauge', name: 'process_max_fds', value: max },
    { kind: 'gauge', name: 'process_resident_memory_bytes', value: residentBytes },
  ];
}

const double = (value: number | Decimal): string => (value instanceof Decimal ? value : new Decimal(value)).toString();
