/** The commands that change znodes: `create`, `set`, `delete`, `deleteall`. */
import { CreateMode } from 'zookeeper-protocol-ts';
import type { ZooKeeper } from '../zookeeper.ts';
import { parseAcl } from './acl-text.ts';
import { type Commands, firstWord, versionFlag, wholeNumber } from './command.ts';
import { CommandError } from './command-error.ts';
import { statLines } from './stat-text.ts';
import { readSubtree } from './subtree.ts';

export const writeCommands: Commands = {
  create: {
    kind: 'session',
    usage: '[-s] [-e] [-c] [-t ttl] path [data] [acl]',
    flags: { s: 'switch', e: 'switch', c: 'switch', t: 'value' },
    words: { min: 1, max: 3 },
    async run(typed, { zookeeper }) {
      const { words, flags } = typed;
      const [, data, acl] = words;
      const { path, stat } = await zookeeper.create(firstWord(typed), {
        ...modeAndTtl(flags),
        data,
        acl: acl === undefined ? undefined : parseAcl(acl),
      });
      return { err: [`Created ${path}`], json: { path, stat } };
    },
  },
  set: {
    kind: 'session',
    usage: '[-s] [-v version] path data',
    flags: { s: 'switch', v: 'value' },
    words: { min: 2, max: 2 },
    async run(typed, { zookeeper }) {
      const path = firstWord(typed);
      const [, data = ''] = typed.words;
      const stat = await zookeeper.setData(path, data, { version: versionFlag(typed) });
      return { out: typed.flags.has('s') ? statLines(stat) : [], json: { path, stat } };
    },
  },
  delete: {
    kind: 'session',
    usage: '[-v version] path',
    flags: { v: 'value' },
    words: { min: 1, max: 1 },
    async run(typed, { zookeeper }) {
      const path = firstWord(typed);
      await zookeeper.delete(path, { version: versionFlag(typed) });
      return { json: { path } };
    },
  },
  deleteall: {
    kind: 'session',
    usage: 'path [-b batch size]',
    flags: { b: 'value' },
    words: { min: 1, max: 1 },
    async run(typed, { zookeeper }) {
      const path = firstWord(typed);
      const batchSize = wholeNumber(typed.flags.get('b') ?? String(BATCH_SIZE), '-b argument must be an int value');
      if (batchSize < 1) throw new CommandError('-b argument must be at least 1');
      const subtree = await readSubtree(zookeeper, path);
      const areAllGone = await deleteInBatches(zookeeper, [...subtree.keys()].reverse(), batchSize);
      if (!areAllGone) throw new CommandError('Failed to delete some node(s) in the subtree!');
      return { json: { path, deleted: subtree.size } };
    },
  },
};

/** How many znodes one transaction deletes, and how many transactions are under way at once: the original's numbers. */
const BATCH_SIZE = 1000;
const BATCHES_IN_FLIGHT_MAX = 10;

/** From the leaves up. Each batch is a transaction; behind one that fails, nothing more is asked for. */
async function deleteInBatches(zookeeper: ZooKeeper, leavesFirst: readonly string[], size: number): Promise<boolean> {
  const batches: string[][] = [];
  for (let at = 0; at < leavesFirst.length; at += size) batches.push(leavesFirst.slice(at, at + size));
  for (let at = 0; at < batches.length; at += BATCHES_IN_FLIGHT_MAX) {
    const underWay = batches
      .slice(at, at + BATCHES_IN_FLIGHT_MAX)
      .map((paths) => zookeeper.multi(paths.map((path) => ({ kind: 'delete', path }))));
    const outcomes = await Promise.allSettled(underWay);
    if (outcomes.some(({ status }) => status === 'rejected')) return false;
  }
  return true;
}

/** 40 bits on disk. */
const TTL_MS_MAX = 0xff_ffff_ffff;

function modeAndTtl(flags: ReadonlyMap<string, string>): { mode: CreateMode; ttlMs?: number } {
  const isSequential = flags.has('s');
  const isEphemeral = flags.has('e');
  const isContainer = flags.has('c');
  const ttl = flags.get('t');
  if (isContainer && (isEphemeral || isSequential)) {
    throw new CommandError('-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.');
  }
  if (ttl !== undefined) {
    const ttlMs = wholeNumber(ttl, '-t argument must be a long value');
    if (isEphemeral) throw new CommandError('TTLs cannot be used with Ephemeral znodes');
    if (isContainer) throw new CommandError('TTLs cannot be used with Container znodes');
    if (ttlMs < 1 || ttlMs > TTL_MS_MAX) {
      throw new CommandError(`ttl must be positive and cannot be larger than: ${TTL_MS_MAX}`);
    }
    return { mode: isSequential ? CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL : CreateMode.PERSISTENT_WITH_TTL, ttlMs };
  }
  if (isContainer) return { mode: CreateMode.CONTAINER };
  if (isEphemeral) return { mode: isSequential ? CreateMode.EPHEMERAL_SEQUENTIAL : CreateMode.EPHEMERAL };
  return { mode: isSequential ? CreateMode.PERSISTENT_SEQUENTIAL : CreateMode.PERSISTENT };
}
