import type { Zxid } from 'zookeeper-protocol-ts';

/** A transaction on its way: what it says is not zab's business, only its place in the order and its bytes. */
export interface Proposal {
  readonly zxid: Zxid;
  /** Header, body and digest, encoded once: the same bytes go into the log and to the other servers. */
  readonly bytes: Uint8Array;
}
