import { describe, expect, it } from 'vitest';
import { ConnectionLossError, EventSource, InvalidArgumentError, NoAuthError } from 'zookeeper-client-ts';
import { toSessionId } from 'zookeeper-protocol-ts';
import { AcquireTimeoutError } from './acquire-timeout.ts';
import { afterMicrotasks, type FakeClient, FakeServers, settle } from './fake-client.fixture.ts';
import { UnknownContenderError } from './line.ts';
import type { Held } from './lock.ts';
import { InterProcessSemaphoreV2, type SharedCountReader } from './semaphore.ts';
import { InterProcessSemaphoreMutex } from './semaphore-mutex.ts';

const PATH = '/limits/workers';

function newSemaphore(servers = new FakeServers(), limit: number | SharedCountReader = 2) {
  const client = servers.newClient().start();
  return { servers, client, semaphore: new InterProcessSemaphoreV2(client.framework, PATH, limit, { data: 'me' }) };
}

function follow<T extends Held>(acquiring: Promise<T>): { held: T | undefined; error: unknown } {
  const outcome: { held: T | undefined; error: unknown } = { held: undefined, error: undefined };
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

const leasesOf = (servers: FakeServers) => servers.childrenOf(`${PATH}/leases`);
const lineOf = (servers: FakeServers) => servers.childrenOf(`${PATH}/locks`);

/** A limit that the test changes. */
class Limit implements SharedCountReader {
  readonly #events = new EventSource<{ change: [] }>();
  #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  getCount(): number {
    return this.#count;
  }

  on(event: 'change', listener: () => void): () => void {
    return this.#events.on(event, listener);
  }

  set(count: number): void {
    this.#count = count;
    this.#events.emit('change');
  }
}

describe('InterProcessSemaphoreV2', () => {
  it('grants as many leases as the limit says; the next one waits until one is returned', async () => {
    const servers = new FakeServers();
    const first = await newSemaphore(servers).semaphore.acquire();
    const second = await newSemaphore(servers).semaphore.acquire();
    const third = follow(newSemaphore(servers).semaphore.acquire());
    await settle();
    expect(third.held).toBeUndefined();
    expect(first.path).toMatch(/^\/limits\/workers\/leases\/_c_[0-9a-f-]{36}-lease-[0-9]{10}$/);
    expect(servers.read(first.path).data.toString()).toBe('me');
    expect(lineOf(servers)).toHaveLength(1);
    await first.release();
    await settle();
    expect(third.held?.isHeld()).toBe(true);
    expect(third.held?.token).toBeGreaterThan(second.token);
    expect(lineOf(servers)).toEqual([]);
  });

  it('only the first of those who wait watches the leases', async () => {
    const servers = new FakeServers();
    const { semaphore } = newSemaphore(servers);
    await semaphore.acquireMany(2);
    for (let waiters = 0; waiters < 3; waiters++) void newSemaphore(servers).semaphore.acquire();
    await settle();
    expect(servers.childWatches).toHaveLength(1);
  });

  describe('several leases', () => {
    it('are granted together, and returned together or one by one', async () => {
      const { servers, semaphore } = newSemaphore(new FakeServers(), 3);
      const three = await semaphore.acquireMany(3);
      expect(leasesOf(servers)).toHaveLength(3);
      await three.parts[0]?.release();
      expect(three.isHeld()).toBe(false);
      expect(three.parts[1]?.isHeld()).toBe(true);
      expect(leasesOf(servers)).toHaveLength(2);
      await three.release();
      expect(leasesOf(servers)).toEqual([]);
    });

    it('are not overtaken by those who want one', async () => {
      const servers = new FakeServers();
      const held = await newSemaphore(servers).semaphore.acquire();
      const two = follow(newSemaphore(servers).semaphore.acquireMany(2));
      await settle();
      const one = follow(newSemaphore(servers).semaphore.acquire());
      await settle();
      expect(one.held).toBeUndefined();
      await held.release();
      await settle();
      expect(two.held?.isHeld()).toBe(true);
      expect(one.held).toBeUndefined();
      await two.held?.release();
      await settle();
      expect(one.held?.isHeld()).toBe(true);
    });

    it.each([0, -1, 1.5, 3])('%d of a limit of 2 are refused', async (quantity) => {
      await expect(newSemaphore().semaphore.acquireMany(quantity)).rejects.toBeInstanceOf(InvalidArgumentError);
    });

    it('that can not all be made leave none behind (CURATOR-462)', async () => {
      const { servers, client, semaphore } = newSemaphore(new FakeServers(), 3);
      let creates = 0;
      client.onRequest = (operation) => {
        if (operation === 'create' && ++creates === 3) throw new NoAuthError('not permitted');
      };
      await expect(semaphore.acquireMany(3)).rejects.toBeInstanceOf(NoAuthError);
      expect(servers.znodes.size).toBe(0);
    });
  });

  describe('leaves nothing behind', () => {
    it('when the time is up', async () => {
      const { servers, client, semaphore } = newSemaphore();
      const held = await semaphore.acquireMany(2);
      const waiting = follow(semaphore.acquire({ timeoutMs: 100 }));
      await client.clock.advance(100);
      expect(waiting.error).toBeInstanceOf(AcquireTimeoutError);
      expect(leasesOf(servers)).toHaveLength(2);
      expect(lineOf(servers)).toEqual([]);
      await held.release();
      expect(servers.clock.alarms).toBe(0);
      expect(servers.childWatches).toEqual([]);
    });

    it('when nothing is to be had at once', async () => {
      const { servers, semaphore } = newSemaphore();
      await semaphore.acquireMany(2);
      expect(await semaphore.tryAcquire()).toBeUndefined();
      await expect(semaphore.acquire({ timeoutMs: 0 })).rejects.toBeInstanceOf(AcquireTimeoutError);
      await expect(semaphore.acquireMany(2, { timeoutMs: 0 })).rejects.toBeInstanceOf(AcquireTimeoutError);
      expect(leasesOf(servers)).toHaveLength(2);
      expect(lineOf(servers)).toEqual([]);
    });

    it('when the leases can not be listed (CURATOR-335)', async () => {
      const { servers, client, semaphore } = newSemaphore();
      client.onAnswer = (operation, path) => {
        if (operation === 'getChildren' && path.endsWith('leases')) throw new NoAuthError('not permitted');
      };
      await expect(semaphore.acquire()).rejects.toBeInstanceOf(NoAuthError);
      expect(servers.znodes.size).toBe(0);
    });

    it.each(Array.from({ length: 40 }, (_, steps) => steps))('cancelled after %d steps', async (steps) => {
      const { servers, semaphore } = newSemaphore();
      const stop = new AbortController();
      const outcome = follow(semaphore.acquireMany(2, { signal: stop.signal }));
      await afterMicrotasks(steps, () => stop.abort('enough'));
      await settle();
      if (outcome.held === undefined) expect(outcome.error).toBe('enough');
      await outcome.held?.release();
      expect(servers.znodes.size).toBe(0);
    });
  });

  it('tryAcquire is granted what is free', async () => {
    const { semaphore } = newSemaphore();
    expect((await semaphore.tryAcquire())?.isHeld()).toBe(true);
    expect((await semaphore.acquire({ timeoutMs: 0 })).isHeld()).toBe(true);
  });

  it('a limit that rises lets in who waits; one that falls takes nothing away (CURATOR-75)', async () => {
    const limit = new Limit(1);
    const { semaphore } = newSemaphore(new FakeServers(), limit);
    const first = await semaphore.acquire();
    const second = follow(semaphore.acquire());
    await settle();
    expect(second.held).toBeUndefined();
    limit.set(2);
    await settle();
    expect(second.held?.isHeld()).toBe(true);
    limit.set(1);
    await settle();
    expect([first.isHeld(), second.held?.isHeld()]).toEqual([true, true]);
  });

  it('strangers among the leases are reported once, and not counted', async () => {
    const { servers, semaphore } = newSemaphore();
    servers.createSequential(`${PATH}/leases/stranger-`, '', toSessionId(99n));
    const reported: unknown[] = [];
    semaphore.on('error', (error) => reported.push(error));
    await semaphore.acquireMany(2);
    expect(await semaphore.tryAcquire()).toBeUndefined();
    expect(reported).toHaveLength(1);
    expect(reported[0]).toBeInstanceOf(UnknownContenderError);
    expect(await semaphore.getParticipantNodes()).toHaveLength(2);
  });

  it('a lease that somebody has deleted while it waited is made anew', async () => {
    const { servers, client, semaphore } = newSemaphore();
    const held = await semaphore.acquireMany(2);
    const waiting = follow(semaphore.acquire());
    await settle();
    const ours = leasesOf(servers).at(-1);
    servers.delete(`${PATH}/leases/${ours}`);
    await settle();
    expect(leasesOf(servers)).toHaveLength(3);
    await held.release();
    await settle();
    expect(waiting.held?.sessionId).toBe(client.sessionId);
  });

  /** Two hold, one waits. */
  async function oneWaits() {
    const servers = new FakeServers();
    const held = await newSemaphore(servers).semaphore.acquireMany(2);
    const { client, semaphore } = newSemaphore(servers);
    const waiting = follow(semaphore.acquire());
    await settle();
    return { servers, held, client, waiting };
  }

  const comesBack = (client: FakeClient) => async () => {
    client.enter('SUSPENDED');
    await settle();
    client.reconnect();
  };

  it('keeps its place, and its lease, over an outage', async () => {
    const { servers, held, client, waiting } = await oneWaits();
    const znodes = [...servers.znodes.keys()];
    await comesBack(client)();
    await settle();
    expect([...servers.znodes.keys()]).toEqual(znodes);
    await held.release();
    await settle();
    expect(waiting.held?.isHeld()).toBe(true);
  });

  it('stands in line again when its session is lost, and is not granted what that session left (CURATOR-604)', async () => {
    const { servers, held, client, waiting } = await oneWaits();
    client.lose();
    await settle();
    expect(leasesOf(servers)).toHaveLength(3);
    const ownersInLine = lineOf(servers).map((name) => servers.read(`${PATH}/locks/${name}`).stat.ephemeralOwner);
    expect(ownersInLine).toEqual([client.sessionId]);
    await held.release();
    await settle();
    expect(waiting.held?.sessionId).toBe(client.sessionId);
    expect(leasesOf(servers)).toHaveLength(1);
  });

  it('one that has lost its place gives its leases back before it stands behind others', async () => {
    const { servers, held, client, waiting } = await oneWaits();
    const other = follow(newSemaphore(servers).semaphore.acquire());
    await settle();
    servers.delete(`${PATH}/locks/${lineOf(servers)[0]}`);
    await comesBack(client)();
    await settle();
    await held.parts[0]?.release();
    await settle();
    expect([waiting.held, other.held?.isHeld()]).toEqual([undefined, true]);
    await other.held?.release();
    await settle();
    expect(waiting.held?.isHeld()).toBe(true);
  });

  it('looks again when the retries of a read have come to an end', async () => {
    const { held, client, waiting } = await oneWaits();
    client.onAnswer = (operation) => {
      if (operation !== 'getChildren') return;
      client.onAnswer = () => undefined;
      throw new ConnectionLossError('gone');
    };
    await held.release();
    await settle();
    await client.clock.advance(1_000);
    await settle();
    expect(waiting.held?.isHeld()).toBe(true);
  });

  it.each(['acquire', 'tryAcquire'] as const)(
    'a lease that is lost while it leaves the line is not handed out by %s',
    async (method) => {
      const { servers, client, semaphore } = newSemaphore();
      client.onAnswer = (operation, path) => {
        if (operation !== 'delete' || !path.includes('/locks/')) return;
        client.onAnswer = () => undefined;
        client.lose();
      };
      const lease = await semaphore[method]();
      if (method === 'acquire') expect(lease?.isHeld()).toBe(true);
      else expect(lease).toBeUndefined();
      await lease?.release();
      expect([...leasesOf(servers), ...lineOf(servers)]).toEqual([]);
    },
  );

  it('using holds a lease while the work lasts', async () => {
    const { servers, semaphore } = newSemaphore();
    await semaphore.using(() => expect(leasesOf(servers)).toHaveLength(1));
    expect(leasesOf(servers)).toEqual([]);
  });
});

describe('InterProcessSemaphoreMutex', () => {
  it('is held once at a time, and not entered again', async () => {
    const servers = new FakeServers();
    const mutex = new InterProcessSemaphoreMutex(servers.newClient().start().framework, PATH);
    await mutex.using(async () => {
      expect(await mutex.tryAcquire()).toBeUndefined();
    });
    expect((await mutex.tryAcquire())?.isHeld()).toBe(true);
  });
});
