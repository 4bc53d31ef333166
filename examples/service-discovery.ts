/**
 * Service discovery: two processes offer a service, a third one uses it. It turns from one to the other, leaves one alone that fails, and
 * follows when they come, go, or say something else of themselves.
 *
 *     node examples/dist/service-discovery.js                               with a server of its own
 *     CONNECT=localhost:2181 node examples/dist/service-discovery.js        with yours
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'zookeeper-client-ts';
import { buildUri, makeServiceInstance, ServiceDiscovery, UriSpec } from 'zookeeper-recipes-ts';
import { ZooKeeperServer } from 'zookeeper-server-ts';

/** What its callers should know of an instance besides its address. */
interface Meta {
  readonly version: string;
}

const given = process.env.CONNECT;
await using server =
  given === undefined ? await ZooKeeperServer.start({ dataDir: './data', clientPort: 0 }) : undefined;
const connectString = given ?? server?.connectString ?? '';

/** One process that offers the service: it listens, then says where. */
async function offer(id: string) {
  const http = createServer((_request, response) => response.end(`hello from ${id}`)).listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo; // it listens to a port
  const client = await connect(connectString);
  const discovery = new ServiceDiscovery<Meta>(client, '/example/services').start();
  const instance = makeServiceInstance<Meta>({
    name: 'greeter',
    id,
    address: '127.0.0.1',
    port,
    payload: { version: '1.0' },
    uriSpec: new UriSpec('{scheme}://{address}:{port}/{path}'),
  });
  await discovery.registerService(instance);
  const stop = () => {
    http.closeAllConnections();
    http.close();
  };
  return { instance, discovery, client, stop };
}

const [one, two] = [await offer('one'), await offer('two')];

// The process that uses it.
await using client = await connect(connectString);
await using discovery = new ServiceDiscovery<Meta>(client, '/example/services').start();
await using greeters = await discovery.serviceProvider('greeter').start();
await using cache = await discovery.serviceCache('greeter').start();

/** Asks instances until one answers. */
async function greet(): Promise<string> {
  for (;;) {
    const instance = greeters.getInstance();
    if (instance === undefined) return 'nobody is there';
    try {
      return await (await fetch(buildUri(instance, { path: 'hello' }))).text();
    } catch {
      // Nobody listens there any more: after two errors it is left alone for a while.
      greeters.noteError(instance);
    }
  }
}

/** Resolves when what the cache shows is so. */
function untilCache(isSo: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!isSo()) return;
      stop();
      resolve();
    };
    const stop = cache.on('cacheChanged', look);
    look();
  });
}

console.log(`services: ${(await discovery.queryForNames()).join(', ')}`);
console.log(`${await greet()}, ${await greet()}, ${await greet()}`);

// One of them hangs: it is still announced, and does not answer.
one.stop();
console.log(`${await greet()}, ${await greet()}, ${await greet()}, ${await greet()}`);
console.log(`announced: ${cache.getInstances().length}, given: ${greeters.getAllInstances().length}`);

// The other says something else of itself.
await two.discovery.updateService({ ...two.instance, payload: { version: '1.1' } });
await untilCache(() => cache.getInstances().some(({ payload }) => payload?.version === '1.1'));
console.log(
  `versions: ${cache
    .getInstances()
    .map(({ id, payload }) => `${id} ${payload?.version}`)
    .join(', ')}`,
);

// One ends without a word, its session with it; the other takes its leave.
await one.client.close();
await two.discovery.unregisterService(two.instance);
await untilCache(() => cache.getInstances().length === 0);
two.stop();
await two.client.close();
console.log('all gone');
