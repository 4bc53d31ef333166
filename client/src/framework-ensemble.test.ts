/** Who the client is, and where the ensemble is: what every new session starts with. */
import { afterEach, describe, expect, it } from 'vitest';
import { type EnsembleProvider, FixedEnsembleProvider } from './ensemble/ensemble-provider.ts';
import { AuthFailedError, InvalidArgumentError } from './errors.ts';
import { CuratorFramework } from './framework.ts';
import type { FrameworkOptions } from './framework-options.ts';
import { FakeServer } from './operations/fake-server.fixture.ts';
import { RetryNTimes } from './retry.ts';

const opened: CuratorFramework[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((client) => client.close()));
});

async function started(server: FakeServer, provider: EnsembleProvider, options: FrameworkOptions = {}) {
  const client = CuratorFramework.builder()
    .ensembleProvider(provider)
    .sessionTimeoutMs(9000)
    .connectionTimeoutMs(3000)
    .retryPolicy(new RetryNTimes(0, 0))
    .authorization(options.authorization ?? [])
    .ports(server.ports)
    .build();
  opened.push(client);
  const states: string[] = [];
  const errors: unknown[] = [];
  client.on('state', (state) => states.push(state));
  client.on('error', (error) => errors.push(error));
  client.start();
  await server.clock.settle();
  return { client, states, errors };
}

const config = (...servers: string[]): string =>
  [...servers.map((host, id) => `server.${id}=${host}:2888:3888:participant;2181`), 'version=1'].join('\n');

describe('the ensemble tracker', () => {
  it('tells the provider who the servers are, and keeps the chroot', async () => {
    const server = new FakeServer();
    server.config = config('zk1', 'zk2');
    const provider = new FixedEnsembleProvider('zk1:2181/app');
    const { client, states } = await started(server, provider);
    await server.clock.advance(5000);
    expect(provider.getConnectionString()).toBe('zk1:2181,zk2:2181/app');
    expect(client.zookeeper.connectString).toBe('zk1:2181,zk2:2181/app');
    expect(states).not.toContain('LOST');
    expect(server.sessions).toHaveLength(1);
  });

  it('follows every change, and ignores a configuration that names nobody', async () => {
    const server = new FakeServer();
    const provider = new FixedEnsembleProvider('zk1:2181');
    await started(server, provider);
    for (const [servers, told] of [
      [['zk1', 'zk2'], 'zk1:2181,zk2:2181'],
      [['zk2'], 'zk2:2181'],
      [[], 'zk2:2181'],
      [['zk1', 'zk3'], 'zk1:2181,zk3:2181'],
    ] as const) {
      server.reconfigure(config(...servers));
      await server.clock.advance(5000);
      expect(provider.getConnectionString()).toBe(told);
    }
    expect(server.sessions).toHaveLength(1);
  });

  it('needs a new session where the provider allows no other', async () => {
    const server = new FakeServer();
    const provider = new FixedEnsembleProvider('zk1:2181', { updateServerList: false });
    const { states } = await started(server, provider);
    server.reconfigure(config('zk1', 'zk2'));
    await server.clock.advance(5000);
    expect(states).toEqual(['CONNECTED', 'LOST', 'RECONNECTED']);
  });
});

describe('an ensemble provider', () => {
  it('is started and closed with the client, and asked after every change of the connection', async () => {
    const server = new FakeServer();
    const calls: string[] = [];
    let connectString = 'zk1:2181';
    const provider: EnsembleProvider = {
      start: () => calls.push('start'),
      close: () => calls.push('close'),
      getConnectionString: () => connectString,
      setConnectionString: () => undefined,
      updateServerListEnabled: () => true,
    };
    const { client, states } = await started(server, provider);
    // Another part of the tree can't be had in the same session.
    connectString = 'zk9:2181/elsewhere';
    server.dropConnections();
    await server.clock.advance(5000);
    expect(states).toEqual(['CONNECTED', 'SUSPENDED', 'LOST', 'RECONNECTED']);
    expect(client.zookeeper.connectString).toBe(connectString);
    await client.close();
    expect(calls).toEqual(['start', 'close']);
  });

  it('that names no servers is reported, and the session goes on', async () => {
    const server = new FakeServer();
    let connectString = 'zk1:2181';
    const { states, errors } = await started(server, {
      getConnectionString: () => connectString,
      setConnectionString: () => undefined,
      updateServerListEnabled: () => true,
    });
    connectString = '';
    server.dropConnections();
    await server.clock.advance(5000);
    expect(errors).toHaveLength(1);
    expect(states).toEqual(['CONNECTED', 'SUSPENDED', 'RECONNECTED']);
  });
});

describe('authorization', () => {
  const authorization = [
    { scheme: 'digest', auth: 'bob:pw' },
    { scheme: 'digest', auth: Buffer.from('eve:pw') },
  ];

  it('comes before everything else in every session', async () => {
    const server = new FakeServer();
    server.acceptsCredentials = true;
    const { client } = await started(server, new FixedEnsembleProvider('zk1:2181'), { authorization });
    server.expire(client.sessionId);
    await server.clock.advance(5000);
    expect(server.credentials).toEqual(['digest bob:pw', 'digest eve:pw', 'digest bob:pw', 'digest eve:pw']);
  });

  it('that is refused is reported, and tried again every few seconds', async () => {
    const server = new FakeServer();
    const { client, states, errors } = await started(server, new FixedEnsembleProvider('zk1:2181'), { authorization });
    await server.clock.advance(4000);
    expect(errors.length).toBeGreaterThan(0);
    expect(errors.every((error) => error instanceof AuthFailedError)).toBe(true);
    expect(states.at(-1)).toBe('LOST');
    const failure = client.getData('/').catch((error: unknown) => error);
    await server.clock.advance(900);
    server.acceptsCredentials = true;
    await server.clock.advance(5000);
    expect(await failure).not.toBeInstanceOf(AuthFailedError);
    expect(client.connected).toBe(true);
    await client.close();
    expect(server.clock.timers).toBe(0);
  });

  it('without a scheme is refused at once', () => {
    const builder = CuratorFramework.builder().connectString('zk1').retryPolicy(new RetryNTimes(0, 0));
    expect(() => builder.authorization('', 'x').build()).toThrow(InvalidArgumentError);
  });
});
