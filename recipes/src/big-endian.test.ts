import { describe, expect, it } from 'vitest';
import { InvalidArgumentError } from 'zookeeper-client-ts';
import { int32, int64 } from './big-endian.ts';

const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');

describe('whole numbers as Java writes them', () => {
  it.each([
    [0, '00000000'],
    [1, '00000001'],
    [-2, 'fffffffe'],
    [2 ** 31 - 1, '7fffffff'],
    [-(2 ** 31), '80000000'],
  ])('%d has 4 bytes, and comes back', (value, written) => {
    expect(hex(int32.serialize(value))).toBe(written);
    expect(int32.deserialize(Buffer.from(written, 'hex'))).toBe(value);
  });

  it.each([
    [0n, '0000000000000000'],
    [258n, '0000000000000102'],
    [-1n, 'ffffffffffffffff'],
    [2n ** 63n - 1n, '7fffffffffffffff'],
    [-(2n ** 63n), '8000000000000000'],
  ])('%d has 8 bytes, and comes back', (value, written) => {
    expect(hex(int64.serialize(value))).toBe(written);
    expect(int64.deserialize(Buffer.from(written, 'hex'))).toBe(value);
  });

  it('is read out of the middle of a larger buffer', () => {
    const buffer = Buffer.from('ffff00000102ffff', 'hex');
    expect(int32.deserialize(buffer.subarray(2, 6))).toBe(258);
  });

  it('no data at all is 0', () => {
    expect(int32.deserialize(new Uint8Array())).toBe(0);
    expect(int64.deserialize(new Uint8Array())).toBe(0n);
  });

  it('what does not fit is refused before it is written', () => {
    for (const value of [0.5, 2 ** 31, Number.NaN, '1' as unknown as number]) {
      expect(() => int32.serialize(value)).toThrow(InvalidArgumentError);
    }
    for (const value of [2n ** 63n, -(2n ** 63n) - 1n, 1 as unknown as bigint]) {
      expect(() => int64.serialize(value)).toThrow(InvalidArgumentError);
    }
  });

  it('data of another length are told in hex', () => {
    expect(() => int32.deserialize(Buffer.from('0102', 'hex'))).toThrow('4 bytes expected, not 0102');
    expect(() => int64.deserialize(Buffer.from('00000001', 'hex'))).toThrow('8 bytes expected, not 00000001');
  });
});
