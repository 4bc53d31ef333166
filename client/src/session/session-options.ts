/** What a session is made of, and whom it tells. */
import type { KeeperState, SessionId, SetWatches2Request, WatcherEvent, Zxid } from 'zookeeper-protocol-ts';
import type { HostAddress, Ports } from './transport.ts';

/** The machine's owner. */
export interface SessionHandler {
  /** Connection and session changes, each once: Disconnected comes once an outage, and after a first attempt that failed. */
  onState(state: KeeperState): void;
  /** Every connection, and every attempt to make one, that has failed. */
  onConnectionFailure(address: HostAddress, error: Error): void;
  onEvent(event: WatcherEvent): void;
  /** Asked on every new connection: sent before any waiting request. */
  watchesToRestore(relativeZxid: Zxid): readonly SetWatches2Request[];
}

export interface SessionOptions {
  /** Tried in turn, in an order shuffled once. At least one. */
  readonly hosts: readonly HostAddress[];
  /** What to ask for, ms. */
  readonly timeoutMs: number;
  /** A session to go on with. */
  readonly session?: { readonly id: SessionId; readonly password: Uint8Array } | undefined;
  /** The largest frame sent or accepted, bytes. */
  readonly frameBytesMax?: number | undefined;
  /** A server without a quorum will do, until one with a quorum is found. False by default. */
  readonly canBeReadOnly?: boolean | undefined;
  readonly ports: Ports;
  readonly handler: SessionHandler;
}
