import { describe, expect, it } from 'vitest';
import { toZxid } from 'zookeeper-protocol-ts';
import { ReceivedSnapshot } from './history-change.ts';
import { contentsOf, steppedDisk, variedDatabase } from './snapshot.fixture.ts';
import { snapshotContents } from './snapshot-contents.ts';
import { readSnapshot } from './snapshot-reader.ts';

describe('a snapshot that the leader sends', () => {
  it('tells how much of it waits for the disk, and when that has become less', () => {
    const { disk, complete, completeAll } = steppedDisk();
    const waiting: number[] = [];
    const folders = { logDisk: disk, snapshotDisk: disk };
    const received = new ReceivedSnapshot(folders, toZxid(0x123n), () => waiting.push(received.queuedBytes));
    for (const bytes of [100, 200]) received.write(new Uint8Array(bytes));
    expect(received.queuedBytes).toBe(300);
    // The file is emptied: all of it is on its way.
    complete();
    expect(received.queuedBytes).toBe(0);
    received.write(new Uint8Array(400));
    expect(received.queuedBytes).toBe(400);
    completeAll();
    expect(waiting).toEqual([0, 0]);
  });

  it.each(['before', 'after'])(
    'becomes a snapshot of this folder, its parts having come %s the file was emptied',
    (when) => {
      const { disk, completeAll } = steppedDisk();
      const database = variedDatabase();
      const zxid = toZxid(0x123n);
      const received = new ReceivedSnapshot({ logDisk: disk, snapshotDisk: disk }, zxid);
      if (when === 'after') completeAll();
      for (const slice of snapshotContents(database, 64)) received.write(slice);
      let outcome: Error | null | undefined;
      received.install((error) => {
        outcome = error;
      });
      completeAll();
      expect(outcome).toBeNull();
      expect(disk.list()).toEqual(['snapshot.123']);
      const found = readSnapshot(disk.open('snapshot.123'), { name: 'snapshot.123', zxid, compression: 'none' });
      expect(contentsOf(found)).toEqual(contentsOf(database));
    },
  );

  it('is refused by a folder that can not be read when it has arrived', () => {
    const { disk, completeAll } = steppedDisk();
    const received = new ReceivedSnapshot({ logDisk: disk, snapshotDisk: disk }, toZxid(0x123n));
    const problem = new Error('EIO: list');
    disk.list = () => {
      throw problem;
    };
    const outcomes: (Error | null)[] = [];
    received.install((error) => outcomes.push(error));
    completeAll();
    expect(outcomes).toEqual([problem]);
  });
});
