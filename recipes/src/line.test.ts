import { describe, expect, it } from 'vitest';
import { isWriter, lineUp } from './line.ts';

const UUID = '_c_de5ba1f3-9a2d-4b4c-8d0e-0123456789ab-';

describe('lineUp', () => {
  it('orders by sequence number, whatever stands before it', () => {
    const children = [`${UUID}lock-0000000010`, `_c_ffffffff-9a2d-4b4c-8d0e-0123456789ab-lock-0000000002`];
    expect(lineUp(children, 'lock-').names).toEqual([...children].reverse());
  });

  it('knows the names of Curator, of go-zookeeper, and unprotected ones', () => {
    const children = [
      `${UUID}lock-0000000001`,
      '_c_0123456789abcdef0123456789abcdef-lock-0000000002',
      'lock-0000000003',
      `${UUID.toUpperCase().replace('_C_', '_c_')}lock-0000000004`,
    ];
    expect(lineUp(children, 'lock-')).toEqual({ names: children, strangers: [] });
  });

  it.each([
    ['0123456789abcdef0123456789abcdef__lock__0000000001', "kazoo's lock"],
    [`${UUID}latch-0000000001`, 'a latch among locks'],
    [`${UUID}__READ__0000000001`, 'a read lock'],
    [`${UUID}lock-`, 'no sequence number'],
    [`${UUID}lock-000000001`, 'too few digits'],
    [`${UUID}lock-00000000001`, 'too many digits'],
    [`${UUID}my-lock-0000000001`, 'more before the name'],
    ['_c_not-a-uuid-lock-0000000001', 'a broken protection'],
    ['leases', 'another name'],
  ])('passes over %s (%s)', (name) => {
    expect(lineUp([name], 'lock-')).toEqual({ names: [], strangers: [name] });
  });

  it('keeps the order when the 32-bit sequence number wraps', () => {
    const names = ['2147483646', '2147483647', '-2147483648', '-2147483647', '-1000000000', '-999999999'].map(
      (sequence) => `${UUID}lock-${sequence}`,
    );
    expect(lineUp([...names].reverse(), 'lock-').names).toEqual(names);
  });

  it('keeps the order from the negative numbers to zero', () => {
    const names = ['-000000002', '-000000001', '0000000000', '0000000001'].map((sequence) => `lock-${sequence}`);
    expect(lineUp([...names].reverse(), 'lock-').names).toEqual(names);
  });

  it('puts readers and writers into one line, and tells them apart', () => {
    const children = [`${UUID}__READ__0000000001`, `${UUID}__WRIT__0000000002`, '__READ__0000000003'];
    expect(lineUp([...children].reverse(), '__READ__').names).toEqual(children);
    expect(lineUp([...children].reverse(), '__WRIT__').names).toEqual(children);
    expect(children.map(isWriter)).toEqual([false, true, false]);
  });
});
