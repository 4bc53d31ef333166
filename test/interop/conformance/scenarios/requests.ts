/** Requests by table: every operation with every kind of path, of flags, of versions, of ACLs and of malformed bytes. */
import {
  type Acl,
  CreateMode,
  JuteWriter,
  OPEN_ACL,
  OpCode,
  type Operation,
  operations,
  READ_ACL,
  ZERO_ZXID,
} from 'zookeeper-protocol-ts';
import type { Client, OperationName } from '../client.ts';
import type { Scenario } from '../scenario.ts';

export const DATA = Buffer.from('data');

/** Bytes as a function writes them: for what the codecs can't or won't write. */
export function bytes(write: (writer: JuteWriter) => void): Buffer {
  const writer = new JuteWriter();
  write(writer);
  return writer.take();
}

/** A body of each operation that names a znode, behind its path. */
const BEHIND_THE_PATH: readonly (readonly [OperationName, (writer: JuteWriter) => void])[] = [
  ['create', (writer) => writeCreation(writer, CreateMode.PERSISTENT)],
  ['create2', (writer) => writeCreation(writer, CreateMode.PERSISTENT)],
  ['createContainer', (writer) => writeCreation(writer, CreateMode.CONTAINER)],
  [
    'createTTL',
    (writer) => {
      writeCreation(writer, CreateMode.PERSISTENT_WITH_TTL);
      writer.writeLongFromNumber(60_000);
    },
  ],
  ['delete', (writer) => writer.writeInt(-1)],
  ['exists', (writer) => writer.writeBool(true)],
  ['getData', (writer) => writer.writeBool(true)],
  [
    'setData',
    (writer) => {
      writer.writeBuffer(DATA);
      writer.writeInt(-1);
    },
  ],
  ['getACL', () => undefined],
  [
    'setACL',
    (writer) => {
      writeAcl(writer, OPEN_ACL);
      writer.writeInt(-1);
    },
  ],
  ['getChildren', (writer) => writer.writeBool(true)],
  ['getChildren2', (writer) => writer.writeBool(true)],
  ['sync', () => undefined],
  ['check', (writer) => writer.writeInt(-1)],
  ['getEphemerals', () => undefined],
  ['getAllChildrenNumber', () => undefined],
  ['addWatch', (writer) => writer.writeInt(0)],
  ['removeWatches', (writer) => writer.writeInt(3)],
  ['checkWatches', (writer) => writer.writeInt(3)],
];

const writeAcl = (writer: JuteWriter, acl: readonly Acl[]): void =>
  writer.writeVector(acl, (to, { perms, id }) => {
    to.writeInt(perms);
    to.writeString(id.scheme);
    to.writeString(id.id);
  });

function writeCreation(writer: JuteWriter, flags: number): void {
  writer.writeBuffer(DATA);
  writeAcl(writer, OPEN_ACL);
  writer.writeInt(flags);
}

/** Below the scenario's root, where they start with `~`. */
const PATHS: readonly (string | null)[] = [
  null,
  '',
  'relative',
  '~',
  '~/',
  '~//a',
  '~/missing/a',
  '~/.',
  '~/..',
  '~/./a',
  '~/../a',
  '~/.hidden',
  '~/...',
  '~/with space',
  '~/nul\0',
  '~/\u0001',
  '~/tab\t',
  '~/\u007f',
  '~/\u009f',
  '~/\u00a0',
  '~/ż',
  '~/\ue000',
  '~/\uf8ff',
  '~/\ufff0',
  '~/\u{1f600}',
  '~/first',
  '~/first/',
  '~/first/second',
  '/zookeeper',
  '/zookeeper/',
  '/zookeeper/quota',
  '/zookeeper/config',
  '/zookeeper/config/a',
];

/** Reads of the whole tree would see what other scenarios left. */
const IS_ABOUT_THE_TREE = new Set<string | null>(['/', '', '/zookeeper', '/zookeeper/quota']);

const pathScenarios = BEHIND_THE_PATH.map(
  ([name, writeRest]): Scenario => ({
    name: `${name}: paths`,
    run: async (stage) => {
      let client = await stage.connect();
      for (const pattern of PATHS) {
        if (name === 'getAllChildrenNumber' && IS_ABOUT_THE_TREE.has(pattern)) continue;
        if (name === 'addWatch' && pattern === null) continue; // The original's watch table never recovers from it.
        client = await stage.alive(client);
        const body = bytes((writer) => {
          writer.writeString(pattern?.replace('~', stage.root) ?? null);
          writeRest(writer);
        });
        client.sendRaw(operations[name].opCode, body, `${name} ${JSON.stringify(pattern)}`);
        // The original never answers a check that holds.
        if (name !== 'check') await client.answered();
        await client.settle();
      }
    },
  }),
);

const FLAGS = [-2147483648, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 100, 2147483647];

export const flagScenarios = (['create', 'create2', 'createContainer', 'createTTL'] as const).map(
  (name): Scenario => ({
    name: `${name}: flags`,
    run: async (stage) => {
      const client = await stage.connect();
      for (const flags of FLAGS) {
        const request = { path: `${stage.root}/flags-${flags}-`, data: DATA, acl: OPEN_ACL, flags };
        if (name === 'createTTL') await client.do(name, { ...request, ttlMs: 60_000 });
        else await client.do(name, request);
      }
      await client.do('getChildren2', { path: stage.root, watch: false });
      for (const child of ['flags-0-', 'flags-1-', 'flags-4-', 'flags-5-']) {
        await client.do('exists', { path: `${stage.root}/${child}`, watch: false });
      }
    },
  }),
);

const ttlScenario: Scenario = {
  name: 'createTTL: times to live',
  run: async (stage) => {
    const client = await stage.connect();
    let count = 0;
    for (const ttlMs of [-1, 0, 1, 60_000, 0xff_ffff_fffe, 0xff_ffff_ffff, 0x100_0000_0000, Number.MIN_SAFE_INTEGER]) {
      for (const flags of [CreateMode.PERSISTENT_WITH_TTL, CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL]) {
        const path = `${stage.root}/ttl-${count++}-`;
        await client.do('createTTL', { path, data: null, acl: OPEN_ACL, flags, ttlMs });
      }
    }
  },
};

const VERSIONS = [-2147483648, -2, -1, 0, 1, 2, 2147483647];

const versionScenario: Scenario = {
  name: 'versions of data, of ACLs and of children',
  run: async (stage) => {
    const client = await stage.connect();
    for (const version of VERSIONS) {
      const path = `${stage.root}/v${version}`;
      await client.do('create', { path, data: DATA, acl: OPEN_ACL, flags: 0 });
      for (let round = 0; round < 3; round++) {
        await client.do('setData', { path, data: Buffer.from(`round ${round}`), version });
        await client.do('setACL', { path, acl: OPEN_ACL, version });
        await client.do('multi', [{ type: OpCode.check, request: { path, version } }]);
      }
      await client.do('getACL', { path });
      await client.do('delete', { path, version });
      await client.do('exists', { path, watch: false });
    }
    await client.do('setACL', { path: `${stage.root}/gone`, acl: OPEN_ACL, version: 5 });
    await client.do('setData', { path: `${stage.root}/gone`, data: null, version: 5 });
    await client.do('delete', { path: `${stage.root}/gone`, version: 5 });
  },
};

const one = (scheme: string | null, id: string | null, perms = 31): readonly Acl[] => [{ perms, id: { scheme, id } }];

const ACLS: readonly (readonly Acl[] | null)[] = [
  null,
  [],
  OPEN_ACL,
  [...OPEN_ACL, ...OPEN_ACL],
  [...READ_ACL, ...OPEN_ACL, ...READ_ACL],
  one('world', 'anyone', 0),
  one('world', 'anyone', 32),
  one('world', 'anyone', -1),
  one('world', 'anyone', 63),
  one('world', 'somebody'),
  one('world', ''),
  one('world', null),
  one(null, 'anyone'),
  one(null, null),
  one('', ''),
  one('World', 'anyone'),
  one('auth', ''),
  one('auth', 'ignored'),
  one('digest', 'bob:hash'),
  one('digest', 'bob'),
  one('digest', ''),
  one('digest', ':'),
  one('digest', 'bob:'),
  one('digest', ':hash'),
  one('digest', 'bob:hash:more'),
  one('ip', '127.0.0.1'),
  one('ip', '127.0.0.1/8'),
  one('ip', '127.0.0.1/0'),
  one('ip', '127.0.0.1/32'),
  one('ip', '127.0.0.1/33'),
  one('ip', '127.0.0.1/-1'),
  one('ip', '127.0.0.1/x'),
  one('ip', '127.0.0.1/'),
  one('ip', '127.0.0.1/8/8'),
  one('ip', '127.0.0'),
  one('ip', '256.0.0.1'),
  one('ip', 'localhost'),
  one('ip', ''),
  one('super', 'super:x'),
  one('sasl', 'bob'),
  one('x509', 'CN=bob'),
  one('unknown', 'x'),
  [...OPEN_ACL, ...one('unknown', 'x')],
  [...OPEN_ACL, ...one('digest', 'bob:hash', 1), ...one('ip', '10.0.0.0/8', 3)],
];

const aclScenarios = ([false, true] as const).map(
  (isAuthenticated): Scenario => ({
    name: `ACLs of create and setACL, ${isAuthenticated ? 'with two digests' : 'without authentication'}`,
    run: async (stage) => {
      const client = await stage.connect();
      const reader = await stage.connect();
      if (isAuthenticated) {
        await authenticate(client, 'bob:pw');
        await authenticate(client, 'ann:pw');
      }
      for (const [index, acl] of ACLS.entries()) {
        const path = `${stage.root}/acl-${index}`;
        const target = `${stage.root}/target-${index}`;
        await client.do('create', { path, data: null, acl, flags: 0 });
        await client.do('create', { path: target, data: null, acl: OPEN_ACL, flags: 0 });
        await client.do('setACL', { path: target, acl, version: -1 });
        for (const visitor of [client, reader]) {
          await visitor.do('getACL', { path });
          await visitor.do('getACL', { path: target });
        }
      }
    },
  }),
);

/** The administrator's credentials, and their digest for `superDigest`. */
export const SUPER = 'super:secret';
export const SUPER_DIGEST = 'super:lK75jTNcA+U9vtVEw5vB51mj/w4=';

/** In a scenario of their own: 3.8 refuses them all. */
const IPV6 = ['::1', '0:0:0:0:0:0:0:1', '::1/64', '::1/128', '::1/129', 'fe80::/10', '1:2', 'g::1'];

const ipv6Scenario: Scenario = {
  name: 'IPv6 addresses in ACLs',
  run: async (stage) => {
    const client = await stage.connect();
    for (const [index, id] of IPV6.entries()) {
      const request = { path: `${stage.root}/${index}`, data: null, acl: one('ip', id), flags: 0 };
      await client.do('multi', [
        { type: OpCode.create, request },
        // So that it is taken back in any case.
        { type: OpCode.check, request: { path: stage.root, version: 99 } },
      ]);
    }
  },
};

export const authenticate = (client: Client, credentials: string, scheme = 'digest'): Promise<void> =>
  client.do('auth', { type: 0, scheme, auth: Buffer.from(credentials) }, -4);

/** A whole body of each operation, to be cut short. */
const wholeBodies = (root: string): readonly (readonly [OperationName, Buffer])[] => {
  const path = `${root}/a`;
  const of = <Request>(operation: Operation<Request, unknown>, request: Request): Buffer =>
    bytes((writer) => operation.request.write(writer, request));
  const creation = { path, data: DATA, acl: OPEN_ACL, flags: 0 };
  const watches = { relativeZxid: ZERO_ZXID, dataWatches: [path], existWatches: [], childWatches: [path] };
  return [
    ['create', of(operations.create, creation)],
    ['create2', of(operations.create2, creation)],
    ['createContainer', of(operations.createContainer, { ...creation, flags: 4 })],
    ['createTTL', of(operations.createTTL, { ...creation, flags: 5, ttlMs: 60_000 })],
    ['delete', of(operations.delete, { path, version: 0 })],
    ['exists', of(operations.exists, { path, watch: true })],
    ['getData', of(operations.getData, { path, watch: true })],
    ['setData', of(operations.setData, { path, data: DATA, version: 0 })],
    ['getACL', of(operations.getACL, { path })],
    ['setACL', of(operations.setACL, { path, acl: OPEN_ACL, version: 0 })],
    ['getChildren', of(operations.getChildren, { path, watch: true })],
    ['getChildren2', of(operations.getChildren2, { path, watch: true })],
    ['sync', of(operations.sync, { path })],
    ['multi', of(operations.multi, [{ type: OpCode.create, request: creation }])],
    ['multiRead', of(operations.multiRead, [{ type: OpCode.getData, request: { path, watch: false } }])],
    ['checkWatches', of(operations.checkWatches, { path, type: 3 })],
    ['removeWatches', of(operations.removeWatches, { path, type: 3 })],
    ['setWatches', of(operations.setWatches, watches)],
    [
      'setWatches2',
      of(operations.setWatches2, { ...watches, persistentWatches: [path], persistentRecursiveWatches: [] }),
    ],
    ['getEphemerals', of(operations.getEphemerals, { prefixPath: path })],
    ['getAllChildrenNumber', of(operations.getAllChildrenNumber, { path })],
    ['addWatch', of(operations.addWatch, { path, mode: 0 })],
  ];
};

const truncationScenarios = wholeBodies('').map(
  ([name], index): Scenario => ({
    name: `${name}: a body that is cut short, or too long`,
    run: async (stage) => {
      let client = await stage.connect();
      const [, body] = wholeBodies(stage.root)[index] ?? ['', Buffer.alloc(0)];
      const { opCode } = operations[name];
      // Every third byte hits every field, most of them at their edges too.
      for (let length = 0; length < body.length; length += length < 8 ? 1 : 3) {
        client = await stage.alive(client);
        await client.doRaw(opCode, body.subarray(0, length), `${name}, ${length - body.length}`);
      }
      client = await stage.alive(client);
      await client.doRaw(opCode, body, `${name}, whole`);
      await client.doRaw(opCode, Buffer.concat([body, Buffer.alloc(7)]), `${name}, and 7 bytes more`);
      for (const length of [-2147483648, -2, 0x7fffffff, 0x00ffffff]) {
        client = await stage.alive(client);
        const broken = Buffer.from(body);
        broken.writeInt32BE(length, 0);
        await client.doRaw(opCode, broken, `${name}, first int ${length}`);
      }
    },
  }),
);

const vectorScenario: Scenario = {
  name: 'lengths and counts that are not there',
  run: async (stage) => {
    let client = await stage.connect();
    const path = `${stage.root}/a`;
    for (const count of [-2147483648, -2, -1, 0, 2, 0x00ffffff]) {
      client = await stage.alive(client);
      const acl = bytes((writer) => {
        writer.writeString(path);
        writer.writeInt(count);
        writer.writeInt(31);
        writer.writeString('world');
        writer.writeString('anyone');
        writer.writeInt(-1);
      });
      await client.doRaw(OpCode.setACL, acl, `setACL of a vector of ${count}`);
      client = await stage.alive(client);
      const data = bytes((writer) => {
        writer.writeString(path);
        writer.writeInt(count);
        writer.writeInt(-1);
      });
      await client.doRaw(OpCode.setData, data, `setData of a buffer of ${count}`);
      client = await stage.alive(client);
      const watches = bytes((writer) => {
        writer.writeLong(0n);
        for (let i = 0; i < 3; i++) writer.writeInt(count);
      });
      await client.doRaw(OpCode.setWatches, watches, `setWatches of vectors of ${count}`);
    }
  },
};

const emptyDataScenario: Scenario = {
  name: 'null, empty and large data',
  run: async (stage) => {
    const client = await stage.connect();
    const path = `${stage.root}/data`;
    await client.do('create2', { path, data: null, acl: OPEN_ACL, flags: 0 });
    await client.do('getData', { path, watch: false });
    for (const data of [Buffer.alloc(0), null, Buffer.alloc(500_000, 'x'), Buffer.of(0, 255, 128)]) {
      await client.do('setData', { path, data, version: -1 });
      await client.do('getData', { path, watch: false });
    }
  },
};

export const requestScenarios: readonly Scenario[] = [
  ...pathScenarios,
  ...flagScenarios,
  ttlScenario,
  versionScenario,
  ...aclScenarios,
  ipv6Scenario,
  ...truncationScenarios,
  vectorScenario,
  emptyDataScenario,
];
