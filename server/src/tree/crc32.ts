/**
 * CRC-32 as in zlib (polynomial 0xedb88320, reflected): the checksum of one znode in the digest of the tree. Four bytes a step
 * ("slicing by four"): the tables say what a byte does to the remainder 0, 1, 2 or 3 bytes later.
 */

/** The checksum of no bytes. */
export const CRC32_EMPTY = 0;

const POLYNOMIAL = 0xedb8_8320;
const [TABLE_0, TABLE_1, TABLE_2, TABLE_3] = makeTables();

/**
 * The checksum of a part of `bytes`, as a signed 32-bit number; `>>> 0` makes it unsigned.
 * @param checksum the checksum of the bytes before them, to go on from
 */
export function crc32(
  bytes: Uint8Array,
  checksum: number = CRC32_EMPTY,
  start = 0,
  end: number = bytes.length,
): number {
  let crc = ~checksum;
  let at = start;
  // The bytes are in range: `end` is at most the length. So are the indices of the tables.
  for (const last = end - 3; at < last; at += 4) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    crc =
      (TABLE_3[crc & 0xff] as number) ^
      (TABLE_2[(crc >>> 8) & 0xff] as number) ^
      (TABLE_1[(crc >>> 16) & 0xff] as number) ^
      (TABLE_0[crc >>> 24] as number);
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ (TABLE_0[(crc ^ (bytes[at] as number)) & 0xff] as number);
  return ~crc;
}

/** The checksum of a text's UTF-8, without encoding it when it is ASCII, as paths mostly are. */
export function crc32OfText(text: string, checksum: number = CRC32_EMPTY): number {
  let crc = ~checksum;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit > 0x7f) return crc32(UTF8.encode(text), checksum);
    crc = (crc >>> 8) ^ (TABLE_0[(crc ^ unit) & 0xff] as number);
  }
  return ~crc;
}

const UTF8 = new TextEncoder();

function makeTables(): readonly [Int32Array, Int32Array, Int32Array, Int32Array] {
  const tables = [new Int32Array(256), new Int32Array(256), new Int32Array(256), new Int32Array(256)] as const;
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[0][byte] = crc;
  }
  for (let byte = 0; byte < 256; byte++) {
    let crc = tables[0][byte] as number;
    for (const table of tables.slice(1)) {
      crc = (crc >>> 8) ^ (tables[0][crc & 0xff] as number);
      table[byte] = crc;
    }
  }
  return tables;
}
