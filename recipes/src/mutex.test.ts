import { describe, expect, it } from 'vitest';
import { ClientClosedError, NoAuthError } from 'zookeeper-client-ts';
import { AcquireTimeoutError } from './acquire-timeout.ts';
import { afterMicrotasks, FakeServers, settle } from './fake-client.fixture.ts';
import { InterProcessMutex } from './mutex.ts';
import { type Ownership, OwnershipLostError } from './ownership.ts';
import { RecipeStateError } from './recipe-state.ts';
import { attemptRevoke } from './revocation.ts';

const PATH = '/locks/report';

function newMutex(servers = new FakeServers()) {
  const client = servers.newClient().start();
  return { servers, client, mutex: new InterProcessMutex(client.framework, PATH) };
}

/** What an acquire has come to so far. */
function follow(acquiring: Promise<Ownership>): { held: Ownership | undefined; error: unknown } {
  const outcome: { held: Ownership | undefined; error: unknown } = { held: undefined, error: undefined };
  acquiring.then(
    (held) => {
      outcome.held = held;
    },
    (error) => {
      outcome.error = error;
    },
  );
  return outcome;
}

describe('InterProcessMutex', () => {
  it('is held by one at a time, in the order of the calls, and tokens rise', async () => {
    const servers = new FakeServers();
    const first = await newMutex(servers).mutex.acquire();
    const second = follow(newMutex(servers).mutex.acquire());
    await settle();
    expect(second.held).toBeUndefined();
    await first.release();
    await settle();
    expect(second.held?.isHeld()).toBe(true);
    expect(second.held?.token).toBeGreaterThan(first.token);
  });

  it('two plain acquires on one object are two contenders', async () => {
    const { mutex } = newMutex();
    const first = await mutex.acquire();
    const second = follow(mutex.acquire());
    await settle();
    expect(second.held).toBeUndefined();
    await first[Symbol.asyncDispose]();
    await settle();
    expect(second.held?.isHeld()).toBe(true);
  });

  it('rejects when the time is up, and leaves no znode, timer or watch behind', async () => {
    const { servers, client, mutex } = newMutex();
    const held = await mutex.acquire();
    const waiting = follow(mutex.acquire({ timeoutMs: 100 }));
    await client.clock.advance(100);
    expect(waiting.error).toBeInstanceOf(AcquireTimeoutError);
    expect([...servers.znodes.keys()]).toEqual([held.path]);
    await held.release();
    expect(servers.clock.alarms).toBe(0);
    expect(servers.watches).toEqual([]);
  });

  it('with no time at all, it is granted when nobody else holds it, and waits for nobody', async () => {
    const { servers, mutex } = newMutex();
    const held = await mutex.acquire({ timeoutMs: 0 });
    await expect(mutex.acquire({ timeoutMs: 0 })).rejects.toBeInstanceOf(AcquireTimeoutError);
    expect(await mutex.tryAcquire()).toBeUndefined();
    expect([...servers.znodes.keys()]).toEqual([held.path]);
    await held.release();
    expect((await mutex.tryAcquire())?.isHeld()).toBe(true);
  });

  it.each(Array.from({ length: 30 }, (_, steps) => steps))(
    'cancelled after %d steps, it leaves no znode behind (CURATOR-45, 79)',
    async (steps) => {
      const { servers, mutex } = newMutex();
      const stop = new AbortController();
      const acquiring = mutex.acquire({ signal: stop.signal });
      const outcome = follow(acquiring);
      await afterMicrotasks(steps, () => stop.abort('enough'));
      await settle();
      if (outcome.held === undefined) expect(outcome.error).toBe('enough');
      await outcome.held?.release();
      expect(servers.znodes.size).toBe(0);
    },
  );

  it('rejects when the client is closed, and with what the server refuses', async () => {
    const { client, mutex } = newMutex();
    await mutex.acquire();
    const waiting = follow(mutex.acquire());
    await settle();
    client.close();
    await settle();
    expect(waiting.error).toBeInstanceOf(ClientClosedError);

    const refused = newMutex();
    refused.client.onRequest = () => {
      throw new NoAuthError('not permitted');
    };
    await expect(refused.mutex.acquire()).rejects.toBeInstanceOf(NoAuthError);
  });

  it('tells a holder that the connection is lost, and a waiter keeps its place (CURATOR-465)', async () => {
    const { servers, client, mutex } = newMutex();
    const held = await mutex.acquire();
    const waiting = follow(mutex.acquire());
    await settle();
    const znodes = [...servers.znodes.keys()];
    client.enter('SUSPENDED');
    expect(held.signal.reason).toMatchObject({ reason: 'SUSPENDED' });
    expect(mutex.isAcquiredInThisProcess).toBe(false);
    client.reconnect();
    await settle();
    expect([...servers.znodes.keys()]).toEqual(znodes);
    expect(waiting.held).toBeUndefined();
    await held.release();
    await settle();
    expect(waiting.held?.isHeld()).toBe(true);
  });

  it('a waiter whose session is lost is not granted anything on what that session left (CURATOR-604)', async () => {
    const servers = new FakeServers();
    const first = await newMutex(servers).mutex.acquire();
    const { client, mutex } = newMutex(servers);
    const waiting = follow(mutex.acquire());
    await settle();
    client.onRequest = (operation) => {
      // The servers still have the old session: the znode that it left is now the first.
      if (operation === 'delete') throw new NoAuthError('later');
    };
    client.lose();
    await first.release();
    await settle();
    expect(waiting.held).toBeUndefined();
  });

  it('knows whether it is acquired, and lists all who take part', async () => {
    const { client, mutex, servers } = newMutex();
    expect(mutex.isAcquiredInThisProcess).toBe(false);
    const held = await mutex.acquire();
    void mutex.acquire();
    servers.createSequential(`${PATH}/stranger-`, '', client.sessionId);
    await settle();
    expect(mutex.isAcquiredInThisProcess).toBe(true);
    const nodes = await mutex.getParticipantNodes();
    expect(nodes).toHaveLength(2);
    expect(nodes[0]).toBe(held.path);
    await held.release();
  });

  it('writes its data into its znode', async () => {
    const servers = new FakeServers();
    const client = servers.newClient().start();
    const held = await new InterProcessMutex(client.framework, PATH, { data: 'host:1' }).acquire();
    expect(servers.read(held.path).data.toString()).toBe('host:1');
  });
});

describe('an owner', () => {
  it('that shows its handle enters again, and holds until both are released', async () => {
    const { servers, mutex } = newMutex();
    const outer = await mutex.acquire();
    const inner = await mutex.acquire({ owner: outer });
    expect(inner.token).toBe(outer.token);
    await outer.release();
    expect(inner.isHeld()).toBe(true);
    expect(mutex.isAcquiredInThisProcess).toBe(true);
    await inner.release();
    expect(servers.znodes.size).toBe(0);
    expect(mutex.isAcquiredInThisProcess).toBe(false);
  });

  it('that has lost or released what it shows is refused', async () => {
    const { client, mutex } = newMutex();
    const released = await mutex.acquire();
    await released.release();
    await expect(mutex.acquire({ owner: released })).rejects.toBeInstanceOf(OwnershipLostError);
    const lost = await mutex.acquire();
    client.enter('SUSPENDED');
    await expect(mutex.acquire({ owner: lost })).rejects.toBe(lost.signal.reason);
  });

  it('of another lock is refused', async () => {
    const { client, mutex } = newMutex();
    const other = await new InterProcessMutex(client.framework, '/locks/other').acquire();
    await expect(mutex.acquire({ owner: other })).rejects.toBeInstanceOf(RecipeStateError);
  });
});

describe('using', () => {
  it('holds while the work lasts, and passes its result on', async () => {
    const { servers, mutex } = newMutex();
    const result = await mutex.using(async (held) => {
      expect(held.isHeld()).toBe(true);
      return 'done';
    });
    expect(result).toBe('done');
    expect(servers.znodes.size).toBe(0);
  });

  it('is re-entrant for what runs in it, however deep, and only for that', async () => {
    const { servers, mutex } = newMutex();
    await mutex.using(async (outer) => {
      await settle();
      await mutex.using(async (inner) => {
        expect(inner.token).toBe(outer.token);
        const deepest = await mutex.acquire();
        expect(deepest.token).toBe(outer.token);
        await deepest.release();
      });
      expect(outer.isHeld()).toBe(true);
      expect(servers.znodes.size).toBe(1);
    });
    expect(servers.znodes.size).toBe(0);
  });

  it('started at the same time, two of them do not run at the same time', async () => {
    const { mutex } = newMutex();
    const steps: string[] = [];
    const work = (name: string) => async () => {
      steps.push(`${name} begins`);
      await settle();
      steps.push(`${name} ends`);
    };
    await Promise.all([mutex.using(work('a')), mutex.using(work('b'))]);
    expect(steps).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
  });

  it('what was started in it and outlives it holds nothing, and stands in line', async () => {
    const { mutex } = newMutex();
    let late: Promise<Ownership> | undefined;
    const first = await mutex.using(async (held) => {
      late = settle()
        .then(() => settle())
        .then(() => mutex.acquire());
      return held.token;
    });
    expect((await late)?.token).toBeGreaterThan(first);
  });

  it('an acquire in it is refused at once after the lock was lost, for it would wait for itself', async () => {
    const { client, mutex } = newMutex();
    await mutex.using(async (held) => {
      client.enter('SUSPENDED');
      client.reconnect();
      await expect(mutex.acquire()).rejects.toBe(held.signal.reason);
    });
  });

  it('releases when the work throws, and rejects with that', async () => {
    const { servers, mutex } = newMutex();
    const failure = new Error('the work failed');
    await expect(mutex.using(() => Promise.reject(failure))).rejects.toBe(failure);
    expect(servers.znodes.size).toBe(0);
  });

  it('a failure to release is told, but never instead of what the work has thrown (CURATOR-41)', async () => {
    const undeleted = new NoAuthError('not permitted to delete');
    const newUndeletable = () => {
      const { client, mutex } = newMutex();
      client.onRequest = (operation) => {
        if (operation === 'delete') throw undeleted;
      };
      return mutex;
    };
    const failing = newUndeletable();
    const reported: unknown[] = [];
    failing.on('error', (error) => reported.push(error));
    const failure = new Error('the work failed');
    await expect(failing.using(() => Promise.reject(failure))).rejects.toBe(failure);
    expect(reported).toEqual([undeleted]);
    await expect(newUndeletable().using(async () => 'done')).rejects.toBe(undeleted);
  });
});

describe('revoking', () => {
  it('tells the holder, and takes nothing away', async () => {
    const { client, mutex, servers } = newMutex();
    const asked: Ownership[] = [];
    mutex.on('revoke', (held) => asked.push(held));
    const held = await mutex.acquire();
    expect(servers.read(held.path).data).toHaveLength(0);
    await attemptRevoke(client.framework, held.path);
    await settle();
    expect(asked).toEqual([held]);
    expect(held.isHeld()).toBe(true);
  });

  it('is told once for each request, and not for other data', async () => {
    const { client, mutex, servers } = newMutex();
    const asked: Ownership[] = [];
    mutex.on('revoke', (held) => asked.push(held));
    const held = await mutex.acquire();
    await settle();
    servers.setData(held.path, 'something else');
    await settle();
    expect(asked).toEqual([]);
    for (let round = 0; round < 2; round++) {
      await attemptRevoke(client.framework, held.path);
      await settle();
    }
    expect(asked).toEqual([held, held]);
  });

  it('one who still waits is told when it is granted', async () => {
    const { client, mutex } = newMutex();
    const first = await mutex.acquire();
    const asked: Ownership[] = [];
    mutex.on('revoke', (held) => asked.push(held));
    const second = follow(mutex.acquire());
    await settle();
    const [, path = ''] = await mutex.getParticipantNodes();
    await attemptRevoke(client.framework, path);
    await settle();
    expect(asked).toEqual([]);
    await first.release();
    await settle();
    expect(asked).toEqual([second.held]);
  });

  it('of somebody who is gone is no failure', async () => {
    const { client } = newMutex();
    await attemptRevoke(client.framework, `${PATH}/lock-0000000000`);
  });
});
