/** What becomes of znodes: counters, sequence numbers, ephemerals, containers, ACLs in force, multi, quotas. */
import {
  type Acl,
  CreateMode,
  ErrorCode,
  type MultiOperation,
  OPEN_ACL,
  OpCode,
  Permission,
} from 'zookeeper-protocol-ts';
import type { Client } from '../client.ts';
import type { Scenario, Stage } from '../scenario.ts';
import { authenticate, bytes, DATA, SUPER } from './requests.ts';

interface Creation {
  readonly data?: Buffer | null;
  readonly acl?: readonly Acl[];
  readonly flags?: number;
}

const creation = (path: string, { data = DATA, acl = OPEN_ACL, flags = 0 }: Creation = {}) => ({
  path,
  data,
  acl,
  flags,
});

export const create = (client: Client, path: string, options?: Creation): Promise<void> =>
  client.do('create', creation(path, options));

/** All that can be seen of a znode. */
export async function look(client: Client, path: string): Promise<void> {
  await client.do('getData', { path, watch: false });
  await client.do('getChildren2', { path, watch: false });
  await client.do('getACL', { path });
}

const countersScenario: Scenario = {
  name: 'the counters of a parent through creates and deletes of its children',
  run: async (stage) => {
    const client = await stage.connect();
    const parent = `${stage.root}/p`;
    await create(client, parent);
    for (const child of ['a', 'b', 'c', 'a', 'd']) {
      await create(client, `${parent}/${child}`);
      await client.do('exists', { path: parent, watch: false });
    }
    for (const child of ['a', 'c', 'c', 'b']) {
      await client.do('delete', { path: `${parent}/${child}`, version: -1 });
      await client.do('exists', { path: parent, watch: false });
    }
    await client.do('setData', { path: parent, data: null, version: 0 });
    await client.do('delete', { path: parent, version: -1 });
    await create(client, `${parent}/e`, { flags: CreateMode.EPHEMERAL });
    await client.do('setACL', { path: parent, acl: OPEN_ACL, version: -1 });
    await look(client, parent);
    await client.do('delete', { path: `${parent}/d`, version: -1 });
    await client.do('delete', { path: `${parent}/e`, version: -1 });
    await client.do('delete', { path: parent, version: 1 });
    await create(client, parent);
    await look(client, parent);
  },
};

const pipelineScenario: Scenario = {
  name: 'a hundred requests in one go',
  run: async (stage) => {
    const client = await stage.connect();
    const path = `${stage.root}/p`;
    client.send('create', creation(path));
    for (let i = 0; i < 33; i++) {
      client.send('setData', { path, data: Buffer.from(String(i)), version: i % 5 === 4 ? 0 : -1 });
      client.send('getData', { path, watch: i % 4 === 0 });
      client.send('create', creation(`${path}/n-`, { flags: i % 4 }));
      if (i % 10 === 0) client.send('getChildren', { path, watch: true });
      if (i % 7 === 0) client.send('sync', { path });
      if (i % 8 === 0) client.send('ping', undefined, -2);
    }
    await client.settle();
    await look(client, path);
  },
};

const sequenceScenario: Scenario = {
  name: 'sequence numbers',
  run: async (stage) => {
    const client = await stage.connect();
    const parent = `${stage.root}/q`;
    await create(client, parent);
    const sequential = [CreateMode.PERSISTENT_SEQUENTIAL, CreateMode.EPHEMERAL_SEQUENTIAL];
    for (const flags of sequential) {
      for (const name of ['n-', '', 'n-0000000009', 'other', '..', '.', 'a/b', 'ż-']) {
        await create(client, `${parent}/${name}`, { flags });
        await client.do('create2', creation(`${parent}/${name}`, { flags }));
      }
    }
    await create(client, `${parent}/plain`);
    await create(client, `${parent}/n-`, { flags: 2 });
    await create(client, `${parent}/plain`);
    await create(client, `${parent}/n-`, { flags: 2 });
    await client.do('delete', { path: `${parent}/plain`, version: -1 });
    await create(client, `${parent}/n-`, { flags: 2 });
    await client.do('createTTL', { ...creation(`${parent}/t-`, { flags: 6 }), ttlMs: 1e6 });
    await client.do('createContainer', creation(`${parent}/c`, { flags: 4 }));
    await create(client, `${parent}/n-`, { flags: 2 });
    // The number of a sequence that a plain znode has taken.
    await create(client, `${parent}/n-0000000030`);
    for (let i = 0; i < 6; i++) await create(client, `${parent}/n-`, { flags: 2 });
    await client.do('multi', [
      { type: OpCode.create, request: creation(`${parent}/m-`, { flags: 2 }) },
      { type: OpCode.create, request: creation(`${parent}/m-`, { flags: 3 }) },
      { type: OpCode.delete, request: { path: `${parent}/n-0000000019`, version: -1 } },
      { type: OpCode.create, request: creation(`${parent}/m-`, { flags: 2 }) },
    ]);
    await client.do('getChildren2', { path: parent, watch: false });
    await client.do('getAllChildrenNumber', { path: parent });
    await create(client, '/missing-parent/n-', { flags: 2 });
  },
};

const ephemeralScenario: Scenario = {
  name: 'ephemerals',
  run: async (stage) => {
    const owner = await stage.connect();
    const other = await stage.connect();
    const path = `${stage.root}/e`;
    await create(owner, path, { flags: CreateMode.EPHEMERAL });
    await look(other, path);
    await create(other, path);
    await create(owner, `${path}/child`);
    await create(owner, `${path}/child`, { flags: 1 });
    await create(owner, `${path}/child-`, { flags: 2 });
    await owner.do('createContainer', creation(`${path}/child`, { flags: 4 }));
    await other.do('setData', { path, data: null, version: 0 });
    await create(owner, `${stage.root}/e2`, { flags: 1 });
    await create(owner, `${stage.root}/e-`, { flags: 3 });
    await create(owner, `${stage.root}/p`);
    await create(owner, `${stage.root}/p/e`, { flags: 1 });
    await create(other, `${stage.root}/p/o`, { flags: 1 });
    for (const prefixPath of [
      '/',
      '',
      ' ',
      null,
      stage.root,
      `${stage.root}/p`,
      `${stage.root}/e`,
      `${path}2`,
      '/x',
      'c',
    ]) {
      await owner.do('getEphemerals', { prefixPath });
      await other.do('getEphemerals', { prefixPath });
    }
    await other.do('delete', { path: `${stage.root}/e2`, version: -1 });
    await owner.do('getEphemerals', { prefixPath: '/' });
    // One watch alone: the original deletes a session's ephemerals in the order of a hash table.
    await other.do('getChildren', { path: `${stage.root}/p`, watch: true });
    await owner.closeSession();
    await other.settle();
    await other.do('getChildren2', { path: stage.root, watch: false });
    await look(other, `${stage.root}/p`);
    await other.do('getEphemerals', { prefixPath: '/' });
  },
};

const containerScenario: Scenario = {
  name: 'containers and znodes with a time to live, as they are seen',
  run: async (stage) => {
    const client = await stage.connect();
    const path = `${stage.root}/c`;
    await client.do('createContainer', creation(path, { flags: 4 }));
    await client.do('createTTL', { ...creation(`${stage.root}/t`, { flags: 5 }), ttlMs: 1_000_000 });
    await create(client, `${stage.root}/fake`, { flags: 4 });
    await create(client, `${path}/e`, { flags: 1 });
    await create(client, `${path}/p`);
    await create(client, `${stage.root}/t/e`, { flags: 1 });
    for (const name of ['c', 't', 'fake']) await look(client, `${stage.root}/${name}`);
    await client.do('getEphemerals', { prefixPath: '/' });
    await client.do('delete', { path, version: -1 });
    await client.do('setData', { path, data: null, version: -1 });
    await client.do('multi', [
      { type: OpCode.createContainer, request: creation(`${stage.root}/mc`, { flags: 4 }) },
      { type: OpCode.createTTL, request: { ...creation(`${stage.root}/mt`, { flags: 5 }), ttlMs: 1e6 } },
      { type: OpCode.createTTL, request: { ...creation(`${stage.root}/mt-`, { flags: 6 }), ttlMs: 1e6 } },
    ]);
    await client.do('getChildren2', { path: stage.root, watch: false });
  },
};

/** Who can be named by an ACL, seen by a client from 127.0.0.1 that has shown `bob:pw`. */
const IDENTITIES: readonly (readonly [string, string])[] = [
  ['world', 'anyone'],
  ['digest', 'bob:ikIaKsbtGweaHnb/jKn7OHqbunM='],
  ['digest', 'bob:another'],
  ['digest', 'ann:ikIaKsbtGweaHnb/jKn7OHqbunM='],
  ['ip', '127.0.0.1'],
  ['ip', '127.0.0.2'],
  ['ip', '127.0.0.0/8'],
  ['ip', '127.9.9.9/8'],
  ['ip', '127.0.0.2/31'],
  ['ip', '127.0.0.0/31'],
  ['ip', '10.0.0.0/8'],
  ['ip', '0.0.0.0/0'],
];

/** Everything that asks for a permission on a znode that has a child `c` and a child `d`. */
async function tryAll(client: Client, path: string): Promise<void> {
  client.send('getData', { path, watch: false });
  client.send('exists', { path, watch: false });
  client.send('getChildren', { path, watch: false });
  client.send('getChildren2', { path, watch: false });
  client.send('getACL', { path });
  client.send('getAllChildrenNumber', { path });
  client.send('sync', { path });
  client.send('setData', { path, data: DATA, version: -1 });
  client.send('setData', { path, data: DATA, version: 77 });
  client.send('create', creation(`${path}/new`));
  client.send('create', creation(`${path}/c`));
  client.send('create', creation(`${path}/new-`, { flags: 2 }));
  client.send('createContainer', creation(`${path}/container`, { flags: 4 }));
  client.send('delete', { path: `${path}/c`, version: -1 });
  client.send('delete', { path: `${path}/gone`, version: -1 });
  client.send('delete', { path: `${path}/d`, version: 77 });
  client.send('addWatch', { path, mode: 0 });
  client.send('multi', [{ type: OpCode.check, request: { path, version: -1 } }]);
  client.send('multi', [{ type: OpCode.setData, request: { path, data: null, version: -1 } }]);
  client.send('multi', [{ type: OpCode.create, request: creation(`${path}/multi`) }]);
  client.send('multi', [{ type: OpCode.delete, request: { path: `${path}/d`, version: -1 } }]);
  client.send('multiRead', [
    { type: OpCode.getData, request: { path, watch: false } },
    { type: OpCode.getChildren, request: { path, watch: false } },
  ]);
  await client.settle();
}

const permissionScenarios = Object.entries({ NONE: 0, ...Permission }).map(
  ([name, perms]): Scenario => ({
    name: `what the permission ${name} allows`,
    run: async (stage) => {
      const client = await stage.connect();
      const path = `${stage.root}/guarded`;
      await create(client, path);
      await create(client, `${path}/c`);
      await create(client, `${path}/d`);
      await client.do('setACL', { path, acl: [{ perms, id: { scheme: 'world', id: 'anyone' } }], version: -1 });
      await tryAll(client, path);
      await client.do('setACL', { path, acl: OPEN_ACL, version: 77 });
      await client.do('setACL', { path, acl: OPEN_ACL, version: -1 });
    },
  }),
);

const identityScenario: Scenario = {
  name: 'whom an ACL lets in',
  run: async (stage) => {
    const client = await stage.connect();
    const stranger = await stage.connect();
    const root = await stage.connect();
    await authenticate(client, 'bob:pw');
    await authenticate(root, SUPER);
    for (const [index, [scheme, id]] of IDENTITIES.entries()) {
      const path = `${stage.root}/i${index}`;
      await create(client, path, { acl: [{ perms: 31, id: { scheme, id } }] });
      for (const visitor of [client, stranger, root]) {
        await visitor.do('getData', { path, watch: false });
        await visitor.do('getACL', { path });
        await visitor.do('setData', { path, data: null, version: -1 });
      }
      await root.do('setACL', { path, acl: [{ perms: Permission.READ, id: { scheme, id } }], version: -1 });
      await stranger.do('getACL', { path });
      await client.do('setACL', { path, acl: OPEN_ACL, version: -1 });
    }
    await root.do('setData', { path: '/zookeeper/config', data: null, version: 77 });
    await root.do(
      'create',
      creation(`${stage.root}/of-super`, { acl: [{ perms: 31, id: { scheme: 'auth', id: '' } }] }),
    );
    await root.do('getACL', { path: `${stage.root}/of-super` });
    await root.do('whoAmI', undefined);
  },
};

type Shape = (root: string) => readonly MultiOperation[];

const MULTI_SHAPES: Readonly<Record<string, Shape>> = {
  'nothing at all': () => [],
  'one create': (root) => [{ type: OpCode.create, request: creation(`${root}/x`) }],
  'one create2': (root) => [{ type: OpCode.create2, request: creation(`${root}/x`) }],
  'one container': (root) => [{ type: OpCode.createContainer, request: creation(`${root}/x`, { flags: 4 }) }],
  'one setData': (root) => [{ type: OpCode.setData, request: { path: `${root}/a`, data: DATA, version: 0 } }],
  'one delete': (root) => [{ type: OpCode.delete, request: { path: `${root}/a`, version: 0 } }],
  'one check': (root) => [{ type: OpCode.check, request: { path: `${root}/a`, version: 0 } }],
  'a check that fails': (root) => [{ type: OpCode.check, request: { path: `${root}/a`, version: 1 } }],
  'a check of nothing': (root) => [{ type: OpCode.check, request: { path: `${root}/gone`, version: -1 } }],
  'a check of a bad path': () => [{ type: OpCode.check, request: { path: 'bad', version: -1 } }],
  'each sees what came before': (root) => [
    { type: OpCode.create, request: creation(`${root}/x`) },
    { type: OpCode.create, request: creation(`${root}/x/y`) },
    { type: OpCode.setData, request: { path: `${root}/x`, data: null, version: 0 } },
    { type: OpCode.check, request: { path: `${root}/x`, version: 1 } },
    { type: OpCode.delete, request: { path: `${root}/x/y`, version: -1 } },
    { type: OpCode.delete, request: { path: `${root}/x`, version: 1 } },
  ],
  'created, deleted and created': (root) => [
    { type: OpCode.create, request: creation(`${root}/x`) },
    { type: OpCode.delete, request: { path: `${root}/x`, version: -1 } },
    { type: OpCode.create, request: creation(`${root}/x`, { data: null }) },
  ],
  'the first fails': (root) => [
    { type: OpCode.create, request: creation(`${root}/a`) },
    { type: OpCode.create, request: creation(`${root}/x`) },
    { type: OpCode.delete, request: { path: `${root}/a`, version: -1 } },
  ],
  'one in the middle fails': (root) => [
    { type: OpCode.create, request: creation(`${root}/x`) },
    { type: OpCode.delete, request: { path: `${root}/a`, version: 5 } },
    { type: OpCode.setData, request: { path: `${root}/a`, data: null, version: -1 } },
    { type: OpCode.check, request: { path: `${root}/gone`, version: -1 } },
  ],
  'the last fails': (root) => [
    { type: OpCode.create, request: creation(`${root}/x`, { flags: 1 }) },
    { type: OpCode.setData, request: { path: `${root}/a`, data: null, version: -1 } },
    { type: OpCode.create, request: creation(`${root}/x/child`) },
  ],
  'not empty because of the one before': (root) => [
    { type: OpCode.create, request: creation(`${root}/a/x`) },
    { type: OpCode.delete, request: { path: `${root}/a`, version: -1 } },
  ],
  'bad flags': (root) => [{ type: OpCode.create, request: creation(`${root}/x`, { flags: 9 }) }],
  'a bad path': () => [{ type: OpCode.create, request: creation('x') }],
  'a bad ACL': (root) => [
    { type: OpCode.setData, request: { path: `${root}/a`, data: null, version: -1 } },
    { type: OpCode.create, request: creation(`${root}/x`, { acl: [] }) },
  ],
  'a permanent znode': () => [{ type: OpCode.delete, request: { path: '/zookeeper', version: -1 } }],
  'ephemerals in sequence': (root) =>
    [1, 2, 3].map(() => ({ type: OpCode.create, request: creation(`${root}/s-`, { flags: 3 }) })),
  'twice the same setData': (root) => [
    { type: OpCode.setData, request: { path: `${root}/a`, data: DATA, version: 0 } },
    { type: OpCode.setData, request: { path: `${root}/a`, data: DATA, version: 1 } },
    { type: OpCode.setData, request: { path: `${root}/a`, data: DATA, version: 1 } },
  ],
  'a read among writes': (root) => [
    { type: OpCode.setData, request: { path: `${root}/a`, data: DATA, version: -1 } },
    { type: OpCode.getData, request: { path: `${root}/a`, watch: false } },
  ],
  'a read alone': (root) => [{ type: OpCode.getData, request: { path: `${root}/a`, watch: false } }],
  'fifty creates': (root) =>
    Array.from({ length: 50 }, (_, i) => ({ type: OpCode.create, request: creation(`${root}/many-${i}`) })),
};

const multiScenarios = Object.entries(MULTI_SHAPES).map(
  ([name, shape]): Scenario => ({
    name: `multi: ${name}`,
    run: async (stage) => {
      const client = await stage.connect();
      const watcher = await stage.connect();
      await create(client, `${stage.root}/a`);
      for (const path of [stage.root, `${stage.root}/a`]) await watcher.do('getChildren', { path, watch: true });
      await watcher.do('getData', { path: `${stage.root}/a`, watch: true });
      await watcher.do('exists', { path: `${stage.root}/x`, watch: true });
      await client.do('multi', shape(stage.root));
      await watcher.settle();
      for (const path of ['', '/a', '/x']) await look(client, stage.root + path);
    },
  }),
);

const multiReadScenario: Scenario = {
  name: 'multiRead',
  run: async (stage) => {
    const client = await stage.connect();
    const path = `${stage.root}/a`;
    await create(client, path);
    await create(client, `${path}/b`);
    await create(client, `${stage.root}/closed`, { acl: [{ perms: 30, id: { scheme: 'world', id: 'anyone' } }] });
    const data = (name: string, watch = false): MultiOperation => ({
      type: OpCode.getData,
      request: { path: name, watch },
    });
    const children = (name: string, watch = false): MultiOperation => ({
      type: OpCode.getChildren,
      request: { path: name, watch },
    });
    for (const reads of [
      [],
      [data(path)],
      [children(path)],
      [data(path), data(`${path}/gone`), children(path), children(`${path}/gone`)],
      [data(`${stage.root}/closed`), children(`${stage.root}/closed`), data(path)],
      [data(path, true), children(path, true)],
      [data('bad'), data('')],
      [data(path), { type: OpCode.check, request: { path, version: -1 } } as const],
      [data(path), { type: OpCode.delete, request: { path: `${path}/b`, version: -1 } } as const],
    ]) {
      await client.do('multiRead', reads);
    }
    await client.do('setData', { path, data: null, version: -1 });
    await client.do('delete', { path: `${path}/b`, version: -1 });
  },
};

/** Operations that a multi can't hold, with a body that begins as all do. */
const multiTypesScenario: Scenario = {
  name: 'multi and multiRead of every type of operation',
  run: async (stage) => {
    let client = await stage.connect();
    for (const outer of [OpCode.multi, OpCode.multiRead]) {
      for (const type of [-11, -10, -1, 0, 3, 6, 7, 9, 11, 12, 14, 16, 17, 20, 22, 99, 101, 106]) {
        client = await stage.alive(client);
        const body = bytes((writer) => {
          writer.writeInt(type);
          writer.writeBool(false);
          writer.writeInt(-1);
          writer.writeString(stage.root);
          writer.writeInt(0);
          writer.writeInt(-1);
          writer.writeBool(true);
          writer.writeInt(-1);
        });
        await client.doRaw(outer, body, `${outer} of ${type}`);
      }
    }
    await look(client, stage.root);
  },
};

const quotaOf = (stage: Stage, path: string): string => `/zookeeper/quota${stage.root}${path}`;

const quotaScenario = (limits: string): Scenario => ({
  name: `a quota of ${limits || 'nothing'}`,
  run: async (stage) => {
    const client = await stage.connect();
    const root = await stage.connect();
    await authenticate(root, SUPER);
    await create(client, `${stage.root}/q`);
    await create(client, `${stage.root}/q/before`);
    const stats = `${quotaOf(stage, '/q')}/zookeeper_stats`;
    await create(root, quotaOf(stage, ''));
    await create(root, quotaOf(stage, '/q'));
    await create(root, `${quotaOf(stage, '/q')}/zookeeper_limits`, { data: Buffer.from(limits) });
    await create(root, stats, { data: Buffer.from('count=0,bytes=0') });
    const usage = () => root.do('getData', { path: stats, watch: true });
    await usage();
    for (const child of ['a', 'b', 'c', 'd']) {
      await create(client, `${stage.root}/q/${child}`, { data: Buffer.from('123456') });
      await usage();
    }
    for (const data of [Buffer.alloc(1), Buffer.alloc(12), Buffer.alloc(40), null]) {
      await client.do('setData', { path: `${stage.root}/q/a`, data, version: -1 });
      await usage();
    }
    await client.do('multi', [
      { type: OpCode.create, request: creation(`${stage.root}/q/m1`) },
      { type: OpCode.create, request: creation(`${stage.root}/q/m2`) },
    ]);
    await create(client, `${stage.root}/q/e`, { flags: 1 });
    await usage();
    await client.do('setData', { path: `${stage.root}/q`, data: Buffer.alloc(10), version: -1 });
    for (const child of ['a', 'b', 'before']) {
      await client.do('delete', { path: `${stage.root}/q/${child}`, version: -1 });
    }
    await usage();
    await root.do('setData', {
      path: `${quotaOf(stage, '/q')}/zookeeper_limits`,
      data: Buffer.from('count=1'),
      version: -1,
    });
    await create(client, `${stage.root}/q/late`);
    await usage();
    await root.do('delete', { path: `${quotaOf(stage, '/q')}/zookeeper_limits`, version: -1 });
    await create(client, `${stage.root}/q/later`);
    await usage();
    await client.closeSession();
    await usage();
  },
});

export const quotaScenarios = [
  'count=3,bytes=20',
  'count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=4',
  'count=-1,bytes=-1=;byteHardLimit=30;countHardLimit=-1',
  'count=5,bytes=100=;byteHardLimit=25;countHardLimit=5',
  'byteHardLimit=10',
].map(quotaScenario);

const reservedScenario: Scenario = {
  name: 'the reserved znodes',
  run: async (stage) => {
    const client = await stage.connect();
    const root = await stage.connect();
    await authenticate(root, SUPER);
    for (const visitor of [client, root]) {
      for (const path of ['/zookeeper', '/zookeeper/config']) await look(visitor, path);
      await visitor.do('getACL', { path: '/zookeeper/quota' });
      for (const path of ['/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config']) {
        await visitor.do('delete', { path, version: 5 });
        await create(visitor, path);
        await visitor.do('multi', [{ type: OpCode.check, request: { path, version: 55 } }]);
      }
      await visitor.do('setData', { path: '/zookeeper/config', data: null, version: 55 });
      const reconfig = { joiningServers: null, leavingServers: null, newMembers: null, configId: -1n };
      await visitor.do('reconfig', reconfig);
      await visitor.do('reconfig', { ...reconfig, joiningServers: 'server.5=localhost:1:2;3' });
    }
  },
};

const whoScenario: Scenario = {
  name: 'authentication, and who am I',
  run: async (stage) => {
    for (const [scheme, credentials] of [
      ['digest', 'bob:pw'],
      ['digest', 'bob'],
      ['digest', ''],
      ['digest', ':'],
      ['digest', 'a:b:c'],
      ['digest', ':pw'],
      ['digest', SUPER],
      ['digest', 'super:wrong'],
      ['ip', ''],
      ['ip', '10.0.0.1'],
      ['world', 'anyone'],
      ['auth', ''],
      ['super', 'super:secret'],
      ['sasl', 'bob'],
      ['x509', ''],
      ['ensemble', 'x'],
      ['', ''],
      ['Digest', 'bob:pw'],
    ] as const) {
      const client = await stage.connect();
      await authenticate(client, credentials, scheme);
      await client.do('whoAmI', undefined);
      await authenticate(client, 'second:identity');
      await authenticate(client, 'second:identity');
      await client.do('whoAmI', undefined);
    }
    for (const [label, xid, type, auth] of [
      ['null credentials', -4, 0, null],
      ['another type', -4, 7, Buffer.from('bob:pw')],
      ['an ordinary xid', 5, 0, Buffer.from('bob:pw')],
    ] as const) {
      const client = await stage.connect();
      stage.note('auth with', label);
      await client.do('auth', { type, scheme: 'digest', auth }, xid);
      await client.do('whoAmI', undefined);
    }
  },
};

const errorScenario: Scenario = {
  name: 'the zxid and the data of a reply to what is refused',
  run: async (stage) => {
    const client = await stage.connect();
    const gone = `${stage.root}/gone`;
    for (let round = 0; round < 3; round++) {
      await client.do('exists', { path: gone, watch: false });
      await client.do('setData', { path: gone, data: null, version: -1 });
      await client.do('ping', undefined, -2);
      await client.do('sync', { path: gone });
      await client.do('multi', [{ type: OpCode.check, request: { path: gone, version: ErrorCode.OK } }]);
      await client.do('getChildren', { path: gone, watch: true });
    }
  },
};

export const znodeScenarios: readonly Scenario[] = [
  countersScenario,
  pipelineScenario,
  sequenceScenario,
  ephemeralScenario,
  containerScenario,
  ...permissionScenarios,
  identityScenario,
  ...multiScenarios,
  multiReadScenario,
  multiTypesScenario,
  ...quotaScenarios,
  reservedScenario,
  whoScenario,
  errorScenario,
];
