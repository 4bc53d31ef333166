/**
 * Elect a master: the classic first program with ZooKeeper and Curator. Start it several times, on one machine or on many:
 * one instance leads, the others wait, and when the leader dies or gives up, the next one takes over.
 *
 *     CONNECT=localhost:2181 node examples/dist/master-selector.js
 *
 * CONNECT is a ZooKeeper connect string; NAME is what this instance calls itself; HOLD_MS is for how long it leads before it
 * gives up by itself (5000).
 */
import { CreateMode, CuratorFramework, ExponentialBackoffRetry } from 'zookeeper-client-ts';
import { LeaderSelector } from 'zookeeper-recipes-ts';

const connectString = process.env.CONNECT ?? 'localhost:2181';
const name = process.env.NAME ?? `process ${process.pid}`;
const holdMs = Number(process.env.HOLD_MS ?? 5000);

/** The master's work: here it only waits for its time to be over, or for the signal that it must stop. */
const lead = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, holdMs);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });

async function compete(): Promise<void> {
  const client = CuratorFramework.builder()
    .connectString(connectString)
    .sessionTimeoutMs(4000)
    .connectionTimeoutMs(3000)
    .retryPolicy(new ExponentialBackoffRetry(1000, 3))
    .build();

  const selector = new LeaderSelector(
    client,
    '/MASTER_SELECTOR',
    {
      /** Leads until it returns, or throws. What Java does by interrupting the thread is `leadership.signal` here. */
      async takeLeadership(_client, leadership) {
        const since = performance.now();
        console.log(`leads, with fencing token ${leadership.token}`);
        await lead(leadership.signal);
        console.log(`gives up leadership after ${((performance.now() - since) / 1000).toFixed(1)} s`);
      },
      stateChanged(_client, newState) {
        console.log(`is ${newState}`);
      },
    },
    { id: name },
  );

  const leave = async (): Promise<void> => {
    await selector.close();
    await client.close();
  };
  process.once('SIGTERM', leave);
  process.once('SIGINT', leave);

  try {
    // The selector may be started first: it waits for the client.
    selector.autoRequeue().start();
    client.start();
    const path = await client
      .create()
      .creatingParentsIfNeeded()
      .withMode(CreateMode.EPHEMERAL_SEQUENTIAL)
      .forPath('/MASTER_SELECTOR/create_order', '123');
    console.log(`joined with ${path}`);
  } catch (error) {
    await leave();
    throw error;
  }
}

try {
  await compete();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
