import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { toZxid, ZERO_ZXID, type Zxid } from 'zookeeper-protocol-ts';
import { repairLogs, replayLogs } from '../storage/log-replay.ts';
import { StorageError } from '../storage/storage-error.ts';
import { recordOf } from '../storage/txn-log.fixture.ts';
import { TxnLog } from '../storage/txn-log.ts';
import { FileDisk } from './file-disk.ts';
import { SystemClock } from './system-clock.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'file-disk-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('FileDisk', () => {
  test('creates the folder, and those above it', () => {
    const disk = new FileDisk(join(folder, 'a', 'version-2'));
    expect(disk.list()).toEqual([]);
    expect(statSync(join(folder, 'a', 'version-2')).isDirectory()).toBe(true);
  });

  test('lists files only', () => {
    mkdirSync(join(folder, 'sub'));
    writeFileSync(join(folder, 'b'), '');
    writeFileSync(join(folder, 'a'), '');
    expect(new FileDisk(folder).list()).toEqual(['a', 'b']);
  });

  test.each(['file', 'file/version-2'])('refuses a folder that is a file, or lies below one: %s', (name) => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => new FileDisk(join(folder, name))).toThrow(StorageError);
    expect(() => new FileDisk(join(folder, name))).toThrow(
      `${join(folder, name)}: the folder is a file, or lies below one`,
    );
  });

  test('reports an operation that the system refuses', async () => {
    const disk = new FileDisk(folder);
    const error = await new Promise<Error | null>((resolve) => disk.remove('missing', resolve));
    expect(error).toMatchObject({ code: 'ENOENT' });
  });

  test('carries a log that is written, synced, closed and recovered', async () => {
    const disk = new FileDisk(folder);
    const synced: Zxid[] = [];
    const log = new TxnLog({
      disk,
      lastZxid: ZERO_ZXID,
      preallocateBytes: 65_536,
      clock: new SystemClock(),
      onSynced: (zxid) => synced.push(zxid),
      onFailure: (error) => {
        throw error;
      },
    });
    for (let zxid = 1n; zxid <= 100n; zxid++) {
      log.append(toZxid(zxid), recordOf(zxid, 3000));
      if (zxid % 30n === 0n) log.roll();
      log.flush();
    }
    const closeError = await new Promise<Error | null>((resolve) => log.close(resolve));
    expect(closeError).toBeNull();
    expect(synced.at(-1)).toBe(100n);
    expect(readFileSync(join(folder, 'log.1')).subarray(0, 8).toString('hex')).toBe('5a4b4c4700000002');

    const applied: bigint[] = [];
    const recovered = new FileDisk(folder);
    const replayed = replayLogs(
      recovered,
      { kind: 'beginning' },
      { apply: (txn) => void applied.push(txn.header.zxid) },
    );
    expect(replayed).toMatchObject({
      lastZxid: 100n,
      transactions: 100,
      files: ['log.1', 'log.1f', 'log.3d', 'log.5b'],
      tornTails: [],
    });
    expect(await new Promise<Error | null>((resolve) => repairLogs(recovered, replayed, resolve))).toBeNull();
    expect(applied).toEqual(Array.from({ length: 100 }, (_, i) => BigInt(i + 1)));
  });
});
