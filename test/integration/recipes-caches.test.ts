/** Caches and watchers on a server in memory, over real sockets, through outages, restarts and lost sessions. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type ConnectOptions,
  CREATOR_ALL_ACL,
  type CuratorFramework,
  connect,
  isRetryable,
  joinPath,
  NodeExistsError,
  NoNodeError,
  NotEmptyError,
  OPEN_ACL,
  parentOf,
  RetryNTimes,
  type ZooKeeperError,
} from 'zookeeper-client-ts';
import {
  type ChildData,
  CuratorCache,
  json,
  NodeCache,
  PathChildrenCache,
  PersistentWatcher,
  string,
  TreeCache,
} from 'zookeeper-recipes-ts';
import { TestingServer } from 'zookeeper-server-ts/testing';

let server: TestingServer;
/** Writes what the caches are to show. */
let writer: CuratorFramework;

/** What a test has opened, the latest first. */
const opened: AsyncDisposable[] = [];

function open<T extends AsyncDisposable>(resource: T): T {
  opened.push(resource);
  return resource;
}

const newClient = async (options: ConnectOptions = {}): Promise<CuratorFramework> =>
  open(
    await connect(server.connectString, {
      sessionTimeoutMs: 10_000,
      connectionTimeoutMs: 5_000,
      retry: new RetryNTimes(100, 50),
      ...options,
    }),
  );

beforeEach(async () => {
  server = await TestingServer.start();
  writer = await newClient();
});

afterEach(async () => {
  for (const resource of opened.splice(0).reverse()) await resource[Symbol.asyncDispose]();
  await server.close();
});

/** Paths and texts of what there is at and below a path, as the server says. */
async function treeAt(path: string): Promise<Record<string, string>> {
  try {
    const { data } = await writer.getData(path);
    const children = await writer.getChildren(path);
    const below = await Promise.all(children.map((child) => treeAt(joinPath(path, child))));
    return Object.assign({ [path]: data.toString() }, ...below);
  } catch (error) {
    if (error instanceof NoNodeError) return {};
    throw error;
  }
}

const shownBy = (cache: Iterable<ChildData>): Record<string, string> =>
  Object.fromEntries([...cache].map(({ path, data }) => [path, data.toString()]));

/** Whether the client's servers are believed to know persistent watches: up to ZooKeeper 3.5 they don't. */
const pretendOldServers = (client: CuratorFramework): void => {
  client.watchScope.persistentWatches.refused = true;
};

describe('CuratorCache', () => {
  it('shows the tree when it has started, then what changes, and nothing more when it is closed', async () => {
    await writer.create('/a/b/c', { parents: true, data: '1' });
    const client = await newClient({ namespace: 'a' });
    const cache = await new CuratorCache(client, '/b', { serializer: string }).start();
    expect([...cache].map(({ path, value }) => [path, value])).toEqual([
      ['/b', ''],
      ['/b/c', '1'],
    ]);
    const events: unknown[] = [];
    cache.on('created', (_oldNode, node) => events.push(['created', node.path, node.value]));
    cache.on('changed', (oldNode, node) => events.push(['changed', node.path, oldNode.value, node.value]));
    cache.on('deleted', (oldNode) => events.push(['deleted', oldNode.path, oldNode.value]));
    await writer.setData('/a/b/c', '2');
    await expect.poll(() => events).toEqual([['changed', '/b/c', '1', '2']]);
    await writer.create('/a/b/d', { data: '3' });
    await expect.poll(() => events.at(-1)).toEqual(['created', '/b/d', '3']);
    await writer.delete('/a/b/c');
    await expect.poll(() => events.at(-1)).toEqual(['deleted', '/b/c', '2']);
    await cache.close();
    const told = events.length;
    await writer.delete('/a/b/d');
    await client.sync('/b');
    expect(events).toHaveLength(told);
  });

  it('tells a znode that is created again while it is cut off as deleted and created, and is synced then (CURATOR-296)', async () => {
    await writer.create('/a/b', { parents: true, data: 'same' });
    const client = await newClient();
    const cache = open(await new CuratorCache(client, '/a').start());
    const events: string[] = [];
    cache.on('created', (_oldNode, { path }) => events.push(`created ${path}`));
    cache.on('changed', (_oldNode, { path }) => events.push(`changed ${path}`));
    cache.on('deleted', ({ path }) => events.push(`deleted ${path}`));
    cache.on('synced', () => events.push('synced'));
    await server.stop();
    await expect.poll(() => client.state).toBe('SUSPENDED');
    await client.zookeeper.close();
    await server.start();
    const { version } = cache.get('/a/b')?.stat ?? {};
    await writer.transaction([writer.op.delete('/a/b'), writer.op.create('/a/b', { data: 'same' })]);
    await expect.poll(() => events).toContain('synced');
    await expect.poll(() => events).toContain('created /a/b');
    expect(events.filter((event) => event !== 'synced')).toEqual(['deleted /a/b', 'created /a/b']);
    expect(cache.get('/a/b')?.stat.version).toBe(version);
  });

  it('waits for a znode that is not there, and comes back with it', async () => {
    const cache = open(await new CuratorCache(await newClient(), '/late').start());
    expect(cache.size).toBe(0);
    await writer.create('/late/child', { parents: true, data: 'x' });
    await expect.poll(() => shownBy(cache)).toEqual({ '/late': '', '/late/child': 'x' });
    await writer.delete('/late', { children: true });
    await expect.poll(() => cache.size).toBe(0);
    await writer.create('/late', { data: 'again' });
    await expect.poll(() => shownBy(cache)).toEqual({ '/late': 'again' });
  });

  it('reads compressed data, and data that are not compressed as they are, with an error event', async () => {
    const client = await newClient();
    await client.create('/a', { data: 'packed', compressed: true });
    await client.create('/a/plain', { data: 'plain' });
    const cache = open(new CuratorCache(client, '/a', { compressedData: true }));
    const errors: ZooKeeperError[] = [];
    cache.on('error', (error) => errors.push(error as ZooKeeperError));
    await cache.start();
    expect(shownBy(cache)).toEqual({ '/a': 'packed', '/a/plain': 'plain' });
    expect(errors).toEqual([expect.objectContaining({ code: 'DATA_INCONSISTENCY', path: '/a/plain' })]);
  });

  it('may not read: its start is refused', async () => {
    await writer.create('/secret', { acl: [{ perms: 31, id: { scheme: 'ip', id: '10.1.2.3' } }] });
    const cache = new CuratorCache(await newClient(), '/secret');
    cache.on('error', () => undefined);
    await expect(cache.start()).rejects.toMatchObject({ code: 'NO_AUTH' });
    expect(cache.state).toBe('CLOSED');
  });

  it.each([true, false])(
    'goes on without what it may not read, and shows it when it may; persistent watches: %s',
    async (persistentWatches) => {
      const owner = await newClient({ authorization: [{ scheme: 'digest', auth: 'owner:secret' }] });
      await owner.create('/a/b', { parents: true, data: 'open' });
      await owner.create('/a/secret/key', { parents: true, data: 'hidden' });
      await owner.setACL('/a/secret', CREATOR_ALL_ACL);

      const client = await newClient();
      if (!persistentWatches) pretendOldServers(client);
      const errors: unknown[] = [];
      client.on('error', (error) => errors.push(error));
      const cache = open(await new CuratorCache(client, '/a').start());
      expect(shownBy(cache)).toEqual({ '/a': '', '/a/b': 'open' });
      expect(errors).toEqual([expect.objectContaining({ code: 'NO_AUTH', path: '/a/secret' })]);

      await owner.setData('/a/secret/key', 'still hidden');
      await owner.setData('/a/b', 'changed');
      await expect.poll(() => shownBy(cache)).toEqual({ '/a': '', '/a/b': 'changed' });
      const synced = new Promise<void>((resolve) => cache.on('synced', resolve));
      server.dropConnections();
      await synced;
      expect(errors).toHaveLength(1);

      await owner.setACL('/a/secret', OPEN_ACL);
      await owner.setData('/a/secret', 'open');
      // One-shot watches name what changes by the list of its parent.
      if (!persistentWatches) await owner.create('/a/c');
      const shown = { '/a': '', '/a/b': 'changed', '/a/secret': 'open', '/a/secret/key': 'still hidden' };
      await expect.poll(() => shownBy(cache)).toMatchObject(shown);
    },
  );

  it('ends when its client is closed', async () => {
    const client = await newClient();
    const cache = await new CuratorCache(client, '/a').start();
    await client.close();
    await expect.poll(() => cache.state).toBe('CLOSED');
    await cache.close();
  });
});

describe('NodeCache', () => {
  it('shows its znode through an outage and a lost session', async () => {
    const client = await newClient();
    const cache = open(await new NodeCache(client, '/config', { serializer: json<{ port: number }>() }).start());
    const ports: (number | undefined)[] = [];
    cache.on('nodeChanged', (node) => ports.push(node?.value?.port));
    await writer.create('/config', { data: '{"port":1}' });
    await expect.poll(() => ports).toEqual([1]);
    server.dropConnections();
    await writer.setData('/config', '{"port":2}');
    await expect.poll(() => ports).toEqual([1, 2]);
    await server.expireSession(client.sessionId);
    await writer.setData('/config', '{"port":3}');
    await expect.poll(() => ports).toEqual([1, 2, 3]);
    await writer.delete('/config');
    await expect.poll(() => cache.getCurrentData()).toBeUndefined();
  });
});

describe('PathChildrenCache and TreeCache', () => {
  it('see the children of a path, and as much of the tree as is wanted', async () => {
    for (const path of ['/a/b/c/d', '/a/x']) await writer.create(path, { parents: true, data: path });
    const client = await newClient();
    const children = open(await new PathChildrenCache(client, '/a', { serializer: string }).start());
    const tree = open(await new TreeCache(client, '/a', { maxDepth: 2 }).start());
    expect(children.getCurrentData().map(({ path, value }) => [path, value])).toEqual([
      ['/a/b', ''],
      ['/a/x', '/a/x'],
    ]);
    expect([...(tree.getCurrentChildren('/a/b')?.keys() ?? [])]).toEqual(['c']);
    expect(tree.getCurrentData('/a/b/c/d')).toBeUndefined();
    await writer.create('/a/y');
    await expect.poll(() => children.getCurrentData('/a/y')).toBeDefined();
    await expect.poll(() => tree.size).toBe(5);
  });
});

describe('PersistentWatcher', () => {
  it('hears of everything below its path, in its namespace, also in the next session (CURATOR-1259)', async () => {
    const client = await newClient({ namespace: 'ns' });
    const watcher = open(new PersistentWatcher(client, '/a', { recursive: true }));
    const events: string[] = [];
    watcher.on('event', ({ path }) => events.push(path));
    watcher.on('reset', () => events.push('reset'));
    watcher.start();
    await expect.poll(() => events).toEqual(['reset']);
    await writer.create('/ns/a/b', { parents: true });
    await expect.poll(() => events).toEqual(['reset', '/a', '/a/b']);
    await server.expireSession(client.sessionId);
    await expect.poll(() => events.filter((event) => event === 'reset').length).toBe(2);
    await writer.setData('/ns/a/b', 'x');
    await expect.poll(() => events.at(-1)).toBe('/a/b');
  });
});

/** Numbers that look random and are the same for the same seed (mulberry32). */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const PATHS = ['/r', '/r/a', '/r/a/b', '/r/a/b/c', '/r/a/d', '/r/e', '/r/e/f'];

/** Makes, writes, deletes, replaces: what is refused changes nothing, and what is lost in an outage may have happened. */
async function changeSomething(random: (below: number) => number, step: number): Promise<void> {
  const path = PATHS[random(PATHS.length)] ?? '/r';
  const { op } = writer;
  try {
    switch (random(6)) {
      case 0:
        return await writer.delete(path, { children: true });
      case 1:
        // Another znode with the same version.
        await writer.transaction([op.delete(path), op.create(path, { data: `${step}` })]);
        return;
      case 2:
        await writer.setData(path, `${step}`);
        return;
      default:
        await writer.create(path, { data: `${step}` });
    }
  } catch (error) {
    const isRefused = [NoNodeError, NodeExistsError, NotEmptyError].some((type) => error instanceof type);
    if (!isRefused && !isRetryable(error)) throw error;
  }
}

/** Applies events, and notes where one is impossible: what a listener throws goes no further. */
class Follower {
  readonly shown = new Map<string, string>();
  readonly impossible: string[] = [];

  constructor(cache: CuratorCache) {
    cache.on('created', (_oldNode, { path, data }) => {
      this.#require(!this.shown.has(path), `created twice: ${path}`);
      this.#require(path === '/r' || this.shown.has(parentOf(path)), `created without its parent: ${path}`);
      this.shown.set(path, data.toString());
    });
    cache.on('changed', (oldNode, { path, data, stat }) => {
      this.#require(this.shown.get(path) === oldNode.data.toString(), `changed from something else: ${path}`);
      this.#require(stat.czxid === oldNode.stat.czxid && stat.mzxid > oldNode.stat.mzxid, `not a change: ${path}`);
      this.shown.set(path, data.toString());
    });
    cache.on('deleted', ({ path, data }) => {
      this.#require(this.shown.get(path) === data.toString(), `deleted what was not there: ${path}`);
      const below = [...this.shown.keys()].filter((other) => other.startsWith(`${path}/`));
      this.#require(below.length === 0, `deleted above ${below}`);
      this.shown.delete(path);
    });
  }

  #require(isTrue: boolean, what: string): void {
    if (!isTrue) this.impossible.push(what);
  }
}

describe('a cache, whatever happens to the tree, the connections and the sessions (R-CACHE)', () => {
  it.each([
    { watches: 'persistent', seed: 1 },
    { watches: 'one-shot', seed: 2 },
  ])(
    'shows the tree in the end, by possible steps, with $watches watches',
    async ({ watches, seed }) => {
      const random = seeded(seed);
      const client = await newClient();
      if (watches === 'one-shot') pretendOldServers(client);
      const cache = open(new CuratorCache(client, '/r'));
      const node = open(new NodeCache(client, '/r/a'));
      const children = open(new PathChildrenCache(client, '/r'));
      const follower = new Follower(cache);
      const starting = Promise.all([cache.start(), node.start(), children.start()]);
      for (let step = 0; step < 150; step++) {
        await changeSomething(random, step);
        if (step % 50 === 20) server.dropConnections();
        if (step % 50 === 35) await server.expireSession(client.sessionId);
        if (step === 70) await server.restart();
      }
      await starting;
      const tree = await treeAt('/r');
      await expect.poll(() => shownBy(cache)).toEqual(tree);
      expect(follower.impossible).toEqual([]);
      expect(Object.fromEntries(follower.shown)).toEqual(tree);
      await expect.poll(() => node.getCurrentData()?.data.toString()).toBe(tree['/r/a']);
      const expected = Object.keys(tree).filter((path) => path !== '/r' && parentOf(path) === '/r');
      await expect.poll(() => children.getCurrentData().map(({ path }) => path)).toEqual(expected.sort());
    },
    60_000,
  );
});
