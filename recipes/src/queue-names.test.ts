import { describe, expect, it } from 'vitest';
import {
  byDueTime,
  byName,
  bySequence,
  delayLabel,
  idLabel,
  priorityLabel,
  type QueueOrder,
  readItemName,
  readListing,
} from './queue-names.ts';

const sorted = (order: QueueOrder, ...names: string[]) => readListing(names, order).items.map(({ name }) => name);

describe('names of items', () => {
  it("have Curator's labels", () => {
    expect(idLabel('a/b|c')).toBe('|a_b_c|');
    expect([0, 5, 0x7fff_ffff, -1, -0x8000_0000].map(priorityLabel)).toEqual([
      '100000000',
      '100000005',
      '17FFFFFFF',
      '0FFFFFFFF',
      '080000000',
    ]);
    expect(delayLabel(1)).toBe('|00000001|');
    expect(delayLabel(0x18f3a2b4c5d)).toBe('|18F3A2B4C5D|');
  });

  it('are taken apart into label and sequence number, also behind the wrap', () => {
    const read = (name: string) => {
      const { label, sequence } = readItemName(name, byName) ?? {};
      return [label, sequence];
    };
    expect(read('queue-0000000007')).toEqual(['', 7]);
    expect(read('queue-|id|0000000007')).toEqual(['|id|', 7]);
    expect(read('queue-1000000050000000007')).toEqual(['100000005', 7]);
    expect(read('queue-100000005-000000001')).toEqual(['100000005', -1]);
    expect(read('queue--2147483648')).toEqual(['', -2147483648]);
    expect(read('queue-|18F3A2B4C5D|0000000000')).toEqual(['|18F3A2B4C5D|', 0]);
  });

  it('are not those of other children', () => {
    const { items, strangers } = readListing(['queue-0000000001', 'qn-0000000002', 'queue-', 'lock'], byName);
    expect(items).toHaveLength(1);
    expect(strangers).toEqual(['qn-0000000002', 'queue-', 'lock']);
  });

  it('come in the order of their numbers, also around the wrap', () => {
    expect(sorted(byName, 'queue--2147483648', 'queue-2147483647', 'queue-2147483646')).toEqual([
      'queue-2147483646',
      'queue-2147483647',
      'queue--2147483648',
    ]);
  });

  it('come in the order of their numbers whatever their ids', () => {
    expect(sorted(bySequence, 'queue-|a|0000000003', 'queue-|z|0000000001', 'queue-0000000002')).toEqual([
      'queue-|z|0000000001',
      'queue-0000000002',
      'queue-|a|0000000003',
    ]);
  });

  it('come by priority, negative ones first, and then by number', () => {
    const name = (priority: number, sequence: number) => `queue-${priorityLabel(priority)}000000000${sequence}`;
    const order = [name(-9, 4), name(-1, 3), name(0, 5), name(2, 1), name(2, 6), name(1000, 2)];
    expect(sorted(byName, ...order.toReversed())).toEqual(order);
  });

  it('come by due time, and of the same millisecond by number', () => {
    const order = ['queue-|00000001|0000000009', 'queue-|FFFFFFFFFF|0000000001', 'queue-|FFFFFFFFFF|0000000002'];
    expect(sorted(byDueTime, ...order.toReversed())).toEqual(order);
    expect(readItemName('queue-|000000FF|0000000001', byDueTime)?.dueAt).toBe(255);
    // As Curator's requeue writes them.
    expect(readItemName('queue-0000000001', byDueTime)?.dueAt).toBe(0);
  });
});
