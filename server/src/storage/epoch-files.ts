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
 *
 * The history may be of a later epoch than the current one: synchronization makes the history durable first, and a server may die
 * in between. It goes on with the lower epoch, whose claim is the smaller one, and is synchronized again: it has not acknowledged
 * NEWLEADER. (The original, which saves the epoch first, does not start then, and takes `currentEpoch.tmp` where there is one;
 * that file is not needed here.)
 *
 * @throws StorageError if a file holds no epoch, or they are at odds with each other or with the history
 */
export function readEpochs(disk: Disk, lastZxid: Zxid): SavedEpochs {
  const names = disk.list();
  const ofHistory = epochOf(lastZxid);
  const savedAccepted = readEpoch(disk, names, 'acceptedEpoch');
  const accepted = savedAccepted ?? ofHistory;
  // Who has accepted an epoch, and begun none, claims nothing for what it has.
  const current = readEpoch(disk, names, 'currentEpoch') ?? (savedAccepted === undefined ? ofHistory : toEpoch(0));
  const problem =
    ofHistory > accepted
      ? `only epoch ${accepted} was accepted, and the history has ${ofHistory}`
      : accepted < current
        ? `the current epoch is ${current}, and only ${accepted} was accepted`
        : undefined;
  if (problem !== undefined) {
    throw new StorageError('EPOCH_INCONSISTENT', problem, { file: `${disk.name}/acceptedEpoch` });
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
