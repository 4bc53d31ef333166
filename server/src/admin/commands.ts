import { counterOf, epochOf, toHex } from 'zookeeper-protocol-ts';
import { ALL_ADDRESSES } from '../config.ts';
import type { MemberAddress } from '../ensemble.ts';
import { DIGEST_VERSION } from '../tree/tree-digest.ts';
import { shortNameOf } from './connection-statistics.ts';
import { Decimal } from './decimal.ts';
import { type Json, type JsonObject, toJson } from './json.ts';
import { monitorValues } from './monitor.ts';
import type { ResponseSizes } from './server-statistics.ts';
import {
  type ConnectionView,
  environmentOf,
  foldersOf,
  interestOf,
  type LearnerView,
  learnerCounts,
  NOT_SERVING,
  type ServerView,
  serverIdOf,
  watchCounts,
} from './server-view.ts';
import { FULL_VERSION } from './version.ts';

/**
 * The AdminServer's commands: a name and parameters in, an answer in JSON out, always with `command` and `error` (the
 * original's `Commands`; names of fields and their order are its own). The status of HTTP is 200 even for an unknown one.
 */

/** A command's fields, or what is wrong with the question. */
type Outcome = { readonly fields: JsonObject } | { readonly problem: string };

interface Command {
  /** The primary name first. */
  readonly names: readonly [string, ...string[]];
  /** Answered also while the server doesn't serve. */
  readonly isAlwaysAnswered?: true;
  run(view: ServerView, parameters: ReadonlyMap<string, string>): Outcome;
}

/** The answer to `GET <commandURL>/<name>?<parameters>`. */
export function runCommand(name: string, parameters: ReadonlyMap<string, string>, view: ServerView): string {
  const command = BY_NAME.get(name);
  if (command === undefined) return answer({ command: name, error: `Unknown command: ${name}` });
  const [primary] = command.names;
  if (view.mode === undefined && !command.isAlwaysAnswered) return answer({ command: primary, error: NOT_SERVING });
  const outcome = command.run(view, parameters);
  // The order differs here, as it does in the original.
  if ('problem' in outcome) return answer({ error: outcome.problem, command: primary });
  return answer({ ...outcome.fields, command: primary, error: null });
}

/** The answer to `GET <commandURL>`: links to all commands. */
export const commandLinks = (commandUrl: string): string =>
  [...COMMANDS]
    .map(({ names: [name] }) => `<a href="${commandUrl}/${name}">${name}</a>\n<br/>\n`)
    .sort()
    .join('');

const answer = (fields: JsonObject): string => toJson(fields);

const NOTHING: Outcome = { fields: {} };
const fields = (found: JsonObject): Outcome => ({ fields: found });

const COMMANDS: readonly Command[] = [
  { names: ['configuration', 'conf', 'config'], run: (view) => fields(configuration(view)) },
  {
    names: ['connection_stat_reset', 'crst'],
    run: (view) => {
      for (const { statistics } of view.connections) statistics.reset();
      return NOTHING;
    },
  },
  {
    names: ['connections', 'cons'],
    run: (view) =>
      fields({
        connections: [...view.connections].map((connection) => ({ ...brief(connection), ...ofSession(connection) })),
        secure_connections: [],
      }),
  },
  {
    names: ['dirs'],
    run: (view) => {
      const { dataDirBytes, dataLogBytes } = foldersOf(view);
      return fields({ datadir_size: dataDirBytes, logdir_size: dataLogBytes });
    },
  },
  { names: ['dump'], run: (view) => fields(dump(view)) },
  {
    names: ['environment', 'env', 'envi'],
    isAlwaysAnswered: true,
    run: ({ machine }) => fields(Object.fromEntries(environmentOf(machine))),
  },
  {
    names: ['get_trace_mask', 'gtmk'],
    isAlwaysAnswered: true,
    run: ({ statistics }) => fields({ tracemask: statistics.traceMask }),
  },
  {
    names: ['hash'],
    run: ({ database }) =>
      fields({
        digests: database.digestLog.map(({ zxid, digest }) => ({
          zxid,
          digest: BigInt.asIntN(64, digest),
          digestVersion: DIGEST_VERSION,
        })),
      }),
  },
  {
    names: ['initial_configuration', 'icfg'],
    run: ({ config }) => fields({ initial_configuration: config.initialConfiguration }),
  },
  { names: ['is_read_only', 'isro'], run: () => fields({ read_only: false }) },
  {
    names: ['last_snapshot', 'lsnp'],
    run: ({ lastSnapshot }) =>
      fields({
        zxid: BigInt.asUintN(64, lastSnapshot?.zxid ?? -1n).toString(16),
        timestamp: lastSnapshot?.takenAtSeconds ?? -1,
      }),
  },
  { names: ['leader', 'lead'], run: leader },
  {
    names: ['monitor', 'mntr'],
    isAlwaysAnswered: true,
    run: (view) => fields(Object.fromEntries(monitorValues(view))),
  },
  {
    names: ['observer_connection_stat_reset', 'orst'],
    run: (view) => {
      for (const { connection } of observersOf(view)) connection?.statistics.reset();
      return NOTHING;
    },
  },
  { names: ['observers', 'obsr'], run: (view) => fields(observers(view)) },
  { names: ['ruok'], run: () => NOTHING },
  { names: ['server_stats', 'srvr'], run: (view) => fields(serverStatistics(view)) },
  { names: ['set_trace_mask', 'stmk'], isAlwaysAnswered: true, run: setTraceMask },
  {
    names: ['stat_reset', 'srst'],
    run: ({ statistics, metrics }) => {
      statistics.reset();
      metrics.reset();
      return NOTHING;
    },
  },
  {
    names: ['stats', 'stat'],
    run: (view) =>
      fields({ ...serverStatistics(view), connections: [...view.connections].map(brief), secure_connections: [] }),
  },
  {
    names: ['system_properties', 'sysp'],
    isAlwaysAnswered: true,
    run: ({ config, machine }) =>
      fields(Object.fromEntries([...machine.environment(), ...config.systemProperties].sort(byName))),
  },
  { names: ['voting_view'], run: (view) => fields({ current_config: votingView(view) }) },
  {
    names: ['watch_summary', 'wchs'],
    run: ({ watches }) => {
      const { connections, paths, watches: total } = watchCounts(watches);
      return fields({ num_connections: connections, num_paths: paths, num_total_watches: total });
    },
  },
  {
    names: ['watches', 'wchc'],
    run: ({ watches }) =>
      fields({
        session_id_to_watched_paths: new Map([...watches.bySession()].map(([id, paths]) => [String(id), paths])),
      }),
  },
  {
    names: ['watches_by_path', 'wchp'],
    run: ({ watches }) => fields({ path_to_session_ids: new Map(watches.byPath()) }),
  },
  { names: ['zabstate'], isAlwaysAnswered: true, run: (view) => fields(zabState(view)) },
];

const BY_NAME: ReadonlyMap<string, Command> = new Map(
  COMMANDS.flatMap((command) => command.names.map((name) => [name, command] as const)),
);

const byName = ([a]: readonly [string, string], [b]: readonly [string, string]): number => (a < b ? -1 : a > b ? 1 : 0);

function configuration(view: ServerView): JsonObject {
  const { config, clientPort } = view;
  const { dataDir, dataLogDir } = foldersOf(view);
  return {
    client_port: clientPort,
    data_dir: dataDir,
    data_log_dir: dataLogDir,
    tick_time: config.tickTimeMs,
    max_client_cnxns: config.maxClientCnxns,
    min_session_timeout: config.minSessionTimeoutMs,
    max_session_timeout: config.maxSessionTimeoutMs,
    server_id: serverIdOf(view),
    client_port_listen_backlog: config.listenBacklog,
  };
}

const brief = (connection: ConnectionView): JsonObject => ({
  remote_socket_address: connection.remote.slice(1),
  interest_ops: interestOf(connection),
  outstanding_requests: connection.outstanding,
  packets_received: connection.statistics.packetsReceived,
  packets_sent: connection.statistics.packetsSent,
});

function ofSession({ sessionId, sessionTimeoutMs, statistics }: ConnectionView): JsonObject {
  const { latency } = statistics;
  return {
    session_id: sessionId,
    last_operation: shortNameOf(statistics.lastOperation),
    established: Math.floor(statistics.establishedAt),
    session_timeout: sessionTimeoutMs,
    last_cxid: statistics.lastXid,
    last_zxid: statistics.lastZxid ?? -1,
    last_response_time: Math.floor(statistics.lastResponseAt),
    last_latency: Math.floor(statistics.lastLatencyMs),
    min_latency: latency.min,
    avg_latency: latency.average,
    max_latency: latency.max,
  };
}

const dump = ({ sessionDeadlines, database: { tree } }: ServerView): JsonObject => ({
  expiry_time_to_session_ids: new Map(
    sessionDeadlines.map(([deadline, sessions]) => [String(Math.floor(deadline)), sessions]),
  ),
  session_id_to_ephemeral_paths: new Map(
    [...tree.sessionsWithEphemerals()].map((id): [string, Json] => [String(id), tree.ephemeralsOf(id)]),
  ),
});

function serverStatistics(view: ServerView): JsonObject {
  const { statistics, database } = view;
  const { dataDirBytes, dataLogBytes } = foldersOf(view);
  return {
    version: FULL_VERSION,
    read_only: false,
    server_stats: {
      packets_sent: statistics.packetsSent,
      packets_received: statistics.packetsReceived,
      fsync_threshold_exceed_count: statistics.slowSyncs,
      client_response_stats: sizes(statistics.responseSizes),
      data_dir_size: dataDirBytes,
      log_dir_size: dataLogBytes,
      provider_null: false,
      server_state: view.mode ?? 'null',
      last_processed_zxid: database.lastZxid,
      outstanding_requests: view.outstanding,
      avg_latency: new Decimal(statistics.latency.average),
      max_latency: statistics.latency.max,
      min_latency: statistics.latency.min,
      num_alive_client_connections: view.connections.size,
      uptime: Math.floor(view.now - view.startedAt),
      auth_failed_count: 0,
      non_mtlsremote_conn_count: 0,
      non_mtlslocal_conn_count: 0,
    },
    client_response: sizes(statistics.responseSizes),
    ...(view.mode === 'leader' ? { proposal_stats: sizes(statistics.proposalSizes) } : {}),
    node_count: database.tree.nodeCount,
  };
}

function leader({ ensemble }: ServerView): Outcome {
  const id = ensemble?.leader;
  if (ensemble === undefined || id === undefined) return { problem: 'server is not initialized' };
  const address = ensemble.ensemble.member(id)?.quorumAddress.host ?? '';
  return fields({ is_leader: id === ensemble.self, leader_id: id, leader_ip: address });
}

function votingView(view: ServerView): JsonObject {
  const voters = [...(view.ensemble?.ensemble.members ?? [])].filter(({ type }) => type === 'participant');
  return Object.fromEntries(
    voters.map(({ id, quorumAddress, electionAddress, clientAddress }) => [
      String(id),
      {
        server_addresses: [textOf(quorumAddress)],
        election_addresses: [textOf(electionAddress)],
        // Of the others it knows what their lines say.
        client_address:
          id === view.ensemble?.self ? ownClientAddress(view) : clientAddress ? textOf(clientAddress) : '',
        learner_type: 'participant',
      },
    ]),
  );
}

/** The observers of a server that leads. */
const observersOf = ({ ensemble }: ServerView): LearnerView[] =>
  [...(ensemble?.reign?.learners ?? [])].filter(({ isVoter }) => !isVoter);

function observers(view: ServerView): JsonObject {
  const { ensemble, wallTime, now } = view;
  return {
    synced_observers: ensemble === undefined ? 0 : learnerCounts(ensemble).syncedObservers,
    observers: observersOf(view).flatMap(({ id, connection }) => {
      if (connection === undefined) return [];
      const { remote, queuedPackets, queuedBytes, statistics } = connection;
      return {
        remote_socket_address: `/${remote}`,
        sid: id,
        established: Math.floor(wallTime - now + statistics.establishedAt),
        queued_packets: queuedPackets,
        queued_packets_size: queuedBytes,
        packets_received: statistics.packetsReceived,
        packets_sent: statistics.packetsSent,
        requests: statistics.requests,
        last_zxid: statistics.lastZxid ?? -1,
      };
    }),
  };
}

/** The original tells nothing but `voting` and an empty state of a server that is alone; ours tells all while it has no leader, too. */
function zabState(view: ServerView): JsonObject {
  const { ensemble: found, database } = view;
  const member = found?.ensemble.member(found.self);
  if (found === undefined || member === undefined) return { voting: false, zabstate: '' };
  return {
    myid: member.id,
    is_leader: view.mode === 'leader',
    quorum_address: addresses(member.quorumAddress),
    election_address: addresses(member.electionAddress),
    client_address: ownClientAddress(view),
    voting: member.type === 'participant',
    last_zxid: toHex(database.lastZxid),
    zab_epoch: epochOf(database.lastZxid),
    zab_counter: counterOf(database.lastZxid),
    zabstate: found.zabState,
  };
}

/** The original may have several of each kind. */
function addresses(address: MemberAddress): JsonObject {
  const text = textOf(address);
  return {
    empty: false,
    all_addresses: [text],
    all_reachable_addresses: [text],
    one: text,
    reachable_address: text,
    wildcard_addresses: [`0.0.0.0:${address.port}`],
    all_ports: [address.port],
    all_host_strings: [address.host],
    all_reachable_addresses_or_all: [text],
    reachable_or_one: text,
  };
}

const ownClientAddress = ({ config, clientPort }: ServerView): string => {
  const host = config.clientPortAddress === ALL_ADDRESSES ? '0.0.0.0' : config.clientPortAddress;
  return textOf({ host, port: clientPort });
};

const textOf = ({ host, port }: MemberAddress): string => `${host}:${port}`;

const sizes = ({ last, min, max }: ResponseSizes): JsonObject => ({
  last_buffer_size: last,
  min_buffer_size: min,
  max_buffer_size: max,
});

function setTraceMask(view: ServerView, parameters: ReadonlyMap<string, string>): Outcome {
  const mask = parameters.get('traceMask');
  if (mask === undefined) return { problem: 'setTraceMask requires long traceMask argument' };
  if (!/^[+-]?\d+$/.test(mask) || BigInt(mask) !== BigInt.asIntN(64, BigInt(mask))) {
    return { problem: `setTraceMask requires long traceMask argument, got ${mask}` };
  }
  view.statistics.traceMask = BigInt(mask);
  return fields({ tracemask: view.statistics.traceMask });
}
