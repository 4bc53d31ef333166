/** What closing a recipe waits for: whoever gives something up can't hurry the servers. */
import type { CuratorFramework } from 'zookeeper-client-ts';

/** Resolves when the work, which never rejects, is done; without a connection at once, and then it goes on by itself. */
export function doneUnlessOffline(client: CuratorFramework, work: Promise<void> = Promise.resolve()): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!client.connected) resolve();
    };
    const unsubscribe = client.on('state', look);
    look();
    void work.then(() => {
      unsubscribe();
      resolve();
    });
  });
}
