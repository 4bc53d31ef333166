/** setData: replaces a znode's data (Curator's `SetDataBuilder`). */
import type { Stat } from 'zookeeper-protocol-ts';
import { BadVersionError } from '../errors.ts';
import type { ZooKeeper } from '../zookeeper.ts';
import { checkVersion } from '../zookeeper-arguments.ts';
import { toGiven, toStored } from './compression.ts';
import type { OperationScope } from './operation-scope.ts';

/** How to replace a znode's data. */
export interface SetDataOptions {
  /** The version that its data must have; −1, the default, for any. */
  readonly version?: number | undefined;
  /** Write it compressed. False by default, unless compression is enabled for the whole client. */
  readonly compressed?: boolean | undefined;
  /**
   * That the znode has these data at the next version counts as success, so that an attempt after a lost answer doesn't fail because
   * of the one before. It says that the data are there, not who wrote them: somebody else may have written the same.
   */
  readonly idempotent?: boolean | undefined;
  /** Aborting rejects with the signal's reason. A request already sent is not undone. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Replaces a znode's data; never makes one. With a version, the retry after a lost answer may reject with `BadVersionError`
 * because of its own first attempt, unless `idempotent` is set.
 */
export async function setZnodeData(
  scope: OperationScope,
  path: string,
  data: Uint8Array | string | undefined,
  { version = -1, compressed, idempotent = false, signal }: SetDataOptions,
): Promise<Stat> {
  const target = scope.namespace.toServer(path);
  checkVersion(version);
  scope.schemaSet?.checkWrite({ path, data: toGiven(scope, data), acl: undefined });
  const stored = toStored(scope, path, { data, compressed });
  const bytes = stored instanceof Uint8Array ? stored : await stored;
  return scope.retry(async (zk) => {
    try {
      return await zk.setData(target, bytes, { signal, version });
    } catch (error) {
      if (!(idempotent && error instanceof BadVersionError)) throw error;
      return await findWritten(zk, { path: target, bytes, version, signal }, error);
    }
  }, signal);
}

/** @throws the refusal, if the znode does not look as if this setData had been applied */
async function findWritten(
  zk: ZooKeeper,
  {
    path,
    bytes,
    version,
    signal,
  }: { path: string; bytes: Uint8Array; version: number; signal: AbortSignal | undefined },
  refusal: BadVersionError,
): Promise<Stat> {
  const { data, stat } = await zk.getData(path, { signal });
  // The server's counter is a signed 32-bit number that wraps.
  if (stat.version === ((version + 1) | 0) && data.equals(bytes)) return stat;
  throw refusal;
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

  idempotent(): this {
    return this.#with({ idempotent: true });
  }

  compressed(): this {
    return this.#with({ compressed: true });
  }

  uncompressed(): this {
    return this.#with({ compressed: false });
  }

  withSignal(signal: AbortSignal): this {
    return this.#with({ signal });
  }

  /** Resolves to the znode's new `Stat`. Without data, the client's default data is written. */
  forPath(path: string, data?: Uint8Array | string): Promise<Stat> {
    return setZnodeData(this.#scope, path, data, this.#options);
  }

  #with(options: SetDataOptions): this {
    this.#options = { ...this.#options, ...options };
    return this;
  }
}
