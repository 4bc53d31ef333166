import {
  type ConnectRequest,
  connectRequest,
  connectResponse,
  ErrorCode,
  type EventType,
  FrameReader,
  type Id,
  JuteReader,
  JuteWriter,
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
import { FOUR_LETTER_WORD_BYTES, fourLetterWordIn } from '../admin/four-letter-words.ts';
import { assert } from '../invariant.ts';
import type { Stream, StreamHandler } from '../ports.ts';
import type { ClientRequest, Origin } from '../request/request.ts';

/** What a connection needs of the server it belongs to. */
export interface ConnectionOwner {
  /** A client wants a session: answered by {@link ClientConnection.establish} or {@link ClientConnection.refuse}. */
  onConnectRequest(connection: ClientConnection, request: ConnectRequest): void;
  onRequest(request: ClientRequest<ClientConnection>): void;
  /** An administrator's word instead of a session: answered by {@link ClientConnection.answer}. */
  onFourLetterWord(connection: ClientConnection, word: string): void;
  /** There is something to flush at the end of the turn. */
  onWritten(connection: ClientConnection): void;
  onClosed(connection: ClientConnection, sessionId: SessionId, reason: string): void;
  now(): number;
}

type Phase =
  /** Nothing understood yet: a four-letter word or a connect request is expected. */
  | { readonly kind: 'opening' }
  /** The session is being made or looked up; nothing more is read until it is there. */
  | { readonly kind: 'joining'; readonly withReadOnly: boolean }
  | { readonly kind: 'serving'; readonly sessionId: SessionId; readonly timeoutMs: number }
  | { readonly kind: 'closed' };

/** Beyond so many bytes that the client doesn't read, nothing more is read from it. */
const QUEUED_BYTES_MAX = 4 * 1024 * 1024;

/** Room for the replies of one turn, before another piece of memory is taken. */
const REPLY_CHUNK_BYTES = 16 * 1024;

/**
 * One connection on the client port: frames in, frames out. Answers are collected and leave in one write at the end of a
 * turn. What it can't understand closes it, with a line in the log, and concerns nobody else.
 */
export class ClientConnection implements StreamHandler, Origin {
  readonly #owner: ConnectionOwner;
  readonly #stream: Stream;
  readonly #frames: FrameReader;
  readonly #writer = new JuteWriter(REPLY_CHUNK_BYTES);
  #phase: Phase = { kind: 'opening' };
  /** Reading stopped because the client doesn't read; resumed when everything has left. */
  #throttled = false;

  /** Where the reply that is being written starts. */
  #replyStart: number | undefined;

  readonly identities: readonly Id[];

  constructor(owner: ConnectionOwner, stream: Stream, { frameBytesMax }: { frameBytesMax: number }) {
    this.#owner = owner;
    this.#stream = stream;
    this.#frames = new FrameReader({ frameBytesMax });
    this.identities = [{ scheme: 'ip', id: stream.remote.host }];
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

  get isClosed(): boolean {
    return this.#phase.kind === 'closed';
  }

  onBytes(bytes: Uint8Array): void {
    if (this.isClosed) return;
    this.#frames.push(bytes);
    this.#readFrames();
  }

  onDrain(): void {
    if (!this.#throttled) return;
    this.#throttled = false;
    this.#stream.resume();
  }

  onClose(error: Error | undefined): void {
    this.#ended(error === undefined ? 'closed by the client' : error.message);
  }

  /** Grants a session, and goes on reading. */
  establish(session: { sessionId: SessionId; timeoutMs: number; password: Uint8Array }): void {
    if (this.#phase.kind !== 'joining') return;
    this.#writeConnectResponse(this.#phase.withReadOnly, session);
    this.#phase = { kind: 'serving', sessionId: session.sessionId, timeoutMs: session.timeoutMs };
    this.#stream.resume();
    this.#readFrames();
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
    this.#replyStart = this.#writer.startFrame();
    this.#writeHeader(xid, zxid, ErrorCode.OK);
    return this.#writer;
  }

  /** Ends the reply. A body behind an error is dropped. */
  endReply(error: number): void {
    assert(this.#replyStart !== undefined, 'REQ-2: a reply is started before it is ended');
    const start = this.#replyStart;
    this.#replyStart = undefined;
    if (error !== ErrorCode.OK) {
      this.#writer.rewind(start + HEADER_END);
      this.#writer.patchInt(start + HEADER_END - 4, error);
    }
    this.#writer.endFrame(start);
    this.#owner.onWritten(this);
  }

  /** Tells of a watch that fired. */
  notify(type: EventType, path: string): void {
    if (this.isClosed) return;
    const frame = this.#writer.startFrame();
    this.#writeHeader(SpecialXid.notification, NOTIFICATION_ZXID, ErrorCode.OK);
    this.#writer.writeInt(type);
    this.#writer.writeInt(KeeperState.SyncConnected);
    this.#writer.writeString(path);
    this.#writer.endFrame(frame);
    this.#owner.onWritten(this);
  }

  /** Answers a four-letter word, and ends the connection. */
  answer(text: string): void {
    if (this.isClosed) return;
    this.#stream.write(Buffer.from(text));
    this.close('answered');
  }

  /** Sends what was written in this turn, in one write. */
  flush(): void {
    if (this.isClosed || this.#writer.length === 0) return;
    this.#stream.write(this.#writer.take());
    if (!this.#throttled && this.#stream.queuedBytes > QUEUED_BYTES_MAX) {
      this.#throttled = true;
      this.#stream.pause();
    }
  }

  /** Sends what was written, then ends the connection. */
  close(reason: string): void {
    if (this.isClosed) return;
    this.flush();
    this.#stream.close();
    this.#ended(reason);
  }

  #ended(reason: string): void {
    if (this.isClosed) return;
    const { sessionId } = this;
    this.#phase = { kind: 'closed' };
    this.#owner.onClosed(this, sessionId, reason);
  }

  #readFrames(): void {
    try {
      if (this.#phase.kind === 'opening') this.#readOpening();
      while (this.#phase.kind === 'serving') {
        const frame = this.#frames.next();
        if (frame === undefined) return;
        this.#readRequest(frame, this.#phase.sessionId);
      }
    } catch (error) {
      if (!(error instanceof MarshallingError)) throw error;
      this.close(`unreadable: ${error.message}`);
    }
  }

  #readOpening(): void {
    const word = fourLetterWordIn(this.#frames.peek(FOUR_LETTER_WORD_BYTES));
    if (word !== undefined) {
      this.#owner.onFourLetterWord(this, word);
      return;
    }
    const frame = this.#frames.next();
    if (frame === undefined) return;
    const request = connectRequest.read(new JuteReader(frame));
    this.#phase = { kind: 'joining', withReadOnly: request.readOnly !== undefined };
    this.#stream.pause();
    this.#owner.onConnectRequest(this, request);
  }

  #readRequest(frame: Buffer, sessionId: SessionId): void {
    const body = new JuteReader(frame);
    const xid = toXid(body.readInt());
    const type = body.readInt();
    this.#owner.onRequest({ origin: this, sessionId, xid, type, body, arrivedAt: this.#owner.now() });
  }

  #writeHeader(xid: Xid, zxid: Zxid, error: ErrorCode): void {
    this.#writer.writeInt(xid);
    this.#writer.writeLong(zxid);
    this.#writer.writeInt(error);
  }

  #writeConnectResponse(
    withReadOnly: boolean,
    { sessionId, timeoutMs, password }: { sessionId: SessionId; timeoutMs: number; password: Uint8Array },
  ): void {
    const frame = this.#writer.startFrame();
    connectResponse.write(this.#writer, {
      protocolVersion: 0,
      timeoutMs,
      sessionId,
      password,
      readOnly: withReadOnly ? false : undefined,
    });
    this.#writer.endFrame(frame);
    this.#owner.onWritten(this);
  }
}

/** Where a reply's header ends, behind the length of its frame; the error code is its last field. */
const HEADER_END = 4 + 16;

/** Up to 3.8 a notification doesn't tell which transaction caused it. */
const NOTIFICATION_ZXID = -1n as Zxid;
