/** Random sequences: a few paths, all operations, two clients that watch each other, drawn from a seed. */
import { CreateMode, type MultiOperation, OPEN_ACL, OpCode } from 'zookeeper-protocol-ts';
import type { Client } from '../client.ts';
import type { Scenario } from '../scenario.ts';

const OPERATIONS = 200;

/** Numbers from 0 to below `end`, the same for the same seed (mulberry32). */
function dice(seed: number): (end: number) => number {
  let state = seed;
  return (end) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % end;
  };
}

const NAMES = ['/a', '/b', '/a/c', '/a/d', '/b/e', '/a/c/f', '/a/c/g', ''];

/** One operation, not waited for. */
function sendOne(client: Client, root: string, roll: (end: number) => number): void {
  const path = root + (NAMES[roll(NAMES.length - 1)] ?? '');
  const version = roll(3) === 0 ? roll(4) : -1;
  const data = roll(8) === 0 ? null : Buffer.from('x'.repeat(roll(20)));
  const watch = roll(2) === 0;
  const creation = { path, data, acl: OPEN_ACL };
  switch (roll(20)) {
    case 0:
    case 1:
    case 2:
      return client.send('create', { ...creation, flags: roll(2) });
    case 3:
      return client.send('create2', { ...creation, flags: roll(4) });
    case 4:
      return client.send('createContainer', { ...creation, flags: CreateMode.CONTAINER });
    case 5:
      return client.send('createTTL', { ...creation, flags: CreateMode.PERSISTENT_WITH_TTL, ttlMs: 1e7 });
    case 6:
    case 7:
    case 8:
      return client.send('delete', { path, version });
    case 9:
    case 10:
      return client.send('setData', { path, data, version });
    case 11:
      return client.send('setACL', { path, acl: OPEN_ACL, version });
    case 12:
      return client.send('getData', { path, watch });
    case 13:
      return client.send('exists', { path, watch });
    case 14:
      return client.send('getChildren2', { path, watch });
    case 15:
      return client.send('getEphemerals', { prefixPath: root });
    case 16:
      return client.send('getAllChildrenNumber', { path });
    case 17:
      return client.send('sync', { path });
    default:
      return client.send(
        'multi',
        Array.from({ length: 1 + roll(4) }, () => partOfMulti(root, roll)),
      );
  }
}

function partOfMulti(root: string, roll: (end: number) => number): MultiOperation {
  const path = root + (NAMES[roll(NAMES.length - 1)] ?? '');
  switch (roll(4)) {
    case 0:
      return { type: OpCode.create, request: { path, data: null, acl: OPEN_ACL, flags: roll(4) } };
    case 1:
      return { type: OpCode.delete, request: { path, version: -1 } };
    case 2:
      return { type: OpCode.setData, request: { path, data: null, version: -1 } };
    default:
      return { type: OpCode.check, request: { path, version: -1 } };
  }
}

const randomScenario = (seed: number): Scenario => ({
  name: `random operations, seed ${seed}`,
  run: async (stage) => {
    const roll = dice(seed);
    const clients = [await stage.connect(), await stage.connect()] as const;
    for (let done = 0; done < OPERATIONS; ) {
      const client = clients[roll(2) === 0 ? 0 : 1];
      // Now and then several in one go.
      const burst = roll(4) === 0 ? 1 + roll(10) : 1;
      for (let i = 0; i < burst; i++, done++) sendOne(client, stage.root, roll);
      for (const each of [client, ...clients]) await each.settle();
    }
    for (const name of NAMES) {
      await clients[0].do('getData', { path: stage.root + name, watch: false });
      await clients[0].do('getChildren2', { path: stage.root + name, watch: false });
    }
    // The ephemerals of one would be deleted in the order of a hash table, and the other watches them.
    for (const client of clients) await client.drop();
  },
});

export const randomScenarios: readonly Scenario[] = [1, 2, 3, 4, 5, 6].map(randomScenario);
