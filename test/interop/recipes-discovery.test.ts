/** Service discovery on a real Apache ZooKeeper, with Java Curator on the same paths. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type CuratorFramework, connect, ExponentialBackoffRetry } from 'zookeeper-client-ts';
import { buildUri, makeServiceInstance, ServiceDiscovery, UriSpec } from 'zookeeper-recipes-ts';
import { type ApacheZooKeeper, startApacheZooKeeper, whyNoApacheZooKeeper } from './apache-zookeeper.ts';
import { CrossPeer } from './cross-peer.fixture.ts';

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`skipped: no Apache ZooKeeper here: ${missing}`);

let server: ApacheZooKeeper;
let client: CuratorFramework;
/** What a test has opened, the latest first. */
const opened: AsyncDisposable[] = [];

function open<T extends AsyncDisposable>(resource: T): T {
  opened.push(resource);
  return resource;
}

const startPeer = (...args: readonly string[]): CrossPeer =>
  open(new CrossPeer(server.connectString, 'discovery', ...args));

const uriSpec = new UriSpec('{scheme}://{address}:{port}');

describe.skipIf(missing !== undefined)('with Java Curator', () => {
  beforeAll(async () => {
    server = await startApacheZooKeeper();
    client = await connect(server.connectString, {
      sessionTimeoutMs: 10_000,
      retry: new ExponentialBackoffRetry(100, 3),
    });
  });
  afterAll(async () => {
    await client?.close();
    await server?.stop();
  });
  afterEach(async () => {
    for (const resource of opened.splice(0).reverse()) await resource[Symbol.asyncDispose]();
  });

  it('we find what it offers, read and write it as it does, and see it go', async () => {
    const discovery = open(new ServiceDiscovery<string>(client, '/theirs').start());
    const cache = open(await discovery.serviceCache('svc').start());
    const java = startPeer('register', '/theirs', 'svc', 'i1', '10.0.0.1', '99', 'päy');
    await java.line('REGISTERED');
    await expect.poll(() => cache.getInstances().map(({ id }) => id)).toEqual(['i1']);
    expect(await discovery.queryForNames()).toEqual(['svc']);
    const found = await discovery.queryForInstance('svc', 'i1');
    if (found === undefined) throw new Error('it is registered');
    const { registrationTimeUTC } = found;
    const expected = {
      name: 'svc',
      id: 'i1',
      address: '10.0.0.1',
      port: 99,
      payload: 'päy',
      registrationTimeUTC,
      uriSpec,
    };
    expect(found).toEqual(makeServiceInstance<string>(expected));
    expect(buildUri(found)).toBe('http://10.0.0.1:99');
    // The same instance, registered by us, is the same bytes.
    const bytes = async (path: string) => (await client.getData(path)).data.toString();
    const ours = open(new ServiceDiscovery<string>(client, '/copy').start());
    await ours.registerService(makeServiceInstance<string>(expected));
    expect(await bytes('/copy/svc/i1')).toBe(await bytes('/theirs/svc/i1'));
    java.say('close');
    await java.line('UNREGISTERED');
    await expect.poll(() => cache.getInstances()).toEqual([]);
  });

  it('it finds what we offer, and sees it come and go', async () => {
    const watching = startPeer('watch', '/ours', 'svc');
    const untilSeen = async (ids: string) => {
      while ((await watching.line('CACHE')).details !== ids);
    };
    await untilSeen('');
    const discovery = open(new ServiceDiscovery<string>(client, '/ours').start());
    const instance = { name: 'svc', address: '10.0.0.2', uriSpec };
    await discovery.registerService(makeServiceInstance({ ...instance, id: 'a', port: 80, payload: 'pay' }));
    await untilSeen('a');
    const secure = { ...instance, id: 'b', port: 81, sslPort: 443, serviceType: 'PERMANENT' as const };
    await discovery.registerService(makeServiceInstance<string>(secure));
    await untilSeen('a,b');
    const listing = startPeer('list', '/ours', 'svc');
    expect((await listing.line('INSTANCE')).details).toBe(
      'svc a 10.0.0.2 80 DYNAMIC enabled=true payload=pay uri=http://10.0.0.2:80',
    );
    expect((await listing.line('INSTANCE')).details).toBe(
      'svc b 10.0.0.2 81 PERMANENT enabled=true payload=null uri=https://10.0.0.2:81',
    );
    expect((await startPeer('names', '/ours').line('NAMES')).details).toBe('svc');
    await discovery.unregisterService({ name: 'svc', id: 'b' });
    await untilSeen('a');
    await discovery.close();
    await untilSeen('');
  });
});
