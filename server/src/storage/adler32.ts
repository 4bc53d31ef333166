/**
 * Adler-32 (RFC 1950, section 8.2): the checksum of log records and snapshots. Two sums modulo 65521, the largest prime
 * below 2^16: of the bytes, and of the first sum after each byte.
 */

const MODULUS = 65521;

/**
 * Bytes between two reductions. The sums start below 65521, so after n bytes of 255 the second one is at most
 * 65520·(n + 1) + 255·n·(n + 1)/2: below 2^31 for 3854 bytes, which keeps both sums small integers for the engine.
 */
const BLOCK_BYTES = 3854;

/** The checksum of no bytes. */
export const ADLER32_EMPTY = 1;

/**
 * The checksum of `bytes`, unsigned 32-bit.
 * @param checksum the checksum of the bytes before them, to go on from
 */
export function adler32(bytes: Uint8Array, checksum: number = ADLER32_EMPTY): number {
  let low = checksum & 0xffff;
  let high = checksum >>> 16;
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(at + BLOCK_BYTES, bytes.length);
    // In range: `end` is at most the length. Eight at a time take two thirds of the time.
    for (const last = end - 7; at < last; at += 8) {
      low += bytes[at] as number;
      high += low;
      low += bytes[at + 1] as number;
      high += low;
      low += bytes[at + 2] as number;
      high += low;
      low += bytes[at + 3] as number;
      high += low;
      low += bytes[at + 4] as number;
      high += low;
      low += bytes[at + 5] as number;
      high += low;
      low += bytes[at + 6] as number;
      high += low;
      low += bytes[at + 7] as number;
      high += low;
    }
    for (; at < end; at++) {
      low += bytes[at] as number;
      high += low;
    }
    low %= MODULUS;
    high %= MODULUS;
  }
  return ((high << 16) | low) >>> 0;
}
