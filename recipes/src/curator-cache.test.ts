import { describe, expect, it } from 'vitest';
import { ClientClosedError, NoAuthError, type Znode } from 'zookeeper-client-ts';
import { CuratorCache, type CuratorCacheOptions } from './curator-cache.ts';
import { FakeServers, settle } from './fake-client.fixture.ts';
import { RecipeStateError } from './recipe-state.ts';
import { changed, created, current, deleted, type Scripted, script, synced, znode } from './scripted-tree.fixture.ts';
import { DeserializationError, json, type Serializer, string } from './serializer.ts';

function cacheOf<T = Uint8Array>({ framework }: Scripted, options?: CuratorCacheOptions<T>) {
  const cache = new CuratorCache<T>(framework, '/a', options);
  const events: string[] = [];
  const tell =
    (name: string) =>
    (...nodes: ({ path: string; data: Buffer } | undefined)[]) =>
      void events.push(
        [name, nodes[0] ?? nodes[1]].map((each) => (typeof each === 'object' ? each.path : each)).join(' '),
      );
  cache.on('created', tell('created'));
  cache.on('changed', tell('changed'));
  cache.on('deleted', tell('deleted'));
  cache.on('synced', () => void events.push('synced'));
  cache.on('error', (error) => void events.push(`error ${(error as Error).name}`));
  return { cache, events };
}

/** A cache that is synced with these znodes; its events so far are forgotten. */
async function synchronized<T = Uint8Array>(znodes: readonly Znode[], options?: CuratorCacheOptions<T>) {
  const scripted = script();
  const { cache, events } = cacheOf(scripted, options);
  const starting = cache.start();
  await scripted.stream.tell(...znodes.map(current), synced);
  await starting;
  events.length = 0;
  return { ...scripted, scripted, cache, events };
}

const texts = (cache: CuratorCache): string[] => [...cache].map(({ path, data }) => `${path}=${data}`);

describe('CuratorCache', () => {
  it('starts when the tree has been read, and has told each znode before those below it', async () => {
    const scripted = script();
    const { cache, events } = cacheOf(scripted);
    let isStarted = false;
    const starting = cache.start().then(() => {
      isStarted = true;
    });
    await settle();
    await scripted.stream.tell(current(znode('/a', '1')), current(znode('/a/b', '2')), current(znode('/a/b/c', '3')));
    expect(isStarted).toBe(false);
    await scripted.stream.tell(synced);
    await starting;
    expect(events).toEqual(['created /a', 'created /a/b', 'created /a/b/c', 'synced']);
    expect(texts(cache)).toEqual(['/a=1', '/a/b=2', '/a/b/c=3']);
    expect(cache.size).toBe(3);
    expect([...cache.childrenOf('/a')].map(({ path }) => path)).toEqual(['/a/b']);
    expect([...cache.childrenOf('/nothing')]).toEqual([]);
    expect(cache.get('/a/b')?.stat.czxid).toBe(1n);
    await cache.close();
  });

  it('gives each change the old and the new', async () => {
    const { cache, stream } = await synchronized([znode('/a', '1')], { serializer: string });
    const seen: unknown[] = [];
    cache.on('changed', (oldNode, node) => seen.push([oldNode.value, node.value, cache.get('/a')?.value]));
    cache.on('deleted', (oldNode, node) => seen.push([oldNode.value, node, cache.get('/a')]));
    const next = znode('/a', '2', { czxid: 1, mzxid: 2 });
    await stream.tell(changed(znode('/a', '1'), next), deleted(next));
    expect(seen).toEqual([
      ['1', '2', '2'],
      ['2', undefined, undefined],
    ]);
    await cache.close();
  });

  it('tells a znode that was created again as deleted and created, although its version is the same', async () => {
    const old = znode('/a/b', 'same');
    const { cache, events, stream } = await synchronized([znode('/a'), old]);
    await stream.tell(changed(old, znode('/a/b', 'same', { czxid: 5 })));
    expect(events).toEqual(['deleted /a/b', 'created /a/b']);
    expect(cache.get('/a/b')?.stat.czxid).toBe(5n);
    await cache.close();
  });

  it('deletes what was below a znode that was created again, before the znode itself', async () => {
    const old = znode('/a/b');
    const { cache, events, stream } = await synchronized([znode('/a'), old, znode('/a/b/c')]);
    await stream.tell(changed(old, znode('/a/b', '', { czxid: 5 })), deleted(znode('/a/b/c')));
    expect(events).toEqual(['deleted /a/b/c', 'deleted /a/b', 'created /a/b']);
    await cache.close();
  });

  it.each([
    { told: ['/a/b/c', '/a', '/a/b'], what: 'the lowest first' },
    { told: ['/a/b/c', '/a/b', '/a'], what: 'from below' },
    { told: ['/a', '/a/b', '/a/b/c'], what: 'from above' },
  ])(
    'loses nothing and tells nothing impossible of a tree that was created again and is told $what',
    async ({ told }) => {
      const old = ['/a', '/a/b', '/a/b/c'].map((path) => znode(path, 'old'));
      const { cache, events, stream } = await synchronized(old);
      const czxids: Record<string, number> = { '/a': 5, '/a/b': 6, '/a/b/c': 7 };
      for (const path of told)
        await stream.tell(changed(znode(path), znode(path, 'new', { czxid: czxids[path] ?? 0 })));
      expect(texts(cache)).toEqual(['/a=new', '/a/b=new', '/a/b/c=new']);
      const there = new Set(['/a', '/a/b', '/a/b/c']);
      for (const [name, path = ''] of events.map((event) => event.split(' '))) {
        expect(there.has(path)).toBe(name === 'deleted');
        if (name === 'deleted') {
          there.delete(path);
          expect([...there].filter((other) => other.startsWith(`${path}/`))).toEqual([]);
        } else {
          if (path !== '/a') expect(there).toContain(path.slice(0, path.lastIndexOf('/')));
          there.add(path);
        }
      }
      await cache.close();
    },
  );

  it('is synced again after each outage (CURATOR-296)', async () => {
    const { cache, events, stream } = await synchronized([znode('/a')]);
    await stream.tell(synced);
    expect(events).toEqual(['synced']);
    await cache.close();
  });

  it('tells whoever subscribes when it has started only what is new', async () => {
    const { cache, stream } = await synchronized([znode('/a')]);
    const news: string[] = [];
    cache.on('created', (_oldNode, node) => void news.push(node.path));
    await stream.tell(created(znode('/a/b')));
    expect(news).toEqual(['/a/b']);
    await cache.close();
  });

  it('reads data by its serializer; what it can not read is an error event, has no value and ends nothing (CURATOR-574)', async () => {
    const scripted = script();
    const { cache, events } = cacheOf(scripted, { serializer: json<{ port: number }>() });
    const failures: unknown[] = [];
    cache.on('error', (error) => failures.push(error));
    const starting = cache.start();
    await scripted.stream.tell(
      current(znode('/a', '')),
      current(znode('/a/b', 'no JSON')),
      current(znode('/a/c', '{"port":80}')),
      synced,
    );
    await starting;
    expect(events).toEqual(['created /a', 'error DeserializationError', 'created /a/b', 'created /a/c', 'synced']);
    expect(failures).toEqual([expect.objectContaining({ path: '/a/b', cause: expect.any(SyntaxError) })]);
    expect([...cache].map(({ value }) => value)).toEqual([undefined, undefined, { port: 80 }]);
    expect(cache.get('/a/b')?.data.toString()).toBe('no JSON');
    await cache.close();
  });

  it('reads nothing of a znode that is deleted (CURATOR-609)', async () => {
    const read: string[] = [];
    const serializer: Serializer<string> = {
      serialize: string.serialize,
      deserialize: (data) => {
        read.push(string.deserialize(data));
        throw new DeserializationError('never');
      },
    };
    const { cache, events, stream } = await synchronized([znode('/a', 'x')], { serializer });
    await stream.tell(deleted(znode('/a', 'x')));
    expect(read).toEqual(['x']);
    expect(events).toEqual(['deleted /a']);
    await cache.close();
  });

  it('decompresses; what is not compressed is an error event and stays as it is', async () => {
    const { cache, events, stream } = await synchronized([znode('/a', 'gz:1')], { compressedData: true });
    await stream.tell(created(znode('/a/b', 'plain')), created(znode('/a/c', '')));
    expect(events).toEqual(['error DataInconsistencyError', 'created /a/b', 'created /a/c']);
    expect(texts(cache)).toEqual(['/a=1', '/a/b=plain', '/a/c=']);
    await cache.close();
  });

  it('without cacheData it keeps paths and stats, and events tell the new data', async () => {
    const { cache, stream } = await synchronized([znode('/a', '1')], { cacheData: false, serializer: string });
    expect(stream.options.keepData).toBe(false);
    const seen: unknown[] = [];
    cache.on('changed', (oldNode, node) => seen.push(oldNode.value, oldNode.data.length, node.value));
    expect(cache.get('/a')).toMatchObject({ path: '/a', data: Buffer.alloc(0), value: undefined });
    await stream.tell(changed(znode('/a', '1'), znode('/a', '2', { czxid: 1, mzxid: 2 })));
    expect(seen).toEqual([undefined, 0, '2']);
    expect(cache.get('/a')).toMatchObject({ stat: { mzxid: 2n }, value: undefined });
    await cache.close();
  });

  it('leaves out what its selector does not accept, and all below it', async () => {
    const selector = { acceptChild: (path: string) => path !== '/a/secret', traverseChildren: () => true };
    const { cache, events, stream } = await synchronized([znode('/a'), znode('/a/secret')], { selector });
    await stream.tell(created(znode('/a/secret/key')), created(znode('/a/b')), deleted(znode('/a/secret')));
    expect(events).toEqual(['created /a/b']);
    expect(texts(cache)).toEqual(['/a=', '/a/b=']);
    await cache.close();
  });

  it('of a single znode it is synced with the first answer, and again when the connection is back', async () => {
    const scripted = script();
    const { cache, events } = cacheOf(scripted, { singleNode: true });
    const starting = cache.start();
    await scripted.stream.tell(current(znode('/a', '1')));
    await starting;
    expect(scripted.stream.options.recursive).toBe(false);
    scripted.client.enter('SUSPENDED');
    await settle();
    scripted.client.reconnect();
    await settle();
    expect(scripted.streams.map(({ isEnded }) => isEnded)).toEqual([true, false]);
    await scripted.stream.tell(current(znode('/a', '1')));
    expect(events).toEqual(['created /a', 'synced', 'synced']);
    scripted.client.reconnect();
    await settle();
    await scripted.stream.tell({ kind: 'current', path: '/a', node: undefined, oldNode: undefined, gap: false });
    expect(events.slice(3)).toEqual(['deleted /a', 'synced']);
    await cache.close();
  });

  it('refused in the beginning, it tells the error, rejects and is closed', async () => {
    const scripted = script();
    const { cache, events } = cacheOf(scripted);
    const starting = cache.start();
    await scripted.stream.fail(new NoAuthError('no', { path: '/a' }));
    await expect(starting).rejects.toThrow(NoAuthError);
    expect(events).toEqual(['error NoAuthError']);
    expect(cache.state).toBe('CLOSED');
    expect(scripted.stream.isEnded).toBe(true);
  });

  it('refused later, it tells the error, tries again after a while, and deletes what has gone meanwhile', async () => {
    const znodes = [znode('/a'), znode('/a/b'), znode('/a/b/c'), znode('/a/d')];
    const { cache, client, events, streams, scripted } = await synchronized(znodes);
    await scripted.stream.fail(new NoAuthError('no', { path: '/a' }));
    expect(events).toEqual(['error NoAuthError']);
    expect(streams).toHaveLength(1);
    await client.clock.advance(5_000);
    expect(streams).toHaveLength(2);
    await scripted.stream.tell(current(znode('/a')), current(znode('/a/d', '', { czxid: 1, mzxid: 3 })), synced);
    expect(events.slice(1)).toEqual(['changed /a/d', 'deleted /a/b/c', 'deleted /a/b', 'synced']);
    await cache.close();
    expect(client.clock.alarms).toBe(0);
  });

  it('waits for a client that is not started yet', async () => {
    const scripted = script(new FakeServers().newClient());
    const { cache } = cacheOf(scripted);
    const starting = cache.start();
    await settle();
    expect(scripted.streams).toEqual([]);
    scripted.client.start();
    await settle();
    await scripted.stream.tell(synced);
    await starting;
    await cache.close();
  });

  it('closed, it forgets, tells nothing more and ends its stream (CURATOR-332, 491)', async () => {
    const { cache, events, stream } = await synchronized([znode('/a')]);
    const closing = cache.close();
    const told = stream.tell(deleted(znode('/a')), synced);
    await Promise.all([closing, cache.close(), told]);
    expect(events).toEqual([]);
    expect(stream.isEnded).toBe(true);
    expect(cache.size).toBe(0);
    expect(cache.state).toBe('CLOSED');
  });

  it('closed by a listener, it tells nothing more', async () => {
    const { cache, events, stream } = await synchronized([znode('/a'), znode('/a/b')]);
    cache.on('deleted', () => void cache.close());
    await stream.tell(changed(znode('/a'), znode('/a', '', { czxid: 5 })), created(znode('/a/c')));
    expect(events).toEqual(['deleted /a/b']);
  });

  it('closed with keepOnClose, it can still be read', async () => {
    const { cache } = await synchronized([znode('/a', '1')], { keepOnClose: true });
    await cache.close();
    expect(texts(cache)).toEqual(['/a=1']);
  });

  it('a listener that throws keeps nobody from being told', async () => {
    const { cache, events, stream } = await synchronized([znode('/a')]);
    cache.on('created', () => {
      throw new Error('of the listener');
    });
    await stream.tell(created(znode('/a/b')), created(znode('/a/c')));
    expect(events).toEqual(['created /a/b', 'created /a/c']);
    await cache.close();
  });

  it('its start ends with the signal, with closing, and with the client, and is then closed', async () => {
    const scripted = script();
    const stop = new AbortController();
    const aborted = cacheOf(scripted).cache;
    const starting = aborted.start({ signal: stop.signal });
    stop.abort('enough');
    await expect(starting).rejects.toBe('enough');
    expect(aborted.state).toBe('CLOSED');

    const closed = cacheOf(scripted).cache;
    const waiting = closed.start();
    await closed.close();
    await expect(waiting).rejects.toThrow(RecipeStateError);

    const orphan = cacheOf(scripted).cache;
    const left = orphan.start();
    await settle();
    await scripted.stream.fail(new ClientClosedError('closed'));
    await expect(left).rejects.toThrow(ClientClosedError);
    expect(orphan.state).toBe('CLOSED');
  });

  it('refuses to be started twice, and goes on', async () => {
    const { cache, events, stream } = await synchronized([znode('/a')]);
    await expect(cache.start()).rejects.toThrow(RecipeStateError);
    await stream.tell(created(znode('/a/b')));
    expect(events).toEqual(['created /a/b']);
    await cache.close();
    await expect(cache.start()).rejects.toThrow("can't be started again");
  });
});
