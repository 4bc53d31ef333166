import {
  type ConnectRequest,
  connectRequest,
  connectResponse,
  ErrorCode,
  type EventType,
  FrameReader,
  type Id,
  type JuteReader,
  type JuteWriter,
  KeeperState,
  MarshallingError,
  NO_SESSION,
  PASSWORD_BYTES,
  type SessionId,
  SpecialXid,
  toXid,
  type Xid,
  type Zxid,
} from 'zookeeper-protocol-ts';
import { ConnectionStatistics } from '../admin/connection-statistics.ts';
import {
  FOUR_LETTER_WORD_BYTES,
  type FourLetterWord,
  fourLetterWordIn,
  TRACE_MASK_BYTES,
} from '../admin/four-letter-words.ts';
import type { ServerMetrics } from '../admin/metrics.ts';
import type { ServerStatistics } from '../admin/server-statistics.ts';
import type { ConnectionView } from '../admin/server-view.ts';
import { assert } from '../invariant.ts';
import type { Millis, Stream, StreamHandler } from '../ports.ts';
import type { ClientRequest, Origin } from '../request/request.ts';
import type { ConnectionMemory, WriterBorrower } from './connection-memory.ts';

/** What a connection needs of the server it belongs to. */
export interface ConnectionOwner {
  /** A client wants a session: answered by `ClientConnection.establish` or `ClientConnection.refuse`. */
  onConnectRequest(connection: ClientConnection, request: ConnectRequest): void;
  onRequest(request: ClientRequest<ClientConnection>): void;
  /** An administrator's word instead of a session: answered by `ClientConnection.answer`. */
  onFourLetterWord(connection: ClientConnection, word: FourLetterWord): void;
  /** There is something to flush at the end of the turn. */
  onWritten(connection: ClientConnection): void;
  /** What `ClientConnection.defer` kept back comes again, in its order. */
  onResumed(requests: readonly ClientRequest<ClientConnection>[]): void;
  onClosed(connection: ClientConnection, sessionId: SessionId, reason: string): void;
  /** There is so much to do that nothing more is read from connections that wait for an answer already. */
  readonly isOverloaded: boolean;
  readonly connectionMemory: ConnectionMemory;
  readonly statistics: ServerStatistics;
  readonly metrics: ServerMetrics;
  now(): number;
  wallTime(): number;
}

type Phase =
  /** Nothing understood yet: a four-letter word or a connect request is expected. */
  | { readonly kind: 'opening' }
  /** A four-letter word is being answered. */
  | { readonly kind: 'asking' }
  /** The session is being made or looked up; nothing more is read until it is there. */
  | { readonly kind: 'joining'; readonly withReadOnly: boolean }
  | { readonly kind: 'serving'; readonly sessionId: SessionId; readonly timeoutMs: number }
  | { readonly kind: 'closed' };

/** Beyond so many bytes that the client doesn't read, nothing more is read from it, and no request of it is executed. */
export const SLOW_READER_BYTES = 4 * 1024 * 1024;

/**
 * Beyond so many, it is cut off. Only events, and answers to reads that waited behind a write, get a connection from the one
 * mark to the other.
 */
export const QUEUED_BYTES_MAX = 64 * 1024 * 1024;

/** All identities of a connection together, in UTF-16 units: they are kept as long as it lasts, and looked through at each request. */
const IDENTITIES_LENGTH_MAX = 16 * 1024;

/** What is collected leaves at the end of a turn, or when it is so much. */
const COLLECTED_BYTES_MAX = 256 * 1024;

/**
 * One connection on the client port: frames in, frames out. Answers are collected and leave in one write at the end of a
 * turn. What it can't understand closes it, with a line in the log, and concerns nobody else.
 *
 * It reads only while it may: not while its session is being made, not while its client is slow to read, and not while the
 * server has too much to do and it waits for an answer already (the original's `disableRecv`). What the client sends
 * meanwhile stays in the network, but for the chunk that was read last.
 */
export class ClientConnection implements StreamHandler, Origin, ConnectionView, WriterBorrower {
  readonly #owner: ConnectionOwner;
  readonly #stream: Stream;
  readonly #frames: FrameReader;
  /** Borrowed from the first word of a turn to its flush. */
  #writer: JuteWriter | undefined;
  #phase: Phase = { kind: 'opening' };

  /** The client doesn't read what it is sent; until everything has left. */
  #slow = false;
  /** The server has too much to do; until there is less, or nothing of this connection waits for an answer. */
  #held = false;
  /** The stream is paused. */
  #paused = false;
  /** Requests handed over while the client was not yet known to be slow: they come again when it has read. */
  #deferred: ClientRequest<ClientConnection>[] = [];

  /** Requests handed over, and those of them that were answered. */
  #asked = 0;
  #answered = 0;
  /** The large ones among those that wait, oldest first, by their number in `#asked`. */
  #large: { readonly number: number; readonly bytes: number }[] | undefined;

  /** What `connectionMemory` knows of this connection. */
  #inboundBytes = 0;
  #outboundBytes = 0;

  /** Where the reply that is being written starts. */
  #replyStart: number | undefined;

  #identities: readonly Id[];
  readonly statistics: ConnectionStatistics;
  #isSuperuser: boolean;

  /** @param options `skipAcl`: whether it passes everywhere, whoever it is */
  constructor(
    owner: ConnectionOwner,
    stream: Stream,
    { frameBytesMax, skipAcl }: { frameBytesMax: number; skipAcl: boolean },
  ) {
    this.#owner = owner;
    this.#stream = stream;
    this.#frames = new FrameReader({ frameBytesMax });
    this.#identities = [{ scheme: 'ip', id: stream.remote.host }];
    this.statistics = new ConnectionStatistics(owner.wallTime());
    this.#isSuperuser = skipAcl;
  }

  get identities(): readonly Id[] {
    return this.#identities;
  }

  get isSuperuser(): boolean {
    return this.#isSuperuser;
  }

  /**
   * Adds what the client has proved to be; what it proved before goes on to count.
   * @returns false, and adds nothing, if these would be too many
   */
  addIdentities(ids: readonly Id[]): boolean {
    const added = ids.filter(
      ({ scheme, id }) => !this.#identities.some((one) => one.scheme === scheme && one.id === id),
    );
    const identities = [...this.#identities, ...added];
    if (identities.reduce((sum, { id }) => sum + (id?.length ?? 0), 0) > IDENTITIES_LENGTH_MAX) return false;
    this.#identities = identities;
    this.#isSuperuser ||= added.some(({ scheme }) => scheme === 'super');
    return true;
  }

  /** For log lines, as the original writes addresses. */
  get remote(): string {
    return `/${this.#stream.remote.host}:${this.#stream.remote.port}`;
  }

  get remoteHost(): string {
    return this.#stream.remote.host;
  }

  /** The session that it serves, or 0. */
  get sessionId(): SessionId {
    return this.#phase.kind === 'serving' ? this.#phase.sessionId : NO_SESSION;
  }

  get sessionTimeoutMs(): number {
    return this.#phase.kind === 'serving' ? this.#phase.timeoutMs : 0;
  }

  /** Requests handed over and not answered yet. */
  get outstanding(): number {
    return this.#asked - this.#answered;
  }

  get isReading(): boolean {
    return !this.#paused && this.#phase.kind !== 'asking' && this.#phase.kind !== 'closed';
  }

  get isWriting(): boolean {
    return this.#outboundBytes > 0;
  }

  get isClosed(): boolean {
    return this.#phase.kind === 'closed';
  }

  onBytes(bytes: Uint8Array): void {
    if (this.isClosed) return;
    this.#owner.metrics.counters.bytes_received_count += bytes.length;
    this.#frames.push(bytes);
    this.#read();
  }

  onDrain(): void {
    if (this.isClosed) return;
    this.#countOutbound();
    if (!this.#slow) return;
    this.#slow = false;
    if (this.#deferred.length > 0) {
      const deferred = this.#deferred;
      this.#deferred = [];
      this.#owner.onResumed(deferred);
    }
    this.#read();
  }

  onClose(error: Error | undefined): void {
    if (!this.isClosed) this.#owner.metrics.counters.connection_drop_count++;
    this.#ended(error === undefined ? 'closed by the client' : error.message);
  }

  /** Grants a session, and goes on reading. */
  establish(session: { sessionId: SessionId; timeoutMs: number; password: Uint8Array }): void {
    if (this.#phase.kind !== 'joining') return;
    this.#writeConnectResponse(this.#phase.withReadOnly, session);
    this.#phase = { kind: 'serving', sessionId: session.sessionId, timeoutMs: session.timeoutMs };
    this.#read();
  }

  /** Says that the session asked for is gone, and ends the connection. */
  refuse(): void {
    if (this.#phase.kind !== 'joining') return;
    this.#writeConnectResponse(this.#phase.withReadOnly, {
      sessionId: NO_SESSION,
      timeoutMs: 0,
      password: Buffer.alloc(PASSWORD_BYTES),
    });
    this.close('its session is gone');
  }

  /** Starts a reply: its body is written into what this returns, then {@link endReply}. Only on an open connection. */
  startReply(xid: Xid, zxid: Zxid): JuteWriter {
    assert(this.#replyStart === undefined, 'REQ-2: one reply at a time');
    const writer = this.#borrowedWriter();
    this.#replyStart = writer.startFrame();
    writeHeader(writer, xid, zxid, ErrorCode.OK);
    return writer;
  }

  /** Ends the reply. A body behind an error is dropped. */
  endReply(error: number): void {
    assert(this.#replyStart !== undefined, 'REQ-2: a reply is started before it is ended');
    const start = this.#replyStart;
    const writer = this.#borrowedWriter();
    this.#replyStart = undefined;
    if (error !== ErrorCode.OK) {
      writer.rewind(start + HEADER_END);
      writer.patchInt(start + HEADER_END - 4, error);
    }
    const bytes = this.#endFrame(writer, start);
    this.#owner.metrics.counters.response_bytes += bytes;
    this.#owner.statistics.responseSizes.record(bytes - LENGTH_BYTES);
    this.#answered++;
    if (this.#large !== undefined) this.#giveBackLargeRequests(this.#answered);
  }

  /** Tells of a watch that fired. */
  notify(type: EventType, path: string): void {
    if (this.isClosed) return;
    const writer = this.#borrowedWriter();
    const frame = writer.startFrame();
    writeHeader(writer, SpecialXid.notification, NOTIFICATION_ZXID, ErrorCode.OK);
    writer.writeInt(type);
    writer.writeInt(KeeperState.SyncConnected);
    writer.writeString(path);
    this.#owner.metrics.counters.watch_bytes += this.#endFrame(writer, frame);
  }

  /** Answers a four-letter word, and ends the connection. */
  answer(text: string): void {
    if (this.isClosed) return;
    this.#stream.write(Buffer.from(text));
    this.close('answered');
  }

  /**
   * Keeps a request back while the client doesn't read what it is sent: it comes again ({@link ConnectionOwner.onResumed}).
   * @returns whether it was kept back
   */
  defer(request: ClientRequest<ClientConnection>): boolean {
    if (!this.#slow) return false;
    this.#deferred.push(request);
    return true;
  }

  /** Bytes that the client has not read, as far as this process knows. */
  get queuedBytes(): number {
    return this.#outboundBytes;
  }

  /** Sends what was written so far; whether its client reads is looked at later. */
  send(): void {
    const bytes = this.#giveBackWriter();
    if (bytes === undefined || bytes.length === 0) return;
    this.#stream.write(bytes);
    this.#countOutbound();
    if (this.#slow || this.#outboundBytes <= SLOW_READER_BYTES) return;
    this.#slow = true;
    this.#pauseOrResume();
  }

  /** Sends what was written in this turn, in one write, and goes on reading if that was all it waited for. */
  flush(): void {
    if (this.isClosed) return;
    this.send();
    if (this.cutOffIfOverrun() || !this.#held) return;
    if (this.#asked > this.#answered && this.#owner.isOverloaded) return;
    this.#held = false;
    this.#read();
  }

  /** Ends the connection of a client that was sent too much that it doesn't read. @returns whether it has ended */
  cutOffIfOverrun(): boolean {
    if (this.#outboundBytes > QUEUED_BYTES_MAX)
      this.cutOff(`it does not read: ${this.#outboundBytes} bytes wait for it`);
    return this.isClosed;
  }

  /** Sends what was written, then ends the connection. */
  close(reason: string): void {
    if (this.isClosed) return;
    // A server that fails in the middle of a reply says nothing rather than half of it.
    this.#dropUnfinishedReply();
    this.send();
    this.#stream.close();
    this.#ended(reason);
  }

  /** Ends the connection at once: what was not sent is dropped. */
  cutOff(reason: string): void {
    if (this.isClosed) return;
    this.#stream.destroy();
    this.#ended(reason);
  }

  #ended(reason: string): void {
    if (this.isClosed) return;
    const { sessionId } = this;
    this.#phase = { kind: 'closed' };
    this.#dropUnfinishedReply();
    this.#giveBackWriter();
    this.#deferred = [];
    const memory = this.#owner.connectionMemory;
    memory.addInbound(-this.#inboundBytes);
    memory.addOutbound(-this.#outboundBytes);
    this.#giveBackLargeRequests(this.#asked);
    this.#owner.onClosed(this, sessionId, reason);
  }

  /** Reads what has arrived, as far as it may, and pauses the stream or lets it go on accordingly. */
  #read(): void {
    try {
      if (this.#phase.kind === 'opening') this.#readOpening();
      const now = this.#owner.now();
      while (this.#phase.kind === 'serving' && !this.#slow && !this.#held) {
        const frame = this.#frames.nextReader();
        if (frame === undefined) break;
        this.#readRequest(frame, this.#phase.sessionId, now);
      }
    } catch (error) {
      if (!(error instanceof MarshallingError)) throw error;
      this.close(`unreadable: ${error.message}`);
    }
    if (this.isClosed) return;
    this.#countInbound();
    this.#pauseOrResume();
  }

  #pauseOrResume(): void {
    const pause = this.#phase.kind === 'joining' || this.#slow || this.#held;
    if (this.isClosed || pause === this.#paused) return;
    this.#paused = pause;
    if (pause) this.#stream.pause();
    else this.#stream.resume();
  }

  #readOpening(): void {
    const word = fourLetterWordIn(this.#frames.peek(FOUR_LETTER_WORD_BYTES));
    if (word !== undefined) return this.#readWord(word);
    const frame = this.#frames.nextReader();
    if (frame === undefined) return;
    const request = connectRequest.read(frame);
    this.#phase = { kind: 'joining', withReadOnly: request.readOnly !== undefined };
    this.#owner.onConnectRequest(this, request);
  }

  #readWord(word: string): void {
    const mask = word === 'stmk' ? this.#frames.peek(FOUR_LETTER_WORD_BYTES + TRACE_MASK_BYTES) : undefined;
    // The mask may come in another chunk.
    if (word === 'stmk' && mask === undefined) return;
    this.#phase = { kind: 'asking' };
    const traceMask = mask?.readBigInt64BE(FOUR_LETTER_WORD_BYTES);
    this.#owner.onFourLetterWord(this, traceMask === undefined ? { word } : { word, traceMask });
  }

  #readRequest(body: JuteReader, sessionId: SessionId, arrivedAt: Millis): void {
    const { connectionMemory } = this.#owner;
    const bytes = body.remaining;
    const xid = toXid(body.readInt());
    const type = body.readInt();
    this.#asked++;
    if (connectionMemory.isLarge(bytes)) {
      if (!connectionMemory.takeLargeRequest(bytes)) {
        this.#owner.metrics.counters.large_requests_rejected++;
        this.close(`a request of ${bytes} bytes: too many large requests are being served (largeRequestMaxBytes)`);
        return;
      }
      this.#large ??= [];
      this.#large.push({ number: this.#asked, bytes });
    }
    this.#owner.onRequest({ origin: this, sessionId, xid, type, body, arrivedAt });
    // As in the original, one request of each connection is always taken.
    if (this.#owner.isOverloaded) this.#held = true;
  }

  /** Those up to the one of this number are being served no more. */
  #giveBackLargeRequests(number: number): void {
    for (let next = this.#large?.[0]; next !== undefined && next.number <= number; next = this.#large?.[0]) {
      this.#owner.connectionMemory.giveBackLargeRequest(next.bytes);
      this.#large?.shift();
    }
    if (this.#large?.length === 0) this.#large = undefined;
  }

  #borrowedWriter(): JuteWriter {
    this.#writer ??= this.#owner.connectionMemory.borrowWriter(this);
    return this.#writer;
  }

  /** @returns the bytes of the frame, with its length */
  #endFrame(writer: JuteWriter, mark: number): number {
    writer.endFrame(mark);
    const bytes = writer.length - mark;
    if (writer.length > COLLECTED_BYTES_MAX) this.send();
    this.#owner.onWritten(this);
    return bytes;
  }

  /** @returns what was written and not sent */
  #giveBackWriter(): Uint8Array | undefined {
    const writer = this.#writer;
    if (writer === undefined) return undefined;
    assert(this.#replyStart === undefined, 'MEM-2: a writer is not given back in the middle of a reply');
    this.#writer = undefined;
    const bytes = writer.take();
    this.#owner.connectionMemory.giveBackWriter(this, writer, { takenBytes: bytes.length });
    return bytes;
  }

  #dropUnfinishedReply(): void {
    if (this.#replyStart === undefined) return;
    this.#writer?.rewind(this.#replyStart);
    this.#replyStart = undefined;
  }

  #countOutbound(): void {
    const { queuedBytes } = this.#stream;
    this.#owner.connectionMemory.addOutbound(queuedBytes - this.#outboundBytes);
    this.#outboundBytes = queuedBytes;
  }

  #countInbound(): void {
    const { buffered } = this.#frames;
    if (buffered === this.#inboundBytes) return;
    const more = buffered - this.#inboundBytes;
    this.#inboundBytes = buffered;
    const fits = this.#owner.connectionMemory.addInbound(more);
    if (!fits && more > 0) this.close('too many bytes of unfinished requests are kept already');
  }

  #writeConnectResponse(
    withReadOnly: boolean,
    { sessionId, timeoutMs, password }: { sessionId: SessionId; timeoutMs: number; password: Uint8Array },
  ): void {
    const writer = this.#borrowedWriter();
    const frame = writer.startFrame();
    connectResponse.write(writer, {
      protocolVersion: 0,
      timeoutMs,
      sessionId,
      password,
      readOnly: withReadOnly ? false : undefined,
    });
    this.#endFrame(writer, frame);
  }
}

function writeHeader(writer: JuteWriter, xid: Xid, zxid: Zxid, error: ErrorCode): void {
  writer.writeInt(xid);
  writer.writeLong(zxid);
  writer.writeInt(error);
}

/** Where a reply's header ends, behind the length of its frame; the error code is its last field. */
const LENGTH_BYTES = 4;
const HEADER_END = LENGTH_BYTES + 16;

/** Up to 3.8 a notification doesn't tell which transaction caused it. */
const NOTIFICATION_ZXID = -1n as Zxid;
