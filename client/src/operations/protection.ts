/**
 * Protected znodes (Curator's `ProtectedUtils`): the name carries an id of its maker's choosing, so that the maker can find
 * out whether a create with a lost answer happened. Java programs on the same path rely on the form:
 *
 *     protected-name = "_c_" uuid "-" name          ; uuid: 36 characters, lower case
 */
import { joinPath, nameOf, parentOf, type Stat } from 'zookeeper-protocol-ts';
import { NoNodeError } from '../errors.ts';
import type { ZooKeeper } from '../zookeeper.ts';

const protectedName = /^_c_([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})-(.*)$/is;

/** The id in a protected znode's name, or undefined if it isn't protected. */
export const protectedIdOf = (name: string): string | undefined => protectedName.exec(name)?.[1];

/** The name as it was asked for: without the protection, if there is any. */
export const withoutProtection = (name: string): string => protectedName.exec(name)?.[2] ?? name;

/** The path with protection in front of its last name. */
export const toProtectedPath = (path: string, id: string): string =>
  joinPath(parentOf(path), prefixOf(id) + nameOf(path));

/** A random UUID (version 4). The randomness is handed in, so that a simulated run repeats itself. */
export function randomUuid(random: () => number): string {
  const digits = Array.from({ length: 32 }, () => Math.floor(random() * 16));
  digits[12] = 4;
  digits[16] = 8 + ((digits[16] ?? 0) & 3);
  const hex = digits.map((digit) => digit.toString(16)).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** A znode that was found by its id. */
export interface ProtectedZnode {
  readonly path: string;
  readonly stat: Stat;
}

/**
 * The znodes under `parent` that were made with this id: none or one, as a rule; two when a session ended between two
 * attempts to make an ephemeral one. No parent means none.
 */
export async function findProtected(
  zk: ZooKeeper,
  parent: string,
  id: string,
  signal: AbortSignal | undefined,
): Promise<ProtectedZnode[]> {
  const found: ProtectedZnode[] = [];
  for (const path of await listProtected(zk, parent, id, signal)) {
    const stat = await zk.exists(path, { signal });
    if (stat !== undefined) found.push({ path, stat });
  }
  return found;
}

/** Deletes all znodes under `parent` that were made with this id. */
export async function deleteProtected(zk: ZooKeeper, parent: string, id: string): Promise<void> {
  for (const path of await listProtected(zk, parent, id, undefined)) await deleteIfExists(zk, path);
}

/** Deletes a znode; that there is none is as good. */
export async function deleteIfExists(zk: ZooKeeper, path: string): Promise<void> {
  try {
    await zk.delete(path);
  } catch (error) {
    if (!(error instanceof NoNodeError)) throw error;
  }
}

async function listProtected(
  zk: ZooKeeper,
  parent: string,
  id: string,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  try {
    // The answer that was lost may have been another server's. This one must catch up first, or it may not know the znode.
    await zk.sync(parent, { signal });
    const { children } = await zk.getChildren(parent, { signal });
    return children.filter((name) => name.startsWith(prefixOf(id))).map((name) => joinPath(parent, name));
  } catch (error) {
    if (error instanceof NoNodeError) return [];
    throw error;
  }
}

const prefixOf = (id: string): string => `_c_${id}-`;
