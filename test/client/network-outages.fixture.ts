/**
 * What users of a CuratorFramework see when networks fall silent and break, and when sessions end: the same against every server. The
 * tests run side by side, each with networks and clients of its own.
 */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { EventType, KeeperState, NodeExistsError, NoNodeError, type WatchedEvent } from 'zookeeper-client-ts';
import { LeaderLatch } from 'zookeeper-recipes-ts';
import { changes, ENDS_MS, followThrough, Guests, newPath, type OutageServer, POLL } from './outage-guests.fixture.ts';

/** Defines the tests. */
export function describeNetworkOutages(
  name: string,
  start: () => Promise<OutageServer & { readonly [Symbol.asyncDispose]: () => Promise<void> }>,
): void {
  describe(name, { timeout: 120_000 }, () => {
    let server: OutageServer & AsyncDisposable;
    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server?.[Symbol.asyncDispose]());

    describe('a session that the server has ended', () => {
      it.concurrent('is LOST, then RECONNECTED in another one; watchers are told, ephemerals are gone', async ({
        expect,
      }) => {
        await using guests = new Guests(server);
        const { client, states } = await guests.connected();
        const { zookeeper, sessionId } = client;
        const path = await client.create(newPath(), { mode: 'EPHEMERAL' });
        const heard: WatchedEvent[] = [];
        await client.checkExists(path, { watcher: (event) => heard.push(event) });
        await guests.endSession(zookeeper);
        await expect.poll(() => client.state, POLL).toBe('RECONNECTED');
        expect(states.slice(-2)).toEqual(['LOST', 'RECONNECTED']);
        expect(client.sessionId).not.toBe(sessionId);
        expect(client.zookeeper).not.toBe(zookeeper);
        expect(heard.at(-1)).toMatchObject({ type: EventType.None, state: KeeperState.Expired });
        expect(await client.checkExists(path)).toBeUndefined();
      });

      it.concurrent('takes a leadership with it; the latch comes back with a znode of the next session', async ({
        expect,
      }) => {
        await using guests = new Guests(server);
        const { client } = await guests.connected();
        const root = newPath();
        const latch = new LeaderLatch(client, root, { id: 'a' });
        try {
          const before = await latch.start().leadership();
          await guests.endSession(client.zookeeper);
          await expect.poll(() => before.signal.aborted, POLL).toBe(true);
          const after = await latch.leadership();
          expect(after.token).toBeGreaterThan(before.token);
          expect((await client.checkExists(after.path))?.ephemeralOwner).toBe(client.sessionId);
          expect(await client.getChildren(root)).toHaveLength(1);
        } finally {
          await latch.close();
        }
      });
    });

    describe('a network that', () => {
      it.concurrent.for([
        ['requests', ['request']],
        ['replies', ['reply']],
        ['everything', ['request', 'reply']],
      ] as const)(
        'swallows %s on the connection that there is: another one takes its place, for the same session',
        async ([, silent], { expect }) => {
          await using guests = new Guests(server);
          const proxy = await guests.proxied();
          const { client, states } = await guests.connected(proxy);
          const { sessionId } = client;
          const path = await client.create(newPath(), { mode: 'EPHEMERAL' });
          const heard: WatchedEvent[] = [];
          await client.getData(path, { watcher: (event) => heard.push(event) });
          proxy.silence(silent, { onlyPresent: true });
          // It may be done twice, with the same effect.
          await client.setData(path, 'written');
          await expect.poll(() => changes(heard), POLL).toEqual([EventType.NodeDataChanged]);
          expect(client.sessionId).toBe(sessionId);
          expect(states).toEqual(['SUSPENDED', 'RECONNECTED']);
        },
      );

      it.concurrent('swallows everything, also on new connections: LOST before the server ends the session', async ({
        expect,
      }) => {
        await using guests = new Guests(server);
        const proxy = await guests.proxied();
        const { client, states } = await guests.connected(proxy, { sessionTimeoutMs: ENDS_MS });
        const { client: witness } = await guests.connected();
        const { sessionId } = client;
        const path = await client.create(newPath(), { mode: 'EPHEMERAL' });
        const order: string[] = [];
        const gone = new Promise<void>((resolve) => {
          const onEvent = ({ type }: WatchedEvent) => {
            if (type !== EventType.NodeDeleted) return;
            order.push('deleted');
            resolve();
          };
          witness.checkExists(path, { watcher: onEvent }).catch((error) => order.push(String(error)));
        });
        client.on('state', (state) => order.push(state));
        await witness.sync(path);
        proxy.silence();
        await gone;
        expect(order).toEqual(['SUSPENDED', 'LOST', 'deleted']);
        proxy.heal();
        await expect.poll(() => client.state, POLL).toBe('RECONNECTED');
        expect(states).toEqual(['SUSPENDED', 'LOST', 'RECONNECTED']);
        expect(client.sessionId).not.toBe(sessionId);
      });

      it.concurrent('holds everything up for a while: nobody hears of it', async ({ expect }) => {
        await using guests = new Guests(server);
        const proxy = await guests.proxied();
        const { client, states } = await guests.connected(proxy);
        const path = await client.create(newPath());
        proxy.pause();
        const writing = client.setData(path, 'written');
        await expect(client.getData(path, { signal: AbortSignal.timeout(200) })).rejects.toThrow('timeout');
        proxy.resume();
        expect((await writing).version).toBe(1);
        expect(states).toEqual([]);
      });

      it.concurrent('is slow: calls take longer, and nobody hears of it', async ({ expect }) => {
        await using guests = new Guests(server);
        const proxy = await guests.proxied();
        const { client, states } = await guests.connected(proxy);
        proxy.delay(100);
        const from = client.clock.now();
        const path = await client.create(newPath(), { data: 'slow' });
        expect(client.clock.now() - from).toBeGreaterThan(199);
        expect((await client.getData(path)).data.toString()).toBe('slow');
        expect(states).toEqual([]);
      });

      it.concurrent('breaks connections again and again: each time SUSPENDED, RECONNECTED, in the same session', async ({
        expect,
      }) => {
        await using guests = new Guests(server);
        const proxy = await guests.proxied();
        const { client, states } = await guests.connected(proxy);
        const { sessionId } = client;
        for (const breakIt of [() => proxy.reset(), () => proxy.end(), () => proxy.reset()]) {
          breakIt();
          await expect.poll(() => client.state, POLL).toBe('SUSPENDED');
          await expect.poll(() => client.state, POLL).toBe('RECONNECTED');
        }
        expect(client.sessionId).toBe(sessionId);
        expect(states).toEqual(Array.from({ length: 3 }, () => ['SUSPENDED', 'RECONNECTED']).flat());
      });

      it.concurrent('breaks inside a reply, at any byte: the call is answered on the next connection', async ({
        expect,
      }) => {
        await using guests = new Guests(server);
        const offsets = [1, 3, 4, 10, 20, 30];
        const path = newPath();
        const { client: other } = await guests.connected();
        await other.create(path, { data: 'whole' });
        await Promise.all(
          offsets.map(async (bytes) => {
            const proxy = await guests.proxied();
            const { client, states } = await guests.connected(proxy);
            proxy.cutAfter('reply', bytes);
            const { data, stat } = await client.getData(path);
            expect(data.toString()).toBe('whole');
            expect(stat.version).toBe(0);
            expect(states).toEqual(['SUSPENDED', 'RECONNECTED']);
          }),
        );
      });

      it.concurrent('breaks inside a request: it has not happened, and happens once', async ({ expect }) => {
        await using guests = new Guests(server);
        const proxy = await guests.proxied();
        const { client } = await guests.connected(proxy);
        const root = await client.create(newPath());
        proxy.cutAfter('request', 15);
        const path = await client.create(`${root}/n-`, { mode: 'PERSISTENT_SEQUENTIAL' });
        expect((await client.getChildren(root)).map((name) => `${root}/${name}`)).toEqual([path]);
      });
    });

    describe('a reply that is lost with its connection', () => {
      /** The client's next request is answered, and the answer lost. */
      async function losingTheNextReply(guests: Guests) {
        const proxy = await guests.proxied();
        const { client } = await guests.connected(proxy);
        const root = await client.create(newPath());
        return { client, root, loseNextReply: () => proxy.cutAfter('reply', 0) };
      }

      it.concurrent.for(['PERSISTENT_SEQUENTIAL', 'EPHEMERAL_SEQUENTIAL', 'EPHEMERAL'] as const)(
        'a protected create (%s) finds its znode, and makes no second one',
        async (mode, { expect }) => {
          await using guests = new Guests(server);
          const { client, root, loseNextReply } = await losingTheNextReply(guests);
          loseNextReply();
          const path = await client.create(`${root}/n-`, { protect: true, mode });
          expect((await client.getChildren(root)).map((name) => `${root}/${name}`)).toEqual([path]);
        },
      );

      it.concurrent('a create without protection finds its own znode in the way', async ({ expect }) => {
        await using guests = new Guests(server);
        const { client, root, loseNextReply } = await losingTheNextReply(guests);
        loseNextReply();
        await expect(client.create(`${root}/n`)).rejects.toBeInstanceOf(NodeExistsError);
      });

      it.concurrent('a delete finds nothing, and quietly does not mind', async ({ expect }) => {
        await using guests = new Guests(server);
        const { client, root, loseNextReply } = await losingTheNextReply(guests);
        for (const name of ['a', 'b']) await client.create(`${root}/${name}`);
        loseNextReply();
        await expect(client.delete(`${root}/a`)).rejects.toBeInstanceOf(NoNodeError);
        loseNextReply();
        await client.delete(`${root}/b`, { quietly: true });
        expect(await client.getChildren(root)).toEqual([]);
      });

      it.concurrent('an idempotent setData writes once', async ({ expect }) => {
        await using guests = new Guests(server);
        const { client, root, loseNextReply } = await losingTheNextReply(guests);
        loseNextReply();
        expect((await client.setData(root, 'written', { version: 0, idempotent: true })).version).toBe(1);
        expect((await client.getData(root)).stat.version).toBe(1);
      });

      it.concurrent('a transaction is there as a whole, and says that it was there', async ({ expect }) => {
        await using guests = new Guests(server);
        const { client, root, loseNextReply } = await losingTheNextReply(guests);
        loseNextReply();
        const ops = [client.op.create(`${root}/a`), client.op.create(`${root}/b`)];
        await expect(client.transaction(ops)).rejects.toBeInstanceOf(NodeExistsError);
        expect((await client.getChildren(root)).sort()).toEqual(['a', 'b']);
      });

      it.concurrent('a watch is left, and told', async ({ expect }) => {
        await using guests = new Guests(server);
        const { client, root, loseNextReply } = await losingTheNextReply(guests);
        const heard: WatchedEvent[] = [];
        loseNextReply();
        await client.getData(root, { watcher: (event) => heard.push(event) });
        await client.setData(root, 'written');
        await expect.poll(() => changes(heard), POLL).toEqual([EventType.NodeDataChanged]);
      });
    });

    describe('several servers, of which one is silent', () => {
      it.concurrent('are tried in turn, until one answers', async ({ expect }) => {
        await using guests = new Guests(server);
        const [silent, good] = [await guests.proxied(), await guests.proxied()];
        silent.silence();
        const both = { connectString: `${silent.connectString},${good.connectString}` };
        // Two, so that at least one is likely to begin with the silent one.
        const all = await Promise.all([guests.connected(both), guests.connected(both)]);
        for (const { client } of all) expect(client.connected).toBe(true);
        expect(good.connections).toBe(2);
      });

      it.concurrent('are changed when it falls silent, in the same session', async ({ expect }) => {
        await using guests = new Guests(server);
        const [first, second] = [await guests.proxied(), await guests.proxied()];
        const { client, states } = await guests.connected({
          connectString: `${first.connectString},${second.connectString}`,
        });
        const { sessionId } = client;
        const [used, unused] = first.connections === 1 ? [first, second] : [second, first];
        used.silence();
        await client.create(newPath(), { protect: true, mode: 'EPHEMERAL' });
        expect(unused.connections).toBe(1);
        expect(client.sessionId).toBe(sessionId);
        expect(states).toEqual(['SUSPENDED', 'RECONNECTED']);
      });
    });

    it.concurrent('closing a client behind a silent network takes the session timeout at the most, and settles every call', async ({
      expect,
    }) => {
      await using guests = new Guests(server);
      const proxy = await guests.proxied();
      const { client } = await guests.connected(proxy, { sessionTimeoutMs: ENDS_MS });
      const path = await client.create(newPath(), { mode: 'EPHEMERAL' });
      proxy.silence();
      const calls = [client.getData(path), client.setData(path, ''), client.sync(path), client.transaction([])];
      const outcomes = Promise.allSettled(calls);
      await client.close();
      for (const { status } of await outcomes) expect(status).toBe('rejected');
      const { client: other } = await guests.connected();
      await expect.poll(() => other.checkExists(path), POLL).toBeUndefined();
    });

    describe('watch streams show what there is', () => {
      it.concurrent('after their session has ended', async ({ expect }) => {
        await using guests = new Guests(server);
        const states = await followThrough(guests, expect, (client) => guests.endSession(client.zookeeper));
        expect(states.slice(-2)).toEqual(['LOST', 'RECONNECTED']);
      });

      it.concurrent('after their connection was reset', async ({ expect }) => {
        await using guests = new Guests(server);
        const states = await followThrough(guests, expect, (_, proxy) => proxy.reset());
        expect(states).toEqual(['SUSPENDED', 'RECONNECTED']);
      });

      it.concurrent('after their connection has fallen silent', async ({ expect }) => {
        await using guests = new Guests(server);
        const silence = { onlyPresent: true };
        const states = await followThrough(guests, expect, (_, proxy) => proxy.silence(undefined, silence));
        expect(states).toEqual(['SUSPENDED', 'RECONNECTED']);
      });
    });
  });
}
