import { describe, expect, it } from 'vitest';
import { toSessionId, toZxid } from 'zookeeper-protocol-ts';
import { dateText, statLines } from './stat-text.ts';

describe('a date', () => {
  it.each([
    [0, 'UTC', 'Thu Jan 01 00:00:00 UTC 1970'],
    [1795366646000, 'UTC', 'Sun Nov 22 16:57:26 UTC 2026'],
    [1795366646000, 'America/New_York', 'Sun Nov 22 11:57:26 EST 2026'],
    [1783958400000, 'America/New_York', 'Mon Jul 13 12:00:00 EDT 2026'],
    [1795366646000, 'Europe/Berlin', 'Sun Nov 22 17:57:26 CET 2026'],
    [1783958400000, 'Europe/Berlin', 'Mon Jul 13 18:00:00 CEST 2026'],
    [1795366646000, 'Asia/Kolkata', 'Sun Nov 22 22:27:26 IST 2026'],
  ])('%i in %s is written as Java writes it', (ms, zone, text) => {
    expect(dateText(ms, zone)).toBe(text);
  });
});

describe('a stat', () => {
  it('has eleven lines, ids in unsigned hex', () => {
    const lines = statLines({
      czxid: toZxid(0x58n),
      mzxid: toZxid(0x1_0000_0062n),
      pzxid: toZxid(0x5fn),
      ctime: 0,
      mtime: 0,
      version: 2,
      cversion: 6,
      aversion: 0,
      ephemeralOwner: toSessionId(-1n),
      dataLength: 5,
      numChildren: 7,
    });
    const times = lines.filter((line) => /^[cm]time = /.test(line));
    expect(times).toEqual([`ctime = ${dateText(0)}`, `mtime = ${dateText(0)}`]);
    expect(lines.filter((line) => !times.includes(line))).toEqual([
      'cZxid = 0x58',
      'mZxid = 0x100000062',
      'pZxid = 0x5f',
      'cversion = 6',
      'dataVersion = 2',
      'aclVersion = 0',
      'ephemeralOwner = 0xffffffffffffffff',
      'dataLength = 5',
      'numChildren = 7',
    ]);
    expect(lines.indexOf('pZxid = 0x5f')).toBe(4);
  });
});
