import { describe, expect, it } from 'vitest';
import { Permission } from 'zookeeper-protocol-ts';
import { aclLines, parseAcl } from './acl-text.ts';

describe('an ACL as it is typed', () => {
  it('has entries of scheme, id and permissions in any order', () => {
    expect(parseAcl('world:anyone:r,digest:bob:a1/b=:adwrc')).toEqual([
      { perms: Permission.READ, id: { scheme: 'world', id: 'anyone' } },
      { perms: Permission.ALL, id: { scheme: 'digest', id: 'bob:a1/b=' } },
    ]);
    expect(parseAcl('auth::cd')).toEqual([
      { perms: Permission.CREATE | Permission.DELETE, id: { scheme: 'auth', id: '' } },
    ]);
  });

  it.each([
    ['foo', 'foo does not have the form scheme:id:perm'],
    ['world:anyone', 'world:anyone does not have the form scheme:id:perm'],
    ['world:anyone:r,foo', 'foo does not have the form scheme:id:perm'],
    ['', ' does not have the form scheme:id:perm'],
    ['world:anyone:rz', 'Unknown perm type: z'],
  ])('%j is refused as a whole: %s', (text, message) => {
    expect(() => parseAcl(text)).toThrow(message);
  });
});

describe('an ACL as it is printed', () => {
  it('has two lines for each entry, with the permissions in the order cdrwa', () => {
    expect(aclLines(parseAcl('world:anyone:rc,ip:10.0.0.0/8:awrdc'))).toEqual([
      "'world,'anyone",
      ': cr',
      "'ip,'10.0.0.0/8",
      ': cdrwa',
    ]);
  });

  it('has what would separate fields as hex', () => {
    expect(aclLines([{ perms: 0, id: { scheme: 's', id: 'a,b%\n}' } }])).toEqual(["'s,'a%2Cb%25%0A%7D", ': ']);
  });
});
