import { ErrorCode, joinPath, parentOf } from 'zookeeper-protocol-ts';
import type { DataTree } from './data-tree.ts';
import type { Znode } from './znode.ts';

/**
 * Quotas: how many znodes, and how many bytes of data, there may be at and below a path (the original's `StatsTrack`, `Quotas`
 * and the quota parts of `DataTree` and `ZooKeeperServer.checkQuota`; administrator's guide, "Quotas").
 *
 * A client sets a quota by creating `/zookeeper/quota<path>/zookeeper_limits`, and beside it `zookeeper_stats`, in which
 * every server keeps the present usage: in place, without a transaction, a new version or an event. A soft limit gives a
 * line in the run log; a hard one refuses the write, if the server enforces quotas. Only the nearest quota at or above a
 * path counts.
 *
 * What must hold: `#limited` has exactly the paths with a `zookeeper_limits` znode.
 */
export class Quotas {
  readonly #tree: DataTree;
  readonly #limited = new Set<string>();
  /** By path, the limit that the last write checked was over: the operator has been told. */
  readonly #over = new Map<string, string>();
  #warnings: string[] = [];

  /** Takes the quotas that a tree has, and counts anew what they are about: a fuzzy snapshot has old counts. */
  constructor(tree: DataTree) {
    this.#tree = tree;
    const paths = [ROOT_OF_QUOTAS];
    for (let path = paths.pop(); path !== undefined; path = paths.pop()) {
      const limited = limitedBy(path);
      if (limited !== undefined) {
        this.#limited.add(limited);
        this.#recount(limited);
      }
      const node = tree.find(path);
      if (node !== undefined) for (const name of tree.children(node)) paths.push(joinPath(path, name));
    }
  }

  /** There are none: nothing needs to be checked. */
  get isEmpty(): boolean {
    return this.#limited.size === 0;
  }

  /**
   * Whether a write may be: `OK`, QUOTA_EXCEEDED, or MARSHALLING_ERROR where the limits can't be read. It is checked against
   * the usage by what has been applied, so writes under way together, and the parts of a multi, can go past a limit
   * together, as in the original.
   * @param enforced whether hard limits refuse (`enforceQuota`)
   */
  check(path: string, { bytes, count }: Usage, { enforced }: { enforced: boolean }): ErrorCode {
    const limited = this.#nearest(path);
    if (limited === undefined) return ErrorCode.OK;
    const limits = this.#numbersAt(limitsPathOf(limited));
    if (limits === undefined) return enforced ? ErrorCode.MARSHALLING_ERROR : ErrorCode.OK;
    const usage = this.#numbersAt(statsPathOf(limited));
    if (usage === undefined) return ErrorCode.OK;
    const excesses = [excessOf('count', usage, limits, count), excessOf('bytes', usage, limits, bytes)];
    const [excess] = excesses.filter((one) => one !== undefined);
    if (excess === undefined) this.#over.delete(limited);
    else if (this.#over.get(limited) !== excess.limit) {
      this.#over.set(limited, excess.limit);
      this.#warnings.push(`quota exceeded: ${limited} [current ${excess.usage}, ${excess.limit}]`);
    }
    const isRefused = enforced && excesses.some((one) => one?.isHard);
    return isRefused ? ErrorCode.QUOTA_EXCEEDED : ErrorCode.OK;
  }

  /** Lines for the operator, each given once. */
  takeWarnings(): readonly string[] {
    if (this.#warnings.length === 0) return this.#warnings;
    const warnings = this.#warnings;
    this.#warnings = [];
    return warnings;
  }

  /** A znode was created. */
  onCreated(path: string, bytes: number): void {
    const limited = limitedBy(path);
    if (limited !== undefined) this.#limited.add(limited);
    if (this.#limited.size === 0) return;
    const counted = countedIn(path);
    if (counted !== undefined) this.#recount(counted);
    this.#use(path, { bytes, count: 1 });
  }

  /** A znode with so many bytes was deleted. */
  onDeleted(path: string, bytes: number): void {
    if (this.#limited.size === 0) return;
    const limited = limitedBy(path);
    if (limited !== undefined) {
      this.#limited.delete(limited);
      this.#over.delete(limited);
    }
    this.#use(path, { bytes: -bytes, count: -1 });
  }

  /** A znode's data became so many bytes longer, or shorter. */
  onDataChanged(path: string, bytes: number): void {
    if (this.#limited.size > 0) this.#use(path, { bytes, count: 0 });
  }

  /** The quota that counts for a path. None is kept for the root. */
  #nearest(path: string): string | undefined {
    for (let at = path; at !== '/'; at = parentOf(at)) if (this.#limited.has(at)) return at;
    return undefined;
  }

  #use(path: string, { bytes, count }: Usage): void {
    const limited = this.#nearest(path);
    if (limited === undefined) return;
    const usage = this.#numbersAt(statsPathOf(limited));
    if (usage === undefined) return;
    usage.set('count', numberIn(usage, 'count') + count);
    usage.set('bytes', numberIn(usage, 'bytes') + bytes);
    this.#write(limited, usage);
  }

  #recount(limited: string): void {
    const { count, bytes } = this.#tree.usageOf(limited);
    this.#write(
      limited,
      new Map([
        ['count', count],
        ['bytes', bytes],
      ]),
    );
  }

  #write(limited: string, usage: ReadonlyMap<string, number>): void {
    const node = this.#tree.find(statsPathOf(limited));
    if (node !== undefined) this.#tree.overwriteData(node, Buffer.from(quotaText(usage)));
  }

  /** Undefined if the znode is missing or can't be read: then it is left as it is. */
  #numbersAt(path: string): Map<string, number> | undefined {
    const node: Znode | undefined = this.#tree.find(path);
    const data = node === undefined ? null : this.#tree.data(node);
    return data === null ? undefined : readQuotaText(Buffer.from(data).toString());
  }
}

/** What a write adds. */
export interface Usage {
  readonly bytes: number;
  readonly count: number;
}

const ROOT_OF_QUOTAS = '/zookeeper/quota';
const LIMITS = '/zookeeper_limits';
const STATS = '/zookeeper_stats';

const limitsPathOf = (limited: string): string => ROOT_OF_QUOTAS + limited + LIMITS;
const statsPathOf = (limited: string): string => ROOT_OF_QUOTAS + limited + STATS;

/** The path that a znode sets limits for, or undefined if it isn't such a one. */
const limitedBy = (path: string): string | undefined => quotaPath(path, LIMITS);

/** The path that a znode counts the usage of. */
const countedIn = (path: string): string | undefined => quotaPath(path, STATS);

function quotaPath(path: string, name: string): string | undefined {
  if (!path.endsWith(name) || !path.startsWith(`${ROOT_OF_QUOTAS}/`)) return undefined;
  const limited = path.slice(ROOT_OF_QUOTAS.length, -name.length);
  return limited === '' ? undefined : limited;
}

/** What is beyond which limit, as it is told. */
interface Excess {
  readonly isHard: boolean;
  /** `count=3` */
  readonly usage: string;
  /** `hardCountLimit=2` */
  readonly limit: string;
}

/** What a write would exceed. The hard limit goes before the soft one; without either there is no limit. */
function excessOf(
  what: 'count' | 'bytes',
  usage: ReadonlyMap<string, number>,
  limits: ReadonlyMap<string, number>,
  added: number,
): Excess | undefined {
  if (added === 0) return undefined;
  const hard = numberIn(limits, what === 'count' ? 'countHardLimit' : 'byteHardLimit');
  const isHard = hard > NO_NUMBER;
  const limit = isHard ? hard : numberIn(limits, what);
  const next = numberIn(usage, what) + added;
  if (limit <= NO_NUMBER || next <= limit) return undefined;
  const name = `${isHard ? 'hard' : 'soft'}${what === 'count' ? 'Count' : 'Byte'}Limit`;
  return { isHard, usage: `${what}=${next}`, limit: `${name}=${limit}` };
}

/** Stands for none. */
const NO_NUMBER = -1;

const numberIn = (numbers: ReadonlyMap<string, number>, name: string): number => numbers.get(name) ?? NO_NUMBER;

/**
 * Reads `count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=10`, or undefined if it is malformed.
 * @returns the numbers by name; one without a value is -1
 */
export function readQuotaText(text: string): Map<string, number> | undefined {
  const numbers = new Map<string, number>();
  if (text === '') return numbers;
  const pairs = text.split(/[,;]+/);
  if (pairs.at(-1) === '') pairs.pop();
  for (const pair of pairs) {
    const [name = '', value, ...rest] = pair.split('=');
    // Nothing but separators behind the name is no value at all; an empty one in front of another means none.
    if (value === undefined || (value === '' && rest.every((part) => part === ''))) return undefined;
    if (value !== '' && !/^[+-]?\d+$/.test(value)) return undefined;
    numbers.set(name, value === '' ? NO_NUMBER : Number(value));
  }
  return numbers;
}

/**
 * Writes it: count first, then bytes, the others by name. The lone `=` in front of the others keeps parsers before 3.7 from
 * reading on.
 */
export function quotaText(numbers: ReadonlyMap<string, number>): string {
  const others = [...numbers.keys()].filter((name) => name !== 'count' && name !== 'bytes').sort();
  const text = `count=${numberIn(numbers, 'count')},bytes=${numberIn(numbers, 'bytes')}`;
  return others.reduce(
    (all, name) => `${all};${name}=${numberIn(numbers, name)}`,
    others.length > 0 ? `${text}=` : text,
  );
}
