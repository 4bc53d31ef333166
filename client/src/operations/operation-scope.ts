/** What an operation works with: its client's retry loop, namespace and defaults. One scope for each view of a client. */
import type { SchemaSet } from '../schema/schema-set.ts';
import type { Watcher } from '../watch/watch-registry.ts';
import type { ZooKeeper } from '../zookeeper.ts';
import type { ACLProvider } from './acl-provider.ts';
import type { Compression } from './compression.ts';
import type { Namespace } from './namespace.ts';
import type { WatcherRecord } from './watcher-record.ts';

export interface OperationScope {
  readonly namespace: Namespace;
  /** What create and setData write when they are given no data. */
  readonly defaultData: Uint8Array;
  readonly aclProvider: ACLProvider;
  readonly compression: Compression;
  /** What may be done with which path, if anything is forbidden. */
  readonly schemaSet: SchemaSet | undefined;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly containers: ContainerSupport;
  /** Hears of what is `watched`, with the user's paths. */
  readonly defaultWatcher: Watcher;
  /** Where the view's one-shot watches are noted, if it is one that removes them. */
  readonly watcherRecord: WatcherRecord | undefined;
  /**
   * The present session, for what needs no connection.
   * @throws IllegalStateError, ClientClosedError
   */
  readonly zookeeper: ZooKeeper;
  /** The client's retry loop; before each attempt it sees to it that the namespace's own znode has been made. */
  retry<T>(attempt: (zk: ZooKeeper) => Promise<T>, signal: AbortSignal | undefined): Promise<T>;
  /**
   * Goes on with something when its caller has been told that it failed: in the background, until it is done, refused (then
   * there is an `error` event) or the client is closed.
   */
  guarantee(attempt: (zk: ZooKeeper) => Promise<void>): void;
}

/** Whether parents are to be containers, and the servers know those (ZooKeeper 3.5.1). Believed until one answers that it doesn't. */
export interface ContainerSupport {
  refused: boolean;
}
