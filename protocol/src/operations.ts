import { type Codec, nothing } from './codec.ts';
import { OpCode } from './op-code.ts';
import { addWatchRequest, errorResponse } from './operations/add-watch.ts';
import { authPacket, saslToken } from './operations/auth.ts';
import { checkVersionRequest } from './operations/check.ts';
import { getAllChildrenNumberRequest, getAllChildrenNumberResponse } from './operations/children-number.ts';
import { create2Response, createRequest, createResponse, createTtlRequest } from './operations/create.ts';
import { deleteRequest } from './operations/delete.ts';
import { existsRequest, statResponse } from './operations/exists.ts';
import { getAclRequest, getAclResponse } from './operations/get-acl.ts';
import { getChildren2Response, getChildrenRequest, getChildrenResponse } from './operations/get-children.ts';
import { getDataRequest, getDataResponse } from './operations/get-data.ts';
import { getEphemeralsRequest, getEphemeralsResponse } from './operations/get-ephemerals.ts';
import { multiRequest, multiResponse } from './operations/multi.ts';
import { reconfigRequest } from './operations/reconfig.ts';
import { watchesRequest } from './operations/remove-watches.ts';
import { setAclRequest } from './operations/set-acl.ts';
import { setDataRequest } from './operations/set-data.ts';
import { setWatches2Request, setWatchesRequest } from './operations/set-watches.ts';
import { syncRequest, syncResponse } from './operations/sync.ts';
import { whoAmIResponse } from './operations/who-am-i.ts';

/**
 * What an operation does to a server. A `write` becomes a transaction. A `read` is answered from the replicated state. A
 * `sync` waits for the writes before it. A `local` one concerns only the connection or its session on this server.
 */
export type OperationKind = 'read' | 'write' | 'sync' | 'local';

/** An operation of the client protocol: how its request and its reply look behind their headers. */
export interface Operation<Request, Response> {
  readonly opCode: OpCode;
  readonly kind: OperationKind;
  readonly request: Codec<Request>;
  readonly response: Codec<Response>;
}

const operation = <Request, Response>(
  opCode: OpCode,
  kind: OperationKind,
  request: Codec<Request>,
  response: Codec<Response>,
): Operation<Request, Response> => ({ opCode, kind, request, response });

/** Every operation that a client can ask for, by its name in the protocol. */
export const operations = {
  create: operation(OpCode.create, 'write', createRequest, createResponse),
  create2: operation(OpCode.create2, 'write', createRequest, create2Response),
  createContainer: operation(OpCode.createContainer, 'write', createRequest, create2Response),
  createTTL: operation(OpCode.createTTL, 'write', createTtlRequest, create2Response),
  delete: operation(OpCode.delete, 'write', deleteRequest, nothing),
  exists: operation(OpCode.exists, 'read', existsRequest, statResponse),
  getData: operation(OpCode.getData, 'read', getDataRequest, getDataResponse),
  setData: operation(OpCode.setData, 'write', setDataRequest, statResponse),
  getACL: operation(OpCode.getACL, 'read', getAclRequest, getAclResponse),
  setACL: operation(OpCode.setACL, 'write', setAclRequest, statResponse),
  getChildren: operation(OpCode.getChildren, 'read', getChildrenRequest, getChildrenResponse),
  getChildren2: operation(OpCode.getChildren2, 'read', getChildrenRequest, getChildren2Response),
  sync: operation(OpCode.sync, 'sync', syncRequest, syncResponse),
  ping: operation(OpCode.ping, 'local', nothing, nothing),
  check: operation(OpCode.check, 'write', checkVersionRequest, nothing),
  multi: operation(OpCode.multi, 'write', multiRequest, multiResponse),
  multiRead: operation(OpCode.multiRead, 'read', multiRequest, multiResponse),
  reconfig: operation(OpCode.reconfig, 'write', reconfigRequest, getDataResponse),
  checkWatches: operation(OpCode.checkWatches, 'local', watchesRequest, nothing),
  removeWatches: operation(OpCode.removeWatches, 'local', watchesRequest, nothing),
  auth: operation(OpCode.auth, 'local', authPacket, nothing),
  setWatches: operation(OpCode.setWatches, 'local', setWatchesRequest, nothing),
  setWatches2: operation(OpCode.setWatches2, 'local', setWatches2Request, nothing),
  sasl: operation(OpCode.sasl, 'local', saslToken, saslToken),
  getEphemerals: operation(OpCode.getEphemerals, 'read', getEphemeralsRequest, getEphemeralsResponse),
  getAllChildrenNumber: operation(
    OpCode.getAllChildrenNumber,
    'read',
    getAllChildrenNumberRequest,
    getAllChildrenNumberResponse,
  ),
  addWatch: operation(OpCode.addWatch, 'local', addWatchRequest, errorResponse),
  whoAmI: operation(OpCode.whoAmI, 'local', nothing, whoAmIResponse),
  closeSession: operation(OpCode.closeSession, 'write', nothing, nothing),
} as const;
