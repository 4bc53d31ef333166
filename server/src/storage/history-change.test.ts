import { describe, expect, it } from 'vitest';
import { JuteWriter, OpCode, type TxnBody, toSessionId, toXid, toZxid, txn, type Zxid } from 'zookeeper-protocol-ts';
import { Database } from '../database.ts';
import type { Disk, Done } from '../ports.ts';
import { goesBackTo, ReceivedSnapshot, truncateHistory } from './history-change.ts';
import { type DiskOperation, MemoryDisk } from './memory-disk.ts';
import { type RecoveryOutcome, recover } from './recovery.ts';
import { contentsOf, createTxn, snapshotOf } from './snapshot.fixture.ts';
import { snapshotContents } from './snapshot-contents.ts';
import { logName, writeLogEntry, writeLogHeader } from './txn-log-format.ts';

type File = readonly [name: string, bytes: Uint8Array];

const bodyOf = (path: string): TxnBody => createTxn(path, Buffer.from(path));

function applyAt(database: Database, zxid: bigint, body: TxnBody): void {
  const header = { sessionId: toSessionId(7n), cxid: toXid(1), zxid: toZxid(zxid), time: 0, type: OpCode.create2 };
  database.apply({ header, body, digest: undefined });
}

/** What there is after the first `count` transactions of the history: /n1, /n2, … */
function databaseAt(count: number): Database {
  const database = new Database();
  for (let i = 1; i <= count; i++) applyAt(database, BigInt(i), bodyOf(`/n${i}`));
  return database;
}

const snapshotAt = (count: number): File => snapshotOf(databaseAt(count));

/** A log of the transactions from one to another. */
function logOf(from: number, to: number): File {
  const writer = new JuteWriter();
  writeLogHeader(writer);
  for (let i = from; i <= to; i++) {
    const zxid = toZxid(BigInt(i));
    const record = new JuteWriter();
    const header = { sessionId: toSessionId(7n), cxid: toXid(1), zxid, time: 0, type: OpCode.create2 };
    txn.write(record, { header, body: bodyOf(`/n${i}`), digest: undefined });
    writeLogEntry(writer, record.take());
  }
  return [logName(toZxid(BigInt(from))), writer.take()];
}

/** A folder whose operations complete when they are let, and fail from a given one on, or all of a kind. */
class Folder {
  readonly disk: MemoryDisk;
  readonly operations: DiskOperation[] = [];
  /** So many succeed. */
  allowed = Number.POSITIVE_INFINITY;
  refused: DiskOperation['kind'] | undefined;
  readonly #queue: (() => void)[] = [];

  constructor(files: readonly File[]) {
    this.disk = new MemoryDisk({
      files,
      soon: (run) => this.#queue.push(run),
      onOperation: (operation) => {
        this.operations.push(operation);
        const isLost = this.operations.length > this.allowed || operation.kind === this.refused;
        return isLost ? new Error('the disk is gone') : undefined;
      },
    });
  }

  settle(): void {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) next();
  }

  /** @returns how it ended */
  run(change: (done: Done) => void): Error | null {
    const outcomes: (Error | null)[] = [];
    change((error) => outcomes.push(error));
    this.settle();
    expect(outcomes).toHaveLength(1);
    return outcomes[0] as Error | null; // there is one
  }

  /** What the next process finds. */
  recovered(): Database {
    const files = this.disk.list().map((name): File => [name, this.disk.bytesOf(name)]);
    const found: RecoveryOutcome[] = [];
    const again = new Folder(files);
    const options = { logDisk: again.disk as Disk, snapshotDisk: again.disk as Disk };
    recover({ ...options, checkDigest: true, trustEmpty: false }, (outcome) => found.push(outcome));
    again.settle();
    const [outcome] = found;
    if (outcome === undefined) throw new Error('recovery has not ended');
    if ('error' in outcome) throw outcome.error;
    return outcome.database;
  }
}

const foldersOf = ({ disk }: Folder) => ({ logDisk: disk, snapshotDisk: disk });
const cut = (folder: Folder, after: number): Error | null =>
  folder.run((done) => truncateHistory(foldersOf(folder), toZxid(BigInt(after)), done));

/** Lets one operation more succeed each time. @returns the histories that the next process found, by their length */
function interrupted(files: readonly File[], change: (folder: Folder) => Error | null): number[] {
  const lengths: number[] = [];
  for (let allowed = 0; ; allowed++) {
    const folder = new Folder(files);
    folder.allowed = allowed;
    const outcome = change(folder);
    const database = folder.recovered();
    const length = Number(database.lastZxid);
    expect(contentsOf(database)).toEqual(contentsOf(databaseAt(length)));
    lengths.push(length);
    if (outcome === null) return lengths;
    expect(outcome.message).toBe('the disk is gone');
  }
}

describe('a history that is cut', () => {
  it('ends where it is told, in the middle of a log', () => {
    const folder = new Folder([snapshotAt(2), logOf(1, 9)]);
    expect(cut(folder, 5)).toBeNull();
    expect(folder.disk.list()).toEqual(['log.1', 'snapshot.2']);
    expect(contentsOf(folder.recovered())).toEqual(contentsOf(databaseAt(5)));
  });

  it('loses later logs, and snapshots that have what was dropped', () => {
    const files = [snapshotAt(2), snapshotAt(5), snapshotAt(6), logOf(1, 3), logOf(4, 6), logOf(7, 9)];
    const folder = new Folder(files);
    expect(cut(folder, 5)).toBeNull();
    expect(folder.disk.list()).toEqual(['log.1', 'log.4', 'snapshot.2', 'snapshot.5']);
    expect(folder.recovered().lastZxid).toBe(5n);
  });

  it('loses later logs from the end on, each durably before the next, and before the one is cut that is left', () => {
    const folder = new Folder([logOf(1, 3), logOf(4, 6), logOf(7, 9)]);
    expect(cut(folder, 2)).toBeNull();
    const said = folder.operations.filter(({ kind }) => kind !== 'open').map(({ kind, name }) => `${kind} ${name}`);
    expect(said.slice(said.indexOf('remove log.7'))).toEqual([
      ...['remove log.7', 'syncDirectory memory', 'remove log.4', 'syncDirectory memory'],
      ...['truncate log.1', 'sync log.1', 'syncDirectory memory'],
    ]);
  });

  it.each([
    ['where a log ends', 3, ['log.1']],
    ['where it ends anyway', 6, ['log.1', 'log.4']],
    ['behind its end', 8, ['log.1', 'log.4']],
  ])('keeps whole logs when it is cut %s', (_, after, left) => {
    const folder = new Folder([logOf(1, 3), logOf(4, 6)]);
    expect(cut(folder, after)).toBeNull();
    expect(folder.disk.list().filter((name) => folder.disk.bytesOf(name).length > 16)).toEqual(left);
    expect(Number(folder.recovered().lastZxid)).toBe(Math.min(after, 6));
  });

  it('is gone altogether when it is cut at its beginning', () => {
    const folder = new Folder([logOf(1, 3)]);
    expect(cut(folder, 0)).toBeNull();
    expect(folder.disk.list()).toEqual([]);
  });

  it('goes on from its snapshot when the log begins behind it', () => {
    const folder = new Folder([snapshotAt(3), logOf(4, 6)]);
    expect(cut(folder, 3)).toBeNull();
    expect(folder.disk.list()).toEqual(['snapshot.3']);
  });

  it('has no mark any more of how far it was durable', () => {
    const folder = new Folder([['txnlog-synced', new Uint8Array(1024)], logOf(1, 3)]);
    expect(cut(folder, 2)).toBeNull();
    expect(folder.operations[0]).toEqual({ kind: 'remove', name: 'txnlog-synced' });
    expect(folder.disk.list()).toEqual(['log.1']);
  });

  it('is durable when it is done: the file that was cut, and the folder', () => {
    const folder = new Folder([logOf(1, 3), logOf(4, 6)]);
    cut(folder, 2);
    const kinds = folder.operations.map(({ kind }) => kind);
    expect(kinds.slice(kinds.lastIndexOf('truncate'))).toEqual(['truncate', 'sync', 'syncDirectory']);
  });

  it('is one that there was before, or the new one, wherever it breaks off', () => {
    const files = [snapshotAt(2), snapshotAt(7), logOf(1, 3), logOf(4, 6), logOf(7, 9)];
    const lengths = interrupted(files, (folder) => cut(folder, 2));
    // From the end on, and never further.
    expect(lengths).toEqual([...lengths].sort().reverse());
    expect(new Set(lengths)).toEqual(new Set([9, 6, 3, 2]));
  });

  it('is left as it is when a log in it can not be read, with the reason', () => {
    const [name, bytes] = logOf(1, 9);
    const folder = new Folder([[name, Buffer.concat([Buffer.from('nonsense'), bytes.subarray(8)])]]);
    expect(cut(folder, 5)).toMatchObject({ file: name });
    expect(folder.disk.list()).toEqual([name]);
  });
});

describe("a leader's snapshot that replaces a history", () => {
  const receive = (folder: Folder, at: Zxid): ReceivedSnapshot => new ReceivedSnapshot(foldersOf(folder), at);

  /** The leader has 20 transactions. */
  function replace(folder: Folder): Error | null {
    const leader = databaseAt(20);
    return folder.run((done) => {
      const snapshot = receive(folder, leader.lastZxid);
      for (const slice of snapshotContents(leader, 64)) snapshot.write(slice);
      snapshot.install(done);
    });
  }

  const former = [
    snapshotAt(2),
    snapshotAt(7),
    logOf(1, 3),
    logOf(4, 9),
    ['txnlog-synced', new Uint8Array(1024)],
  ] as const;

  it('leaves nothing of it', () => {
    const folder = new Folder([...former, ['unfinished-snapshot.3', Buffer.from('half')]]);
    expect(replace(folder)).toBeNull();
    expect(folder.disk.list()).toEqual(['snapshot.14']);
    expect(contentsOf(folder.recovered())).toEqual(contentsOf(databaseAt(20)));
  });

  it('leaves the former one, or the new one, wherever it breaks off', () => {
    const lengths: number[] = [];
    for (let allowed = 1; ; allowed++) {
      const folder = new Folder(former.slice(0, 4));
      folder.allowed = allowed;
      const outcome = replace(folder);
      const database = folder.recovered();
      lengths.push(Number(database.lastZxid));
      expect(contentsOf(database)).toEqual(contentsOf(databaseAt(Number(database.lastZxid))));
      if (outcome === null) break;
    }
    expect(new Set(lengths)).toEqual(new Set([9, 20]));
    expect(lengths).toEqual([...lengths].sort((a, b) => a - b));
  });

  it('has its name only when it is durable, and nothing is removed before it has', () => {
    const folder = new Folder(former);
    replace(folder);
    const said = folder.operations.map(({ kind, name }) => `${kind} ${name}`);
    const named = said.indexOf('rename unfinished-snapshot.14');
    expect(said.slice(0, named)).toContain('sync unfinished-snapshot.14');
    expect(said.indexOf('sync unfinished-snapshot.14')).toBeGreaterThan(
      said.lastIndexOf('write unfinished-snapshot.14'),
    );
    expect(said.slice(named + 1, named + 6)).toEqual([
      ...['syncDirectory memory', 'remove log.4', 'syncDirectory memory', 'remove log.1', 'syncDirectory memory'],
    ]);
    expect(said.slice(0, named).filter((line) => line.startsWith('remove'))).toEqual(['remove txnlog-synced']);
    expect(said.at(-1)).toBe('syncDirectory memory');
  });

  it('changes nothing when it does not arrive whole', () => {
    const folder = new Folder(former);
    const snapshot = receive(folder, toZxid(20n));
    snapshot.write(Buffer.from('half'));
    snapshot.abandon();
    folder.settle();
    snapshot.abandon();
    folder.settle();
    expect(folder.recovered().lastZxid).toBe(9n);
    expect(folder.disk.list()).toEqual([...former.map(([name]) => name), 'unfinished-snapshot.14'].sort());
  });

  it('takes the place of a remainder of itself', () => {
    const folder = new Folder([['unfinished-snapshot.14', new Uint8Array(100_000).fill(1)]]);
    expect(replace(folder)).toBeNull();
    expect(contentsOf(folder.recovered())).toEqual(contentsOf(databaseAt(20)));
  });

  it('may be written from memory that the network uses again', () => {
    const folder = new Folder([]);
    const snapshot = receive(folder, toZxid(20n));
    for (const slice of snapshotContents(databaseAt(20), 64)) {
      const chunk = Uint8Array.from(slice);
      snapshot.write(chunk);
      chunk.fill(0xff);
    }
    expect(folder.run((done) => snapshot.install(done))).toBeNull();
    expect(folder.recovered().lastZxid).toBe(20n);
  });

  it.each(['truncate', 'write', 'sync', 'rename', 'remove', 'syncDirectory'] as const)(
    'says so when a %s fails',
    (kind) => {
      const folder = new Folder(former);
      folder.refused = kind;
      expect(replace(folder)).toEqual(new Error('the disk is gone'));
    },
  );

  it('is not begun when its file can not be opened', () => {
    const folder = new Folder([]);
    folder.refused = 'open';
    expect(() => receive(folder, toZxid(20n))).toThrow('the disk is gone');
  });
});

describe('a folder goes back', () => {
  const goesBack = (zxid: number, ...files: readonly File[]): boolean => {
    const { disk } = new Folder(files);
    return goesBackTo({ logDisk: disk, snapshotDisk: disk }, toZxid(BigInt(zxid)));
  };

  it('to its oldest snapshot', () => {
    expect(goesBack(2, snapshotAt(2), snapshotAt(5), logOf(3, 7))).toBe(true);
    expect(goesBack(1, snapshotAt(2), snapshotAt(5), logOf(3, 7))).toBe(false);
  });

  it('to the beginning with a log from there on', () => {
    expect(goesBack(0, snapshotAt(5), logOf(1, 7))).toBe(true);
    expect(goesBack(3, snapshotAt(5), logOf(2, 7))).toBe(false);
  });

  it('to what its logs have behind a snapshot, or from the beginning', () => {
    expect(goesBack(6, snapshotAt(2), snapshotAt(5), logOf(3, 7))).toBe(true);
    expect(goesBack(2, logOf(1, 7))).toBe(true);
    expect(goesBack(8, logOf(1, 7))).toBe(false);
  });

  it('to nothing between what a crash has left and the snapshot that was taking its place', () => {
    const leftOver = [snapshotAt(2), logOf(3, 5), snapshotAt(9)];
    expect([4, 5, 6, 8, 9].map((zxid) => goesBack(zxid, ...leftOver))).toEqual([true, true, false, false, true]);
  });
});
