import {
  type ConnectRequest,
  type ConnectResponse,
  connectRequest,
  connectResponse,
  FrameReader,
  JuteReader,
  JuteWriter,
  NO_SESSION,
  type Operation,
  type ReplyHeader,
  replyHeader,
  SpecialXid,
  ZERO_ZXID,
} from 'zookeeper-protocol-ts';
import {
  type Clock,
  type ListenHandler,
  type Network,
  type Random,
  Server,
  type ServerConfig,
  type Stream,
  type StreamHandler,
} from 'zookeeper-server-ts';
import { completeConfig } from '../../server/src/config.ts';
import { systemHash } from '../../server/src/node/system-hash.ts';
import { MemoryDisk } from '../../server/src/storage/memory-disk.ts';

/**
 * The shipped server on a machine without time: nothing happens until {@link MemoryMachine.run}, and then everything that can
 * happen does. What a test holds back (a disk, a client that doesn't read) stays back until the test lets it go.
 */
export class MemoryMachine {
  readonly server: Server;
  /** The run log. */
  readonly lines: string[] = [];
  /** Why the server stopped by itself. */
  failure: Error | undefined;
  #now = 0;
  #tasks: (() => void)[] = [];
  #alarm: { readonly at: number; readonly wake: () => void } | undefined;
  #listener: ListenHandler | undefined;
  #nextPort = 40_000;
  /** What the disk has done and not yet reported, while it is held. */
  #heldDisk: (() => void)[] | undefined;

  constructor(config: Partial<ServerConfig> = {}) {
    const clock: Clock = {
      now: () => this.#now,
      wallTime: () => 1_700_000_000_000 + this.#now,
      setAlarm: (at, wake) => {
        this.#alarm = { at, wake };
      },
      soon: (run) => void this.#tasks.push(run),
    };
    const network: Network = {
      listen: (address, handler) => {
        this.#listener = handler;
        this.#tasks.push(() => handler.onListening(address));
        return { close: () => undefined };
      },
      dial: (_address, handler) => void this.#tasks.push(() => handler.onFailure(new Error('there is nobody'))),
    };
    let seed = 1;
    const random: Random = {
      next: () => {
        seed = (seed * 48_271) % 0x7fff_ffff;
        return seed / 0x7fff_ffff;
      },
      bytes: (count) => new Uint8Array(count).fill(7),
    };
    const log = (line: string): void => void this.lines.push(line);
    this.server = new Server({
      config: completeConfig({ dataDir: '/data', clientPort: 2181, preallocateBytes: 0, maxClientCnxns: 0, ...config }),
      clock,
      network,
      logDisk: new MemoryDisk({ soon: (run) => void (this.#heldDisk ?? this.#tasks).push(run) }),
      random,
      hash: systemHash,
      runLog: { info: log, warn: log, error: log },
      onFailure: (error) => {
        this.failure = error;
      },
    });
    this.server.start((outcome) => {
      if ('error' in outcome) throw outcome.error;
    });
    this.run();
  }

  /** Does everything that can be done without time passing. */
  run(): void {
    let done = 0;
    while (this.step()) if (++done > STEPS_MAX) throw new Error('the server keeps itself busy: it would never rest');
  }

  /** One thing that can be done. @returns false if there was none */
  step(): boolean {
    const task = this.#tasks.shift();
    task?.();
    return task !== undefined;
  }

  /** Lets time pass, with every alarm at its time. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let alarm = this.#alarm; alarm !== undefined && alarm.at <= end; alarm = this.#alarm) {
      this.#alarm = undefined;
      this.#now = Math.max(this.#now, alarm.at);
      alarm.wake();
      this.run();
    }
    this.#now = end;
  }

  /** From now on the disk reports nothing. */
  holdDisk(): void {
    this.#heldDisk ??= [];
  }

  releaseDisk(): void {
    this.#tasks.push(...(this.#heldDisk ?? []));
    this.#heldDisk = undefined;
  }

  connect({ host = '10.0.0.1' }: { host?: string } = {}): MemoryClient {
    const client = new MemoryClient((task) => void this.#tasks.push(task), { host, port: this.#nextPort++ });
    client.attach(this.#listener?.onStream(client.stream));
    return client;
  }

  /** A client with a session. */
  join(options: { host?: string; timeoutMs?: number } = {}): MemoryClient {
    const client = this.connect(options);
    client.openSession({ timeoutMs: options.timeoutMs ?? 30_000 });
    this.run();
    return client;
  }
}

/** The other end of a stream of a {@link MemoryMachine}: sends any bytes, and reads only while it wants to. */
export class MemoryClient {
  readonly stream: MemoryStream;
  readonly #frames = new FrameReader({ frameBytesMax: 0x7fff_ffff });
  #nextXid = 1;
  #sessionAsked = false;
  session: ConnectResponse | undefined;
  /** The headers of the replies, in order. */
  readonly replies: ReplyHeader[] = [];
  /** How many events came. */
  events = 0;
  #parses = true;

  constructor(soon: (run: () => void) => void, remote: { host: string; port: number }) {
    this.stream = new MemoryStream(soon, remote, (bytes) => this.#onBytes(bytes));
  }

  attach(handler: StreamHandler | undefined): void {
    this.stream.attach(handler);
  }

  get isClosed(): boolean {
    return this.stream.isClosed;
  }

  /** From now on what comes is not looked at: it may be text. */
  stopParsing(): void {
    this.#parses = false;
  }

  /** Sends bytes as they are. */
  send(bytes: Uint8Array): void {
    this.stream.receive(bytes);
  }

  openSession(request: Partial<ConnectRequest> = {}): void {
    this.#sessionAsked = true;
    const writer = new JuteWriter();
    const frame = writer.startFrame();
    connectRequest.write(writer, {
      protocolVersion: 0,
      lastZxidSeen: ZERO_ZXID,
      timeoutMs: 30_000,
      sessionId: NO_SESSION,
      password: Buffer.alloc(16),
      readOnly: false,
      ...request,
    });
    writer.endFrame(frame);
    this.send(writer.take());
  }

  /** Sends a request, as often as is wanted, in one piece. */
  ask<Request>(operation: Operation<Request, unknown>, request: Request, { times = 1, xid = 0 } = {}): void {
    const writer = new JuteWriter(times === 1 ? 128 : 64 * 1024);
    for (let i = 0; i < times; i++) {
      const frame = writer.startFrame();
      writer.writeInt(xid === 0 ? this.#nextXid++ : xid);
      writer.writeInt(operation.opCode);
      operation.request.write(writer, request);
      writer.endFrame(frame);
    }
    this.send(writer.take());
  }

  #onBytes(bytes: Uint8Array): void {
    if (!this.#parses) return;
    this.#frames.push(bytes);
    for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next()) {
      const reader = new JuteReader(frame);
      if (this.#sessionAsked && this.session === undefined) {
        this.session = connectResponse.read(reader);
        continue;
      }
      const header = replyHeader.read(reader);
      if (header.xid === SpecialXid.notification) this.events++;
      else this.replies.push(header);
    }
  }
}

/** A stream whose other end is in the same process. Nothing is called back before the call that caused it has returned. */
class MemoryStream implements Stream {
  readonly remote: { readonly host: string; readonly port: number };
  readonly #soon: (run: () => void) => void;
  readonly #deliver: (bytes: Uint8Array) => void;
  #handler: StreamHandler | undefined;
  /** Sent by the client, and not taken by the server. */
  #inbound: Uint8Array[] = [];
  /** Sent by the server, and not taken by the client. */
  #outbound: Uint8Array[] = [];
  #clientReads = true;
  #paused = false;
  #inboundAsked = false;
  queuedBytes = 0;
  isClosed = false;

  constructor(
    soon: (run: () => void) => void,
    remote: { host: string; port: number },
    deliver: (bytes: Uint8Array) => void,
  ) {
    this.#soon = soon;
    this.remote = remote;
    this.#deliver = deliver;
  }

  attach(handler: StreamHandler | undefined): void {
    this.#handler = handler;
    if (handler === undefined) this.isClosed = true;
  }

  /** Sent and not taken, because the server doesn't read. */
  get unreadBytes(): number {
    return this.#inbound.reduce((sum, { length }) => sum + length, 0);
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  receive(bytes: Uint8Array): void {
    this.#inbound.push(bytes);
    this.#passInbound();
  }

  /** The client stops reading, or reads again. */
  setReading(reads: boolean): void {
    this.#clientReads = reads;
    if (reads) this.#soon(() => this.#passOutbound());
  }

  /** The client has gone. */
  end(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#soon(() => this.#handler?.onClose(undefined));
  }

  write(bytes: Uint8Array): void {
    if (this.isClosed) return;
    this.#outbound.push(bytes);
    this.queuedBytes += bytes.length;
    if (this.#clientReads) this.#soon(() => this.#passOutbound());
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#passInbound();
  }

  close(): void {
    if (this.isClosed) return;
    this.#takeOutbound();
    this.end();
  }

  destroy(): void {
    this.end();
  }

  #passInbound(): void {
    if (this.#inboundAsked || this.#inbound.length === 0) return;
    this.#inboundAsked = true;
    this.#soon(() => {
      this.#inboundAsked = false;
      if (this.#paused || this.isClosed) return;
      const bytes = this.#inbound.shift();
      if (bytes !== undefined) this.#handler?.onBytes(bytes);
      this.#passInbound();
    });
  }

  #passOutbound(): void {
    if (!this.#clientReads || this.isClosed || this.#outbound.length === 0) return;
    this.#takeOutbound();
    this.#handler?.onDrain();
  }

  #takeOutbound(): void {
    const outbound = this.#outbound;
    this.#outbound = [];
    this.queuedBytes = 0;
    for (const bytes of outbound) this.#deliver(bytes);
  }
}

/** Far more than any test needs. */
const STEPS_MAX = 1_000_000;
