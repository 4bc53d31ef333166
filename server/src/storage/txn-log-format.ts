import { type JuteWriter, toZxid, type Zxid } from 'zookeeper-protocol-ts';
import { adler32 } from './adler32.ts';

/**
 * The transaction log file, byte for byte Apache ZooKeeper's (`FileTxnLog`, `FilePadding`):
 *
 *     file    = header entry* padding        named log.<zxid of its first transaction, lower-case hex>
 *     header  = "ZKLG", version int 2, dbid long 0
 *     entry   = checksum long                Adler-32 of the record, unsigned
 *               record buffer                int length, then TxnHeader, body, and maybe a TxnDigest
 *               "B"                          the entry was written to its end
 *     padding = zeros                        room preallocated for entries to come, also in files that are complete
 *
 * A length of 0 is padding: the end of the entries.
 */

/** "ZKLG" */
export const LOG_MAGIC = 0x5a4b4c47;
export const LOG_VERSION = 2;
export const LOG_HEADER_BYTES = 16;
/** Checksum and length. */
export const ENTRY_HEAD_BYTES = 12;
/** "B", behind every record. */
export const ENTRY_END = 0x42;
/** A TxnHeader: the shortest record there can be. */
export const RECORD_BYTES_MIN = 32;

/** Where the zxid stands in a record: behind the header's session id and cxid. */
const RECORD_ZXID_OFFSET = 12;
/** A file is extended when it has less room left than this, as in the original. */
const ROOM_BYTES_MIN = 4096;

const LOG_NAME = /^log\.([0-9a-f]{1,16})$/;

/** The name of the log that starts with `zxid`. */
export const logName = (zxid: Zxid): string => `log.${BigInt.asUintN(64, zxid).toString(16)}`;

/** The first zxid of the log of that name, or undefined if it isn't the name of a log. */
export function zxidOfLogName(name: string): Zxid | undefined {
  const hex = LOG_NAME.exec(name)?.[1];
  return hex === undefined ? undefined : toZxid(BigInt(`0x${hex}`));
}

/** The zxid in a record of at least {@link RECORD_BYTES_MIN} bytes. */
export const zxidOfRecord = (record: Uint8Array): Zxid =>
  toZxid(new DataView(record.buffer, record.byteOffset, record.byteLength).getBigInt64(RECORD_ZXID_OFFSET));

/** Writes the header of a file. */
export function writeLogHeader(writer: JuteWriter): void {
  writer.writeInt(LOG_MAGIC);
  writer.writeInt(LOG_VERSION);
  writer.writeLong(0n);
}

/** Writes one entry. */
export function writeLogEntry(writer: JuteWriter, record: Uint8Array): void {
  writer.writeLongFromNumber(adler32(record));
  writer.writeBuffer(record);
  writer.writeByte(ENTRY_END);
}

/**
 * The size that a file of `fileBytes` must have before entries are written at `position` (`calculateFileSizeWithPadding`):
 * larger by one allocation when the room left is short, or the next multiple of an allocation when the entries have already
 * outgrown the file.
 */
export function paddedSize(position: number, fileBytes: number, preallocateBytes: number): number {
  if (preallocateBytes <= 0 || position + ROOM_BYTES_MIN < fileBytes) return fileBytes;
  if (position <= fileBytes) return fileBytes + preallocateBytes;
  return position + preallocateBytes - ((position + preallocateBytes) % preallocateBytes);
}
