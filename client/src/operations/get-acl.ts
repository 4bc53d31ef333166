/** getACL: who may do what with a znode (Curator's `GetACLBuilder`). */
import type { Acl, Stat } from 'zookeeper-protocol-ts';
import type { OperationScope } from './operation-scope.ts';

/** A znode's ACL and `Stat`, of the same moment. */
export interface ZnodeAcl {
  readonly acl: readonly Acl[];
  readonly stat: Stat;
}

export interface GetAclOptions {
  /** Aborting rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Needs the right to read the znode or to set its ACL; without the second, passwords' hashes are crossed out. */
export async function getZnodeAcl(scope: OperationScope, path: string, { signal }: GetAclOptions): Promise<ZnodeAcl> {
  const target = scope.namespace.toServer(path);
  return scope.retry((zk) => zk.getACL(target, { signal }), signal);
}

/** Fluent form of {@link GetAclOptions}; `forPath` does it. */
export class GetAclBuilder<Result = readonly Acl[]> {
  readonly #scope: OperationScope;
  readonly #toResult: (read: ZnodeAcl) => Result;
  #options: GetAclOptions;

  constructor(scope: OperationScope, toResult: (read: ZnodeAcl) => Result, options: GetAclOptions = {}) {
    this.#scope = scope;
    this.#toResult = toResult;
    this.#options = options;
  }

  withSignal(signal: AbortSignal): this {
    this.#options = { signal };
    return this;
  }

  /** `forPath` then resolves to the znode's `Stat` as well: its `aversion` is what `setACL` takes. */
  storingStat(): GetAclBuilder<ZnodeAcl> {
    return new GetAclBuilder(this.#scope, (read) => read, this.#options);
  }

  async forPath(path: string): Promise<Result> {
    return this.#toResult(await getZnodeAcl(this.#scope, path, this.#options));
  }
}
