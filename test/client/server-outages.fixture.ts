/** What users of a CuratorFramework see when a server restarts, crashes and freezes: the same against every server. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ConnectionLossError,
  CuratorFramework,
  EventType,
  ExponentialBackoffRetry,
  RetryNTimes,
  type WatchedEvent,
} from 'zookeeper-client-ts';
import { changes, ENDS_MS, followThrough, Guests, newPath, type OutageServer, POLL } from './outage-guests.fixture.ts';

/** A server in a process of its own, on a port that it keeps. */
export interface ServerProcess extends OutageServer {
  /** Lets it crash. */
  kill(): Promise<void>;
  /** Stops it if it runs, and starts it with what it had written. */
  restart(): Promise<void>;
  /** SIGSTOP. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
  /** For good. */
  stop(): Promise<void>;
}

/** Defines the tests. Each starts from a server that serves, and leaves it so. */
export function describeServerOutages(name: string, start: () => Promise<ServerProcess>): void {
  describe(name, { timeout: 120_000 }, () => {
    let server: ServerProcess;
    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server?.stop());

    it('restarts: SUSPENDED, RECONNECTED; the session, its ephemerals and its watches are kept', async () => {
      await using guests = new Guests(server);
      const { client, states } = await guests.connected();
      const { client: other } = await guests.connected();
      const { sessionId } = client;
      const path = await client.create(newPath(), { mode: 'EPHEMERAL' });
      const once: WatchedEvent[] = [];
      const always: WatchedEvent[] = [];
      await client.getData(path, { watcher: (event) => once.push(event) });
      await client.addWatch(path, (event) => always.push(event), { recursive: true });
      await server.restart();
      await other.setData(path, 'after');
      await other.setData(path, 'once more');
      await expect.poll(() => changes(once), POLL).toEqual([EventType.NodeDataChanged]);
      await expect.poll(() => changes(always).length, POLL).toBeGreaterThan(0);
      // What came before the watches were restored is told once, by the one that is used up.
      await other.setData(path, 'at last');
      await expect.poll(() => changes(always).length, POLL).toBeGreaterThan(1);
      expect(changes(once)).toHaveLength(1);
      expect((await other.checkExists(path))?.ephemeralOwner).toBe(sessionId);
      expect(client.sessionId).toBe(sessionId);
      expect(states).toEqual(['SUSPENDED', 'RECONNECTED']);
    });

    it('is killed with calls under way: each is settled, and what was resolved has happened', async () => {
      await using guests = new Guests(server);
      const { client, states } = await guests.connected(server, { retry: new RetryNTimes(0, 0) });
      const { sessionId } = client;
      const root = await client.create(newPath());
      const outcomes: Promise<'there' | 'unknown'>[] = [];
      let resolved = 0;
      for (let i = 0; i < 2000; i++) {
        const creating = client.create(`${root}/n${i}`);
        const onResolved = () => {
          resolved++;
          return 'there' as const;
        };
        outcomes.push(creating.then(onResolved, unlessUnknown));
      }
      await expect.poll(() => resolved, { interval: 1, timeout: POLL.timeout }).toBeGreaterThan(100);
      await server.kill();
      await server.restart();
      const settled = await Promise.all(outcomes);
      await expect.poll(() => client.connected, POLL).toBe(true);
      const names = new Set(await client.getChildren(root));
      const lost = settled.flatMap((outcome, i) => (outcome === 'there' && !names.has(`n${i}`) ? [i] : []));
      expect(lost).toEqual([]);
      expect(client.sessionId).toBe(sessionId);
      expect(states).toEqual(['SUSPENDED', 'RECONNECTED']);
    });

    it('is stopped for a while: calls wait, and nobody hears of it', async () => {
      await using guests = new Guests(server);
      const { client, states } = await guests.connected();
      const path = await client.create(newPath(), { mode: 'EPHEMERAL' });
      server.pause();
      const reading = client.getData(path);
      const writing = client.setData(path, 'written');
      await expect(client.sync(path, { signal: AbortSignal.timeout(200) })).rejects.toThrow('timeout');
      server.resume();
      expect((await reading).stat.ephemeralOwner).toBe(client.sessionId);
      expect((await writing).version).toBe(1);
      expect(states).toEqual([]);
    });

    it('is stopped for longer than the session: SUSPENDED, LOST; afterwards RECONNECTED in another one', async () => {
      await using guests = new Guests(server);
      const { client, states } = await guests.connected(server, { sessionTimeoutMs: ENDS_MS });
      const { sessionId } = client;
      const path = await client.create(newPath(), { mode: 'EPHEMERAL' });
      server.pause();
      try {
        await expect.poll(() => client.state, POLL).toBe('LOST');
        expect(states).toEqual(['SUSPENDED', 'LOST']);
      } finally {
        server.resume();
      }
      await expect.poll(() => client.state, POLL).toBe('RECONNECTED');
      expect(states).toEqual(['SUSPENDED', 'LOST', 'RECONNECTED']);
      expect(client.sessionId).not.toBe(sessionId);
      await expect.poll(() => client.checkExists(path), POLL).toBeUndefined();
    });

    it('is away for longer than the session: LOST comes when the lease ends, not before and not without it', async () => {
      await using guests = new Guests(server);
      const { client, states } = await guests.connected(server, { sessionTimeoutMs: ENDS_MS });
      const { sessionId, zookeeper } = client;
      const path = await client.create(newPath(), { mode: 'EPHEMERAL' });
      let lostAt = 0;
      client.on('state', (state) => {
        if (state === 'LOST') lostAt = client.clock.now();
      });
      await server.kill();
      await expect.poll(() => client.state, POLL).toBe('SUSPENDED');
      const { leaseEnd } = client;
      const deleting = client.delete(path, { guaranteed: true, quietly: true });
      await expect.poll(() => client.state, POLL).toBe('LOST');
      expect(lostAt).toBeGreaterThanOrEqual(leaseEnd);
      expect(zookeeper.state).toBe('CLOSED');
      await server.restart();
      await deleting;
      expect(states).toEqual(['SUSPENDED', 'LOST', 'RECONNECTED']);
      expect(client.sessionId).not.toBe(sessionId);
      expect(await client.checkExists(path)).toBeUndefined();
    });

    it('comes up late: SUSPENDED, then CONNECTED, and whoever waited goes on', async () => {
      await using guests = new Guests(server);
      await server.kill();
      const client = CuratorFramework.builder()
        .connectString(server.connectString)
        .retryPolicy(new ExponentialBackoffRetry(50, 10))
        .build();
      const states = guests.own(client);
      client.start();
      const root = newPath();
      const making = client.createContainers(`${root}/a/b`);
      await expect.poll(() => client.state, POLL).toBe('SUSPENDED');
      await server.restart();
      await making;
      expect(await client.checkExists(`${root}/a/b`)).toBeDefined();
      expect(states).toEqual(['SUSPENDED', 'CONNECTED']);
    });

    it('is killed under watch streams: they show what there is', async () => {
      await using guests = new Guests(server);
      const states = await followThrough(guests, expect, async () => {
        await server.kill();
        await server.restart();
      });
      expect(states).toEqual(['SUSPENDED', 'RECONNECTED']);
    });
  });
}

/** @throws what says that a call was refused */
function unlessUnknown(error: unknown): 'unknown' {
  if (error instanceof ConnectionLossError) return 'unknown';
  throw error;
}
