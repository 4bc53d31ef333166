import { describe, expect, it } from 'vitest';
import { EventType } from 'zookeeper-protocol-ts';
import { BadVersionError, NoNodeError } from '../errors.ts';
import { CuratorFramework } from '../framework.ts';
import { RetryNTimes } from '../retry.ts';
import type { WatchedEvent } from '../watch/watch-registry.ts';
import { FakeServer } from './fake-server.fixture.ts';

async function started(...paths: string[]) {
  const server = new FakeServer();
  for (const path of paths) server.make(path);
  const client = CuratorFramework.builder()
    .connectString(server.connectString)
    .retryPolicy(new RetryNTimes(1, 100))
    .defaultData('me')
    .ports(server.ports)
    .build()
    .start();
  await server.clock.settle();
  return { server, client };
}

async function resultOf<T>(server: FakeServer, promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  await server.clock.advance(10_000);
  return promise;
}

describe('setData', () => {
  it('replaces the data and resolves to the new stat, in both styles', async () => {
    const { server, client } = await started('/a');
    expect(await resultOf(server, client.setData('/a', 'one'))).toMatchObject({ version: 1, dataLength: 3 });
    expect(await resultOf(server, client.setData().forPath('/a', Buffer.from('zwölf')))).toMatchObject({ version: 2 });
    expect(server.dataOf('/a')).toBe('zwölf');
  });

  it('writes the default data when it is given none', async () => {
    const { server, client } = await started('/a', '/b');
    await resultOf(server, client.setData().forPath('/a'));
    await resultOf(server, client.setData('/b'));
    expect([server.dataOf('/a'), server.dataOf('/b')]).toEqual(['me', 'me']);
  });

  it('is refused at another version, and makes no znode', async () => {
    const { server, client } = await started('/a');
    await expect(resultOf(server, client.setData('/a', '', { version: 1 }))).rejects.toBeInstanceOf(BadVersionError);
    await expect(resultOf(server, client.setData().withVersion(1).forPath('/a', ''))).rejects.toBeInstanceOf(
      BadVersionError,
    );
    await expect(resultOf(server, client.setData('/none', ''))).rejects.toBeInstanceOf(NoNodeError);
    expect(server.paths).toEqual(['/a']);
  });
});

describe('getData', () => {
  it('resolves to data and stat; the builder to the data alone, unless asked', async () => {
    const { server, client } = await started('/a');
    server.write('/a', 'x');
    const data = Buffer.from('x');
    expect(await resultOf(server, client.getData('/a'))).toMatchObject({ data, stat: { version: 1 } });
    expect(await resultOf(server, client.getData().forPath('/a'))).toEqual(data);
    expect(await resultOf(server, client.getData().storingStat().forPath('/a'))).toMatchObject({
      data,
      stat: { version: 1 },
    });
  });

  it('leaves no watch where there is no znode', async () => {
    const { server, client } = await started();
    const events: WatchedEvent[] = [];
    const watcher = (event: WatchedEvent) => void events.push(event);
    await expect(resultOf(server, client.getData('/a', { watcher }))).rejects.toBeInstanceOf(NoNodeError);
    server.make('/a');
    await server.clock.settle();
    expect(events).toEqual([]);
  });
});

describe('getChildren', () => {
  it('resolves to the names; the builder also to the stat, when asked', async () => {
    const { server, client } = await started('/a', '/a/b', '/a/c', '/ab');
    expect(await resultOf(server, client.getChildren('/a'))).toEqual(['b', 'c']);
    expect(await resultOf(server, client.getChildren().forPath('/a'))).toEqual(['b', 'c']);
    expect(await resultOf(server, client.getChildren().storingStat().forPath('/a'))).toMatchObject({
      children: ['b', 'c'],
      stat: { numChildren: 2 },
    });
  });

  it('leaves a watch that is told once', async () => {
    const { server, client } = await started('/a');
    const events: WatchedEvent[] = [];
    await resultOf(
      server,
      client
        .getChildren()
        .usingWatcher((event) => events.push(event))
        .forPath('/a'),
    );
    server.make('/a/b');
    server.make('/a/c');
    await server.clock.settle();
    expect(events).toMatchObject([{ type: EventType.NodeChildrenChanged, path: '/a' }]);
  });
});

describe('the options style with storingStat', () => {
  it('has the path and the stat of what was made', async () => {
    const { server, client } = await started();
    const created = await resultOf(server, client.create('/a', { data: 'one', storingStat: true }));
    expect(created).toMatchObject({ path: '/a', stat: { version: 0, dataLength: 3 } });
    expect(await resultOf(server, client.create('/b', { storingStat: false }))).toBe('/b');
  });

  it('has the children and the stat of their parent', async () => {
    const { server, client } = await started('/a', '/a/b');
    const read = await resultOf(server, client.getChildren('/a', { storingStat: true }));
    expect(read).toMatchObject({ children: ['b'], stat: { numChildren: 1 } });
    expect(await resultOf(server, client.getChildren('/a', { watcher: () => undefined }))).toEqual(['b']);
  });
});

describe('checkExists', () => {
  it('resolves to the stat, or to undefined', async () => {
    const { server, client } = await started('/a');
    expect(await resultOf(server, client.checkExists('/a'))).toMatchObject({ version: 0 });
    expect(await resultOf(server, client.checkExists().forPath('/b'))).toBeUndefined();
  });
});

describe('a call with a signal', () => {
  it('rejects with its reason while the server is silent, in each style', async () => {
    const { server, client } = await started('/a');
    server.fate = () => 'ignore';
    const calls: ((signal: AbortSignal) => Promise<unknown>)[] = [
      (signal) => client.create('/b', { signal }),
      (signal) => client.create().withSignal(signal).forPath('/b'),
      (signal) => client.delete('/a', { signal }),
      (signal) => client.delete().withSignal(signal).forPath('/a'),
      (signal) => client.checkExists('/a', { signal }),
      (signal) => client.checkExists().withSignal(signal).forPath('/a'),
      (signal) => client.getData('/a', { signal }),
      (signal) => client.getData().withSignal(signal).forPath('/a'),
      (signal) => client.setData('/a', '', { signal }),
      (signal) => client.setData().withSignal(signal).forPath('/a'),
      (signal) => client.getChildren('/a', { signal }),
      (signal) => client.getChildren().withSignal(signal).forPath('/a'),
      (signal) => client.sync('/a', { signal }),
    ];
    const reason = new Error('enough');
    for (const call of calls) {
      const controller = new AbortController();
      const failure = call(controller.signal).catch((error: unknown) => error);
      await server.clock.settle();
      controller.abort(reason);
      expect(await failure).toBe(reason);
    }
  });
});
