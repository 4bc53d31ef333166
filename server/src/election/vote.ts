import type { Epoch, ServerId, Zxid } from 'zookeeper-protocol-ts';

/** Who somebody thinks should lead, and why: how much of the history that server has. */
export interface Vote {
  readonly leader: ServerId;
  /** The last zxid in that server's log. */
  readonly zxid: Zxid;
  /** Its current epoch: that of the last leader whom it has followed to the end of synchronization. */
  readonly peerEpoch: Epoch;
}

/**
 * Whether `next` is to be preferred: the longer history wins, the larger id decides between equals
 * (`FastLeaderElection.totalOrderPredicate`). Who has no weight can't lead.
 */
export function isBetter(next: Vote, current: Vote, weightOf: (server: ServerId) => number): boolean {
  if (weightOf(next.leader) === 0) return false;
  if (next.peerEpoch !== current.peerEpoch) return next.peerEpoch > current.peerEpoch;
  if (next.zxid !== current.zxid) return next.zxid > current.zxid;
  return next.leader > current.leader;
}

export const isSameVote = (a: Vote, b: Vote): boolean =>
  a.leader === b.leader && a.zxid === b.zxid && a.peerEpoch === b.peerEpoch;
