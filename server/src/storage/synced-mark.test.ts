import { describe, expect, test } from 'vitest';
import { toZxid } from 'zookeeper-protocol-ts';
import { MemoryDisk } from './memory-disk.ts';
import { steppedDisk } from './snapshot.fixture.ts';
import { readSyncedMark, SYNCED_MARK_NAME, SyncedMark } from './synced-mark.ts';

const zxid = (value: number) => toZxid(BigInt(value));

function makeMark() {
  const failures: Error[] = [];
  const stepped = steppedDisk();
  return { ...stepped, mark: new SyncedMark(stepped.disk, (error) => failures.push(error)), failures };
}

/** The mark with some bytes of its file changed. */
function readWith(disk: MemoryDisk, change: (bytes: Uint8Array) => void) {
  const bytes = disk.bytesOf(SYNCED_MARK_NAME);
  change(bytes);
  return readSyncedMark(new MemoryDisk({ soon: (run) => run(), files: [[SYNCED_MARK_NAME, bytes]] }));
}

describe('the mark of what is durable', () => {
  test('says what was marked last', () => {
    const { mark, disk, completeAll } = makeMark();
    expect(readSyncedMark(disk)).toBeUndefined();
    const done: (Error | null)[] = [];
    mark.begin(zxid(5), zxid(4), (error) => done.push(error));
    completeAll();
    expect(readSyncedMark(disk)).toEqual({ log: 5n, zxid: 4n });
    for (const synced of [6, 8, 9]) {
      mark.advance(zxid(synced));
      completeAll();
      expect(readSyncedMark(disk)).toEqual({ log: 5n, zxid: zxid(synced) });
    }
    mark.begin(zxid(0xa), zxid(9), (error) => done.push(error));
    completeAll();
    expect(readSyncedMark(disk)).toEqual({ log: 0xan, zxid: 9n });
    expect(done).toEqual([null, null]);
  });

  test('says what was marked before when a crash ruined the last writing of it', () => {
    const { mark, disk, completeAll } = makeMark();
    mark.begin(zxid(1), zxid(0), () => undefined);
    completeAll();
    for (const synced of [7, 9]) {
      mark.advance(zxid(synced));
      completeAll();
    }
    // The slots are written in turn: 0, 7 over 512, 9 over 0.
    for (let at = 0; at < 32; at++) {
      const ruined = readWith(disk, (bytes) => bytes.fill((bytes[at] ?? 0) ^ 1, at, at + 1));
      expect(ruined).toEqual({ log: 1n, zxid: 7n });
    }
    expect(readWith(disk, (bytes) => bytes.fill(0))).toBeUndefined();
  });

  test('is written one write at a time: what comes meanwhile is left out, and a new log waits', () => {
    const { mark, disk, complete, completeAll } = makeMark();
    mark.begin(zxid(1), zxid(0), () => undefined);
    completeAll();
    mark.advance(zxid(3));
    mark.advance(zxid(4));
    let isDurable = false;
    mark.begin(zxid(5), zxid(4), () => {
      isDurable = true;
    });
    complete();
    expect(readSyncedMark(disk)).toEqual({ log: 1n, zxid: 3n });
    expect(isDurable).toBe(false);
    completeAll();
    expect(readSyncedMark(disk)).toEqual({ log: 5n, zxid: 4n });
    expect(isDurable).toBe(true);
  });
});
