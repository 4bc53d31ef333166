import { FRAME_BYTES_MAX_DEFAULT, toServerId } from 'zookeeper-protocol-ts';
import type { Ensemble } from './ensemble.ts';
import type { Millis } from './ports.ts';
import { CONNECTION_THROTTLE_DEFAULTS, type ConnectionThrottleLimits } from './session/connection-throttle.ts';
import type { SnapshotCompression } from './storage/snapshot-format.ts';
import { PREALLOCATE_BYTES_DEFAULT } from './storage/txn-log.ts';

/**
 * The configuration of a server: what it can be told, the defaults, and their limits. Names and defaults are the original's.
 * How it is read from a zoo.cfg is in `zoo-cfg.ts`.
 */

/** Settled: every value is set and within its limits. Made by `completeConfig`, or from a zoo.cfg. */
export interface ServerConfig {
  /** Goes into the top byte of session ids. 1 for a server alone, as in the original. */
  readonly serverId: number;
  /** Who takes part; undefined for a server alone. */
  readonly ensemble: Ensemble | undefined;
  /** Ticks until a new leader must be established (`initLimit`). Default: 10. */
  readonly initLimit: number;
  /** Ticks of silence after which leader and learner count as gone (`syncLimit`). Default: 5. */
  readonly syncLimit: number;
  /** The folder of snapshots; the files are in `version-2` below it. */
  readonly dataDir: string;
  /** The folder of the transaction log. Default: `dataDir`. */
  readonly dataLogDir: string;
  /** 0 takes a free port. */
  readonly clientPort: number;
  /** A host name or an address; all addresses by default. */
  readonly clientPortAddress: string;
  /** Connections that the system keeps until they are accepted (`clientPortListenBacklog`); -1 leaves it to the system. */
  readonly listenBacklog: number;
  /** Whether the system looks after idle connections of clients (`clientTcpKeepAlive`). Default: false. */
  readonly clientTcpKeepAlive: boolean;
  /** The unit of time: sessions expire in steps of it. Default: 3000. */
  readonly tickTimeMs: Millis;
  /** The shortest session timeout that a client can have. Default: 2 ticks. */
  readonly minSessionTimeoutMs: Millis;
  /** The longest. Default: 20 ticks. */
  readonly maxSessionTimeoutMs: Millis;
  /** Connections from one address at a time; 0 for any number. Default: 60. */
  readonly maxClientCnxns: number;
  /** Connections from all addresses together; 0 for any number. Default: 0. */
  readonly maxCnxns: number;
  /** How long a connection may stay without a session (`nio.sessionlessCnxnTimeout`). Default: 10 000. */
  readonly sessionlessTimeoutMs: Millis;
  /** The largest request accepted (`jute.maxbuffer`), in bytes. Default: 1 048 575. */
  readonly frameBytesMax: number;
  /**
   * With more requests in process, nothing more is read from connections that wait for an answer already. Default: 1000.
   */
  readonly globalOutstandingLimit: number;
  /** With so many requests in process, others stay in front of the pipeline (`request_throttle_max_requests`); 0 is off. Default: 0. */
  readonly requestThrottleMaxRequests: number;
  /** What waited there is dropped if it is stale, with its connection (`request_throttle_drop_stale`). Default: true. */
  readonly requestThrottleDropStale: boolean;
  /** What waited there is stale if its connection has gone (`request_stale_connection_check`). Default: true. */
  readonly staleConnectionCheck: boolean;
  /** What waited there is stale if it is older than its session's timeout (`request_stale_latency_check`). Default: false. */
  readonly staleLatencyCheck: boolean;
  /** How many clients may ask for a session in a time (`connection_throttle_*`). Default: any number. */
  readonly connectionThrottle: ConnectionThrottleLimits;
  /** A request that waited longer in front of the pipeline is refused with THROTTLEDOP (`throttled_op_wait_time`); 0 is off. Default: 0. */
  readonly throttledOpWaitMs: Millis;
  /** A request of more bytes is large; -1: none is. Default: -1. */
  readonly largeRequestThreshold: number;
  /** A connection that brings more bytes of large requests than may be in process together is ended (`largeRequestMaxBytes`). Default: 100 MiB. */
  readonly largeRequestBytesMax: number;
  /** Sessions at a time; a client that asks for one more is turned away. Ours. Default: 1 000 000. */
  readonly sessionsMax: number;
  /** That the watches of all connections take; who brings more is ended. Ours. Default: 1 GiB, 3 million watches. */
  readonly watchBytesMax: number;
  /** That the watches of one connection take; it is ended beyond. Ours. Default: 384 MiB, a good million watches. */
  readonly connectionWatchBytesMax: number;
  /** Of unfinished requests, all connections together; who brings more is ended. Ours. Default: 256 MiB. */
  readonly inboundBytesMax: number;
  /** That clients have not read, all together; beyond, the slowest is cut off. Ours. Default: 256 MiB. */
  readonly outboundBytesMax: number;
  /** Written to the log and not durable; beyond, the server is as busy as with too many requests. Ours. Default: 64 MiB. */
  readonly logQueuedBytesMax: number;
  /** The four-letter words that are answered (`4lw.commands.whitelist`); `*` stands for all. Default: srvr. */
  readonly fourLetterWords: ReadonlySet<string>;
  /** A log file grows by so many bytes at a time (`preAllocSize`, there in KiB); 0 turns it off. Default: 64 MiB. */
  readonly preallocateBytes: number;
  /** A log file that has become larger is followed by another one (`txnLogSizeLimitInKb`); undefined: none is too large. Default: undefined. */
  readonly logFileBytesMax: number | undefined;
  /** False: the log is written, and not synced; a power loss may take what was acknowledged (`forceSync`). Default: true. */
  readonly forceSync: boolean;
  /** A sync of the log that takes longer is told of (`fsync.warningthresholdms`). Default: 1000. */
  readonly syncWarningMs: Millis;
  /** A snapshot is written after so many transactions at the latest (`snapCount`). Default: 100 000. */
  readonly snapCount: number;
  /** A snapshot is written after so many bytes of log at the latest (`snapSizeLimitInKb`); undefined: they don't count. Default: 4 GiB. */
  readonly snapshotLogBytes: number | undefined;
  /** So many of the last transactions are kept at hand for learners that lack them (`commitLogCount`). Default: 500. */
  readonly commitLogCount: number;
  /**
   * A learner that lacks more than is at hand is sent the log as long as that is no more than this part of the newest snapshot
   * (`snapshotSizeFactor`); 0: also if it is more; negative: never. Default: 0.33.
   */
  readonly snapshotSizeFactor: number;
  /** How snapshots are compressed (`snapshot.compression.method`). Default: not at all. */
  readonly snapshotCompression: SnapshotCompression;
  /** How many snapshots a purge keeps (`autopurge.snapRetainCount`), at least 3. Default: 3. */
  readonly snapshotRetainCount: number;
  /** How often old snapshots and logs are purged (`autopurge.purgeInterval`); 0: never. Default: 0. */
  readonly purgeIntervalMs: Millis;
  /** Believe that logs without a snapshot are the whole history (`snapshot.trust.empty`). Default: false. */
  readonly trustEmptySnapshot: boolean;
  /** Write the digest of the tree into snapshots, and compare it at the start (`digest.enabled`). Default: true. */
  readonly digestEnabled: boolean;
  /** Write the last zxid into snapshots, as 3.9 does (`serializeLastProcessedZxid.enabled`). Default: true. */
  readonly serializeLastZxid: boolean;
  /** How often containers and TTL znodes are looked through (`znode.container.checkIntervalMs`). Default: 60 000. */
  readonly containerCheckIntervalMs: Millis;
  /** So many of them are deleted in a minute at the most (`znode.container.maxPerMinute`). Default: 10 000. */
  readonly containersPerMinuteMax: number;
  /**
   * A container that never had a child is deleted so long after its last change
   * (`znode.container.maxNeverUsedIntervalMs`); 0 for never. Default: 0.
   */
  readonly containerNeverUsedMsMax: Millis;
  /** Whether znodes may have a time to live. Default: false. */
  readonly extendedTypesEnabled: boolean;
  /** Whether a hard quota refuses what exceeds it. Default: false. */
  readonly enforceQuota: boolean;
  /** Whether clients may ask for other members; a server alone refuses it with another code then. Default: false. */
  readonly reconfigEnabled: boolean;
  /** Whether everybody may do everything, whatever the ACLs say (`skipACL=yes`). Default: false. */
  readonly skipAcl: boolean;
  /**
   * Who proves by digest authentication to be this identity passes everywhere: `super:` and the base64 of a SHA-1
   * (`DigestAuthenticationProvider.superDigest`). Default: nobody.
   */
  readonly superDigest: string | undefined;
  /** Whether missing folders are made (`datadir.autocreate`). Default: true. */
  readonly createsFolders: boolean;
  /** The AdminServer (`admin.*`); undefined for none. Default: none, but of a zoo.cfg the original's, on port 8080. */
  readonly admin: AdminServerConfig | undefined;
  /** Where Prometheus asks (`metricsProvider.*`); undefined for nowhere. Default: nowhere. */
  readonly prometheus: PrometheusConfig | undefined;
  /** The zoo.cfg as it is in the file, to be told to an administrator; empty without one. */
  readonly initialConfiguration: string;
  /** The system properties that it was given, in zoo.cfg or beside it, by their whole names. */
  readonly systemProperties: ReadonlyMap<string, string>;
}

/** Where the AdminServer listens, and how long it keeps a silent connection. */
export interface AdminServerConfig {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** The path that its commands are under. */
  readonly commandUrl: string;
  readonly idleTimeoutMs: Millis;
}

/** The original's defaults. */
export const ADMIN_SERVER_DEFAULTS: AdminServerConfig = {
  host: '0.0.0.0',
  port: 8080,
  commandUrl: '/commands',
  idleTimeoutMs: 30_000,
};

/** Where the metrics are, and whether those of the process are among them (`exportJvmInfo`). */
export interface PrometheusConfig {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly withProcess: boolean;
}

/** The original's defaults, in 3.8. */
export const PROMETHEUS_DEFAULTS: PrometheusConfig = { host: '0.0.0.0', port: 7000, withProcess: true };

/** Limits that the original doesn't have, under their names in zoo.cfg. */
export const OWN_LIMITS = [
  'sessionsMax',
  'watchBytesMax',
  'connectionWatchBytesMax',
  'inboundBytesMax',
  'outboundBytesMax',
  'logQueuedBytesMax',
] as const satisfies readonly (keyof ServerConfig)[];

/** What must be said; the rest has defaults. */
export type ServerConfigOptions = Pick<ServerConfig, 'dataDir' | 'clientPort'> & Partial<ServerConfig>;

/** All addresses of the machine, IPv6 and IPv4. */
export const ALL_ADDRESSES = '::';

/** A setting that is malformed, out of its limits, missing, or not to be ignored. The message names file, line and key. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'CONFIG';
}

/**
 * Fills in the defaults and checks the limits.
 * @throws ConfigError
 */
export function completeConfig(options: ServerConfigOptions): ServerConfig {
  const tickTimeMs = options.tickTimeMs ?? 3000;
  const config: ServerConfig = {
    serverId: options.serverId ?? 1,
    ensemble: options.ensemble,
    initLimit: options.initLimit ?? 10,
    syncLimit: options.syncLimit ?? 5,
    dataDir: options.dataDir,
    dataLogDir: options.dataLogDir ?? options.dataDir,
    clientPort: options.clientPort,
    clientPortAddress: options.clientPortAddress ?? ALL_ADDRESSES,
    listenBacklog: options.listenBacklog ?? -1,
    clientTcpKeepAlive: options.clientTcpKeepAlive ?? false,
    tickTimeMs,
    minSessionTimeoutMs: options.minSessionTimeoutMs ?? tickTimeMs * 2,
    maxSessionTimeoutMs: options.maxSessionTimeoutMs ?? tickTimeMs * 20,
    maxClientCnxns: options.maxClientCnxns ?? 60,
    maxCnxns: options.maxCnxns ?? 0,
    sessionlessTimeoutMs: options.sessionlessTimeoutMs ?? 10_000,
    frameBytesMax: options.frameBytesMax ?? FRAME_BYTES_MAX_DEFAULT,
    globalOutstandingLimit: options.globalOutstandingLimit ?? 1000,
    requestThrottleMaxRequests: options.requestThrottleMaxRequests ?? 0,
    requestThrottleDropStale: options.requestThrottleDropStale ?? true,
    staleConnectionCheck: options.staleConnectionCheck ?? true,
    staleLatencyCheck: options.staleLatencyCheck ?? false,
    connectionThrottle: options.connectionThrottle ?? CONNECTION_THROTTLE_DEFAULTS,
    throttledOpWaitMs: options.throttledOpWaitMs ?? 0,
    largeRequestThreshold: options.largeRequestThreshold ?? -1,
    largeRequestBytesMax: options.largeRequestBytesMax ?? 100 * MIB,
    sessionsMax: options.sessionsMax ?? 1_000_000,
    watchBytesMax: options.watchBytesMax ?? 1024 * MIB,
    connectionWatchBytesMax: options.connectionWatchBytesMax ?? 384 * MIB,
    inboundBytesMax: options.inboundBytesMax ?? 256 * MIB,
    outboundBytesMax: options.outboundBytesMax ?? 256 * MIB,
    logQueuedBytesMax: options.logQueuedBytesMax ?? 64 * MIB,
    fourLetterWords: options.fourLetterWords ?? new Set(['srvr']),
    preallocateBytes: options.preallocateBytes ?? PREALLOCATE_BYTES_DEFAULT,
    logFileBytesMax: options.logFileBytesMax,
    forceSync: options.forceSync ?? true,
    syncWarningMs: options.syncWarningMs ?? 1000,
    snapCount: options.snapCount ?? 100_000,
    commitLogCount: options.commitLogCount ?? 500,
    snapshotSizeFactor: options.snapshotSizeFactor ?? 0.33,
    snapshotLogBytes: 'snapshotLogBytes' in options ? options.snapshotLogBytes : 4096 * MIB,
    snapshotCompression: options.snapshotCompression ?? 'none',
    snapshotRetainCount: options.snapshotRetainCount ?? 3,
    purgeIntervalMs: options.purgeIntervalMs ?? 0,
    trustEmptySnapshot: options.trustEmptySnapshot ?? false,
    digestEnabled: options.digestEnabled ?? true,
    serializeLastZxid: options.serializeLastZxid ?? true,
    containerCheckIntervalMs: options.containerCheckIntervalMs ?? 60_000,
    containersPerMinuteMax: options.containersPerMinuteMax ?? 10_000,
    containerNeverUsedMsMax: options.containerNeverUsedMsMax ?? 0,
    extendedTypesEnabled: options.extendedTypesEnabled ?? false,
    enforceQuota: options.enforceQuota ?? false,
    reconfigEnabled: options.reconfigEnabled ?? false,
    skipAcl: options.skipAcl ?? false,
    superDigest: options.superDigest,
    createsFolders: options.createsFolders ?? true,
    admin: options.admin,
    prometheus: options.prometheus,
    initialConfiguration: options.initialConfiguration ?? '',
    systemProperties: options.systemProperties ?? new Map(),
  };
  requireWithin('clientPort', config.clientPort, 0, 65_535);
  requireWithin('listenBacklog', config.listenBacklog, -1, INT_MAX);
  if (config.admin !== undefined) requireWithin('admin.serverPort', config.admin.port, 0, 65_535);
  if (config.prometheus !== undefined) requireWithin('metricsProvider.httpPort', config.prometheus.port, 0, 65_535);
  requireWithin('serverId', config.serverId, 0, 255);
  for (const key of ['tickTimeMs', 'sessionlessTimeoutMs', 'containerCheckIntervalMs', 'frameBytesMax'] as const) {
    requireWithin(key, config[key], 1, INT_MAX);
  }
  for (const key of ['initLimit', 'syncLimit'] as const) requireWithin(key, config[key], 1, INT_MAX);
  if (config.ensemble !== undefined && config.ensemble.member(toServerId(config.serverId)) === undefined) {
    throw new ConfigError(`serverId: ${config.serverId} is no member of the ensemble`);
  }
  for (const key of ['minSessionTimeoutMs', 'maxSessionTimeoutMs', 'maxClientCnxns', 'maxCnxns'] as const) {
    requireWithin(key, config[key], 0, INT_MAX);
  }
  requireWithin('globalOutstandingLimit', config.globalOutstandingLimit, 1, INT_MAX);
  requireWithin('containersPerMinuteMax', config.containersPerMinuteMax, 1, INT_MAX);
  requireWithin('containerNeverUsedMsMax', config.containerNeverUsedMsMax, 0, INT_MAX);
  for (const key of ['requestThrottleMaxRequests', 'throttledOpWaitMs'] as const) {
    requireWithin(key, config[key], 0, INT_MAX);
  }
  requireConnectionThrottle(config.connectionThrottle);
  requireWithin('largeRequestThreshold', config.largeRequestThreshold, -1, INT_MAX);
  requireWithin('largeRequestBytesMax', config.largeRequestBytesMax, 1, Number.MAX_SAFE_INTEGER);
  for (const key of OWN_LIMITS) requireWithin(key, config[key], 1, Number.MAX_SAFE_INTEGER);
  requireWithin('snapCount', config.snapCount, 2, INT_MAX);
  requireWithin('commitLogCount', config.commitLogCount, 1, INT_MAX);
  requireWithin('snapshotRetainCount', config.snapshotRetainCount, 1, INT_MAX);
  requireWithin('purgeIntervalMs', config.purgeIntervalMs, 0, Number.MAX_SAFE_INTEGER);
  requireWithin('syncWarningMs', config.syncWarningMs, 0, Number.MAX_SAFE_INTEGER);
  requireWithin('logFileBytesMax', config.logFileBytesMax ?? 1, 1, Number.MAX_SAFE_INTEGER);
  requireWithin('snapshotLogBytes', config.snapshotLogBytes ?? 2, 2, Number.MAX_SAFE_INTEGER);
  requireWithin('preallocateBytes', config.preallocateBytes, 0, Number.MAX_SAFE_INTEGER);
  if (config.minSessionTimeoutMs > config.maxSessionTimeoutMs) {
    throw new ConfigError(
      `minSessionTimeout ${config.minSessionTimeoutMs} ms is above maxSessionTimeout ${config.maxSessionTimeoutMs} ms`,
    );
  }
  return config;
}

function requireConnectionThrottle(limits: ConnectionThrottleLimits): void {
  requireWithin('connectionThrottle.tokens', limits.tokens, 0, INT_MAX);
  for (const key of ['fillCount', 'fillTimeMs'] as const) {
    requireWithin(`connectionThrottle.${key}`, limits[key], 1, INT_MAX);
  }
  requireWithin('connectionThrottle.freezeTimeMs', limits.freezeTimeMs, -1, INT_MAX);
  for (const key of ['dropIncrease', 'dropDecrease', 'decreaseRatio'] as const) {
    if (limits[key] >= 0 && limits[key] <= 1) continue;
    throw new ConfigError(`connectionThrottle.${key}: ${limits[key]} is not between 0 and 1`);
  }
  for (const [session, weight] of Object.entries(limits.weights ?? {})) {
    requireWithin(`connectionThrottle.weights.${session}`, weight, 1, INT_MAX);
  }
}

function requireWithin(key: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new ConfigError(`${key}: ${value} is not a whole number between ${min} and ${max}`);
}

const INT_MAX = 0x7fff_ffff;

const MIB = 1024 * 1024;
