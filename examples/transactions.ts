/**
 * Several writes that happen together or not at all: money moves from one znode to another. Two tellers work on the same accounts at
 * the same time; the versions see to it that neither overwrites what the other has done.
 */
import { BadVersionError, type CuratorFramework, connect } from 'zookeeper-client-ts';
import { ZooKeeperServer } from 'zookeeper-server-ts';

/** Reads both accounts, and writes both only if neither has changed since: else it starts over. */
async function transfer(client: CuratorFramework, { from, to, amount }: { from: string; to: string; amount: number }) {
  for (;;) {
    const [source, target] = await Promise.all([client.getData(from), client.getData(to)]);
    const left = Number(source.data) - amount;
    if (left < 0) throw new RangeError(`${from} has only ${source.data}`);
    try {
      return await client.transaction([
        client.op.setData(from, String(left), { version: source.stat.version }),
        client.op.setData(to, String(Number(target.data) + amount), { version: target.stat.version }),
        client.op.create('/ledger/entry-', { mode: 'PERSISTENT_SEQUENTIAL', data: `${from} ${to} ${amount}` }),
      ]);
    } catch (error) {
      if (!(error instanceof BadVersionError)) throw error;
    }
  }
}

await using server = await ZooKeeperServer.start({ dataDir: './data', clientPort: 0 });
await using alice = await connect(server.connectString);
await using bob = await connect(server.connectString);

// Curator's words for the same thing.
await alice
  .transaction()
  .create()
  .forPath('/ledger')
  .and()
  .create()
  .forPath('/savings', '100')
  .and()
  .create()
  .forPath('/current', '0')
  .and()
  .commit();

await Promise.all(
  [alice, bob].flatMap((teller) =>
    Array.from({ length: 5 }, () => transfer(teller, { from: '/savings', to: '/current', amount: 10 })),
  ),
);
const [savings, current] = await Promise.all([alice.getData('/savings'), alice.getData('/current')]);
const entries = await alice.getChildren('/ledger');
console.log(`savings ${savings.data}, current ${current.data}, after ${entries.length} transfers`);

try {
  await alice.transaction([alice.op.create('/never'), alice.op.delete('/savings', { version: 0 })]);
} catch (error) {
  if (!(error instanceof BadVersionError)) throw error;
  console.log(`refused as a whole: ${error.operationCodes?.join(', ')}`);
}
