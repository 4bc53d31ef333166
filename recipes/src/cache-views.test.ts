/** NodeCache, PathChildrenCache and TreeCache: what each shows of a CuratorCache. */
import { describe, expect, it } from 'vitest';
import { NoAuthError } from 'zookeeper-client-ts';
import { settle } from './fake-client.fixture.ts';
import { NodeCache } from './node-cache.ts';
import { PathChildrenCache } from './path-children-cache.ts';
import { changed, created, current, deleted, script, synced, znode } from './scripted-tree.fixture.ts';
import { json, string } from './serializer.ts';
import { TreeCache, type TreeCacheOptions } from './tree-cache.ts';

describe('NodeCache', () => {
  it('has the znode, and tells that it was created, written and deleted', async () => {
    const scripted = script();
    const cache = new NodeCache(scripted.framework, '/a', { serializer: string });
    const values: (string | undefined)[] = [];
    cache.on('nodeChanged', (node) => values.push(node?.value));
    expect(cache.getCurrentData()).toBeUndefined();
    const starting = cache.start();
    await scripted.stream.tell({ kind: 'current', path: '/a', node: undefined, oldNode: undefined, gap: false });
    expect(await starting).toBe(cache);
    expect(scripted.stream.options.recursive).toBe(false);
    const [one, two] = [znode('/a', '1'), znode('/a', '2', { mzxid: 2 })];
    await scripted.stream.tell(created(one), changed(one, two));
    expect(cache.getCurrentData()?.value).toBe('2');
    await scripted.stream.tell(changed(two, znode('/a', '3', { czxid: 5 })), deleted(znode('/a', '3', { czxid: 5 })));
    expect(values).toEqual(['1', '2', undefined, '3', undefined]);
    await cache.close();
    expect([cache.state, scripted.stream.isEnded]).toEqual(['CLOSED', true]);
  });
});

describe('PathChildrenCache', () => {
  it('has the children of the path, sorted, and neither the path itself nor what is below them', async () => {
    const scripted = script();
    const cache = new PathChildrenCache(scripted.framework, '/a', { serializer: string });
    const events: string[] = [];
    cache.on('childAdded', ({ path }) => events.push(`added ${path}`));
    cache.on('childUpdated', (node, oldNode) => events.push(`updated ${node.path} ${oldNode.value} ${node.value}`));
    cache.on('childRemoved', ({ path }) => events.push(`removed ${path}`));
    cache.on('initialized', (children) => events.push(`initialized ${children.map(({ path }) => path)}`));
    const starting = cache.start();
    expect(scripted.stream.options.selector?.traverseChildren('/a/b')).toBe(false);
    await scripted.stream.tell(
      ...['/a', '/a/c', '/a/b', '/a/b/below'].map((path) => current(znode(path, '1'))),
      synced,
    );
    await starting;
    expect(events).toEqual(['added /a/c', 'added /a/b', 'initialized /a/b,/a/c']);
    expect(cache.getCurrentData().map(({ path }) => path)).toEqual(['/a/b', '/a/c']);
    expect(cache.getCurrentData('/a/b')?.value).toBe('1');
    expect(cache.getCurrentData('/a')).toBeUndefined();
    const next = znode('/a/b', '2', { mzxid: 2 });
    await scripted.stream.tell(changed(znode('/a/b', '1'), next), changed(znode('/a'), znode('/a', '', { mzxid: 3 })));
    await scripted.stream.tell(deleted(next), synced);
    expect(events.slice(3)).toEqual(['updated /a/b 1 2', 'removed /a/b', 'initialized /a/c']);
    await cache.close();
  });

  it('is initialized although a child has vanished meanwhile (CURATOR-476)', async () => {
    const scripted = script();
    const cache = new PathChildrenCache(scripted.framework, '/a');
    const initialized: number[] = [];
    cache.on('initialized', (children) => initialized.push(children.length));
    const starting = cache.start();
    await scripted.stream.tell(current(znode('/a')), current(znode('/a/b')), deleted(znode('/a/b')), synced);
    await starting;
    expect(initialized).toEqual([0]);
    await cache.close();
  });

  it('tells what it can not read, and keeps the rest', async () => {
    const scripted = script();
    const cache = new PathChildrenCache(scripted.framework, '/a', { serializer: json<number>() });
    const failures: unknown[] = [];
    cache.on('error', (error) => failures.push(error));
    const starting = cache.start();
    await scripted.stream.tell(current(znode('/a')), current(znode('/a/b', '{')), current(znode('/a/c', '7')), synced);
    await starting;
    expect(cache.getCurrentData().map(({ value }) => value)).toEqual([undefined, 7]);
    expect(failures).toEqual([expect.objectContaining({ path: '/a/b' })]);
    await cache.close();
  });
});

describe('TreeCache', () => {
  const paths = ['/a', '/a/b', '/a/b/c', '/a/b/c/d', '/a/hidden', '/a/hidden/e'];

  async function started(options: TreeCacheOptions) {
    const scripted = script();
    const cache = new TreeCache(scripted.framework, '/a', options);
    const events: string[] = [];
    cache.on('nodeAdded', ({ path }) => events.push(`added ${path}`));
    cache.on('nodeUpdated', ({ path }) => events.push(`updated ${path}`));
    cache.on('nodeRemoved', ({ path }) => events.push(`removed ${path}`));
    cache.on('initialized', () => events.push('initialized'));
    const starting = cache.start();
    await scripted.stream.tell(...paths.map((path) => current(znode(path))), synced);
    await starting;
    return { cache, events, stream: scripted.stream };
  }

  it('has the whole tree, and tells its changes', async () => {
    const { cache, events, stream } = await started({});
    expect(events).toEqual([...paths.map((path) => `added ${path}`), 'initialized']);
    expect([...cache].map(({ path }) => path)).toEqual(paths);
    expect(cache.size).toBe(6);
    expect([...(cache.getCurrentChildren('/a')?.keys() ?? [])]).toEqual(['b', 'hidden']);
    expect(cache.getCurrentChildren('/a/b/c/d')).toEqual(new Map());
    expect(cache.getCurrentChildren('/a/nothing')).toBeUndefined();
    await stream.tell(changed(znode('/a/b'), znode('/a/b', '', { mzxid: 2 })), deleted(znode('/a/hidden/e')));
    expect(events.slice(7)).toEqual(['updated /a/b', 'removed /a/hidden/e']);
    await cache.close();
  });

  it('goes only as deep as it may', async () => {
    const { cache, stream } = await started({ maxDepth: 2 });
    expect(['/a/b', '/a/b/c'].map((path) => stream.options.selector?.traverseChildren(path))).toEqual([true, false]);
    expect([...cache].map(({ path }) => path)).toEqual(['/a', '/a/b', '/a/b/c', '/a/hidden', '/a/hidden/e']);
    await cache.close();
  });

  it('leaves out what its selector does not accept or traverse', async () => {
    const acceptChild = (path: string) => path !== '/a/hidden';
    const traverseChildren = (path: string) => path !== '/a/b/c';
    const { cache } = await started({ selector: { acceptChild, traverseChildren } });
    expect([...cache].map(({ path }) => path)).toEqual(['/a', '/a/b', '/a/b/c']);
    await cache.close();
  });
});

describe.each([
  ['NodeCache', NodeCache],
  ['PathChildrenCache', PathChildrenCache],
  ['TreeCache', TreeCache],
] as const)('%s', (_name, Cache) => {
  it('refused, its start rejects and it is closed; whoever does not wait for it hears it as an error', async () => {
    const scripted = script();
    const errors: unknown[] = [];
    scripted.client.on('error', (error) => errors.push(error));
    const cache = new Cache(scripted.framework, '/a');
    void cache.start();
    await settle();
    await scripted.stream.fail(new NoAuthError('no', { path: '/a' }));
    expect(errors).toEqual([expect.any(NoAuthError)]);
    expect(cache.state).toBe('CLOSED');
    await expect(cache.start()).rejects.toThrow("can't be started again");
  });
});
