/** setACL: replaces a znode's ACL (Curator's `SetACLBuilder`). */
import { type Acl, OPEN_ACL, type Stat } from 'zookeeper-protocol-ts';
import { checkAcl, checkVersion } from '../zookeeper-arguments.ts';
import type { OperationScope } from './operation-scope.ts';

/** How to replace a znode's ACL. */
export interface SetAclOptions {
  /** The version that its ACL must have (`stat.aversion`); −1, the default, for any. */
  readonly version?: number | undefined;
  /** Aborting rejects with the signal's reason. A request already sent is not undone. */
  readonly signal?: AbortSignal | undefined;
}

/** Replaces a znode's ACL, of that znode alone: nothing is inherited. Resolves to its new `Stat`. */
export async function setZnodeAcl(
  scope: OperationScope,
  path: string,
  acl: readonly Acl[],
  { version = -1, signal }: SetAclOptions,
): Promise<Stat> {
  const target = scope.namespace.toServer(path);
  checkVersion(version);
  checkAcl(acl);
  scope.schemaSet?.checkWrite({ path, data: undefined, acl });
  return scope.retry((zk) => zk.setACL(target, acl, { signal, version }), signal);
}

/** Fluent form of {@link SetAclOptions}; `forPath` does it. */
export class SetAclBuilder {
  readonly #scope: OperationScope;
  #acl: readonly Acl[] = OPEN_ACL;
  #options: SetAclOptions = {};

  constructor(scope: OperationScope) {
    this.#scope = scope;
  }

  /** Open to all without it, as in Curator. */
  withACL(acl: readonly Acl[]): this {
    this.#acl = acl;
    return this;
  }

  withVersion(version: number): this {
    this.#options = { ...this.#options, version };
    return this;
  }

  withSignal(signal: AbortSignal): this {
    this.#options = { ...this.#options, signal };
    return this;
  }

  /** Resolves to the znode's new `Stat`. */
  forPath(path: string): Promise<Stat> {
    return setZnodeAcl(this.#scope, path, this.#acl, this.#options);
  }
}
