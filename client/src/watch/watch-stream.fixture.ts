/** For the tests of watch streams: a client on a server in memory, and changes in a few words. */
import { CuratorFramework } from '../framework.ts';
import { FakeServer } from '../operations/fake-server.fixture.ts';
import { RetryNTimes } from '../retry.ts';
import type { ChildrenChange, TreeChange } from './znode-change.ts';

const SESSION_TIMEOUT_MS = 9000;

export function build(server: FakeServer, namespace = ''): CuratorFramework {
  return CuratorFramework.builder()
    .connectString(server.connectString)
    .sessionTimeoutMs(SESSION_TIMEOUT_MS)
    .connectionTimeoutMs(3000)
    .retryPolicy(new RetryNTimes(0, 0))
    .ensembleTracker(false)
    .namespace(namespace)
    .ports(server.ports)
    .build();
}

export interface Setting {
  /** Of somebody else, before anything is watched. */
  readonly paths?: readonly string[];
  readonly namespace?: string;
  /** False: ZooKeeper 3.5. */
  readonly persistentWatches?: boolean;
}

export async function started({ paths = [], namespace, persistentWatches = true }: Setting = {}) {
  const server = new FakeServer();
  server.persistentWatches = persistentWatches;
  for (const path of paths) server.make(path);
  const client = build(server, namespace).start();
  await server.clock.settle();
  return { server, client };
}

/** A change in a few words: `created /a one`, `changed /a one → two (gap)`. */
export function inWords(change: TreeChange): string {
  const { kind, path, gap } = change;
  const mark = gap ? ' (gap)' : '';
  if (kind === 'synced') return `synced ${path}${mark}`;
  const { oldNode, node } = change;
  const texts = [oldNode, node].filter((each) => each !== undefined).map((each) => each.text() || '-');
  return [kind, path, texts.join(' → ')].filter((word) => word !== '').join(' ') + mark;
}

export const inWordsOfChildren = ({ added, removed, children, stat, gap }: ChildrenChange): string =>
  `+${added} -${removed} = ${stat === undefined ? 'missing' : children}${gap ? ' (gap)' : ''}`;

/** What was heard since the last call. */
export function listen<T>(toWords: (value: T) => string) {
  const heard: string[] = [];
  return {
    next: (value: T) => void heard.push(toWords(value)),
    error: (error: unknown) => void heard.push(error instanceof Error ? error.name : String(error)),
    complete: () => void heard.push('complete'),
    heard: () => heard.splice(0),
  };
}
