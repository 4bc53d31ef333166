import { createHash } from 'node:crypto';
import type { Hash } from '../ports.ts';

/** The {@link Hash} of a real machine. */
export const systemHash: Hash = {
  sha1: (bytes) => createHash('sha1').update(bytes).digest(),
};
