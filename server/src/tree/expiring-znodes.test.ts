import { describe, expect, it } from 'vitest';
import { OPEN_ACL, toZxid } from 'zookeeper-protocol-ts';
import { DataTree } from './data-tree.ts';
import { dueForRemoval } from './expiring-znodes.ts';
import { CONTAINER_OWNER, ttlOwner } from './owner.ts';
import type { Znode } from './znode.ts';

const CREATED = 1_000_000;

const treeWith = (...znodes: [path: string, owner: bigint][]): DataTree => {
  const tree = new DataTree();
  for (const [path, owner] of znodes) {
    tree.create({ path, data: null, acl: OPEN_ACL, owner, parentCversion: -1, zxid: toZxid(1n), time: CREATED });
  }
  return tree;
};

describe('a container', () => {
  it('is due when its last child has gone, not before', () => {
    const tree = treeWith(['/c', CONTAINER_OWNER], ['/c/child', 0n]);
    expect(dueForRemoval(tree, { now: CREATED })).toEqual([]);
    tree.delete('/c/child', toZxid(2n));
    expect(dueForRemoval(tree, { now: CREATED })).toEqual(['/c']);
  });

  it('that never had a child is due after a while, or never', () => {
    const tree = treeWith(['/c', CONTAINER_OWNER]);
    expect(dueForRemoval(tree, { now: CREATED + 299_999 })).toEqual([]);
    expect(dueForRemoval(tree, { now: CREATED + 300_000 })).toEqual(['/c']);
    expect(dueForRemoval(tree, { now: CREATED * 1000, neverUsedMsMax: 0 })).toEqual([]);
  });
});

describe('a TTL znode', () => {
  it('is due once its time to live is over, counted from its last change', () => {
    const tree = treeWith(['/t', ttlOwner(500)]);
    expect(dueForRemoval(tree, { now: CREATED + 500 })).toEqual([]);
    expect(dueForRemoval(tree, { now: CREATED + 501 })).toEqual(['/t']);
    tree.setData(tree.find('/t') as Znode, null, 1, toZxid(2n), CREATED + 400);
    expect(dueForRemoval(tree, { now: CREATED + 900 })).toEqual([]);
    expect(dueForRemoval(tree, { now: CREATED + 901 })).toEqual(['/t']);
  });

  it('is kept while it has children', () => {
    const tree = treeWith(['/t', ttlOwner(500)], ['/t/child', 0n]);
    expect(dueForRemoval(tree, { now: CREATED * 2 })).toEqual([]);
  });
});

describe('dueForRemoval', () => {
  it('names at most so many, and no ordinary znodes', () => {
    const tree = treeWith(['/a', 0n], ['/c', CONTAINER_OWNER], ['/e', 77n], ['/t', ttlOwner(1)], ['/u', ttlOwner(1)]);
    const now = CREATED * 2;
    expect(dueForRemoval(tree, { now })).toEqual(['/c', '/t', '/u']);
    expect(dueForRemoval(tree, { now, max: 2 })).toEqual(['/c', '/t']);
    expect(dueForRemoval(tree, { now, max: 0 })).toEqual([]);
  });
});
