/** What a subscription to a watch keeps, and what it reads it with. */
import type { Stat } from 'zookeeper-protocol-ts';
import { NoNodeError } from '../errors.ts';
import type { ZooKeeper } from '../zookeeper.ts';
import type { WatchedEvent, Watcher } from './watch-registry.ts';

/**
 * What of the tree a stream shows: its state as it was told last, and as it is known now. The difference is the next
 * change, so that whoever takes changes slowly gets fewer of them, and nothing piles up.
 */
export interface WatchView<Change> {
  /** The server's path that a persistent watch goes to, and its kind. */
  readonly path: string;
  readonly recursive: boolean;
  /** Whether something has to be read. True in the beginning. */
  readonly isStale: boolean;
  /** Events come in order, each before any answer that shows what it tells. */
  onEvent(event: WatchedEvent): void;
  /** Events may have been missed: everything has to be read again. */
  onContactLost(): void;
  /** Reads what is stale. If it fails, {@link onContactLost} follows. */
  read(pass: ReadPass): Promise<void>;
  /** The next change to be told. */
  take(): Change | undefined;
  /** Where a read left one-shot watches that may still be there. */
  oneShotPaths(): Iterable<string>;
}

/** Reads with the present session. */
export interface ReadPass {
  readonly zk: ZooKeeper;
  /** Left with each read as a one-shot watch; undefined where a persistent watch tells of changes. */
  readonly watcher: Watcher | undefined;
}

/** Undefined if there is no such znode; a one-shot watch is then left for its creation, where `awaitsCreation`. */
export async function readUnlessMissing<T>(
  { zk, watcher }: ReadPass,
  path: string,
  {
    read,
    awaitsCreation,
  }: { read: (options: { watcher: Watcher | undefined }) => Promise<T>; awaitsCreation: boolean },
): Promise<T | undefined> {
  for (;;) {
    try {
      return await read({ watcher });
    } catch (error) {
      if (!(error instanceof NoNodeError)) throw error;
    }
    if (watcher === undefined || !awaitsCreation) return undefined;
    const stat: Stat | undefined = await zk.exists(path, { watcher });
    if (stat === undefined) return undefined;
    // It was created between the two.
  }
}
