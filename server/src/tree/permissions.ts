import type { Acl, Id } from 'zookeeper-protocol-ts';

/**
 * Who may do what (the original's `checkACL` and `fixupACL`; programmer's guide, "ZooKeeper access control using ACLs").
 * A connection has identities: its address under the scheme `ip`, and one for each successful authentication. An ACL entry
 * gives permission bits to one identity, or to a range of addresses, or to the world.
 */

/**
 * Whether one of the identities holds one of the wanted permissions.
 * @param wanted `Permission` bits; one of several is enough, as for getACL
 */
export function isAllowed(acl: readonly Acl[], wanted: number, identities: readonly Id[]): boolean {
  if (acl.length === 0) return true;
  if (identities.some(isSuper)) return true;
  return acl.some(
    ({ perms, id }) => (perms & wanted) !== 0 && (isWorld(id) || identities.some((one) => names(id, one))),
  );
}

/**
 * The ACL that is stored for one that a client sent, or undefined if it is refused as INVALID_ACL: empty, without a scheme or
 * id, of an unknown scheme, with an id that its scheme doesn't allow, or `auth` from a connection that didn't authenticate.
 * Repeated entries are dropped; `auth` becomes one entry for each authenticated identity.
 */
export function fixupAcl(acl: readonly Acl[] | null, identities: readonly Id[]): readonly Acl[] | undefined {
  if (acl === null || acl.length === 0) return undefined;
  const fixed: Acl[] = [];
  for (const [index, entry] of acl.entries()) {
    if (acl.findIndex((earlier) => isSame(earlier, entry)) < index) continue;
    if (entry.id.scheme === 'auth' && entry.id.id !== null) {
      const authenticated = identities.filter(isAuthenticated);
      if (authenticated.length === 0) return undefined;
      for (const id of authenticated) fixed.push({ perms: entry.perms, id });
    } else {
      if (!isValid(entry.id)) return undefined;
      fixed.push(entry);
    }
  }
  return fixed;
}

const isWorld = (id: Id): boolean => id.scheme === 'world' && id.id === 'anyone';

const isSuper = (id: Id): boolean => id.scheme === 'super';

/** An address is where a connection comes from, not who it is. */
const isAuthenticated = (id: Id): boolean => id.scheme !== 'ip' && id.scheme !== 'world' && id.scheme !== 'super';

const isSame = (one: Acl, other: Acl): boolean =>
  one.perms === other.perms && one.id.scheme === other.id.scheme && one.id.id === other.id.id;

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
      return /^[^:]*:[^:]+$/.test(id);
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
