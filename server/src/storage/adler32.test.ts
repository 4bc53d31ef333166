import { describe, expect, test } from 'vitest';
import { ADLER32_EMPTY, adler32 } from './adler32.ts';

/** The definition, reduced after every byte. */
function definition(bytes: Uint8Array): number {
  let low = 1;
  let high = 0;
  for (const byte of bytes) {
    low = (low + byte) % 65521;
    high = (high + low) % 65521;
  }
  return high * 0x1_0000 + low;
}

describe('adler32', () => {
  test('gives the known values', () => {
    expect(adler32(Buffer.from('Wikipedia'))).toBe(0x11e60398);
    expect(adler32(new Uint8Array())).toBe(ADLER32_EMPTY);
    expect(adler32(Buffer.from('a'))).toBe(0x00620062);
  });

  test('agrees with a record of a log that Apache ZooKeeper 3.8.0 wrote', () => {
    const record = Buffer.from(
      '0100000dc6d10000000000000000000000000001000001a2042d4825fffffff6000027100000000200000000' + '51c6d660',
      'hex',
    );
    expect(record.length).toBe(0x30);
    expect(adler32(record)).toBe(0xb73c0961);
  });

  test.each([3853, 3854, 3855, 7708, 7709, 100_000])('does not overflow on %i bytes of 255', (length) => {
    const bytes = new Uint8Array(length).fill(255);
    expect(adler32(bytes)).toBe(definition(bytes));
  });

  test('goes on from the checksum of what came before', () => {
    const bytes = Uint8Array.from({ length: 10_000 }, (_, i) => (i * 31) & 0xff);
    for (const cut of [0, 1, 3854, 9999, 10_000]) {
      expect(adler32(bytes.subarray(cut), adler32(bytes.subarray(0, cut)))).toBe(definition(bytes));
    }
  });
});
