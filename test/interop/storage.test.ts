/**
 * The data folder, carried between our server and a real Apache ZooKeeper: what one wrote, the other one opens. A seeded random
 * workload makes znodes of every kind; then the tree is read through a client on both, and must be the same to the last field
 * of the last stat. Sessions go along, and so do ephemerals. The digests of the trees are compared with those in the files.
 */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Acl,
  type ConnectResponse,
  CreateMode,
  joinPath,
  OPEN_ACL,
  OpCode,
  operations,
} from 'zookeeper-protocol-ts';
import { ZooKeeperServer } from 'zookeeper-server-ts';
import { Database } from '../../server/src/database.ts';
import { FileDisk } from '../../server/src/node/file-disk.ts';
import { nodeGzip } from '../../server/src/node/gzip.ts';
import { snapshotTool } from '../../server/src/node/snapshot-tool.ts';
import { type ToolOutput, txnlogTool } from '../../server/src/node/txnlog-tool.ts';
import { type RecoveryOutcome, recover } from '../../server/src/storage/recovery.ts';
import {
  LAST_ZXID_SECTION_BYTES,
  parseSnapshotName,
  SEAL_BYTES,
  snapshotsIn,
} from '../../server/src/storage/snapshot-format.ts';
import { readSnapshot, type Snapshot } from '../../server/src/storage/snapshot-reader.ts';
import { RawConnection } from '../integration/raw-connection.ts';
import { Draws } from '../simulator/random.ts';
import { type ApacheZooKeeper, startApacheZooKeeper, whyNoApacheZooKeeper } from './apache-zookeeper.ts';

const SESSION_MS = 10_000;
const OPERATIONS = 400;
/** Several snapshots, and logs behind them. */
const SNAP_COUNT = 60;

const acls: readonly (readonly Acl[])[] = [
  OPEN_ACL,
  [
    { perms: 31, id: { scheme: 'world', id: 'anyone' } },
    { perms: 31, id: { scheme: 'digest', id: 'u:JH8pRz8ZQbYbYDkwVYWNhLzKYXo=' } },
  ],
  [{ perms: 29, id: { scheme: 'ip', id: '127.0.0.1' } }],
];

interface Held {
  readonly connection: RawConnection;
  readonly session: ConnectResponse;
}

/** Does the same to any server: creates of every kind, sets, ACLs, deletes and multis, successful and refused. */
async function work(port: number, seed: number, round = 0): Promise<Held> {
  const draws = new Draws(seed, 'storage');
  let draw = round * 1_000_000;
  const upTo = (count: number): number => draws.between([0, count - 1], ++draw);
  const connection = await RawConnection.open(port);
  const session = await connection.connect({ timeoutMs: SESSION_MS });
  const passing = await RawConnection.withSession(port, { timeoutMs: SESSION_MS });
  const paths = [''];
  const one = <T>(of: readonly T[]): T => of[upTo(of.length)] as T;
  for (let i = 0; i < OPERATIONS; i++) {
    const { connection: by } = upTo(6) === 0 && i < OPERATIONS / 2 ? passing : { connection };
    const parent = one(paths);
    const path = `${parent}/${one(['n', 'größe-', '名'])}${round}-${i}`;
    const data = one([null, Buffer.alloc(0), Buffer.from(`data ${i}`), Buffer.alloc(upTo(3000), i)]);
    const acl = one(acls);
    const create = (flags: number) => by.call(operations.create2, { path, data, acl, flags });
    const known = one(paths) || '/';
    switch (upTo(9)) {
      case 0:
      case 1:
        if ((await create(CreateMode.PERSISTENT)).err === 0) paths.push(path);
        break;
      case 2:
        await create(one([CreateMode.EPHEMERAL, CreateMode.EPHEMERAL_SEQUENTIAL, CreateMode.PERSISTENT_SEQUENTIAL]));
        break;
      case 3:
        await by.call(operations.createContainer, { path, data, acl, flags: CreateMode.CONTAINER });
        break;
      case 4:
        await by.call(operations.createTTL, {
          path,
          data,
          acl,
          flags: CreateMode.PERSISTENT_WITH_TTL,
          ttlMs: 3_600_000,
        });
        break;
      case 5:
        await by.call(operations.setData, { path: known, data, version: one([-1, 0]) });
        break;
      case 6:
        if (known !== '/') await by.call(operations.setACL, { path: known, acl, version: -1 });
        break;
      case 7:
        if (known !== '/') await by.call(operations.delete, { path: known, version: -1 });
        break;
      case 8:
        await by.call(operations.multi, [
          { type: OpCode.create, request: { path, data, acl, flags: CreateMode.PERSISTENT } },
          { type: OpCode.setData, request: { path: known, data, version: one([-1, 99]) } },
        ]);
    }
  }
  await passing.connection.call(operations.closeSession, undefined);
  return { connection, session };
}

/** All that clients can see. */
async function dump(port: number): Promise<Record<string, unknown>> {
  const { connection } = await RawConnection.withSession(port, { timeoutMs: SESSION_MS });
  const seen: Record<string, unknown> = {};
  const paths = ['/'];
  for (let path = paths.pop(); path !== undefined; path = paths.pop()) {
    const children = await connection.call(operations.getChildren2, { path, watch: false });
    const data = await connection.call(operations.getData, { path, watch: false });
    const acl = await connection.call(operations.getACL, { path });
    seen[path] = { data: data.body?.data?.toString('hex'), stat: data.body?.stat, err: data.err, acl: acl.body?.acl };
    for (const name of children.body?.children ?? []) paths.push(joinPath(path, name));
  }
  await connection.call(operations.closeSession, undefined);
  connection.destroy();
  return seen;
}

/** Opens a folder as our server does, without serving it. */
async function recovered(folder: string): Promise<Exclude<RecoveryOutcome, { error: Error }>> {
  const disk = new FileDisk(join(folder, 'version-2'));
  const outcome = await new Promise<RecoveryOutcome>((resolve) =>
    recover({ logDisk: disk, snapshotDisk: disk, gzip: nodeGzip, checkDigest: true, trustEmpty: false }, resolve),
  );
  if ('error' in outcome) throw outcome.error;
  return outcome;
}

function snapshotIn(folder: string, name: string): Snapshot {
  const parsed = parseSnapshotName(name);
  if (parsed === undefined) throw new Error(`${name} is no snapshot`);
  const file = new FileDisk(join(folder, 'version-2')).open(name);
  try {
    return readSnapshot(file, parsed, nodeGzip);
  } finally {
    file.close();
  }
}

const newestSnapshot = async (folder: string): Promise<string> =>
  snapshotsIn(await readdir(join(folder, 'version-2')))[0]?.name ?? 'none';

const interopDir = process.env.INTEROP_DIR ?? fileURLToPath(new URL('../../../shared/interop', import.meta.url));
const dumpFile = async (script: string, ...args: string[]): Promise<string> =>
  (await promisify(execFile)(join(interopDir, script), args, { maxBuffer: 64 * 1024 * 1024 })).stdout;

const startOurs = (
  dataDir: string,
  options: { snapshotCompression?: 'gz' | 'snappy' } = {},
): Promise<ZooKeeperServer> =>
  ZooKeeperServer.start({
    dataDir,
    clientPort: 0,
    clientPortAddress: '127.0.0.1',
    tickTimeMs: 500,
    preallocateBytes: 64 * 1024,
    snapCount: SNAP_COUNT,
    extendedTypesEnabled: true,
    ...options,
  });

/** The folder as kill -9 leaves it. A snapshot that is being written may vanish, or get its name, while it is looked at. */
const copyOf = async (folder: string, to: string): Promise<void> => {
  const filter = (path: string): boolean => !path.includes('unfinished-snapshot');
  await cp(join(folder, 'version-2'), join(to, 'version-2'), { recursive: true, filter });
};

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`interop/storage is skipped: ${missing}`);

describe.skipIf(missing !== undefined)('the data folder', () => {
  let root: string;
  let java: ApacheZooKeeper;
  let javaFolder: string;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'storage-interop-'));
    javaFolder = join(root, 'java');
    java = await startApacheZooKeeper({
      config: { dataDir: javaFolder, extendedTypesEnabled: 'true', snapCount: SNAP_COUNT },
      properties: { 'zookeeper.preAllocSize': 64 },
    });
  });

  afterAll(async () => {
    await java?.stop();
    await rm(root, { recursive: true, force: true });
  });

  /** Lets Java open another folder. */
  async function openWithJava(folder: string): Promise<void> {
    await java.kill();
    await rm(join(javaFolder, 'version-2'), { recursive: true, force: true });
    await copyOf(folder, javaFolder);
    await java.restart();
  }

  it('of a fresh server begins with the snapshot that the original begins with', async () => {
    const theirs = snapshotIn(javaFolder, 'snapshot.0');
    const ours = await startOurs(join(root, 'fresh'));
    await ours.close();
    const mine = snapshotIn(join(root, 'fresh'), 'snapshot.0');
    expect(theirs.tree.digest).toBe(mine.tree.digest);
    expect(theirs.tree.digest).toBe(new Database().tree.digest);
    // Byte for byte, but for the order of the znodes and the section of 3.9 that ours has more.
    const bytesIn = async (dir: string): Promise<Buffer> => readFile(join(dir, 'version-2', 'snapshot.0'));
    const [javaBytes, ourBytes] = [await bytesIn(javaFolder), await bytesIn(join(root, 'fresh'))];
    expect(ourBytes.length - javaBytes.length).toBe(LAST_ZXID_SECTION_BYTES + SEAL_BYTES);
    expect(ourBytes.subarray(0, 100).toString('hex')).toBe(javaBytes.subarray(0, 100).toString('hex'));
  });

  it('of Java is opened by ours after kill -9: same tree, stats, ACLs, sessions, and every digest in its files', async () => {
    const { session } = await work(java.port, 11);
    const seen = await dump(java.port);
    await java.kill();
    const folder = join(root, 'from-java');
    await copyOf(javaFolder, folder);
    expect(
      (await readdir(join(folder, 'version-2'))).filter((name) => name.startsWith('snapshot.')).length,
    ).toBeGreaterThan(3);
    for (const name of await readdir(join(folder, 'version-2'))) {
      // Each of them reads, with its checksums; those written in a quiet moment have the digest of what is in the file.
      if (!name.startsWith('snapshot.')) continue;
      const { tree, zxid, digest } = snapshotIn(folder, name);
      if (digest?.zxid === zxid) expect(tree.digest).toBe(digest.digest);
    }
    const { database, recovered: found } = await recovered(folder);
    expect(found.unusableSnapshots).toEqual([]);
    expect(found.snapshot).toBeDefined();
    // Java put the digest of its tree into every transaction: all were compared.
    expect(database.digestMismatches).toBe(0);

    await using ours = await startOurs(folder);
    expect(await dump(ours.address.port)).toEqual(seen);
    const again = await RawConnection.open(ours.address.port);
    const { sessionId } = await again.connect({ ...session, timeoutMs: SESSION_MS });
    expect(sessionId).toBe(session.sessionId);
    again.destroy();
    await java.restart();
  });

  it('of Java is replayed by ours from its log alone with the digest of each transaction', async () => {
    await work(java.port, 12, 1);
    await java.kill();
    const folder = join(root, 'log-alone');
    await copyOf(javaFolder, folder);
    for (const { name, zxid } of snapshotsIn(await readdir(join(folder, 'version-2')))) {
      if (zxid > 0n) await rm(join(folder, 'version-2', name));
    }
    const { database, recovered: found } = await recovered(folder);
    expect(found.transactions).toBeGreaterThan(OPERATIONS);
    expect(database.digestMismatches).toBe(0);
    const whole = await recovered(javaFolder);
    expect(database.tree.digest).toBe(whole.database.tree.digest);
    await java.restart();
  });

  it.each([{}, { snapshotCompression: 'gz' as const }, { snapshotCompression: 'snappy' as const }])(
    'of ours (%o) is opened by Java: same tree, stats, ACLs, sessions and digest',
    async (options) => {
      const folder = join(root, `ours-${options.snapshotCompression ?? 'plain'}`);
      const ours = await startOurs(folder, options);
      const { session } = await work(ours.address.port, 13);
      const seen = await dump(ours.address.port);
      // A copy is what kill -9 leaves; the server goes on.
      await copyOf(folder, `${folder}-killed`);
      await ours.close();
      for (const left of [folder, `${folder}-killed`]) {
        await openWithJava(left);
        expect(await dump(java.port)).toEqual(seen);
        const again = await RawConnection.open(java.port);
        const { sessionId } = await again.connect({ ...session, timeoutMs: SESSION_MS });
        expect(sessionId).toBe(session.sessionId);
        again.destroy();
        // It wrote a snapshot when it started: the digest in it is that of the tree which it made of our files.
        const name = await newestSnapshot(javaFolder);
        const written = snapshotIn(javaFolder, name);
        const { database } = await recovered(left);
        expect(written.zxid).toBe(database.lastZxid);
        expect(written.digest).toEqual({ zxid: database.lastZxid, digest: database.tree.digest });
      }
    },
  );

  /** What a tool of ours prints. */
  const printed = async (run: (output: ToolOutput) => number | Promise<number>): Promise<string> => {
    const lines: string[] = [];
    const code = await run({ print: (line) => lines.push(line), complain: (line) => lines.push(line) });
    expect(code).toBe(0);
    return lines.join('\n');
  };

  /** The children of a znode come in any order, and so do sessions. */
  const blocksOf = (text: string): string[] =>
    text
      .trim()
      .split('----\n')
      .map((block) => (block.startsWith('Session') ? block.split('\n').sort().join('\n') : block))
      .sort();

  it.each(['ours', 'Java'])('of %s is shown by the tools of both in the same words', async (whose) => {
    const folder = join(root, `tools-${whose}`);
    if (whose === 'ours') {
      const ours = await startOurs(folder);
      await work(ours.address.port, 14);
      await ours.close();
    } else {
      await work(java.port, 15, 5);
      await java.kill();
      await copyOf(javaFolder, folder);
      await java.restart();
    }
    const files = join(folder, 'version-2');
    const names = await readdir(files);
    const logs = names.filter((name) => name.startsWith('log.')).slice(-2);
    expect(logs).not.toEqual([]);
    for (const name of logs) {
      const theirs = await dumpFile('txnlog-dump.sh', join(files, name));
      expect(await printed((output) => txnlogTool([join(files, name)], output))).toBe(theirs.trim());
      const verdict = await printed((output) => txnlogTool([join(files, name), '--verify'], output));
      expect(verdict).toMatch(/: \d+ transactions, 0x[0-9a-f]+ to 0x[0-9a-f]+: sound$/);
    }
    const snapshot = join(files, await newestSnapshot(folder));
    for (const [theirOption, option] of [[], ['-d', '--data']] as const) {
      const theirs = await dumpFile('snapshot-dump.sh', snapshot, ...(theirOption === undefined ? [] : [theirOption]));
      const ours = await printed((output) =>
        snapshotTool([...(option === undefined ? [] : [option]), snapshot], output),
      );
      expect(blocksOf(ours)).toEqual(blocksOf(theirs));
    }
    expect(await printed((output) => snapshotTool(['--compare', snapshot, snapshot], output))).toMatch(
      /^0 differences/,
    );
    const json: unknown = JSON.parse(await printed((output) => snapshotTool(['--json', snapshot], output)));
    const theirJson: unknown = JSON.parse(await dumpFile('snapshot-dump.sh', snapshot, '-json'));
    expect(sizesIn(json)).toEqual(sizesIn(theirJson));
  });
});

/** Name and size of each znode of an ncdu file. */
function sizesIn(json: unknown): string[] {
  const found: string[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) for (const each of value) visit(each);
    else if (typeof value === 'object' && value !== null && 'name' in value && 'asize' in value) {
      found.push(`${String(value.name)} ${String(value.asize)}`);
    }
  };
  visit(json);
  return found.sort();
}
