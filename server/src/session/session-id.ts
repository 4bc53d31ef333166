import { NO_SESSION, PASSWORD_BYTES, type ServerId, type SessionId, toSessionId } from 'zookeeper-protocol-ts';

/**
 * Session ids and passwords. Both are the original's to the bit, since a client may move from a server of either kind to one
 * of the other: the password is computed from the id, not stored (`SessionTrackerImpl`, `ZooKeeperServer.generatePasswd`).
 */

/**
 * The first session id of a server's start; the following ones are counted from it. The server id stands in the top byte, 40
 * bits of the time below it, and room for 65 536 ids a millisecond at the end.
 * @param serverId its low 8 bits count
 * @param wallMs ms since 1970; two starts within one millisecond would give the same ids
 */
export function firstSessionId(serverId: ServerId, wallMs: number): SessionId {
  const time = BigInt.asUintN(64, BigInt(Math.trunc(wallMs)) << 24n) >> 8n;
  return usable(toSessionId(time | (BigInt(serverId & 0xff) << 56n)));
}

export const nextSessionId = (id: SessionId): SessionId => usable(toSessionId(id + 1n));

const usable = (id: SessionId): SessionId => (id === CONTAINER_OWNER ? toSessionId(id + 1n) : id);

/** The one number that, as the owner of a znode, would mean a container (`tree/owner.ts`). */
const CONTAINER_OWNER = toSessionId(1n << 63n);

/**
 * The 16 bytes that a client shows when it comes back: `java.util.Random` seeded with the session id and a constant. Keeps out
 * accidents rather than attackers, as in the original; who must be kept out needs TLS or SASL.
 */
export function passwordOf(id: SessionId): Uint8Array {
  const password = new DataView(new ArrayBuffer(PASSWORD_BYTES));
  let state = (id ^ SECRET ^ MULTIPLIER) & MASK_48;
  for (let at = 0; at < PASSWORD_BYTES; at += 4) {
    state = (state * MULTIPLIER + 0xbn) & MASK_48;
    password.setUint32(at, Number(state >> 16n), true);
  }
  return new Uint8Array(password.buffer);
}

/** Whether the bytes are the session's password. Looks at all of them, wherever they differ. */
export function isPasswordOf(id: SessionId, bytes: Uint8Array | null): boolean {
  if (id === NO_SESSION || bytes === null || bytes.length !== PASSWORD_BYTES) return false;
  const password = passwordOf(id);
  let difference = 0;
  for (let i = 0; i < PASSWORD_BYTES; i++) difference |= (password[i] ?? 0) ^ (bytes[i] ?? 0);
  return difference === 0;
}

const SECRET = 0xb3415c00n;
/** Of the linear congruential generator of `java.util.Random`, which scrambles its seed with it too. */
const MULTIPLIER = 0x5deece66dn;
const MASK_48 = 0xffff_ffff_ffffn;
