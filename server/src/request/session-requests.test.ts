import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toSessionId } from 'zookeeper-protocol-ts';
import { InvariantError } from '../invariant.ts';
import { SessionRequests } from './session-requests.ts';

const session = toSessionId(1n);
const other = toSessionId(2n);

describe('the requests of a session', () => {
  it('run at once while no write of the session is under way', () => {
    const requests = new SessionRequests<string>();
    expect(requests.accept(session, 'read', false)).toBe(true);
    expect(requests.accept(other, 'write', true)).toBe(true);
    expect(requests.accept(session, 'read again', false)).toBe(true);
    expect(requests.outstanding).toBe(1);
  });

  it('wait behind the writes of the session: writes are handed on, reads follow the write they stood behind', () => {
    const requests = new SessionRequests<string>();
    expect(requests.accept(session, 'w1', true)).toBe(true);
    expect(requests.accept(session, 'r1', false)).toBe(false);
    expect(requests.accept(session, 'r2', false)).toBe(false);
    expect(requests.accept(session, 'w2', true)).toBe(true);
    expect(requests.accept(session, 'r3', false)).toBe(false);
    expect(requests.complete(session, 'w1')).toEqual(['r1', 'r2']);
    expect(requests.complete(session, 'w2')).toEqual(['r3']);
    expect(requests.outstanding).toBe(0);
    expect(requests.accept(session, 'r4', false)).toBe(true);
  });

  it('can not be answered out of order', () => {
    const requests = new SessionRequests<string>();
    requests.accept(session, 'w1', true);
    requests.accept(session, 'w2', true);
    expect(() => requests.complete(session, 'w2')).toThrow(InvariantError);
    expect(() => requests.complete(other, 'w1')).toThrow(InvariantError);
  });

  it('are answered in the order in which they came, whatever the mixture', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 60 }), fc.infiniteStream(fc.boolean()), (kinds, draws) => {
        const requests = new SessionRequests<number>();
        const answered: number[] = [];
        const waiting: number[] = [];
        const completeOne = (): void => {
          const write = waiting.shift();
          if (write === undefined) return;
          answered.push(write, ...requests.complete(session, write));
        };
        kinds.forEach((waits, i) => {
          const now = requests.accept(session, i, waits);
          if (waits) waiting.push(i);
          else if (now) answered.push(i);
          if (draws.next().value) completeOne();
        });
        while (waiting.length > 0) completeOne();
        expect(answered).toEqual(kinds.map((_, i) => i));
        expect(requests.outstanding).toBe(0);
      }),
    );
  });
});
