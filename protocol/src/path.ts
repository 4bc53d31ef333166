/** Paths of znodes: what is valid, and how to take them apart (ZooKeeper's `PathUtils`, Curator's `ZKPaths`). */

/** A path that ZooKeeper would refuse. The message names the path and the rule. */
export class InvalidPathError extends Error {
  override readonly name = 'InvalidPathError';
  readonly code = 'INVALID_PATH';
  readonly path: string;
  constructor(path: string, rule: string) {
    super(`invalid path ${JSON.stringify(path)}: ${rule}`);
    this.path = path;
  }
}

/**
 * What is wrong with a path, or undefined if it is valid: absolute, no trailing slash except for the root, no empty, `.` or
 * `..` component, none of the characters U+0000–U+001F, U+007F–U+009F, U+D800–U+F8FF, U+FFF0–U+FFFF (UTF-16 units).
 */
export function pathProblem(path: string): string | undefined {
  if (path.length === 0) return 'it is empty';
  if (path.charCodeAt(0) !== SLASH) return 'it must start with /';
  if (path.length === 1) return undefined;
  if (path.charCodeAt(path.length - 1) === SLASH) return 'it must not end with /';
  let start = 1;
  for (let i = 1; i <= path.length; i++) {
    const unit = i < path.length ? path.charCodeAt(i) : SLASH;
    if (unit === SLASH) {
      const length = i - start;
      if (length === 0) return 'it has an empty component';
      if (length === 1 && path[start] === '.') return 'relative components are not allowed';
      if (length === 2 && path.startsWith('..', start)) return 'relative components are not allowed';
      start = i + 1;
    } else if (isForbidden(unit)) {
      return `the character U+${unit.toString(16).toUpperCase().padStart(4, '0')} at ${i} is not allowed`;
    }
  }
  return undefined;
}

/**
 * Returns the path if it is valid.
 * @param sequential the path is completed by the server: `/a/` is then valid, and named by its number alone
 * @throws InvalidPathError naming the rule it breaks
 */
export function validatePath(path: string, { sequential = false }: { sequential?: boolean } = {}): string {
  if (typeof path !== 'string') throw new InvalidPathError(String(path), 'it must be a string');
  const problem = pathProblem(sequential ? `${path}1` : path);
  if (problem !== undefined) throw new InvalidPathError(path, problem);
  return path;
}

const SLASH = 47;

const isForbidden = (unit: number): boolean =>
  unit <= 0x1f ||
  (unit >= 0x7f && unit <= 0x9f) ||
  (unit >= 0xd800 && unit <= 0xf8ff) ||
  (unit >= 0xfff0 && unit <= 0xffff);

/** The parent of a path; the root's parent is the root. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}

/** The last component of a path; empty for the root. */
export const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** Joins a parent and a child name with exactly one slash. */
export const joinPath = (parent: string, name: string): string => (parent === '/' ? `/${name}` : `${parent}/${name}`);

/** The server's suffix of a sequential znode: `%010d` of a signed 32-bit counter, so 11 characters once it has wrapped. */
export const sequenceSuffix = (counter: number): string =>
  counter < 0 ? `-${String(-counter).padStart(9, '0')}` : String(counter).padStart(10, '0');

/**
 * The counter at the end of a sequential znode's name, or undefined if there is none. The server's counter is a signed
 * 32-bit number that wraps: ten digits beyond its range, behind a minus sign, are a negative one.
 */
export function sequenceOf(name: string): number | undefined {
  const positive = /(-?)(\d{10})$/.exec(name);
  if (positive) {
    const counter = Number(positive[2]);
    if (counter <= 0x7fff_ffff) return counter;
    return positive[1] === '-' ? -counter : undefined;
  }
  const negative = /-(\d{9})$/.exec(name);
  return negative ? -Number(negative[1]) : undefined;
}
