/** The commands about rights and identities: `getAcl`, `setAcl`, `addauth`, `whoami`. */
import { ZooKeeperError } from '../errors.ts';
import type { ZooKeeper } from '../zookeeper.ts';
import { aclLines, parseAcl, permissionLetters } from './acl-text.ts';
import { type Answer, type Commands, firstWord, versionFlag } from './command.ts';
import { CommandError, toFailure } from './command-error.ts';
import type { Arguments } from './command-line.ts';
import { statLines } from './stat-text.ts';
import { listingOrder, readSubtree } from './subtree.ts';

export const aclCommands: Commands = {
  getAcl: {
    kind: 'session',
    usage: '[-s] path',
    flags: { s: 'switch' },
    words: { min: 1, max: 1 },
    async run(typed, { zookeeper }) {
      const path = firstWord(typed);
      const { acl, stat } = await zookeeper.getACL(path);
      return {
        out: [...aclLines(acl), ...(typed.flags.has('s') ? statLines(stat) : [])],
        json: { path, acl: acl.map(({ perms, id }) => ({ ...id, perms: permissionLetters(perms) })), stat },
      };
    },
  },
  setAcl: {
    kind: 'session',
    usage: '[-s] [-v version] [-R] path acl',
    flags: { s: 'switch', v: 'value', R: 'switch' },
    words: { min: 2, max: 2 },
    async run(typed, { zookeeper }) {
      if (typed.flags.has('R')) return setRecursively(typed, zookeeper);
      const path = firstWord(typed);
      const [, text = ''] = typed.words;
      const stat = await zookeeper.setACL(path, parseAcl(text), { version: versionFlag(typed) });
      return { out: typed.flags.has('s') ? statLines(stat) : [], json: { path, stat } };
    },
  },
  addauth: {
    kind: 'session',
    usage: 'scheme auth',
    words: { min: 1, max: 2 },
    async run(typed, { zookeeper }) {
      const scheme = firstWord(typed);
      const [, auth = ''] = typed.words;
      await zookeeper.addAuth(scheme, auth);
      return { json: { scheme } };
    },
  },
  whoami: {
    kind: 'session',
    usage: '',
    words: { min: 0, max: 0 },
    async run(_typed, { zookeeper }) {
      const clientInfo = await zookeeper.whoAmI();
      return {
        out: ['Auth scheme: User', ...clientInfo.map(({ authScheme, user }) => `${authScheme}: ${user}`)],
        json: { clientInfo },
      };
    },
  },
};

/** Goes on behind a znode that refuses, as the original does, and fails in the end with all that did. */
async function setRecursively(typed: Arguments, zookeeper: ZooKeeper): Promise<Answer> {
  const root = firstWord(typed);
  const [, text = ''] = typed.words;
  const acl = parseAcl(text);
  const version = versionFlag(typed);
  const paths = listingOrder(await readSubtree(zookeeper, root));
  const refusals: string[] = [];
  for (const path of paths) {
    try {
      await zookeeper.setACL(path, acl, { version });
    } catch (error) {
      if (!(error instanceof ZooKeeperError)) throw error;
      refusals.push(toFailure(error).message);
    }
  }
  if (refusals.length > 0) throw new CommandError(refusals.join('; '));
  return { json: { path: root, paths } };
}
