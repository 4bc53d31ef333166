import { describe, expect, it } from 'vitest';
import { JuteWriter, OpCode, toSessionId } from 'zookeeper-protocol-ts';
import { Database } from '../database.ts';
import { adler32 } from './adler32.ts';
import { MemoryDisk } from './memory-disk.ts';
import { apply, contentsOf, createTxn, variedDatabase } from './snapshot.fixture.ts';
import { snapshotContents } from './snapshot-contents.ts';
import { SNAPSHOT_DBID, SNAPSHOT_MAGIC, SNAPSHOT_VERSION } from './snapshot-format.ts';
import { readSnapshot } from './snapshot-reader.ts';

/** The contents with the head and the end that a file has. @returns what a reader finds in it */
function read(slices: readonly Uint8Array[], zxid: Database['lastZxid']): unknown {
  const writer = new JuteWriter();
  writer.writeInt(SNAPSHOT_MAGIC);
  writer.writeInt(SNAPSHOT_VERSION);
  writer.writeLong(SNAPSHOT_DBID);
  const contents = Buffer.concat([writer.take(), ...slices]);
  writer.writeLongFromNumber(adler32(contents));
  writer.writeString('/');
  const disk = new MemoryDisk({
    soon: (run) => run(),
    files: [['snapshot', Buffer.concat([contents, writer.take()])]],
  });
  return contentsOf(readSnapshot(disk.open('snapshot'), { name: 'snapshot', zxid, compression: 'none' }));
}

describe('the contents of a snapshot', () => {
  it.each([1, 64, 1024 * 1024])('are those of the database, in slices of about %i bytes', (sliceBytes) => {
    const database = variedDatabase();
    const slices = [...snapshotContents(database, sliceBytes)];
    expect(read(slices, database.lastZxid)).toEqual(contentsOf(database));
    // A znode is the smallest piece; the largest one here has 3000 bytes of data.
    expect(Math.max(...slices.map(({ length }) => length))).toBeLessThan(sliceBytes + 3500);
  });

  it('of an empty database can be read', () => {
    const database = new Database();
    expect(read([...snapshotContents(database, 64)], database.lastZxid)).toEqual(contentsOf(database));
  });

  it('are those of the moment of the call, whatever happens before and while they are asked for', () => {
    const database = variedDatabase();
    const [before, zxid] = [contentsOf(database), database.lastZxid];
    const contents = snapshotContents(database, 16);
    const slices: Uint8Array[] = [];
    const change = (i: number): void => {
      apply(database, createTxn(`/a/later${i}`));
      apply(database, { type: OpCode.setData, path: '/a', data: Buffer.from(`later ${i}`), version: 10 + i });
      apply(database, { type: OpCode.createSession, timeoutMs: 9000 }, toSessionId(BigInt(1000 + i)));
    };
    change(0);
    apply(database, { type: OpCode.delete, path: '/a/größe' });
    for (const slice of contents) {
      slices.push(slice);
      change(slices.length);
    }
    apply(database, { type: OpCode.delete, path: '/c' });
    expect(read(slices, zxid)).toEqual(before);
  });

  it('cost nothing any more when they are given up: the tree keeps nothing for them', () => {
    const database = variedDatabase();
    const images = { begun: 0, ended: 0 };
    const { tree } = database;
    const start = tree.startImage.bind(tree);
    const end = tree.endImage.bind(tree);
    tree.startImage = () => {
      images.begun++;
      return start();
    };
    tree.endImage = (image) => {
      images.ended++;
      end(image);
    };
    const [untouched, begun] = [snapshotContents(database, 16), snapshotContents(database, 16)];
    begun.next();
    untouched.return();
    begun.return();
    expect(images).toEqual({ begun: 2, ended: 2 });
    expect([...untouched, ...begun]).toEqual([]);
    const whole = [...snapshotContents(database, 16)];
    expect(images).toEqual({ begun: 3, ended: 3 });
    expect(read(whole, database.lastZxid)).toEqual(contentsOf(database));
  });
});
