import { describe, expect, test } from 'vitest';
import { toZxid } from 'zookeeper-protocol-ts';
import { Database } from '../database.ts';
import type { DiskOperation, MemoryDisk } from './memory-disk.ts';
import { obsoleteFiles } from './retention.ts';
import { apply, createTxn, snapshotOf, steppedDisk, variedDatabase } from './snapshot.fixture.ts';
import { SnapshotSchedule } from './snapshot-schedule.ts';
import { Snapshots } from './snapshots.ts';

const WHOLE = snapshotOf(new Database())[1];
const files = (...names: string[]): [string, Uint8Array][] => names.map((name) => [name, WHOLE]);

function obsolete(present: [string, Uint8Array][], { snapshots = 3, good = 1_000_000n } = {}) {
  const { disk } = steppedDisk({ files: present });
  return obsoleteFiles({ logDisk: disk, snapshotDisk: disk, snapshots, good: toZxid(good) });
}

describe('what is obsolete', () => {
  const present = files('snapshot.0', 'snapshot.10', 'snapshot.20', 'snapshot.30', 'snapshot.40');
  const logs = files('log.1', 'log.11', 'log.15', 'log.21', 'log.31', 'log.41');

  test('are snapshots older than the newest few, and logs that those which stay do not need', () => {
    expect(obsolete([...present, ...logs])).toEqual({
      snapshots: ['snapshot.10', 'snapshot.0'],
      logs: ['log.1', 'log.11'],
    });
  });

  test('is nothing while there are no more snapshots than are kept', () => {
    expect(obsolete([...files('snapshot.0', 'snapshot.10', 'snapshot.20'), ...logs])).toEqual({
      snapshots: [],
      logs: [],
    });
    expect(obsolete([])).toEqual({ snapshots: [], logs: [] });
  });

  test('is decided by snapshots that look whole: broken ones do not count, and go when they are old', () => {
    const broken: [string, Uint8Array][] = ['snapshot.5', 'snapshot.50', 'snapshot.60'].map((name) => [
      name,
      Buffer.from('ZKSN'),
    ]);
    expect(obsolete([...present, ...broken, ...logs]).snapshots).toEqual(['snapshot.10', 'snapshot.5', 'snapshot.0']);
  });

  test('is never a snapshot that is known to be good before there is a newer one, nor the logs from it on', () => {
    expect(obsolete([...present, ...logs], { good: 0x10n })).toEqual({ snapshots: ['snapshot.0'], logs: [] });
  });

  test('are no other files', () => {
    const other = files('txnlog-synced', 'currentEpoch', 'log.txt', 'unfinished-snapshot.1');
    expect(obsolete([...present, ...other])).toEqual({ snapshots: ['snapshot.10', 'snapshot.0'], logs: [] });
  });
});

describe('a purge', () => {
  const files = (): [string, Uint8Array][] => [
    ...(['snapshot.0', 'snapshot.10', 'snapshot.20', 'snapshot.30', 'snapshot.40'].map((name) => [name, WHOLE]) as [
      string,
      Uint8Array,
    ][]),
    ...(['log.1', 'log.11', 'log.21', 'log.31', 'log.41'].map((name) => [name, WHOLE]) as [string, Uint8Array][]),
  ];

  test.each([
    ['nobody reads them', undefined, ['log.11', 'log.21', 'log.31', 'log.41']],
    ['a learner is being sent the oldest', 0x5n, ['log.1', 'log.11', 'log.21', 'log.31', 'log.41']],
    ['a learner is being sent the newest', 0x45n, ['log.11', 'log.21', 'log.31', 'log.41']],
  ])('removes logs that no snapshot needs, as long as %s', (_, neededFrom, left) => {
    const { disk, completeAll } = steppedDisk({ files: files() });
    const snapshots = new Snapshots({
      ...{ logDisk: disk, snapshotDisk: disk, compressor: { kind: 'none' }, withDigest: true, withLastZxid: true },
      retained: 3,
      recoveredFrom: toZxid(0x40n),
      runLog: { info: () => undefined, warn: (line) => expect.fail(line), error: (line) => expect.fail(line) },
      neededFrom: () => (neededFrom === undefined ? undefined : toZxid(neededFrom)),
    });
    snapshots.purge();
    completeAll();
    expect(disk.list().filter((name) => name.startsWith('log.'))).toEqual(left);
  });
});

describe('SnapshotSchedule', () => {
  const dueAfter = (schedule: SnapshotSchedule, bytes: number): number => {
    let transactions = 1;
    while (!schedule.isDueAfter(bytes)) transactions++;
    return transactions;
  };

  test('is due behind half of the transactions and a random part of the other half, drawn anew each time', () => {
    const draws = [0, 0.5, 0.999];
    const schedule = new SnapshotSchedule({
      transactions: 1000,
      bytes: undefined,
      random: { next: () => draws.shift() ?? 0 },
    });
    expect([dueAfter(schedule, 1e12), dueAfter(schedule, 1), dueAfter(schedule, 1)]).toEqual([501, 751, 1000]);
  });

  test('is due by the bytes of the log, too', () => {
    const schedule = new SnapshotSchedule({ transactions: 1_000_000, bytes: 10_000, random: { next: () => 0 } });
    expect(dueAfter(schedule, 100)).toBe(51);
    expect(dueAfter(schedule, 5001)).toBe(1);
  });
});

function makeSnapshots(
  options: { files?: [string, Uint8Array][]; fault?: (operation: DiskOperation) => Error | undefined } = {},
) {
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  const stepped = steppedDisk({
    files: options.files ?? [],
    ...(options.fault === undefined ? {} : { onOperation: options.fault }),
  });
  const disk: MemoryDisk = stepped.disk;
  const snapshots = new Snapshots({
    logDisk: disk,
    snapshotDisk: disk,
    compressor: { kind: 'none' },
    withDigest: true,
    withLastZxid: true,
    retained: 3,
    recoveredFrom: undefined,
    runLog: { info: log, warn: log, error: log },
  });
  return { ...stepped, snapshots, lines };
}

describe('Snapshots', () => {
  test('are written one at a time', () => {
    const { snapshots, completeAll, disk, lines } = makeSnapshots();
    const database = variedDatabase();
    snapshots.take(database);
    apply(database, createTxn('/later'));
    snapshots.take(database);
    completeAll();
    expect(disk.list()).toEqual(['snapshot.9']);
    expect(snapshots.newest).toBe(9n);
    snapshots.take(database);
    completeAll();
    expect(disk.list()).toEqual(['snapshot.9', 'snapshot.a']);
    expect(lines).toHaveLength(2);
  });

  test('that fail are told of, and the next one is tried', () => {
    let full = true;
    const { snapshots, completeAll, disk, lines } = makeSnapshots({
      fault: ({ kind }) => (full && kind === 'write' ? new Error('ENOSPC') : undefined),
    });
    snapshots.take(variedDatabase());
    completeAll();
    expect(snapshots.newest).toBeUndefined();
    expect(lines).toEqual(['snapshot.9 could not be written: ENOSPC']);
    full = false;
    snapshots.take(variedDatabase());
    completeAll();
    expect(disk.list()).toEqual(['snapshot.9']);
  });

  test('are purged, with the logs that nothing needs any more', () => {
    const { snapshots, completeAll, disk } = makeSnapshots({
      files: [...files('snapshot.0', 'snapshot.1', 'snapshot.2', 'snapshot.3'), ...files('log.1', 'log.2', 'log.3')],
    });
    snapshots.purge();
    completeAll();
    // Before one is known to be good, nothing goes.
    expect(disk.list()).toHaveLength(7);
    snapshots.take(variedDatabase());
    completeAll();
    snapshots.purge();
    completeAll();
    expect(disk.list()).toEqual(['log.2', 'log.3', 'snapshot.2', 'snapshot.3', 'snapshot.9']);
  });

  test('are given up when the server stops, and what is under way on the disk is waited for', () => {
    const { snapshots, complete, completeAll, disk, lines } = makeSnapshots();
    let closed = false;
    snapshots.take(variedDatabase());
    complete();
    snapshots.close(() => {
      closed = true;
    });
    expect(closed).toBe(false);
    completeAll();
    expect(closed).toBe(true);
    expect(disk.list()).toEqual([]);
    expect(lines).toEqual([]);
  });
});
