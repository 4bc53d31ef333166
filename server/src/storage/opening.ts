import { toHex } from 'zookeeper-protocol-ts';
import type { Database } from '../database.ts';
import type { RunLog } from '../ports.ts';
import { type Recovered, type RecoveryOptions, recover } from './recovery.ts';
import type { Gzip, SnapshotCompression, SnapshotCompressor } from './snapshot-format.ts';
import { Snapshots, type SnapshotsOptions } from './snapshots.ts';

/** What recovery and snapshots need to know, but for what the one tells the other. */
export type OpeningOptions = RecoveryOptions &
  Omit<SnapshotsOptions, 'recoveredFrom' | 'compressor'> & {
    /** How snapshots are written; those that there are may be otherwise. */
    readonly compression: SnapshotCompression;
  };

/** A folder that is ready to be served from. */
export interface Opened {
  readonly database: Database;
  readonly snapshots: Snapshots;
  readonly recovered: Recovered;
}

/**
 * Opens a data folder: recovers what is in it, tells the operator what was found, and makes an empty folder one that has its
 * first snapshot, for without one logs may not be the whole history.
 *
 * @param opened called once
 */
export function openStorage(
  options: OpeningOptions,
  opened: (outcome: Opened | { readonly error: Error }) => void,
): void {
  recover(options, (outcome) => {
    if ('error' in outcome) return opened(outcome);
    const { database, recovered } = outcome;
    tell(recovered, database, options.runLog);
    const { compression, gzip, ...rest } = options;
    const snapshots = new Snapshots({
      ...rest,
      compressor: compressorOf(compression, gzip),
      recoveredFrom: recovered.snapshot?.zxid,
    });
    const ready = { database, snapshots, recovered };
    if (recovered.snapshot !== undefined || recovered.transactions > 0) return opened(ready);
    snapshots.take(database, (error) => opened(error === null ? ready : { error }));
  });
}

/** What an operator should know of what was found, and what became of it. */
function tell(recovered: Recovered, database: Database, runLog: RunLog): void {
  const { snapshot, unusableSnapshots, unfinishedSnapshots, transactions, files, tornTails, emptyFiles, lastZxid } =
    recovered;
  for (const { file, problem } of unusableSnapshots) runLog.warn(`${file} can't be used: ${problem}`);
  for (const file of unfinishedSnapshots) runLog.info(`${file} was never finished: removed`);
  for (const { file, offset, problem } of tornTails) {
    runLog.warn(`${file} ends in the remains of an unfinished write: cut at byte ${offset} (${problem})`);
  }
  for (const file of emptyFiles) runLog.warn(`${file} holds no transaction: removed`);
  if (database.digestMismatches > 0) {
    runLog.warn(`${database.digestMismatches} transactions have the digest of another tree than this one`);
  }
  for (const sessionId of database.deleteOrphans()) {
    runLog.warn(`session ${toHex(sessionId)} is long over: its ephemerals are deleted`);
  }
  if (snapshot === undefined && files.length === 0) return;
  const from = snapshot === undefined ? '' : `${snapshot.name} and `;
  runLog.info(`recovered ${from}${transactions} transactions from ${files.length} logs, up to zxid ${toHex(lastZxid)}`);
}

/** Without gzip on this machine nothing is compressed: a snapshot is worth more than its size. */
const compressorOf = (compression: SnapshotCompression, gzip: Gzip | undefined): SnapshotCompressor => {
  if (compression !== 'gz') return { kind: compression };
  return gzip === undefined ? { kind: 'none' } : { kind: compression, gzip };
};
