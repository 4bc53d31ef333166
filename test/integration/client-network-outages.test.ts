import { TestingServer } from 'zookeeper-server-ts/testing';
import { describeNetworkOutages } from '../client/network-outages.fixture.ts';

describeNetworkOutages('a client of our server', () =>
  TestingServer.start({ tickTimeMs: 500, maxSessionTimeoutMs: 10_000 }),
);
