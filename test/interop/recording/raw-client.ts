import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/**
 * Frames that the real clients don't send, built by hand so that our codecs have no part in them: the handshake of clients
 * before 3.4, sessions resumed and refused, operations outside of what client libraries allow, and malformed bodies.
 */

const Type = {
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  getACL: 6,
  getChildren: 8,
  ping: 11,
  check: 13,
  multi: 14,
  create2: 15,
  removeWatches: 18,
  multiRead: 22,
  auth: 100,
  setWatches: 101,
  getEphemerals: 103,
  setWatches2: 105,
  addWatch: 106,
  closeSession: -11,
} as const;

/** The ACL vector of world:anyone with all permissions. */
const EVERYONE = [int(1), int(31), string('world'), string('anyone')];

/** Frames that are as the protocol says, whatever the server thinks of what they ask. */
export async function sendUnusual(port: number): Promise<void> {
  await sendAsOldClient(port);
  await resumeSessions(port);
  await sendOddOperations(port);
  await sendUnknownOperation(port);
}

/** Bodies that the server refuses as malformed: each of these requests is answered with MARSHALLING_ERROR. */
export async function sendMalformed(port: number): Promise<void> {
  const client = await RawClient.open(port);
  await client.startSession();
  await client.request(Type.getData, []);
  await client.request(Type.getData, [int(2), Buffer.from('/')]);
  await client.request(Type.exists, [int(-2), Buffer.from('/a')]);
  await client.request(Type.getChildren, [int(0x7fff_ffff), Buffer.from('/')]);
  await client.request(Type.create, [string('/malformed'), int(5), Buffer.from('abc')]);
  await client.request(Type.setData, [string('/')]);
  await client.request(Type.delete, [string('/'), Buffer.from([0, 0])]);
  // A list without its last header, and an operation that has no place in one.
  await client.request(Type.multi, [multiHeader(Type.check), string('/'), int(-1)]);
  await client.request(Type.multi, [multiHeader(Type.getACL), string('/'), lastMultiHeader()]);
  await client.endSession();
}

/** An ACL with a character beyond U+FFFF, which Java writes as two surrogates of three bytes each. */
export async function sendSurrogates(port: number): Promise<void> {
  const client = await RawClient.open(port);
  await client.startSession();
  const acl = [int(2), int(31), string('digest'), string('🐘:x'), int(1), string('world'), string('anyone')];
  await client.request(Type.create, [string('/elephant'), buffer(''), ...acl, int(0)]);
  await client.request(Type.getACL, [string('/elephant')]);
  await client.endSession();
}

/** Up to 3.3: the handshake without the byte for read-only. */
async function sendAsOldClient(port: number): Promise<void> {
  const client = await RawClient.open(port);
  await client.startSession({ readOnly: undefined });
  await client.request(Type.create, [string('/raw'), buffer('raw'), ...EVERYONE, int(0)]);
  await client.endSession();
}

async function resumeSessions(port: number): Promise<void> {
  const first = await RawClient.open(port);
  const session = await first.startSession();
  // A client that comes back presents its session, here with the highest zxid that it has seen.
  const second = await RawClient.open(port);
  await second.startSession({ ...session, lastZxidSeen: 1n });
  await second.request(Type.exists, [string('/raw'), bool(false)]);
  // Refused with all zeros, and closed: a session that never was, and a wrong password. The latter also closes the
  // connection that has the session, because the server looks at the password after that.
  for (const refused of [
    { id: 0x0100_0000_0000_0042n, password: Buffer.alloc(16) },
    { ...session, password: Buffer.alloc(16, 7) },
  ]) {
    const stranger = await RawClient.open(port);
    await stranger.startSession(refused);
    await stranger.closed();
  }
  await second.closed();
  first.destroy();
}

async function sendOddOperations(port: number): Promise<void> {
  const client = await RawClient.open(port);
  await client.startSession();
  await client.request(Type.create, [string('/raw/null'), int(-1), ...EVERYONE, int(0)]);
  await client.request(Type.getData, [string('/raw/null'), bool(false)]);
  await client.request(Type.setData, [string('/raw/null'), int(-1), int(0)]);
  await client.request(Type.create2, [string('/raw/no-acl'), buffer(''), int(-1), int(0)]);
  await client.request(Type.create2, [string('/raw/bad-flags'), buffer(''), ...EVERYONE, int(9)]);
  await client.request(Type.exists, [string('/raw\0'), bool(false)]);
  // Outside a multi, a server of 3.8 refuses a check that fails, and never answers one that holds.
  await client.request(Type.check, [string('/raw'), int(7)]);
  await client.request(Type.multi, [
    multiHeader(Type.create2),
    ...[string('/raw/multi'), buffer('m'), ...EVERYONE, int(0)],
    multiHeader(Type.setData),
    ...[string('/raw/multi'), int(-1), int(0)],
    multiHeader(Type.delete),
    ...[string('/raw/multi'), int(1)],
    lastMultiHeader(),
  ]);
  await client.request(Type.multi, [lastMultiHeader()]);
  await client.request(Type.multiRead, [lastMultiHeader()]);
  await client.request(Type.getEphemerals, [int(-1)]);
  await client.request(Type.getEphemerals, [string('')]);
  await client.request(Type.removeWatches, [string('/raw'), int(3)]);
  await client.request(Type.addWatch, [string('/raw'), int(9)]);
  // As the C and Python clients number them.
  const nothing = [int(0), int(0), int(0)];
  await client.request(Type.setWatches, [long(0n), int(1), string('/raw/missing'), int(0), int(0)], -8);
  await client.request(Type.setWatches2, [long(0n), ...nothing, int(1), string('/raw'), int(1), string('/')], -8);
  await client.request(Type.ping, [], -2);
  await client.request(Type.auth, [int(0), string('digest'), buffer('bob:pw')], -4);
  await client.endSession();
}

async function sendUnknownOperation(port: number): Promise<void> {
  const client = await RawClient.open(port);
  await client.startSession();
  await client.request(999, []);
  await client.closed();
}

interface RawSession {
  readonly id: bigint;
  readonly password: Buffer;
}

const REPLY_TIMEOUT_MS = 10_000;

/** Sends one frame at a time and waits until something comes back. */
class RawClient {
  readonly #socket: Socket;
  readonly #closed: Promise<unknown>;
  #xid = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#closed = once(socket, 'close');
  }

  static async open(port: number): Promise<RawClient> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  /** Sends the handshake, for a new session if none is given, and returns the session of the reply. */
  async startSession(
    options: Partial<RawSession> & { lastZxidSeen?: bigint; readOnly?: boolean | undefined } = {},
  ): Promise<RawSession> {
    const { id = 0n, password = Buffer.alloc(16), lastZxidSeen = 0n } = options;
    const readOnly = 'readOnly' in options ? options.readOnly : false;
    const fields = [int(0), long(lastZxidSeen), int(4000), long(id), buffer(password)];
    const reply = await this.#send(readOnly === undefined ? fields : [...fields, bool(readOnly)]);
    return { id: reply.readBigInt64BE(12), password: reply.subarray(24, 40) };
  }

  async request(type: number, body: Buffer[], xid = ++this.#xid): Promise<void> {
    await this.#send([int(xid), int(type), ...body]);
  }

  async endSession(): Promise<void> {
    await this.request(Type.closeSession, []);
    await this.closed();
  }

  async closed(): Promise<void> {
    await this.#closed;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async #send(fields: Buffer[]): Promise<Buffer> {
    const body = Buffer.concat(fields);
    const reply = once(this.#socket, 'data', { signal: AbortSignal.timeout(REPLY_TIMEOUT_MS) });
    this.#socket.write(Buffer.concat([int(body.length), body]));
    const [bytes] = await reply;
    return bytes;
  }
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function long(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}

function bool(value: boolean): Buffer {
  return Buffer.from([value ? 1 : 0]);
}

function buffer(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([int(bytes.length), bytes]);
}

function string(value: string): Buffer {
  return buffer(value);
}

function multiHeader(type: number): Buffer {
  return Buffer.concat([int(type), bool(false), int(-1)]);
}

function lastMultiHeader(): Buffer {
  return Buffer.concat([int(-1), bool(true), int(-1)]);
}
