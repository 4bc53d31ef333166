import type { Codec } from '../codec.ts';
import { type SessionId, toSessionId, toZxid, type Zxid } from '../ids.ts';
import { MarshallingError } from '../marshalling-error.ts';

/** Bytes of a session's password. */
export const PASSWORD_BYTES = 16;

/** The first frame of a connection; it has no header. `protocolVersion, lastZxidSeen, timeOut, sessionId, passwd, readOnly`. */
export interface ConnectRequest {
  readonly protocolVersion: number;
  /** The highest zxid that the client saw in a reply: a server that is behind it must not take the session. */
  readonly lastZxidSeen: Zxid;
  /** The session timeout that is asked for, ms. */
  readonly timeoutMs: number;
  /** 0 for a new session. */
  readonly sessionId: SessionId;
  readonly password: Uint8Array | null;
  /** Whether a read-only server will do; undefined where an old client doesn't send the byte. */
  readonly readOnly: boolean | undefined;
}

export const connectRequest: Codec<ConnectRequest> = {
  read: (reader) => ({
    protocolVersion: reader.readInt(),
    lastZxidSeen: toZxid(reader.readLong()),
    timeoutMs: reader.readInt(),
    sessionId: toSessionId(reader.readLong()),
    password: reader.readBuffer(),
    readOnly: reader.remaining > 0 ? reader.readBool() : undefined,
  }),
  write: (writer, value) => {
    writer.writeInt(value.protocolVersion);
    writer.writeLong(value.lastZxidSeen);
    writer.writeInt(value.timeoutMs);
    writer.writeLong(value.sessionId);
    writer.writeBuffer(value.password);
    if (value.readOnly !== undefined) writer.writeBool(value.readOnly);
  },
};

/** The first frame back; it has no header. A session id of 0 says that the session asked for is gone. */
export interface ConnectResponse {
  readonly protocolVersion: number;
  /** The session timeout that was granted, ms. */
  readonly timeoutMs: number;
  readonly sessionId: SessionId;
  readonly password: Uint8Array;
  /** Sent only to clients that sent theirs. */
  readonly readOnly: boolean | undefined;
}

export const connectResponse: Codec<ConnectResponse> = {
  read: (reader) => {
    const protocolVersion = reader.readInt();
    const timeoutMs = reader.readInt();
    const sessionId = toSessionId(reader.readLong());
    const password = reader.readBuffer();
    if (password === null) throw new MarshallingError('password of a connect response is null');
    return {
      protocolVersion,
      timeoutMs,
      sessionId,
      password,
      readOnly: reader.remaining > 0 ? reader.readBool() : undefined,
    };
  },
  write: (writer, value) => {
    writer.writeInt(value.protocolVersion);
    writer.writeInt(value.timeoutMs);
    writer.writeLong(value.sessionId);
    writer.writeBuffer(value.password);
    if (value.readOnly !== undefined) writer.writeBool(value.readOnly);
  },
};
