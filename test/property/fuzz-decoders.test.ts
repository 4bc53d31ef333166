/**
 * Decoders before bytes that nobody should send: recorded ones, changed where it hurts, and any at all. The contract of all of
 * them: a value, or their one error; never another error, never a loop.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  acl,
  type Codec,
  connectRequest,
  connectResponse,
  FrameReader,
  JuteReader,
  JuteWriter,
  MarshallingError,
  nothing,
  type Operation,
  operations,
  replyHeader,
  requestHeader,
  stat,
  toZxid,
  txn,
  watcherEvent,
} from 'zookeeper-protocol-ts';
import { ConfigError, parseZooCfg, StorageError } from 'zookeeper-server-ts';
import { InvalidConnectStringError } from '../../client/src/errors.ts';
import { parseConnectString } from '../../client/src/session/connect-string.ts';
import { fourLetterWordIn } from '../../server/src/admin/four-letter-words.ts';
import { MemoryDisk } from '../../server/src/storage/memory-disk.ts';
import { recover } from '../../server/src/storage/recovery.ts';
import { snapshotOf, variedDatabase } from '../../server/src/storage/snapshot.fixture.ts';
import { parseSnapshotName } from '../../server/src/storage/snapshot-format.ts';
import { readSnapshot } from '../../server/src/storage/snapshot-reader.ts';
import { writeLogEntry, writeLogHeader } from '../../server/src/storage/txn-log-format.ts';
import { FUZZ_RUNS, mutated, mutation, recordedFrames, recordedTxns } from './fuzz-mutation.ts';

const table = new Map<string, Operation<never, never>>(Object.entries(operations) as never);

/** Every decoder of the client protocol and of the log, by name. */
const codecs: readonly (readonly [string, Codec<unknown>])[] = [
  ...[...table].flatMap(([name, { request, response }]): [string, Codec<unknown>][] => [
    [`the request of ${name}`, request as Codec<unknown>],
    [`the response of ${name}`, response as Codec<unknown>],
  ]),
  ...Object.entries({ connectRequest, connectResponse, requestHeader, replyHeader, watcherEvent, stat, acl, txn }).map(
    ([name, codec]): [string, Codec<unknown>] => [name, codec as Codec<unknown>],
  ),
].filter(([, codec]) => codec !== nothing);

const bodies = recordedFrames.map(({ bytes }) => bytes);

/** Recorded bytes, changed, from somewhere behind a header; or any bytes. */
const hostileBytes: fc.Arbitrary<Buffer> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        fc.constantFrom(...bodies, ...recordedTxns),
        fc.array(mutation, { maxLength: 4 }),
        fc.constantFrom(0, 8, 16),
      )
      .map(([bytes, mutations, from]) => mutated(bytes.subarray(Math.min(from, bytes.length)), mutations)),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
);

/** What it gives, or undefined for its one error; any other error is a failure. */
function attempt<T>(decode: () => T, expected: new (...args: never[]) => Error): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof expected) return undefined;
    throw error;
  }
}

describe('every codec', () => {
  it('gives a value or a MarshallingError for any bytes, and what it read it can write', () => {
    fc.assert(
      fc.property(hostileBytes, (bytes) => {
        for (const [name, codec] of codecs) {
          const reader = new JuteReader(bytes);
          const value = attempt(() => codec.read(reader), MarshallingError);
          if (value === undefined) continue;
          expect(reader.offset, name).toBeLessThanOrEqual(bytes.length);
          codec.write(new JuteWriter(64), value);
        }
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  it('refuses a vector or a string that is longer than its input before it allocates anything', () => {
    const huge = Buffer.alloc(64);
    for (let at = 0; at + 4 <= huge.length; at += 4) huge.writeInt32BE(0x7fff_ffff, at);
    const before = process.memoryUsage();
    for (let i = 0; i < 100; i++) {
      for (const [, codec] of codecs) attempt(() => codec.read(new JuteReader(huge)), MarshallingError);
    }
    const after = process.memoryUsage();
    expect(after.arrayBuffers + after.heapUsed - before.arrayBuffers - before.heapUsed).toBeLessThan(64 * 1024 * 1024);
  });
});

describe('the frame reader', () => {
  it('gives frames or a MarshallingError, however the bytes are cut, and keeps no more than it was given', () => {
    const chunks = fc.array(
      fc.oneof(
        hostileBytes,
        hostileBytes.map((bytes) => Buffer.concat([Buffer.from([0, 0, bytes.length >> 8, bytes.length & 255]), bytes])),
      ),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(chunks, fc.nat(3000), (given, frameBytesMax) => {
        const frames = new FrameReader({ frameBytesMax });
        let bytes = 0;
        attempt(() => {
          for (const chunk of given) {
            frames.push(chunk);
            bytes += chunk.length;
            for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
              bytes -= frame.length + 4;
              expect(frame.length).toBeLessThanOrEqual(frameBytesMax);
            }
            expect(frames.buffered).toBe(bytes);
          }
        }, MarshallingError);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });
});

describe('recovery', () => {
  it('gives a history or a StorageError for a log whose records were changed, with right checksums', () => {
    const record = fc
      .tuple(fc.constantFrom(...recordedTxns), fc.array(mutation, { maxLength: 2 }))
      .map(([bytes, mutations]) => ({ bytes, mutations }));
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 6 }), (records) => {
        const writer = new JuteWriter(1024);
        writeLogHeader(writer);
        for (const [i, { bytes, mutations }] of records.entries()) {
          const changed = mutated(bytes, mutations);
          // A history that rises: otherwise nearly all of them would end at its first zxid.
          if (changed.length >= 20) changed.writeBigInt64BE(BigInt(i + 1), 12);
          if (changed.length > 0) writeLogEntry(writer, changed);
        }
        const disk = new MemoryDisk({ soon: (run) => run(), files: [['log.1', writer.take()]] });
        expectRecovered(disk);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  it('gives a history or a StorageError for a snapshot that was changed', () => {
    const [name, bytes] = snapshotOf(variedDatabase());
    const snapshot = parseSnapshotName(name) ?? { name, zxid: toZxid(0n), compression: 'none' };
    fc.assert(
      fc.property(fc.array(mutation, { maxLength: 3 }), (mutations) => {
        const file = new MemoryDisk({ soon: (run) => run(), files: [[name, mutated(bytes, mutations)]] }).open(name);
        attempt(() => readSnapshot(file, snapshot), StorageError);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  function expectRecovered(disk: MemoryDisk): void {
    let told = 0;
    recover({ logDisk: disk, snapshotDisk: disk, checkDigest: false, trustEmpty: true }, (outcome) => {
      told++;
      // Also of a transaction that no server would write, with a right checksum, that would break what must hold of a tree.
      if ('error' in outcome && !(outcome.error instanceof StorageError)) throw outcome.error;
    });
    expect(told).toBe(1);
  }
});

describe('text', () => {
  it('of a zoo.cfg gives a configuration or a ConfigError', () => {
    const key = fc.constantFrom(
      ...[
        'dataDir',
        'clientPort',
        'tickTime',
        'maxClientCnxns',
        'maxCnxns',
        'globalOutstandingLimit',
        'autopurge.snapRetainCount',
      ],
      ...[
        '4lw.commands.whitelist',
        'server.1',
        'jute.maxbuffer',
        'secureClientPort',
        'snapCount',
        'admin.serverPort',
        '\\u00',
      ],
    );
    const value = fc.oneof(
      fc.constantFrom('/data', '2181', '0', '-1', '1e9', '0x10', '', '\\', '\\u12', 'true', '99999999999999999999'),
      fc.string({ maxLength: 12, unit: 'binary' }),
    );
    const line = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.tuple(key, fc.constantFrom('=', ' = ', ':', ' '), value).map((parts) => parts.join('')),
      },
      { weight: 1, arbitrary: fc.string({ maxLength: 30, unit: 'binary' }) },
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), fc.boolean(), (lines, complete) => {
        const text = [...(complete ? ['dataDir=/d', 'clientPort=1'] : []), ...lines].join('\n');
        attempt(() => parseZooCfg(text, { file: 'zoo.cfg' }), ConfigError);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });

  it('of a connect string gives hosts or an InvalidConnectStringError', () => {
    const part = fc.constantFrom(
      'host',
      ':',
      ',',
      '/',
      '[',
      ']',
      '::1',
      '2181',
      '99999',
      ' ',
      '/chroot',
      '127.0.0.1',
      '',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(part, { maxLength: 10 }).map((parts) => parts.join('')),
          fc.string(),
        ),
        (text) => {
          attempt(() => parseConnectString(text), InvalidConnectStringError);
        },
      ),
      { numRuns: FUZZ_RUNS },
    );
  });

  it('of four bytes is a word or none', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (bytes) => {
        expect(fourLetterWordIn(Buffer.from(bytes)) ?? 'none').toMatch(/^[a-z]{4}$/);
      }),
      { numRuns: FUZZ_RUNS },
    );
  });
});
