import { describe, expect, it } from 'vitest';
import { type SessionId, toSessionId } from 'zookeeper-protocol-ts';
import {
  type ConnectionState,
  ConnectionStateChart,
  type ConnectionStateInput,
  isConnectedState,
  isErrorState,
} from './connection-state.ts';

const connected = (sessionId: SessionId): ConnectionStateInput => ({ kind: 'connected', sessionId, readOnly: false });
const first = connected(toSessionId(1n));
const second = connected(toSessionId(2n));
const readOnly: ConnectionStateInput = { kind: 'connected', sessionId: toSessionId(99n), readOnly: true };
const disconnected: ConnectionStateInput = { kind: 'disconnected' };
const expired: ConnectionStateInput = { kind: 'expired' };
const leaseEnded: ConnectionStateInput = { kind: 'leaseEnded' };

interface Row {
  readonly situation: string;
  /** Each input and the states that it leads to. */
  readonly steps: readonly (readonly [ConnectionStateInput, ...ConnectionState[]])[];
}

const rows: readonly Row[] = [
  { situation: 'the first connection', steps: [[first, 'CONNECTED']] },
  {
    situation: 'a short outage keeps the session',
    steps: [
      [first, 'CONNECTED'],
      [disconnected, 'SUSPENDED'],
      [first, 'RECONNECTED'],
      [disconnected, 'SUSPENDED'],
      [first, 'RECONNECTED'],
    ],
  },
  {
    situation: 'no server was ever reached',
    steps: [
      [disconnected, 'SUSPENDED'],
      [disconnected],
      [leaseEnded, 'LOST'],
      [disconnected],
      [first, 'CONNECTED'],
      [disconnected, 'SUSPENDED'],
      [first, 'RECONNECTED'],
    ],
  },
  {
    situation: 'the server says that the session is over',
    steps: [
      [first, 'CONNECTED'],
      [disconnected, 'SUSPENDED'],
      [expired, 'LOST'],
      [second, 'RECONNECTED'],
    ],
  },
  {
    situation: 'the session is over while connected',
    steps: [
      [first, 'CONNECTED'],
      [expired, 'LOST'],
      [second, 'RECONNECTED'],
    ],
  },
  {
    situation: 'the lease ends during an outage',
    steps: [
      [first, 'CONNECTED'],
      [disconnected, 'SUSPENDED'],
      [leaseEnded, 'LOST'],
      [leaseEnded],
      [expired],
      [disconnected],
      [second, 'RECONNECTED'],
    ],
  },
  {
    situation: 'a new session without a word about the old one (CURATOR-367)',
    steps: [
      [first, 'CONNECTED'],
      [disconnected, 'SUSPENDED'],
      [second, 'LOST', 'RECONNECTED'],
    ],
  },
  {
    situation: 'a new session while connected to the old one',
    steps: [
      [first, 'CONNECTED'],
      [second, 'LOST', 'RECONNECTED'],
    ],
  },
  {
    situation: 'the same session comes back after LOST',
    steps: [
      [first, 'CONNECTED'],
      [leaseEnded, 'LOST'],
      [first, 'RECONNECTED'],
    ],
  },
  {
    situation: 'repeated words of one connection',
    steps: [
      [first, 'CONNECTED'],
      [first],
      [disconnected, 'SUSPENDED'],
      [disconnected],
      [first, 'RECONNECTED'],
      [first],
    ],
  },
  {
    situation: 'a read-only server first: the connection that can write is CONNECTED',
    steps: [[readOnly, 'READ_ONLY'], [readOnly], [first, 'CONNECTED']],
  },
  {
    situation: 'a read-only server in between, whose session id says nothing',
    steps: [
      [first, 'CONNECTED'],
      [disconnected, 'SUSPENDED'],
      [readOnly, 'READ_ONLY'],
      [first, 'RECONNECTED'],
    ],
  },
  {
    situation: 'the session ended while a read-only server served',
    steps: [
      [first, 'CONNECTED'],
      [readOnly, 'READ_ONLY'],
      [second, 'LOST', 'RECONNECTED'],
    ],
  },
];

describe('ConnectionStateChart', () => {
  it.each(rows)('$situation', ({ steps }) => {
    const chart = new ConnectionStateChart();
    expect(chart.state).toBeUndefined();
    for (const [input, ...states] of steps) {
      const before = chart.state;
      expect(chart.step(input)).toEqual(states);
      expect(chart.state).toBe(states.at(-1) ?? before);
    }
  });
});

describe('what states mean', () => {
  it.each<[ConnectionState, boolean, boolean, boolean]>([
    ['CONNECTED', true, false, false],
    ['RECONNECTED', true, false, false],
    ['READ_ONLY', true, false, false],
    ['SUSPENDED', false, true, false],
    ['LOST', false, true, true],
  ])('%s: connected %s, error by the standard policy %s, by the session policy %s', (state, ok, standard, session) => {
    expect(isConnectedState(state)).toBe(ok);
    expect(isErrorState('standard', state)).toBe(standard);
    expect(isErrorState('session', state)).toBe(session);
  });
});
