/**
 * The commands about quotas: `listquota`, `setquota`, `delquota`. A quota is two znodes which a client makes below
 * `/zookeeper/quota<path>`: the server knows it by the name of the first, and keeps count in the second. There is at most one on every way
 * from the root to a leaf: the original's server counts only for the nearest one.
 */
import { joinPath, parentOf } from 'zookeeper-protocol-ts';
import { NodeExistsError, NoNodeError } from '../errors.ts';
import type { ZooKeeper } from '../zookeeper.ts';
import { type Answer, type Commands, firstWord, wholeNumber } from './command.ts';
import { CommandError } from './command-error.ts';
import { exceeded, parseQuota, type Quota, type QuotaName, quotaText } from './quota-limits.ts';
import { readSubtree } from './subtree.ts';

const QUOTA_ROOT = '/zookeeper/quota';
const LIMITS = 'zookeeper_limits';
const STATS = 'zookeeper_stats';

const quotaPath = (path: string): string => `${QUOTA_ROOT}${path}`;
const limitsPath = (path: string): string => `${quotaPath(path)}/${LIMITS}`;
const statsPath = (path: string): string => `${quotaPath(path)}/${STATS}`;

/** The flags, what they limit, and from where on a number is one. */
const LIMIT_FLAGS: Readonly<Record<string, { name: QuotaName; min: number; complaint: string }>> = {
  n: { name: 'count', min: 1, complaint: 'the num quota must be greater than zero' },
  b: { name: 'bytes', min: 0, complaint: 'the bytes quota must be greater than or equal to zero' },
  N: { name: 'countHardLimit', min: 1, complaint: 'the num quota must be greater than zero' },
  B: { name: 'byteHardLimit', min: 0, complaint: 'the bytes quota must be greater than or equal to zero' },
};

export const quotaCommands: Commands = {
  listquota: {
    kind: 'session',
    usage: 'path',
    words: { min: 1, max: 1 },
    async run(typed, { zookeeper }) {
      const path = firstWord(typed);
      const where = `absolute path is ${limitsPath(path)}`;
      const quota = await readQuota(zookeeper, path);
      // No failure for the original: it was asked whether there is one.
      if (quota === undefined) return { err: [where, `quota for ${path} does not exist.`], json: { path } };
      const { limits, used } = quota;
      return {
        err: [where],
        out: [`Output quota for ${path} ${quotaText(limits)}`, `Output stat for ${path} ${quotaText(used)}`],
        json: { path, limits: Object.fromEntries(limits), used: Object.fromEntries(used) },
      };
    },
  },
  setquota: {
    kind: 'session',
    usage: '-n|-b|-N|-B val path',
    flags: { n: 'value', b: 'value', N: 'value', B: 'value' },
    words: { min: 1, max: 1 },
    async run(typed, { zookeeper }) {
      const path = firstWord(typed);
      const flag = onlyFlag(typed.flags);
      if (flag === undefined) throw new CommandError('Missing required option: one of -n, -b, -N, -B');
      if (path === QUOTA_ROOT || path.startsWith(`${QUOTA_ROOT}/`)) {
        throw new CommandError(`cannot set a quota under the path: ${QUOTA_ROOT}`);
      }
      const limit = wholeNumber(flag.value, `a quota must be a number: ${flag.value}`);
      if (limit < flag.min) throw new CommandError(flag.complaint);
      return setQuota(zookeeper, path, { name: flag.name, limit });
    },
  },
  delquota: {
    kind: 'session',
    usage: '[-n|-b|-N|-B] path',
    flags: { n: 'switch', b: 'switch', N: 'switch', B: 'switch' },
    words: { min: 1, max: 1 },
    async run(typed, { zookeeper }) {
      const path = firstWord(typed);
      const flag = onlyFlag(typed.flags);
      const quota = await readQuota(zookeeper, path);
      if (quota === undefined) return { out: [`Quota does not exist for ${path}`], json: { path } };
      if (flag === undefined) {
        await removeQuota(zookeeper, path);
        return { json: { path } };
      }
      const limits = quota.limits.set(flag.name, -1);
      await zookeeper.setData(limitsPath(path), quotaText(limits));
      return { json: { path, limits: Object.fromEntries(limits) } };
    },
  },
};

/** The one of the flags that was given, if any. */
function onlyFlag(
  flags: ReadonlyMap<string, string>,
): { name: QuotaName; min: number; complaint: string; value: string } | undefined {
  const [first, second] = flags;
  if (first === undefined) return undefined;
  const [letter, value] = first;
  if (second !== undefined) throw new CommandError(`-${letter} and -${second[0]} can't be given together`);
  const flag = LIMIT_FLAGS[letter];
  return flag && { ...flag, value };
}

async function readQuota(
  zookeeper: ZooKeeper,
  path: string,
): Promise<{ limits: Map<string, number>; used: Quota } | undefined> {
  const [limits, used] = await Promise.all([
    readNumbers(zookeeper, limitsPath(path)),
    readNumbers(zookeeper, statsPath(path)),
  ]);
  return limits && { limits, used: used ?? new Map() };
}

async function readNumbers(zookeeper: ZooKeeper, path: string): Promise<Map<string, number> | undefined> {
  try {
    return parseQuota((await zookeeper.getData(path)).data.toString());
  } catch (error) {
    if (error instanceof NoNodeError) return undefined;
    throw error;
  }
}

async function setQuota(
  zookeeper: ZooKeeper,
  path: string,
  { name, limit }: { name: QuotaName; limit: number },
): Promise<Answer> {
  if ((await zookeeper.exists(path)) === undefined) throw new CommandError(`${path} does not exist.`);
  await refuseNested(zookeeper, path);
  const present = await readQuota(zookeeper, path);
  const limits = (present?.limits ?? new Map(NO_LIMITS)).set(name, limit);
  // The limits first: their name is what makes the server count, into the other as soon as that is there.
  if (present === undefined) await createLimits(zookeeper, path, limits);
  else await zookeeper.setData(limitsPath(path), quotaText(limits));
  await createUnlessThere(zookeeper, statsPath(path), 'count=0,bytes=0');
  const used = (await readQuota(zookeeper, path))?.used ?? new Map();
  const isBelow = exceeded(limits, used);
  const warning = (what: string, use: number | undefined) =>
    `[Warning]: the ${what} quota you create is less than the existing ${what}:${use}`;
  return {
    out: [
      ...(isBelow.count ? [warning('count', used.get('count'))] : []),
      ...(isBelow.bytes ? [warning('bytes', used.get('bytes'))] : []),
    ],
    json: { path, limits: Object.fromEntries(limits), used: Object.fromEntries(used) },
  };
}

const NO_LIMITS: readonly (readonly [QuotaName, number])[] = [
  ['count', -1],
  ['bytes', -1],
  ['countHardLimit', -1],
  ['byteHardLimit', -1],
];

/** @throws CommandError if something above or below the path has a quota */
async function refuseNested(zookeeper: ZooKeeper, path: string): Promise<void> {
  for (let above = parentOf(path); above !== '/'; above = parentOf(above)) {
    if ((await zookeeper.exists(limitsPath(above))) !== undefined) {
      throw new CommandError(`${path} has a parent ${above} which has a quota`);
    }
  }
  const own = quotaPath(path);
  for (const [below, children] of await subtreeOrNothing(zookeeper, own)) {
    if (below !== own && children.includes(LIMITS)) {
      throw new CommandError(`${path} has a child ${below.slice(QUOTA_ROOT.length)} which has a quota`);
    }
  }
}

async function subtreeOrNothing(zookeeper: ZooKeeper, path: string): ReturnType<typeof readSubtree> {
  try {
    return await readSubtree(zookeeper, path);
  } catch (error) {
    if (error instanceof NoNodeError) return new Map();
    throw error;
  }
}

async function createLimits(zookeeper: ZooKeeper, path: string, limits: Quota): Promise<void> {
  let parent = QUOTA_ROOT;
  await createUnlessThere(zookeeper, parentOf(QUOTA_ROOT), '');
  await createUnlessThere(zookeeper, QUOTA_ROOT, '');
  for (const name of path.split('/').slice(1)) {
    parent = joinPath(parent, name);
    await createUnlessThere(zookeeper, parent, '');
  }
  await zookeeper.create(limitsPath(path), { data: quotaText(limits) });
}

/** Looks first: a create that is refused costs the servers as much as one that isn't. */
async function createUnlessThere(zookeeper: ZooKeeper, path: string, data: string): Promise<void> {
  if ((await zookeeper.exists(path)) !== undefined) return;
  try {
    await zookeeper.create(path, { data });
  } catch (error) {
    if (!(error instanceof NodeExistsError)) throw error;
  }
}

/** Both znodes, and above them what nothing else needs. */
async function removeQuota(zookeeper: ZooKeeper, path: string): Promise<void> {
  const { children } = await zookeeper.getChildren(quotaPath(path));
  for (const name of children) await zookeeper.delete(joinPath(quotaPath(path), name));
  for (let above = quotaPath(path); above !== QUOTA_ROOT; above = parentOf(above)) {
    const { children: left } = await zookeeper.getChildren(above);
    if (left.length > 0) return;
    await zookeeper.delete(above);
  }
}
