/** The files of a server: where they are, when they are written, and what a restart makes of them. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CreateMode, OPEN_ACL, operations, toHex } from 'zookeeper-protocol-ts';
import { StorageError, ZooKeeperServer, type ZooKeeperServerOptions } from 'zookeeper-server-ts';
import { RawConnection } from './raw-connection.ts';

let folder: string;
let lines: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zkserver-storage-'));
  lines = [];
});

afterEach(() => rm(folder, { recursive: true, force: true }));

function start(options: Partial<ZooKeeperServerOptions> = {}): Promise<ZooKeeperServer> {
  const log = (line: string) => void lines.push(line);
  return ZooKeeperServer.start({
    dataDir: join(folder, 'data'),
    clientPort: 0,
    clientPortAddress: '127.0.0.1',
    preallocateBytes: 64 * 1024,
    runLog: { info: log, warn: log, error: log },
    ...options,
  });
}

const filesIn = async (dir: string): Promise<string[]> => (await readdir(join(folder, dir, 'version-2'))).sort();

async function create(server: ZooKeeperServer, count: number, name = 'n'): Promise<void> {
  const { connection } = await RawConnection.withSession(server.address.port);
  for (let i = 0; i < count; i++) {
    const request = { path: `/${name}${i}`, data: Buffer.from(name), acl: OPEN_ACL, flags: CreateMode.PERSISTENT };
    expect((await connection.call(operations.create, request)).err).toBe(0);
  }
  connection.destroy();
}

async function childrenOf(server: ZooKeeperServer, path: string): Promise<string[]> {
  const { connection } = await RawConnection.withSession(server.address.port);
  const { body } = await connection.call(operations.getChildren, { path, watch: false });
  connection.destroy();
  return [...(body?.children ?? [])].sort();
}

/** Waits for a file that is written in the background. */
async function untilFiles(dir: string, condition: (names: string[]) => boolean): Promise<string[]> {
  await expect.poll(async () => condition(await filesIn(dir)), { timeout: 5000 }).toBe(true);
  return filesIn(dir);
}

describe('the files of a server', () => {
  it('begin with an empty snapshot, and get a log with the first transaction', async () => {
    await using server = await start();
    expect(await filesIn('data')).toEqual(['snapshot.0']);
    await create(server, 1);
    expect(await filesIn('data')).toEqual(['log.1', 'snapshot.0', 'txnlog-synced']);
  });

  it('lie in two folders when dataLogDir is another one, and are found there again', async () => {
    const options = { dataLogDir: join(folder, 'log') };
    const first = await start(options);
    await create(first, 2);
    await first.close();
    expect(await filesIn('data')).toEqual(['snapshot.0']);
    expect(await filesIn('log')).toEqual(['log.1', 'txnlog-synced']);
    await using again = await start(options);
    expect(await childrenOf(again, '/')).toEqual(['n0', 'n1', 'zookeeper']);
  });

  it('lie in one folder when dataLogDir is the same by another name', async () => {
    const options = { dataLogDir: join(folder, 'data', '..', '.', 'data') };
    await (await start(options)).close();
    await using again = await start({ dataLogDir: `${folder}/data/` });
    await create(again, 1);
    expect(await filesIn('data')).toContain('snapshot.0');
  });

  it('are refused when they lie in the wrong folder', async () => {
    const first = await start();
    await create(first, 1);
    await first.close();
    await expect(start({ dataLogDir: join(folder, 'log') })).rejects.toMatchObject({ code: 'FOLDERS_MIXED' });
  });

  it('get a snapshot and a new log by snapCount, compressed if it is asked for', async () => {
    const server = await start({ snapCount: 20, snapshotCompression: 'gz' });
    await create(server, 60);
    await untilFiles('data', (names) => names.filter((name) => /^snapshot\..*\.gz$/.test(name)).length >= 3);
    expect((await filesIn('data')).filter((name) => name.startsWith('log.')).length).toBeGreaterThan(2);
    await server.close();
    await using again = await start();
    expect(await childrenOf(again, '/')).toHaveLength(61);
    expect(lines.some((line) => /^recovered snapshot\.[0-9a-f]+\.gz and \d+ transactions/.test(line))).toBe(true);
  });

  it('get a snapshot of what was replayed, so that the next start is short', async () => {
    const server = await start();
    await create(server, 3);
    await server.close();
    const again = await start();
    await untilFiles('data', (names) => names.includes('snapshot.4'));
    await again.close();
    lines.length = 0;
    await using third = await start();
    expect(lines).toContainEqual(`recovered snapshot.4 and 0 transactions from 1 logs, up to zxid ${toHex(4n)}`);
    expect(await childrenOf(third, '/')).toHaveLength(4);
  });

  it('are purged when they are old, and what stays is enough', async () => {
    const server = await start({ snapCount: 10, purgeIntervalMs: 50 });
    await create(server, 100);
    const names = await untilFiles('data', (present) => !present.includes('snapshot.0') && !present.includes('log.1'));
    expect(names.filter((name) => name.startsWith('snapshot.')).length).toBeGreaterThanOrEqual(3);
    await server.close();
    await using again = await start();
    expect(await childrenOf(again, '/')).toHaveLength(101);
  });

  it('stop the start when a snapshot is all there is, and is damaged; nothing is changed', async () => {
    const server = await start();
    await server.close();
    await writeFile(join(folder, 'data', 'version-2', 'snapshot.0'), Buffer.from('ZKSN'));
    await expect(start()).rejects.toBeInstanceOf(StorageError);
    expect(await filesIn('data')).toEqual(['snapshot.0']);
  });
});
