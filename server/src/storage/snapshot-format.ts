import { toZxid, type Zxid } from 'zookeeper-protocol-ts';

/**
 * The snapshot file, byte for byte Apache ZooKeeper's (`FileSnap`, `SnapStream`, `DataTree.serialize`):
 *
 *     file     = header contents seal [digest seal] [last seal]      named snapshot.<zxid, lower-case hex>
 *     header   = "ZKSN", version int 2, dbid long -1
 *     contents = session table, ACL table, znode*, path "/"          what a SNAP sends over the network, too
 *     sessions = count int, (session id long, timeout int)*
 *     acls     = count int, (number long, vector of ACL)*
 *     znode    = path string, data buffer, number of its ACL long, StatPersisted (60 bytes)
 *     seal     = checksum long, string "/"                           Adler-32 of all bytes before the seal, unsigned
 *     digest   = zxid long, version int 2, digest long               the tree's, when that zxid had been applied
 *     last     = zxid long                                           the last one applied while the file was written
 *
 * The root's path is empty; parents stand before their children. The name has the zxid of the last transaction whose work is
 * all in the file. A file of ours holds the work of no later one; the original writes while its tree changes, so in its files
 * there may be parts of later ones, and the log must be replayed over them at least up to the digest's zxid.
 *
 * Compressed, all of it is one stream, of gzip (`.gz`) or of snappy (`.snappy`, see `snappy.ts`), and the checksums are over the
 * bytes inside.
 */

/** "ZKSN" */
export const SNAPSHOT_MAGIC = 0x5a4b534e;
export const SNAPSHOT_VERSION = 2;
export const SNAPSHOT_DBID = -1n;
/** Ends the znodes, and each seal. */
export const SECTION_END = '/';
/** `checksum long`, and {@link SECTION_END} behind its length. */
export const SEAL_BYTES = 13;
export const DIGEST_SECTION_BYTES = 20;
export const LAST_ZXID_SECTION_BYTES = 8;

/** How a file is compressed, by the end of its name. */
export type SnapshotCompression = 'none' | 'gz' | 'snappy';

const SNAPSHOT_NAME = /^snapshot\.([0-9a-f]{1,16})(?:\.(gz|snappy))?$/;
const UNFINISHED_NAME = /^unfinished-snapshot\.[0-9a-f]{1,16}$/;

const hexOf = (zxid: Zxid): string => BigInt.asUintN(64, zxid).toString(16);

/** The name of the snapshot of the tree at `zxid`. */
export const snapshotName = (zxid: Zxid, compression: SnapshotCompression = 'none'): string =>
  compression === 'none' ? `snapshot.${hexOf(zxid)}` : `snapshot.${hexOf(zxid)}.${compression}`;

/** What it is called until it is whole and durable: a name in which nobody looks for a snapshot. */
export const unfinishedSnapshotName = (zxid: Zxid): string => `unfinished-snapshot.${hexOf(zxid)}`;

export const isUnfinishedSnapshotName = (name: string): boolean => UNFINISHED_NAME.test(name);

export interface SnapshotName {
  readonly name: string;
  readonly zxid: Zxid;
  readonly compression: SnapshotCompression;
}

/** The parts of a snapshot's name; undefined if it isn't one. */
export function parseSnapshotName(name: string): SnapshotName | undefined {
  const [, hex, ending] = SNAPSHOT_NAME.exec(name) ?? [];
  if (hex === undefined) return undefined;
  const compression = ending === 'gz' || ending === 'snappy' ? ending : 'none';
  return { name, zxid: toZxid(BigInt(`0x${hex}`)), compression };
}

/** The snapshots among some files, newest first. */
export function snapshotsIn(names: readonly string[]): SnapshotName[] {
  return names
    .map(parseSnapshotName)
    .filter((parsed) => parsed !== undefined)
    .sort((a, b) => (a.zxid > b.zxid ? -1 : 1));
}

/** With what a snapshot that is being written is compressed. */
export type SnapshotCompressor =
  | { readonly kind: 'none' }
  | { readonly kind: 'snappy' }
  | { readonly kind: 'gz'; readonly gzip: Gzip };

/** gzip, as the machine does it. */
export interface Gzip {
  /** Compresses bytes into a whole gzip member: a file may be several of them, one behind the other. Never calls back at once. */
  compress(bytes: Uint8Array, done: (error: Error | null, compressed: Uint8Array) => void): void;
  /** @throws when the bytes are not whole gzip members, or would take more than the machine has */
  decompress(bytes: Uint8Array): Uint8Array;
}
