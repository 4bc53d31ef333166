/**
 * transaction: several writes and checks that are applied together, or not at all (Curator's `CuratorMultiTransaction`, and
 * `inTransaction()` for the fluent form).
 *
 * An attempt after a lost answer may be refused because of its own first attempt (`NodeExistsError`, `BadVersionError`,
 * `NoNodeError`). Who must know puts a create of a znode with a name of its own among the operations, and looks for it.
 */
import { type Acl, type CreateMode, type CreateModeName, isSequential } from 'zookeeper-protocol-ts';
import { InvalidArgumentError } from '../errors.ts';
import { checkAcl, checkTtl, checkVersion } from '../zookeeper-arguments.ts';
import type { MultiOperation, MultiResult } from '../zookeeper-multi.ts';
import { aclFor } from './acl-provider.ts';
import { toGiven, toStored } from './compression.ts';
import { toCreateMode } from './create.ts';
import type { OperationScope } from './operation-scope.ts';

/** How to make a znode in a transaction. Parents must be there, or be made by an earlier operation. */
export interface TransactionCreateOptions {
  /** PERSISTENT by default. */
  readonly mode?: CreateMode | CreateModeName | undefined;
  /** The client's default data when absent. */
  readonly data?: Uint8Array | string | undefined;
  /** By default what the client's ACL provider says. */
  readonly acl?: readonly Acl[] | undefined;
  /** For the modes with a time to live, ms. */
  readonly ttlMs?: number | undefined;
  /** Write the data compressed. */
  readonly compressed?: boolean | undefined;
}

/** One operation of a transaction. Made by `client.op`. Paths are the user's. */
export type TransactionOp =
  | ({ readonly kind: 'create'; readonly path: string } & TransactionCreateOptions)
  | {
      readonly kind: 'setData';
      readonly path: string;
      readonly data?: Uint8Array | string | undefined;
      readonly version?: number | undefined;
      readonly compressed?: boolean | undefined;
    }
  | { readonly kind: 'delete' | 'check'; readonly path: string; readonly version?: number | undefined };

/** Makes the operations of a transaction. They belong to no client: the one that runs them adds namespace and defaults. */
export const transactionOp = {
  create: (path: string, options: TransactionCreateOptions = {}): TransactionOp => ({
    ...options,
    kind: 'create',
    path,
  }),
  /** Without data, the client's default data is written. */
  setData: (
    path: string,
    data?: Uint8Array | string,
    options: { readonly version?: number | undefined; readonly compressed?: boolean | undefined } = {},
  ): TransactionOp => ({ ...options, kind: 'setData', path, data }),
  delete: (path: string, options: { readonly version?: number | undefined } = {}): TransactionOp => ({
    ...options,
    kind: 'delete',
    path,
  }),
  /** Fails the transaction unless the znode exists, and has this version if one is given. */
  check: (path: string, options: { readonly version?: number | undefined } = {}): TransactionOp => ({
    ...options,
    kind: 'check',
    path,
  }),
} as const;

/**
 * Applies all operations or none. Resolves to the result of each, in their order; rejects with the error of the one that failed, whose
 * `operationCodes` tell what the server said of each.
 * @throws InvalidArgumentError if there are none
 */
export async function runTransaction(
  scope: OperationScope,
  ops: readonly TransactionOp[],
  { signal }: { readonly signal?: AbortSignal | undefined },
): Promise<MultiResult[]> {
  if (!Array.isArray(ops)) throw new InvalidArgumentError('ops', 'not a list of operations');
  if (ops.length === 0) throw new InvalidArgumentError('ops', 'a transaction needs at least one operation');
  const multi: MultiOperation[] = [];
  for (const [index, op] of ops.entries()) {
    const operation = toMultiOperation(scope, op, `ops[${index}]`);
    multi.push(operation instanceof Promise ? await operation : operation);
  }
  const results = await scope.retry((zk) => zk.multi(multi, { signal }), signal);
  return results.map((result) =>
    result.kind === 'create' ? { ...result, path: scope.namespace.toUser(result.path) } : result,
  );
}

/** With the server's path and the bytes to be written. A promise only where something is compressed. */
function toMultiOperation(
  scope: OperationScope,
  op: TransactionOp,
  at: string,
): MultiOperation | Promise<MultiOperation> {
  switch (op?.kind) {
    case 'create': {
      const mode = toCreateMode(op.mode);
      const path = scope.namespace.toServer(op.path, { sequential: isSequential(mode) });
      const acl = op.acl ?? aclFor(scope.aclProvider, path);
      checkAcl(acl, `${at}.acl`);
      checkTtl(mode, op.ttlMs, `${at}.ttlMs`);
      scope.schemaSet?.checkCreate({ path: op.path, data: toGiven(scope, op.data), acl }, mode);
      return withBytes(toStored(scope, op.path, op), (data) => ({
        kind: 'create',
        path,
        mode,
        acl,
        data,
        ttlMs: op.ttlMs,
      }));
    }
    case 'setData': {
      const path = scope.namespace.toServer(op.path);
      checkVersion(op.version, `${at}.version`);
      scope.schemaSet?.checkWrite({ path: op.path, data: toGiven(scope, op.data), acl: undefined });
      return withBytes(toStored(scope, op.path, op), (data) => ({ kind: 'setData', path, data, version: op.version }));
    }
    case 'delete':
    case 'check': {
      const path = scope.namespace.toServer(op.path);
      checkVersion(op.version, `${at}.version`);
      if (op.kind === 'delete') scope.schemaSet?.checkDelete(op.path);
      return { kind: op.kind, path, version: op.version };
    }
    default:
      throw new InvalidArgumentError(`${at}.kind`, 'no operation that a transaction can hold');
  }
}

const withBytes = (
  stored: Uint8Array | Promise<Uint8Array>,
  toOperation: (data: Uint8Array) => MultiOperation,
): MultiOperation | Promise<MultiOperation> =>
  stored instanceof Uint8Array ? toOperation(stored) : stored.then(toOperation);

/**
 * Fluent form: `client.transaction().create().forPath('/a').and().delete().forPath('/b').and().commit()`. Each `forPath` adds an
 * operation; nothing is sent before `commit`.
 */
export class TransactionBuilder {
  readonly #scope: OperationScope;
  readonly #ops: TransactionOp[] = [];
  #committed = false;

  constructor(scope: OperationScope) {
    this.#scope = scope;
  }

  create(): TransactionCreateBuilder {
    return new TransactionCreateBuilder((op) => this.#add(op));
  }

  setData(): TransactionSetDataBuilder {
    return new TransactionSetDataBuilder((op) => this.#add(op));
  }

  delete(): TransactionVersionBuilder {
    return new TransactionVersionBuilder('delete', (op) => this.#add(op));
  }

  check(): TransactionVersionBuilder {
    return new TransactionVersionBuilder('check', (op) => this.#add(op));
  }

  /** For the reader. */
  and(): this {
    return this;
  }

  /** Applies all of it or nothing. Once only. */
  async commit({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<MultiResult[]> {
    this.#assertOpen();
    this.#committed = true;
    return runTransaction(this.#scope, this.#ops, { signal });
  }

  #add(op: TransactionOp): this {
    this.#assertOpen();
    this.#ops.push(op);
    return this;
  }

  #assertOpen(): void {
    if (this.#committed) throw new InvalidArgumentError('transaction', 'it was committed before');
  }
}

type Add = (op: TransactionOp) => TransactionBuilder;

/** A create in a transaction; `forPath` adds it. */
export class TransactionCreateBuilder {
  readonly #add: Add;
  #options: TransactionCreateOptions = {};

  constructor(add: Add) {
    this.#add = add;
  }

  withMode(mode: CreateMode | CreateModeName): this {
    return this.#with({ mode });
  }

  withACL(acl: readonly Acl[]): this {
    return this.#with({ acl });
  }

  withTtl(ttlMs: number): this {
    return this.#with({ ttlMs });
  }

  compressed(): this {
    return this.#with({ compressed: true });
  }

  forPath(path: string, data?: Uint8Array | string): TransactionBuilder {
    return this.#add(transactionOp.create(path, { ...this.#options, data }));
  }

  #with(options: TransactionCreateOptions): this {
    this.#options = { ...this.#options, ...options };
    return this;
  }
}

/** A setData in a transaction; `forPath` adds it. */
export class TransactionSetDataBuilder {
  readonly #add: Add;
  #options: { readonly version?: number; readonly compressed?: boolean } = {};

  constructor(add: Add) {
    this.#add = add;
  }

  withVersion(version: number): this {
    this.#options = { ...this.#options, version };
    return this;
  }

  compressed(): this {
    this.#options = { ...this.#options, compressed: true };
    return this;
  }

  forPath(path: string, data?: Uint8Array | string): TransactionBuilder {
    return this.#add(transactionOp.setData(path, data, this.#options));
  }
}

/** A delete or a check in a transaction; `forPath` adds it. */
export class TransactionVersionBuilder {
  readonly #kind: 'delete' | 'check';
  readonly #add: Add;
  #options: { readonly version?: number } = {};

  constructor(kind: 'delete' | 'check', add: Add) {
    this.#kind = kind;
    this.#add = add;
  }

  withVersion(version: number): this {
    this.#options = { version };
    return this;
  }

  forPath(path: string): TransactionBuilder {
    return this.#add(transactionOp[this.#kind](path, this.#options));
  }
}
