import type { Txn } from 'zookeeper-protocol-ts';
import type { Request } from './request/request.ts';
import type { Proposal } from './zab/proposal.ts';

/** How writes get to agreement, and what of it comes back to whom: as the server's role has it. */
export interface Writes<R extends Request> {
  /** Has a write agreed on. */
  submit(request: R): void;
  /** Has everything that was agreed on so far arrive here. */
  sync(request: R): void;
  /** @returns the request that asked for it */
  onSyncCompleted(id: number): R;
  /** The transaction of a proposal that was agreed on, before it is applied. */
  onDeliver(proposal: Proposal): Delivered<R>;
  /** It was applied. */
  onApplied(proposal: Proposal): void;
}

export interface Delivered<R extends Request> {
  readonly txn: Txn;
  /** The request of this server's own that it answers; undefined for those of others. */
  readonly request: R | undefined;
}
