/**
 * The clients that are measured, behind one face: ours, and those of others that the folder PEERS holds
 * (`npm install node-zookeeper-client zookeeper` there). Each is used as its own documentation does.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { CuratorFramework, ExponentialBackoffRetry, ZooKeeper } from 'zookeeper-client-ts';

export const CLIENTS = ['ZooKeeper', 'CuratorFramework', 'node-zookeeper-client', 'zookeeper'] as const;
export type ClientName = (typeof CLIENTS)[number];

type Done = (error?: unknown) => void;

/** One session, and the operations that are measured: each calls back once. */
export interface MeasuredClient {
  get(path: string, done: Done): void;
  set(path: string, data: Buffer, done: Done): void;
  create(path: string, data: Buffer, done: Done): void;
  close(): void;
}

/** What of `node-zookeeper-client` is used. */
interface CallbackClient {
  once(event: 'connected', listener: () => void): void;
  connect(): void;
  close(): void;
  getData(path: string, done: Done): void;
  setData(path: string, data: Buffer, done: Done): void;
  create(path: string, data: Buffer, done: Done): void;
}

/** What of `zookeeper` is used: the C client's functions. */
interface NativeClient {
  once(event: 'connect', listener: () => void): void;
  init(options: object): void;
  close(): void;
  a_get(path: string, watch: boolean, done: NativeDone): void;
  a_set(path: string, data: Buffer, version: number, done: NativeDone): void;
  a_create(path: string, data: Buffer, flags: number, done: NativeDone): void;
}
type NativeDone = (code: number, error: string) => void;

const peers = process.env.PEERS;

/** Which of them can be measured here. */
export function availableClients(): ClientName[] {
  return CLIENTS.filter((name) => name === 'ZooKeeper' || name === 'CuratorFramework' || isInstalled(name));
}

function isInstalled(name: ClientName): boolean {
  if (peers === undefined) return false;
  try {
    createRequire(join(peers, 'package.json')).resolve(name);
    return true;
  } catch {
    // Not there: it is left out, and the bench says so.
    return false;
  }
}

export function openClient(name: ClientName, connectString: string): Promise<MeasuredClient> {
  switch (name) {
    case 'ZooKeeper':
      return openZooKeeper(connectString);
    case 'CuratorFramework':
      return openFramework(connectString);
    case 'node-zookeeper-client':
      return openCallbackClient(connectString);
    case 'zookeeper':
      return openNativeClient(connectString);
  }
}

async function openZooKeeper(connectString: string): Promise<MeasuredClient> {
  const zookeeper = new ZooKeeper({ connectString });
  await zookeeper.exists('/');
  return {
    get: (path, done) => void zookeeper.getData(path).then(() => done(), done),
    set: (path, data, done) => void zookeeper.setData(path, data).then(() => done(), done),
    create: (path, data, done) => void zookeeper.create(path, { data }).then(() => done(), done),
    close: () => void zookeeper.close(),
  };
}

async function openFramework(connectString: string): Promise<MeasuredClient> {
  const client = CuratorFramework.builder()
    .connectString(connectString)
    .retryPolicy(new ExponentialBackoffRetry(1000, 3))
    .build();
  client.start();
  await client.blockUntilConnected({ timeoutMs: 10_000 });
  return {
    get: (path, done) => void client.getData(path).then(() => done(), done),
    set: (path, data, done) => void client.setData(path, data).then(() => done(), done),
    create: (path, data, done) => void client.create(path, { data }).then(() => done(), done),
    close: () => void client.close(),
  };
}

/** From the folder of the peers; what it exports is as its documentation says. */
const peer = (name: string): unknown => createRequire(join(peers ?? '.', 'package.json'))(name);

async function openCallbackClient(connectString: string): Promise<MeasuredClient> {
  const { createClient } = peer('node-zookeeper-client') as {
    createClient(hosts: string, options: object): CallbackClient;
  };
  const client = createClient(connectString, { sessionTimeout: 30_000 });
  await new Promise<void>((resolve) => {
    client.once('connected', resolve);
    client.connect();
  });
  return {
    get: (path, done) => client.getData(path, done),
    set: (path, data, done) => client.setData(path, data, done),
    create: (path, data, done) => client.create(path, data, done),
    close: () => client.close(),
  };
}

async function openNativeClient(connectString: string): Promise<MeasuredClient> {
  const Client = peer('zookeeper') as new (options: object) => NativeClient;
  const client = new Client({ connect: connectString, timeout: 30_000, debug_level: 1 });
  await new Promise<void>((resolve) => {
    client.once('connect', resolve);
    client.init({});
  });
  const settle =
    (done: Done): NativeDone =>
    (code, error) =>
      done(code === 0 ? undefined : new Error(`${code} ${error}`));
  return {
    get: (path, done) => client.a_get(path, false, settle(done)),
    set: (path, data, done) => client.a_set(path, data, -1, settle(done)),
    create: (path, data, done) => client.a_create(path, data, 0, settle(done)),
    close: () => client.close(),
  };
}
