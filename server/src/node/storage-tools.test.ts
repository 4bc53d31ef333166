import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { JuteWriter } from 'zookeeper-protocol-ts';
import { apply, createTxn, snapshotOf, variedDatabase } from '../storage/snapshot.fixture.ts';
import { recordOf } from '../storage/txn-log.fixture.ts';
import { writeLogEntry, writeLogHeader } from '../storage/txn-log-format.ts';
import { snapshotTool } from './snapshot-tool.ts';
import { type ToolOutput, txnlogTool } from './txnlog-tool.ts';

let folder: string;
let printed: string[];
let complaints: string[];
const output: ToolOutput = {
  print: (line) => void printed.push(line),
  complain: (line) => void complaints.push(line),
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'storage-tools-'));
  printed = [];
  complaints = [];
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function entries(...zxids: bigint[]): Buffer {
  const writer = new JuteWriter();
  for (const zxid of zxids) writeLogEntry(writer, recordOf(zxid));
  return writer.take();
}

function writeLog(name: string, bytes: Uint8Array): string {
  const writer = new JuteWriter();
  writeLogHeader(writer);
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat([writer.take(), bytes]));
  return path;
}

describe('zktxnlog', () => {
  test('prints the transactions, and how many there were', async () => {
    expect(await txnlogTool([writeLog('log.1', entries(1n, 2n))], output)).toBe(0);
    expect(printed[0]).toBe('ZooKeeper Transactional Log File with dbid 0 txnlog format version 2');
    expect(printed[1]).toMatch(/^11\/14\/23, \d+:13:20 [AP]M \S+ session 0x0 cxid 0x1 zxid 0x1 setData \/z,.{5},1$/);
    expect(printed.at(-1)).toBe('EOF reached after 2 txns.');
  });

  test('tells of the remains of an unfinished write, and changes nothing', async () => {
    const path = writeLog('log.1', entries(1n, 2n).subarray(0, 100));
    const before = readFileSync(path);
    expect(await txnlogTool([path, '--verify'], output)).toBe(0);
    expect(printed).toEqual([
      'log.1: 1 transactions, 0x1 to 0x1: sound up to the remains of an unfinished write at byte 80',
    ]);
    expect(readFileSync(path)).toEqual(before);
  });

  test('fails for a damaged log, and names the place', async () => {
    const bytes = entries(1n, 2n, 3n);
    bytes[100] = 99;
    const path = writeLog('log.1', bytes);
    expect(await txnlogTool([path, '--verify'], output)).toBe(1);
    expect(complaints[0]).toContain(`${path} at byte 80, after zxid 0x1: `);
  });

  test('follows a log as it grows, and goes on in the next one', { timeout: 10_000 }, async () => {
    const first = writeLog('log.1', Buffer.concat([entries(1n), Buffer.alloc(5000)]));
    const stop = new AbortController();
    const seen = (): number[] => printed.map((line) => Number(/zxid (0x[0-9a-f]+)/.exec(line)?.[1]));
    const steps = new Map([
      [
        1,
        () => writeFileSync(first, Buffer.concat([readFileSync(first).subarray(0, 80), entries(2n), Buffer.alloc(99)])),
      ],
      [2, () => writeLog('log.3', entries(3n).subarray(0, 20))],
    ]);
    const print = (line: string): void => {
      printed.push(line);
      steps.get(printed.length)?.();
      if (printed.length === 2) setTimeout(() => appendFileSync(join(folder, 'log.3'), entries(3n).subarray(20)), 300);
      if (printed.length === 3) stop.abort();
    };
    expect(await txnlogTool([first, '--follow'], { ...output, print, signal: stop.signal })).toBe(0);
    expect(seen()).toEqual([1, 2, 3]);
  });

  test.each([[], ['a', 'b'], ['a', '--what'], ['a', '--verify', '--follow']])(
    'explains itself when called with %j',
    async (...words) => {
      expect(await txnlogTool(words, output)).toBe(2);
      expect(complaints[0]).toContain('usage: zktxnlog');
    },
  );

  test('fails for a file that is missing, and does not create it', async () => {
    const path = join(folder, 'log.9');
    expect(await txnlogTool([path], output)).toBe(1);
    expect(await txnlogTool([path, '--verify'], output)).toBe(1);
    expect(complaints).toHaveLength(2);
    expect(complaints[0]).toContain('ENOENT');
  });
});

describe('zksnapshot', () => {
  function writeSnapshot([name, bytes]: readonly [string, Uint8Array]): string {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    return path;
  }

  test('compares two snapshots', () => {
    const database = variedDatabase();
    const before = writeSnapshot(snapshotOf(database));
    apply(database, createTxn('/new'));
    apply(database, { type: -11, paths: ['/a/e'] }, [...database.sessions.keys()][0]);
    const after = writeSnapshot(snapshotOf(database));
    expect(snapshotTool(['--compare', before, before], output)).toBe(0);
    expect(printed).toEqual([expect.stringMatching(/^0 differences between zxid 0x9, 10 znodes, digest 0x/)]);
    printed.length = 0;
    expect(snapshotTool(['--compare', before, after], output)).toBe(1);
    expect(printed).toContain('+ /new');
    expect(printed).toContain('- /a/e');
    expect(printed).toContain('~ / cversion: 3 → 4');
    expect(printed).toContain('- session 0x100000000000005');
    expect(printed.at(-1)).toMatch(/^\d+ differences between/);
  });

  test('prints the sizes of the znodes as ncdu reads them', () => {
    expect(snapshotTool(['--json', writeSnapshot(snapshotOf(variedDatabase()))], output)).toBe(0);
    const [major, minor, about, tree] = JSON.parse(printed.join('')) as [number, number, object, unknown[]];
    expect([major, minor]).toEqual([1, 0]);
    expect(about).toHaveProperty('progname');
    const names = (node: unknown): unknown => (Array.isArray(node) ? node.map(names) : (node as { name: string }).name);
    expect(names(tree)).toEqual(['/', ['a', 'e', 'größe'], 'c', 't', ['zookeeper', 'config', 'quota']]);
  });

  test('fails for a snapshot that is damaged, missing, or none', () => {
    const [name, bytes] = snapshotOf(variedDatabase());
    const damaged = writeSnapshot([name, bytes.map((byte, i) => (i === 200 ? byte ^ 1 : byte))]);
    const none = writeSnapshot(['notes.txt', bytes]);
    for (const path of [damaged, none, join(folder, 'snapshot.1')]) expect(snapshotTool([path], output)).toBe(1);
    expect(complaints[0]).toMatch(/^snapshot\.9 at byte \d+: /);
    expect(complaints).toHaveLength(3);
  });

  test.each([[], ['a', 'b'], ['--compare', 'a'], ['--what', 'a']])(
    'explains itself when called with %j',
    (...words) => {
      expect(snapshotTool(words, output)).toBe(2);
      expect(complaints[0]).toContain('usage: zksnapshot');
    },
  );
});
