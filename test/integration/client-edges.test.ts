/** Edges of a CuratorFramework that Curator's own tests look at, on a real server in this process: see docs/client-tests.md. */
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  ClientClosedError,
  CREATOR_ALL_ACL,
  CuratorFramework,
  connect,
  DataInconsistencyError,
  EventType,
  ExponentialBackoffRetry,
  type FrameworkOptions,
  GzipCompressionProvider,
  NoAuthError,
  OPEN_ACL,
  READ_ACL,
  RetryNTimes,
  type WatchedEvent,
} from 'zookeeper-client-ts';
import { TestingServer } from 'zookeeper-server-ts/testing';

let server: TestingServer;
beforeAll(async () => {
  server = await TestingServer.start({ extendedTypesEnabled: true });
});
afterAll(() => server.close());

const clients: CuratorFramework[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
});

async function connected(options: FrameworkOptions = {}): Promise<CuratorFramework> {
  const client = await connect(server.connectString, {
    retry: new ExponentialBackoffRetry(50, 10),
    sessionTimeoutMs: 60_000,
    ...options,
  });
  clients.push(client);
  return client;
}

function build({ sessionTimeoutMs = 60_000 } = {}): CuratorFramework {
  const client = CuratorFramework.builder()
    .connectString(server.connectString)
    .sessionTimeoutMs(sessionTimeoutMs)
    .retryPolicy(new RetryNTimes(0, 0))
    .build();
  clients.push(client);
  return client;
}

let paths = 0;
const newPath = (): string => `/edge-${++paths}`;

describe('closing a client', () => {
  const verbs: readonly (readonly [string, (client: CuratorFramework, path: string) => Promise<unknown>])[] = [
    ['create', (client, path) => client.create(`${path}/a`)],
    ['protected create', (client, path) => client.create(`${path}/a`, { protect: true })],
    ['create with parents', (client, path) => client.create(`${path}/a/b`, { parents: true })],
    ['create or set', (client, path) => client.create(path, { orSetData: true })],
    ['delete', (client, path) => client.delete(path)],
    ['guaranteed delete', (client, path) => client.delete(path, { guaranteed: true })],
    ['delete with children', (client, path) => client.delete(path, { children: true })],
    ['checkExists', (client, path) => client.checkExists(path)],
    ['getData', (client, path) => client.getData(path)],
    ['setData', (client, path) => client.setData(path, 'x')],
    ['idempotent setData', (client, path) => client.setData(path, 'x', { version: 0, idempotent: true })],
    ['getChildren', (client, path) => client.getChildren(path)],
    ['getACL', (client, path) => client.getACL(path)],
    ['setACL', (client, path) => client.setACL(path, OPEN_ACL)],
    ['sync', (client, path) => client.sync(path)],
    ['transaction', (client, path) => client.transaction([client.op.setData(path, 'x')])],
    ['addWatch', (client, path) => client.addWatch(path, () => undefined)],
    ['getConfig', (client) => client.getConfig({})],
    ['createContainers', (client, path) => client.createContainers(`${path}/a/b`)],
    ['blockUntilConnected', (client) => client.blockUntilConnected()],
  ];

  it.each(verbs)('settles a %s that is under way, whatever the server does', async (name, perform) => {
    const client = await connected();
    const path = await client.create(newPath());
    server.pause();
    const performed = perform(client, path).catch((error: unknown) => error);
    const closed = client.close();
    const outcome = await performed;
    server.resume();
    await closed;
    if (name === 'blockUntilConnected') expect(outcome).toBeUndefined();
    else expect(outcome).toBeInstanceOf(ClientClosedError);
  });

  it('at once after it was started takes no time; a session that the server made meanwhile ends with its timeout', async () => {
    const before = server.sessions.length;
    for (let i = 0; i < 20; i++) {
      const client = build({ sessionTimeoutMs: 400 }).start();
      if (i % 2 === 1) await new Promise((resolve) => setImmediate(resolve));
      await client.close();
    }
    await expect.poll(() => server.sessions.length).toBe(before);
  });
});

describe('calls from inside', () => {
  it('of a state listener, of a watcher, and of what awaits them are answered', async () => {
    const path = await (await connected()).create(newPath());
    const client = build();
    const heard: string[] = [];
    const told = new Promise<void>((resolve) => {
      const watcher = async ({ type }: WatchedEvent): Promise<void> => {
        if (type !== EventType.NodeDataChanged) return;
        heard.push((await client.getData(path)).data.toString());
        resolve();
      };
      client.on('state', async (state) => {
        heard.push(state);
        await client.getData(path, { watcher });
        await client.setData(path, 'from a listener');
      });
    });
    client.start();
    await told;
    expect(heard).toEqual(['CONNECTED', 'from a listener']);
  });

  it('a watcher takes itself and others away while it is called', async () => {
    const client = await connected();
    const path = await client.create(newPath());
    const heard: string[] = [];
    const failures: unknown[] = [];
    const second = ({ type }: WatchedEvent): void => {
      if (type === EventType.NodeDataChanged) heard.push('second');
    };
    const first = ({ type }: WatchedEvent): void => {
      if (type !== EventType.NodeDataChanged) return; // the removals are told as well
      heard.push('first');
      for (const watcher of [first, second]) {
        client.removeWatches(path, { watcher }).catch((error: unknown) => failures.push(error));
      }
    };
    await client.addWatch(path, first);
    await client.addWatch(path, second);
    await client.setData(path, '1');
    await client.setData(path, '2');
    await client.getData(path);
    // The event that was being told is told to all who waited for it.
    expect(heard).toEqual(['first', 'second']);
    expect(failures).toEqual([]);
  });
});

describe('blockUntilConnected', () => {
  it('is answered again and again, while connected and over restarts', async () => {
    const client = await connected();
    for (let i = 0; i < 100; i++) await client.blockUntilConnected({ timeoutMs: 1000 });
    for (let i = 0; i < 3; i++) {
      await server.stop();
      await expect.poll(() => client.connected).toBe(false);
      const waiting = client.blockUntilConnected();
      await server.start();
      await waiting;
      expect(client.connected).toBe(true);
    }
  });
});

describe('the ACLs of parents', () => {
  const bothStyles = ['options', 'builder'] as const;
  const combinations = bothStyles.flatMap((style) =>
    [true, false].flatMap((given) => [true, false].map((toParents) => ({ style, given, toParents }))),
  );

  it.each(combinations)(
    'in the style of $style, with one given: $given, for parents, too: $toParents',
    async (each) => {
      const client = await connected({
        aclProvider: { getDefaultAcl: () => CREATOR_ALL_ACL, getAclForPath: () => undefined },
        authorization: [{ scheme: 'digest', auth: 'me:pw' }],
      });
      const root = newPath();
      const given = [...READ_ACL, ...CREATOR_ALL_ACL];
      if (each.style === 'options') {
        const acl = each.given
          ? { acl: given, applyAclToParents: each.toParents }
          : { applyAclToParents: each.toParents };
        await client.create(`${root}/a/b`, { parents: true, ...acl });
      } else {
        const builder = client.create().creatingParentsIfNeeded();
        if (each.given) builder.withACL(given, each.toParents);
        await builder.forPath(`${root}/a/b`);
      }
      const schemes = async (path: string) => (await client.getACL(path)).acl.map(({ id }) => id.scheme);
      const own = ['digest'];
      expect(await schemes(`${root}/a/b`)).toEqual(each.given ? ['world', 'digest'] : own);
      for (const parent of [root, `${root}/a`]) {
        expect(await schemes(parent)).toEqual(each.given && each.toParents ? ['world', 'digest'] : own);
      }
    },
  );

  it('that forbid everything are no obstacle to whoever makes znodes below them', async () => {
    const owner = await connected({ authorization: [{ scheme: 'digest', auth: 'owner:pw' }] });
    const root = newPath();
    await owner.create(root, { acl: CREATOR_ALL_ACL });
    await owner.create(`${root}/open`, { acl: OPEN_ACL });
    const client = await connected();
    await expect(client.getData(root)).rejects.toBeInstanceOf(NoAuthError);
    expect(await client.create(`${root}/open/a/b`, { parents: true })).toBe(`${root}/open/a/b`);
    await client.checkExists(`${root}/open/c/d`, { containers: true });
    expect((await client.getChildren(`${root}/open`)).sort()).toEqual(['a', 'c']);
    await expect(client.create(`${root}/closed/a`, { parents: true })).rejects.toBeInstanceOf(NoAuthError);
  });
});

describe('a guaranteed delete', () => {
  it('is done after the outage in its namespace, too', async () => {
    const client = await connected({
      namespace: 'edges',
      retry: new RetryNTimes(0, 0),
      connectionTimeoutMs: 100,
    });
    const path = await client.create(newPath());
    await server.stop();
    await expect.poll(() => client.connected).toBe(false);
    await expect(client.delete(path, { guaranteed: true })).rejects.toThrow('no connection');
    await server.start();
    const other = await connected();
    await expect.poll(() => other.checkExists(`/edges${path}`)).toBeUndefined();
    expect(await other.checkExists('/edges')).toBeDefined();
  });
});

describe('compressed data', () => {
  it('are gzip: whatever is compressed here is decompressed elsewhere, and the other way round', async () => {
    const provider = new GzipCompressionProvider();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), async (bytes) => {
        const data = Buffer.from(bytes);
        expect(gunzipSync(await provider.compress('/a', data)).equals(data)).toBe(true);
        expect(Buffer.from(await provider.decompress('/a', gzipSync(data))).equals(data)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('that are none, cut off or damaged reject with DataInconsistencyError, and what is there can still be read', async () => {
    const client = await connected();
    const path = await client.create(newPath());
    const whole = gzipSync(Buffer.from('some data that is long enough to be cut off'));
    const damaged = Buffer.from(whole);
    damaged.writeUInt32LE(0, damaged.length - 8); // the checksum
    for (const data of [Buffer.from('plain'), whole.subarray(0, whole.length - 9), damaged]) {
      await client.setData(path, data);
      await expect(client.getData(path, { decompressed: true })).rejects.toBeInstanceOf(DataInconsistencyError);
      expect((await client.getData(path)).data.equals(data)).toBe(true);
    }
  });
});
