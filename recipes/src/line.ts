/**
 * The children of a recipe's path: which of them are contenders, and in what order. Names are Curator's, to the letter:
 *
 *     contender = [ "_c_" uuid "-" ] line-name sequence      ; sequence: 10 digits, or "-" and 9 or 10 digits
 *
 * Anything else is a stranger: it neither holds nor waits. (Curator sorts strangers among its contenders and counts them.)
 */
import { type CuratorFramework, NoNodeError, type ReadOptions, ZooKeeperError } from 'zookeeper-client-ts';

/**
 * What names in a line begin with, after the protection: `lock-` for mutexes and LeaderSelector, `latch-` for LeaderLatch,
 * `__READ__` and `__WRIT__` for the two sides of a read-write lock, who stand in one line, `lease-` for the leases of a
 * semaphore, which are a crowd rather than a line.
 */
export type LineName = 'lock-' | 'latch-' | '__READ__' | '__WRIT__' | 'lease-';

/** The children of a path, told apart. */
export interface Line {
  /** Names of contenders, the first in line first. */
  readonly names: readonly string[];
  /** Children that are no contenders of this line. They neither hold nor wait. */
  readonly strangers: readonly string[];
}

/**
 * Puts contenders in their order. Known are Curator's names and ours, go-zookeeper's (32 hex digits without dashes) and
 * unprotected ones, which Curator sorts alike. The order is that of the 32-bit sequence numbers by their distance, so it
 * survives the wrap after 2147483647, as long as no contender is 2^31 znodes older than another.
 */
export function lineUp(children: readonly string[], lineName: LineName): Line {
  const contenders: { name: string; sequence: number }[] = [];
  const strangers: string[] = [];
  for (const name of children) {
    const digits = patterns[lineName].exec(name)?.[1];
    if (digits === undefined) strangers.push(name);
    else contenders.push({ name, sequence: Number(digits) });
  }
  // Equal numbers: a writer, and the reader that it has become.
  contenders.sort((a, b) => (a.sequence - b.sequence) | 0 || (a.name < b.name ? -1 : 1));
  return { names: contenders.map(({ name }) => name), strangers };
}

/** Which side of a read-write lock a contender is on. */
export const isWriter = (name: string): boolean => /__WRIT__-?[0-9]+$/i.test(name);

const pattern = (lineName: string): RegExp =>
  new RegExp(
    `^(?:_c_(?:[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})-)?${lineName}([0-9]{10}|-[0-9]{9,10})$`,
    'i',
  );

const readersAndWriters = pattern('__(?:READ|WRIT)__');

const patterns: Readonly<Record<LineName, RegExp>> = {
  'lock-': pattern('lock-'),
  'latch-': pattern('latch-'),
  __READ__: readersAndWriters,
  __WRIT__: readersAndWriters,
  'lease-': pattern('lease-'),
};

/**
 * Other children were found in a line. They are ignored; but if they belong to a recipe that means the same path (kazoo's
 * locks, for one), the two don't exclude each other. Reported once per contender.
 */
export class UnknownContenderError extends ZooKeeperError {
  override readonly name = 'UnknownContenderError';
  override readonly code = 'UNKNOWN_CONTENDER';
  readonly children: readonly string[];

  constructor(path: string, children: readonly string[]) {
    super(`${path} has children that are no contenders of this line: ${children.join(', ')}`, { path });
    this.children = children;
  }
}

/** Names of the children; none if the path doesn't exist. */
export async function childrenOf(client: CuratorFramework, path: string, options: ReadOptions = {}): Promise<string[]> {
  try {
    return await client.getChildren(path, options);
  } catch (error) {
    if (error instanceof NoNodeError) return [];
    throw error;
  }
}
