import { Decimal } from './decimal.ts';
import type { Summary } from './metrics.ts';
import { learnerCounts, PEER_STATES, type ServerView } from './server-view.ts';
import { FULL_VERSION } from './version.ts';

/**
 * All that a server measures, by the original's names without a prefix: what `mntr`, the command `monitor` and Prometheus
 * show in their forms (the original's `MetricsProvider.dump`). A metric of the original that has nothing to measure here,
 * such as the queues between its threads, is left out rather than told as 0.
 */
export type Metric =
  /** What is; may fall. A {@link Decimal} where the original has a `double`. */
  | { readonly kind: 'gauge'; readonly name: string; readonly value: number | Decimal }
  /** What happened, and how often. */
  | { readonly kind: 'counter'; readonly name: string; readonly value: number }
  | { readonly kind: 'summary'; readonly name: string; readonly summary: Summary };

export function metricsOf(view: ServerView): Metric[] {
  const { counters, summaries } = view.metrics;
  return [
    ...Object.entries(gaugesOf(view)).map(([name, value]) => ({ kind: 'gauge', name, value }) as const),
    ...Object.entries(counters).map(([name, value]) => ({ kind: 'counter', name, value }) as const),
    { kind: 'counter', name: 'digest_mismatches_count', value: view.database.digestMismatches },
    ...Object.entries(summaries).map(([name, summary]) => ({ kind: 'summary', name, summary }) as const),
  ];
}

function gaugesOf(view: ServerView): Readonly<Record<string, number | Decimal>> {
  const { statistics, database, machine } = view;
  const { latency, responseSizes } = statistics;
  const files = machine.openFiles();
  return {
    ephemerals_count: database.tree.ephemeralCount,
    num_alive_connections: view.connections.size,
    avg_latency: new Decimal(latency.average),
    outstanding_requests: view.outstanding,
    znode_count: database.tree.nodeCount,
    global_sessions: database.sessions.size,
    last_client_response_size: responseSizes.last,
    packets_sent: statistics.packetsSent,
    packets_received: statistics.packetsReceived,
    max_client_response_size: responseSizes.max,
    connection_drop_probability: new Decimal(view.connectionDropChance),
    // Of local sessions and of TLS: there are none of them.
    auth_failed_count: 0,
    local_sessions: 0,
    outstanding_tls_handshake: 0,
    non_mtls_remote_conn_count: 0,
    non_mtls_local_conn_count: 0,
    watch_count: view.watches.total,
    min_latency: latency.min,
    max_file_descriptor_count: files.max,
    approximate_data_size: database.tree.approximateDataSize,
    open_file_descriptor_count: files.now,
    uptime: Math.floor(view.now - view.startedAt),
    max_latency: latency.max,
    min_client_response_size: responseSizes.min,
    ...gaugesOfEnsemble(view),
  };
}

/** Each role has its own, as in the original. */
function gaugesOfEnsemble({ ensemble, mode, now, servesSince, statistics }: ServerView): Record<string, number> {
  if (ensemble === undefined) return {};
  const ofAll = { quorum_size: ensemble.ensemble.voters.length };
  if (mode === 'observer' && ensemble.leader !== undefined) return { ...ofAll, observer_master_id: ensemble.leader };
  if (mode !== 'leader' || ensemble.reign === undefined) return ofAll;
  const { all, syncedFollowers, nonVotingFollowers, syncedObservers } = learnerCounts(ensemble);
  const { last, min, max } = statistics.proposalSizes;
  return {
    ...ofAll,
    learners: all,
    synced_followers: syncedFollowers,
    synced_non_voting_followers: nonVotingFollowers,
    synced_observers: syncedObservers,
    pending_syncs: ensemble.reign.pendingSyncs,
    leader_uptime: Math.floor(now - servesSince),
    last_proposal_size: last,
    min_proposal_size: min,
    max_proposal_size: max,
  };
}

/** Name and value of everything, a summary in its parts, behind version and role. */
export function* monitorValues(view: ServerView): IterableIterator<readonly [string, string | number | Decimal]> {
  yield ['version', FULL_VERSION];
  yield ['server_state', view.mode ?? 'null'];
  if (view.mode !== undefined && view.mode !== 'standalone') yield ['peer_state', PEER_STATES[view.mode]];
  for (const metric of metricsOf(view)) {
    if (metric.kind === 'summary') yield* partsOf(metric.name, metric.summary);
    else yield [metric.name, metric.value];
  }
}

function* partsOf(name: string, summary: Summary): IterableIterator<readonly [string, number | Decimal]> {
  yield [`avg_${name}`, new Decimal(summary.average)];
  yield [`min_${name}`, summary.min];
  yield [`max_${name}`, summary.max];
  yield [`cnt_${name}`, summary.count];
  yield [`sum_${name}`, summary.sum];
  if (!summary.hasPercentiles) return;
  yield [`p50_${name}`, summary.percentile(0.5)];
  yield [`p95_${name}`, summary.percentile(0.95)];
  yield [`p99_${name}`, summary.percentile(0.99)];
  yield [`p999_${name}`, summary.percentile(0.999)];
}
