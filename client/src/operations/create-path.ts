/** Making a znode together with the ancestors that it lacks (Curator's `ZKPaths.mkdirs`). */
import { type Acl, CreateMode, parentOf } from 'zookeeper-protocol-ts';
import { NodeExistsError, UnimplementedError } from '../errors.ts';
import type { ZooKeeper } from '../zookeeper.ts';
import type { ContainerSupport } from './operation-scope.ts';

/** How znodes on the way are made. */
export interface CreatePathOptions {
  readonly containers: ContainerSupport | undefined;
  /** Asked for each that is made. */
  readonly aclOf: (path: string) => readonly Acl[];
  readonly signal: AbortSignal | undefined;
}

/**
 * Makes sure that `path` and all its ancestors exist. New ones are empty; with `containers`, they are containers, or persistent
 * if the servers don't know those.
 */
export async function createPath(zk: ZooKeeper, path: string, options: CreatePathOptions): Promise<void> {
  const missing = await missingAncestry(zk, path, options.signal);
  for (const ancestor of missing.reverse()) {
    try {
      await createEmpty(zk, ancestor, options);
    } catch (error) {
      // Somebody else was faster.
      if (!(error instanceof NodeExistsError)) throw error;
    }
  }
}

/** `path` and its missing ancestors, leaf first: from there upwards no rights on higher ancestors are needed (CURATOR-715). */
async function missingAncestry(zk: ZooKeeper, path: string, signal: AbortSignal | undefined): Promise<string[]> {
  const missing: string[] = [];
  for (let ancestor = path; ancestor !== '/'; ancestor = parentOf(ancestor)) {
    if ((await zk.exists(ancestor, { signal })) !== undefined) break;
    missing.push(ancestor);
  }
  return missing;
}

async function createEmpty(
  zk: ZooKeeper,
  path: string,
  { containers, aclOf, signal }: CreatePathOptions,
): Promise<void> {
  const options = { signal, acl: aclOf(path), data: EMPTY };
  if (containers !== undefined && !containers.refused) {
    try {
      await zk.create(path, { ...options, mode: CreateMode.CONTAINER });
      return;
    } catch (error) {
      if (!(error instanceof UnimplementedError)) throw error;
      containers.refused = true;
    }
  }
  await zk.create(path, { ...options, mode: CreateMode.PERSISTENT });
}

const EMPTY = new Uint8Array(0);
