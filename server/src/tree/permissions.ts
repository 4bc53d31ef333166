import { type Acl, type Id, OPEN_ACL, Permission } from 'zookeeper-protocol-ts';

/**
 * Who may do what (the original's `checkACL` and `fixupACL`; programmer's guide, "ZooKeeper access control using ACLs").
 * A connection has identities: its address under the scheme `ip`, and one for each successful authentication. An ACL entry
 * gives permission bits to one identity, or to a range of addresses, or to the world.
 */

/** Who asks, or is to be told. */
export interface Principal {
  /** Never changed in place: a connection that authenticates gets a new list. */
  readonly identities: readonly Id[];
  /** It passes everywhere: it proved to be the superuser, or the server doesn't check ACLs at all (`skipACL`). */
  readonly isSuperuser: boolean;
}

/**
 * Whether somebody holds one of the wanted permissions.
 * @param wanted `Permission` bits; one of several is enough, as for getACL
 */
export function isAllowed(acl: readonly Acl[], wanted: number, { identities, isSuperuser }: Principal): boolean {
  if (acl.length === 0 || isSuperuser) return true;
  for (const { perms, id } of acl) {
    if ((perms & wanted) === 0) continue;
    if (isWorld(id)) return true;
    for (const identity of identities) if (names(id, identity)) return true;
  }
  return false;
}

/** What somebody without ADMIN is shown of an ACL: of digests the user only, for the hash may be guessed from. */
export const withoutHashes = (acl: readonly Acl[]): readonly Acl[] =>
  acl.map((entry) => {
    const { scheme, id } = entry.id;
    return scheme === 'digest' && id !== null
      ? { perms: entry.perms, id: { scheme, id: id.replace(/:.*/g, ':x') } }
      : entry;
  });

/** The user that whoAmI shows for an identity: of a digest the part in front of the hash, none of the superuser. */
export function userOf({ scheme, id }: Id): string {
  if (id === null || scheme === 'super') return '';
  return scheme === 'digest' ? id.replace(/:.*/s, '') : id;
}

/**
 * The ACL that is stored for one that a client sent, or undefined if it is refused as INVALID_ACL: empty, without a scheme or
 * id, of an unknown scheme, with an id that its scheme doesn't allow, or `auth` from a connection that didn't authenticate.
 * Repeated entries are dropped; `auth` becomes one entry for each authenticated identity.
 */
export function fixupAcl(acl: readonly Acl[] | null, identities: readonly Id[]): readonly Acl[] | undefined {
  if (acl === null || acl.length === 0) return undefined;
  // Most are this one: then nothing of the request is kept for it.
  if (isOpenToAll(acl)) return OPEN_ACL;
  const fixed: Acl[] = [];
  for (const entry of withoutRepetitions(acl)) {
    if (entry.id.scheme === 'auth' && entry.id.id !== null) {
      const authenticated = identities.filter(isAuthenticated);
      if (authenticated.length === 0 || fixed.length + authenticated.length > ENTRIES_MAX) return undefined;
      for (const id of authenticated) fixed.push({ perms: entry.perms, id });
    } else {
      if (!isValid(entry.id)) return undefined;
      fixed.push(entry);
    }
  }
  return fixed;
}

/** `auth` may stand for many: what a small request could become is bounded. A list without it fits any frame. */
const ENTRIES_MAX = 65_536;

function withoutRepetitions(acl: readonly Acl[]): readonly Acl[] {
  if (acl.length === 1) return acl;
  const seen = new Set<string>();
  return acl.filter((entry) => seen.size < seen.add(keyOf(entry)).size);
}

/** The length keeps apart what a separator in a scheme would blur. */
const keyOf = ({ perms, id: { scheme, id } }: Acl): string => `${perms} ${scheme?.length} ${scheme} ${id}`;

const isOpenToAll = (acl: readonly Acl[]): boolean =>
  acl.length === 1 && acl[0]?.perms === Permission.ALL && isWorld(acl[0].id);

const isWorld = (id: Id): boolean => id.scheme === 'world' && id.id === 'anyone';

/** An address is where a connection comes from, not who it is. */
const isAuthenticated = (id: Id): boolean => id.scheme !== 'ip' && id.scheme !== 'world' && id.scheme !== 'super';

/** Whether the id of an ACL entry means the identity of a connection. */
function names(entry: Id, identity: Id): boolean {
  if (entry.scheme !== identity.scheme || entry.id === null || identity.id === null) return false;
  return entry.scheme === 'ip' ? isInNetwork(entry.id, identity.id) : entry.id === identity.id;
}

/** Whether a client may store such an id. Entries of other schemes come from foreign snapshots only; they match by equality. */
function isValid({ scheme, id }: Id): boolean {
  if (id === null) return false;
  switch (scheme) {
    case 'world':
      return id === 'anyone';
    case 'digest':
      // Two parts; colons at the end make none.
      return /^[^:]*:[^:]+:*$/.test(id);
    case 'ip':
      return parseNetwork(id) !== undefined;
    default:
      return false;
  }
}

/** Whether an address is in a network, `10.0.0.0/8`, or is that one address. IPv4 is never in a network of IPv6. */
function isInNetwork(network: string, address: string): boolean {
  const parsed = parseNetwork(network);
  const bytes = parseAddress(address);
  if (parsed === undefined || bytes === undefined || bytes.length !== parsed.bytes.length) return false;
  return parsed.bytes.every((byte, i) => {
    const bitsHere = Math.min(Math.max(parsed.bits - i * 8, 0), 8);
    const mask = (0xff << (8 - bitsHere)) & 0xff;
    return ((byte ^ (bytes[i] ?? 0)) & mask) === 0;
  });
}

interface Network {
  /** 4 or 16. */
  readonly bytes: readonly number[];
  /** How many leading bits count. */
  readonly bits: number;
}

/** An address, or an address, a slash and a number of bits. */
function parseNetwork(text: string): Network | undefined {
  const slash = text.indexOf('/');
  const bytes = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (bytes === undefined) return undefined;
  if (slash < 0) return { bytes, bits: bytes.length * 8 };
  const bits = text.slice(slash + 1);
  return /^\d{1,3}$/.test(bits) && Number(bits) <= bytes.length * 8 ? { bytes, bits: Number(bits) } : undefined;
}

/**
 * The 4 or 16 bytes of a numeric address. An IPv4 address that a socket for both families shows as IPv6 (`::ffff:10.0.0.1`) is
 * taken for the IPv4 address that it is, and a zone (`fe80::1%eth0`) is left off.
 */
function parseAddress(text: string): readonly number[] | undefined {
  if (!text.includes(':')) return parseIpv4(text);
  const zone = text.indexOf('%');
  const bytes = parseIpv6(zone < 0 ? text : text.slice(0, zone));
  const isMapped = bytes?.every((byte, i) => i >= 12 || byte === (i < 10 ? 0 : 0xff));
  return isMapped ? bytes?.slice(12) : bytes;
}

function parseIpv4(text: string): number[] | undefined {
  const parts = text.split('.');
  const isValidPart = (part: string) => /^\d{1,3}$/.test(part) && Number(part) <= 255;
  return parts.length === 4 && parts.every(isValidPart) ? parts.map(Number) : undefined;
}

function parseIpv6(text: string): number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const parsed = halves.map((half, i) => (half === '' ? [] : parseGroups(half, i === halves.length - 1)));
  const [head, tail] = parsed;
  if (head === undefined) return undefined;
  if (halves.length === 1) return head.length === 16 ? head : undefined;
  // "::" stands for at least one group of zeros.
  if (tail === undefined || head.length + tail.length > 14) return undefined;
  return [...head, ...new Array<number>(16 - head.length - tail.length).fill(0), ...tail];
}

/** Groups of four hex digits between colons; the last may be an IPv4 address in place of two. */
function parseGroups(text: string, mayEndInIpv4: boolean): number[] | undefined {
  const groups = text.split(':');
  const bytes: number[] = [];
  for (const [i, group] of groups.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
      continue;
    }
    const embedded = mayEndInIpv4 && i === groups.length - 1 ? parseIpv4(group) : undefined;
    if (embedded === undefined) return undefined;
    bytes.push(...embedded);
  }
  return bytes;
}
