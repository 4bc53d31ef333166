/** For the unit tests of caches: a client whose tree streams tell what the test says, and znodes for them to tell of. */
import {
  type CuratorFramework,
  DataInconsistencyError,
  parentOf,
  type Stat,
  type TreeChange,
  toZxid,
  type WatchStreamOptions,
  type Znode,
} from 'zookeeper-client-ts';
import { type FakeClient, FakeServers, settle } from './fake-client.fixture.ts';

/** A tree stream that tells what the test says. */
export class ScriptedStream implements AsyncIterableIterator<TreeChange, undefined> {
  isEnded = false;
  readonly #told: TreeChange[] = [];
  #failure: unknown;
  #wake: () => void = () => undefined;
  readonly root: string;
  readonly options: WatchStreamOptions;

  constructor(root: string, options: WatchStreamOptions) {
    this.root = root;
    this.options = options;
  }

  /** Those of what is wanted, as the client's streams do. */
  tell(...changes: TreeChange[]): Promise<void> {
    this.#told.push(...changes.filter(({ path }) => this.#isWanted(path)));
    this.#wake();
    return settle();
  }

  fail(error: unknown): Promise<void> {
    this.#failure = error;
    this.#wake();
    return settle();
  }

  async next(): Promise<IteratorResult<TreeChange, undefined>> {
    while (!this.isEnded) {
      const value = this.#told.shift();
      if (value !== undefined) return { done: false, value };
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<TreeChange, undefined>> {
    this.isEnded = true;
    this.#wake();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #isWanted(path: string): boolean {
    if (path === this.root) return true;
    const parent = parentOf(path);
    const { traverseChildren = () => true, acceptChild = () => true } = this.options.selector ?? {};
    return this.#isWanted(parent) && traverseChildren(parent) && acceptChild(path);
  }
}

export interface Scripted {
  readonly client: FakeClient;
  readonly framework: CuratorFramework;
  /** One for each time that the cache has begun to watch. */
  readonly streams: ScriptedStream[];
  readonly stream: ScriptedStream;
}

export function script(client = new FakeServers().newClient().start()): Scripted {
  const streams: ScriptedStream[] = [];
  Object.assign(client, {
    watch: (root: string, options: WatchStreamOptions) => {
      const stream = new ScriptedStream(root, options);
      streams.push(stream);
      return stream;
    },
    decompress: async (path: string, stored: Buffer, { decompressed }: { decompressed?: boolean }) => {
      if (!decompressed) return stored;
      if (!stored.toString().startsWith('gz:')) throw new DataInconsistencyError('not compressed', { path });
      return stored.subarray(3);
    },
  });
  return {
    client,
    framework: client.framework,
    streams,
    get stream() {
      const latest = streams.at(-1);
      if (latest === undefined) throw new Error('nothing is watched');
      return latest;
    },
  };
}

/** @param czxid of the znode; with another `mzxid` it was written later */
export function znode(
  path: string,
  data = '',
  stats: { readonly czxid?: number; readonly mzxid?: number } = {},
): Znode {
  const { czxid = 1, mzxid = czxid } = stats;
  const stat = { czxid: toZxid(BigInt(czxid)), mzxid: toZxid(BigInt(mzxid)), version: 0 } as Stat;
  const text = () => data;
  return { path, data: Buffer.from(data), stat, text, json: () => JSON.parse(data) } as Znode;
}

export const current = (node: Znode): TreeChange => ({
  kind: 'current',
  path: node.path,
  node,
  oldNode: undefined,
  gap: false,
});
export const created = (node: Znode): TreeChange => ({
  kind: 'created',
  path: node.path,
  node,
  oldNode: undefined,
  gap: false,
});
export const changed = (oldNode: Znode, node: Znode): TreeChange => ({
  kind: oldNode.stat.czxid === node.stat.czxid ? 'changed' : 'recreated',
  path: node.path,
  node,
  oldNode,
  gap: false,
});
export const deleted = (oldNode: Znode): TreeChange => ({
  kind: 'deleted',
  path: oldNode.path,
  node: undefined,
  oldNode,
  gap: false,
});
export const synced: TreeChange = { kind: 'synced', path: '/a', gap: false };
