import {
  type CheckVersionRequest,
  ErrorCode,
  OpCode,
  Permission,
  pathProblem,
  type SetAclRequest,
  type SetDataRequest,
  type TxnBody,
} from 'zookeeper-protocol-ts';
import { fixupAcl } from '../tree/permissions.ts';
import { ANY_VERSION, mayDo, type Outlook, principalOf, type Refusal } from './outlook.ts';
import { changed } from './outstanding-changes.ts';
import type { Request } from './request.ts';

/** Writes to a znode that exists. Each order of checks is the original's, and visible in the codes. */

export function prepareSetData(
  request: Request,
  { path, data, version }: SetDataRequest,
  { zxid, changes, quotas, rules, isOpen }: Outlook,
): TxnBody | Refusal {
  if (!isOpen(request.sessionId)) return { refused: ErrorCode.SESSION_EXPIRED };
  if (pathProblem(path) !== undefined) return { refused: ErrorCode.BAD_ARGUMENTS };
  const node = changes.get(path);
  if (node === undefined) return { refused: ErrorCode.NO_NODE };
  if (!mayDo(request, node, Permission.WRITE)) return { refused: ErrorCode.NO_AUTH };
  const dataLength = data?.length ?? 0;
  if (!quotas.isEmpty) {
    const added = { bytes: dataLength - node.dataLength, count: 0 };
    const verdict = quotas.check(path, added, { enforced: rules.enforceQuota });
    if (verdict !== ErrorCode.OK) return { refused: verdict };
  }
  if (version !== ANY_VERSION && version !== node.version) return { refused: ErrorCode.BAD_VERSION };
  const next = (node.version + 1) | 0;
  changes.put(zxid, changed(node, { version: next, dataLength }));
  return { type: OpCode.setData, path, data, version: next };
}

/** The version is that of the ACL, which counts for itself. */
export function prepareSetAcl(
  request: Request,
  { path, acl, version }: SetAclRequest,
  { zxid, changes, isOpen }: Outlook,
): TxnBody | Refusal {
  if (!isOpen(request.sessionId)) return { refused: ErrorCode.SESSION_EXPIRED };
  if (pathProblem(path) !== undefined) return { refused: ErrorCode.BAD_ARGUMENTS };
  const fixed = fixupAcl(acl, principalOf(request).identities);
  if (fixed === undefined) return { refused: ErrorCode.INVALID_ACL };
  const node = changes.get(path);
  if (node === undefined) return { refused: ErrorCode.NO_NODE };
  if (!mayDo(request, node, Permission.ADMIN)) return { refused: ErrorCode.NO_AUTH };
  if (version !== ANY_VERSION && version !== node.aversion) return { refused: ErrorCode.BAD_VERSION };
  const next = (node.aversion + 1) | 0;
  changes.put(zxid, changed(node, { acl: fixed, aversion: next }));
  return { type: OpCode.setACL, path, acl: fixed, version: next };
}

/**
 * Changes nothing: in a multi it makes the rest depend on a version.
 */
export function prepareCheck(
  request: Request,
  { path, version }: CheckVersionRequest,
  { changes, isOpen }: Outlook,
): TxnBody | Refusal {
  if (!isOpen(request.sessionId)) return { refused: ErrorCode.SESSION_EXPIRED };
  if (pathProblem(path) !== undefined) return { refused: ErrorCode.BAD_ARGUMENTS };
  const node = changes.get(path);
  if (node === undefined) return { refused: ErrorCode.NO_NODE };
  if (!mayDo(request, node, Permission.READ)) return { refused: ErrorCode.NO_AUTH };
  if (version !== ANY_VERSION && version !== node.version) return { refused: ErrorCode.BAD_VERSION };
  // Like a version afterwards, which is what the original's log has here.
  return { type: OpCode.check, path, version: (node.version + 1) | 0 };
}
