import { describe, expect, it } from 'vitest';
import { ClientClosedError, NoAuthError, NoNodeError } from 'zookeeper-client-ts';
import { afterMicrotasks, type FakeClient, FakeServers, settle } from './fake-client.fixture.ts';
import { LeaderLatch, type LeaderLatchOptions } from './leader-latch.ts';
import type { OwnershipLostError } from './ownership.ts';
import { RecipeStateError } from './recipe-state.ts';

const PATH = '/master';

function latchOf(client: FakeClient, options: LeaderLatchOptions = {}) {
  const latch = new LeaderLatch(client.framework, PATH, options);
  const events: string[] = [];
  latch.on('leader', () => events.push('leader'));
  latch.on('notLeader', ({ signal }) => events.push(`notLeader ${(signal.reason as OwnershipLostError).reason}`));
  latch.on('error', (error) => events.push(`error ${(error as Error).name}`));
  return { client, latch, events };
}

describe('LeaderLatch', () => {
  it('leads when first in line; the next one leads when it closes', async () => {
    const servers = new FakeServers();
    const a = latchOf(servers.newClient().start(), { id: 'a' });
    const b = latchOf(servers.newClient().start(), { id: 'b' });
    const leadership = await a.latch.start().leadership();
    b.latch.start();
    await settle();
    expect([a.latch.hasLeadership, b.latch.hasLeadership]).toEqual([true, false]);
    expect(leadership.id).toBe('a');
    await a.latch.close();
    await settle();
    expect([a.latch.hasLeadership, b.latch.hasLeadership]).toEqual([false, true]);
    expect(leadership.signal.reason).toMatchObject({ reason: 'RELEASED' });
    expect(b.events).toEqual(['leader']);
  });

  it('tells all participants in order, and who leads', async () => {
    const servers = new FakeServers();
    const latches = ['a', 'b', ''].map((id) => latchOf(servers.newClient().start(), { id }).latch);
    for (const latch of latches) {
      latch.start();
      await settle();
    }
    expect(await latches[1]?.getParticipants()).toEqual([
      { id: 'a', isLeader: true },
      { id: 'b', isLeader: false },
      { id: '', isLeader: false },
    ]);
    expect(await latches[2]?.getLeader()).toEqual({ id: 'a', isLeader: true });
  });

  it('leaves out participants that vanish while they are read', async () => {
    const servers = new FakeServers();
    const a = latchOf(servers.newClient().start(), { id: 'a' });
    const b = latchOf(servers.newClient().start(), { id: 'b' });
    await a.latch.start().leadership();
    b.latch.start();
    await settle();
    const reader = servers.newClient().start();
    reader.onAnswer = (operation) => {
      if (operation === 'getChildren') servers.expire(a.client.sessionId);
    };
    expect(await latchOf(reader).latch.getLeader()).toEqual({ id: 'b', isLeader: true });
  });

  it('has no leader and no participants on a path that does not exist', async () => {
    const { client, latch } = latchOf(new FakeServers().newClient().start());
    client.onRequest = () => {
      throw new NoNodeError('nothing there', { path: PATH });
    };
    expect(await latch.getLeader()).toBeUndefined();
    expect(await latch.getParticipants()).toEqual([]);
  });

  it('may be started before its client', async () => {
    const { client, latch, events } = latchOf(new FakeServers().newClient());
    latch.start();
    await settle();
    expect(events).toEqual([]);
    client.start();
    await settle();
    expect(events).toEqual(['leader']);
  });

  it('stops leading when the connection is suspended, and leads again with the same znode when it is back', async () => {
    const servers = new FakeServers();
    const { client, latch, events } = latchOf(servers.newClient().start());
    const before = await latch.start().leadership();
    const znodes = [...servers.znodes.keys()];
    client.enter('SUSPENDED');
    expect(latch.hasLeadership).toBe(false);
    const next = latch.leadership();
    await settle();
    client.reconnect();
    const after = await next;
    expect(events).toEqual(['leader', 'notLeader SUSPENDED', 'leader']);
    expect(after).not.toBe(before);
    expect(after.token).toBe(before.token);
    expect([...servers.znodes.keys()]).toEqual(znodes);
  });

  it('stands behind the others with a new znode when its session is lost', async () => {
    const servers = new FakeServers();
    const a = latchOf(servers.newClient().start());
    const b = latchOf(servers.newClient().start());
    await a.latch.start().leadership();
    b.latch.start();
    await settle();
    servers.expire(a.client.sessionId);
    a.client.lose();
    await settle();
    expect(b.latch.hasLeadership).toBe(true);
    expect(a.latch.hasLeadership).toBe(false);
    expect(servers.childrenOf(PATH)).toHaveLength(2);
    expect(a.events).toEqual(['leader', 'notLeader LOST']);
  });

  it('goes to the end of the line when its leadership is released', async () => {
    const servers = new FakeServers();
    const a = latchOf(servers.newClient().start());
    const b = latchOf(servers.newClient().start());
    const leadership = await a.latch.start().leadership();
    b.latch.start();
    await settle();
    await leadership.release();
    await settle();
    expect([a.latch.hasLeadership, b.latch.hasLeadership]).toEqual([false, true]);
    await b.latch.close();
    await settle();
    expect(a.latch.hasLeadership).toBe(true);
    expect(a.events).toEqual(['leader', 'notLeader RELEASED', 'leader']);
  });

  it('makes a new znode when somebody deletes it', async () => {
    const servers = new FakeServers();
    const { latch, events } = latchOf(servers.newClient().start());
    await latch.start().leadership();
    for (const path of [...servers.znodes.keys()]) servers.delete(path);
    await settle();
    expect(latch.hasLeadership).toBe(true);
    expect(events).toEqual(['leader', 'notLeader NODE_DELETED', 'leader']);
  });

  it('closing it tells nobody by default', async () => {
    const { latch, events } = latchOf(new FakeServers().newClient().start());
    await latch.start().leadership();
    await latch.close();
    expect(events).toEqual(['leader']);
  });

  it.each([
    [{ closeMode: 'NOTIFY_LEADER' as const }, {}],
    [{}, { notify: true }],
  ])('closing it tells that it leads no more if asked to (%o, %o)', async (options, closing) => {
    const { latch, events } = latchOf(new FakeServers().newClient().start(), options);
    await latch.start().leadership();
    await latch.close(closing);
    expect(events).toEqual(['leader', 'notLeader RELEASED']);
  });

  it('closed while its znode is being created, it leaves none behind and never leads', async () => {
    const servers = new FakeServers();
    const { client, latch, events } = latchOf(servers.newClient().start());
    let closed: Promise<void> | undefined;
    client.onAnswer = (operation) => {
      if (operation === 'create') closed = latch.close();
    };
    latch.start();
    await settle();
    await closed;
    expect(closed).toBeDefined();
    expect(servers.znodes.size).toBe(0);
    expect(events).toEqual([]);
  });

  it('closed at any moment between the grant and the news of it, it does not lead', async () => {
    for (let microtasks = 0; microtasks < 20; microtasks++) {
      const servers = new FakeServers();
      const { client, latch } = latchOf(servers.newClient().start(), { closeMode: 'NOTIFY_LEADER' });
      let isClosed = false;
      client.onAnswer = (operation) => {
        if (operation !== 'getData') return;
        void afterMicrotasks(microtasks, () => {
          isClosed = true;
          void latch.close();
        });
      };
      const seen: unknown[] = [];
      latch.on('leader', () => seen.push(isClosed));
      latch.start();
      await settle();
      expect(seen).not.toContain(true);
      expect(isClosed).toBe(true);
      expect(latch.hasLeadership).toBe(false);
      expect(servers.znodes.size).toBe(0);
    }
  });

  it('closed without a connection, it does not wait for one, and its znode goes when there is', async () => {
    const servers = new FakeServers();
    const { client, latch } = latchOf(servers.newClient().start());
    await latch.start().leadership();
    client.enter('SUSPENDED');
    await latch.close();
    client.reconnect();
    await settle();
    expect(servers.znodes.size).toBe(0);
  });

  it('closed before its client is started, it never takes part', async () => {
    const servers = new FakeServers();
    const { client, latch } = latchOf(servers.newClient());
    await latch.start().close();
    client.start();
    await settle();
    expect(client.requests).toEqual([]);
  });

  it('can be closed twice, and not started twice or after it was closed', async () => {
    const { latch } = latchOf(new FakeServers().newClient().start());
    latch.start();
    expect(() => latch.start()).toThrow(RecipeStateError);
    await Promise.all([latch.close(), latch.close()]);
    await latch[Symbol.asyncDispose]();
    expect(latch.state).toBe('CLOSED');
    expect(() => latch.start()).toThrow(RecipeStateError);
  });

  it('a wait for leadership can be given up, and the latch goes on', async () => {
    const servers = new FakeServers();
    const first = latchOf(servers.newClient().start());
    await first.latch.start().leadership();
    const { latch } = latchOf(servers.newClient().start());
    const stop = new AbortController();
    const waiting = latch.start().leadership({ signal: stop.signal });
    await settle();
    stop.abort('enough');
    await expect(waiting).rejects.toBe('enough');
    await expect(latch.leadership({ signal: stop.signal })).rejects.toBe('enough');
    await first.latch.close();
    await settle();
    expect(latch.hasLeadership).toBe(true);
  });

  it('waits for leadership end when the latch is closed', async () => {
    const servers = new FakeServers();
    await latchOf(servers.newClient().start()).latch.start().leadership();
    const { latch } = latchOf(servers.newClient().start());
    const waiting = latch.start().leadership();
    const rejected = expect(waiting).rejects.toBeInstanceOf(RecipeStateError);
    await latch.close();
    await rejected;
    await expect(latch.leadership()).rejects.toBeInstanceOf(RecipeStateError);
  });

  it('ends with its client', async () => {
    const servers = new FakeServers();
    const { client, latch } = latchOf(servers.newClient().start());
    const leadership = await latch.start().leadership();
    client.close();
    expect(leadership.signal.reason).toMatchObject({ reason: 'CLIENT_CLOSED' });
    await settle();
    expect(latch.state).toBe('CLOSED');
    await expect(latch.leadership()).rejects.toBeInstanceOf(ClientClosedError);
    await latch.close();
  });

  it('tells what the server refuses, to listeners and waiters, and tries again', async () => {
    const { client, latch, events } = latchOf(new FakeServers().newClient().start());
    client.onRequest = (operation) => {
      if (operation === 'create') throw new NoAuthError('not permitted');
    };
    await expect(latch.start().leadership()).rejects.toBeInstanceOf(NoAuthError);
    client.onRequest = () => undefined;
    await client.clock.advance(1_000);
    await settle();
    expect(events).toEqual(['error NoAuthError', 'leader']);
  });

  it('a listener that throws disturbs neither the other listeners nor the latch', async () => {
    const { latch, events } = latchOf(new FakeServers().newClient().start());
    latch.on('leader', () => {
      throw new TypeError('a bug');
    });
    latch.on('leader', () => events.push('leader too'));
    await latch.start().leadership();
    expect(events).toEqual(['leader', 'leader too']);
    expect(latch.hasLeadership).toBe(true);
  });

  it('does not lead any more, from its first question on, when the process was frozen beyond the lease', async () => {
    const { client, latch } = latchOf(new FakeServers().newClient().start());
    await latch.start().leadership();
    client.clock.freeze(60_000);
    expect(latch.hasLeadership).toBe(false);
  });
});
