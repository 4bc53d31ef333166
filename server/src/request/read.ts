import {
  ErrorCode,
  type JuteWriter,
  MarshallingError,
  OpCode,
  operations,
  Permission,
  type SessionId,
} from 'zookeeper-protocol-ts';
import type { DataTree } from '../tree/data-tree.ts';
import { isAllowed, userOf, withoutHashes } from '../tree/permissions.ts';
import type { Znode } from '../tree/znode.ts';
import type { WatchTable } from '../watch/watch-table.ts';
import { addWatch, checkWatches, removeWatches } from './change-watches.ts';
import { multiRead } from './multi-read.ts';
import type { ClientRequest, Origin } from './request.ts';

/**
 * Answers at once what needs no agreement: reads from the tree, and what concerns only the connection. A read leaves its watch
 * in the same step, so that no change can pass between the answer and the watch.
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
      case OpCode.getACL:
        return getAcl(request, tree, writer);
      case OpCode.multiRead: {
        const reads = operations.multiRead.request.read(request.body);
        operations.multiRead.response.write(writer, multiRead(reads, tree, request.origin));
        return ErrorCode.OK;
      }
      case OpCode.getEphemerals:
        return getEphemerals(request, tree, writer);
      case OpCode.getAllChildrenNumber:
        return getAllChildrenNumber(request, tree, writer);
      case OpCode.whoAmI:
        return whoAmI(request, writer);
      case OpCode.addWatch:
        return addWatch(request, watches, writer);
      case OpCode.checkWatches:
        return checkWatches(request, watches);
      case OpCode.removeWatches:
        return removeWatches(request, watches);
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
  if (!mayRead(tree, node, request.origin)) return ErrorCode.NO_AUTH;
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
  if (!mayRead(tree, node, request.origin)) return ErrorCode.NO_AUTH;
  if (watch) watches.addChild(path, request.origin);
  writer.writeVector(tree.children(node), writeName);
  if (request.type === OpCode.getChildren2) tree.writeStat(node, writer);
  return ErrorCode.OK;
}

const writeName = (writer: JuteWriter, name: string): void => writer.writeString(name);

/** READ or ADMIN is enough; without ADMIN the hashes are left out. */
function getAcl(request: ClientRequest<Origin>, tree: DataTree, writer: JuteWriter): ErrorCode {
  const { path } = operations.getACL.request.read(request.body);
  const node = tree.find(path);
  if (node === undefined) return ErrorCode.NO_NODE;
  const acl = tree.aclOf(node);
  const isAdmin = isAllowed(acl, Permission.ADMIN, request.origin);
  if (!isAdmin && !isAllowed(acl, Permission.READ, request.origin)) return ErrorCode.NO_AUTH;
  operations.getACL.response.write(writer, { acl: isAdmin ? acl : withoutHashes(acl), stat: tree.stat(node) });
  return ErrorCode.OK;
}

/** Of the session that asks; the prefix is one of the text, not of the path. */
function getEphemerals(request: ClientRequest<Origin>, tree: DataTree, writer: JuteWriter): ErrorCode {
  const { prefixPath } = operations.getEphemerals.request.read(request.body);
  const ephemerals = ephemeralsWith(prefixPath ?? '', request.sessionId, tree);
  operations.getEphemerals.response.write(writer, { ephemerals });
  return ErrorCode.OK;
}

function ephemeralsWith(prefix: string, sessionId: SessionId, tree: DataTree): readonly string[] {
  const paths = tree.ephemeralsOf(sessionId);
  const trimmed = prefix.trim();
  return trimmed === '' || trimmed === '/' ? paths : paths.filter((path) => path.startsWith(prefix));
}

function getAllChildrenNumber(request: ClientRequest<Origin>, tree: DataTree, writer: JuteWriter): ErrorCode {
  const { path } = operations.getAllChildrenNumber.request.read(request.body);
  const node = tree.find(path);
  if (node === undefined) return ErrorCode.NO_NODE;
  if (!mayRead(tree, node, request.origin)) return ErrorCode.NO_AUTH;
  operations.getAllChildrenNumber.response.write(writer, { totalNumber: tree.allChildrenNumber(path) });
  return ErrorCode.OK;
}

function whoAmI({ origin }: ClientRequest<Origin>, writer: JuteWriter): ErrorCode {
  const clientInfo = origin.identities.map((id) => ({ authScheme: id.scheme ?? '', user: userOf(id) }));
  operations.whoAmI.response.write(writer, { clientInfo });
  return ErrorCode.OK;
}

const mayRead = (tree: DataTree, node: Znode, origin: Origin): boolean =>
  isAllowed(tree.aclOf(node), Permission.READ, origin);
