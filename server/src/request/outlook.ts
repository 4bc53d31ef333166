import type { ErrorCode, SessionId, Zxid } from 'zookeeper-protocol-ts';
import { isAllowed, type Principal } from '../tree/permissions.ts';
import type { Quotas } from '../tree/quota.ts';
import type { OutstandingChanges, ZnodeOutlook } from './outstanding-changes.ts';
import type { Request } from './request.ts';

/** What a write is checked against. */
export interface Outlook {
  /** The zxid that the transaction will have. */
  readonly zxid: Zxid;
  readonly changes: OutstandingChanges;
  readonly quotas: Quotas;
  readonly rules: WriteRules;
  /** Whether a session may still write: known, and not about to be closed. */
  isOpen(session: SessionId): boolean;
}

/** What the configuration says about writes; the names are those of the original's settings. */
export interface WriteRules {
  /** Whether there may be znodes with a time to live. */
  readonly extendedTypesEnabled: boolean;
  /** Whether a hard quota refuses what exceeds it. */
  readonly enforceQuota: boolean;
  readonly reconfigEnabled: boolean;
}

/** A write that can't be done, with the code that the client gets. Expected, so a value and not a throw. */
export interface Refusal {
  readonly refused: ErrorCode;
}

/** Of a request that names the version that it is based on: any will do. */
export const ANY_VERSION = -1;

/** The server itself, which asks for nothing that needs a permission. */
const NOBODY: Principal = { identities: [], isSuperuser: false };

/** In whose name a write is asked for. */
export const principalOf = (request: Request): Principal => request.origin ?? NOBODY;

/** Whether who asks has a permission on a znode as it will be. */
export const mayDo = (request: Request, node: ZnodeOutlook, permission: number): boolean =>
  isAllowed(node.acl, permission, principalOf(request));
