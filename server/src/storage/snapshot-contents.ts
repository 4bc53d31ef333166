import { aclList, JuteWriter } from 'zookeeper-protocol-ts';
import type { Database } from '../database.ts';
import { SECTION_END } from './snapshot-format.ts';

/**
 * The contents of a snapshot, of a file or of one that is sent: session table, ACL table, znodes, and their end. The database is
 * shown as it is at the call; the slices are made as they are asked for, while transactions go on.
 *
 * Whoever asks must ask until the end, or `return()`: until then the tree keeps what changes.
 */
export function snapshotContents(database: Database, sliceBytes: number): Generator<Uint8Array, void, void> {
  const { tree } = database;
  const sessions = [...database.sessions];
  const acls = [...tree.acls()];
  const image = tree.startImage();
  const writer = new JuteWriter(sliceBytes);

  function* slices(): Generator<Uint8Array, void, void> {
    try {
      yield Buffer.alloc(0);
      writer.writeInt(sessions.length);
      for (const [sessionId, timeoutMs] of sessions) {
        writer.writeLong(sessionId);
        writer.writeInt(timeoutMs);
        if (writer.length >= sliceBytes) yield writer.take();
      }
      writer.writeInt(acls.length);
      for (const [id, acl] of acls) {
        writer.writeLongFromNumber(id);
        aclList.write(writer, acl);
        if (writer.length >= sliceBytes) yield writer.take();
      }
      yield writer.take();
      for (let whole = false; !whole; ) {
        whole = image.advance(sliceBytes);
        yield image.take();
      }
      writer.writeString(SECTION_END);
      yield writer.take();
    } finally {
      tree.endImage(image);
    }
  }

  const started = slices();
  // From here on `return` runs what is behind `finally`.
  started.next();
  return started;
}
