/**
 * A namespace (Curator's `NamespaceImpl`): a path that is put in front of all paths of a client, so that it sees its part
 * of the tree as the whole.
 *
 * What must always hold: a path is prefixed once on its way to the server and stripped once on its way back, here and
 * nowhere else (CURATOR-666), and only at a boundary between names: in namespace `foo`, `/foobar` is not ours (CURATOR-236).
 */
import { InvalidArgumentError } from '../errors.ts';
import type { Watcher } from '../watch/watch-registry.ts';
import { checkPath } from '../zookeeper-arguments.ts';

/** Wrapped watchers by watcher and namespace: a watcher that is given twice must be the same for the server (Curator too). */
const wrappedWatchers = new WeakMap<Watcher, Map<string, Watcher>>();

export class Namespace {
  /** Path of the namespace's own znode; empty when there is no namespace. */
  readonly root: string;

  /**
   * @param name without a slash in front; `a/b` is two levels; null or empty for none
   * @throws InvalidArgumentError when `/name` is no path
   */
  constructor(name: string | null) {
    if (name !== null && typeof name !== 'string') throw new InvalidArgumentError('namespace', 'not a string');
    this.root = name === null || name === '' ? '' : checkPath(`/${name}`, 'namespace');
  }

  /**
   * The server's path for a user's.
   * @param sequential the server completes the name, so that it may be empty
   * @throws InvalidArgumentError
   */
  toServer(path: string, { sequential = false }: { sequential?: boolean } = {}): string {
    checkPath(path, 'path', { sequential });
    return path === '/' && !sequential && this.root !== '' ? this.root : this.root + path;
  }

  /** The user's path for a server's. A path outside the namespace is returned as it is. */
  toUser(path: string): string {
    if (this.root === '') return path;
    if (path === this.root) return '/';
    return path.startsWith(`${this.root}/`) ? path.slice(this.root.length) : path;
  }

  /** A watcher that tells `watcher` of events with the user's paths; the same one each time. */
  toServerWatcher(watcher: Watcher): Watcher {
    if (this.root === '') return watcher;
    const byRoot = wrappedWatchers.get(watcher) ?? new Map<string, Watcher>();
    wrappedWatchers.set(watcher, byRoot);
    const known = byRoot.get(this.root);
    if (known !== undefined) return known;
    const wrapped: Watcher = (event) => watcher({ ...event, path: this.toUser(event.path) });
    byRoot.set(this.root, wrapped);
    return wrapped;
  }
}
