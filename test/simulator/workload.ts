/**
 * Clients of an ensemble that speak the real protocol and write down what they did and what they were told, for the checkers. A
 * client has one session at a time, moves it between servers, leaves it behind now and then, and has several requests under way.
 */
import {
  CreateMode,
  connectRequest,
  connectResponse,
  FrameReader,
  JuteReader,
  JuteWriter,
  NO_SESSION,
  OPEN_ACL,
  OpCode,
  type Operation,
  operations,
  replyHeader,
  type SessionId,
  SpecialXid,
  type Stat,
  toXid,
  watcherEvent,
  type Xid,
  ZERO_ZXID,
  type Zxid,
} from 'zookeeper-protocol-ts';
import type { Process } from './process.ts';
import { SeededRandom } from './random.ts';

export type Request =
  | { readonly kind: 'create'; readonly path: string; readonly data: string; readonly mode: CreateMode }
  | { readonly kind: 'delete'; readonly path: string }
  | { readonly kind: 'set'; readonly path: string; readonly data: string; readonly version: number }
  /** Sets two znodes, or none. */
  | { readonly kind: 'multi'; readonly paths: readonly [string, string]; readonly data: string }
  | { readonly kind: 'get'; readonly path: string; readonly watch: boolean }
  | { readonly kind: 'children'; readonly path: string }
  | { readonly kind: 'sync' }
  | { readonly kind: 'close' };

/** What a reply says, as far as it is checked. */
export interface Answer {
  readonly path?: string;
  readonly data?: string;
  readonly stat?: Stat;
  readonly children?: readonly string[];
  readonly isRefused?: boolean;
}

export type Outcome =
  | { readonly kind: 'pending' }
  | { readonly kind: 'replied'; readonly zxid: Zxid; readonly err: number; readonly answer: Answer }
  /** The connection ended: it may have happened. */
  | { readonly kind: 'unknown' };

export interface Call {
  readonly request: Request;
  readonly session: SessionId;
  readonly xid: Xid;
  /** The highest zxid of any write that anybody had been told of when this was called. */
  readonly floor: Zxid;
  outcome: Outcome;
}

/** What one connection brought, in order. */
export interface Attachment {
  readonly session: SessionId;
  /** The paths that the client watched on its last connection, and set watches on again, and the last zxid that it had seen. */
  readonly carried: { readonly paths: readonly string[]; readonly since: Zxid };
  readonly items: Item[];
}

export type Item =
  | { readonly kind: 'reply'; readonly call: Call }
  | { readonly kind: 'event'; readonly path: string; readonly type: number }
  /** The carried watches are set. */
  | { readonly kind: 'rewatched'; readonly zxid: Zxid }
  /** Nobody has asked for anything for long, and the history ends here. */
  | { readonly kind: 'rested'; readonly zxid: Zxid };

/** What all clients have seen. */
export class Records {
  readonly calls: Call[] = [];
  readonly attachments: Attachment[] = [];
  /** Sessions that a server said are gone. */
  readonly expired: SessionId[] = [];
  maxAcked: Zxid = ZERO_ZXID;
}

const PATHS = 10;
const WRITES: readonly Request['kind'][] = ['create', 'delete', 'set', 'multi'];

export const isWrite = ({ kind }: Request): boolean => WRITES.includes(kind);

/** After each request, whether there is another one in the same turn. */
const GO_ON_RATE = 0.8;

/** How many requests a client sends in a turn, on average. */
export const operationsPerTurn = (window: number): number =>
  (GO_ON_RATE * (1 - GO_ON_RATE ** window)) / (1 - GO_ON_RATE);

export interface WorkloadClientOptions {
  readonly servers: readonly string[];
  readonly records: Records;
  readonly seed: number;
  readonly sessionTimeoutMs: number;
  /** Requests under way at a time. */
  readonly window: number;
  /** How often it goes to another server, with requests under way, instead of asking for something. */
  readonly moveRate: number;
  /** The longest pause between two requests. */
  readonly thinkMs: number;
}

type Status =
  | { readonly kind: 'away' }
  | { readonly kind: 'connecting'; readonly frames: FrameReader }
  | { readonly kind: 'attached'; readonly frames: FrameReader; readonly attachment: Attachment }
  | { readonly kind: 'ended' };

export class WorkloadClient {
  readonly #process: Process;
  readonly #options: WorkloadClientOptions;
  readonly #random: SeededRandom;
  #status: Status = { kind: 'away' };
  #connection: { write(bytes: Uint8Array): void; close(): void } | undefined;
  /** Counts connections, so that nothing of an earlier one reaches a later one. */
  #connections = 0;
  #session: { readonly id: SessionId; readonly password: Uint8Array } | undefined;
  #lastZxid: Zxid = ZERO_ZXID;
  #xid = 0;
  #heardAt = 0;
  #sent: Call[] = [];
  /** Paths with a watch that has not told yet. */
  readonly #watched = new Set<string>();
  #isMoving = false;
  #isResting = false;
  /** When that began. */
  #restsSince = 0;
  #isStopping = false;
  #values = 0;

  constructor(process: Process, options: WorkloadClientOptions) {
    this.#process = process;
    this.#options = options;
    this.#random = new SeededRandom(options.seed, `${process.name}/workload`);
    process.clock.after(this.#below(50), () => this.#connect());
    this.#beat();
    this.#work();
  }

  /** Finishes what is under way, closes the session, and does no more. */
  stop(): void {
    this.#isStopping = true;
  }

  /** Finishes what is under way, and asks for nothing more, but stays. */
  rest(): void {
    this.#isResting = true;
    this.#restsSince = this.#process.clock.now();
  }

  /** Changes half of what others may watch: what is left over of the rest can still be seen. */
  setSome(): void {
    for (let i = 0; i < PATHS; i += 2) {
      const data = `${this.#process.name}-${++this.#values}`;
      this.#call({ kind: 'set', path: `/n${i}`, data, version: -1 });
    }
  }

  /** It is connected, to a server that has been heard since it rests, and waits for nothing. */
  get isIdle(): boolean {
    return this.#status.kind === 'attached' && this.#sent.length === 0 && this.#heardAt > this.#restsSince;
  }

  /** All has been quiet for long, and the history ends at `zxid`: whatever was to be told has been told. */
  markRested(zxid: Zxid): void {
    if (this.#status.kind === 'attached') this.#status.attachment.items.push({ kind: 'rested', zxid });
  }

  get isEnded(): boolean {
    return this.#status.kind === 'ended';
  }

  #below(count: number): number {
    return Math.floor(this.#random.next() * count);
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#below(list.length)] as T; // the index is below the length
  }

  // --- connections --------------------------------------------------------------------------------------------------

  #connect(): void {
    if (this.#status.kind !== 'away') return;
    const number = ++this.#connections;
    const mine = (run: () => void) => {
      if (number === this.#connections) run();
    };
    const host = this.#pick(this.#options.servers);
    this.#status = { kind: 'connecting', frames: new FrameReader({ frameBytesMax: 1024 * 1024 }) };
    this.#heardAt = this.#process.clock.now();
    this.#connection = this.#process.network.connect(
      { host, port: 2181 },
      {
        onOpen: () => mine(() => this.#introduce()),
        onBytes: (bytes) => mine(() => this.#onBytes(bytes)),
        onClose: () => mine(() => this.#onClosed()),
      },
    );
  }

  #introduce(): void {
    const { id = NO_SESSION, password = Buffer.alloc(16) } = this.#session ?? {};
    const writer = new JuteWriter();
    const frame = writer.startFrame();
    const timeoutMs = this.#options.sessionTimeoutMs;
    const lastZxidSeen = this.#lastZxid;
    connectRequest.write(writer, {
      protocolVersion: 0,
      lastZxidSeen,
      timeoutMs,
      sessionId: id,
      password,
      readOnly: false,
    });
    writer.endFrame(frame);
    this.#connection?.write(writer.take());
  }

  #onClosed(): void {
    if (this.#status.kind === 'ended') return;
    this.#connections++;
    this.#connection = undefined;
    for (const call of this.#sent.splice(0)) {
      call.outcome = { kind: 'unknown' };
      if (call.request.kind === 'close') this.#forgetSession();
    }
    if (this.#isStopping && this.#session === undefined) {
      this.#status = { kind: 'ended' };
      return;
    }
    this.#status = { kind: 'away' };
    const soonest = this.#isMoving ? 0 : 10;
    this.#process.clock.after(soonest + this.#below(this.#isMoving ? 10 : 300), () => this.#connect());
    this.#isMoving = false;
  }

  #leave(): void {
    this.#connection?.close();
    this.#onClosed();
  }

  /** To another server at once, so that what it has asked for here is still on its way. */
  #move(): void {
    this.#isMoving = true;
    this.#leave();
  }

  #onBytes(bytes: Uint8Array): void {
    this.#heardAt = this.#process.clock.now();
    const status = this.#status;
    if (status.kind !== 'connecting' && status.kind !== 'attached') return;
    const { frames } = status;
    frames.push(bytes);
    for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
      const reader = new JuteReader(frame);
      if (this.#status.kind === 'connecting') this.#onConnected(reader, frames);
      else if (this.#status.kind === 'attached') this.#onReply(reader, this.#status.attachment);
    }
  }

  #onConnected(reader: JuteReader, frames: FrameReader): void {
    const { sessionId: id, password, timeoutMs } = connectResponse.read(reader);
    if (timeoutMs <= 0) {
      if (this.#session !== undefined) this.#options.records.expired.push(this.#session.id);
      this.#forgetSession();
      return this.#leave();
    }
    if (this.#session !== undefined && this.#session.id !== id) throw new Error(`C4: asked for another session`);
    this.#session = { id, password };
    const carried = { paths: [...this.#watched], since: this.#lastZxid };
    const attachment: Attachment = { session: id, carried, items: [] };
    this.#options.records.attachments.push(attachment);
    this.#status = { kind: 'attached', frames, attachment };
    if (carried.paths.length === 0) return;
    const watches = { relativeZxid: carried.since, dataWatches: carried.paths, existWatches: [], childWatches: [] };
    this.#write(operations.setWatches, watches, SpecialXid.setWatches);
  }

  #forgetSession(): void {
    this.#session = undefined;
    this.#lastZxid = ZERO_ZXID;
    this.#watched.clear();
  }

  #onReply(reader: JuteReader, { items }: Attachment): void {
    const { xid, zxid, err } = replyHeader.read(reader);
    if (xid === SpecialXid.ping) return;
    if (xid === SpecialXid.notification) {
      const { path, type } = watcherEvent.read(reader);
      items.push({ kind: 'event', path, type });
      this.#watched.delete(path);
      return;
    }
    if (xid === SpecialXid.setWatches) {
      items.push({ kind: 'rewatched', zxid });
      return;
    }
    const call = this.#sent.shift();
    if (call === undefined || call.xid !== xid) throw new Error(`B6: reply ${xid} instead of ${call?.xid}`);
    const answer = err === 0 ? readAnswer(call.request, reader) : {};
    call.outcome = { kind: 'replied', zxid, err, answer };
    items.push({ kind: 'reply', call });
    if (zxid > this.#lastZxid) this.#lastZxid = zxid;
    if (err === 0 && isWrite(call.request) && zxid > this.#options.records.maxAcked)
      this.#options.records.maxAcked = zxid;
    if (call.request.kind === 'get' && call.request.watch && err === 0) this.#watched.add(call.request.path);
    if (call.request.kind === 'close') {
      this.#forgetSession();
      this.#leave();
    }
  }

  /** Pings, and gives up a connection that is silent for long. */
  #beat(): void {
    if (this.#status.kind === 'ended') return;
    const { sessionTimeoutMs } = this.#options;
    this.#process.clock.after(sessionTimeoutMs / 3, () => this.#beat());
    if (this.#status.kind === 'away') return;
    if (this.#process.clock.now() - this.#heardAt > (sessionTimeoutMs * 2) / 3) return this.#leave();
    if (this.#status.kind === 'attached') this.#write(operations.ping, undefined, SpecialXid.ping);
  }

  // --- requests -----------------------------------------------------------------------------------------------------

  #work(): void {
    if (this.#status.kind === 'ended') return;
    this.#process.clock.after(1 + this.#below(this.#options.thinkMs), () => this.#work());
    if (this.#status.kind !== 'attached' || this.#sent.some(({ request }) => request.kind === 'close')) return;
    if (this.#isStopping) {
      if (this.#sent.length === 0) this.#call({ kind: 'close' });
      return;
    }
    if (this.#isResting) return;
    if (this.#random.next() < this.#options.moveRate) return this.#move();
    while (this.#sent.length < this.#options.window && this.#random.next() < GO_ON_RATE) this.#call(this.#choose());
  }

  #choose(): Request {
    const path = `/n${this.#below(PATHS)}`;
    const data = `${this.#process.name}-${++this.#values}`;
    const drawn = this.#random.next();
    if (drawn < 0.2) {
      const mode = this.#pick([CreateMode.PERSISTENT, CreateMode.PERSISTENT, CreateMode.EPHEMERAL]);
      return { kind: 'create', path, data, mode };
    }
    if (drawn < 0.24) return { kind: 'create', path: '/q-', data, mode: CreateMode.EPHEMERAL_SEQUENTIAL };
    if (drawn < 0.34) return { kind: 'delete', path };
    if (drawn < 0.5) return { kind: 'set', path, data, version: this.#pick([-1, -1, 0, 1]) };
    if (drawn < 0.55) return { kind: 'multi', paths: [path, `/n${this.#below(PATHS)}`], data };
    if (drawn < 0.8) return { kind: 'get', path, watch: this.#random.next() < 0.4 };
    if (drawn < 0.92) return { kind: 'children', path: '/' };
    if (drawn < 0.985) return { kind: 'sync' };
    return { kind: 'close' };
  }

  #call(request: Request): void {
    if (this.#session === undefined) return;
    const { records } = this.#options;
    const xid = toXid(++this.#xid);
    const call: Call = {
      ...{ request, session: this.#session.id, xid },
      floor: records.maxAcked,
      outcome: { kind: 'pending' },
    };
    records.calls.push(call);
    this.#sent.push(call);
    this.#send(request, xid);
  }

  #send(request: Request, xid: Xid): void {
    switch (request.kind) {
      case 'create': {
        const { path, data, mode } = request;
        return this.#write(operations.create, { path, data: Buffer.from(data), acl: OPEN_ACL, flags: mode }, xid);
      }
      case 'delete':
        return this.#write(operations.delete, { path: request.path, version: -1 }, xid);
      case 'set': {
        const { path, data, version } = request;
        return this.#write(operations.setData, { path, data: Buffer.from(data), version }, xid);
      }
      case 'multi': {
        const data = Buffer.from(request.data);
        const set = (path: string) => ({ type: OpCode.setData, request: { path, data, version: -1 } }) as const;
        return this.#write(operations.multi, request.paths.map(set), xid);
      }
      case 'get':
        return this.#write(operations.getData, { path: request.path, watch: request.watch }, xid);
      case 'children':
        return this.#write(operations.getChildren, { path: request.path, watch: false }, xid);
      case 'sync':
        return this.#write(operations.sync, { path: '/' }, xid);
      case 'close':
        return this.#write(operations.closeSession, undefined, xid);
    }
  }

  #write<Body, Reply>({ opCode, request }: Operation<Body, Reply>, value: Body, xid: Xid): void {
    const writer = new JuteWriter();
    const frame = writer.startFrame();
    writer.writeInt(xid);
    writer.writeInt(opCode);
    request.write(writer, value);
    writer.endFrame(frame);
    this.#connection?.write(writer.take());
  }
}

function readAnswer(request: Request, reader: JuteReader): Answer {
  switch (request.kind) {
    case 'create':
      return { path: operations.create.response.read(reader).path };
    case 'set':
      return { stat: operations.setData.response.read(reader).stat };
    case 'get': {
      const { data, stat } = operations.getData.response.read(reader);
      return { data: Buffer.from(data ?? []).toString(), stat };
    }
    case 'children':
      return { children: [...operations.getChildren.response.read(reader).children].sort() };
    case 'multi':
      return { isRefused: operations.multi.response.read(reader).some(({ type }) => type === OpCode.error) };
    default:
      return {};
  }
}
