/**
 * Error codes on the wire and their names (ZooKeeper's `KeeperException.Code`). The names are the stable `code` strings of
 * the client's errors: `NO_NODE`, `BAD_VERSION`, …
 */
export const ErrorCode = {
  OK: 0,
  SYSTEM_ERROR: -1,
  /** In a failed multi: an operation behind the one that failed. */
  RUNTIME_INCONSISTENCY: -2,
  DATA_INCONSISTENCY: -3,
  /** Made by clients only: the connection broke, the outcome is unknown. */
  CONNECTION_LOSS: -4,
  MARSHALLING_ERROR: -5,
  UNIMPLEMENTED: -6,
  /** Made by clients only. */
  OPERATION_TIMEOUT: -7,
  BAD_ARGUMENTS: -8,
  UNKNOWN_SESSION: -12,
  NEW_CONFIG_NO_QUORUM: -13,
  RECONFIG_IN_PROGRESS: -14,
  /** A threshold between system and API errors, never sent. */
  API_ERROR: -100,
  NO_NODE: -101,
  NO_AUTH: -102,
  BAD_VERSION: -103,
  NO_CHILDREN_FOR_EPHEMERALS: -108,
  NODE_EXISTS: -110,
  NOT_EMPTY: -111,
  SESSION_EXPIRED: -112,
  INVALID_CALLBACK: -113,
  INVALID_ACL: -114,
  AUTH_FAILED: -115,
  SESSION_MOVED: -118,
  NOT_READ_ONLY: -119,
  EPHEMERAL_ON_LOCAL_SESSION: -120,
  NO_WATCHER: -121,
  REQUEST_TIMEOUT: -122,
  RECONFIG_DISABLED: -123,
  SESSION_CLOSED_REQUIRE_SASL_AUTH: -124,
  QUOTA_EXCEEDED: -125,
  THROTTLED_OP: -127,
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];
export type ErrorCodeName = keyof typeof ErrorCode;

const names = new Map<number, ErrorCodeName>(
  Object.entries(ErrorCode).map(([name, code]) => [code, name as ErrorCodeName]),
);

/** The name of an error code, or undefined for one that this version doesn't know (a newer server's). */
export const errorCodeName = (code: number): ErrorCodeName | undefined => names.get(code);
