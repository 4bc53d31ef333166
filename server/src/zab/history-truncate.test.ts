import { expect, it } from 'vitest';
import { toZxid } from 'zookeeper-protocol-ts';
import { History } from './history.ts';
import type { Proposal } from './proposal.ts';

const proposal = (zxid: bigint): Proposal => ({ zxid: toZxid(zxid), bytes: Buffer.from([Number(zxid)]) });

it('a history that was cut counts all that is left as delivered: the database was recovered from it', () => {
  const history = new History(toZxid(1n), { recentMax: 500 });
  for (const zxid of [2n, 3n, 4n, 5n]) history.append(proposal(zxid));
  expect(history.deliverUpTo(toZxid(2n))).toEqual([proposal(2n)]);
  history.truncate(toZxid(4n));
  expect(history.lastLogged).toBe(4n);
  expect(history.lastDelivered).toBe(4n);
  expect([...history.pending]).toEqual([]);
  // Nothing is delivered twice, and others can have it.
  expect(history.deliverUpTo(toZxid(4n))).toEqual([]);
  expect(history.syncFor(toZxid(2n))).toEqual({ kind: 'diff', zxid: 4n, proposals: [proposal(3n), proposal(4n)] });
});
