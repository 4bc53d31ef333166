import { describe, expect, it } from 'vitest';
import {
  ClientClosedError,
  ConnectionLossError,
  InvalidArgumentError,
  NoAuthError,
  NotEmptyError,
  toSessionId,
} from 'zookeeper-client-ts';
import { type FakeClient, FakeServers, settle } from './fake-client.fixture.ts';
import { PersistentNode, type PersistentNodeOptions } from './persistent-node.ts';
import { RecipeStateError } from './recipe-state.ts';
import { string } from './serializer.ts';

const PATH = '/workers/w';

function nodeOf(client: FakeClient, options: PersistentNodeOptions<string> = {}) {
  const node = new PersistentNode(client.framework, PATH, { data: 'mine', serializer: string, ...options });
  const events: string[] = [];
  node.on('nodeCreated', (path) => events.push(`created ${path}`));
  node.on('error', (error) => events.push(`error ${(error as Error).name}`));
  return { client, node, events };
}

/** Started, and there. */
async function kept(options: PersistentNodeOptions<string> = {}) {
  const servers = new FakeServers();
  const made = nodeOf(servers.newClient().start(), options);
  await made.node.start().waitForInitialCreate();
  made.events.length = 0;
  return { servers, ...made };
}

const textAt = (servers: FakeServers, path = PATH): string | undefined => servers.znodes.get(path)?.data.toString();

describe('PersistentNode', () => {
  it('makes the znode with its data, for its session, and deletes it when it is closed', async () => {
    const servers = new FakeServers();
    const { client, node, events } = nodeOf(servers.newClient().start());
    expect(node.actualPath).toBeUndefined();
    expect(await node.start().waitForInitialCreate()).toBe(PATH);
    expect(servers.read(PATH)).toMatchObject({
      data: Buffer.from('mine'),
      stat: { ephemeralOwner: client.sessionId },
    });
    await settle();
    expect(events).toEqual([`created ${PATH}`]);
    await Promise.all([node.close(), node.close()]);
    expect(servers.znodes.size).toBe(0);
    expect(node.state).toBe('CLOSED');
    expect(client.clock.alarms).toBe(0);
  });

  it('makes it again when somebody deletes it', async () => {
    const { servers, node, events } = await kept();
    for (const round of [1, 2]) {
      servers.delete(PATH);
      await settle();
      expect(textAt(servers)).toBe('mine');
      expect(events).toHaveLength(round);
    }
    await node.close();
  });

  it('has one watch on it, also after others have written to it and after outages', async () => {
    const { servers, client, node } = await kept();
    servers.setData(PATH, 'scribble');
    await settle();
    client.enter('SUSPENDED');
    client.reconnect();
    await settle();
    expect(servers.watches).toHaveLength(1);
    expect(textAt(servers)).toBe('scribble');
    await node.close();
  });

  it('makes it again in a new session', async () => {
    const { servers, client, node } = await kept();
    servers.expire(client.sessionId);
    client.lose();
    await settle();
    expect(servers.read(PATH).stat.ephemeralOwner).toBe(client.sessionId);
    await node.close();
    expect(servers.znodes.size).toBe(0);
  });

  it('takes over what is left of its session before with the data set since, and makes it again when that goes (CURATOR-154, 241)', async () => {
    const { servers, client, node, events } = await kept();
    const before = client.sessionId;
    client.enter('SUSPENDED');
    const stored = node.setData('newer');
    client.lose();
    await stored;
    expect(textAt(servers)).toBe('newer');
    expect(servers.read(PATH).stat.ephemeralOwner).toBe(before);
    servers.expire(before);
    await settle();
    expect(servers.read(PATH)).toMatchObject({
      data: Buffer.from('newer'),
      stat: { ephemeralOwner: client.sessionId },
    });
    expect(events).toEqual([`created ${PATH}`, `created ${PATH}`]);
    await node.close();
  });

  it('takes over a znode that is there, by writing its data to it', async () => {
    const servers = new FakeServers();
    servers.create(PATH, 'of a run before');
    const { node } = nodeOf(servers.newClient().start(), { mode: 'PERSISTENT' });
    await node.start().waitForInitialCreate();
    expect(textAt(servers)).toBe('mine');
    await node.close();
    expect(servers.znodes.size).toBe(0);
  });

  it('waits for the end of another session that owns it, and closed before that, leaves it to that', async () => {
    const servers = new FakeServers();
    const other = servers.newSession();
    servers.create(PATH, 'theirs', other);
    const { client, node } = nodeOf(servers.newClient().start());
    await node.start().waitForInitialCreate();
    const second = nodeOf(servers.newClient().start());
    await second.node.start().waitForInitialCreate();
    await second.node.close();
    expect(servers.read(PATH).stat.ephemeralOwner).toBe(other);
    servers.expire(other);
    await settle();
    expect(servers.read(PATH).stat.ephemeralOwner).toBe(client.sessionId);
    await node.close();
  });

  it('keeps the number and the protection of its name (CURATOR-190)', async () => {
    const { servers, client, node } = await kept({ mode: 'EPHEMERAL_SEQUENTIAL', protect: true });
    const path = node.actualPath;
    expect(path).toMatch(/^\/workers\/_c_[-0-9a-f]{36}-w0000000000$/);
    const before = client.sessionId;
    client.lose();
    await settle();
    expect([...servers.znodes.keys()]).toEqual([path]);
    servers.expire(before);
    await settle();
    expect([...servers.znodes.keys()]).toEqual([path]);
    expect(servers.read(path ?? '').stat.ephemeralOwner).toBe(client.sessionId);
    await node.close();
    expect(servers.znodes.size).toBe(0);
  });

  it('writes what was set last while it was not connected, and makes it with that', async () => {
    const { servers, client, node } = await kept();
    client.enter('SUSPENDED');
    const stored = [node.setData('one'), node.setData('two')];
    expect(node.getData()).toBe('two');
    servers.expire(client.sessionId);
    client.lose();
    await Promise.all(stored);
    expect(textAt(servers)).toBe('two');
    expect(client.requests.filter((request) => request.startsWith('setData'))).toEqual([]);
    await node.close();
  });

  it('writes again what was set last when a write of its session before comes late, and leaves what others write', async () => {
    const { servers, client, node } = await kept();
    await node.setData('one');
    client.lose();
    await node.setData('two');
    servers.setData(PATH, 'one');
    await settle();
    expect(textAt(servers)).toBe('two');
    servers.setData(PATH, 'of others');
    await settle();
    expect(textAt(servers)).toBe('of others');
    await node.close();
  });

  it('writes other data when they are set, in their order', async () => {
    const { servers, client, node } = await kept();
    await node.setData('one');
    expect(textAt(servers)).toBe('one');
    await Promise.all([node.setData('two'), node.setData('three')]);
    expect(textAt(servers)).toBe('three');
    expect(client.requests.filter((request) => request.startsWith('setData'))).toHaveLength(2);
    await node.close();
  });

  it('without permission it says so, and does not try again before the connection has changed (CURATOR-364, 228)', async () => {
    const servers = new FakeServers();
    const { client, node, events } = nodeOf(servers.newClient().start());
    client.onRequest = () => {
      throw new NoAuthError('no', { path: PATH });
    };
    await expect(node.start().waitForInitialCreate()).rejects.toThrow(NoAuthError);
    await client.clock.advance(60_000);
    expect(client.requests).toHaveLength(1);
    expect(events).toEqual(['error NoAuthError']);
    client.onRequest = () => undefined;
    client.reconnect();
    await node.waitForInitialCreate();
    await node.close();
  });

  it('tries again when the connection fails it', async () => {
    const servers = new FakeServers();
    const { client, node, events } = nodeOf(servers.newClient().start());
    let failures = 2;
    client.onRequest = () => {
      if (failures-- > 0) throw new ConnectionLossError('lost');
    };
    const made = node.start().waitForInitialCreate();
    await settle();
    await client.clock.advance(2_000);
    await made;
    expect(events.filter((event) => event.startsWith('error'))).toEqual([]);
    await node.close();
  });

  it('takes its own znode for its own when the answer to the create was lost, and deletes it when it is closed', async () => {
    const servers = new FakeServers();
    const { client, node } = nodeOf(servers.newClient().start());
    let isLost = true;
    client.onAnswer = (operation) => {
      if (operation === 'create' && isLost) {
        isLost = false;
        throw new ConnectionLossError('the answer is lost');
      }
    };
    const made = node.start().waitForInitialCreate();
    await settle();
    await client.clock.advance(1_000);
    await made;
    await node.close();
    expect(servers.znodes.size).toBe(0);
  });

  it('closed while it is being made, it deletes it again (CURATOR-506)', async () => {
    const servers = new FakeServers();
    const { client, node } = nodeOf(servers.newClient().start());
    let answer: () => void = () => undefined;
    client.onAnswer = (operation) =>
      operation === 'create'
        ? new Promise((resolve) => {
            answer = resolve;
          })
        : undefined;
    const made = node.start().waitForInitialCreate();
    await settle();
    const closing = node.close();
    await expect(made).rejects.toThrow(RecipeStateError);
    answer();
    await closing;
    expect(servers.znodes.size).toBe(0);
  });

  it('closed when its znode was replaced unseen by that of another, it leaves that alone (CURATOR-506)', async () => {
    const { servers, client, node } = await kept({ mode: 'PERSISTENT' });
    // The watch has not told yet.
    servers.watches = [];
    servers.delete(PATH);
    servers.create(PATH, 'of another');
    await node.close();
    expect(textAt(servers)).toBe('of another');
    expect(client.requests.at(-1)).toBe(`exists ${PATH}`);
  });

  it('closed without a connection it does not wait, and deletes when there is one, but not what another session has made', async () => {
    const { servers, client, node } = await kept();
    client.enter('SUSPENDED');
    await node.close();
    expect(textAt(servers)).toBe('mine');
    client.reconnect();
    await settle();
    expect(servers.znodes.size).toBe(0);

    const again = await kept();
    again.client.enter('SUSPENDED');
    await again.node.close();
    again.servers.expire(again.client.sessionId);
    again.servers.create(PATH, 'theirs', toSessionId(99n));
    again.client.lose();
    await settle();
    expect(textAt(again.servers)).toBe('theirs');
  });

  it('deletes it although somebody writes to it at that moment', async () => {
    const { servers, client, node } = await kept();
    let writes = 2;
    client.onRequest = (operation) => {
      if (operation === 'delete' && writes-- > 0) servers.setData(PATH, 'scribble');
    };
    await node.close();
    expect(servers.znodes.size).toBe(0);
  });

  it('tells when it can not be deleted', async () => {
    const { client, node, events } = await kept({ mode: 'PERSISTENT' });
    client.onRequest = (operation) => {
      if (operation === 'delete') throw new NotEmptyError('has children', { path: PATH });
    };
    await node.close();
    expect(events).toEqual(['error NotEmptyError']);
  });

  it('closed with keepOnClose, it leaves the znode', async () => {
    const { servers, node } = await kept({ mode: 'PERSISTENT', keepOnClose: true });
    await node.close();
    expect(textAt(servers)).toBe('mine');
  });

  it('may be started before its client', async () => {
    const servers = new FakeServers();
    const { client, node } = nodeOf(servers.newClient());
    const made = node.start().waitForInitialCreate();
    await settle();
    client.start();
    await made;
    await node.close();
  });

  it('closed before anything was made, it does nothing', async () => {
    const servers = new FakeServers();
    const { client, node } = nodeOf(servers.newClient().start());
    await node.close();
    const waiting = nodeOf(servers.newClient()).node;
    waiting.start();
    await waiting.close();
    expect(client.requests).toEqual([]);
  });

  it('ends with its client', async () => {
    const { client, node } = await kept();
    client.enter('SUSPENDED');
    const stored = node.setData('newer');
    client.close();
    await expect(stored).rejects.toThrow(ClientClosedError);
    expect(node.state).toBe('CLOSED');
    await node.close();
  });

  it('waits no longer than the signal says', async () => {
    const { client, node } = await kept();
    client.enter('SUSPENDED');
    await expect(node.setData('newer', { signal: AbortSignal.abort('enough') })).rejects.toBe('enough');
    const stop = new AbortController();
    const stored = node.setData('newest', { signal: stop.signal });
    stop.abort('too long');
    await expect(stored).rejects.toBe('too long');
    client.reconnect();
    await node.close();
  });

  it('refuses wrong use', async () => {
    const client = new FakeServers().newClient().start();
    expect(() => new PersistentNode(client.framework, PATH, { mode: 'FOREVER' as never })).toThrow(
      InvalidArgumentError,
    );
    const { node } = nodeOf(client);
    expect(() => node.setData('early')).toThrow(RecipeStateError);
    node.start();
    expect(() => node.start()).toThrow(RecipeStateError);
    await node.close();
    expect(() => node.setData('late')).toThrow(RecipeStateError);
    await expect(node.waitForInitialCreate()).rejects.toThrow(RecipeStateError);
  });
});
