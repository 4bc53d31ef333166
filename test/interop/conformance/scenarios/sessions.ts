/** Sessions and connections: what is granted, what is refused, what closes a connection. */
import { NO_SESSION, OPEN_ACL, OpCode, toSessionId, toZxid } from 'zookeeper-protocol-ts';
import type { Scenario } from '../scenario.ts';
import { bytes } from './requests.ts';
import { create } from './znodes.ts';

const timeoutScenario: Scenario = {
  name: 'session timeouts',
  run: async (stage) => {
    for (const timeoutMs of [-2147483648, -1, 0, 1, 999, 1000, 1001, 9999, 10_000, 10_001, 2147483647]) {
      const client = await stage.connect({ timeoutMs });
      if (client.sessionId !== NO_SESSION) await client.do('ping', undefined, -2);
    }
  },
};

const versionScenario: Scenario = {
  name: 'protocol versions, the byte of old clients, read-only clients',
  run: async (stage) => {
    for (const protocolVersion of [-1, 0, 1, 99]) await stage.connect({ protocolVersion });
    for (const readOnly of [undefined, true, false]) {
      const client = await stage.connect({ readOnly });
      await create(client, `${stage.root}/by-${readOnly}`);
    }
  },
};

interface ConnectFields {
  readonly lastZxid?: bigint;
  readonly password?: Buffer | null;
  /** What comes behind the password: the byte readOnly, and more. */
  readonly rest?: Buffer;
}

/** A connect request field by field; what isn't said is that of a new session. */
const connectBytes = ({ lastZxid = 0n, password = Buffer.alloc(16), rest = Buffer.alloc(1) }: ConnectFields = {}) =>
  bytes((writer) => {
    writer.writeInt(0);
    writer.writeLong(lastZxid);
    writer.writeInt(10_000);
    writer.writeLong(0n);
    writer.writeBuffer(password);
    writer.writeRaw(rest);
  });

const requestScenario: Scenario = {
  name: 'connect requests that are odd or broken',
  run: async (stage) => {
    const whole = connectBytes();
    for (const [label, body] of [
      ['with password null', connectBytes({ password: null })],
      ['with an empty password', connectBytes({ password: Buffer.alloc(0) })],
      ['with a password of 4 bytes', connectBytes({ password: Buffer.alloc(4) })],
      ['with a password of 100 bytes', connectBytes({ password: Buffer.alloc(100) })],
      ['with 10 bytes more', connectBytes({ rest: Buffer.alloc(11) })],
      ['with readOnly 7', connectBytes({ rest: Buffer.of(7) })],
      ['having seen the future', connectBytes({ lastZxid: 0x7fffffffffffn })],
      ['having seen a negative zxid', connectBytes({ lastZxid: -5n })],
      ...[0, 4, 12, 16, 24, 27, 28, 36, 43].map(
        (length) => [`cut after ${length}`, whole.subarray(0, length)] as const,
      ),
    ] as const) {
      const client = await stage.open();
      await client.connectRaw(body, label);
      await client.settle();
    }
  },
};

const frameScenario: Scenario = {
  name: 'frames of impossible lengths',
  run: async (stage) => {
    for (const length of [-2147483648, -1, 0x100000, 0x7fffffff]) {
      const prefix = Buffer.alloc(4);
      prefix.writeInt32BE(length);
      const stranger = await stage.open();
      stranger.write(prefix);
      stage.note('a first frame of', String(length));
      await stranger.untilClosed();
      const client = await stage.connect();
      stage.note('a later frame of', String(length));
      client.write(prefix);
      await client.untilClosed();
    }
  },
};

const shortFrameScenario: Scenario = {
  name: 'frames without a whole header, and the largest frame',
  run: async (stage) => {
    for (const length of [0, 1, 4, 7]) {
      const client = await stage.connect();
      stage.note('a frame of', String(length));
      client.writeFrame(Buffer.alloc(length));
      await client.untilClosed();
    }
    for (const excess of [0, 1]) {
      const client = await stage.connect();
      const path = `${stage.root}/large${excess}`;
      // Header, path, data, ACL and flags fill the frame to its limit.
      const size = 0xfffff - 8 - (4 + path.length) - 4 - 4 - (4 + 4 + 5 + 4 + 6) - 4 + excess;
      client.send('create', { path, data: Buffer.alloc(size), acl: OPEN_ACL, flags: 0 });
      if (excess === 0) await client.settle();
      else await client.untilClosed();
    }
  },
};

const attachScenario: Scenario = {
  name: 'coming back to a session: right and wrong passwords, strange ids, another timeout',
  run: async (stage) => {
    const client = await stage.connect();
    await create(client, `${stage.root}/e`, { flags: 1 });
    await client.drop();
    const back = await stage.reattach(client, { timeoutMs: 3000 });
    await back.do('exists', { path: `${stage.root}/e`, watch: false });
    await back.drop();
    for (const password of [Buffer.alloc(16), Buffer.alloc(4), Buffer.alloc(0), null]) {
      const thief = await stage.reattach(client, { password });
      await thief.untilClosed();
    }
    const ahead = await stage.reattach(client, { lastZxidSeen: toZxid(0x7fff_ffff_ffffn) });
    await ahead.untilClosed();
    for (const sessionId of [1n, -1n, 0x7fffffffffffffffn, -0x8000000000000000n]) {
      const stranger = await stage.connect({ sessionId: toSessionId(sessionId) });
      await stranger.untilClosed();
    }
    const again = await stage.reattach(client);
    await again.do('getEphemerals', { prefixPath: '/' });
    await again.closeSession();
    const late = await stage.reattach(client);
    await late.untilClosed();
  },
};

const stolenScenario: Scenario = {
  name: 'a wrong password beside a connection of the session',
  run: async (stage) => {
    const client = await stage.connect();
    const thief = await stage.reattach(client, { password: Buffer.alloc(16) });
    await thief.untilClosed();
    await client.settle();
  },
};

const moveScenario: Scenario = {
  name: 'a second connection of a session ends the first',
  run: async (stage) => {
    const client = await stage.connect();
    await create(client, `${stage.root}/e`, { flags: 1 });
    const second = await stage.reattach(client);
    await client.untilClosed();
    await second.do('exists', { path: `${stage.root}/e`, watch: false });
    await create(second, `${stage.root}/e2`, { flags: 1 });
    const third = await stage.reattach(second);
    await second.untilClosed();
    await third.do('getEphemerals', { prefixPath: '/' });
  },
};

const closeScenario: Scenario = {
  name: 'closing a session behind other requests, and requests behind it',
  run: async (stage) => {
    const client = await stage.connect();
    const path = `${stage.root}/e`;
    for (let i = 0; i < 5; i++) {
      client.send('create', { path: path + i, data: null, acl: OPEN_ACL, flags: 1 });
      client.send('exists', { path: path + i, watch: i === 2 });
    }
    client.send('delete', { path: `${path}3`, version: -1 });
    await client.closeSession();
    const witness = await stage.connect();
    await witness.do('getChildren2', { path: stage.root, watch: false });
    const late = await stage.reattach(client);
    await late.untilClosed();
  },
};

const twiceScenario: Scenario = {
  name: 'connecting twice on one connection',
  run: async (stage) => {
    const client = await stage.connect();
    client.writeFrame(connectBytes());
    await client.untilClosed();
  },
};

const xidScenario: Scenario = {
  name: 'xids are echoed, whatever they are',
  run: async (stage) => {
    const client = await stage.connect();
    for (const xid of [0, 1, 1, -3, -5, -8, -100, 2147483647, -2147483648]) {
      await client.do('exists', { path: stage.root, watch: false }, xid);
      await client.do('setData', { path: stage.root, data: null, version: -1 }, xid);
    }
    await client.do('ping', undefined, -2);
  },
};

const pingScenario: Scenario = {
  name: 'a ping under an ordinary xid',
  run: async (stage) => {
    const client = await stage.connect();
    client.send('ping', undefined, 7);
    await client.settle();
    await client.settle();
  },
};

const codeScenario: Scenario = {
  name: 'operation codes that nobody knows',
  run: async (stage) => {
    for (const type of [
      -2147483648,
      -12,
      -2,
      10,
      23,
      24,
      99,
      108,
      1000,
      2147483647,
      OpCode.error,
      OpCode.notification,
    ]) {
      const client = await stage.connect();
      client.sendRaw(type, Buffer.alloc(0), `code ${type}`);
      await client.untilClosed();
    }
  },
};

const internalScenarios = (['deleteContainer', 'createSession'] as const).map(
  (name): Scenario => ({
    name: `an operation code that is a server's own: ${name}`,
    run: async (stage) => {
      const client = await stage.connect();
      client.sendRaw(OpCode[name], Buffer.alloc(12), name);
      await client.settle();
    },
  }),
);

const saslScenario: Scenario = {
  name: 'SASL where none is configured',
  run: async (stage) => {
    for (const token of [Buffer.alloc(0), Buffer.from('x')]) {
      const client = await stage.connect();
      await client.do('sasl', { token });
    }
  },
};

const saslNullScenario: Scenario = {
  name: 'SASL without a token',
  run: async (stage) => {
    const client = await stage.connect();
    await client.do('sasl', { token: null });
  },
};

const checkScenario: Scenario = {
  name: 'check outside of a multi',
  run: async (stage) => {
    const client = await stage.connect();
    client.send('check', { path: stage.root, version: 0 });
    client.send('check', { path: stage.root, version: 1 });
    client.send('check', { path: `${stage.root}/gone`, version: -1 });
    client.send('check', { path: 'bad', version: -1 });
    await client.settle();
  },
};

export const sessionScenarios: readonly Scenario[] = [
  timeoutScenario,
  versionScenario,
  requestScenario,
  frameScenario,
  shortFrameScenario,
  attachScenario,
  stolenScenario,
  moveScenario,
  closeScenario,
  twiceScenario,
  xidScenario,
  pingScenario,
  codeScenario,
  ...internalScenarios,
  saslScenario,
  saslNullScenario,
  checkScenario,
];
