import { describe, expect, it } from 'vitest';
import { JuteWriter, makeZxid, toEpoch, toZxid, type Zxid } from 'zookeeper-protocol-ts';
import { LogCursor } from './log-cursor.ts';
import { steppedDisk } from './snapshot.fixture.ts';
import { StorageError } from './storage-error.ts';
import { recordOf } from './txn-log.fixture.ts';
import { TxnLog } from './txn-log.ts';
import { logName, writeLogEntry, writeLogHeader } from './txn-log-format.ts';

const PADDING = Buffer.alloc(5000);

const zxid = (epoch: number, counter: number): Zxid => makeZxid(toEpoch(epoch), counter);
const epoch1 = (...counters: number[]): Zxid[] => counters.map((counter) => zxid(1, counter));

/** A log with these transactions, padded as it is left when the next one is begun. */
function logOf(...zxids: Zxid[]): [name: string, bytes: Uint8Array] {
  const writer = new JuteWriter();
  writeLogHeader(writer);
  for (const each of zxids) writeLogEntry(writer, recordOf(each));
  return [logName(zxids[0] ?? toZxid(0n)), Buffer.concat([writer.take(), PADDING])];
}

/** Three logs: 1/1 to 1/3, 1/4 to 1/6, and 2/1 to 2/2. */
const LOGS = [logOf(...epoch1(1, 2, 3)), logOf(...epoch1(4, 5, 6)), logOf(zxid(2, 1), zxid(2, 2))];

function cursorOn(files: [string, Uint8Array][], { provenFrom = toZxid(0n) } = {}) {
  const { disk } = steppedDisk({ files });
  const cursor = new LogCursor({ disk, provenFrom });
  return { disk, cursor };
}

const moved = (cursor: LogCursor, to: Zxid): boolean => {
  const steps = cursor.moveTo(to);
  for (let step = steps.next(); ; step = steps.next()) if (step.done === true) return step.value;
};

const read = (cursor: LogCursor, upTo: Zxid): Zxid[] => [...cursor.read(upTo)].map((entry) => entry.zxid);

describe('a cursor in the log', () => {
  it.each([
    ['in the middle of a log', zxid(1, 2), zxid(1, 2)],
    ['at the end of a log', zxid(1, 3), zxid(1, 3)],
    ['at the beginning of a log', zxid(1, 4), zxid(1, 4)],
    ['that nobody has, behind the one before it', zxid(2, 0), zxid(1, 6)],
    ['behind all that there are', zxid(2, 9), zxid(2, 2)],
  ])('moves behind a transaction %s', (_, to, last) => {
    const { cursor } = cursorOn(LOGS);
    expect(moved(cursor, to)).toBe(true);
    expect(cursor.zxid).toBe(last);
  });

  it('reads on from there, over the padding of complete logs, up to where it is told, and goes on behind that', () => {
    const { cursor } = cursorOn(LOGS);
    moved(cursor, zxid(1, 2));
    expect(read(cursor, zxid(1, 4))).toEqual(epoch1(3, 4));
    expect(read(cursor, zxid(1, 4))).toEqual([]);
    expect(read(cursor, zxid(2, 1))).toEqual([...epoch1(5, 6), zxid(2, 1)]);
    expect(cursor.zxid).toBe(zxid(2, 1));
  });

  it('hands out transactions as they stand in the log', () => {
    const { cursor } = cursorOn(LOGS);
    moved(cursor, zxid(1, 1));
    for (const { bytes } of cursor.read(zxid(1, 2))) expect(Buffer.from(bytes)).toEqual(recordOf(zxid(1, 2)));
  });

  it('says when the log does not go back so far, and stands at its beginning', () => {
    const { cursor } = cursorOn(LOGS.slice(1));
    expect(moved(cursor, zxid(1, 2))).toBe(false);
    expect(() => read(cursor, zxid(1, 5))).toThrow(StorageError);
    expect(moved(cursor, zxid(1, 3))).toBe(false);
    expect(read(cursor, zxid(1, 5))).toEqual(epoch1(4, 5));
  });

  it('says when there is no log at all', () => {
    const { cursor } = cursorOn([]);
    expect(moved(cursor, zxid(1, 2))).toBe(false);
    expect(() => read(cursor, zxid(1, 5))).toThrow(/there is no log/);
  });

  it.each([
    ['within a log', [logOf(...epoch1(1, 2, 4))]],
    ['between two logs', [logOf(...epoch1(1, 2)), logOf(...epoch1(4, 5))]],
    ['where an epoch begins', [logOf(...epoch1(1, 2)), logOf(zxid(2, 2))]],
    ['at the end of the last log', [logOf(...epoch1(1, 2, 3))]],
  ])('reads over no gap %s (ZOOKEEPER-2418)', (_, files) => {
    const { cursor } = cursorOn(files);
    moved(cursor, zxid(1, 1));
    expect(() => read(cursor, zxid(2, 2))).toThrow(/LOG_GAP|is the next one|the log ends/);
  });

  it('reads nothing that stands behind where it is told to end', () => {
    const { cursor } = cursorOn([logOf(...epoch1(1, 2), zxid(2, 1))]);
    moved(cursor, zxid(1, 1));
    expect(() => read(cursor, zxid(1, 3))).toThrow(/zxid 0x200000001 is the next one/);
    expect(cursor.zxid).toBe(zxid(1, 2));
  });

  it('takes a transaction that a server of 3.8 has logged twice once (ZOOKEEPER-4685)', () => {
    const { cursor } = cursorOn([logOf(...epoch1(1, 2, 3, 2, 3, 4))]);
    moved(cursor, zxid(1, 2));
    expect(read(cursor, zxid(1, 4))).toEqual(epoch1(3, 4));
  });

  it('does not believe that an epoch begins behind what a server of 3.8 may never have agreed on', () => {
    // 1/4 was logged by this server alone; then it was sent a snapshot at 2/0, and its old log stayed.
    const files = [logOf(...epoch1(1, 2, 3, 4)), logOf(zxid(2, 1), zxid(2, 2))];
    const { cursor } = cursorOn(files, { provenFrom: zxid(2, 0) });
    moved(cursor, zxid(1, 2));
    expect(() => read(cursor, zxid(2, 2))).toThrow(StorageError);
    // Within an epoch, and from the snapshot on, it does.
    expect(moved(cursor, zxid(2, 1))).toBe(true);
    expect(read(cursor, zxid(2, 2))).toEqual([zxid(2, 2)]);
  });

  it('ends at what can not be read, and is no better than a gap there', () => {
    const [name, bytes] = logOf(...epoch1(1, 2, 3));
    const damaged = Buffer.from(bytes);
    damaged.writeInt8(99, damaged.indexOf(recordOf(zxid(1, 2))) + 5);
    const { cursor } = cursorOn([[name, damaged]]);
    moved(cursor, zxid(1, 1));
    expect(() => read(cursor, zxid(1, 3))).toThrow(/the log ends/);
  });

  it('makes no file of one that was purged behind its back, and finds the gap', () => {
    const { disk, completeAll } = steppedDisk({ files: LOGS });
    const cursor = new LogCursor({ disk, provenFrom: toZxid(0n) });
    moved(cursor, zxid(1, 1));
    disk.remove('log.100000001', () => undefined);
    completeAll();
    expect(() => read(cursor, zxid(1, 5))).toThrow(/zxid 0x100000004 is the next one/);
    expect(disk.list()).toEqual(['log.100000004', 'log.200000001']);
  });

  it('lets go of the file when nobody reads on', () => {
    const { cursor } = cursorOn(LOGS);
    moved(cursor, zxid(1, 1));
    const entries = cursor.read(zxid(2, 2));
    entries.next();
    entries.return();
    expect(cursor.zxid).toBe(zxid(1, 2));
    expect(read(cursor, zxid(1, 4))).toEqual(epoch1(3, 4));
  });

  it('reads the log while it is written and rolled', () => {
    const { disk, completeAll } = steppedDisk();
    let synced = toZxid(0n);
    const log = new TxnLog({
      disk,
      lastZxid: toZxid(0n),
      preallocateBytes: 4096,
      clock: { now: () => 0 },
      onSynced: (upTo) => {
        synced = upTo;
      },
      onFailure: (error) => {
        throw error;
      },
    });
    const cursor = new LogCursor({ disk, provenFrom: toZxid(0n) });
    const seen: Zxid[] = [];
    for (let next = 1n; next <= 100n; next++) {
      log.append(toZxid(next), recordOf(next, 300));
      log.flush();
      if (next % 7n === 0n) completeAll();
      if (next % 30n === 0n) log.roll();
      if (next === 7n) moved(cursor, toZxid(1n));
      if (next >= 7n && synced > (cursor.zxid ?? 0n)) seen.push(...read(cursor, synced));
    }
    completeAll();
    seen.push(...read(cursor, synced));
    expect(seen).toEqual(Array.from({ length: 99 }, (_, i) => BigInt(i + 2)));
    expect(disk.list().filter((name) => name.startsWith('log.')).length).toBe(4);
  });
});
