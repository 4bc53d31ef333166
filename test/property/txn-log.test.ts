import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  JuteWriter,
  NO_SESSION,
  OpCode,
  type Txn,
  toXid,
  toZxid,
  txn,
  ZERO_ZXID,
  type Zxid,
} from 'zookeeper-protocol-ts';
import { type Replayed, repairLogs, replayLogs } from '../../server/src/storage/log-replay.ts';
import { MemoryDisk } from '../../server/src/storage/memory-disk.ts';
import { TxnLog } from '../../server/src/storage/txn-log.ts';

/**
 * The log against crashes: whatever was appended, however it was cut into batches and files, and at whatever byte the last write
 * was cut short, recovery gives a prefix of what was appended, and never less than what was reported as synced.
 */

function recordOf(zxid: bigint, dataBytes: number): Uint8Array {
  const writer = new JuteWriter(dataBytes + 256);
  txn.write(writer, {
    header: { sessionId: NO_SESSION, cxid: toXid(7), zxid: toZxid(zxid), time: Number(zxid), type: OpCode.setData },
    body: { type: OpCode.setData, path: '/z', data: dataOf(zxid, dataBytes), version: dataBytes },
    digest: zxid % 2n === 0n ? { version: 2, treeDigest: zxid * 0x1_0001_0001n } : undefined,
  });
  return writer.take();
}

/** Depends on the zxid at every byte, zeros and end marks among them. */
const dataOf = (zxid: bigint, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) =>
    i % 5 === 0 ? 0 : i % 7 === 0 ? 0x42 : Number((zxid * 31n + BigInt(i)) & 0xffn),
  );

type Step =
  | { readonly kind: 'append'; readonly dataBytes: number }
  | { readonly kind: 'flush' }
  | { readonly kind: 'roll' }
  /** So many operations of the disk complete. */
  | { readonly kind: 'complete'; readonly operations: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('append'), dataBytes: fc.nat(90) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('flush') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('roll') }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('complete'), operations: fc.integer({ min: 1, max: 4 }) }) },
) as fc.Arbitrary<Step>;

type Files = ReadonlyMap<string, Uint8Array>;

/** Runs the steps, then stops in the middle of whatever is going on. */
function run(steps: readonly Step[], preallocateBytes: number) {
  const queue: (() => void)[] = [];
  const disk = new MemoryDisk({ soon: (each) => queue.push(each) });
  const records: Uint8Array[] = [];
  let synced: Zxid = ZERO_ZXID;
  /** The files as they were when the last batch was reported as synced: all of this survives. */
  let durable: Files = new Map();
  const files = (): Files => new Map(disk.list().map((name) => [name, disk.bytesOf(name)]));
  const log = new TxnLog({
    disk,
    lastZxid: ZERO_ZXID,
    preallocateBytes,
    clock: { now: () => 0 },
    onSynced: (zxid) => {
      synced = zxid;
      durable = files();
    },
    onFailure: (error) => {
      throw error;
    },
  });
  for (const each of steps) {
    switch (each.kind) {
      case 'append': {
        const zxid = BigInt(records.length + 1);
        const record = recordOf(zxid, each.dataBytes);
        records.push(record);
        log.append(toZxid(zxid), record);
        break;
      }
      case 'flush':
        log.flush();
        break;
      case 'roll':
        log.roll();
        break;
      case 'complete':
        for (let i = 0; i < each.operations; i++) queue.shift()?.();
    }
  }
  return { records, synced, durable, files: files() };
}

function recovered(files: Iterable<readonly [string, Uint8Array]>): {
  result: Replayed;
  records: Uint8Array[];
  disk: MemoryDisk;
} {
  const queue: (() => void)[] = [];
  const disk = new MemoryDisk({ soon: (each) => queue.push(each), files });
  const records: Uint8Array[] = [];
  const apply = (replayed: Txn): void => {
    const writer = new JuteWriter(1024);
    txn.write(writer, replayed);
    records.push(writer.take());
  };
  const result = replayLogs(disk, { kind: 'beginning' }, { apply });
  repairLogs(disk, result, (error) => {
    if (error !== null) throw error;
  });
  while (queue.length > 0) queue.shift()?.();
  return { result, records, disk };
}

/**
 * What a crash may leave of the last write: its first bytes, for every number of them. What is missing are zeros, where the
 * file had been extended already, or the file is that much shorter.
 */
function* tears(before: Files, after: Files): Generator<Files> {
  const logs = [...after.keys()].filter((name) => name.startsWith('log.'));
  const last = logs.sort((a, b) => zxidOf(a) - zxidOf(b)).at(-1);
  if (last === undefined) return;
  const written = after.get(last) ?? new Uint8Array();
  const kept = before.get(last) ?? new Uint8Array();
  const start = kept.findLastIndex((byte) => byte !== 0) + 1;
  const end = written.findLastIndex((byte) => byte !== 0) + 1;
  for (let cut = start; cut < end; cut++) {
    yield new Map(after).set(last, written.slice().fill(0, cut));
    if (cut >= kept.length) yield new Map(after).set(last, written.slice(0, cut));
  }
}

describe('the transaction log', () => {
  test('gives back exactly what was appended, after any sequence of flushes and rolls', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.constantFrom(0, 100, 5000), (steps, preallocateBytes) => {
        const everything: Step[] = [...steps, { kind: 'flush' }, { kind: 'complete', operations: 1000 }];
        const { records, synced, files } = run(everything, preallocateBytes);
        const { result, records: replayed } = recovered(files);
        expect(Number(synced)).toBe(records.length);
        expect(result.lastZxid).toBe(synced);
        expect(replayed.map(hex)).toEqual(records.map(hex));
      }),
      { numRuns: 150 },
    );
  });

  test('recovers a prefix that holds all that was synced, when the process is killed at any moment', () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 40 }),
        fc.constantFrom(0, 100, 5000),
        (steps, preallocateBytes) => {
          const { records, synced, files } = run(steps, preallocateBytes);
          expectPrefix(recovered(files), records, synced);
        },
      ),
      { numRuns: 150 },
    );
  });

  test('recovers such a prefix when the last write was cut at any byte, and then has whole files', () => {
    const batch = fc.record({ dataBytes: fc.array(fc.nat(40), { minLength: 1, maxLength: 3 }), rolls: fc.boolean() });
    const batches = fc.array(batch, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(batches, fc.constantFrom(0, 100, 5000), (wanted, preallocateBytes) => {
        const stepsOf = wanted.map(({ dataBytes, rolls }): Step[] => [
          ...(rolls ? [{ kind: 'roll' } as const] : []),
          ...dataBytes.map((bytes) => ({ kind: 'append', dataBytes: bytes }) as const),
          { kind: 'flush' },
          { kind: 'complete', operations: 8 },
        ]);
        const before = run(stepsOf.slice(0, -1).flat(), preallocateBytes);
        const after = run(stepsOf.flat(), preallocateBytes);
        expect(Number(after.synced)).toBe(after.records.length);

        for (const torn of tears(before.files, after.files)) {
          const first = recovered(torn);
          expectPrefix(first, after.records, before.synced);
          const again = recovered(first.disk.list().map((name) => [name, first.disk.bytesOf(name)]));
          expect(again.result).toMatchObject({ lastZxid: first.result.lastZxid, tornTails: [], emptyFiles: [] });
        }
      }),
      { numRuns: 12 },
    );
  });

  test('recovers what was synced when a power loss takes everything that was not', () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 40 }),
        fc.constantFrom(0, 5000),
        (steps, preallocateBytes) => {
          const { records, synced, durable } = run(steps, preallocateBytes);
          const outcome = recovered(durable);
          expectPrefix(outcome, records, synced);
          expect(outcome.result.lastZxid).toBe(synced);
        },
      ),
      { numRuns: 150 },
    );
  });
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const zxidOf = (name: string): number => Number.parseInt(name.slice('log.'.length), 16);

function expectPrefix(
  { result, records: replayed }: { result: Replayed; records: Uint8Array[] },
  appended: readonly Uint8Array[],
  synced: Zxid,
): void {
  expect(replayed.length).toBeGreaterThanOrEqual(Number(synced));
  expect(Number(result.lastZxid)).toBe(replayed.length);
  expect(replayed.map(hex)).toEqual(appended.slice(0, replayed.length).map(hex));
}
