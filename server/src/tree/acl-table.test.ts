import { describe, expect, it } from 'vitest';
import { type Acl, OPEN_ACL, READ_ACL } from 'zookeeper-protocol-ts';
import { InvariantError } from '../invariant.ts';
import { AclTable, OPEN_ACL_ID } from './acl-table.ts';

const digest = (id: string, perms = 31): Acl => ({ perms, id: { scheme: 'digest', id } });

describe('the ACL table', () => {
  it('numbers distinct lists from 1, and equal ones alike', () => {
    const table = new AclTable();
    expect(table.acquire(READ_ACL)).toBe(1);
    expect(table.acquire([digest('a:1')])).toBe(2);
    expect(table.acquire([{ ...digest('a:1') }])).toBe(2);
    expect(table.usersOf(2)).toBe(2);
  });

  it('has the number -1 for no list at all, but an ordinary one for the open ACL that a client sends', () => {
    const table = new AclTable();
    expect(table.acquire(null)).toBe(OPEN_ACL_ID);
    expect(table.get(OPEN_ACL_ID)).toBe(OPEN_ACL);
    expect(table.acquire(OPEN_ACL)).toBe(1);
    expect([...table].map(([id]) => id)).toEqual([1]);
  });

  it('keeps lists apart that would look alike when joined', () => {
    const table = new AclTable();
    const lists: Acl[][] = [
      [digest('a:1'), digest('b:2')],
      [digest('b:2'), digest('a:1')],
      [digest('a:131:6:digest3:b:2')],
      [digest('a:1', 3), digest('b:2')],
      [{ perms: 31, id: { scheme: null, id: '' } }],
      [{ perms: 31, id: { scheme: '', id: null } }],
      [],
    ];
    expect(new Set(lists.map((list) => table.acquire(list))).size).toBe(lists.length);
  });

  it('forgets a list with its last user, and never gives its number again', () => {
    const table = new AclTable();
    table.acquire(READ_ACL);
    table.acquire(READ_ACL);
    table.release(1);
    expect(table.get(1)).toEqual(READ_ACL);
    table.release(1);
    expect([...table]).toEqual([]);
    expect(table.acquire(READ_ACL)).toBe(2);
  });

  it('goes on behind the highest number of a snapshot, and drops what no znode of it uses', () => {
    const table = new AclTable([
      [7, READ_ACL],
      [3, [digest('a:1')]],
    ]);
    table.acquireRestored(3);
    table.purgeUnused();
    expect([...table]).toEqual([[3, [digest('a:1')]]]);
    expect(table.acquire(READ_ACL)).toBe(8);
  });

  it('lets nobody do anything under a number that a fuzzy snapshot left out, whatever gets that number later', () => {
    const table = new AclTable([]);
    const [one, two] = [table.acquireRestored(2), table.acquireRestored(1)];
    table.purgeUnused();
    table.acquire(READ_ACL);
    for (const id of [one, two]) expect(table.get(id)).toEqual([{ perms: 0, id: { scheme: 'world', id: 'anyone' } }]);
    table.release(one);
    table.release(two);
    expect([...table].map(([, acl]) => acl)).toEqual([READ_ACL]);
  });

  it('keeps a list of the snapshot that is being loaded, although a znode gives it up, for those still to come', () => {
    const table = new AclTable([[7, READ_ACL]]);
    table.acquireRestored(7);
    table.release(7);
    expect(table.get(table.acquireRestored(7))).toEqual(READ_ACL);
    table.purgeUnused();
    table.release(7);
    expect([...table]).toEqual([]);
  });

  it('refuses to give up what nobody acquired', () => {
    expect(() => new AclTable().release(1)).toThrow(InvariantError);
    expect(() => new AclTable([[1, READ_ACL]]).release(1)).toThrow(InvariantError);
  });
});
