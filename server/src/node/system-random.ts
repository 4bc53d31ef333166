import { randomBytes } from 'node:crypto';
import type { Random } from '../ports.ts';

/** The {@link Random} of a real machine: nobody can guess what comes next, so passwords may be made of it. */
export class SystemRandom implements Random {
  next(): number {
    return randomBytes(6).readUIntBE(0, 6) / 2 ** 48;
  }

  bytes(count: number): Uint8Array {
    return randomBytes(count);
  }
}
