import { describe, expect, it } from 'vitest';
import { InvalidArgumentError, NoAuthError } from 'zookeeper-client-ts';
import { AcquireTimeoutError } from './acquire-timeout.ts';
import { FakeServers, settle } from './fake-client.fixture.ts';
import type { Held } from './lock.ts';
import { InterProcessMultiLock } from './multi-lock.ts';
import { InterProcessMutex } from './mutex.ts';
import { InterProcessSemaphoreMutex } from './semaphore-mutex.ts';

function newLocks() {
  const servers = new FakeServers();
  const client = servers.newClient().start();
  const other = servers.newClient().start();
  return {
    servers,
    client,
    multi: new InterProcessMultiLock(client.framework, ['/a', '/b', '/c']),
    others: (path: string) => new InterProcessMutex(other.framework, path),
  };
}

/** Operations on znodes, as `operation /lock`. */
const stepsOf = (requests: readonly string[], operation: string) =>
  requests.filter((request) => request.startsWith(operation)).map((request) => request.split(/[ /]/)[2]);

describe('InterProcessMultiLock', () => {
  it('holds all of them, acquired in their order and released in the reverse', async () => {
    const { servers, client, multi } = newLocks();
    const held = await multi.acquire();
    expect(servers.znodes.size).toBe(3);
    expect(held.isHeld()).toBe(true);
    await held[Symbol.asyncDispose]();
    await held.release();
    expect(stepsOf(client.requests, 'create')).toEqual(['a', 'b', 'c']);
    expect(stepsOf(client.requests, 'delete')).toEqual(['c', 'b', 'a']);
    expect(held.signal.reason).toMatchObject({ reason: 'RELEASED', path: '/a, /b, /c' });
  });

  it('has one deadline for all, and holds none when it has passed', async () => {
    const { servers, client, multi, others } = newLocks();
    const a = await others('/a').acquire();
    await others('/b').acquire();
    const waiting = multi.acquire({ timeoutMs: 100 });
    const outcome: unknown[] = [];
    waiting.catch((error) => outcome.push(error));
    await client.clock.advance(60);
    await a.release();
    await client.clock.advance(39);
    expect(outcome).toEqual([]);
    await client.clock.advance(1);
    expect(outcome[0]).toBeInstanceOf(AcquireTimeoutError);
    expect(servers.znodes.size).toBe(1);
  });

  it('stops at the first failure, and gives back what it has', async () => {
    const { servers, client, multi } = newLocks();
    const refused = new NoAuthError('not permitted');
    client.onRequest = (operation, path) => {
      if (operation === 'create' && path.startsWith('/b')) throw refused;
    };
    await expect(multi.acquire()).rejects.toBe(refused);
    expect(stepsOf(client.requests, 'create')).toEqual(['a', 'b']);
    expect(servers.znodes.size).toBe(0);
  });

  it('tryAcquire gets all or none, and waits for nobody', async () => {
    const { servers, multi, others } = newLocks();
    const c = await others('/c').acquire();
    expect(await multi.tryAcquire()).toBeUndefined();
    await expect(multi.acquire({ timeoutMs: 0 })).rejects.toBeInstanceOf(AcquireTimeoutError);
    expect(servers.znodes.size).toBe(1);
    await c.release();
    expect((await multi.tryAcquire())?.isHeld()).toBe(true);
  });

  it('ends when one of its parts does, with its reason; the others have to be released all the same', async () => {
    const { servers, client, multi } = newLocks();
    const held = await multi.acquire();
    await settle();
    const reasons: unknown[] = [];
    held.signal.addEventListener('abort', () => reasons.push(held.signal.reason));
    servers.delete([...servers.znodes.keys()].find((path) => path.startsWith('/b')) ?? '');
    expect(held.isHeld()).toBe(false);
    expect(reasons).toMatchObject([{ reason: 'NODE_DELETED' }]);
    expect(held.parts.map((part) => part.isHeld())).toEqual([true, false, true]);
    await held.release();
    expect(servers.znodes.size).toBe(0);
    expect(client.clock.alarms).toBe(0);
  });

  it('is over at the first question after the process was frozen for longer than the lease', async () => {
    const { client, multi } = newLocks();
    const held = await multi.acquire();
    client.clock.freeze(60_000);
    expect(held.signal.aborted).toBe(true);
  });

  it('releases all, also when one can not be, and rejects with the first failure', async () => {
    const { servers, client, multi } = newLocks();
    const held = await multi.acquire();
    await settle();
    const refused = new NoAuthError('not permitted');
    client.onRequest = (operation, path) => {
      if (operation === 'delete' && path.startsWith('/c')) throw refused;
    };
    await expect(held.release()).rejects.toBe(refused);
    expect(servers.znodes.size).toBe(1);
  });

  it('of no lock at all is refused', () => {
    expect(() => new InterProcessMultiLock(newLocks().client.framework, [])).toThrow(InvalidArgumentError);
  });

  it('takes locks of every kind', async () => {
    const { servers, client } = newLocks();
    const semaphore = new InterProcessSemaphoreMutex(client.framework, '/semaphore');
    const multi = new InterProcessMultiLock(client.framework, ['/a', semaphore]);
    await multi.using((held: Held) => expect(held.isHeld()).toBe(true));
    expect(servers.znodes.size).toBe(0);
  });
});
