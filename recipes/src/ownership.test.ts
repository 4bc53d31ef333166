import { describe, expect, it, vi } from 'vitest';
import { NoNodeError } from 'zookeeper-client-ts';
import { toZxid } from 'zookeeper-protocol-ts';
import { type FakeClient, FakeServers, SESSION_TIMEOUT_MS } from './fake-client.fixture.ts';
import { Ownership, OwnershipLostError, type OwnershipLostReason } from './ownership.ts';

function grant(client: FakeClient, release: () => Promise<void> = async () => undefined): Ownership {
  return new Ownership({
    client: client.framework,
    path: '/lock/mine',
    token: toZxid(7n),
    sessionId: client.sessionId,
    id: 'me',
    release,
  });
}

/** Why it ended, without asking the signal itself: what a listener would have been told. */
function listen(ownership: Ownership): { reason: OwnershipLostReason | undefined } {
  const told: { reason: OwnershipLostReason | undefined } = { reason: undefined };
  ownership.signal.addEventListener('abort', () => {
    told.reason = (ownership.signal.reason as OwnershipLostError).reason;
  });
  return told;
}

function connectedClient(): FakeClient {
  return new FakeServers().newClient().start();
}

describe('a transaction of an owner', () => {
  const prepare = () => {
    const servers = new FakeServers();
    const client = servers.newClient().start();
    const { path } = servers.createSequential('/lock/mine-', '', client.sessionId);
    servers.createSequential('/state-', '', client.sessionId);
    const ownership = new Ownership({
      client: client.framework,
      path,
      token: toZxid(7n),
      sessionId: client.sessionId,
      id: 'me',
      release: async () => undefined,
    });
    return { servers, client, path, ownership, state: '/state-0000000001' };
  };

  it('is applied while our znode exists, and tells the results of its own operations', async () => {
    const { servers, client, path, ownership, state } = prepare();
    expect(await ownership.transaction([ownership.op.setData(state, 'new')])).toHaveLength(1);
    expect(servers.read(state).data.toString()).toBe('new');
    expect(client.requests).toEqual([`transaction ${path} ${state}`]);
  });

  it('is not applied once our znode is gone, and ends the ownership', async () => {
    const { servers, path, ownership, state } = prepare();
    servers.delete(path);
    await expect(ownership.transaction([ownership.op.setData(state, 'new')])).rejects.toBeInstanceOf(
      OwnershipLostError,
    );
    expect(servers.read(state).data.toString()).toBe('');
    expect(ownership.signal.reason).toMatchObject({ reason: 'NODE_DELETED' });
  });

  it('is refused like any other where one of its own operations fails, and the ownership stays', async () => {
    const { ownership } = prepare();
    await expect(ownership.transaction([ownership.op.setData('/none', 'new')])).rejects.toBeInstanceOf(NoNodeError);
    expect(ownership.isHeld()).toBe(true);
  });

  it('sends nothing when it has ended', async () => {
    const { client, ownership, state } = prepare();
    client.enter('LOST');
    await expect(ownership.transaction([ownership.op.setData(state, 'new')])).rejects.toBeInstanceOf(
      OwnershipLostError,
    );
    expect(client.requests).toEqual([]);
  });
});

describe('Ownership', () => {
  it('is held while the session is confirmed', () => {
    const ownership = grant(connectedClient());
    expect(ownership.isHeld()).toBe(true);
    expect(ownership.signal.aborted).toBe(false);
    expect(ownership.signal.reason).toBeUndefined();
    expect(() => ownership.signal.throwIfAborted()).not.toThrow();
  });

  it.each(['SUSPENDED', 'LOST', 'READ_ONLY'] as const)('ends when the client says %s', (state) => {
    const client = connectedClient();
    const ownership = grant(client);
    const told = listen(ownership);
    client.enter(state);
    expect(told.reason).toBe(state);
    expect(ownership.isHeld()).toBe(false);
  });

  it('rides out SUSPENDED under the session policy, until the lease ends', async () => {
    const client = connectedClient();
    client.errorPolicy = 'session';
    const ownership = grant(client);
    const told = listen(ownership);
    client.enter('SUSPENDED');
    expect(ownership.isHeld()).toBe(true);
    await client.clock.advance(SESSION_TIMEOUT_MS - 1);
    expect(told.reason).toBeUndefined();
    await client.clock.advance(1);
    expect(told.reason).toBe('LEASE_ENDED');
  });

  it('does not come back when the connection does', () => {
    const client = connectedClient();
    const ownership = grant(client);
    client.enter('SUSPENDED');
    client.reconnect();
    expect(ownership.isHeld()).toBe(false);
    expect(ownership.signal.aborted).toBe(true);
  });

  it('lasts as long as the server goes on confirming the session', async () => {
    const client = connectedClient();
    const ownership = grant(client);
    const told = listen(ownership);
    for (let round = 0; round < 5; round++) {
      await client.clock.advance(SESSION_TIMEOUT_MS * 0.9);
      client.renewLease();
    }
    expect(told.reason).toBeUndefined();
    await client.clock.advance(SESSION_TIMEOUT_MS);
    expect(told.reason).toBe('LEASE_ENDED');
  });

  describe('after the process was frozen for longer than the lease, before any timer could run', () => {
    const frozen = () => {
      const client = connectedClient();
      const ownership = grant(client);
      const told = listen(ownership);
      client.clock.freeze(SESSION_TIMEOUT_MS);
      return { client, ownership, told };
    };

    it('isHeld() is false at once', () => {
      const { ownership, told } = frozen();
      expect(ownership.isHeld()).toBe(false);
      expect(told.reason).toBe('LEASE_ENDED');
    });

    it('signal.aborted is true at once, and the listeners have been told', () => {
      const { ownership, told } = frozen();
      expect(ownership.signal.aborted).toBe(true);
      expect(told.reason).toBe('LEASE_ENDED');
    });

    it('signal.throwIfAborted() throws at once', () => {
      const { ownership } = frozen();
      expect(() => ownership.signal.throwIfAborted()).toThrow(OwnershipLostError);
    });

    it('signal.reason is there at once', () => {
      const { ownership } = frozen();
      expect(ownership.signal.reason).toMatchObject({
        code: 'OWNERSHIP_LOST',
        reason: 'LEASE_ENDED',
        path: '/lock/mine',
      });
    });

    it('what takes the signal and looks at it finds it aborted', async () => {
      const { setTimeout: sleep } = await import('node:timers/promises');
      await expect(sleep(60_000, undefined, { signal: frozen().ownership.signal })).rejects.toThrow();
    });

    it('what is derived from it is aborted at the latest when the first overdue timer has run', async () => {
      const { client, ownership } = frozen();
      const derived = AbortSignal.any([ownership.signal]);
      await client.clock.advance(0);
      expect(derived.aborted).toBe(true);
    });
  });

  it('ends when the client has another session, even before any state says so', () => {
    const client = connectedClient();
    const ownership = grant(client);
    client.sessionId = new FakeServers().newClient().sessionId;
    expect(ownership.signal.aborted).toBe(true);
    expect(ownership.signal.reason).toMatchObject({ reason: 'LOST' });
  });

  it('ends when the client is closed', () => {
    const client = connectedClient();
    const ownership = grant(client);
    const told = listen(ownership);
    client.close();
    expect(told.reason).toBe('CLIENT_CLOSED');
  });

  it('has ended from the beginning if it is made in doubt', () => {
    const client = connectedClient();
    client.clock.freeze(SESSION_TIMEOUT_MS);
    expect(grant(client).isHeld()).toBe(false);
  });

  it('fires the signal before the znode is deleted, and deletes it once', async () => {
    const steps: string[] = [];
    const ownership = grant(connectedClient(), async () => void steps.push('deleted'));
    ownership.signal.addEventListener('abort', () => steps.push('fired'));
    await Promise.all([ownership.release(), ownership.release()]);
    await ownership[Symbol.asyncDispose]();
    expect(steps).toEqual(['fired', 'deleted']);
    expect(ownership.signal.reason).toMatchObject({ reason: 'RELEASED' });
  });

  it('passes on that the znode could not be deleted', async () => {
    const failure = new Error('no connection');
    const ownership = grant(connectedClient(), () => Promise.reject(failure));
    await expect(ownership.release()).rejects.toBe(failure);
    expect(ownership.isHeld()).toBe(false);
  });

  it('keeps the first reason', () => {
    const client = connectedClient();
    const ownership = grant(client);
    client.enter('SUSPENDED');
    ownership.end('INTERRUPTED');
    expect(ownership.signal.reason).toMatchObject({ reason: 'SUSPENDED' });
  });

  it('leaves neither timer nor listener behind', () => {
    const client = connectedClient();
    const on = vi.spyOn(client, 'on');
    const ownership = grant(client);
    expect(client.clock.alarms).toBe(1);
    ownership.end('RELEASED');
    expect(client.clock.alarms).toBe(0);
    client.enter('SUSPENDED');
    expect(on).toHaveBeenCalledTimes(2);
    expect(ownership.signal.reason).toMatchObject({ reason: 'RELEASED' });
  });
});
