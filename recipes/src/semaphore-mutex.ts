/**
 * A mutex that isn't re-entrant (Curator's `InterProcessSemaphoreMutex`): a semaphore with one lease, compatible with it on
 * the same path. Whoever has the handle may release it. Where re-entrance is welcome, `InterProcessMutex` needs fewer writes.
 */
import type { CuratorFramework } from 'zookeeper-client-ts';
import { InterProcessSemaphoreV2, type SemaphoreOptions } from './semaphore.ts';

export class InterProcessSemaphoreMutex extends InterProcessSemaphoreV2 {
  constructor(client: CuratorFramework, path: string, options: SemaphoreOptions = {}) {
    super(client, path, 1, options);
  }
}
