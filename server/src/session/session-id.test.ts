import { describe, expect, it } from 'vitest';
import { toServerId, toSessionId } from 'zookeeper-protocol-ts';
import { firstSessionId, isPasswordOf, nextSessionId, passwordOf } from './session-id.ts';

const ID = toSessionId(0x1000_00dc_6d10_000n);

describe('session ids', () => {
  it('start with the server id in the top byte, 40 bits of the time, and 16 zero bits', () => {
    const id = firstSessionId(toServerId(5), 0x1234_5678_9abc);
    expect(BigInt.asUintN(64, id)).toBe(0x0534_5678_9abc_0000n);
  });

  it('keep server ids apart whose top bit is set (ZOOKEEPER-1622)', () => {
    const ids = [1, 127, 128, 129, 254].map((server) => firstSessionId(toServerId(server), 0x1a2_042d_4825));
    expect(ids.map((id) => BigInt.asUintN(64, id) >> 56n)).toEqual([1n, 127n, 128n, 129n, 254n]);
  });

  it('take the low 8 bits of the server id, and whole milliseconds', () => {
    expect(firstSessionId(toServerId(0x101), 7)).toBe(firstSessionId(toServerId(1), 7));
    expect(firstSessionId(toServerId(1), 7.9)).toBe(firstSessionId(toServerId(1), 7));
  });

  it('count by one, and leave out the number that means a container', () => {
    expect(nextSessionId(ID)).toBe(ID + 1n);
    expect(BigInt.asUintN(64, firstSessionId(toServerId(128), 0))).toBe(0x8000_0000_0000_0001n);
  });
});

describe('a session password', () => {
  it('is the original’s', () => {
    expect(Buffer.from(passwordOf(ID)).toString('hex')).toBe('15768ab27e56fc487bd34e71f7d59645');
  });

  it('does not depend on the server that made the id', () => {
    expect(passwordOf(toSessionId(ID | (0x7fn << 56n)))).toEqual(passwordOf(ID));
    expect(passwordOf(toSessionId(ID + 1n))).not.toEqual(passwordOf(ID));
  });

  it('is refused with one wrong bit, another length, or none', () => {
    const password = passwordOf(ID);
    expect(isPasswordOf(ID, password)).toBe(true);
    for (const at of [0, 7, 15]) {
      const wrong = password.slice();
      wrong[at] = (wrong[at] ?? 0) ^ 0x80;
      expect(isPasswordOf(ID, wrong)).toBe(false);
    }
    expect(isPasswordOf(ID, password.slice(0, 15))).toBe(false);
    expect(isPasswordOf(ID, Buffer.concat([password, Buffer.alloc(1)]))).toBe(false);
    expect(isPasswordOf(ID, null)).toBe(false);
  });

  it('of no session is never right', () => {
    const none = toSessionId(0n);
    expect(isPasswordOf(none, passwordOf(none))).toBe(false);
  });
});
