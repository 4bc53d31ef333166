import {
  CreateMode,
  type CreateRequest,
  ErrorCode,
  type Id,
  isCreateMode,
  isEphemeral,
  isSequential,
  MarshallingError,
  OpCode,
  operations,
  Permission,
  parentOf,
  pathProblem,
  type SessionId,
  sequenceSuffix,
  type TxnBody,
  type Zxid,
} from 'zookeeper-protocol-ts';
import { CONTAINER_OWNER, ttlOf } from '../tree/owner.ts';
import { fixupAcl, isAllowed } from '../tree/permissions.ts';
import { created, isEphemeralOutlook, type OutstandingChanges, type ZnodeOutlook } from './outstanding-changes.ts';
import type { Request } from './request.ts';

/** A write that can't be done, with the code that the client gets. Expected, so a value and not a throw. */
interface Refusal {
  readonly refused: ErrorCode;
}

/** What a write is checked against. */
export interface Outlook {
  /** The zxid that the transaction will have. */
  readonly zxid: Zxid;
  readonly changes: OutstandingChanges;
  /** Whether a session may still write: known, and not about to be closed. */
  isOpen(session: SessionId): boolean;
}

/**
 * Turns a write into a transaction that says what will be, checked against the tree as it will be when everything proposed
 * before has been applied (the original's PrepRequestProcessor, with its order of checks). A refused write becomes an error
 * transaction: it takes a zxid and is logged, as in the original.
 */
export function prepare(request: Request, outlook: Outlook): TxnBody {
  const mark = outlook.changes.mark();
  const outcome = prepareChecked(request, outlook);
  if (!('refused' in outcome)) return outcome;
  outlook.changes.rollBack(mark);
  return { type: OpCode.error, err: outcome.refused };
}

function prepareChecked(request: Request, outlook: Outlook): TxnBody | Refusal {
  try {
    switch (request.type) {
      case OpCode.create:
      case OpCode.create2:
      case OpCode.createContainer:
        return prepareCreate(request, operations.create.request.read(request.body), outlook);
      case OpCode.delete:
        return prepareDelete(request, operations.delete.request.read(request.body), outlook);
      case OpCode.deleteContainer:
        return prepareDeleteContainer(request.body.readRequiredString('path'), outlook);
      case OpCode.setData:
        return prepareSetData(request, operations.setData.request.read(request.body), outlook);
      case OpCode.createSession:
        return { type: OpCode.createSession, timeoutMs: request.body.readInt() };
      case OpCode.closeSession:
        return prepareCloseSession(request.sessionId, outlook);
      default:
        return { refused: outlook.isOpen(request.sessionId) ? ErrorCode.UNIMPLEMENTED : ErrorCode.SESSION_EXPIRED };
    }
  } catch (error) {
    if (error instanceof MarshallingError) return { refused: ErrorCode.MARSHALLING_ERROR };
    throw error;
  }
}

function prepareCreate(request: Request, create: CreateRequest, { zxid, changes, isOpen }: Outlook): TxnBody | Refusal {
  const mode = modeOf(request.type, create.flags);
  if (mode === undefined) return { refused: ErrorCode.BAD_ARGUMENTS };
  if (!isOpen(request.sessionId)) return { refused: ErrorCode.SESSION_EXPIRED };
  if (!create.path.includes('/') || create.path.includes('\0')) return { refused: ErrorCode.BAD_ARGUMENTS };
  const acl = fixupAcl(create.acl, identitiesOf(request));
  if (acl === undefined) return { refused: ErrorCode.INVALID_ACL };
  const parent = changes.get(parentOf(create.path));
  if (parent === undefined) return { refused: ErrorCode.NO_NODE };
  if (!mayDo(request, parent, Permission.CREATE)) return { refused: ErrorCode.NO_AUTH };
  const path = isSequential(mode) ? create.path + sequenceSuffix(parent.cversion) : create.path;
  if (pathProblem(path) !== undefined) return { refused: ErrorCode.BAD_ARGUMENTS };
  if (changes.get(path) !== undefined) return { refused: ErrorCode.NODE_EXISTS };
  if (isEphemeralOutlook(parent)) return { refused: ErrorCode.NO_CHILDREN_FOR_EPHEMERALS };

  const ephemeral = isEphemeral(mode);
  const owner = ephemeral ? request.sessionId : mode === CreateMode.CONTAINER ? CONTAINER_OWNER : 0n;
  const parentCversion = (parent.cversion + 1) | 0;
  changes.put(zxid, { ...parent, cversion: parentCversion, numChildren: parent.numChildren + 1 });
  changes.put(zxid, created(path, owner, acl));
  const common = { path, data: create.data, acl, parentCversion };
  if (mode === CreateMode.CONTAINER) return { type: OpCode.createContainer, ...common };
  return { type: request.type === OpCode.create ? OpCode.create : OpCode.create2, ...common, ephemeral };
}

/** The mode that an operation and its flags mean together, or undefined if they don't fit. */
function modeOf(type: number, flags: number): CreateMode | undefined {
  if (!isCreateMode(flags)) return undefined;
  if (type === OpCode.createContainer) return flags === CreateMode.CONTAINER ? flags : undefined;
  // The original takes `create` with the flag of a container and makes an ordinary znode.
  if (flags === CreateMode.CONTAINER) return CreateMode.PERSISTENT;
  return flags <= CreateMode.EPHEMERAL_SEQUENTIAL ? flags : undefined;
}

/** Znodes that are part of every tree. */
const PERMANENT = new Set(['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config']);

function prepareDelete(
  request: Request,
  { path, version }: { path: string; version: number },
  { zxid, changes, isOpen }: Outlook,
): TxnBody | Refusal {
  if (!isOpen(request.sessionId)) return { refused: ErrorCode.SESSION_EXPIRED };
  if (!path.includes('/') || path.includes('\0') || PERMANENT.has(path)) return { refused: ErrorCode.BAD_ARGUMENTS };
  const parent = changes.get(parentOf(path));
  if (parent === undefined) return { refused: ErrorCode.NO_NODE };
  if (!mayDo(request, parent, Permission.DELETE)) return { refused: ErrorCode.NO_AUTH };
  const node = changes.get(path);
  if (node === undefined) return { refused: ErrorCode.NO_NODE };
  if (version !== ANY_VERSION && version !== node.version) return { refused: ErrorCode.BAD_VERSION };
  if (node.numChildren > 0) return { refused: ErrorCode.NOT_EMPTY };
  putDeleted(zxid, parent, node, changes);
  return { type: OpCode.delete, path };
}

/** The reaper's own delete: only what is still an empty container, or without children at the end of its time. */
function prepareDeleteContainer(path: string, { zxid, changes }: Outlook): TxnBody | Refusal {
  const node = changes.get(path);
  const parent = changes.get(parentOf(path));
  if (node === undefined || parent === undefined) return { refused: ErrorCode.NO_NODE };
  if (node.owner !== CONTAINER_OWNER && ttlOf(node.owner) === undefined) return { refused: ErrorCode.BAD_ARGUMENTS };
  if (node.numChildren > 0) return { refused: ErrorCode.NOT_EMPTY };
  putDeleted(zxid, parent, node, changes);
  return { type: OpCode.deleteContainer, path };
}

function putDeleted(zxid: Zxid, parent: ZnodeOutlook, node: ZnodeOutlook, changes: OutstandingChanges): void {
  changes.put(zxid, { ...parent, numChildren: parent.numChildren - 1 });
  changes.put(zxid, { ...node, exists: false });
}

function prepareSetData(
  request: Request,
  { path, data, version }: { path: string; data: Uint8Array | null; version: number },
  { zxid, changes, isOpen }: Outlook,
): TxnBody | Refusal {
  if (!isOpen(request.sessionId)) return { refused: ErrorCode.SESSION_EXPIRED };
  if (pathProblem(path) !== undefined) return { refused: ErrorCode.BAD_ARGUMENTS };
  const node = changes.get(path);
  if (node === undefined) return { refused: ErrorCode.NO_NODE };
  if (!mayDo(request, node, Permission.WRITE)) return { refused: ErrorCode.NO_AUTH };
  if (version !== ANY_VERSION && version !== node.version) return { refused: ErrorCode.BAD_VERSION };
  const next = (node.version + 1) | 0;
  changes.put(zxid, { ...node, version: next });
  return { type: OpCode.setData, path, data, version: next };
}

function prepareCloseSession(sessionId: SessionId, { zxid, changes }: Outlook): TxnBody {
  const paths = changes.ephemeralsOf(sessionId);
  for (const path of paths) {
    const node = changes.get(path);
    const parent = changes.get(parentOf(path));
    if (node !== undefined && parent !== undefined) putDeleted(zxid, parent, node, changes);
  }
  return { type: OpCode.closeSession, paths };
}

const ANY_VERSION = -1;

const NOBODY: readonly Id[] = [];

const identitiesOf = (request: Request): readonly Id[] => request.origin?.identities ?? NOBODY;

const mayDo = (request: Request, node: ZnodeOutlook, permission: number): boolean =>
  isAllowed(node.acl, permission, identitiesOf(request));
