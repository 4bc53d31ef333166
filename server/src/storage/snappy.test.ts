import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compressSnappyChunk, decompressSnappy, SNAPPY_HEADER, SnappyError } from './snappy.ts';

const streamOf = (...chunks: Uint8Array[]): Buffer =>
  Buffer.concat([SNAPPY_HEADER, ...chunks.map((chunk) => compressSnappyChunk(chunk))]);

/** A stream of one chunk with a block of these bytes. */
const streamOfBlock = (...block: number[]): Buffer => {
  const length = Buffer.alloc(4);
  length.writeInt32BE(block.length);
  return Buffer.concat([SNAPPY_HEADER, length, Buffer.from(block)]);
};

/** Repeats itself near and far, and doesn't. */
const bytesOf = (length: number): Buffer => {
  const bytes = Buffer.alloc(length);
  let state = 1;
  for (let i = 0; i < length; i++) {
    state = Math.imul(state, 0x41c6_4e6d) + 12_345;
    bytes[i] = i % 700 < 300 ? i % 7 : state >>> 16;
  }
  return bytes;
};

describe('compressSnappyChunk and decompressSnappy', () => {
  test.each([0, 1, 3, 4, 59, 60, 61, 255, 256, 257, 65_535, 65_536, 65_537, 200_000])(
    'bring back %i bytes',
    (length) => {
      for (const bytes of [bytesOf(length), Buffer.alloc(length), Buffer.alloc(length, 'ab')]) {
        expect(Buffer.compare(decompressSnappy(streamOf(bytes)), bytes)).toBe(0);
      }
    },
  );

  test('bring back any bytes, in any number of chunks', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 500 }),
      fc.array(fc.constantFrom(...'abc'), { maxLength: 500 }).map((letters) => Buffer.from(letters.join(''))),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 5 }), (pieces) => {
        expect(Buffer.compare(decompressSnappy(streamOf(...pieces)), Buffer.concat(pieces))).toBe(0);
      }),
    );
  });

  test('make what repeats itself small, and what does not hardly longer', () => {
    expect(compressSnappyChunk(Buffer.alloc(100_000)).length).toBeLessThan(6000);
    const random = Buffer.from(Array.from({ length: 1000 }, (_, i) => Math.imul(i + 1, 0x9e37_79b1) >>> 24));
    expect(compressSnappyChunk(random).length).toBeLessThan(1020);
  });
});

describe('decompressSnappy', () => {
  test('reads every kind of element', () => {
    // A literal of 4; copies with an offset of 11 bits, 16 bits, 32 bits; one that overlaps itself; a literal with its length behind.
    expect(String(decompressSnappy(streamOfBlock(8, 3 << 2, ...Buffer.from('abcd'), (0 << 2) | 1, 4)))).toBe(
      'abcdabcd',
    );
    expect(String(decompressSnappy(streamOfBlock(6, 3 << 2, ...Buffer.from('abcd'), (1 << 2) | 2, 4, 0)))).toBe(
      'abcdab',
    );
    expect(String(decompressSnappy(streamOfBlock(6, 3 << 2, ...Buffer.from('abcd'), (1 << 2) | 3, 3, 0, 0, 0)))).toBe(
      'abcdbc',
    );
    expect(String(decompressSnappy(streamOfBlock(7, 0 << 2, 0x61, (5 << 2) | 2, 1, 0)))).toBe('aaaaaaa');
    expect(String(decompressSnappy(streamOfBlock(2, 61 << 2, 1, 0, 0x61, 0x62)))).toBe('ab');
  });

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['something else', Buffer.from('ZKSN and more than sixteen bytes')],
    ['a chunk without its length', Buffer.concat([SNAPPY_HEADER, Buffer.alloc(2)])],
    ['a negative chunk', Buffer.concat([SNAPPY_HEADER, Buffer.from([0xff, 0xff, 0xff, 0xff, 1])])],
    ['an empty chunk', Buffer.concat([SNAPPY_HEADER, Buffer.alloc(4)])],
    ['a chunk that is longer than the stream', Buffer.concat([SNAPPY_HEADER, Buffer.from([0, 0, 0, 9, 1])])],
    ['a block that says nothing of its length', streamOfBlock(0xff, 0xff, 0xff, 0xff, 0xff, 0xff)],
    ['a block that would become gigabytes', streamOfBlock(0xff, 0xff, 0xff, 0xff, 7, 0, 0x61)],
    ['a literal that is longer than the block', streamOfBlock(9, 8 << 2, 0x61)],
    ['a literal whose length is cut off', streamOfBlock(9, 61 << 2, 0)],
    ['a literal that is longer than what it becomes', streamOfBlock(1, 1 << 2, 0x61, 0x62)],
    ['a copy of what is not there', streamOfBlock(4, 0 << 2, 0x61, (2 << 2) | 2, 2, 0)],
    ['a copy of nothing', streamOfBlock(4, 0 << 2, 0x61, (2 << 2) | 2, 0, 0)],
    ['a copy that is longer than what it becomes', streamOfBlock(3, 0 << 2, 0x61, (2 << 2) | 2, 1, 0)],
    ['a copy whose offset is cut off', streamOfBlock(3, 0 << 2, 0x61, (1 << 2) | 2, 1)],
    ['a block that ends early', streamOfBlock(2, 0 << 2, 0x61)],
  ])('refuses %s', (_what, stream) => {
    expect(() => decompressSnappy(stream)).toThrow(SnappyError);
  });

  test('gives bytes or its error for whatever was changed', () => {
    const stream = streamOf(bytesOf(3000));
    for (let length = 0; length < stream.length; length++) {
      // In front of the first chunk it is whole, and empty.
      if (length === SNAPPY_HEADER.length) continue;
      expect(() => decompressSnappy(stream.subarray(0, length))).toThrow(SnappyError);
    }
    for (let at = 0; at < stream.length; at++) {
      const changed = Buffer.from(stream);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      try {
        expect(decompressSnappy(changed).length).toBeLessThan(stream.length * 30);
      } catch (error) {
        expect(error).toBeInstanceOf(SnappyError);
      }
    }
  });
});
