/**
 * Whole numbers as Java writes them: two's complement, the highest byte first. Curator's `SharedCount` and
 * `DistributedAtomicInteger` have 4 bytes, its `DistributedAtomicLong` has 8. No data at all is 0, as there.
 */
import { InvalidArgumentError } from 'zookeeper-client-ts';
import type { Serializer } from './serializer.ts';

/** −2³¹ ≤ n < 2³¹ in 4 bytes. */
export const int32: Serializer<number> = {
  serialize(value) {
    if ((value | 0) !== value) throw new InvalidArgumentError('value', `${value} is no whole number of 32 bits`);
    const data = new Uint8Array(4);
    viewOf(data).setInt32(0, value);
    return data;
  },
  deserialize: (data) => (data.length === 0 ? 0 : viewOf(ofLength(data, 4)).getInt32(0)),
};

/** −2⁶³ ≤ n < 2⁶³ in 8 bytes. */
export const int64: Serializer<bigint> = {
  serialize(value) {
    if (typeof value !== 'bigint' || BigInt.asIntN(64, value) !== value) {
      throw new InvalidArgumentError('value', `${value} is no bigint of 64 bits`);
    }
    const data = new Uint8Array(8);
    viewOf(data).setBigInt64(0, value);
    return data;
  },
  deserialize: (data) => (data.length === 0 ? 0n : viewOf(ofLength(data, 8)).getBigInt64(0)),
};

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength);

function ofLength(data: Uint8Array, length: number): Uint8Array {
  if (data.length === length) return data;
  throw new RangeError(`${length} bytes expected, not ${Buffer.from(data).toString('hex')}`);
}
