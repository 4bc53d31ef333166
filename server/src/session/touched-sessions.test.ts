import { describe, expect, it } from 'vitest';
import { type SessionId, toSessionId } from 'zookeeper-protocol-ts';
import { TouchedSessions } from './touched-sessions.ts';

const [A, B] = [toSessionId(0xan), toSessionId(0xbn)];

/** A learner whose database has session A. */
function learner() {
  const known = new Map<SessionId, number>([[A, 4000]]);
  return { known, sessions: new TouchedSessions(known) };
}

describe("a learner's sessions", () => {
  it('are told of once when they were heard, with the timeout that was agreed on', () => {
    const { sessions } = learner();
    expect(sessions.touch(A)).toBe(true);
    sessions.touch(A);
    expect(sessions.take()).toEqual([{ sessionId: A, timeoutMs: 4000 }]);
    expect(sessions.take()).toEqual([]);
  });

  it('are not told of while their clients are silent', () => {
    expect(learner().sessions.take()).toEqual([]);
  });

  it('are those of the database: one that it does not have can not be touched', () => {
    const { known, sessions } = learner();
    expect(sessions.touch(B)).toBe(false);
    expect(sessions.has(B)).toBe(false);
    known.set(B, 6000);
    expect(sessions.touch(B)).toBe(true);
    expect(sessions.size).toBe(2);
    expect(sessions.take()).toEqual([{ sessionId: B, timeoutMs: 6000 }]);
  });

  it('are told of when a client has come with one that the database does not have yet', () => {
    const { sessions } = learner();
    sessions.add(B, 8000);
    expect(sessions.has(B)).toBe(false);
    expect(sessions.take()).toEqual([{ sessionId: B, timeoutMs: 8000 }]);
  });

  it('are not told of when they have ended meanwhile', () => {
    const { sessions } = learner();
    sessions.touch(A);
    sessions.remove(A);
    expect(sessions.take()).toEqual([]);
  });

  it('never expire, whatever happens: that is the leader to say', () => {
    const { sessions } = learner();
    sessions.touch(A);
    sessions.setClosing();
    expect(sessions.isClosing()).toBe(false);
    expect(sessions.expired()).toEqual([]);
    expect(sessions.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    expect(sessions.deadlines()).toEqual([]);
  });
});
