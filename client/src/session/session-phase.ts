/** What a session is doing, and what it knows only while it does that. */
import type { FrameReader, Xid } from 'zookeeper-protocol-ts';
import type { Credential, EndReason, SessionRequest } from './session-request.ts';
import type { Connection, HostAddress } from './transport.ts';

/** A stream to one host, and what has arrived of its next frame. */
export interface Link {
  readonly address: HostAddress;
  readonly connection: Connection;
  readonly frames: FrameReader;
}

export interface InFlight {
  readonly xid: Xid;
  readonly request: SessionRequest;
  /** When it was sent: the server heard of us no earlier. */
  readonly sentAt: number;
}

export interface Connected {
  readonly kind: 'connected';
  readonly link: Link;
  readonly readOnly: boolean;
  /** When the last bytes arrived. */
  lastHeard: number;
  /** When the last bytes were sent. */
  lastSent: number;
  /** Requests without an answer, in the order in which they were sent. */
  readonly inFlight: InFlight[];
  /** When the pings without an answer were sent. */
  readonly pings: number[];
  /** Credentials without an answer, in the order in which they were sent. */
  readonly credentials: Credential[];
}

export type Phase =
  | { readonly kind: 'waiting'; readonly address: HostAddress; readonly until: number }
  | { readonly kind: 'opening'; readonly link: Link; readonly until: number }
  | { readonly kind: 'handshake'; readonly link: Link; readonly until: number; readonly sentAt: number }
  | Connected
  | { readonly kind: 'over'; readonly reason: EndReason };

/** A server that ends a connection does not say why: what it means depends on when. */
export const CLOSED_BY_SERVER: { readonly [kind in Phase['kind']]?: string } = {
  handshake: 'closed by the server before it answered (it serves no clients now, refuses more, or is behind)',
};
