/** Arguments, checked at the call: what can't be right is refused before anything is sent, and named. */
import {
  type Acl,
  CreateMode,
  type CreateRequest,
  type CreateTtlRequest,
  hasTtl,
  InvalidPathError,
  isCreateMode,
  isSequential,
  NO_SESSION,
  OPEN_ACL,
  OpCode,
  PASSWORD_BYTES,
  type SessionId,
  validatePath,
  WatcherType,
} from 'zookeeper-protocol-ts';
import { InvalidArgumentError } from './errors.ts';
import type { Chroot } from './session/chroot.ts';
import type { Watcher } from './watch/watch-registry.ts';

/** How a znode is created. */
export interface CreateOptions {
  /**
   * Strings are sent as UTF-8. Empty by default. Bytes are not copied: they must not be changed before the call has settled.
   */
  readonly data?: Uint8Array | string | undefined;
  /** `CreateMode.PERSISTENT` by default. */
  readonly mode?: CreateMode | undefined;
  /** Open to everybody by default. */
  readonly acl?: readonly Acl[] | undefined;
  /** With the TTL modes, and only there: how long the znode stays unmodified and without children, ms. The server must allow it. */
  readonly ttlMs?: number | undefined;
}

/** How an ensemble is changed: by what joins and leaves, or as a whole. */
export interface ReconfigOptions {
  /** `server.4=host:2888:3888:participant;2181` for each server that joins, or changes. */
  readonly joining?: readonly string[] | undefined;
  /** The numbers of the servers that leave. */
  readonly leaving?: readonly string[] | undefined;
  /** All servers from now on, as `joining` has them; then there is no joining or leaving. */
  readonly newMembers?: readonly string[] | undefined;
  /** Refused with `BadVersionError` unless this is the version of the present configuration. Any version without it. */
  readonly fromConfig?: bigint | undefined;
}

/** 40 bits on disk. */
const TTL_MS_MAX = 0xff_ffff_ffff;
const EMPTY = Buffer.alloc(0);

export function checkPath(path: string, argument = 'path', { sequential = false } = {}): string {
  try {
    return validatePath(path, { sequential });
  } catch (cause) {
    if (!(cause instanceof InvalidPathError)) throw cause;
    throw new InvalidArgumentError(argument, cause.message, { path: cause.path, cause });
  }
}

/** -1, the wire's word for any version, if there is none. */
export function checkVersion(version: number | undefined, argument = 'version'): number {
  if (version === undefined) return -1;
  if (typeof version === 'number' && (version | 0) === version) return version;
  throw new InvalidArgumentError(argument, `${String(version)} is not a 32-bit integer`);
}

export function toBytes(data: Uint8Array | string | undefined, argument = 'data'): Uint8Array {
  if (data === undefined) return EMPTY;
  if (typeof data === 'string') return Buffer.from(data, 'utf8');
  if (data instanceof Uint8Array) return data;
  throw new InvalidArgumentError(argument, 'neither bytes nor a string');
}

export function checkAcl(acl: readonly Acl[], argument = 'acl'): readonly Acl[] {
  if (acl === OPEN_ACL) return acl;
  if (!Array.isArray(acl) || acl.length === 0)
    throw new InvalidArgumentError(argument, 'an ACL needs at least one entry');
  for (const [index, entry] of acl.entries()) checkAclEntry(entry, `${argument}[${index}]`);
  return acl;
}

function checkAclEntry(entry: Acl | undefined, argument: string): void {
  const perms: unknown = entry?.perms;
  if (typeof perms !== 'number' || !Number.isInteger(perms) || perms < 0 || perms > 31) {
    throw new InvalidArgumentError(`${argument}.perms`, `${String(perms)} is not a sum of Permissions, 0 to 31`);
  }
  const scheme: unknown = entry?.id?.scheme;
  if (typeof scheme !== 'string' || scheme === '')
    throw new InvalidArgumentError(`${argument}.id.scheme`, 'not a name');
  if (typeof entry?.id.id !== 'string') throw new InvalidArgumentError(`${argument}.id.id`, 'not a string');
}

export function checkMode(mode: CreateMode, argument = 'mode'): CreateMode {
  if (isCreateMode(mode)) return mode;
  throw new InvalidArgumentError(argument, `${String(mode)} is not a CreateMode`);
}

/** A time to live where the mode has one, and only there. */
export function checkTtl(mode: CreateMode, ttlMs: number | undefined, argument = 'ttlMs'): number | undefined {
  if (hasTtl(mode)) {
    if (ttlMs === undefined) throw new InvalidArgumentError(argument, 'this mode needs one');
    return checkMs(ttlMs, argument, { max: TTL_MS_MAX });
  }
  if (ttlMs !== undefined) throw new InvalidArgumentError(argument, 'only the TTL modes have one');
  return undefined;
}

export function checkWatcher(watcher: Watcher | undefined, { isRequired = false } = {}): Watcher | undefined {
  if (isRequired && watcher === undefined) throw new InvalidArgumentError('watcher', 'it is required');
  if (watcher === undefined || typeof watcher === 'function') return watcher;
  throw new InvalidArgumentError('watcher', 'not a function');
}

/** Anything that behaves like an `AbortSignal` will do. */
export function checkSignal(signal: AbortSignal | undefined): AbortSignal | undefined {
  if (signal === undefined) return undefined;
  if (typeof signal?.addEventListener === 'function' && typeof signal.aborted === 'boolean') return signal;
  throw new InvalidArgumentError('signal', 'not an AbortSignal');
}

export function checkBoolean(value: boolean | undefined, argument: string): void {
  if (value !== undefined && typeof value !== 'boolean') {
    throw new InvalidArgumentError(argument, `${String(value)} is neither true nor false`);
  }
}

/** An object that has these methods. */
export function checkMethods<Name extends string>(
  object: { readonly [name in Name]: unknown },
  argument: string,
  methods: readonly Name[],
): void {
  for (const method of methods) {
    if (typeof object?.[method] !== 'function') throw new InvalidArgumentError(argument, `it has no method ${method}`);
  }
}

/** The servers of a reconfig as the wire has them: null for none. An empty text would be a server without a name (CURATOR-583). */
export function toServerList(servers: readonly string[] | undefined, argument: string): string | null {
  if (servers === undefined) return null;
  if (!Array.isArray(servers) || servers.some((server) => typeof server !== 'string' || server === '')) {
    throw new InvalidArgumentError(argument, 'not a list of servers');
  }
  return servers.length === 0 ? null : servers.join(',');
}

/** A duration in ms: an integer from `min` on. */
export function checkMs(ms: number, argument: string, { min = 1, max = 0x7fff_ffff } = {}): number {
  if (Number.isInteger(ms) && ms >= min && ms <= max) return ms;
  throw new InvalidArgumentError(argument, `${String(ms)} is not a whole number of ms from ${min} to ${max}`);
}

/** A create as the wire has it; also one of a multi's operations. */
export type WireCreate =
  | { readonly type: typeof OpCode.create2 | typeof OpCode.createContainer; readonly request: CreateRequest }
  | { readonly type: typeof OpCode.createTTL; readonly request: CreateTtlRequest };

/**
 * The operation depends on the mode, as in ZooKeeper's Java client.
 * @param prefix of the arguments' names in messages
 */
export function toWireCreate(
  path: string,
  { data, mode = CreateMode.PERSISTENT, acl = OPEN_ACL, ttlMs }: CreateOptions,
  chroot: Chroot,
  prefix = '',
): WireCreate {
  checkMode(mode, `${prefix}mode`);
  const sequential = isSequential(mode);
  const request: CreateRequest = {
    path: chroot.toServer(checkPath(path, `${prefix}path`, { sequential }), { sequential }),
    data: toBytes(data, `${prefix}data`),
    acl: checkAcl(acl, `${prefix}acl`),
    flags: mode,
  };
  const ttl = checkTtl(mode, ttlMs, `${prefix}ttlMs`);
  if (ttl !== undefined) return { type: OpCode.createTTL, request: { ...request, ttlMs: ttl } };
  return { type: mode === CreateMode.CONTAINER ? OpCode.createContainer : OpCode.create2, request };
}

const watcherTypes: ReadonlySet<WatcherType> = new Set(Object.values(WatcherType));

export function checkWatcherType(type: WatcherType): void {
  if (!watcherTypes.has(type)) throw new InvalidArgumentError('type', `${String(type)} is not a WatcherType`);
}

export function checkSession({ id, password }: { id: SessionId; password: Uint8Array }): {
  id: SessionId;
  password: Buffer;
} {
  if (typeof id !== 'bigint' || id === NO_SESSION) throw new InvalidArgumentError('session.id', 'not a session id');
  if (!(password instanceof Uint8Array)) throw new InvalidArgumentError('session.password', 'not bytes');
  if (password.length !== PASSWORD_BYTES) {
    throw new InvalidArgumentError(
      'session.password',
      `${password.length} bytes where a password has ${PASSWORD_BYTES}`,
    );
  }
  return { id, password: Buffer.from(password) };
}

export function checkFrameBytesMax(bytes: number): number {
  if (Number.isInteger(bytes) && bytes >= 1024 && bytes <= 0x7fff_ffff) return bytes;
  throw new InvalidArgumentError('frameBytesMax', `${String(bytes)} is not a whole number of bytes from 1024 on`);
}
