/** Service discovery on a server in memory, over real sockets. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type ConnectOptions, type CuratorFramework, connect, READ_ACL, RetryNTimes } from 'zookeeper-client-ts';
import {
  makeServiceInstance,
  ServiceDiscovery,
  type ServiceDiscoveryOptions,
  type ServiceInstance,
} from 'zookeeper-recipes-ts';
import { TestingServer } from 'zookeeper-server-ts/testing';

let server: TestingServer;
/** Looks at what the recipes do, and gets in their way. */
let other: CuratorFramework;
/** What a test has opened, the latest first. */
const opened: AsyncDisposable[] = [];

function open<T extends AsyncDisposable>(resource: T): T {
  opened.push(resource);
  return resource;
}

const newClient = async (options: ConnectOptions = {}): Promise<CuratorFramework> =>
  open(
    await connect(server.connectString, {
      sessionTimeoutMs: 10_000,
      connectionTimeoutMs: 5_000,
      retry: new RetryNTimes(100, 50),
      ...options,
    }),
  );

const discover = (client: CuratorFramework, options: ServiceDiscoveryOptions = {}): ServiceDiscovery =>
  open(new ServiceDiscovery(client, '/services', options).start());

beforeEach(async () => {
  server = await TestingServer.start();
  other = await newClient();
});

afterEach(async () => {
  for (const resource of opened.splice(0).reverse()) await resource[Symbol.asyncDispose]();
  await server.close();
});

const instanceOf = (id: string, more: Partial<ServiceInstance> = {}): ServiceInstance =>
  makeServiceInstance({ name: 'billing', id, address: '10.0.0.1', port: 80, registrationTimeUTC: 1, ...more });

const ownerOf = async (path: string): Promise<unknown> => (await other.checkExists(path))?.ephemeralOwner;

/** Ends its session; resolves when it has the next one. */
async function loseSession(client: CuratorFramework): Promise<void> {
  const { sessionId } = client;
  await server.expireSession(sessionId);
  await expect.poll(() => client.connected && client.sessionId !== sessionId).toBe(true);
}

it('offers, finds, follows and gives instances of several processes, over a lost session', async () => {
  const offering = await newClient();
  const offered = discover(offering);
  await offered.registerService(instanceOf('a', { payload: { zone: 'eu' } }));
  const asking = discover(await newClient());
  expect(await asking.queryForNames()).toEqual(['billing']);
  expect(await asking.queryForInstance('billing', 'a')).toMatchObject({ ...instanceOf('a'), payload: { zone: 'eu' } });
  const cache = open(await asking.serviceCache('billing').start());
  const provider = open(await asking.serviceProvider('billing').start());
  expect(provider.getInstance()?.id).toBe('a');
  await discover(await newClient()).registerService(instanceOf('b'));
  await expect.poll(() => cache.getInstances().map(({ id }) => id)).toEqual(['a', 'b']);
  await expect.poll(() => new Set([provider.getInstance()?.id, provider.getInstance()?.id]).size).toBe(2);
  await loseSession(offering);
  await expect.poll(() => ownerOf('/services/billing/a')).toBe(offering.sessionId);
  await expect.poll(() => cache.getInstances().map(({ id }) => id)).toEqual(['a', 'b']);
  await offered.unregisterService(instanceOf('a'));
  await expect.poll(() => provider.getAllInstances().map(({ id }) => id)).toEqual(['b']);
});

it('makes containers above the instances, which do not outlive them', async () => {
  await discover(await newClient()).registerService(instanceOf('a'));
  await other.create('/same', { mode: 'CONTAINER' });
  const container = await ownerOf('/same');
  expect([await ownerOf('/services'), await ownerOf('/services/billing')]).toEqual([container, container]);
});

it('what is registered while there is no server is there when one is (CURATOR-175)', async () => {
  const client = await newClient();
  const discovery = discover(client);
  await server.stop();
  await expect.poll(() => client.connected).toBe(false);
  const registered = discovery.registerService(instanceOf('a'));
  await server.start();
  await registered;
  expect(await ownerOf('/services/billing/a')).toBe(client.sessionId);
});

it('is registered once, under one number, however often the connection breaks', async () => {
  const client = await newClient();
  const discovery = discover(client);
  await discovery.registerService(instanceOf('a', { serviceType: 'DYNAMIC_SEQUENTIAL' }));
  const [name = ''] = await other.getChildren('/services/billing');
  for (let turn = 0; turn < 3; turn++) {
    server.dropConnections();
    await expect.poll(() => client.connected).toBe(true);
  }
  await loseSession(client);
  await expect.poll(() => ownerOf(`/services/billing/${name}`)).toBe(client.sessionId);
  expect(await other.getChildren('/services/billing')).toEqual([name]);
  await discovery.unregisterService(instanceOf('a'));
  expect(await other.getChildren('/services/billing')).toEqual([]);
});

it('unregistered while its connection breaks again and again, it does not come back (CURATOR-164)', async () => {
  const client = await newClient();
  const discovery = discover(client);
  const ids = Array.from({ length: 3 }, (_each, index) => `i${index}`);
  for (const id of ids) {
    await discovery.registerService(instanceOf(id, { serviceType: 'STATIC' }));
    server.dropConnections();
    await discovery.unregisterService(instanceOf(id));
  }
  await expect.poll(() => other.getChildren('/services/billing')).toEqual([]);
  server.dropConnections();
  await loseSession(client);
  await discovery.registerService(instanceOf('last'));
  expect(await other.getChildren('/services/billing')).toEqual(['last']);
});

it('without permission registering is refused', async () => {
  await other.create('/services', { acl: READ_ACL });
  const discovery = discover(await newClient());
  await expect(discovery.registerService(instanceOf('a'))).rejects.toMatchObject({ code: 'NO_AUTH' });
});

it('what others write to a watched instance is what the next session announces', async () => {
  const client = await newClient();
  const discovery = discover(client, { watchInstances: true });
  await discovery.registerService(instanceOf('a'));
  const edited = '{"name":"billing","id":"a","port":81,"zone":7}';
  await other.setData('/services/billing/a', edited);
  // The event has come when an update keeps what only the edit had.
  const zone = async (): Promise<unknown> => {
    await discovery.updateService(instanceOf('a', { port: 82 }));
    return JSON.parse((await other.getData('/services/billing/a')).data.toString()).zone;
  };
  await expect
    .poll(async () => {
      const found = await zone();
      if (found === undefined) await other.setData('/services/billing/a', edited);
      return found;
    })
    .toBe(7);
  await loseSession(client);
  await expect.poll(() => ownerOf('/services/billing/a')).toBe(client.sessionId);
  expect(await discovery.queryForInstance('billing', 'a')).toMatchObject({ port: 82, otherMembers: { zone: 7 } });
});
