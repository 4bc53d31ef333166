import {
  type CreateMode,
  type CreateRequest,
  type CreateTtlRequest,
  ErrorCode,
  hasTtl,
  isCreateMode,
  isEphemeral,
  isSequential,
  OpCode,
  Permission,
  parentOf,
  pathProblem,
  sequenceSuffix,
  type TxnBody,
} from 'zookeeper-protocol-ts';
import { CONTAINER_OWNER, NO_OWNER, TTL_MS_MAX, ttlOwner } from '../tree/owner.ts';
import { fixupAcl } from '../tree/permissions.ts';
import { mayDo, type Outlook, principalOf, type Refusal } from './outlook.ts';
import { changed, created, isEphemeralOutlook } from './outstanding-changes.ts';
import type { Request } from './request.ts';

/** The operations that create a znode; they differ in what the flags may be, and in the transaction. */
export type CreateOpCode =
  | typeof OpCode.create
  | typeof OpCode.create2
  | typeof OpCode.createContainer
  | typeof OpCode.createTTL;

/** A create of any kind; the order of the checks is the original's, and visible in the codes. */
export function prepareCreate(
  request: Request,
  type: CreateOpCode,
  create: CreateRequest | CreateTtlRequest,
  { zxid, changes, quotas, rules, isOpen }: Outlook,
): TxnBody | Refusal {
  const { flags, data } = create;
  if (!isCreateMode(flags)) return { refused: ErrorCode.BAD_ARGUMENTS };
  if (hasTtl(flags) && !rules.extendedTypesEnabled) return { refused: ErrorCode.UNIMPLEMENTED };
  const ttlMs = type === OpCode.createTTL && 'ttlMs' in create ? create.ttlMs : undefined;
  if (!isTtlValid(flags, ttlMs)) return { refused: ErrorCode.BAD_ARGUMENTS };
  if (!isOpen(request.sessionId)) return { refused: ErrorCode.SESSION_EXPIRED };
  if (!create.path.includes('/') || create.path.includes('\0')) return { refused: ErrorCode.BAD_ARGUMENTS };
  const acl = fixupAcl(create.acl, principalOf(request).identities);
  if (acl === undefined) return { refused: ErrorCode.INVALID_ACL };
  const parent = changes.get(parentOf(create.path));
  if (parent === undefined) return { refused: ErrorCode.NO_NODE };
  if (!mayDo(request, parent, Permission.CREATE)) return { refused: ErrorCode.NO_AUTH };
  const path = isSequential(flags) ? create.path + sequenceSuffix(parent.cversion) : create.path;
  if (pathProblem(path) !== undefined) return { refused: ErrorCode.BAD_ARGUMENTS };
  if (changes.get(path) !== undefined) return { refused: ErrorCode.NODE_EXISTS };
  if (isEphemeralOutlook(parent)) return { refused: ErrorCode.NO_CHILDREN_FOR_EPHEMERALS };
  const bytes = data?.length ?? 0;
  if (!quotas.isEmpty) {
    const verdict = quotas.check(path, { bytes, count: 1 }, { enforced: rules.enforceQuota });
    if (verdict !== ErrorCode.OK) return { refused: verdict };
  }

  const parentCversion = (parent.cversion + 1) | 0;
  const added = { path, data, acl, parentCversion };
  const ephemeral = isEphemeral(flags) && type !== OpCode.createContainer;
  changes.put(zxid, changed(parent, { cversion: parentCversion, numChildren: parent.numChildren + 1 }));
  changes.put(zxid, created(path, { owner: ownerOf(request, type, ephemeral, ttlMs), acl, dataLength: bytes }));
  if (type === OpCode.createContainer) return { type, ...added };
  // Only createTTL has one, and it always has one.
  if (ttlMs !== undefined) return { type: OpCode.createTTL, ...added, ttlMs };
  return { type: type === OpCode.create2 ? type : OpCode.create, ...added, ephemeral };
}

/** A time to live goes with its two modes and no other, and these two only with createTTL. */
const isTtlValid = (mode: CreateMode, ttlMs: number | undefined): boolean =>
  hasTtl(mode) ? ttlMs !== undefined && ttlMs > 0 && ttlMs <= TTL_MS_MAX : ttlMs === undefined;

/**
 * What the raw owner field will be. The operation decides, as in the original: createContainer makes a container of any mode
 * without a time to live, and the flag of a container with another operation is an ordinary znode.
 */
function ownerOf(request: Request, type: CreateOpCode, ephemeral: boolean, ttlMs: number | undefined): bigint {
  if (type === OpCode.createContainer) return CONTAINER_OWNER;
  if (ttlMs !== undefined) return ttlOwner(ttlMs);
  return ephemeral ? request.sessionId : NO_OWNER;
}
