import { describe, expect, it, vi } from 'vitest';
import { JuteWriter, toZxid, type Zxid } from 'zookeeper-protocol-ts';
import { QuorumPacketReader } from './connection/quorum-packets.ts';
import { SnapshotStream } from './connection/snapshot-stream.ts';
import { Database } from './database.ts';
import { HistoryFeed } from './history-feed.ts';
import { LogCursor } from './storage/log-cursor.ts';
import type { MemoryDiskOptions } from './storage/memory-disk.ts';
import { apply, createTxn, steppedDisk } from './storage/snapshot.fixture.ts';
import { recordOf } from './storage/txn-log.fixture.ts';
import { logName, writeLogEntry, writeLogHeader } from './storage/txn-log-format.ts';
import type { LogPlace } from './zab/contract.ts';
import { type QuorumMessage, toMessage } from './zab/messages.ts';

const MANY = 2000;

function logOf(first: number, last: number): [name: string, bytes: Uint8Array] {
  const writer = new JuteWriter(64 * 1024);
  writeLogHeader(writer);
  for (let zxid = first; zxid <= last; zxid++) writeLogEntry(writer, recordOf(BigInt(zxid), 200));
  return [logName(toZxid(BigInt(first))), writer.take()];
}

function feedOf({
  logBytesMax = () => Number.POSITIVE_INFINITY,
  ...options
}: { logBytesMax?: () => number | undefined } & Pick<MemoryDiskOptions, 'onOperation'> = {}) {
  const { disk } = steppedDisk({ files: [logOf(1, MANY)], ...options });
  const turns: (() => void)[] = [];
  const warnings: string[] = [];
  const database = new Database();
  let closed = 0;
  const feed = new HistoryFeed({
    database,
    cursor: new LogCursor({ disk, provenFrom: toZxid(0n) }),
    logBytesMax,
    clock: { soon: (run) => turns.push(run) },
    runLog: { info: () => undefined, warn: (line) => warnings.push(line), error: () => undefined },
    onClosed: () => closed++,
  });
  /** @returns how many turns it took */
  const turn = (): number => {
    let count = 0;
    for (let next = turns.shift(); next !== undefined; next = turns.shift(), count++) next();
    return count;
  };
  return { feed, disk, database, turn, turns, warnings, closed: () => closed };
}

const zxid = (number: number): Zxid => toZxid(BigInt(number));

function search(
  { feed, turn }: ReturnType<typeof feedOf>,
  last: number,
  upTo = MANY,
): LogPlace | undefined | 'nothing' {
  let found: LogPlace | undefined | 'nothing' = 'nothing';
  feed.searchLog(zxid(last), zxid(upTo), (place) => {
    found = place;
  });
  turn();
  return found;
}

/** A line each. */
function messagesOf(slices: Iterable<Uint8Array>): string[] {
  const packets = new QuorumPacketReader();
  const lines: string[] = [];
  for (const slice of slices) {
    packets.push(slice);
    for (let next = packets.next(); next !== undefined; next = packets.next()) {
      lines.push(lineOf(toMessage(next, 'leader')));
    }
  }
  return lines;
}

const lineOf = (message: QuorumMessage): string =>
  message.kind === 'proposal'
    ? `proposal ${message.proposal.zxid} ${Buffer.from(message.proposal.bytes).toString('base64')}`
    : `${message.kind} ${'zxid' in message ? message.zxid : ''}`;

const committed = (first: number, last: number): string[] =>
  Array.from({ length: last - first + 1 }, (_, i) => zxid(first + i)).flatMap((each) => [
    lineOf({ kind: 'proposal', proposal: { zxid: each, bytes: recordOf(each, 200) } }),
    lineOf({ kind: 'commit', zxid: each }),
  ]);

describe('what a leader finds in its log for a learner', () => {
  it('is the place of the last transaction of the learner, with what follows', () => {
    const started = feedOf();
    expect(search(started, 5)).toEqual({ last: 5n, next: 6n });
    expect(started.feed.neededFrom).toBeUndefined();
  });

  it('is looked for in steps, so that others have their turn, and never within the call', () => {
    const { feed, turn, turns } = feedOf();
    let isFound = false;
    feed.searchLog(zxid(1500), zxid(MANY), () => {
      isFound = true;
    });
    expect([isFound, turns.length]).toEqual([false, 1]);
    expect(turn()).toBeGreaterThan(3);
    expect(isFound).toBe(true);
  });

  it.each([
    ['is turned off', () => undefined],
    ['would be more than a snapshot is worth', () => 1000],
    [
      'can not be compared with the snapshot',
      () => {
        throw new Error('EIO');
      },
    ],
  ])('is nothing if the log %s', (_, logBytesMax) => {
    expect(search(feedOf({ logBytesMax }), 5)).toBeUndefined();
  });

  it('counts only what is to be sent: what stands in front of it does not matter', () => {
    expect(search(feedOf({ logBytesMax: () => 1000 }), MANY - 3)).toEqual({ last: 1997n, next: 1998n });
  });

  it('is nothing if the log does not go back so far, or not up to where it should', () => {
    expect(search(feedOf(), 0)).toBeUndefined();
    const started = feedOf();
    expect(search(started, 5, MANY + 1)).toBeUndefined();
    expect(started.warnings.join()).toMatch(/the log ends/);
  });

  it('is not told when the learner has gone', () => {
    const { feed, turn, turns, closed } = feedOf();
    feed.searchLog(zxid(1500), zxid(MANY), () => expect.fail('the feed is closed'));
    turns.shift()?.();
    feed.close();
    feed.close();
    turn();
    expect(closed()).toBe(1);
  });
});

describe('what a leader sends a learner', () => {
  it('is each transaction of the log behind a place, with its commit, in slices', () => {
    const started = feedOf();
    search(started, 5);
    let slices: Uint8Array[] = [];
    started.feed.log(zxid(5), zxid(MANY), (each) => {
      slices = [...each];
    });
    expect(slices.length).toBeGreaterThan(3);
    for (const { length } of slices) expect(length).toBeLessThan(65 * 1024);
    expect(messagesOf(slices)).toEqual(committed(6, MANY));
  });

  it('goes on where the last part of the log ended, and finds a place where it was not yet', () => {
    const started = feedOf();
    const { feed, turn } = started;
    const sent: string[][] = [];
    const take = (slices: Iterable<Uint8Array>): void => void sent.push(messagesOf(slices));
    feed.log(zxid(10), zxid(12), take);
    expect(sent).toEqual([]);
    turn();
    feed.log(zxid(12), zxid(13), take);
    expect(sent).toEqual([committed(11, 12), committed(13, 13)]);
  });

  it('ends in an error when the log does not have it, so that the learner begins anew', () => {
    const { feed, turn } = feedOf();
    let slices: Iterable<Uint8Array> = [];
    feed.log(zxid(MANY - 1), zxid(MANY + 5), (each) => {
      slices = each;
    });
    turn();
    expect(() => [...slices]).toThrow(/the log ends/);
  });

  it('is a snapshot of the database as it was when it was asked for, with its signature', () => {
    const { feed, database } = feedOf();
    apply(database, createTxn('/before'));
    const slices = feed.snapshot();
    apply(database, createTxn('/after'));
    const chunks: Uint8Array[] = [];
    const stream = new SnapshotStream((bytes) => chunks.push(bytes));
    const behind = [...slices].map((slice) => stream.push(slice));
    expect(behind.at(-1)).toHaveLength(0);
    const contents = Buffer.concat(chunks).toString('latin1');
    expect(contents).toContain('/before');
    expect(contents).not.toContain('/after');
  });

  it('lets go of the database when a snapshot is given up before it has begun', () => {
    const { feed, database } = feedOf();
    const ended = vi.spyOn(database.tree, 'endImage');
    feed.snapshot().return();
    expect(ended).toHaveBeenCalledTimes(1);
  });

  it('keeps the logs that it will need from being purged until it is sent, and no longer', () => {
    const started = feedOf();
    const { feed, database } = started;
    search(started, 5);
    feed.log(zxid(5), zxid(MANY), (slices) => {
      expect(feed.neededFrom).toBe(5n);
      slices.next();
      expect(feed.neededFrom).toBeGreaterThan(5n);
      for (const _ of slices) expect(feed.neededFrom).toBeLessThanOrEqual(zxid(MANY));
    });
    expect(feed.neededFrom).toBeUndefined();
    apply(database, createTxn('/a'));
    const slices = feed.snapshot();
    expect(feed.neededFrom).toBe(1n);
    for (const _ of slices);
    expect(feed.neededFrom).toBeUndefined();
  });
});
