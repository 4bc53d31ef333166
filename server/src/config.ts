import { FRAME_BYTES_MAX_DEFAULT } from 'zookeeper-protocol-ts';
import { PropertySyntaxError, readProperties } from './config-properties.ts';
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
  /** The unit of time: sessions expire in steps of it. Default: 3000. */
  readonly tickTimeMs: Millis;
  /** The shortest session timeout that a client can have. Default: 2 ticks. */
  readonly minSessionTimeoutMs: Millis;
  /** The longest. Default: 20 ticks. */
  readonly maxSessionTimeoutMs: Millis;
  /** Connections from one address at a time; 0 for any number. Default: 60. */
  readonly maxClientCnxns: number;
  /** How long a connection may stay without a session (`nio.sessionlessCnxnTimeout`). Default: 10 000. */
  readonly sessionlessTimeoutMs: Millis;
  /** The largest request accepted (`jute.maxbuffer`), in bytes. Default: 1 048 575. */
  readonly frameBytesMax: number;
  /** The four-letter words that are answered (`4lw.commands.whitelist`); `*` stands for all. Default: srvr. */
  readonly fourLetterWords: ReadonlySet<string>;
  /** A log file grows by so many bytes at a time (`preAllocSize`, there in KiB); 0 turns it off. Default: 64 MiB. */
  readonly preallocateBytes: number;
  /** How often containers and TTL znodes are looked through (`znode.container.checkIntervalMs`). Default: 60 000. */
  readonly containerCheckIntervalMs: Millis;
}

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
    tickTimeMs,
    minSessionTimeoutMs: options.minSessionTimeoutMs ?? tickTimeMs * 2,
    maxSessionTimeoutMs: options.maxSessionTimeoutMs ?? tickTimeMs * 20,
    maxClientCnxns: options.maxClientCnxns ?? 60,
    sessionlessTimeoutMs: options.sessionlessTimeoutMs ?? 10_000,
    frameBytesMax: options.frameBytesMax ?? FRAME_BYTES_MAX_DEFAULT,
    fourLetterWords: options.fourLetterWords ?? new Set(['srvr']),
    preallocateBytes: options.preallocateBytes ?? PREALLOCATE_BYTES_DEFAULT,
    containerCheckIntervalMs: options.containerCheckIntervalMs ?? 60_000,
  };
  requireWithin('clientPort', config.clientPort, 0, 65_535);
  requireWithin('serverId', config.serverId, 0, 255);
  for (const key of ['tickTimeMs', 'sessionlessTimeoutMs', 'containerCheckIntervalMs', 'frameBytesMax'] as const) {
    requireWithin(key, config[key], 1, INT_MAX);
  }
  for (const key of ['minSessionTimeoutMs', 'maxSessionTimeoutMs', 'maxClientCnxns'] as const) {
    requireWithin(key, config[key], 0, INT_MAX);
  }
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
  /** One line for each setting that this version doesn't know, with its place. */
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
  const take = (setting: Setting): void => {
    places.set(setting.key, setting.place);
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

  const { dataDir, clientPort, ...rest } = draft;
  if (dataDir === undefined) throw new ConfigError(`${file}: dataDir is not set`);
  if (clientPort === undefined) throw new ConfigError(`${file}: clientPort is not set`);
  try {
    return { config: completeConfig({ dataDir, clientPort, ...rest }), warnings, places };
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
type Draft = { -readonly [Key in keyof ServerConfig]?: ServerConfig[Key] };

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
  // Of an ensemble; a server alone has no use for them, here as in the original, whose sample configuration sets them.
  ['initLimit', (setting) => integer(setting, 0)],
  ['syncLimit', (setting) => integer(setting, 0)],
]);

/** Keys that are system properties of the original, which zoo.cfg may set as well. */
const PROPERTY_KEYS: ReadonlyMap<string, Known> = new Map<string, Known>([
  ['4lw.commands.whitelist', (setting, draft) => (draft.fourLetterWords = words(setting))],
  ['preAllocSize', (setting, draft) => (draft.preallocateBytes = integer(setting, 0) * 1024)],
  ['jute.maxbuffer', (setting, draft) => (draft.frameBytesMax = integer(setting, 1))],
  ['nio.sessionlessCnxnTimeout', (setting, draft) => (draft.sessionlessTimeoutMs = integer(setting, 1))],
  ['znode.container.checkIntervalMs', (setting, draft) => (draft.containerCheckIntervalMs = integer(setting, 1))],
]);

/** System properties that the original reads without the prefix `zookeeper.`. */
const UNPREFIXED = /^(jute|znode\.container|readonlymode)\./;

/** Settings that would start something else than was asked for, if they were ignored. */
function problemOf({ key, value }: Setting): string | undefined {
  const isEnsemble =
    /^(server|group|weight)\./.test(key) ||
    key === 'dynamicConfigFile' ||
    (key === 'standaloneEnabled' && value !== 'true') ||
    (key === 'peerType' && value !== 'participant');
  if (isEnsemble) return 'ensembles are not there yet: this version runs one server alone';
  if (/^secureClientPort(Address)?$/.test(key))
    return 'TLS is not there yet: clients would not find the port they expect';
  const asksForAuthentication =
    (/^(sessionRequireClientSASLAuth|enforce\.auth\.enabled)$/.test(key) && value !== 'false') ||
    key === 'requireClientAuthScheme';
  if (asksForAuthentication) return 'not there yet: the server would let in clients that it should refuse';
  return undefined;
}

/** Takes one setting; returns why it has no effect, if it has none. */
function apply(setting: Setting, draft: Draft): string | undefined {
  const problem = problemOf(setting);
  if (problem !== undefined) throw badSetting(setting, problem);
  const known =
    PROPERTY_KEYS.get(setting.key) ?? (setting.isSystemProperty ? undefined : ZOO_CFG_KEYS.get(setting.key));
  if (known === undefined) {
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

/** Decimal, or hexadecimal behind `0x`, within the limits. */
function integer(setting: Setting, min: number, max: number = INT_MAX): number {
  if (!/^([+-]?\d+|0[xX][0-9a-fA-F]+)$/.test(setting.value)) {
    throw badSetting(setting, `"${setting.value}" is not a whole number`);
  }
  const value = Number(setting.value);
  if (value < min || value > max) throw badSetting(setting, `${value} is not between ${min} and ${max}`);
  return value;
}

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

/** -1 stands for the default. */
function setUnlessDefault(draft: Draft, key: 'minSessionTimeoutMs' | 'maxSessionTimeoutMs', value: number): void {
  if (value === -1) delete draft[key];
  else draft[key] = value;
}

function requireWithin(key: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new ConfigError(`${key}: ${value} is not a whole number between ${min} and ${max}`);
}
