/**
 * The text in the znodes of a quota (the original's `StatsTrack`): limits, and what is used.
 *
 *     text   = [ name "=" number { separator name "=" number } ]
 *     separator = "," or ";", any number of them
 *
 * As it is written, `count` and `bytes` come first, and an odd `=` stands before the others: so parsers of old versions stop there.
 */

/** What a quota can limit. `count` and `bytes` only make the server complain; it enforces the other two, if it is told to. */
export type QuotaName = 'count' | 'bytes' | 'countHardLimit' | 'byteHardLimit';

/** By name; -1 or absent for no limit. Names that newer versions may add are kept. */
export type Quota = ReadonlyMap<string, number>;

/** Numbers that can't be read, and empty ones, are no limit. */
export function parseQuota(text: string): Map<string, number> {
  const quota = new Map<string, number>();
  for (const pair of text.split(/[,;]+/)) {
    const [name = '', value = ''] = pair.split('=');
    if (name !== '') quota.set(name, /^-?\d+$/.test(value) ? Number(value) : -1);
  }
  return quota;
}

export function quotaText(quota: Quota): string {
  const rest = [...quota.keys()].filter((name) => name !== 'count' && name !== 'bytes').sort();
  const head = `count=${quota.get('count') ?? -1},bytes=${quota.get('bytes') ?? -1}`;
  return rest.length === 0 ? head : `${head}=${rest.map((name) => `;${name}=${quota.get(name)}`).join('')}`;
}

/** Which of the limits is below what is used already. */
export function exceeded(limits: Quota, used: Quota): { count: boolean; bytes: boolean } {
  const isBelow = (name: QuotaName, use: number) => (limits.get(name) ?? -1) > -1 && (limits.get(name) ?? -1) < use;
  const count = used.get('count') ?? -1;
  const bytes = used.get('bytes') ?? -1;
  return {
    count: isBelow('count', count) || isBelow('countHardLimit', count),
    bytes: isBelow('bytes', bytes) || isBelow('byteHardLimit', bytes),
  };
}
