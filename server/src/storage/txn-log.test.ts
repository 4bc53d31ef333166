import { describe, expect, test } from 'vitest';
import { toZxid, ZERO_ZXID, type Zxid } from 'zookeeper-protocol-ts';
import { InvariantError } from '../invariant.ts';
import { type DiskOperation, MemoryDisk } from './memory-disk.ts';
import { readSyncedMark } from './synced-mark.ts';
import { recordOf } from './txn-log.fixture.ts';
import { TxnLog, type TxnLogOptions } from './txn-log.ts';
import { LOG_HEADER_BYTES } from './txn-log-format.ts';
import { readTxnLog } from './txn-log-reader.ts';

/** A log on a disk whose operations complete one by one, when the test says so. */
function makeLog(options: Partial<TxnLogOptions> & { files?: [string, Uint8Array][] } = {}) {
  const { files = [], ...logOptions } = options;
  const queue: (() => void)[] = [];
  const operations: string[] = [];
  const synced: Zxid[] = [];
  const failures: Error[] = [];
  let nowMs = 0;
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  const logsOf = (): string[] => disk.list().filter((name) => name.startsWith('log.'));
  let fault: (operation: DiskOperation) => Error | undefined = () => undefined;
  const disk = new MemoryDisk({
    soon: (run) => queue.push(run),
    files,
    onOperation: (operation) => {
      operations.push(`${operation.kind} ${operation.name}`);
      return fault(operation);
    },
  });
  const log = new TxnLog({
    disk,
    lastZxid: ZERO_ZXID,
    preallocateBytes: 0,
    clock: { now: () => nowMs },
    onSynced: (zxid) => synced.push(zxid),
    onFailure: (error) => failures.push(error),
    ...logOptions,
  });
  const complete = () => queue.shift()?.();
  const completeAll = () => {
    while (queue.length > 0) complete();
  };
  const append = (...zxids: number[]) => {
    for (const zxid of zxids) log.append(toZxid(BigInt(zxid)), recordOf(BigInt(zxid)));
  };
  const zxidsIn = (name: string) => [...readTxnLog(disk.open(name), name)].map((entry) => Number(entry.zxid));
  const failOn = (kind: DiskOperation['kind'], error: Error) => {
    fault = (operation) => (operation.kind === kind ? error : undefined);
  };
  return { log, disk, operations, synced, failures, complete, completeAll, append, zxidsIn, failOn, pass, logsOf };
}

describe('TxnLog', () => {
  test('writes nothing before flush', () => {
    const { log, append, operations } = makeLog();
    append(1, 2);
    expect(operations).toEqual([]);
    expect(log.queuedBytes).toBeGreaterThan(0);
  });

  test('makes the name of a new file and its mark durable, then writes what was collected at once, and syncs it', () => {
    const { log, append, operations, synced, completeAll } = makeLog();
    append(1, 2, 3);
    log.flush();
    completeAll();
    expect(operations).toEqual([
      'open log.1',
      'open txnlog-synced',
      'write txnlog-synced',
      'sync txnlog-synced',
      'syncDirectory memory',
      'write txnlog-synced',
      'write log.1',
      'sync log.1',
    ]);
    expect(synced).toEqual([3n]);
    expect(log.lastSynced).toBe(3n);
    expect(log.queuedBytes).toBe(0);
  });

  test('writes nothing to a new file before its name and its mark are durable', () => {
    const { log, append, complete, operations } = makeLog();
    append(1);
    log.flush();
    for (const step of ['write txnlog-synced', 'sync txnlog-synced', 'syncDirectory memory']) {
      expect(operations.at(-1)).toBe(step);
      complete();
    }
    expect(operations.at(-1)).toBe('write log.1');
  });

  test('syncs neither the folder nor the mark for a batch that goes on in the same file', () => {
    const { log, append, operations, completeAll, synced, zxidsIn } = makeLog();
    append(1);
    log.flush();
    completeAll();
    operations.length = 0;
    append(2);
    log.flush();
    completeAll();
    expect(operations).toEqual(['write log.1', 'sync log.1']);
    expect(synced).toEqual([1n, 2n]);
    expect(zxidsIn('log.1')).toEqual([1, 2]);
  });

  test('marks what is durable along with a later batch, now and then, and when it is closed', () => {
    const { log, append, operations, completeAll, disk, pass } = makeLog();
    append(1, 2);
    log.flush();
    completeAll();
    expect(readSyncedMark(disk)).toEqual({ log: 1n, zxid: 0n });
    pass(100);
    append(3);
    operations.length = 0;
    log.flush();
    completeAll();
    expect(operations).toEqual(['write txnlog-synced', 'write log.1', 'sync log.1']);
    expect(readSyncedMark(disk)).toEqual({ log: 1n, zxid: 2n });
    log.roll();
    append(4);
    log.close(() => undefined);
    completeAll();
    expect(operations.at(-1)).toBe('sync txnlog-synced');
    expect(readSyncedMark(disk)).toEqual({ log: 4n, zxid: 4n });
  });

  test('without forced syncs, writes only, and marks nothing as durable', () => {
    const { log, append, operations, completeAll, synced, disk } = makeLog({ forceSync: false });
    append(1);
    log.close(() => undefined);
    completeAll();
    expect(operations).toEqual(['open log.1', 'write log.1']);
    expect(synced).toEqual([1n]);
    expect(readSyncedMark(disk)).toBeUndefined();
  });

  test('tells of a sync that takes too long', () => {
    const slow: number[] = [];
    const { log, append, complete, completeAll, pass, operations } = makeLog({
      syncWarningMs: 1000,
      onSlowSync: (ms) => slow.push(ms),
    });
    for (const [zxid, ms] of [1000, 1001].entries()) {
      append(zxid + 1);
      log.flush();
      while (operations.at(-1) !== 'sync log.1') complete();
      pass(ms);
      completeAll();
      operations.length = 0;
    }
    expect(slow).toEqual([1001]);
  });

  test('starts a new file behind one that has become larger than it should', () => {
    const { log, append, completeAll, logsOf } = makeLog({ fileBytesMax: 79 });
    for (let zxid = 1; zxid <= 4; zxid++) {
      append(zxid);
      log.flush();
      completeAll();
    }
    expect(logsOf()).toEqual(['log.1', 'log.2', 'log.3', 'log.4']);
  });

  test('starts the sync only when the write is done', () => {
    const { log, append, operations, complete } = makeLog();
    append(1);
    log.flush();
    while (operations.at(-1) !== 'write log.1') complete();
    complete(); // the mark beside it
    expect(operations.at(-1)).toBe('write log.1');
    complete();
    expect(operations.at(-1)).toBe('sync log.1');
  });

  test('collects what is appended during a sync into one next batch, which starts by itself', () => {
    const { log, append, operations, completeAll, complete, synced, zxidsIn } = makeLog();
    append(1);
    log.flush();
    while (operations.at(-1) !== 'sync log.1') complete();
    append(2);
    log.flush();
    append(3);
    log.flush();
    expect(synced).toEqual([]);
    completeAll();
    expect(operations.filter((operation) => operation === 'write log.1')).toHaveLength(2);
    expect(synced).toEqual([1n, 3n]);
    expect(zxidsIn('log.1')).toEqual([1, 2, 3]);
  });

  test('keeps one operation in flight on each file, and one on the disk but for the mark', () => {
    const { log, operations, complete, completeAll, pass } = makeLog({ preallocateBytes: 100 });
    let done = 0;
    for (let zxid = 1n; zxid <= 40n; zxid++) {
      log.append(toZxid(zxid), recordOf(zxid));
      if (zxid % 7n === 0n) log.roll();
      log.flush();
      const inFlight = operations.filter((operation) => !operation.startsWith('open')).slice(done);
      expect(inFlight.length).toBeLessThanOrEqual(2);
      expect(inFlight.filter((operation) => operation === 'write txnlog-synced').length).toBeLessThanOrEqual(1);
      pass(50);
      complete();
      done++;
    }
    completeAll();
    expect(log.lastSynced).toBe(40n);
  });

  test('starts a file named for the zxid of its first transaction, in lower-case hex', () => {
    const { log, append, logsOf, completeAll } = makeLog({ lastZxid: toZxid(0x1_0000_00aan) });
    log.append(toZxid(0x1_0000_00abn), recordOf(0x1_0000_00abn));
    log.flush();
    completeAll();
    expect(logsOf()).toEqual(['log.1000000ab']);
    expect(() => append(5)).toThrow(InvariantError);
  });

  test('starts a new file at the first append after a roll, and not before', () => {
    const { log, append, logsOf, completeAll, synced, zxidsIn } = makeLog();
    append(1, 2);
    log.flush();
    log.roll();
    completeAll();
    expect(logsOf()).toEqual(['log.1']);
    append(3);
    log.roll();
    log.roll();
    append(4, 5);
    log.flush();
    completeAll();
    expect(logsOf()).toEqual(['log.1', 'log.3', 'log.4']);
    expect([zxidsIn('log.1'), zxidsIn('log.3'), zxidsIn('log.4')]).toEqual([[1, 2], [3], [4, 5]]);
    expect(synced).toEqual([2n, 3n, 5n]);
  });

  test('empties a file of that name that is in the way', () => {
    const { log, append, completeAll, zxidsIn, disk } = makeLog({ files: [['log.1', new Uint8Array(500).fill(7)]] });
    append(1);
    log.flush();
    completeAll();
    expect(zxidsIn('log.1')).toEqual([1]);
    expect(disk.bytesOf('log.1').length).toBeLessThan(500);
  });

  test('preallocates as the original does: one allocation behind the header, the next when 4096 bytes are left', () => {
    const preallocateBytes = 10_000;
    const { log, append, completeAll, disk, operations } = makeLog({ preallocateBytes });
    append(1);
    log.flush();
    completeAll();
    expect(disk.bytesOf('log.1').length).toBe(LOG_HEADER_BYTES + preallocateBytes);
    operations.length = 0;
    let zxid = 1;
    while (disk.bytesOf('log.1').length === LOG_HEADER_BYTES + preallocateBytes) {
      append(++zxid);
      log.flush();
      completeAll();
    }
    expect(operations.filter((operation) => operation.startsWith('truncate'))).toEqual(['truncate log.1']);
    expect(disk.bytesOf('log.1').length).toBe(LOG_HEADER_BYTES + 2 * preallocateBytes);
  });

  test('preallocates enough for a batch that is larger than an allocation', () => {
    const { log, completeAll, disk, zxidsIn } = makeLog({ preallocateBytes: 1000 });
    log.append(toZxid(1n), recordOf(1n, 12_345));
    log.flush();
    completeAll();
    expect(zxidsIn('log.1')).toEqual([1]);
    expect(disk.bytesOf('log.1').length % 1000).toBe(0);
  });

  test('refuses a zxid that does not rise', () => {
    const { append } = makeLog();
    append(1, 2);
    expect(() => append(2)).toThrow(InvariantError);
    expect(() => append(1)).toThrow(InvariantError);
  });

  test.each(['open', 'write', 'sync', 'syncDirectory', 'truncate'] as const)(
    'stops for good when the disk fails in %s, and tells it once',
    (kind) => {
      const { log, append, failures, synced, completeAll, failOn, operations } = makeLog({ preallocateBytes: 100 });
      const error = new Error('EIO');
      failOn(kind, error);
      append(1);
      log.flush();
      completeAll();
      expect(failures).toEqual([error]);
      expect(synced).toEqual([]);
      operations.length = 0;
      const queuedBytes = log.queuedBytes;
      append(2);
      log.flush();
      completeAll();
      expect(operations).toEqual([]);
      expect(log.queuedBytes).toBe(queuedBytes);
      expect(failures).toEqual([error]);
    },
  );

  test('close makes durable what was appended, then closes the file', () => {
    const { log, append, completeAll, synced, zxidsIn } = makeLog();
    const closed: (Error | null)[] = [];
    append(1);
    log.flush();
    append(2);
    log.close((error) => closed.push(error));
    log.close((error) => closed.push(error));
    expect(closed).toEqual([]);
    expect(() => append(3)).toThrow(InvariantError);
    completeAll();
    expect(closed).toEqual([null, null]);
    expect(synced).toEqual([1n, 2n]);
    expect(zxidsIn('log.1')).toEqual([1, 2]);
    log.close((error) => closed.push(error));
    expect(closed).toEqual([null, null, null]);
  });

  test('close reports the failure of the last batch', () => {
    const { log, append, completeAll, failOn, failures } = makeLog();
    const error = new Error('ENOSPC');
    const closed: (Error | null)[] = [];
    append(1);
    failOn('sync', error);
    log.close((outcome) => closed.push(outcome));
    completeAll();
    expect(closed).toEqual([error]);
    expect(failures).toEqual([error]);
  });

  test('takes back pressure into account: queuedBytes counts what is in flight and what waits', () => {
    const { log, append, completeAll } = makeLog();
    append(1);
    const one = log.queuedBytes;
    log.flush();
    expect(log.queuedBytes).toBe(one);
    append(2);
    log.roll();
    append(3);
    expect(log.queuedBytes).toBe(one + (one - LOG_HEADER_BYTES) + one);
    completeAll();
    expect(log.queuedBytes).toBe(0);
  });
});
