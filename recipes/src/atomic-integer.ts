/** A counter of 32 bits that many change at once (Curator's `DistributedAtomicInteger`: 4 bytes, the highest first). */
import type { CuratorFramework } from 'zookeeper-client-ts';
import { type Arithmetic, DistributedAtomicNumber } from './atomic-number.ts';
import type { AtomicOptions } from './atomic-znode.ts';
import { int32 } from './big-endian.ts';

/** As `DistributedAtomicLong`, with numbers that JavaScript computes with. */
export class DistributedAtomicInteger extends DistributedAtomicNumber<number> {
  constructor(client: CuratorFramework, path: string, options: AtomicOptions = {}) {
    super(client, path, numbers, options);
  }
}

const numbers: Arithmetic<number> = {
  serializer: int32,
  zero: 0,
  one: 1,
  add: (a, b) => a + b,
  negate: (a) => -a,
};
