/**
 * The path below which all paths of a client lie, if its connect string has one. The prefix goes on exactly once on the way out and
 * comes off exactly once on the way back, so that the user never sees it. Results are only ever stripped at the end of a
 * component: `/app` is no prefix of `/application`.
 */
export class Chroot {
  /** Empty for none. */
  readonly #prefix: string;

  /** @param path valid, `/` for none */
  constructor(path: string) {
    this.#prefix = path === '/' ? '' : path;
  }

  /**
   * The client's path as the server knows it.
   * @param sequential the server completes the path: the number goes below the chroot, not behind its name
   */
  toServer(path: string, { sequential = false }: { sequential?: boolean } = {}): string {
    if (this.#prefix === '') return path;
    return path === '/' && !sequential ? this.#prefix : this.#prefix + path;
  }

  /** Whether the server's path is the client's at all. */
  contains(path: string): boolean {
    return path === this.#prefix || path.startsWith(`${this.#prefix}/`);
  }

  /** The server's path as the client knows it, or unchanged where it lies outside. */
  toClient(path: string): string {
    if (this.#prefix === '') return path;
    if (path === this.#prefix) return '/';
    return path.startsWith(`${this.#prefix}/`) ? path.slice(this.#prefix.length) : path;
  }
}
