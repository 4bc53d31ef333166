import { afterEach, beforeEach, expect, it } from 'vitest';
import { settle } from '../fake-client.fixture.ts';
import { created, deleted, type Scripted, script, synced as syncedAt, znode } from '../scripted-tree.fixture.ts';
import { JsonInstanceSerializer } from './json-instance-serializer.ts';
import { RandomStrategy, RoundRobinStrategy, StickyStrategy } from './provider-strategy.ts';
import { ServiceDiscovery } from './service-discovery.ts';
import { makeServiceInstance, type ServiceInstance } from './service-instance.ts';
import type { ServiceProvider, ServiceProviderOptions } from './service-provider.ts';

const synced = { ...syncedAt, path: '/base/s' };
const serializer = new JsonInstanceSerializer({ compatible: false });
let scripted: Scripted;
let discovery: ServiceDiscovery;

beforeEach(() => {
  scripted = script();
  discovery = new ServiceDiscovery(scripted.framework, '/base').start();
});
afterEach(() => discovery.close());

const instanceOf = (id: string, more: Partial<ServiceInstance> = {}): ServiceInstance =>
  makeServiceInstance({ name: 's', id, registrationTimeUTC: 1, ...more });
const znodeOf = (instance: ServiceInstance) =>
  znode(`/base/s/${instance.id}`, Buffer.from(serializer.serialize(instance)).toString());

async function provide(
  options: ServiceProviderOptions = {},
  instances = ['a', 'b', 'c'].map((id) => instanceOf(id)),
): Promise<ServiceProvider> {
  const starting = discovery.serviceProvider('s', options).start();
  await settle();
  await scripted.stream.tell(created(znode('/base/s')), ...instances.map((each) => created(znodeOf(each))), synced);
  return starting;
}

const idsOf = (provider: ServiceProvider, count: number) =>
  Array.from({ length: count }, () => provider.getInstance()?.id ?? '-').join('');

it('gives one after the other, and none if there is none', async () => {
  const provider = await provide();
  expect(idsOf(provider, 5)).toBe('abcab');
  for (const id of ['a', 'b', 'c']) await scripted.stream.tell(deleted(znodeOf(instanceOf(id))));
  expect(provider.getInstance()).toBeUndefined();
});

it('a round robin goes on for ever without leaving its bounds', () => {
  const strategy = new RoundRobinStrategy();
  const instances = ['a', 'b', 'c'].map((id) => instanceOf(id));
  for (let turn = 0; turn < 10_000; turn++) expect(strategy.getInstance(instances)).toBe(instances[turn % 3]);
});

it('gives any, by the randomness of the client', async () => {
  const strategy = new RandomStrategy();
  const instances = ['a', 'b', 'c'].map((id) => instanceOf(id));
  expect([0, 0.34, 0.999].map((x) => strategy.getInstance(instances, () => x)?.id)).toEqual(['a', 'b', 'c']);
  const seen = idsOf(await provide({ strategy }), 50);
  expect(new Set(seen)).toEqual(new Set('abc'));
});

it('stays with one until that is gone, and counts how often it chose', async () => {
  const strategy = new StickyStrategy(new RoundRobinStrategy());
  const provider = await provide({ strategy });
  expect([idsOf(provider, 3), strategy.instanceNumber]).toEqual(['aaa', 1]);
  await scripted.stream.tell(deleted(znodeOf(instanceOf('a'))));
  expect([idsOf(provider, 3), strategy.instanceNumber]).toEqual(['ccc', 2]);
  await scripted.stream.tell(created(znodeOf(instanceOf('a'))));
  expect([idsOf(provider, 3), strategy.instanceNumber]).toEqual(['ccc', 2]);
});

it('a sticky one chooses anew when its instance has registered anew', () => {
  const strategy = new StickyStrategy(new RoundRobinStrategy());
  strategy.getInstance([instanceOf('a')], Math.random);
  strategy.getInstance([instanceOf('a', { registrationTimeUTC: 2 })], Math.random);
  expect(strategy.instanceNumber).toBe(2);
});

it('gives none that is not enabled, or that a filter refuses', async () => {
  const instances = [instanceOf('a', { enabled: false }), instanceOf('b', { port: 1 }), instanceOf('c', { port: 2 })];
  const provider = await provide({ filters: [({ port = 0 }) => port > 1, () => true] }, instances);
  expect(provider.getAllInstances().map(({ id }) => id)).toEqual(['c']);
});

it('leaves an instance alone after two errors, until half a minute has passed since the first', async () => {
  const provider = await provide();
  provider.noteError(instanceOf('a'));
  await scripted.client.clock.advance(10_000);
  expect(idsOf(provider, 3)).toBe('abc');
  provider.noteError(instanceOf('a'));
  expect(idsOf(provider, 4)).toBe('cbcb');
  await scripted.client.clock.advance(19_999);
  expect(idsOf(provider, 2)).toBe('cb');
  await scripted.client.clock.advance(1);
  expect(new Set(idsOf(provider, 3))).toContain('a');
  provider.noteError(instanceOf('a'));
  expect(new Set(idsOf(provider, 3))).toContain('a');
});

it('an instance that has registered anew is not down', async () => {
  const provider = await provide({ downInstancePolicy: { errorThreshold: 1, timeoutMs: 1_000 } });
  provider.noteError(instanceOf('a'));
  expect(idsOf(provider, 2)).toBe('bc');
  await scripted.stream.tell(
    deleted(znodeOf(instanceOf('a'))),
    created(znodeOf(instanceOf('a', { registrationTimeUTC: 2 }))),
  );
  expect(idsOf(provider, 3)).toContain('a');
});

it.each([{ timeoutMs: -1 }, { timeoutMs: Number.NaN }, { errorThreshold: 0 }])('refuses the policy %j', (policy) => {
  expect(() => discovery.serviceProvider('s', { downInstancePolicy: policy })).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
  );
});

it('a cache tells of changes when it has started, and not before (CURATOR-452)', async () => {
  const cache = discovery.serviceCache('s');
  const told: string[] = [];
  cache.on('cacheChanged', (instances) => told.push(instances.map(({ id }) => id).join('')));
  const starting = cache.start();
  await settle();
  await scripted.stream.tell(created(znode('/base/s')), created(znodeOf(instanceOf('a'))));
  expect(told).toEqual([]);
  await scripted.stream.tell(created(znodeOf(instanceOf('b'))), synced);
  await starting;
  expect(told).toEqual([]);
  expect(cache.getInstances().map(({ id }) => id)).toEqual(['a', 'b']);
  await scripted.stream.tell(deleted(znodeOf(instanceOf('a'))));
  expect(told).toEqual(['b']);
});

it('a cache leaves out what is empty (CURATOR-574), and what is no instance, which it tells', async () => {
  const cache = discovery.serviceCache('s');
  const errors: unknown[] = [];
  cache.on('error', (error) => errors.push(error));
  const starting = cache.start();
  await settle();
  const strange = [znode('/base/s/empty'), znode('/base/s/foreign', 'hello'), znodeOf(instanceOf('a'))];
  await scripted.stream.tell(created(znode('/base/s')), ...strange.map(created), synced);
  await starting;
  expect(cache.getInstances().map(({ id }) => id)).toEqual(['a']);
  expect(errors).toEqual([expect.objectContaining({ code: 'DESERIALIZATION', path: '/base/s/foreign' })]);
});

it('closing the discovery closes what came of it; nothing comes of it any more', async () => {
  const provider = await provide();
  await discovery.close();
  expect([provider.state, scripted.stream.isEnded]).toEqual(['CLOSED', true]);
  expect(() => discovery.serviceCache('s')).toThrow(expect.objectContaining({ code: 'RECIPE_STATE' }));
});
