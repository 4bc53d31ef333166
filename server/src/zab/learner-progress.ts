import type { ServerId, Zxid } from 'zookeeper-protocol-ts';
import type { Millis } from '../ports.ts';
import type { LinkId } from './contract.ts';

/**
 * How far a learner has come, as its leader sees it:
 *
 * - `info`: it has introduced itself, and waits for the new epoch.
 * - `epoch`: it was told the epoch.
 * - `accepted`: it has accepted it, and waits until a quorum has.
 * - `syncing`: its history and NEWLEADER were sent; from here on it gets what is proposed.
 * - `synced`: it has acknowledged NEWLEADER, and waits until a quorum has.
 * - `serving`: it was told UPTODATE.
 */
export type LearnerPhase = 'info' | 'epoch' | 'accepted' | 'syncing' | 'synced' | 'serving';

/** What a leader knows of one learner (`LearnerHandler`). */
export interface LearnerProgress {
  readonly link: LinkId;
  readonly id: ServerId;
  readonly isVoter: boolean;
  phase: LearnerPhase;
  /** The end of its log, as it said when it accepted the epoch. */
  lastZxid: Zxid;
  /** When it was heard last. */
  heardAt: Millis;
  /** Up to where it has acknowledged proposals, or 0. */
  acked: Zxid;
  /** When it last had acknowledged all, or some more. */
  ackedAt: Millis;
  /** Commits that it will be told when it serves: servers of 3.8 fail over one between NEWLEADER and UPTODATE (ZOOKEEPER-4394). */
  readonly heldCommits: Zxid[];
}
