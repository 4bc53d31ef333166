/** Counters, znodes that stay, caches, watchers and services of a peer: what is kept and looked at. */
import { EventType, RetryNTimes } from 'zookeeper-client-ts';
import {
  buildUri,
  CuratorCache,
  DistributedAtomicLong,
  makeServiceInstance,
  PersistentNode,
  PersistentWatcher,
  ServiceDiscovery,
  type ServiceInstance,
  SharedCount,
  string,
  UriSpec,
} from 'zookeeper-recipes-ts';
import { type Command, ExitCode, type Input, numberAt, required, say, UsageError } from './conversation.ts';

/** Until it is told to close. */
async function untilClosed(input: Input): Promise<number> {
  for await (const _ of input.commands());
  return ExitCode.done;
}

const eventNames = new Map<number, string>(Object.entries(EventType).map(([name, type]) => [type, name]));

export const values: Readonly<Record<string, Command>> = {
  /** `inc PATH N`, `get PATH` */
  counter: async ({ client, args: [verb, path = '', ...rest] }) => {
    const counter = new DistributedAtomicLong(client, path, { retry: new RetryNTimes(1000, 3) });
    if (verb === 'get') {
      say('VALUE', (await counter.get()).postValue);
      return ExitCode.done;
    }
    if (verb !== 'inc') throw new UsageError(`inc or get, not ${verb}`);
    for (let left = numberAt(rest, 0, 1); left > 0; left--) {
      const result = await counter.increment();
      if (result.succeeded) say('VALUE', result.postValue);
      else say('FAILED');
    }
    return ExitCode.done;
  },

  /** `set PATH N`, `get PATH`, `watch PATH CHANGES` */
  sharedcount: async ({ client, args: [verb, path = '', ...rest] }) => {
    await using count = new SharedCount(client, path, 0);
    let left = verb === 'watch' ? numberAt(rest, 0, 1) : 0;
    const changed = new Promise<void>((resolve) => {
      count.on('change', (value) => {
        say('CHANGED', value);
        if (--left === 0) resolve();
      });
    });
    await count.start();
    say('VALUE', count.getCount());
    if (verb === 'set') {
      await count.setCount(numberAt(rest, 0, 0));
      say('SET', rest[0]);
    } else if (left > 0) {
      await changed;
    }
    return ExitCode.done;
  },

  /** `PATH DATA [MODE]` */
  node: async ({ client, input, args }) => {
    // Whatever is no mode is refused, and named.
    const mode = (args[2] ?? 'EPHEMERAL') as 'EPHEMERAL';
    await using node = new PersistentNode(client, required(args, 0), { mode, data: args[1] ?? '', serializer: string });
    node.on('nodeCreated', (path) => say('CREATED', path));
    await node.start().waitForInitialCreate();
    for await (const command of input.commands()) {
      if (!command.startsWith('data ')) continue;
      await node.setData(command.slice('data '.length));
      say('SET');
    }
    return ExitCode.done;
  },

  /** `PATH` */
  cache: async ({ client, input, args }) => {
    await using cache = new CuratorCache(client, required(args, 0), { serializer: string });
    cache.on('created', (_old, { path, value }) => say('ADDED', path, value));
    cache.on('changed', (_old, { path, value }) => say('CHANGED', path, value));
    cache.on('deleted', ({ path }) => say('REMOVED', path));
    await cache.start();
    say('INITIALIZED');
    return await untilClosed(input);
  },

  /** `PATH` */
  watcher: async ({ client, input, args }) => {
    await using watcher = new PersistentWatcher(client, required(args, 0), { recursive: true });
    watcher.on('event', ({ type, path }) => say('EVENT', eventNames.get(type), path));
    watcher.on('reset', () => say('SET'));
    watcher.start();
    return await untilClosed(input);
  },

  /** `register BASE NAME ID ADDRESS PORT [PAYLOAD]`, `list BASE NAME`, `names BASE`, `watch BASE NAME` */
  discovery: async ({ client, input, args: [verb, basePath = '', name = '', ...rest] }) => {
    await using discovery = new ServiceDiscovery<string>(client, basePath).start();
    switch (verb) {
      case 'register': {
        const [id, address = '127.0.0.1', , payload] = rest;
        const port = numberAt(rest, 2, 8080);
        const uriSpec = new UriSpec('{scheme}://{address}:{port}');
        const instance = makeServiceInstance<string>({ name, id: id ?? '', address, port, uriSpec, payload });
        await discovery.registerService(instance);
        say('REGISTERED', name, id);
        await untilClosed(input);
        await discovery.close();
        say('UNREGISTERED');
        return ExitCode.done;
      }
      case 'names':
        say('NAMES', (await discovery.queryForNames()).join(','));
        return ExitCode.done;
      case 'list': {
        const instances = await discovery.queryForInstances(name);
        for (const instance of instances.toSorted((a, b) => (a.id < b.id ? -1 : 1)))
          say('INSTANCE', ...fieldsOf(instance));
        say('COUNT', instances.length);
        return ExitCode.done;
      }
      case 'watch': {
        await using cache = discovery.serviceCache(name);
        const tell = () => {
          const ids = cache.getInstances().map((instance) => instance.id);
          say('CACHE', ids.sort().join(','));
        };
        await cache.start();
        cache.on('cacheChanged', tell);
        tell();
        return await untilClosed(input);
      }
      default:
        throw new UsageError(`register, list, names or watch, not ${verb}`);
    }
  },
};

const fieldsOf = (instance: ServiceInstance<string>): unknown[] => {
  const { name, id, address, port, serviceType, enabled, payload } = instance;
  const named = { enabled, payload: payload ?? null, uri: buildUri(instance) };
  return [name, id, address, port, serviceType, ...Object.entries(named).map(([key, value]) => `${key}=${value}`)];
};
