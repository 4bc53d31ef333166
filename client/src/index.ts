/** The public door: ZooKeeper sessions, Curator's framework, and the words of the protocol that their users need. */
export {
  type Acl,
  AddWatchMode,
  type ClientInfo,
  CREATOR_ALL_ACL,
  CreateMode,
  type CreateModeName,
  ErrorCode,
  EventType,
  type Id,
  InvalidPathError,
  isEphemeral,
  isSequential,
  joinPath,
  KeeperState,
  NO_SESSION,
  nameOf,
  OPEN_ACL,
  Permission,
  parentOf,
  READ_ACL,
  type SessionId,
  type Stat,
  sequenceOf,
  sequenceSuffix,
  toHex,
  toSessionId,
  toZxid,
  validatePath,
  WatcherType,
  type Zxid,
} from 'zookeeper-protocol-ts';
export type { ConnectionState, ConnectionStateErrorPolicy } from './connection-state.ts';
export type { ConnectionStateMessage, RequestMessage, RetryMessage, SessionMessage } from './diagnostics.ts';
export { type EnsembleProvider, FixedEnsembleProvider } from './ensemble/ensemble-provider.ts';
export {
  AuthFailedError,
  BadArgumentsError,
  BadVersionError,
  ClientClosedError,
  type ConnectionLossDetails,
  ConnectionLossError,
  EphemeralOnLocalSessionError,
  type ErrorDetails,
  errorFromCode,
  FrameTooLargeError,
  InvalidAclError,
  InvalidArgumentError,
  InvalidConnectStringError,
  MarshallingFailedError,
  NewConfigNoQuorumError,
  NoAuthError,
  NoChildrenForEphemeralsError,
  NodeExistsError,
  NoNodeError,
  NotEmptyError,
  NotReadOnlyError,
  NoWatcherError,
  OperationTimeoutError,
  QuotaExceededError,
  ReconfigDisabledError,
  ReconfigInProgressError,
  RuntimeInconsistencyError,
  SessionExpiredError,
  SessionMovedError,
  ThrottledOpError,
  UnimplementedError,
  ZooKeeperError,
} from './errors.ts';
export { type EventArguments, EventSource } from './event-source.ts';
export { CuratorFramework, connect, WatcherRemoveCuratorFramework } from './framework.ts';
export {
  type Attempt,
  type Authorization,
  type FrameworkEvents,
  IllegalStateError,
  type Lifecycle,
} from './framework-connection.ts';
export {
  type ConnectOptions,
  CuratorFrameworkBuilder,
  type Ensemble,
  type FrameworkOptions,
} from './framework-options.ts';
export { GzipCompressionProvider } from './gzip-compression-provider.ts';
export type { Logger } from './logger.ts';
export { onAbort } from './on-abort.ts';
export type { ACLProvider } from './operations/acl-provider.ts';
export { type CompressionProvider, DataInconsistencyError } from './operations/compression.ts';
export type { GetConfigBuilder, ReconfigBuilder, ReconfigOptions } from './operations/config.ts';
export type { CreateBuilder, CreatedZnode, CreateOptions } from './operations/create.ts';
export type { DeleteBuilder, DeleteOptions } from './operations/delete.ts';
export type { ExistsBuilder, ExistsOptions } from './operations/exists.ts';
export type { GetAclBuilder, GetAclOptions, ZnodeAcl } from './operations/get-acl.ts';
export type { GetChildrenBuilder, ZnodeChildren } from './operations/get-children.ts';
export type { GetDataBuilder, GetDataOptions, ZnodeData } from './operations/get-data.ts';
export { protectedIdOf, randomUuid, withoutProtection } from './operations/protection.ts';
export type { ReadOptions } from './operations/read-options.ts';
export type { SetAclBuilder, SetAclOptions } from './operations/set-acl.ts';
export type { SetDataBuilder, SetDataOptions } from './operations/set-data.ts';
export type {
  TransactionBuilder,
  TransactionCreateBuilder,
  TransactionCreateOptions,
  TransactionOp,
  TransactionSetDataBuilder,
  TransactionVersionBuilder,
} from './operations/transaction.ts';
export type {
  AddWatchBuilder,
  AddWatchOptions,
  RemoveWatchesBuilder,
  RemoveWatchesOptions,
  WatchesBuilder,
} from './operations/watches.ts';
export {
  BoundedExponentialBackoffRetry,
  ExponentialBackoffRetry,
  isRetryable,
  type RetryContext,
  RetryForever,
  RetryNTimes,
  RetryOneTime,
  type RetryPolicy,
  RetryUntilElapsed,
  SessionFailedRetryPolicy,
} from './retry.ts';
export { type SchemaJsonOptions, schemaSetFromJson } from './schema/schema-json.ts';
export {
  type Allowance,
  recipeParentSchema,
  recipeSchema,
  type Schema,
  SchemaSet,
  SchemaViolationError,
  type SchemaWrite,
} from './schema/schema-set.ts';
export type { RequestTrace } from './session/request-trace.ts';
export type { SessionState } from './session/session.ts';
export { systemPorts } from './session/tcp-transport.ts';
export type {
  Clock,
  Connection,
  ConnectionHandler,
  HostAddress,
  Ports,
  Timer,
  Transport,
} from './session/transport.ts';
export { SessionFailedError, type SessionScope, type WithSessionOptions } from './session-scope.ts';
export type { WatchStreamOptions } from './watch/change-stream.ts';
export type { TreeSelector } from './watch/tree-view.ts';
export type { WatchedEvent, Watcher } from './watch/watch-registry.ts';
export type {
  ChildrenChange,
  ExistenceChange,
  TreeChange,
  TreeSynced,
  Znode,
  ZnodeChange,
} from './watch/znode-change.ts';
export { type VersionOptions, type WatchOptions, ZooKeeper, type ZooKeeperOptions } from './zookeeper.ts';
export type { CallOptions } from './zookeeper-call.ts';
export type { MultiOperation, MultiReadOperation, MultiReadResult, MultiResult } from './zookeeper-multi.ts';
