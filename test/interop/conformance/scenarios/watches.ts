/** Watches: every kind at every event, the tables of removal and of re-registration, and their place among the replies. */
import { CreateMode, OPEN_ACL, OpCode, toZxid } from 'zookeeper-protocol-ts';
import type { Client } from '../client.ts';
import type { Scenario } from '../scenario.ts';
import { authenticate, DATA } from './requests.ts';
import { create } from './znodes.ts';

type Watching = (client: Client, path: string) => Promise<void>;

const exists: Watching = (client, path) => client.do('exists', { path, watch: true });
const getData: Watching = (client, path) => client.do('getData', { path, watch: true });
const getChildren: Watching = (client, path) => client.do('getChildren', { path, watch: true });
const getChildren2: Watching = (client, path) => client.do('getChildren2', { path, watch: true });
const persistent: Watching = (client, path) => client.do('addWatch', { path, mode: 0 });
const recursive: Watching = (client, path) => client.do('addWatch', { path, mode: 1 });

const inTurn =
  (...all: readonly Watching[]): Watching =>
  async (client, path) => {
    for (const one of all) await one(client, path);
  };

const WATCHES: Readonly<Record<string, Watching>> = {
  exists,
  getData,
  getChildren,
  getChildren2,
  'exists, getData and getChildren': inTurn(exists, getData, getChildren),
  'a persistent one': persistent,
  'a recursive one': recursive,
  'a persistent one, then getData': inTurn(persistent, getData),
  'a persistent one, then getChildren': inTurn(persistent, getChildren),
  'getData, then a persistent one': inTurn(getData, persistent),
  'a recursive one, then exists': inTurn(recursive, exists),
  'a recursive one, then getChildren': inTurn(recursive, getChildren),
  'a persistent one, then a recursive one': inTurn(persistent, recursive),
  'a recursive one, then a persistent one': inTurn(recursive, persistent),
};

/** What happens to the watched znode, which exists at the start with a child `c`, or doesn't. */
const EVENTS: Readonly<Record<string, (actor: Client, path: string) => Promise<void>>> = {
  create: (actor, path) => create(actor, path),
  'create sequential': (actor, path) => create(actor, `${path}/n-`, { flags: 2 }),
  setData: (actor, path) => actor.do('setData', { path, data: DATA, version: -1 }),
  'setData that fails': (actor, path) => actor.do('setData', { path, data: DATA, version: 99 }),
  setACL: (actor, path) => actor.do('setACL', { path, acl: OPEN_ACL, version: -1 }),
  'create of a child': (actor, path) => create(actor, `${path}/d`),
  'setData of a child': (actor, path) => actor.do('setData', { path: `${path}/c`, data: DATA, version: -1 }),
  'create of a grandchild': (actor, path) => create(actor, `${path}/c/g`),
  'delete of the grandchild': (actor, path) => actor.do('delete', { path: `${path}/c/g`, version: -1 }),
  'delete of the child': (actor, path) => actor.do('delete', { path: `${path}/c`, version: -1 }),
  'delete of the other child': (actor, path) => actor.do('delete', { path: `${path}/d`, version: -1 }),
  'delete of the sequential child': (actor, path) => actor.do('delete', { path: `${path}/n-0000000001`, version: -1 }),
  'delete of the znode': (actor, path) => actor.do('delete', { path, version: -1 }),
  'create again': (actor, path) => create(actor, path, { flags: CreateMode.EPHEMERAL }),
  'multi on it': (actor, path) =>
    actor.do('multi', [
      { type: OpCode.setData, request: { path, data: null, version: -1 } },
      { type: OpCode.setData, request: { path, data: DATA, version: -1 } },
      { type: OpCode.delete, request: { path, version: -1 } },
      { type: OpCode.create, request: { path, data: null, acl: OPEN_ACL, flags: 1 } },
    ]),
  'multi that fails': (actor, path) =>
    actor.do('multi', [
      { type: OpCode.setData, request: { path, data: null, version: -1 } },
      { type: OpCode.check, request: { path, version: 99 } },
    ]),
  'end of its session': (actor) => actor.closeSession(),
};

const eventScenarios = Object.entries(WATCHES).flatMap(([name, watch]) =>
  [true, false].map(
    (isThere): Scenario => ({
      name: `watch of a znode that is ${isThere ? 'there' : 'not there'}: ${name}`,
      run: async (stage) => {
        const actor = await stage.connect();
        const watcher = await stage.connect();
        const path = `${stage.root}/w`;
        if (isThere) {
          await create(actor, path);
          await create(actor, `${path}/c`);
        }
        await watch(watcher, path);
        for (const [event, act] of Object.entries(EVENTS)) {
          stage.note('event', event);
          await act(actor, path);
          await watcher.settle();
        }
      },
    }),
  ),
);

/** Each event with a watch set anew before it, on the very connection that causes it. */
const ownEventScenarios = Object.entries(WATCHES).map(
  ([name, watch]): Scenario => ({
    name: `watch set again before each event, by who causes it: ${name}`,
    run: async (stage) => {
      const client = await stage.connect();
      const path = `${stage.root}/w`;
      await create(client, path);
      await create(client, `${path}/c`);
      for (const [event, act] of Object.entries(EVENTS)) {
        stage.note('event', event);
        if (!client.isClosed) await watch(client, path);
        await act(client, path);
      }
    },
  }),
);

const removalScenarios = Object.entries(WATCHES).map(
  ([name, watch]): Scenario => ({
    name: `checkWatches and removeWatches: ${name}`,
    run: async (stage) => {
      const path = `${stage.root}/w`;
      const actor = await stage.connect();
      await create(actor, path);
      for (const type of [-1, 0, 1, 2, 3, 4, 5, 6]) {
        const client = await stage.connect();
        stage.note('type', String(type));
        await watch(client, path);
        await client.do('checkWatches', { path, type });
        await client.do('checkWatches', { path: `${path}/other`, type });
        await client.do('removeWatches', { path, type });
        await client.do('checkWatches', { path, type });
        await client.do('removeWatches', { path, type });
        await actor.do('setData', { path, data: null, version: -1 });
        await create(actor, `${path}/n-`, { flags: 2 });
        await client.settle();
        await client.closeSession();
      }
    },
  }),
);

/** What became of a znode between `relativeZxid` and the return of its watcher. */
const HISTORIES: Readonly<Record<string, (actor: Client, path: string) => Promise<void>>> = {
  untouched: () => Promise.resolve(),
  changed: (actor, path) => actor.do('setData', { path, data: null, version: -1 }),
  'with a new child': (actor, path) => create(actor, `${path}/new`),
  'with a child less': (actor, path) => actor.do('delete', { path: `${path}/c`, version: -1 }),
  'with another ACL': (actor, path) => actor.do('setACL', { path, acl: OPEN_ACL, version: -1 }),
  deleted: async (actor, path) => {
    await actor.do('delete', { path: `${path}/c`, version: -1 });
    await actor.do('delete', { path, version: -1 });
  },
  'deleted and created': async (actor, path) => {
    await actor.do('delete', { path: `${path}/c`, version: -1 });
    await actor.do('delete', { path, version: -1 });
    await create(actor, path);
  },
};

const LISTS = [
  'dataWatches',
  'existWatches',
  'childWatches',
  'persistentWatches',
  'persistentRecursiveWatches',
] as const;

const returnScenarios = Object.entries(HISTORIES).flatMap(([history, change]) =>
  (['setWatches', 'setWatches2'] as const).map(
    (name): Scenario => ({
      name: `${name} of a znode ${history}`,
      run: async (stage) => {
        const actor = await stage.connect();
        for (const list of name === 'setWatches' ? LISTS.slice(0, 3) : LISTS) {
          const path = `${stage.root}/${list}`;
          await create(actor, path);
          await create(actor, `${path}/c`);
          const relativeZxid = actor.lastZxid;
          await change(actor, path);
          const client = await stage.connect();
          const none = { dataWatches: [], existWatches: [], childWatches: [] };
          const none2 = { persistentWatches: [], persistentRecursiveWatches: [] };
          const gone = `${stage.root}/gone-${list}`;
          await client.do(name, { relativeZxid, ...none, ...none2, [list]: [path, gone, path] }, -8);
          for (const [event, act] of Object.entries(EVENTS).slice(1, 8)) {
            stage.note('event', event);
            await act(actor, path);
            await client.settle();
          }
          await create(actor, gone);
          await client.settle();
        }
      },
    }),
  ),
);

const bulkReturnScenario: Scenario = {
  name: 'setWatches2 of many watches at once, and their order',
  run: async (stage) => {
    const actor = await stage.connect();
    const paths = Array.from({ length: 5 }, (_, i) => `${stage.root}/n${i}`);
    for (const path of paths) await create(actor, path);
    const relativeZxid = actor.lastZxid;
    for (const path of paths.slice(0, 3)) await actor.do('setData', { path, data: null, version: -1 });
    await create(actor, `${paths[3]}/c`);
    await actor.do('delete', { path: paths[4] ?? '', version: -1 });
    const client = await stage.connect();
    await client.do('setWatches2', {
      relativeZxid,
      dataWatches: paths,
      existWatches: paths,
      childWatches: paths,
      persistentWatches: paths,
      persistentRecursiveWatches: [stage.root],
    });
    for (const relative of [0n, -1n, relativeZxid + 1_000_000n]) {
      await client.do('setWatches', {
        relativeZxid: toZxid(relative),
        dataWatches: paths.slice(0, 1),
        existWatches: [],
        childWatches: paths.slice(0, 1),
      });
    }
    await create(actor, `${stage.root}/later`);
    await client.settle();
  },
};

const modeScenario: Scenario = {
  name: 'addWatch: modes and paths',
  run: async (stage) => {
    const client = await stage.connect();
    for (const mode of [-1, 0, 1, 2, 3, 2147483647]) {
      for (const path of [stage.root, `${stage.root}/gone`, '/zookeeper/config'])
        await client.do('addWatch', { path, mode });
    }
    await create(client, `${stage.root}/gone`);
    await create(client, `${stage.root}/gone/deep`);
  },
};

const nestedRecursiveScenario: Scenario = {
  name: 'recursive watches one below the other, with others on the way',
  run: async (stage) => {
    const actor = await stage.connect();
    const watcher = await stage.connect();
    const second = await stage.connect();
    const [a, b, c] = [`${stage.root}/a`, `${stage.root}/a/b`, `${stage.root}/a/b/c`];
    for (const path of [a, b, c]) await create(actor, path);
    await recursive(watcher, stage.root);
    await recursive(watcher, b);
    await persistent(watcher, b);
    await recursive(second, a);
    await getChildren(second, b);
    await getData(second, c);
    await actor.do('setData', { path: c, data: null, version: -1 });
    await create(actor, `${c}/d`);
    await actor.do('setData', { path: b, data: null, version: -1 });
    await actor.do('delete', { path: `${c}/d`, version: -1 });
    await watcher.settle();
    await second.settle();
    await watcher.do('removeWatches', { path: b, type: 3 });
    await watcher.do('removeWatches', { path: stage.root, type: 3 });
    for (const path of [c, b, a]) await actor.do('delete', { path, version: -1 });
    await watcher.settle();
    await second.settle();
  },
};

const filterScenario: Scenario = {
  name: 'events of znodes that the watcher may not read',
  run: async (stage) => {
    const actor = await stage.connect();
    const watcher = await stage.connect();
    const friend = await stage.connect();
    for (const client of [actor, friend]) await authenticate(client, 'bob:pw');
    const closed = [{ perms: 31, id: { scheme: 'auth', id: '' } }];
    const path = `${stage.root}/secret`;
    await create(actor, path, { acl: closed });
    for (const client of [watcher, friend]) {
      await exists(client, path);
      await recursive(client, stage.root);
      await persistent(client, path);
      await getChildren(client, stage.root);
    }
    await actor.do('setData', { path, data: null, version: -1 });
    await create(actor, `${path}/open`);
    await create(actor, `${path}/closed`, { acl: closed });
    await actor.do('setData', { path: `${path}/open`, data: null, version: -1 });
    await actor.do('setData', { path: `${path}/closed`, data: null, version: -1 });
    for (const name of ['/open', '/closed', '']) await actor.do('delete', { path: path + name, version: -1 });
    await create(actor, path);
    for (const client of [watcher, friend]) await client.settle();
  },
};

const leavingScenario: Scenario = {
  name: 'watches go with their connection',
  run: async (stage) => {
    const actor = await stage.connect();
    const watcher = await stage.connect();
    await exists(watcher, `${stage.root}/w`);
    await recursive(watcher, stage.root);
    const heir = await stage.reattach(watcher);
    await create(actor, `${stage.root}/w`);
    await heir.settle();
    await heir.do('checkWatches', { path: stage.root, type: 3 });
  },
};

export const watchScenarios: readonly Scenario[] = [
  ...eventScenarios,
  ...ownEventScenarios,
  ...removalScenarios,
  ...returnScenarios,
  bulkReturnScenario,
  modeScenario,
  nestedRecursiveScenario,
  filterScenario,
  leavingScenario,
];
