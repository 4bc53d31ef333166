import type { Codec } from '../codec.ts';
import { toXid, toZxid, type Xid, type Zxid } from '../ids.ts';

/** In front of every request but the first: `xid int, type int`. */
export interface RequestHeader {
  readonly xid: Xid;
  /** An operation code, as sent: not known to be one of ours. */
  readonly type: number;
}

export const requestHeader: Codec<RequestHeader> = {
  read: (reader) => ({ xid: toXid(reader.readInt()), type: reader.readInt() }),
  write: (writer, value) => {
    writer.writeInt(value.xid);
    writer.writeInt(value.type);
  },
};

/** In front of every reply but the first: `xid int, zxid long, err int`. No body follows when `err` is not 0. */
export interface ReplyHeader {
  readonly xid: Xid;
  /** The server's last processed zxid when it answered; 0 or -1 where it has none to tell. */
  readonly zxid: Zxid;
  /** An error code, as sent: not known to be one of ours. */
  readonly err: number;
}

export const replyHeader: Codec<ReplyHeader> = {
  read: (reader) => ({ xid: toXid(reader.readInt()), zxid: toZxid(reader.readLong()), err: reader.readInt() }),
  write: (writer, value) => {
    writer.writeInt(value.xid);
    writer.writeLong(value.zxid);
    writer.writeInt(value.err);
  },
};

/** Body of a notification (xid -1): `type int, state int, path ustring`. */
export interface WatcherEvent {
  /** An event type, as sent: not known to be one of ours. */
  readonly type: number;
  /** A keeper state, as sent; servers send SyncConnected only. */
  readonly state: number;
  readonly path: string;
}

export const watcherEvent: Codec<WatcherEvent> = {
  read: (reader) => ({
    type: reader.readInt(),
    state: reader.readInt(),
    path: reader.readRequiredString('path of a watch event'),
  }),
  write: (writer, value) => {
    writer.writeInt(value.type);
    writer.writeInt(value.state);
    writer.writeString(value.path);
  },
};
