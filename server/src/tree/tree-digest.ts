import { ROOT, type Znode, type ZnodeColumns } from './znode.ts';

/** Of the digests in snapshots and transactions. The older ones are long gone. */
export const DIGEST_VERSION = 2;

/**
 * The digest of a tree (AdHash, version 2; the original's `DigestCalculator` and `AdHash`): the sum, modulo 2^64, of a CRC-32
 * for each znode. Two servers with the same digest at the same zxid have the same tree.
 *
 * It is kept up to date lazily: a changed znode is only noted, and counted anew when somebody asks for the sum or when many
 * have been noted. A burst of creates below one parent computes that parent once. The znodes below /zookeeper don't count.
 *
 * What must hold: the sum is that of the digests in the column, and a znode whose digest there is out of date is marked as
 * stale and noted.
 */
export class TreeDigest {
  readonly #columns: ZnodeColumns;
  /** The first `#notedCount` are noted; some may have vanished since, or stand here twice. */
  readonly #noted = new Int32Array(NOTED_MAX);
  #notedCount = 0;
  /** The sum in two halves: numbers are exact and cost no memory. */
  #high = 0;
  #low = 0;

  constructor(columns: ZnodeColumns) {
    this.#columns = columns;
  }

  /** Unsigned 64 bits. */
  get sum(): bigint {
    this.#settle();
    return (BigInt(this.#high) << 32n) | BigInt(this.#low);
  }

  /** A znode is new, or will be changed in this step. */
  changed(node: Znode): void {
    if (this.#columns.isStale(node)) return;
    if (this.#notedCount === NOTED_MAX) this.#settle();
    this.#columns.setStale(node, true);
    this.#noted[this.#notedCount++] = node;
  }

  /** A znode is about to vanish. */
  removed(node: Znode): void {
    this.#columns.setStale(node, false);
    this.#replace(node, 0);
  }

  #settle(): void {
    for (let i = 0; i < this.#notedCount; i++) {
      const node = this.#noted[i] as Znode;
      if (!this.#columns.isStale(node)) continue;
      this.#columns.setStale(node, false);
      this.#replace(node, this.#digestOf(node));
    }
    this.#notedCount = 0;
  }

  #replace(node: Znode, digest: number): void {
    const difference = digest - this.#columns.digestOf(node);
    if (difference === 0) return;
    this.#columns.setDigest(node, digest);
    const low = this.#low + difference;
    this.#low = low >>> 0;
    if (low > 0xffff_ffff) this.#high = (this.#high + 1) >>> 0;
    else if (low < 0) this.#high = (this.#high - 1) >>> 0;
  }

  #digestOf(node: Znode): number {
    const path = this.#columns.pathOf(node);
    if (path.startsWith(UNCOUNTED)) return 0;
    return this.#columns.crcOf(node, node === ROOT ? '' : path);
  }
}

/** They differ between servers that are otherwise equal: quotas are counted by each server for itself. */
const UNCOUNTED = '/zookeeper/';

/** So many znodes are computed at a time at the most: well below a millisecond. */
const NOTED_MAX = 1024;
