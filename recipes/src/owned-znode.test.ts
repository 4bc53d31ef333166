import { describe, expect, it } from 'vitest';
import { CreateMode, NoAuthError } from 'zookeeper-client-ts';
import { FakeServers, settle } from './fake-client.fixture.ts';
import { OwnedZnode } from './owned-znode.ts';
import { OwnershipLostError } from './ownership.ts';

describe('OwnedZnode', () => {
  async function owned() {
    const servers = new FakeServers();
    const client = servers.newClient().start();
    const created = await client.framework
      .create()
      .withMode(CreateMode.EPHEMERAL_SEQUENTIAL)
      .storingStat()
      .forPath('/lock/lock-');
    return { servers, client, path: created.path, znode: new OwnedZnode(client.framework, created, { id: 'me' }) };
  }

  it('grants with the czxid as token, to the session that owns the znode', async () => {
    const { servers, client, path, znode } = await owned();
    const ownership = await znode.claim();
    expect(ownership?.isHeld()).toBe(true);
    expect(ownership?.token).toBe(servers.read(path).stat.czxid);
    expect(ownership?.sessionId).toBe(client.sessionId);
  });

  it('grants nothing on a znode that an earlier session left behind', async () => {
    const { servers, client, path, znode } = await owned();
    client.lose();
    expect(servers.znodes.has(path)).toBe(true);
    expect(await znode.claim()).toBeUndefined();
  });

  it('grants nothing on a znode that is gone', async () => {
    const { servers, path, znode } = await owned();
    servers.delete(path);
    expect(await znode.claim()).toBeUndefined();
  });

  it('grants nothing on a znode that was deleted while the answer was on its way', async () => {
    const { servers, client, path, znode } = await owned();
    client.onAnswer = (operation) => {
      client.onAnswer = () => undefined;
      if (operation === 'getData') servers.delete(path);
    };
    expect(await znode.claim()).toBeUndefined();
  });

  it('granted without a look, it asks for the watch at once, and ends if the znode turns out to be gone', async () => {
    const { servers, client, path, znode } = await owned();
    servers.delete(path);
    const ownership = znode.grant();
    expect(ownership?.isHeld()).toBe(true);
    expect(client.requests.at(-1)).toBe(`getData ${path}`);
    await settle();
    expect(ownership?.signal.reason).toMatchObject({ reason: 'NODE_DELETED' });
  });

  it('granted without a look, it ends if it can not be watched', async () => {
    const { client, znode } = await owned();
    client.onAnswer = () => Promise.reject(new Error('not permitted'));
    const ownership = znode.grant();
    await settle();
    expect(ownership?.signal.reason).toMatchObject({ reason: 'UNVERIFIED' });
  });

  it('grants nothing, without a look, in another session or after it was given up (CURATOR-604)', async () => {
    const given = await owned();
    await given.znode.delete();
    expect(given.znode.grant()).toBeUndefined();
    const lost = await owned();
    lost.client.lose();
    expect(lost.znode.grant()).toBeUndefined();
  });

  it('shared, it goes with the last handle that is released, in whatever order', async () => {
    const { servers, path, znode } = await owned();
    const outer = znode.grant();
    const inner = znode.share();
    expect(inner.token).toBe(outer?.token);
    await outer?.release();
    await outer?.release();
    expect(outer?.isHeld()).toBe(false);
    expect(inner.isHeld()).toBe(true);
    expect(servers.znodes.has(path)).toBe(true);
    await inner.release();
    expect(servers.znodes.has(path)).toBe(false);
  });

  it('a handle that was lost and not released keeps the znode', async () => {
    const { servers, client, path, znode } = await owned();
    const outer = znode.grant();
    const inner = znode.share();
    client.enter('SUSPENDED');
    client.reconnect();
    await inner.release();
    expect(servers.znodes.has(path)).toBe(true);
    await outer?.release();
    expect(servers.znodes.has(path)).toBe(false);
  });

  it('can not be shared when it is held no more', async () => {
    const { servers, path, znode } = await owned();
    znode.grant();
    await settle();
    servers.delete(path);
    expect(() => znode.share()).toThrow(OwnershipLostError);
  });

  it('ends all handles when somebody else deletes the znode', async () => {
    const { servers, path, znode } = await owned();
    const handles = [znode.grant(), znode.share()];
    await settle();
    servers.delete(path);
    expect(handles.map((handle) => handle?.signal.reason.reason)).toEqual(['NODE_DELETED', 'NODE_DELETED']);
  });

  it('ends the ownership when somebody else deletes the znode', async () => {
    const { servers, path, znode } = await owned();
    const ownership = await znode.claim();
    servers.delete(path);
    expect(ownership?.signal.reason).toMatchObject({ reason: 'NODE_DELETED' });
  });

  it('still notices the deletion after somebody has written to the znode', async () => {
    const { servers, path, znode } = await owned();
    const ownership = await znode.claim();
    servers.setData(path, '__REVOKE__');
    await settle();
    expect(ownership?.isHeld()).toBe(true);
    servers.delete(path);
    expect(ownership?.signal.reason).toMatchObject({ reason: 'NODE_DELETED' });
  });

  it('ends the ownership when the znode can not be watched again', async () => {
    const { servers, client, path, znode } = await owned();
    const ownership = await znode.claim();
    client.onAnswer = () => Promise.reject(new Error('not permitted'));
    servers.setData(path, 'x');
    await settle();
    expect(ownership?.signal.reason).toMatchObject({ reason: 'UNVERIFIED' });
  });

  it('has one watch on its znode, however often it is claimed', async () => {
    const { servers, client, path, znode } = await owned();
    for (let outage = 0; outage < 3; outage++) {
      expect((await znode.claim())?.isHeld()).toBe(true);
      client.enter('SUSPENDED');
      client.reconnect();
    }
    expect(servers.watches.filter((watch) => watch.path === path)).toHaveLength(1);
  });

  it('a handle of an earlier claim gives nothing back', async () => {
    const { servers, client, path, znode } = await owned();
    const earlier = await znode.claim();
    client.enter('SUSPENDED');
    client.reconnect();
    const present = await znode.claim();
    await earlier?.release();
    expect(present?.isHeld()).toBe(true);
    await present?.release();
    expect(servers.znodes.has(path)).toBe(false);
  });

  it('without a connection, release does not wait: the znode is deleted when there is one again', async () => {
    const { servers, client, path, znode } = await owned();
    const ownership = await znode.claim();
    client.enter('SUSPENDED');
    await ownership?.release();
    expect(servers.znodes.has(path)).toBe(true);
    client.reconnect();
    await settle();
    expect(servers.znodes.has(path)).toBe(false);
  });

  it('release stops waiting when the connection breaks', async () => {
    const { client, znode } = await owned();
    const ownership = await znode.claim();
    client.onAnswer = (operation) => (operation === 'delete' ? new Promise(() => undefined) : undefined);
    const released = ownership?.release();
    await settle();
    client.enter('SUSPENDED');
    await released;
  });

  it('release passes on that the server refuses to delete the znode', async () => {
    const { client, znode } = await owned();
    const ownership = await znode.claim();
    const refused = new NoAuthError('not permitted');
    client.onRequest = () => {
      throw refused;
    };
    await expect(ownership?.release()).rejects.toBe(refused);
  });

  it('needs no server to be released once the client is closed', async () => {
    const { client, znode } = await owned();
    const ownership = await znode.claim();
    client.close();
    await ownership?.release();
    expect(client.requests.filter((request) => request.startsWith('delete'))).toEqual([]);
  });
});
