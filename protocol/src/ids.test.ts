import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { counterOf, epochOf, makeZxid, toEpoch, toHex, toSessionId, toXid, toZxid } from './ids.ts';

const unsigned32 = fc.integer({ min: 0, max: 0xffff_ffff });

describe('a zxid', () => {
  it('gives back the epoch and the counter that it was made of', () => {
    fc.assert(
      fc.property(unsigned32, unsigned32, (epoch, counter) => {
        const zxid = makeZxid(toEpoch(epoch), counter);
        expect(epochOf(zxid)).toBe(epoch);
        expect(counterOf(zxid)).toBe(counter);
        expect(toZxid(zxid)).toBe(zxid);
      }),
    );
  });

  it('is made of its epoch and its counter', () => {
    const signed64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    fc.assert(
      fc.property(signed64, (value) => {
        const zxid = toZxid(value);
        expect(makeZxid(epochOf(zxid), counterOf(zxid))).toBe(zxid);
      }),
    );
  });

  it('orders by epoch, then by counter, as long as the epoch is below 2^31', () => {
    expect(makeZxid(toEpoch(2), 0)).toBeGreaterThan(makeZxid(toEpoch(1), 0xffff_ffff));
    expect(makeZxid(toEpoch(2), 0x8000_0000)).toBeGreaterThan(makeZxid(toEpoch(2), 0x7fff_ffff));
    expect(makeZxid(toEpoch(0x7fff_ffff), 0)).toBeGreaterThan(makeZxid(toEpoch(0x7fff_fffe), 0xffff_ffff));
  });

  it('is signed on the wire: the epoch 2^31 makes it negative', () => {
    expect(makeZxid(toEpoch(0x8000_0000), 0)).toBe(-(2n ** 63n));
    expect(epochOf(toZxid(-1n))).toBe(0xffff_ffff);
    expect(counterOf(toZxid(-1n))).toBe(0xffff_ffff);
  });
});

describe('an id', () => {
  it('is brought into the range that it has on the wire', () => {
    expect(toSessionId(0xffff_ffff_ffff_ffffn)).toBe(-1n);
    expect(toSessionId(0x0100_0000_0000_0001n)).toBe(0x0100_0000_0000_0001n);
    expect(toXid(0x8000_0000)).toBe(-0x8000_0000);
    expect(toXid(0x7fff_ffff)).toBe(0x7fff_ffff);
  });

  it('is printed as the hex of its 64 bits', () => {
    expect(toHex(0n)).toBe('0x0');
    expect(toHex(makeZxid(toEpoch(1), 0xab))).toBe('0x1000000ab');
    expect(toHex(-1n)).toBe('0xffffffffffffffff');
    expect(toHex(toSessionId(0x1000_0dc6_d100_00n))).toBe('0x10000dc6d10000');
  });
});
