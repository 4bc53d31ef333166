import { describe, expect, it } from 'vitest';
import { CreateMode, ErrorCode, NO_SESSION, nameOf, parentOf } from 'zookeeper-protocol-ts';
import {
  ConnectionLossError,
  InvalidArgumentError,
  NoAuthError,
  NodeExistsError,
  NoNodeError,
  OperationTimeoutError,
} from '../errors.ts';
import { CuratorFramework } from '../framework.ts';
import type { FrameworkOptions } from '../framework-options.ts';
import { RetryNTimes } from '../retry.ts';
import { FakeServer, type Fate, type ReceivedRequest } from './fake-server.fixture.ts';
import { protectedIdOf, withoutProtection } from './protection.ts';

async function started(options: FrameworkOptions = {}) {
  const server = new FakeServer();
  const client = CuratorFramework.builder()
    .connectString(server.connectString)
    .sessionTimeoutMs(9000)
    .connectionTimeoutMs(3000)
    .retryPolicy(options.retry ?? new RetryNTimes(2, 100))
    .defaultData(options.defaultData ?? '')
    .namespace(options.namespace ?? '')
    .ports(server.ports)
    .build();
  const errors: unknown[] = [];
  client.on('error', (error) => errors.push(error));
  client.start();
  await server.clock.settle();
  return { server, client, errors };
}

/** Settles the promise, letting as much time pass as that takes, and returns what it rejected with. */
async function failureOf(server: FakeServer, promise: Promise<unknown>): Promise<unknown> {
  const failure = promise.then(
    (value) => new Error(`it resolved to ${String(value)}`),
    (error: unknown) => error,
  );
  await server.clock.advance(30_000);
  return failure;
}

async function resultOf<T>(server: FakeServer, promise: Promise<T>): Promise<T> {
  // Not to be reported as unhandled before the time has passed.
  promise.catch(() => undefined);
  await server.clock.advance(30_000);
  return promise;
}

/** Lets the first `count` requests that match meet their fate. */
function first(count: number, operation: string, fate: Fate): (request: ReceivedRequest) => Fate | undefined {
  let left = count;
  return (request) => (request.operation === operation && left-- > 0 ? fate : undefined);
}

const requestsOf = (server: FakeServer, operation: string): string[] =>
  server.received.filter((request) => request.startsWith(`${operation} `));

describe('create', () => {
  it('makes a persistent znode with the data given, and resolves to its path', async () => {
    const { server, client } = await started();
    expect(await resultOf(server, client.create('/a', { data: 'häuser' }))).toBe('/a');
    expect(server.modeOf('/a')).toBe(CreateMode.PERSISTENT);
    expect(server.dataOf('/a')).toBe('häuser');
  });

  it('does the same in both styles', async () => {
    const { server, client } = await started();
    const options = { mode: 'EPHEMERAL_SEQUENTIAL', parents: true, data: Buffer.from([65]) } as const;
    const byOptions = await resultOf(server, client.create('/x/n-', options));
    const byBuilder = await resultOf(
      server,
      client.create().creatingParentsIfNeeded().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath('/x/n-', 'A'),
    );
    expect([byOptions, byBuilder]).toEqual(['/x/n-0000000000', '/x/n-0000000001']);
    for (const path of [byOptions, byBuilder]) {
      expect(server.ownerOf(path)).toBe(client.sessionId);
      expect(server.dataOf(path)).toBe('A');
    }
  });

  it('writes the default data when it is given none', async () => {
    const { server, client } = await started({ defaultData: 'me' });
    await resultOf(server, client.create('/a'));
    await resultOf(server, client.create().forPath('/b'));
    await resultOf(server, client.create('/c', { data: '' }));
    expect(['/a', '/b', '/c'].map((path) => server.dataOf(path))).toEqual(['me', 'me', '']);
  });

  it('resolves to path and stat with storingStat, whatever the order of the modifiers', async () => {
    const { server, client } = await started();
    const created = await resultOf(server, client.create().storingStat().withMode('EPHEMERAL').forPath('/a', 'xyz'));
    expect(created).toMatchObject({ path: '/a', stat: { dataLength: 3, ephemeralOwner: client.sessionId } });
    expect(await resultOf(server, client.create().withMode('EPHEMERAL').storingStat().forPath('/b'))).toMatchObject({
      path: '/b',
      stat: { ephemeralOwner: client.sessionId },
    });
  });

  it('rejects with what the server refused', async () => {
    const { server, client } = await started();
    server.make('/a');
    expect(await failureOf(server, client.create('/a'))).toBeInstanceOf(NodeExistsError);
    expect(await failureOf(server, client.create('/none/b'))).toBeInstanceOf(NoNodeError);
  });

  it('refuses a mode and a path that are none, and sends nothing', async () => {
    const { server, client } = await started();
    // A caller without types.
    const mode = 'EPHEMRAL' as 'EPHEMERAL';
    expect(await failureOf(server, client.create('/a', { mode }))).toBeInstanceOf(InvalidArgumentError);
    expect(await failureOf(server, client.create('a'))).toBeInstanceOf(InvalidArgumentError);
    expect(await failureOf(server, client.create('/a/'))).toBeInstanceOf(InvalidArgumentError);
    expect(server.received).toEqual([]);
  });

  it('names a sequential znode by its number alone below a path with a trailing slash', async () => {
    const { server, client } = await started();
    server.make('/q');
    expect(await resultOf(server, client.create('/q/', { mode: 'PERSISTENT_SEQUENTIAL' }))).toBe('/q/0000000000');
  });

  it('without protection, a retry after a lost answer finds its own znode in the way', async () => {
    const { server, client } = await started();
    server.fate = first(1, 'create2', 'lose reply');
    expect(await failureOf(server, client.create('/a'))).toBeInstanceOf(NodeExistsError);
  });
});

describe('create with parents', () => {
  it('asks for no parent as long as none is missing', async () => {
    const { server, client } = await started();
    server.make('/a');
    await resultOf(server, client.create('/a/b', { parents: true }));
    expect(server.received).toEqual(['create2 /a/b']);
  });

  it('looks from the leaf upwards, and makes what is missing from there down (CURATOR-715, 728)', async () => {
    const { server, client } = await started({ defaultData: 'only for the leaf' });
    server.make('/a');
    server.make('/a/b');
    await resultOf(server, client.create('/a/b/c/d/e', { parents: true, mode: 'EPHEMERAL' }));
    expect(server.received).toEqual([
      'create2 /a/b/c/d/e',
      'exists /a/b/c/d',
      'exists /a/b/c',
      // Above the first that is there, it asks for nothing.
      'exists /a/b',
      'create2 /a/b/c',
      'create2 /a/b/c/d',
      'create2 /a/b/c/d/e',
    ]);
    expect(server.modeOf('/a/b/c')).toBe(CreateMode.PERSISTENT);
    expect(server.dataOf('/a/b/c')).toBe('');
  });

  it('makes containers when asked to', async () => {
    const { server, client } = await started();
    await resultOf(server, client.create().creatingParentContainersIfNeeded().forPath('/a/b'));
    expect(server.modeOf('/a')).toBe(CreateMode.CONTAINER);
    expect(server.modeOf('/a/b')).toBe(CreateMode.PERSISTENT);
  });

  it('makes persistent parents, and asks no more, where the server does not know containers', async () => {
    const { server, client } = await started();
    server.fate = ({ operation }) => (operation === 'createContainer' ? ErrorCode.UNIMPLEMENTED : undefined);
    await resultOf(server, client.create('/a/b/c', { containers: true }));
    expect(server.modeOf('/a')).toBe(CreateMode.PERSISTENT);
    expect(requestsOf(server, 'createContainer')).toEqual(['createContainer /a']);
  });

  it('does not mind that somebody else makes a parent first', async () => {
    const { server, client } = await started();
    server.fate = ({ operation, path }) => {
      // Between the probe and the create.
      if (operation === 'create2' && path === '/a' && !server.paths.includes('/a')) server.make('/a');
      return undefined;
    };
    expect(await resultOf(server, client.create('/a/b', { parents: true }))).toBe('/a/b');
  });

  it('rejects with why a parent could not be made', async () => {
    const { server, client } = await started();
    server.fate = ({ path }) => (path === '/a' ? ErrorCode.NO_AUTH : undefined);
    expect(await failureOf(server, client.create('/a/b', { parents: true }))).toBeInstanceOf(NoAuthError);
  });
});

describe('create with protection', () => {
  const options = { protect: true, mode: 'EPHEMERAL_SEQUENTIAL' } as const;

  it('puts _c_<uuid>- in front of the name, another one for each call', async () => {
    const { server, client } = await started();
    const builder = client.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL);
    const paths = [await resultOf(server, builder.forPath('/n-')), await resultOf(server, builder.forPath('/n-'))];
    for (const path of paths) expect(path).toMatch(/^\/_c_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-n-\d{10}$/);
    expect(new Set(paths.map((path) => protectedIdOf(nameOf(path)))).size).toBe(2);
    expect(paths.map((path) => withoutProtection(nameOf(path)))).toEqual(['n-0000000000', 'n-0000000001']);
  });

  it('finds its znode after a lost answer, and makes no second one', async () => {
    const { server, client } = await started();
    server.fate = first(1, 'create2', 'lose reply');
    const path = await resultOf(server, client.create('/n-', options));
    expect(server.paths).toEqual([path]);
    expect(server.ownerOf(path)).toBe(client.sessionId);
    expect(requestsOf(server, 'create2')).toHaveLength(1);
    // The server that is asked must first catch up with the one that did it.
    const parts = server.received.map((request) => request.split(' ')[0]);
    expect(parts.filter((operation) => operation !== 'setWatches')).toEqual([
      'create2',
      'sync',
      'getChildren2',
      'exists',
    ]);
  });

  it('hands out the stat of the znode that it found', async () => {
    const { server, client } = await started();
    server.fate = first(1, 'create2', 'lose reply');
    const create = client.create().withProtection().withMode('EPHEMERAL').storingStat();
    const { path, stat } = await resultOf(server, create.forPath('/n', 'four'));
    expect(stat).toMatchObject({ dataLength: 4, ephemeralOwner: client.sessionId });
    expect(server.paths).toEqual([path]);
  });

  it('keeps its id over the attempts (CURATOR-489)', async () => {
    const { server, client } = await started();
    server.fate = first(2, 'create2', 'lose request');
    const path = await resultOf(server, client.create('/n-', options));
    const ids = requestsOf(server, 'create2').map((request) => protectedIdOf(nameOf(request)));
    expect(ids).toHaveLength(3);
    expect(new Set(ids)).toEqual(new Set([protectedIdOf(nameOf(path))]));
    expect(server.paths).toEqual([path]);
  });

  it('does not take the znode of a session that has ended for its own, and deletes it (CURATOR-498)', async () => {
    const { server, client } = await started();
    const old = client.sessionId;
    server.fate = first(1, 'create2', 'lose reply');
    const creating = client.create('/n-', options);
    creating.catch(() => undefined);
    await server.clock.settle();
    // The client gives the session up; the server still holds it, with its znodes.
    client.zookeeper.abandon();
    const path = await resultOf(server, creating);
    expect(server.sessions).toContain(old);
    expect(client.sessionId).not.toBe(old);
    expect(server.paths).toEqual([path]);
    expect(server.ownerOf(path)).toBe(client.sessionId);
    expect(requestsOf(server, 'delete')).toHaveLength(1);
  });

  it('takes the persistent znode that an earlier session has made', async () => {
    const { server, client } = await started();
    server.fate = first(1, 'create2', 'lose reply');
    const creating = client.create('/n-', { protect: true, mode: 'PERSISTENT_SEQUENTIAL' });
    creating.catch(() => undefined);
    await server.clock.settle();
    client.zookeeper.abandon();
    const path = await resultOf(server, creating);
    expect(server.paths).toEqual([path]);
    expect(server.ownerOf(path)).toBe(NO_SESSION);
    expect(requestsOf(server, 'create2')).toHaveLength(1);
  });

  it('finds and deletes its znode in the background when the call has failed for good', async () => {
    const { server, client, errors } = await started({ retry: new RetryNTimes(0, 0) });
    server.fate = first(1, 'create2', 'lose reply');
    const creating = client.create('/n-', options);
    creating.catch(() => undefined);
    await server.clock.settle();
    await expect(creating).rejects.toBeInstanceOf(ConnectionLossError);
    expect(server.paths).toHaveLength(1);
    await server.clock.advance(3000);
    expect(server.paths).toEqual([]);
    expect(errors).toEqual([]);
  });

  it('does so also when the cleaning up fails at first, and in a namespace', async () => {
    const { server, client, errors } = await started({ retry: new RetryNTimes(0, 0), namespace: 'ns' });
    const fates = [first(1, 'create2', 'lose reply'), first(2, 'getChildren2', 'lose request')];
    fates.push(first(1, 'delete', 'lose request'));
    server.fate = (request) => fates.map((fate) => fate(request)).find((fate) => fate !== undefined);
    expect(await failureOf(server, client.create('/n-', options))).toBeInstanceOf(ConnectionLossError);
    expect(server.paths).toEqual(['/ns']);
    expect(requestsOf(server, 'delete')).toHaveLength(2);
    expect(errors).toEqual([]);
  });

  it('does so when the server has not answered in time', async () => {
    const { server, client } = await started({ retry: new RetryNTimes(0, 0) });
    server.fate = first(1, 'create2', ErrorCode.OPERATION_TIMEOUT);
    expect(await failureOf(server, client.create('/n-', options))).toBeInstanceOf(OperationTimeoutError);
    expect(requestsOf(server, 'getChildren2')).toHaveLength(1);
  });

  it('does so when the call is aborted while it waits for the answer (CURATOR-79)', async () => {
    const { server, client } = await started();
    server.make('/p');
    const controller = new AbortController();
    const creating = client.create('/p/n-', { ...options, signal: controller.signal });
    const reason = new Error('enough');
    server.fate = ({ operation }) => {
      // The server has it; the answer is under way.
      if (operation === 'create2') controller.abort(reason);
      return undefined;
    };
    expect(await failureOf(server, creating)).toBe(reason);
    expect(requestsOf(server, 'create2')).toHaveLength(1);
    expect(server.paths).toEqual(['/p']);
  });

  it('does so when the call is aborted between two attempts', async () => {
    const { server, client } = await started({ retry: new RetryNTimes(2, 60_000) });
    const controller = new AbortController();
    server.fate = first(1, 'create2', 'lose reply');
    const creating = client.create('/n-', { ...options, signal: controller.signal });
    creating.catch(() => undefined);
    await server.clock.advance(3000);
    expect(server.paths).toHaveLength(1);
    controller.abort();
    await server.clock.settle();
    await expect(creating).rejects.toBe(controller.signal.reason);
    expect(server.paths).toEqual([]);
  });

  it('looks for nothing when the server has refused it', async () => {
    const { server, client } = await started();
    expect(await failureOf(server, client.create('/none/n-', options))).toBeInstanceOf(NoNodeError);
    expect(server.received).toHaveLength(1);
  });

  it('cleans up when a retry is refused after an attempt whose outcome is unknown', async () => {
    const { server, client, errors } = await started();
    server.fate = first(1, 'create2', 'lose reply');
    const creating = client.create('/n-', options);
    creating.catch(() => undefined);
    await server.clock.settle();
    server.fate = first(1, 'getChildren2', ErrorCode.NO_AUTH);
    expect(await failureOf(server, creating)).toBeInstanceOf(NoAuthError);
    expect(server.paths).toEqual([]);
    expect(errors).toEqual([]);
  });

  it('stops cleaning up when the client is closed', async () => {
    const { server, client, errors } = await started({ retry: new RetryNTimes(0, 0) });
    server.fate = ({ operation }) => (operation === 'create2' ? 'lose reply' : 'lose request');
    expect(await failureOf(server, client.create('/n-', options))).toBeInstanceOf(ConnectionLossError);
    void client.close();
    await server.clock.settle();
    const before = server.received.length;
    await server.clock.advance(60_000);
    expect(server.received).toHaveLength(before);
    expect(server.clock.timers).toBe(0);
    expect(errors).toEqual([]);
  });

  it('repeats itself when the randomness does', async () => {
    const make = async () => {
      const { server, client } = await started();
      return resultOf(server, client.create('/n-', options));
    };
    expect(await make()).toBe(await make());
  });
});

describe('create with protection and parents', () => {
  it('protects the last name only', async () => {
    const { server, client } = await started();
    const path = await resultOf(server, client.create('/a/b/n-', { parents: true, protect: true }));
    expect(parentOf(path)).toBe('/a/b');
    expect(server.paths).toEqual(['/a', '/a/b', path]);
  });
});
