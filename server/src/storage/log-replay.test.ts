import { describe, expect, test } from 'vitest';
import {
  JuteWriter,
  makeZxid,
  NO_SESSION,
  OPEN_ACL,
  OpCode,
  type Txn,
  type TxnBody,
  toEpoch,
  toXid,
  toZxid,
  txn,
} from 'zookeeper-protocol-ts';
import { InvariantError } from '../invariant.ts';
import { adler32 } from './adler32.ts';
import { type Replayed, type ReplayStart, repairLogs, replayLogs } from './log-replay.ts';
import { type DiskOperation, MemoryDisk } from './memory-disk.ts';
import { StorageError } from './storage-error.ts';
import { recordOf } from './txn-log.fixture.ts';
import { LOG_HEADER_BYTES, logName, writeLogEntry, writeLogHeader } from './txn-log-format.ts';

const zxidsFrom = (first: number, count: number) => Array.from({ length: count }, (_, i) => BigInt(first + i));

function log(zxids: readonly bigint[], paddingBytes = 0): [string, Buffer] {
  const writer = new JuteWriter();
  writeLogHeader(writer);
  for (const zxid of zxids) writeLogEntry(writer, recordOf(zxid));
  return [logName(toZxid(zxids[0] ?? 0n)), Buffer.concat([writer.take(), Buffer.alloc(paddingBytes)])];
}

const creationOf = (path: string): TxnBody => ({
  type: OpCode.create,
  path,
  data: null,
  acl: OPEN_ACL,
  ephemeral: false,
  parentCversion: 1,
});

function encoded(value: Txn): Buffer {
  const writer = new JuteWriter();
  txn.write(writer, value);
  return writer.take();
}

type Outcome = { readonly replayed: Replayed } | { readonly error: Error };

const BEGINNING: ReplayStart = { kind: 'beginning' };
const snapshotOf = (zxid: bigint): ReplayStart => ({ kind: 'snapshot', zxid: toZxid(zxid) });

/** Replays the logs and repairs them. */
function recoverFrom(
  files: readonly (readonly [string, Uint8Array])[],
  start: ReplayStart = BEGINNING,
  fault?: (operation: DiskOperation) => Error | undefined,
) {
  const queue: (() => void)[] = [];
  const operations: string[] = [];
  const disk = new MemoryDisk({
    soon: (run) => queue.push(run),
    files,
    onOperation: (operation) => {
      operations.push(`${operation.kind} ${operation.name}`);
      return fault?.(operation);
    },
  });
  const applied: bigint[] = [];
  const outcomes: Outcome[] = [];
  let outcomesWithinCall = 0;
  try {
    const replayed = replayLogs(disk, start, { apply: (txn: Txn) => void applied.push(txn.header.zxid) });
    repairLogs(disk, replayed, (error) => outcomes.push(error === null ? { replayed } : { error }));
    outcomesWithinCall = outcomes.length;
  } catch (error) {
    outcomes.push({ error: error as Error });
  }
  while (queue.length > 0) queue.shift()?.();
  expect(outcomes).toHaveLength(1);
  const outcome = outcomes[0] as Outcome;
  return { disk, applied, outcome, operations, outcomesWithinCall };
}

function refusal(files: readonly (readonly [string, Uint8Array])[], start: ReplayStart = BEGINNING): StorageError {
  const { outcome, operations } = recoverFrom(files, start);
  if (!('error' in outcome) || !(outcome.error instanceof StorageError)) throw new Error('it was recovered');
  expect(operations.filter((operation) => !operation.startsWith('open'))).toEqual([]);
  return outcome.error;
}

function markOf(log: bigint, synced: bigint): [string, Buffer] {
  const writer = new JuteWriter();
  writer.writeInt(0x5a4b5359);
  writer.writeInt(1);
  writer.writeLong(log);
  writer.writeLong(synced);
  const marked = writer.take();
  writer.writeRaw(marked);
  writer.writeLongFromNumber(adler32(marked));
  return ['txnlog-synced', writer.take()];
}

describe('replayLogs and repairLogs', () => {
  test('gives an empty history for an empty folder, later than the call', () => {
    const { outcome, outcomesWithinCall } = recoverFrom([]);
    expect(outcomesWithinCall).toBe(0);
    expect(outcome).toMatchObject({ replayed: { lastZxid: 0n, transactions: 0, files: [] } });
  });

  test('replays all logs in the order of their zxids, not of their names', () => {
    const { applied, outcome } = recoverFrom([
      log(zxidsFrom(16, 3)),
      log(zxidsFrom(1, 8), 4096),
      log(zxidsFrom(9, 7), 64),
    ]);
    expect(applied).toEqual(zxidsFrom(1, 18));
    expect(outcome).toMatchObject({
      replayed: {
        lastZxid: 18n,
        transactions: 18,
        files: ['log.1', 'log.9', 'log.10'],
        tornTails: [],
        emptyFiles: [],
      },
    });
  });

  test('makes what it has read durable, for the process may have died before its sync', () => {
    const { operations } = recoverFrom([log(zxidsFrom(1, 2)), log(zxidsFrom(3, 2))]);
    expect(operations).toContain('sync log.3');
    expect(operations).toContain('syncDirectory memory');
  });

  test('leaves other files alone', () => {
    const { disk, outcome } = recoverFrom([
      log([1n]),
      ['currentEpoch', Buffer.from('0')],
      ['log.txt', Buffer.from('hello')],
    ]);
    expect(outcome).toHaveProperty('replayed');
    expect(disk.list()).toEqual(['currentEpoch', 'log.1', 'log.txt']);
  });

  test('goes on in a new epoch at its counter 1', () => {
    const second = makeZxid(toEpoch(2), 1);
    const { applied } = recoverFrom([log([1n, 2n]), log([second, second + 1n])]);
    expect(applied).toEqual([1n, 2n, second, second + 1n]);
  });

  test('cuts off a torn end, so that the file is whole from then on', () => {
    const [name, bytes] = log(zxidsFrom(1, 3), 8192);
    const entryBytes = 12 + recordOf(1n).length + 1;
    const offset = LOG_HEADER_BYTES + 2 * entryBytes;
    bytes.fill(0, offset + 20, offset + entryBytes);
    const { disk, applied, outcome, operations } = recoverFrom([[name, bytes]]);
    expect(applied).toEqual([1n, 2n]);
    expect(outcome).toMatchObject({ replayed: { lastZxid: 2n, tornTails: [{ file: 'log.1', offset }] } });
    expect(disk.bytesOf('log.1')).toHaveLength(offset);
    expect(operations.indexOf('sync log.1')).toBeGreaterThan(operations.indexOf('truncate log.1'));
  });

  test.each([
    ['of no bytes', Buffer.alloc(0)],
    ['of a part of its header', Buffer.from('ZKL')],
    ['of a header', log([])[1]],
    ['of a header and padding', log([], 5000)[1]],
    ['of padding', Buffer.alloc(5000)],
  ])('removes a last log %s', (_, bytes) => {
    const { disk, outcome, operations } = recoverFrom([log([1n, 2n]), ['log.3', bytes]]);
    expect(outcome).toMatchObject({ replayed: { lastZxid: 2n, emptyFiles: ['log.3'] } });
    expect(disk.list()).toEqual(['log.1']);
    expect(operations.at(-1)).toBe('syncDirectory memory');
  });

  test('refuses a gap within an epoch, and names both sides of it', () => {
    expect(refusal([log([1n, 2n, 4n])])).toMatchObject({ code: 'LOG_GAP', file: 'log.1', zxid: 2n });
    const error = refusal([log([1n, 2n]), log([5n])]);
    expect(error).toMatchObject({ code: 'LOG_GAP', file: 'log.5' });
    expect(error.message).toContain('0x5 comes after 0x2');
  });

  test('refuses an epoch that does not start at its counter 1', () => {
    const second = makeZxid(toEpoch(2), 2);
    expect(refusal([log([1n]), log([second])])).toMatchObject({ code: 'LOG_GAP' });
  });

  test('passes over transactions that stand in the same log before: a follower of 3.8 may log them again and again', () => {
    const { applied, outcome } = recoverFrom([log([1n, 2n, 3n, 1n, 1n, 2n, 3n, 4n, 2n, 3n, 4n, 5n]), log([6n])]);
    expect(applied).toEqual(zxidsFrom(1, 6));
    expect(outcome).toMatchObject({ replayed: { lastZxid: 6n, transactions: 6 } });
  });

  test('refuses another transaction with a zxid that was there before', () => {
    const [name, bytes] = log([1n, 2n, 3n]);
    const writer = new JuteWriter();
    writeLogEntry(writer, recordOf(2n, 6));
    expect(refusal([[name, Buffer.concat([bytes, writer.take()])]]).message).toContain('wrong order');
  });

  test('refuses zxids that do not rise from log to log', () => {
    expect(refusal([log([1n, 2n, 3n]), log([2n, 3n, 4n])])).toMatchObject({ code: 'LOG_GAP', file: 'log.2' });
  });

  test('refuses a log that starts with another zxid than that of its name', () => {
    const [, bytes] = log([2n]);
    expect(refusal([log([1n]), ['log.a', bytes]])).toMatchObject({ code: 'LOG_GAP', file: 'log.a' });
  });

  test('refuses a history whose beginning is missing, unless it is told to trust it', () => {
    expect(refusal([log([7n, 8n])])).toMatchObject({ code: 'SNAPSHOT_NEEDED', file: 'log.7' });
    expect(refusal([log([makeZxid(toEpoch(1), 1)])])).toMatchObject({ code: 'SNAPSHOT_NEEDED' });
    expect(recoverFrom([log([7n, 8n])], { kind: 'trust' }).applied).toEqual([7n, 8n]);
  });

  test('goes on from a snapshot: what it has is passed over, and logs before it are not read', () => {
    const files = [log(zxidsFrom(1, 4)), log(zxidsFrom(5, 4)), log(zxidsFrom(9, 2))];
    const { applied, outcome } = recoverFrom(files, snapshotOf(6n));
    expect(applied).toEqual([7n, 8n, 9n, 10n]);
    expect(outcome).toMatchObject({
      replayed: { lastZxid: 10n, transactions: 4, files: ['log.5', 'log.9'], emptyFiles: [] },
    });
    expect(recoverFrom(files, snapshotOf(4n)).applied).toEqual(zxidsFrom(5, 6));
    expect(recoverFrom(files, snapshotOf(10n)).outcome).toMatchObject({ replayed: { lastZxid: 10n, transactions: 0 } });
    expect(recoverFrom([], snapshotOf(10n)).outcome).toMatchObject({ replayed: { lastZxid: 10n } });
  });

  test('refuses logs that do not go on where the snapshot ends', () => {
    expect(refusal([log(zxidsFrom(9, 2))], snapshotOf(6n))).toMatchObject({ code: 'SNAPSHOT_NEEDED', file: 'log.9' });
    const second = makeZxid(toEpoch(2), 2);
    expect(refusal([log([second])], snapshotOf(6n))).toMatchObject({ code: 'SNAPSHOT_NEEDED' });
  });

  test('starts an epoch behind a snapshot at its counter 1', () => {
    const first = makeZxid(toEpoch(1), 1);
    expect(recoverFrom([log([first])], snapshotOf(0n)).outcome).toMatchObject({ replayed: { lastZxid: first } });
  });

  test('cuts off pages that came to the disk out of order, where the mark says that they were not acknowledged', () => {
    const [name, bytes] = log(zxidsFrom(1, 6));
    const entryBytes = 12 + recordOf(1n).length + 1;
    const broken = LOG_HEADER_BYTES + 3 * entryBytes;
    bytes.fill(0, broken, broken + entryBytes);
    for (const synced of [0n, 2n, 3n]) {
      const { applied, outcome, disk } = recoverFrom([[name, bytes], markOf(1n, synced)]);
      expect(applied).toEqual([1n, 2n, 3n]);
      expect(outcome).toMatchObject({ replayed: { tornTails: [{ file: 'log.1', offset: broken }] } });
      expect(disk.bytesOf('log.1')).toHaveLength(broken);
    }
    const damage = { code: 'LOG_DAMAGED', zxid: 3n };
    expect(refusal([[name, bytes], markOf(1n, 4n)])).toMatchObject(damage);
    // Without a mark, or with that of another file, nobody knows.
    expect(refusal([[name, bytes]])).toMatchObject(damage);
    expect(refusal([[name, bytes], markOf(9n, 0n)])).toMatchObject(damage);
    expect(
      refusal([
        [name, bytes],
        ['txnlog-synced', Buffer.alloc(1024, 7)],
      ]),
    ).toMatchObject(damage);
  });

  test('removes a new log of which only later pages came to the disk', () => {
    const [name, bytes] = log(zxidsFrom(3, 4));
    bytes.fill(0, 0, LOG_HEADER_BYTES + 10);
    const { disk, outcome } = recoverFrom([log([1n, 2n]), [name, bytes], markOf(3n, 2n)]);
    expect(outcome).toMatchObject({ replayed: { lastZxid: 2n, emptyFiles: ['log.3'] } });
    expect(disk.list()).not.toContain('log.3');
  });

  test('refuses logs that end before what is known to have been durable, even if they end cleanly', () => {
    const error = refusal([log(zxidsFrom(1, 3)), markOf(1n, 5n)]);
    expect(error).toMatchObject({ code: 'LOG_DAMAGED', zxid: 3n });
    expect(error.message).toContain('0x5 were durable');
    expect(refusal([markOf(1n, 5n)])).toMatchObject({ code: 'LOG_DAMAGED' });
    expect(recoverFrom([markOf(1n, 5n)], snapshotOf(5n)).outcome).toMatchObject({ replayed: { lastZxid: 5n } });
  });

  test('refuses a transaction that it does not understand', () => {
    const record = recordOf(1n);
    record.writeInt32BE(99, 28);
    const writer = new JuteWriter();
    writeLogHeader(writer);
    writeLogEntry(writer, record);
    const error = refusal([['log.1', writer.take()]]);
    expect(error).toMatchObject({ code: 'LOG_UNREADABLE', offset: LOG_HEADER_BYTES });
    expect(error.cause).toBeInstanceOf(Error);
  });

  test.each<[string, TxnBody]>([
    ['the deletion of the root', { type: OpCode.delete, path: '/' }],
    ['the deletion of the root with a session', { type: OpCode.closeSession, paths: ['/a', '/'] }],
    ['the creation of a relative path', creationOf('a')],
    ['the creation of a path with a slash at its end', creationOf('/a/')],
    ['the creation of the root', creationOf('/')],
    ['one of them in a multi', { type: OpCode.multi, txns: [creationOf('/a'), { type: OpCode.delete, path: '/' }] }],
  ])('refuses a transaction that makes no sense, with its place: %s', (_what, body) => {
    const writer = new JuteWriter();
    writeLogHeader(writer);
    writeLogEntry(writer, recordOf(1n));
    const offset = writer.length;
    const header = { sessionId: NO_SESSION, cxid: toXid(0), zxid: toZxid(2n), time: 0, type: body.type };
    writeLogEntry(writer, encoded({ header, body, digest: undefined }));
    const error = refusal([['log.1', writer.take()]]);
    expect(error).toMatchObject({ code: 'LOG_UNREADABLE', file: 'log.1', offset, zxid: 1n });
    expect(error.message).toContain('transaction 0x2 makes no sense');
  });

  test('refuses a transaction on which the database finds itself inconsistent, and reports any other error as it is', () => {
    const queue: (() => void)[] = [];
    const disk = new MemoryDisk({ soon: (run) => queue.push(run), files: [log([1n])] });
    const replayInto = (failure: Error) => () =>
      replayLogs(disk, BEGINNING, {
        apply: () => {
          throw failure;
        },
      });
    const broken = new InvariantError('TREE-1: broken');
    expect(replayInto(broken)).toThrow(expect.objectContaining({ code: 'LOG_UNREADABLE', cause: broken }));
    const other = new TypeError('a bug');
    expect(replayInto(other)).toThrow(other);
  });

  test.each(['open', 'sync', 'syncDirectory', 'remove'] as const)('reports a disk that fails in %s', (kind) => {
    const error = new Error('EIO');
    const { outcome } = recoverFrom([log([1n]), ['log.2', Buffer.alloc(0)]], BEGINNING, (operation) =>
      operation.kind === kind ? error : undefined,
    );
    expect(outcome).toEqual({ error });
  });
});
