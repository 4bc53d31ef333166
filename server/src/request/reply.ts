import { type JuteWriter, OpCode } from 'zookeeper-protocol-ts';
import type { Applied, Database } from '../database.ts';

/**
 * Writes the body of the answer to a write that has just been applied. The Stat is that of the moment: nothing may have been
 * applied in between. Sessions are answered elsewhere; errors have no body.
 */
export function writeReplyBody(type: number, { txn, node }: Applied, { tree }: Database, writer: JuteWriter): void {
  switch (type) {
    case OpCode.create:
    case OpCode.create2:
    case OpCode.createContainer:
      if ('path' in txn.body) writer.writeString(txn.body.path);
      if (type !== OpCode.create && node !== undefined) tree.writeStat(node, writer);
      return;
    case OpCode.setData:
      if (node !== undefined) tree.writeStat(node, writer);
      return;
  }
}
