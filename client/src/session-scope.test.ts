import { afterEach, describe, expect, it } from 'vitest';
import { ClientClosedError, InvalidArgumentError, NoNodeError, SessionExpiredError } from './errors.ts';
import { CuratorFramework } from './framework.ts';
import { FakeServer } from './operations/fake-server.fixture.ts';
import { RetryNTimes, SessionFailedRetryPolicy } from './retry.ts';
import { SessionFailedError, type SessionScope } from './session-scope.ts';

const opened: CuratorFramework[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((client) => client.close()));
});

async function started() {
  const server = new FakeServer();
  const client = CuratorFramework.builder()
    .connectString(server.connectString)
    .sessionTimeoutMs(9000)
    .connectionTimeoutMs(3000)
    .retryPolicy(new RetryNTimes(5, 100))
    .ports(server.ports)
    .build();
  opened.push(client);
  client.start();
  await server.clock.settle();
  return { server, client };
}

/** Until the promise is settled, time passes. */
async function settled<T>(server: FakeServer, promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  await server.clock.advance(60_000);
  return promise;
}

/** Makes an ephemeral, loses its session if it is the first time, and makes a znode that rests on it. */
const work = (server: FakeServer) => async (scope: SessionScope<CuratorFramework>) => {
  const { client, attemptNumber, sessionId } = scope;
  await client.create(`/member-${attemptNumber}`, { mode: 'EPHEMERAL' });
  if (attemptNumber === 1) server.expire(sessionId);
  await client.create(`/rests-on-${attemptNumber}`);
  return attemptNumber;
};

describe('work within one session', () => {
  it('resolves to its result', async () => {
    const { server, client } = await started();
    const result = client.withSession(async (scope) => {
      expect(scope.sessionId).toBe(client.sessionId);
      await scope.client.create('/a');
      return 'done';
    });
    expect(await settled(server, result)).toBe('done');
    expect(server.paths).toEqual(['/a']);
  });

  it('is begun again in the next session, and nothing of the first reaches that one', async () => {
    const { server, client } = await started();
    expect(await settled(server, client.withSession(work(server)))).toBe(2);
    expect(server.paths).toEqual(['/member-2', '/rests-on-2']);
  });

  it('is given up with FAIL', async () => {
    const { server, client } = await started();
    const result = client.withSession(work(server), { mode: 'FAIL' });
    await expect(settled(server, result)).rejects.toThrow(SessionFailedError);
    expect(server.paths).toEqual([]);
  });

  it('is not done when the session ended behind its last operation', async () => {
    const { server, client } = await started();
    const result = client.withSession(
      async ({ client: inSession, sessionId, signal }) => {
        await inSession.create('/member', { mode: 'EPHEMERAL' });
        server.expire(sessionId);
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
      { mode: 'FAIL' },
    );
    await expect(settled(server, result)).rejects.toThrow(SessionFailedError);
  });

  it('fails with what it throws, without another try, as long as the session lives', async () => {
    const { server, client } = await started();
    let runs = 0;
    const result = client.withSession(async (scope) => {
      runs++;
      await scope.client.getData('/missing');
    });
    await expect(settled(server, result)).rejects.toThrow(NoNodeError);
    expect(runs).toBe(1);
  });

  it('is told as soon as the session is over, in the midst of a call that waits for a connection', async () => {
    const { server, client } = await started();
    const failed: unknown[] = [];
    const result = client.withSession(
      async (scope) => {
        server.stop();
        await scope.client.getData('/').catch((error: unknown) => failed.push(error));
      },
      { mode: 'FAIL' },
    );
    result.catch(() => undefined);
    await server.clock.advance(8900);
    expect(failed).toEqual([]);
    await server.clock.advance(200);
    expect(failed).toEqual([expect.any(SessionFailedError)]);
    await expect(result).rejects.toBe(failed[0]);
  });

  it('rides out an outage that the session survives', async () => {
    const { server, client } = await started();
    const result = client.withSession(async (scope) => {
      server.dropConnections();
      await scope.client.create('/a');
      return scope.attemptNumber;
    });
    expect(await settled(server, result)).toBe(1);
  });

  it('ends when the client is closed', async () => {
    const { server, client } = await started();
    const result = client.withSession(
      ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
    );
    result.catch(() => undefined);
    await server.clock.settle();
    const closed = client.close();
    await settled(server, closed);
    await expect(result).rejects.toThrow(ClientClosedError);
  });

  it('waits for a session no longer than its caller', async () => {
    const { server, client } = await started();
    server.stop();
    await server.clock.settle();
    const controller = new AbortController();
    const result = client.withSession(async () => 'never', { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(settled(server, result)).rejects.toThrow('enough');
  });

  it('refuses a mode that it does not know', async () => {
    const { client } = await started();
    const mode = 'AGAIN' as 'RETRY';
    await expect(client.withSession(async () => undefined, { mode })).rejects.toThrow(InvalidArgumentError);
  });

  it('has a client that is neither started nor closed', async () => {
    const { server, client } = await started();
    await settled(
      server,
      client.withSession(async (scope) => {
        expect(() => scope.client.start()).toThrow('a view of a client');
        await expect(scope.client.close()).rejects.toThrow('a view of a client');
      }),
    );
  });
});

describe('SessionFailedRetryPolicy', () => {
  const context = { retryCount: 0, elapsedMs: 0, random: () => 0 };
  it('retries all that its policy does, but for an expired session', () => {
    const policy = new SessionFailedRetryPolicy(new RetryNTimes(1, 100));
    expect(policy.nextDelayMs({ ...context, error: new Error('other') })).toBe(100);
    expect(policy.nextDelayMs({ ...context, retryCount: 1, error: new Error('other') })).toBeUndefined();
    expect(policy.nextDelayMs({ ...context, error: new SessionExpiredError('over') })).toBeUndefined();
  });
});
