import { describe, expect, it } from 'vitest';
import { type Acl, CREATOR_ALL_ACL, type Id, OPEN_ACL, Permission, READ_ACL } from 'zookeeper-protocol-ts';
import { fixupAcl, isAllowed, type Principal, userOf, withoutHashes } from './permissions.ts';

const acl = (scheme: string | null, id: string | null, perms: number = Permission.ALL): Acl => ({
  perms,
  id: { scheme, id },
});
const from = (address: string): Id => ({ scheme: 'ip', id: address });
const BOB: Id = { scheme: 'digest', id: 'bob:ikIaKsbtGweaHnb/jKn7OHqbunM=' };
const ANN: Id = { scheme: 'digest', id: 'ann:hash' };
const ADDRESS = from('10.1.2.3');
/** Somebody with these identities, and no privilege. */
const as = (identities: readonly Id[]): Principal => ({ identities, isSuperuser: false });

describe('isAllowed', () => {
  it('passes everybody where there is no ACL, and the world where it has the permission', () => {
    expect(isAllowed([], Permission.ADMIN, as([]))).toBe(true);
    expect(isAllowed(OPEN_ACL, Permission.ADMIN, as([]))).toBe(true);
    expect(isAllowed(READ_ACL, Permission.READ, as([ADDRESS]))).toBe(true);
    expect(isAllowed(READ_ACL, Permission.WRITE, as([ADDRESS]))).toBe(false);
  });

  it('wants one of several permissions', () => {
    expect(isAllowed([acl('world', 'anyone', Permission.ADMIN)], Permission.READ | Permission.ADMIN, as([]))).toBe(
      true,
    );
  });

  it('passes the identity that is named, and no other', () => {
    const list = [acl(BOB.scheme, BOB.id, Permission.READ), acl('world', 'anyone', Permission.CREATE)];
    expect(isAllowed(list, Permission.READ, as([ADDRESS, BOB]))).toBe(true);
    expect(isAllowed(list, Permission.READ, as([ADDRESS, ANN]))).toBe(false);
    expect(isAllowed(list, Permission.WRITE, as([BOB]))).toBe(false);
    expect(isAllowed(list, Permission.READ, as([{ scheme: 'sasl', id: BOB.id }]))).toBe(false);
    expect(isAllowed([acl('digest', null)], Permission.READ, as([{ scheme: 'digest', id: null }]))).toBe(false);
    expect(isAllowed([acl('world', 'someone')], Permission.READ, as([ADDRESS]))).toBe(false);
  });

  it('passes the superuser anywhere', () => {
    expect(isAllowed([acl('digest', 'x:y', 0)], Permission.ADMIN, { identities: [], isSuperuser: true })).toBe(true);
  });

  it.each([
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3', '10.1.2.4', false],
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.1.2.0/23', '10.1.3.255', true],
    ['10.1.2.0/23', '10.1.4.0', false],
    ['0.0.0.0/0', '192.168.0.1', true],
    ['0.0.0.0/0', '::1', false],
    ['10.1.2.3', '::ffff:10.1.2.3', true],
    ['::1', '0:0:0:0:0:0:0:1', true],
    ['2001:db8::/32', '2001:DB8:ffff::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['2001:db8::/33', '2001:db8:8000::1', false],
    ['::/0', '10.1.2.3', false],
    ['::10.1.2.3', '::a01:203', true],
  ])('takes %s for an address: %s → %s', (network, address, allowed) => {
    expect(isAllowed([acl('ip', network)], Permission.READ, as([from(address)]))).toBe(allowed);
  });
});

/** Each names two identities. */
const authForMany = Array.from({ length: 40_000 }, (_, perms) => acl('auth', '', perms));

describe('what is shown', () => {
  it('of an ACL to somebody without ADMIN leaves out the hashes of digests, and nothing else', () => {
    const list = [acl('digest', 'bob:hash:more'), acl('ip', '::1'), acl('world', 'anyone'), acl('digest', 'nocolon')];
    expect(withoutHashes(list).map(({ id }) => id.id)).toEqual(['bob:x', '::1', 'anyone', 'nocolon']);
  });

  it('of an identity is the user', () => {
    expect([BOB, ADDRESS, { scheme: 'super', id: '' }, { scheme: 'digest', id: ':hash' }].map(userOf)).toEqual([
      'bob',
      '10.1.2.3',
      '',
      '',
    ]);
  });
});

describe('fixupAcl', () => {
  it('takes a long list without repetitions in a time that grows with its length', () => {
    const long = Array.from({ length: 40_000 }, (_, i) => acl('digest', `u:${i}`));
    expect(fixupAcl([...long, ...long], [])).toHaveLength(40_000);
  });

  it('keeps what is valid, in order, once each', () => {
    const list = [acl('world', 'anyone', 1), acl('ip', '10.0.0.0/8'), acl('digest', 'u:h'), acl('world', 'anyone', 1)];
    expect(fixupAcl(list, [])).toEqual(list.slice(0, 3));
    expect(fixupAcl([acl('world', 'anyone', 1), acl('world', 'anyone', 2)], [])).toHaveLength(2);
  });

  it('puts every authenticated identity in the place of auth, but no address', () => {
    expect(fixupAcl(CREATOR_ALL_ACL, [ADDRESS, BOB, ANN])).toEqual([
      acl('digest', BOB.id as string),
      acl('digest', ANN.id as string),
    ]);
    expect(fixupAcl([acl('auth', 'ignored', 5)], [BOB])).toEqual([acl('digest', BOB.id as string, 5)]);
  });

  it('refuses auth from a connection that has only an address', () => {
    expect(fixupAcl(CREATOR_ALL_ACL, [ADDRESS])).toBeUndefined();
    expect(fixupAcl([...OPEN_ACL, ...CREATOR_ALL_ACL], [ADDRESS])).toBeUndefined();
  });

  it.each([
    ['more entries than there may be, behind auth', authForMany],
    ['no list', null],
    ['an empty list', []],
    ['no scheme', [acl(null, 'x')]],
    ['no id', [acl('auth', null)]],
    ['somebody of the world', [acl('world', 'someone')]],
    ['an unknown scheme', [acl('magic', 'x')]],
    ['the scheme of the superuser', [acl('super', '')]],
    ['a digest without a colon', [acl('digest', 'bob')]],
    ['a digest with two', [acl('digest', 'a:b:c')]],
    ['a digest without a hash', [acl('digest', 'bob:')]],
    ['an address of three parts', [acl('ip', '10.0.0')]],
    ['an address out of range', [acl('ip', '10.0.0.256')]],
    ['too many bits', [acl('ip', '10.0.0.0/33')]],
    ['negative bits', [acl('ip', '10.0.0.0/-1')]],
    ['no bits behind a slash', [acl('ip', '10.0.0.0/')]],
    ['a host name', [acl('ip', 'localhost')]],
    ['nine groups', [acl('ip', '1:2:3:4:5:6:7:8:9')]],
    ['seven groups', [acl('ip', '1:2:3:4:5:6:7')]],
    ['two gaps', [acl('ip', '1::2::3')]],
    ['a gap for nothing', [acl('ip', '1:2:3:4::5:6:7:8')]],
    ['a group of five digits', [acl('ip', '::12345')]],
    ['IPv4 in the middle', [acl('ip', '::1.2.3.4:5')]],
    ['one invalid entry among valid ones', [...OPEN_ACL, acl('magic', 'x')]],
  ])('refuses %s', (_, list) => {
    expect(fixupAcl(list, [BOB, ANN])).toBeUndefined();
  });

  it.each(['::', '::1', '1::', '1:2:3:4:5:6:7:8', '::ffff:1.2.3.4', '2001:db8::/128', '1.2.3.4/0'])(
    'accepts the address %s',
    (address) => {
      expect(fixupAcl([acl('ip', address)], [])).toHaveLength(1);
    },
  );
});
