import { type Acl, ZERO_ZXID, type Zxid } from 'zookeeper-protocol-ts';
import { NO_OWNER } from './owner.ts';

/** What a znode is made of when it comes into a tree: created by a transaction, or restored from a snapshot. */

/** What `DataTree.create` needs to know. */
export interface NewZnode {
  readonly path: string;
  readonly data: Uint8Array | null;
  /** Null for the open ACL. */
  readonly acl: readonly Acl[] | null;
  /** The raw owner field, see `owner.ts`. */
  readonly owner: bigint;
  /** The parent's stored cversion afterwards; -1 for one more than it has. */
  readonly parentCversion: number;
  readonly zxid: Zxid;
  /** The leader's wall clock, ms since 1970. */
  readonly time: number;
}

/** The stat fields that a snapshot has, with their stored values. */
export interface PersistedStat {
  readonly czxid: Zxid;
  readonly mzxid: Zxid;
  readonly ctime: number;
  readonly mtime: number;
  readonly version: number;
  /** The stored one, which counts creates only. */
  readonly cversion: number;
  readonly aversion: number;
  /** The raw field, see `owner.ts`. */
  readonly owner: bigint;
  readonly pzxid: Zxid;
}

/** All of a znode but its path and its place in the tree. */
export interface Contents {
  readonly data: Uint8Array | null;
  /** A number of the ACL table, or -1. */
  readonly aclId: number;
  readonly stat: PersistedStat;
}

/** Of the znodes that come with every tree. */
export const NO_STAT: PersistedStat = {
  czxid: ZERO_ZXID,
  mzxid: ZERO_ZXID,
  ctime: 0,
  mtime: 0,
  version: 0,
  cversion: 0,
  aversion: 0,
  owner: NO_OWNER,
  pzxid: ZERO_ZXID,
};

/** A znode as a snapshot has it. */
export interface RestoredZnode extends Contents {
  readonly path: string;
}
