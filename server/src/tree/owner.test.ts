import { describe, expect, it } from 'vitest';
import {
  CONTAINER_OWNER,
  isEphemeralOwner,
  NO_OWNER,
  ownerSeenByClients,
  TTL_MS_MAX,
  ttlOf,
  ttlOwner,
} from './owner.ts';

const SESSION = 0x1000_00dc_6d10_000n;

describe('the owner field', () => {
  it('of a TTL znode is the one that the original stores', () => {
    expect(BigInt.asUintN(64, ttlOwner(60_000))).toBe(0xff00_0000_0000_ea60n);
  });

  it('gives a time to live back, from the shortest to the longest', () => {
    for (const ttlMs of [1, 60_000, TTL_MS_MAX]) expect(ttlOf(ttlOwner(ttlMs))).toBe(ttlMs);
  });

  it('has no time to live for persistent znodes, ephemerals, containers and other sub-types', () => {
    const otherSubType = ttlOwner(1) | (1n << 40n);
    for (const owner of [NO_OWNER, SESSION, CONTAINER_OWNER, otherSubType]) expect(ttlOf(owner)).toBeUndefined();
  });

  it('is an ephemeral’s only if it is a session id, also one of a server id past 127', () => {
    const highServer = BigInt.asIntN(64, 0xfe00_0000_0000_0001n);
    expect([SESSION, highServer].map(isEphemeralOwner)).toEqual([true, true]);
    expect([NO_OWNER, CONTAINER_OWNER, ttlOwner(1)].map(isEphemeralOwner)).toEqual([false, false, false]);
  });

  it('is hidden from clients unless it is a session', () => {
    expect([SESSION, CONTAINER_OWNER, ttlOwner(1), NO_OWNER].map(ownerSeenByClients)).toEqual([SESSION, 0n, 0n, 0n]);
  });
});
