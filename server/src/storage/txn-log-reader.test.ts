import { describe, expect, test } from 'vitest';
import { JuteWriter } from 'zookeeper-protocol-ts';
import { MemoryDisk } from './memory-disk.ts';
import { StorageError } from './storage-error.ts';
import { recordOf } from './txn-log.fixture.ts';
import { LOG_HEADER_BYTES, writeLogEntry, writeLogHeader } from './txn-log-format.ts';
import { readTxnLog, type TxnLogEnd } from './txn-log-reader.ts';

function logBytes(records: readonly Uint8Array[], paddingBytes = 0): Buffer {
  const writer = new JuteWriter();
  writeLogHeader(writer);
  for (const record of records) writeLogEntry(writer, record);
  return Buffer.concat([writer.take(), Buffer.alloc(paddingBytes)]);
}

function read(bytes: Uint8Array): { zxids: number[]; end: TxnLogEnd } {
  const disk = new MemoryDisk({ soon: (run) => run(), files: [['log.1', bytes]] });
  const entries = readTxnLog(disk.open('log.1'), 'log.1');
  const zxids: number[] = [];
  for (;;) {
    const next = entries.next();
    if (next.done === true) return { zxids, end: next.value };
    zxids.push(Number(next.value.zxid));
  }
}

function refusal(bytes: Uint8Array): StorageError {
  try {
    read(bytes);
  } catch (error) {
    if (error instanceof StorageError) return error;
    throw error;
  }
  throw new Error('the log was read');
}

const ENTRY_BYTES = 12 + recordOf(1n).length + 1;
const records = [recordOf(1n), recordOf(2n), recordOf(3n)];

describe('readTxnLog', () => {
  test('reads the entries in order, to the end of the file or to its padding', () => {
    const offset = LOG_HEADER_BYTES + 3 * ENTRY_BYTES;
    expect(read(logBytes(records))).toEqual({ zxids: [1, 2, 3], end: { kind: 'clean', offset } });
    expect(read(logBytes(records, 700_000))).toEqual({ zxids: [1, 2, 3], end: { kind: 'clean', offset } });
  });

  test('gives the bytes and the place of each entry', () => {
    const disk = new MemoryDisk({ soon: (run) => run(), files: [['log.1', logBytes(records)]] });
    const entries = [...readTxnLog(disk.open('log.1'), 'log.1')];
    expect(entries.map((entry) => entry.offset)).toEqual([0, 1, 2].map((i) => LOG_HEADER_BYTES + i * ENTRY_BYTES));
    expect(entries.map((entry) => Buffer.from(entry.bytes))).toEqual(records);
  });

  test('reads entries that lie across chunks, and entries larger than a chunk', () => {
    const many = Array.from({ length: 40 }, (_, i) => recordOf(BigInt(i + 1), i === 20 ? 600_000 : 30_000 + i));
    expect(read(logBytes(many, 1000)).zxids).toEqual(many.map((_, i) => i + 1));
  });

  test('reads an empty file, a header alone, and a header before padding as no entries', () => {
    expect(read(new Uint8Array())).toEqual({ zxids: [], end: { kind: 'clean', offset: 0 } });
    expect(read(logBytes([]))).toEqual({ zxids: [], end: { kind: 'clean', offset: LOG_HEADER_BYTES } });
    expect(read(logBytes([], 5000))).toEqual({ zxids: [], end: { kind: 'clean', offset: LOG_HEADER_BYTES } });
  });

  test('takes a header that was cut short for a torn write', () => {
    for (let length = 1; length < LOG_HEADER_BYTES; length++) {
      expect(read(logBytes([]).subarray(0, length)).end).toMatchObject({ kind: 'torn', offset: 0 });
    }
    expect(read(Buffer.alloc(9000)).end).toEqual({ kind: 'clean', offset: 0 });
  });

  test('takes the last entry, cut at any byte, for a torn write: with and without padding behind it', () => {
    const whole = logBytes(records);
    const last = LOG_HEADER_BYTES + 2 * ENTRY_BYTES;
    for (let cut = last + 1; cut < whole.length; cut++) {
      for (const padding of [0, 5000]) {
        const { zxids, end } = read(Buffer.concat([whole.subarray(0, cut), Buffer.alloc(padding)]));
        expect(zxids).toEqual([1, 2]);
        // The first bytes of a checksum are zeros, like padding.
        expect(end).toMatchObject({ kind: cut - last <= 4 ? 'clean' : 'torn', offset: last });
      }
    }
  });

  test.each([
    ['a bit of a checksum', 4, 'a checksum that does not match'],
    ['a length that is negative', 8, 'a transaction of'],
    ['a length that is too large', 9, 'a transaction of'],
    ['a bit of a transaction', 30, 'a checksum that does not match'],
    ['the end mark', ENTRY_BYTES - 1, 'a transaction that was not written to its end'],
  ])('refuses damage to %s when a valid transaction follows', (_, at, problem) => {
    const bytes = logBytes(records, 3000);
    const offset = LOG_HEADER_BYTES + ENTRY_BYTES;
    bytes[offset + at] = (bytes[offset + at] ?? 0) ^ 0x80;
    const error = refusal(bytes);
    expect(error).toMatchObject({ code: 'LOG_DAMAGED', file: 'log.1', offset, zxid: 1n });
    expect(error.message).toContain(problem);
    expect(error.message).toContain(`log.1 at byte ${offset}, after zxid 0x1: `);
    expect(error.message).toContain('0x3 follows');
  });

  test('refuses zeros in the middle, which look like padding', () => {
    const many = Array.from({ length: 200 }, (_, i) => recordOf(BigInt(i + 1), 4000));
    const bytes = logBytes(many, 1_000_000);
    bytes.fill(0, 40_960, 40_960 + 400_000);
    expect(refusal(bytes)).toMatchObject({ code: 'LOG_DAMAGED' });
  });

  test('refuses a lost header when transactions follow it', () => {
    const bytes = logBytes(records);
    bytes.fill(0, 0, LOG_HEADER_BYTES);
    expect(refusal(bytes)).toMatchObject({ code: 'LOG_DAMAGED', offset: 0 });
  });

  test('does not take the data of a torn transaction for a later one', () => {
    const inner = logBytes([recordOf(1n)]).subarray(LOG_HEADER_BYTES);
    const bytes = logBytes([recordOf(1n), recordOf(2n)]);
    const torn = Buffer.concat([bytes.subarray(0, LOG_HEADER_BYTES + ENTRY_BYTES + 40), inner]);
    expect(read(torn)).toMatchObject({ zxids: [1], end: { kind: 'torn' } });
  });

  test('refuses a file that is not a transaction log, or of another version', () => {
    expect(refusal(Buffer.from('ZKSN and something that is no log'))).toMatchObject({
      code: 'LOG_UNREADABLE',
      offset: 0,
    });
    const version3 = logBytes(records);
    version3.writeInt32BE(3, 4);
    expect(refusal(version3).message).toContain('version 3');
  });
});
