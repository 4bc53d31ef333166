import { beforeEach, describe, expect, it } from 'vitest';
import { OPEN_ACL, toSessionId, toZxid } from 'zookeeper-protocol-ts';
import { DataTree } from '../tree/data-tree.ts';
import { created, OutstandingChanges } from './outstanding-changes.ts';

const owner = toSessionId(7n);
const z = (zxid: number) => toZxid(BigInt(zxid));

let tree: DataTree;
let changes: OutstandingChanges;

beforeEach(() => {
  tree = new DataTree();
  tree.create({ path: '/a', data: null, acl: OPEN_ACL, owner: 0n, parentCversion: 1, zxid: z(1), time: 0 });
  tree.create({ path: '/e', data: null, acl: OPEN_ACL, owner, parentCversion: 2, zxid: z(2), time: 0 });
  changes = new OutstandingChanges(tree);
});

describe('the tree as it will be', () => {
  it('is the tree as it is where nothing is under way', () => {
    expect(changes.get('/a')).toMatchObject({ version: 0, numChildren: 0, owner: 0n });
    expect(changes.get('/')).toMatchObject({ cversion: 2 });
    expect(changes.get('/none')).toBeUndefined();
  });

  it('shows what proposals will make of it, until they are applied', () => {
    changes.put(z(3), created('/b', { owner: 0n, acl: OPEN_ACL, dataLength: 0 }));
    changes.put(z(4), { ...created('/a', { owner: 0n, acl: OPEN_ACL, dataLength: 0 }), exists: false });
    expect(changes.get('/b')).toBeDefined();
    expect(changes.get('/a')).toBeUndefined();
    changes.applied(z(3));
    expect(changes.get('/b'), 'dropped with its proposal; the tree of this test never got it').toBeUndefined();
    expect(changes.get('/a')).toBeUndefined();
    changes.applied(z(4));
    expect(changes.get('/a')).toBeDefined();
  });

  it('keeps the latest of several changes of one path until the last is applied', () => {
    changes.put(z(3), { ...created('/a', { owner: 0n, acl: OPEN_ACL, dataLength: 0 }), version: 1 });
    changes.put(z(4), { ...created('/a', { owner: 0n, acl: OPEN_ACL, dataLength: 0 }), version: 2 });
    changes.applied(z(3));
    expect(changes.get('/a')?.version).toBe(2);
  });

  it('returns to a mark when what followed is refused', () => {
    changes.put(z(3), { ...created('/a', { owner: 0n, acl: OPEN_ACL, dataLength: 0 }), version: 1 });
    const mark = changes.mark();
    changes.put(z(4), { ...created('/a', { owner: 0n, acl: OPEN_ACL, dataLength: 0 }), exists: false });
    changes.put(z(4), created('/b', { owner: 0n, acl: OPEN_ACL, dataLength: 0 }));
    changes.rollBack(mark);
    expect(changes.get('/a')?.version).toBe(1);
    expect(changes.get('/b')).toBeUndefined();
  });

  it('knows which ephemerals a session will have', () => {
    expect(changes.ephemeralsOf(owner)).toEqual(['/e']);
    changes.put(z(3), created('/e2', { owner, acl: OPEN_ACL, dataLength: 0 }));
    changes.put(z(4), { ...created('/e', { owner, acl: OPEN_ACL, dataLength: 0 }), exists: false });
    changes.put(z(5), created('/other', { owner: toSessionId(8n), acl: OPEN_ACL, dataLength: 0 }));
    expect(changes.ephemeralsOf(owner)).toEqual(['/e2']);
  });
});
