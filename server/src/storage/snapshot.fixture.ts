import {
  type Acl,
  OPEN_ACL,
  OpCode,
  READ_ACL,
  type SessionId,
  type TxnBody,
  toSessionId,
  toXid,
  toZxid,
} from 'zookeeper-protocol-ts';
import { Database } from '../database.ts';
import { MemoryDisk, type MemoryDiskOptions } from './memory-disk.ts';
import { SnapshotWriter, type SnapshotWriterOptions } from './snapshot-writer.ts';

/** A disk whose operations complete one by one, when the test says so. */
export function steppedDisk(options: Omit<MemoryDiskOptions, 'soon'> = {}) {
  const queue: (() => void)[] = [];
  const disk = new MemoryDisk({ ...options, soon: (run) => queue.push(run) });
  return {
    disk,
    complete: (): boolean => {
      const next = queue.shift();
      next?.();
      return next !== undefined;
    },
    completeAll: (): void => {
      while (queue.length > 0) queue.shift()?.();
    },
  };
}

/** The next transaction of a database. */
export function apply(database: Database, body: TxnBody, sessionId: SessionId = toSessionId(7n)): void {
  const zxid = toZxid(database.lastZxid + 1n);
  const time = 1_700_000_000_000 + Number(zxid);
  database.apply({ header: { sessionId, cxid: toXid(1), zxid, time, type: body.type }, body, digest: undefined });
}

export const createTxn = (path: string, data: Uint8Array | null = null, acl: readonly Acl[] = OPEN_ACL): TxnBody => ({
  type: OpCode.create2,
  path,
  data,
  acl,
  ephemeral: false,
  parentCversion: -1,
});

/** Sessions, ephemerals, containers, TTLs, ACLs, data of several lengths, and names that are no ASCII. */
export function variedDatabase(): Database {
  const database = new Database();
  const session = toSessionId(0x0100_0000_0000_0005n);
  apply(database, { type: OpCode.createSession, timeoutMs: 4000 }, session);
  apply(database, { type: OpCode.createSession, timeoutMs: 30_000 }, toSessionId(-5n));
  apply(database, createTxn('/a', Buffer.from('data of a')));
  apply(database, createTxn('/a/größe', new Uint8Array(3000).fill(9), READ_ACL));
  apply(database, { ...createTxn('/a/e'), type: OpCode.create2, ephemeral: true } as TxnBody, session);
  apply(database, { type: OpCode.createContainer, path: '/c', data: null, acl: OPEN_ACL, parentCversion: 2 });
  apply(database, { type: OpCode.createTTL, path: '/t', data: null, acl: OPEN_ACL, parentCversion: 3, ttlMs: 60_000 });
  apply(database, { type: OpCode.setData, path: '/a', data: new Uint8Array(0), version: 1 });
  apply(database, { type: OpCode.error, err: -101 });
  return database;
}

export const WRITER_DEFAULTS = { compressor: { kind: 'none' }, withDigest: true, withLastZxid: true } as const;

/** Writes a snapshot in one go. @returns the name and the bytes of the file */
export function snapshotOf(
  database: Database,
  options: Partial<SnapshotWriterOptions> = {},
): readonly [name: string, bytes: Uint8Array] {
  const { disk, completeAll } = steppedDisk();
  const writer = new SnapshotWriter({ ...WRITER_DEFAULTS, disk, database, ...options });
  let outcome: Error | null | undefined;
  writer.write((error) => {
    outcome = error;
  });
  completeAll();
  if (outcome !== null) throw outcome ?? new Error('the snapshot was not finished');
  return [writer.name, disk.bytesOf(writer.name)];
}

/** Everything that a snapshot has to carry, to be compared. */
export function contentsOf({ tree, sessions }: Pick<Database, 'tree' | 'sessions'>): unknown {
  const znodes = [...tree.znodes()].map((node) => ({
    path: tree.pathOf(node),
    data: tree.data(node) === null ? null : Buffer.from(tree.data(node) ?? []).toString('hex'),
    acl: tree.aclOf(node),
    aclId: tree.aclId(node),
    stat: tree.stat(node),
    cversion: tree.cversion(node),
    owner: tree.owner(node),
  }));
  znodes.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { znodes, sessions: [...sessions].sort(), digest: tree.digest };
}
