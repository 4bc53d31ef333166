import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeItems, encodeItems } from './queue-items.ts';

const text = (...items: string[]) => encodeItems(items.map((item) => Buffer.from(item)));
const hex = (bytes: string) => Buffer.from(bytes.replaceAll(' ', ''), 'hex');

describe('the data of an item', () => {
  it("are Curator's to the byte", () => {
    expect(Buffer.from(text('hey'))).toEqual(hex('00010001 01 00000003 686579 02'));
    expect(Buffer.from(text('a', ''))).toEqual(hex('00010001 01 00000001 61 01 00000000 02'));
    expect(Buffer.from(text())).toEqual(hex('00010001 02'));
  });

  it('come back as they went in', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 20 })), (items) => {
        expect(decodeItems(encodeItems(items)).map((item) => [...item])).toEqual(items.map((item) => [...item]));
      }),
    );
  });

  it('are read from the middle of a buffer, and no further than their end', () => {
    const data = Buffer.concat([Buffer.from('before'), text('hey'), Buffer.from('behind')]);
    expect(decodeItems(data.subarray(6)).map(String)).toEqual(['hey']);
  });

  it.each([
    ['', /0 bytes are too short/],
    ['0001', /2 bytes are too short/],
    ['00010002 02', /version 65538 .* is unknown/],
    ['00010001 03', /at byte 4 is 3/],
    ['00010001 01 00000000', /at byte 9 is the end/],
    ['00010001 01 000000', /item at byte 4 doesn't end/],
    ['00010001 01 00000009 686579 02', /item at byte 4 doesn't end/],
    ['00010001 01 ffffffff 02', /item at byte 4 doesn't end/],
    ['00010001 01 7fffffff 02', /item at byte 4 doesn't end/],
  ])('are refused if nobody can have written them: %s', (bytes, message) => {
    expect(() => decodeItems(hex(bytes))).toThrow(RangeError);
    expect(() => decodeItems(hex(bytes))).toThrow(message);
  });

  it('are read or refused whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (noise) => {
        const data = Buffer.concat([hex('00010001'), noise]);
        try {
          decodeItems(data);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });
});
