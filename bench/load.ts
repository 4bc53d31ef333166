/**
 * A load generator for any server that speaks ZooKeeper's client protocol: real sessions, a window of requests in flight on each,
 * replies checked for their order and their error codes. One thread, requests of one turn in one write: it costs a fraction of
 * what a server spends on the same requests.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  CreateMode,
  connectRequest,
  connectResponse,
  FrameReader,
  JuteReader,
  JuteWriter,
  NO_SESSION,
  OPEN_ACL,
  type Operation,
  operations,
  replyHeader,
  SpecialXid,
  ZERO_ZXID,
} from 'zookeeper-protocol-ts';

export type LoadOperation = 'get' | 'set' | 'create';

export interface LoadOptions {
  readonly port: number;
  readonly operation: LoadOperation;
  readonly connections: number;
  /** Requests in flight on each connection. */
  readonly window: number;
  readonly seconds: number;
  /** Before anything is counted. */
  readonly warmUpSeconds: number;
}

export interface LoadResult {
  readonly operationsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The longest time without any reply. */
  readonly gapMs: number;
}

export const ZNODES = 1000;
export const VALUE = Buffer.alloc(100, 'v');
const ROOT = '/bench';
const FRAME_BYTES_MAX = 64 * 1024 * 1024;

/** A request as it leaves, but for its xid. */
const frameOf = <Request>(operation: Operation<Request, unknown>, request: Request): Buffer => {
  const writer = new JuteWriter();
  const frame = writer.startFrame();
  writer.writeInt(0);
  writer.writeInt(operation.opCode);
  operation.request.write(writer, request);
  writer.endFrame(frame);
  return Buffer.from(writer.take());
};

const znode = (i: number): string => `${ROOT}/n${i}`;

const frames: Record<LoadOperation, (i: number) => Buffer> = {
  get: (i) => frameOf(operations.getData, { path: znode(i), watch: false }),
  set: (i) => frameOf(operations.setData, { path: znode(i), data: VALUE, version: -1 }),
  // All create below the same few parents; the server numbers them.
  create: (i) =>
    frameOf(operations.create, {
      path: `${znode(i % 10)}/c-`,
      data: VALUE,
      acl: OPEN_ACL,
      flags: CreateMode.PERSISTENT_SEQUENTIAL,
    }),
};

/** A session that keeps a window of requests in flight. */
export class LoadConnection {
  readonly #socket: Socket;
  readonly #frames = new FrameReader({ frameBytesMax: FRAME_BYTES_MAX });
  /** When the requests in flight were sent, a ring by xid. */
  readonly #sentAt: Float64Array;
  #next: (() => Buffer | undefined) | undefined;
  #xid = 0;
  #answered = 0;
  #onReply: (latencyMs: number) => void = () => undefined;
  #joined: (() => void) | undefined;
  /** Called for each watch event. */
  onEvent: () => void = () => undefined;

  private constructor(socket: Socket, window: number) {
    this.#socket = socket;
    this.#sentAt = new Float64Array(window);
    socket.setNoDelay(true);
    socket.on('data', (bytes) => this.#onBytes(bytes));
  }

  static async open(port: number, { window = 1, timeoutMs = 30_000 } = {}): Promise<LoadConnection> {
    const socket = connect({ host: '127.0.0.1', port });
    await once(socket, 'connect');
    const connection = new LoadConnection(socket, window);
    const writer = new JuteWriter();
    const frame = writer.startFrame();
    const password = Buffer.alloc(16);
    connectRequest.write(writer, {
      protocolVersion: 0,
      lastZxidSeen: ZERO_ZXID,
      timeoutMs,
      sessionId: NO_SESSION,
      password,
      readOnly: false,
    });
    writer.endFrame(frame);
    await new Promise<void>((resolve) => {
      connection.#joined = resolve;
      socket.write(writer.take());
    });
    return connection;
  }

  /** Keeps the window full until {@link stop}, or until there is no next request. */
  start(next: () => Buffer | undefined, onReply: (latencyMs: number) => void): void {
    this.#next = next;
    this.#onReply = onReply;
    this.#send(this.#sentAt.length);
  }

  /** Sends these, a window at a time, and resolves when all were answered. */
  async sendAll(requests: Iterable<Buffer>): Promise<void> {
    const iterator = requests[Symbol.iterator]();
    let next = iterator.next();
    await new Promise<void>((resolve) => {
      const take = (): Buffer | undefined => {
        const { done, value } = next;
        if (done) return undefined;
        next = iterator.next();
        return value;
      };
      this.start(take, () => {
        if (next.done && this.#answered + 1 === this.#xid) resolve();
      });
    });
    this.#next = undefined;
  }

  /** Sends nothing more, and resolves when everything was answered. */
  async stop(): Promise<void> {
    this.#next = undefined;
    while (this.#answered < this.#xid) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  close(): void {
    this.#socket.destroy();
  }

  #send(count: number): void {
    if (this.#next === undefined) return;
    const now = performance.now();
    const requests: Buffer[] = [];
    for (let i = 0; i < count; i++) {
      const next = this.#next();
      if (next === undefined) break;
      const request = Buffer.from(next);
      this.#sentAt[this.#xid % this.#sentAt.length] = now;
      request.writeInt32BE(++this.#xid, 4);
      requests.push(request);
    }
    if (requests.length === 0) return;
    this.#socket.write(requests.length === 1 ? (requests[0] as Buffer) : Buffer.concat(requests));
  }

  #onBytes(bytes: Buffer): void {
    this.#frames.push(bytes);
    let replies = 0;
    const now = performance.now();
    for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next()) {
      if (this.#joined !== undefined) {
        if (connectResponse.read(new JuteReader(frame)).sessionId === NO_SESSION) throw new Error('no session');
        this.#joined();
        this.#joined = undefined;
        continue;
      }
      const { xid, err } = replyHeader.read(new JuteReader(frame));
      if (xid === SpecialXid.notification) {
        this.onEvent();
        continue;
      }
      if (xid !== this.#answered + 1) throw new Error(`a reply to ${xid} where ${this.#answered + 1} was due`);
      if (err !== 0) throw new Error(`error ${err}`);
      this.#onReply(now - (this.#sentAt[this.#answered % this.#sentAt.length] ?? now));
      this.#answered++;
      replies++;
    }
    if (replies > 0) this.#send(replies);
  }
}

/** Sends these requests, a window at a time, and resolves when all were answered. */
export async function sendAll(port: number, requests: Iterable<Buffer>, { window = 100 } = {}): Promise<void> {
  const connection = await LoadConnection.open(port, { window });
  await connection.sendAll(requests);
  connection.close();
}

/** Makes the znodes that the load works on. */
export async function prepare(port: number): Promise<void> {
  await sendAll(port, [createRequest(ROOT), ...Array.from({ length: ZNODES }, (_, i) => createRequest(znode(i)))]);
}

export const createRequest = (path: string): Buffer =>
  frameOf(operations.create, { path, data: VALUE, acl: OPEN_ACL, flags: CreateMode.PERSISTENT });

export const setRequest = (path: string): Buffer => frameOf(operations.setData, { path, data: VALUE, version: -1 });

export const watchRequest = (path: string): Buffer => frameOf(operations.getData, { path, watch: true });

/** Runs the load and measures it. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const requests = Array.from({ length: ZNODES }, (_, i) => frames[options.operation](i));
  const connections = await Promise.all(
    Array.from({ length: options.connections }, () => LoadConnection.open(options.port, options)),
  );
  const latencies: number[] = [];
  let counting = false;
  let operationCount = 0;
  let lastReply = 0;
  let gapMs = 0;
  // A prime step, so that all znodes are visited, and neighbours are not.
  let i = 0;
  const nextRequest = (): Buffer => {
    i = (i + 7919) % ZNODES;
    return requests[i] as Buffer;
  };
  for (const connection of connections) {
    connection.start(nextRequest, (latencyMs) => {
      if (!counting) return;
      operationCount++;
      // One in eight is enough for percentiles.
      if ((operationCount & 7) === 0) latencies.push(latencyMs);
      const now = performance.now();
      if (now - lastReply > gapMs) gapMs = now - lastReply;
      lastReply = now;
    });
  }
  await new Promise((resolve) => setTimeout(resolve, options.warmUpSeconds * 1000));
  lastReply = performance.now();
  counting = true;
  const startedAt = performance.now();
  await new Promise((resolve) => setTimeout(resolve, options.seconds * 1000));
  counting = false;
  const seconds = (performance.now() - startedAt) / 1000;
  await Promise.all(connections.map((connection) => connection.stop()));
  for (const connection of connections) connection.close();
  latencies.sort((a, b) => a - b);
  const percentile = (p: number): number => latencies[Math.floor((latencies.length - 1) * p)] ?? Number.NaN;
  return { operationsPerSecond: operationCount / seconds, p50Ms: percentile(0.5), p99Ms: percentile(0.99), gapMs };
}
