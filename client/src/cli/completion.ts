/** What the tab key offers: names of commands for the first word of a line, and paths for a word that begins with `/` (the original's `JLineZNodeCompleter`). */
import { joinPath, parentOf } from 'zookeeper-protocol-ts';
import { ZooKeeperError } from '../errors.ts';
import type { ZooKeeper } from '../zookeeper.ts';

/** What may stand in the place of the end of the line, and that end: what `node:readline` asks of a completer. */
export type Completion = [candidates: string[], end: string];

/** Offers nothing where the servers can't be asked. Names that only quotes would keep together are left out. */
export async function complete(
  line: string,
  { names, zookeeper }: { names: Iterable<string>; zookeeper: ZooKeeper },
): Promise<Completion> {
  const word = /\S*$/.exec(line)?.[0] ?? '';
  if (word.startsWith('/')) return [await pathsBeginningWith(word, zookeeper), word];
  const isFirst = line.trim() === word;
  return [isFirst ? [...names].filter((name) => name.startsWith(word)).map((name) => `${name} `) : [], word];
}

async function pathsBeginningWith(beginning: string, zookeeper: ZooKeeper): Promise<string[]> {
  // Of `/a/b` as of `/a/` it is the children of `/a` that are offered.
  const parent = parentOf(beginning);
  try {
    const { children } = await zookeeper.getChildren(parent);
    const paths = children.map((name) => joinPath(parent, name));
    return paths.filter((path) => path.startsWith(beginning) && !/[\s"']/.test(path)).sort();
  } catch (error) {
    // No such znode, no right to see it, no connection: then there is nothing to offer, and the command itself will say so.
    if (error instanceof ZooKeeperError) return [];
    throw error;
  }
}
