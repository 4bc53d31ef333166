import { describe, expect, it } from 'vitest';
import { ErrorCode } from 'zookeeper-protocol-ts';
import { NoAuthError } from '../errors.ts';
import type { FakeServer } from '../operations/fake-server.fixture.ts';
import type { WatchStreamOptions } from './change-stream.ts';
import { inWords, type Setting, started } from './watch-stream.fixture.ts';
import type { TreeChange } from './znode-change.ts';

interface LoopSetting extends Setting {
  readonly options?: WatchStreamOptions;
  readonly fate?: FakeServer['fate'];
}

/** A loop over the tree at `path`, and what it was told since the last call of `told`. */
async function looping(path: string, { options, fate = () => undefined, ...setting }: LoopSetting) {
  const { server, client } = await started(setting);
  server.fate = fate;
  const errors: unknown[] = [];
  client.on('error', (error) => errors.push(error));
  const stop = new AbortController();
  const changes: TreeChange[] = [];
  const end = (async () => {
    const tree = client.watch(path, { recursive: true, ...options, signal: stop.signal });
    for await (const change of tree) changes.push(change);
  })();
  end.catch(() => undefined);
  await server.clock.advance(3000);
  const told = (): string[] => changes.splice(0).map(inWords);
  /** Ends the loop. */
  const close = async (): Promise<void> => {
    stop.abort('enough');
    await expect(end).rejects.toBe('enough');
    await server.clock.settle();
    expect(server.watches).toEqual([]);
  };
  return { server, errors, changes, told, end, close };
}

const kinds = [
  ['persistent watches', true],
  ['one-shot watches (ZooKeeper 3.5)', false],
] as const;

describe.each(kinds)('a tree on %s', (_, persistentWatches) => {
  const unsure = persistentWatches ? '' : ' (gap)';

  it('of which a part is selected is read, watched and told no further', async () => {
    const selector = {
      acceptChild: (path: string) => path !== '/x',
      traverseChildren: (path: string) => path === '/',
    };
    const paths = ['/a', '/a/b', '/a/b/c', '/a/x', '/a/x/y'];
    const options = { selector };
    const { server, told, close } = await looping('/', { paths, persistentWatches, namespace: 'a', options });
    expect(told()).toEqual(['current / -', 'current /b -', 'synced /']);
    server.write('/a/x/y', '1');
    server.write('/a/b/c', '1');
    server.write('/a/b', '1');
    server.make('/a/b/d');
    server.make('/a/z');
    await server.clock.settle();
    expect(told()).toEqual(['changed /b - → 1', `created /z -${unsure}`]);
    server.dropConnections();
    await server.clock.advance(3000);
    expect(told()).toEqual(['synced / (gap)']);
    server.remove('/a/z');
    await server.clock.settle();
    expect(told()).toEqual([`deleted /z -${unsure}`]);
    const reads = new Set(server.received.filter((request) => /^get/.test(request)));
    expect([...reads].sort()).toEqual(['getChildren2 /a', 'getData /a', 'getData /a/b', 'getData /a/z']);
    await close();
  });

  it('without keepData holds no data of what it has told', async () => {
    const options = { keepData: false };
    const { server, changes, close } = await looping('/a', { paths: ['/a', '/a/b'], persistentWatches, options });
    const datum = (change: TreeChange | undefined) =>
      change?.kind === 'synced' ? undefined : [change?.kind, change?.oldNode?.text(), change?.node?.text()];
    changes.length = 0;
    server.write('/a/b', 'one');
    await server.clock.settle();
    server.write('/a/b', 'two');
    await server.clock.settle();
    server.remove('/a/b');
    await server.clock.settle();
    expect(changes.map(datum)).toEqual([
      ['changed', '', 'one'],
      ['changed', '', 'two'],
      ['deleted', '', undefined],
    ]);
    server.dropConnections();
    await server.clock.advance(3000);
    expect(changes.map(({ kind }) => kind).slice(3)).toEqual(['synced']);
    await close();
  });

  it('goes on without what may not be read, reports it once, and tells it when it can be read', async () => {
    const paths = ['/a', '/a/b', '/a/b/c', '/a/d'];
    let isHidden = true;
    const fate: FakeServer['fate'] = ({ operation, path }) =>
      isHidden && operation.startsWith('get') && path.startsWith('/a/b') ? ErrorCode.NO_AUTH : undefined;
    const { server, errors, told, close } = await looping('/a', { paths, persistentWatches, fate });
    expect(told()).toEqual(['current /a -', 'current /a/d -', 'synced /a']);
    expect(errors).toEqual([expect.objectContaining({ name: 'NoAuthError', path: '/a/b' })]);

    // Neither its changes nor an outage make it a new failure.
    server.write('/a/b', '1');
    server.write('/a/b/c', '1');
    server.write('/a/d', '1');
    await server.clock.settle();
    server.dropConnections();
    await server.clock.advance(3000);
    expect(told()).toEqual(['changed /a/d - → 1', 'synced /a (gap)']);
    expect(errors).toHaveLength(1);

    isHidden = false;
    if (persistentWatches) {
      server.write('/a/b', '2');
      await server.clock.settle();
    } else {
      server.dropConnections();
      await server.clock.advance(3000);
    }
    expect(told().filter((change) => !change.startsWith('synced'))).toEqual([
      expect.stringMatching(/^created \/a\/b \S/),
      'created /a/b/c 1 (gap)',
    ]);

    isHidden = true;
    server.dropConnections();
    await server.clock.advance(3000);
    expect(told()).toEqual([
      'deleted /a/b/c 1 (gap)',
      expect.stringMatching(/^deleted \/a\/b \S \(gap\)$/),
      'synced /a (gap)',
    ]);
    expect(errors).toHaveLength(2);
    await close();
  });

  it('ends where its root may not be read', async () => {
    const fate: FakeServer['fate'] = ({ operation }) => (operation === 'getData' ? ErrorCode.NO_AUTH : undefined);
    const { end } = await looping('/a', { paths: ['/a'], persistentWatches, fate });
    await expect(end).rejects.toBeInstanceOf(NoAuthError);
  });
});
