/** What an ensemble is judged by: writers that remember what was acknowledged, and the trees of all servers, compared. */
import { join } from 'node:path';
import { expect } from 'vitest';
import { type CuratorFramework, connect, ExponentialBackoffRetry, NodeExistsError } from 'zookeeper-client-ts';
import { joinPath, operations } from 'zookeeper-protocol-ts';
import { FileDisk } from '../../server/src/node/file-disk.ts';
import { nodeGzip } from '../../server/src/node/gzip.ts';
import { type RecoveryOutcome, recover } from '../../server/src/storage/recovery.ts';
import type { EnsembleMember, EnsembleOfProcesses } from './ensemble-processes.fixture.ts';
import { RawConnection } from './raw-connection.ts';

/** The longest that the ensembles of these tests grant: no session ends because a machine is busy. */
export const SESSION_MS = 20_000;

/** A client that goes on through elections. */
export const connectThrough = (connectString: string): Promise<CuratorFramework> =>
  connect(connectString, {
    sessionTimeoutMs: SESSION_MS,
    connectionTimeoutMs: 10_000,
    retry: new ExponentialBackoffRetry(20, 29, 500),
  });

const WRITERS = 3;

/** Clients that write one znode after the other, until they are stopped. */
export class Writers implements AsyncDisposable {
  readonly #clients: readonly CuratorFramework[];
  readonly #work: readonly Promise<void>[];
  readonly #acknowledged: string[] = [];
  #isStopping = false;

  private constructor(folder: string, clients: readonly CuratorFramework[], dataBytes: number) {
    this.#clients = clients;
    this.#work = clients.map((client, writer) => this.#write(client, `${folder}/${writer}-`, dataBytes));
    // Who is still to wait for them will hear of it there.
    for (const each of this.#work) each.catch(() => undefined);
  }

  /**
   * @param folder a znode of their own
   * @param options `dataBytes` in each of those that they write in it
   */
  static async start(connectString: string, folder: string, { dataBytes = 8 } = {}): Promise<Writers> {
    const clients = await Promise.all(Array.from({ length: WRITERS }, () => connectThrough(connectString)));
    await clients[0]?.create(folder);
    return new Writers(folder, clients, dataBytes);
  }

  /** So many are acknowledged by now. */
  get count(): number {
    return this.#acknowledged.length;
  }

  /** Waits until `more` writes are acknowledged, from now on. */
  async go(more: number): Promise<void> {
    const goal = this.count + more;
    await expect.poll(() => this.count, { timeout: 60_000, interval: 20 }).toBeGreaterThanOrEqual(goal);
  }

  /** @returns the paths of all that was acknowledged */
  async stop(): Promise<readonly string[]> {
    this.#isStopping = true;
    await Promise.all(this.#work);
    await Promise.all(this.#clients.map((client) => client.close()));
    return this.#acknowledged;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  async #write(client: CuratorFramework, prefix: string, dataBytes: number): Promise<void> {
    for (let i = 0; !this.#isStopping; i++) {
      const path = `${prefix}${i}`;
      try {
        await client.create(path, { data: Buffer.alloc(dataBytes, i) });
      } catch (error) {
        // Its first attempt had been carried out, and was not heard of.
        if (!(error instanceof NodeExistsError)) throw error;
      }
      this.#acknowledged.push(path);
    }
  }
}

/** A session on this server, as soon as it gives one: it may still follow a leader who is gone. */
export async function sessionOn(member: EnsembleMember): Promise<RawConnection> {
  let connection: RawConnection | undefined;
  await expect
    .poll(
      async () => {
        connection = await withSession(member).catch(() => undefined);
        return connection !== undefined;
      },
      { timeout: 40_000, interval: 50 },
    )
    .toBe(true);
  if (connection === undefined) throw new Error('it has a session');
  return connection;
}

async function withSession({ host, clientPort }: EnsembleMember): Promise<RawConnection> {
  const connection = await RawConnection.open(clientPort, { host });
  await connection.connect({ timeoutMs: SESSION_MS });
  return connection;
}

/** All that clients can see on this server, after everything that was acknowledged anywhere. */
export async function treeOf(member: EnsembleMember): Promise<Record<string, unknown>> {
  const connection = await sessionOn(member);
  await connection.call(operations.sync, { path: '/' });
  const seen: Record<string, unknown> = {};
  const look = async (path: string): Promise<void> => {
    const [children, data, acl] = await Promise.all([
      connection.call(operations.getChildren2, { path, watch: false }),
      connection.call(operations.getData, { path, watch: false }),
      connection.call(operations.getACL, { path }),
    ]);
    // Each server writes its own configuration there, when it begins to serve.
    const stat = path === '/zookeeper/config' ? undefined : data.body?.stat;
    seen[path] = { data: data.body?.data?.toString('hex'), stat, err: data.err, acl: acl.body?.acl };
    await Promise.all((children.body?.children ?? []).map((name) => look(joinPath(path, name))));
  };
  await look('/');
  await connection.call(operations.closeSession, undefined);
  connection.destroy();
  return seen;
}

/**
 * All servers have the same tree, to the last field of the last stat, and it has these paths. Nobody may write meanwhile.
 * @returns that tree
 */
export async function expectOneTree(
  ensemble: EnsembleOfProcesses,
  paths: readonly string[] = [],
): Promise<Record<string, unknown>> {
  await ensemble.untilServing();
  const [first = {}, ...others] = await Promise.all(ensemble.members.map(treeOf));
  for (const other of others) expect(other).toEqual(first);
  expect(paths.filter((path) => first[path] === undefined)).toEqual([]);
  return first;
}

/**
 * Stops all servers, and opens what is on their disks: everywhere the same digest, and none of those that Java writes beside each
 * transaction was ever another one.
 */
export async function expectOneDigest(ensemble: EnsembleOfProcesses): Promise<void> {
  for (const member of ensemble.members) expect(await member.monitored('digest_mismatches_count')).toBe(0);
  await expect
    .poll(async () => new Set(await Promise.all(ensemble.members.map(lastZxid))).size, { timeout: 15_000 })
    .toBe(1);
  await ensemble.stopAll();
  const databases = await Promise.all(ensemble.members.map(databaseOf));
  const [first] = databases;
  for (const database of databases) {
    expect(database.digestMismatches).toBe(0);
    expect(database.lastZxid).toBe(first?.lastZxid);
    expect(database.tree.digest).toBe(first?.tree.digest);
  }
}

const lastZxid = async (member: EnsembleMember): Promise<string> =>
  /Zxid: (\S+)/.exec(await member.ask('srvr'))?.[1] ?? `none of server ${member.id}`;

async function databaseOf(member: EnsembleMember) {
  const disk = new FileDisk(join(member.folder, 'data', 'version-2'));
  const outcome = await new Promise<RecoveryOutcome>((resolve) =>
    recover({ logDisk: disk, snapshotDisk: disk, gzip: nodeGzip, checkDigest: true, trustEmpty: false }, resolve),
  );
  if ('error' in outcome) throw outcome.error;
  return outcome.database;
}
