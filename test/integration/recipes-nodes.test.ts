/** Nodes that stay, and groups, on a server in memory, over real sockets. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type ConnectOptions,
  type CuratorFramework,
  connect,
  joinPath,
  OPEN_ACL,
  READ_ACL,
  RetryNTimes,
} from 'zookeeper-client-ts';
import { GroupMember, PersistentNode, PersistentTtlNode, string } from 'zookeeper-recipes-ts';
import { TestingServer } from 'zookeeper-server-ts/testing';

let server: TestingServer;
/** Looks at what the recipes do, and gets in their way. */
let other: CuratorFramework;

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
  server = await TestingServer.start({ extendedTypesEnabled: true });
  other = await newClient();
});

afterEach(async () => {
  for (const resource of opened.splice(0).reverse()) await resource[Symbol.asyncDispose]();
  await server.close();
});

const textAt = async (path: string): Promise<string | undefined> =>
  (await other.checkExists(path)) && (await other.getData(path)).data.toString();

const ownerOf = async (path: string): Promise<unknown> => (await other.checkExists(path))?.ephemeralOwner;

/** Ends its session; resolves when it has the next one. */
async function loseSession(client: CuratorFramework): Promise<void> {
  const { sessionId } = client;
  await server.expireSession(sessionId);
  await expect.poll(() => client.connected && client.sessionId !== sessionId).toBe(true);
}

describe('PersistentNode', () => {
  it('is there with its parents, through foreign deletes and many lost sessions, until it is closed', async () => {
    const client = await newClient({ namespace: 'ns' });
    const node = open(new PersistentNode(client, '/a/b', { data: 'x', serializer: string }).start());
    expect(await node.waitForInitialCreate()).toBe('/a/b');
    expect(await textAt('/ns/a/b')).toBe('x');
    await other.delete('/ns/a/b');
    await expect.poll(() => textAt('/ns/a/b')).toBe('x');
    for (let round = 0; round < 3; round++) {
      await loseSession(client);
      await expect.poll(() => ownerOf('/ns/a/b')).toBe(client.sessionId);
    }
    await node.close();
    expect(await other.checkExists('/ns/a/b')).toBeUndefined();
  });

  it('keeps its protected, numbered name in the next session, and does not appear twice', async () => {
    const client = await newClient();
    const node = open(
      new PersistentNode(client, '/a/n-', { mode: 'EPHEMERAL_SEQUENTIAL', protect: true, serializer: string }).start(),
    );
    const path = await node.waitForInitialCreate();
    await loseSession(client);
    await expect.poll(() => ownerOf(path)).toBe(client.sessionId);
    expect((await other.getChildren('/a')).map((name) => joinPath('/a', name))).toEqual([path]);
    expect(node.actualPath).toBe(path);
  });

  it('writes what was set during an outage when the server is back', async () => {
    const client = await newClient();
    const node = open(new PersistentNode(client, '/a', { data: 'old', serializer: string }).start());
    await node.waitForInitialCreate();
    await server.stop();
    await expect.poll(() => client.connected).toBe(false);
    const stored = node.setData('new');
    await server.start();
    await stored;
    expect(await textAt('/a')).toBe('new');
  });

  it('takes over what another session has left, and is there again when that expires', async () => {
    const dying = await newClient();
    await dying.create('/a', { mode: 'EPHEMERAL', data: 'of a run before' });
    const client = await newClient();
    const node = open(new PersistentNode(client, '/a', { data: 'mine', serializer: string }).start());
    await node.waitForInitialCreate();
    expect(await textAt('/a')).toBe('mine');
    await server.expireSession(dying.sessionId);
    await expect.poll(() => ownerOf('/a')).toBe(client.sessionId);
    expect(await textAt('/a')).toBe('mine');
  });

  it('without parents of its own it is refused where there is none, and made when there is one and the connection is back', async () => {
    const client = await newClient();
    const node = open(new PersistentNode(client, '/a/b', { parents: false }));
    const errors: unknown[] = [];
    node.on('error', (error) => errors.push(error));
    await expect(node.start().waitForInitialCreate()).rejects.toMatchObject({ code: 'NO_NODE' });
    expect(errors).toHaveLength(1);
    await other.create('/a');
    server.dropConnections();
    await node.waitForInitialCreate();
  });

  it('without permission it is refused (CURATOR-364, 228)', async () => {
    await other.create('/closed', { acl: READ_ACL });
    const node = open(new PersistentNode(await newClient(), '/closed/a'));
    node.on('error', () => undefined);
    await expect(node.start().waitForInitialCreate()).rejects.toMatchObject({ code: 'NO_AUTH' });
    await other.setACL('/closed', OPEN_ACL).catch(() => undefined);
  });

  it('closed again and again while it is being made, it leaves nothing (CURATOR-506)', async () => {
    const client = await newClient();
    await other.create('/a');
    for (let turns = 0; turns < 12; turns++) {
      const node = new PersistentNode(client, '/a/b', { mode: turns % 2 === 0 ? 'EPHEMERAL' : 'PERSISTENT' }).start();
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      await node.close();
      expect(await other.getChildren('/a')).toEqual([]);
    }
  });
});

describe('PersistentTtlNode', () => {
  it('is made with a time to live, has a child that is written to again and again, and stays when it is closed', async () => {
    const client = await newClient();
    const node = open(
      new PersistentTtlNode(client, '/t', { ttlMs: 200, touchFactor: 4, data: 'x', serializer: string }).start(),
    );
    await node.waitForInitialCreate();
    expect(await textAt('/t')).toBe('x');
    const touches = async () => (await other.checkExists('/t/touch'))?.version ?? -1;
    await expect.poll(touches).toBeGreaterThan(1);
    await node.setData('y');
    expect(await textAt('/t')).toBe('y');
    // Made by hand for comparison: the owner of such a znode says how long it lives.
    await other.create('/same', { mode: 'PERSISTENT_WITH_TTL', ttlMs: 200 });
    const ttl = await ownerOf('/same');
    expect(await Promise.all([ownerOf('/t'), ownerOf('/t/touch')])).toEqual([ttl, ttl]);
    await other.delete('/t', { children: true });
    await expect.poll(touches).toBeGreaterThanOrEqual(0);
    await node.close();
    expect(await textAt('/t')).toBe('y');
  });

  it('tells when the servers do not know such znodes, and ends with its client', async () => {
    await using old = await TestingServer.start();
    const client = await connect(old.connectString, { retry: new RetryNTimes(1, 50) });
    const node = new PersistentTtlNode(client, '/t', { ttlMs: 1_000 });
    const errors: unknown[] = [];
    node.on('error', (error) => errors.push(error));
    await expect(node.start().waitForInitialCreate()).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
    await client.close();
    await expect.poll(() => node.state).toBe('CLOSED');
    await node.close();
    expect(errors).toHaveLength(1);
  });
});

describe('GroupMember', () => {
  const join = async (id: string, data = `data of ${id}`) => {
    const client = await newClient();
    const member = open(await new GroupMember(client, '/group', id, { data, serializer: string }).start());
    const seen: string[] = [];
    member.on('membersChanged', (members) => seen.push([...members.keys()].join(',')));
    return { client, member, seen };
  };

  it('knows the others and what they say, who comes, and who goes', async () => {
    const a = await join('a');
    expect(a.member.getCurrentMembers()).toEqual(new Map([['a', 'data of a']]));
    const b = await join('b');
    expect([...b.member.getCurrentMembers()]).toEqual([
      ['a', 'data of a'],
      ['b', 'data of b'],
    ]);
    await expect.poll(() => a.seen).toEqual(['a,b']);
    await b.member.setThisData('other');
    await expect.poll(() => a.member.getCurrentMembers().get('b')).toBe('other');
    await b.member.close();
    await expect.poll(() => a.seen.at(-1)).toBe('a');
    expect(await other.getChildren('/group')).toEqual(['a']);
  });

  it('whose session is lost is gone for the others, and comes back', async () => {
    const a = await join('a');
    const b = await join('b');
    await expect.poll(() => a.seen).toEqual(['a,b']);
    await server.expireSession(b.client.sessionId);
    await expect.poll(() => a.seen.slice(1)).toEqual(['a', 'a,b']);
    expect(b.member.getCurrentMembers().has('b')).toBe(true);
  });

  it('that may not join rejects, and leaves nothing behind', async () => {
    await other.create('/group', { acl: READ_ACL });
    const member = new GroupMember(await newClient(), '/group', 'a');
    member.on('error', () => undefined);
    await expect(member.start()).rejects.toMatchObject({ code: 'NO_AUTH' });
    expect(member.state).toBe('CLOSED');
  });

  it('has a name without a slash', async () => {
    expect(() => new GroupMember(other, '/group', 'a/b')).toThrow('is no name');
    expect(() => new GroupMember(other, '/group', '')).toThrow('is no name');
  });
});
