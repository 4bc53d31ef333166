/** A value that is changed by one at a time, without a lock (Curator's `DistributedAtomicValue`, compatible with it on the same path). */
import type { CuratorFramework } from 'zookeeper-client-ts';
import { type AtomicOptions, AtomicZnode } from './atomic-znode.ts';
import { bytes, type Serializer } from './serializer.ts';

export interface AtomicValueOptions<T = Uint8Array> extends AtomicOptions {
  /** What the data of the znode mean. The bytes themselves by default. */
  readonly serializer?: Serializer<T> | undefined;
}

/**
 * Where there is no znode, the value is undefined.
 *
 * ```ts
 * const leader = new DistributedAtomicValue(client, '/epoch', { serializer: json<Epoch>() });
 * const result = await leader.compareAndSet(known, next);
 * if (!result.succeeded) return result.preValue;
 * ```
 */
export class DistributedAtomicValue<T = Uint8Array> extends AtomicZnode<T, undefined> {
  constructor(client: CuratorFramework, path: string, { serializer, ...options }: AtomicValueOptions<T> = {}) {
    // Without a serializer T is what it is by default.
    const given = serializer ?? (bytes as Serializer<unknown> as Serializer<T>);
    super(client, path, { serializer: given, missing: undefined, options });
  }
}
