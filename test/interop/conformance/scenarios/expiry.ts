/** What the servers do by themselves, in time: sessions expire, containers and znodes with a time to live are deleted. */
import { OPEN_ACL } from 'zookeeper-protocol-ts';
import type { Scenario } from '../scenario.ts';
import { create } from './znodes.ts';

const sessionScenario: Scenario = {
  name: 'a session that nobody keeps alive expires, and its ephemeral goes',
  run: async (stage) => {
    const witness = await stage.connect();
    const client = await stage.connect({ timeoutMs: 1000 });
    await create(client, `${stage.root}/e`, { flags: 1 });
    await witness.do('exists', { path: `${stage.root}/e`, watch: true });
    await client.drop();
    await witness.next();
    await witness.do('exists', { path: stage.root, watch: false });
    const late = await stage.reattach(client);
    await late.untilClosed();
  },
};

const silentScenario: Scenario = {
  name: 'a connection whose session expires is closed',
  run: async (stage) => {
    const client = await stage.connect({ timeoutMs: 1000 });
    await create(client, `${stage.root}/e`, { flags: 1 });
    await client.untilClosed();
  },
};

export const expiryScenarios: readonly Scenario[] = [sessionScenario, silentScenario];

const containerScenario: Scenario = {
  name: 'a container goes when its last child has gone, one that never had a child stays',
  run: async (stage) => {
    const client = await stage.connect();
    const [used, unused] = [`${stage.root}/used`, `${stage.root}/unused`];
    for (const path of [unused, used])
      await client.do('createContainer', { path, data: null, acl: OPEN_ACL, flags: 4 });
    await create(client, `${used}/child`);
    await client.do('getChildren', { path: stage.root, watch: true });
    await client.do('exists', { path: used, watch: true });
    await client.do('delete', { path: `${used}/child`, version: -1 });
    await client.next();
    await client.settle();
    await client.do('getChildren2', { path: stage.root, watch: false });
  },
};

const ttlScenario: Scenario = {
  name: 'a znode goes when its time to live is over, unless it has a child',
  run: async (stage) => {
    const client = await stage.connect();
    const [short, long, parent] = [`${stage.root}/short`, `${stage.root}/long`, `${stage.root}/parent`];
    const ttl = { data: null, acl: OPEN_ACL, flags: 5 };
    await client.do('createTTL', { path: long, ...ttl, ttlMs: 1e8 });
    await client.do('createTTL', { path: parent, ...ttl, ttlMs: 800 });
    await create(client, `${parent}/child`);
    await client.do('createTTL', { path: short, ...ttl, ttlMs: 800 });
    await client.do('getData', { path: short, watch: true });
    await client.next();
    await client.do('getChildren2', { path: stage.root, watch: false });
    await client.do('exists', { path: parent, watch: true });
    await client.do('delete', { path: `${parent}/child`, version: -1 });
    await client.next();
    await client.do('getChildren2', { path: stage.root, watch: false });
  },
};

export const reaperScenarios: readonly Scenario[] = [containerScenario, ttlScenario];
