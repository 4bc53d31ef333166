/**
 * R-CACHE in virtual time: whatever happens to the tree, the connection and the session, a cache shows the tree in the end, and gets
 * there by possible steps. The client and the recipes are the real ones; the server is in memory and fails as it is told.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CuratorFramework, NO_SESSION, parentOf, RetryNTimes } from 'zookeeper-client-ts';
import { type ChildData, CuratorCache, NodeCache, string, TreeCache } from 'zookeeper-recipes-ts';
import { FakeServer } from '../../client/src/operations/fake-server.fixture.ts';

const ROOT = '/r';
const PATHS = ['/r', '/r/a', '/r/a/b', '/r/a/b/c', '/r/d'] as const;

type Event =
  | { readonly kind: 'make' | 'write' | 'remove' | 'replace'; readonly path: string }
  | { readonly kind: 'drop' | 'expire' | 'stop' | 'start' | 'settle' }
  | { readonly kind: 'advance'; readonly ms: number };

const path = fc.constantFrom(...PATHS);

const events: fc.Arbitrary<Event[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('make', 'write', 'remove', 'replace'), path }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('settle' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('drop', 'expire', 'stop', 'start') }) },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 2500 }) }),
    },
  ),
  { maxLength: 50, size: 'max' },
);

/** What the server refuses changes nothing. */
function attempt(change: () => void): void {
  try {
    change();
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('error ')) throw error;
  }
}

async function apply(server: FakeServer, client: CuratorFramework, event: Event, step: number): Promise<void> {
  switch (event.kind) {
    case 'make':
      return attempt(() => server.make(event.path));
    case 'write':
      return attempt(() => server.write(event.path, String(step)));
    case 'remove':
      return attempt(() => server.remove(event.path));
    case 'replace': {
      // All that is below it as well, from below and then from above.
      const below = server.paths.filter((each) => each === event.path || each.startsWith(`${event.path}/`));
      for (const each of [...below].reverse()) server.remove(each);
      for (const each of below) server.make(each);
      return;
    }
    case 'drop':
      return server.dropConnections();
    case 'expire':
      return client.sessionId === NO_SESSION ? undefined : server.expire(client.sessionId);
    case 'stop':
      return server.stop();
    case 'start':
      return server.start();
    case 'settle':
      return server.clock.settle();
    case 'advance':
      return server.clock.advance(event.ms);
  }
}

/** Applies what a cache tells, and notes what is impossible: what a listener throws goes no further. */
class Follower {
  readonly shown = new Map<string, ChildData<string>>();
  readonly impossible: string[] = [];

  constructor(cache: CuratorCache<string>) {
    cache.on('created', (_oldNode, node) => {
      this.#require(!this.shown.has(node.path), `created twice: ${node.path}`);
      this.#require(node.path === ROOT || this.shown.has(parentOf(node.path)), `created in the air: ${node.path}`);
      this.#put(cache, node);
    });
    cache.on('changed', (oldNode, node) => {
      this.#require(this.shown.get(node.path) === oldNode, `changed from something else: ${node.path}`);
      this.#require(node.stat.czxid === oldNode.stat.czxid, `another znode: ${node.path}`);
      this.#require(node.stat.mzxid > oldNode.stat.mzxid, `changed backwards: ${node.path}`);
      this.#put(cache, node);
    });
    cache.on('deleted', (oldNode) => {
      this.#require(this.shown.get(oldNode.path) === oldNode, `deleted what was not there: ${oldNode.path}`);
      const below = [...this.shown.keys()].filter((other) => other.startsWith(`${oldNode.path}/`));
      this.#require(below.length === 0, `deleted above ${below}`);
      this.#require(cache.get(oldNode.path) === undefined, `told before it was so: ${oldNode.path}`);
      this.shown.delete(oldNode.path);
    });
  }

  #put(cache: CuratorCache<string>, node: ChildData<string>): void {
    this.#require(cache.get(node.path) === node, `told before it was so: ${node.path}`);
    this.shown.set(node.path, node);
  }

  #require(isTrue: boolean, what: string): void {
    if (!isTrue) this.impossible.push(what);
  }
}

const texts = (nodes: Iterable<ChildData<string>>): Record<string, string | undefined> =>
  Object.fromEntries([...nodes].map((node) => [node.path, node.value]));

test.each([true, false])(
  'caches end with the tree as it is, by possible steps; persistent watches: %s',
  async (persistentWatches) => {
    await fc.assert(
      fc.asyncProperty(events, async (history) => {
        const server = new FakeServer();
        server.persistentWatches = persistentWatches;
        const client = CuratorFramework.builder()
          .connectString(server.connectString)
          .sessionTimeoutMs(9000)
          .connectionTimeoutMs(3000)
          .retryPolicy(new RetryNTimes(0, 0))
          .ensembleTracker(false)
          .ports(server.ports)
          .build()
          .start();
        const cache = new CuratorCache(client, ROOT, { serializer: string });
        const follower = new Follower(cache);
        const node = new NodeCache(client, '/r/a', { serializer: string });
        const shallow = new TreeCache(client, ROOT, { serializer: string, maxDepth: 1 });
        let synced = 0;
        cache.on('synced', () => synced++);
        const starting = Promise.all([cache.start(), node.start(), shallow.start()]);
        for (const [step, event] of history.entries()) await apply(server, client, event, step);
        server.start();
        await server.clock.advance(30_000);
        await starting;

        expect(follower.impossible).toEqual([]);
        const tree = Object.fromEntries(server.paths.map((each) => [each, server.dataOf(each)]));
        expect(texts(cache)).toEqual(tree);
        expect(texts(follower.shown.values())).toEqual(tree);
        expect(node.getCurrentData()?.value).toBe(tree['/r/a']);
        const upper = Object.entries(tree).filter(([each]) => each.split('/').length <= 3);
        expect(texts(shallow)).toEqual(Object.fromEntries(upper));
        const before = synced;
        server.dropConnections();
        await server.clock.advance(30_000);
        expect(synced).toBeGreaterThan(before);

        await Promise.all([cache.close(), node.close(), shallow.close()]);
        await server.clock.settle();
        expect(server.watches).toEqual([]);
        await client.close();
        expect(server.clock.timers).toBe(0);
      }),
      { numRuns: 150 },
    );
  },
  120_000,
);
