import { connect } from 'zookeeper-client-ts';
import { LeaderLatch } from 'zookeeper-recipes-ts';
import { ZooKeeperServer } from 'zookeeper-server-ts';

await using server = await ZooKeeperServer.start({ dataDir: './data', clientPort: 0 });
await using client = await connect(server.connectString); // or 'zk1:2181,zk2:2181'
await using latch = new LeaderLatch(client, '/master').start();

const leadership = await latch.leadership();
console.log(`leading, with fencing token ${leadership.token}`);
leadership.signal.addEventListener('abort', () => console.log('leading no more'));
