import { describe, expect, it } from 'vitest';
import { NO_SESSION, OpCode, type SessionId, toSessionId, toZxid } from 'zookeeper-protocol-ts';
import { SessionsStage } from './client-sessions.fixture.ts';
import { passwordOf } from './session/session-id.ts';
import type { LinkId } from './zab/contract.ts';

const [B, C] = [2, 3] as unknown as [LinkId, LinkId]; // made here as the streams make them
const SESSION = toSessionId(0x0100_0000_0000_0007n);
const ownOf = (sessionId: SessionId) => ({ sessionId, password: passwordOf(sessionId) });

describe('a client that wants a session', () => {
  it('has it when that was agreed on, with the timeout that it asked for', () => {
    const stage = new SessionsStage();
    const client = stage.connect({ timeoutMs: 5000 });
    const [{ type, sessionId } = { type: 0, sessionId: NO_SESSION }] = stage.asked;
    expect(type).toBe(OpCode.createSession);
    expect(client.answer()).toBeUndefined();
    stage.created(sessionId, 5000);
    expect(client.answer()).toMatchObject({ sessionId, timeoutMs: 5000 });
    expect(Buffer.from(client.answer()?.password ?? [])).toEqual(Buffer.from(passwordOf(sessionId)));
    expect(stage.connections.of(sessionId)).toBe(client.connection);
  });

  it.each([
    ['too short', 10, 2000],
    ['too long', 10_000_000, 20_000],
  ])('with a timeout that is %s gets one between 2 and 20 ticks', (_, timeoutMs, granted) => {
    const stage = new SessionsStage();
    stage.connect({ timeoutMs });
    expect(stage.sessions.nextDeadline()).toBe(granted + 1000);
  });

  it('gets an id that no other one has', () => {
    const stage = new SessionsStage();
    const ids = [stage.join(), stage.join(), stage.join()].map(({ sessionId }) => sessionId);
    expect(new Set(ids).size).toBe(3);
    expect(ids.every((id) => id >> 56n === 1n)).toBe(true);
  });

  it('and has gone before it was agreed on leaves a session that will expire', () => {
    const stage = new SessionsStage();
    const client = stage.connect();
    const sessionId = stage.asked[0]?.sessionId ?? NO_SESSION;
    client.stream.finish();
    stage.created(sessionId);
    expect(stage.connections.of(sessionId)).toBeUndefined();
    stage.sessions.wake(5000);
    expect(stage.asked.at(-1)).toEqual({ type: OpCode.closeSession, sessionId });
  });

  it('is sent away when it has seen more than this server has, and may be right elsewhere', () => {
    const stage = new SessionsStage();
    const client = stage.connect({ lastZxidSeen: toZxid(1n) });
    expect(client.stream.end).toBe('closed');
    expect(client.answer()).toBeUndefined();
    expect(stage.asked).toEqual([]);
  });

  it('is refused when there are as many as there may be; who has one may come back', () => {
    const stage = new SessionsStage({ sessionsMax: 1 });
    const { client, sessionId } = stage.join();
    expect(stage.connect().stream.end).toBe('closed');
    expect(stage.metrics.counters.connection_rejected).toBe(1);
    client.stream.finish();
    expect(stage.connect(ownOf(sessionId)).answer()).toMatchObject({ sessionId });
  });

  it('and never says so is sent away after a while', () => {
    const stage = new SessionsStage();
    const [silent, slow] = [stage.open(), stage.connect()];
    const deadline = stage.connections.nextDeadline();
    stage.sessions.wake(deadline - 1);
    expect(silent.connection.isClosed).toBe(false);
    stage.sessions.wake(deadline);
    expect(silent.connection.isClosed).toBe(true);
    // Its session is being agreed on, however long that takes.
    expect(slow.connection.isClosed).toBe(false);
  });
});

describe('a client that comes back to a server that knows the sessions', () => {
  it('goes on with its own, on the new connection alone', () => {
    const stage = new SessionsStage();
    const { client, sessionId } = stage.join();
    const again = stage.connect(ownOf(sessionId));
    expect(again.answer()).toMatchObject({ sessionId, timeoutMs: 4000 });
    expect(client.stream.end).toBe('closed');
    expect(stage.connections.of(sessionId)).toBe(again.connection);
  });

  it('is refused with a wrong password, and the session stays with whom it is', () => {
    const stage = new SessionsStage();
    const { client, sessionId } = stage.join();
    const thief = stage.connect({ sessionId, password: new Uint8Array(16) });
    expect(thief.answer()).toMatchObject({ sessionId: NO_SESSION, timeoutMs: 0 });
    expect(client.stream.end).toBeUndefined();
  });

  it.each([
    ['there is not', (_stage: SessionsStage): SessionId => SESSION],
    [
      'is about to end',
      (stage: SessionsStage): SessionId => {
        const { sessionId } = stage.join();
        stage.sessions.setClosing(sessionId);
        return sessionId;
      },
    ],
    [
      'has ended',
      (stage: SessionsStage): SessionId => {
        const { sessionId } = stage.join();
        stage.sessions.onClosed(sessionId);
        return sessionId;
      },
    ],
  ])('is refused a session that %s', (_, sessionOf) => {
    const stage = new SessionsStage();
    const client = stage.connect(ownOf(sessionOf(stage)));
    expect(client.answer()).toMatchObject({ sessionId: NO_SESSION });
    expect(client.stream.end).toBe('closed');
  });

  it('has its whole timeout again', () => {
    const stage = new SessionsStage();
    const { sessionId } = stage.join(4000);
    stage.clock.at = 3500;
    stage.connect({ ...ownOf(sessionId), timeoutMs: 6000 });
    expect(stage.sessions.nextDeadline()).toBe(10_000);
  });
});

describe('a client that comes to a learner with its session', () => {
  it('waits for what the leader says of it', () => {
    const stage = new SessionsStage({ leads: false });
    const client = stage.connect(ownOf(SESSION));
    expect(stage.revalidated).toEqual([SESSION]);
    expect(client.answer()).toBeUndefined();
    stage.sessions.onRevalidated(SESSION, true);
    expect(client.answer()).toMatchObject({ sessionId: SESSION });
    expect(stage.connections.of(SESSION)).toBe(client.connection);
  });

  it('is refused when the leader knows of none', () => {
    const stage = new SessionsStage({ leads: false });
    const client = stage.connect(ownOf(SESSION));
    stage.sessions.onRevalidated(SESSION, false);
    expect(client.answer()).toMatchObject({ sessionId: NO_SESSION });
  });

  it('is refused at once with a wrong password: the leader is not asked', () => {
    const stage = new SessionsStage({ leads: false });
    expect(stage.connect({ sessionId: SESSION }).answer()).toMatchObject({ sessionId: NO_SESSION });
    expect(stage.revalidated).toEqual([]);
  });

  it('twice has it on the later connection', () => {
    const stage = new SessionsStage({ leads: false });
    const [first, second] = [stage.connect(ownOf(SESSION)), stage.connect(ownOf(SESSION))];
    expect(first.stream.end).toBe('closed');
    stage.sessions.onRevalidated(SESSION, true);
    stage.sessions.onRevalidated(SESSION, true);
    expect(first.answer()).toBeUndefined();
    expect(second.answer()).toMatchObject({ sessionId: SESSION });
    expect(second.stream.end).toBeUndefined();
  });

  it('and is gone when the leader answers concerns nobody any more', () => {
    const stage = new SessionsStage({ leads: false });
    stage.connect(ownOf(SESSION)).stream.finish();
    stage.sessions.onRevalidated(SESSION, true);
    stage.sessions.onRevalidated(SESSION, false);
    expect(stage.connections.of(SESSION)).toBeUndefined();
  });
});

describe('where a session is at home', () => {
  it('is where its client was seen last: what it had asked for elsewhere counts no more', () => {
    const { sessions } = new SessionsStage();
    sessions.setHome(SESSION, B);
    expect(sessions.hasMoved(SESSION, B)).toBe(false);
    expect(sessions.hasMoved(SESSION, C)).toBe(true);
    sessions.setHome(SESSION, C);
    expect(sessions.hasMoved(SESSION, B)).toBe(true);
    expect(sessions.hasMoved(SESSION, C)).toBe(false);
  });

  it('is where the first request comes from, when a new leader has not seen it yet', () => {
    const { sessions } = new SessionsStage();
    expect(sessions.hasMoved(SESSION, B)).toBe(false);
    expect(sessions.hasMoved(SESSION, 'here')).toBe(true);
  });

  it('is here when its client has come here', () => {
    const stage = new SessionsStage();
    const { sessionId } = stage.join();
    expect(stage.sessions.hasMoved(sessionId, 'here')).toBe(false);
    stage.sessions.setHome(sessionId, B);
    stage.connect(ownOf(sessionId));
    expect(stage.sessions.hasMoved(sessionId, B)).toBe(true);
    expect(stage.sessions.hasMoved(sessionId, 'here')).toBe(false);
  });

  it('is not moved by somebody who does not get the session', () => {
    const stage = new SessionsStage();
    const { sessionId } = stage.join();
    stage.sessions.setHome(sessionId, B);
    stage.connect({ sessionId, password: new Uint8Array(16) });
    expect(stage.sessions.hasMoved(sessionId, B)).toBe(false);
  });

  it('is forgotten when it has ended', () => {
    const stage = new SessionsStage();
    const { client, sessionId } = stage.join();
    expect(stage.sessions.onClosed(sessionId)).toBe(client.connection);
    expect(stage.sessions.hasMoved(sessionId, C)).toBe(false);
  });
});

describe('a session that is silent', () => {
  it('is ended once, by what is agreed on, and can not be touched from then on', () => {
    const stage = new SessionsStage();
    const { sessionId } = stage.join(4000);
    expect(stage.sessions.touch(sessionId, 1000)).toBe(true);
    stage.sessions.wake(5000);
    expect(stage.sessions.isOpen(sessionId)).toBe(true);
    stage.sessions.wake(6000);
    stage.sessions.wake(7000);
    expect(stage.asked.slice(1)).toEqual([{ type: OpCode.closeSession, sessionId }]);
    expect(stage.sessions.isOpen(sessionId)).toBe(false);
    expect(stage.metrics.counters.stale_sessions_expired).toBe(1);
  });

  it('can be ended by hand, once', () => {
    const stage = new SessionsStage();
    const { sessionId } = stage.join();
    expect([stage.sessions.expire(sessionId), stage.sessions.expire(sessionId)]).toEqual([true, false]);
    expect(stage.sessions.expire(SESSION)).toBe(false);
    expect(stage.asked.slice(1)).toEqual([{ type: OpCode.closeSession, sessionId }]);
  });
});
