import type { ServerId, Zxid } from 'zookeeper-protocol-ts';
import type { Millis } from '../ports.ts';
import type { LinkId } from './contract.ts';

/**
 * How far a learner has come, as its leader sees it:
 *
 * - `info`: it has introduced itself, and waits for the new epoch.
 * - `epoch`: it was told the epoch.
 * - `accepted`: it has accepted it, and waits until a quorum has.
 * - `searching`: it lacks more than is at hand: the log is looked through for the end of its history.
 * - `behind`: a snapshot, or a part of the log, is on its way to it. What is proposed meanwhile it will get from there, too.
 * - `syncing`: all that is delivered was sent, and NEWLEADER; from here on it gets what is proposed.
 * - `synced`: it has acknowledged NEWLEADER, and waits until a quorum has.
 * - `serving`: it was told UPTODATE.
 */
export type LearnerPhase = 'info' | 'epoch' | 'accepted' | 'searching' | 'behind' | 'syncing' | 'synced' | 'serving';

/** What a leader knows of one learner (`LearnerHandler`). */
export interface LearnerProgress {
  readonly link: LinkId;
  readonly id: ServerId;
  /**
   * Whether it follows, or else observes. One that follows may be new, and not in this server's list yet: it is brought along, and
   * counts for nothing.
   */
  readonly isVoter: boolean;
  phase: LearnerPhase;
  /** Up to where it has this history: at first the end of its log, as it said when it accepted the epoch. */
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
