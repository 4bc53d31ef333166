import { type SessionId, toSessionId } from 'zookeeper-protocol-ts';

/**
 * The stored field `ephemeralOwner` of a znode. It says more than its name: 0 for a persistent znode, a session id for an
 * ephemeral one, the least 64-bit number for a container, and the top byte 0xff with a time to live in the low 40 bits for
 * a TTL znode (the original's `EphemeralType`, extended types enabled). Clients see session ids only.
 */

/** Owner of a persistent znode. */
export const NO_OWNER = 0n;

/** Owner of a container. */
export const CONTAINER_OWNER = -0x8000_0000_0000_0000n;

/** The longest time to live, 40 bits: about 34 years. */
export const TTL_MS_MAX = 0xff_ffff_ffff;

/** Top byte 0xff and the 16 bits of the sub-type 0, read as a signed number. Server ids stay below 255 to keep it free. */
const TTL_MARK = -0x100_0000_0000_0000n;
const TTL_MS_BITS = 40n;

/**
 * The owner field of a TTL znode.
 * @param ttlMs 1 … {@link TTL_MS_MAX}
 */
export const ttlOwner = (ttlMs: number): bigint => TTL_MARK | BigInt(ttlMs);

/** The time to live in ms, or undefined if the owner isn't that of a TTL znode. */
export function ttlOf(owner: bigint): number | undefined {
  // The mark with any 40 bits behind it; another sub-type has no meaning yet.
  return owner >> TTL_MS_BITS === TTL_MARK >> TTL_MS_BITS
    ? Number(BigInt.asUintN(Number(TTL_MS_BITS), owner))
    : undefined;
}

/** Whether the owner is a session, which takes the znode along when it ends. */
export const isEphemeralOwner = (owner: bigint): boolean =>
  owner !== NO_OWNER && owner !== CONTAINER_OWNER && owner >> 56n !== -1n;

/** The session that clients are shown as a znode's owner: 0 for containers and TTL znodes too. */
export const ownerSeenByClients = (owner: bigint): SessionId => toSessionId(isEphemeralOwner(owner) ? owner : NO_OWNER);
