export { type Codec, nothing } from './codec.ts';
export {
  CreateMode,
  type CreateModeName,
  hasTtl,
  isCreateMode,
  isEphemeral,
  isSequential,
} from './create-mode.ts';
export { ErrorCode, type ErrorCodeName, errorCodeName } from './error-code.ts';
export { FRAME_BYTES_MAX_DEFAULT, FrameReader } from './framing.ts';
export {
  type Brand,
  counterOf,
  type Epoch,
  epochOf,
  makeZxid,
  NO_SESSION,
  type ServerId,
  type SessionId,
  SpecialXid,
  toEpoch,
  toHex,
  toServerId,
  toSessionId,
  toXid,
  toZxid,
  type Xid,
  ZERO_ZXID,
  type Zxid,
} from './ids.ts';
export { JuteReader } from './jute/reader.ts';
export { JuteWriter } from './jute/writer.ts';
export { MarshallingError } from './marshalling-error.ts';
export { isOpCode, OpCode, opCodeName } from './op-code.ts';
export type { AddWatchRequest, ErrorResponse } from './operations/add-watch.ts';
export type { AuthPacket, SaslToken } from './operations/auth.ts';
export type { CheckVersionRequest } from './operations/check.ts';
export type { GetAllChildrenNumberRequest, GetAllChildrenNumberResponse } from './operations/children-number.ts';
export type { Create2Response, CreateRequest, CreateTtlRequest } from './operations/create.ts';
export type { DeleteRequest } from './operations/delete.ts';
export type { ExistsRequest, StatResponse } from './operations/exists.ts';
export type { GetAclRequest, GetAclResponse } from './operations/get-acl.ts';
export type { GetChildren2Response, GetChildrenRequest, GetChildrenResponse } from './operations/get-children.ts';
export type { GetDataRequest, GetDataResponse } from './operations/get-data.ts';
export type { GetEphemeralsRequest, GetEphemeralsResponse } from './operations/get-ephemerals.ts';
export type { MultiOperation, MultiResult } from './operations/multi.ts';
export type { PathRequest, VersionedPathRequest, WatchablePathRequest } from './operations/path-request.ts';
export type { ReconfigRequest } from './operations/reconfig.ts';
export type { WatchesRequest } from './operations/remove-watches.ts';
export {
  type ConnectRequest,
  type ConnectResponse,
  connectRequest,
  connectResponse,
  PASSWORD_BYTES,
} from './operations/session.ts';
export type { SetAclRequest } from './operations/set-acl.ts';
export type { SetDataRequest } from './operations/set-data.ts';
export type { SetWatches2Request, SetWatchesRequest } from './operations/set-watches.ts';
export type { SyncRequest } from './operations/sync.ts';
export type { ClientInfo, WhoAmIResponse } from './operations/who-am-i.ts';
export { type Operation, type OperationKind, operations } from './operations.ts';
export {
  InvalidPathError,
  joinPath,
  nameOf,
  parentOf,
  pathProblem,
  sequenceOf,
  sequenceSuffix,
  validatePath,
} from './path.ts';
export {
  type Acl,
  acl,
  aclList,
  CREATOR_ALL_ACL,
  type Id,
  identity,
  OPEN_ACL,
  Permission,
  READ_ACL,
} from './records/acl.ts';
export {
  type ReplyHeader,
  type RequestHeader,
  replyHeader,
  requestHeader,
  type WatcherEvent,
  watcherEvent,
} from './records/headers.ts';
export {
  LEARNER_PROTOCOL_VERSION,
  type LearnerInfo,
  learnerInfo,
  type QuorumPacket,
  QuorumPacketType,
  quorumPacket,
} from './records/quorum-packet.ts';
export { STAT_BYTES, type Stat, stat } from './records/stat.ts';
export {
  readTxnBody,
  type Txn,
  type TxnBody,
  type TxnDigest,
  type TxnHeader,
  txn,
  txnDigest,
  txnHeader,
  writeTxnBody,
} from './records/txns.ts';
export {
  AddWatchMode,
  EventType,
  type EventTypeName,
  eventTypeName,
  KeeperState,
  type KeeperStateName,
  keeperStateName,
  WatcherType,
} from './watch-event.ts';
