import { describe, expect, it, vi } from 'vitest';
import { NO_SESSION, type SessionId, toSessionId } from 'zookeeper-protocol-ts';
import type { ConnectionState } from './connection-state.ts';
import {
  AuthFailedError,
  ClientClosedError,
  ConnectionLossError,
  InvalidArgumentError,
  InvalidConnectStringError,
  NoNodeError,
  SessionExpiredError,
} from './errors.ts';
import { CuratorFramework, connect } from './framework.ts';
import { IllegalStateError } from './framework-connection.ts';
import type { FrameworkOptions } from './framework-options.ts';
import { FakeServer } from './operations/fake-server.fixture.ts';
import { RetryNTimes } from './retry.ts';
import type { ZooKeeper } from './zookeeper.ts';

const SESSION_TIMEOUT_MS = 9000;

interface StateChange {
  readonly state: ConnectionState;
  readonly at: number;
  /** The client's session when its listeners were told. */
  readonly sessionId: SessionId;
}

function build(server: FakeServer, options: FrameworkOptions = {}): CuratorFramework {
  return CuratorFramework.builder()
    .connectString(server.connectString)
    .sessionTimeoutMs(options.sessionTimeoutMs ?? SESSION_TIMEOUT_MS)
    .connectionTimeoutMs(options.connectionTimeoutMs ?? 3000)
    .retryPolicy(options.retry ?? new RetryNTimes(2, 100))
    .connectionStateErrorPolicy(options.connectionStateErrorPolicy ?? 'standard')
    .ports(server.ports)
    .build();
}

/** A client that was started, and what its listeners have heard. */
async function started(server: FakeServer, options: FrameworkOptions = {}) {
  const client = build(server, options);
  const changes: StateChange[] = [];
  client.on('state', (state) => changes.push({ state, at: client.clock.now(), sessionId: client.sessionId }));
  client.start();
  await server.clock.settle();
  return { client, changes, states: () => changes.map(({ state }) => state) };
}

/** How a promise is settled; undefined while it isn't. */
function outcomeOf(promise: Promise<unknown>): { readonly current: unknown } {
  const outcome: { current: unknown } = { current: undefined };
  promise.then(
    (value) => {
      outcome.current = { value };
    },
    (error) => {
      outcome.current = error;
    },
  );
  return outcome;
}

const verbs: readonly [
  string,
  (client: CuratorFramework) => unknown,
  (client: CuratorFramework) => Promise<unknown>,
][] = [
  ['create', (client) => client.create(), (client) => client.create('/a')],
  ['delete', (client) => client.delete(), (client) => client.delete('/a')],
  ['checkExists', (client) => client.checkExists(), (client) => client.checkExists('/a')],
  ['getData', (client) => client.getData(), (client) => client.getData('/a')],
  ['setData', (client) => client.setData(), (client) => client.setData('/a', '')],
  ['getChildren', (client) => client.getChildren(), (client) => client.getChildren('/a')],
];

describe('building a client', () => {
  const server = new FakeServer();

  it('needs a retry policy', () => {
    expect(() => CuratorFramework.builder().connectString('zk1').ports(server.ports).build()).toThrow(
      InvalidArgumentError,
    );
  });

  it('needs a connect string that can be read', () => {
    const builder = CuratorFramework.builder().retryPolicy(new RetryNTimes(0, 0));
    expect(() => builder.build()).toThrow(InvalidConnectStringError);
    expect(() => builder.connectString('zk1:notaport').build()).toThrow(InvalidConnectStringError);
  });

  it('needs a namespace that is a path', () => {
    const builder = CuratorFramework.builder().connectString('zk1').retryPolicy(new RetryNTimes(0, 0));
    expect(() => builder.namespace('/slash').build()).toThrow(InvalidArgumentError);
  });

  it.each(['sessionTimeoutMs', 'connectionTimeoutMs'] as const)('needs a %s above 0', (option) => {
    const builder = CuratorFramework.builder().connectString('zk1').retryPolicy(new RetryNTimes(0, 0));
    expect(() => builder[option](0).build()).toThrow(option);
  });
});

describe('lifecycle', () => {
  it.each(verbs)('%s before start is refused at the call', async (_, open, perform) => {
    const client = build(new FakeServer());
    expect(() => open(client)).toThrow(IllegalStateError);
    await expect(perform(client)).rejects.toThrow(IllegalStateError);
    expect(client.lifecycle).toBe('LATENT');
  });

  it.each(verbs)('%s after close is refused at the call', async (_, open, perform) => {
    const { client } = await started(new FakeServer());
    void client.close();
    expect(() => open(client)).toThrow(ClientClosedError);
    await expect(perform(client)).rejects.toThrow(ClientClosedError);
  });

  it('starts once', async () => {
    const { client } = await started(new FakeServer());
    expect(() => client.start()).toThrow(IllegalStateError);
    void client.close();
    expect(() => client.start()).toThrow(ClientClosedError);
  });

  it('has no session before start and after close', async () => {
    const server = new FakeServer();
    const client = build(server);
    expect(client.sessionId).toBe(NO_SESSION);
    expect(client.leaseEnd).toBe(Number.NEGATIVE_INFINITY);
    expect(() => client.zookeeper).toThrow(IllegalStateError);
    client.start();
    await server.clock.settle();
    expect(client.sessionId).toBe(toSessionId(1n));
    expect(client.leaseEnd).toBe(SESSION_TIMEOUT_MS);
    void client.close();
    expect(client.sessionId).toBe(NO_SESSION);
    expect(client.leaseEnd).toBe(Number.NEGATIVE_INFINITY);
    expect(client.connected).toBe(false);
    expect(() => client.zookeeper).toThrow(ClientClosedError);
  });

  it('tells its listeners when it is started and stopped', async () => {
    const server = new FakeServer();
    const client = build(server);
    const heard: string[] = [];
    client.on('lifecycle', (lifecycle) => heard.push(`${lifecycle} ${client.lifecycle}`));
    client.start();
    void client.close();
    void client.close();
    expect(heard).toEqual(['STARTED STARTED', 'STOPPED STOPPED']);
  });

  it('closes the session, and may be closed twice', async () => {
    const server = new FakeServer();
    const { client } = await started(server);
    const closed = Promise.all([client.close(), client.close()]);
    await server.clock.settle();
    await closed;
    expect(server.received).toEqual(['closeSession']);
    expect(server.sessions).toEqual([]);
    expect(server.clock.timers).toBe(0);
  });

  it('can be closed before it was started', async () => {
    const client = build(new FakeServer());
    await client.close();
    expect(client.lifecycle).toBe('STOPPED');
  });

  it('settles everything that waits when it is closed, and leaves no timer', async () => {
    const server = new FakeServer();
    const { client } = await started(server, { retry: new RetryNTimes(5, 60_000) });
    server.fate = ({ path }) => (path === '/ignored' ? 'ignore' : path === '/lost' ? 'lose reply' : undefined);
    const ignored = outcomeOf(client.getData('/ignored'));
    const ownAttempt = outcomeOf(client.retry(() => new Promise(() => undefined)));
    await server.clock.settle();
    const lost = outcomeOf(client.getData('/lost'));
    await server.clock.settle();
    server.stop();
    const waiting = outcomeOf(client.blockUntilConnected());
    const withoutConnection = outcomeOf(client.checkExists('/a'));
    await server.clock.settle();
    void client.close();
    await server.clock.settle();
    for (const outcome of [ignored, ownAttempt, lost, waiting, withoutConnection]) {
      expect(outcome.current).toBeInstanceOf(ClientClosedError);
    }
    expect(server.clock.timers).toBe(0);
  });

  it('does not start or close through a view', async () => {
    const server = new FakeServer();
    const { client } = await started(server);
    const view = client.usingNamespace('a');
    expect(() => view.start()).toThrow(IllegalStateError);
    await expect(view.close()).rejects.toThrow(IllegalStateError);
    expect(client.lifecycle).toBe('STARTED');
  });
});

describe('connection states', () => {
  it('CONNECTED comes with the first connection', async () => {
    const { client, states } = await started(new FakeServer());
    expect(states()).toEqual(['CONNECTED']);
    expect(client.state).toBe('CONNECTED');
    expect(client.connected).toBe(true);
  });

  it('a short outage is SUSPENDED, then RECONNECTED, in the same session', async () => {
    const server = new FakeServer();
    const { client, states } = await started(server);
    const { zookeeper, sessionId } = client;
    server.dropConnections();
    await server.clock.settle();
    expect(client.state).toBe('SUSPENDED');
    expect(client.connected).toBe(false);
    await server.clock.advance(3000);
    expect(states()).toEqual(['CONNECTED', 'SUSPENDED', 'RECONNECTED']);
    expect(client.sessionId).toBe(sessionId);
    expect(client.zookeeper).toBe(zookeeper);
  });

  it('LOST comes exactly when the lease ends, with a new handle in place', async () => {
    const server = new FakeServer();
    const { client, changes, states } = await started(server);
    await server.clock.advance(30_000);
    const { zookeeper, leaseEnd } = client;
    server.stop();
    await server.clock.advance(leaseEnd - server.clock.now() - 1);
    expect(states()).toEqual(['CONNECTED', 'SUSPENDED']);
    await server.clock.advance(1);
    expect(states()).toEqual(['CONNECTED', 'SUSPENDED', 'LOST']);
    expect(changes.at(-1)).toEqual({ state: 'LOST', at: leaseEnd, sessionId: NO_SESSION });
    expect(client.zookeeper).not.toBe(zookeeper);
    expect(zookeeper.state).toBe('CLOSED');
    await server.clock.advance(60_000);
    expect(states()).toEqual(['CONNECTED', 'SUSPENDED', 'LOST']);
    server.start();
    await server.clock.advance(3000);
    expect(states()).toEqual(['CONNECTED', 'SUSPENDED', 'LOST', 'RECONNECTED']);
    expect(changes.at(-1)?.sessionId).toBe(toSessionId(2n));
  });

  it('a server that falls silent ends in LOST when the lease ends', async () => {
    const server = new FakeServer();
    const { client, changes, states } = await started(server);
    server.answers = false;
    const { leaseEnd } = client;
    await server.clock.advance(SESSION_TIMEOUT_MS * 2);
    expect(states()).toEqual(['CONNECTED', 'SUSPENDED', 'LOST']);
    expect(changes.at(-1)?.at).toBe(leaseEnd);
  });

  it('a process that was frozen for longer than its lease hears LOST before anything else', async () => {
    const server = new FakeServer();
    const { client, states, changes } = await started(server);
    server.clock.freeze(SESSION_TIMEOUT_MS + 1);
    await server.clock.advance(3000);
    expect(states().filter((state) => state !== 'SUSPENDED')).toEqual(['CONNECTED', 'LOST', 'RECONNECTED']);
    expect(changes.find(({ state }) => state === 'LOST')?.at).toBe(SESSION_TIMEOUT_MS + 1);
    expect(client.sessionId).toBe(toSessionId(2n));
  });

  it('a session that the server has ended is LOST, then RECONNECTED in another one', async () => {
    const server = new FakeServer();
    const { client, states, changes } = await started(server);
    const { zookeeper, sessionId } = client;
    server.expire(sessionId);
    await server.clock.advance(3000);
    expect(states()).toEqual(['CONNECTED', 'SUSPENDED', 'LOST', 'RECONNECTED']);
    expect(changes.at(-1)?.sessionId).toBe(toSessionId(2n));
    expect(client.zookeeper).not.toBe(zookeeper);
  });

  it('a handle that was closed behind the back of the client is replaced', async () => {
    const server = new FakeServer();
    const { client, states } = await started(server);
    void client.zookeeper.close();
    await server.clock.advance(3000);
    expect(states()).toEqual(['CONNECTED', 'LOST', 'RECONNECTED']);
  });

  it('a session that ends over credentials is LOST, then RECONNECTED in another one without them', async () => {
    const server = new FakeServer();
    const { client, states } = await started(server);
    const outcome = outcomeOf(client.zookeeper.addAuth('digest', 'me:wrong'));
    await server.clock.advance(3000);
    expect(outcome.current).toBeInstanceOf(AuthFailedError);
    expect(states()).toEqual(['CONNECTED', 'LOST', 'RECONNECTED']);
    expect(client.sessionId).toBe(toSessionId(2n));
  });

  it('without any server: SUSPENDED, LOST one session timeout later, CONNECTED at the first connection', async () => {
    const server = new FakeServer();
    server.stop();
    const { client, states, changes } = await started(server);
    await server.clock.advance(SESSION_TIMEOUT_MS * 3);
    expect(states()).toEqual(['SUSPENDED', 'LOST']);
    expect((changes[1]?.at ?? 0) - (changes[0]?.at ?? 0)).toBe(SESSION_TIMEOUT_MS);
    server.start();
    await server.clock.advance(3000);
    expect(states()).toEqual(['SUSPENDED', 'LOST', 'CONNECTED']);
    expect(client.sessionId).toBe(toSessionId(1n));
  });

  it('every listener hears every state in order, also after one that throws', async () => {
    const server = new FakeServer();
    const client = build(server);
    const heard: string[] = [];
    client.on('state', () => {
      throw new Error('a listener of the user');
    });
    client.on('state', (state) => {
      if (state === 'CONNECTED') client.zookeeper.abandon();
    });
    client.on('state', (state, previous) => heard.push(`${previous} → ${state}`));
    client.start();
    await server.clock.advance(3000);
    expect(heard).toEqual(['undefined → CONNECTED', 'CONNECTED → LOST', 'LOST → RECONNECTED']);
  });

  it('a listener that closes the client hears no further state', async () => {
    const server = new FakeServer();
    const { client, states } = await started(server);
    client.on('state', () => void client.close());
    // The lease is over as well: LOST would follow at once.
    server.clock.freeze(SESSION_TIMEOUT_MS);
    server.dropConnections();
    await server.clock.advance(SESSION_TIMEOUT_MS);
    expect(states()).toEqual(['CONNECTED', 'SUSPENDED']);
    expect(server.clock.timers).toBe(0);
  });

  it('a listener that was removed hears nothing more', async () => {
    const server = new FakeServer();
    const { client } = await started(server);
    const heard: string[] = [];
    const remove = client.on('state', (state) => heard.push(state));
    remove();
    server.dropConnections();
    await server.clock.settle();
    expect(heard).toEqual([]);
  });

  it.each([
    ['standard', true],
    ['session', false],
  ] as const)('under the %s error policy SUSPENDED is an error: %s', async (connectionStateErrorPolicy, expected) => {
    const { client } = await started(new FakeServer(), { connectionStateErrorPolicy });
    expect(client.isErrorState('SUSPENDED')).toBe(expected);
    expect(client.isErrorState('LOST')).toBe(true);
    expect(client.isErrorState('RECONNECTED')).toBe(false);
  });
});

describe('blockUntilConnected', () => {
  it('resolves when there is a connection', async () => {
    const server = new FakeServer();
    server.stop();
    const { client } = await started(server);
    const outcome = outcomeOf(client.blockUntilConnected());
    await server.clock.advance(100_000);
    expect(outcome.current).toBeUndefined();
    server.start();
    await server.clock.advance(3000);
    expect(outcome.current).toEqual({ value: undefined });
    await client.blockUntilConnected({ timeoutMs: 0 });
  });

  it('rejects after its time with each host and why it could not be reached', async () => {
    const server = new FakeServer();
    server.stop();
    const { client } = await started(server);
    const outcome = outcomeOf(client.blockUntilConnected({ timeoutMs: 500 }));
    await server.clock.advance(499);
    expect(outcome.current).toBeUndefined();
    await server.clock.advance(1);
    expect(outcome.current).toBeInstanceOf(ConnectionLossError);
    expect(String(outcome.current)).toContain('zk1:2181: connect ECONNREFUSED');
  });

  it('rejects with the reason of its signal', async () => {
    const server = new FakeServer();
    server.stop();
    const { client } = await started(server);
    const controller = new AbortController();
    const outcome = outcomeOf(client.blockUntilConnected({ signal: controller.signal }));
    const reason = new Error('enough');
    controller.abort(reason);
    await server.clock.settle();
    expect(outcome.current).toBe(reason);
    await expect(client.blockUntilConnected({ signal: controller.signal })).rejects.toBe(reason);
  });
});

describe('connect', () => {
  const options = (server: FakeServer): FrameworkOptions => ({ ports: server.ports, connectionTimeoutMs: 2000 });

  it('resolves to a client that is connected', async () => {
    const server = new FakeServer();
    const connecting = connect(server.connectString, options(server));
    await server.clock.settle();
    await using client = await connecting;
    expect(client.state).toBe('CONNECTED');
    void client.close();
    await server.clock.settle();
  });

  it('rejects with the reason per host, and leaves nothing behind', async () => {
    const server = new FakeServer();
    server.stop();
    const outcome = outcomeOf(connect(server.connectString, options(server)));
    await server.clock.advance(2000);
    expect(outcome.current).toBeInstanceOf(ConnectionLossError);
    expect(String(outcome.current)).toContain('zk1:2181: connect ECONNREFUSED');
    expect(server.clock.timers).toBe(0);
  });

  it('rejects with the reason of its signal, and leaves nothing behind', async () => {
    const server = new FakeServer();
    server.stop();
    const controller = new AbortController();
    const outcome = outcomeOf(connect(server.connectString, { ...options(server), signal: controller.signal }));
    await server.clock.settle();
    const reason = new Error('enough');
    controller.abort(reason);
    await server.clock.settle();
    expect(outcome.current).toBe(reason);
    expect(server.clock.timers).toBe(0);
  });

  it('rejects what is no connect string', async () => {
    await expect(connect('')).rejects.toThrow(InvalidConnectStringError);
  });
});

describe('the retry loop', () => {
  it('waits for a connection before the first attempt', async () => {
    const server = new FakeServer();
    server.stop();
    const { client } = await started(server);
    server.make('/a');
    const outcome = outcomeOf(client.getChildren('/'));
    await server.clock.advance(2000);
    expect(outcome.current).toBeUndefined();
    server.start();
    await server.clock.advance(3000);
    expect(outcome.current).toEqual({ value: ['a'] });
  });

  it('gives up after the connection timeout and the pauses of its policy, naming each host', async () => {
    const server = new FakeServer();
    server.stop();
    const { client } = await started(server, { retry: new RetryNTimes(2, 100), connectionTimeoutMs: 3000 });
    const outcome = outcomeOf(client.getData('/a'));
    await server.clock.advance(3 * 3000 + 2 * 100 - 1);
    expect(outcome.current).toBeUndefined();
    await server.clock.advance(1);
    expect(outcome.current).toBeInstanceOf(ConnectionLossError);
    expect(String(outcome.current)).toContain('zk1:2181: connect ECONNREFUSED');
  });

  it('tries again after a lost connection, with the pause of the policy', async () => {
    const server = new FakeServer();
    server.make('/a');
    const { client } = await started(server);
    server.fate = () => (server.received.length === 1 ? 'lose reply' : undefined);
    const outcome = outcomeOf(client.checkExists('/a'));
    await server.clock.advance(3000);
    expect(outcome.current).toMatchObject({ value: { version: 0 } });
    expect(server.received.filter((request) => request === 'exists /a')).toHaveLength(2);
  });

  it('does not try again what was refused', async () => {
    const server = new FakeServer();
    const { client } = await started(server);
    const outcome = outcomeOf(client.getData('/none'));
    await server.clock.advance(60_000);
    expect(outcome.current).toBeInstanceOf(NoNodeError);
    expect(server.received).toEqual(['getData /none']);
  });

  it('goes on in the new session when the old one has ended', async () => {
    const server = new FakeServer();
    const { client } = await started(server);
    const sessions: SessionId[] = [];
    const outcome = outcomeOf(
      client.retry(async (zk, attemptNumber) => {
        sessions.push(zk.sessionId);
        if (attemptNumber === 1) throw new SessionExpiredError('over');
        return attemptNumber;
      }),
    );
    server.expire(client.sessionId);
    await server.clock.advance(3000);
    expect(outcome.current).toEqual({ value: 2 });
    expect(sessions).toEqual([1n, 2n]);
  });

  it('does not multiply with a loop around it', async () => {
    const server = new FakeServer();
    const { client } = await started(server, { retry: new RetryNTimes(2, 100) });
    server.fate = ({ operation }) => (operation === 'getData' ? 'lose reply' : undefined);
    const outcome = outcomeOf(client.retry(() => client.retry(() => client.getData('/a'))));
    await server.clock.advance(60_000);
    expect(outcome.current).toBeInstanceOf(ConnectionLossError);
    expect(server.received.filter((request) => request === 'getData /a')).toHaveLength(3);
  });

  it('gives each of two calls that fail together its own retries', async () => {
    const server = new FakeServer();
    const { client } = await started(server, { retry: new RetryNTimes(1, 100) });
    server.fate = () => (server.received.length === 1 ? 'lose request' : undefined);
    const outcomes = [outcomeOf(client.checkExists('/a')), outcomeOf(client.checkExists('/b'))];
    await server.clock.advance(10_000);
    expect(outcomes.map(({ current }) => current)).toEqual([{ value: undefined }, { value: undefined }]);
  });

  it.each<[string, (signal: AbortSignal, server: FakeServer) => (zk: ZooKeeper) => Promise<unknown>]>([
    ['an attempt that waits for an answer', (signal) => (zk) => zk.exists('/a', { signal })],
    ['an attempt that ignores the signal', () => () => new Promise(() => undefined)],
    ['the pause between attempts', () => () => Promise.reject(new ConnectionLossError('lost'))],
  ])('ends at once with the reason of its signal during %s', async (_, attemptWith) => {
    const server = new FakeServer();
    const { client } = await started(server, { retry: new RetryNTimes(1, 60_000) });
    server.fate = () => 'ignore';
    const timersBefore = server.clock.timers;
    const controller = new AbortController();
    const { signal } = controller;
    const outcome = outcomeOf(client.retry(attemptWith(signal, server), { signal }));
    await server.clock.settle();
    expect(outcome.current).toBeUndefined();
    const reason = new Error('enough');
    controller.abort(reason);
    await server.clock.settle();
    expect(outcome.current).toBe(reason);
    expect(server.clock.timers).toBe(timersBefore);
  });

  it('ends also when the attempt itself fires the signal or closes the client', async () => {
    const { client } = await started(new FakeServer());
    const controller = new AbortController();
    const forever = new Promise<never>(() => undefined);
    const { signal } = controller;
    const reason = new Error('enough');
    const aborting = () => {
      controller.abort(reason);
      return forever;
    };
    await expect(client.retry(aborting, { signal })).rejects.toBe(reason);
    const closing = () => {
      void client.close();
      return forever;
    };
    await expect(client.retry(closing)).rejects.toBeInstanceOf(ClientClosedError);
  });

  it('makes no attempt when its signal has fired before', async () => {
    const { client } = await started(new FakeServer());
    const reason = new Error('enough');
    let attempts = 0;
    const attempt = async () => ++attempts;
    await expect(client.retry(attempt, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(attempts).toBe(0);
  });

  it('leaves no listener on its signal', async () => {
    const server = new FakeServer();
    const { client } = await started(server);
    server.fate = () => (server.received.length === 1 ? 'lose reply' : undefined);
    const { signal } = new AbortController();
    const added = vi.spyOn(signal, 'addEventListener');
    const removed = vi.spyOn(signal, 'removeEventListener');
    const outcome = outcomeOf(client.checkExists('/a', { signal }));
    await server.clock.advance(10_000);
    expect(outcome.current).toEqual({ value: undefined });
    expect(added.mock.calls.length).toBeGreaterThan(2);
    expect(removed.mock.calls.map(([, listener]) => listener)).toEqual(
      expect.arrayContaining(added.mock.calls.map(([, listener]) => listener)),
    );
  });

  it('sends nothing when its signal has fired before', async () => {
    const server = new FakeServer();
    const { client } = await started(server);
    const reason = new Error('enough');
    await expect(client.getData('/a', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await server.clock.settle();
    expect(server.received).toEqual([]);
  });
});
