import { describe } from 'vitest';
import { describeNetworkOutages } from '../client/network-outages.fixture.ts';
import { startApacheZooKeeper, whyNoApacheZooKeeper } from './apache-zookeeper.ts';

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`skipped: no Apache ZooKeeper here: ${missing}`);

describe.skipIf(missing !== undefined)('with Apache ZooKeeper,', () => {
  describeNetworkOutages('a client', () => startApacheZooKeeper());
});
