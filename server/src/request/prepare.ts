import {
  type CheckVersionRequest,
  ErrorCode,
  MarshallingError,
  type MultiOperation,
  OpCode,
  operations,
  type TxnBody,
} from 'zookeeper-protocol-ts';
import type { Outlook, Refusal } from './outlook.ts';
import { prepareCheck, prepareSetAcl, prepareSetData } from './prepare-change.ts';
import { prepareCreate } from './prepare-create.ts';
import { prepareCloseSession, prepareDelete, prepareDeleteContainer } from './prepare-delete.ts';
import type { Request } from './request.ts';

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
  const { type, body } = request;
  try {
    switch (type) {
      case OpCode.create:
      case OpCode.create2:
      case OpCode.createContainer:
        return prepareCreate(request, type, operations.create.request.read(body), outlook);
      case OpCode.createTTL:
        return prepareCreate(request, type, operations.createTTL.request.read(body), outlook);
      case OpCode.delete:
        return prepareDelete(request, operations.delete.request.read(body), outlook);
      case OpCode.deleteContainer:
        if (request.origin !== undefined) return refuseUnknown(request, outlook);
        return prepareDeleteContainer(body.readRequiredString('path'), outlook);
      case OpCode.setData:
        return prepareSetData(request, operations.setData.request.read(body), outlook);
      case OpCode.setACL:
        return prepareSetAcl(request, operations.setACL.request.read(body), outlook);
      case OpCode.check:
        return prepareLoneCheck(request, operations.check.request.read(body), outlook);
      case OpCode.multi:
        return prepareMulti(request, operations.multi.request.read(body), outlook);
      case OpCode.reconfig:
        operations.reconfig.request.read(body);
        return { refused: whyNoReconfig(request, outlook) };
      case OpCode.createSession:
        if (request.origin !== undefined) return refuseUnknown(request, outlook);
        return { type, timeoutMs: body.readInt() };
      case OpCode.closeSession:
        return prepareCloseSession(request.sessionId, outlook);
      default:
        return refuseUnknown(request, outlook);
    }
  } catch (error) {
    if (error instanceof MarshallingError) return { refused: ErrorCode.MARSHALLING_ERROR };
    throw error;
  }
}

/** What no client may ask for, or anything that is no write behind the end of its session. */
const refuseUnknown = ({ sessionId }: Request, { isOpen }: Outlook): Refusal => ({
  refused: isOpen(sessionId) ? ErrorCode.UNIMPLEMENTED : ErrorCode.SESSION_EXPIRED,
});

/**
 * All of the parts, each checked against what the ones before it will have done, or none: then the transaction keeps the parts
 * before the one that fails as they are, and has errors from there on, as the original's log has them. Whoever applies it
 * executes nothing.
 */
function prepareMulti(request: Request, parts: readonly MultiOperation[], outlook: Outlook): TxnBody {
  const mark = outlook.changes.mark();
  const txns: TxnBody[] = [];
  let failed = false;
  for (const part of parts) {
    const outcome: TxnBody | Refusal = failed
      ? { refused: ErrorCode.RUNTIME_INCONSISTENCY }
      : preparePart(request, part, outlook);
    failed ||= 'refused' in outcome;
    txns.push('refused' in outcome ? { type: OpCode.error, err: outcome.refused } : outcome);
  }
  if (failed) outlook.changes.rollBack(mark);
  return { type: OpCode.multi, txns };
}

function preparePart(request: Request, part: MultiOperation, outlook: Outlook): TxnBody | Refusal {
  switch (part.type) {
    case OpCode.delete:
      return prepareDelete(request, part.request, outlook);
    case OpCode.setData:
      return prepareSetData(request, part.request, outlook);
    case OpCode.check:
      return prepareCheck(request, part.request, outlook);
    case OpCode.getData:
    case OpCode.getChildren:
      throw new MarshallingError('a multi of writes holds a read');
    case OpCode.create2:
      // As the original logs it: 3.8 passes over a create2 in a multi when it replays, and loses the znode.
      return prepareCreate(request, OpCode.create, part.request, outlook);
    default:
      return prepareCreate(request, part.type, part.request, outlook);
  }
}

/**
 * A check outside of a multi, which holds: logged as an error that is none. The original logs it as a check, never answers, and
 * can't read its own log any more.
 */
function prepareLoneCheck(request: Request, check: CheckVersionRequest, outlook: Outlook): TxnBody | Refusal {
  const outcome = prepareCheck(request, check, outlook);
  return 'refused' in outcome ? outcome : { type: OpCode.error, err: ErrorCode.OK };
}

/** A server alone can't be given other members; without `reconfigEnabled` nobody may ask. */
const whyNoReconfig = ({ sessionId }: Request, { rules, isOpen }: Outlook): ErrorCode => {
  if (!rules.reconfigEnabled) return ErrorCode.RECONFIG_DISABLED;
  return isOpen(sessionId) ? ErrorCode.UNIMPLEMENTED : ErrorCode.SESSION_EXPIRED;
};
