import { type Epoch, epochOf, toEpoch, type Zxid } from 'zookeeper-protocol-ts';
import type { Disk, Done } from '../ports.ts';
import { inOrder, onFile } from './steps.ts';
import { StorageError } from './storage-error.ts';

/**
 * The files `acceptedEpoch` and `currentEpoch` beside the snapshots (`QuorumPeer`, `AtomicFileOutputStream`): a decimal number,
 * written to a file `….tmp`, synced, renamed over the old one.
 */
export type EpochFile = 'acceptedEpoch' | 'currentEpoch';

export interface SavedEpochs {
  readonly accepted: Epoch;
  readonly current: Epoch;
}

/** Of a server that has never taken part in an ensemble. */
export const epochsOf = (lastZxid: Zxid): SavedEpochs => ({ accepted: epochOf(lastZxid), current: epochOf(lastZxid) });

/**
 * What is on the disk; a server that has never taken part has the epoch of its history.
 * @throws StorageError if a file holds no epoch, or they are at odds with each other or with the history
 */
export function readEpochs(disk: Disk, lastZxid: Zxid): SavedEpochs {
  const names = disk.list();
  const ofHistory = epochOf(lastZxid);
  const accepted = readEpoch(disk, names, 'acceptedEpoch') ?? ofHistory;
  let current = readEpoch(disk, names, 'currentEpoch') ?? ofHistory;
  if (ofHistory > current && names.includes('currentEpoch.tmp')) {
    current = readEpoch(disk, names, 'currentEpoch.tmp') ?? current;
  }
  const file = `${disk.name}/currentEpoch`;
  if (ofHistory > current) {
    throw new StorageError('EPOCH_INCONSISTENT', `the current epoch is ${current}, and the history has ${ofHistory}`, {
      file,
    });
  }
  if (accepted < current) {
    throw new StorageError('EPOCH_INCONSISTENT', `the current epoch is ${current}, and only ${accepted} was accepted`, {
      file,
    });
  }
  return { accepted, current };
}

/** @param done called when the epoch is durable, under its name */
export function saveEpoch(disk: Disk, name: EpochFile, epoch: Epoch, done: Done): void {
  const bytes = Buffer.from(String(epoch));
  const unfinished = `${name}.tmp`;
  inOrder(
    [
      onFile(disk, unfinished, (file, next) =>
        inOrder(
          [(then) => file.truncate(0, then), (then) => file.write(0, bytes, then), (then) => file.sync(then)],
          next,
        ),
      ),
      (next) => disk.rename(unfinished, name, next),
      (next) => disk.syncDirectory(next),
    ],
    done,
  );
}

const EPOCH_TEXT_BYTES_MAX = 32;

function readEpoch(disk: Disk, names: readonly string[], name: string): Epoch | undefined {
  if (!names.includes(name)) return undefined;
  const file = disk.open(name);
  try {
    const text = Buffer.from(file.readAt(0, EPOCH_TEXT_BYTES_MAX)).toString('utf8').trim();
    if (/^\d{1,15}$/.test(text)) return toEpoch(Number(text));
    throw new StorageError('EPOCH_UNREADABLE', `"${text}" is no epoch`, { file: `${disk.name}/${name}` });
  } finally {
    file.close();
  }
}
