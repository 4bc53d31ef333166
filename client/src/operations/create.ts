/** create: makes a znode (Curator's `CreateBuilder`). */
import {
  type Acl,
  CreateMode,
  type CreateModeName,
  isEphemeral,
  isSequential,
  NO_SESSION,
  parentOf,
  type Stat,
} from 'zookeeper-protocol-ts';
import { InvalidArgumentError, NodeExistsError, NoNodeError } from '../errors.ts';
import { isRefused } from '../retry.ts';
import type { ZooKeeper } from '../zookeeper.ts';
import { checkAcl, checkMode, checkTtl, checkVersion } from '../zookeeper-arguments.ts';
import { aclFor } from './acl-provider.ts';
import { toGiven, toStored } from './compression.ts';
import { createPath } from './create-path.ts';
import type { OperationScope } from './operation-scope.ts';
import { deleteIfExists, deleteProtected, findProtected, randomUuid, toProtectedPath } from './protection.ts';

/** How to make a znode. */
export interface CreateOptions {
  /** PERSISTENT by default. */
  readonly mode?: CreateMode | CreateModeName | undefined;
  /** Strings are written in UTF-8. The client's default data when absent. */
  readonly data?: Uint8Array | string | undefined;
  /** Write it compressed. False by default, unless compression is enabled for the whole client. */
  readonly compressed?: boolean | undefined;
  /** Of the znode itself. By default what the client's ACL provider says, which is open to all unless told otherwise. */
  readonly acl?: readonly Acl[] | undefined;
  /** Give `acl` to the parents that are made as well; by default they get what the ACL provider says (CURATOR-362). */
  readonly applyAclToParents?: boolean | undefined;
  /** Make missing parents too, as persistent znodes. Tried only when the server says that the parent is missing. */
  readonly parents?: boolean | undefined;
  /** As `parents`, but as containers, which the server deletes when their last child has gone. */
  readonly containers?: boolean | undefined;
  /**
   * Put `_c_<uuid>-` in front of the name, so that a lost answer can't leave an unknown znode behind: the next attempt looks
   * for it first, and when the call fails for good or is aborted, it is found and deleted in the background.
   */
  readonly protect?: boolean | undefined;
  /** Where the znode exists, write the data to it instead; with a version, only to that one. The result has the `Stat` of that. */
  readonly orSetData?: boolean | { readonly version: number } | undefined;
  /**
   * That the znode exists with these data, unchanged since it was made, counts as success, so that an attempt after a lost answer
   * doesn't fail because of the one before. An ephemeral one must belong to this session. It says that the znode is there, not who
   * made it: somebody else may have made the same. `orSetData` goes first.
   */
  readonly idempotent?: boolean | undefined;
  /** For the modes with a time to live, ms. */
  readonly ttlMs?: number | undefined;
  /** Aborting rejects with the signal's reason. A request already sent is not undone, unless `protect` is set. */
  readonly signal?: AbortSignal | undefined;
}

/** A znode that was made, or found to have been made by an earlier attempt. */
export interface CreatedZnode {
  /** With the protection and the server's sequence number, if asked for. */
  readonly path: string;
  readonly stat: Stat;
}

/**
 * Makes a znode. Retried like everything else: without `protect`, an attempt after a lost answer may make a second
 * sequential znode, or fail with `NodeExistsError` because of the first one, exactly as in Curator.
 */
export async function createZnode(scope: OperationScope, path: string, options: CreateOptions): Promise<CreatedZnode> {
  const mode = toCreateMode(options.mode);
  const target = scope.namespace.toServer(path, { sequential: isSequential(mode) });
  // Here, because a call that can't be right must not wait for a connection first.
  checkTtl(mode, options.ttlMs);
  if (typeof options.orSetData === 'object') checkVersion(options.orSetData.version, 'orSetData.version');
  if (options.acl !== undefined) checkAcl(options.acl);
  scope.schemaSet?.checkCreate(
    { path, data: toGiven(scope, options.data), acl: options.acl ?? aclFor(scope.aclProvider, target) },
    mode,
  );
  const stored = toStored(scope, path, options);
  const request = { options, mode, data: stored instanceof Uint8Array ? stored : await stored };
  const created = options.protect
    ? await createProtected(scope, target, request)
    : await scope.retry((zk) => createOnce(scope, zk, target, request), options.signal);
  return { path: scope.namespace.toUser(created.path), stat: created.stat };
}

/**
 * The same on every attempt: the mode as a number, the data as they are written. Not spread over a copy of the options: an object whose
 * `data` is defined twice is slow to make and lives long (a third of a create's CPU time).
 */
interface CreateRequest {
  readonly mode: CreateMode;
  readonly data: Uint8Array;
  readonly options: CreateOptions;
}

/** @throws InvalidArgumentError for a name that is none: types promise more than callers keep */
export function toCreateMode(mode: CreateMode | CreateModeName = CreateMode.PERSISTENT): CreateMode {
  if (typeof mode === 'number') return checkMode(mode);
  if (Object.hasOwn(CreateMode, mode)) return CreateMode[mode];
  throw new InvalidArgumentError('mode', `${String(mode)} is not a CreateMode`);
}

/** One attempt: makes it, or makes do with the one that exists, if that was asked for. */
async function createOnce(
  scope: OperationScope,
  zk: ZooKeeper,
  path: string,
  request: CreateRequest,
): Promise<CreatedZnode> {
  for (;;) {
    try {
      return await createWithParents(scope, zk, path, request);
    } catch (error) {
      // Also from the second create, behind the parents (CURATOR-719).
      if (!(error instanceof NodeExistsError)) throw error;
      const existing = await useExisting(zk, path, request, error);
      if (existing !== undefined) return existing;
    }
  }
}

/** Parents are made only when the server has missed them. */
async function createWithParents(
  scope: OperationScope,
  zk: ZooKeeper,
  path: string,
  { mode, data, options }: CreateRequest,
): Promise<CreatedZnode> {
  const { acl, ttlMs, applyAclToParents, parents, containers, signal } = options;
  const create = { signal, acl: acl ?? aclFor(scope.aclProvider, path), ttlMs, mode, data };
  try {
    return await zk.create(path, create);
  } catch (error) {
    if (!(error instanceof NoNodeError)) throw error;
    const parent = parentOf(path);
    // The namespace's own znode is a container: it may have been deleted since the client made it.
    const isInNamespaceRoot = parent === scope.namespace.root;
    if (!(parents || containers || isInNamespaceRoot)) throw error;
    await createPath(zk, parent, {
      containers: containers || isInNamespaceRoot ? scope.containers : undefined,
      aclOf: (ancestor) => (applyAclToParents ? acl : undefined) ?? aclFor(scope.aclProvider, ancestor),
      signal,
    });
    return await zk.create(path, create);
  }
}

/**
 * Undefined if it has vanished in the meantime.
 * @throws the refusal, if the znode that exists will not do
 */
async function useExisting(
  zk: ZooKeeper,
  path: string,
  { mode, data, options }: CreateRequest,
  refusal: NodeExistsError,
): Promise<CreatedZnode | undefined> {
  const { orSetData, idempotent, signal } = options;
  try {
    if (orSetData) {
      const version = orSetData === true ? -1 : orSetData.version;
      return { path, stat: await zk.setData(path, data, { version, signal }) };
    }
    if (idempotent) {
      const existing = await zk.getData(path, { signal });
      const owner = isEphemeral(mode) ? zk.sessionId : NO_SESSION;
      const { version, ephemeralOwner } = existing.stat;
      if (version === 0 && ephemeralOwner === owner && existing.data.equals(data)) return { path, stat: existing.stat };
    }
  } catch (error) {
    if (error instanceof NoNodeError) return undefined;
    throw error;
  }
  throw refusal;
}

/**
 * Makes a znode whose name carries an id. The id is fixed before the first attempt (CURATOR-489). Once a create was sent and
 * its outcome is unknown, each further attempt looks for the znode first. An ephemeral one that belongs to another session
 * than the present one will vanish with it: it is not ours any more, and deleted (CURATOR-498).
 */
async function createProtected(scope: OperationScope, path: string, request: CreateRequest): Promise<CreatedZnode> {
  const {
    mode,
    options: { signal },
  } = request;
  const id = randomUuid(scope.random);
  const parent = parentOf(path);
  const target = toProtectedPath(path, id);
  let outcomeUnknown = false;

  const attempt = async (zk: ZooKeeper): Promise<CreatedZnode> => {
    if (outcomeUnknown) {
      const ours = await findOurs(zk);
      if (ours !== undefined) return ours;
    }
    // Set before sending: an abort ends the call without waiting for what follows.
    const unknownBefore = outcomeUnknown;
    outcomeUnknown = true;
    try {
      return await createOnce(scope, zk, target, request);
    } catch (error) {
      if (isRefused(error)) outcomeUnknown = unknownBefore;
      throw error;
    }
  };

  const findOurs = async (zk: ZooKeeper): Promise<CreatedZnode | undefined> => {
    const found = await findProtected(zk, parent, id, signal);
    const isOurs = ({ stat }: CreatedZnode) => !isEphemeral(mode) || stat.ephemeralOwner === zk.sessionId;
    for (const stale of found.filter((znode) => !isOurs(znode))) {
      scope.guarantee((handle) => deleteIfExists(handle, stale.path));
    }
    return found.find(isOurs);
  };

  try {
    return await scope.retry(attempt, signal);
  } catch (error) {
    if (outcomeUnknown) scope.guarantee((zk) => deleteProtected(zk, parent, id));
    throw error;
  }
}

/** Fluent form of {@link CreateOptions}; `forPath` does it. The order of the modifiers doesn't matter. */
export class CreateBuilder<Result = string> {
  readonly #scope: OperationScope;
  readonly #toResult: (created: CreatedZnode) => Result;
  #options: CreateOptions;

  constructor(scope: OperationScope, toResult: (created: CreatedZnode) => Result, options: CreateOptions = {}) {
    this.#scope = scope;
    this.#toResult = toResult;
    this.#options = options;
  }

  withMode(mode: CreateMode | CreateModeName): this {
    return this.#with({ mode });
  }

  /** @param applyToParents of those that are made on the way, too */
  withACL(acl: readonly Acl[], applyToParents = false): this {
    return this.#with({ acl, applyAclToParents: applyToParents });
  }

  /** @param version of the data that may be replaced; any without it */
  orSetData(version?: number): this {
    return this.#with({ orSetData: version === undefined ? true : { version } });
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

  withTtl(ttlMs: number): this {
    return this.#with({ ttlMs });
  }

  withProtection(): this {
    return this.#with({ protect: true });
  }

  creatingParentsIfNeeded(): this {
    return this.#with({ parents: true });
  }

  creatingParentContainersIfNeeded(): this {
    return this.#with({ containers: true });
  }

  withSignal(signal: AbortSignal): this {
    return this.#with({ signal });
  }

  /** `forPath` then resolves to the path and the znode's `Stat`. */
  storingStat(): CreateBuilder<CreatedZnode> {
    return new CreateBuilder(this.#scope, (created) => created, this.#options);
  }

  /** Makes the znode; resolves to its path, as the server completed it. */
  async forPath(path: string, data?: Uint8Array | string): Promise<Result> {
    const options = data === undefined ? this.#options : { ...this.#options, data };
    return this.#toResult(await createZnode(this.#scope, path, options));
  }

  #with(options: CreateOptions): this {
    this.#options = { ...this.#options, ...options };
    return this;
  }
}
