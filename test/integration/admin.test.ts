/** What an administrator asks, over real sockets: four-letter words on the client port, commands and metrics over HTTP. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectTcp, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CreateMode, OPEN_ACL, operations } from 'zookeeper-protocol-ts';
import { ZooKeeperServer, type ZooKeeperServerOptions } from 'zookeeper-server-ts';
import { RawConnection } from './raw-connection.ts';

const LOOPBACK = '127.0.0.1';

let folder: string;
let servers: ZooKeeperServer[];
let open: RawConnection[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'admin-test-'));
  servers = [];
  open = [];
});

afterEach(async () => {
  for (const connection of open) connection.destroy();
  for (const server of servers) await server.close();
  await rm(folder, { recursive: true });
});

async function start(options: Partial<ZooKeeperServerOptions> = {}): Promise<ZooKeeperServer> {
  const server = await ZooKeeperServer.start({
    dataDir: folder,
    clientPort: 0,
    clientPortAddress: LOOPBACK,
    tickTimeMs: 1000,
    preallocateBytes: 64 * 1024,
    fourLetterWords: new Set(['*']),
    ...options,
  });
  servers.push(server);
  return server;
}

const withAdmin = (port = 0): Partial<ZooKeeperServerOptions> => ({
  admin: { host: LOOPBACK, port, commandUrl: '/commands', idleTimeoutMs: 30_000 },
});

async function session(server: ZooKeeperServer): Promise<RawConnection> {
  const { connection } = await RawConnection.withSession(server.address.port);
  open.push(connection);
  return connection;
}

/** Sends the pieces, each after the one before has had time to arrive alone, and returns the answer. */
async function ask(server: ZooKeeperServer, ...pieces: readonly (string | Buffer)[]): Promise<string> {
  const connection = await RawConnection.open(server.address.port, { framed: false });
  open.push(connection);
  for (const piece of pieces) {
    connection.write(Buffer.from(piece));
    await new Promise(setImmediate);
  }
  await connection.closed;
  return connection.text;
}

const create = (connection: RawConnection, path: string) =>
  connection.call(operations.create, { path, data: Buffer.from('x'), acl: OPEN_ACL, flags: CreateMode.PERSISTENT });

describe('a four-letter word', () => {
  it('may come in pieces, and stmk with its mask behind it', async () => {
    const server = await start();
    expect(await ask(server, 'ru', 'ok')).toBe('imok');
    expect(await ask(server, 'stmk', Buffer.alloc(7), Buffer.from([5]))).toBe('5');
    expect(await ask(server, 'gtmk')).toBe('5');
  });

  it('is answered once, whatever comes behind it', async () => {
    expect(await ask(await start(), 'ruokruok\n')).toBe('imok');
  });

  it('counts for the server, and for the connection that asks', async () => {
    const server = await start();
    const connection = await session(server);
    await create(connection, '/a');
    expect(await ask(server, 'srvr')).toMatch(/^Received: 3\nSent: 2\nConnections: 2\n/m);
    const [own, asking] = (await ask(server, 'cons')).split('\n');
    expect(own).toMatch(
      /\[1\]\(queued=0,recved=2,sent=2,sid=0x[0-9a-f]+,lop=CREA,est=\d+,to=10000,lcxid=0x1,lzxid=0x2,/,
    );
    expect(asking).toMatch(/\[0\]\(queued=0,recved=1,sent=0\)$/);
  });

  it('tells how many watchers an event was told to, and how much was read, written and synced', async () => {
    const server = await start();
    const [one, two] = [await session(server), await session(server)];
    await create(one, '/a');
    for (const connection of [one, two]) await connection.call(operations.getData, { path: '/a', watch: true });
    await one.call(operations.getChildren, { path: '/a', watch: true });
    await one.call(operations.setData, { path: '/a', data: Buffer.from('y'), version: -1 });
    await create(two, '/a/b');
    const metrics = new Map(
      (await ask(server, 'mntr')).split('\n').map((line) => line.split('\t') as [string, string]),
    );
    expect(metrics.get('zk_max_node_changed_watch_count')).toBe('2');
    expect(metrics.get('zk_cnt_node_children_watch_count')).toBe('1');
    expect(metrics.get('zk_cnt_node_created_watch_count')).toBe('0');
    expect(metrics.get('zk_cnt_updatelatency')).toBe('5');
    expect(metrics.get('zk_cnt_readlatency')).toBe('3');
    expect(metrics.get('zk_connection_request_count')).toBe('2');
    expect(Number(metrics.get('zk_cnt_fsynctime'))).toBeGreaterThan(0);
    expect(Number(metrics.get('zk_bytes_received_count'))).toBeGreaterThan(200);
    expect(Number(metrics.get('zk_watch_bytes'))).toBe(3 * (4 + 16 + 4 + 4 + 4 + '/a'.length));
    expect(metrics.get('zk_cnt_snapshottime')).toBe('1');
  });

  it('tells a dropped connection, and one that was refused', async () => {
    const server = await start({ maxClientCnxns: 1 });
    const connection = await session(server);
    const refused = await RawConnection.open(server.address.port);
    await refused.closed;
    connection.destroy();
    await connection.closed;
    const answer = await ask(server, 'mntr');
    expect(answer).toContain('zk_connection_rejected\t1\n');
    expect(answer).toContain('zk_connection_drop_count\t1\n');
  });
});

describe('the AdminServer', () => {
  const urlOf = (server: ZooKeeperServer): string => `http://${LOOPBACK}:${server.adminAddress?.port}`;

  it('is not there unless it is asked for', async () => {
    const server = await start();
    expect([server.adminAddress, server.prometheusAddress]).toEqual([undefined, undefined]);
  });

  it('answers commands, and says of what is elsewhere that it is not there', async () => {
    const server = await start(withAdmin());
    const ruok = await fetch(`${urlOf(server)}/commands/ruok`);
    expect([ruok.status, ruok.headers.get('content-type')]).toEqual([200, 'application/json']);
    expect(await ruok.json()).toEqual({ command: 'ruok', error: null });
    expect((await fetch(`${urlOf(server)}/commands/unknown`)).status).toBe(200);
    expect((await fetch(`${urlOf(server)}/commandsruok`)).status).toBe(404);
    expect((await fetch(`${urlOf(server)}/commands/srst`, { method: 'POST', body: 'x' })).status).toBe(405);
  });

  it('survives what is no HTTP, and goes on answering others', async () => {
    const server = await start(withAdmin());
    const socket = connectTcp({ host: LOOPBACK, port: server.adminAddress?.port ?? 0 });
    socket.end('GET //[ HTTP/1.1\r\nHost: x\r\n\r\n\0\0\0');
    socket.resume();
    await once(socket, 'close');
    expect((await fetch(`${urlOf(server)}/commands/ruok`)).status).toBe(200);
  });

  it.each([
    ['a header of 100 KB', `GET /commands/ruok HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`, 431],
    ['a path that leads out', 'GET /commands/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n', 404],
    ['an encoded one', 'GET /commands/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n', 404],
    ['a TRACE', 'TRACE /commands/ruok HTTP/1.1\r\nHost: x\r\n\r\n', 405],
    ['no HTTP at all', '\0\0\0\x2c\0\0\0\0\r\n\r\n', 400],
  ])('answers %s with an error, and goes on answering others', async (_what, bytes, status) => {
    const server = await start(withAdmin());
    const socket = connectTcp({ host: LOOPBACK, port: server.adminAddress?.port ?? 0 });
    let text = '';
    socket.on('data', (chunk) => (text += String(chunk)));
    // A socket that is reset behind its answer has had it.
    socket.on('error', () => undefined);
    socket.write(bytes);
    await expect.poll(() => text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    socket.destroy();
    expect((await fetch(`${urlOf(server)}/commands/ruok`)).status).toBe(200);
  });

  it.each([
    ['a request that does not come to its end', 'POST /commands/ruok HTTP/1.1\r\nHost: x\r\nContent-Le'],
    ['a connection on which nothing is asked', ''],
    ['a connection on which nothing more is asked', 'GET /commands/ruok HTTP/1.1\r\nHost: x\r\n\r\n'],
  ])('ends %s after admin.idleTimeout', async (_what, bytes) => {
    const server = await start({
      admin: { host: LOOPBACK, port: 0, commandUrl: '/commands', idleTimeoutMs: 200 },
    });
    const socket = connectTcp({ host: LOOPBACK, port: server.adminAddress?.port ?? 0 });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    socket.resume();
    if (bytes !== '') socket.write(bytes);
    await closed;
    expect((await fetch(`${urlOf(server)}/commands/ruok`)).status).toBe(200);
  });

  it('ends with its server, with connections that are kept open', async () => {
    const server = await start(withAdmin());
    const { port } = server.adminAddress ?? { port: 0 };
    const kept = connectTcp({ host: LOOPBACK, port });
    await once(kept, 'connect');
    kept.resume();
    const closed = once(kept, 'close');
    await server.close();
    await closed;
    await start(withAdmin(port));
  });

  it('that can not have its port keeps the server from starting, and leaves the client port free', async () => {
    const other = createServer().listen(0, LOOPBACK);
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    await expect(start(withAdmin(port))).rejects.toMatchObject({ code: 'ADMIN_SERVER', key: 'admin.serverPort' });
    other.close();
    await start(withAdmin(port));
  });
});

describe('the metrics for Prometheus', () => {
  it('are at /metrics of their own port', async () => {
    const server = await start({ prometheus: { host: LOOPBACK, port: 0, withProcess: true } });
    await create(await session(server), '/a');
    const url = `http://${LOOPBACK}:${server.prometheusAddress?.port}`;
    const response = await fetch(`${url}/metrics`);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const text = await response.text();
    expect(text).toContain('# TYPE znode_count gauge\nznode_count 6.0\n');
    expect(text).toMatch(/^updatelatency_count 2\.0$/m);
    expect(text).toMatch(/^process_resident_memory_bytes \d+\.0$/m);
    // Every line is a comment, or a name with maybe a label, and a double.
    const form = /^(# (HELP|TYPE) \w+ \w+|\w+(\{quantile="[\d.]+",\})? -?\d+(\.\d+)?(e[+-]\d+)?)$/;
    expect(
      text
        .trimEnd()
        .split('\n')
        .filter((line) => !form.test(line)),
    ).toEqual([]);
    expect((await fetch(`${url}/commands/ruok`)).status).toBe(404);
  });
});
