/** What is left when a server is stopped and started again: everything but the connections and their watches. */
import { OPEN_ACL, OpCode } from 'zookeeper-protocol-ts';
import type { Client } from '../client.ts';
import type { Scenario, Stage } from '../scenario.ts';
import { authenticate, DATA, SUPER } from './requests.ts';
import { create, look } from './znodes.ts';

const NAMES = ['', '/p', '/p/s-0000000001', '/e', '/c', '/t', '/guarded', '/empty', '/null'];

async function plant(client: Client, root: string): Promise<void> {
  await create(client, `${root}/p`);
  for (const flags of [2, 2, 3]) await create(client, `${root}/p/s-`, { flags });
  await client.do('delete', { path: `${root}/p/s-0000000000`, version: -1 });
  await create(client, `${root}/e`, { flags: 1 });
  await client.do('createContainer', { path: `${root}/c`, data: DATA, acl: OPEN_ACL, flags: 4 });
  await client.do('createTTL', { path: `${root}/t`, data: DATA, acl: OPEN_ACL, flags: 5, ttlMs: 1e8 });
  await authenticate(client, 'bob:pw');
  await create(client, `${root}/guarded`, { acl: [{ perms: 31, id: { scheme: 'auth', id: '' } }] });
  await create(client, `${root}/empty`, { data: Buffer.alloc(0) });
  await create(client, `${root}/null`, { data: null });
  for (let i = 0; i < 3; i++) await client.do('setData', { path: `${root}/p`, data: DATA, version: i });
  await client.do('setACL', { path: `${root}/p`, acl: OPEN_ACL, version: 0 });
  await client.do('setData', { path: `${root}/p`, data: DATA, version: 99 });
}

async function lookAtAll(stage: Stage, client: Client): Promise<void> {
  await authenticate(client, SUPER);
  for (const name of NAMES) await look(client, stage.root + name);
  await client.do('getAllChildrenNumber', { path: stage.root });
}

const treeScenario: Scenario = {
  name: 'a restart keeps znodes, counters, ACLs and the sessions with their ephemerals',
  run: async (stage) => {
    const client = await stage.connect();
    await plant(client, stage.root);
    await lookAtAll(stage, client);
    const relativeZxid = client.lastZxid;
    for (let round = 0; round < 2; round++) {
      await client.drop();
      await stage.restart();
      const back = await stage.reattach(client);
      await back.do('ping', undefined, -2);
      await back.do('setWatches', {
        relativeZxid,
        dataWatches: [`${stage.root}/p`],
        existWatches: [`${stage.root}/new-${round}`],
        childWatches: [stage.root],
      });
      await lookAtAll(stage, back);
      await back.do('getEphemerals', { prefixPath: '/' });
      await create(back, `${stage.root}/p/s-`, { flags: 2 });
      await create(back, `${stage.root}/new-${round}`);
      await back.do('multi', [{ type: OpCode.check, request: { path: `${stage.root}/p`, version: 3 } }]);
      await back.drop();
    }
    const last = await stage.reattach(client);
    await last.do('getChildren2', { path: stage.root, watch: false });
  },
};

export const restartScenarios: readonly Scenario[] = [treeScenario];
