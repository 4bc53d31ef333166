import { describe, expect, it } from 'vitest';
import { ConnectionLossError, NoAuthError } from 'zookeeper-client-ts';
import { afterMicrotasks, type FakeClient, FakeServers, settle } from './fake-client.fixture.ts';
import { LeaderSelector, type LeaderSelectorOptions } from './leader-selector.ts';
import { type Ownership, whenEnded } from './ownership.ts';
import { RecipeStateError } from './recipe-state.ts';

const PATH = '/master';

/** A selector whose `takeLeadership` lasts until the test says so, or the signal fires. */
function selectorOf(client: FakeClient, options: LeaderSelectorOptions = {}) {
  const leaderships: Ownership[] = [];
  const errors: unknown[] = [];
  let finish: () => void = () => undefined;
  const selector = new LeaderSelector(
    client.framework,
    PATH,
    {
      takeLeadership: (_client, leadership) => {
        leaderships.push(leadership);
        const finished = new Promise<void>((resolve) => {
          finish = resolve;
        });
        return Promise.race([finished, whenEnded(leadership)]);
      },
    },
    options,
  );
  selector.on('error', (error) => errors.push(error));
  return { client, selector, leaderships, errors, finish: () => finish() };
}

const oneClient = () => new FakeServers().newClient().start();

describe('LeaderSelector', () => {
  it('leads while takeLeadership runs, then hands over', async () => {
    const servers = new FakeServers();
    const a = selectorOf(servers.newClient().start(), { id: 'a' });
    const b = selectorOf(servers.newClient().start(), { id: 'b' });
    a.selector.start();
    await settle();
    b.selector.start();
    await settle();
    expect([a.selector.hasLeadership, b.selector.hasLeadership]).toEqual([true, false]);
    a.finish();
    await settle();
    expect([a.selector.hasLeadership, b.selector.hasLeadership]).toEqual([false, true]);
    expect(a.leaderships[0]?.id).toBe('a');
    expect(b.leaderships[0]?.token).toBeGreaterThan(a.leaderships[0]?.token ?? 0n);
  });

  it('leads once, unless it is told to requeue', async () => {
    const { selector, leaderships, finish } = selectorOf(oneClient());
    selector.start();
    await settle();
    finish();
    await settle();
    expect(leaderships).toHaveLength(1);
    expect(selector.requeue()).toBe(true);
    await settle();
    expect(leaderships).toHaveLength(2);
  });

  it('takes turns with the others when it requeues by itself', async () => {
    const servers = new FakeServers();
    const a = selectorOf(servers.newClient().start());
    const b = selectorOf(servers.newClient().start());
    a.selector.autoRequeue().start();
    await settle();
    b.selector.autoRequeue().start();
    await settle();
    const turns: string[] = [];
    for (let turn = 0; turn < 4; turn++) {
      const [leading, name] = a.selector.hasLeadership ? [a, 'a'] : [b, 'b'];
      turns.push(name as string);
      (leading as typeof a).finish();
      await settle();
    }
    expect(turns).toEqual(['a', 'b', 'a', 'b']);
  });

  it('refuses to requeue while a round waits or leads', async () => {
    const { selector } = selectorOf(oneClient());
    selector.start();
    expect(selector.requeue()).toBe(false);
    await settle();
    expect(selector.hasLeadership).toBe(true);
    expect(selector.requeue()).toBe(false);
  });

  it('requeues for whoever has seen its leadership end', async () => {
    const { selector, leaderships } = selectorOf(oneClient());
    selector.start();
    await settle();
    const requeued: boolean[] = [];
    leaderships[0]?.signal.addEventListener('abort', () => requeued.push(selector.requeue()));
    selector.interruptLeadership();
    await settle();
    expect(requeued).toEqual([true]);
    expect(leaderships).toHaveLength(2);
  });

  it('holds its znode until takeLeadership has returned, also when it is interrupted', async () => {
    const servers = new FakeServers();
    const client = servers.newClient().start();
    let finish: () => void = () => undefined;
    const selector = new LeaderSelector(client.framework, PATH, {
      takeLeadership: () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
    }).start();
    await settle();
    selector.interruptLeadership();
    await settle();
    expect(selector.hasLeadership).toBe(false);
    expect(servers.znodes.size).toBe(1);
    finish();
    await settle();
    expect(servers.znodes.size).toBe(0);
  });

  it('interrupting does nothing while it waits', async () => {
    const servers = new FakeServers();
    const a = selectorOf(servers.newClient().start());
    const b = selectorOf(servers.newClient().start());
    a.selector.start();
    await settle();
    b.selector.start();
    await settle();
    b.selector.interruptLeadership();
    a.finish();
    await settle();
    expect(b.selector.hasLeadership).toBe(true);
  });

  it.each(['SUSPENDED', 'LOST'] as const)('interrupts takeLeadership on %s', async (state) => {
    const { client, selector, leaderships } = selectorOf(oneClient());
    selector.start();
    await settle();
    client.enter(state);
    expect(leaderships[0]?.signal.reason).toMatchObject({ reason: state });
  });

  it('reports what takeLeadership throws, hands over and goes on', async () => {
    const client = oneClient();
    const bug = new TypeError('a bug');
    const errors: unknown[] = [];
    let rounds = 0;
    const selector = new LeaderSelector(client.framework, PATH, {
      takeLeadership: (_client, { signal }) => {
        rounds++;
        if (rounds === 1) throw bug;
        return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
      },
    });
    selector.on('error', (error) => errors.push(error));
    selector.autoRequeue().start();
    await settle();
    expect(errors).toEqual([bug]);
    expect(rounds).toBe(2);
    await selector.close();
  });

  it('does not report that takeLeadership throws the reason of its own signal', async () => {
    const errors: unknown[] = [];
    const selector = new LeaderSelector(oneClient().framework, PATH, {
      takeLeadership: (_client, { signal }) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    });
    selector.on('error', (error) => errors.push(error));
    selector.start();
    await settle();
    selector.interruptLeadership();
    await settle();
    expect(errors).toEqual([]);
  });

  it('hands the states of the client on, and survives a listener that throws', async () => {
    const client = oneClient();
    const states: string[] = [];
    const errors: unknown[] = [];
    const selector = new LeaderSelector(client.framework, PATH, {
      takeLeadership: (_client, leadership) => whenEnded(leadership),
      stateChanged: (_client, state) => {
        states.push(state);
        throw new TypeError('a bug');
      },
    });
    selector.on('error', (error) => errors.push(error));
    selector.start();
    client.enter('SUSPENDED');
    client.reconnect();
    await selector.close();
    client.enter('SUSPENDED');
    expect(states).toEqual(['SUSPENDED', 'RECONNECTED']);
    expect(errors).toHaveLength(2);
  });

  it('closing it interrupts, waits for takeLeadership and leaves no znode behind', async () => {
    const servers = new FakeServers();
    const { selector, leaderships } = selectorOf(servers.newClient().start());
    selector.autoRequeue().start();
    await settle();
    await selector.close();
    await selector.close();
    expect(leaderships[0]?.signal.reason).toMatchObject({ reason: 'INTERRUPTED' });
    expect(leaderships).toHaveLength(1);
    expect(servers.znodes.size).toBe(0);
    expect(selector.requeue()).toBe(false);
  });

  it('closed at any moment after the grant, it does not begin to lead', async () => {
    for (let microtasks = 0; microtasks < 20; microtasks++) {
      const servers = new FakeServers();
      const client = servers.newClient().start();
      let isClosed = false;
      const begun: boolean[] = [];
      const selector = new LeaderSelector(client.framework, PATH, {
        takeLeadership: (_client, leadership) => {
          begun.push(isClosed);
          return whenEnded(leadership);
        },
      });
      client.onAnswer = (operation) => {
        if (operation !== 'getData') return;
        void afterMicrotasks(microtasks, () => {
          isClosed = true;
          void selector.close();
        });
      };
      selector.start();
      await settle();
      expect(begun).not.toContain(true);
      expect(isClosed).toBe(true);
      expect(servers.znodes.size).toBe(0);
    }
  });

  it('closed while it waits, it leaves no znode behind and never leads', async () => {
    const servers = new FakeServers();
    const a = selectorOf(servers.newClient().start());
    a.selector.start();
    await settle();
    const b = selectorOf(servers.newClient().start());
    b.selector.start();
    await settle();
    await b.selector.close();
    expect(servers.znodes.size).toBe(1);
    a.finish();
    await settle();
    expect(b.leaderships).toEqual([]);
    expect(b.errors).toEqual([]);
  });

  it('may be started before its client', async () => {
    const { client, selector } = selectorOf(new FakeServers().newClient());
    selector.start();
    await settle();
    client.start();
    await settle();
    expect(selector.hasLeadership).toBe(true);
  });

  it('ends with its client', async () => {
    const { client, selector, errors } = selectorOf(oneClient());
    selector.autoRequeue().start();
    await settle();
    client.close();
    await settle();
    expect(selector.state).toBe('CLOSED');
    expect(errors).toEqual([]);
    await selector.close();
  });

  it('without autoRequeue, ends the round with what kept it from leading', async () => {
    const { client, selector, errors } = selectorOf(oneClient());
    const failure = new ConnectionLossError('gone');
    client.onRequest = (operation) => {
      if (operation === 'create') throw failure;
    };
    selector.start();
    await settle();
    expect(errors).toEqual([failure]);
    client.onRequest = () => undefined;
    expect(selector.requeue()).toBe(true);
    await settle();
    expect(selector.hasLeadership).toBe(true);
  });

  it('with autoRequeue, rides out lost connections in silence, and reports refusals', async () => {
    const { client, selector, errors } = selectorOf(oneClient());
    const refused = new NoAuthError('not permitted');
    const failures = [new ConnectionLossError('gone'), refused];
    client.onRequest = (operation) => {
      const failure = operation === 'create' ? failures.shift() : undefined;
      if (failure !== undefined) throw failure;
    };
    selector.autoRequeue().start();
    await settle();
    await client.clock.advance(2_000);
    await settle();
    expect(errors).toEqual([refused]);
    expect(selector.hasLeadership).toBe(true);
  });

  it('writes its id into its znode, or else the default data of the client', async () => {
    const servers = new FakeServers();
    const a = selectorOf(servers.newClient().start(), { id: 'a' });
    a.selector.start();
    await settle();
    const b = selectorOf(servers.newClient().start());
    b.selector.start();
    await settle();
    expect(await a.selector.getParticipants()).toEqual([
      { id: 'a', isLeader: true },
      { id: 'default', isLeader: false },
    ]);
    expect(await b.selector.getLeader()).toEqual({ id: 'a', isLeader: true });
  });

  it('can not be started twice, nor requeued before it is started', async () => {
    const { selector } = selectorOf(oneClient());
    expect(() => selector.requeue()).toThrow(RecipeStateError);
    selector.start();
    expect(() => selector.start()).toThrow(RecipeStateError);
    await selector.close();
    expect(() => selector.start()).toThrow(RecipeStateError);
  });
});
