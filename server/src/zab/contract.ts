import type { Zxid } from 'zookeeper-protocol-ts';
import type { Proposal } from './proposal.ts';

/**
 * The contract of agreement: a server tells what happened, agreement answers with what is to be done, in that order. It never
 * does anything itself, and durability is an input: nothing that promises it is answered before `synced` has arrived.
 */

/** What happened to this server, as far as agreement is concerned. */
export type Input =
  /** Order this and agree on it. */
  | { readonly kind: 'propose'; readonly proposal: Proposal }
  /** The log is durable up to here. */
  | { readonly kind: 'synced'; readonly zxid: Zxid }
  /** Tell when everything proposed so far has been committed. */
  | { readonly kind: 'sync'; readonly id: number };

/** What the server has to do about it, in this order. */
export type Output =
  /** Append to the log; answered by `synced` when it is durable. */
  | { readonly kind: 'append'; readonly proposal: Proposal }
  /** Committed: apply it. In the order of the zxids, each once. */
  | { readonly kind: 'deliver'; readonly proposal: Proposal }
  | { readonly kind: 'syncCompleted'; readonly id: number };
