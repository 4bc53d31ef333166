/**
 * Locks: three workers and one report. A lock lets one of them at it at a time, its token keeps out one who has lost the lock
 * and doesn't know yet, and a semaphore and a multi lock say who may do what together.
 *
 *     node examples/dist/locks.js                               with a server of its own
 *     CONNECT=localhost:2181 node examples/dist/locks.js        with yours
 */
import { connect } from 'zookeeper-client-ts';
import {
  AcquireTimeoutError,
  InterProcessMultiLock,
  InterProcessMutex,
  InterProcessSemaphoreV2,
} from 'zookeeper-recipes-ts';
import { ZooKeeperServer } from 'zookeeper-server-ts';

/** What the lock protects. It remembers the highest token that it has seen, and refuses lower ones. */
class Report {
  readonly lines: string[] = [];
  #highestToken = 0n;

  append(line: string, { token }: { readonly token: bigint }): void {
    if (token < this.#highestToken) throw new Error(`refused, somebody else has had the lock since: ${line}`);
    this.#highestToken = token;
    this.lines.push(line);
  }
}

const given = process.env.CONNECT;
await using server =
  given === undefined ? await ZooKeeperServer.start({ dataDir: './data', clientPort: 0 }) : undefined;
const connectString = given ?? server?.connectString ?? '';
await using alice = await connect(connectString);
await using bob = await connect(connectString);

// One at a time, in the order in which they came.
const report = new Report();
await Promise.all(
  [alice, bob].map(async (client, worker) => {
    const mutex = new InterProcessMutex(client, '/example/report');
    for (let line = 1; line <= 3; line++) {
      await mutex.using(async (held) => {
        report.append(`worker ${worker}, line ${line}`, held);
        // What runs in here owns the lock already, and may enter it again.
        await mutex.using(() => undefined);
      });
    }
  }),
);
console.log(`the report has ${report.lines.length} lines`);

// Nobody has to wait for ever, or at all. Who gives up leaves nothing behind.
const mutex = new InterProcessMutex(alice, '/example/report');
{
  await using _held = await mutex.acquire();
  const other = new InterProcessMutex(bob, '/example/report');
  console.log(`without waiting: ${(await other.tryAcquire()) === undefined ? 'taken' : 'free'}`);
  try {
    await other.acquire({ timeoutMs: 100 });
  } catch (error) {
    if (!(error instanceof AcquireTimeoutError)) throw error;
    console.log(error.message);
  }
}

// A worker whose session is over has lost the lock. Its signal says so; if it doesn't listen, the report does.
const carol = await connect(connectString);
const lost = await new InterProcessMutex(carol, '/example/report').acquire();
await carol.close();
console.log(`carol holds the lock: ${lost.isHeld()}`);
{
  await using held = await mutex.acquire();
  report.append('alice takes over', held);
}
try {
  report.append('carol goes on regardless', lost);
} catch (error) {
  console.log(error instanceof Error ? error.message : String(error));
}

// Two at a time.
const presses = new InterProcessSemaphoreV2(bob, '/example/presses', 2);
{
  await using both = await presses.acquireMany(2);
  const third = await presses.tryAcquire();
  console.log(`${both.parts.length} presses run, a third one ${third === undefined ? 'has to wait' : 'runs'}`);
}

// Both or none: who can't have the second lock doesn't keep the first.
const move = new InterProcessMultiLock(bob, ['/example/from', '/example/to']);
await move.using((held) => console.log(`both locks held: ${held.isHeld()}`), { timeoutMs: 5_000 });
