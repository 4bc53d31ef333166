import type { JuteReader, JuteWriter, OpCode, SessionId, Xid } from 'zookeeper-protocol-ts';
import type { Principal } from '../tree/permissions.ts';

/** Who asked, and is to be answered: a connection, with the identities that it has proved, its address among them. */
export type Origin = Principal;

/** Something asked for, by a client or by the server itself. */
export interface Request<O extends Origin = Origin> {
  /** Undefined for what the server asks of itself: expiring a session, removing a container. */
  readonly origin: O | undefined;
  readonly sessionId: SessionId;
  readonly xid: Xid;
  /** The operation code, as sent: not known to be one of ours. */
  readonly type: number;
  /** The body, read up to behind the header. */
  readonly body: JuteReader;
  /** When it arrived, on the server's clock. */
  readonly arrivedAt: number;
}

/** One that a client asked for, over a connection. */
export type ClientRequest<O extends Origin> = Request<O> & { readonly origin: O };

/** Asks for something in the server's own name; it has its turn behind what arrived before. */
export type Ask = (type: OpCode, sessionId: SessionId, writeBody?: (writer: JuteWriter) => void) => void;
