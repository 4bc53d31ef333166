/** Caches on a real Apache ZooKeeper, with Java Curator's cache beside ours. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  CREATOR_ALL_ACL,
  type CuratorFramework,
  connect,
  ExponentialBackoffRetry,
  OPEN_ACL,
} from 'zookeeper-client-ts';
import { CuratorCache, NodeCache, PersistentWatcher, string } from 'zookeeper-recipes-ts';
import { type ApacheZooKeeper, startApacheZooKeeper, whyNoApacheZooKeeper } from './apache-zookeeper.ts';
import { CrossPeer } from './cross-peer.fixture.ts';

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`skipped: no Apache ZooKeeper here: ${missing}`);

let server: ApacheZooKeeper;
let client: CuratorFramework;
/** What a test has opened, the latest first. */
const opened: AsyncDisposable[] = [];

function open<T extends AsyncDisposable>(resource: T): T {
  opened.push(resource);
  return resource;
}

describe.skipIf(missing !== undefined)('on a real server', () => {
  beforeAll(async () => {
    server = await startApacheZooKeeper();
    client = await connect(server.connectString, {
      sessionTimeoutMs: 10_000,
      retry: new ExponentialBackoffRetry(100, 5),
    });
  });
  afterAll(async () => {
    await client?.close();
    await server?.stop();
  });
  afterEach(async () => {
    for (const resource of opened.splice(0).reverse()) await resource[Symbol.asyncDispose]();
  });

  it('CuratorCache tells what that of Java Curator tells', async () => {
    await client.create('/c', { data: 'root' });
    const java = open(new CrossPeer(server.connectString, 'cache', '/c'));
    await java.line('INITIALIZED');
    const cache = open(await new CuratorCache(client, '/c', { serializer: string }).start());
    const ours: string[] = [];
    cache.on('created', (_oldNode, { path, value }) => ours.push(`ADDED ${path} ${value}`));
    cache.on('changed', (_oldNode, { path, value }) => ours.push(`CHANGED ${path} ${value}`));
    cache.on('deleted', ({ path }) => ours.push(`REMOVED ${path}`));
    const both = async (change: Promise<unknown>, told: string) => {
      await change;
      const [word = '', ...details] = told.split(' ');
      expect((await java.line(word)).details).toBe(details.join(' '));
      await expect.poll(() => ours.at(-1), { interval: 10 }).toBe(told);
    };
    await both(client.create('/c/a', { data: '1' }), 'ADDED /c/a 1');
    await both(client.create('/c/a/b', { data: '2' }), 'ADDED /c/a/b 2');
    await both(client.setData('/c/a/b', '3'), 'CHANGED /c/a/b 3');
    await both(client.delete('/c/a/b'), 'REMOVED /c/a/b');
    await both(client.delete('/c/a'), 'REMOVED /c/a');
    expect(ours).toHaveLength(5);
  });

  it('a cache leaves out what it may not read, and takes it in when it may', async () => {
    const authorization = [{ scheme: 'digest', auth: 'owner:secret' }];
    const owner = open(await connect(server.connectString, { authorization }));
    await owner.create('/s/open', { parents: true });
    await owner.create('/s/secret/key', { parents: true });
    await owner.setACL('/s/secret', CREATOR_ALL_ACL);
    const reader = open(await connect(server.connectString));
    const errors: unknown[] = [];
    reader.on('error', (error) => errors.push(error));
    const cache = open(await new CuratorCache(reader, '/s').start());
    const paths = () => [...cache].map(({ path }) => path).sort();
    expect(paths()).toEqual(['/s', '/s/open']);
    await owner.setData('/s/secret', 'still');
    await owner.setACL('/s/secret', OPEN_ACL);
    await owner.setData('/s/secret', 'open');
    await expect.poll(paths).toEqual(['/s', '/s/open', '/s/secret', '/s/secret/key']);
    expect(errors).toEqual([expect.objectContaining({ code: 'NO_AUTH', path: '/s/secret' })]);
  });

  it('caches and watchers go on when the server has crashed and is back', async () => {
    await client.create('/d', { data: '1' });
    const cache = open(await new CuratorCache(client, '/d', { serializer: string }).start());
    const node = open(await new NodeCache(client, '/d', { serializer: string }).start());
    const watcher = open(new PersistentWatcher(client, '/d'));
    const events: string[] = [];
    cache.on('synced', () => events.push('synced'));
    watcher.on('reset', () => events.push('reset'));
    watcher.on('event', ({ path }) => events.push(path));
    watcher.start();
    await expect.poll(() => events).toEqual(['reset']);
    await server.kill();
    await server.restart();
    await expect.poll(() => [...events].sort()).toEqual(['reset', 'reset', 'synced']);
    await client.setData('/d', '2');
    await expect.poll(() => [cache.get('/d')?.value, node.getCurrentData()?.value]).toEqual(['2', '2']);
    await expect.poll(() => events.at(-1)).toBe('/d');
  });

  it('leave no watch behind when they are closed', async () => {
    await client.create('/e/f', { parents: true });
    const watches = async () => (await server.ask('wchp')).split('\n').filter((line) => line.startsWith('/e'));
    const recipes = [
      await new CuratorCache(client, '/e').start(),
      await new NodeCache(client, '/e/f').start(),
      new PersistentWatcher(client, '/e/f', { recursive: true }).start(),
    ];
    await expect.poll(watches).toEqual(['/e', '/e/f']);
    for (const recipe of recipes) await recipe.close();
    expect(await watches()).toEqual([]);
  });
});
