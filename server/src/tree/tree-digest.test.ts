import { crc32 as zlibCrc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { OPEN_ACL, toSessionId, toZxid } from 'zookeeper-protocol-ts';
import { crc32, crc32OfText } from './crc32.ts';
import { DataTree } from './data-tree.ts';
import { NO_OWNER } from './owner.ts';
import type { Znode } from './znode.ts';

const zlib = (bytes: Uint8Array): number => zlibCrc32(bytes);

function create(tree: DataTree, path: string, zxid: number, data: Uint8Array | null = null, owner = NO_OWNER): void {
  tree.create({ path, data, acl: OPEN_ACL, owner, parentCversion: -1, zxid: toZxid(BigInt(zxid)), time: 1000 + zxid });
}

/** The definition, read off `DigestCalculator`: every znode anew, from what the tree shows. */
function digestByDefinition(tree: DataTree): bigint {
  let sum = 0n;
  for (const node of tree.znodes()) {
    const path = tree.pathOf(node);
    if (path.startsWith('/zookeeper/')) continue;
    const stat = Buffer.alloc(60);
    stat.writeBigInt64BE(tree.czxid(node), 0);
    stat.writeBigInt64BE(tree.mzxid(node), 8);
    stat.writeBigInt64BE(tree.pzxid(node), 16);
    stat.writeBigInt64BE(BigInt(tree.stat(node).ctime), 24);
    stat.writeBigInt64BE(BigInt(tree.mtime(node)), 32);
    stat.writeInt32BE(tree.version(node), 40);
    stat.writeInt32BE(tree.cversion(node), 44);
    stat.writeInt32BE(tree.aversion(node), 48);
    stat.writeBigInt64BE(tree.owner(node), 52);
    const name = Buffer.from(path === '/' ? '' : path);
    sum += BigInt(zlib(Buffer.concat([name, tree.data(node) ?? Buffer.alloc(0), stat])));
  }
  return BigInt.asUintN(64, sum);
}

describe('crc32', () => {
  test('is that of zlib, for every length, in parts, and between two offsets', () => {
    const bytes = Uint8Array.from({ length: 70 }, (_, i) => (i * 73 + 200) & 0xff);
    for (let length = 0; length <= bytes.length; length++) {
      const part = bytes.subarray(0, length);
      expect(crc32(part) >>> 0).toBe(zlib(part));
      expect(crc32(part.subarray(5), crc32(part.subarray(0, 5))) >>> 0).toBe(zlib(part));
      expect(crc32(bytes, 0, length, 70) >>> 0).toBe(zlib(bytes.subarray(length)));
    }
  });

  test.each(['', '/a', '/zookeeper', '/größe/名前/😀'])('of the text %j is that of its UTF-8', (text) => {
    expect(crc32OfText(text) >>> 0).toBe(zlib(Buffer.from(text)));
  });
});

describe('the digest of a tree', () => {
  test('of a fresh tree is that of Apache ZooKeeper', () => {
    expect(new DataTree().digest).toBe(0x51c6d660n);
  });

  test('is that of its definition after every kind of change', () => {
    const tree = new DataTree();
    const changes: (() => unknown)[] = [
      () => create(tree, '/a', 1),
      () => create(tree, '/a/größe', 2, Buffer.from('data')),
      () => create(tree, '/a/e', 3, null, toSessionId(77n)),
      () => tree.setData(tree.find('/a') as Znode, Buffer.from('more'), 1, toZxid(4n), 2000),
      () => tree.setAcl(tree.find('/a/e') as Znode, OPEN_ACL, 1),
      () => tree.delete('/a/e', toZxid(5n)),
      () => create(tree, '/b', 6, new Uint8Array(10_000).fill(7)),
      () => tree.delete('/missing/one', toZxid(7n)),
      () => create(tree, '/a', 8),
    ];
    const seen = new Set<bigint>();
    for (const change of changes) {
      change();
      expect(tree.digest).toBe(digestByDefinition(tree));
      seen.add(tree.digest);
    }
    // A change of what isn't there changes nothing.
    expect(seen.size).toBe(changes.length - 1);
  });

  test('counts many changes together as it counts them one by one', () => {
    const [often, once] = [new DataTree(), new DataTree()];
    for (const tree of [often, once]) {
      for (let i = 1; i <= 5000; i++) {
        const path = `/n${i % 1500}`;
        const node = tree.find(path);
        if (node === undefined) create(tree, path, i);
        else if (i % 3 === 0) tree.delete(path, toZxid(BigInt(i)));
        else tree.setData(node, Buffer.from([i & 0xff]), i, toZxid(BigInt(i)), i);
        if (tree === often) void tree.digest;
      }
    }
    expect(once.digest).toBe(often.digest);
    expect(once.digest).toBe(digestByDefinition(once));
  });

  test('goes back to what it was when a znode goes, except for the parent', () => {
    const tree = new DataTree();
    create(tree, '/a', 1);
    const before = tree.digest;
    create(tree, '/zookeeper/quota/x', 2);
    expect(tree.digest).toBe(before);
  });
});
