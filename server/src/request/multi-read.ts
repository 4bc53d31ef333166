import {
  ErrorCode,
  MarshallingError,
  type MultiOperation,
  type MultiResult,
  OpCode,
  Permission,
} from 'zookeeper-protocol-ts';
import type { DataTree } from '../tree/data-tree.ts';
import { isAllowed, type Principal } from '../tree/permissions.ts';

/** Beyond so many bytes of data and names a multiRead is refused: a small request could ask for any amount of memory. */
const RESULT_BYTES_MAX = 64 * 1024 * 1024;

/**
 * What each read of a multiRead gives, from one state of the tree: an error of one leaves the others alone. They leave no
 * watches, whatever they ask for, as in the original.
 * @throws MarshallingError for anything but getData and getChildren, and beyond {@link RESULT_BYTES_MAX}
 */
export function multiRead(reads: readonly MultiOperation[], tree: DataTree, principal: Principal): MultiResult[] {
  let bytes = 0;
  return reads.map((operation) => {
    const result = readOne(operation, tree, principal);
    bytes += bytesOf(result);
    if (bytes > RESULT_BYTES_MAX) throw new MarshallingError(`a multiRead of more than ${RESULT_BYTES_MAX} bytes`);
    return result;
  });
}

function readOne({ type, request }: MultiOperation, tree: DataTree, principal: Principal): MultiResult {
  if (type !== OpCode.getData && type !== OpCode.getChildren) {
    throw new MarshallingError('a multiRead holds a write');
  }
  const node = tree.find(request.path);
  if (node === undefined) return { type: OpCode.error, err: ErrorCode.NO_NODE };
  if (!isAllowed(tree.aclOf(node), Permission.READ, principal)) return { type: OpCode.error, err: ErrorCode.NO_AUTH };
  if (type === OpCode.getChildren) return { type, children: tree.children(node) };
  return { type, data: viewOf(tree.data(node)), stat: tree.stat(node) };
}

const viewOf = (data: Uint8Array | null): Buffer | null =>
  data === null ? null : Buffer.from(data.buffer, data.byteOffset, data.byteLength);

function bytesOf(result: MultiResult): number {
  switch (result.type) {
    case OpCode.getData:
      return result.data?.length ?? 0;
    case OpCode.getChildren:
      return result.children.reduce((sum, name) => sum + name.length, 0);
    default:
      return 0;
  }
}
