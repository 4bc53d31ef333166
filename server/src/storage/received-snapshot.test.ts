import { describe, expect, it } from 'vitest';
import { toZxid } from 'zookeeper-protocol-ts';
import { ReceivedSnapshot } from './history-change.ts';
import { contentsOf, steppedDisk, variedDatabase } from './snapshot.fixture.ts';
import { snapshotContents } from './snapshot-contents.ts';
import { readSnapshot } from './snapshot-reader.ts';

describe('a snapshot that the leader sends', () => {
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
});
