import { beforeEach, expect, it } from 'vitest';
import { type FakeClient, FakeServers } from '../fake-client.fixture.ts';
import { ServiceDiscovery } from './service-discovery.ts';
import { makeServiceInstance, type ServiceInstance } from './service-instance.ts';

let servers: FakeServers;
let client: FakeClient;
let errors: unknown[];

beforeEach(() => {
  servers = new FakeServers();
  client = servers.newClient().start();
  errors = [];
});

function start(): ServiceDiscovery {
  const discovery = new ServiceDiscovery(client.framework, '/base');
  discovery.on('error', (error) => errors.push(error));
  return discovery.start();
}

const instanceOf = (id: string, more: Partial<ServiceInstance> = {}): ServiceInstance =>
  makeServiceInstance({ name: 's', id, registrationTimeUTC: 1, ...more });

it('finds instances, and nothing where there is nothing', async () => {
  const discovery = start();
  expect(await discovery.queryForNames()).toEqual([]);
  expect(await discovery.queryForInstances('s')).toEqual([]);
  expect(await discovery.queryForInstance('s', 'a')).toBeUndefined();
  const [a, b] = [instanceOf('a', { payload: 1 }), instanceOf('b')];
  await discovery.registerService(b);
  await discovery.registerService(a);
  expect((await discovery.queryForInstances('s')).map(({ id }) => id)).toEqual(['a', 'b']);
  expect(await discovery.queryForInstance('s', 'a')).toMatchObject({ ...a });
});

it('passes over what is empty (CURATOR-574), and what is no instance, which it tells', async () => {
  const discovery = start();
  await discovery.registerService(instanceOf('a'));
  servers.create('/base/s/empty', '');
  servers.create('/base/s/foreign', 'hello');
  expect((await discovery.queryForInstances('s')).map(({ id }) => id)).toEqual(['a']);
  expect(errors).toEqual([expect.objectContaining({ code: 'DESERIALIZATION', path: '/base/s/foreign' })]);
  expect(await discovery.queryForInstance('s', 'empty')).toBeUndefined();
  await expect(discovery.queryForInstance('s', 'foreign')).rejects.toMatchObject({ code: 'DESERIALIZATION' });
});

it('offers and asks where the paths are said to be', async () => {
  const paths = { basePath: '/x', getPathForInstances: (name: string) => `/x/${name}/instances` };
  const discovery = new ServiceDiscovery(client.framework, paths).start();
  await discovery.registerService(instanceOf('a'));
  expect([...servers.znodes.keys()]).toEqual(['/x/s/instances/a']);
  expect(await discovery.queryForInstances('s')).toHaveLength(1);
  await discovery.close();
});
