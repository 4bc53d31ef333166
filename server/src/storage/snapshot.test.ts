import { gunzipSync, gzip as gzipAsync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { OpCode } from 'zookeeper-protocol-ts';
import { Database } from '../database.ts';
import { MemoryDisk } from './memory-disk.ts';
import {
  apply,
  contentsOf,
  createTxn,
  snapshotOf,
  steppedDisk,
  variedDatabase,
  WRITER_DEFAULTS,
} from './snapshot.fixture.ts';
import { type Gzip, parseSnapshotName } from './snapshot-format.ts';
import { readSnapshot } from './snapshot-reader.ts';
import { SnapshotWriter } from './snapshot-writer.ts';
import { StorageError } from './storage-error.ts';

const gzip: Gzip = {
  compress: (bytes, done) => gzipAsync(bytes, (error, compressed) => done(error, compressed)),
  decompress: (bytes) => gunzipSync(bytes),
};

function read(name: string, bytes: Uint8Array) {
  const parsed = parseSnapshotName(name);
  if (parsed === undefined) throw new Error(`${name} is not the name of a snapshot`);
  const file = new MemoryDisk({ soon: (run) => run(), files: [[name, bytes]] }).open(name);
  return readSnapshot(file, parsed, gzip);
}

function refusal(bytes: Uint8Array): StorageError {
  try {
    read('snapshot.1', bytes);
  } catch (error) {
    if (error instanceof StorageError) return error;
    throw error;
  }
  throw new Error('the snapshot was read');
}

/** Starts a snapshot that is written a few znodes at a time. */
function slowSnapshot(database: Database) {
  const stepped = steppedDisk();
  const { disk } = stepped;
  const writer = new SnapshotWriter({ ...WRITER_DEFAULTS, disk, database, sliceBytes: 100 });
  const outcomes: (Error | null)[] = [];
  writer.write((error) => outcomes.push(error));
  return { ...stepped, writer, outcomes };
}

describe('a snapshot', () => {
  test('gives back what the database held', () => {
    const database = variedDatabase();
    const [name, bytes] = snapshotOf(database);
    expect(name).toBe('snapshot.9');
    const snapshot = read(name, bytes);
    expect(contentsOf(snapshot)).toEqual(contentsOf(database));
    expect(snapshot).toMatchObject({
      zxid: 9n,
      digest: { zxid: 9n, digest: database.tree.digest },
      lastZxid: 9n,
    });
    snapshot.tree.assertConsistent();
  });

  test('of a fresh database is, byte for byte, that of Apache ZooKeeper, but for the order of the znodes', () => {
    const [name, bytes] = snapshotOf(new Database(), { withLastZxid: false });
    expect(name).toBe('snapshot.0');
    // Recorded: 3.8 writes 457 bytes, and the digest section (zxid 0, version 2, digest 0) in front of the last seal.
    expect(bytes).toHaveLength(457);
    expect(Buffer.from(bytes.subarray(-33, -13)).toString('hex')).toBe('0000000000000000000000020000000000000000');
    expect(Buffer.from(bytes.subarray(-5)).toString('hex')).toBe('000000012f');
  });

  test.each([
    [true, true],
    [true, false],
    [false, true],
    [false, false],
  ])('has a digest (%s) and a last zxid (%s) if it is told to', (withDigest, withLastZxid) => {
    const database = variedDatabase();
    const snapshot = read(...snapshotOf(database, { withDigest, withLastZxid }));
    expect(snapshot.digest).toEqual(withDigest ? { zxid: 9n, digest: database.tree.digest } : undefined);
    expect(snapshot.lastZxid).toBe(withLastZxid ? 9n : undefined);
    expect(contentsOf(snapshot)).toEqual(contentsOf(database));
  });

  test('shows the moment when it was begun, whatever is changed while it is written', () => {
    const database = variedDatabase();
    for (let i = 0; i < 50; i++) apply(database, createTxn(`/a/n${i}`, Buffer.from(`data ${i}`)));
    for (let i = 0; i < 50; i++) apply(database, createTxn(`/b${i}`));
    const before = contentsOf(database);
    const { writer, complete, disk, outcomes } = slowSnapshot(database);
    let i = 0;
    do {
      // Of every kind, on znodes that are written already and on others; slots are given up and taken again.
      apply(database, { type: OpCode.setData, path: `/a/n${(i * 7) % 50}`, data: Buffer.from('new'), version: 5 });
      apply(database, { type: OpCode.delete, path: `/a/n${(i * 11 + 3) % 50}` });
      apply(database, { type: OpCode.setACL, path: `/a/n${(i * 5 + 1) % 50}`, acl: [], version: 2 });
      apply(database, createTxn(`/b${49 - (i % 50)}/new${i}`));
      i++;
    } while (complete());
    expect(outcomes).toEqual([null]);
    expect(i).toBeGreaterThan(20);
    expect(contentsOf(read(writer.name, disk.bytesOf(writer.name)))).toEqual(before);
    database.tree.assertConsistent();
  });

  test('writes a znode that changes before its turn behind those above it', () => {
    const database = new Database();
    let path = '';
    for (let i = 0; i < 30; i++) {
      path += `/d${i}`;
      apply(database, createTxn(path, new Uint8Array(50)));
    }
    const before = contentsOf(database);
    const { writer, completeAll, disk } = slowSnapshot(database);
    apply(database, { type: OpCode.delete, path });
    completeAll();
    expect(contentsOf(read(writer.name, disk.bytesOf(writer.name)))).toEqual(before);
  });

  test('has its name only when it is whole and durable', () => {
    const operations: string[] = [];
    const { disk, completeAll, complete } = steppedDisk({
      onOperation: ({ kind, name }) => {
        operations.push(`${kind} ${name}`);
        return undefined;
      },
    });
    const writer = new SnapshotWriter({ ...WRITER_DEFAULTS, disk, database: variedDatabase() });
    const outcomes: (Error | null)[] = [];
    writer.write((error) => outcomes.push(error));
    while (operations.at(-1) !== 'rename unfinished-snapshot.9') {
      expect(disk.list()).toEqual(['unfinished-snapshot.9']);
      complete();
    }
    completeAll();
    expect(operations.slice(-3)).toEqual([
      'sync unfinished-snapshot.9',
      'rename unfinished-snapshot.9',
      'syncDirectory memory',
    ]);
    expect(disk.list()).toEqual(['snapshot.9']);
    expect(outcomes).toEqual([null]);
  });

  test.each(['open', 'truncate', 'write', 'sync', 'rename', 'syncDirectory'] as const)(
    'that fails in %s is reported, leaves no part of it, and the tree takes another one',
    (failing) => {
      const error = new Error('ENOSPC');
      let broken = true;
      const { disk, completeAll } = steppedDisk({
        onOperation: ({ kind }) => (broken && kind === failing ? error : undefined),
      });
      const database = variedDatabase();
      const outcomes: (Error | null)[] = [];
      new SnapshotWriter({ ...WRITER_DEFAULTS, disk, database }).write((outcome) => outcomes.push(outcome));
      completeAll();
      expect(outcomes).toEqual([error]);
      // Its name may or may not be durable; it is whole.
      expect(disk.list()).toEqual(failing === 'syncDirectory' ? ['snapshot.9'] : []);
      broken = false;
      new SnapshotWriter({ ...WRITER_DEFAULTS, disk, database }).write((outcome) => outcomes.push(outcome));
      completeAll();
      expect(outcomes).toEqual([error, null]);
      expect(disk.list()).toEqual(['snapshot.9']);
    },
  );

  test('that is given up leaves nothing', () => {
    const { writer, complete, completeAll, disk, outcomes } = slowSnapshot(variedDatabase());
    complete();
    complete();
    writer.abandon();
    completeAll();
    expect(outcomes).toHaveLength(1);
    expect(outcomes[0]).toBeInstanceOf(Error);
    expect(disk.list()).toEqual([]);
  });

  test('compressed, is the same: gzip members, one for each slice', async () => {
    const database = variedDatabase();
    const disk = new MemoryDisk({ soon: (run) => void setImmediate(run) });
    const writer = new SnapshotWriter({
      ...WRITER_DEFAULTS,
      disk,
      database,
      compressor: { kind: 'gz', gzip },
      sliceBytes: 100,
    });
    expect(writer.name).toBe('snapshot.9.gz');
    const error = await new Promise((resolve) => writer.write(resolve));
    expect(error).toBeNull();
    const bytes = disk.bytesOf(writer.name);
    expect(Buffer.from(gunzipSync(bytes))).toHaveLength(snapshotOf(variedDatabase())[1].length);
    expect(contentsOf(read(writer.name, bytes))).toEqual(contentsOf(database));
  });

  test('compressed with snappy, is the same: a chunk for each slice', () => {
    const database = variedDatabase();
    const [name, bytes] = snapshotOf(database, { compressor: { kind: 'snappy' }, sliceBytes: 100 });
    expect(name).toBe('snapshot.9.snappy');
    expect(bytes.length).toBeLessThan(snapshotOf(database)[1].length / 2);
    expect(contentsOf(read(name, bytes))).toEqual(contentsOf(database));
  });
});

describe('readSnapshot', () => {
  const [, whole] = snapshotOf(variedDatabase());

  test('refuses the file cut at any byte', () => {
    for (let length = 0; length < whole.length; length++) {
      // A file that ends behind a seal is one of a server that writes fewer sections.
      const isSealed = length === whole.length - 21 || length === whole.length - 54;
      if (isSealed) read('snapshot.9', whole.subarray(0, length));
      else expect(refusal(whole.subarray(0, length)).code).toBe('SNAPSHOT_UNREADABLE');
    }
  });

  test('refuses the file with any bit changed, and says where', () => {
    for (let at = 0; at < whole.length; at++) {
      const bytes = whole.slice();
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
      // The database id says nothing, but the checksum is over it.
      const error = refusal(bytes);
      expect(error.code).toBe('SNAPSHOT_UNREADABLE');
      expect(error.message).toMatch(/^snapshot\.1 at byte \d+: /);
    }
  });

  test('refuses what does not belong to it', () => {
    expect(refusal(Buffer.concat([whole, Buffer.from('more')])).message).toContain('25 bytes follow');
    expect(refusal(Buffer.from('ZKLG and no snapshot')).message).toContain('not a snapshot of version 2');
    expect(() => read('snapshot.9.gz', whole)).toThrow("it can't be decompressed");
    expect(() => read('snapshot.9.snappy', whole)).toThrow("it can't be decompressed");
  });

  test('refuses lengths and counts that the file has no room for, without allocating them', () => {
    const bytes = Buffer.from(whole);
    bytes.writeInt32BE(0x7fff_ffff, 16);
    expect(refusal(bytes).message).toContain("2147483647 elements can't follow");
  });
});
