/**
 * ACLs as they are typed and printed (the original's `AclParser`, `GetAclCommand`):
 *
 *     acl   = entry { "," entry }
 *     entry = scheme ":" id ":" permissions        ; the id may have colons: of all, the first and the last count
 *     permissions = { "c" | "d" | "r" | "w" | "a" }
 *
 * An entry that can't be read refuses the whole. The original leaves it out and goes on: the znode then has another ACL than was asked
 * for.
 */
import { type Acl, Permission } from 'zookeeper-protocol-ts';
import { CommandError } from './command-error.ts';

/** In the order in which they are printed. */
const LETTERS: readonly (readonly [string, number])[] = [
  ['c', Permission.CREATE],
  ['d', Permission.DELETE],
  ['r', Permission.READ],
  ['w', Permission.WRITE],
  ['a', Permission.ADMIN],
];
const BITS: ReadonlyMap<string, number> = new Map(LETTERS);

/** @throws CommandError naming the entry, or the letter */
export function parseAcl(text: string): Acl[] {
  return text.split(',').map((entry) => {
    const [, scheme, id, letters] = /^([^:]*):(.*):([^:]*)$/s.exec(entry) ?? [];
    if (scheme === undefined || id === undefined || letters === undefined) {
      throw new CommandError(`${entry} does not have the form scheme:id:perm`);
    }
    return { perms: parsePermissions(letters), id: { scheme, id } };
  });
}

function parsePermissions(letters: string): number {
  let perms = 0;
  for (const letter of letters) {
    const bit = BITS.get(letter);
    if (bit === undefined) throw new CommandError(`Unknown perm type: ${letter}`);
    perms |= bit;
  }
  return perms;
}

/** Two lines for each entry, the identity as jute writes records in text: `'world,'anyone` and `: cdrwa`. */
export const aclLines = (acl: readonly Acl[]): string[] =>
  acl.flatMap(({ perms, id }) => [`${juteText(id.scheme)},${juteText(id.id)}`, `: ${permissionLetters(perms)}`]);

export const permissionLetters = (perms: number): string =>
  LETTERS.filter(([, bit]) => (perms & bit) !== 0)
    .map(([letter]) => letter)
    .join('');

/** A ustring in jute's CSV form: its separators and line ends as %hex. */
function juteText(text: string | null): string {
  if (text === null) return '';
  return `'${text.replace(/[\0\n\r%,}]/g, (unit) => `%${unit.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)}`;
}
