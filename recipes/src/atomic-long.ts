/** A counter of 64 bits that many change at once (Curator's `DistributedAtomicLong`: 8 bytes, the highest first). */
import type { CuratorFramework } from 'zookeeper-client-ts';
import { type Arithmetic, DistributedAtomicNumber } from './atomic-number.ts';
import type { AtomicOptions } from './atomic-znode.ts';
import { int64 } from './big-endian.ts';

/**
 * ```ts
 * const orders = new DistributedAtomicLong(client, '/counters/orders');
 * const result = await orders.increment();
 * if (result.succeeded) order.number = result.postValue;
 * ```
 */
export class DistributedAtomicLong extends DistributedAtomicNumber<bigint> {
  constructor(client: CuratorFramework, path: string, options: AtomicOptions = {}) {
    super(client, path, bigints, options);
  }
}

const bigints: Arithmetic<bigint> = {
  serializer: int64,
  zero: 0n,
  one: 1n,
  add: (a, b) => a + b,
  negate: (a) => -a,
};
