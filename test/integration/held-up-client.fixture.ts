import type { CuratorFramework } from 'zookeeper-client-ts';

/**
 * Whoever uses the client from now on is held up before its requests are sent, and before it sees their answers.
 * @param pause asked each time for how long: undefined is not at all
 */
export function holdUp(client: CuratorFramework, pause: () => Promise<void> | undefined): void {
  for (const name of ['create', 'delete', 'checkExists', 'getChildren', 'getData', 'transaction'] as const) {
    const call = client[name].bind(client) as (...args: unknown[]) => Promise<unknown>;
    Object.assign(client, {
      [name]: async (...args: unknown[]) => {
        await pause();
        const result = await call(...args);
        await pause();
        return result;
      },
    });
  }
}
