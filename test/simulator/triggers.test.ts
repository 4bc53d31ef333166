import { describe, expect, it } from 'vitest';
import { makeZxid, toEpoch } from 'zookeeper-protocol-ts';
import { MOMENT_NAMES, type Struck, Triggers } from './triggers.ts';

/** Shows the same moments to the triggers of many seeds. */
function strikes(
  show: (triggers: Triggers) => void,
  { seeds = 400, nowMs = (): number => 10_000 } = {},
): readonly Struck[] {
  const struck: Struck[] = [];
  for (let seed = 1; seed <= seeds; seed++) show(new Triggers(seed, nowMs, (each) => struck.push(each)));
  return struck;
}

const packet = (name: 'NEWLEADER' | 'ACK' | 'PING', counter: number) =>
  ({ name, from: 's1', to: 's2', zxid: makeZxid(toEpoch(1), counter) }) as const;

describe('a trigger', () => {
  it('strikes in a part of the seeds, and then all kinds of blows, at either end', () => {
    const struck = strikes((triggers) => triggers.onPacket(packet('NEWLEADER', 0)));
    expect(struck.length).toBeGreaterThan(10);
    expect(struck.length).toBeLessThan(100);
    expect(struck.every(({ moment }) => moment === 'NEWLEADER is sent')).toBe(true);
    const blows = new Set(struck.map(({ strike }) => `${strike.kind} ${'server' in strike ? strike.server : ''}`));
    for (const blow of ['powerLoss s1', 'powerLoss s2', 'kill s1', 'cut ', 'powerLossOfAll '])
      expect(blows).toContain(blow);
  });

  it('tells the acknowledgement of NEWLEADER from others, and takes no notice of a ping', () => {
    expect(strikes((triggers) => triggers.onPacket(packet('ACK', 0)))[0]?.moment).toBe('NEWLEADER is acknowledged');
    expect(strikes((triggers) => triggers.onPacket(packet('ACK', 9)), { seeds: 4000 })[0]?.moment).toBe('ACK is sent');
    expect(strikes((triggers) => triggers.onPacket(packet('PING', 0)))).toEqual([]);
  });

  it('knows the moments of a disk, and who has become leader', () => {
    const show = (triggers: Triggers): void => {
      triggers.onRole('s1', 'leader');
      triggers.onDisk({ kind: 'disk', machine: 's1', operation: 'sync', file: 'log.100000001' });
      triggers.onDisk({ kind: 'disk', machine: 's1', operation: 'rename', file: 'currentEpoch' });
      triggers.onDisk({ kind: 'disk', machine: 's1', operation: 'rename', file: 'snapshot.1' });
      triggers.onDisk({ kind: 'disk', machine: 's1', operation: 'truncate', file: 'log.1' });
    };
    const moments = new Set(strikes(show, { seeds: 4000 }).map(({ moment }) => moment));
    expect([...moments].sort()).toEqual(
      MOMENT_NAMES.filter((name) => / (leader|begins|saved|name|cut)$/.test(name)).sort(),
    );
  });

  it('is quiet for a while after a strike', () => {
    let nowMs = 0;
    const struck = strikes(
      (triggers) => {
        for (nowMs = 0; nowMs < 250; nowMs++) triggers.onPacket(packet('NEWLEADER', 0));
      },
      { nowMs: () => nowMs },
    );
    expect(struck.length).toBeGreaterThan(100);
    expect(struck.length).toBeLessThan(300); // half of 400
  });
});
