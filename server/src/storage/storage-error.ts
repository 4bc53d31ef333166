import { toHex, type Zxid } from 'zookeeper-protocol-ts';

/**
 * What can be wrong with the files.
 * - `LOG_DAMAGED`: something in a log can't be read although valid transactions follow it, so it is not the torn end of the
 *   last write: transactions that were acknowledged may be lost.
 * - `LOG_GAP`: transactions are missing between two others, or stand in the wrong order.
 * - `LOG_UNREADABLE`: a file that is not a transaction log of a known version, or a transaction of an unknown form.
 * - `SNAPSHOT_NEEDED`: the logs start in the middle of the history, and no snapshot reaches up to them.
 * - `SNAPSHOT_UNREADABLE`: a snapshot, or each of them, is damaged or of an unknown form.
 * - `DIGEST_MISMATCH`: the tree made of a snapshot and the log is not the one that the snapshot's digest is of.
 * - `FOLDERS_MIXED`: there are logs in the folder of the snapshots, or snapshots in that of the logs.
 * - `EPOCH_UNREADABLE`: an epoch file holds something else.
 * - `EPOCH_INCONSISTENT`: the epoch files are at odds with each other, or with the history.
 * - `FOLDER_UNUSABLE`: the data folder can't be created, read or written.
 */
export type StorageErrorCode =
  | 'LOG_DAMAGED'
  | 'LOG_GAP'
  | 'LOG_UNREADABLE'
  | 'SNAPSHOT_NEEDED'
  | 'SNAPSHOT_UNREADABLE'
  | 'DIGEST_MISMATCH'
  | 'FOLDERS_MIXED'
  | 'EPOCH_UNREADABLE'
  | 'EPOCH_INCONSISTENT'
  | 'FOLDER_UNUSABLE';

export interface StorageErrorPlace {
  /** The file, or the folder, that it is about. */
  readonly file: string;
  /** Where in the file, in bytes from its start. */
  readonly offset?: number;
  /** The last transaction in order before that place. */
  readonly zxid?: Zxid;
  readonly cause?: unknown;
}

/** The server can't start from these files without serving guesses. It names the place, so that an operator can look. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly code: StorageErrorCode;
  readonly file: string;
  readonly offset: number | undefined;
  readonly zxid: Zxid | undefined;

  constructor(code: StorageErrorCode, what: string, place: StorageErrorPlace) {
    const offset = place.offset === undefined ? '' : ` at byte ${place.offset}`;
    const zxid = place.zxid === undefined ? '' : `, after zxid ${toHex(place.zxid)}`;
    super(`${place.file}${offset}${zxid}: ${what}`, 'cause' in place ? { cause: place.cause } : undefined);
    this.code = code;
    this.file = place.file;
    this.offset = place.offset;
    this.zxid = place.zxid;
  }
}
