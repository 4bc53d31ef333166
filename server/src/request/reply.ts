import { ErrorCode, type JuteWriter, type MultiResult, OpCode, operations } from 'zookeeper-protocol-ts';
import type { Applied, AppliedPart, Database } from '../database.ts';
import { assert } from '../invariant.ts';

/**
 * Writes the body of the answer to a write that has just been applied. The Stat is that of the moment: nothing may have been
 * applied in between. Sessions are answered elsewhere; errors have no body.
 */
export function writeReplyBody(
  type: number,
  { txn, node, results }: Applied,
  { tree }: Database,
  writer: JuteWriter,
): void {
  switch (type) {
    case OpCode.create:
    case OpCode.create2:
    case OpCode.createContainer:
    case OpCode.createTTL:
      if ('path' in txn.body) writer.writeString(txn.body.path);
      if (type !== OpCode.create && node !== undefined) tree.writeStat(node, writer);
      return;
    case OpCode.setData:
    case OpCode.setACL:
      if (node !== undefined) tree.writeStat(node, writer);
      return;
    case OpCode.multi:
      if (results !== undefined) operations.multi.response.write(writer, multiResults(results));
      return;
  }
}

/** Of a failed multi only codes are told: 0 for the parts before the one that failed. */
function multiResults(parts: readonly AppliedPart[]): MultiResult[] {
  const failed = parts.some(({ error }) => error !== ErrorCode.OK);
  return parts.map((part) => (failed ? { type: OpCode.error, err: part.error } : multiResult(part)));
}

/** A create2 is answered as the create that it became, without its Stat, as in 3.8. */
function multiResult({ body, stat }: AppliedPart): MultiResult {
  switch (body.type) {
    case OpCode.create:
      return { type: body.type, path: body.path };
    case OpCode.createContainer:
    case OpCode.createTTL:
      assert(stat !== undefined, 'REQ-3: a create that was applied has a Stat');
      return { type: OpCode.create2, path: body.path, stat };
    case OpCode.setData:
      assert(stat !== undefined, 'REQ-3: a setData that was applied has a Stat');
      return { type: body.type, stat };
    case OpCode.delete:
    case OpCode.check:
      return { type: body.type };
    default:
      assert(false, 'REQ-3: a multi holds what no client can ask for', { type: body.type });
  }
}
