import { describe, expect, it } from 'vitest';
import { EventType } from 'zookeeper-protocol-ts';
import { NoWatcherError } from '../errors.ts';
import { CuratorFramework } from '../framework.ts';
import { RetryNTimes } from '../retry.ts';
import type { WatchedEvent } from '../watch/watch-registry.ts';
import { FakeServer } from './fake-server.fixture.ts';

async function started({ paths = ['/a'], namespace = '' } = {}) {
  const server = new FakeServer();
  for (const path of paths) server.make(path);
  const client = CuratorFramework.builder()
    .connectString(server.connectString)
    .namespace(namespace)
    .retryPolicy(new RetryNTimes(1, 100))
    .ports(server.ports)
    .build()
    .start();
  await server.clock.settle();
  const events: WatchedEvent[] = [];
  const watcher = (event: WatchedEvent) => void (event.type !== EventType.None && events.push(event));
  const done = async <T>(promise: Promise<T>): Promise<T> => {
    promise.catch(() => undefined);
    await server.clock.advance(5000);
    return promise;
  };
  return { server, client, events, watcher, done };
}

describe('removing watches', () => {
  it('tells the server when nobody needs the watch any more, not before', async () => {
    const { server, client, events, watcher, done } = await started();
    const other = () => undefined;
    await done(client.getData('/a', { watcher }));
    await done(client.getData('/a', { watcher: other }));
    await done(client.removeWatches('/a', { watcher }));
    expect(server.watches).toEqual(['data /a once']);
    await done(client.removeWatches('/a', { watcher: other }));
    expect(server.watches).toEqual([]);
    expect(events).toMatchObject([{ type: EventType.DataWatchRemoved, path: '/a' }]);
  });

  it('leaves the server’s watch to a read that is under way', async () => {
    const { server, client, events, watcher, done } = await started();
    await done(client.getData('/a', { watcher: () => undefined }));
    const reading = client.getData('/a', { watcher });
    const removing = client.watches().removeAll().forPath('/a');
    await done(Promise.all([reading, removing]));
    server.write('/a', 'x');
    await server.clock.settle();
    expect(events).toMatchObject([{ type: EventType.NodeDataChanged }]);
  });

  it('needs no connection: the next one starts without the watch', async () => {
    const { server, client, events, watcher, done } = await started();
    await done(client.getData('/a', { watcher }));
    server.stop();
    await server.clock.settle();
    await client.removeWatches('/a');
    server.start();
    await done(client.sync('/'));
    expect(server.watches).toEqual([]);
    expect(events).toMatchObject([{ type: EventType.DataWatchRemoved }]);
    await expect(client.removeWatches('/a')).rejects.toBeInstanceOf(NoWatcherError);
  });

  it('says nothing to the server when it is local', async () => {
    const { server, client, watcher, done } = await started();
    await done(client.addWatch('/a', watcher, { recursive: true }));
    await done(client.watches().remove(watcher).locally().forPath('/a'));
    expect(server.watches).toEqual(['child /a recursive', 'data /a recursive']);
  });

  it('finds the watcher of a namespace, and names the path as its user does', async () => {
    const { server, client, events, watcher, done } = await started({ paths: ['/ns', '/ns/a'], namespace: 'ns' });
    await done(client.getChildren('/a', { watcher }));
    expect(server.watches).toEqual(['child /ns/a once']);
    await done(client.removeWatches('/a', { watcher }));
    expect(server.watches).toEqual([]);
    expect(events).toMatchObject([{ type: EventType.ChildWatchRemoved, path: '/a' }]);
  });
});

describe('a view that removes its watches', () => {
  it('removes what has not fired, of all paths and kinds, and of its own views', async () => {
    const { server, client, watcher, done } = await started({ paths: ['/a', '/b', '/ns', '/ns/c'] });
    const view = client.newWatcherRemoveCuratorFramework();
    await done(view.getData('/a', { watcher }));
    await done(view.getChildren('/a', { watcher }));
    await done(view.checkExists('/none', { watcher }));
    await done(view.usingNamespace('ns').getData('/c', { watcher }));
    await done(client.getData('/b', { watcher }));
    server.write('/a', 'x');
    await server.clock.settle();
    await done(view.removeWatchers());
    expect(server.watches).toEqual(['data /b once']);
    await done(view.removeWatchers());
  });

  it('has nothing to remove after a new session, and sends nothing', async () => {
    const { server, client, watcher, done } = await started();
    const view = client.newWatcherRemoveCuratorFramework();
    await done(view.getData('/a', { watcher }));
    server.expire(client.sessionId);
    await server.clock.advance(5000);
    server.received.length = 0;
    await done(view.removeWatchers());
    expect(server.received).toEqual([]);
  });
});
