/**
 * Stories of the protocol in text: each file beside this one plays one of them, step by step, on the shipped state machines
 * (`quorum-peer.ts` with `election/` and `zab/`), and says every single thing that they do. Without chance and without time that
 * passes by itself: these are the corner cases for people to read, where the simulator finds those that nobody has thought of.
 *
 *     # A follower that lacks nothing gets an empty DIFF.        the title; lines with # are remarks
 *     servers 1 2 3, observer 4                                  voters, and those who don't vote
 *     disk 1: log 1/1..1/3 2/1, accepted epoch 2, current epoch 2
 *     start 1 2                                                  a command at the margin
 *       1 -> 2: vote 1 (2/1, epoch 2), round 1, LOOKING          two blanks in: all that comes of it, line by line
 *       …                                                        whatever comes here; only where a story is about something else
 *
 * Zxids are `epoch/counter`. A server that was never started is the script's: whatever is said to it is only written down, and
 * the script says what it says (`3 -> 1: ACK 2/1`, `3 -> 1: vote 3 (2/1, epoch 2), round 1, LOOKING`). The commands:
 *
 *     disk 1: snapshot 1/3, log 1/4..1/6, accepted epoch 1, current epoch 1     before it is started; what is left out is empty, or 0;
 *                                             `at hand 2`: only so many of the last transactions are in memory, too
 *     start 1 2      kill 1      crash 1      state 1 2      kill leaves all that was written, crash (of power) what was durable
 *     run            run 200 ms               everything that waits is done, until nothing does; then time passes
 *     wait 200 ms                             only time passes
 *     hold fsync 2   release fsync 2          what `run` leaves undone: fsync 2, save 2, change 2, feed 2, 1 -> 2
 *     fsync 2        fsync 2 up to 1/4        the log is durable
 *     save 2                                  the epoch file that is being written is
 *     change 2                                the log is cut, or replaced by the snapshot that has arrived
 *     feed 3                                  the log was searched or read for a learner, or the snapshot has left
 *     3 accepts 2    3 refuses 2              what becomes of a dial
 *     2 connects to 3                         a server of the script's
 *     deliver 1 -> 2          deliver 1 -> 2 all       drop 1 -> 2      the next thing on that way; drop: votes only
 *     cut 1 - 2                               the connection between them breaks, and what is on it is lost
 *     1 loses 2                               1 can't reach 2 for an election
 *     2 -> 1: ACK 1/1                         the script speaks; packets that no server sends: packet of type 99, zxid 1/0, data 00ff
 *     propose 3 "a" "b"       sync 3          clients of a leader
 *     2 forwards REQUEST session 0x5, xid 1, setData "a"     clients of a learner; also `…, sync`, and REVALIDATE 0x5 for 4000 ms
 *     2 hears session 0x5 of 4000 ms          3 knows session 0x5
 *     reigns begin at 4294967290              epochs in which so many transactions were proposed already
 *
 * `TRANSCRIPTS=write npx vitest run test/simulation/transcripts` writes down what comes instead of comparing it. Read the difference:
 * it is you who says that it is right.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Broadcast } from '../../../server/src/zab/broadcast.ts';
import { newWorld } from './transcript-commands.fixture.ts';
import { playTranscript, readTranscript, rewriteTranscript, type World } from './transcript-file.fixture.ts';

const reign = vi.hoisted(() => ({ begin: 0 }));

/** Four billion proposals can't be played: a reign may begin with that many behind it. */
vi.mock('../../../server/src/zab/broadcast.ts', async (importOriginal) => {
  const original = await importOriginal<{ Broadcast: typeof Broadcast }>();
  class LaterBroadcast extends original.Broadcast {
    constructor(options: ConstructorParameters<typeof Broadcast>[0]) {
      super({ ...options, lastZxid: (options.lastZxid + BigInt(reign.begin)) as typeof options.lastZxid });
    }
  }
  return { Broadcast: LaterBroadcast };
});

const folder = fileURLToPath(new URL('.', import.meta.url));
const files = readdirSync(folder).filter((name) => name.endsWith('.txt'));
const isRewriting = process.env.TRANSCRIPTS === 'write';

/** One that can also begin reigns later. */
function newWorldOfReigns(): World {
  const world = newWorld();
  return {
    do: (command) => {
      const [, begin] = /^reigns begin at (\d+)$/.exec(command) ?? [];
      if (begin === undefined) return world.do(command);
      reign.begin = Number(begin);
      return [];
    },
  };
}

beforeEach(() => {
  reign.begin = 0;
});

describe('transcripts', () => {
  it('are there', () => {
    expect(files.length).toBeGreaterThan(15);
    const titles = files.map((name) => readTranscript(readFileSync(folder + name, 'utf8')).title);
    expect(new Set(titles).size).toBe(titles.length);
  });

  it.each(files)('%s', (name) => {
    const text = readFileSync(folder + name, 'utf8');
    if (isRewriting) writeFileSync(folder + name, rewriteTranscript(text, newWorldOfReigns()));
    else playTranscript(readTranscript(text), newWorldOfReigns());
  });
});
