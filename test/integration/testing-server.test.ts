/** The testing server, as tests use it: with our own client, on real sockets. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type ConnectionState, type CuratorFramework, connect, RetryNTimes } from 'zookeeper-client-ts';
import { CreateMode, ErrorCode, OPEN_ACL, operations } from 'zookeeper-protocol-ts';
import { TestingServer, TestingServerStateError } from '../../server/src/testing/testing-server.ts';
import { RawConnection } from './raw-connection.ts';

const open = (server: TestingServer): Promise<CuratorFramework> =>
  connect(server.connectString, { sessionTimeoutMs: 5000, connectionTimeoutMs: 3000, retry: new RetryNTimes(20, 50) });

/** The states that a client goes through from now on. */
function statesOf(client: CuratorFramework): ConnectionState[] {
  const states: ConnectionState[] = [];
  client.on('state', (state) => void states.push(state));
  return states;
}

const becomes = (client: CuratorFramework, state: ConnectionState): Promise<void> =>
  new Promise((resolve) => {
    const off = client.on('state', (now) => {
      if (now !== state) return;
      off();
      resolve();
    });
  });

describe('a testing server', () => {
  it('serves on a free port of the loopback address', async () => {
    await using one = await TestingServer.start();
    await using two = await TestingServer.start();
    expect(one.connectString).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(one.port).not.toBe(two.port);
    await using client = await open(one);
    await client.create('/a', { data: 'x' });
    expect(one.sessions).toHaveLength(1);
    expect(two.sessions).toEqual([]);
  });

  it('restarts on the same port with the same data: clients are SUSPENDED, then RECONNECTED, in the same session', async () => {
    await using server = await TestingServer.start();
    await using client = await open(server);
    await client.create('/e', { data: 'kept', mode: 'EPHEMERAL' });
    const states = statesOf(client);
    const { port, sessions } = server;
    const reconnected = becomes(client, 'RECONNECTED');
    await server.restart();
    await reconnected;
    expect(states).toEqual(['SUSPENDED', 'RECONNECTED']);
    expect(server.port).toBe(port);
    expect(server.sessions).toEqual(sessions);
    expect((await client.getData('/e')).data.toString()).toBe('kept');
  });

  it('expires a session: its ephemerals go, and its client is told LOST, then has another', async () => {
    await using server = await TestingServer.start();
    await using client = await open(server);
    await using other = await open(server);
    await client.create('/e', { mode: 'EPHEMERAL' });
    const states = statesOf(client);
    const { sessionId } = client;
    const reconnected = becomes(client, 'RECONNECTED');
    expect(await server.expireSession(sessionId)).toBe(true);
    expect(await other.checkExists('/e')).toBeUndefined();
    await reconnected;
    expect(states).toEqual(['SUSPENDED', 'LOST', 'RECONNECTED']);
    expect(client.sessionId).not.toBe(sessionId);
    expect(await server.expireSession(sessionId)).toBe(false);
  });

  it('drops connections: clients come back by themselves', async () => {
    await using server = await TestingServer.start();
    await using client = await open(server);
    const states = statesOf(client);
    const reconnected = becomes(client, 'RECONNECTED');
    server.dropConnections();
    await reconnected;
    expect(states).toEqual(['SUSPENDED', 'RECONNECTED']);
  });

  it('answers nothing while it is paused, and everything afterwards, with the session and its ephemerals alive', async () => {
    await using server = await TestingServer.start();
    const { connection, session } = await RawConnection.withSession(server.port, { timeoutMs: 300 });
    const ephemeral = { path: '/e', data: null, acl: OPEN_ACL, flags: CreateMode.EPHEMERAL };
    await connection.call(operations.create, ephemeral);
    server.pause();
    let answered = false;
    const answer = connection.call(operations.exists, { path: '/e', watch: false }).finally(() => {
      answered = true;
    });
    // Longer than the session timeout: a server that can't hear its clients must not take them for dead.
    await sleep(600);
    expect(answered).toBe(false);
    server.resume();
    expect((await answer).err).toBe(ErrorCode.OK);
    expect(server.sessions).toEqual([session.sessionId]);
    connection.destroy();
  });

  it('lets the system accept connections while it is paused, and serves them afterwards', async () => {
    await using server = await TestingServer.start();
    server.pause();
    const joining = RawConnection.withSession(server.port);
    await RawConnection.open(server.port).then((other) => other.destroy());
    expect(server.sessions).toEqual([]);
    server.resume();
    const { connection, session } = await joining;
    expect(server.sessions).toEqual([session.sessionId]);
    connection.destroy();
  });

  it('is stopped and started: nobody gets in meanwhile, and what was there is there again', async () => {
    await using server = await TestingServer.start();
    await using client = await open(server);
    await client.create('/a', { data: '1' });
    await server.stop();
    await server.stop();
    await expect(connect(server.connectString, { connectionTimeoutMs: 200 })).rejects.toThrow('ECONNREFUSED');
    expect(server.sessions).toEqual([]);
    await server.start();
    await server.start();
    expect((await client.getData('/a')).data.toString()).toBe('1');
  });

  it('keeps its data in a folder if it is given one, for the next server there', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'testing-server-'));
    try {
      {
        await using server = await TestingServer.start({ dataDir });
        await using client = await open(server);
        await client.create('/a', { data: 'on disk' });
      }
      await using server = await TestingServer.start({ dataDir });
      await using client = await open(server);
      expect((await client.getData('/a')).data.toString()).toBe('on disk');
    } finally {
      await rm(dataDir, { recursive: true });
    }
  });

  it('refuses what makes no sense in its state', async () => {
    const server = await TestingServer.start();
    server.pause();
    await expect(server.expireSession(server.sessions[0] ?? (0n as never))).rejects.toThrow('is paused');
    server.resume();
    await server.stop();
    expect(() => server.pause()).toThrow(TestingServerStateError);
    expect(() => server.dropConnections()).toThrow('is stopped');
    await server.close();
    await server.close();
    await expect(server.start()).rejects.toThrow('is closed');
  });

  it('is closed also while it is paused', async () => {
    const server = await TestingServer.start();
    await using client = await open(server);
    server.pause();
    const suspended = becomes(client, 'SUSPENDED');
    await server.close();
    await suspended;
  });

  it('is ready in well under 100 ms, and as quickly again', async () => {
    const started: number[] = [];
    for (let i = 0; i < 10; i++) {
      const before = performance.now();
      await using server = await TestingServer.start();
      started.push(performance.now() - before);
      await server.stop();
    }
    // The median: a machine that is busy elsewhere must not fail this.
    expect(started.sort((a, b) => a - b)[5]).toBeLessThan(50);
  });
});
