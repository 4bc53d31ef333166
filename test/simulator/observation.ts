/**
 * What an onlooker sees of a world from outside, as it happens: what processes log, what they ask of their disks, and what they
 * hand to their kernels for others. It may not change anything at once: the process is in the middle of it.
 */
import type { DiskOperation } from './disk.ts';

export type Observation =
  | { readonly kind: 'log'; readonly process: string; readonly line: string }
  /** An operation begins. */
  | { readonly kind: 'disk'; readonly machine: string; readonly operation: DiskOperation; readonly file: string }
  | {
      readonly kind: 'written';
      readonly from: string;
      readonly to: string;
      /** The one that one of the two listens on. */
      readonly port: number;
      /** The end of the connection that it was written to: a name of its own. */
      readonly stream: string;
      readonly bytes: Uint8Array;
    };

export type Observe = (observation: Observation) => void;
