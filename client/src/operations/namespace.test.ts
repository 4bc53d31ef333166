import { describe, expect, it } from 'vitest';
import { CreateMode, ErrorCode, EventType } from 'zookeeper-protocol-ts';
import { InvalidArgumentError, NoAuthError } from '../errors.ts';
import { CuratorFramework } from '../framework.ts';
import { RetryNTimes } from '../retry.ts';
import type { WatchedEvent } from '../watch/watch-registry.ts';
import { FakeServer } from './fake-server.fixture.ts';
import { Namespace } from './namespace.ts';

describe('Namespace', () => {
  it.each([
    ['foo', '/', '/foo'],
    ['foo', '/bar', '/foo/bar'],
    ['foo', '/foo', '/foo/foo'],
    ['foo', '/foobar/x', '/foo/foobar/x'],
    ['a/b', '/c', '/a/b/c'],
    ['', '/', '/'],
    ['', '/foo', '/foo'],
    [null, '/foo', '/foo'],
  ])('%s puts %s at %s and back', (name, user, server) => {
    const namespace = new Namespace(name);
    expect(namespace.toServer(user)).toBe(server);
    expect(namespace.toUser(server)).toBe(user);
  });

  it.each(['/foobar', '/foobar/x', '/fo', '/', ''])('foo does not strip %s, which is outside', (path) => {
    expect(new Namespace('foo').toUser(path)).toBe(path);
  });

  it('leaves room for the number of a sequential znode', () => {
    expect(new Namespace('foo').toServer('/', { sequential: true })).toBe('/foo/');
    expect(new Namespace('foo').toServer('/q/', { sequential: true })).toBe('/foo/q/');
    expect(new Namespace('').toServer('/', { sequential: true })).toBe('/');
    expect(() => new Namespace('foo').toServer('/q/')).toThrow(InvalidArgumentError);
  });

  it.each(['/foo', 'foo/', 'a//b', '..', 'a/./b'])('%s is refused', (name) => {
    expect(() => new Namespace(name)).toThrow(InvalidArgumentError);
  });

  it('wraps the same watcher the same way, and another namespace otherwise', () => {
    const watcher = () => undefined;
    expect(new Namespace('foo').toServerWatcher(watcher)).toBe(new Namespace('foo').toServerWatcher(watcher));
    expect(new Namespace('foo').toServerWatcher(watcher)).not.toBe(new Namespace('bar').toServerWatcher(watcher));
    expect(new Namespace('').toServerWatcher(watcher)).toBe(watcher);
  });
});

async function started(namespace: string) {
  const server = new FakeServer();
  const client = CuratorFramework.builder()
    .connectString(server.connectString)
    .namespace(namespace)
    .retryPolicy(new RetryNTimes(1, 100))
    .ports(server.ports)
    .build();
  const errors: unknown[] = [];
  client.on('error', (error) => errors.push(error));
  client.start();
  await server.clock.settle();
  return { server, client, errors };
}

async function resultOf<T>(server: FakeServer, promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  await server.clock.advance(10_000);
  return promise;
}

describe('a client in a namespace', () => {
  it('makes the znode of the namespace once, as containers, before its first operation', async () => {
    const { server, client } = await started('a/b');
    await resultOf(server, client.create('/x'));
    await resultOf(server, client.create('/y'));
    expect(server.paths).toEqual(['/a', '/a/b', '/a/b/x', '/a/b/y']);
    expect(server.modeOf('/a')).toBe(CreateMode.CONTAINER);
    expect(server.modeOf('/a/b')).toBe(CreateMode.CONTAINER);
    expect(server.received.filter((request) => request.startsWith('exists'))).toEqual(['exists /a/b', 'exists /a']);
  });

  it('gives and takes paths as if the namespace were the whole tree', async () => {
    const { server, client } = await started('zoo');
    expect(await resultOf(server, client.create('/zoo/a', { parents: true }))).toBe('/zoo/a');
    expect(server.paths).toEqual(['/zoo', '/zoo/zoo', '/zoo/zoo/a']);
    expect(await resultOf(server, client.getChildren('/'))).toEqual(['zoo']);
    expect(await resultOf(server, client.checkExists('/a'))).toBeUndefined();
    await resultOf(server, client.setData('/zoo/a', 'x'));
    expect((await resultOf(server, client.getData('/zoo/a'))).data.toString()).toBe('x');
    await resultOf(server, client.sync('/zoo/a'));
    await resultOf(server, client.delete('/zoo', { children: true }));
    expect(server.paths).toEqual(['/zoo']);
    expect(server.received).toContain('sync /zoo/zoo/a');
  });

  it('tells watchers its own paths, and each registration of one function once', async () => {
    const { server, client } = await started('foo');
    const events: WatchedEvent[] = [];
    const watcher = (event: WatchedEvent) => void events.push(event);
    await resultOf(server, client.checkExists('/foobar', { watcher }));
    await resultOf(server, client.checkExists().usingWatcher(watcher).forPath('/foobar'));
    server.make('/foo/foobar');
    await server.clock.settle();
    expect(events).toMatchObject([{ type: EventType.NodeCreated, path: '/foobar' }]);
  });

  it('makes the znode of the namespace again when a create finds it gone', async () => {
    const { server, client } = await started('foo');
    await resultOf(server, client.create('/x'));
    server.remove('/foo/x');
    server.remove('/foo');
    expect(await resultOf(server, client.create('/x'))).toBe('/x');
    expect(server.paths).toEqual(['/foo', '/foo/x']);
  });

  it('goes on when the znode of the namespace can not be made, and an error event tells', async () => {
    const { server, client, errors } = await started('foo');
    server.make('/foo');
    server.fate = ({ operation }) => (operation === 'exists' ? ErrorCode.NO_AUTH : undefined);
    expect(await resultOf(server, client.getChildren('/'))).toEqual([]);
    expect(errors).toEqual([expect.any(NoAuthError)]);
    server.fate = () => undefined;
    await resultOf(server, client.getChildren('/'));
    // It was tried again.
    expect(server.received.filter((request) => request === 'exists /foo')).toHaveLength(2);
  });

  it('has views that replace the namespace and share the session', async () => {
    const { server, client } = await started('foo');
    const other = client.usingNamespace('bar');
    const whole = client.usingNamespace(null);
    await resultOf(server, client.create('/a'));
    await resultOf(server, other.create('/b'));
    expect((await resultOf(server, whole.getChildren('/'))).sort()).toEqual(['bar', 'foo']);
    expect(other.sessionId).toBe(client.sessionId);
    expect(other.state).toBe('CONNECTED');
    expect(other.usingNamespace('foo').zookeeper).toBe(client.zookeeper);
    void client.close();
    expect(other.lifecycle).toBe('STOPPED');
  });
});
