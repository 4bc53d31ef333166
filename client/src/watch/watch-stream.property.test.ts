/**
 * Whatever happens to the tree, the connection and the session: in the end each stream shows the tree as it is, and on
 * the way the old of each change is the new of the one before it. A change without a gap hides nothing that the server
 * did.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ErrorCode, NO_SESSION, nameOf, parentOf } from 'zookeeper-protocol-ts';
import { CuratorFramework } from '../framework.ts';
import { FakeServer } from '../operations/fake-server.fixture.ts';
import { RetryNTimes } from '../retry.ts';
import { watch } from '../rx.ts';
import type { ChildrenChange, ExistenceChange, TreeChange, Znode, ZnodeChange } from './znode-change.ts';

const paths = ['/a', '/a/b', '/a/b/c', '/a/d'] as const;

type Event =
  | { readonly kind: 'make' | 'write' | 'remove'; readonly path: string }
  | { readonly kind: 'drop' | 'expire' | 'stop' | 'start' | 'settle' }
  /** /a/b may not be read. */
  | { readonly kind: 'hide' | 'show' }
  | { readonly kind: 'advance'; readonly ms: number };

const events: fc.Arbitrary<Event[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constantFrom('make', 'write', 'remove'), path: fc.constantFrom(...paths) }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('settle' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('drop', 'expire', 'stop', 'start', 'hide', 'show') }) },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 2500 }) }),
    },
  ),
  { maxLength: 40, size: 'max' },
);

/** What a subscriber makes of the changes; fails where one does not follow from those before. */
class Follower {
  /** What the server's data of /a has been, undefined for none: written by the test. */
  readonly history: (string | undefined)[] = [undefined];
  #historyIndex = 0;
  data: ZnodeChange | undefined;
  existence: ExistenceChange | undefined;
  children: ChildrenChange | undefined;
  readonly tree = new Map<string, Znode>();
  #isSynced = false;

  onData(change: ZnodeChange): void {
    expect(change.oldNode).toBe(this.data?.node);
    if (change.kind !== 'current' && !change.gap) this.#expectNeighbours(change.oldNode?.text(), change.node?.text());
    this.data = change;
  }

  /** A change without a gap: the server went from the one straight to the other. */
  #expectNeighbours(old: string | undefined, now: string | undefined): void {
    const at = this.history.findIndex(
      (text, index) => index >= this.#historyIndex && text === old && this.history[index + 1] === now,
    );
    expect(at, `${old} → ${now} in ${this.history}`).toBeGreaterThanOrEqual(0);
    this.#historyIndex = at + 1;
  }

  onExistence(change: ExistenceChange): void {
    expect(change.oldStat).toBe(this.existence?.stat);
    this.existence = change;
  }

  onChildren(change: ChildrenChange): void {
    expect(change.oldChildren).toEqual(this.children?.children ?? []);
    const left = change.oldChildren.filter((name) => !change.removed.includes(name));
    expect([...left, ...change.added].sort()).toEqual(change.children);
    this.children = change;
  }

  onTree(change: TreeChange): void {
    if (change.kind === 'synced') {
      expect(change.gap).toBe(this.#isSynced);
      this.#isSynced = true;
      return;
    }
    const { path, oldNode, node } = change;
    expect(oldNode).toBe(this.tree.get(path));
    expect(change.kind === 'current').toBe(oldNode === undefined && !this.#isSynced);
    if (node === undefined) {
      for (const other of this.tree.keys()) expect(other.startsWith(`${path}/`)).toBe(false);
      this.tree.delete(path);
    } else {
      if (path !== '/a') expect(this.tree.has(parentOf(path))).toBe(true);
      this.tree.set(path, node);
    }
  }
}

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
    case 'drop':
      return server.dropConnections();
    case 'expire':
      return client.sessionId === NO_SESSION ? undefined : server.expire(client.sessionId);
    case 'stop':
      return server.stop();
    case 'start':
      return server.start();
    case 'hide':
      server.fate = ({ operation, path }) =>
        operation.startsWith('get') && path === '/a/b' ? ErrorCode.NO_AUTH : undefined;
      return;
    case 'show':
      server.fate = () => undefined;
      return;
    case 'settle':
      return server.clock.settle();
    case 'advance':
      return server.clock.advance(event.ms);
  }
}

/** Keeps the texts of a part of the tree: /a and /a/b. */
async function follow(client: CuratorFramework, texts: Map<string, string>, signal: AbortSignal): Promise<void> {
  const selector = {
    traverseChildren: (path: string) => path === '/a',
    acceptChild: (path: string) => path !== '/a/d',
  };
  for await (const change of client.watch('/a', { recursive: true, selector, keepData: false, signal })) {
    if (change.kind === 'synced') continue;
    expect(change.oldNode !== undefined).toBe(texts.has(change.path));
    if (change.node === undefined) texts.delete(change.path);
    else texts.set(change.path, change.node.text());
  }
}

test.each([true, false])(
  'streams end with the tree as it is; persistent watches: %s',
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
        const follower = new Follower();
        const failures: unknown[] = [];
        const heed =
          <T>(onChange: (change: T) => void) =>
          (change: T): void => {
            try {
              onChange(change);
            } catch (error) {
              failures.push(error);
            }
          };
        const { data$, exists$, children$, tree$ } = watch(client, '/a');
        const subscriptions = [
          data$.subscribe({ next: heed((change) => follower.onData(change)), error: (error) => failures.push(error) }),
          exists$.subscribe(heed((change) => follower.onExistence(change))),
          children$.subscribe(heed((change) => follower.onChildren(change))),
          tree$.subscribe(heed((change) => follower.onTree(change))),
        ];
        const stop = new AbortController();
        const partial = new Map<string, string>();
        const looping = follow(client, partial, stop.signal);
        looping.catch((error) => failures.push(error));
        for (const [step, event] of history.entries()) {
          const applied = apply(server, client, event, step);
          const data = server.dataOf('/a');
          if (data !== follower.history.at(-1)) follower.history.push(data);
          await applied;
        }
        server.start();
        server.fate = () => undefined;
        // Of a change of an ACL no event tells.
        server.dropConnections();
        await server.clock.advance(30_000);

        if (failures.length > 0) throw failures[0];
        const exists = server.paths.includes('/a');
        expect(follower.data?.node?.text()).toBe(server.dataOf('/a'));
        expect(follower.existence?.exists).toBe(exists);
        expect(follower.children?.children).toEqual(
          server.paths.filter((path) => path !== '/a' && parentOf(path) === '/a').map(nameOf),
        );
        expect(Object.fromEntries([...follower.tree].map(([path, node]) => [path, node.text()]))).toEqual(
          Object.fromEntries(server.paths.map((path) => [path, server.dataOf(path)])),
        );
        const wanted = server.paths.filter((path) => path !== '/a/b/c' && path !== '/a/d');
        expect(Object.fromEntries(partial)).toEqual(
          Object.fromEntries(wanted.map((path) => [path, server.dataOf(path)])),
        );
        stop.abort('enough');
        await expect(looping).rejects.toBe('enough');
        for (const subscription of subscriptions) subscription.unsubscribe();
        await server.clock.settle();
        expect(server.watches).toEqual([]);
        await client.close();
        expect(server.clock.timers).toBe(0);
      }),
      { numRuns: 60 },
    );
  },
  60_000,
);
