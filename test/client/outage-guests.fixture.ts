/**
 * The clients of a server that meets outages, and the networks between: what `describeServerOutages` and `describeNetworkOutages` have
 * in common. The tests are the same against every server.
 */
import type { Subscription } from 'rxjs';
import type { ExpectStatic } from 'vitest';
import {
  type ConnectionState,
  type CuratorFramework,
  connect,
  EventType,
  ExponentialBackoffRetry,
  type FrameworkOptions,
  KeeperState,
  type WatchedEvent,
  ZooKeeper,
} from 'zookeeper-client-ts';
import { watch } from 'zookeeper-client-ts/rx';
import { TcpProxy } from '../interop/tcp-proxy.fixture.ts';

/** A server that grants session timeouts from 1 s to 10 s. */
export interface OutageServer {
  readonly port: number;
  readonly connectString: string;
}

/** A session that must survive has the longest timeout that the servers grant, so that a busy machine doesn't end it. */
const SURVIVES_MS = 10_000;
/** One that must not. */
export const ENDS_MS = 2000;
export const POLL = { interval: 20, timeout: 60_000 };

let paths = 0;
/** A path of its own for each caller. */
export const newPath = (): string => `/outage-${++paths}`;

/** What was heard of znodes, without what was heard of the connection. */
export const changes = (heard: readonly WatchedEvent[]): EventType[] =>
  heard.map(({ type }) => type).filter((type) => type !== EventType.None);

/** The clients and networks of one test. They end with it. */
export class Guests implements AsyncDisposable {
  readonly #server: OutageServer;
  readonly #clients: CuratorFramework[] = [];
  readonly #proxies: TcpProxy[] = [];

  constructor(server: OutageServer) {
    this.#server = server;
  }

  /** A network between a client and the server. */
  async proxied(): Promise<TcpProxy> {
    const proxy = await TcpProxy.start(this.#server.port);
    this.#proxies.push(proxy);
    return proxy;
  }

  /** A client that is connected, and what its listeners hear from then on. */
  async connected(via: { readonly connectString: string } = this.#server, options: FrameworkOptions = {}) {
    const client = await connect(via.connectString, {
      sessionTimeoutMs: SURVIVES_MS,
      retry: new ExponentialBackoffRetry(50, 10),
      ...options,
    });
    return { client, states: this.own(client) };
  }

  /** Closes the client in the end. Returns the states that its listeners hear from now on. */
  own(client: CuratorFramework): readonly ConnectionState[] {
    this.#clients.push(client);
    const states: ConnectionState[] = [];
    client.on('state', (state) => states.push(state));
    return states;
  }

  /** Ends a session from a second connection, as its owner would. */
  async endSession({ sessionId: id, sessionPassword: password }: ZooKeeper): Promise<void> {
    await using twin = new ZooKeeper({ connectString: this.#server.connectString, session: { id, password } });
    await new Promise<void>((resolve) => {
      twin.on('session', (state) => {
        if (state === KeeperState.SyncConnected) resolve();
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
    await Promise.all(this.#proxies.map((proxy) => proxy.close()));
  }
}

/** Breaks the way of a client with watch streams to the server; returns the states that it went through. */
export async function followThrough(
  guests: Guests,
  expect: ExpectStatic,
  breakIt: (client: CuratorFramework, proxy: TcpProxy) => unknown,
): Promise<readonly ConnectionState[]> {
  const proxy = await guests.proxied();
  const { client, states } = await guests.connected(proxy);
  const { client: other } = await guests.connected();
  const root = await other.create(newPath(), { data: 'root' });
  for (const name of ['a', 'b']) await other.create(`${root}/${name}`, { data: '0' });
  const tree = new Map<string, string>();
  let data: string | undefined;
  let children: readonly string[] = [];
  const streams = watch(client, root);
  const subscriptions: Subscription[] = [
    streams.data$.subscribe(({ node }) => {
      data = node?.text();
    }),
    streams.children$.subscribe((change) => {
      children = change.children;
    }),
    streams.tree$.subscribe((change) => {
      if (change.kind === 'synced') return;
      if (change.node === undefined) tree.delete(change.path);
      else tree.set(change.path, change.node.text());
    }),
  ];
  try {
    await expect.poll(() => tree.size, POLL).toBe(3);
    await breakIt(client, proxy);
    await other.delete(`${root}/a`);
    await other.setData(`${root}/b`, '1');
    await other.create(`${root}/c`, { data: '0' });
    await other.setData(root, 'new');
    const whole = { [root]: 'new', [`${root}/b`]: '1', [`${root}/c`]: '0' };
    await expect.poll(() => Object.fromEntries(tree), POLL).toEqual(whole);
    await expect.poll(() => ({ data, children }), POLL).toEqual({ data: 'new', children: ['b', 'c'] });
    await expect.poll(() => states.at(-1), POLL).toBe('RECONNECTED');
    // And they go on.
    await other.setData(`${root}/c`, 'told');
    await expect.poll(() => tree.get(`${root}/c`), POLL).toBe('told');
    return states;
  } finally {
    for (const subscription of subscriptions) subscription.unsubscribe();
  }
}
