import { describe, expect, it } from 'vitest';
import { ClientClosedError, ConnectionLossError, NoAuthError } from 'zookeeper-client-ts';
import { toSessionId } from 'zookeeper-protocol-ts';
import { Contender } from './contenders.ts';
import { type FakeClient, FakeServers, settle } from './fake-client.fixture.ts';
import { type LineName, UnknownContenderError } from './line.ts';
import type { Ownership } from './ownership.ts';

describe('Contender', () => {
  const PATH = '/election';

  function contend(client: FakeClient, lineName: LineName = 'lock-') {
    const reported: unknown[] = [];
    const contender = new Contender(client.framework, PATH, {
      lineName,
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

  /** Contenders of these sides, each with a client of its own, that have joined in this order. */
  async function readersAndWriters(servers: FakeServers, ...lineNames: LineName[]) {
    const all: ReturnType<typeof contend>[] = [];
    for (const lineName of lineNames) {
      const one = contend(servers.newClient().start(), lineName);
      void one.acquire();
      await settle();
      all.push(one);
    }
    return {
      all,
      held: () => all.map(({ waiting }) => waiting.ownership?.isHeld() ?? false),
      leave: async (index: number) => {
        await all[index]?.contender.leave();
        await settle();
      },
    };
  }

  it('joins and asks for the line in one breath; the answers grant it, and the watch follows', async () => {
    const one = contend(new FakeServers().newClient().start());
    let answer = () => {};
    one.client.onAnswer = () =>
      new Promise((resolve) => {
        const earlier = answer;
        answer = () => {
          earlier();
          resolve();
        };
      });
    void one.acquire();
    await settle();
    expect(one.client.requests.map((request) => request.split(' ')[0])).toEqual(['create', 'getChildren']);
    answer();
    await settle();
    expect(one.waiting.ownership?.isHeld()).toBe(true);
    expect(one.client.requests.at(-1)).toBe(`getData ${one.waiting.ownership?.path}`);
  });

  it('a list that does not show its znode says nothing: it is asked for again', async () => {
    const servers = new FakeServers();
    const one = contend(servers.newClient().start());
    servers.createSequential(`${PATH}/lock-`, '', toSessionId(99n));
    const { getChildren } = one.client;
    let lists = 0;
    one.client.getChildren = (path, options) =>
      lists++ === 0 ? Promise.resolve([]) : getChildren.call(one.client, path, options);
    void one.acquire();
    await settle();
    expect(lists).toBe(2);
    expect(one.waiting.ownership).toBeUndefined();
    expect(servers.znodes.size).toBe(2);
  });

  it('the only one ahead is gone, and its own znode was watched before: it asks for nothing', async () => {
    const [first, second] = await line(new FakeServers(), 2);
    second.client.requests = [];
    await first.waiting.ownership?.release();
    await settle();
    expect(second.waiting.ownership?.isHeld()).toBe(true);
    expect(second.client.requests).toEqual([]);
  });

  it('somebody has written to its own znode while it waited: it asks for it before it is granted', async () => {
    const servers = new FakeServers();
    const [first, second] = await line(servers, 2);
    const own = second.contender.znode?.path ?? '';
    servers.setData(own, 'written');
    second.client.requests = [];
    await first.waiting.ownership?.release();
    await settle();
    expect(second.waiting.ownership?.isHeld()).toBe(true);
    expect(second.client.requests).toEqual([`getData ${own}`]);
  });

  it('somebody has deleted its own znode while it waited: it is not granted that one, and stands at the end of the line', async () => {
    const servers = new FakeServers();
    const [first, second, third] = await line(servers, 3);
    servers.delete(second.contender.znode?.path ?? '');
    await first.waiting.ownership?.release();
    await settle();
    expect(third.waiting.ownership?.isHeld()).toBe(true);
    expect(second.waiting.ownership).toBeUndefined();
    await third.waiting.ownership?.release();
    await settle();
    expect(second.waiting.ownership?.isHeld()).toBe(true);
  });

  it('the one ahead and its own znode go while there is no connection: the line decides, not what is told of the one ahead', async () => {
    const servers = new FakeServers();
    const [first, second] = await line(servers, 2);
    const [ahead = '', own = ''] = [...servers.znodes.keys()];
    second.client.enter('SUSPENDED');
    servers.createSequential(`${PATH}/lock-`, '', toSessionId(99n));
    // A server that sets the watches again tells what has gone in whatever order: that of our own is still on its way.
    servers.watches = servers.watches.filter(({ path }) => path !== own);
    servers.delete(own);
    second.client.reconnect();
    servers.delete(ahead);
    await settle();
    expect(first.waiting.ownership?.isHeld()).toBe(false);
    expect(second.waiting.ownership).toBeUndefined();
    expect(servers.znodes.size).toBe(2);
  });

  it('the nearest of several is gone: it reads the line once', async () => {
    const [first, second, third] = await line(new FakeServers(), 3);
    await first.waiting.ownership?.release();
    await settle();
    third.client.requests = [];
    await second.waiting.ownership?.release();
    await settle();
    expect(third.waiting.ownership?.isHeld()).toBe(true);
    expect(third.client.requests).toEqual([`getChildren ${PATH}`]);
  });

  it('the one ahead goes between our list and our look at it: nobody is left to wait for', async () => {
    const servers = new FakeServers();
    const [first] = await line(servers, 1);
    const second = contend(servers.newClient().start());
    const ahead = first.waiting.ownership?.path ?? '';
    let looks = 0;
    second.client.onRequest = (operation, path) => {
      if (operation !== 'getData' || path !== ahead) return;
      // A second look would be one too many, and a third, and so on.
      if (looks++ > 0) throw new NoAuthError('asked before');
      servers.delete(ahead);
    };
    void second.acquire();
    await settle();
    expect(second.waiting.ownership?.isHeld()).toBe(true);
  });

  it('the one ahead goes between our look at it and our sleep: the wake-up is not lost (CURATOR-527)', async () => {
    const servers = new FakeServers();
    const [first] = await line(servers, 1);
    const second = contend(servers.newClient().start());
    const ahead = first.waiting.ownership?.path ?? '';
    second.client.onAnswer = (operation, path) => {
      if (operation !== 'getData' || path !== ahead) return;
      second.client.onAnswer = () => undefined;
      servers.delete(ahead);
    };
    void second.acquire();
    await settle();
    expect(second.waiting.ownership?.isHeld()).toBe(true);
  });

  it('somebody has written to the znode ahead: it watches again, and waits on', async () => {
    const servers = new FakeServers();
    const [first, second] = await line(servers, 2);
    const [path = ''] = [...servers.znodes.keys()];
    second.client.requests = [];
    servers.setData(path, '__REVOKE__');
    await settle();
    expect(second.client.requests).toEqual([`getData ${path}`]);
    await first.waiting.ownership?.release();
    await settle();
    expect(second.waiting.ownership?.isHeld()).toBe(true);
  });

  describe('tryAcquire', () => {
    it('is granted to the first', async () => {
      const { contender, stop } = contend(new FakeServers().newClient().start());
      expect((await contender.tryAcquire(stop))?.isHeld()).toBe(true);
    });

    it('is undefined behind somebody else, and leaves neither znode nor watch', async () => {
      const servers = new FakeServers();
      await line(servers, 1);
      const { contender, stop } = contend(servers.newClient().start());
      expect(await contender.tryAcquire(stop)).toBeUndefined();
      expect(servers.znodes.size).toBe(1);
      expect(servers.watches).toHaveLength(1);
    });

    it('is undefined without a connection, and asks for nothing', async () => {
      const { contender, stop, client } = contend(new FakeServers().newClient());
      expect(await contender.tryAcquire(stop)).toBeUndefined();
      expect(client.requests).toEqual([]);
    });
  });

  describe('in a line of readers and writers', () => {
    it('readers share; a writer waits for all of them', async () => {
      const { held, leave } = await readersAndWriters(new FakeServers(), '__READ__', '__READ__', '__WRIT__');
      expect(held()).toEqual([true, true, false]);
      await leave(1);
      expect(held()).toEqual([true, false, false]);
      await leave(0);
      expect(held()).toEqual([false, false, true]);
    });

    it('a reader waits behind a writer that waits, and watches the nearest one', async () => {
      const servers = new FakeServers();
      const lineNames = ['__WRIT__', '__READ__', '__WRIT__', '__READ__', '__READ__'] as const;
      const { all, held, leave } = await readersAndWriters(servers, ...lineNames);
      expect(held()).toEqual([true, false, false, false, false]);
      const paths = [...servers.znodes.keys()];
      const watchedBy = (index: number) =>
        servers.watches
          .filter(({ sessionId }) => sessionId === all[index]?.client.sessionId)
          .map(({ path }) => paths.indexOf(path))
          .filter((watched) => watched !== index);
      expect([1, 2, 3, 4].map(watchedBy)).toEqual([[0], [1], [2], [2]]);
      await leave(0);
      expect(held()).toEqual([false, true, false, false, false]);
      await leave(1);
      expect(held()).toEqual([false, false, true, false, false]);
      await leave(2);
      expect(held()).toEqual([false, false, false, true, true]);
    });

    it('a writer reads the line also when the only one ahead is gone, for it may have become a reader (CURATOR-621)', async () => {
      const servers = new FakeServers();
      const { all, held } = await readersAndWriters(servers, '__WRIT__', '__WRIT__');
      const [writing = ''] = [...servers.znodes.keys()];
      servers.create(writing.replace('__WRIT__', '__READ__'), '', all[0]?.client.sessionId);
      await all[0]?.contender.leave();
      await settle();
      expect(held()).toEqual([false, false]);
    });
  });

  it('is granted to the first; the others wait, each with a watch on its own znode and one on the one before it', async () => {
    const servers = new FakeServers();
    const [first, second, third] = await line(servers, 3);
    expect(first.waiting.ownership?.isHeld()).toBe(true);
    expect(second.waiting.ownership).toBeUndefined();
    expect(third.waiting.ownership).toBeUndefined();
    const paths = [...servers.znodes.keys()];
    expect(servers.watches.map(({ path, sessionId }) => [path, sessionId])).toEqual([
      [paths[0], first.client.sessionId],
      [paths[1], second.client.sessionId],
      [paths[0], second.client.sessionId],
      [paths[2], third.client.sessionId],
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
    expect(servers.watches.filter(({ sessionId }) => sessionId === second.client.sessionId)).toHaveLength(2);
    await first.waiting.ownership?.release();
    await settle();
    expect(second.waiting.ownership?.isHeld()).toBe(true);
  });

  it('keeps its place when the retries of a read have come to an end', async () => {
    const [first, second, third] = await line(new FakeServers(), 3);
    third.client.onAnswer = (operation) => {
      if (operation !== 'getChildren') return;
      third.client.onAnswer = () => undefined;
      throw new ConnectionLossError('gone');
    };
    await first.waiting.ownership?.release();
    await settle();
    await second.waiting.ownership?.release();
    await settle();
    expect(third.waiting.ownership).toBeUndefined();
    await third.client.clock.advance(1_000);
    await settle();
    expect(third.waiting.ownership?.isHeld()).toBe(true);
    expect(third.client.requests.filter((request) => request.startsWith('create'))).toHaveLength(1);
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
