/** setData: replaces a znode's data (Curator's `SetDataBuilder`). */
import type { Stat } from 'zookeeper-protocol-ts';
import type { OperationScope } from './operation-scope.ts';

/** How to replace a znode's data. */
export interface SetDataOptions {
  /** The version that its data must have; −1, the default, for any. */
  readonly version?: number | undefined;
  /** Aborting rejects with the signal's reason. A request already sent is not undone. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Replaces a znode's data; never makes one. With a version, the retry after a lost answer may reject with `BadVersionError`
 * because of its own first attempt.
 */
export async function setZnodeData(
  scope: OperationScope,
  path: string,
  data: Uint8Array | string,
  { version = -1, signal }: SetDataOptions,
): Promise<Stat> {
  const target = scope.namespace.toServer(path);
  return scope.retry((zk) => zk.setData(target, data, { signal, version }), signal);
}

/** Fluent form of {@link SetDataOptions}; `forPath` does it. */
export class SetDataBuilder {
  readonly #scope: OperationScope;
  #options: SetDataOptions = {};

  constructor(scope: OperationScope) {
    this.#scope = scope;
  }

  withVersion(version: number): this {
    return this.#with({ version });
  }

  withSignal(signal: AbortSignal): this {
    return this.#with({ signal });
  }

  /** Resolves to the znode's new `Stat`. Without data, the client's default data is written. */
  forPath(path: string, data: Uint8Array | string = this.#scope.defaultData): Promise<Stat> {
    return setZnodeData(this.#scope, path, data, this.#options);
  }

  #with(options: SetDataOptions): this {
    this.#options = { ...this.#options, ...options };
    return this;
  }
}
