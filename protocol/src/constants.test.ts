/** The tables of numbers and names: what is known by number is known by name, and the other way round. */

import { describe, expect, it } from 'vitest';
import { CreateMode, hasTtl, isCreateMode, isEphemeral, isSequential } from './create-mode.ts';
import { ErrorCode, errorCodeName } from './error-code.ts';
import { isOpCode, OpCode, opCodeName } from './op-code.ts';
import { EventType, eventTypeName, KeeperState, keeperStateName } from './watch-event.ts';

const tables: [string, Record<string, number>, (value: number) => string | undefined][] = [
  ['operation codes', OpCode, opCodeName],
  ['error codes', ErrorCode, errorCodeName],
  ['event types', EventType, eventTypeName],
  ['keeper states', KeeperState, keeperStateName],
];

describe.each(tables)('%s', (_, table, nameOf) => {
  it('have one name each', () => {
    for (const [name, value] of Object.entries(table)) expect(nameOf(value)).toBe(name);
  });
});

describe('a number of a newer version', () => {
  it('has no name as an error, an event or a state', () => {
    expect([errorCodeName(-999), eventTypeName(99), keeperStateName(99)]).toEqual([undefined, undefined, undefined]);
  });

  it('stands for itself as an operation, which is none of ours', () => {
    expect(opCodeName(999)).toBe('999');
    expect(isOpCode(999)).toBe(false);
    expect(isOpCode(OpCode.create)).toBe(true);
  });
});

describe('a create mode', () => {
  const modesThat = (holds: (mode: CreateMode) => boolean): string[] =>
    Object.entries(CreateMode)
      .filter(([, mode]) => holds(mode))
      .map(([name]) => name);

  it('is ephemeral, sequential or with a time to live as its name says', () => {
    expect(modesThat(isEphemeral)).toEqual(['EPHEMERAL', 'EPHEMERAL_SEQUENTIAL']);
    expect(modesThat(isSequential)).toEqual([
      'PERSISTENT_SEQUENTIAL',
      'EPHEMERAL_SEQUENTIAL',
      'PERSISTENT_SEQUENTIAL_WITH_TTL',
    ]);
    expect(modesThat(hasTtl)).toEqual(['PERSISTENT_WITH_TTL', 'PERSISTENT_SEQUENTIAL_WITH_TTL']);
  });

  it('is one of the flags 0 to 6', () => {
    expect([0, 1, 2, 3, 4, 5, 6].every(isCreateMode)).toBe(true);
    expect([-1, 7, 1.5, Number.NaN, 0x1_0000_0000].some(isCreateMode)).toBe(false);
  });
});
