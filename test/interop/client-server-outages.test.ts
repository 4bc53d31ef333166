import { describe } from 'vitest';
import { describeServerOutages } from '../client/server-outages.fixture.ts';
import { startApacheZooKeeper, whyNoApacheZooKeeper } from './apache-zookeeper.ts';

const missing = whyNoApacheZooKeeper();
if (missing !== undefined) console.warn(`skipped: no Apache ZooKeeper here: ${missing}`);

describe.skipIf(missing !== undefined)('Apache ZooKeeper', () => {
  describeServerOutages('as its clients see it,', () => startApacheZooKeeper());
});
