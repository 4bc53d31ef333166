/** The commands that look at znodes: `get`, `ls`, `stat`, `getAllChildrenNumber`, `getEphemerals`, and `sync`, which precedes a look. */
import { NoNodeError } from '../errors.ts';
import { type Answer, type Commands, firstWord, type SessionAccess } from './command.ts';
import type { Arguments } from './command-line.ts';
import { statLines } from './stat-text.ts';
import { listingOrder, readSubtree } from './subtree.ts';

export const readCommands: Commands = {
  get: {
    kind: 'session',
    usage: '[-s] [-w] path',
    flags: { s: 'switch', w: 'switch' },
    words: { min: 1, max: 2 },
    async run(typed, access) {
      const path = firstWord(typed);
      const { watcher, err } = watching(
        typed,
        access,
        "'get path [watch]' has been deprecated. Please use 'get [-s] [-w] path' instead.",
      );
      const { data, stat } = await access.zookeeper.getData(path, { watcher });
      return {
        out: [data.toString('utf8'), ...(typed.flags.has('s') ? statLines(stat) : [])],
        err,
        json: { path, ...dataField(data), stat },
      };
    },
  },
  ls: {
    kind: 'session',
    usage: '[-s] [-w] [-R] path',
    flags: { s: 'switch', w: 'switch', R: 'switch' },
    words: { min: 1, max: 2 },
    async run(typed, access) {
      const path = firstWord(typed);
      const { watcher, err } = watching(
        typed,
        access,
        "'ls path [watch]' has been deprecated. Please use 'ls [-w] path' instead.",
      );
      if (typed.flags.has('R')) return { ...(await listRecursively(path, { ...access, watcher })), err };
      const { children, stat } = await access.zookeeper.getChildren(path, { watcher });
      children.sort();
      return {
        out: [`[${children.join(', ')}]`, ...(typed.flags.has('s') ? statLines(stat) : [])],
        err,
        json: { path, children, stat },
      };
    },
  },
  stat: {
    kind: 'session',
    usage: '[-w] path',
    flags: { w: 'switch' },
    words: { min: 1, max: 2 },
    async run(typed, access) {
      const path = firstWord(typed);
      const { watcher, err } = watching(
        typed,
        access,
        "'stat path [watch]' has been deprecated. Please use 'stat [-w] path' instead.",
      );
      const stat = await access.zookeeper.exists(path, { watcher });
      if (stat === undefined) throw new NoNodeError(`no such znode: ${path}`, { path });
      return { out: statLines(stat), err, json: { path, stat } };
    },
  },
  getAllChildrenNumber: {
    kind: 'session',
    usage: 'path',
    words: { min: 1, max: 1 },
    async run(typed, { zookeeper }) {
      const path = firstWord(typed);
      const allChildrenNumber = await zookeeper.getAllChildrenNumber(path);
      return { out: [String(allChildrenNumber)], json: { path, allChildrenNumber } };
    },
  },
  getEphemerals: {
    kind: 'session',
    usage: 'path',
    words: { min: 0, max: 1 },
    async run({ words: [prefix] }, { zookeeper }) {
      const ephemerals = await zookeeper.getEphemerals(prefix);
      ephemerals.sort();
      return { out: [`[${ephemerals.join(', ')}]`], json: { ephemerals } };
    },
  },
  sync: {
    kind: 'session',
    usage: 'path',
    words: { min: 1, max: 1 },
    async run(typed, { zookeeper }) {
      const path = firstWord(typed);
      await zookeeper.sync(path, { timeoutMs: SYNC_TIMEOUT_MS });
      return { out: ['Sync is OK'], json: { path } };
    },
  },
};

/** The original's patience with a sync. */
const SYNC_TIMEOUT_MS = 30_000;

/** Whether to watch: `-w`, or in the manner of before 3.5 any word behind the path, which is told. */
function watching(
  { words, flags }: Arguments,
  { watcher }: SessionAccess,
  deprecation: string,
): { watcher: SessionAccess['watcher'] | undefined; err: readonly string[] } {
  const isOldManner = words.length > 1;
  return { watcher: isOldManner || flags.has('w') ? watcher : undefined, err: isOldManner ? [deprecation] : [] };
}

async function listRecursively(
  path: string,
  { zookeeper, watcher }: { zookeeper: SessionAccess['zookeeper']; watcher: SessionAccess['watcher'] | undefined },
): Promise<Answer> {
  // The watch on the data of the root is the original's too: it tells when that changes.
  if (watcher !== undefined) await zookeeper.getData(path, { watcher });
  const paths = listingOrder(await readSubtree(zookeeper, path, watcher));
  return { out: paths, json: { path, paths } };
}

/** Text as it is; bytes that are no UTF-8 in base64, under another name. */
function dataField(data: Buffer): { data: string } | { dataBase64: string } {
  const text = data.toString('utf8');
  return Buffer.from(text, 'utf8').equals(data) ? { data: text } : { dataBase64: data.toString('base64') };
}
