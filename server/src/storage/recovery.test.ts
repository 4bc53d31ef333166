import { describe, expect, test } from 'vitest';
import { JuteWriter, OpCode, type TxnBody, toSessionId, toXid, toZxid, txn } from 'zookeeper-protocol-ts';
import { Database } from '../database.ts';
import type { Disk } from '../ports.ts';
import { adler32 } from './adler32.ts';
import { MemoryDisk } from './memory-disk.ts';
import { type RecoveryOptions, type RecoveryOutcome, recover } from './recovery.ts';
import { apply, contentsOf, createTxn, snapshotOf, variedDatabase } from './snapshot.fixture.ts';
import { StorageError } from './storage-error.ts';
import { logName, writeLogEntry, writeLogHeader } from './txn-log-format.ts';

type Files = (readonly [name: string, bytes: Uint8Array])[];

/** What happened to a database: its transactions, and snapshots of it on the way. */
class Story {
  readonly database = new Database();
  readonly files: Files = [];
  readonly #bodies: TxnBody[] = [];

  create(...paths: string[]): this {
    for (const path of paths) {
      const body = createTxn(path, Buffer.from(path));
      this.#bodies.push(body);
      apply(this.database, body);
    }
    return this;
  }

  snapshot(): this {
    this.files.push(snapshotOf(this.database));
    return this;
  }

  /** The log of the transactions from one zxid to another. */
  log(from: number, to: number): this {
    const writer = new JuteWriter();
    writeLogHeader(writer);
    for (let zxid = from; zxid <= to; zxid++) {
      const body = this.#bodies[zxid - 1];
      if (body === undefined) throw new Error(`there is no transaction ${zxid}`);
      const record = new JuteWriter();
      txn.write(record, {
        header: {
          sessionId: toSessionId(7n),
          cxid: toXid(1),
          zxid: toZxid(BigInt(zxid)),
          time: 1_700_000_000_000 + zxid,
          type: body.type,
        },
        body,
        digest: undefined,
      });
      writeLogEntry(writer, record.take());
    }
    this.files.push([logName(toZxid(BigInt(from))), writer.take()]);
    return this;
  }
}

const diskOf = (files: Files, soon: (run: () => void) => void, operations: string[] = []): MemoryDisk =>
  new MemoryDisk({
    soon,
    files,
    onOperation: ({ kind, name }) => {
      operations.push(`${kind} ${name}`);
      return undefined;
    },
  });

function recoverFrom(files: Files, options: Partial<RecoveryOptions> & { snapshots?: Files } = {}) {
  const queue: (() => void)[] = [];
  const soon = (run: () => void) => void queue.push(run);
  const operations: string[] = [];
  const logDisk: Disk = diskOf(files, soon, operations);
  const snapshotDisk: Disk = options.snapshots === undefined ? logDisk : diskOf(options.snapshots, soon);
  const outcomes: RecoveryOutcome[] = [];
  recover({ logDisk, snapshotDisk, checkDigest: true, trustEmpty: false, ...options }, (outcome) =>
    outcomes.push(outcome),
  );
  while (queue.length > 0) queue.shift()?.();
  expect(outcomes).toHaveLength(1);
  return { outcome: outcomes[0] as RecoveryOutcome, logDisk, snapshotDisk, operations };
}

function recovered(files: Files, options: Partial<RecoveryOptions> & { snapshots?: Files } = {}) {
  const { outcome, ...rest } = recoverFrom(files, options);
  if ('error' in outcome) throw outcome.error;
  return { ...outcome, ...rest };
}

function refusal(files: Files, options: Partial<RecoveryOptions> & { snapshots?: Files } = {}): StorageError {
  const { outcome, operations } = recoverFrom(files, options);
  if (!('error' in outcome) || !(outcome.error instanceof StorageError)) throw new Error('it was recovered');
  expect(operations.filter((operation) => !operation.startsWith('open'))).toEqual([]);
  return outcome.error;
}

/** With one byte of its contents changed. */
const damaged = ([name, bytes]: Files[number]): Files[number] => {
  const copy = Uint8Array.from(bytes);
  copy[100] = (copy[100] ?? 0) ^ 1;
  return [name, copy];
};

/** The snapshot with another digest section, sealed again, so that only its meaning is wrong. */
function withDigest([name, bytes]: Files[number], { zxid, digest }: { zxid: bigint; digest: bigint }): Files[number] {
  const contents = Buffer.from(bytes.subarray(0, bytes.length - 54));
  const section = Buffer.alloc(20);
  section.writeBigInt64BE(zxid, 0);
  section.writeInt32BE(2, 8);
  section.writeBigInt64BE(digest, 12);
  const before = Buffer.concat([contents, section]);
  const seal = Buffer.from('0000000000000000000000012f', 'hex');
  seal.writeBigInt64BE(BigInt(adler32(before)), 0);
  return [name, Buffer.concat([before, seal])];
}

describe('recover', () => {
  test('gives an empty database for an empty folder, later than the call', () => {
    const { database, recovered: found } = recovered([]);
    expect(found).toMatchObject({ lastZxid: 0n, transactions: 0, snapshot: undefined });
    expect(contentsOf(database)).toEqual(contentsOf(new Database()));
  });

  test('takes the newest snapshot, and replays the log from there on', () => {
    const story = new Story().create('/a', '/b').snapshot().create('/c').snapshot().create('/d', '/e').log(1, 5);
    const { database, recovered: found } = recovered(story.files);
    expect(found).toMatchObject({ lastZxid: 5n, transactions: 2, snapshot: { name: 'snapshot.3' }, files: ['log.1'] });
    expect(contentsOf(database)).toEqual(contentsOf(story.database));
  });

  test('needs no log behind a snapshot', () => {
    const database = variedDatabase();
    const result = recovered([snapshotOf(database)]);
    expect(result.recovered).toMatchObject({ lastZxid: 9n, transactions: 0 });
    expect(contentsOf(result.database)).toEqual(contentsOf(database));
  });

  test('falls back to an older snapshot when the newest is damaged, and says so', () => {
    const story = new Story().create('/a').snapshot().create('/b').snapshot().create('/c').log(1, 3);
    const [older, newest, log] = story.files as [Files[number], Files[number], Files[number]];
    for (const broken of [damaged(newest), [newest[0], newest[1].subarray(0, 200)], [newest[0], new Uint8Array()]]) {
      const { database, recovered: found } = recovered([older, broken as Files[number], log]);
      expect(found).toMatchObject({ snapshot: { name: 'snapshot.1' }, unusableSnapshots: [{ file: 'snapshot.2' }] });
      expect(contentsOf(database)).toEqual(contentsOf(story.database));
    }
  });

  test('needs no snapshot when the logs have the history from transaction 1 on', () => {
    const story = new Story().create('/a', '/b').snapshot().log(1, 2);
    const [snapshot, log] = story.files as [Files[number], Files[number]];
    const { database, recovered: found } = recovered([damaged(snapshot), log]);
    expect(found).toMatchObject({ snapshot: undefined, unusableSnapshots: [{ file: 'snapshot.2' }], transactions: 2 });
    expect(contentsOf(database)).toEqual(contentsOf(story.database));
  });

  test('refuses to take unreadable snapshots for an empty folder', () => {
    const story = new Story().create('/a', '/b').snapshot().create('/c').log(3, 3);
    const [snapshot, log] = story.files as [Files[number], Files[number]];
    expect(refusal([damaged(snapshot)])).toMatchObject({ code: 'SNAPSHOT_UNREADABLE', file: 'snapshot.2' });
    expect(refusal([damaged(snapshot), log])).toMatchObject({ code: 'SNAPSHOT_UNREADABLE', file: 'snapshot.2' });
    expect(refusal([damaged(snapshot), log], { trustEmpty: true })).toMatchObject({ code: 'SNAPSHOT_UNREADABLE' });
  });

  test('refuses logs without the snapshot that they go on from, unless it is told to trust them', () => {
    const { files } = new Story().create('/a', '/b', '/c').log(2, 3);
    expect(refusal(files)).toMatchObject({ code: 'SNAPSHOT_NEEDED', file: 'log.2' });
    expect(recovered(files, { trustEmpty: true }).recovered).toMatchObject({ transactions: 2, lastZxid: 3n });
  });

  test('refuses logs that start behind the only good snapshot', () => {
    const story = new Story().create('/a').snapshot().create('/b', '/c').snapshot().create('/d').log(4, 4);
    const [older, newest, log] = story.files as [Files[number], Files[number], Files[number]];
    expect(refusal([older, damaged(newest), log])).toMatchObject({ code: 'SNAPSHOT_UNREADABLE', file: 'snapshot.3' });
  });

  test('compares the tree with the digest, at the zxid that it is of', () => {
    const early = new Story().create('/a').snapshot();
    const story = new Story().create('/a', '/b');
    const { digest } = story.database.tree;
    const { files } = new Story().create('/a', '/b', '/c').log(1, 3);
    const fuzzy = withDigest(early.files[0] as Files[number], { zxid: 2n, digest });
    expect(recovered([fuzzy, ...files]).recovered).toMatchObject({ snapshot: { name: 'snapshot.1' }, transactions: 2 });

    const wrong = withDigest(early.files[0] as Files[number], { zxid: 2n, digest: digest + 1n });
    const { recovered: found } = recovered([wrong, ...files]);
    expect(found.snapshot).toBeUndefined();
    expect(found.unusableSnapshots[0]?.problem).toContain('digest');
    expect(recovered([wrong, ...files], { checkDigest: false }).recovered.snapshot).toBeDefined();
    expect(refusal([wrong, ...new Story().create('/a', '/b').log(2, 2).files])).toMatchObject({
      code: 'DIGEST_MISMATCH',
    });
  });

  test('does not use a snapshot that may hold parts of transactions which the log has lost', () => {
    const early = new Story().create('/a').snapshot();
    const story = new Story().create('/a', '/b', '/c').log(1, 2);
    const fuzzy = withDigest(early.files[0] as Files[number], { zxid: 3n, digest: story.database.tree.digest });
    const { recovered: found } = recovered([fuzzy, ...story.files]);
    expect(found).toMatchObject({ snapshot: undefined, lastZxid: 2n });
    expect(found.unusableSnapshots[0]?.problem).toContain('the logs end at 0x2');
  });

  test('removes what an unfinished snapshot left, and makes the one that it uses durable', () => {
    const story = new Story().create('/a').snapshot().log(1, 1);
    const {
      recovered: found,
      logDisk,
      operations,
    } = recovered([...story.files, ['unfinished-snapshot.5', Buffer.from('ZKSN')]]);
    expect(found.unfinishedSnapshots).toEqual(['unfinished-snapshot.5']);
    expect(logDisk.list()).toEqual(['log.1', 'snapshot.1']);
    expect(operations).toContain('sync snapshot.1');
  });

  test('reads two folders, and refuses files that lie in the wrong one', () => {
    const story = new Story().create('/a').snapshot().create('/b').log(1, 2);
    const [snapshot, log] = story.files as [Files[number], Files[number]];
    const { database } = recovered([log], { snapshots: [snapshot] });
    expect(contentsOf(database)).toEqual(contentsOf(story.database));
    expect(refusal([log, snapshot], { snapshots: [] })).toMatchObject({ code: 'FOLDERS_MIXED' });
    expect(refusal([], { snapshots: [snapshot, log] })).toMatchObject({ code: 'FOLDERS_MIXED' });
  });
});

describe('Database', () => {
  test('deletes the ephemerals of sessions that there are not', () => {
    const database = variedDatabase();
    expect(database.deleteOrphans()).toEqual([]);
    const [sessionId] = database.sessions.keys();
    if (sessionId === undefined) throw new Error('there is no session');
    database.sessions.delete(sessionId);
    expect(database.deleteOrphans()).toEqual([sessionId]);
    expect(database.tree.find('/a/e')).toBeUndefined();
    database.tree.assertConsistent();
  });

  test('counts transactions that come with the digest of another tree', () => {
    const database = new Database();
    const digest = (treeDigest: bigint, version = 2) => ({ version, treeDigest });
    const error: TxnBody = { type: OpCode.error, err: -101 };
    const next = (given: { version: number; treeDigest: bigint } | undefined): void => {
      const zxid = toZxid(database.lastZxid + 1n);
      const header = { sessionId: toSessionId(1n), cxid: toXid(1), zxid, time: 1, type: error.type };
      database.apply({ header, body: error, digest: given });
    };
    next(digest(database.tree.digest));
    next(undefined);
    next(digest(5n, 1));
    expect(database.digestMismatches).toBe(0);
    next(digest(5n));
    expect(database.digestMismatches).toBe(1);
  });

  test('keeps the digest of each 128th zxid', () => {
    const database = new Database();
    for (let i = 1; i <= 300; i++) apply(database, createTxn(`/n${i}`));
    expect(database.digestLog.map(({ zxid }) => zxid)).toEqual([128n, 256n]);
  });
});
