import { describe, expect, it } from 'vitest';
import { MarshallingError } from '../marshalling-error.ts';
import { JuteReader } from './reader.ts';

const reader = (hex: string): JuteReader => new JuteReader(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

describe('JuteReader', () => {
  it('reads numbers as big endian two’s complement', () => {
    const numbers = reader('80 7f  80000000 fffffffe  8000000000000000 fffffffffffffffe');
    expect(numbers.readByte()).toBe(-128);
    expect(numbers.readByte()).toBe(127);
    expect(numbers.readInt()).toBe(-0x8000_0000);
    expect(numbers.readInt()).toBe(-2);
    expect(numbers.readLong()).toBe(-(2n ** 63n));
    expect(numbers.readLong()).toBe(-2n);
    expect(numbers.remaining).toBe(0);
    expect(numbers.offset).toBe(26);
  });

  it('reads longs as numbers, exactly up to 2^53 either way', () => {
    expect(reader('0020000000000000').readLongAsNumber()).toBe(2 ** 53);
    expect(reader('001fffffffffffff').readLongAsNumber()).toBe(Number.MAX_SAFE_INTEGER);
    expect(reader('ffe0000000000001').readLongAsNumber()).toBe(Number.MIN_SAFE_INTEGER);
    expect(reader('ffffffffffffffff').readLongAsNumber()).toBe(-1);
  });

  it('reads any byte but 0 as true', () => {
    const bytes = reader('00 01 ff 80');
    expect([0, 1, 2, 3].map(() => bytes.readBool())).toEqual([false, true, true, true]);
  });

  it('tells null, empty and full apart', () => {
    const values = reader(
      'ffffffff 00000000 00000001 61  ffffffff 00000000 00000001 61  ffffffff 00000000 00000001 00000007',
    );
    expect([values.readString(), values.readString(), values.readString()]).toEqual([null, '', 'a']);
    expect([values.readBuffer(), values.readBuffer(), values.readBuffer()]).toEqual([
      null,
      Buffer.alloc(0),
      Buffer.from('a'),
    ]);
    const readVector = () => values.readVector((one) => one.readInt());
    expect([readVector(), readVector(), readVector()]).toEqual([null, [], [7]]);
    expect(values.remaining).toBe(0);
  });

  it('reads strings as UTF-8, with replacement characters where they are not', () => {
    expect(reader('0000000a f09f9098 c3b6 e6bca2 61').readString()).toBe('🐘ö漢a');
    expect(reader('00000003 61 ff 62').readString()).toBe('a\uFFFDb');
    expect(reader('00000002 c3b6 c3b6').readRequiredString('name')).toBe('ö');
  });

  it('refuses null where it makes no sense, and says where', () => {
    expect(() => reader('00000000 ffffffff').readRequiredString('path')).not.toThrow();
    const strings = reader('00000000 ffffffff');
    strings.readString();
    expect(() => strings.readRequiredString('path')).toThrow('path is null at byte 4');
  });

  it.each([
    ['byte', '', (input: JuteReader) => input.readByte()],
    ['boolean', '', (input: JuteReader) => input.readBool()],
    ['int', '000000', (input: JuteReader) => input.readInt()],
    ['int that is only looked at', '000000', (input: JuteReader) => input.peekInt()],
    ['long', '00000000000000', (input: JuteReader) => input.readLong()],
    ['long as a number', '00000000000000', (input: JuteReader) => input.readLongAsNumber()],
    ['string', '00000002 61', (input: JuteReader) => input.readString()],
    ['buffer', '00000002 61', (input: JuteReader) => input.readBuffer()],
    ['vector', '00000002 00000001', (input: JuteReader) => input.readVector((one) => one.readInt())],
  ])('refuses a %s that ends too early', (_, hex, read) => {
    expect(() => read(reader(hex))).toThrow(MarshallingError);
  });

  it.each(['fffffffe', '80000000', '7fffffff', '00000002'])(
    'refuses a length or count of %s in front of one byte',
    (length) => {
      expect(() => reader(`${length} 00`).readString()).toThrow(MarshallingError);
      expect(() => reader(`${length} 00`).readBuffer()).toThrow(MarshallingError);
      expect(() => reader(`${length} 00`).readVector((one) => one.readByte(), 1)).toThrow(MarshallingError);
    },
  );

  it('refuses a count before it reads the first element', () => {
    let read = 0;
    const readElement = () => read++;
    expect(() => reader('7fffffff 00000000').readVector(readElement)).toThrow(
      'a vector of 2147483647 elements at byte 0',
    );
    expect(() => reader('00000002 00000000').readVector(readElement)).toThrow(MarshallingError);
    expect(() => reader('00000001 0000000000').readVector(readElement, 8)).toThrow(MarshallingError);
    expect(read).toBe(0);
  });

  it('stays within a view that is a part of a larger buffer', () => {
    const part = new JuteReader(new Uint8Array([9, 9, 0, 0, 0, 1, 9, 9]).subarray(2, 6));
    expect(part.remaining).toBe(4);
    expect(part.readInt()).toBe(1);
    expect(() => part.readByte()).toThrow(MarshallingError);
  });

  it('gives buffers as views of its input', () => {
    const input = Buffer.from('0000000161', 'hex');
    const buffer = new JuteReader(input).readBuffer();
    input[4] = 0x62;
    expect(buffer?.toString()).toBe('b');
  });

  it('looks at an int without reading it', () => {
    const ints = reader('00000007 00000008');
    expect(ints.peekInt()).toBe(7);
    expect(ints.offset).toBe(0);
    expect([ints.readInt(), ints.peekInt(), ints.readInt()]).toEqual([7, 8, 8]);
  });

  it('passes over bytes, and not over the end', () => {
    const ints = reader('00000007 00000008');
    ints.skip(4);
    expect(ints.readInt()).toBe(8);
    expect(() => ints.skip(1)).toThrow(MarshallingError);
  });

  it('gives the rest of its input', () => {
    const input = reader('01 0203');
    input.readByte();
    expect(input.readRemaining()).toEqual(Buffer.from([2, 3]));
    expect(input.readRemaining()).toEqual(Buffer.alloc(0));
  });
});
