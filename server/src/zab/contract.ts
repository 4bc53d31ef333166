import type { Brand, Epoch, ServerId, SessionId, Zxid } from 'zookeeper-protocol-ts';
import type { ForwardedRequest, QuorumMessage, TouchedSession } from './messages.ts';
import type { Proposal } from './proposal.ts';

/**
 * The contract of ZAB: a server tells what happened, agreement answers with what is to be done, in that order. It never does
 * anything itself, and durability is an input: nothing that promises it is answered before `synced`, `epochSaved` or one
 * about the history has arrived.
 */

/** A stream between a leader and a learner, as this server numbers them. Never used again. */
export type LinkId = Brand<number, 'LinkId'>;

/** For the other end of a link. */
export const send = (link: LinkId, message: QuorumMessage): Output => ({ kind: 'send', link, message });

/** What happened to this server, as far as agreement is concerned. */
export type Input =
  /** The deadline has come. */
  | { readonly kind: 'tick' }
  /** Order this and agree on it: leaders only. */
  | { readonly kind: 'propose'; readonly proposal: Proposal }
  /** The log is durable up to here. */
  | { readonly kind: 'synced'; readonly zxid: Zxid }
  /** Tell when everything proposed so far has been committed: leaders only. */
  | { readonly kind: 'sync'; readonly id: number }
  /** The leader that was dialled has been reached. */
  | { readonly kind: 'linkOpened'; readonly link: LinkId }
  /** Also if it was never opened. Nothing follows on that link. */
  | { readonly kind: 'linkClosed'; readonly link: LinkId }
  | { readonly kind: 'message'; readonly link: LinkId; readonly message: QuorumMessage }
  /** A part of a snapshot has arrived, or of the history has left: the other end is alive. */
  | { readonly kind: 'heard'; readonly link: LinkId }
  /** All of the snapshot has arrived: what it takes from here on is this server's own doing. */
  | { readonly kind: 'snapshotReceived'; readonly link: LinkId }
  | { readonly kind: 'epochSaved'; readonly which: EpochKind; readonly epoch: Epoch }
  /** The log was cut, durably, and the database has all that is left of it: the history ends here now. */
  | { readonly kind: 'truncated'; readonly zxid: Zxid }
  /** Log and database were replaced by a snapshot, durably. */
  | { readonly kind: 'snapshotInstalled'; readonly zxid: Zxid }
  /** It did not arrive whole: log and database are what they were. */
  | { readonly kind: 'snapshotLost' }
  /** Undefined: the log doesn't go back so far, or has too much to be sent. */
  | { readonly kind: 'logSearched'; readonly link: LinkId; readonly place: LogPlace | undefined }
  /** The snapshot, or the part of the log, is on its way to the learner, and nothing of it has to be kept any more. */
  | { readonly kind: 'historySent'; readonly link: LinkId };

/** Between two transactions of the log that follow each other. */
export interface LogPlace {
  readonly last: Zxid;
  readonly next: Zxid;
}

/** How far a server has come towards serving, in the original's words (`QuorumPeer.ZabState`). */
export type ZabState = 'election' | 'discovery' | 'synchronization' | 'broadcast';

/** Each is a file: the last epoch that was promised to a leader, and the last one whose beginning is in this history. */
export type EpochKind = 'accepted' | 'current';

/** What the server has to do about it, in this order. */
export type Output =
  /** Append to the log; answered by `synced` when it is durable. */
  | { readonly kind: 'append'; readonly proposal: Proposal }
  /** Committed: apply it. In the order of the zxids, each once. */
  | { readonly kind: 'deliver'; readonly proposal: Proposal }
  | { readonly kind: 'syncCompleted'; readonly id: number }
  /** Answered by `epochSaved` when it is durable. */
  | { readonly kind: 'saveEpoch'; readonly which: EpochKind; readonly epoch: Epoch }
  /**
   * Drop what is behind this zxid from the log, and recover the database from the rest. Answered by `truncated`: nothing is read
   * from the leader until then.
   */
  | { readonly kind: 'truncate'; readonly after: Zxid }
  /**
   * A snapshot comes next on this link: it replaces log and database. Answered by `snapshotReceived` and `snapshotInstalled`, or by
   * `snapshotLost`: nothing else is read from the leader until then.
   */
  | { readonly kind: 'receiveSnapshot'; readonly link: LinkId; readonly zxid: Zxid }
  /** Send the database as it is now. Answered by `historySent`. */
  | { readonly kind: 'sendSnapshot'; readonly link: LinkId }
  /**
   * Find the last transaction of the log that is not behind `zxid`, if what follows it up to `upTo` may be sent to a learner. Answered by
   * `logSearched`.
   */
  | { readonly kind: 'searchLog'; readonly link: LinkId; readonly zxid: Zxid; readonly upTo: Zxid }
  /**
   * Send what the log has behind `after` up to `upTo`, each proposal with its commit. Answered by `historySent`; the link is closed
   * if the log doesn't have it.
   */
  | { readonly kind: 'sendLog'; readonly link: LinkId; readonly after: Zxid; readonly upTo: Zxid }
  /** Reach the leader's quorum port. Answered by `linkOpened`, or `linkClosed`. */
  | { readonly kind: 'dial'; readonly leader: ServerId; readonly link: LinkId }
  | { readonly kind: 'send'; readonly link: LinkId; readonly message: QuorumMessage }
  | { readonly kind: 'close'; readonly link: LinkId; readonly reason: string }
  /** Order what a learner's client asks for. */
  | { readonly kind: 'ask'; readonly link: LinkId; readonly request: ForwardedRequest }
  /** Clients of a learner are alive. */
  | { readonly kind: 'touch'; readonly sessions: readonly TouchedSession[] }
  /** A client has come to a learner with a session: tell whether there is one. */
  | { readonly kind: 'revalidate'; readonly link: LinkId; readonly sessionId: SessionId; readonly timeoutMs: number }
  /** The leader's answer to that. */
  | { readonly kind: 'revalidated'; readonly sessionId: SessionId; readonly isValid: boolean }
  /** The leader's answer to the oldest sync that was forwarded. */
  | { readonly kind: 'forwardedSyncCompleted' }
  /** Tell the leader which clients were heard since the last time. */
  | { readonly kind: 'pong'; readonly link: LinkId; readonly zxid: Zxid }
  /** Serve in this role from now on. */
  | { readonly kind: 'established'; readonly epoch: Epoch }
  /** Leading or following has ended: look for a leader. */
  | { readonly kind: 'abandoned'; readonly reason: string };
