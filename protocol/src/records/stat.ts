import type { Codec } from '../codec.ts';
import { type SessionId, toSessionId, toZxid, type Zxid } from '../ids.ts';

/** What a server tells of a znode besides its data. 68 bytes on the wire, in the order of the fields here. */
export interface Stat {
  /** Zxid of the transaction that created it. */
  readonly czxid: Zxid;
  /** Zxid of the last change of its data. */
  readonly mzxid: Zxid;
  /** When it was created: the leader's wall clock, ms since 1970. */
  readonly ctime: number;
  /** When its data was last changed: the leader's wall clock, ms since 1970. */
  readonly mtime: number;
  /** Number of changes of its data. */
  readonly version: number;
  /** Number of changes of its children. */
  readonly cversion: number;
  /** Number of changes of its ACL. */
  readonly aversion: number;
  /** The session that an ephemeral znode belongs to; 0 for all others. */
  readonly ephemeralOwner: SessionId;
  /** Bytes of data. */
  readonly dataLength: number;
  readonly numChildren: number;
  /** Zxid of the last create or delete of a child. */
  readonly pzxid: Zxid;
}

export const STAT_BYTES = 68;

export const stat: Codec<Stat> = {
  read: (reader) => ({
    czxid: toZxid(reader.readLong()),
    mzxid: toZxid(reader.readLong()),
    ctime: reader.readLongAsNumber(),
    mtime: reader.readLongAsNumber(),
    version: reader.readInt(),
    cversion: reader.readInt(),
    aversion: reader.readInt(),
    ephemeralOwner: toSessionId(reader.readLong()),
    dataLength: reader.readInt(),
    numChildren: reader.readInt(),
    pzxid: toZxid(reader.readLong()),
  }),
  write: (writer, value) => {
    writer.writeLong(value.czxid);
    writer.writeLong(value.mzxid);
    writer.writeLongFromNumber(value.ctime);
    writer.writeLongFromNumber(value.mtime);
    writer.writeInt(value.version);
    writer.writeInt(value.cversion);
    writer.writeInt(value.aversion);
    writer.writeLong(value.ephemeralOwner);
    writer.writeInt(value.dataLength);
    writer.writeInt(value.numChildren);
    writer.writeLong(value.pzxid);
  },
};
