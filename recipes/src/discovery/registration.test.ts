import { beforeEach, describe, expect, it } from 'vitest';
import {
  BadVersionError,
  ConnectionLossError,
  NO_SESSION,
  NoAuthError,
  NoNodeError,
  OperationTimeoutError,
} from 'zookeeper-client-ts';
import { type FakeClient, FakeServers, settle } from '../fake-client.fixture.ts';
import { ServiceDiscovery, type ServiceDiscoveryOptions } from './service-discovery.ts';
import { makeServiceInstance, type ServiceInstance, type ServiceType } from './service-instance.ts';

let servers: FakeServers;
let client: FakeClient;
let errors: unknown[];

beforeEach(() => {
  servers = new FakeServers();
  client = servers.newClient().start();
  errors = [];
});

function start(options: ServiceDiscoveryOptions = {}, by = client): ServiceDiscovery {
  const discovery = new ServiceDiscovery(by.framework, '/base', options);
  discovery.on('error', (error) => errors.push(error));
  return discovery.start();
}

const instanceOf = (id: string, more: Partial<ServiceInstance> = {}): ServiceInstance =>
  makeServiceInstance({ name: 's', id, registrationTimeUTC: 1, ...more });

const payloadAt = (path: string): unknown => JSON.parse(servers.read(path).data.toString()).payload;
const ownerOf = (path: string): unknown => servers.znodes.get(path)?.stat.ephemeralOwner;
const paths = (): string[] => [...servers.znodes.keys()].sort();
const writes = (by = client): string[] => by.requests.filter((request) => !/^(exists|get)/.test(request));

/** The connection breaks and comes back; the session stays. */
async function flap(): Promise<void> {
  client.enter('SUSPENDED');
  client.reconnect();
  await settle();
}

/** The session is lost, and the servers end it as well. */
async function loseSession(by = client): Promise<void> {
  const { sessionId } = by;
  by.lose();
  servers.expire(sessionId);
  await settle();
}

describe('registering', () => {
  it.each<[ServiceType, boolean]>([
    ['DYNAMIC', true],
    ['STATIC', false],
    ['PERMANENT', false],
  ])('%s makes a znode of the right kind', async (serviceType, isEphemeral) => {
    await start().registerService(instanceOf('a', { serviceType, payload: 1 }));
    expect(ownerOf('/base/s/a')).toBe(isEphemeral ? client.sessionId : NO_SESSION);
    expect(payloadAt('/base/s/a')).toBe(1);
  });

  it('again says something else of it, in the same znode', async () => {
    const discovery = start();
    await discovery.registerService(instanceOf('a', { payload: 1 }));
    await discovery.registerService(instanceOf('a', { payload: 2 }));
    expect(payloadAt('/base/s/a')).toBe(2);
    expect(writes()).toEqual(['create /base/s/a', 'setData /base/s/a']);
  });

  it('replaces what a session before has left, so that it does not go with that', async () => {
    const before = servers.newClient().start();
    await start({}, before).registerService(instanceOf('a', { payload: 'old' }));
    await start().registerService(instanceOf('a', { payload: 'new' }));
    expect(ownerOf('/base/s/a')).toBe(client.sessionId);
    servers.expire(before.sessionId);
    expect(payloadAt('/base/s/a')).toBe('new');
  });

  it('as DYNAMIC replaces a znode that would outlive the process', async () => {
    servers.create('/base/s/a', 'old');
    await start().registerService(instanceOf('a'));
    expect(ownerOf('/base/s/a')).toBe(client.sessionId);
  });

  it('as STATIC writes to the znode that a process before has left, without a gap', async () => {
    servers.create('/base/s/a', 'old');
    await start().registerService(instanceOf('a', { serviceType: 'STATIC', payload: 1 }));
    expect(writes()).toEqual(['setData /base/s/a']);
    expect(payloadAt('/base/s/a')).toBe(1);
  });

  it('goes on when somebody else is quicker', async () => {
    let turns = 0;
    client.onRequest = (operation) => {
      if (operation === 'create' && turns++ === 0) servers.create('/base/s/a', 'theirs', servers.newSession());
      if (operation === 'delete' && turns++ === 1) throw new BadVersionError('', {});
    };
    await start().registerService(instanceOf('a'));
    expect(ownerOf('/base/s/a')).toBe(client.sessionId);
  });

  it('waits for a connection, and is done when there is one', async () => {
    const late = servers.newClient();
    const registered = start({}, late).registerService(instanceOf('a'));
    await settle();
    expect(paths()).toEqual([]);
    late.start();
    await registered;
    expect(ownerOf('/base/s/a')).toBe(late.sessionId);
  });

  it('tries again a second after an answer that did not come', async () => {
    let isSlow = true;
    client.onRequest = (operation) => {
      if (isSlow && operation === 'create') throw new OperationTimeoutError('no answer');
    };
    const registered = start().registerService(instanceOf('a'));
    await settle();
    isSlow = false;
    await client.clock.advance(1_000);
    await registered;
    expect(paths()).toEqual(['/base/s/a']);
  });

  it('that is refused leaves nothing, and is not tried again', async () => {
    client.onRequest = (operation) => {
      if (operation === 'create') throw new NoAuthError('no');
    };
    const discovery = start();
    await expect(discovery.registerService(instanceOf('a'))).rejects.toMatchObject({ code: 'NO_AUTH' });
    client.onRequest = () => undefined;
    await loseSession();
    expect(paths()).toEqual([]);
    await expect(discovery.updateService(instanceOf('a'))).rejects.toMatchObject({ code: 'RECIPE_STATE' });
    expect(errors).toEqual([]);
    await discovery.registerService(instanceOf('a'));
    expect(paths()).toEqual(['/base/s/a']);
  });

  it('where the servers have no root for this client is refused, and not tried without end', async () => {
    client.onRequest = (operation) => {
      if (operation === 'create') throw new NoNodeError('no chroot');
    };
    await expect(start().registerService(instanceOf('a'))).rejects.toMatchObject({ code: 'NO_NODE' });
    expect(writes()).toEqual(['create /base/s/a']);
  });

  it('makes the znode when it vanishes before it could be written', async () => {
    servers.create('/base/s/a', 'old');
    client.onRequest = (operation) => {
      if (operation === 'setData') servers.delete('/base/s/a');
    };
    await start().registerService(instanceOf('a', { serviceType: 'STATIC', payload: 1 }));
    expect(payloadAt('/base/s/a')).toBe(1);
  });

  it('that is aborted leaves nothing', async () => {
    client.enter('SUSPENDED');
    const controller = new AbortController();
    const registered = start().registerService(instanceOf('a'), { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(registered).rejects.toThrow('enough');
    client.reconnect();
    await settle();
    expect(paths()).toEqual([]);
  });

  it('that is closed meanwhile is told so, and leaves nothing', async () => {
    client.enter('SUSPENDED');
    const discovery = start();
    const registered = discovery.registerService(instanceOf('a'));
    const refused = expect(registered).rejects.toMatchObject({ code: 'RECIPE_STATE' });
    await discovery.close();
    await refused;
    client.reconnect();
    await settle();
    expect(paths()).toEqual([]);
  });

  it('after its client was closed is refused, each time', async () => {
    const discovery = start();
    await discovery.registerService(instanceOf('a'));
    client.close();
    for (let turn = 0; turn < 3; turn++) {
      await expect(discovery.registerService(instanceOf('a'))).rejects.toMatchObject({ code: 'CLIENT_CLOSED' });
    }
  });

  it('ends with its client', async () => {
    client.enter('SUSPENDED');
    const registered = start().registerService(instanceOf('a'));
    const refused = expect(registered).rejects.toMatchObject({ code: 'CLIENT_CLOSED' });
    client.close();
    await refused;
  });

  it('refuses names that are none, and what the serializer refuses', async () => {
    const discovery = start();
    const code = 'INVALID_ARGUMENT';
    await expect(discovery.registerService({ ...instanceOf('a'), id: 'a/b' })).rejects.toMatchObject({ code });
    await expect(discovery.registerService(instanceOf('a', { enabled: false }))).rejects.toMatchObject({ code });
    expect(paths()).toEqual([]);
  });

  it('is not possible before the start and after the end', async () => {
    const discovery = new ServiceDiscovery(client.framework, '/base');
    const refused = { code: 'RECIPE_STATE' };
    await expect(discovery.registerService(instanceOf('a'))).rejects.toMatchObject(refused);
    await discovery.start().close();
    await discovery.close();
    await expect(discovery.registerService(instanceOf('a'))).rejects.toMatchObject(refused);
    expect(() => discovery.start()).toThrow(expect.objectContaining(refused));
  });
});

describe('the instance of this process', () => {
  it('is registered by start, and tried again at the next connection when it is refused', async () => {
    let isRefused = true;
    client.onRequest = (operation) => {
      if (isRefused && operation === 'create') throw new NoAuthError('no');
    };
    start({ thisInstance: instanceOf('a') });
    await settle();
    expect(errors).toEqual([expect.objectContaining({ code: 'NO_AUTH' })]);
    isRefused = false;
    await flap();
    expect(paths()).toEqual(['/base/s/a']);
  });

  it('is registered when the servers come, if there were none (CURATOR-175)', async () => {
    const late = servers.newClient();
    start({ thisInstance: instanceOf('a') }, late);
    late.start();
    await settle();
    expect(ownerOf('/base/s/a')).toBe(late.sessionId);
  });

  it('can be unregistered before it was registered, and nobody hears of it', async () => {
    const late = servers.newClient();
    const discovery = start({ thisInstance: instanceOf('a') }, late);
    await discovery.unregisterService(instanceOf('a'));
    late.start();
    await settle();
    expect([paths(), errors]).toEqual([[], []]);
  });

  it('is not heard of when the client is closed first', async () => {
    client.close();
    await start({ thisInstance: instanceOf('a') }).close();
    expect(errors).toEqual([]);
  });
});

describe('when the connection comes back', () => {
  it('a new session announces everything again, as it was said last (CURATOR-175, 181)', async () => {
    const discovery = start();
    await discovery.registerService(instanceOf('a', { payload: 1 }));
    await discovery.registerService(instanceOf('b', { payload: 1 }));
    await discovery.updateService(instanceOf('a', { payload: 2 }));
    await loseSession();
    expect([ownerOf('/base/s/a'), ownerOf('/base/s/b')]).toEqual([client.sessionId, client.sessionId]);
    expect([payloadAt('/base/s/a'), payloadAt('/base/s/b')]).toEqual([2, 1]);
  });

  it('a new session does not wait for the old one to expire', async () => {
    await start().registerService(instanceOf('a'));
    const { sessionId } = client;
    client.lose();
    await settle();
    expect(ownerOf('/base/s/a')).toBe(client.sessionId);
    servers.expire(sessionId);
    expect(paths()).toEqual(['/base/s/a']);
  });

  it('in a new session, a write of the one before that comes late is written over, and what others write is not', async () => {
    const discovery = start();
    await discovery.registerService(instanceOf('a', { payload: 1 }));
    const { data } = servers.read('/base/s/a');
    await loseSession();
    await discovery.updateService(instanceOf('a', { payload: 2 }));
    servers.setData('/base/s/a', data.toString());
    await settle();
    expect(payloadAt('/base/s/a')).toBe(2);
    servers.setData('/base/s/a', JSON.stringify(instanceOf('a', { payload: 3 })));
    await settle();
    expect(payloadAt('/base/s/a')).toBe(3);
    expect(errors).toEqual([]);
  });

  it('in a new session, a delete of the one before that comes late is undone', async () => {
    await start().registerService(instanceOf('a'));
    client.lose();
    await settle();
    servers.delete('/base/s/a');
    await settle();
    expect(paths()).toEqual(['/base/s/a']);
    expect(errors).toEqual([]);
  });

  it('in the same session, what is there is left alone (CURATOR-320)', async () => {
    await start().registerService(instanceOf('a'));
    await flap();
    expect(writes()).toEqual(['create /base/s/a']);
  });

  it('in the same session, what is gone is made again', async () => {
    await start().registerService(instanceOf('a'));
    servers.delete('/base/s/a');
    await flap();
    expect(paths()).toEqual(['/base/s/a']);
  });

  it('another znode in its place is written, also when that takes two attempts', async () => {
    await start().registerService(instanceOf('a', { serviceType: 'STATIC', payload: 1 }));
    servers.delete('/base/s/a');
    servers.create('/base/s/a', 'theirs');
    let losses = 1;
    client.onRequest = (operation) => {
      if (operation === 'setData' && losses-- > 0) throw new ConnectionLossError('lost');
    };
    await flap();
    await client.clock.advance(1_000);
    expect(payloadAt('/base/s/a')).toBe(1);
  });

  it('again and again, it waits longer and longer before it looks (CURATOR-320)', async () => {
    await start().registerService(instanceOf('a'));
    client.requests = [];
    for (let turn = 0; turn < 5; turn++) await flap();
    expect(client.requests).toHaveLength(2);
    await client.clock.advance(8_000);
    expect(client.requests).toHaveLength(3);
    expect(client.clock.alarms).toBe(0);
  });

  it('what is said meanwhile does not wait', async () => {
    const discovery = start();
    await discovery.registerService(instanceOf('a', { payload: 1 }));
    for (let turn = 0; turn < 5; turn++) await flap();
    await discovery.updateService(instanceOf('a', { payload: 2 }));
    expect(payloadAt('/base/s/a')).toBe(2);
  });

  it('a refusal is told, and the next connection tries again', async () => {
    await start().registerService(instanceOf('a'));
    client.onRequest = (operation) => {
      if (operation === 'create') throw new NoAuthError('no');
    };
    await loseSession();
    expect(errors).toEqual([expect.objectContaining({ code: 'NO_AUTH' })]);
    client.onRequest = () => undefined;
    await flap();
    expect(paths()).toEqual(['/base/s/a']);
  });
});

describe('unregistering', () => {
  it('takes the znode away, and can be done again', async () => {
    const discovery = start();
    await discovery.registerService(instanceOf('a', { serviceType: 'PERMANENT' }));
    await discovery.unregisterService(instanceOf('a'));
    expect(paths()).toEqual([]);
    await discovery.unregisterService({ name: 's', id: 'a' });
    await loseSession();
    expect(paths()).toEqual([]);
  });

  it.each(['exists', 'create'])(
    'while it is registered again, after its %s, leaves nothing (CURATOR-164)',
    async (step) => {
      const discovery = start();
      await discovery.registerService(instanceOf('a'));
      let answer: () => void = () => undefined;
      client.onAnswer = async (operation) => {
        if (operation === step) await new Promise<void>((resolve) => (answer = resolve));
      };
      await loseSession();
      const unregistered = discovery.unregisterService(instanceOf('a'));
      await settle();
      client.onAnswer = () => undefined;
      answer();
      await unregistered;
      expect(paths()).toEqual([]);
      await flap();
      expect(paths()).toEqual([]);
    },
  );

  it('without a connection is done when there is one, also in the same session (CURATOR-164)', async () => {
    const discovery = start();
    await discovery.registerService(instanceOf('a'));
    client.enter('SUSPENDED');
    await discovery.unregisterService(instanceOf('a'));
    expect(paths()).toEqual(['/base/s/a']);
    client.reconnect();
    await settle();
    expect(paths()).toEqual([]);
  });

  it('goes on when the answer is lost', async () => {
    const discovery = start();
    await discovery.registerService(instanceOf('a', { serviceType: 'STATIC' }));
    let losses = 1;
    client.onRequest = (operation) => {
      if (operation === 'delete' && losses-- > 0) throw new ConnectionLossError('lost');
    };
    const unregistered = discovery.unregisterService(instanceOf('a'));
    await settle();
    await client.clock.advance(1_000);
    await unregistered;
    expect(paths()).toEqual([]);
  });

  it('that was refused can be done again (CURATOR-617)', async () => {
    const discovery = start();
    await discovery.registerService(instanceOf('a'));
    client.onRequest = (operation) => {
      if (operation === 'delete') throw new NoAuthError('no');
    };
    await expect(discovery.unregisterService(instanceOf('a'))).rejects.toMatchObject({ code: 'NO_AUTH' });
    client.onRequest = () => undefined;
    await discovery.unregisterService(instanceOf('a'));
    expect(paths()).toEqual([]);
    expect(errors).toEqual([]);
  });

  it('does not touch what others have put in its place', async () => {
    const discovery = start();
    await discovery.registerService(instanceOf('a'));
    servers.delete('/base/s/a');
    servers.create('/base/s/a', 'theirs', servers.newSession());
    await discovery.unregisterService(instanceOf('a'));
    expect(paths()).toEqual(['/base/s/a']);
  });

  it('and registering again leaves it registered', async () => {
    const discovery = start();
    await discovery.registerService(instanceOf('a', { payload: 1 }));
    const unregistered = discovery.unregisterService(instanceOf('a'));
    await discovery.registerService(instanceOf('a', { payload: 2 }));
    await unregistered;
    await flap();
    expect(payloadAt('/base/s/a')).toBe(2);
  });
});

describe('closing', () => {
  it('takes all away but PERMANENT instances (CURATOR-94), and leaves no listener and no timer', async () => {
    const discovery = start();
    for (const serviceType of ['DYNAMIC', 'STATIC', 'PERMANENT', 'DYNAMIC_SEQUENTIAL'] as const) {
      await discovery.registerService(instanceOf(serviceType, { serviceType }));
    }
    await discovery.close();
    expect(paths()).toEqual(['/base/s/PERMANENT']);
    client.requests = [];
    await loseSession();
    expect([client.requests, client.clock.alarms]).toEqual([[], 0]);
  });

  it('while something is refused that is wanted no more, ends without a word', async () => {
    const discovery = start();
    let answer: () => void = () => undefined;
    client.onAnswer = async (operation) => {
      if (operation !== 'create') return;
      await new Promise<void>((resolve) => (answer = resolve));
      throw new NoAuthError('no');
    };
    const registered = discovery.registerService(instanceOf('a', { serviceType: 'PERMANENT' }));
    const refused = expect(registered).rejects.toMatchObject({ code: 'RECIPE_STATE' });
    await settle();
    const closed = discovery.close();
    client.onAnswer = () => undefined;
    answer();
    await closed;
    await refused;
    expect(errors).toEqual([]);
  });

  it('tells what the servers refuse, and ends', async () => {
    const discovery = start();
    await discovery.registerService(instanceOf('a'));
    client.onRequest = (operation) => {
      if (operation === 'delete') throw new NoAuthError('no');
    };
    await discovery.close();
    expect(errors).toEqual([expect.objectContaining({ code: 'NO_AUTH' })]);
  });
});

describe('a sequential instance', () => {
  const sequential = instanceOf('a', { serviceType: 'DYNAMIC_SEQUENTIAL', payload: 1 });

  it('keeps its number in the next session, and when something else is said of it', async () => {
    const discovery = start();
    await discovery.registerService(sequential);
    expect(paths()).toEqual(['/base/s/a0000000000']);
    await loseSession();
    await discovery.updateService({ ...sequential, payload: 2 });
    expect(paths()).toEqual(['/base/s/a0000000000']);
    expect([ownerOf('/base/s/a0000000000'), payloadAt('/base/s/a0000000000')]).toEqual([client.sessionId, 2]);
    await discovery.unregisterService(sequential);
    expect(paths()).toEqual([]);
  });

  it('is there once, although an answer was lost', async () => {
    let losses = 1;
    client.onAnswer = (operation) => {
      if (operation === 'create' && losses-- > 0) throw new ConnectionLossError('lost');
    };
    servers.create('/base/s/ab0000000007', 'another');
    const registered = start().registerService(sequential);
    await settle();
    await client.clock.advance(1_000);
    await registered;
    expect(paths()).toEqual(['/base/s/a0000000001', '/base/s/ab0000000007']);
  });

  it('of which only the answer was lost is found when it is unregistered', async () => {
    const discovery = start();
    client.onAnswer = (operation) => {
      if (operation === 'create') throw new ConnectionLossError('lost');
    };
    const refused = expect(discovery.registerService(sequential)).rejects.toMatchObject({ code: 'RECIPE_STATE' });
    await settle();
    await discovery.unregisterService(sequential);
    await refused;
    expect(paths()).toEqual([]);
  });
});

describe('what others write', () => {
  const foreign = (payload: unknown): string =>
    `{"name":"s","id":"a","payload":${JSON.stringify(payload)},"registrationTimeUTC":1,"serviceType":"DYNAMIC","zone":7}`;

  it('to a watched instance is announced from then on, to the byte', async () => {
    const discovery = start({ watchInstances: true });
    await discovery.registerService(instanceOf('a', { payload: 1 }));
    await settle();
    servers.setData('/base/s/a', foreign(2));
    await settle();
    expect(writes()).toEqual(['create /base/s/a']);
    await loseSession();
    expect(servers.read('/base/s/a').data.toString()).toBe(foreign(2));
    // And so it goes on.
    servers.setData('/base/s/a', foreign(3));
    await settle();
    await loseSession();
    expect(payloadAt('/base/s/a')).toBe(3);
  });

  it('stays, where it is not known, when the instance is updated', async () => {
    const discovery = start({ watchInstances: true });
    await discovery.registerService(instanceOf('a'));
    await settle();
    servers.setData('/base/s/a', foreign(2));
    await settle();
    await discovery.updateService(instanceOf('a', { payload: 3 }));
    expect(JSON.parse(servers.read('/base/s/a').data.toString())).toMatchObject({ zone: 7, payload: 3 });
  });

  it('to an instance that is not watched is written over in the next session', async () => {
    await start().registerService(instanceOf('a', { payload: 1 }));
    servers.setData('/base/s/a', foreign(2));
    await loseSession();
    expect(payloadAt('/base/s/a')).toBe(1);
  });

  it('is told if it is nonsense, passed over if it is empty, and both change nothing', async () => {
    await start({ watchInstances: true }).registerService(instanceOf('a', { payload: 1 }));
    await settle();
    servers.setData('/base/s/a', '{');
    await settle();
    expect(errors).toEqual([expect.objectContaining({ code: 'DESERIALIZATION', path: '/base/s/a' })]);
    servers.setData('/base/s/a', '');
    await settle();
    expect(errors).toHaveLength(1);
    await loseSession();
    expect(payloadAt('/base/s/a')).toBe(1);
  });

  it('a watched instance that somebody deletes is told, and made again at the next connection', async () => {
    await start({ watchInstances: true }).registerService(instanceOf('a'));
    await settle();
    servers.delete('/base/s/a');
    await settle();
    expect(errors).toEqual([expect.objectContaining({ code: 'NO_NODE', path: '/base/s/a' })]);
    expect(paths()).toEqual([]);
    await flap();
    expect(paths()).toEqual(['/base/s/a']);
  });
});
