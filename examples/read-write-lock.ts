/**
 * A read-write lock: readers of a catalog work together, a writer works alone, and one that has written goes on as a reader
 * without letting another writer in between.
 *
 *     node examples/dist/read-write-lock.js                          with a server of its own
 *     CONNECT=localhost:2181 node examples/dist/read-write-lock.js   with yours
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'zookeeper-client-ts';
import { InterProcessReadWriteLock, LockUpgradeError } from 'zookeeper-recipes-ts';
import { ZooKeeperServer } from 'zookeeper-server-ts';

const given = process.env.CONNECT;
await using server =
  given === undefined ? await ZooKeeperServer.start({ dataDir: './data', clientPort: 0 }) : undefined;
const connectString = given ?? server?.connectString ?? '';
await using alice = await connect(connectString);
await using bob = await connect(connectString);

const catalogs = [alice, bob].map((client) => new InterProcessReadWriteLock(client, '/example/catalog'));
const [ofAlice, ofBob] = catalogs as [InterProcessReadWriteLock, InterProcessReadWriteLock];

let readers = 0;
let most = 0;
await Promise.all(
  catalogs.map(({ readLock }) =>
    readLock.using(async () => {
      most = Math.max(most, ++readers);
      // Here they wait for each other: who must be alone would never get out.
      while (most < catalogs.length) await sleep(10);
      readers--;
    }),
  ),
);
console.log(`readers at the same time: ${most}`);

// Fair: bob reads when alice has written, for she asked first.
const catalog: string[] = [];
const writing = await ofAlice.writeLock.acquire();
const bobReads = ofBob.readLock.using(() => console.log(`bob reads: ${catalog.join(', ')}`));
catalog.push('apples', 'pears');

// From writing to reading, with nobody in between.
const reading = await ofAlice.readLock.acquire({ owner: writing });
await writing.release();
await bobReads;
console.log(
  `alice still reads: ${reading.isHeld()}; bob could write: ${(await ofBob.writeLock.tryAcquire()) !== undefined}`,
);

// The other way would wait for itself, so it is refused.
try {
  await ofAlice.writeLock.acquire({ owner: reading });
} catch (error) {
  if (!(error instanceof LockUpgradeError)) throw error;
  console.log('from reading to writing: refused');
}
await reading.release();
