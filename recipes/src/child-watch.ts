import {
  ClientClosedError,
  type CuratorFramework,
  SessionExpiredError,
  type Watcher,
  WatcherType,
} from 'zookeeper-client-ts';

/** Takes away the watch that a `getChildren` may have left. Never rejects: `report` is told of what the servers refuse. */
export async function removeChildWatch(
  client: CuratorFramework,
  path: string,
  { watcher, report }: { readonly watcher: Watcher; readonly report: (error: unknown) => void },
): Promise<void> {
  if (client.lifecycle !== 'STARTED') return;
  try {
    await client.removeWatches(path, { watcher, type: WatcherType.Children, quietly: true });
  } catch (error) {
    // It has gone with the session.
    if (!(error instanceof ClientClosedError || error instanceof SessionExpiredError)) report(error);
  }
}
