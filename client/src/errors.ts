/**
 * What a call can fail with. `instanceof` and `code` both work; the codes are the names of `ErrorCode` (`'NO_NODE'`), and a
 * few of the client's own. Three families, which callers must tell apart:
 *
 * - **Refused**: the server answered, and nothing happened (`NoNodeError`, `BadVersionError`, …); or the client refused before
 *   anything was sent (`InvalidArgumentError`, `InvalidConnectStringError`).
 * - **Outcome unknown**: no answer came. The request may have been applied, may still be, or may never be
 *   (`ConnectionLossError`, `OperationTimeoutError`, an aborted signal). A read can be repeated; a write only if it is
 *   conditional, or if its effect can be looked up.
 * - **The session is over** (`SessionExpiredError`, `ClientClosedError`, `AuthFailedError`): its ephemerals and watches are gone or
 *   will go. For calls that were under way, the outcome is unknown as well.
 *
 * ZooKeeper's `KeeperException`.
 */
import { ErrorCode, errorCodeName } from 'zookeeper-protocol-ts';

export interface ErrorDetails {
  /** The path as the caller gave it: without the chroot. */
  readonly path?: string | undefined;
  readonly cause?: unknown;
  readonly code?: string;
  readonly operationCodes?: readonly string[] | undefined;
}

/** The root of all that this package throws. Itself thrown only for a code that this version doesn't know. */
export class ZooKeeperError extends Error {
  override readonly name: string = 'ZooKeeperError';
  /** A name of `ErrorCode`, one of the client's own, or the number of an unknown code. */
  readonly code: string;
  readonly path: string | undefined;
  /**
   * Of a multi that was refused, what the server said of each of its operations, in their order: `'OK'` for those before the one
   * that failed, its own code, and `'RUNTIME_INCONSISTENCY'` for those behind it. None of them was applied.
   */
  readonly operationCodes: readonly string[] | undefined;

  constructor(message: string, { path, cause, code = 'UNKNOWN', operationCodes }: ErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.path = path;
    this.operationCodes = operationCodes;
  }
}

// Refused by the server.

/** The znode does not exist; for create, its parent. */
export class NoNodeError extends ZooKeeperError {
  override readonly name = 'NoNodeError';
  override readonly code = 'NO_NODE';
}

/** The znode to be created exists. */
export class NodeExistsError extends ZooKeeperError {
  override readonly name = 'NodeExistsError';
  override readonly code = 'NODE_EXISTS';
}

/** The znode is at another version than the one asked for. */
export class BadVersionError extends ZooKeeperError {
  override readonly name = 'BadVersionError';
  override readonly code = 'BAD_VERSION';
}

/** The znode to be deleted has children. */
export class NotEmptyError extends ZooKeeperError {
  override readonly name = 'NotEmptyError';
  override readonly code = 'NOT_EMPTY';
}

/** The ACL does not permit it to the identities of this connection. */
export class NoAuthError extends ZooKeeperError {
  override readonly name = 'NoAuthError';
  override readonly code = 'NO_AUTH';
}

/** An ephemeral znode can't have children. */
export class NoChildrenForEphemeralsError extends ZooKeeperError {
  override readonly name = 'NoChildrenForEphemeralsError';
  override readonly code = 'NO_CHILDREN_FOR_EPHEMERALS';
}

/** The ACL is empty, or names an identity that the server can't check. */
export class InvalidAclError extends ZooKeeperError {
  override readonly name = 'InvalidAclError';
  override readonly code = 'INVALID_ACL';
}

/** The server does not know the operation, or it is switched off there (TTL znodes by default). */
export class UnimplementedError extends ZooKeeperError {
  override readonly name = 'UnimplementedError';
  override readonly code = 'UNIMPLEMENTED';
}

/** The server found an argument that makes no sense. */
export class BadArgumentsError extends ZooKeeperError {
  override readonly name = 'BadArgumentsError';
  override readonly code = 'BAD_ARGUMENTS';
}

/** The bytes are not what the protocol says: the server refused the request, or the client could not read the reply. */
export class MarshallingFailedError extends ZooKeeperError {
  override readonly name = 'MarshallingFailedError';
  override readonly code = 'MARSHALLING_ERROR';
}

/** In a failed multi: an operation behind the one that failed. */
export class RuntimeInconsistencyError extends ZooKeeperError {
  override readonly name = 'RuntimeInconsistencyError';
  override readonly code = 'RUNTIME_INCONSISTENCY';
}

/** The server has lost its quorum and only answers reads. */
export class NotReadOnlyError extends ZooKeeperError {
  override readonly name = 'NotReadOnlyError';
  override readonly code = 'NOT_READ_ONLY';
}

/** A local session can't own ephemerals. */
export class EphemeralOnLocalSessionError extends ZooKeeperError {
  override readonly name = 'EphemeralOnLocalSessionError';
  override readonly code = 'EPHEMERAL_ON_LOCAL_SESSION';
}

/** This connection has no such watch. */
export class NoWatcherError extends ZooKeeperError {
  override readonly name = 'NoWatcherError';
  override readonly code = 'NO_WATCHER';
}

/** A hard quota on the path would be exceeded. */
export class QuotaExceededError extends ZooKeeperError {
  override readonly name = 'QuotaExceededError';
  override readonly code = 'QUOTA_EXCEEDED';
}

/** The server is overloaded and dropped the request without executing it. */
export class ThrottledOpError extends ZooKeeperError {
  override readonly name = 'ThrottledOpError';
  override readonly code = 'THROTTLED_OP';
}

/** The servers are not set up to be reconfigured. */
export class ReconfigDisabledError extends ZooKeeperError {
  override readonly name = 'ReconfigDisabledError';
  override readonly code = 'RECONFIG_DISABLED';
}

/** Another reconfiguration is under way. */
export class ReconfigInProgressError extends ZooKeeperError {
  override readonly name = 'ReconfigInProgressError';
  override readonly code = 'RECONFIG_IN_PROGRESS';
}

/** The new configuration would have no quorum that is connected and up to date. */
export class NewConfigNoQuorumError extends ZooKeeperError {
  override readonly name = 'NewConfigNoQuorumError';
  override readonly code = 'NEW_CONFIG_NO_QUORUM';
}

/** The session is used through another connection by now. The request was not executed. */
export class SessionMovedError extends ZooKeeperError {
  override readonly name = 'SessionMovedError';
  override readonly code = 'SESSION_MOVED';
}

// Refused by the client: nothing was sent.

/** An argument that can't be sent. */
export class InvalidArgumentError extends ZooKeeperError {
  override readonly name = 'InvalidArgumentError';
  override readonly code = 'INVALID_ARGUMENT';
  /** Which one, as the method's signature names it. */
  readonly argument: string;

  constructor(argument: string, problem: string, details: ErrorDetails = {}) {
    super(`${argument}: ${problem}`, details);
    this.argument = argument;
  }
}

/** A connect string without hosts, or with one that can't be read. */
export class InvalidConnectStringError extends ZooKeeperError {
  override readonly name = 'InvalidConnectStringError';
  override readonly code = 'INVALID_CONNECT_STRING';
}

/**
 * A request larger than the frame limit: it was not sent. Or a reply larger than it: then the connection was dropped, and the
 * same request would meet the same fate until `frameBytesMax` is raised.
 */
export class FrameTooLargeError extends ZooKeeperError {
  override readonly name = 'FrameTooLargeError';
  override readonly code = 'FRAME_TOO_LARGE';
}

// Outcome unknown.

export interface ConnectionLossDetails extends ErrorDetails {
  /** `host:port` → why it could not be reached, or why its connection was lost. */
  readonly failures?: ReadonlyMap<string, Error>;
}

/** The connection broke before the answer came, or no server could be reached. The outcome of a write is unknown. */
export class ConnectionLossError extends ZooKeeperError {
  override readonly name = 'ConnectionLossError';
  override readonly code = 'CONNECTION_LOSS';
  /** `host:port` → why it could not be reached, or why its connection was lost. */
  readonly failures: ReadonlyMap<string, Error>;

  constructor(message: string, { failures = new Map(), ...details }: ConnectionLossDetails = {}) {
    super(message + toReasons(failures), details);
    this.failures = failures;
  }
}

/** Which host could not be reached or was lost, and why, as the end of a line; empty for none. */
export const toReasons = (failures: ReadonlyMap<string, Error>): string =>
  failures.size === 0 ? '' : ` (${[...failures].map(([host, { message }]) => `${host}: ${message}`).join('; ')})`;

/** The call's own `timeoutMs` ran out. A request that was sent may still be applied. */
export class OperationTimeoutError extends ZooKeeperError {
  override readonly name = 'OperationTimeoutError';
  override readonly code = 'OPERATION_TIMEOUT';
}

// The session is over.

/** The server has ended the session, or it was given up. Its ephemerals and watches are gone, or will be. */
export class SessionExpiredError extends ZooKeeperError {
  override readonly name = 'SessionExpiredError';
  override readonly code = 'SESSION_EXPIRED';
}

/** The client was closed by its user. */
export class ClientClosedError extends ZooKeeperError {
  override readonly name = 'ClientClosedError';
  override readonly code = 'CLIENT_CLOSED';
}

/** The server did not accept the credentials. Final for this session. */
export class AuthFailedError extends ZooKeeperError {
  override readonly name = 'AuthFailedError';
  override readonly code = 'AUTH_FAILED';
}

type ErrorClass = new (message: string, details?: ErrorDetails) => ZooKeeperError;

/** Wire code → class and what it says. Codes that only servers among themselves use are left to {@link ZooKeeperError}. */
const refusals = new Map<number, readonly [ErrorClass, string]>([
  [ErrorCode.RUNTIME_INCONSISTENCY, [RuntimeInconsistencyError, 'not executed, because another operation failed']],
  [ErrorCode.CONNECTION_LOSS, [ConnectionLossError, 'connection lost']],
  [ErrorCode.MARSHALLING_ERROR, [MarshallingFailedError, 'the server could not read the request']],
  [ErrorCode.UNIMPLEMENTED, [UnimplementedError, 'the server does not offer this operation']],
  [ErrorCode.OPERATION_TIMEOUT, [OperationTimeoutError, 'operation timed out']],
  [ErrorCode.BAD_ARGUMENTS, [BadArgumentsError, 'bad arguments']],
  [ErrorCode.NO_NODE, [NoNodeError, 'no such znode']],
  [ErrorCode.NO_AUTH, [NoAuthError, 'not permitted']],
  [ErrorCode.BAD_VERSION, [BadVersionError, 'the znode has another version']],
  [ErrorCode.NO_CHILDREN_FOR_EPHEMERALS, [NoChildrenForEphemeralsError, 'an ephemeral znode has no children']],
  [ErrorCode.NODE_EXISTS, [NodeExistsError, 'the znode exists']],
  [ErrorCode.NOT_EMPTY, [NotEmptyError, 'the znode has children']],
  [ErrorCode.SESSION_EXPIRED, [SessionExpiredError, 'the session has expired']],
  [ErrorCode.INVALID_ACL, [InvalidAclError, 'invalid ACL']],
  [ErrorCode.AUTH_FAILED, [AuthFailedError, 'authentication failed']],
  [ErrorCode.SESSION_MOVED, [SessionMovedError, 'the session has moved to another connection']],
  [ErrorCode.NOT_READ_ONLY, [NotReadOnlyError, 'the server is read-only']],
  [ErrorCode.EPHEMERAL_ON_LOCAL_SESSION, [EphemeralOnLocalSessionError, 'a local session has no ephemerals']],
  [ErrorCode.NO_WATCHER, [NoWatcherError, 'no such watch']],
  [ErrorCode.QUOTA_EXCEEDED, [QuotaExceededError, 'quota exceeded']],
  [ErrorCode.RECONFIG_DISABLED, [ReconfigDisabledError, 'the servers do not allow reconfiguration']],
  [ErrorCode.RECONFIG_IN_PROGRESS, [ReconfigInProgressError, 'another reconfiguration is under way']],
  [ErrorCode.NEW_CONFIG_NO_QUORUM, [NewConfigNoQuorumError, 'the new configuration has no quorum']],
  [ErrorCode.THROTTLED_OP, [ThrottledOpError, 'the server is overloaded']],
]);

/** The error for a code on the wire. Codes that this version doesn't know become a plain {@link ZooKeeperError} with the number. */
export function errorFromCode(code: number, path?: string, operationCodes?: readonly string[]): ZooKeeperError {
  const where = path === undefined ? '' : `: ${path}`;
  const refusal = refusals.get(code);
  if (refusal !== undefined) {
    const [ErrorOfCode, text] = refusal;
    return new ErrorOfCode(`${text}${where}`, { path, operationCodes });
  }
  const name = errorCodeName(code) ?? String(code);
  return new ZooKeeperError(`error ${name}${where}`, { path, code: name, operationCodes });
}
