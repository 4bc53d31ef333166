import { JuteReader, OpCode, type SessionId } from 'zookeeper-protocol-ts';
import type { ServerMetrics } from './admin/metrics.ts';
import type { ServerStatistics } from './admin/server-statistics.ts';
import type { Agreement } from './agreement.ts';
import { Answers } from './answers.ts';
import { ClientSessions } from './client-sessions.ts';
import type { ServerConfig } from './config.ts';
import type { ClientConnection } from './connection/client-connection.ts';
import type { ConnectionMemory } from './connection/connection-memory.ts';
import type { Connections } from './connection/connections.ts';
import type { Refusals } from './connection/refusals.ts';
import type { Database } from './database.ts';
import { ForwardedOrigin } from './forwarded-origin.ts';
import { Forwarding } from './forwarding.ts';
import { Pipeline, type PipelineRequest } from './pipeline.ts';
import type { Clock, Hash, Millis, Random, RunLog } from './ports.ts';
import { Proposals } from './proposals.ts';
import type { Role } from './quorum-peer.ts';
import type { Ask } from './request/request.ts';
import { SessionTracker } from './session/session-tracker.ts';
import { TouchedSessions } from './session/touched-sessions.ts';
import type { Snapshots } from './storage/snapshots.ts';
import { Upkeep } from './upkeep.ts';
import type { WatchTable } from './watch/watch-table.ts';
import { WatchNotifier } from './watch-notifier.ts';
import type { LinkId } from './zab/contract.ts';
import type { ForwardedRequest, TouchedSession } from './zab/messages.ts';

export interface ServingOptions {
  readonly role: Role;
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly hash: Hash;
  readonly runLog: RunLog;
  readonly metrics: ServerMetrics;
  readonly statistics: ServerStatistics;
  readonly database: Database;
  readonly snapshots: Snapshots;
  readonly agreement: Agreement;
  readonly connections: Connections;
  readonly connectionMemory: ConnectionMemory;
  readonly refusals: Refusals;
  readonly watches: WatchTable<ClientConnection>;
  readonly askForTurn: () => void;
}

/**
 * What a server does for clients while it has a role: one reign of a leader, seen from here. The parts are the same in every role;
 * what differs is how writes get to agreement, and who knows when a session is over.
 */
export class Serving {
  readonly role: Role;
  readonly sessions: ClientSessions;
  readonly pipeline: Pipeline;
  readonly upkeep: Upkeep;
  readonly #writes: Proposals<PipelineRequest> | Forwarding<PipelineRequest>;
  readonly #touched: TouchedSessions | undefined;

  constructor(options: ServingOptions) {
    const { role, config, clock, random, hash, runLog, metrics, statistics, database, snapshots, agreement } = options;
    const { connections, connectionMemory, refusals, watches, askForTurn } = options;
    this.role = role;
    const leads = role === 'leader' || role === 'standalone';
    const ask: Ask = (type, sessionId, writeBody) => {
      this.pipeline.ask(type, sessionId, writeBody);
      askForTurn();
    };
    const { superDigest } = config;
    const answers = new Answers({ clock, runLog, hash, superDigest, statistics, metrics, database, watches });
    this.#touched = leads ? undefined : new TouchedSessions(database.sessions);
    this.sessions = new ClientSessions({
      ...{ config, clock, random, runLog, metrics, database, connections, refusals, answers, ask },
      clockOfSessions: this.#touched ?? trackerOf(database, config.tickTimeMs, clock.now()),
      revalidate: leads
        ? undefined
        : (sessionId, timeoutMs) => agreement.toLeader({ kind: 'revalidate', sessionId, timeoutMs }),
    });
    const { sessions } = this;
    this.#writes = leads
      ? new Proposals({ config, clock, runLog, database, agreement, sessions })
      : new Forwarding(agreement);
    this.upkeep = new Upkeep({
      ...{ config, clock, random, metrics, database, snapshots },
      rollLog: () => agreement.log.roll(),
      ask: leads ? ask : undefined,
    });
    this.pipeline = new Pipeline({
      ...{ config, clock, metrics, database, sessions, answers, connections, connectionMemory },
      writes: this.#writes,
      tellSynced: ({ link }) => agreement.toLearner(link, { kind: 'synced' }),
      queuedBytes: () => agreement.log.queuedBytes,
      flushProposals: () => agreement.flush(),
      watchNotifier: new WatchNotifier(watches, metrics),
    });
  }

  /** @param id of the leader's own sync; a learner's are answered in their order */
  onSyncCompleted(id: number): void {
    this.pipeline.completeSync(this.#writes.onSyncCompleted(id));
  }

  /** Clients of a learner were heard. */
  onTouched(sessions: readonly TouchedSession[], now: Millis): void {
    for (const { sessionId } of sessions) this.sessions.touch(sessionId, now);
  }

  /** A client has come to a learner with a session. @returns whether it can have it */
  isSessionValid(link: LinkId, sessionId: SessionId, now: Millis): boolean {
    if (!this.sessions.isOpen(sessionId) || !this.sessions.touch(sessionId, now)) return false;
    this.sessions.setHome(sessionId, link);
    return true;
  }

  /** A learner's client asks for something that only a leader can order. */
  onAsked(link: LinkId, { sessionId, cxid, type, body, identities }: ForwardedRequest, options: AskedOptions): void {
    if (type === OpCode.createSession) this.sessions.setHome(sessionId, link);
    // That a session begins or ends is its server's own business.
    const isOwn = type === OpCode.createSession || type === OpCode.closeSession;
    const origin = isOwn ? undefined : new ForwardedOrigin(link, identities, options);
    // The bytes are a view of what was received.
    const reader = new JuteReader(Buffer.from(body));
    this.pipeline.add({ origin, sessionId, xid: cxid, type, body: reader, arrivedAt: options.now });
  }

  /** The clients that a learner has heard since the last time. */
  takeTouched(): TouchedSession[] {
    return this.#touched?.take() ?? [];
  }
}

interface AskedOptions {
  readonly now: Millis;
  readonly skipAcl: boolean;
}

/** Everyone has the whole timeout to come back. */
function trackerOf(database: Database, tickMs: Millis, now: Millis): SessionTracker {
  const tracker = new SessionTracker({ tickMs, now });
  for (const [sessionId, timeoutMs] of database.sessions) tracker.add(sessionId, timeoutMs, now);
  return tracker;
}
