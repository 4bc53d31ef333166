import { toServerId } from 'zookeeper-protocol-ts';
import {
  ADMIN_SERVER_DEFAULTS,
  type AdminServerConfig,
  ConfigError,
  completeConfig,
  OWN_LIMITS,
  PROMETHEUS_DEFAULTS,
  type PrometheusConfig,
  type ServerConfig,
} from './config.ts';
import { PropertySyntaxError, readProperties } from './config-properties.ts';
import { verdictOn } from './config-unsupported.ts';
import type { Ensemble, Member } from './ensemble.ts';
import { EnsembleLineError, EnsembleLines } from './ensemble-lines.ts';
import type { Millis } from './ports.ts';
import {
  CONNECTION_THROTTLE_DEFAULTS,
  type ConnectionThrottleLimits,
  SESSION_WEIGHT_DEFAULTS,
  type SessionWeights,
} from './session/connection-throttle.ts';
import type { SnapshotCompression } from './storage/snapshot-format.ts';

/**
 * How a configuration is read from Apache ZooKeeper's zoo.cfg and system properties (`QuorumPeerConfig`). Nothing is passed over
 * in silence: a setting that this version doesn't know gives a warning, and one that it must not ignore, an error.
 */

export interface ZooCfgOptions {
  /** What the file is called in messages. */
  readonly file: string;
  /** Java system properties by name (`-Dname=value`), as in {@link propertiesOfJvmFlags}. zoo.cfg goes before them. */
  readonly properties?: ReadonlyMap<string, string>;
  /** What stands in the file `myid` of the data folder: asked for only when there is an ensemble. */
  readonly readMyid?: (dataDir: string) => string;
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
export function parseZooCfg(text: string, options: ZooCfgOptions): ParsedZooCfg {
  const { file, properties = new Map() } = options;
  const lines = new EnsembleLines();
  const draft: Draft = {};
  const warnings: string[] = [];
  const places = new Map<string, string>();
  const systemProperties = new Map<string, string>();
  const take = (setting: Setting): void => {
    places.set(setting.key, setting.place);
    if (!setting.isSystemProperty && inPlace(setting.place, () => lines.take(setting.key, setting.value))) return;
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

  const {
    dataDir,
    standaloneEnabled = true,
    peerType: type,
    adminEnabled,
    adminServer,
    usesPrometheus,
    prometheusServer,
    ...others
  } = draft;
  const { requestThrottleEnabled, throttle, weights, weightsEnabled, ...rest } = others;
  if (dataDir === undefined) throw new ConfigError(`${file}: dataDir is not set`);
  const ensemble = inPlace(file, () => lines.complete({ standaloneEnabled }));
  if (ensemble === undefined) requireAlone({ standaloneEnabled, type }, places);
  const self = ensemble === undefined ? undefined : selfIn(ensemble, { ...options, dataDir, type });
  const { clientPort = self?.clientAddress?.port, clientPortAddress = self?.clientAddress?.host } = rest;
  if (clientPort === undefined) throw new ConfigError(`${file}: clientPort is not set`);
  try {
    const config = completeConfig({
      ...rest,
      ...(requestThrottleEnabled === false ? { requestThrottleMaxRequests: 0 } : {}),
      connectionThrottle: {
        ...CONNECTION_THROTTLE_DEFAULTS,
        ...throttle,
        weights: weightsEnabled === true ? { ...SESSION_WEIGHT_DEFAULTS, ...weights } : undefined,
      },
      dataDir,
      clientPort,
      ...(clientPortAddress === undefined ? {} : { clientPortAddress }),
      ...(self === undefined ? {} : { ensemble, serverId: self.id }),
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

/** What is thrown about a line of an ensemble is told with its place. */
function inPlace<T>(place: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof EnsembleLineError)) throw error;
    throw new ConfigError(`${place}: ${error.message}`, { cause: error });
  }
}

/** It never starts alone what should be a member. */
function requireAlone(
  { standaloneEnabled, type }: { readonly standaloneEnabled: boolean; readonly type: Member['type'] | undefined },
  places: ReadonlyMap<string, string>,
): void {
  if (!standaloneEnabled)
    throw new ConfigError(`${places.get('standaloneEnabled')}: standaloneEnabled: there are no server lines`);
  if (type === 'observer') throw new ConfigError(`${places.get('peerType')}: peerType: there is nobody to observe`);
}

/** Which of the members this server is. */
function selfIn(
  ensemble: Ensemble,
  {
    file,
    readMyid,
    dataDir,
    type,
  }: ZooCfgOptions & { readonly dataDir: string; readonly type: Member['type'] | undefined },
): Member {
  const text = readMyid?.(dataDir).trim() ?? '';
  if (!/^\d{1,9}$/.test(text)) throw new ConfigError(`${dataDir}/myid: "${text}" is not the number of a server`);
  const member = ensemble.member(toServerId(Number(text)));
  if (member === undefined) throw new ConfigError(`${dataDir}/myid: ${file} has no server.${text}`);
  if (type !== undefined && type !== member.type) {
    throw new ConfigError(`${file}: peerType is ${type}, and server.${text} is ${member.type}`);
  }
  return member;
}

function peerType(setting: Setting): Member['type'] {
  const value = setting.value.toLowerCase();
  if (value !== 'participant' && value !== 'observer') {
    throw badSetting(setting, `"${setting.value}" is neither participant nor observer`);
  }
  return value;
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
  standaloneEnabled?: boolean;
  peerType?: Member['type'];
  /** False: the request throttle is off, whatever else is said of it (`request_throttle`). */
  requestThrottleEnabled?: boolean;
  throttle?: Partial<ConnectionThrottleLimits>;
  /** Of sessions in the connection throttle: they count when `weightsEnabled`. */
  weights?: Partial<SessionWeights>;
  weightsEnabled?: boolean;
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
  // A server alone has no use for them, here as in the original, whose sample configuration sets them.
  ['initLimit', (setting, draft) => (draft.initLimit = integer(setting, 1))],
  ['syncLimit', (setting, draft) => (draft.syncLimit = integer(setting, 1))],
  ['standaloneEnabled', (setting, draft) => (draft.standaloneEnabled = boolean(setting))],
  ['peerType', (setting, draft) => (draft.peerType = peerType(setting))],
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
  ['commitLogCount', (setting, draft) => (draft.commitLogCount = Math.max(integer(setting, 0), 1))],
  ['snapshotSizeFactor', (setting, draft) => (draft.snapshotSizeFactor = decimal(setting))],
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
  ['request_throttle', (setting, draft) => (draft.requestThrottleEnabled = isTrue(setting))],
  ['request_stale_connection_check', (setting, draft) => (draft.staleConnectionCheck = isTrue(setting))],
  ['request_stale_latency_check', (setting, draft) => (draft.staleLatencyCheck = isTrue(setting))],
  ['connection_throttle_tokens', (setting, draft) => setThrottle(draft, { tokens: integer(setting, 0) })],
  ['connection_throttle_fill_time', (setting, draft) => setThrottle(draft, { fillTimeMs: integer(setting, 1) })],
  ['connection_throttle_fill_count', (setting, draft) => setThrottle(draft, { fillCount: integer(setting, 1) })],
  ['connection_throttle_freeze_time', (setting, draft) => setThrottle(draft, { freezeTimeMs: integer(setting, -1) })],
  ['connection_throttle_drop_increase', (setting, draft) => setThrottle(draft, { dropIncrease: share(setting) })],
  ['connection_throttle_drop_decrease', (setting, draft) => setThrottle(draft, { dropDecrease: share(setting) })],
  ['connection_throttle_decrease_ratio', (setting, draft) => setThrottle(draft, { decreaseRatio: share(setting) })],
  ['connection_throttle_weight_enabled', (setting, draft) => (draft.weightsEnabled = isTrue(setting))],
  [
    'connection_throttle_global_session_weight',
    (setting, draft) => (draft.weights = { ...draft.weights, created: integer(setting, 1) }),
  ],
  [
    'connection_throttle_renew_session_weight',
    (setting, draft) => (draft.weights = { ...draft.weights, renewed: integer(setting, 1) }),
  ],
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
  ...OWN_LIMITS.map((key): [string, Known] => [
    key,
    (setting, draft) => (draft[key] = integer(setting, 1, Number.MAX_SAFE_INTEGER)),
  ]),
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

function setThrottle(draft: Draft, part: Partial<ConnectionThrottleLimits>): void {
  draft.throttle = { ...draft.throttle, ...part };
}

function decimal(setting: Setting): number {
  const value = Number(setting.value);
  if (setting.value === '' || !Number.isFinite(value)) throw badSetting(setting, `"${setting.value}" is not a number`);
  return value;
}

/** From 0 to 1. */
function share(setting: Setting): number {
  const value = Number(setting.value);
  if (setting.value === '' || !(value >= 0 && value <= 1)) {
    throw badSetting(setting, `"${setting.value}" is not a number from 0 to 1`);
  }
  return value;
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

function compression(setting: Setting): SnapshotCompression {
  switch (setting.value) {
    case '':
      return 'none';
    case 'gz':
    case 'snappy':
      return setting.value;
    default:
      throw badSetting(setting, `"${setting.value}" is neither gz nor snappy nor empty`);
  }
}

const bytesUnlessOff = (kib: number): number | undefined => (kib > 0 ? kib * 1024 : undefined);

/** -1 stands for the default. */
function setUnlessDefault(draft: Draft, key: 'minSessionTimeoutMs' | 'maxSessionTimeoutMs', value: number): void {
  if (value === -1) delete draft[key];
  else draft[key] = value;
}
