/** Watch streams against a real Apache ZooKeeper: its events, its outages, and that it keeps no watch of theirs. */

import type { Observable, Subscription } from 'rxjs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type CuratorFramework,
  connect,
  ExponentialBackoffRetry,
  KeeperState,
  type TreeChange,
  ZooKeeper,
} from 'zookeeper-client-ts';
import { states, watch } from 'zookeeper-client-ts/rx';
import { type ApacheZooKeeper, startApacheZooKeeper, whyNoApacheZooKeeper } from './apache-zookeeper.ts';

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`skipped: no Apache ZooKeeper here: ${missing}`);

const POLL = { interval: 20, timeout: 30_000 };

/** What a subscriber of a tree knows of it: each old must be what it knew. */
class TreeFollower {
  readonly texts = new Map<string, string>();
  readonly kinds: string[] = [];
  readonly contradictions: TreeChange[] = [];

  readonly next = (change: TreeChange): void => {
    this.kinds.push(`${change.kind} ${change.path}${change.gap ? ' (gap)' : ''}`);
    if (change.kind === 'synced') return;
    if (change.oldNode?.text() !== this.texts.get(change.path)) this.contradictions.push(change);
    if (change.node === undefined) this.texts.delete(change.path);
    else this.texts.set(change.path, change.node.text());
  };
}

describe.skipIf(missing !== undefined)('watch streams with Apache ZooKeeper', () => {
  let server: ApacheZooKeeper;
  beforeAll(async () => {
    server = await startApacheZooKeeper();
  });
  afterAll(() => server.stop());

  const opened: CuratorFramework[] = [];
  const subscriptions: Subscription[] = [];
  afterEach(async () => {
    for (const subscription of subscriptions.splice(0)) subscription.unsubscribe();
    await Promise.all(opened.splice(0).map((client) => client.close()));
  });

  async function connected(options: { namespace?: string } = {}): Promise<CuratorFramework> {
    const client = await connect(server.connectString, {
      sessionTimeoutMs: 10_000,
      retry: new ExponentialBackoffRetry(100, 8),
      // It keeps a watch of its own.
      ensembleTracker: false,
      ...options,
    });
    opened.push(client);
    return client;
  }

  function follow<T>(stream$: Observable<T>): T[] {
    const heard: T[] = [];
    subscriptions.push(stream$.subscribe((value) => heard.push(value)));
    return heard;
  }

  const watchesOnServer = async (): Promise<number> =>
    Number(/Total watches:(\d+)/.exec(await server.ask('wchs'))?.[1] ?? Number.NaN);

  let paths = 0;
  const newPath = (): string => `/streams-${++paths}`;

  it('data$ tells each change with the old and the new, and one of many as a gap', async () => {
    const client = await connected();
    const other = await connected();
    const path = newPath();
    const changes = follow(watch(client, path).data$);
    await expect.poll(() => changes.length, POLL).toBe(1);
    await other.create(path, { data: '0' });
    await expect.poll(() => changes.length, POLL).toBe(2);
    await other.setData(path, '1');
    await expect.poll(() => changes.length, POLL).toBe(3);
    await other.delete(path);
    await expect.poll(() => changes.length, POLL).toBe(4);
    expect(changes.map(({ kind, gap }) => [kind, gap])).toEqual([
      ['current', false],
      ['created', false],
      ['changed', false],
      ['deleted', false],
    ]);
    expect(changes.map(({ oldNode }) => oldNode)).toEqual([undefined, ...changes.slice(0, -1).map(({ node }) => node)]);
  });

  it('children$ adds up, whatever comes and goes', async () => {
    const client = await connected();
    const other = await connected();
    const path = await other.create(newPath());
    const changes = follow(watch(client, path).children$);
    await expect.poll(() => changes.length, POLL).toBe(1);
    const names = Array.from({ length: 50 }, (_, i) => `n${i}`);
    await Promise.all(names.map((name) => other.create(`${path}/${name}`)));
    await Promise.all(names.slice(0, 25).map((name) => other.delete(`${path}/${name}`)));
    await expect.poll(() => changes.at(-1)?.children, POLL).toEqual(names.slice(25).sort());
    await expect.poll(() => changes.at(-1)?.stat?.cversion, POLL).toBe(75);
    for (const { oldChildren, added, removed, children } of changes) {
      const left = oldChildren.filter((name) => !removed.includes(name));
      expect([...left, ...added].sort()).toEqual(children);
    }
  });

  it.each(['restart', 'kill', 'session expiry'] as const)('a tree is whole again after a %s', async (outage) => {
    const client = await connected();
    const other = await connected();
    const root = await other.create(newPath(), { data: 'root' });
    for (const name of ['a', 'b', 'c']) await other.create(`${root}/${name}/x`, { parents: true, data: name });
    const follower = new TreeFollower();
    subscriptions.push(watch(client, root).tree$.subscribe(follower));
    await expect.poll(() => follower.kinds.at(-1), POLL).toBe(`synced ${root}`);
    const heardStates = follow(states(client));

    // What happens while the stream is cut off must be found by itself.
    const { sessionId: id, sessionPassword: password } = client.zookeeper;
    if (outage === 'session expiry') {
      await using twin = new ZooKeeper({ connectString: server.connectString, session: { id, password } });
      await new Promise<void>((resolve) => {
        twin.on('session', (state) => {
          if (state === KeeperState.SyncConnected) resolve();
        });
      });
    } else {
      if (outage === 'kill') await server.kill();
      await server.restart();
    }
    await other.setData(`${root}/a/x`, 'A');
    await other.delete(`${root}/b`, { children: true });
    await other.delete(`${root}/c/x`);
    await other.create(`${root}/c/x`, { data: 'again' });
    await other.create(`${root}/d`, { data: 'd' });

    const expected = { '': 'root', '/a': '', '/a/x': 'A', '/c': '', '/c/x': 'again', '/d': 'd' };
    await expect
      .poll(() => Object.fromEntries([...follower.texts].map(([path, text]) => [path.slice(root.length), text])), POLL)
      .toEqual(expected);
    await expect.poll(() => follower.kinds, POLL).toContain(`synced ${root} (gap)`);
    expect(follower.contradictions).toEqual([]);
    expect(heardStates).toContain('RECONNECTED');
    expect(heardStates.includes('LOST')).toBe(outage === 'session expiry');
    // And it goes on.
    await other.setData(`${root}/d`, 'D');
    await expect.poll(() => follower.texts.get(`${root}/d`), POLL).toBe('D');
  });

  it('streams of several kinds on one path, and one-shot watches beside them, all hear of everything', async () => {
    const client = await connected();
    const other = await connected();
    const path = await other.create(newPath());
    await other.create(`${path}/a`);
    const tree: TreeChange[] = [];
    const treeSubscription = watch(client, path).tree$.subscribe((change) => tree.push(change));
    const children = follow(watch(client, path).children$);
    const data = follow(watch(client, path).data$);
    await expect.poll(() => [tree.length, children.length, data.length], POLL).toEqual([3, 1, 1]);
    const events: string[] = [];
    await client.getData(path, { watcher: (event) => events.push(event.path) });
    await client.getChildren(path, { watcher: (event) => events.push(event.path) });
    for (const round of ['1', '2']) {
      await other.setData(path, round);
      await other.setData(`${path}/a`, round);
      await other.create(`${path}/n${round}`);
      await expect
        .poll(() => [tree.length, children.length, data.length], POLL)
        .toEqual(round === '1' ? [6, 2, 2] : [9, 3, 3]);
    }
    expect(tree.every(({ gap }) => !gap)).toBe(true);
    expect(events).toEqual([path, path]);
    // The others hear of everything when the tree's watch is gone.
    treeSubscription.unsubscribe();
    await client.sync(path);
    await other.create(`${path}/n3`);
    await other.setData(path, '3');
    await expect.poll(() => [tree.length, children.length, data.length], POLL).toEqual([9, 4, 4]);
  });

  it('a loop with a namespace ends with its signal', async () => {
    const client = await connected({ namespace: `ns${newPath().slice(1)}` });
    const controller = new AbortController();
    const heard: string[] = [];
    const loop = (async () => {
      for await (const change of client.watch('/', { recursive: true, signal: controller.signal })) {
        heard.push(`${change.kind} ${change.path}`);
      }
    })();
    await client.create('/a/b', { parents: true });
    await expect.poll(() => heard.at(-1), POLL).toMatch(/ \/a\/b$|synced/);
    controller.abort(new Error('enough'));
    await expect(loop).rejects.toThrow('enough');
  });

  it('leaves no watch on the server after 20 rounds of subscribing and unsubscribing', async () => {
    const client = await connected();
    const path = await client.create(newPath());
    await client.create(`${path}/a`);
    await expect.poll(watchesOnServer, POLL).toBe(0);
    for (let round = 0; round < 20; round++) {
      const { data$, exists$, children$, tree$ } = watch(client, round % 2 === 0 ? path : `${path}/none`);
      const all = [data$.subscribe(), exists$.subscribe(), children$.subscribe(), tree$.subscribe()];
      // At first before anything was answered.
      if (round >= 10) await expect.poll(watchesOnServer, POLL).toBeGreaterThan(0);
      for (const subscription of all) subscription.unsubscribe();
    }
    await expect.poll(watchesOnServer, POLL).toBe(0);
  });
});
