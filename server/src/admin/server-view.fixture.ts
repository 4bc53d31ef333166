import { NO_SESSION, toSessionId } from 'zookeeper-protocol-ts';
import { completeConfig } from '../config.ts';
import { Database } from '../database.ts';
import type { Machine } from '../ports.ts';
import { ConnectionStatistics } from './connection-statistics.ts';
import { ServerMetrics } from './metrics.ts';
import { ServerStatistics } from './server-statistics.ts';
import type { ConnectionView, ServerView } from './server-view.ts';

/** A session id that no double holds. */
export const SESSION = toSessionId(0x100_003c_1308_0001n);

export const MACHINE: Machine = {
  environment: () => [
    ['host.name', 'here'],
    ['os.name', 'Linux'],
  ],
  openFiles: () => ({ now: 7, max: 1024 }),
  usage: () => ({ residentBytes: 4096, cpuSeconds: 1.5, startedAtSeconds: 1000 }),
  folderBytes: (folder) => folder.length,
  formatTime: (wallTime) => `T${wallTime}`,
};

/** A server that serves one empty tree, at 1 s after its start; the wall clock is 1 000 000 s ahead of the monotonic one. */
export function viewWith(changes: Partial<ServerView> = {}): ServerView {
  return {
    config: completeConfig({ dataDir: '/data', dataLogDir: '/log', clientPort: 2181, fourLetterWords: new Set(['*']) }),
    machine: MACHINE,
    mode: 'standalone',
    ensemble: undefined,
    clientPort: 2181,
    now: 2000,
    wallTime: 1_000_002_000,
    startedAt: 1000,
    servesSince: 1000,
    database: new Database(),
    statistics: new ServerStatistics(),
    metrics: new ServerMetrics(),
    outstanding: 0,
    connections: new Set(),
    sessionless: new Map(),
    connectionDropChance: 0,
    sessionDeadlines: [],
    watches: { total: 0, byPath: () => [], bySession: () => [] },
    lastSnapshot: undefined,
    ...changes,
  };
}

export function connectionWith(changes: Partial<ConnectionView> = {}): ConnectionView {
  return {
    remote: '/127.0.0.1:5000',
    sessionId: NO_SESSION,
    sessionTimeoutMs: 0,
    outstanding: 0,
    isReading: true,
    isWriting: false,
    statistics: new ConnectionStatistics(1_000_000_000),
    ...changes,
  };
}
