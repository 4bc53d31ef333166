import { JuteWriter, type Zxid } from 'zookeeper-protocol-ts';
import { SNAPSHOT_SIGNATURE } from './connection/snapshot-stream.ts';
import type { Database } from './database.ts';
import { InvariantError } from './invariant.ts';
import type { Clock, RunLog } from './ports.ts';
import type { LogCursor } from './storage/log-cursor.ts';
import { snapshotContents } from './storage/snapshot-contents.ts';
import type { LogPlace } from './zab/contract.ts';
import { writeMessage } from './zab/messages.ts';

/** Slices of what a learner is sent, as they go over its stream. Returned early, they let go of what they hold. */
export type Slices = Generator<Uint8Array, void, void>;

export interface HistoryFeedOptions {
  readonly database: Database;
  readonly cursor: LogCursor;
  /** So many bytes of log at the most are sent in place of a snapshot; undefined: none. Throws when the disk can't be read. */
  readonly logBytesMax: () => number | undefined;
  readonly clock: Pick<Clock, 'soon'>;
  readonly runLog: RunLog;
  readonly onClosed: (feed: HistoryFeed) => void;
}

/**
 * What a leader sends one learner of its history, in slices: the database as a snapshot, and parts of the log, each transaction as a
 * proposal and its commit. The learner's stream takes a slice when there is room for it, and the log is looked through step by step, so
 * nobody else has to wait.
 */
export class HistoryFeed {
  readonly #options: HistoryFeedOptions;
  readonly #cursor: LogCursor;
  /** Undefined when nothing is under way. */
  #neededFrom: Zxid | undefined;
  /** What looks through the log. */
  #steps: Generator<number, unknown> | undefined;
  #isClosed = false;

  constructor(options: HistoryFeedOptions) {
    this.#options = options;
    this.#cursor = options.cursor;
  }

  /** The logs from here on may not be purged. */
  get neededFrom(): Zxid | undefined {
    return this.#neededFrom;
  }

  /**
   * Looks for the last transaction of the log that is not behind `zxid`, and reads on from there to see that all up to `upTo` is there
   * and not too much.
   * @param found called once, later, unless the feed is closed before
   */
  searchLog(zxid: Zxid, upTo: Zxid, found: (place: LogPlace | undefined) => void): void {
    const { logBytesMax } = this.#options;
    this.#neededFrom = zxid;
    this.#run(search({ cursor: this.#cursor, zxid, upTo, logBytesMax }), (place) => {
      this.#neededFrom = undefined;
      found(place instanceof Error ? undefined : place);
    });
  }

  /**
   * The log behind `after` up to `upTo`. The slices end in an error if it isn't there.
   * @param ready called once, now or later, unless the feed is closed before
   */
  log(after: Zxid, upTo: Zxid, ready: (slices: Slices) => void): void {
    this.#neededFrom = after;
    const slices = this.#logSlices(upTo);
    if (this.#cursor.zxid === after) ready(slices);
    else this.#run(this.#cursor.moveTo(after), () => ready(slices));
  }

  /** The database as it is at the call. */
  snapshot(): Slices {
    const { database } = this.#options;
    this.#neededFrom = database.lastZxid;
    const slices = this.#snapshotSlices(snapshotContents(database, SLICE_BYTES));
    // From here on `return` lets go of the contents.
    slices.next();
    return slices;
  }

  /** Does it in a turn of its own, unless the feed is closed before. */
  later(run: () => void): void {
    this.#options.clock.soon(() => {
      if (!this.#isClosed) run();
    });
  }

  /** The learner has gone. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#steps?.return(undefined);
    this.#options.onClosed(this);
  }

  *#snapshotSlices(contents: Slices): Slices {
    try {
      yield Buffer.alloc(0);
      yield* contents;
    } finally {
      contents.return();
    }
    const writer = new JuteWriter(64);
    writer.writeString(SNAPSHOT_SIGNATURE);
    yield writer.take();
    this.#neededFrom = undefined;
  }

  *#logSlices(upTo: Zxid): Slices {
    const writer = new JuteWriter(SLICE_BYTES);
    for (const { zxid, bytes } of this.#cursor.read(upTo)) {
      writeMessage(writer, { kind: 'proposal', proposal: { zxid, bytes } });
      writeMessage(writer, { kind: 'commit', zxid });
      this.#neededFrom = zxid;
      if (writer.length >= SLICE_BYTES) yield writer.take();
    }
    if (writer.length > 0) yield writer.take();
    this.#neededFrom = undefined;
  }

  /** Runs what reads the log, a slice of it at a time. An error of the disk is a result: the log is then of no use. */
  #run<Result>(steps: Generator<number, Result>, done: (result: Result | Error) => void): void {
    this.#steps = steps;
    const { runLog } = this.#options;
    const goOn = (): void => {
      const result = advance(steps);
      if (result === undefined) return this.later(goOn);
      this.#steps = undefined;
      if (result.value instanceof Error) runLog.warn(`a learner can't be sent the log: ${result.value.message}`);
      done(result.value);
    };
    this.later(goOn);
  }
}

/** @returns the result, or the error that ended it; undefined: there is more to do */
function advance<Result>(steps: Generator<number, Result>): { readonly value: Result | Error } | undefined {
  try {
    for (let bytes = 0; bytes < SLICE_BYTES; ) {
      const next = steps.next();
      if (next.done === true) return next;
      bytes += next.value;
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof Error) || error instanceof InvariantError) throw error;
    return { value: error };
  }
}

interface Search {
  readonly cursor: LogCursor;
  readonly zxid: Zxid;
  readonly upTo: Zxid;
  readonly logBytesMax: HistoryFeedOptions['logBytesMax'];
}

/** Leaves the cursor at the place. */
function* search({ cursor, zxid, upTo, logBytesMax }: Search): Generator<number, LogPlace | undefined> {
  const bytesMax = logBytesMax();
  if (bytesMax === undefined || !(yield* cursor.moveTo(zxid))) return undefined;
  let next: Zxid | undefined;
  let bytes = 0;
  for (const entry of cursor.copy().read(upTo)) {
    next ??= entry.zxid;
    bytes += entry.bytes.length;
    if (bytes > bytesMax) return undefined;
    yield entry.bytes.length;
  }
  const { zxid: last } = cursor;
  return last === undefined || next === undefined ? undefined : { last, next };
}

/** What is sent, or looked through, at a time: a millisecond or two of work where the transactions are small. */
const SLICE_BYTES = 64 * 1024;
