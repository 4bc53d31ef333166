import type { Zxid } from 'zookeeper-protocol-ts';
import type { Disk, DiskFile, Done } from '../ports.ts';
import { logsFrom, logsInOrder } from './log-replay.ts';
import { SECTION_END, type SnapshotName, snapshotsIn } from './snapshot-format.ts';
import { inOrder, type Step } from './steps.ts';

export interface RetentionOptions {
  readonly logDisk: Disk;
  readonly snapshotDisk: Disk;
  /** So many snapshots are kept; at least 1. */
  readonly snapshots: number;
  /** A snapshot that is known to be good, because the server recovered from it or wrote it: it is kept if no newer one is. */
  readonly good: Zxid;
}

/** What isn't needed any more. */
export interface Obsolete {
  readonly snapshots: readonly string[];
  readonly logs: readonly string[];
}

/**
 * Which files may go: the snapshots older than the newest few, and the logs that none of those that stay needs (the original's
 * `PurgeTxnLog`). Only snapshots that look whole are counted among the few (ZOOKEEPER-3231).
 *
 * What must hold: a good snapshot stays, and all logs from it on (SNAP-3).
 */
export function obsoleteFiles({ logDisk, snapshotDisk, snapshots, good }: RetentionOptions): Obsolete {
  const all = snapshotsIn(snapshotDisk.list());
  const whole = all.filter((snapshot) => looksWhole(snapshotDisk, snapshot));
  const oldestKept = whole[Math.min(snapshots, whole.length) - 1];
  if (oldestKept === undefined || whole.length <= snapshots) return { snapshots: [], logs: [] };
  const from = oldestKept.zxid < good ? oldestKept.zxid : good;
  const logs = logsInOrder(logDisk.list());
  const needed = new Set(logsFrom(logs, from));
  return {
    snapshots: all.filter(({ zxid }) => zxid < from).map(({ name }) => name),
    logs: logs.filter((name) => !needed.has(name)),
  };
}

/** Removes files. Snapshots first, oldest first: whatever is left at a crash, the logs that it needs are there. */
export function removeObsolete({ logDisk, snapshotDisk }: RetentionOptions, obsolete: Obsolete, done: Done): void {
  const oldestFirst = [...obsolete.snapshots].reverse();
  const steps: Step[] = [
    ...oldestFirst.map(
      (name): Step =>
        (next) =>
          snapshotDisk.remove(name, next),
    ),
    (next) => snapshotDisk.syncDirectory(next),
    ...obsolete.logs.map(
      (name): Step =>
        (next) =>
          logDisk.remove(name, next),
    ),
    (next) => logDisk.syncDirectory(next),
  ];
  inOrder(steps, done);
}

/** The original's quick test: long enough, and it ends as the last section does; a compressed file begins as it should. */
function looksWhole(disk: Disk, { name, compression }: SnapshotName): boolean {
  const file = disk.open(name);
  try {
    if (compression !== 'none') return beginsWith(file, COMPRESSED_BEGINNING[compression]);
    return (
      file.size >= SNAPSHOT_BYTES_MIN && Buffer.compare(file.readAt(file.size - END.length, END.length), END) === 0
    );
  } finally {
    file.close();
  }
}

const beginsWith = (file: DiskFile, beginning: Uint8Array): boolean =>
  Buffer.compare(file.readAt(0, beginning.length), beginning) === 0;

const SNAPSHOT_BYTES_MIN = 10;
/** {@link SECTION_END} as jute writes it. */
const END = Uint8Array.of(0, 0, 0, 1, SECTION_END.charCodeAt(0));
const COMPRESSED_BEGINNING = {
  gz: Uint8Array.of(0x1f, 0x8b),
  snappy: Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00),
} as const;
