/**
 * Many readers or one writer, across all processes (Curator's `InterProcessReadWriteLock`, znodes `__READ__` and `__WRIT__`
 * in one line, compatible with it on the same path).
 *
 * What must always hold:
 * - A writer holds alone: it waits for all who stand in front. A reader waits only for the writers in front, and watches the
 *   nearest of them, so that all readers behind one writer wake together, and once.
 * - Fair: who comes later waits behind a waiting writer.
 * - A writer may become a reader without letting anybody in: its reader's znode stands where the writer's stands, with the
 *   same number (CURATOR-621), and is made in one transaction that demands the writer's. A reader can't become a writer: it would
 *   wait for itself. That is refused at once.
 */
import {
  CreateMode,
  type CuratorFramework,
  joinPath,
  NodeExistsError,
  NoNodeError,
  randomUuid,
  ZooKeeperError,
} from 'zookeeper-client-ts';
import { LineLock, type LockAcquireOptions, type LockOptions } from './line-lock.ts';
import { deleteNowOrLater, OwnedZnode } from './owned-znode.ts';
import { type Ownership, OwnershipLostError } from './ownership.ts';

/** Who holds the read lock asked for the write lock: it would wait for itself. Release the read lock first. */
export class LockUpgradeError extends ZooKeeperError {
  override readonly name = 'LockUpgradeError';
  override readonly code = 'LOCK_UPGRADE';
}

/**
 * ```ts
 * const catalog = new InterProcessReadWriteLock(client, '/locks/catalog');
 * await using reading = await catalog.readLock.acquire();
 * ```
 *
 * From writing to reading, without a gap:
 *
 * ```ts
 * const writing = await catalog.writeLock.acquire();
 * await using reading = await catalog.readLock.acquire({ owner: writing });
 * await writing.release();
 * ```
 */
export class InterProcessReadWriteLock {
  readonly path: string;
  /** For those who may hold it together. Its `acquire` by the owner of the write lock is granted at once. */
  readonly readLock: LineLock;
  /** For one alone. Its `acquire` by the owner of the read lock rejects with {@link LockUpgradeError}. */
  readonly writeLock: LineLock;
  readonly #client: CuratorFramework;
  readonly #data: Uint8Array | string | undefined;

  constructor(client: CuratorFramework, path: string, { data }: LockOptions = {}) {
    this.path = path;
    this.#client = client;
    this.#data = typeof data === 'string' ? data : data?.slice();
    this.readLock = new LineLock(client, path, {
      data: this.#data,
      lineName: READER,
      placeFor: (options) => this.#placeForReader(options),
    });
    this.writeLock = new LineLock(client, path, {
      data: this.#data,
      lineName: WRITER,
      placeFor: (options) => this.#refuseReader(options),
    });
  }

  #refuseReader({ owner }: LockAcquireOptions): undefined {
    if (this.readLock.holdOf(owner) === undefined) return;
    throw new LockUpgradeError(`who reads at ${this.path} can't wait for all readers to leave`, { path: this.path });
  }

  #placeForReader(options: LockAcquireOptions): Promise<OwnedZnode> | undefined {
    const writing = this.writeLock.holdOf(options.owner);
    return writing && this.#downgrade(writing, options);
  }

  async #downgrade(writing: Ownership, { signal }: LockAcquireOptions): Promise<OwnedZnode> {
    // The name is ours alone, so whatever happens to the answer, we can look for it and remove it.
    const uuid = randomUuid(this.#client.random);
    const sequence = writing.path.slice(writing.path.lastIndexOf(WRITER) + WRITER.length);
    const path = joinPath(this.path, `_c_${uuid}-${READER}${sequence}`);
    const create = writing.op.create(path, { mode: CreateMode.EPHEMERAL, data: this.#data });
    try {
      await writing.transaction([create], { signal }).catch((error: unknown) => {
        // By an attempt of ours whose answer was lost.
        if (!(error instanceof NodeExistsError)) throw error;
      });
      const { stat } = await this.#client.getData(path, { signal }).catch((error: unknown) => {
        // It has gone again, with the session of both.
        throw error instanceof NoNodeError ? new OwnershipLostError(path, 'LOST') : error;
      });
      // Not its own czxid, which is higher than that of a writer behind it: tokens rise in the order of the line.
      return new OwnedZnode(this.#client, { path, stat }, { id: '', token: writing.token });
    } catch (error) {
      await deleteNowOrLater(this.#client, path).catch((failure) => this.#client.reportError(failure));
      throw error;
    }
  }
}

const READER = '__READ__';
const WRITER = '__WRIT__';
