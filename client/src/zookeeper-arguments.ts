/** Arguments of `ZooKeeper`'s methods, checked at the call: what can't be right is refused before anything is sent. */
import {
  type Acl,
  CreateMode,
  type CreateRequest,
  type CreateTtlRequest,
  hasTtl,
  InvalidPathError,
  isCreateMode,
  isSequential,
  OPEN_ACL,
  OpCode,
  validatePath,
} from 'zookeeper-protocol-ts';
import { InvalidArgumentError } from './errors.ts';
import type { Chroot } from './session/chroot.ts';

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
  if (!Array.isArray(acl) || acl.length === 0)
    throw new InvalidArgumentError(argument, 'an ACL needs at least one entry');
  return acl;
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
  if (!isCreateMode(mode)) throw new InvalidArgumentError(`${prefix}mode`, `${String(mode)} is not a CreateMode`);
  const sequential = isSequential(mode);
  const request: CreateRequest = {
    path: chroot.toServer(checkPath(path, `${prefix}path`, { sequential }), { sequential }),
    data: toBytes(data, `${prefix}data`),
    acl: checkAcl(acl, `${prefix}acl`),
    flags: mode,
  };
  if (hasTtl(mode)) {
    if (ttlMs === undefined) throw new InvalidArgumentError(`${prefix}ttlMs`, 'this mode needs one');
    const ttl = checkMs(ttlMs, `${prefix}ttlMs`, { max: TTL_MS_MAX });
    return { type: OpCode.createTTL, request: { ...request, ttlMs: ttl } };
  }
  if (ttlMs !== undefined) throw new InvalidArgumentError(`${prefix}ttlMs`, 'only the TTL modes have one');
  return { type: mode === CreateMode.CONTAINER ? OpCode.createContainer : OpCode.create2, request };
}
