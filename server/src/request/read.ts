import { ErrorCode, type JuteWriter, MarshallingError, OpCode, operations, Permission } from 'zookeeper-protocol-ts';
import type { DataTree } from '../tree/data-tree.ts';
import { isAllowed } from '../tree/permissions.ts';
import type { WatchTable } from '../watch/watch-table.ts';
import type { ClientRequest, Origin } from './request.ts';

/**
 * Answers a read from the tree at once, and leaves its watch in the same step, so that no change can pass between the answer
 * and the watch.
 * @returns the error code; what was written behind a non-zero one must be dropped
 */
export function read<O extends Origin>(
  request: ClientRequest<O>,
  tree: DataTree,
  watches: WatchTable<O>,
  writer: JuteWriter,
): ErrorCode {
  try {
    switch (request.type) {
      case OpCode.exists:
        return exists(request, tree, watches, writer);
      case OpCode.getData:
        return getData(request, tree, watches, writer);
      case OpCode.getChildren:
      case OpCode.getChildren2:
        return getChildren(request, tree, watches, writer);
      default:
        return ErrorCode.UNIMPLEMENTED;
    }
  } catch (error) {
    if (error instanceof MarshallingError) return ErrorCode.MARSHALLING_ERROR;
    throw error;
  }
}

/** Asks for no permission, as in 3.8; the watch stays also when there is no znode. */
function exists<O extends Origin>(
  request: ClientRequest<O>,
  tree: DataTree,
  watches: WatchTable<O>,
  writer: JuteWriter,
): ErrorCode {
  const { path, watch } = operations.exists.request.read(request.body);
  if (path.includes('\0')) return ErrorCode.BAD_ARGUMENTS;
  if (watch) watches.addData(path, request.origin);
  const node = tree.find(path);
  if (node === undefined) return ErrorCode.NO_NODE;
  tree.writeStat(node, writer);
  return ErrorCode.OK;
}

function getData<O extends Origin>(
  request: ClientRequest<O>,
  tree: DataTree,
  watches: WatchTable<O>,
  writer: JuteWriter,
): ErrorCode {
  const { path, watch } = operations.getData.request.read(request.body);
  const node = tree.find(path);
  if (node === undefined) return ErrorCode.NO_NODE;
  if (!isAllowed(tree.aclOf(node), Permission.READ, request.origin.identities)) return ErrorCode.NO_AUTH;
  if (watch) watches.addData(path, request.origin);
  writer.writeBuffer(tree.data(node));
  tree.writeStat(node, writer);
  return ErrorCode.OK;
}

function getChildren<O extends Origin>(
  request: ClientRequest<O>,
  tree: DataTree,
  watches: WatchTable<O>,
  writer: JuteWriter,
): ErrorCode {
  const { path, watch } = operations.getChildren.request.read(request.body);
  const node = tree.find(path);
  if (node === undefined) return ErrorCode.NO_NODE;
  if (!isAllowed(tree.aclOf(node), Permission.READ, request.origin.identities)) return ErrorCode.NO_AUTH;
  if (watch) watches.addChild(path, request.origin);
  writer.writeVector(tree.children(node), writeName);
  if (request.type === OpCode.getChildren2) tree.writeStat(node, writer);
  return ErrorCode.OK;
}

const writeName = (writer: JuteWriter, name: string): void => writer.writeString(name);
