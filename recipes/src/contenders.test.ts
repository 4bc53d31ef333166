import { describe, expect, it } from 'vitest';
import { ClientClosedError, ConnectionLossError, NoAuthError } from 'zookeeper-client-ts';
import { toSessionId } from 'zookeeper-protocol-ts';
import { Contender, lineUp, UnknownContenderError } from './contenders.ts';
import { type FakeClient, FakeServers, settle } from './fake-client.fixture.ts';
import type { Ownership } from './ownership.ts';

const UUID = '_c_de5ba1f3-9a2d-4b4c-8d0e-0123456789ab-';

describe('lineUp', () => {
  it('orders by sequence number, whatever stands before it', () => {
    const children = [`${UUID}lock-0000000010`, `_c_ffffffff-9a2d-4b4c-8d0e-0123456789ab-lock-0000000002`];
    expect(lineUp(children, 'lock-').names).toEqual([...children].reverse());
  });

  it('knows the names of Curator, of go-zookeeper, and unprotected ones', () => {
    const children = [
      `${UUID}lock-0000000001`,
      '_c_0123456789abcdef0123456789abcdef-lock-0000000002',
      'lock-0000000003',
      `${UUID.toUpperCase().replace('_C_', '_c_')}lock-0000000004`,
    ];
    expect(lineUp(children, 'lock-')).toEqual({ names: children, strangers: [] });
  });

  it.each([
    ['0123456789abcdef0123456789abcdef__lock__0000000001', "kazoo's lock"],
    [`${UUID}latch-0000000001`, 'a latch among locks'],
    [`${UUID}__READ__0000000001`, 'a read lock'],
    [`${UUID}lock-`, 'no sequence number'],
    [`${UUID}lock-000000001`, 'too few digits'],
    [`${UUID}lock-00000000001`, 'too many digits'],
    [`${UUID}my-lock-0000000001`, 'more before the name'],
    ['_c_not-a-uuid-lock-0000000001', 'a broken protection'],
    ['leases', 'another name'],
  ])('passes over %s (%s)', (name) => {
    expect(lineUp([name], 'lock-')).toEqual({ names: [], strangers: [name] });
  });

  it('keeps the order when the 32-bit sequence number wraps', () => {
    const names = ['2147483646', '2147483647', '-2147483648', '-2147483647', '-1000000000', '-999999999'].map(
      (sequence) => `${UUID}lock-${sequence}`,
    );
    expect(lineUp([...names].reverse(), 'lock-').names).toEqual(names);
  });

  it('keeps the order from the negative numbers to zero', () => {
    const names = ['-000000002', '-000000001', '0000000000', '0000000001'].map((sequence) => `lock-${sequence}`);
    expect(lineUp([...names].reverse(), 'lock-').names).toEqual(names);
  });
});

describe('Contender', () => {
  const PATH = '/election';

  function contend(client: FakeClient) {
    const reported: unknown[] = [];
    const contender = new Contender(client.framework, PATH, {
      lineName: 'lock-',
      id: 'me',
      report: (error) => reported.push(error),
    });
    const stop = new AbortController();
    const waiting: { ownership: Ownership | undefined; error: unknown } = { ownership: undefined, error: undefined };
    const acquire = () =>
      contender.acquire({ signal: stop.signal }).then(
        (ownership) => {
          waiting.ownership = ownership;
        },
        (error) => {
          waiting.error = error;
        },
      );
    return { contender, reported, stop, waiting, acquire, client };
  }

  /** Some contenders, each with a client of its own, that have joined in this order. */
  async function line(servers: FakeServers, count: number) {
    const all = [];
    for (let i = 0; i < count; i++) {
      const one = contend(servers.newClient().start());
      void one.acquire();
      await settle();
      all.push(one);
    }
    // Joined above, so they are all there.
    return all as [(typeof all)[number], (typeof all)[number], (typeof all)[number]];
  }

  it('is granted to the first; the others wait, each with one watch on the one before it', async () => {
    const servers = new FakeServers();
    const [first, second, third] = await line(servers, 3);
    expect(first.waiting.ownership?.isHeld()).toBe(true);
    expect(second.waiting.ownership).toBeUndefined();
    expect(third.waiting.ownership).toBeUndefined();
    const paths = [...servers.znodes.keys()];
    expect(servers.watches.map(({ path, sessionId }) => [path, sessionId])).toEqual([
      [paths[0], first.client.sessionId],
      [paths[0], second.client.sessionId],
      [paths[1], third.client.sessionId],
    ]);
  });

  it('a release wakes the next one and nobody else, and tokens rise', async () => {
    const [first, second, third] = await line(new FakeServers(), 3);
    third.client.requests = [];
    await first.waiting.ownership?.release();
    await settle();
    expect(second.waiting.ownership?.isHeld()).toBe(true);
    expect(second.waiting.ownership?.token).toBeGreaterThan(first.waiting.ownership?.token ?? 0n);
    expect(third.client.requests).toEqual([]);
  });

  it('one who leaves from the middle does not let the one behind it in', async () => {
    const [first, second, third] = await line(new FakeServers(), 3);
    second.stop.abort();
    await settle();
    expect(third.waiting.ownership).toBeUndefined();
    await first.waiting.ownership?.release();
    await settle();
    expect(third.waiting.ownership?.isHeld()).toBe(true);
  });

  it('waits for the client to be started and connected', async () => {
    const client = new FakeServers().newClient();
    const { acquire, waiting } = contend(client);
    void acquire();
    await settle();
    expect(client.requests).toEqual([]);
    client.start();
    await settle();
    expect(waiting.ownership?.isHeld()).toBe(true);
  });

  it('a cancelled wait leaves no znode behind, and rejects with the reason', async () => {
    const servers = new FakeServers();
    const [, second] = await line(servers, 2);
    second.stop.abort('enough');
    await settle();
    expect(second.waiting.error).toBe('enough');
    expect(servers.znodes.size).toBe(1);
  });

  it('cancelled while its znode is being created, it leaves none behind', async () => {
    const servers = new FakeServers();
    const one = contend(servers.newClient().start());
    one.client.onAnswer = (operation) => {
      if (operation === 'create') one.stop.abort('enough');
    };
    await one.acquire();
    expect(one.waiting.error).toBe('enough');
    expect(servers.znodes.size).toBe(0);
  });

  it('cancelled at the moment it is granted, it leaves none behind', async () => {
    const servers = new FakeServers();
    const one = contend(servers.newClient().start());
    one.client.onAnswer = (operation) => {
      if (operation === 'getData') one.stop.abort('enough');
    };
    await one.acquire();
    expect(one.waiting.error).toBe('enough');
    expect(servers.znodes.size).toBe(0);
  });

  it('rejects with what the server refused, and reports that its znode could not be deleted', async () => {
    const one = contend(new FakeServers().newClient().start());
    const refused = new NoAuthError('not permitted');
    const undeleted = new NoAuthError('not permitted to delete');
    one.client.onAnswer = (operation) => {
      if (operation === 'getChildren') throw refused;
      if (operation === 'delete') throw undeleted;
    };
    await one.acquire();
    expect(one.waiting.error).toBe(refused);
    expect(one.reported).toEqual([undeleted]);
  });

  it('rejects when the client is closed', async () => {
    const [, second] = await line(new FakeServers(), 2);
    second.client.close();
    await settle();
    expect(second.waiting.error).toBeInstanceOf(ClientClosedError);
  });

  it('keeps its place over an outage, and watches no second time', async () => {
    const servers = new FakeServers();
    const [first, second] = await line(servers, 2);
    const znodes = [...servers.znodes.keys()];
    for (let outage = 0; outage < 3; outage++) {
      second.client.enter('SUSPENDED');
      await settle();
      second.client.reconnect();
      await settle();
    }
    expect([...servers.znodes.keys()]).toEqual(znodes);
    expect(servers.watches.filter(({ sessionId }) => sessionId === second.client.sessionId)).toHaveLength(1);
    await first.waiting.ownership?.release();
    await settle();
    expect(second.waiting.ownership?.isHeld()).toBe(true);
  });

  it('keeps its place when the retries of a read have come to an end', async () => {
    const [first, second] = await line(new FakeServers(), 2);
    second.client.onAnswer = (operation) => {
      if (operation !== 'getChildren') return;
      second.client.onAnswer = () => undefined;
      throw new ConnectionLossError('gone');
    };
    await first.waiting.ownership?.release();
    await settle();
    expect(second.waiting.ownership).toBeUndefined();
    await second.client.clock.advance(1_000);
    await settle();
    expect(second.waiting.ownership?.isHeld()).toBe(true);
    expect(second.client.requests.filter((request) => request.startsWith('create'))).toHaveLength(1);
  });

  it('is granted the same znode again, with the same token, when the session has survived', async () => {
    const [first] = await line(new FakeServers(), 1);
    const before = first.waiting.ownership;
    first.client.enter('SUSPENDED');
    expect(before?.signal.aborted).toBe(true);
    void first.acquire();
    await settle();
    expect(first.waiting.ownership).toBe(before);
    first.client.reconnect();
    await settle();
    expect(first.waiting.ownership).not.toBe(before);
    expect(first.waiting.ownership?.isHeld()).toBe(true);
    expect(first.waiting.ownership?.token).toBe(before?.token);
  });

  it('stands in line again with a new znode when the session is lost, and deletes what the old one left', async () => {
    const servers = new FakeServers();
    const [first, second] = await line(servers, 2);
    const [, old] = [...servers.znodes.keys()];
    second.client.lose();
    await settle();
    expect(servers.znodes.has(old ?? '')).toBe(false);
    expect(servers.znodes.size).toBe(2);
    await first.waiting.ownership?.release();
    await settle();
    expect(second.waiting.ownership?.sessionId).toBe(second.client.sessionId);
  });

  it('is not granted anything on the first znode in line if an earlier session of its own made it', async () => {
    const servers = new FakeServers();
    const one = contend(servers.newClient().start());
    // The session ends while the answer is on its way: the znode is first in line, and not ours.
    one.client.onAnswer = (operation) => {
      if (operation !== 'create') return;
      one.client.onAnswer = () => undefined;
      one.client.lose();
    };
    await one.acquire();
    expect(one.waiting.ownership?.isHeld()).toBe(true);
    expect([...servers.znodes.values()].map(({ stat }) => stat.ephemeralOwner)).toEqual([one.client.sessionId]);
  });

  it('joins again when the path has vanished', async () => {
    const servers = new FakeServers();
    const [first, second] = await line(servers, 2);
    const paths = [...servers.znodes.keys()].reverse();
    for (const path of paths) servers.delete(path);
    await settle();
    expect(first.waiting.ownership?.isHeld()).toBe(false);
    expect(second.waiting.ownership?.isHeld()).toBe(true);
  });

  it('waits out a read-only connection', async () => {
    const servers = new FakeServers();
    const one = contend(servers.newClient());
    void one.acquire();
    one.client.start();
    one.client.enter('READ_ONLY');
    await settle();
    const requests = one.client.requests.length;
    await one.client.clock.advance(5_000);
    expect(one.client.requests).toHaveLength(requests);
    one.client.reconnect();
    await settle();
    expect(one.waiting.ownership?.isHeld()).toBe(true);
  });

  it('reports strangers on the path once, and waits for none of them', async () => {
    const servers = new FakeServers();
    servers.createSequential(`${PATH}/0123456789abcdef0123456789abcdef__lock__`, '', toSessionId(99n));
    const [first] = await line(servers, 1);
    expect(first.waiting.ownership?.isHeld()).toBe(true);
    await first.waiting.ownership?.release();
    await first.acquire();
    expect(first.reported).toHaveLength(1);
    expect(first.reported[0]).toBeInstanceOf(UnknownContenderError);
  });

  it('leaves no listener and no timer behind', async () => {
    const servers = new FakeServers();
    const [first, second] = await line(servers, 2);
    second.stop.abort();
    await first.waiting.ownership?.release();
    await settle();
    expect(servers.clock.alarms).toBe(0);
  });
});
