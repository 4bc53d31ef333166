import { FRAME_BYTES_MAX_DEFAULT } from 'zookeeper-protocol-ts';
import { PropertySyntaxError, readProperties } from './config-properties.ts';
import { verdictOn } from './config-unsupported.ts';
import type { Millis } from './ports.ts';
import { PREALLOCATE_BYTES_DEFAULT } from './storage/txn-log.ts';

/**
 * The configuration of a server: what it can be told, the defaults, and how it is read from Apache ZooKeeper's zoo.cfg and
 * system properties (`QuorumPeerConfig`). Names and defaults are the original's. Nothing is passed over in silence: a setting
 * that this version doesn't know gives a warning, and one that it must not ignore, an error.
 */

/** Settled: every value is set and within its limits. Made by {@link completeConfig} or {@link parseZooCfg}. */
export interface ServerConfig {
  /** Goes into the top byte of session ids. 1 for a server alone, as in the original. */
  readonly serverId: number;
  /** The folder of snapshots; the files are in `version-2` below it. */
  readonly dataDir: string;
  /** The folder of the transaction log. Default: `dataDir`. */
  readonly dataLogDir: string;
  /** 0 takes a free port. */
  readonly clientPort: number;
  /** A host name or an address; {@link ALL_ADDRESSES} by default. */
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
  /** What waited there is dropped if its connection has gone (`request_throttle_drop_stale`). Default: true. */
  readonly requestThrottleDropStale: boolean;
  /** A request that waited longer in front of the pipeline is refused with THROTTLEDOP (`throttled_op_wait_time`); 0 is off. Default: 0. */
  readonly throttledOpWaitMs: Millis;
  /** A request of more bytes is large; -1: none is. Default: -1. */
  readonly largeRequestThreshold: number;
  /** A connection that brings more bytes of large requests than may be in process together is ended (`largeRequestMaxBytes`). Default: 100 MiB. */
  readonly largeRequestBytesMax: number;
  /** Of unfinished requests, all connections together; who brings more is ended. Ours, not in zoo.cfg. Default: 256 MiB. */
  readonly inboundBytesMax: number;
  /** That clients have not read, all together; beyond, the slowest is cut off. Ours, not in zoo.cfg. Default: 256 MiB. */
  readonly outboundBytesMax: number;
  /** Written to the log and not durable; beyond, the server is as busy as with too many requests. Ours, not in zoo.cfg. Default: 64 MiB. */
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
  /** How snapshots are compressed (`snapshot.compression.method`). Default: not at all. */
  readonly snapshotCompression: 'none' | 'gz';
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
    throttledOpWaitMs: options.throttledOpWaitMs ?? 0,
    largeRequestThreshold: options.largeRequestThreshold ?? -1,
    largeRequestBytesMax: options.largeRequestBytesMax ?? 100 * MIB,
    inboundBytesMax: options.inboundBytesMax ?? 256 * MIB,
    outboundBytesMax: options.outboundBytesMax ?? 256 * MIB,
    logQueuedBytesMax: options.logQueuedBytesMax ?? 64 * MIB,
    fourLetterWords: options.fourLetterWords ?? new Set(['srvr']),
    preallocateBytes: options.preallocateBytes ?? PREALLOCATE_BYTES_DEFAULT,
    logFileBytesMax: options.logFileBytesMax,
    forceSync: options.forceSync ?? true,
    syncWarningMs: options.syncWarningMs ?? 1000,
    snapCount: options.snapCount ?? 100_000,
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
  for (const key of ['minSessionTimeoutMs', 'maxSessionTimeoutMs', 'maxClientCnxns', 'maxCnxns'] as const) {
    requireWithin(key, config[key], 0, INT_MAX);
  }
  requireWithin('globalOutstandingLimit', config.globalOutstandingLimit, 1, INT_MAX);
  requireWithin('containersPerMinuteMax', config.containersPerMinuteMax, 1, INT_MAX);
  requireWithin('containerNeverUsedMsMax', config.containerNeverUsedMsMax, 0, INT_MAX);
  for (const key of ['requestThrottleMaxRequests', 'throttledOpWaitMs'] as const) {
    requireWithin(key, config[key], 0, INT_MAX);
  }
  requireWithin('largeRequestThreshold', config.largeRequestThreshold, -1, INT_MAX);
  for (const key of ['largeRequestBytesMax', 'inboundBytesMax', 'outboundBytesMax', 'logQueuedBytesMax'] as const) {
    requireWithin(key, config[key], 1, Number.MAX_SAFE_INTEGER);
  }
  requireWithin('snapCount', config.snapCount, 2, INT_MAX);
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

export interface ZooCfgOptions {
  /** What the file is called in messages. */
  readonly file: string;
  /** Java system properties by name (`-Dname=value`), as in {@link propertiesOfJvmFlags}. zoo.cfg goes before them. */
  readonly properties?: ReadonlyMap<string, string>;
}

export interface ParsedZooCfg {
  readonly config: ServerConfig;
  /** One line for each setting that has no effect here, or that this version doesn't know, with its place. */
  readonly warnings: readonly string[];
  /** Where each key stands, as `zoo.cfg:12`: for what turns out only when the server starts, such as a port in use. */
  readonly places: ReadonlyMap<string, string>;
}

/**
 * Reads a zoo.cfg and the system properties beside it.
 * @throws ConfigError for what is malformed or missing, and for settings that would be dangerous to ignore
 */
export function parseZooCfg(text: string, { file, properties = new Map() }: ZooCfgOptions): ParsedZooCfg {
  const draft: Draft = {};
  const warnings: string[] = [];
  const places = new Map<string, string>();
  const systemProperties = new Map<string, string>();
  const take = (setting: Setting): void => {
    places.set(setting.key, setting.place);
    if (setting.isSystemProperty || !ZOO_CFG_KEYS.has(setting.key)) {
      systemProperties.set(UNPREFIXED.test(setting.key) ? setting.key : PREFIX + setting.key, setting.value);
    }
    const warning = apply(setting, draft);
    if (warning !== undefined) warnings.push(`${setting.place}: ${setting.key}: ${warning}`);
  };
  // The original turns unknown keys of zoo.cfg into system properties: they replace those of the command line.
  for (const [name, value] of properties) {
    const key = keyOfSystemProperty(name);
    if (key !== undefined) take({ key, value: value.trim(), place: `-D${name}`, isSystemProperty: true });
  }
  for (const { key, value, line } of read(text, file)) {
    take({ key: withoutPrefix(key), value, place: `${file}:${line}`, isSystemProperty: false });
  }

  const { dataDir, clientPort, adminEnabled, adminServer, usesPrometheus, prometheusServer, ...rest } = draft;
  if (dataDir === undefined) throw new ConfigError(`${file}: dataDir is not set`);
  if (clientPort === undefined) throw new ConfigError(`${file}: clientPort is not set`);
  try {
    const config = completeConfig({
      ...rest,
      dataDir,
      clientPort,
      admin: adminEnabled === false ? undefined : { ...ADMIN_SERVER_DEFAULTS, ...adminServer },
      prometheus: usesPrometheus === true ? { ...PROMETHEUS_DEFAULTS, ...prometheusServer } : undefined,
      initialConfiguration: text,
      systemProperties,
    });
    return { config, warnings, places };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(`${file}: ${error.message}`, { cause: error });
  }
}

/** The system properties in a line of JVM flags: each `-Dname=value`, of which the value may be quoted. */
export function propertiesOfJvmFlags(flags: string): ReadonlyMap<string, string> {
  const properties = new Map<string, string>();
  for (const flag of flags.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? []) {
    const [, name, value] = /^-D([^=]+)=?(.*)$/s.exec(flag.replace(/"([^"]*)"|'([^']*)'/g, '$1$2')) ?? [];
    if (name !== undefined) properties.set(name, value ?? '');
  }
  return properties;
}

/** What has been read so far. */
type Draft = { -readonly [Key in keyof ServerConfig]?: ServerConfig[Key] } & {
  adminEnabled?: boolean;
  adminServer?: Partial<AdminServerConfig>;
  usesPrometheus?: boolean;
  prometheusServer?: Partial<PrometheusConfig>;
};

interface Setting {
  readonly key: string;
  readonly value: string;
  readonly place: string;
  readonly isSystemProperty: boolean;
}

type Known = (setting: Setting, draft: Draft) => void;

/** Keys that only zoo.cfg can have. */
const ZOO_CFG_KEYS: ReadonlyMap<string, Known> = new Map<string, Known>([
  ['tickTime', (setting, draft) => (draft.tickTimeMs = integer(setting, 1))],
  ['dataDir', (setting, draft) => (draft.dataDir = text(setting))],
  ['dataLogDir', (setting, draft) => (draft.dataLogDir = text(setting))],
  ['clientPort', (setting, draft) => (draft.clientPort = integer(setting, 0, 65_535))],
  ['clientPortAddress', (setting, draft) => (draft.clientPortAddress = withoutBrackets(text(setting)))],
  ['maxClientCnxns', (setting, draft) => (draft.maxClientCnxns = integer(setting, 0))],
  ['minSessionTimeout', (setting, draft) => setUnlessDefault(draft, 'minSessionTimeoutMs', integer(setting, -1))],
  ['maxSessionTimeout', (setting, draft) => setUnlessDefault(draft, 'maxSessionTimeoutMs', integer(setting, -1))],
  ['clientPortListenBacklog', (setting, draft) => (draft.listenBacklog = integer(setting, -1))],
  ['metricsProvider.className', (setting, draft) => (draft.usesPrometheus = /Prometheus/.test(setting.value))],
  ['metricsProvider.httpHost', (setting, draft) => setPrometheus(draft, { host: withoutBrackets(text(setting)) })],
  ['metricsProvider.httpPort', (setting, draft) => setPrometheus(draft, { port: integer(setting, 0, 65_535) })],
  ['metricsProvider.exportJvmInfo', (setting, draft) => setPrometheus(draft, { withProcess: boolean(setting) })],
  // Of an ensemble; a server alone has no use for them, here as in the original, whose sample configuration sets them.
  ['initLimit', (setting) => integer(setting, 0)],
  ['syncLimit', (setting) => integer(setting, 0)],
  // The original raises what is less to 3.
  [
    'autopurge.snapRetainCount',
    (setting, draft) => (draft.snapshotRetainCount = Math.max(integer(setting, INT_MIN), 3)),
  ],
  ['autopurge.purgeInterval', (setting, draft) => (draft.purgeIntervalMs = purgeInterval(setting))],
  ['reconfigEnabled', (setting, draft) => (draft.reconfigEnabled = isTrue(setting))],
]);

/** Keys that are system properties of the original, which zoo.cfg may set as well. */
const PROPERTY_KEYS: ReadonlyMap<string, Known> = new Map<string, Known>([
  ['4lw.commands.whitelist', (setting, draft) => (draft.fourLetterWords = words(setting))],
  ['clientTcpKeepAlive', (setting, draft) => (draft.clientTcpKeepAlive = boolean(setting))],
  ['datadir.autocreate', (setting, draft) => (draft.createsFolders = boolean(setting))],
  ['admin.enableServer', (setting, draft) => (draft.adminEnabled = boolean(setting))],
  ['admin.serverAddress', (setting, draft) => setAdmin(draft, { host: withoutBrackets(text(setting)) })],
  ['admin.serverPort', (setting, draft) => setAdmin(draft, { port: integer(setting, 0, 65_535) })],
  ['admin.commandURL', (setting, draft) => setAdmin(draft, { commandUrl: urlPath(setting) })],
  ['admin.idleTimeout', (setting, draft) => setAdmin(draft, { idleTimeoutMs: integer(setting, 1) })],
  ['preAllocSize', (setting, draft) => (draft.preallocateBytes = integer(setting, 0) * 1024)],
  ['txnLogSizeLimitInKb', (setting, draft) => (draft.logFileBytesMax = bytesUnlessOff(integer(setting, INT_MIN)))],
  // Anything but no is yes, as in the original.
  ['forceSync', (setting, draft) => (draft.forceSync = setting.value !== 'no')],
  ['fsync.warningthresholdms', (setting, draft) => (draft.syncWarningMs = integer(setting, 0))],
  // The original raises 0 and 1 to 2.
  ['snapCount', (setting, draft) => (draft.snapCount = Math.max(integer(setting, 0), 2))],
  ['snapSizeLimitInKb', (setting, draft) => (draft.snapshotLogBytes = bytesUnlessOff(integer(setting, INT_MIN)))],
  ['snapshot.compression.method', (setting, draft) => (draft.snapshotCompression = compression(setting))],
  ['snapshot.trust.empty', (setting, draft) => (draft.trustEmptySnapshot = isTrue(setting))],
  ['digest.enabled', (setting, draft) => (draft.digestEnabled = isTrue(setting))],
  ['serializeLastProcessedZxid.enabled', (setting, draft) => (draft.serializeLastZxid = isTrue(setting))],
  ['jute.maxbuffer', (setting, draft) => (draft.frameBytesMax = integer(setting, 1))],
  ['nio.sessionlessCnxnTimeout', (setting, draft) => (draft.sessionlessTimeoutMs = integer(setting, 1))],
  ['maxCnxns', (setting, draft) => (draft.maxCnxns = integer(setting, 0))],
  ['globalOutstandingLimit', (setting, draft) => (draft.globalOutstandingLimit = integer(setting, 1))],
  ['request_throttle_max_requests', (setting, draft) => (draft.requestThrottleMaxRequests = integer(setting, 0))],
  ['request_throttle_drop_stale', (setting, draft) => (draft.requestThrottleDropStale = setting.value === 'true')],
  ['throttled_op_wait_time', (setting, draft) => (draft.throttledOpWaitMs = integer(setting, 0))],
  ['largeRequestThreshold', (setting, draft) => (draft.largeRequestThreshold = integer(setting, -1))],
  ['largeRequestMaxBytes', (setting, draft) => (draft.largeRequestBytesMax = integer(setting, 1))],
  ['znode.container.checkIntervalMs', (setting, draft) => (draft.containerCheckIntervalMs = integer(setting, 1))],
  ['znode.container.maxPerMinute', (setting, draft) => (draft.containersPerMinuteMax = integer(setting, 1))],
  ['znode.container.maxNeverUsedIntervalMs', (setting, draft) => (draft.containerNeverUsedMsMax = integer(setting, 0))],
  ['extendedTypesEnabled', (setting, draft) => (draft.extendedTypesEnabled = isTrue(setting))],
  ['enforceQuota', (setting, draft) => (draft.enforceQuota = isTrue(setting))],
  // Anything but yes is no, as in the original.
  ['skipACL', (setting, draft) => (draft.skipAcl = setting.value === 'yes')],
  ['DigestAuthenticationProvider.superDigest', (setting, draft) => (draft.superDigest = text(setting))],
]);

/** System properties that the original reads without the prefix `zookeeper.`. */
const UNPREFIXED = /^(jute|znode\.container|readonlymode)\./;

/** Takes one setting; returns why it has no effect, if it has none. */
function apply(setting: Setting, draft: Draft): string | undefined {
  const verdict = verdictOn(setting.key, setting.value);
  if (verdict?.kind === 'refused') throw badSetting(setting, verdict.why);
  const known =
    PROPERTY_KEYS.get(setting.key) ?? (setting.isSystemProperty ? undefined : ZOO_CFG_KEYS.get(setting.key));
  if (known === undefined) {
    if (verdict !== undefined) return verdict.kind === 'withoutEffect' ? verdict.why : undefined;
    const isFileKey = setting.isSystemProperty && ZOO_CFG_KEYS.has(setting.key);
    return isFileKey ? 'ignored: this is read from zoo.cfg only' : 'ignored: this version does not know this setting';
  }
  known(setting, draft);
  return undefined;
}

function read(text: string, file: string): ReturnType<typeof readProperties> {
  try {
    return readProperties(text);
  } catch (error) {
    if (!(error instanceof PropertySyntaxError)) throw error;
    throw new ConfigError(`${file}:${error.line}: ${error.message}`, { cause: error });
  }
}

/** The key that a system property sets, or undefined if it is not one of ZooKeeper's. */
function keyOfSystemProperty(name: string): string | undefined {
  if (name.startsWith(PREFIX)) return withoutPrefix(name);
  return UNPREFIXED.test(name) ? name : undefined;
}

const PREFIX = 'zookeeper.';
const withoutPrefix = (key: string): string => (key.startsWith(PREFIX) ? key.slice(PREFIX.length) : key);

const badSetting = ({ place, key }: Setting, problem: string): ConfigError =>
  new ConfigError(`${place}: ${key}: ${problem}`);

const INT_MAX = 0x7fff_ffff;
const INT_MIN = -0x8000_0000;

const MIB = 1024 * 1024;

/** Decimal, or hexadecimal behind `0x`, within the limits. */
function integer(setting: Setting, min: number, max: number = INT_MAX): number {
  if (!/^([+-]?\d+|0[xX][0-9a-fA-F]+)$/.test(setting.value)) {
    throw badSetting(setting, `"${setting.value}" is not a whole number`);
  }
  const value = Number(setting.value);
  if (value < min || value > max) throw badSetting(setting, `${value} is not between ${min} and ${max}`);
  return value;
}

/** Exactly `true` or `false`, in any case, as the original takes those that it knows. */
function boolean(setting: Setting): boolean {
  const value = setting.value.toLowerCase();
  if (value !== 'true' && value !== 'false') throw badSetting(setting, `"${setting.value}" is neither true nor false`);
  return value === 'true';
}

/** Any case of `true` is; all else is not, as in the original. */
const isTrue = (setting: Setting): boolean => setting.value.toLowerCase() === 'true';

function text(setting: Setting): string {
  if (setting.value === '') throw badSetting(setting, 'is empty');
  return setting.value;
}

/** An IPv6 address may stand in brackets. */
const withoutBrackets = (host: string): string => host.replace(/^\[(.*)\]$/, '$1');

const words = (setting: Setting): ReadonlySet<string> =>
  new Set(
    setting.value
      .split(',')
      .map((word) => word.trim())
      .filter((word) => word !== ''),
  );

/** A path without a slash at its end. */
function urlPath(setting: Setting): string {
  if (!/^\/[^?#\s]*[^/?#\s]$/.test(setting.value))
    throw badSetting(setting, `"${setting.value}" is not a path of a URL`);
  return setting.value;
}

function setAdmin(draft: Draft, part: Partial<AdminServerConfig>): void {
  draft.adminServer = { ...draft.adminServer, ...part };
}

function setPrometheus(draft: Draft, part: Partial<PrometheusConfig>): void {
  draft.prometheusServer = { ...draft.prometheusServer, ...part };
}

/** Hours, or a number with its unit. */
function purgeInterval(setting: Setting): Millis {
  const [, number, unit = 'h'] = /^(\d+)(ms|s|m|h|d)?$/.exec(setting.value) ?? [];
  const unitMs = UNITS_MS.get(unit);
  if (number === undefined || unitMs === undefined) {
    throw badSetting(setting, `"${setting.value}" is neither hours nor a number with ms, s, m, h or d`);
  }
  return Number(number) * unitMs;
}

const UNITS_MS: ReadonlyMap<string, Millis> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

function compression(setting: Setting): 'none' | 'gz' {
  switch (setting.value) {
    case '':
      return 'none';
    case 'gz':
      return 'gz';
    case 'snappy':
      throw badSetting(setting, 'snappy is not there; gz is');
    default:
      throw badSetting(setting, `"${setting.value}" is neither gz nor empty`);
  }
}

const bytesUnlessOff = (kib: number): number | undefined => (kib > 0 ? kib * 1024 : undefined);

/** -1 stands for the default. */
function setUnlessDefault(draft: Draft, key: 'minSessionTimeoutMs' | 'maxSessionTimeoutMs', value: number): void {
  if (value === -1) delete draft[key];
  else draft[key] = value;
}

function requireWithin(key: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new ConfigError(`${key}: ${value} is not a whole number between ${min} and ${max}`);
}
