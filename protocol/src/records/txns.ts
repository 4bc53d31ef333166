import type { Codec } from '../codec.ts';
import { type SessionId, toSessionId, toXid, toZxid, type Xid, type Zxid } from '../ids.ts';
import { JuteReader } from '../jute/reader.ts';
import type { JuteWriter } from '../jute/writer.ts';
import { MarshallingError } from '../marshalling-error.ts';
import { OpCode, opCodeName } from '../op-code.ts';
import { stringList } from '../operations/get-children.ts';
import { type Acl, aclList } from './acl.ts';

/**
 * Transactions: what a leader makes of a write, what goes through the log and to the other servers. Each is idempotent and
 * says what will be, not what was asked. Bytes: TxnHeader, body, and optionally a TxnDigest; the same in the log and in a
 * PROPOSAL (zookeeper.jute, `SerializeUtils`).
 */

/** `clientId long, cxid int, zxid long, time long, type int`: 32 bytes. */
export interface TxnHeader {
  readonly sessionId: SessionId;
  /** The client's xid of the request. */
  readonly cxid: Xid;
  readonly zxid: Zxid;
  /** The leader's wall clock when it was proposed, ms since 1970. */
  readonly time: number;
  readonly type: number;
}

export const txnHeader: Codec<TxnHeader> = {
  read: (reader) => ({
    sessionId: toSessionId(reader.readLong()),
    cxid: toXid(reader.readInt()),
    zxid: toZxid(reader.readLong()),
    time: reader.readLongAsNumber(),
    type: reader.readInt(),
  }),
  write: (writer, value) => {
    writer.writeLong(value.sessionId);
    writer.writeInt(value.cxid);
    writer.writeLong(value.zxid);
    writer.writeLongFromNumber(value.time);
    writer.writeInt(value.type);
  },
};

/** The body of a transaction, by the type in its header. */
export type TxnBody =
  | {
      readonly type: typeof OpCode.create | typeof OpCode.create2;
      readonly path: string;
      readonly data: Uint8Array | null;
      readonly acl: readonly Acl[] | null;
      readonly ephemeral: boolean;
      /** The parent's stored cversion afterwards; -1 for one more than it has (old logs). */
      readonly parentCversion: number;
    }
  | {
      readonly type: typeof OpCode.createContainer;
      readonly path: string;
      readonly data: Uint8Array | null;
      readonly acl: readonly Acl[] | null;
      readonly parentCversion: number;
    }
  | {
      readonly type: typeof OpCode.createTTL;
      readonly path: string;
      readonly data: Uint8Array | null;
      readonly acl: readonly Acl[] | null;
      readonly parentCversion: number;
      readonly ttlMs: number;
    }
  | { readonly type: typeof OpCode.delete | typeof OpCode.deleteContainer; readonly path: string }
  | {
      readonly type: typeof OpCode.setData | typeof OpCode.reconfig;
      readonly path: string;
      readonly data: Uint8Array | null;
      /** The version afterwards. */
      readonly version: number;
    }
  | {
      readonly type: typeof OpCode.setACL;
      readonly path: string;
      readonly acl: readonly Acl[] | null;
      /** The aversion afterwards. */
      readonly version: number;
    }
  | { readonly type: typeof OpCode.check; readonly path: string; readonly version: number }
  | { readonly type: typeof OpCode.createSession; readonly timeoutMs: number }
  /**
   * The session's ephemerals; undefined in logs of servers before 3.6, or with closeSessionTxn.enabled=false, which left them
   * to be looked up.
   */
  | { readonly type: typeof OpCode.closeSession; readonly paths: readonly string[] | undefined }
  /** Executed whole, or not at all if one of its parts is an error: those before it are as they would have been. */
  | { readonly type: typeof OpCode.multi; readonly txns: readonly TxnBody[] }
  /** A write that was refused: it takes a zxid and changes nothing. */
  | { readonly type: typeof OpCode.error; readonly err: number };

/**
 * Reads the body that belongs to a header's type.
 * @throws MarshallingError for an unknown type or a malformed body
 */
export function readTxnBody(type: number, reader: JuteReader): TxnBody {
  switch (type) {
    case OpCode.create:
    case OpCode.create2:
      return {
        type,
        path: reader.readRequiredString('path'),
        data: reader.readBuffer(),
        acl: aclList.read(reader),
        ephemeral: reader.readBool(),
        // Absent in the oldest logs (CreateTxnV0).
        parentCversion: reader.remaining >= 4 ? reader.readInt() : -1,
      };
    case OpCode.createContainer:
      return {
        type,
        path: reader.readRequiredString('path'),
        data: reader.readBuffer(),
        acl: aclList.read(reader),
        parentCversion: reader.readInt(),
      };
    case OpCode.createTTL:
      return {
        type,
        path: reader.readRequiredString('path'),
        data: reader.readBuffer(),
        acl: aclList.read(reader),
        parentCversion: reader.readInt(),
        ttlMs: reader.readLongAsNumber(),
      };
    case OpCode.delete:
    case OpCode.deleteContainer:
      return { type, path: reader.readRequiredString('path') };
    case OpCode.setData:
    case OpCode.reconfig:
      return {
        type,
        path: reader.readRequiredString('path'),
        data: reader.readBuffer(),
        version: reader.readInt(),
      };
    case OpCode.setACL:
      return { type, path: reader.readRequiredString('path'), acl: aclList.read(reader), version: reader.readInt() };
    case OpCode.check:
      return { type, path: reader.readRequiredString('path'), version: reader.readInt() };
    case OpCode.createSession:
      return { type, timeoutMs: reader.readInt() };
    case OpCode.closeSession:
      return { type, paths: endsWithoutPaths(reader) ? undefined : stringList.read(reader) };
    case OpCode.multi:
      return { type, txns: reader.readVector(readPart, 8) ?? [] };
    case OpCode.error:
      return { type, err: reader.readInt() };
    default:
      throw new MarshallingError(`a transaction can't be of type ${opCodeName(type)}`);
  }
}

/** Writes a body without its type, which stands in the header. */
export function writeTxnBody(writer: JuteWriter, txn: TxnBody): void {
  switch (txn.type) {
    case OpCode.create:
    case OpCode.create2:
      writer.writeString(txn.path);
      writer.writeBuffer(txn.data);
      aclList.write(writer, txn.acl);
      writer.writeBool(txn.ephemeral);
      return writer.writeInt(txn.parentCversion);
    case OpCode.createContainer:
    case OpCode.createTTL:
      writer.writeString(txn.path);
      writer.writeBuffer(txn.data);
      aclList.write(writer, txn.acl);
      writer.writeInt(txn.parentCversion);
      if (txn.type === OpCode.createTTL) writer.writeLongFromNumber(txn.ttlMs);
      return;
    case OpCode.delete:
    case OpCode.deleteContainer:
      return writer.writeString(txn.path);
    case OpCode.setData:
    case OpCode.reconfig:
      writer.writeString(txn.path);
      writer.writeBuffer(txn.data);
      return writer.writeInt(txn.version);
    case OpCode.setACL:
      writer.writeString(txn.path);
      aclList.write(writer, txn.acl);
      return writer.writeInt(txn.version);
    case OpCode.check:
      writer.writeString(txn.path);
      return writer.writeInt(txn.version);
    case OpCode.createSession:
      return writer.writeInt(txn.timeoutMs);
    case OpCode.closeSession:
      if (txn.paths !== undefined) stringList.write(writer, txn.paths);
      return;
    case OpCode.multi:
      return writer.writeVector(txn.txns, writePart);
    case OpCode.error:
      return writer.writeInt(txn.err);
  }
}

/**
 * Whether a closeSession ends here, or only its digest follows. The digest's version read as the count of a list would announce
 * two paths in eight bytes, which leave room for their lengths alone; and no path is empty.
 */
const endsWithoutPaths = (reader: JuteReader): boolean =>
  reader.remaining === 0 || (reader.remaining === DIGEST_BYTES && reader.peekInt() === DIGEST_VERSION);

/** One part of a multi: `type int, data buffer`. */
function readPart(reader: JuteReader): TxnBody {
  const type = reader.readInt();
  const bytes = reader.readBuffer();
  if (bytes === null) throw new MarshallingError('a part of a multi transaction has no bytes');
  if (type === OpCode.multi) throw new MarshallingError('a multi transaction inside a multi transaction');
  return readTxnBody(type, new JuteReader(bytes));
}

function writePart(writer: JuteWriter, txn: TxnBody): void {
  writer.writeInt(txn.type);
  const mark = writer.startFrame();
  writeTxnBody(writer, txn);
  writer.endFrame(mark);
}

const DIGEST_BYTES = 12;
/** The only version of digests that ever stood in a transaction. */
const DIGEST_VERSION = 2;

/** `version int, treeDigest long`: the digest of the whole tree after the transaction (AdHash, version 2). */
export interface TxnDigest {
  readonly version: number;
  readonly treeDigest: bigint;
}

export const txnDigest: Codec<TxnDigest> = {
  read: (reader) => ({ version: reader.readInt(), treeDigest: reader.readLong() }),
  write: (writer, value) => {
    writer.writeInt(value.version);
    writer.writeLong(value.treeDigest);
  },
};

/** A transaction as it stands in a log entry or a proposal. */
export interface Txn {
  readonly header: TxnHeader;
  readonly body: TxnBody;
  readonly digest: TxnDigest | undefined;
}

export const txn: Codec<Txn> = {
  read: (reader) => {
    const header = txnHeader.read(reader);
    const body = readTxnBody(header.type, reader);
    return { header, body, digest: reader.remaining > 0 ? txnDigest.read(reader) : undefined };
  },
  write: (writer, value) => {
    txnHeader.write(writer, value.header);
    writeTxnBody(writer, value.body);
    if (value.digest !== undefined) txnDigest.write(writer, value.digest);
  },
};
