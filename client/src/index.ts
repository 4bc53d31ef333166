/** The public door: ZooKeeper sessions, Curator's framework, and the words of the protocol that their users need. */
export {
  type Acl,
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
  type Zxid,
} from 'zookeeper-protocol-ts';
export type { ConnectionState, ConnectionStateErrorPolicy } from './connection-state.ts';
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
  NoAuthError,
  NoChildrenForEphemeralsError,
  NodeExistsError,
  NoNodeError,
  NotEmptyError,
  NotReadOnlyError,
  NoWatcherError,
  OperationTimeoutError,
  QuotaExceededError,
  RuntimeInconsistencyError,
  SessionExpiredError,
  SessionMovedError,
  ThrottledOpError,
  UnimplementedError,
  ZooKeeperError,
} from './errors.ts';
export { type EventArguments, EventSource } from './event-source.ts';
export {
  type ConnectOptions,
  CuratorFramework,
  CuratorFrameworkBuilder,
  connect,
  type FrameworkOptions,
} from './framework.ts';
export { type Attempt, type FrameworkEvents, IllegalStateError, type Lifecycle } from './framework-connection.ts';
export type { CreateBuilder, CreatedZnode, CreateOptions } from './operations/create.ts';
export type { DeleteBuilder, DeleteOptions } from './operations/delete.ts';
export type { ExistsBuilder } from './operations/exists.ts';
export type { ZnodeChildren } from './operations/get-children.ts';
export type { ZnodeData } from './operations/get-data.ts';
export { protectedIdOf, withoutProtection } from './operations/protection.ts';
export type { ReadBuilder } from './operations/read-builder.ts';
export type { ReadOptions } from './operations/read-options.ts';
export type { SetDataBuilder, SetDataOptions } from './operations/set-data.ts';
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
} from './retry.ts';
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
export type { WatchedEvent, Watcher } from './watch/watch-registry.ts';
export { type VersionOptions, type WatchOptions, ZooKeeper, type ZooKeeperOptions } from './zookeeper.ts';
export type { CallOptions } from './zookeeper-call.ts';
export type { MultiOperation, MultiResult } from './zookeeper-multi.ts';
