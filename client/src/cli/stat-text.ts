/** A `Stat` in the original's lines (`StatPrinter`): zxids and the owner in hex, times as Java prints a `Date`. */
import { type Stat, toHex } from 'zookeeper-protocol-ts';

export const statLines = (stat: Stat): string[] => [
  `cZxid = ${toHex(stat.czxid)}`,
  `ctime = ${dateText(stat.ctime)}`,
  `mZxid = ${toHex(stat.mzxid)}`,
  `mtime = ${dateText(stat.mtime)}`,
  `pZxid = ${toHex(stat.pzxid)}`,
  `cversion = ${stat.cversion}`,
  `dataVersion = ${stat.version}`,
  `aclVersion = ${stat.aversion}`,
  `ephemeralOwner = ${toHex(stat.ephemeralOwner)}`,
  `dataLength = ${stat.dataLength}`,
  `numChildren = ${stat.numChildren}`,
];

/**
 * `Sun Nov 22 16:57:26 UTC 2026`, as Java's `Date.toString` writes it.
 * @param ms since 1970
 * @param timeZone of the machine by default
 */
export function dateText(ms: number, timeZone?: string): string {
  const parts = (locale: string): ReadonlyMap<string, string> =>
    new Map(
      new Intl.DateTimeFormat(locale, {
        weekday: 'short',
        month: 'short',
        day: '2-digit',
        hour: '2-digit',
        minute: '2-digit',
        second: '2-digit',
        hourCycle: 'h23',
        year: 'numeric',
        timeZoneName: 'short',
        ...(timeZone !== undefined && { timeZone }),
      })
        .formatToParts(ms)
        .map(({ type, value }) => [type, value]),
    );
  const english = parts('en-US');
  const zones = ZONE_LOCALES.map((locale) => parts(locale).get('timeZoneName') ?? '');
  const zone = zones.find((name) => !/^GMT[+-]/.test(name)) ?? zones[0];
  const part = (type: string) => english.get(type);
  const time = `${part('hour')}:${part('minute')}:${part('second')}`;
  return `${part('weekday')} ${part('month')} ${part('day')} ${time} ${zone} ${part('year')}`;
}

/** Every locale has short names only for the zones of its own part of the world, and says `GMT+1` for the others. */
const ZONE_LOCALES = ['en-US', 'en-GB', 'en-AU', 'en-ZA', 'en-IN', 'en-HK', 'en-SG', 'ja-JP', 'pt-BR', 'id-ID'];
