/**
 * A lock that one holds at a time, across all processes (Curator's `InterProcessMutex`, znodes `lock-`, compatible with it on
 * the same path). Fair: it is granted in the order in which the server got the requests.
 */
import type { CuratorFramework } from 'zookeeper-client-ts';
import { LineLock, type LockOptions } from './line-lock.ts';

/**
 * Re-entrant for its owner: for what runs in a `using`, and for who shows its handle. Two plain `acquire`s on one object are
 * two contenders.
 *
 * ```ts
 * const mutex = new InterProcessMutex(client, '/locks/report');
 * await using held = await mutex.acquire({ timeoutMs: 5_000, signal });
 * await store.write(row, { fencingToken: held.token });
 * ```
 */
export class InterProcessMutex extends LineLock {
  constructor(client: CuratorFramework, path: string, options: LockOptions = {}) {
    super(client, path, { ...options, lineName: 'lock-' });
  }
}
