import { describe, expect, it } from 'vitest';
import { InvariantError } from '../invariant.ts';
import { History } from './history.ts';
import { proposal, zxid } from './zab.fixture.ts';

/** Delivered: 1/3, 1/4, 1/6, then 2/1 and 2/2. What was before 1/3 is not at hand. */
function delivered(): History {
  const history = new History(zxid(1, 2), { recentMax: 500 });
  for (const [epoch, counter] of [
    [1, 3],
    [1, 4],
    [1, 6],
    [2, 1],
    [2, 2],
  ] as const) {
    history.append(proposal(epoch, counter));
  }
  history.deliverUpTo(zxid(2, 2));
  return history;
}

describe('how a learner gets to the history of its leader', () => {
  it.each([
    ['has all: nothing', zxid(2, 2), { kind: 'diff', zxid: zxid(2, 2), proposals: [] }],
    ['has more: it is cut', zxid(2, 7), { kind: 'trunc', zxid: zxid(2, 2), proposals: [] }],
    ['lacks the last: it is sent', zxid(2, 1), { kind: 'diff', zxid: zxid(2, 2), proposals: [proposal(2, 2)] }],
    [
      'has what nobody else ever had: that is cut, and the rest sent (ZOOKEEPER-1154)',
      zxid(1, 5),
      { kind: 'trunc', zxid: zxid(1, 4), proposals: [proposal(1, 6), proposal(2, 1), proposal(2, 2)] },
    ],
    ['has what nobody has of an epoch that is over: a snapshot', zxid(1, 9), { kind: 'snap' }],
    ['lacks more than is at hand: it is for the log', zxid(1, 1), { kind: 'older' }],
    [
      'lacks all that is at hand, and nothing before: it is sent',
      zxid(1, 2),
      {
        kind: 'diff',
        zxid: zxid(2, 2),
        proposals: [proposal(1, 3), proposal(1, 4), proposal(1, 6), proposal(2, 1), proposal(2, 2)],
      },
    ],
    [
      'stands at the start of an epoch: what follows',
      zxid(2, 0),
      { kind: 'diff', zxid: zxid(2, 2), proposals: [proposal(2, 1), proposal(2, 2)] },
    ],
    [
      'stands at the start of a later epoch: nothing to cut',
      zxid(3, 0),
      { kind: 'diff', zxid: zxid(2, 2), proposals: [] },
    ],
  ])('one that %s', (_, last, sync) => {
    expect(delivered().syncFor(last)).toEqual(sync);
  });

  it('one that is empty lacks more than a leader has that has nothing at hand', () => {
    expect(new History(zxid(1, 2), { recentMax: 500 }).syncFor(zxid(0, 0))).toEqual({ kind: 'older' });
  });

  it('nobody knows what is before what recovery has found', () => {
    const history = new History(zxid(1, 4), { recentMax: 500, recent: [proposal(1, 3), proposal(1, 4)] });
    expect(history.syncFor(zxid(1, 2))).toEqual({ kind: 'older' });
    expect(history.syncFor(zxid(1, 3))).toEqual({ kind: 'diff', zxid: zxid(1, 4), proposals: [proposal(1, 4)] });
  });

  it('one at the start of an epoch that nobody has begun gets a snapshot where nothing is at hand', () => {
    expect(new History(zxid(1, 2), { recentMax: 500 }).syncFor(zxid(2, 0))).toEqual({ kind: 'snap' });
  });
});

describe('a history', () => {
  it('delivers in order and once, up to where it is told', () => {
    const history = new History(zxid(1, 0), { recentMax: 500 });
    for (const counter of [1, 2, 3]) history.append(proposal(1, counter));
    expect(history.deliverUpTo(zxid(1, 2))).toEqual([proposal(1, 1), proposal(1, 2)]);
    expect(history.deliverUpTo(zxid(1, 2))).toEqual([]);
    expect([...history.pending]).toEqual([proposal(1, 3)]);
  });

  it('takes no zxid twice, and none that is lower', () => {
    const history = new History(zxid(1, 3), { recentMax: 500 });
    expect(() => history.append(proposal(1, 3))).toThrow(InvariantError);
  });

  it('takes no notice of a sync of a log that has been cut since', () => {
    const history = new History(zxid(1, 3), { recentMax: 500 });
    history.append(proposal(1, 4));
    history.truncate(zxid(1, 3));
    history.onSynced(zxid(1, 4));
    expect(history.lastSynced).toBe(zxid(1, 3));
    expect(history.lastLogged).toBe(zxid(1, 3));
  });

  it('that was cut or replaced offers nothing of what is gone', () => {
    const history = delivered();
    history.truncate(zxid(1, 6));
    expect(history.syncFor(zxid(1, 4))).toEqual({ kind: 'diff', zxid: zxid(1, 6), proposals: [proposal(1, 6)] });
    history.replace(zxid(3, 5));
    expect(history.syncFor(zxid(1, 4))).toEqual({ kind: 'older' });
  });

  it('tells what was logged between two zxids, delivered or not', () => {
    const history = delivered();
    history.append(proposal(2, 3));
    history.append(proposal(2, 4));
    expect(history.logged(zxid(2, 1), zxid(2, 3))).toEqual([zxid(2, 2), zxid(2, 3)]);
    expect(history.logged(zxid(1, 6), zxid(2, 1))).toEqual([zxid(2, 1)]);
    expect(history.logged(zxid(2, 4), zxid(2, 4))).toEqual([]);
  });

  it('keeps at least 500 of the last for learners, and not more than a thousand', () => {
    const history = new History(zxid(1, 0), { recentMax: 500 });
    for (let counter = 1; counter <= 2000; counter++) history.append(proposal(1, counter));
    history.onSynced(zxid(1, 2000));
    history.deliverUpTo(zxid(1, 2000));
    expect(history.syncFor(zxid(1, 1501)).kind).toBe('diff');
    expect(history.syncFor(zxid(1, 998)).kind).toBe('older');
  });

  it('keeps of the last ones no more than 64 MiB', () => {
    const history = new History(zxid(1, 0), { recentMax: 500 });
    const bytes = Buffer.alloc(1024 * 1024);
    for (let counter = 1; counter <= 65; counter++) {
      history.append({ zxid: zxid(1, counter), bytes });
      history.onSynced(zxid(1, counter));
      history.deliverUpTo(zxid(1, counter));
    }
    expect(history.deliveredSince(zxid(1, 64))).toHaveLength(1);
    expect(history.deliveredSince(zxid(1, 63))).toBeUndefined();
  });

  it('keeps all that is delivered and not durable in its own log, for nobody could read it there', () => {
    const history = new History(zxid(1, 0), { recentMax: 2 });
    for (let counter = 1; counter <= 100; counter++) history.append(proposal(1, counter));
    history.onSynced(zxid(1, 10));
    history.deliverUpTo(zxid(1, 90));
    expect(history.lastReadable).toBe(zxid(1, 10));
    expect(history.deliveredSince(zxid(1, 10))).toHaveLength(80);
    history.onSynced(zxid(1, 100));
    expect(history.lastReadable).toBe(zxid(1, 90));
    history.deliverUpTo(zxid(1, 100));
    for (let counter = 101; counter <= 300; counter++) {
      history.append(proposal(1, counter));
      history.onSynced(zxid(1, counter));
      history.deliverUpTo(zxid(1, counter));
    }
    expect(history.deliveredSince(zxid(1, 290))).toBeUndefined();
    expect(history.deliveredSince(zxid(1, 298))).toHaveLength(2);
  });
});
