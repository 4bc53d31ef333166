import { describe, expect, it } from 'vitest';
import { type Acl, JuteReader, JuteWriter, OPEN_ACL, READ_ACL, stat, toSessionId, toZxid } from 'zookeeper-protocol-ts';
import { InvariantError } from '../invariant.ts';
import { DataTree } from './data-tree.ts';
import { CONTAINER_OWNER, ttlOwner } from './owner.ts';
import type { Znode } from './znode.ts';
import type { NewZnode } from './znode-contents.ts';

const zxid = (counter: number) => toZxid(0x1_0000_0000n + BigInt(counter));
const bytes = (text: string) => new TextEncoder().encode(text);
const SESSION = toSessionId(0x1000_00dc_6d10_000n);

/** @returns whether it was created */
const create = (tree: DataTree, path: string, znode: Partial<NewZnode> = {}): boolean =>
  tree.create({
    path,
    data: bytes('data'),
    acl: OPEN_ACL,
    owner: 0n,
    parentCversion: -1,
    zxid: zxid(1),
    time: 5,
    ...znode,
  }) !== undefined;

const found = (tree: DataTree, path: string): Znode => {
  const node = tree.find(path);
  if (node === undefined) throw new Error(`no znode ${path}`);
  return node;
};

const statOf = (tree: DataTree, path: string) => tree.stat(found(tree, path));

describe('a fresh tree', () => {
  it('has the root and the reserved znodes, as the original has them', () => {
    const tree = new DataTree();
    expect(tree.children(found(tree, '/'))).toEqual(['zookeeper']);
    expect(tree.children(found(tree, '/zookeeper')).sort()).toEqual(['config', 'quota']);
    expect(tree.data(found(tree, '/'))).toEqual(new Uint8Array(0));
    expect(tree.aclOf(found(tree, '/zookeeper/config'))).toEqual(READ_ACL);
    expect(tree.aclId(found(tree, '/zookeeper/quota'))).toBe(-1);
    expect(statOf(tree, '/zookeeper/config')).toMatchObject({ czxid: 0n, version: 0, aversion: -1, ctime: 0 });
    expect([tree.nodeCount, tree.approximateDataSize]).toEqual([5, 44]);
    tree.assertConsistent();
  });

  it('shows the cversions that come from znodes which no create has counted', () => {
    const tree = new DataTree();
    expect(statOf(tree, '/').cversion).toBe(-1);
    expect(statOf(tree, '/zookeeper').cversion).toBe(-2);
  });
});

describe('create', () => {
  it('makes a znode whose stat is that of its transaction', () => {
    const tree = new DataTree();
    expect(create(tree, '/a', { zxid: zxid(7), time: 1_795_366_436_013 })).toBe(true);
    expect(statOf(tree, '/a')).toEqual({
      czxid: zxid(7),
      mzxid: zxid(7),
      ctime: 1_795_366_436_013,
      mtime: 1_795_366_436_013,
      version: 0,
      cversion: 0,
      aversion: 0,
      ephemeralOwner: 0n,
      dataLength: 4,
      numChildren: 0,
      pzxid: zxid(7),
    });
  });

  it('copies the data, so that the chunk it came in can go', () => {
    const tree = new DataTree();
    const chunk = bytes('..abc..');
    create(tree, '/a', { data: chunk.subarray(2, 5) });
    chunk.fill(0);
    const data = tree.data(found(tree, '/a'));
    expect(data).toEqual(bytes('abc'));
    expect(data?.buffer).not.toBe(chunk.buffer);
  });

  it('tells null data from no bytes', () => {
    const tree = new DataTree();
    create(tree, '/null', { data: null });
    create(tree, '/empty', { data: bytes('') });
    expect(tree.data(found(tree, '/null'))).toBeNull();
    expect(tree.data(found(tree, '/empty'))).toEqual(new Uint8Array(0));
    expect(statOf(tree, '/null').dataLength).toBe(0);
  });

  it('raises the parent’s cversion and pzxid, and what clients see counts deletes as well', () => {
    const tree = new DataTree();
    create(tree, '/p');
    create(tree, '/p/a', { parentCversion: 1, zxid: zxid(2) });
    create(tree, '/p/b', { parentCversion: 2, zxid: zxid(3) });
    tree.delete('/p/a', zxid(4));
    const parent = found(tree, '/p');
    expect([tree.cversion(parent), tree.numChildren(parent)]).toEqual([2, 1]);
    expect(statOf(tree, '/p')).toMatchObject({ cversion: 3, numChildren: 1, pzxid: zxid(4), mzxid: zxid(1) });
  });

  it('below a missing parent does nothing', () => {
    const tree = new DataTree();
    expect(create(tree, '/no/a')).toBe(false);
    expect(tree.nodeCount).toBe(5);
  });

  it('of what exists keeps the znode but takes the ACL, and never lowers the parent’s cversion and pzxid', () => {
    const tree = new DataTree();
    create(tree, '/p');
    create(tree, '/p/a', { parentCversion: 5, zxid: zxid(9) });
    const acl: readonly Acl[] = [{ perms: 1, id: { scheme: 'digest', id: 'u:h' } }];
    expect(create(tree, '/p/a', { data: bytes('older'), acl, parentCversion: 2, zxid: zxid(3) })).toBe(false);
    expect(tree.data(found(tree, '/p/a'))).toEqual(bytes('data'));
    expect(tree.aclOf(found(tree, '/p/a'))).toEqual(acl);
    expect(statOf(tree, '/p/a').czxid).toBe(zxid(9));
    expect([tree.cversion(found(tree, '/p')), tree.pzxid(found(tree, '/p'))]).toEqual([5, zxid(9)]);
    create(tree, '/p/a', { acl, parentCversion: 6, zxid: zxid(10) });
    expect([tree.cversion(found(tree, '/p')), tree.pzxid(found(tree, '/p'))]).toEqual([6, zxid(10)]);
    tree.assertConsistent();
  });

  it('lets the parent’s counter wrap', () => {
    const tree = new DataTree();
    create(tree, '/p');
    create(tree, '/p/a', { parentCversion: 0x7fff_ffff });
    create(tree, '/p/b', { parentCversion: -0x8000_0000 });
    expect(tree.cversion(found(tree, '/p'))).toBe(-0x8000_0000);
    create(tree, '/p/c');
    expect(tree.cversion(found(tree, '/p'))).toBe(-0x7fff_ffff);
  });
});

describe('delete', () => {
  it('of a missing znode raises the parent’s pzxid, never lowers it', () => {
    const tree = new DataTree();
    create(tree, '/p', { zxid: zxid(5) });
    expect(tree.delete('/p/gone', zxid(4))).toBe(false);
    expect(tree.pzxid(found(tree, '/p'))).toBe(zxid(5));
    expect(tree.delete('/p/gone', zxid(6))).toBe(false);
    expect(tree.pzxid(found(tree, '/p'))).toBe(zxid(6));
    expect(tree.delete('/no/where', zxid(7))).toBe(false);
  });

  it('gives the slot to the next znode, with nothing of the former one', () => {
    const tree = new DataTree();
    create(tree, '/a', { data: null });
    create(tree, '/a/child');
    tree.setData(found(tree, '/a'), bytes('secret'), 3, zxid(2), 9);
    tree.delete('/a/child', zxid(3));
    const slot = found(tree, '/a');
    tree.delete('/a', zxid(4));
    create(tree, '/b', { data: null, zxid: zxid(5) });
    expect(found(tree, '/b')).toBe(slot);
    expect(statOf(tree, '/b')).toMatchObject({
      version: 0,
      cversion: 0,
      dataLength: 0,
      numChildren: 0,
      pzxid: zxid(5),
    });
    expect(tree.children(slot)).toEqual([]);
  });

  it.each(['abcd', 'dcba', 'bcad', 'cbda', 'acbd', 'dbca'])(
    'takes children out of a list in any order: %s',
    (order) => {
      const tree = new DataTree();
      create(tree, '/p');
      for (const name of 'abcd') create(tree, `/p/${name}`);
      for (const [i, name] of [...order].entries()) {
        tree.delete(`/p/${name}`, zxid(2));
        expect(tree.children(found(tree, '/p')).sort()).toEqual([...order.slice(i + 1)].sort());
        tree.assertConsistent();
      }
      create(tree, '/p/e');
      expect(tree.children(found(tree, '/p'))).toEqual(['e']);
    },
  );

  it('takes along the children that a fuzzy snapshot has of a later life', () => {
    const tree = new DataTree();
    create(tree, '/a', { zxid: zxid(8) });
    create(tree, '/a/b', { zxid: zxid(9), owner: SESSION });
    create(tree, '/a/b/c', { zxid: zxid(10) });
    expect(tree.delete('/a', zxid(4))).toBe(true);
    expect([tree.find('/a'), tree.find('/a/b'), tree.find('/a/b/c')]).toEqual([undefined, undefined, undefined]);
    expect(tree.ephemeralsOf(SESSION)).toEqual([]);
    tree.assertConsistent();
  });

  it('takes along those that the same multi makes anew behind the delete', () => {
    const tree = new DataTree();
    create(tree, '/a', { zxid: zxid(4) });
    create(tree, '/a/b', { zxid: zxid(4) });
    expect(tree.delete('/a', zxid(4))).toBe(true);
    expect(tree.find('/a/b')).toBeUndefined();
    tree.assertConsistent();
  });

  it('refuses to leave children of the same life without a parent', () => {
    const tree = new DataTree();
    create(tree, '/a');
    create(tree, '/a/b', { zxid: zxid(2) });
    expect(() => tree.delete('/a', zxid(3))).toThrow(InvariantError);
    expect(() => tree.delete('/', zxid(3))).toThrow(InvariantError);
  });

  it('does not recurse, however deep the tree', () => {
    const tree = new DataTree();
    let path = '';
    for (let depth = 0; depth < 2_000; depth++) {
      path += '/d';
      create(tree, path, { zxid: zxid(depth + 10) });
    }
    expect(tree.allChildrenNumber('/d')).toBe(1_999);
    tree.delete('/d', zxid(1));
    expect(tree.nodeCount).toBe(5);
  });
});

describe('setData and setAcl', () => {
  it('change what they name and nothing else', () => {
    const tree = new DataTree();
    create(tree, '/a');
    const before = statOf(tree, '/a');
    tree.setData(found(tree, '/a'), bytes('longer data'), 4, zxid(2), 77);
    expect(statOf(tree, '/a')).toEqual({ ...before, mzxid: zxid(2), mtime: 77, version: 4, dataLength: 11 });
    tree.setAcl(found(tree, '/a'), READ_ACL, 2);
    expect(statOf(tree, '/a')).toEqual({
      ...before,
      mzxid: zxid(2),
      mtime: 77,
      version: 4,
      dataLength: 11,
      aversion: 2,
    });
    expect(tree.aclOf(found(tree, '/a'))).toEqual(READ_ACL);
  });
});

describe('writeStat', () => {
  it('writes the bytes of stat, for every kind of owner', () => {
    const tree = new DataTree();
    create(tree, '/p');
    for (const [i, owner] of [0n, SESSION, -2n << 56n, CONTAINER_OWNER, ttlOwner(60_000)].entries()) {
      const path = `/p/${i}`;
      create(tree, path, { owner, time: 1_795_366_436_013, zxid: zxid(i + 2) });
      tree.setData(found(tree, path), bytes('xy'), 3, zxid(20), 1_795_366_436_999);
      const writer = new JuteWriter();
      tree.writeStat(found(tree, path), writer);
      expect(stat.read(new JuteReader(writer.take()))).toEqual(statOf(tree, path));
    }
    const writer = new JuteWriter();
    tree.writeStat(found(tree, '/p'), writer);
    expect(stat.read(new JuteReader(writer.take()))).toEqual(statOf(tree, '/p'));
  });
});

describe('owners', () => {
  it('are found again: ephemerals by session, containers and TTL znodes in sets', () => {
    const tree = new DataTree();
    const other = toSessionId(77n);
    create(tree, '/e1', { owner: SESSION });
    create(tree, '/e2', { owner: SESSION });
    create(tree, '/o', { owner: other });
    create(tree, '/c', { owner: CONTAINER_OWNER });
    create(tree, '/t', { owner: ttlOwner(5) });
    expect(tree.ephemeralsOf(SESSION)).toEqual(['/e1', '/e2']);
    expect([...tree.sessionsWithEphemerals()]).toEqual([SESSION, other]);
    expect([...tree.containers()]).toEqual([found(tree, '/c')]);
    expect([...tree.ttlZnodes()]).toEqual([found(tree, '/t')]);
    expect(tree.ephemeralCount).toBe(3);
    for (const path of ['/e1', '/e2', '/o', '/c', '/t']) tree.delete(path, zxid(2));
    expect([...tree.sessionsWithEphemerals()]).toEqual([]);
    expect([tree.ephemeralCount, [...tree.containers()], [...tree.ttlZnodes()]]).toEqual([0, [], []]);
    tree.assertConsistent();
  });
});

describe('allChildrenNumber', () => {
  it('counts all descendants, the reserved ones too, and not the siblings of the top', () => {
    const tree = new DataTree();
    for (const path of ['/a', '/a/b', '/a/b/c', '/a/d', '/ab', '/ab/x']) create(tree, path);
    expect(tree.allChildrenNumber('/')).toBe(9);
    expect(tree.allChildrenNumber('/a')).toBe(3);
    expect(tree.allChildrenNumber('/a/d')).toBe(0);
    expect(tree.allChildrenNumber('/none')).toBe(0);
  });
});

describe('a snapshot', () => {
  const filled = (): DataTree => {
    const tree = new DataTree();
    create(tree, '/a', { zxid: zxid(1) });
    create(tree, '/a/e', { owner: SESSION, zxid: zxid(2), acl: READ_ACL });
    create(tree, '/a/c', { owner: CONTAINER_OWNER, zxid: zxid(3), data: null });
    tree.setData(found(tree, '/a'), bytes('changed'), 1, zxid(4), 99);
    tree.setAcl(found(tree, '/a'), [{ perms: 31, id: { scheme: 'digest', id: 'u:h' } }], 1);
    return tree;
  };

  const copyOf = (tree: DataTree): DataTree => {
    const copy = new DataTree([...tree.acls()]);
    for (const node of tree.znodes()) {
      const { ctime, mtime } = tree.stat(node);
      const persisted = {
        ...{ czxid: tree.czxid(node), mzxid: tree.mzxid(node), pzxid: tree.pzxid(node), ctime, mtime },
        ...{ version: tree.version(node), cversion: tree.cversion(node), aversion: tree.aversion(node) },
        owner: tree.owner(node),
      };
      const restored = { path: tree.pathOf(node), data: tree.data(node), aclId: tree.aclId(node), stat: persisted };
      expect(copy.restore(restored)).toBe(true);
    }
    copy.finishRestore();
    return copy;
  };

  it('restores the tree: parents come before their children', () => {
    const tree = filled();
    const copy = copyOf(tree);
    copy.assertConsistent();
    expect([copy.nodeCount, copy.approximateDataSize]).toEqual([tree.nodeCount, tree.approximateDataSize]);
    for (const node of tree.znodes()) {
      const twin = found(copy, tree.pathOf(node));
      expect(copy.stat(twin)).toEqual(tree.stat(node));
      expect(copy.data(twin)).toEqual(tree.data(node));
      expect(copy.aclOf(twin)).toEqual(tree.aclOf(node));
      expect(copy.owner(twin)).toBe(tree.owner(node));
    }
    expect(copy.ephemeralsOf(SESSION)).toEqual(['/a/e']);
  });

  it('is refused where a znode comes before its parent, or has a relative path', () => {
    const tree = new DataTree([]);
    const stat = { ...statOf(tree, '/'), owner: 0n };
    expect(tree.restore({ path: '/a/b', data: null, aclId: -1, stat })).toBe(false);
    expect(tree.restore({ path: 'a', data: null, aclId: -1, stat })).toBe(false);
    expect(tree.find('a')).toBeUndefined();
  });

  it('may have a znode twice: the later one counts', () => {
    const tree = new DataTree([[4, READ_ACL]]);
    const stat = { ...statOf(tree, '/'), owner: 0n };
    tree.restore({ path: '/a', data: bytes('one'), aclId: 4, stat: { ...stat, owner: SESSION } });
    tree.restore({ path: '/a', data: bytes('three'), aclId: -1, stat });
    tree.finishRestore();
    expect(tree.ephemeralsOf(SESSION)).toEqual([]);
    expect([...tree.acls()].map(([, acl]) => acl)).toEqual([READ_ACL]);
    expect(tree.aclId(found(tree, '/zookeeper/config'))).not.toBe(-1);
    tree.assertConsistent();
  });
});
