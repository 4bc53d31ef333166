import {
  type DeleteRequest,
  ErrorCode,
  OpCode,
  Permission,
  parentOf,
  type SessionId,
  type TxnBody,
  type Zxid,
} from 'zookeeper-protocol-ts';
import { CONTAINER_OWNER, ttlOf } from '../tree/owner.ts';
import { ANY_VERSION, mayDo, type Outlook, type Refusal } from './outlook.ts';
import { changed, type OutstandingChanges, type ZnodeOutlook } from './outstanding-changes.ts';
import type { Request } from './request.ts';

/** Znodes that are part of every tree. */
const PERMANENT = new Set(['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config']);

/** A client's delete. The permission is the parent's, and asked for before anything is said of the znode. */
export function prepareDelete(
  request: Request,
  { path, version }: DeleteRequest,
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
export function prepareDeleteContainer(path: string, { zxid, changes }: Outlook): TxnBody | Refusal {
  const node = changes.get(path);
  const parent = changes.get(parentOf(path));
  if (node === undefined || parent === undefined) return { refused: ErrorCode.NO_NODE };
  if (node.owner !== CONTAINER_OWNER && ttlOf(node.owner) === undefined) return { refused: ErrorCode.BAD_ARGUMENTS };
  if (node.numChildren > 0) return { refused: ErrorCode.NOT_EMPTY };
  putDeleted(zxid, parent, node, changes);
  return { type: OpCode.deleteContainer, path };
}

/** The end of a session, with all the ephemerals that it will own by then. */
export function prepareCloseSession(sessionId: SessionId, { zxid, changes }: Outlook): TxnBody {
  const paths = changes.ephemeralsOf(sessionId);
  for (const path of paths) {
    const node = changes.get(path);
    const parent = changes.get(parentOf(path));
    if (node !== undefined && parent !== undefined) putDeleted(zxid, parent, node, changes);
  }
  return { type: OpCode.closeSession, paths };
}

function putDeleted(zxid: Zxid, parent: ZnodeOutlook, node: ZnodeOutlook, changes: OutstandingChanges): void {
  changes.put(zxid, changed(parent, { numChildren: parent.numChildren - 1 }));
  changes.put(zxid, changed(node, { exists: false }));
}
