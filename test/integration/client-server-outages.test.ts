import { describeServerOutages } from '../client/server-outages.fixture.ts';
import { ZkServerProcess } from './zkserver-process.fixture.ts';

describeServerOutages('our server, as its clients see it,', () => ZkServerProcess.start());
