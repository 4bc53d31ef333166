import type { ServerId, SessionId, Zxid } from 'zookeeper-protocol-ts';
import type { ServerConfig } from '../config.ts';
import type { Database } from '../database.ts';
import type { Ensemble } from '../ensemble.ts';
import type { Machine, Millis } from '../ports.ts';
import type { ConnectionStatistics } from './connection-statistics.ts';
import type { LearnerStatistics } from './learner-statistics.ts';
import type { ServerMetrics } from './metrics.ts';
import type { ServerStatistics } from './server-statistics.ts';
import { FULL_VERSION } from './version.ts';

/**
 * A server as an administrator may look at it: made when a question comes, thrown away with the answer. All that the
 * four-letter words, the AdminServer's commands and the metrics tell is read from here.
 */
export interface ServerView {
  readonly config: ServerConfig;
  readonly machine: Machine;
  /** `standalone`, or the role in an ensemble; undefined while the server doesn't serve. */
  readonly mode: 'standalone' | 'leader' | 'follower' | 'observer' | undefined;
  /** Undefined for a server alone. */
  readonly ensemble: EnsembleView | undefined;
  /** The port that it listens on: another than the configured one when that is 0. */
  readonly clientPort: number;
  /** The monotonic clock, and the wall clock. */
  readonly now: Millis;
  readonly wallTime: Millis;
  /** On the monotonic clock. */
  readonly startedAt: Millis;
  /** When it began to serve in its present role, on the monotonic clock. */
  readonly servesSince: Millis;
  readonly database: Database;
  readonly statistics: ServerStatistics;
  readonly metrics: ServerMetrics;
  /** Requests that wait for their outcome, or behind one that does. */
  readonly outstanding: number;
  readonly connections: Iterable<ConnectionView> & { readonly size: number };
  /** Connections without a session, and until when they have to have one. The others end with their sessions. */
  readonly sessionless: ReadonlyMap<ConnectionView, Millis>;
  /** The chance at which the connection throttle refuses a client. */
  readonly connectionDropChance: number;
  /** When sessions end unless they are heard of, earliest first, on the monotonic clock. */
  readonly sessionDeadlines: readonly (readonly [deadline: Millis, sessions: readonly SessionId[]])[];
  readonly watches: WatchesView;
  /** The last snapshot that is whole; undefined if there is none. When it was taken is -1 for one of an earlier start. */
  readonly lastSnapshot: { readonly zxid: Zxid; readonly takenAtSeconds: number } | undefined;
}

/** An ensemble, as one of its servers sees it. */
export interface EnsembleView {
  readonly ensemble: Ensemble;
  readonly self: ServerId;
  /** Whom this server follows, or is about to. */
  readonly leader: ServerId | undefined;
  /** As in `zab/contract.ts`. */
  readonly zabState: string;
  /** Of the server that leads. */
  readonly reign: ReignView | undefined;
}

export interface ReignView {
  readonly learners: Iterable<LearnerView>;
  /** Syncs that wait for what was proposed before them. */
  readonly pendingSyncs: number;
}

export interface LearnerView {
  readonly id: ServerId;
  readonly isVoter: boolean;
  /** As in `zab/learner-progress.ts`. */
  readonly phase: string;
  /** Undefined when it has just gone. */
  readonly connection: LearnerConnectionView | undefined;
}

export interface LearnerConnectionView {
  /** `127.0.0.1:52000` */
  readonly remote: string;
  readonly queuedPackets: number;
  readonly queuedBytes: number;
  readonly statistics: LearnerStatistics;
}

/** Learners as the original counts them: those that get what is proposed are synced. */
export function learnerCounts({ ensemble, reign }: EnsembleView): {
  readonly all: number;
  readonly syncedFollowers: number;
  /** Of these, those that are not in this server's list: they follow, and don't count. */
  readonly nonVotingFollowers: number;
  readonly syncedObservers: number;
} {
  const every = [...(reign?.learners ?? [])];
  const synced = every.filter(({ phase }) => phase === 'syncing' || phase === 'synced' || phase === 'serving');
  const followers = synced.filter(({ isVoter }) => isVoter);
  return {
    all: every.length,
    syncedFollowers: followers.length,
    nonVotingFollowers: followers.filter(({ id }) => !ensemble.isVoter(id)).length,
    syncedObservers: synced.length - followers.length,
  };
}

/** What the original says of a server that serves: `leading - broadcast`. */
export const PEER_STATES = {
  leader: 'leading - broadcast',
  follower: 'following - broadcast',
  observer: 'observing - broadcast',
} as const;

export interface ConnectionView {
  /** As in the original: `/127.0.0.1:52000`. */
  readonly remote: string;
  /** 0 as long as it has none. */
  readonly sessionId: SessionId;
  readonly sessionTimeoutMs: Millis;
  /** Its requests that are not answered yet. */
  readonly outstanding: number;
  /** Whether it is read from. */
  readonly isReading: boolean;
  /** Whether there is something that the client doesn't read. */
  readonly isWriting: boolean;
  readonly statistics: ConnectionStatistics;
}

/** The watches of znodes' data; those of their children only count in `total`. */
export interface WatchesView {
  readonly total: number;
  byPath(): Iterable<readonly [path: string, sessions: readonly SessionId[]]>;
  bySession(): Iterable<readonly [session: SessionId, paths: readonly string[]]>;
}

/** What the words and commands say instead of an answer while the server doesn't serve. */
export const NOT_SERVING = 'This ZooKeeper instance is not currently serving requests';

/** The number that a server of the original has alone is 0, though its session ids begin with a 1. */
export const serverIdOf = ({ mode, config }: ServerView): number => (mode === 'standalone' ? 0 : config.serverId);

/** Both folders hold their files in a folder of this name. */
const VERSION_FOLDER = '/version-2';

/** Where the files are, and how many bytes they have. */
export function foldersOf({ config, machine }: ServerView): {
  readonly dataDir: string;
  readonly dataDirBytes: number;
  readonly dataLogDir: string;
  readonly dataLogBytes: number;
} {
  const dataDir = config.dataDir + VERSION_FOLDER;
  const dataLogDir = config.dataLogDir + VERSION_FOLDER;
  return {
    dataDir,
    dataDirBytes: machine.folderBytes(dataDir),
    dataLogDir,
    dataLogBytes: machine.folderBytes(dataLogDir),
  };
}

/** The version, and what the machine tells. */
export const environmentOf = (machine: Machine): (readonly [name: string, value: string])[] => [
  ['zookeeper.version', FULL_VERSION],
  ...machine.environment(),
];

/** The bits of the original's selection keys: 1 to read, 4 to write. */
export const interestOf = ({ isReading, isWriting }: ConnectionView): number =>
  (isReading ? 1 : 0) | (isWriting ? 4 : 0);

/** Paths and watches of {@link WatchesView.byPath}, and connections with one. */
export function watchCounts(watches: WatchesView): {
  readonly connections: number;
  readonly paths: number;
  readonly watches: number;
} {
  let paths = 0;
  let count = 0;
  for (const [, sessions] of watches.byPath()) {
    paths++;
    count += sessions.length;
  }
  return { connections: [...watches.bySession()].length, paths, watches: count };
}
