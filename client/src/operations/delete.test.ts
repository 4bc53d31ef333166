import { describe, expect, it } from 'vitest';
import { ErrorCode } from 'zookeeper-protocol-ts';
import {
  BadVersionError,
  ConnectionLossError,
  NoAuthError,
  NoNodeError,
  NotEmptyError,
  OperationTimeoutError,
} from '../errors.ts';
import { CuratorFramework } from '../framework.ts';
import { RetryNTimes } from '../retry.ts';
import { FakeServer } from './fake-server.fixture.ts';

async function started(...paths: string[]) {
  const server = new FakeServer();
  for (const path of paths) server.make(path);
  const client = CuratorFramework.builder()
    .connectString(server.connectString)
    .sessionTimeoutMs(9000)
    .connectionTimeoutMs(3000)
    .retryPolicy(new RetryNTimes(1, 100))
    .ports(server.ports)
    .build();
  const errors: unknown[] = [];
  client.on('error', (error) => errors.push(error));
  client.start();
  await server.clock.settle();
  return { server, client, errors };
}

/** Lets time pass, and tells how the promise was settled: undefined, or what it rejected with. */
async function settled(server: FakeServer, promise: Promise<void>): Promise<unknown> {
  const outcome = promise.catch((error: unknown) => error);
  await server.clock.advance(30_000);
  return outcome;
}

describe('delete', () => {
  it('deletes a znode, in both styles', async () => {
    const { server, client } = await started('/a', '/b');
    expect(await settled(server, client.delete('/a'))).toBeUndefined();
    expect(await settled(server, client.delete().forPath('/b'))).toBeUndefined();
    expect(server.paths).toEqual([]);
  });

  it('deletes the version that was asked for only', async () => {
    const { server, client } = await started('/a');
    expect(await settled(server, client.delete().withVersion(3).forPath('/a'))).toBeInstanceOf(BadVersionError);
    expect(await settled(server, client.delete('/a', { version: 0 }))).toBeUndefined();
  });

  it('finds nothing when its first attempt was done and the answer lost', async () => {
    const { server, client } = await started('/a');
    server.fate = () => (server.received.length === 1 ? 'lose reply' : undefined);
    expect(await settled(server, client.delete('/a'))).toBeInstanceOf(NoNodeError);
  });

  it('quietly: does not mind that there is nothing', async () => {
    const { server, client } = await started('/a');
    expect(await settled(server, client.delete('/none'))).toBeInstanceOf(NoNodeError);
    expect(await settled(server, client.delete('/none', { quietly: true }))).toBeUndefined();
    server.fate = () => (server.received.length === 3 ? 'lose reply' : undefined);
    expect(await settled(server, client.delete().quietly().forPath('/a'))).toBeUndefined();
  });
});

describe('delete with children', () => {
  it('is refused unless asked for', async () => {
    const { server, client } = await started('/a', '/a/b');
    expect(await settled(server, client.delete('/a'))).toBeInstanceOf(NotEmptyError);
    expect(server.paths).toEqual(['/a', '/a/b']);
  });

  it('deletes the whole tree, depth first', async () => {
    const { server, client } = await started('/a', '/a/b', '/a/b/c', '/a/d', '/ab');
    expect(await settled(server, client.delete().deletingChildrenIfNeeded().forPath('/a'))).toBeUndefined();
    expect(server.paths).toEqual(['/ab']);
  });

  it('looks for children only after the server has missed them', async () => {
    const { server, client } = await started('/a');
    expect(await settled(server, client.delete('/a', { children: true }))).toBeUndefined();
    expect(server.received).toEqual(['delete /a']);
  });

  it('goes on when somebody adds a child or deletes one meanwhile', async () => {
    const { server, client } = await started('/a', '/a/b', '/a/c');
    let latecomer = true;
    server.fate = ({ operation, path }) => {
      if (operation === 'delete' && path === '/a/b' && server.paths.includes('/a/c')) server.remove('/a/c');
      if (operation === 'delete' && path === '/a' && latecomer && server.paths.join() === '/a') {
        latecomer = false;
        server.make('/a/late');
      }
      return undefined;
    };
    const deleting = settled(server, client.delete('/a', { children: true }));
    expect(await deleting).toBeUndefined();
    expect(latecomer).toBe(false);
    expect(server.paths).toEqual([]);
  });

  it('demands the version of the znode itself, not of those below', async () => {
    const { server, client } = await started('/a', '/a/b');
    expect(await settled(server, client.delete('/a', { children: true, version: 7 }))).toBeInstanceOf(BadVersionError);
    expect(server.paths).toContain('/a');
  });
});

describe('guaranteed delete', () => {
  it('goes on in the background, and still tells its caller that it failed', async () => {
    const { server, client, errors } = await started('/a');
    server.stop();
    await server.clock.settle();
    expect(await settled(server, client.delete('/a', { guaranteed: true }))).toBeInstanceOf(ConnectionLossError);
    expect(server.paths).toEqual(['/a']);
    await server.clock.advance(600_000);
    server.start();
    await server.clock.advance(10_000);
    expect(server.paths).toEqual([]);
    expect(errors).toEqual([]);
  });

  it('does not go on with what was refused (CURATOR-42)', async () => {
    const { server, client } = await started();
    expect(await settled(server, client.delete().guaranteed().forPath('/none'))).toBeInstanceOf(NoNodeError);
    await server.clock.advance(60_000);
    expect(server.received).toEqual(['delete /none']);
  });

  it('is content when the znode has gone in the meantime', async () => {
    const { server, client, errors } = await started('/a');
    server.fate = ({ operation }) => (operation === 'delete' ? 'lose request' : undefined);
    const deleting = client.delete('/a', { guaranteed: true });
    deleting.catch(() => undefined);
    await server.clock.advance(6000);
    await expect(deleting).rejects.toBeInstanceOf(ConnectionLossError);
    server.remove('/a');
    server.fate = () => undefined;
    await server.clock.advance(30_000);
    expect(errors).toEqual([]);
    expect(server.received.at(-1)).toBe('delete /a');
  });

  it('keeps the version: what others have written since is not deleted, and an error event tells', async () => {
    const { server, client, errors } = await started('/a');
    server.fate = ({ operation }) => (operation === 'delete' ? 'lose request' : undefined);
    const deleting = client.delete('/a', { guaranteed: true, version: 0 });
    deleting.catch(() => undefined);
    await server.clock.advance(6000);
    await expect(deleting).rejects.toBeInstanceOf(ConnectionLossError);
    server.write('/a');
    server.fate = () => undefined;
    await server.clock.advance(30_000);
    expect(errors).toEqual([expect.any(BadVersionError)]);
    expect(server.paths).toEqual(['/a']);
  });

  it('tells by an error event when it is refused in the background, and goes on with the next', async () => {
    const { server, client, errors } = await started('/a', '/b');
    server.stop();
    await server.clock.settle();
    const deletions = ['/a', '/b'].map((path) => settled(server, client.delete(path, { guaranteed: true })));
    await Promise.all(deletions);
    server.fate = ({ path }) => (path === '/a' ? ErrorCode.NO_AUTH : undefined);
    server.start();
    await server.clock.advance(10_000);
    expect(errors).toEqual([expect.any(NoAuthError)]);
    expect(server.paths).toEqual(['/a']);
  });

  it('pauses between rounds, whatever the retry policy says (CURATOR-209)', async () => {
    const { server, client } = await started('/a');
    server.fate = ({ operation }) => (operation === 'delete' ? ErrorCode.OPERATION_TIMEOUT : undefined);
    const deleting = settled(server, client.delete('/a', { guaranteed: true }));
    expect(await deleting).toBeInstanceOf(OperationTimeoutError);
    // Within 30 s: two attempts of the call, then two in each round of 1.1 s.
    expect(server.received.length).toBeGreaterThan(40);
    expect(server.received.length).toBeLessThan(60);
  });

  it('goes on after an abort', async () => {
    const { server, client } = await started('/a');
    server.stop();
    await server.clock.settle();
    const controller = new AbortController();
    const deleting = client.delete().guaranteed().withSignal(controller.signal).forPath('/a');
    deleting.catch(() => undefined);
    controller.abort();
    await expect(deleting).rejects.toBe(controller.signal.reason);
    server.start();
    await server.clock.advance(10_000);
    expect(server.paths).toEqual([]);
  });

  it('with children, takes them along in the background', async () => {
    const { server, client } = await started('/a', '/a/b');
    server.stop();
    await server.clock.settle();
    const options = { guaranteed: true, children: true };
    expect(await settled(server, client.delete('/a', options))).toBeInstanceOf(ConnectionLossError);
    server.start();
    await server.clock.advance(10_000);
    expect(server.paths).toEqual([]);
  });

  it('ends with the client', async () => {
    const { server, client, errors } = await started('/a');
    server.stop();
    await server.clock.settle();
    await settled(server, client.delete('/a', { guaranteed: true }));
    void client.close();
    await server.clock.settle();
    expect(server.clock.timers).toBe(0);
    server.start();
    await server.clock.advance(60_000);
    expect(server.paths).toEqual(['/a']);
    expect(errors).toEqual([]);
  });
});
